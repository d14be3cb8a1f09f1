//! Writes and removes `suspend`, of an environment or of its entry for an application. Whatever the text looks like, it
//! is read again afterwards: unless exactly that has changed, nothing is.

use super::{EditError, documents, is_environment, offset, place_of, scalar};
use crate::text::tree::{Key, Kind, Node, Place};

const KEY: &str = "suspend";

/// The text with this suspension, instead of one that may be there. `until` is written as it is.
pub fn suspend(
    text: &str,
    environment: &str,
    application: Option<&str>,
    reason: &str,
    until: Option<&str>,
) -> Result<String, EditError> {
    let without = resume(text, environment, application)?;
    let before = without.as_deref().unwrap_or(text);
    let tree = documents(before)?;
    let (key, holder) = place_of(&tree, environment, application)?;
    let until_member = until.map(|until| format!(", until: {}", quoted(until))).unwrap_or_default();
    let written = format!("{KEY}: {{ reason: {}{until_member} }}", quoted(reason));
    let edited = inserted(before, key, holder, &written);
    let says_so = |edited: &String| {
        let tree = documents(edited).ok()?;
        let (_, holder) = place_of(&tree, environment, application).ok()?;
        let suspension = holder.get(KEY)?;
        let is_meant = scalar(suspension.get("reason")) == Some(reason)
            && scalar(suspension.get("until")) == until
            && differs_in_nothing_else(&documents(text).ok()?, &tree, environment, application);
        is_meant.then_some(())
    };
    edited
        .filter(|edited| says_so(edited).is_some())
        .ok_or_else(|| EditError::Unsafe { line: key.place.line, hint: format!("add `{written}` by hand") })
}

/// The text without what suspends it; `None` if nothing does.
pub fn resume(text: &str, environment: &str, application: Option<&str>) -> Result<Option<String>, EditError> {
    let tree = documents(text)?;
    let (_, holder) = place_of(&tree, environment, application)?;
    let Some((key, value)) = holder.entry(KEY) else { return Ok(None) };
    let edited = removed(text, holder, key, value);
    let says_so = |edited: &String| {
        let after = documents(edited).ok()?;
        let (_, holder) = place_of(&after, environment, application).ok()?;
        let is_gone = holder.get(KEY).is_none();
        (is_gone && differs_in_nothing_else(&tree, &after, environment, application)).then_some(())
    };
    let edited = edited.filter(|edited| says_so(edited).is_some());
    let refused = || EditError::Unsafe { line: key.place.line, hint: format!("remove `{KEY}` by hand") };
    edited.ok_or_else(refused).map(Some)
}

