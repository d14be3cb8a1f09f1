//! The smallest declaration, for tests of other modules.

use super::{Files, read};
use crate::model::Desired;

const TEXT: &str = "apiVersion: trueup.dev/v1
kind: Application
metadata: {name: api}
spec: {repository: mco/api, service: api}
---
apiVersion: trueup.dev/v1
kind: Environment
metadata: {name: test}
spec: {cluster: mco, applications: {api: {commit: bbbbbbb}}}
";

/// Application `api` in environment `test`, on commit bbbbbbb.
pub fn desired() -> Desired {
    let files = Files::from([("a.yaml".to_owned(), Ok(TEXT.to_owned()))]);
    let declaration = read(&files, None, &|_, _| Vec::new());
    assert_eq!(declaration.findings, []);
    declaration.readable().next().unwrap().clone()
}
