//! What each kind of receiver is sent, in its own documented form, and what its answers mean. Pure but for the secrets, which
//! are read when they are needed.

mod aws;
mod hosts;
mod slack;
mod teams;
pub(super) mod webhook;

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::address::WebAddress;
use crate::git_host::Trouble;
use crate::model::alert::{Alert, Event};
use crate::outbound::retry_after;
use crate::ports::CloudError;
use crate::settings::{Sink, SinkKind, chat_address};
pub(super) use hosts::{News, Teller};

/// A receiver may ask for a rest of so long at most; then it is tried again.
const LONGEST_REST: Duration = Duration::from_mins(5);

/// What is sent.
#[derive(Debug)]
pub(super) enum Request {
    /// One POST of JSON.
    Post(Post),
    /// The input of `Publish`.
    Publish(Value),
    /// An entry of `PutEvents`.
    PutEvent(Value),
    /// What a git host is told of one of its commits.
    Report(News),
    /// Whether it lets us in; nothing is written.
    Reach,
}

#[derive(Debug)]
pub(super) struct Post {
    pub address: WebAddress,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Taken,
    /// It is in trouble, or wants a rest of so long.
    Later(Option<Duration>),
    /// The same would be refused again.
    Refused,
}

/// What this sink is sent. `Err`: a secret cannot be used; without the secret.
pub(super) fn request(sink: &Sink, alert: &Alert, now: jiff::Timestamp) -> Result<Request, String> {
    let chat = |url, body: Value| {
        let address = chat_address(url)?;
        Ok(Request::Post(Post { address, headers: Vec::new(), body: body.to_string() }))
    };
    match &sink.kind {
        SinkKind::Webhook { url, secret } => {
            let secret = secret.read().map_err(|error| format!("the secret cannot be read: {error}"))?;
            Ok(Request::Post(webhook::request(url, &secret, alert, sink.with_logs, now)))
        }
        SinkKind::Slack { url } => chat(url, slack::body(alert, sink.with_logs)),
        SinkKind::Teams { url } => chat(url, teams::body(alert, sink.with_logs)),
        SinkKind::Sns(topic) => Ok(Request::Publish(aws::message(&topic.name, alert, sink.with_logs))),
        SinkKind::GitHost(_) => {
            hosts::news(alert).map_or(Ok(Request::Reach), |news| Ok(Request::Report(news)))
        }
        SinkKind::EventBridge(bus) => Ok(Request::PutEvent(aws::event(&bus.name, alert, sink.with_logs))),
    }
}

/// Between two deliveries to one receiver, so that none is throttled for no need. Slack: one message a second and channel, with short
/// bursts; Teams: four requests a second; GitHub: a second between two writes.
pub(super) fn gap(kind: &SinkKind) -> Duration {
    match kind {
        SinkKind::Webhook { .. } | SinkKind::Sns(_) | SinkKind::EventBridge(_) => Duration::ZERO,
        SinkKind::Slack { .. } => Duration::from_secs(1),
        SinkKind::Teams { .. } => Duration::from_millis(250),
        SinkKind::GitHost(_) => hosts::GAP,
    }
}

/// Whether it is for this kind of receiver at all.
pub(super) fn concerns(kind: &SinkKind, alert: &Alert) -> bool {
    !matches!(kind, SinkKind::GitHost(_)) || alert.event == Event::Test || hosts::news(alert).is_some()
}

/// What AWS says. Who is denied may be let in a moment later, by a policy or by credentials that were renewed.
pub(super) fn of_aws(result: &Result<(), CloudError>) -> Answer {
    match result {
        Ok(()) => Answer::Taken,
        Err(CloudError::NotFound(_) | CloudError::Rejected(_)) => Answer::Refused,
        Err(
            CloudError::Throttled(_)
            | CloudError::Denied(_)
            | CloudError::Ambiguous(_)
            | CloudError::Unavailable(_),
        ) => Answer::Later(None),
    }
}

/// What a git host says, and why, in a line. `None`: whether it lets us in.
pub(super) async fn told(teller: Option<&Teller>, news: Option<&News>) -> (Answer, String) {
    let Some(teller) = teller else { return (Answer::Refused, "the git host is not known".to_owned()) };
    let result = match news {
        Some(news) => teller.tell(news).await,
        None => teller.reach().await,
    };
    match result {
        Ok(()) => (Answer::Taken, String::new()),
        Err(Trouble::Later { asked, why }) => (Answer::Later(asked.map(|rest| rest.min(LONGEST_REST))), why),
        Err(Trouble::Refused(why)) => (Answer::Refused, why),
    }
}

pub(super) fn answer(status: StatusCode, headers: &HeaderMap, now: jiff::Timestamp) -> Answer {
    if status.is_success() {
        return Answer::Taken;
    }
    let is_busy = status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
    if !is_busy {
        return Answer::Refused;
    }
    Answer::Later(retry_after(headers, now).map(|rest| rest.min(LONGEST_REST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    use reqwest::header::RETRY_AFTER;

    #[test]
    fn what_aws_says_is_a_refusal_only_where_the_same_would_be_refused_again() {
        let why = String::new;
        for (result, expected) in [
            (Ok(()), Answer::Taken),
            (Err(CloudError::NotFound(why())), Answer::Refused),
            (Err(CloudError::Rejected(why())), Answer::Refused),
            (Err(CloudError::Throttled(why())), Answer::Later(None)),
            (Err(CloudError::Denied(why())), Answer::Later(None)),
            (Err(CloudError::Ambiguous(why())), Answer::Later(None)),
            (Err(CloudError::Unavailable(why())), Answer::Later(None)),
        ] {
            assert_eq!(of_aws(&result), expected, "{result:?}");
        }
    }

    #[test]
    fn an_answer_says_whether_to_try_again_and_when() {
        let now: jiff::Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let seconds = |seconds| Answer::Later(Some(Duration::from_secs(seconds)));
        for (status, after, expected) in [
            (200, None, Answer::Taken),
            (202, None, Answer::Taken),
            (204, Some("7"), Answer::Taken),
            (302, None, Answer::Refused),
            (400, None, Answer::Refused),
            (404, Some("7"), Answer::Refused),
            (408, None, Answer::Later(None)),
            (429, None, Answer::Later(None)),
            (429, Some("7"), seconds(7)),
            (503, Some(" 0 "), seconds(0)),
            (503, Some("Tue, 24 Nov 2026 12:00:30 GMT"), seconds(30)),
            (503, Some("Tue, 24 Nov 2026 11:00:00 GMT"), seconds(0)),
            (503, Some("999999999"), seconds(300)),
            (503, Some("18446744073709551616"), Answer::Later(None)),
            (503, Some("-1"), Answer::Later(None)),
            (503, Some("soon"), Answer::Later(None)),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(after.map(|after| (RETRY_AFTER, after.parse().unwrap())));
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(answer(status, &headers, now), expected, "{status} {after:?}");
        }
    }
}
