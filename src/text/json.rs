//! JSON text (RFC 8259) as nodes with positions. What other tools allow beside it is refused by its name: read as YAML, a
//! comment would swallow the key behind it.

use std::collections::HashSet;

use super::tree::{Broken, Key, Kind, MOST_BYTES, MOST_DEPTH, MOST_NODES, Node, Place, broken};

/// The value of a file; `None` if nothing is in it.
pub(crate) fn document(text: &str) -> Result<Option<Node>, Broken> {
    if text.len() > MOST_BYTES {
        return Err(broken(Place::WHOLE_FILE, format!("the file has more than {MOST_BYTES} bytes"), None));
    }
    // Editors on Windows write a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { rest: text, place: Place { line: 1, column: 1 }, nodes: 0 };
    reader.skip_space();
    if reader.rest.is_empty() {
        return Ok(None);
    }
    let root = reader.value(0)?;
    reader.skip_space();
    match reader.peek() {
        None => Ok(Some(root)),
        Some('/' | '#') => Err(reader.comment()),
        Some(_) => Err(reader.wrong("something stands behind the end of the value", None)),
    }
}

struct Reader<'t> {
    rest: &'t str,
    place: Place,
    nodes: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut letters = self.rest.chars();
        let letter = letters.next()?;
        self.rest = letters.as_str();
        match letter {
            '\n' => self.place = Place { line: self.place.line + 1, column: 1 },
            // A carriage return alone ends a line too, as in YAML.
            '\r' if !self.rest.starts_with('\n') => {
                self.place = Place { line: self.place.line + 1, column: 1 };
            }
            _ => self.place.column += 1,
        }
        Some(letter)
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|letter| matches!(letter, ' ' | '\t' | '\r' | '\n')) {
            self.next();
        }
    }

    fn wrong(&self, message: &str, hint: Option<&'static str>) -> Broken {
        broken(self.place, format!("not valid JSON: {message}"), hint)
    }

    fn comment(&self) -> Broken {
        self.wrong("JSON has no comments", Some("take the comment out"))
    }

    /// What stands where a value, a key or a comma was expected.
    fn unexpected(&self, wanted: &str) -> Broken {
        match self.peek() {
            None => self.wrong(&format!("the file ends where {wanted} was expected"), None),
            Some('/' | '#') => self.comment(),
            Some('\'' | '\u{201c}' | '\u{201d}' | '`') => {
                self.wrong("texts stand in double quotes", Some("write \"text\""))
            }
            Some('<' | '$' | '%' | '{') => self.wrong(
                &format!("{wanted} was expected, found `{}`", self.word()),
                Some("put a placeholder in quotes: where a number stands it becomes one"),
            ),
            Some(letter) if letter.is_alphanumeric() || letter == '_' => self.wrong(
                &format!("{wanted} was expected, found `{}`", self.word()),
                Some("keys and texts stand in double quotes; words are true, false and null"),
            ),
            Some(letter) => self.wrong(&format!("{wanted} was expected, found `{letter}`"), None),
        }
    }

    /// The word that stands here, or its beginning.
    fn word(&self) -> String {
        let ends = |letter: &char| letter.is_whitespace() || matches!(letter, ',' | ':' | ']' | '}' | '"');
        self.rest
            .chars()
            .enumerate()
            .take_while(|(at, letter)| *at == 0 || !ends(letter))
            .map(|(_, letter)| letter)
            .take(40)
            .collect()
    }

    fn value(&mut self, depth: usize) -> Result<Node, Broken> {
        self.nodes += 1;
        if self.nodes > MOST_NODES || depth > MOST_DEPTH {
            let message = format!("more than {MOST_NODES} nodes or {MOST_DEPTH} levels");
            return Err(broken(self.place, message, None));
        }
        let place = self.place;
        let kind = match self.peek() {
            Some('{') => self.map(depth)?,
            Some('[') => self.list(depth)?,
            Some('"') => Kind::Scalar { text: self.text()?, plain: false },
            _ => Kind::Scalar { text: self.plain()?, plain: true },
        };
        Ok(Node { place, kind })
    }

    fn map(&mut self, depth: usize) -> Result<Kind, Broken> {
        let (mut entries, mut known) = (Vec::new(), HashSet::new());
        self.next();
        self.skip_space();
        while self.peek() != Some('}') || !entries.is_empty() {
            let place = self.place;
            if self.peek() != Some('"') {
                return Err(self.missing('}', "a key in double quotes"));
            }
            let text = self.text()?;
            if !known.insert(text.clone()) {
                return Err(broken(place, format!("duplicate key `{text}`"), Some("remove one of them")));
            }
            self.skip_space();
            if self.peek() != Some(':') {
                return Err(self.unexpected("`:`"));
            }
            self.next();
            self.skip_space();
            entries.push((Key { place, text }, self.value(depth + 1)?));
            if self.ends('}')? {
                break;
            }
        }
        if entries.is_empty() {
            self.next();
        }
        Ok(Kind::Map(entries))
    }

    fn list(&mut self, depth: usize) -> Result<Kind, Broken> {
        let mut items = Vec::new();
        self.next();
        self.skip_space();
        while self.peek() != Some(']') || !items.is_empty() {
            if self.peek() == Some(']') {
                return Err(self.missing(']', "a value"));
            }
            items.push(self.value(depth + 1)?);
            if self.ends(']')? {
                break;
            }
        }
        if items.is_empty() {
            self.next();
        }
        Ok(Kind::List(items))
    }

    /// Goes over the comma behind an entry; `true`: over the end instead.
    fn ends(&mut self, end: char) -> Result<bool, Broken> {
        self.skip_space();
        match self.peek() {
            Some(',') => {
                self.next();
                self.skip_space();
                Ok(false)
            }
            Some(letter) if letter == end => {
                self.next();
                Ok(true)
            }
            Some('"' | '{' | '[') => Err(self.wrong("a comma is missing before this", None)),
            _ => Err(self.unexpected(&format!("`,` or `{end}`"))),
        }
    }

    /// Nothing follows a comma.
    fn missing(&self, end: char, wanted: &str) -> Broken {
        if self.peek() == Some(end) {
            let message = format!("a comma stands before `{end}`");
            return self.wrong(&message, Some("take the comma out"));
        }
        self.unexpected(wanted)
    }

    fn text(&mut self) -> Result<String, Broken> {
        let mut text = String::new();
        let start = self.place;
        self.next();
        loop {
            let place = self.place;
            match self.next() {
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escaped(place)?),
                Some(letter) if letter < ' ' => {
                    let message = "not valid JSON: a text ends on its line and holds no tab".to_owned();
                    return Err(broken(place, message, Some("write \\n or \\t")));
                }
                Some(letter) => text.push(letter),
                None => return Err(broken(start, "not valid JSON: the text has no end".to_owned(), None)),
            }
        }
    }

    fn escaped(&mut self, place: Place) -> Result<char, Broken> {
        let unknown =
            || broken(place, "not valid JSON: unknown escape".to_owned(), Some("write \\\\ for a backslash"));
        Ok(match self.next() {
            Some(letter @ ('"' | '\\' | '/')) => letter,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => self.code_point().ok_or_else(unknown)?,
            _ => return Err(unknown()),
        })
    }

    /// Four digits, or eight for what lies beyond them (RFC 8259, section 7).
    fn code_point(&mut self) -> Option<char> {
        let first = self.four_digits()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        let is_escape = self.next() == Some('\\') && self.next() == Some('u');
        let second = is_escape.then(|| self.four_digits())??;
        let second = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + second)
    }

    fn four_digits(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |number, _| Some(number * 16 + self.next()?.to_digit(16)?))
    }

    /// A number, `true`, `false` or `null`.
    fn plain(&mut self) -> Result<String, Broken> {
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || "+-.".contains(letter);
        let length = self.rest.find(|letter| !is_part(letter)).unwrap_or(self.rest.len());
        let word = self.rest.get(..length).unwrap_or_default().to_owned();
        let is_value = matches!(word.as_str(), "true" | "false" | "null") || is_number(&word);
        if !is_value {
            return Err(self.unexpected("a value"));
        }
        for _ in word.chars() {
            self.next();
        }
        Ok(word)
    }
}

