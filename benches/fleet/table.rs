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
    pub fn push(&mut self, row: Row) {
        self.0.push(row);
    }
}

fn number(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// Markdown, as `docs/performance.md` has it.
impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "| what | measured | limit | ratio |\n|---|---|---|---|")?;
        for row in &self.0 {
            let limit = row.limit.map(number).unwrap_or_default();
            writeln!(formatter, "| {} | {} | {limit} | {} |", row.what, number(row.measured), row.ratio())?;
        }
        Ok(())
    }
}
