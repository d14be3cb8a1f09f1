//! What is behind an address that an answer of AWS names: no part of an API, and never more than a small file.
//!
//! What cannot be had is unknown, and stops nothing: many may pull an image and not reach the store of its layers.

use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Bytes of one file: the configuration of an image with a history of hundreds of steps has some 100 KiB.
const MOST_BYTES: usize = 1 << 20;
const CONNECT: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(10);
/// Redirects of the store to itself.
const MOST_REDIRECTS: usize = 3;
/// How long nothing is downloaded after the store could not be reached: a network without a way there must not cost
/// each look those seconds.
const REST: Duration = Duration::from_mins(10);

/// Downloads small files.
pub(super) struct Downloads {
    /// Whether the endpoint itself speaks without TLS, as an emulator does.
    is_plain: bool,
    client: OnceLock<Option<reqwest::Client>>,
    unreachable_since: Mutex<Option<Instant>>,
}

impl Downloads {
    /// `endpoint`: an address that takes the place of AWS's own.
    pub(super) fn new(endpoint: Option<&str>) -> Self {
        let is_plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
        Self { is_plain, client: OnceLock::new(), unreachable_since: Mutex::default() }
    }

    /// Whether the store could not be reached a moment ago.
    pub(super) fn rests(&self) -> bool {
        let since = self.unreachable_since.lock().ok().and_then(|since| *since);
        since.is_some_and(|since| since.elapsed() < REST)
    }

    /// The address is signed, and stands in no message.
    pub(super) async fn download(&self, url: &str) -> Option<Vec<u8>> {
        let client = self.client.get_or_init(|| client(self.is_plain).ok()).as_ref()?;
        let answer = client.get(url).send().await.inspect_err(|_| self.note_unreachable()).ok()?;
        let mut answer = Some(answer).filter(|answer| answer.status().is_success())?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.ok()? {
            if bytes.len() + chunk.len() > MOST_BYTES {
                return None;
            }
            bytes.extend_from_slice(&chunk);
        }
        Some(bytes)
    }

    fn note_unreachable(&self) {
        if let Ok(mut since) = self.unreachable_since.lock() {
            *since = Some(Instant::now());
        }
    }
}

/// A redirect is followed to the same scheme alone.
fn client(is_plain: bool) -> reqwest::Result<reqwest::Client> {
    let same_scheme = reqwest::redirect::Policy::custom(|attempt| {
        let from = attempt.previous().first().map(|url| url.scheme().to_owned());
        if from.as_deref() != Some(attempt.url().scheme()) || attempt.previous().len() > MOST_REDIRECTS {
            return attempt.stop();
        }
        attempt.follow()
    });
    reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .timeout(PATIENCE)
        .redirect(same_scheme)
        .https_only(!is_plain)
        .user_agent(concat!("trueup/", env!("CARGO_PKG_VERSION")))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    use axum::http::StatusCode;
    use axum::response::Redirect;
    use axum::routing::get;

    const FILE: &str = "what is behind it";

    /// A store of layers; its address.
    async fn store() -> String {
        let large = " ".repeat(MOST_BYTES + 1);
        let routes = axum::Router::new()
            .route("/config", get(async || FILE))
            .route("/there", get(async || Redirect::temporary("/config")))
            .route("/round", get(async || Redirect::temporary("/round")))
            .route("/secure", get(async || Redirect::temporary("https://127.0.0.1:1/config")))
            .route("/refused", get(async || (StatusCode::FORBIDDEN, FILE)))
            .route("/large", get(async move || large));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        address
    }

    #[tokio::test]
    async fn a_file_is_had_whole_or_not_at_all() {
        let store = store().await;
        let downloads = Downloads::new(Some(&store));
        for (path, is_had) in [
            ("config", true),
            ("there", true),
            ("refused", false),
            ("large", false),
            ("round", false),
            ("nothing", false),
        ] {
            let found = downloads.download(&format!("{store}/{path}")).await;
            assert_eq!(found, is_had.then(|| FILE.as_bytes().to_vec()), "{path}");
            assert!(!downloads.rests(), "{path}: the store was reached");
        }
    }

    #[tokio::test]
    async fn only_an_emulator_is_spoken_to_without_tls_and_no_redirect_changes_that() {
        let store = store().await;
        let secure = Downloads::new(None);
        assert_eq!(secure.download(&format!("{store}/config")).await, None);
        let plain = Downloads::new(Some(&store));
        assert_eq!(plain.download(&format!("{store}/secure")).await, None);
        assert!(!plain.rests(), "the address over TLS was not even tried");
    }

    #[tokio::test]
    async fn a_store_that_cannot_be_reached_is_left_alone_for_a_while() {
        let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let endpoint = format!("http://{nobody}");
        let downloads = Downloads::new(Some(&endpoint));
        assert!(!downloads.rests());
        assert_eq!(downloads.download(&format!("{endpoint}/config")).await, None);
        assert!(downloads.rests());
    }
}
