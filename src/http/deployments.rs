//! Which deployments are counted: each once, whatever becomes of the processes that follow it. Pure; the counting itself is in
//! `metrics.rs`.
//!
//! The outcome of a deployment is on record on its revision, and that record divides the work: a process counts what comes on record
//! while it looks, and what it finds on record when it starts was counted by another. What ended while no process ran is not on record
//! yet, so that the next one counts it. A process that dies between the record and the count takes its counters with it. Deployments to
//! revisions that trueup did not register have no record, and are not counted.

use std::collections::{BTreeMap, BTreeSet};

use crate::controller::{Outcome, SweepResult};
use crate::model::{Commit, LastDeployment, Millis, OutcomeKind, Phase, StartedBy, Target};

/// A deployment that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub target: Target,
    pub outcome: OutcomeKind,
    /// In milliseconds, between the two times that AWS tells; `None` where it tells only one.
    pub took: Option<Millis>,
    /// What it has brought, where that is new here.
    pub arrival: Option<Arrival>,
}

/// A commit that has come to run where another one of git's ran before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub target: Target,
    pub commit: Commit,
    /// When its deployment ended, by AWS.
    pub at: Millis,
}

/// The deployments of which this process is to count the outcome.
#[derive(Debug, Default)]
pub struct Deployments {
    /// By target, the newest deployment while its outcome is not on record; dropped when it is.
    open: BTreeMap<Target, String>,
}

impl Deployments {
    /// The deployment whose outcome has come on record since the look before, or by the write that followed this one.
    pub fn look(&mut self, one: &SweepResult) -> Option<Ended> {
        let status = &one.plan.status;
        let last = status.last_deployment.as_ref()?;
        let id = last.id.as_ref()?;
        let outcome = if status.is_recorded {
            of_phase(last.phase).filter(|_| self.open.get(&one.target) == Some(id))
        } else {
            self.open.insert(one.target.clone(), id.clone());
            recorded(&one.outcome, id)
        }?;
        self.open.remove(&one.target);
        Some(Ended {
            target: one.target.clone(),
            outcome,
            took: took(last),
            arrival: arrival(&one.target, last).filter(|_| outcome == OutcomeKind::Succeeded),
        })
    }

    /// Somebody else counts it from now on.
    pub fn forget(&mut self, target: &Target) {
        self.open.remove(target);
    }

    pub fn retain(&mut self, declared: &BTreeSet<Target>) {
        self.open.retain(|target, _| declared.contains(target));
    }
}

/// What this process has just put on record of a deployment.
fn recorded(outcome: &Outcome, deployment: &str) -> Option<OutcomeKind> {
    let Outcome::Wrote(step) = outcome else { return None };
    step.outcome().filter(|outcome| outcome.deployment == deployment).map(|outcome| outcome.result)
}

/// The outcome that is on record of a deployment, once it is over: a person's word, and an answer of AWS that was lost, are only seen
/// by that.
fn of_phase(phase: Phase) -> Option<OutcomeKind> {
    match phase {
        Phase::Succeeded => Some(OutcomeKind::Succeeded),
        Phase::Failed | Phase::RolledBack => Some(OutcomeKind::Failed),
        Phase::Superseded => Some(OutcomeKind::Superseded),
        Phase::Pending | Phase::InProgress | Phase::RollingBack | Phase::Unknown => None,
    }
}

fn took(last: &LastDeployment) -> Option<Millis> {
    let took = last.ended_at?.saturating_sub(last.started_at);
    (last.started_at > 0 && took >= 0).then_some(took)
}

