//! Changes one thing in the text of an environment file, and leaves every other byte as it is: a commit or release here,
//! a suspension in `suspension.rs`.

mod member;
mod suspension;

pub use suspension::{resume, suspend};

use crate::model::Commit;
use crate::text::tree::{self, Key, Kind, Node, Place};

/// The text with the new commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    pub text: String,
    /// The commit or release that stood there, as written.
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
    #[error("{0} has no `commit` or `release` of its own here; only what is declared can be changed")]
    NoCommit(String),
    #[error(
        "line {line}: `{key}` is written in a way that cannot be changed safely; write it as `{key}: \"{commit}\"`"
    )]
    Unusual { line: usize, key: &'static str, commit: String },
    #[error("line {line}: this is written in a way that cannot be changed safely; {hint}")]
    Unsafe { line: usize, hint: String },
}

/// Sets the commit or release of an application in an environment. It is always written in quotes: a commit such as
/// `1234567` or `12345e7` is a number to other readers of YAML. The key changes where the other kind stood there.
pub fn set_commit(
    text: &str,
    environment: &str,
    application: &str,
    commit: &Commit,
) -> Result<Edited, EditError> {
    let documents = documents(text)?;
    let (key, value, old) = declaration(&documents, environment, application)?;
    // By some templates a release is written as `commit`: where one is, the next one may be.
    let takes_both = key.text == "commit" && Commit::new(old).is_release();
    let new_key = if commit.is_release() && !takes_both { "release" } else { "commit" };
    let unusual = || EditError::Unusual { line: value.place.line, key: new_key, commit: commit.to_string() };
    let key_text = &key.text;
    let value = span(text, value.place, old).ok_or_else(unusual)?;
    let key = span(text, key.place, &key.text).filter(|key| key.end <= value.start).ok_or_else(unusual)?;
    let (before, name, between) = (&text[..key.start], &text[key.clone()], &text[key.end..value.start]);
    // In the quotes that it has: by JSON's rules no space need follow.
    let name = name.replace(key_text, new_key);
    let edited = format!("{before}{name}{between}\"{commit}\"{}", &text[value.end..]);
    if !declares(&edited, environment, application, (new_key, commit)) {
        return Err(unusual());
    }
    Ok(Edited { text: edited, old: old.to_owned() })
}

/// Writes the first commit or release of an application, whose entry has none.
pub fn set_first_commit(
    text: &str,
    environment: &str,
    application: &str,
    commit: &Commit,
) -> Result<String, EditError> {
    let before = documents(text)?;
    let (name, entry) = place_of(&before, environment, Some(application))?;
    let key = if commit.is_release() { "release" } else { "commit" };
    let written = format!("{key}: \"{commit}\"");
    let edited = member::inserted(text, name, entry, &written).filter(|edited| {
        let says_else = |after: &Vec<Node>| {
            !member::differs_in_nothing_else(key, &before, after, environment, Some(application))
        };
        declares(edited, environment, application, (key, commit))
            && !documents(edited).as_ref().map_or(true, says_else)
    });
    let hint = format!("add `{written}` by hand");
    edited.ok_or(EditError::Unsafe { line: name.place.line, hint })
}

/// The commit or release that an environment file declares for an application.
pub fn commit(text: &str, environment: &str, application: &str) -> Result<Commit, EditError> {
    let documents = documents(text)?;
    let (key, _, written) = declaration(&documents, environment, application)?;
    Ok(if key.text == "release" { Commit::release(written) } else { Commit::new(written) })
}

/// Whether a text says what was meant. Another notation than a plain or a quoted word, such as a block, would not.
fn declares(text: &str, environment: &str, application: &str, expected: (&str, &Commit)) -> bool {
    let Ok(documents) = documents(text) else { return false };
    let found = declaration(&documents, environment, application);
    found.is_ok_and(|(key, _, written)| (key.text.as_str(), written) == (expected.0, expected.1.as_str()))
}

fn documents(text: &str) -> Result<Vec<Node>, EditError> {
    tree::documents(text)
        .map_err(|broken| EditError::Broken { line: broken.place.line, message: broken.message })
}

/// The key, the value and its text.
fn declaration<'n>(
    documents: &'n [Node],
    environment: &str,
    application: &str,
) -> Result<(&'n Key, &'n Node, &'n str), EditError> {
    let (_, entry) = place_of(documents, environment, Some(application))?;
    let found = entry.entry("commit").or_else(|| entry.entry("release"));
    let found = found.and_then(|(key, value)| Some((key, value, scalar(Some(value))?)));
    found.ok_or_else(|| EditError::NoCommit(application.to_owned()))
}

