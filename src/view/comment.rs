//! The comment on a pull request: a mark by which it is found again, the plan, and no more than the host takes.

use sha2::{Digest as _, Sha256};

use crate::escape::markdown;

/// Digits of the hash in a mark: enough for the few jobs of one repository.
const DIGITS: usize = 12;
/// Kept for the sentence about what is left out.
const RESERVE: usize = 300;

/// Names the comment of one job among those of others that plan other targets or another folder. Readers do not see it.
pub fn mark(path: &str, targets: &[String]) -> String {
    let mut hash = Sha256::new();
    for part in std::iter::once(path).chain(targets.iter().map(String::as_str)) {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let digits: String = hex::encode(hash.finalize()).chars().take(DIGITS).collect();
    format!("<!-- trueup:plan {digits} -->")
}

/// The whole comment. `plan` is markdown that this program has written.
pub fn comment(mark: &str, targets: &[String], plan: &str, most: usize) -> String {
    let title = if targets.is_empty() { String::new() } else { format!(" of {}", targets.join(", ")) };
    let head = format!("{mark}\n**trueup plan**{}\n\n", markdown(&title));
    let whole = format!("{head}{plan}");
    if length(&whole) <= most {
        return whole;
    }
    let (kept, left) = cut(plan, most.saturating_sub(length(&head) + RESERVE));
    let rows = count(left.rows, "row", "rows");
    let details = count(left.details, "folded part", "folded parts");
    format!(
        "{head}{kept}\n**This comment is not complete:** a comment may have {most} characters, and {details} and {rows} were left out. The log of the job has all of it.\n"
    )
}

fn count(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// As hosts may count: a character outside of the Basic Multilingual Plane as two.
fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// What did not fit.
#[derive(Debug, Default, PartialEq, Eq)]
struct Left {
    rows: usize,
    details: usize,
}

/// As many whole lines as fit, outside of a fence and of what is folded: what comes after them is read as it is meant.
fn cut(text: &str, most: usize) -> (&str, Left) {
    let (mut fence, mut is_folded) = (None, false);
    let (mut used, mut at, mut kept) = (0, 0, 0);
    let mut left = Left::default();
    for whole in text.split_inclusive('\n') {
        let line = whole.trim_end_matches('\n');
        used += length(whole);
        at += whole.len();
        match fence {
            Some(open) if line == open => fence = None,
            Some(_) => {}
            None if line.len() >= 3 && line.bytes().all(|byte| byte == b'`') => fence = Some(line),
            None if line.starts_with("<details>") => is_folded = true,
            None if line == "</details>" => is_folded = false,
            None => {}
        }
        let is_over = used > most;
        if !is_over && fence.is_none() && !is_folded {
            (kept, left) = (at, Left::default());
        } else if fence.is_none() {
            left.details += usize::from(line.starts_with("<details>"));
            left.rows += usize::from(line.starts_with("| "));
        }
    }
    (text.get(..kept).unwrap_or_default(), left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_of_one_path_and_its_targets_and_ends_where_it_should() {
        let targets = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let marks = [
            mark("", &[]),
            mark("infra", &[]),
            mark("", &targets(&["infra"])),
            mark("", &targets(&["a", "b"])),
            mark("", &targets(&["ab"])),
            mark("", &targets(&["-->"])),
        ];
        let apart: std::collections::BTreeSet<&String> = marks.iter().collect();
        assert_eq!(apart.len(), marks.len());
        assert!(marks.iter().all(|mark| mark.matches("-->").count() == 1));
        assert_eq!(mark("infra", &[]), mark("infra", &[]));
    }

    #[test]
    fn what_does_not_fit_is_left_out_whole_and_counted() {
        let fold = |lines: &str| {
            format!("\n<details><summary>test/api</summary>\n\n````\n{lines}````\n\n</details>\n")
        };
        let long = "x".repeat(400);
        let folded = fold(&format!("```\n| no row\n</details>\n<details>\n{long}\n"));
        let plan = format!("summary\n\n| a | b |\n|---|---|\n| test/api | 1 |\n{folded}{folded}");
        let written = |most| comment("<!-- m -->", &[], &plan, most);
        let head = "<!-- m -->\n**trueup plan**\n\n";
        assert_eq!(written(100_000), format!("{head}{plan}"));
        let whole = length(&plan) + length(head);
        assert!(whole > 2 * RESERVE);
        for most in RESERVE..whole {
            let text = written(most);
            assert!(length(&text) <= most, "{most}: {text}");
            let end = text.split("**This comment is not complete:**").nth(1).unwrap();
            let kept = text.strip_prefix(head).unwrap().split("\n**This comment").next().unwrap();
            assert!(plan.starts_with(kept), "{most}");
            let fences = kept.matches("````").count();
            assert_eq!((fences % 2, kept.matches("<summary>").count()), (0, fences / 2), "{most}: {kept}");
            let folds = 2 - fences / 2;
            let parts =
                if folds == 1 { "1 folded part and".to_owned() } else { format!("{folds} folded parts and") };
            assert!(end.contains(&parts), "{most}: {end}");
        }
        let short = written(RESERVE + length(head) + 10);
        assert!(short.contains("2 folded parts and 2 rows were left out"), "{short}");
    }

    #[test]
    fn targets_are_shown_as_they_were_written() {
        let text = comment("m", &["*/api".to_owned(), "<b>".to_owned()], "", 1000);
        assert_eq!(text, "m\n**trueup plan** of &#42;/api, &#60;b>\n\n");
    }
}
