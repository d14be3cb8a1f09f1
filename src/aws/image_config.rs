//! The configuration of a single image: nothing else says which platform it was built for, and it is no part of the API
//! but a file behind a signed address.
//!
//! What cannot be had is unknown, and stops nothing: many may pull an image and not reach the store of its layers.

use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::model::{Digest, Platform};

/// Bytes of one configuration: a history of hundreds of steps has some 100 KiB.
const MOST_BYTES: usize = 1 << 20;
const CONNECT: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(10);
/// Redirects of the store to itself.
const MOST_REDIRECTS: usize = 3;
/// How long nothing is downloaded after the store could not be reached: a network without a way there must not cost
/// each look those seconds.
const REST: Duration = Duration::from_mins(10);

/// Downloads configurations.
pub(super) struct ImageConfigs {
    /// Whether the endpoint itself speaks without TLS, as an emulator does.
    is_plain: bool,
    client: OnceLock<Option<reqwest::Client>>,
    unreachable_since: Mutex<Option<Instant>>,
}

impl ImageConfigs {
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

    /// What the configuration behind this address says. `None`: it could not be had, is not the one of this digest, or does not say.
    pub(super) async fn platform(&self, url: &str, digest: &Digest) -> Option<Platform> {
        let bytes = self.download(url).await?;
        let is_it = format!("sha256:{}", hex::encode(Sha256::digest(&bytes))) == digest.as_str();
        platform(&bytes).filter(|_| is_it)
    }

    /// The address is signed, and stands in no message.
    async fn download(&self, url: &str) -> Option<Vec<u8>> {
        let client = self.client.get_or_init(|| client(self.is_plain).ok()).as_ref()?;
        let answer = client.get(url).send().await.inspect_err(|_| self.note_unreachable()).ok()?;
        let mut answer = answer.error_for_status().ok()?;
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

/// The digest of the configuration that the manifest of a single image names.
pub(super) fn config_of(manifest: &str) -> Option<Digest> {
    let manifest: Value = serde_json::from_str(manifest).ok()?;
    manifest.get("config")?.get("digest")?.as_str().map(Digest::new)
}

/// The OCI image specification: `architecture` and `os` are as Go names them. Some builders leave them empty.
fn platform(config: &[u8]) -> Option<Platform> {
    let config: Value = serde_json::from_slice(config).ok()?;
    let text = |key: &str| config.get(key)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    Some(Platform { digest: None, os: text("os")?, architecture: text("architecture")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    use axum::http::StatusCode;
    use axum::response::Redirect;
    use axum::routing::get;

    const CONFIG: &str = r#"{"os": "linux", "architecture": "arm64"}"#;
    const EMPTY: &str = r#"{"os": "", "architecture": ""}"#;

    fn digest_of(text: &str) -> Digest {
        Digest::new(format!("sha256:{}", hex::encode(Sha256::digest(text))))
    }

    /// A store of layers; its address.
    async fn store() -> String {
        let large = format!("{CONFIG}{}", " ".repeat(MOST_BYTES));
        let routes = axum::Router::new()
            .route("/config", get(async || CONFIG))
            .route("/there", get(async || Redirect::temporary("/config")))
            .route("/round", get(async || Redirect::temporary("/round")))
            .route("/secure", get(async || Redirect::temporary("https://127.0.0.1:1/config")))
            .route("/empty", get(async || EMPTY))
            .route("/refused", get(async || (StatusCode::FORBIDDEN, CONFIG)))
            .route("/large", get(async move || large));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        address
    }

    #[tokio::test]
    async fn a_configuration_is_believed_only_if_it_is_the_one_that_the_manifest_names() {
        let store = store().await;
        let configs = ImageConfigs::new(Some(&store));
        let large = format!("{CONFIG}{}", " ".repeat(MOST_BYTES));
        for (path, content, is_known) in [
            ("config", CONFIG, true),
            ("there", CONFIG, true),
            ("config", "another", false),
            ("empty", EMPTY, false),
            ("refused", CONFIG, false),
            ("large", large.as_str(), false),
            ("round", CONFIG, false),
            ("nothing", CONFIG, false),
        ] {
            let found = configs.platform(&format!("{store}/{path}"), &digest_of(content)).await;
            let platform =
                Platform { digest: None, os: "linux".to_owned(), architecture: "arm64".to_owned() };
            assert_eq!(found, is_known.then_some(platform), "{path}");
            assert!(!configs.rests(), "{path}: the store was reached");
        }
    }

    #[tokio::test]
    async fn only_an_emulator_is_spoken_to_without_tls_and_no_redirect_changes_that() {
        let store = store().await;
        let secure = ImageConfigs::new(None);
        assert_eq!(secure.platform(&format!("{store}/config"), &digest_of(CONFIG)).await, None);
        let plain = ImageConfigs::new(Some(&store));
        assert_eq!(plain.platform(&format!("{store}/secure"), &digest_of(CONFIG)).await, None);
        assert!(!plain.rests(), "the address over TLS was not even tried");
    }

    #[tokio::test]
    async fn a_store_that_cannot_be_reached_is_left_alone_for_a_while() {
        let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let endpoint = format!("http://{nobody}");
        let configs = ImageConfigs::new(Some(&endpoint));
        assert!(!configs.rests());
        assert_eq!(configs.platform(&format!("{endpoint}/config"), &digest_of(CONFIG)).await, None);
        assert!(configs.rests());
    }
}
