//! Calls of a host's API: their bounds, what an answer means, and how often it is tried. The token goes to the host that it
//! was given for and nowhere else, and stands in no message.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Response, StatusCode, Url};
use serde_json::Value;

use super::Call;
use crate::address::WebAddress;
use crate::escape::line;
use crate::masking;
use crate::outbound::{client, date, retry_after};

/// How long one call may take: a comment has a megabyte at most.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of one answer: a hundred comments as long as GitHub takes them have a third of it.
const MOST_BYTES: usize = 32 << 20;
/// Bytes of a refusal that are read, and characters of it that are told.
const REFUSAL: usize = 4 << 10;
const TOLD: usize = 200;
/// A repository that was renamed is one redirect away.
const MOST_REDIRECTS: usize = 3;

/// How calls are paced.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    first_rest: Duration,
    /// A host that asks for a longer one is not waited for: the job would go on and be paid for.
    longest_rest: Duration,
    tries: usize,
}

impl Pace {
    pub const NORMAL: Self =
        Self { first_rest: Duration::from_secs(1), longest_rest: Duration::from_mins(1), tries: 5 };
    #[cfg(test)]
    pub(super) const AT_ONCE: Self =
        Self { first_rest: Duration::ZERO, longest_rest: Duration::from_mins(1), tries: 3 };

    pub(super) fn rests(self) -> impl Iterator<Item = Duration> {
        let rests = ExponentialBuilder::default()
            .with_min_delay(self.first_rest)
            .with_max_delay(self.longest_rest)
            .with_factor(3.0)
            .with_max_times(self.tries.saturating_sub(1));
        rests.with_jitter().build()
    }

    /// How long it rests now; `None`: it gives up.
    pub(super) fn rest(
        self,
        asked: Option<Duration>,
        rests: &mut impl Iterator<Item = Duration>,
    ) -> Option<Duration> {
        let rest = rests.next()?;
        asked.map_or(Some(rest), |asked| Some(asked).filter(|asked| *asked <= self.longest_rest))
    }
}

pub(super) enum Failure {
    /// It is in trouble, or wants a rest of so long.
    Later { asked: Option<Duration>, why: String },
    /// The same would be refused again.
    Refused { status: Option<StatusCode>, why: String },
}

/// What the status and the headers of an answer mean.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Good,
    Later(Option<Duration>),
    Moved,
    Refused,
}

/// GitHub: "Rate limits for the REST API" and "Best practices for using the REST API"; GitLab: "Rate limits", "Response headers".
pub(super) fn meaning(status: StatusCode, headers: &HeaderMap, now: jiff::Timestamp) -> Meaning {
    match status {
        _ if status.is_success() => Meaning::Good,
        StatusCode::MOVED_PERMANENTLY
        | StatusCode::FOUND
        | StatusCode::TEMPORARY_REDIRECT
        | StatusCode::PERMANENT_REDIRECT => Meaning::Moved,
        StatusCode::FORBIDDEN => match rest(headers, now) {
            None => Meaning::Refused,
            asked => Meaning::Later(asked),
        },
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Meaning::Later(rest(headers, now)),
        _ if status.is_server_error() => Meaning::Later(rest(headers, now)),
        _ => Meaning::Refused,
    }
}

/// How long an answer asks to be left alone: by `Retry-After`, or until the limit that is used up begins anew.
fn rest(headers: &HeaderMap, now: jiff::Timestamp) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    let until = |prefix: &str| {
        let reset = number(&format!("{prefix}-reset"))?;
        (number(&format!("{prefix}-remaining"))? == 0).then_some(reset)
    };
    let asked = retry_after(headers, now);
    asked.or_else(|| {
        let reset = until("x-ratelimit").or_else(|| until("ratelimit"))?;
        Some(Duration::from_secs(u64::try_from(reset.saturating_sub(now.as_second())).unwrap_or_default()))
    })
}

/// The way to one host.
pub(super) struct Exchange {
    client: reqwest::Client,
    api: Url,
    headers: HeaderMap,
    token: String,
}

