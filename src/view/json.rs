//! The JSON of `status` and `plan`: documented and stable, apart from the model.

use serde_json::{Value, json};

use super::words::{health, phase, sync};
use crate::escape::line;
use crate::model::{
    Cause, CauseKind, Commit, CommitSource, Condition, ConditionKind, Difference, Finding, Head, Hold,
    HookState, HookStatus, LastDeployment, LastRun, Millis, OnTimeout, OutcomeKind, Pause, Running, Share,
    Stage, StartedBy, Status, TaskDefinitionArn, Truth, Undo,
};
use crate::plan::{self, Plan, RULES, Step};

pub fn status(head: &Head, plans: &[&Plan]) -> Value {
    let one = |plan: &&Plan| if plan.status.is_observed { status_of(plan) } else { unobserved(&plan.status) };
    let applications: Vec<Value> = plans.iter().map(one).collect();
    json!({"infraCommit": head.commit.as_str(), "applications": applications})
}

/// A frozen application of which it is not known where it runs: nothing was read.
fn unobserved(status: &Status) -> Value {
    json!({
        "environment": status.target.environment.as_str(),
        "application": status.target.application.as_str(),
        "sync": sync(status.sync),
        "health": health(status.health),
        "conditions": status.conditions.iter().map(condition).collect::<Vec<_>>(),
        "waiting": status.waiting.as_ref().map(waiting),
    })
}

pub fn plan(plans: &[&Plan]) -> Value {
    let plans = plans.iter().map(|plan| {
        let differences = plan.differences.iter().map(difference);
        json!({
            "environment": plan.status.target.environment.as_str(),
            "application": plan.status.target.application.as_str(),
            "steps": plan.steps.iter().map(step).collect::<Vec<_>>(),
            "waiting": plan.waiting.as_ref().map(waiting),
            "rule": plan.rule.and_then(|place| RULES.get(place)).map(|rule| rule.name),
            "images": plan.outlook.iter().flat_map(|outlook| &outlook.images).map(|(image, digest)| {
                json!({"image": image, "digest": digest.as_str()})
            }).collect::<Vec<_>>(),
            "risks": plan.outlook.iter().flat_map(|outlook| &outlook.risks).collect::<Vec<_>>(),
            "differences": differences.collect::<Vec<_>>(),
            "causes": plan.status.causes.iter().map(cause).collect::<Vec<_>>(),
            "findings": plan.findings.iter().map(finding).collect::<Vec<_>>(),
        })
    });
    json!({"plans": plans.collect::<Vec<_>>()})
}

fn difference(difference: &Difference) -> Value {
    json!({"field": difference.field, "live": difference.live, "desired": difference.desired})
}

fn finding(finding: &Finding) -> Value {
    json!({
        "message": finding.message,
        "file": finding.position.file,
        "line": finding.position.line,
        "column": finding.position.column,
        "hint": finding.hint,
    })
}

fn step(step: &Step) -> Value {
    match step {
        Step::Register { commit, .. } => json!({"step": "Register", "commit": commit.as_str()}),
        Step::Stamp { revision, stamp } => {
            json!({"step": "Stamp", "revision": revision.short(), "key": stamp.key()})
        }
        Step::Deploy { revision, why, service, .. } => {
            json!({"step": "Deploy", "revision": revision.short(), "service": service.as_str(), "why": format!("{why:?}")})
        }
        Step::UpdateSettings { service, .. } => {
            json!({"step": "UpdateSettings", "service": service.as_str()})
        }
        Step::Undo { deployment } => json!({"step": "Stop", "deployment": deployment.to_string()}),
        Step::Answer { deployment, pause, .. } => {
            json!({"step": "Continue", "deployment": deployment.to_string(), "pause": pause})
        }
        Step::EndStandby { deployment } => json!({"step": "Continue", "deployment": deployment}),
        Step::CreateApplication { application } => {
            json!({"step": "CreateApplication", "application": application})
        }
        Step::CreateGroup { application, group, .. } => {
            json!({"step": "CreateGroup", "application": application, "group": group})
        }
        Step::Retarget { schedule, revision, .. } => {
            json!({"step": "Retarget", "schedule": schedule.to_string(), "revision": revision.short()})
        }
        Step::Run { revision, .. } => json!({"step": "Run", "revision": revision.short()}),
        Step::StopRun { task, .. } => json!({"step": "StopRun", "task": task}),
        Step::MoveTag { repository, digest, tag } => {
            json!({"step": "MoveTag", "repository": repository.as_str(), "tag": tag.as_str(), "digest": digest.as_str()})
        }
    }
}

fn waiting(waiting: &crate::model::Waiting) -> Value {
    json!({"reason": plan::waiting::reason(waiting), "message": plan::waiting::describe(waiting)})
}

