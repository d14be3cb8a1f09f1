//! The words for what is decided, the same wherever they are read.

use std::fmt::Write as _;

use super::screen::{Paint, Style};
use crate::documents::memory::Stamp;
use crate::escape::line;
use crate::model::{
    Cause, Commit, Difference, Health, LastRun, OutcomeKind, Phase, SettingsStamp, Status, Sync, Target,
    Waiting, Word,
};
use crate::plan::{self, Plan, Step, Why};

/// Of a service without a task that could say more.
const FEWER: &str = "fewer tasks run than are wanted";

/// How the last run ended of a task that a schedule starts.
pub(super) fn last_run(run: &LastRun) -> String {
    let ended =
        jiff::Timestamp::from_millisecond(run.ended_at).map(|time| time.to_string()).unwrap_or_default();
    match run.result {
        OutcomeKind::Succeeded => format!("last run ended well at {ended}"),
        OutcomeKind::Failed | OutcomeKind::Superseded => {
            let why = run.causes.first().map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("last run failed at {ended}{why}")
        }
    }
}

/// Why nothing is written, in a line: reasons hold what people and AWS have written.
pub fn described(waiting: &Waiting) -> String {
    line(&plan::waiting::describe(waiting)).into_owned()
}

pub fn named(target: &Target) -> String {
    line(&target.to_string()).into_owned()
}

pub(super) fn first_running(status: &Status) -> Option<&Commit> {
    status.running.first().and_then(|group| group.commits.first())
}

/// From what runs to what is declared; the same commit where only the task definition or the service changes.
pub(super) fn change(status: &Status) -> String {
    let running = first_running(status);
    let declared = status.declared.as_ref().map_or("?", Commit::short);
    match (running, &status.declared) {
        (Some(running), Some(commit)) if running.matches(commit) => {
            format!("{declared}, another configuration")
        }
        (running, _) => format!("{} -> {declared}", running.map_or("?", Commit::short)),
    }
}

/// Why something failed, what may mend it and what shows it, line by line.
pub fn told(causes: &[Cause]) -> String {
    let mut text = String::new();
    for cause in causes {
        let _ = writeln!(text, "  cause  {}", line(&cause.to_string()));
        if let Some(hint) = &cause.hint {
            let _ = writeln!(text, "  hint   {}", line(hint));
        }
        for evidence in &cause.evidence {
            let _ = writeln!(text, "  log    {}", line(&evidence.from));
            for logged in &evidence.lines {
                let _ = writeln!(text, "         {}", line(logged));
            }
        }
    }
    text
}

/// One field: what is added, removed or another by what is declared.
pub(super) fn changed(difference: &Difference, style: Style, indent: &str) -> String {
    let (live, desired) = (difference.live.as_deref(), difference.desired.as_deref());
    let (mark, paint) = match (live, desired) {
        (None, Some(_)) => ("+", Paint::Good),
        (Some(_), None) => ("-", Paint::Bad),
        _ => ("~", Paint::Busy),
    };
    let told = |value: Option<&str>| line(&short_digests(value.unwrap_or("-"))).into_owned();
    let field = line(&difference.field);
    format!("{indent}{} {field}  {} -> {}\n", style.paint(paint, mark), told(live), told(desired))
}

/// Enough of each digest to tell it apart; programs read all of it.
pub(super) fn short_digests(text: &str) -> String {
    const KIND: &str = "sha256:";
    const SHOWN: usize = 12;
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(KIND) {
        let (before, found) = rest.split_at(at + KIND.len());
        shown.push_str(before);
        let digits = found.bytes().take_while(u8::is_ascii_hexdigit).count();
        match found.split_at_checked(SHOWN) {
            Some((beginning, _)) if digits == 64 => {
                shown.push_str(beginning);
                shown.push('…');
                rest = found.get(digits..).unwrap_or_default();
            }
            _ => rest = found,
        }
    }
    shown + rest
}

/// What a person can do next, if anything.
pub fn next(plan: &Plan) -> Option<String> {
    let target = &plan.status.target;
    match plan.waiting.as_ref()? {
        Waiting::Held { stranded: None, .. } => {
            Some(format!("promote a fixed commit, or run `trueup retry {target}`"))
        }
        waiting => plan::waiting::hint(waiting, target),
    }
}

/// Why tasks of what is live fail, in a line.
pub fn first_failing(status: &Status) -> String {
    status.failing_causes.first().map_or_else(|| FEWER.to_owned(), ToString::to_string)
}

pub fn step_line(step: &Step) -> String {
    match step {
        Step::Register { commit, .. } => format!("register a task definition for {}", commit.short()),
        Step::Stamp { revision, stamp: Stamp::Settings(SettingsStamp { done: false, .. }) } => {
            format!("change the service settings, which is recorded on {} first", revision.short())
        }
        Step::Stamp { revision, stamp } => format!("record {} on {}", stamp.key(), revision.short()),
        Step::Deploy { revision, service, why, .. } => {
            let why = match why {
                Why::Rollback => ", back to the last good one",
                Why::Retry => ", once more",
                Why::GitChanged | Why::Interrupted | Why::FirstContact | Why::Drift => "",
            };
            format!("deploy {} to {service}{why}", revision.short())
        }
        Step::UpdateSettings { service, .. } => format!("update the settings of {service}"),
        Step::Undo { deployment } => format!("stop {deployment}, with rollback"),
        Step::Answer { deployment, word: Word::Go, .. } => format!("let {deployment} go on"),
        Step::Answer { deployment, word: Word::Back, .. } => format!("have {deployment} rolled back"),
        Step::EndStandby { deployment } => format!("end the old tasks of {deployment} now"),
        Step::CreateApplication { application } => format!("create CodeDeploy application {application}"),
        Step::CreateGroup { group, .. } => format!("create CodeDeploy group {group}"),
        Step::Retarget { schedule, revision, .. } => format!("have {schedule} run {}", revision.short()),
        Step::Run { revision, .. } => format!("run {} once", revision.short()),
        Step::StopRun { task, .. } => format!("stop task {task}, which goes on for too long"),
        Step::MoveTag { repository, tag, digest } => {
            format!("move tag {tag} of {repository} to {}", digest.short())
        }
    }
}

/// Why nothing is written, behind a sentence that says what cannot be done.
pub fn in_brackets(plan: &Plan) -> String {
    plan.waiting.as_ref().map_or_else(String::new, |waiting| format!(" ({})", described(waiting)))
}

pub fn sync(sync: Sync) -> &'static str {
    match sync {
        Sync::Synced => "Synced",
        Sync::OutOfSync => "OutOfSync",
        Sync::Unknown => "Unknown",
    }
}

pub fn health(health: Health) -> &'static str {
    match health {
        Health::Healthy => "Healthy",
        Health::Progressing => "Progressing",
        Health::Degraded => "Degraded",
        Health::Suspended => "Suspended",
        Health::Missing => "Missing",
        Health::Unknown => "Unknown",
    }
}

pub fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "Pending",
        Phase::InProgress => "InProgress",
        Phase::Succeeded => "Succeeded",
        Phase::RollingBack => "RollingBack",
        Phase::RolledBack => "RolledBack",
        Phase::Failed => "Failed",
        Phase::Superseded => "Superseded",
        Phase::Unknown => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_told_apart_by_their_beginning() {
        let digest = format!("repo@sha256:{}", "d4".repeat(32));
        assert_eq!(short_digests(&digest), "repo@sha256:d4d4d4d4d4d4…");
        for text in ["sha256:d4d4 and sha256:", "sha256:é", ""] {
            assert_eq!(short_digests(text), text);
        }
    }
}
