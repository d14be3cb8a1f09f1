//! How a command ends, for CI: the exit code of every command that looks at AWS, by where the applications stand. Pure.
//! docs/commands.md shows the same table.

use crate::controller::SweepResult;
use crate::model::{Health, Status, Sync, Waiting};
use crate::plan::Plan;
use crate::plan::waiting::{Class, class};

/// How a command ended; the number is its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    Good = 0,
    Error = 1,
    Changes = 2,
    Failed = 3,
    NotReached = 4,
}

/// Who asks how things stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Plan,
    /// When it ends.
    Reconcile,
    /// When it ends.
    Wait,
    /// With `--exit-code`.
    Status,
}

/// Where one application stands, as far as it matters for what a command ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    AsDeclared,
    /// As declared, with a desired count of 0.
    Unproven,
    /// As declared, and the environment tag waits for the applications that share it.
    TagWaits,
    /// As declared, and the registry does not let the environment tag move.
    TagStays,
    /// As declared, and the environment tag waits for the end of a suspension.
    TagSuspended,
    /// A write comes next.
    Change,
    Moving,
    Others,
    NotBuilt,
    /// What is declared is deployed, and does not run well.
    NotHealthy,
    Drifted,
    /// A change is due in an environment with `mode: observe`.
    Observed,
    /// A change is due, and a person has suspended it.
    Suspended,
    /// A service that trueup only observes runs something else.
    OnlyObserved,
    Failed,
    Stalled,
    Unreadable,
    Frozen,
}

/// Where an application stands by the decision about it.
pub(super) fn standing(plan: &Plan) -> Standing {
    let status = &plan.status;
    let runs = match (status.sync, status.health) {
        (Sync::Synced, Health::Healthy) => Some(Standing::AsDeclared),
        (Sync::Synced, Health::Suspended) => Some(Standing::Unproven),
        _ => None,
    };
    let Some(waiting) = &plan.waiting else { return Standing::Change };
    // What is said of one kind of wait goes before what is said of its class.
    match (waiting, runs) {
        (Waiting::Frozen, _) => return Standing::Frozen,
        (Waiting::TagShared { .. }, Some(_)) => return Standing::TagWaits,
        (Waiting::TagImmutable { .. }, Some(_)) => return Standing::TagStays,
        (Waiting::Suspended(_), Some(Standing::AsDeclared)) if !is_tagged(plan) => {
            return Standing::TagSuspended;
        }
        (Waiting::Drifted, _) => return Standing::Drifted,
        (Waiting::Observing, None) => return Standing::Observed,
        (Waiting::Suspended(_), None) => return Standing::Suspended,
        (Waiting::UnsupportedController(_), None) => return Standing::OnlyObserved,
        _ => {}
    }
    match (class(waiting), runs) {
        (Class::Failed, _) => Standing::Failed,
        (Class::Stalled, _) => Standing::Stalled,
        (Class::Unreadable, _) => Standing::Unreadable,
        (Class::Moving, _) => Standing::Moving,
        (Class::Others, _) => Standing::Others,
        (Class::Build, _) => Standing::NotBuilt,
        (Class::Settled, Some(runs)) => runs,
        (Class::Settled, None) => Standing::NotHealthy,
    }
}

/// Whether the environment tag is on what is declared.
fn is_tagged(plan: &Plan) -> bool {
    let Status { declared, tagged, .. } = &plan.status;
    declared.as_ref().zip(tagged.as_ref()).is_some_and(|(declared, tagged)| tagged.matches(declared))
}

/// What a command ends with where an application stands so.
pub(super) fn end(asked: Asked, standing: Standing) -> End {
    match (standing, asked) {
        (Standing::AsDeclared | Standing::Unproven, _) => End::Good,
        (Standing::TagWaits | Standing::TagStays, Asked::Wait) => End::Good,
        // What was asked for is as it should be during a suspension; only the move of the tag is still to come.
        (Standing::TagSuspended, Asked::Plan | Asked::Reconcile | Asked::Status) => End::Good,
        (Standing::Change, Asked::Plan) => End::Changes,
        (Standing::Failed, _) => End::Failed,
        (Standing::TagStays | Standing::Stalled | Standing::Unreadable | Standing::Frozen, _) => End::Error,
        _ => End::NotReached,
    }
}

/// What a command ends with over all applications: the lowest number that is not 0.
pub(super) fn of(asked: Asked, swept: &[SweepResult]) -> End {
    lowest(swept.iter().map(|one| end(asked, standing(&one.plan))))
}

