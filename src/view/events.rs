//! What changed lately, one line each: what git declared, and what began and ended at AWS.

use super::history::{commit, entries, outcome, paint};
use super::screen::{Paint, Show, age, date};
use crate::escape::line;
use crate::model::{Head, Millis, Past, PastDeployment, StartedBy, Target};

/// What no process that has just started can know.
const END: &str = "From git and from the deployments that AWS lists. What started no deployment, an
approval and an alert leave no trace there: see CloudTrail and the controller's log";

/// The oldest first, from a point in time on.
pub fn lines(all: &[(Target, Past)], since: Millis, show: Show) -> Vec<String> {
    let mut found: Vec<(Millis, Paint, String)> = Vec::new();
    for (target, one) in entries(all) {
        if let Some(head) = &one.declared_in {
            found.push((time(head), Paint::None, declared(target, one, head)));
        }
        if one.phase.is_some() {
            if one.at > 0 {
                found.push((one.at, Paint::Busy, started(target, one)));
            }
            if let Some(ended) = one.ended_at {
                found.push((ended, paint(one.phase), ended_as(target, one, ended)));
            }
        }
    }
    found.retain(|(at, ..)| *at >= since);
    found.sort_by_key(|(at, ..)| *at);
    // Several deployments of one declaration say once that it was declared.
    found.dedup();
    let shown = found
        .into_iter()
        .map(|(at, paint, text)| format!("{}  {}", date(at), show.style.paint(paint, &text)));
    shown.collect()
}

/// What is said below them.
pub fn end(is_empty: bool, show: Show) -> String {
    let nothing = if is_empty { "nothing has changed\n" } else { "" };
    format!("{nothing}\n{}\n", show.style.paint(Paint::Faint, END))
}

fn time(head: &Head) -> Millis {
    head.time.saturating_mul(1000)
}

fn declared(target: &Target, one: &PastDeployment, head: &Head) -> String {
    let short = head.commit.as_str().get(..7).unwrap_or_default();
    let told =
        format!("{target}  {} declared by {} in {short} \"{}\"", commit(one), head.author, head.summary);
    line(&told).into_owned()
}

fn started(target: &Target, one: &PastDeployment) -> String {
    let by = match one.started_by {
        Some(StartedBy::Trueup) => " by trueup",
        Some(StartedBy::Other) => " outside trueup",
        None => "",
    };
    line(&format!("{target}  {} starts{by}", commit(one))).into_owned()
}

fn ended_as(target: &Target, one: &PastDeployment, ended: Millis) -> String {
    let why = one.causes.first().map(|cause| format!(": {cause}")).unwrap_or_default();
    let took = age(one.at, ended);
    line(&format!("{target}  {} {} after {took}{why}", commit(one), outcome(one.phase))).into_owned()
}
