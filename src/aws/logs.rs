//! Amazon `CloudWatch` Logs, of which this only reads.

use async_trait::async_trait;
use serde_json::json;

use super::answer::{list, owned};
use super::caller::Client;
use crate::model::LogStream;
use crate::ports::{CloudError, Logs};

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
}
