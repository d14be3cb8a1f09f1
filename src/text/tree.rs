//! YAML and JSON text as nodes with positions. Scalars keep their text, so that `12345e7` stays a commit.
//!
//! Anchors, aliases, merge keys, tags and duplicate keys are errors; size, depth and number of nodes are bounded.

use std::collections::HashSet;

use granit_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value};

/// Bytes of one file. A task definition may have 64 KiB (Amazon ECS quotas); environments are far below this.
pub(crate) const MOST_BYTES: usize = 1 << 20;
pub(super) const MOST_DEPTH: usize = 32;
pub(super) const MOST_NODES: usize = 20_000;

/// Line and column, counted from 1. Zero is the file as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub line: usize,
    pub column: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub place: Place,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Scalar { text: String, plain: bool },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    pub place: Place,
    pub text: String,
}

impl Place {
    pub(crate) const WHOLE_FILE: Self = Self { line: 0, column: 0 };
}

impl From<&Node> for Place {
    fn from(node: &Node) -> Self {
        node.place
    }
}

impl From<&Key> for Place {
    fn from(key: &Key) -> Self {
        key.place
    }
}

/// What is wrong with the text itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Broken {
    pub place: Place,
    pub message: String,
    pub hint: Option<&'static str>,
}

/// The documents of a file.
pub(crate) fn documents(text: &str) -> Result<Vec<Node>, Broken> {
    if text.len() > MOST_BYTES {
        return Err(broken(Place::WHOLE_FILE, format!("the file has more than {MOST_BYTES} bytes"), None));
    }
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let place = Place { line: error.marker().line(), column: error.marker().col() + 1 };
            let tab = tab(text, place.line);
            let hint = tab.map(|_| "YAML takes no tab here: indent with spaces");
            let hint = hint.or_else(|| begins_with_a_brace(text, place.line).then_some(BRACE));
            broken(tab.unwrap_or(place), format!("not valid YAML: {}", error.kind()), hint)
        })?;
        builder.take(&event, span)?;
    }
    Ok(builder.documents)
}

/// The one document of a file; `None` if there is nothing in it, or nothing but comments.
pub(crate) fn document(text: &str) -> Result<Option<Node>, Broken> {
    let mut documents = documents(text)?.into_iter().filter(|document| !document.is_null());
    let only = documents.next();
    match documents.next() {
        Some(second) => Err(broken(second.place, "expected one document".to_owned(), None)),
        None => Ok(only),
    }
}

const BRACE: &str = "put a text that begins with `{` in quotes, such as \"{environment}-api\"";

/// A tab in the indentation of this line, or of the next: a text may be read until there.
fn tab(text: &str, line: usize) -> Option<Place> {
    let near = (1..).zip(text.lines()).skip_while(|(number, _)| *number < line).take(2);
    near.into_iter().find_map(|(line, written)| {
        let indentation = written.get(..written.len() - written.trim_start().len())?;
        Some(Place { line, column: indentation.find('\t')? + 1 })
    })
}

/// Whether a value in this line, or in the one before, where its end was looked for, looks like `{name}-rest`.
fn begins_with_a_brace(text: &str, line: usize) -> bool {
    let near = (1..).zip(text.lines()).filter(|(number, _)| (line.saturating_sub(1)..=line).contains(number));
    near.into_iter().any(|(_, written)| {
        let inner = written.split_once(": {").and_then(|(_, value)| value.split_once('}'));
        inner.is_some_and(|(name, rest)| !name.contains([':', ',']) && !rest.trim().is_empty())
    })
}

pub(super) fn broken(place: Place, message: String, hint: Option<&'static str>) -> Broken {
    Broken { place, message, hint }
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    documents: Vec<Node>,
    nodes: usize,
}

/// A list or map whose end has not come, the key that waits for its value, and all keys so far.
struct Open {
    node: Node,
    key: Option<Key>,
    keys: HashSet<String>,
}

impl Open {
    fn new(node: Node) -> Self {
        Self { node, key: None, keys: HashSet::new() }
    }
}

