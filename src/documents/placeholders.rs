//! Placeholders `<NAME>` in a JSON value, filled in one pass: what a value holds is text and is not looked at again, so
//! that the work is that of the text and its values, whatever they refer to.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// Bytes of a task definition (Amazon ECS quotas). What is filled in may not make more of it, nor of an `AppSpec`.
pub const MOST_BYTES: usize = 64 * 1024;
/// Bytes of a name between `<` and `>`. `CodePipeline` takes any text; nobody writes a longer one.
const LONGEST_NAME: usize = 128;

/// What cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfilled {
    /// More than [`MOST_BYTES`], at this field.
    TooLarge { path: String },
    /// Two keys of the map at this field become the same.
    SameKey { path: String, key: String },
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filled {
    pub value: Value,
    /// Names that were replaced.
    pub used: BTreeSet<String>,
    /// Fields whose whole text was one placeholder: they may be meant as a number.
    pub whole: BTreeSet<String>,
}

/// The value with `<NAME>` replaced, in texts and in keys, by what `values` has for it; other names stay.
pub fn fill(value: &Value, values: &BTreeMap<String, String>) -> Result<Filled, Unfilled> {
    let mut filling = Filling { values, left: MOST_BYTES, filled: Filled::default() };
    let value = filling.value(value, "")?;
    if value.to_string().len() > MOST_BYTES {
        return Err(Unfilled::TooLarge { path: String::new() });
    }
    Ok(Filled { value, ..filling.filled })
}

/// The same for one text; `None`: more than [`MOST_BYTES`].
pub fn fill_text(text: &str, values: &BTreeMap<String, String>) -> Option<Filled> {
    let mut filling = Filling { values, left: MOST_BYTES, filled: Filled::default() };
    let filled = filling.text(text)?;
    Some(Filled { value: Value::from(filled), ..filling.filled })
}

/// The path of a member of the map at `path`.
pub fn member(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

struct Filling<'v> {
    values: &'v BTreeMap<String, String>,
    /// Bytes that may still be written.
    left: usize,
    filled: Filled,
}

impl Filling<'_> {
    fn value(&mut self, value: &Value, path: &str) -> Result<Value, Unfilled> {
        let too_large = || Unfilled::TooLarge { path: path.to_owned() };
        match value {
            Value::String(text) => {
                if whole(text).is_some_and(|name| self.values.contains_key(name)) {
                    self.filled.whole.insert(path.to_owned());
                }
                self.text(text).map(Value::from).ok_or_else(too_large)
            }
            Value::Array(items) => {
                let items = items.iter().enumerate();
                items.map(|(index, item)| self.value(item, &format!("{path}[{index}]"))).collect()
            }
            Value::Object(fields) => {
                let mut filled = Map::new();
                for (key, field) in fields {
                    let name = self.text(key).ok_or_else(too_large)?;
                    let field = self.value(field, &member(path, &name))?;
                    if filled.insert(name.clone(), field).is_some() {
                        return Err(Unfilled::SameKey { path: path.to_owned(), key: name });
                    }
                }
                Ok(Value::Object(filled))
            }
            other => Ok(other.clone()),
        }
    }

    fn text(&mut self, text: &str) -> Option<String> {
        let (mut filled, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once('<') {
            let named = name(after).and_then(|name| Some((name, self.values.get(name)?)));
            let (piece, tail) = match named {
                Some((name, value)) => {
                    self.filled.used.insert(name.to_owned());
                    (value.as_str(), after.get(name.len() + 1..).unwrap_or_default())
                }
                None => ("<", after),
            };
            self.write(before, &mut filled)?;
            self.write(piece, &mut filled)?;
            rest = tail;
        }
        self.write(rest, &mut filled)?;
        Some(filled)
    }

    fn write(&mut self, text: &str, filled: &mut String) -> Option<()> {
        self.left = self.left.checked_sub(text.len())?;
        filled.push_str(text);
        Some(())
    }
}

/// The name of a placeholder that begins before this text.
fn name(after: &str) -> Option<&str> {
    let end = after.bytes().take(LONGEST_NAME + 1).position(|byte| matches!(byte, b'<' | b'>'))?;
    after.get(..end).filter(|name| !name.is_empty() && after.as_bytes().get(end) == Some(&b'>'))
}

/// The name of the placeholder that is the whole text.
pub fn whole(text: &str) -> Option<&str> {
    let inner = name(text.trim().strip_prefix('<')?)?;
    (text.trim().len() == inner.len() + 2).then_some(inner)
}

/// The names of all placeholders in a text, each with the byte at which its `<` stands.
pub fn names(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices('<').filter_map(|(at, _)| Some((at, name(text.get(at + 1..)?)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn values(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn placeholders_are_filled_in_any_spelling_in_texts_and_keys() {
        let values = values(&[("A", "1"), ("a-b.c", "2"), ("two words", "3"), ("E", "")]);
        for (text, expected) in [
            ("<A>", "1"),
            ("x<A>y<A>z", "x1y1z"),
            ("<a-b.c>/<two words>", "2/3"),
            ("<E>", ""),
            ("<B>", "<B>"),
            ("<<A>>", "<1>"),
            ("<A", "<A"),
            ("A>", "A>"),
            ("<>", "<>"),
            ("ü<ü><A>ü", "ü<ü>1ü"),
        ] {
            assert_eq!(fill(&json!(text), &values).unwrap().value, json!(expected), "{text}");
        }
        let filled = fill(&json!({"<A>": [" <A> ", "x<A>", 1, null]}), &values).unwrap();
        assert_eq!(filled.value, json!({"1": [" 1 ", "x1", 1, null]}));
        assert_eq!(filled.whole, BTreeSet::from(["1[0]".to_owned()]));
        assert_eq!(filled.used, BTreeSet::from(["A".to_owned()]));
        let twice = fill(&json!({"l": {"<A>": 1, "1": 2}}), &values);
        assert_eq!(twice, Err(Unfilled::SameKey { path: "l".to_owned(), key: "1".to_owned() }));
    }

    #[test]
    fn a_value_is_never_filled_into_a_value_and_the_result_is_bounded() {
        let values = values(&[("A", "<B>"), ("B", "<A>"), ("LONG", &"x".repeat(1000))]);
        assert_eq!(fill(&json!("<A><B>"), &values).unwrap().value, json!("<B><A>"));
        let many = json!({"a": ["<LONG>".repeat(60)], "b": ["", "<LONG>".repeat(60)]});
        assert_eq!(fill(&many, &values), Err(Unfilled::TooLarge { path: "b[1]".to_owned() }));
        let numbers: Vec<u8> = vec![1; MOST_BYTES];
        assert_eq!(fill(&json!(numbers), &values), Err(Unfilled::TooLarge { path: String::new() }));
        assert!(fill(&json!("<".repeat(MOST_BYTES - 2)), &values).is_ok());
        assert_eq!(fill_text(&"<LONG>".repeat(70), &values), None);
    }
}
