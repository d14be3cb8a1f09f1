//! A registry that lets itself be pulled from, and nothing else.

use std::collections::BTreeMap;

use trueup::model::Waiting;
use trueup_simulator::Fault;

use crate::account::Need;
use crate::stage::{Breaker, SERVICE, Stage, said};

const OTHER: &str = "210987654321";

/// A stage whose images come from there; commit bbbbbbb is built and declared.
fn stage(policy: &str, operations: &[&str]) -> Stage {
    let mut stage = Stage::new(Breaker::On);
    stage.account.world(Need::Faults).share_repository(OTHER, "mco/api", operations);
    stage.environment = format!("  registry: {{account: \"{OTHER}\"}}\n{policy}");
    stage.build("bbbbbbb");
    stage.declare("bbbbbbb");
    stage
}

const NEVER: &str = "  policy: {moveTag: never, drift: heal}\n";

#[tokio::test]
async fn a_registry_that_only_allows_pulling_is_enough_where_no_tag_is_moved() {
    let mut stage = stage(NEVER, &["BatchGetImage"]);
    stage.build("ccccccc");
    for commit in ["bbbbbbb", "ccccccc"] {
        stage.declare(commit);
        assert_eq!(said(&stage.process(BTreeMap::new()).run(&stage, 240).await), "Settled");
        stage.check_runs(SERVICE, commit);
    }
    stage.declare("ddddddd");
    assert_eq!(said(&stage.process(BTreeMap::new()).run(&stage, 10).await), "ImageNotBuilt");
}

#[tokio::test]
async fn the_own_registry_may_allow_nothing_but_pulling_too() {
    let mut stage = Stage::new(Breaker::On);
    stage.environment = NEVER.to_owned();
    // The test itself asks by DescribeImages what runs.
    stage.inject(Fault::Deny { operation: "DescribeRepositories".to_owned(), times: u32::MAX });
    stage.build("bbbbbbb");
    stage.declare("bbbbbbb");
    assert_eq!(said(&stage.process(BTreeMap::new()).run(&stage, 240).await), "Settled");
    stage.check_runs(SERVICE, "bbbbbbb");
}

#[tokio::test]
async fn where_a_tag_would_be_moved_or_nothing_is_allowed_the_policy_of_the_repository_is_named() {
    for (policy, operations) in [("", &["BatchGetImage"][..]), (NEVER, &[][..])] {
        let stage = stage(policy, operations);
        let swept = stage.process(BTreeMap::new()).run(&stage, 30).await;
        let waiting = swept.plan.waiting.clone();
        let Some(Waiting::Unreadable { why, .. }) = &waiting else { panic!("{waiting:?}") };
        assert!(why.contains("no resource-based policy allows the ecr:"), "{why}");
        let hint = trueup::plan::waiting::hint(waiting.as_ref().unwrap(), &swept.target).unwrap();
        assert!(hint.contains("the policy of the repository must allow"), "{hint}");
    }
}