impl Builder {
    fn take(&mut self, event: &Event<'_>, span: Span) -> Result<(), Broken> {
        let place = Place { line: span.start.line(), column: span.start.col() + 1 };
        self.nodes += 1;
        if self.nodes > MOST_NODES || self.open.len() > MOST_DEPTH {
            return Err(broken(place, format!("more than {MOST_NODES} nodes or {MOST_DEPTH} levels"), None));
        }
        let node = |kind| Node { place, kind };
        match event {
            Event::Scalar(_, _, anchor, tag) if *anchor != 0 || tag.is_some() => Err(no_anchors(place)),
            Event::SequenceStart(_, anchor, tag) | Event::MappingStart(_, anchor, tag)
                if *anchor != 0 || tag.is_some() =>
            {
                Err(no_anchors(place))
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) | Event::Anchor(..) => Err(no_anchors(place)),
            Event::Scalar(text, style, _, _) => {
                self.add(node(Kind::Scalar { text: text.to_string(), plain: *style == ScalarStyle::Plain }))
            }
            Event::SequenceStart(..) => {
                self.open.push(Open::new(node(Kind::List(Vec::new()))));
                Ok(())
            }
            Event::MappingStart(..) => {
                self.open.push(Open::new(node(Kind::Map(Vec::new()))));
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => self.add(open.node),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Puts a complete node where it belongs: a key waits for its value.
    fn add(&mut self, node: Node) -> Result<(), Broken> {
        let Some(Open { node: parent, key, keys }) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        match &mut parent.kind {
            Kind::List(items) => items.push(node),
            Kind::Map(entries) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => *key = Some(key_of(node, keys)?),
            },
            Kind::Scalar { .. } => {}
        }
        Ok(())
    }
}

fn key_of(node: Node, keys: &mut HashSet<String>) -> Result<Key, Broken> {
    let place = node.place;
    let Kind::Scalar { text, plain } = node.kind else {
        return Err(broken(place, "a key must be text".to_owned(), None));
    };
    if plain && (text.starts_with("//") || text.starts_with("/*")) {
        return Err(broken(
            place,
            "`//` begins no comment in YAML: it would be a part of this key".to_owned(),
            Some("write # before comments"),
        ));
    }
    if plain && text == "<<" {
        return Err(no_anchors(place));
    }
    if !keys.insert(text.clone()) {
        return Err(broken(place, format!("duplicate key `{text}`"), Some("remove one of them")));
    }
    Ok(Key { place, text })
}

fn no_anchors(place: Place) -> Broken {
    let message = "anchors, aliases, merge keys and tags are not supported".to_owned();
    broken(place, message, Some("write the value out"))
}

impl Node {
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, node)| node)
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&(Key, Node)> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|(known, _)| known.text == key),
            _ => None,
        }
    }

    pub(crate) fn is_text(&self, expected: &str) -> bool {
        matches!(&self.kind, Kind::Scalar { text, .. } if text == expected)
    }

    /// A plain empty scalar, `~` or `null`.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null"))
    }

    /// The value by YAML's core schema: plain scalars may be null, booleans and numbers.
    pub(crate) fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Scalar { text, plain: false } => Value::from(text.clone()),
            Kind::Scalar { text, plain: true } => plain_scalar(text),
            Kind::List(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            Kind::Map(entries) => Value::Object(
                entries.iter().map(|(key, node)| (key.text.clone(), node.to_json())).collect::<Map<_, _>>(),
            ),
        }
    }

    /// The node at exactly this path, with its key, if it has one.
    pub(crate) fn entry_at(&self, path: &str) -> Option<(Option<&Key>, &Node)> {
        let mut found = (None, self);
        let segments = path.split(['.', '[']).map(|segment| segment.trim_end_matches(']'));
        for segment in segments.filter(|segment| !segment.is_empty()) {
            found = match &found.1.kind {
                Kind::List(items) => (None, items.get(segment.parse::<usize>().ok()?)?),
                _ => found.1.entry(segment).map(|(key, node)| (Some(key), node))?,
            };
        }
        Some(found)
    }

    /// The node at a path such as `containerDefinitions[0].cpu`, or the nearest one above it.
    pub(crate) fn at_path(&self, path: &str) -> &Node {
        let mut node = self;
        for segment in path.split(['.', '[']).map(|segment| segment.trim_end_matches(']')) {
            let inner = match &node.kind {
                Kind::List(items) => segment.parse::<usize>().ok().and_then(|index| items.get(index)),
                _ => node.get(segment),
            };
            match inner {
                Some(inner) => node = inner,
                None => break,
            }
        }
        node
    }
}

fn plain_scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => {
            let whole = text.parse::<i64>().ok().map(Number::from);
            let looks_numeric = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
            let number = whole
                .or_else(|| text.parse::<f64>().ok().filter(|_| looks_numeric).and_then(Number::from_f64));
            number.map_or_else(|| Value::from(text), Value::Number)
        }
    }
}
