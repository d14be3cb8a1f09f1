//! Posts alerts as signed JSON to one address. It never blocks the controller: a bounded queue, one task, bounded tries.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::transition::{Alert, Severity};
use crate::escape::line;
use crate::settings;
use crate::view::json::cause;

/// Alerts that wait for delivery; more are dropped, and the log says how many.
const QUEUE: usize = 1000;
/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a process that ends waits for the rest of the queue.
const FAREWELL: Duration = Duration::from_millis(1500);
/// The rests between the tries of one delivery. The last failure gives up.
pub const RESTS: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(15), Duration::from_secs(40)];

pub struct Webhook {
    queue: mpsc::Sender<Alert>,
    deliveries: Deliveries,
    task: JoinHandle<()>,
}

/// How deliveries have ended so far, and how many alerts wait for theirs.
#[derive(Clone, Default)]
pub struct Deliveries(Arc<Counts>);

#[derive(Default)]
struct Counts {
    waiting: AtomicU64,
    delivered: AtomicU64,
    refused: AtomicU64,
    given_up: AtomicU64,
    dropped: AtomicU64,
}

/// How one ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    /// The other side has taken it.
    Delivered,
    /// The other side will never take it.
    Refused,
    /// The tries are used up.
    GivenUp,
    /// The queue was full.
    Dropped,
}

