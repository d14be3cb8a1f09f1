//! Text from outside made harmless for the edge at which it leaves the process: a terminal, a log, markdown, JSON.
//!
//! Names, reasons, commit summaries, and the answers of git servers and of AWS are anybody's text. At each edge there is one
//! function; nothing that is printed goes around it.

use std::borrow::Cow;
use std::fmt::Write as _;

/// For a terminal: lines stay lines, and nothing else can move the cursor, set colours, write to the clipboard, change the
/// direction of the text or hide in it.
pub fn terminal(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_active(c) && c != '\n', visible)
}

/// The sequences that [`painted`] lets through: they set the colour of text, and nothing else.
const COLOURS: [&str; 6] = ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m"];

/// For a terminal, of text whose colour we have set: as [`terminal`], but for that colour. What is from outside goes through
/// [`line()`] before it is coloured, so that it brings none of its own.
pub fn painted(text: &str) -> String {
    let mut shown = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        let (before, sequence) = rest.split_at(at);
        shown.push_str(&terminal(before));
        let known = COLOURS.iter().find(|colour| sequence.starts_with(**colour));
        let length = known.map_or(1, |colour| colour.len());
        let (sequence, after) = sequence.split_at(length);
        shown.push_str(if known.is_some() { sequence } else { "\\u{1b}" });
        rest = after;
    }
    shown + &terminal(rest)
}

/// For a log, and for one field within a line of any other output: as [`terminal`], and a line break is visible too.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, is_active, visible)
}

/// For the inside of a line of markdown: shown as it is, without headings, links, mentions, references, HTML, or the end of a
/// table's cell. It follows something else on its line.
pub fn markdown(text: &str) -> String {
    let line = line(text);
    let mut shown = String::with_capacity(line.len());
    for (index, c) in line.char_indices() {
        let rest = line.get(index..).unwrap_or_default();
        match c {
            // A host links these after the markup is gone: a space without width keeps the words apart.
            '@' | '#' | '!' => {
                let _ = write!(shown, "&#{};&#8203;", u32::from(c));
            }
            ':' if rest.starts_with("://") => shown.push_str("&#58;&#8203;"),
            'w' | 'W' if begins_with_www(rest) => {
                shown.push(c);
                shown.push_str("&#8203;");
            }
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '|' | '~' | '&' | '$' => {
                let _ = write!(shown, "&#{};", u32::from(c));
            }
            _ => shown.push(c),
        }
    }
    shown
}

/// A block of markdown that is shown as it is: its fence is longer than any that the text holds.
pub fn fenced(text: &str) -> String {
    let text = terminal(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{fence}\n{text}{end}{fence}\n")
}

/// For the message of a command of GitHub Actions: a line in the log of a job, of which nothing is taken for another command
/// (<https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts>). Line breaks stay what they are.
pub fn workflow_message(text: &str) -> String {
    terminal(text).replace('%', "%25").replace('\n', "%0A")
}

/// For one property of such a command.
pub fn workflow_property(text: &str) -> String {
    workflow_message(&line(text)).replace(':', "%3A").replace(',', "%2C")
}

/// For JSON that has been written out: the same document, without a character that acts on a terminal that shows it.
pub fn json(document: &str) -> Cow<'_, str> {
    escaped(
        document,
        |c| is_active(c) && c != '\n',
        |c, escaped| {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        },
    )
}

fn escaped(text: &str, is_hostile: impl Fn(char) -> bool, write: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.chars().any(&is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hostile(c) { write(c, &mut escaped) } else { escaped.push(c) }
    }
    Cow::Owned(escaped)
}

fn visible(c: char, escaped: &mut String) {
    match c {
        '\n' => escaped.push_str("\\n"),
        '\r' => escaped.push_str("\\r"),
        // A tab is a blank that no table can align.
        '\t' => escaped.push(' '),
        other => {
            let _ = write!(escaped, "\\u{{{:x}}}", u32::from(other));
        }
    }
}

fn begins_with_www(rest: &str) -> bool {
    rest.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("www."))
}