fn status_of(plan: &Plan) -> Value {
    let status = &plan.status;
    json!({
        "environment": status.target.environment.as_str(),
        "application": status.target.application.as_str(),
        "declared": {"commit": status.declared.as_ref().map(Commit::as_str)},
        "tagged": {"commit": status.tagged.as_ref().map(Commit::as_str), "checkedAt": time(status.facts_checked_at)},
        "deployed": {
            "taskDefinition": status.deployed.as_ref().map(TaskDefinitionArn::short),
            "checkedAt": time(status.checked_at),
        },
        "running": status.running.iter().map(running).collect::<Vec<_>>(),
        "runningCheckedAt": time(status.facts_checked_at),
        "unread": status.unread.iter().map(|truth| truth_name(*truth)).collect::<Vec<_>>(),
        "desiredCount": status.desired_count,
        "sync": sync(status.sync),
        "health": health(status.health),
        "since": status.since.and_then(time),
        "hold": status.hold.as_ref().map(hold),
        "conditions": status.conditions.iter().map(condition).collect::<Vec<_>>(),
        "waiting": status.waiting.as_ref().map(waiting),
        "lastRun": status.last_run.as_ref().map(last_run),
        "lastDeployment": status.last_deployment.as_ref().map(deployment),
        "drift": status.drift.iter().map(difference).collect::<Vec<_>>(),
        "causes": status.causes.iter().map(cause).collect::<Vec<_>>(),
        "findings": plan.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn truth_name(truth: Truth) -> &'static str {
    match truth {
        Truth::Tagged => "tagged",
        Truth::Deployed => "deployed",
        Truth::Running => "running",
    }
}

fn hold(hold: &Hold) -> Value {
    json!({
        "commit": hold.commit.as_str(),
        "deployment": hold.deployment,
        "since": hold.since.and_then(time),
    })
}

/// Why something failed, in `status`, `plan` and alerts alike.
pub fn cause(cause: &Cause) -> Value {
    let evidence = cause.evidence.iter().map(|evidence| {
        let lines = evidence.lines.iter().map(|text| line(text)).collect::<Vec<_>>();
        json!({"from": line(&evidence.from), "lines": lines})
    });
    json!({
        "kind": cause.kind.name(),
        "exitCode": match cause.kind {
            CauseKind::Exit(code) => Some(code),
            _ => None,
        },
        "text": line(&cause.text),
        "count": cause.count,
        "hint": cause.hint.as_deref().map(line),
        "evidence": evidence.collect::<Vec<_>>(),
    })
}

fn running(running: &Running) -> Value {
    json!({
        "commits": running.commits.iter().map(Commit::as_str).collect::<Vec<_>>(),
        "commitsFrom": match running.source {
            CommitSource::Registry => "Registry",
            CommitSource::RevisionOfRemoved => "RevisionOfRemovedImage",
            CommitSource::RevisionOfUntagged => "RevisionOfUntaggedImage",
        },
        "digest": running.digest.as_ref().map(crate::model::Digest::as_str),
        "tasks": running.tasks,
        "draining": running.draining,
        "production": running.production.map(percent),
    })
}

fn condition(condition: &Condition) -> Value {
    let kind = match condition.kind {
        ConditionKind::Ready => "Ready",
        ConditionKind::Reconciling => "Reconciling",
        ConditionKind::Stalled => "Stalled",
    };
    json!({"type": kind, "status": condition.is_true, "reason": condition.reason, "message": condition.message})
}

fn deployment(last: &LastDeployment) -> Value {
    json!({
        "id": last.id,
        "commit": last.commit.as_ref().map(Commit::as_str),
        "phase": phase(last.phase),
        "stage": last.shift.as_ref().map(|shift| stage(shift.stage)),
        "awsStage": last.shift.as_ref().and_then(|shift| shift.aws_stage.as_deref()),
        "traffic": last.shift.as_ref().and_then(|shift| shift.production).map(percent),
        "testTraffic": last.shift.as_ref().and_then(|shift| shift.test).map(percent),
        "step": last.shift.as_ref().and_then(|shift| shift.step).map(|step| json!({"number": step.number, "of": step.of})),
        "pauses": last.shift.iter().flat_map(|shift| &shift.pauses).map(pause).collect::<Vec<_>>(),
        "hooks": last.shift.iter().flat_map(|shift| &shift.hooks).map(hook).collect::<Vec<_>>(),
        "until": last.shift.as_ref().and_then(|shift| shift.until).map(time),
        "undo": last.shift.as_ref().map(|shift| undo(shift.undo)),
        "startedBy": match last.started_by { StartedBy::Trueup => "trueup", StartedBy::Other => "other" },
        "startedAt": time(last.started_at),
        "endedAt": last.ended_at.map(time),
    })
}

fn last_run(run: &LastRun) -> Value {
    let result = if run.result == OutcomeKind::Succeeded { "Succeeded" } else { "Failed" };
    json!({"task": run.task, "result": result, "endedAt": time(run.ended_at), "causes": run.causes.iter().map(cause).collect::<Vec<_>>()})
}

fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Pending => "Pending",
        Stage::Reconciling => "Reconciling",
        Stage::Installing => "Installing",
        Stage::Testing => "Testing",
        Stage::Shifting => "Shifting",
        Stage::Checking => "Checking",
        Stage::Standby => "Standby",
        Stage::CleaningUp => "CleaningUp",
        Stage::Ended => "Ended",
        Stage::Unknown => "Unknown",
    }
}

/// A number where it is a whole one, and with one decimal place where not.
fn percent(share: Share) -> Value {
    match share.tenths() {
        tenths if tenths % 10 == 0 => json!(tenths / 10),
        _ => json!(share.percent()),
    }
}

fn pause(pause: &Pause) -> Value {
    let then = match pause.then {
        OnTimeout::Rollback => "Rollback",
        OnTimeout::Continue => "Continue",
    };
    json!({"id": pause.id, "until": pause.until.map(time), "then": then})
}

fn hook(hook: &HookState) -> Value {
    let status = match hook.status {
        HookStatus::InProgress => "InProgress",
        HookStatus::Succeeded => "Succeeded",
        HookStatus::Failed => "Failed",
        HookStatus::TimedOut => "TimedOut",
        HookStatus::Unknown => "Unknown",
    };
    json!({"function": hook.function, "status": status})
}

fn undo(undo: Undo) -> &'static str {
    match undo {
        Undo::Fast => "Fast",
        Undo::Slow => "Slow",
        Undo::No => "No",
    }
}

pub(super) fn time(millis: Millis) -> Option<String> {
    jiff::Timestamp::from_millisecond(millis).ok().map(|time| time.to_string())
}