impl Deliveries {
    /// How many have ended in each way.
    pub fn ended(&self) -> [(&'static str, u64); 4] {
        [
            ("delivered", Delivery::Delivered),
            ("refused", Delivery::Refused),
            ("given_up", Delivery::GivenUp),
            ("dropped", Delivery::Dropped),
        ]
        .map(|(name, delivery)| (name, self.count(delivery).load(Ordering::Relaxed)))
    }

    /// How many alerts are queued or under way.
    pub fn waiting(&self) -> u64 {
        self.0.waiting.load(Ordering::Relaxed)
    }

    fn count(&self, delivery: Delivery) -> &AtomicU64 {
        match delivery {
            Delivery::Delivered => &self.0.delivered,
            Delivery::Refused => &self.0.refused,
            Delivery::GivenUp => &self.0.given_up,
            Delivery::Dropped => &self.0.dropped,
        }
    }

    /// How many have ended in this way by now.
    fn end(&self, delivery: Delivery) -> u64 {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.count(delivery).fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Webhook {
    /// `rests`: see [`RESTS`].
    pub fn start(to: settings::Webhook, rests: &'static [Duration]) -> reqwest::Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("trueup/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let (queue, mut waiting) = mpsc::channel::<Alert>(QUEUE);
        let deliveries = Deliveries::default();
        let counts = deliveries.clone();
        let task = tokio::spawn(async move {
            while let Some(alert) = waiting.recv().await {
                counts.end(deliver(&client, &to, &alert, rests).await);
            }
        });
        Ok(Self { queue, deliveries, task })
    }

    pub fn deliveries(&self) -> Deliveries {
        self.deliveries.clone()
    }

    /// Queues an alert; never waits.
    pub fn send(&self, alert: Alert) {
        self.deliveries.0.waiting.fetch_add(1, Ordering::Relaxed);
        if self.queue.try_send(alert).is_err() {
            let dropped = self.deliveries.end(Delivery::Dropped);
            tracing::error!(event = "alert.dropped", dropped, "the queue of the webhook is full");
        }
    }

    /// Delivers what is queued, for a few seconds at most.
    pub async fn finish(self) {
        drop(self.queue);
        if tokio::time::timeout(FAREWELL, self.task).await.is_err() {
            tracing::warn!(event = "alert.dropped", "not all alerts were delivered in time");
        }
    }
}

/// Tries until the other side has taken it, refuses it, or the tries are used up.
async fn deliver(
    client: &reqwest::Client,
    to: &settings::Webhook,
    alert: &Alert,
    rests: &[Duration],
) -> Delivery {
    let body = body(alert).to_string();
    let mut rests = rests.iter();
    loop {
        let why = match post(client, to, alert, &body).await {
            Ok(status) if status.is_success() => return Delivery::Delivered,
            Ok(status) if status.is_server_error() || status.as_u16() == 429 => status.to_string(),
            Ok(status) => {
                tracing::error!(event = "alert.refused", key = alert.key, to = %to.url, status = status.as_u16());
                return Delivery::Refused;
            }
            Err(why) => why,
        };
        let Some(rest) = rests.next() else {
            tracing::error!(event = "alert.undelivered", key = alert.key, to = %to.url, "{why}");
            return Delivery::GivenUp;
        };
        tokio::time::sleep(rest.mul_f64(0.5 + fastrand::f64())).await;
    }
}

/// The answer to one try, or why there is none.
async fn post(
    client: &reqwest::Client,
    to: &settings::Webhook,
    alert: &Alert,
    body: &str,
) -> Result<StatusCode, String> {
    let secret = to.secret.read().map_err(|error| format!("the secret cannot be read: {error}"))?;
    let timestamp = jiff::Timestamp::now().as_second().to_string();
    let request = client
        .post(to.url.url().clone())
        .header("content-type", "application/json")
        .header("x-trueup-event", alert.event.name())
        .header("x-trueup-delivery", &alert.key)
        .header("x-trueup-signature", signature(secret.as_bytes(), &timestamp, body))
        .header("x-trueup-timestamp", timestamp)
        .body(body.to_owned());
    let answer = request.send().await.map_err(|error| error.without_url().to_string())?;
    Ok(answer.status())
}

/// `sha256=` and the HMAC over `<timestamp>.<body>`, in hexadecimal digits.
pub fn signature(secret: &[u8], timestamp: &str, body: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return String::new() };
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// The documented body (`docs/alerts.md`).
pub fn body(alert: &Alert) -> Value {
    let differences = alert.differences.iter().map(|difference| {
        let [live, desired] = [&difference.live, &difference.desired].map(|value| value.as_deref().map(line));
        json!({"field": line(&difference.field), "live": live, "desired": desired})
    });
    json!({
        "event": alert.event.name(),
        "key": alert.key,
        "severity": match alert.event.severity() {
            Severity::Information => "information",
            Severity::Warning => "warning",
            Severity::Error => "error",
        },
        "at": jiff::Timestamp::from_millisecond(alert.at).ok().map(|at| at.to_string()),
        "environment": alert.target.as_ref().map(|target| target.environment.as_str()),
        "application": alert.target.as_ref().map(|target| target.application.as_str()),
        "commit": alert.commit.as_ref().map(crate::model::Commit::as_str),
        "deployment": alert.deployment,
        "summary": line(&alert.summary),
        "causes": alert.causes.iter().map(cause).collect::<Vec<_>>(),
        "differences": differences.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::transition::of_source;
    use super::*;
    use crate::address::WebAddress;
    use crate::secret::Secret;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const AT_ONCE: [Duration; 2] = [Duration::ZERO; 2];

    fn alert() -> Alert {
        of_source(None, Some("unreachable"), 0).unwrap()
    }

    fn address(url: &str) -> WebAddress {
        WebAddress::parse(url).unwrap()
    }

    /// Answers one request after the other with these status lines; the requests it got.
    async fn receiver(answers: Vec<&'static str>) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            let mut heard = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut text = Vec::new();
                while !is_whole(&text) {
                    let mut buffer = [0; 4096];
                    let read = stream.read(&mut buffer).await.unwrap();
                    text.extend_from_slice(&buffer[..read]);
                }
                heard.push(String::from_utf8(text).unwrap());
                let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            heard
        });
        (url, task)
    }

    fn is_whole(request: &[u8]) -> bool {
        let text = String::from_utf8_lossy(request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        length.is_some_and(|length: usize| body.len() >= length)
    }

    async fn send(answers: Vec<&'static str>) -> (Vec<String>, [(&'static str, u64); 4]) {
        let (url, heard) = receiver(answers).await;
        let to = settings::Webhook { url: address(&url), secret: Secret::Given("hunter2".to_owned()) };
        let webhook = Webhook::start(to, &AT_ONCE).unwrap();
        webhook.send(alert());
        let heard = heard.await.unwrap();
        let deliveries = webhook.deliveries();
        webhook.finish().await;
        assert_eq!(deliveries.waiting(), 0);
        (heard, deliveries.ended())
    }

    #[tokio::test]
    async fn an_alert_is_signed_so_that_its_receiver_can_check_it() {
        let (heard, _) = send(vec!["204 No Content"]).await;
        let (head, body) = heard[0].split_once("\r\n\r\n").unwrap();
        assert!(is_signed_with(b"hunter2", &heard[0]));
        assert!(head.contains("\r\nx-trueup-event: source.broken\r\n"), "{head}");
        assert_eq!(serde_json::from_str::<Value>(body).unwrap(), super::body(&alert()));
        assert!(!heard[0].contains("hunter2"), "the secret signs and is not sent");
    }

    fn is_signed_with(secret: &[u8], request: &str) -> bool {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        header("x-trueup-signature: ") == signature(secret, header("x-trueup-timestamp: "), body)
    }

    #[tokio::test]
    async fn a_rotated_secret_signs_what_comes_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let (url, heard) = receiver(vec!["200 OK", "200 OK"]).await;
        let to = settings::Webhook { url: address(&url), secret: Secret::File(path.clone()) };
        for secret in ["one", "two"] {
            std::fs::write(&path, secret).unwrap();
            post(&reqwest::Client::new(), &to, &alert(), "{}").await.unwrap();
        }
        let heard = heard.await.unwrap();
        assert!(is_signed_with(b"one", &heard[0]) && is_signed_with(b"two", &heard[1]));
    }

    #[tokio::test]
    async fn a_receiver_in_trouble_is_tried_again_a_few_times_and_one_that_refuses_is_not() {
        for (answers, ended) in [
            (vec!["503 Busy", "429 Slow", "200 OK"], "delivered"),
            (vec!["503 Busy", "503 Busy", "503 Busy"], "given_up"),
            (vec!["400 No"], "refused"),
        ] {
            let tries = answers.len();
            let (heard, deliveries) = send(answers).await;
            assert_eq!(heard.len(), tries, "{ended}");
            let expected = deliveries.map(|(outcome, _)| (outcome, u64::from(outcome == ended)));
            assert_eq!(deliveries, expected);
        }
    }

    #[tokio::test]
    async fn a_receiver_that_hangs_never_blocks_the_sender() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let to = settings::Webhook { url: address(&url), secret: Secret::Given("hunter2".to_owned()) };
        let webhook = Webhook::start(to, &AT_ONCE).unwrap();
        for _ in 0..QUEUE + 10 {
            webhook.send(alert());
        }
        let deliveries = webhook.deliveries();
        let dropped = deliveries.count(Delivery::Dropped).load(Ordering::Relaxed);
        assert!(dropped >= 9, "the queue is bounded");
        assert_eq!(deliveries.waiting() + dropped, QUEUE as u64 + 10);
        webhook.task.abort();
    }

    #[test]
    fn the_signature_is_that_of_the_standard() {
        // printf '0.{}' | openssl dgst -sha256 -hmac key
        let expected = "sha256=7314351dd949aa7ec06f50fc2c96e618291447672c9b7f10b49d1ce46dad00b3";
        assert_eq!(signature(b"key", "0", "{}"), expected);
    }
}
