//! Task definitions that applications declare alike are kept once, and all that are different are bounded together: a small repository
//! could else fill any memory by naming one large file in many environments.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Resolver;
use crate::model::TaskDefinitionSource;

/// Bytes of JSON of all that are different; in memory they take some ten times as much.
const MOST_BYTES: usize = 8 << 20;

#[derive(Default)]
pub(super) struct SharedInputs {
    by_hash: BTreeMap<[u8; 32], Arc<Value>>,
    bytes: usize,
}

impl SharedInputs {
    /// The same as one that is there already; `None`: there would be too much.
    fn share(&mut self, input: Arc<Value>) -> Option<Arc<Value>> {
        let text = input.to_string();
        let hash = Sha256::digest(text.as_bytes()).into();
        if let Some(known) = self.by_hash.get(&hash) {
            return Some(Arc::clone(known));
        }
        let bytes = self.bytes.saturating_add(text.len());
        if bytes > MOST_BYTES {
            return None;
        }
        self.bytes = bytes;
        self.by_hash.insert(hash, Arc::clone(&input));
        Some(input)
    }
}

impl Resolver<'_, '_, '_> {
    /// What it is made from, shared with those who declare the same. What is too much freezes the application.
    pub(super) fn shared(&mut self, source: TaskDefinitionSource) -> TaskDefinitionSource {
        let TaskDefinitionSource::File { path, input } = source else { return source };
        let shared = self.repository.shared.borrow_mut().share(input);
        if let Some(input) = shared {
            return TaskDefinitionSource::File { path, input };
        }
        if let Some(found) = self.merged.get("taskDefinition") {
            let message =
                format!("the task definitions of all applications are more than {} MiB", MOST_BYTES >> 20);
            self.error(found.file, found.node, &found.path, message).hint =
                Some("those that are the same count once: fewer `values`, or another repository".to_owned());
        }
        TaskDefinitionSource::Service
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_same_is_kept_once_and_all_that_is_different_is_bounded() {
        let mut shared = SharedInputs::default();
        let of = |text: &str| Arc::new(json!({"family": text}));
        let large = "x".repeat(MOST_BYTES / 2);
        let first = shared.share(of(&large)).unwrap();
        let again = shared.share(of(&large)).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert!(shared.share(of("small")).is_some());
        assert!(shared.share(of(&large.replace('x', "y"))).is_none(), "one more would be too much");
        assert!(shared.share(of(&large)).is_some(), "what is there goes on");
    }
}
