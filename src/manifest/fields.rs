//! Takes fields out of a map node one by one; what is left over is unknown.

use super::tree::{Kind, Node};
use crate::model::{Finding, Position, Severity};

/// Collects findings of one file.
pub(crate) struct Report<'a> {
    pub file: &'a str,
    pub text: &'a str,
    pub findings: Vec<Finding>,
}

impl Report<'_> {
    pub(crate) fn error(
        &mut self,
        at: (usize, usize),
        field: &str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.add(Severity::Error, at, field, message.into(), hint);
    }

    pub(crate) fn warning(
        &mut self,
        at: (usize, usize),
        field: &str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.add(Severity::Warning, at, field, message.into(), hint);
    }

    fn add(
        &mut self,
        severity: Severity,
        (line, column): (usize, usize),
        field: &str,
        message: String,
        hint: Option<String>,
    ) {
        let excerpt = line.checked_sub(1).and_then(|index| self.text.lines().nth(index));
        // An excerpt shows where; a line that may hold a secret or a whole document is not repeated.
        let excerpt = excerpt
            .filter(|line| line.len() <= 200 && !crate::plan::diff::looks_secret(line))
            .map(str::to_owned);
        self.findings.push(Finding {
            severity,
            position: Position { file: self.file.to_owned(), line, column },
            field: field.to_owned(),
            message,
            hint,
            excerpt,
            targets: Vec::new(),
        });
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

/// The fields of one map; each is asked for by name, then [`Fields::finish`] reports the rest.
pub(crate) struct Fields<'n> {
    node: Option<&'n Node>,
    path: String,
    known: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// Reports a node that is no map and goes on with no fields.
    pub(crate) fn of(node: &'n Node, path: &str, report: &mut Report<'_>) -> Self {
        let is_map = matches!(node.kind, Kind::Map(_));
        if !is_map {
            report.error(
                (node.line, node.column),
                path,
                format!("expected a map, found {}", kind(node)),
                None,
            );
        }
        Self { node: is_map.then_some(node), path: path.to_owned(), known: Vec::new() }
    }

    pub(crate) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(crate) fn node(&mut self, key: &'static str) -> Option<&'n Node> {
        self.known.push(key);
        self.node?.get(key)
    }

    pub(crate) fn text(&mut self, key: &'static str, report: &mut Report<'_>) -> Option<String> {
        let path = self.path(key);
        self.node(key).and_then(|node| text(node, &path, report))
    }

    pub(crate) fn required(&mut self, key: &'static str, report: &mut Report<'_>) -> Option<String> {
        if let (Some(node), None) = (self.node, self.node.and_then(|node| node.get(key))) {
            report.error((node.line, node.column), &self.path(key), format!("`{key}` is missing"), None);
        }
        self.text(key, report)
    }

    pub(crate) fn number(&mut self, key: &'static str, report: &mut Report<'_>) -> Option<usize> {
        let (path, node) = (self.path(key), self.node(key)?);
        let number = text(node, &path, report)?.parse();
        if number.is_err() {
            report.error((node.line, node.column), &path, "expected a whole number", None);
        }
        number.ok()
    }

    pub(crate) fn texts(&mut self, key: &'static str, report: &mut Report<'_>) -> Option<Vec<String>> {
        let (path, node) = (self.path(key), self.node(key)?);
        match &node.kind {
            Kind::List(items) => Some(items.iter().filter_map(|item| text(item, &path, report)).collect()),
            _ => {
                report.error(
                    (node.line, node.column),
                    &path,
                    format!("expected a list, found {}", kind(node)),
                    None,
                );
                None
            }
        }
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&str, T)],
        report: &mut Report<'_>,
    ) -> Option<T> {
        let (path, node) = (self.path(key), self.node(key)?);
        let text = text(node, &path, report)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let hint = nearest(&text, &all).map(|near| format!("did you mean `{near}`?"));
            report.error(
                (node.line, node.column),
                &path,
                format!("`{text}` is none of {}", all.join(", ")),
                hint,
            );
        }
        found
    }

    /// Reports every key that nobody asked for.
    pub(crate) fn finish(self, report: &mut Report<'_>) {
        let Some(Kind::Map(entries)) = self.node.map(|node| &node.kind) else { return };
        for (key, _) in entries.iter().filter(|(key, _)| !self.known.contains(&key.text.as_str())) {
            let hint = nearest(&key.text, &self.known).map(|near| format!("did you mean `{near}`?"));
            report.error(
                (key.line, key.column),
                &self.path(&key.text),
                format!("unknown field `{}`", key.text),
                hint,
            );
        }
    }
}

/// The text of a scalar, exactly as written.
pub(crate) fn text(node: &Node, path: &str, report: &mut Report<'_>) -> Option<String> {
    match &node.kind {
        Kind::Scalar { text, .. } if !node.is_null() => Some(text.clone()),
        _ => {
            report.error(
                (node.line, node.column),
                path,
                format!("expected text, found {}", kind(node)),
                None,
            );
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

/// The known name that needs the fewest edits, if it is near enough to be what was meant.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known.iter().map(|name| (distance(word, name), *name)).min()?;
    (near.0 <= 2.max(near.1.len() / 3)).then_some(near.1)
}

/// Levenshtein distance without regard to case.
fn distance(one: &str, two: &str) -> usize {
    let (one, two): (Vec<char>, Vec<char>) =
        (one.to_lowercase().chars().take(64).collect(), two.to_lowercase().chars().collect());
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in two.iter().enumerate() {
            let cost = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[two.len()]
}