/// The `spec` of an environment, or its entry for an application; with its key.
fn place_of<'n>(
    documents: &'n [Node],
    environment: &str,
    application: Option<&str>,
) -> Result<&'n (Key, Node), EditError> {
    let document = documents.iter().find(|document| is_environment(document, environment));
    let spec = document.and_then(|document| document.entry("spec"));
    let spec = spec.ok_or_else(|| EditError::NoEnvironment(environment.to_owned()))?;
    let Some(application) = application else { return Ok(spec) };
    let entry = spec.1.get("applications").and_then(|applications| applications.entry(application));
    entry.ok_or_else(|| EditError::NoApplication(application.to_owned()))
}

fn is_environment(document: &Node, name: &str) -> bool {
    let is_named = scalar(document.get("metadata").and_then(|metadata| metadata.get("name"))) == Some(name);
    scalar(document.get("kind")) == Some("Environment") && is_named
}

fn scalar(node: Option<&Node>) -> Option<&str> {
    match &node?.kind {
        Kind::Scalar { text, .. } => Some(text),
        _ => None,
    }
}

/// The bytes of a scalar that starts there.
fn span(text: &str, place: Place, value: &str) -> Option<std::ops::Range<usize>> {
    let start = offset(text, place)?;
    Some(start..start + written(&text[start..], value)?)
}

/// Where something starts, in bytes. Lines and columns count from 1, columns in characters.
fn offset(text: &str, place: Place) -> Option<usize> {
    let lines_before = place.line.checked_sub(1)?;
    let line = text.split_inclusive('\n').nth(lines_before)?;
    let before: usize = text.split_inclusive('\n').take(lines_before).map(str::len).sum();
    let column = line.char_indices().nth(place.column.checked_sub(1)?)?.0;
    Some(before + column)
}

