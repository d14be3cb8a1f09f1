//! What AWS is asked about a failure when it is first seen: the targets of its load balancer, and the last lines of its containers.
//!
//! Each failure is asked about once, by a few calls (`plan/causes` says which). An answer that does not come is told like one, and
//! hides no other.

use futures::future::join_all;

use super::access::Access;
use crate::model::{Answers, Inquiry, LogStream, Reading};

/// Lines of one log (chosen: the end of a stack trace and what came before it).
const LINES: usize = 20;
/// Bytes of one line that are kept. `CloudWatch` Logs takes a million; what matters stands in front (chosen).
const LONGEST_LINE: usize = 2_000;

impl Access {
    pub async fn ask(&self, inquiries: &[Inquiry]) -> Answers {
        let groups = inquiries.iter().flat_map(|inquiry| &inquiry.groups).map(async |group| {
            (group.clone(), Reading::from(self.ports.balancers.target_health(group).await))
        });
        let logs = inquiries.iter().flat_map(|inquiry| &inquiry.logs);
        let logs = logs.map(async |(_, stream)| (stream.clone(), self.last_lines(stream).await));
        let (targets, logs) = futures::join!(join_all(groups), join_all(logs));
        Answers { targets: targets.into_iter().collect(), logs: logs.into_iter().collect() }
    }

    async fn last_lines(&self, stream: &LogStream) -> Reading<Vec<String>> {
        let logs = self.ports_in(stream.region.as_ref()).logs;
        let lines = logs.last_lines(stream, LINES).await;
        Reading::from(lines.map(|lines| lines.iter().map(|line| cut(line).to_owned()).collect()))
    }
}

fn cut(line: &str) -> &str {
    line.get(..line.floor_char_boundary(LONGEST_LINE)).unwrap_or_default()
}