/// In double quotes; JSON's escapes are YAML's too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A line behind the key of a map that is written in lines, or the last member in braces.
fn inserted(text: &str, key: &Key, holder: &Node, written: &str) -> Option<String> {
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
fn removed(text: &str, holder: &Node, key: &Key, value: &Node) -> Option<String> {
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

/// Whether two texts say the same but for what suspends this one.
fn differs_in_nothing_else(
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
                entries.retain(|(key, _)| key.text != KEY);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn file(spec: &str) -> String {
        format!("kind: Environment # a\nmetadata: {{name: test}}\nspec:{spec}---\nkind: Other\n")
    }

    const WRITTEN: &str = "suspend: { reason: \"a \\\"b\\\"\", until: \"2027-01-31T08:00:00Z\" }";

    /// Each text, and the same with a suspension; `None`: it is refused.
    #[test]
    fn what_is_suspended_and_resumed_is_as_before_in_every_notation() {
        let api = Some("api");
        let blocks = " # b\n  # c\n  cluster: x\n  applications:\n    # d\n    api: # e\n      # f\n      commit: 3f2c1ab\n    web:\n";
        for (application, before, expected) in [
            (None, blocks, Some(blocks.replacen(" # b\n", &format!(" # b\n  {WRITTEN}\n"), 1))),
            (api, blocks, Some(blocks.replacen("# e\n", &format!("# e\n      {WRITTEN}\n"), 1))),
            (
                Some("web"),
                blocks,
                Some(blocks.replacen("    web:\n", &format!("    web:\n      {WRITTEN}\n"), 1)),
            ),
            (
                api,
                "\r\n  applications:\r\n    api:\r\n      commit: 1\r\n",
                Some(format!("\r\n  applications:\r\n    api:\r\n      {WRITTEN}\r\n      commit: 1\r\n")),
            ),
            (
                api,
                "\n  applications:\n    api: { commit: 3f2c1ab } # c\n",
                Some(format!("\n  applications:\n    api: {{ commit: 3f2c1ab, {WRITTEN} }} # c\n")),
            ),
            (
                api,
                "\n  applications: {api: {values: {A: it's, B: 'it''s }', C: \"\\\"}\", D: [x], E: a#b}, commit: ü }}\n",
                Some(format!(
                    "\n  applications: {{api: {{values: {{A: it's, B: 'it''s }}', C: \"\\\"}}\", D: [x], E: a#b}}, commit: ü, {WRITTEN} }}}}\n"
                )),
            ),
            (
                api,
                "\n  applications:\n    api: {\n      commit: 3f2c1ab # no } here\n    }\n",
                Some(format!(
                    "\n  applications:\n    api: {{\n      commit: 3f2c1ab, {WRITTEN} # no }} here\n    }}\n"
                )),
            ),
            (
                None,
                " {applications: {api: {}}}\n",
                Some(format!(" {{applications: {{api: {{}}}}, {WRITTEN}}}\n")),
            ),
            (api, "\n  applications:\n    api: ~\n", None),
            (api, "\n  applications:\n    ? api\n    : commit: 1\n", None),
            (api, "\n  applications:\n    api: text\n", None),
        ] {
            let before = file(before);
            let reason = "a \"b\"";
            let until = Some("2027-01-31T08:00:00Z");
            let suspended = suspend(&before, "test", application, reason, until);
            let Some(expected) = expected.map(|expected| file(&expected)) else {
                let said = suspended.unwrap_err().to_string();
                assert!(said.contains("cannot be changed safely; add `suspend: {"), "{said}");
                continue;
            };
            let suspended = suspended.unwrap();
            assert_eq!(suspended, expected);
            let longer = suspend(&suspended, "test", application, "longer", None).unwrap();
            assert_eq!(longer, expected.replace(WRITTEN, "suspend: { reason: \"longer\" }"));
            assert_eq!(resume(&longer, "test", application), Ok(Some(before.clone())), "{longer}");
            assert_eq!(resume(&before, "test", application), Ok(None));
        }
    }

    #[test]
    fn what_a_person_wrote_is_removed_whole_or_not_at_all() {
        for (before, after) in [
            (
                "\n  # a\n  suspend:\n    # why\n    reason: x\n\n    until: 2027-01-31T08:00:00Z\n\n  # b\n  cluster: y\n",
                Some("\n  # a\n\n  # b\n  cluster: y\n"),
            ),
            ("\n  cluster: y\n  \"suspend\": {reason: x} # z\n", Some("\n  cluster: y\n")),
            ("\n  cluster: y\n  suspend: {reason: x,\n    until: z}\n", Some("\n  cluster: y\n")),
            ("\n  cluster: y\n  suspend: |\n    text\n  region: z\n", Some("\n  cluster: y\n  region: z\n")),
            (" {suspend: {reason: x}, cluster: y}\n", Some(" {cluster: y}\n")),
            (" {suspend: {reason: x}}\n", Some(" {}\n")),
            (" {cluster: y, suspend: {reason: x}, region: z}\n", Some(" {cluster: y, region: z}\n")),
            ("\n  ? suspend\n  : {reason: x}\n  cluster: y\n", None),
        ] {
            let found = resume(&file(before), "test", None);
            match after {
                Some(after) => assert_eq!(found, Ok(Some(file(after))), "{before}"),
                None => assert!(matches!(found, Err(EditError::Unsafe { .. })), "{found:?}"),
            }
        }
    }
}