fn arrival(target: &Target, last: &LastDeployment) -> Option<Arrival> {
    let (commit, before) = (last.commit.as_ref()?, last.replaces.as_ref()?);
    let is_new = last.started_by == StartedBy::Trueup && !before.matches(commit);
    let arrival = || Some(Arrival { target: target.clone(), commit: commit.clone(), at: last.ended_at? });
    is_new.then(arrival).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::Requeue;
    use crate::documents::memory::Stamp;
    use crate::model::{self, ApplicationName, EnvironmentName, TaskDefinitionArn};
    use crate::plan::{Plan, Step};
    use OutcomeKind::{Failed, Succeeded, Superseded};

    /// What a look has found of a deployment, and what was put on record after it.
    #[derive(Clone)]
    struct Look {
        id: &'static str,
        phase: Phase,
        is_recorded: bool,
        writes: Option<(OutcomeKind, &'static str)>,
    }

    fn goes_on(id: &'static str) -> Look {
        Look { id, phase: Phase::InProgress, is_recorded: false, writes: None }
    }

    fn unrecorded(id: &'static str, phase: Phase) -> Look {
        Look { phase, ..goes_on(id) }
    }

    fn records(id: &'static str, phase: Phase, result: OutcomeKind) -> Look {
        Look { phase, writes: Some((result, id)), ..goes_on(id) }
    }

    fn recorded(id: &'static str, phase: Phase) -> Look {
        Look { phase, is_recorded: true, ..goes_on(id) }
    }

    fn target() -> Target {
        Target { environment: EnvironmentName::new("test"), application: ApplicationName::new("api") }
    }

    fn last(id: &str, phase: Phase) -> LastDeployment {
        LastDeployment {
            id: Some(id.to_owned()),
            commit: Some(Commit::new("bbbbbbb")),
            phase,
            shift: None,
            started_by: StartedBy::Trueup,
            infra: None,
            started_at: 1_000,
            ended_at: Some(61_000),
            replaces: Some(Commit::new("aaaaaaa")),
            causes: Vec::new(),
        }
    }

    fn swept(look: &Look) -> SweepResult {
        let mut plan = Plan::unobserved(&target(), 0);
        plan.status.last_deployment = Some(last(look.id, look.phase));
        plan.status.is_recorded = look.is_recorded;
        let stamp = |(result, deployment): (OutcomeKind, &str)| {
            let outcome = model::Outcome { result, deployment: deployment.to_owned() };
            let stamp = Stamp::Outcome { outcome, generation: Some(1) };
            Outcome::Wrote(Step::Stamp { revision: TaskDefinitionArn::new("api:2"), stamp })
        };
        let outcome = look.writes.map_or(Outcome::Nothing, stamp);
        SweepResult { target: target(), plan, outcome, requeue: Requeue::Now }
    }

    fn counted(looks: &[Look]) -> Vec<OutcomeKind> {
        let mut deployments = Deployments::default();
        looks.iter().filter_map(|look| deployments.look(&swept(look))).map(|ended| ended.outcome).collect()
    }

    #[test]
    fn a_deployment_is_counted_once_by_who_sees_its_outcome_come_on_record() {
        use Phase::{InProgress, RolledBack, RollingBack};
        for (what, looks, expected) in [
            (
                "followed to its end",
                vec![
                    goes_on("d2"),
                    records("d2", Phase::Succeeded, Succeeded),
                    recorded("d2", Phase::Succeeded),
                ],
                vec![Succeeded],
            ),
            (
                "it ended while nobody looked",
                vec![records("d2", Phase::Succeeded, Succeeded)],
                vec![Succeeded],
            ),
            ("another one has counted it", vec![recorded("d2", Phase::Succeeded); 3], vec![]),
            (
                "the answer to the record was lost",
                vec![unrecorded("d2", Phase::Failed), recorded("d2", Phase::Failed)],
                vec![Failed],
            ),
            (
                "a person has put it on record before it was over",
                vec![
                    goes_on("d2"),
                    recorded("d2", InProgress),
                    recorded("d2", RollingBack),
                    recorded("d2", RolledBack),
                    recorded("d2", RolledBack),
                ],
                vec![Failed],
            ),
            (
                "on record before it is undone",
                vec![
                    records("d2", InProgress, Superseded),
                    recorded("d2", RollingBack),
                    recorded("d2", Phase::Superseded),
                    goes_on("d3"),
                    records("d3", Phase::Succeeded, Succeeded),
                ],
                vec![Superseded, Succeeded],
            ),
            ("nothing is ever on record of it", vec![unrecorded("d2", Phase::Succeeded); 3], vec![]),
            (
                "an older one is put on record anew",
                vec![
                    recorded("d3", RolledBack),
                    Look { writes: Some((Succeeded, "d1")), ..recorded("d3", RolledBack) },
                ],
                vec![],
            ),
            (
                "once more on record, of a later stamp",
                vec![Look { writes: Some((Succeeded, "d2")), ..recorded("d2", Phase::Succeeded) }],
                vec![],
            ),
        ] {
            assert_eq!(counted(&looks), expected, "{what}");
        }
    }

    #[test]
    fn who_hands_a_target_over_counts_nothing_of_it_any_more() {
        let mut deployments = Deployments::default();
        assert_eq!(deployments.look(&swept(&goes_on("d2"))), None);
        deployments.forget(&target());
        assert_eq!(deployments.look(&swept(&recorded("d2", Phase::Succeeded))), None);
        assert_eq!(deployments.look(&swept(&goes_on("d3"))), None);
        deployments.retain(&BTreeSet::new());
        assert_eq!(deployments.look(&swept(&recorded("d3", Phase::Succeeded))), None);
    }

    #[test]
    fn a_time_that_aws_does_not_tell_is_not_made_up() {
        let of = |started_at, ended_at| {
            took(&LastDeployment { started_at, ended_at, ..last("d2", Phase::Failed) })
        };
        assert_eq!(of(1_000, Some(61_000)), Some(60_000));
        assert_eq!(of(0, Some(61_000)), None);
        assert_eq!(of(1_000, None), None);
        assert_eq!(of(61_000, Some(1_000)), None);
    }

    #[test]
    fn what_arrives_is_a_commit_of_git_that_did_not_run_before() {
        let whole = last("d2", Phase::Succeeded);
        let arrived = |last: &LastDeployment| arrival(&target(), last).map(|arrival| arrival.at);
        assert_eq!(arrived(&whole), Some(61_000));
        for last in [
            LastDeployment { replaces: Some(Commit::new("bbbbbbb0")), ..whole.clone() },
            LastDeployment { replaces: None, ..whole.clone() },
            LastDeployment { commit: None, ..whole.clone() },
            LastDeployment { ended_at: None, ..whole.clone() },
            LastDeployment { started_by: StartedBy::Other, ..whole.clone() },
        ] {
            assert_eq!(arrived(&last), None, "{last:?}");
        }
        let mut deployments = Deployments::default();
        let failed = deployments.look(&swept(&records("d2", Phase::Failed, Failed))).unwrap();
        assert_eq!((failed.took, failed.arrival), (Some(60_000), None));
    }
}