impl Exchange {
    pub(super) fn new(
        api: &WebAddress,
        headers: Vec<(&'static str, String)>,
        token: String,
    ) -> Result<Self, String> {
        let client = client(PATIENCE).map_err(|error| error.without_url().to_string())?;
        let mut sent = HeaderMap::new();
        for (name, value) in headers {
            let value = HeaderValue::from_str(&value).map(|mut value| {
                value.set_sensitive(true);
                value
            });
            let value = value.map_err(|_| "the token has characters that no token has".to_owned())?;
            sent.insert(HeaderName::from_static(name), value);
        }
        Ok(Self { client, api: api.url().clone(), headers: sent, token })
    }

    pub(super) async fn ask(&self, call: &Call) -> Result<Value, Failure> {
        let base = self.api.as_str().trim_end_matches('/');
        let mut url = Url::parse(&format!("{base}/{}", call.path))
            .map_err(|error| Failure::Refused { status: None, why: error.to_string() })?;
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.send(call, url.clone()).await?;
            let (status, headers) = (answer.status(), answer.headers());
            let now = headers.get(DATE).and_then(|at| date(at.to_str().ok()?));
            match meaning(status, headers, now.unwrap_or_else(jiff::Timestamp::now)) {
                Meaning::Good => return Self::document(answer).await,
                Meaning::Moved => url = self.moved(&url, headers)?,
                Meaning::Later(asked) => {
                    let said = self.said(answer).await;
                    let asked_for =
                        asked.map(|asked| format!(", and asks for a rest of {} s", asked.as_secs()));
                    let why = format!("it answers {status}{said}{}", asked_for.unwrap_or_default());
                    return Err(Failure::Later { asked, why });
                }
                Meaning::Refused => {
                    let why = format!("it answers {status}{}", self.said(answer).await);
                    return Err(Failure::Refused { status: Some(status), why });
                }
            }
        }
        Err(Failure::Refused { status: None, why: "it redirects again and again".to_owned() })
    }

    async fn send(&self, call: &Call, url: Url) -> Result<Response, Failure> {
        let mut request = self.client.request(call.method.clone(), url).headers(self.headers.clone());
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let sent = request.send().await;
        sent.map_err(|error| Failure::Later { asked: None, why: error.without_url().to_string() })
    }

    /// Where a repository is now that was renamed or moved: at the same host, which the token was given for.
    fn moved(&self, from: &Url, headers: &HeaderMap) -> Result<Url, Failure> {
        let to = headers.get(LOCATION).and_then(|to| from.join(to.to_str().ok()?).ok());
        to.filter(|to| to.origin() == self.api.origin()).ok_or_else(|| Failure::Refused {
            status: None,
            why: "it redirects to another host, which the token is not sent to".to_owned(),
        })
    }

    async fn document(answer: Response) -> Result<Value, Failure> {
        let bytes = beginning(answer, MOST_BYTES + 1).await?;
        let why = if bytes.len() > MOST_BYTES { "its answer is too long" } else { "its answer is no JSON" };
        let document = (bytes.len() <= MOST_BYTES).then(|| serde_json::from_slice(&bytes).ok()).flatten();
        document.ok_or_else(|| Failure::Refused { status: None, why: why.to_owned() })
    }

    /// What it says to a refusal, in a line.
    async fn said(&self, answer: Response) -> String {
        let bytes = beginning(answer, REFUSAL).await.unwrap_or_default();
        let said = reason(&serde_json::from_slice(&bytes).unwrap_or_default());
        let said = said.map(|said| masking::without(&said, [self.token.as_str()]));
        let said = said.map(|said| line(&said).chars().take(TOLD).collect::<String>());
        said.map(|said| format!(": {said}")).unwrap_or_default()
    }
}

/// `message` at GitHub, with those of `errors`; that or `error` at GitLab, where it may be a list.
fn reason(answer: &Value) -> Option<String> {
    let said = [&answer["message"], &answer["error"]].into_iter().find(|said| !said.is_null())?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let said = match said {
        Value::String(said) => said.clone(),
        Value::Array(all) if all.iter().all(Value::is_string) => {
            all.iter().filter_map(text).collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    };
    let errors = answer["errors"].as_array().into_iter().flatten();
    let more: Vec<String> = errors.filter_map(|error| text(&error["message"])).collect();
    Some(if more.is_empty() { said } else { format!("{said}: {}", more.join("; ")) })
}

/// The first bytes of an answer.
async fn beginning(mut answer: Response, most: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let lost = |error: reqwest::Error| Failure::Later { asked: None, why: error.without_url().to_string() };
    while bytes.len() < most
        && let Some(more) = answer.chunk().await.map_err(lost)?
    {
        bytes.extend_from_slice(&more);
    }
    bytes.truncate(most);
    Ok(bytes)
}
