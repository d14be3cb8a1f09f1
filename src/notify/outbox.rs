//! Delivers alerts to the sinks. It never blocks the controller: each sink has a bounded queue and a task of its own, so that one in
//! trouble delays no other. What must arrive is tried until it has; all else a few times.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::future::join_all;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::book::{Book, Standing};
use super::sinks::{self, Answer, Post, Request, Teller};
use crate::escape::line;
use crate::model::alert::{Alert, Event};
use crate::model::{Matter, Owed, Target};
use crate::outbound::client;
use crate::ports::{Place, Publisher, Reach};
use crate::settings::{AwsName, Sink, SinkKind};

/// Alerts that wait for their delivery to one sink; more are dropped, and the log says how many.
const QUEUE: usize = 1000;
/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a process that ends waits for the rest of the queues.
const FAREWELL: Duration = Duration::from_millis(1500);
/// Bytes of a refusal that are read, and repeated.
const REASON: usize = 200;

/// How one delivery is paced.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The rest after the first failure; each is four times as long as the one before, with jitter.
    first_rest: Duration,
    longest_rest: Duration,
    /// The last failure gives up.
    tries: usize,
    /// Whether the sinks' own gaps are kept.
    keeps_gaps: bool,
}

impl Pace {
    pub const NORMAL: Self = Self {
        first_rest: Duration::from_secs(1),
        longest_rest: Duration::from_secs(40),
        tries: 5,
        keeps_gaps: true,
    };

    fn rests(self) -> impl Iterator<Item = Duration> {
        let rests = ExponentialBuilder::default()
            .with_min_delay(self.first_rest)
            .with_max_delay(self.longest_rest)
            .with_factor(4.0)
            .with_max_times(self.tries.saturating_sub(1));
        if self.keeps_gaps { rests.with_jitter().build() } else { rests.build() }
    }
}

/// Without a sink nothing is sent.
#[derive(Default)]
pub struct Outbox {
    lanes: Vec<Lane>,
    pub(super) book: Book,
}

/// By what an alert reaches a sink.
struct Way {
    client: reqwest::Client,
    /// Of sinks at AWS.
    publisher: Option<Arc<dyn Publisher>>,
    /// Of git hosts.
    teller: Option<Teller>,
}

impl Way {
    fn to(sink: &Sink, client: reqwest::Client, reach: Option<&dyn Reach>) -> Self {
        Self { client, publisher: publisher(sink, reach), teller: Teller::of(&sink.kind) }
    }
}

/// What publishes in the account and region of a sink.
fn publisher(sink: &Sink, reach: Option<&dyn Reach>) -> Option<Arc<dyn Publisher>> {
    let (SinkKind::Sns(AwsName { account, region, .. })
    | SinkKind::EventBridge(AwsName { account, region, .. })) = &sink.kind
    else {
        return None;
    };
    let reach = reach?;
    let place = reach.resolve(Place { account: account.clone(), region: region.clone() });
    Some(reach.ports(&place).publisher)
}

/// The way to one sink.
struct Lane {
    sink: Arc<Sink>,
    queue: mpsc::Sender<Arc<Alert>>,
    deliveries: Deliveries,
    task: JoinHandle<()>,
    book: Book,
}

/// How deliveries to a sink have ended so far, and how many alerts wait for theirs.
#[derive(Clone)]
pub struct Deliveries {
    pub sink: String,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    waiting: AtomicU64,
    ended: [AtomicU64; Delivery::ALL.len()],
}

/// How one ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The other side has taken it.
    Delivered,
    /// The other side will never take it.
    Refused,
    /// The tries are used up. What must arrive is tried again behind the others.
    GivenUp,
    /// The queue was full.
    Dropped,
}

impl Delivery {
    pub const ALL: [Self; 4] = [Self::Delivered, Self::Refused, Self::GivenUp, Self::Dropped];

    pub fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::GivenUp => "given_up",
            Self::Dropped => "dropped",
        }
    }
}

