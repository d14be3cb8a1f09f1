//! Findings about one file, and the lines that they are about.

use super::tree::{Broken, Place};
use crate::masking::{may_hold_a_secret, may_name_a_secret};
use crate::model::{Finding, Position, Severity};

/// Bytes of a line that is repeated under a message; a whole document may stand in one.
const LONGEST_EXCERPT: usize = 200;

/// Findings that are told of one file, of one document or of one application in one environment, and of all together. Who has more mends
/// these first.
pub(crate) const MOST_OF_ONE: usize = 50;
pub(crate) const MOST_OF_ALL: usize = 5_000;

/// Collects findings about one file.
pub(crate) struct Report<'f> {
    file: &'f str,
    pub findings: Vec<Finding>,
}

impl<'f> Report<'f> {
    pub(crate) fn on(file: &'f str) -> Self {
        Self { file, findings: Vec::new() }
    }

    pub(crate) fn file(&self) -> &'f str {
        self.file
    }

    /// A hint can be added to what is returned.
    pub(crate) fn error(
        &mut self,
        place: impl Into<Place>,
        field: &str,
        message: impl Into<String>,
    ) -> &mut Finding {
        self.add(Severity::Error, place, field, message)
    }

    pub(crate) fn add(
        &mut self,
        severity: Severity,
        place: impl Into<Place>,
        field: &str,
        message: impl Into<String>,
    ) -> &mut Finding {
        self.findings.push_mut(finding(severity, self.file, place, field, message))
    }

    /// The text itself could not be read.
    pub(crate) fn broken(&mut self, broken: Broken) {
        self.error(broken.place, "", broken.message).hint = broken.hint.map(str::to_owned);
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

pub(crate) fn finding(
    severity: Severity,
    file: &str,
    place: impl Into<Place>,
    field: &str,
    message: impl Into<String>,
) -> Finding {
    Finding {
        severity,
        position: position(file, place),
        field: field.to_owned(),
        message: message.into(),
        hint: None,
        excerpt: None,
        targets: Vec::new(),
    }
}

pub(crate) fn position(file: &str, place: impl Into<Place>) -> Position {
    let Place { line, column } = place.into();
    Position { file: file.to_owned(), line, column }
}

/// One finding for what is wrong once, whatever number of applications and environments it concerns; in the order of their places.
pub(crate) fn said_once(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by(|one, two| {
        (&one.position, &one.message, &one.field).cmp(&(&two.position, &two.message, &two.field))
    });
    let mut said: Vec<Finding> = Vec::new();
    for finding in findings {
        let is_same = |one: &&mut Finding| {
            (one.severity, &one.position, &one.field, &one.message)
                == (finding.severity, &finding.position, &finding.field, &finding.message)
        };
        match said.last_mut().filter(is_same) {
            Some(one) => one.targets.extend(finding.targets),
            None => said.push(finding),
        }
    }
    for finding in &mut said {
        finding.targets.sort();
        finding.targets.dedup();
    }
    said
}

/// Leaves so many of them, errors rather than warnings, and one that says how many there were besides.
pub(crate) fn cut(findings: &mut Vec<Finding>, most: usize) {
    if findings.len() <= most {
        return;
    }
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let (mut errors, mut warnings) = (errors.min(most), most.saturating_sub(errors));
    let (mut left_out, mut first) = (0_usize, None);
    findings.retain(|finding| {
        let room = if finding.severity == Severity::Error { &mut errors } else { &mut warnings };
        let is_kept = *room > 0;
        *room = room.saturating_sub(1);
        if !is_kept {
            left_out += 1;
            first.get_or_insert_with(|| finding.clone());
        }
        is_kept
    });
    let Some(first) = first else { return };
    let message = format!("{left_out} more findings are left out");
    let hint = Some("mend those that are told".to_owned());
    findings.push(Finding { field: String::new(), message, hint, excerpt: None, ..first });
}

/// Adds to findings the lines that they are about. They are in order, so that a file is gone through once.
pub(crate) fn add_excerpts<'f>(findings: &mut [Finding], text: impl Fn(&str) -> Option<&'f str>) {
    for about_one in findings.chunk_by_mut(|one, two| one.position.file == two.position.file) {
        let text = about_one.first().and_then(|first| text(&first.position.file)).unwrap_or_default();
        let mut lines = (1..).zip(lines(text)).peekable();
        for finding in about_one {
            while lines.next_if(|(number, _)| *number < finding.position.line).is_some() {}
            let line = lines.peek().filter(|(number, _)| *number == finding.position.line);
            finding.excerpt = line.and_then(|(_, line)| excerpt(line));
        }
    }
}

