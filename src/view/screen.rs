//! What all screens share: colour, marks, times, tables.
//!
//! Everything that is not the program's own text is made harmless here or where it is put into a line: colour comes last, around
//! text that is harmless already.

use std::fmt::Write as _;

use crate::escape::line;
use crate::model::Millis;

const SECOND: Millis = 1000;
const MINUTE: Millis = 60 * SECOND;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;

/// Whether colour and marks are shown: a file, a pipe and `NO_COLOR` get neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Coloured,
}

/// How a screen is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Show {
    pub style: Style,
    /// AWS's time.
    pub now: Millis,
}

/// How a text is shown, by what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    None,
    /// Runs as it should.
    Good,
    /// Goes on, or waits.
    Busy,
    /// Somebody should look.
    Bad,
    /// What matters first.
    Strong,
    /// What matters least.
    Faint,
}

impl Paint {
    /// "Select Graphic Rendition" of ECMA-48; [`crate::escape::painted`] lets through these alone.
    fn code(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Good => "\u{1b}[32m",
            Self::Busy => "\u{1b}[33m",
            Self::Bad => "\u{1b}[31m",
            Self::Strong => "\u{1b}[1m",
            Self::Faint => "\u{1b}[2m",
        }
    }
}

impl Style {
    pub fn paint(self, paint: Paint, text: &str) -> String {
        if self == Self::Plain || paint == Paint::None || text.is_empty() {
            return text.to_owned();
        }
        format!("{}{text}\u{1b}[0m", paint.code())
    }
}

/// One field of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    text: String,
    paint: Paint,
}

impl Cell {
    pub fn new(text: impl AsRef<str>) -> Self {
        Self::painted(Paint::None, text)
    }

    pub fn painted(paint: Paint, text: impl AsRef<str>) -> Self {
        Self { text: line(text.as_ref()).into_owned(), paint }
    }
}

/// Columns that nobody has anything in are left out.
pub fn table(style: Style, heads: &[&str], rows: &[Vec<Cell>]) -> String {
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| columns(&cell.text)).max();
    let shown: Vec<(usize, &str, usize)> = heads
        .iter()
        .enumerate()
        .filter_map(|(column, head)| {
            let widest = width(column).filter(|widest| *widest > 0)?;
            Some((column, *head, widest.max(columns(head))))
        })
        .collect();
    let mut text = String::new();
    let heads = shown.iter().map(|(_, head, width)| style.paint(Paint::Faint, &padded(head, *width)));
    put_line(&mut text, heads);
    for row in rows {
        let cells = shown.iter().map(|(column, _, width)| match row.get(*column) {
            Some(cell) => style.paint(cell.paint, &cell.text) + &padding(&cell.text, *width),
            None => padded("", *width),
        });
        put_line(&mut text, cells);
    }
    text
}

fn put_line(text: &mut String, cells: impl Iterator<Item = String>) {
    let line = cells.collect::<Vec<_>>().join("  ");
    // Blanks within colour are at the end of no line that anybody copies.
    let _ = writeln!(text, "{}", line.trim_end());
}

fn padded(text: &str, width: usize) -> String {
    text.to_owned() + &padding(text, width)
}

fn padding(text: &str, width: usize) -> String {
    " ".repeat(width.saturating_sub(columns(text)))
}

fn columns(text: &str) -> usize {
    text.chars().count()
}

/// How long it took or takes, in one number and a unit: `40 s`, `11 min`, `2 h`, `3 d`.
pub fn duration(millis: Millis) -> String {
    let millis = millis.max(0);
    match millis {
        _ if millis < 2 * MINUTE => format!("{} s", millis / SECOND),
        _ if millis < 2 * HOUR => format!("{} min", millis / MINUTE),
        _ if millis < 2 * DAY => format!("{} h", millis / HOUR),
        _ => format!("{} d", millis / DAY),
    }
}

/// The same, from a point in time until now.
pub fn age(since: Millis, now: Millis) -> String {
    duration(now.saturating_sub(since))
}

/// `4 min ago`, or `in 5 min`.
pub fn ago(at: Millis, now: Millis) -> String {
    if at > now { format!("in {}", age(now, at)) } else { format!("{} ago", age(at, now)) }
}

/// `2026-11-24 14:05:09`, in UTC.
pub fn date(at: Millis) -> String {
    let time = jiff::Timestamp::from_millisecond(at).unwrap_or_default();
    let time = time.to_zoned(jiff::tz::TimeZone::UTC).datetime();
    let (date, time) = (time.date(), time.time());
    format!("{date} {:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())
}

/// `14:05:09`, in UTC.
pub fn clock(at: Millis) -> String {
    date(at).split_off("2026-11-24 ".len())
}

/// Text of several lines, each behind so many blanks; the first one as it is.
pub fn hanging(text: &str, indent: usize) -> String {
    text.replace('\n', &format!("\n{}", " ".repeat(indent)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (millis, expected) in [
            (-5, "0 s"),
            (999, "0 s"),
            (40_000, "40 s"),
            (119_999, "119 s"),
            (2 * MINUTE, "2 min"),
            (119 * MINUTE, "119 min"),
            (2 * HOUR, "2 h"),
            (47 * HOUR, "47 h"),
            (3 * DAY, "3 d"),
        ] {
            assert_eq!(duration(millis), expected, "{millis}");
        }
        assert_eq!((ago(1000, 41_000), ago(41_000, 1000)), ("40 s ago".to_owned(), "in 40 s".to_owned()));
        assert_eq!(
            (date(1_795_000_000_000), clock(9000)),
            ("2026-11-18 11:06:40".to_owned(), "00:00:09".to_owned())
        );
    }

    #[test]
    fn colour_moves_no_column_and_an_empty_one_is_left_out() {
        let rows = vec![
            vec![Cell::painted(Paint::Bad, "bad"), Cell::new(""), Cell::new("x")],
            vec![Cell::new("longer"), Cell::new(""), Cell::new("\u{1b}[31m")],
        ];
        let heads = ["A", "EMPTY", "B"];
        assert_eq!(table(Style::Plain, &heads, &rows), "A       B\nbad     x\nlonger  \\u{1b}[31m\n");
        let coloured = table(Style::Coloured, &heads, &rows);
        assert!(coloured.contains("\u{1b}[31mbad\u{1b}[0m     x\n"), "{coloured:?}");
    }
}
