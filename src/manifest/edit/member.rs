//! Writes one member into a `spec` or an entry, or takes it out, whatever the text looks like. Who does so reads the text again and
//! keeps it only if exactly that has changed.

use super::{is_environment, offset};
use crate::text::tree::{Key, Kind, Node, Place};

/// A line behind the key of a map that is written in lines, or the last member in braces.
pub(super) fn inserted(text: &str, key: &Key, holder: &Node, written: &str) -> Option<String> {
    let column = match &holder.kind {
        Kind::Map(_) if opens(text, holder.place)? => {
            let last = braces(text, offset(text, holder.place)?)?.last;
            let separator = match text.get(..last)?.chars().next_back()? {
                '{' => "",
                ',' => " ",
                _ => ", ",
            };
            return Some(format!("{}{separator}{written}{}", &text[..last], &text[last..]));
        }
        Kind::Map(entries) => {
            let (first, _) = entries.first().filter(|(first, _)| first.place.line > key.place.line)?;
            first.place.column
        }
        _ if holder.is_null() => key.place.column + 2,
        _ => return None,
    };
    let start = offset(text, Place { line: key.place.line, column: 1 })?;
    let line = text.get(start..)?.split_inclusive('\n').next()?;
    let (end, line_break) = (start + line.len(), if line.ends_with("\r\n") { "\r\n" } else { "\n" });
    let before = if line.ends_with('\n') { String::new() } else { line_break.to_owned() };
    let indentation = " ".repeat(column.checked_sub(1)?);
    Some(format!("{}{before}{indentation}{written}{line_break}{}", &text[..end], &text[end..]))
}

fn opens(text: &str, place: Place) -> Option<bool> {
    Some(text.get(offset(text, place)?..)?.starts_with('{'))
}

/// With the comma that goes with it, or its lines.
pub(super) fn removed(text: &str, holder: &Node, key: &Key, value: &Node) -> Option<String> {
    let start = offset(text, key.place)?;
    let in_braces = opens(text, value.place)?.then(|| braces(text, offset(text, value.place)?));
    if opens(text, holder.place)? {
        let (before, behind) = (&text[..start], &text[in_braces??.end..]);
        return Some(match behind.trim_start().strip_prefix(',') {
            Some(rest) => format!("{before}{}", rest.trim_start_matches(' ')),
            None => {
                let before = before.trim_end();
                format!("{}{behind}", before.strip_suffix(',').unwrap_or(before))
            }
        });
    }
    let line_start = offset(text, Place { line: key.place.line, column: 1 })?;
    let indentation = text.get(line_start..start)?;
    if !indentation.trim().is_empty() {
        return None;
    }
    let is_in_braces = in_braces.is_some();
    let last = in_braces.map_or(Some(start), |braces| Some(braces?.end))?;
    let mut end = last + text.get(last..)?.split_inclusive('\n').next().map_or(0, str::len);
    let mut length = 0;
    for line in text.get(end..)?.split_inclusive('\n').take_while(|_| !is_in_braces) {
        let (is_blank, depth) = (line.trim().is_empty(), line.len() - line.trim_start().len());
        if !is_blank && depth <= indentation.len() {
            break;
        }
        length += line.len();
        if !is_blank {
            (end, length) = (end + length, 0);
        }
    }
    Some(format!("{}{}", &text[..line_start], &text[end..]))
}

/// Where what stands in braces ends.
struct Braces {
    /// Behind the last member, or behind the opening brace.
    last: usize,
    /// Behind the closing brace.
    end: usize,
}

/// Of the braces that open there. Quotes and comments are passed over.
fn braces(text: &str, start: usize) -> Option<Braces> {
    let (mut depth, mut last, mut in_word) = (0_usize, start, false);
    let mut rest = text.get(start..)?.char_indices().peekable();
    let mut before = ' ';
    while let Some((at, letter)) = rest.next() {
        let (at, is_first) = (start + at, !in_word);
        match letter {
            '}' | ']' => {
                depth = depth.checked_sub(1)?;
                in_word = false;
                if depth == 0 {
                    return Some(Braces { last, end: at + 1 });
                }
            }
            '{' | '[' => (depth, in_word) = (depth + 1, false),
            ',' => in_word = false,
            ':' if rest.peek().is_none_or(|(_, next)| next.is_whitespace()) => in_word = false,
            '#' if before.is_whitespace() => {
                while rest.next_if(|(_, next)| *next != '\n').is_some() {}
                continue;
            }
            '"' | '\'' if is_first => {
                while let Some((_, inner)) = rest.next() {
                    if inner == '\\' && letter == '"' {
                        rest.next();
                    } else if inner == letter {
                        break;
                    }
                }
            }
            _ if letter.is_whitespace() => {}
            _ => in_word = true,
        }
        before = letter;
        if !letter.is_whitespace() {
            last = rest.peek().map_or(text.len(), |(next, _)| start + next);
        }
    }
    None
}

/// Whether two texts say the same but for one member of this `spec` or entry.
pub(super) fn differs_in_nothing_else(
    key: &str,
    one: &[Node],
    other: &[Node],
    environment: &str,
    application: Option<&str>,
) -> bool {
    let without = |documents: &[Node]| {
        let mut documents = documents.to_vec();
        let document = documents.iter_mut().find(|document| is_environment(document, environment));
        let mut holder = document.and_then(|document| member(document, "spec"));
        if let Some(application) = application {
            let applications = holder.and_then(|spec| member(spec, "applications"));
            holder = applications.and_then(|applications| member(applications, application));
        }
        if let Some(holder) = holder {
            if holder.is_null() {
                // So an entry may be written that holds nothing.
                holder.kind = Kind::Map(Vec::new());
            }
            if let Kind::Map(entries) = &mut holder.kind {
                entries.retain(|(other, _)| other.text != key);
            }
        }
        documents
    };
    let (one, other) = (without(one), without(other));
    one.len() == other.len() && one.iter().zip(&other).all(|(one, other)| is_same(one, other))
}

fn member<'n>(node: &'n mut Node, name: &str) -> Option<&'n mut Node> {
    match &mut node.kind {
        Kind::Map(entries) => entries.iter_mut().find(|(key, _)| key.text == name).map(|(_, node)| node),
        _ => None,
    }
}

/// The same wherever it stands.
fn is_same(one: &Node, other: &Node) -> bool {
    match (&one.kind, &other.kind) {
        (Kind::List(one), Kind::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Kind::Map(one), Kind::Map(other)) => {
            let same = |((key, one), (its, other)): (&(Key, Node), &(Key, Node))| {
                key.text == its.text && is_same(one, other)
            };
            one.len() == other.len() && one.iter().zip(other).all(same)
        }
        (one, other) => one == other,
    }
}