/// As YAML counts them: a carriage return ends a line too.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('\r'))
}

/// What may hold a secret is not repeated. The length is asked first: all findings of a file may be about one line.
fn excerpt(line: &str) -> Option<String> {
    if line.len() > LONGEST_EXCERPT {
        return None;
    }
    let separates = |c: char| !c.is_ascii_alphanumeric() && !"_-".contains(c);
    // An address with a user, a query or a fragment.
    let may_let_in = |word: &str| word.contains("//") && word.contains(['@', '?', '#']);
    let may_be_secret = may_hold_a_secret(line)
        || line.split(separates).any(may_name_a_secret)
        || line.split_whitespace().any(may_let_in);
    (!may_be_secret).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_counted_and_errors_are_told_first() {
        let about = |severity, line| finding(severity, "a.yaml", Place { line, column: 1 }, "", "wrong");
        let all = || {
            let mut all: Vec<Finding> = (1..=4).map(|line| about(Severity::Warning, line)).collect();
            all.push(about(Severity::Error, 5));
            all
        };
        for (most, expected) in [
            (5, &[(1, "wrong"), (2, "wrong"), (3, "wrong"), (4, "wrong"), (5, "wrong")][..]),
            (2, &[(1, "wrong"), (5, "wrong"), (2, "3 more findings are left out")]),
        ] {
            let mut findings = all();
            cut(&mut findings, most);
            let told: Vec<(usize, &str)> =
                findings.iter().map(|one| (one.position.line, one.message.as_str())).collect();
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn a_long_line_is_not_gone_through_for_each_finding() {
        let line = "word: {x: y}, ".repeat(70_000);
        let about = finding(Severity::Error, "a.yaml", Place { line: 1, column: 1 }, "", "wrong");
        let mut findings = vec![about; MOST_OF_ALL];
        add_excerpts(&mut findings, |_| Some(&line));
        assert!(findings.iter().all(|finding| finding.excerpt.is_none()));
    }

    #[test]
    fn an_excerpt_is_the_line_itself_unless_it_is_long_or_may_hold_a_secret() {
        let long = "x".repeat(LONGEST_EXCERPT + 1);
        let one = format!("first: 1\npassword: hunter2\n{long}\nlast: 4");
        let texts = [("one.yaml", one.as_str()), ("two.yaml", "other: 1\r\nmore: 2\rlast: 3\n")];
        let places = [
            ("gone.yaml", 1, None),
            ("one.yaml", 0, None),
            ("one.yaml", 1, Some("first: 1")),
            ("one.yaml", 1, Some("first: 1")),
            ("one.yaml", 2, None),
            ("one.yaml", 3, None),
            ("one.yaml", 4, Some("last: 4")),
            ("one.yaml", 5, None),
            ("two.yaml", 1, Some("other: 1")),
            ("two.yaml", 3, Some("last: 3")),
        ];
        let about = |file, line| finding(Severity::Error, file, Place { line, column: 1 }, "", "wrong");
        let mut findings: Vec<Finding> = places.iter().map(|(file, line, _)| about(file, *line)).collect();
        let text = |file: &str| texts.iter().find(|(name, _)| *name == file).map(|(_, text)| *text);
        add_excerpts(&mut findings, text);
        let found: Vec<Option<&str>> = findings.iter().map(|finding| finding.excerpt.as_deref()).collect();
        assert_eq!(found, places.map(|(_, _, excerpt)| excerpt));
    }
}