/// How many bytes the scalar takes: plain, or in either kind of quotes. `None` for blocks, escapes and line breaks.
fn written(text: &str, value: &str) -> Option<usize> {
    ["\"", "'", ""].iter().find_map(|quote| {
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
            let edited = set_commit(FILE, environment, application, &Commit::new("8c1f0aa")).unwrap();
            assert_eq!(edited.old, old);
            let rest = written.trim_end_matches(['}', ' ']);
            let expected = FILE.replacen(rest, "commit: \"8c1f0aa\"", 1);
            assert_eq!(edited.text, expected, "{environment}/{application}");
            let back = set_commit(&edited.text, environment, application, &Commit::new(old)).unwrap();
            assert_eq!(back.old, "8c1f0aa");
        }
    }

    #[test]
    fn a_release_is_written_where_releases_are_and_a_commit_where_commits_are() {
        let (commit, release) = (Commit::new("8c1f0aa"), Commit::release("v2.0"));
        let digits = Commit::release("20240115");
        for (written, new, expected) in [
            ("commit: 3f2c1ab }", &release, "release: \"v2.0\" }"),
            ("release: v1.9 }", &release, "release: \"v2.0\" }"),
            ("release: v1.9 }", &commit, "commit: \"8c1f0aa\" }"),
            ("'release' :  v1.9 }", &commit, "'commit' :  \"8c1f0aa\" }"),
            // `commitTag: "{release}"`, which takes both keys.
            ("commit: v1.9 }", &release, "commit: \"v2.0\" }"),
            ("commit: v1.9 }", &commit, "commit: \"8c1f0aa\" }"),
            ("commit: 3f2c1ab }", &digits, "release: \"20240115\" }"),
        ] {
            let before = FILE.replace("commit: 3f2c1ab }", written);
            let edited = set_commit(&before, "test", "worker", new).unwrap();
            assert_eq!(edited.text, FILE.replace("commit: 3f2c1ab }", expected), "{written} to {new}");
            assert!(super::commit(&edited.text, "test", "worker").unwrap().matches(new), "{expected}");
        }
    }

    /// Lines of an application, and what becomes of them; `None`: the line that is named, and nothing is changed.
    #[test]
    fn every_notation_is_changed_right_or_refused_with_its_line() {
        let file = |lines: &str| {
            format!(
                "kind: Environment # a\nmetadata: {{name: test}}\nspec:\n  applications:\n    # b\n{lines}    web: {{commit: 3f2c1ab}} # c\n"
            )
        };
        let refused = |line: usize| Err(format!("line {line}: "));
        for (lines, expected) in [
            ("    api: {\"commit\":\"3f2c1ab\"} # d\n", Ok("    api: {\"commit\":\"8c1f0aa\"} # d\n")),
            ("    api: {'commit':'3f2c1ab'}\n", Ok("    api: {'commit':\"8c1f0aa\"}\n")),
            ("    api: {commit: 3f2c1ab}\n", Ok("    api: {commit: \"8c1f0aa\"}\n")),
            (
                "    api: {\n      # d\n      values: {A: 3f2c1ab}, commit: 3f2c1ab, # e\n    }\n",
                Ok("    api: {\n      # d\n      values: {A: 3f2c1ab}, commit: \"8c1f0aa\", # e\n    }\n"),
            ),
            ("    api:\n      commit:   3f2c1ab\t# d\n", Ok("    api:\n      commit:   \"8c1f0aa\"\t# d\n")),
            (
                "    api:\n      commit:\n        3f2c1ab # d\n",
                Ok("    api:\n      commit:\n        \"8c1f0aa\" # d\n"),
            ),
            (
                "    api:\n      commit: # d\n        '3f2c1ab'\n",
                Ok("    api:\n      commit: # d\n        \"8c1f0aa\"\n"),
            ),
            (
                "    api:\n      ? commit\n      : 3f2c1ab\n",
                Ok("    api:\n      ? commit\n      : \"8c1f0aa\"\n"),
            ),
            (
                "    \"api\":\n      \"commit\": \"3f2c1ab\"\n",
                Ok("    \"api\":\n      \"commit\": \"8c1f0aa\"\n"),
            ),
            ("    api:\n      commit: >-\n        3f2c1ab\n", refused(8)),
            ("    api:\n      commit: >-  # d\n\n        3f2c1ab\n", refused(9)),
            ("    api:\n      commit: |-\n        3f2c1ab\n", refused(8)),
            ("    api:\n      commit: |\n        3f2c1ab\n", refused(8)),
            ("    api:\n      commit: >2-\n        3f2c1ab\n", refused(8)),
            ("    api:\n      commit: \"3f2c\\\n        1ab\"\n", refused(7)),
            ("    api:\n      commit: \"\\x33f2c1ab\"\n", refused(7)),
            ("    api:\n      \"c\\x6fmmit\": 3f2c1ab\n", refused(7)),
            ("    api:\n      commit:\n", refused(7)),
            ("    api:\n      commit: ''\n", Ok("    api:\n      commit: \"8c1f0aa\"\n")),
            ("    api:\n      commit: &it 3f2c1ab\n", refused(7)),
            ("    api: &it\n      commit: 3f2c1ab\n", refused(7)),
            ("    web2: &it {commit: 3f2c1ab}\n    api: *it\n", refused(6)),
            ("    api: {<<: {commit: 3f2c1ab}}\n", refused(6)),
            ("    api:\n      commit: !!str 3f2c1ab\n", refused(7)),
        ] {
            let edited = set_commit(&file(lines), "test", "api", &Commit::new("8c1f0aa"));
            match (edited, expected) {
                (Ok(edited), Ok(expected)) => assert_eq!(edited.text, file(expected)),
                (Err(error), Err(line)) => assert!(error.to_string().starts_with(&line), "{lines}: {error}"),
                (edited, expected) => panic!("{lines}: {edited:?} instead of {expected:?}"),
            }
        }
    }

    #[test]
    fn a_first_commit_is_written_where_there_is_none() {
        let file = |lines: &str| {
            format!(
                "kind: Environment\nmetadata: {{name: test}}\nspec:\n  applications:\n    # b\n{lines}    web: {{commit: 3f2c1ab}} # c\n"
            )
        };
        for (lines, expected) in [
            ("    api: {} # d\n", Some("    api: {commit: \"8c1f0aa\"} # d\n")),
            ("    api: {values: {A: b}}\n", Some("    api: {values: {A: b}, commit: \"8c1f0aa\"}\n")),
            ("    api: # d\n", Some("    api: # d\n      commit: \"8c1f0aa\"\n")),
            (
                "    api:\n        # d\n        values: {A: b}\n",
                Some("    api:\n        commit: \"8c1f0aa\"\n        # d\n        values: {A: b}\n"),
            ),
            ("    api: ~\n", None),
            ("    api: [a]\n", None),
        ] {
            let edited = set_first_commit(&file(lines), "test", "api", &Commit::new("8c1f0aa"));
            match expected {
                Some(expected) => assert_eq!(edited.unwrap(), file(expected)),
                None => {
                    let said = edited.unwrap_err().to_string();
                    assert!(
                        said.starts_with("line 6: ") && said.contains("add `commit: \"8c1f0aa\"`"),
                        "{said}"
                    );
                }
            }
        }
        let release =
            set_first_commit(&file("    api: {}\n"), "test", "api", &Commit::release("v2.0")).unwrap();
        assert_eq!(release, file("    api: {release: \"v2.0\"}\n"));
    }

    #[test]
    fn what_cannot_be_changed_is_said() {
        let said = |text: &str, environment: &str, application: &str| {
            set_commit(text, environment, application, &Commit::new("8c1f0aa")).unwrap_err().to_string()
        };
        assert_eq!(said(FILE, "prod", "api"), "it declares no environment prod");
        assert_eq!(said(FILE, "test", "db"), "its environment has no application db");
        assert!(said(FILE, "test", "none").starts_with("none has no `commit` or `release` of its own"));
        let folded = FILE.replace("commit: 3f2c1ab }", "commit: \"3f2\\x631ab\" }");
        assert!(said(&folded, "test", "worker").starts_with("line 7: `commit` is written in a way"));
        assert!(said("a: &x 1\n", "test", "api").starts_with("line 1: anchors"));
    }
}
