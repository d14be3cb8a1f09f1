//! Tokens of a GitHub App: its private key signs who it is, and GitHub gives a token of an hour for one installation
//! (<https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app>).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::exchange::{Exchange, Failure};
use super::{Call, Host, unclear};
use crate::address::WebAddress;
use crate::secret::Secret;

/// Seconds that GitHub recommends for clocks that go ahead of its own, and less than the ten minutes that it allows.
const BEFORE: i64 = 60;
const AFTER: i64 = 540;
/// So long before its end a token is no longer begun with: one delivery takes less.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);

pub(super) struct App {
    id: String,
    installation: Option<u64>,
    key: Secret,
    kept: Mutex<Option<CachedToken>>,
}

struct CachedToken {
    token: String,
    ends: Timestamp,
}

impl App {
    pub(super) fn new(id: String, installation: Option<u64>, key: Secret) -> Self {
        Self { id, installation, key, kept: Mutex::default() }
    }

    /// The one that is good for some minutes at least.
    pub(super) async fn token(&self, api: &WebAddress, host: &dyn Host) -> Result<String, Failure> {
        let mut kept = self.kept.lock().await;
        let now = Timestamp::now();
        if let Some(good) = kept.as_ref().filter(|kept| kept.ends.duration_since(now) > MARGIN) {
            return Ok(good.token.clone());
        }
        let refused = |why: String| Failure::Refused { status: None, why };
        let key =
            self.key.read().map_err(|error| refused(format!("the private key cannot be read: {error}")))?;
        let signed = signed(&self.id, &key, now.as_second()).map_err(|why| refused(why.to_owned()))?;
        let exchange = Exchange::new(api, host.headers(&signed), signed).map_err(refused)?;
        let installation = match self.installation {
            Some(installation) => installation,
            None => {
                let answer = exchange.ask(&Call::get(format!("{}/installation", host.about().path))).await?;
                answer["id"].as_u64().ok_or_else(|| unclear("installation"))?
            }
        };
        let path = format!("app/installations/{installation}/access_tokens");
        let answer = exchange.ask(&Call::with(Method::POST, path, json!({}))).await?;
        let new = given(&answer).ok_or_else(|| unclear("token"))?;
        let token = new.token.clone();
        *kept = Some(new);
        Ok(token)
    }
}

fn given(answer: &Value) -> Option<CachedToken> {
    let token = answer["token"].as_str()?.to_owned();
    Some(CachedToken { token, ends: answer["expires_at"].as_str()?.parse().ok()? })
}

/// A JSON Web Token that says who the app is, good for some minutes. Why not repeats nothing of the key.
fn signed(id: &str, key: &str, now: i64) -> Result<String, &'static str> {
    let key = match PrivateKeyDer::from_pem_slice(key.as_bytes()) {
        Ok(PrivateKeyDer::Pkcs1(der)) => KeyPair::from_der(der.secret_pkcs1_der()),
        Ok(PrivateKeyDer::Pkcs8(der)) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
        _ => return Err("the private key is not one of RSA in PEM"),
    };
    let key = key.map_err(|_| "the private key cannot be used")?;
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let (head, claims) =
        (json!({"alg": "RS256", "typ": "JWT"}), json!({"iat": now - BEFORE, "exp": now + AFTER, "iss": id}));
    let said = format!("{}.{}", part(&head), part(&claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), said.as_bytes(), &mut signature)
        .map_err(|_| "the private key cannot sign")?;
    Ok(format!("{said}.{}", URL_SAFE_NO_PAD.encode(&signature)))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    fn key() -> KeyPair {
        KeyPair::generate(KeySize::Rsa2048).unwrap()
    }

    fn as_pem(key: &KeyPair) -> String {
        let der: Pkcs8V1Der<'static> = key.as_der().unwrap();
        let text = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
    }

    /// A key that nobody else has.
    pub fn pem() -> String {
        as_pem(&key())
    }

    #[test]
    fn what_an_app_says_is_signed_and_good_for_less_than_ten_minutes() {
        let key = key();
        let token = signed("Iv23x", &as_pem(&key), 1_000_000).unwrap();
        let (said, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref());
        public.verify(said.as_bytes(), &signature).unwrap();
        let parts: Vec<Value> = said
            .split('.')
            .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
            .collect();
        let expected = [
            json!({"alg": "RS256", "typ": "JWT"}),
            json!({"iat": 999_940, "exp": 1_000_540, "iss": "Iv23x"}),
        ];
        assert_eq!(parts, expected);
        for wrong in ["", "hunter2", "-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n"] {
            let why = signed("1", wrong, 0).unwrap_err();
            assert!(why.starts_with("the private key "), "{why}");
        }
    }

    #[test]
    fn a_token_without_an_end_is_none() {
        assert!(given(&json!({"token": "t", "expires_at": "2026-11-24T12:00:00Z"})).is_some());
        for answer in [json!({}), json!({"token": "t"}), json!({"token": "t", "expires_at": "soon"})] {
            assert!(given(&answer).is_none(), "{answer}");
        }
    }
}
