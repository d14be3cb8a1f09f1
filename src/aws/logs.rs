//! Amazon `CloudWatch` Logs, of which this only reads.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::answer::{list, owned};
use super::caller::Client;
use crate::model::LogStream;
use crate::ports::{CloudError, LogPage, Logs, Since};

pub(super) struct LogsClient(pub Client);

#[async_trait]
impl Logs for LogsClient {
    /// One page: without `startFromHead` the newest events come first, and within a page the oldest of them (Amazon `CloudWatch`
    /// Logs API reference, `GetLogEvents`). An empty page has a next one as well, which would never end.
    async fn last_lines(&self, stream: &LogStream, most: usize) -> Result<Vec<String>, CloudError> {
        let input = json!({"logGroupName": stream.group, "logStreamName": stream.stream, "limit": most, "startFromHead": false});
        let answer = self.0.read("GetLogEvents", input).await?;
        Ok(list(&answer, "events").filter_map(|event| owned(event, "message")).collect())
    }

    async fn page(&self, stream: &LogStream, since: Since, most: usize) -> Result<LogPage, CloudError> {
        let mut input = json!({"logGroupName": stream.group, "logStreamName": stream.stream, "limit": most});
        match since {
            Since::Time(time) => input["startTime"] = time.into(),
            Since::Page(token) => {
                input["nextToken"] = token.into();
                // The direction must be that of the token.
                input["startFromHead"] = true.into();
            }
        }
        let answer = self.0.read("GetLogEvents", input).await?;
        let line = |event: &Value| Some((event.get("timestamp")?.as_i64()?, owned(event, "message")?));
        Ok(LogPage {
            lines: list(&answer, "events").filter_map(line).collect(),
            next: owned(&answer, "nextForwardToken"),
        })
    }
}
