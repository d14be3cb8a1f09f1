//! Lines of logs, for people.

use std::fmt::Write as _;

use crate::escape::line;
use crate::model::Millis;

/// Letters of one line that are shown. `CloudWatch` Logs takes a million bytes; what matters stands in front (chosen).
const LONGEST: usize = 2_000;
/// Lines of one entry that are shown: a stack trace has some hundreds at most (chosen).
const MOST_LINES: usize = 200;

/// What was logged at once. What must not be shown of it is gone already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub at: Millis,
    /// Who logged it.
    pub prefix: String,
    pub text: String,
}

/// Each line of each entry with its time and who logged it.
pub fn lines(entries: &[Entry]) -> String {
    let mut shown = String::new();
    for Entry { at, prefix, text } in entries {
        let time = jiff::Timestamp::from_millisecond(*at).map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ"));
        let time = time.map(|time| time.to_string()).unwrap_or_default();
        let mut written = text.lines();
        for one in written.by_ref().take(MOST_LINES) {
            let _ = writeln!(shown, "{time} {}  {}", line(prefix), cut(one));
        }
        let left = written.count();
        if left > 0 {
            let _ = writeln!(shown, "{time} {}  … {left} more lines", line(prefix));
        }
    }
    shown
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", line(text.get(..end).unwrap_or_default())),
        None => line(text).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_says_when_and_who_and_is_bounded_and_harmless() {
        let shown = |text: &str| {
            lines(&[Entry { at: 1_000_500, prefix: "api/0123abcd".to_owned(), text: text.to_owned() }])
        };
        let expected = "1970-01-01T00:16:40Z api/0123abcd  one\n1970-01-01T00:16:40Z api/0123abcd    two\n";
        assert_eq!(shown("one\n  two\n"), expected);
        assert!(shown("\u{1b}[31mred").ends_with("\\u{1b}[31mred\n"));
        assert_eq!(shown(&"x".repeat(3000)).matches('x').count(), LONGEST);
        let many = shown(&"y\n".repeat(300));
        assert!(many.ends_with("… 100 more lines\n") && many.lines().count() == MOST_LINES + 1);
        assert_eq!(shown(""), "");
    }
}