/// An error goes before all else, since what is said beside it is not all that there is to say.
pub(super) fn lowest(ends: impl IntoIterator<Item = End>) -> End {
    ends.into_iter().filter(|end| *end != End::Good).min().unwrap_or(End::Good)
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{
        ApplicationName, Commit, Controller, EnvironmentName, Phase, StartedBy, Suspension, SuspensionScope,
        Target, TaskDefinitionArn,
    };
    use crate::plan::Step;

    /// Every standing, by its words in docs/commands.md.
    const ROWS: [(Standing, &str); 18] = [
        (Standing::AsDeclared, "what is declared runs and is healthy"),
        (Standing::Unproven, "what is declared is deployed, with a desired count of 0"),
        (Standing::TagWaits, "it runs; the environment tag waits for the applications that share it"),
        (Standing::TagStays, "it runs; the registry does not let the environment tag move"),
        (Standing::TagSuspended, "it runs; the environment tag waits for the end of a suspension"),
        (Standing::Change, "trueup makes a write next"),
        (Standing::Moving, "a deployment is in progress"),
        (Standing::Others, "it waits for another application"),
        (Standing::NotBuilt, "the image is not built yet"),
        (Standing::NotHealthy, "what is declared is deployed and is not healthy"),
        (Standing::Drifted, "drifted, and `drift` is not `heal`"),
        (Standing::Observed, "a change is due, and `mode` is `observe`"),
        (Standing::Suspended, "a change is due, and it is suspended"),
        (Standing::OnlyObserved, "another commit runs in a service that trueup only observes"),
        (Standing::Failed, "the deployment failed, or the commit is on hold"),
        (Standing::Stalled, "stalled: only a person can end it"),
        (Standing::Unreadable, "AWS or the history of the repository cannot be read"),
        (Standing::Frozen, "frozen: the files have errors"),
    ];

    #[test]
    fn the_documentation_shows_the_table_of_exit_codes() {
        let page = include_str!("../../docs/commands.md");
        let table: BTreeMap<&str, Vec<&str>> = page
            .lines()
            .skip_while(|line| !line.starts_with("| situation |"))
            .skip(2)
            .take_while(|line| line.starts_with("| "))
            .filter_map(|line| {
                let mut cells = line.trim_matches('|').split(" | ").map(str::trim);
                Some((cells.next()?, cells.collect()))
            })
            .collect();
        for (standing, words) in ROWS {
            let codes = [Asked::Plan, Asked::Reconcile, Asked::Wait, Asked::Status]
                .map(|asked| (end(asked, standing) as u8).to_string());
            assert_eq!(
                table.get(words).cloned(),
                Some(codes.iter().map(String::as_str).collect()),
                "{words}"
            );
        }
        assert_eq!(table.len(), ROWS.len(), "a row of no standing");
    }

    pub(in crate::cli) fn target() -> Target {
        Target { environment: EnvironmentName::new("test"), application: ApplicationName::new("api") }
    }

    pub(in crate::cli) fn suspended() -> Option<Waiting> {
        let (reason, scope) = ("freeze".to_owned(), SuspensionScope::Application);
        Some(Waiting::Suspended(Suspension { until: None, reason, scope }))
    }

    /// The plan of `test/api` with this wait, or with a step.
    pub(in crate::cli) fn plan(waiting: Option<Waiting>, sync: Sync, health: Health) -> Plan {
        let steps = match waiting {
            Some(_) => Vec::new(),
            None => vec![Step::CreateApplication { application: "API".to_owned() }],
        };
        let status = Status {
            target: target(),
            checked_at: 0,
            facts_checked_at: 0,
            declared: None,
            stands_for: Vec::new(),
            tagged: None,
            deployed: None,
            running: Vec::new(),
            desired_count: 1,
            sync,
            health,
            conditions: Vec::new(),
            waiting: waiting.clone(),
            last_deployment: None,
            drift: Vec::new(),
            is_recorded: true,
            proof: crate::model::Proof::Proven,
            last_run: None,
            failing_since: None,
            failing_causes: Vec::new(),
            good: std::collections::BTreeMap::new(),
            is_observed: true,
            since: None,
            hold: None,
            unread: std::collections::BTreeSet::new(),
            kept: Vec::new(),
            causes: Vec::new(),
        };
        Plan {
            steps,
            waiting,
            rule: None,
            differences: Vec::new(),
            outlook: None,
            failure: None,
            retry: None,
            accept_history: None,
            unsettled: None,
            run_again: None,
            approval: None,
            migration: None,
            reports: Vec::new(),
            findings: Vec::new(),
            status,
        }
    }

    #[test]
    fn what_ends_well_runs_as_declared() {
        let shared = || Some(Waiting::TagShared { tag: "test".to_owned(), with: "test/web".to_owned() });
        let immutable =
            || Some(Waiting::TagImmutable { repository: "mco/api".to_owned(), tag: "test".to_owned() });
        let missing = || Some(Waiting::ServiceMissing { service: "s".to_owned(), cluster: "mco".to_owned() });
        let behind = || {
            let revision = TaskDefinitionArn::new("f:1");
            Some(Waiting::SourceBehind { applied: "abc".to_owned(), revision })
        };
        let deploying = || {
            let (phase, by) = (Phase::InProgress, StartedBy::Trueup);
            Some(Waiting::Deploying { phase, commit: None, by, shift: None })
        };
        let held = || {
            let commit = Commit::new("bad0bad");
            Some(Waiting::Held { commit, deployment: None, stranded: None })
        };
        let unreadable = || Some(Waiting::Unreadable { what: "the service", why: "denied".to_owned() });
        let external = || Some(Waiting::UnsupportedController(Controller::External));
        let unbuilt = || {
            Some(Waiting::ImageNotBuilt {
                repository: "mco/api".to_owned(),
                tag: "bad0bad".to_owned(),
                tag_match: crate::model::TagMatch::Exact,
            })
        };
        let turn = || Some(Waiting::Turn { why: "after test/db".to_owned() });
        let cases = [
            (Some(Waiting::Settled), Sync::Synced, Health::Healthy, Standing::AsDeclared),
            (Some(Waiting::Settled), Sync::Synced, Health::Suspended, Standing::Unproven),
            (Some(Waiting::Settled), Sync::Synced, Health::Degraded, Standing::NotHealthy),
            (Some(Waiting::Settled), Sync::Synced, Health::Progressing, Standing::NotHealthy),
            (Some(Waiting::Observing), Sync::Synced, Health::Healthy, Standing::AsDeclared),
            (Some(Waiting::Observing), Sync::OutOfSync, Health::Healthy, Standing::Observed),
            (suspended(), Sync::Synced, Health::Healthy, Standing::TagSuspended),
            (suspended(), Sync::Synced, Health::Suspended, Standing::Unproven),
            (suspended(), Sync::OutOfSync, Health::Healthy, Standing::Suspended),
            (external(), Sync::Synced, Health::Healthy, Standing::AsDeclared),
            (external(), Sync::OutOfSync, Health::Healthy, Standing::OnlyObserved),
            (Some(Waiting::Drifted), Sync::OutOfSync, Health::Healthy, Standing::Drifted),
            (shared(), Sync::Synced, Health::Healthy, Standing::TagWaits),
            (shared(), Sync::Synced, Health::Progressing, Standing::Others),
            (immutable(), Sync::Synced, Health::Healthy, Standing::TagStays),
            (immutable(), Sync::OutOfSync, Health::Healthy, Standing::Stalled),
            (missing(), Sync::OutOfSync, Health::Missing, Standing::Stalled),
            (behind(), Sync::OutOfSync, Health::Healthy, Standing::Stalled),
            (deploying(), Sync::OutOfSync, Health::Progressing, Standing::Moving),
            (held(), Sync::OutOfSync, Health::Degraded, Standing::Failed),
            (unreadable(), Sync::Synced, Health::Healthy, Standing::Unreadable),
            (unbuilt(), Sync::OutOfSync, Health::Healthy, Standing::NotBuilt),
            (turn(), Sync::OutOfSync, Health::Healthy, Standing::Others),
            (Some(Waiting::Frozen), Sync::Unknown, Health::Healthy, Standing::Frozen),
            (None, Sync::OutOfSync, Health::Healthy, Standing::Change),
        ];
        for (waiting, sync, health, expected) in cases {
            let one = plan(waiting, sync, health);
            assert_eq!(standing(&one), expected, "{one:?}");
            let good = matches!(expected, Standing::AsDeclared | Standing::Unproven | Standing::TagSuspended);
            for asked in [Asked::Plan, Asked::Reconcile, Asked::Status] {
                assert_eq!(end(asked, expected) == End::Good, good, "{asked:?} {expected:?}");
            }
        }
        assert_eq!(standing(&Plan::unobserved(&target(), 0)), Standing::Frozen);
    }

    #[test]
    fn of_several_ends_the_lowest_number_counts() {
        for (ends, expected) in [
            (vec![], End::Good),
            (vec![End::Good, End::NotReached], End::NotReached),
            (vec![End::NotReached, End::Failed, End::Good], End::Failed),
            (vec![End::Failed, End::Changes], End::Changes),
            (vec![End::Changes, End::Error, End::NotReached], End::Error),
        ] {
            assert_eq!(lowest(ends.clone()), expected, "{ends:?}");
        }
    }
}