/// Whether a character does something instead of being seen: controls, those that set the direction of text, those without a
/// width, and the separators of lines that only some programs know (Unicode 16, general categories Cc, Cf, Zl and Zp, and
/// `Default_Ignorable_Code_Point`). The one that makes an emoji of a sign (FE0F) can hide nothing by itself, and stays.
fn is_active(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}'
        | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0e}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}'
        | '\u{110cd}' | '\u{13430}'..='\u{1345f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_shown_instead() {
        for (text, on_a_terminal, in_a_line) in [
            ("plain äöü ✓ ⚠️", "plain äöü ✓ ⚠️", "plain äöü ✓ ⚠️"),
            ("two\nlines", "two\nlines", "two\\nlines"),
            (
                "\u{1b}[2J\u{1b}]52;c;aGk=\u{7}",
                "\\u{1b}[2J\\u{1b}]52;c;aGk=\\u{7}",
                "\\u{1b}[2J\\u{1b}]52;c;aGk=\\u{7}",
            ),
            ("over\rwritten", "over\\rwritten", "over\\rwritten"),
            ("a\tb", "a b", "a b"),
            ("\u{9b}31m", "\\u{9b}31m", "\\u{9b}31m"),
            ("\u{202e}txt\u{2066}", "\\u{202e}txt\\u{2066}", "\\u{202e}txt\\u{2066}"),
            ("a\u{200b}b\u{feff}c\u{ad}", "a\\u{200b}b\\u{feff}c\\u{ad}", "a\\u{200b}b\\u{feff}c\\u{ad}"),
            ("\u{2028}\u{e0041}", "\\u{2028}\\u{e0041}", "\\u{2028}\\u{e0041}"),
        ] {
            assert_eq!(terminal(text), on_a_terminal, "{text:?}");
            assert_eq!(line(text), in_a_line, "{text:?}");
        }
    }

    #[test]
    fn of_what_acts_on_a_terminal_only_our_colours_are_left() {
        for (text, expected) in [
            ("plain\n", "plain\n"),
            ("\u{1b}[31mred\u{1b}[0m", "\u{1b}[31mred\u{1b}[0m"),
            ("\u{1b}[31;5mx\u{1b}[2J\u{1b}", "\\u{1b}[31;5mx\\u{1b}[2J\\u{1b}"),
            ("\u{9b}31m\r\u{202e}", "\\u{9b}31m\\r\\u{202e}"),
        ] {
            assert_eq!(painted(text), expected, "{text:?}");
        }
    }

    #[test]
    fn markdown_is_shown_as_it_was_written() {
        for (text, expected) in [
            ("3f2c1ab -> 8c1f0aa, 2 tasks", "3f2c1ab -> 8c1f0aa, 2 tasks"),
            ("ask @team", "ask &#64;&#8203;team"),
            ("# heading #12", "&#35;&#8203; heading &#35;&#8203;12"),
            ("[a](https://evil)", "&#91;a&#93;(https&#58;&#8203;//evil)"),
            ("see WWW.evil.com", "see W&#8203;WW.evil.com"),
            ("a | b\n| c", "a &#124; b&#92;n&#124; c"),
            ("`code` <img src=x>", "&#96;code&#96; &#60;img src=x>"),
            ("*a* _b_ ~c~ &lt;", "&#42;a&#42; &#95;b&#95; &#126;c&#126; &#38;lt;"),
        ] {
            assert_eq!(markdown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_fence_holds_whatever_is_in_it() {
        assert_eq!(fenced("plain"), "```\nplain\n```\n");
        assert_eq!(fenced("```\n# out\n"), "````\n```\n# out\n````\n");
        assert_eq!(fenced("`````"), "``````\n`````\n``````\n");
    }

    #[test]
    fn a_workflow_command_ends_where_it_should() {
        for (text, message, property) in [
            ("plain: a, b", "plain: a, b", "plain%3A a%2C b"),
            ("50%\n::error::x\r", "50%25%0A::error::x\\r", "50%25\\n%3A%3Aerror%3A%3Ax\\r"),
            ("\u{1b}[2J%0A", "\\u{1b}[2J%250A", "\\u{1b}[2J%250A"),
        ] {
            assert_eq!(workflow_message(text), message, "{text:?}");
            assert_eq!(workflow_property(text), property, "{text:?}");
        }
    }

    #[test]
    fn json_means_the_same_and_holds_nothing_active() {
        let value = serde_json::json!({"name": "\u{1b}[2J\u{202e}\u{9b}\u{e0041}\n", "k\u{200b}": ["ä"]});
        for document in [value.to_string(), format!("{value:#}")] {
            let shown = json(&document);
            assert!(shown.chars().all(|c| !is_active(c) || c == '\n'), "{shown:?}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        }
    }
}