/// RFC 8259, section 6.
fn is_number(word: &str) -> bool {
    let word = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, exponent) = match word.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (word, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_read_as_serde_reads_it() {
        for text in [
            "{}",
            "[]",
            " [ ] ",
            "{ }",
            "\u{feff}{\"a\": 1}",
            r#"{"a": [1, -2.5e+3, 0, true, false, null, "x"], "b": {"c": {}}}"#,
            r#""\u00fc\ud83d\ude00\n\/\\\"""#,
            "[1\r\n,\t2]",
            "\"<NAME> ${x} 'y' // z\"",
        ] {
            let node = document(text).unwrap().unwrap();
            let expected: serde_json::Value =
                serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap();
            assert_eq!(node.to_json(), expected, "{text}");
        }
        assert_eq!((document(""), document(" \n")), (Ok(None), Ok(None)));
        let node = document("{\n  \"a\": [1,\r\n \"é\", {\"b\": 2}]}").unwrap().unwrap();
        let place = node.at_path("a[2].b").place;
        assert_eq!((place.line, place.column), (3, 13));
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place_and_what_to_write() {
        let comments = "JSON has no comments | take the comment out";
        let comma = |end: char| format!("a comma stands before `{end}` | take the comma out");
        let quotes = "texts stand in double quotes | write \"text\"";
        let words = "| keys and texts stand in double quotes; words are true, false and null";
        let placeholder = "| put a placeholder in quotes: where a number stands it becomes one";
        for (text, at, expected) in [
            ("{\n  // snipped\n  \"a\": 1}", "2:3", comments.to_owned()),
            ("{\"a\": 1, // snipped\n \"b\": 2}", "1:10", comments.to_owned()),
            ("{\"a\": /* x */ 1}", "1:7", comments.to_owned()),
            ("# x\n{}", "1:1", comments.to_owned()),
            ("{\"a\": 1 # x\n}", "1:9", comments.to_owned()),
            ("{} // end", "1:4", comments.to_owned()),
            ("{\"a\": [1, 2,],\n}", "1:13", comma(']')),
            ("{\"a\": 1,\n}", "2:1", comma('}')),
            ("{'a': 1}", "1:2", quotes.to_owned()),
            ("[\u{201c}a\u{201d}]", "1:2", quotes.to_owned()),
            ("{a: 1}", "1:2", format!("a key in double quotes was expected, found `a` {words}")),
            ("[True]", "1:2", format!("a value was expected, found `True` {words}")),
            ("{\"a\": <PORT>}", "1:7", format!("a value was expected, found `<PORT>` {placeholder}")),
            ("{\"a\": ${PORT}}", "1:7", format!("a value was expected, found `${{PORT` {placeholder}")),
            ("{\"a\": 1\n \"b\": 2}", "2:2", "a comma is missing before this".to_owned()),
            ("{\"a\" 1}", "1:6", format!("`:` was expected, found `1` {words}")),
            ("{\"a\": 1", "1:8", "the file ends where `,` or `}` was expected".to_owned()),
            ("{\"a\": 1} {}", "1:10", "something stands behind the end of the value".to_owned()),
            ("[01]", "1:2", format!("a value was expected, found `01` {words}")),
            ("[\"a\nb\"]", "1:4", "a text ends on its line and holds no tab | write \\n or \\t".to_owned()),
            ("[\"a", "1:2", "the text has no end".to_owned()),
            ("[\"\\x\"]", "1:3", "unknown escape | write \\\\ for a backslash".to_owned()),
            ("[\"\\ud83d\"]", "1:3", "unknown escape | write \\\\ for a backslash".to_owned()),
        ] {
            let Err(error) = document(text) else { panic!("{text}") };
            let hint = error.hint.map(|hint| format!(" | {hint}")).unwrap_or_default();
            let said = format!("{}:{} {}{hint}", error.place.line, error.place.column, error.message);
            assert_eq!(said, format!("{at} not valid JSON: {expected}"), "{text}");
        }
        let twice = document("{\"a\": 1, \"a\": 2}").unwrap_err();
        assert_eq!((twice.place.column, twice.message.as_str()), (10, "duplicate key `a`"));
    }

    #[test]
    fn depth_and_number_of_values_are_bounded() {
        for text in
            ["[".repeat(100_000), format!("[{}1]", "1,".repeat(MOST_NODES)), " ".repeat(MOST_BYTES + 1)]
        {
            assert!(document(&text).is_err());
        }
    }
}
