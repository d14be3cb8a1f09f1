//! Takes fields out of a map node one by one; what is left over is unknown.

use std::time::Duration;

use super::duration;
use super::nearest::suggestion;
use super::report::{MOST_OF_ONE, Report};
use super::tree::{Key, Kind, Node};

/// The fields of one map; each is asked for by name, then [`Fields::finish`] reports the rest.
pub(crate) struct Fields<'n, 'r, 'f> {
    node: Option<&'n Node>,
    path: String,
    known: Vec<&'static str>,
    pub report: &'r mut Report<'f>,
}

impl<'n, 'r, 'f> Fields<'n, 'r, 'f> {
    /// Reports a node that is no map and goes on with no fields.
    pub(crate) fn of(node: &'n Node, path: &str, report: &'r mut Report<'f>) -> Self {
        let node = entries(node, path, report).map(|_| node);
        Self { node, path: path.to_owned(), known: Vec::new(), report }
    }

    pub(crate) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(crate) fn node(&mut self, key: &'static str) -> Option<&'n Node> {
        self.known.push(key);
        self.node?.get(key)
    }

    pub(crate) fn text(&mut self, key: &'static str) -> Option<String> {
        let (path, node) = (self.path(key), self.node(key)?);
        text(node, &path, self.report)
    }

    pub(crate) fn required(&mut self, key: &'static str) -> Option<String> {
        self.require(key);
        self.text(key)
    }

    /// Reports a key that is not there.
    pub(crate) fn require(&mut self, key: &'static str) {
        if let Some(node) = self.node.filter(|node| node.get(key).is_none()) {
            self.report.error(node, &self.path(key), format!("`{key}` is missing"));
        }
    }

    /// A number of at least one; `zero` says what is meant by none.
    pub(crate) fn count(&mut self, key: &'static str, zero: &str) -> Option<usize> {
        let (path, node) = (self.path(key), self.node(key)?);
        match text(node, &path, self.report)?.parse() {
            Ok(0) => {
                self.report.error(node, &path, "expected 1 or more").hint = Some(zero.to_owned());
                None
            }
            Ok(number) => Some(number),
            Err(_) => {
                self.report.error(node, &path, "expected a whole number");
                None
            }
        }
    }

    pub(crate) fn duration(&mut self, key: &'static str) -> Option<Duration> {
        let (path, node) = (self.path(key), self.node(key)?);
        let duration = duration::parse(&text(node, &path, self.report)?);
        match duration {
            None => {
                self.report.error(node, &path, duration::EXPECTED);
            }
            Some(duration) if duration > duration::LONGEST => {
                self.report.error(node, &path, "expected 30 days at most").hint =
                    Some("720h are 30 days".to_owned());
            }
            Some(_) => {}
        }
        duration.filter(|duration| *duration <= duration::LONGEST)
    }

    /// One of a few words.
    pub(crate) fn word<T: Clone>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let (path, node) = (self.path(key), self.node(key)?);
        let text = text(node, &path, self.report)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| value.clone());
        if found.is_none() {
            let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let message = format!("`{text}` is none of {}", all.join(", "));
            self.report.error(node, &path, message).hint = suggestion(&text, &all);
        }
        found
    }

    /// Reports every key that nobody asked for.
    pub(crate) fn finish(self) {
        let Some(Kind::Map(entries)) = self.node.map(|node| &node.kind) else { return };
        unknown_keys(entries, &self.known, &self.path, self.report);
    }
}

/// Reports keys that are not known.
pub(crate) fn unknown_keys(entries: &[(Key, Node)], known: &[&str], path: &str, report: &mut Report<'_>) {
    let unknown = entries.iter().filter(|(key, _)| !known.contains(&key.text.as_str()));
    // One more than is told, so that it is said that there are more.
    for (key, _) in unknown.take(MOST_OF_ONE + 1) {
        let path = if path.is_empty() { key.text.clone() } else { format!("{path}.{}", key.text) };
        let message = format!("unknown field `{}`", key.text);
        report.error(key, &path, message).hint = suggestion(&key.text, known);
    }
}

/// The text of a scalar, exactly as written.
pub(crate) fn text(node: &Node, path: &str, report: &mut Report<'_>) -> Option<String> {
    match &node.kind {
        Kind::Scalar { text, .. } if !node.is_null() => Some(text.clone()),
        _ => {
            let finding = report.error(node, path, format!("expected text, found {}", kind(node)));
            finding.hint = is_placeholder(node).then(|| "put it in quotes".to_owned());
            None
        }
    }
}

/// `{name}`, which is a map without quotes.
fn is_placeholder(node: &Node) -> bool {
    matches!(&node.kind, Kind::Map(entries) if matches!(entries.as_slice(), [(_, value)] if value.is_null()))
}

/// The texts of a list; what is no text in it is reported and left out.
pub(crate) fn texts(node: &Node, path: &str, report: &mut Report<'_>) -> Option<Vec<String>> {
    let items = items(node, path, report)?;
    Some(items.iter().filter_map(|item| text(item, path, report)).collect())
}

/// What may be repeated in a list as it is.
fn is_word(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(plain) && !matches!(text, "null" | "~")
}

pub(crate) fn items<'n>(node: &'n Node, path: &str, report: &mut Report<'_>) -> Option<&'n [Node]> {
    match &node.kind {
        Kind::List(items) => Some(items),
        _ => {
            let finding = report.error(node, path, format!("expected a list, found {}", kind(node)));
            finding.hint = match &node.kind {
                Kind::Scalar { text, .. } if is_word(text) => Some(format!("write [{text}]")),
                _ => None,
            };
            None
        }
    }
}

/// The items of a list that may not be empty.
pub(crate) fn some_items<'n>(node: &'n Node, path: &str, report: &mut Report<'_>) -> Option<&'n [Node]> {
    let items = items(node, path, report)?;
    if items.is_empty() {
        report.error(node, path, "the list is empty").hint = Some("name one, or leave it out".to_owned());
    }
    (!items.is_empty()).then_some(items)
}

pub(crate) fn entries<'n>(node: &'n Node, path: &str, report: &mut Report<'_>) -> Option<&'n [(Key, Node)]> {
    match &node.kind {
        Kind::Map(entries) => Some(entries),
        _ => {
            report.error(node, path, format!("expected a map, found {}", kind(node)));
            None
        }
    }
}

pub(crate) fn kind(node: &Node) -> &'static str {
    match &node.kind {
        Kind::Scalar { .. } if node.is_null() => "nothing",
        Kind::Scalar { .. } => "text",
        Kind::List(_) => "a list",
        Kind::Map(_) => "a map",
    }
}
