//! The table that is printed: measured, limit, ratio.

use std::fmt;

#[derive(Debug)]
pub struct Row {
    what: String,
    measured: f64,
    /// What AWS's rates, or what is asked of trueup, allow at best.
    limit: Option<f64>,
}

#[derive(Debug, Default)]
pub struct Table(Vec<Row>);

impl Row {
    pub fn new(what: &str, measured: f64, limit: Option<f64>) -> Self {
        Self { what: what.to_owned(), measured, limit }
    }

    fn ratio(&self) -> String {
        match self.limit {
            Some(limit) if limit > 0.0 => format!("{:.2}", self.measured / limit),
            Some(_) if self.measured > 0.0 => "over".to_owned(),
            _ => String::new(),
        }
    }
}

impl Table {
    /// Each row is told as soon as it is known: what comes after it may never end.
    #[expect(clippy::print_stderr, reason = "a measurement is read by people")]
    pub fn push(&mut self, row: Row) {
        eprintln!("  {row}");
        self.0.push(row);
    }
}

fn number(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = self.limit.map(number).unwrap_or_default();
        write!(formatter, "| {} | {} | {limit} | {} |", self.what, number(self.measured), self.ratio())
    }
}

/// Markdown, as `docs/performance.md` has it.
impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "| what | measured | limit | ratio |\n|---|---|---|---|")?;
        self.0.iter().try_for_each(|row| writeln!(formatter, "{row}"))
    }
}
