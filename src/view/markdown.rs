//! A plan for a pull request.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::attention::{Attention, attention};
use super::plan::{plan_of, summary};
use super::screen::Style;
use super::words::{change, first_failing, first_running, step_line};
use crate::documents::memory::Stamp;
use crate::escape::{fenced, markdown};
use crate::model::{Commit, Declaration, Target, Waiting};
use crate::plan::{self, Plan, Step};

/// For a pull request: a line an application, risks first, the details folded.
pub fn plan(declaration: &Declaration, plans: &[&Plan]) -> String {
    let sources: BTreeMap<&Target, &str> = declaration
        .readable()
        .filter_map(|desired| Some((&desired.target, desired.source.as_deref()?)))
        .collect();
    let mut text =
        format!("{}\n\n| application | change | now |\n|---|---|---|\n", markdown(&summary(plans)));
    let mut details = String::new();
    let mut plans = plans.to_vec();
    // What a reviewer has to weigh comes first, then what changes at all; the order of the declaration is kept otherwise.
    plans.sort_by_key(|plan| match &plan.outlook {
        Some(outlook) if !outlook.risks.is_empty() => 0,
        _ if !plan.steps.is_empty() => 1,
        _ if attention(plan) != Attention::Good => 2,
        _ => 3,
    });
    for plan in plans {
        let target = &plan.status.target;
        let (change, now) = match (&plan.waiting, plan.steps.first()) {
            (Some(Waiting::Settled), _) if plan.status.failing_since.is_some() => {
                (String::new(), markdown(&format!("its tasks fail: {}", first_failing(&plan.status))))
            }
            (Some(waiting), _) => (String::new(), markdown(&plan::waiting::describe(waiting))),
            (None, Some(step)) => {
                let risks = plan.outlook.iter().flat_map(|outlook| &outlook.risks);
                let risks = risks.fold(String::new(), |text, risk| text + "⚠ " + &markdown(risk) + "; ");
                let source = sources.get(target).copied();
                let (running, declared) = (first_running(&plan.status), plan.status.declared.as_ref());
                let change = match step {
                    Step::UpdateSettings { .. } | Step::Stamp { stamp: Stamp::Settings(_), .. }
                        if plan.outlook.is_none() =>
                    {
                        let declared = declared.map_or("?", Commit::short);
                        markdown(&format!("{declared}, other service settings"))
                    }
                    _ => linked(&change(&plan.status), source, running, declared),
                };
                (change, format!("{risks}{}", markdown(&step_line(step))))
            }
            (None, None) => (String::new(), String::new()),
        };
        let target = markdown(&target.to_string());
        let _ = writeln!(text, "| {target} | {change} | {now} |");
        if !plan.steps.is_empty() {
            let folded = fenced(&plan_of(plan, Style::Plain));
            let _ = write!(details, "\n<details><summary>{target}</summary>\n\n{folded}\n</details>\n");
        }
    }
    text + &details
}

/// What changes, with a link to the commits in between, which GitHub and GitLab show below this path.
fn linked(change: &str, source: Option<&str>, running: Option<&Commit>, declared: Option<&Commit>) -> String {
    let change = markdown(change);
    let ends_the_link = |c: char| c.is_whitespace() || c.is_control() || "()[]<>|\\`".contains(c);
    let is_plain = |source: &&str| source.starts_with("https://") && !source.contains(ends_the_link);
    match (source.filter(is_plain), running, declared) {
        (Some(source), Some(running), Some(declared)) if !running.matches(declared) => {
            let source = source.trim_end_matches('/');
            let (from, to) = (path_segment(running.as_str()), path_segment(declared.as_str()));
            format!("[{change}]({source}/compare/{from}...{to})")
        }
        _ => change,
    }
}

/// A commit in the path of an address: what is none that a path holds as it is ends nothing.
fn path_segment(text: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
    text.chars().filter(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::linked;
    use crate::model::Commit;

    #[test]
    fn a_change_leads_to_its_commits_where_the_source_is_a_plain_address() {
        let (one, two) = (Commit::new("3f2c1ab"), Commit::new("8c1f0aa"));
        let link = |source, to| linked("change", source, Some(&one), Some(to));
        let expected = "[change](https://github.com/mco/api/compare/3f2c1ab...8c1f0aa)";
        assert_eq!(link(Some("https://github.com/mco/api/"), &two), expected);
        for source in [None, Some("javascript:alert(1)"), Some("https://a/) | [b](https://c")] {
            assert_eq!(link(source, &two), "change", "{source:?}");
        }
        assert_eq!(link(Some("https://github.com/mco/api"), &one), "change");
    }
}
