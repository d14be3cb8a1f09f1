//! The configuration of a single image: nothing else says which platform it was built for.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::model::{Digest, Platform};

/// The digest of the configuration that the manifest of a single image names.
pub(super) fn config_of(manifest: &str) -> Option<Digest> {
    let manifest: Value = serde_json::from_str(manifest).ok()?;
    manifest.get("config")?.get("digest")?.as_str().map(Digest::new)
}

/// The platform that the configuration of this digest names. The OCI image specification: `architecture` and `os` are as
/// Go names them. Some builders leave them empty.
pub(super) fn platform(config: &[u8], digest: &Digest) -> Option<Platform> {
    if format!("sha256:{}", hex::encode(Sha256::digest(config))) != digest.as_str() {
        return None;
    }
    let config: Value = serde_json::from_slice(config).ok()?;
    let text = |key: &str| config.get(key)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    Some(Platform { digest: None, os: text("os")?, architecture: text("architecture")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_believed_only_if_it_is_the_one_that_the_manifest_names() {
        let config = r#"{"os": "linux", "architecture": "arm64"}"#;
        let empty = r#"{"os": "", "architecture": ""}"#;
        let digest = |text: &str| Digest::new(format!("sha256:{}", hex::encode(Sha256::digest(text))));
        let found = platform(config.as_bytes(), &digest(config));
        let expected = Platform { digest: None, os: "linux".to_owned(), architecture: "arm64".to_owned() };
        assert_eq!(found, Some(expected));
        assert_eq!(platform(config.as_bytes(), &digest("another")), None);
        assert_eq!(platform(empty.as_bytes(), &digest(empty)), None);
        assert_eq!(platform(b"no JSON", &digest("no JSON")), None);
    }
}
