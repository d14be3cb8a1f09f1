//! An address of anybody's: signed JSON.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::Post;
use crate::address::WebAddress;
use crate::escape::line;
use crate::model::Cause;
use crate::model::alert::Alert;
use crate::view::json::cause;

pub(super) fn request(
    url: &WebAddress,
    secret: &str,
    alert: &Alert,
    with_logs: bool,
    now: jiff::Timestamp,
) -> Post {
    let body = body(alert, with_logs).to_string();
    let timestamp = now.as_second().to_string();
    let headers = vec![
        ("x-trueup-event", alert.event.name().to_owned()),
        ("x-trueup-delivery", alert.key.clone()),
        ("x-trueup-signature", signature(secret.as_bytes(), &timestamp, &body)),
        ("x-trueup-timestamp", timestamp),
    ];
    Post { address: url.clone(), headers, body }
}

/// `sha256=` and the HMAC over `<timestamp>.<body>`, in hexadecimal digits.
pub(in crate::notify) fn signature(secret: &[u8], timestamp: &str, body: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return String::new() };
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// The documented body (`docs/alerts.md`). Log lines only where the sink wants them.
pub(in crate::notify) fn body(alert: &Alert, with_logs: bool) -> Value {
    let differences = alert.differences.iter().map(|difference| {
        let [live, desired] = [&difference.live, &difference.desired].map(|value| value.as_deref().map(line));
        json!({"field": line(&difference.field), "live": live, "desired": desired})
    });
    let causes = alert.causes.iter().map(|one| {
        if with_logs { cause(one) } else { cause(&Cause { evidence: Vec::new(), ..one.clone() }) }
    });
    json!({
        "event": alert.event.name(),
        "key": alert.key,
        "severity": alert.event.severity().name(),
        "at": jiff::Timestamp::from_millisecond(alert.at).ok().map(|at| at.to_string()),
        "environment": alert.target.as_ref().map(|target| target.environment.as_str()),
        "application": alert.target.as_ref().map(|target| target.application.as_str()),
        "commit": alert.commit.as_ref().map(crate::model::Commit::as_str),
        "deployment": alert.deployment,
        "summary": line(&alert.summary),
        "causes": causes.collect::<Vec<_>>(),
        "differences": differences.collect::<Vec<_>>(),
        "state": alert.state.as_ref().map(|state| json!({
            "running": line(&state.running),
            "tagged": line(&state.tagged),
            "deployed": line(&state.deployed),
            "sync": state.sync,
            "health": state.health,
        })),
        "links": alert.links.iter().map(|(word, address)| (*word, line(address))).collect::<BTreeMap<_, _>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_standard() {
        // printf '0.{}' | openssl dgst -sha256 -hmac key
        let expected = "sha256=7314351dd949aa7ec06f50fc2c96e618291447672c9b7f10b49d1ce46dad00b3";
        assert_eq!(signature(b"key", "0", "{}"), expected);
    }
}
