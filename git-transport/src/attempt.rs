//! One attempt to reach a remote: whose address, with what access, for how long, and for how many bytes.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Access;

/// What one attempt may cost.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// From its start to its end, however many requests it makes.
    pub time: Duration,
    /// Bytes of the list of references, before those that nobody asked for are dropped.
    pub references: u64,
    /// Bytes of the pack.
    pub pack: u64,
    /// Bytes from which a file is left out, where the server can do that.
    pub file: u64,
}

/// What went wrong at or on the way to the remote. Its text may come from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// An HTTP status that is no success.
    Status(u16),
    /// A redirect, which is not followed; the address it names, without secrets.
    Moved(String),
    Late(Duration),
    /// More than so many bytes of what is named.
    TooMuch {
        what: &'static str,
        most: u64,
    },
    Stopped,
    Other(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "http {status}"),
            Self::Moved(place) => write!(f, "it has moved to {place}"),
            Self::Late(allowed) => write!(f, "it took longer than {} s", allowed.as_secs_f64()),
            Self::TooMuch { what, most } => write!(f, "its {what} has more than {most} bytes"),
            Self::Stopped => f.write_str("stopped"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

/// Ends attempts that are under way.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Stop {
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }

    async fn stopped(&self) {
        // An error means that there is no sender any more; `self` is one.
        let _ = self.0.subscribe().wait_for(|stopped| *stopped).await;
    }
}

#[derive(Clone)]
pub struct Attempt(Arc<State>);

struct State {
    url: String,
    access: Access,
    /// The reference that is wanted; `None`: the default branch.
    reference: Option<String>,
    bounds: Bounds,
    deadline: Instant,
    stop: Stop,
    packed: AtomicU64,
    /// The server has said that it can leave files out.
    filters: AtomicBool,
    failure: Mutex<Option<Failure>>,
}

thread_local! {
    /// libgit2 calls a transport on the thread that fetches.
    static CURRENT: RefCell<Option<Attempt>> = const { RefCell::new(None) };
}

impl Attempt {
    /// Its time begins now.
    pub fn new(url: &str, access: Access, reference: Option<String>, bounds: Bounds, stop: &Stop) -> Self {
        Self(Arc::new(State {
            url: url.trim_end_matches('/').to_owned(),
            access,
            reference,
            bounds,
            deadline: Instant::now() + bounds.time,
            stop: stop.clone(),
            packed: AtomicU64::new(0),
            filters: AtomicBool::new(false),
            failure: Mutex::default(),
        }))
    }

    /// Lets what `act` does with remotes on this thread be part of this attempt.
    pub fn run<T>(&self, act: impl FnOnce() -> T) -> T {
        struct Reset;
        impl Drop for Reset {
            fn drop(&mut self) {
                CURRENT.set(None);
            }
        }
        CURRENT.set(Some(self.clone()));
        let _reset = Reset;
        act()
    }

    /// The one that goes on on this thread. An address that it is not for gets nothing: no access, no request.
    pub(crate) fn current(url: &str) -> Result<Self, git2::Error> {
        let current = CURRENT.with_borrow(Clone::clone);
        current
            .filter(|attempt| attempt.0.url == url.trim_end_matches('/'))
            .ok_or_else(|| git2::Error::from_str("nobody asked for this address"))
    }

    /// What went wrong outside of this machine; `None`: nothing did.
    pub fn failure(&self) -> Option<Failure> {
        self.0.failure.lock().unwrap_or_else(PoisonError::into_inner).clone().or_else(|| self.end())
    }

    /// Why it must not go on.
    pub fn end(&self) -> Option<Failure> {
        if self.0.stop.is_stopped() {
            return Some(Failure::Stopped);
        }
        (Instant::now() >= self.0.deadline).then_some(Failure::Late(self.0.bounds.time))
    }

    /// Whether large files are left out.
    pub fn is_filtered(&self) -> bool {
        self.0.filters.load(Ordering::Relaxed)
    }

    pub(crate) fn filter(&self) -> Option<u64> {
        self.is_filtered().then_some(self.0.bounds.file)
    }

    pub(crate) fn can_filter(&self) {
        self.0.filters.store(true, Ordering::Relaxed);
    }

    pub(crate) fn access(&self) -> &Access {
        &self.0.access
    }

    pub(crate) fn reference(&self) -> Option<&str> {
        self.0.reference.as_deref()
    }

    pub(crate) fn bounds(&self) -> Bounds {
        self.0.bounds
    }

    /// Keeps the first failure: those after it only follow from it.
    pub(crate) fn fail(&self, failure: Failure) -> io::Error {
        let error = io::Error::other(failure.to_string());
        self.0.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        error
    }

    /// Counts bytes of the pack.
    pub(crate) fn received(&self, bytes: usize) -> io::Result<()> {
        let most = self.0.bounds.pack;
        let before = self.0.packed.fetch_add(bytes as u64, Ordering::Relaxed);
        if before + bytes as u64 > most {
            return Err(self.fail(Failure::TooMuch { what: "pack", most }));
        }
        Ok(())
    }

    /// Waits for `future`, no longer than this attempt may take.
    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> io::Result<T> {
        let end = runtime()?.block_on(async {
            tokio::select! {
                biased;
                () = self.over() => Err(self.end().unwrap_or(Failure::Late(self.0.bounds.time))),
                done = future => Ok(done),
            }
        });
        end.map_err(|failure| self.fail(failure))
    }

    /// Runs `act` when this attempt is over, unless what is returned is dropped before.
    pub(crate) fn at_the_end(&self, act: impl FnOnce() + Send + 'static) -> io::Result<Guard> {
        let attempt = self.clone();
        let task = runtime()?.spawn(async move {
            attempt.over().await;
            act();
        });
        Ok(Guard(task))
    }

    async fn over(&self) {
        tokio::select! {
            () = self.0.stop.stopped() => {}
            () = tokio::time::sleep_until(self.0.deadline) => {}
        }
    }
}

pub(crate) struct Guard(tokio::task::JoinHandle<()>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Drives connections and deadlines. The controller's own runtime cannot: libgit2 blocks the thread that fetches.
fn runtime() -> io::Result<&'static Runtime> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let build = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = RUNTIME.get_or_init(|| build().map_err(|error| error.to_string()));
    runtime.as_ref().map_err(|why| io::Error::other(why.clone()))
}
