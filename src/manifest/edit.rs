//! Changes one commit in the text of an environment file, and leaves every other byte as it is.

use super::tree::{self, Kind, Node};

/// The text with the new commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    pub text: String,
    /// The commit that stood there, as written.
    pub old: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    #[error("line {line}: {message}")]
    Broken { line: usize, message: String },
    #[error("it declares no environment {0}")]
    NoEnvironment(String),
    #[error("its environment has no application {0}")]
    NoApplication(String),
    #[error("{0} has no `commit` of its own here; only a declared commit can be changed")]
    NoCommit(String),
    #[error(
        "line {line}: the commit is written in a way that cannot be changed safely; write it as `commit: \"{commit}\"`"
    )]
    Unusual { line: usize, commit: String },
}

/// Sets the commit of an application in an environment. It is always written in quotes: a commit such as `1234567` or
/// `12345e7` is a number to other readers of YAML.
pub fn set_commit(
    text: &str,
    environment: &str,
    application: &str,
    commit: &str,
) -> Result<Edited, EditError> {
    let documents = tree::documents(text)
        .map_err(|broken| EditError::Broken { line: broken.place.line, message: broken.message })?;
    let named = |node: &&Node| {
        scalar(node.get("kind")) == Some("Environment")
            && scalar(node.get("metadata").and_then(|metadata| metadata.get("name"))) == Some(environment)
    };
    let document =
        documents.iter().find(named).ok_or_else(|| EditError::NoEnvironment(environment.to_owned()))?;
    let applications = document.get("spec").and_then(|spec| spec.get("applications"));
    let entry = applications
        .and_then(|applications| applications.get(application))
        .ok_or_else(|| EditError::NoApplication(application.to_owned()))?;
    let value = entry.get("commit").ok_or_else(|| EditError::NoCommit(application.to_owned()))?;
    let old = scalar(Some(value)).ok_or_else(|| EditError::NoCommit(application.to_owned()))?;
    let unusual = || EditError::Unusual { line: value.place.line, commit: commit.to_owned() };
    let start = offset(text, value).ok_or_else(unusual)?;
    let written = written(&text[start..], old).ok_or_else(unusual)?;
    let edited = format!("{}\"{commit}\"{}", &text[..start], &text[start + written..]);
    Ok(Edited { text: edited, old: old.to_owned() })
}

fn scalar(node: Option<&Node>) -> Option<&str> {
    match &node?.kind {
        Kind::Scalar { text, .. } => Some(text),
        _ => None,
    }
}

/// Where a node starts, in bytes. Lines and columns count from 1, columns in characters.
fn offset(text: &str, node: &Node) -> Option<usize> {
    let lines_before = node.place.line.checked_sub(1)?;
    let line = text.split_inclusive('\n').nth(lines_before)?;
    let before: usize = text.split_inclusive('\n').take(lines_before).map(str::len).sum();
    let column = line.char_indices().nth(node.place.column.checked_sub(1)?)?.0;
    Some(before + column)
}

/// How many bytes the scalar takes: plain, or in either kind of quotes. `None` for blocks, escapes and line breaks.
fn written(text: &str, value: &str) -> Option<usize> {
    ["", "\"", "'"].iter().find_map(|quote| {
        let whole = format!("{quote}{value}{quote}");
        text.starts_with(&whole).then_some(whole.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# who runs what\r\napiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {name: test}\nspec:\n  applications:\n    worker: { commit: 3f2c1ab }   # keep me\n    api:\n      commit: '9b1c22d' # and me\n      values: {A: ü}\n    web: {values: {ü: ö}, commit: \"1234567\"}\n    none: {}\n---\napiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {name: staging}\nspec:\n  applications:\n    api: {commit: 12345e7}\n";

    #[test]
    fn one_commit_changes_and_every_other_byte_stays() {
        for (environment, application, old, written) in [
            ("test", "worker", "3f2c1ab", "commit: 3f2c1ab }"),
            ("test", "api", "9b1c22d", "commit: '9b1c22d'"),
            ("test", "web", "1234567", "commit: \"1234567\"}"),
            ("staging", "api", "12345e7", "commit: 12345e7}"),
        ] {
            let edited = set_commit(FILE, environment, application, "8c1f0aa").unwrap();
            assert_eq!(edited.old, old);
            let rest = written.trim_end_matches(['}', ' ']);
            let expected = FILE.replacen(rest, "commit: \"8c1f0aa\"", 1);
            assert_eq!(edited.text, expected, "{environment}/{application}");
            assert_eq!(set_commit(&edited.text, environment, application, old).unwrap().old, "8c1f0aa");
        }
    }

    #[test]
    fn what_cannot_be_changed_is_said() {
        let said = |text: &str, environment: &str, application: &str| {
            set_commit(text, environment, application, "8c1f0aa").unwrap_err().to_string()
        };
        assert_eq!(said(FILE, "prod", "api"), "it declares no environment prod");
        assert_eq!(said(FILE, "test", "db"), "its environment has no application db");
        assert!(said(FILE, "test", "none").starts_with("none has no `commit` of its own"));
        let folded = FILE.replace("commit: 3f2c1ab }", "commit: \"3f2\\x631ab\" }");
        assert!(said(&folded, "test", "worker").starts_with("line 7: the commit is written in a way"));
        assert!(said("a: &x 1\n", "test", "api").starts_with("line 1: anchors"));
    }
}