impl Deliveries {
    /// How many have ended in this way.
    pub fn ended(&self, delivery: Delivery) -> u64 {
        self.counts.ended.get(delivery as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// How many alerts are queued or under way.
    pub fn waiting(&self) -> u64 {
        self.counts.waiting.load(Ordering::Relaxed)
    }

    /// One leaves the queue that is told anew.
    fn leave(&self) {
        self.counts.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    fn end(&self, delivery: Delivery) {
        self.leave();
        if let Some(count) = self.counts.ended.get(delivery as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Outbox {
    /// `reach`: what reaches AWS. Fails where the system offers no TLS.
    pub fn start(sinks: Vec<Sink>, reach: Option<&dyn Reach>, pace: Pace) -> reqwest::Result<Self> {
        let (client, book) = (client(PATIENCE)?, Book::default());
        let lane = |sink: Sink| {
            let way = Way::to(&sink, client.clone(), reach);
            Lane::start(sink, way, book.clone(), pace)
        };
        Ok(Self { lanes: sinks.into_iter().map(lane).collect(), book })
    }

    pub fn has_receivers(&self) -> bool {
        !self.lanes.is_empty()
    }

    /// What somebody wants to be told of a target, of that which must arrive.
    pub fn wanted(&self, target: &Target) -> BTreeSet<Matter> {
        let is_wanted =
            |event: &Event| self.lanes.iter().any(|lane| lane.sink.route.takes(*event, Some(target)));
        Event::ALL.into_iter().filter(is_wanted).filter_map(Event::matter).collect()
    }

    pub fn deliveries(&self) -> Vec<Deliveries> {
        self.lanes.iter().map(|lane| lane.deliveries.clone()).collect()
    }

    /// Queues an alert for every sink that takes it; never waits.
    pub fn send(&self, alert: Alert) {
        let alert = Arc::new(alert);
        let lanes: Vec<&Lane> = self.lanes.iter().filter(|lane| lane.takes(&alert)).collect();
        self.book.begin(&alert, lanes.iter().map(|lane| lane.sink.name.clone()));
        for lane in lanes {
            lane.send(Arc::clone(&alert));
        }
    }

    /// Queues it for those that were left out before, as far as there is room by now.
    pub fn send_again(&self, alert: Alert) {
        let alert = Arc::new(alert);
        let is_left = |lane: &&Lane| self.book.is_left(&alert, &lane.sink.name);
        for lane in self.lanes.iter().filter(is_left).filter(|lane| lane.queue.capacity() > 0) {
            self.book.stands(&alert, &lane.sink.name, Standing::UnderWay);
            lane.send(Arc::clone(&alert));
        }
    }

    /// Delivers what is queued, for a few seconds at most.
    pub async fn finish(self) {
        join_all(self.lanes.into_iter().map(Lane::finish)).await;
    }
}

impl Lane {
    fn start(sink: Sink, way: Way, book: Book, pace: Pace) -> Self {
        let (queue, mut waiting) = mpsc::channel::<Arc<Alert>>(QUEUE);
        let sink = Arc::new(sink);
        let deliveries = Deliveries { sink: sink.name.clone(), counts: Arc::default() };
        let (to, counts, again) = (Arc::clone(&sink), deliveries.clone(), queue.downgrade());
        let marks = book.clone();
        let gap = if pace.keeps_gaps { sinks::gap(&sink.kind) } else { Duration::ZERO };
        let task = tokio::spawn(async move {
            while let Some(alert) = waiting.recv().await {
                let ended = deliver(&way, &to, &alert, pace, gap).await;
                match ended {
                    // Behind the others, so that one that is never taken keeps no other from arriving. A process that ends leaves it
                    // to the next one.
                    Delivery::GivenUp if alert.receipt.is_some() => {
                        marks.stands(&alert, &to.name, Standing::Late);
                        if !requeue(&again, &alert) {
                            marks.stands(&alert, &to.name, Standing::Left);
                            counts.leave();
                        }
                    }
                    _ => {
                        counts.end(ended);
                        marks.stands(&alert, &to.name, Standing::Taken);
                    }
                }
                tokio::time::sleep(gap).await;
            }
        });
        Self { sink, queue, deliveries, task, book }
    }

    /// Whether its route takes it, and it has not been told before.
    fn takes(&self, alert: &Alert) -> bool {
        let owes = |owed: &Owed| match owed {
            Owed::Nobody => false,
            Owed::Only(names) => names.contains(&self.sink.name),
            Owed::Everybody => true,
        };
        self.sink.route.takes(alert.event, alert.target.as_ref())
            && sinks::concerns(&self.sink.kind, alert)
            && alert.receipt.as_ref().is_none_or(|receipt| owes(&receipt.owed))
    }

    fn send(&self, alert: Arc<Alert>) {
        self.deliveries.counts.waiting.fetch_add(1, Ordering::Relaxed);
        let Err(full) = self.queue.try_send(alert) else { return };
        let alert = full.into_inner();
        if alert.receipt.is_some() {
            self.book.stands(&alert, &self.sink.name, Standing::Left);
            return self.deliveries.leave();
        }
        self.deliveries.end(Delivery::Dropped);
        let dropped = self.deliveries.ended(Delivery::Dropped);
        tracing::error!(event = "alert.dropped", sink = self.sink.name, dropped, "its queue is full");
    }

    async fn finish(self) {
        drop(self.queue);
        if tokio::time::timeout(FAREWELL, self.task).await.is_err() {
            let waiting = self.deliveries.waiting();
            tracing::warn!(event = "alert.dropped", sink = self.sink.name, waiting, "the process ends");
        }
    }
}

fn requeue(queue: &mpsc::WeakSender<Arc<Alert>>, alert: &Arc<Alert>) -> bool {
    queue.upgrade().is_some_and(|queue| queue.try_send(Arc::clone(alert)).is_ok())
}

/// One alert to one sink, at once and once: how it went, for a person who asks.
pub async fn try_once(sink: &Sink, reach: Option<&dyn Reach>, alert: &Alert) -> Result<(), String> {
    let client = client(PATIENCE).map_err(|error| error.without_url().to_string())?;
    match send_once(&Way::to(sink, client, reach), sink, alert).await {
        (Answer::Taken, _) => Ok(()),
        (_, why) => Err(why),
    }
}

/// Tries until the other side has taken it, refuses it, or the tries are used up.
async fn deliver(way: &Way, sink: &Sink, alert: &Alert, pace: Pace, gap: Duration) -> Delivery {
    let (key, name) = (alert.key.as_str(), sink.name.as_str());
    let mut rests = pace.rests();
    loop {
        let (answer, why) = send_once(way, sink, alert).await;
        let asked = match answer {
            Answer::Taken => return Delivery::Delivered,
            Answer::Refused => {
                tracing::error!(event = "alert.refused", key, sink = name, "{why}");
                return Delivery::Refused;
            }
            Answer::Later(asked) => asked,
        };
        let Some(rest) = rests.next() else {
            tracing::error!(event = "alert.undelivered", key, sink = name, "{why}");
            return Delivery::GivenUp;
        };
        tokio::time::sleep(asked.unwrap_or(rest).max(gap)).await;
    }
}

/// One try: what it means, and what went wrong, in a line without the address.
async fn send_once(Way { client, publisher, teller }: &Way, sink: &Sink, alert: &Alert) -> (Answer, String) {
    let now = jiff::Timestamp::now();
    let result = match (sinks::request(sink, alert, now), publisher) {
        (Ok(Request::Post(request)), _) => return post(client, request, now).await,
        (Ok(Request::Publish(input)), Some(publisher)) => publisher.publish(input).await,
        (Ok(Request::PutEvent(entry)), Some(publisher)) => publisher.put_event(entry).await,
        (Ok(Request::Report(news)), _) => return sinks::told(teller.as_ref(), Some(&news)).await,
        (Ok(Request::Reach), _) => return sinks::told(teller.as_ref(), None).await,
        (Ok(_), None) => return (Answer::Later(None), "AWS is not reached".to_owned()),
        // A file with a secret may be on its way.
        (Err(why), _) => return (Answer::Later(None), why),
    };
    (
        sinks::of_aws(&result),
        result.err().map(|error| line(&error.to_string()).into_owned()).unwrap_or_default(),
    )
}

async fn post(client: &reqwest::Client, request: Post, now: jiff::Timestamp) -> (Answer, String) {
    let mut post = client.post(request.address.url().clone()).header("content-type", "application/json");
    for (name, value) in request.headers {
        post = post.header(name, value);
    }
    match post.body(request.body).send().await {
        Ok(answer) => {
            let (status, meaning) = (answer.status(), sinks::answer(answer.status(), answer.headers(), now));
            let said = if meaning == Answer::Taken { String::new() } else { beginning(answer).await };
            (meaning, format!("{status}{said}"))
        }
        Err(error) => (Answer::Later(None), error.without_url().to_string()),
    }
}

/// The first words of a refusal: chats say in them what is wrong.
async fn beginning(mut answer: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < REASON {
        let Ok(Some(more)) = answer.chunk().await else { break };
        bytes.extend_from_slice(&more);
    }
    bytes.truncate(REASON);
    let text = String::from_utf8_lossy(&bytes);
    let first = text.lines().next().unwrap_or_default().trim();
    if first.is_empty() { String::new() } else { format!(": {}", line(first)) }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use serde_json::Value;

    use super::*;
    use crate::address::WebAddress;
    use crate::model::alert::Receipt;
    use crate::model::{About, TaskDefinitionArn};
    use crate::notify::tests::about;
    use crate::notify::transition::of_source;
    use crate::ports::CloudError;
    use crate::secret::Secret;
    use crate::settings::Route;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const AT_ONCE: Pace =
        Pace { first_rest: Duration::ZERO, longest_rest: Duration::ZERO, tries: 3, keeps_gaps: false };

    fn alert() -> Alert {
        of_source(None, Some("unreachable"), 0).unwrap()
    }

    fn webhook(url: &str, secret: Secret) -> Sink {
        let kind = SinkKind::Webhook { url: WebAddress::parse(url).unwrap(), secret };
        Sink { name: "hook".to_owned(), kind, route: Route::ALL, with_logs: false }
    }

    /// Answers one request after the other with these status lines; the requests it got.
    async fn receiver(answers: Vec<&'static str>) -> (String, JoinHandle<Vec<String>>) {
        let whole = |answer| format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        receiver_of(answers.into_iter().map(whole).collect()).await
    }

    /// The same with whole answers, of which a reader may not want all.
    async fn receiver_of(answers: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
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
                let _ = stream.write_all(answer.as_bytes()).await;
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

    /// What the receiver got, and how the one delivery ended.
    async fn send(kind: impl Fn(&Secret) -> SinkKind, answers: Vec<&'static str>) -> (Vec<String>, Delivery) {
        let (url, heard) = receiver(answers).await;
        let kind = kind(&Secret::Given(url));
        let sink = Sink { name: "hook".to_owned(), kind, route: Route::ALL, with_logs: false };
        let outbox = Outbox::start(vec![sink], None, AT_ONCE).unwrap();
        outbox.send(alert());
        let heard = heard.await.unwrap();
        let deliveries = outbox.deliveries().remove(0);
        outbox.finish().await;
        assert_eq!(deliveries.waiting(), 0);
        let ended: Vec<Delivery> =
            Delivery::ALL.into_iter().filter(|ended| deliveries.ended(*ended) == 1).collect();
        assert_eq!(ended.len(), 1);
        (heard, ended[0])
    }

    fn signed(url: &Secret) -> SinkKind {
        let url = WebAddress::parse(&url.read().unwrap()).unwrap();
        SinkKind::Webhook { url, secret: Secret::Given("hunter2".to_owned()) }
    }

    #[tokio::test]
    async fn an_alert_is_signed_so_that_its_receiver_can_check_it() {
        let (heard, _) = send(signed, vec!["204 No Content"]).await;
        let (head, body) = heard[0].split_once("\r\n\r\n").unwrap();
        assert!(is_signed_with("hunter2", &heard[0]));
        assert!(head.contains("\r\nx-trueup-event: source.broken\r\n"), "{head}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(body).unwrap()["event"], "source.broken");
        assert!(!heard[0].contains("hunter2"), "the secret signs and is not sent");
    }

    fn is_signed_with(secret: &str, request: &str) -> bool {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let signed = sinks::webhook::signature(secret.as_bytes(), header("x-trueup-timestamp: "), body);
        header("x-trueup-signature: ") == signed
    }

    #[tokio::test]
    async fn a_rotated_secret_signs_what_comes_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let (url, heard) = receiver(vec!["200 OK", "200 OK"]).await;
        let sink = webhook(&url, Secret::File(path.clone()));
        for secret in ["one", "two"] {
            std::fs::write(&path, secret).unwrap();
            try_once(&sink, None, &alert()).await.unwrap();
        }
        let heard = heard.await.unwrap();
        assert!(is_signed_with("one", &heard[0]) && is_signed_with("two", &heard[1]));
    }

    #[tokio::test]
    async fn a_receiver_in_trouble_is_tried_again_a_few_times_and_one_that_refuses_is_not() {
        let kinds: [fn(&Secret) -> SinkKind; 3] =
            [signed, |url| SinkKind::Slack { url: url.clone() }, |url| SinkKind::Teams { url: url.clone() }];
        for kind in kinds {
            for (answers, ended) in [
                (vec!["503 Busy", "429 Slow\r\nretry-after: 0", "200 OK"], Delivery::Delivered),
                (vec!["202 Accepted"], Delivery::Delivered),
                (vec!["503 Busy", "503 Busy", "503 Busy"], Delivery::GivenUp),
                (vec!["400 No"], Delivery::Refused),
                (vec!["302 Elsewhere\r\nlocation: http://127.0.0.1:1/"], Delivery::Refused),
            ] {
                let tries = answers.len();
                let (heard, found) = send(kind, answers).await;
                assert_eq!((heard.len(), found), (tries, ended));
            }
        }
    }

    #[tokio::test]
    async fn a_receiver_that_hangs_delays_neither_the_sender_nor_another_receiver() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hangs = format!("http://{}", listener.local_addr().unwrap());
        let (well, heard) = receiver(vec!["200 OK"; 10]).await;
        let sinks = [hangs, well].map(|url| webhook(&url, Secret::Given("hunter2".to_owned())));
        let outbox = Outbox::start(sinks.into(), None, AT_ONCE).unwrap();
        for _ in 0..10 {
            outbox.send(alert());
        }
        assert_eq!(heard.await.unwrap().len(), 10);
        for _ in 0..QUEUE {
            outbox.send(alert());
        }
        let deliveries = outbox.deliveries().remove(0);
        let dropped = deliveries.ended(Delivery::Dropped);
        assert!(dropped >= 9, "the queue is bounded");
        assert_eq!(deliveries.waiting() + dropped, QUEUE as u64 + 10);
        outbox.lanes.iter().for_each(|lane| lane.task.abort());
    }

    #[tokio::test]
    async fn of_a_refusal_the_first_words_are_told_and_nothing_in_them_acts_on_a_reader() {
        let first = "\u{1b}[31mno_service\u{202e} <https://evil.com|x>";
        let shown = "404 Not Found: \\u{1b}[31mno_service\\u{202e} <https://evil.com|x>";
        let long = "é".repeat(1 << 20);
        let cut = format!("404 Not Found: {}", "é".repeat(REASON / "é".len()));
        for (body, expected) in [
            (format!("{first}\nits second line"), shown),
            (format!("\n{first}"), "404 Not Found"),
            (long, cut.as_str()),
        ] {
            let head = format!("404 Not Found\r\nconnection: close\r\ncontent-length: {}", body.len());
            let answer = format!("HTTP/1.1 {head}\r\n\r\n{body}");
            let (url, heard) = receiver_of(vec![answer]).await;
            let sink = webhook(&url, Secret::Given("hunter2".to_owned()));
            assert_eq!(try_once(&sink, None, &alert()).await.unwrap_err(), expected);
            drop(heard);
        }
    }

    #[tokio::test]
    async fn what_a_receiver_says_against_it_is_told_in_a_line_without_its_address() {
        let (url, heard) = receiver(vec!["404 Not Found"]).await;
        let sink = webhook(&url, Secret::Given("hunter2".to_owned()));
        assert_eq!(try_once(&sink, None, &alert()).await.unwrap_err(), "404 Not Found");
        heard.await.unwrap();
        let gone = try_once(&sink, None, &alert()).await.unwrap_err();
        assert!(!gone.contains("127.0.0.1") && !gone.contains("hook"), "{gone}");
        let unreadable = webhook(&url, Secret::File("/nowhere/secret".into()));
        let why = try_once(&unreadable, None, &alert()).await.unwrap_err();
        assert!(why.starts_with("the secret cannot be read: "), "{why}");
    }

    /// One that must arrive, about a deployment of this application.
    fn due(application: &str) -> Alert {
        let receipt = Receipt {
            revision: TaskDefinitionArn::new("api:2"),
            matter: Matter::Succeeded,
            about: About::of("d2"),
            owed: Owed::Everybody,
        };
        about(Event::DeploymentSucceeded, application, "d2", Some(receipt))
    }

    /// What it was sent, by the keys of the alerts.
    fn keys(heard: &[String]) -> Vec<String> {
        let key = |request: &'_ String| {
            request.lines().find_map(|line| line.strip_prefix("x-trueup-delivery: ").map(str::to_owned))
        };
        heard.iter().filter_map(key).collect()
    }

    #[tokio::test]
    async fn what_must_arrive_is_tried_behind_the_others_until_it_has() {
        let busy = "503 Busy";
        let (url, heard) = receiver(vec![busy, busy, busy, busy, busy, busy, "200 OK", "200 OK"]).await;
        let sink = webhook(&url, Secret::Given("hunter2".to_owned()));
        let outbox = Outbox::start(vec![sink], None, AT_ONCE).unwrap();
        let wanted = outbox.wanted(due("one").target.as_ref().unwrap());
        assert_eq!(wanted, Matter::ALL.into());
        outbox.send(due("one"));
        outbox.send(alert());
        outbox.send(due("two"));
        let mut taken = outbox.book.taken();
        let heard = heard.await.unwrap();
        let [one, two] = ["one", "two"].map(|name| format!("deployment.succeeded/prod/{name}/d2"));
        let lost = alert().key;
        let expected = [&one, &one, &one, &lost, &lost, &lost, &two, &one].map(String::clone);
        assert_eq!(keys(&heard), expected);
        while outbox.book.notes(|_| true, 10).len() < 2 {
            taken.changed().await.unwrap();
        }
        let deliveries = outbox.deliveries().remove(0);
        let ended = [Delivery::Delivered, Delivery::GivenUp].map(|ended| deliveries.ended(ended));
        assert_eq!((deliveries.waiting(), ended), (0, [2, 1]));
    }

    /// Three times as many as there is room for, to a receiver that hangs; what is left is told anew, as long as it is so.
    #[tokio::test]
    async fn what_must_arrive_and_finds_no_room_is_told_anew_until_it_has_come() {
        const MANY: usize = 3 * QUEUE;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let outbox =
            Outbox::start(vec![webhook(&url, Secret::Given("hunter2".to_owned()))], None, AT_ONCE).unwrap();
        let all = || (0..MANY).map(|number| due(&format!("a{number}")));
        all().for_each(|alert| outbox.send(alert));
        let deliveries = outbox.deliveries().remove(0);
        assert!(deliveries.waiting() <= QUEUE as u64 + 1, "{}", deliveries.waiting());
        assert_eq!(deliveries.ended(Delivery::Dropped), 0);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut text = Vec::new();
                while !is_whole(&text) && stream.read_buf(&mut text).await.is_ok_and(|read| read > 0) {}
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                    .await;
            }
        });
        let mut taken = outbox.book.taken();
        while deliveries.ended(Delivery::Delivered) < MANY as u64 {
            taken.changed().await.unwrap();
            if deliveries.waiting() == 0 {
                all().for_each(|alert| outbox.send_again(alert));
            }
        }
        assert_eq!(outbox.book.notes(|_| true, 2 * MANY).len(), MANY);
    }

    /// A topic that throttles until then, by the clock of the test; the keys of what it has taken.
    struct Topic {
        up_at: tokio::time::Instant,
        taken: Mutex<Vec<String>>,
    }

    impl Topic {
        fn up_in(rest: Duration) -> Arc<Self> {
            Arc::new(Self { up_at: tokio::time::Instant::now() + rest, taken: Mutex::default() })
        }

        /// Those about deployments, which must arrive.
        fn due(&self) -> Vec<String> {
            let taken = self.taken.lock().unwrap();
            taken.iter().filter(|key| key.starts_with("deployment.")).cloned().collect()
        }
    }

    #[async_trait]
    impl Publisher for Topic {
        async fn publish(&self, input: Value) -> Result<(), CloudError> {
            if tokio::time::Instant::now() < self.up_at {
                return Err(CloudError::Throttled("later".to_owned()));
            }
            let key = input["MessageAttributes"]["key"]["StringValue"].as_str().unwrap();
            self.taken.lock().unwrap().push(key.to_owned());
            Ok(())
        }

        async fn put_event(&self, _: Value) -> Result<(), CloudError> {
            unreachable!("a topic is no bus")
        }
    }

    fn told_to(topics: &[(&str, &Arc<Topic>)]) -> Outbox {
        let book = Book::default();
        let lane = |(name, topic): &(&str, &Arc<Topic>)| {
            let of = AwsName { name: (*name).to_owned(), account: None, region: None };
            let sink =
                Sink { name: of.name.clone(), kind: SinkKind::Sns(of), route: Route::ALL, with_logs: false };
            let publisher: Arc<dyn Publisher> = Arc::clone(*topic) as _;
            let way = Way { client: client(PATIENCE).unwrap(), publisher: Some(publisher), teller: None };
            Lane::start(sink, way, book.clone(), Pace::NORMAL)
        };
        Outbox { lanes: topics.iter().map(lane).collect(), book: book.clone() }
    }

    /// Half of them must arrive. They are looked at once a minute, as a controller does with what was left out.
    #[tokio::test(start_paused = true)]
    async fn of_ten_thousand_at_once_none_is_lost_that_must_arrive_though_a_receiver_is_down_for_an_hour() {
        const EACH: usize = 5000;
        let (hour, minute) = (Duration::from_hours(1), Duration::from_mins(1));
        let (down, well) = (Topic::up_in(hour), Topic::up_in(Duration::ZERO));
        let outbox = told_to(&[("down", &down), ("well", &well)]);
        let began = tokio::time::Instant::now();
        let all = || (0..EACH).map(|number| due(&format!("a{number}")));
        for one in all() {
            outbox.send(one);
            outbox.send(alert());
        }
        assert_eq!(began.elapsed(), Duration::ZERO, "whoever tells waits for nobody");
        let deliveries = outbox.deliveries();
        let mut minutes_of_well = None;
        for minutes in 0..90 {
            tokio::time::sleep(minute).await;
            assert!(deliveries.iter().all(|one| one.waiting() <= QUEUE as u64 + 1), "the queues are bounded");
            if well.due().len() == EACH {
                minutes_of_well.get_or_insert(minutes);
            }
            for one in all().filter(|one| ["down", "well"].iter().any(|sink| outbox.book.is_left(one, sink)))
            {
                outbox.send_again(one);
            }
            if began.elapsed() < hour {
                assert_eq!(down.due(), [] as [String; 0]);
            }
        }
        assert!(minutes_of_well.unwrap() < 20, "one that is down delays no other: {minutes_of_well:?}");
        for (deliveries, topic) in deliveries.iter().zip([&down, &well]) {
            let (keys, different) = (topic.due(), topic.due().into_iter().collect::<BTreeSet<String>>());
            assert_eq!((keys.len(), different.len()), (EACH, EACH), "{}: each once", deliveries.sink);
            let ended: u64 = Delivery::ALL.into_iter().map(|ended| deliveries.ended(ended)).sum();
            assert_eq!((ended, deliveries.waiting()), (2 * EACH as u64, 0), "{}", deliveries.sink);
            let [refused, dropped] = [Delivery::Refused, Delivery::Dropped].map(|how| deliveries.ended(how));
            assert!(refused == 0 && dropped >= (EACH - QUEUE) as u64, "{refused} {dropped}");
        }
        assert_eq!(outbox.book.notes(|_| true, 2 * EACH).len(), EACH, "all of it is to be put on record");
    }

    #[tokio::test]
    async fn who_has_taken_it_before_is_not_told_again() {
        let (url, heard) = receiver(vec!["200 OK"]).await;
        let sink =
            |name: &str| Sink { name: name.to_owned(), ..webhook(&url, Secret::Given("hunter2".to_owned())) };
        let outbox = Outbox::start(vec![sink("audit"), sink("chat")], None, AT_ONCE).unwrap();
        let mut late = due("one");
        late.receipt.as_mut().unwrap().owed = Owed::Only(["chat".to_owned()].into());
        outbox.send(late);
        heard.await.unwrap();
        let counts: Vec<u64> =
            outbox.deliveries().iter().map(|one| one.waiting() + one.ended(Delivery::Delivered)).collect();
        assert_eq!(counts, [0, 1]);
    }

    #[tokio::test]
    async fn a_sink_gets_what_its_route_takes() {
        let taken = |event: Event| Alert { event, ..alert() };
        let (url, heard) = receiver(vec!["200 OK"]).await;
        let file = format!(
            "alerts: {{sinks: {{hook: {{kind: webhook, url: '{url}', secretVariable: S, severity: error}}}}}}"
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trueup.yaml");
        std::fs::write(&path, file).unwrap();
        let variables = |name: &str| (name == "S").then(|| "hunter2".to_owned());
        let settings =
            crate::settings::Settings::load(crate::settings::Raw::new(), &variables, path.to_str()).unwrap();
        let outbox = Outbox::start(settings.sinks, None, AT_ONCE).unwrap();
        for event in [Event::DeploymentStarted, Event::CommitHeld, Event::DeploymentFailed] {
            outbox.send(taken(event));
        }
        let heard = heard.await.unwrap();
        assert!(heard[0].contains("x-trueup-event: deployment.failed\r\n"), "{}", heard[0]);
        outbox.finish().await;
    }
}
