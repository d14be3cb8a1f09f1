//! The policy that `trueup iam-policy` prints, held against the calls that are made.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use trueup::controller::Writes;
use trueup::iam::{self, Access};

use crate::stage::{Breaker, Stage, WRITES};

/// What AWS asks for with other calls, so that nobody sees it called.
const WITH_OTHERS: [&str; 3] =
    ["codedeploy:RegisterApplicationRevision", "codedeploy:GetDeploymentConfig", "iam:PassRole"];

fn actions(policy: &Value) -> BTreeSet<String> {
    let statements = policy["Statement"].as_array().unwrap().iter();
    let all = statements.flat_map(|statement| statement["Action"].as_array().unwrap());
    all.map(|action| action.as_str().unwrap().to_owned()).collect()
}

/// What only those need whose traffic ECS itself shifts. None of the promotions here needs the rest of these: the undo, a person's
/// word, and the listeners of a Network Load Balancer.
const WHERE_ECS_SHIFTS: [&str; 2] =
    ["elasticloadbalancing:DescribeRules", "elasticloadbalancing:DescribeTargetGroups"];
/// What is asked where something fails.
const OF_FAILURES: [&str; 2] = ["elasticloadbalancing:DescribeTargetHealth", "logs:GetLogEvents"];
/// What is asked where a deployment has alarms: one of the services here.
const OF_ALARMS: &str = "cloudwatch:DescribeAlarms";
const OF_OTHER_SHIFTS: [&str; 3] =
    ["ecs:StopServiceDeployment", "ecs:ContinueServiceDeployment", "elasticloadbalancing:DescribeListeners"];

/// What deploys a service.
#[derive(Clone, Copy, PartialEq)]
enum By {
    Rolling,
    CodeDeploy,
    Shift,
}

/// The action that a call needs. The names of operations are unique among the services that are called.
fn action(operation: &str, granted: &BTreeSet<String>) -> Option<String> {
    let known = [
        "ecs",
        "ecr",
        "codedeploy",
        "tag",
        "application-autoscaling",
        "elasticloadbalancing",
        "logs",
        "cloudwatch",
    ];
    let known = known.map(|service| format!("{service}:{operation}"));
    known.into_iter().find(|action| granted.contains(action))
}

/// The calls of a controller through promotions of every kind, and what its policy grants.
async fn promoted(mut stage: Stage) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut calls = BTreeSet::new();
    // What an image is built for is read from an index or from the image's own configuration.
    stage.build("bbbbbbb");
    stage.build_index("ccccccc");
    stage.build_index("ddddddd");
    for commit in ["bbbbbbb", "ccccccc", "ddddddd"] {
        stage.declare(commit);
        let mut running = stage.process(BTreeMap::new());
        running.run(&stage, 100).await;
        calls.extend(running.process().calls());
    }
    // Back to what still stands by, if it does.
    stage.declare("ccccccc");
    let mut running = stage.process(BTreeMap::new());
    running.run(&stage, 600).await;
    calls.extend(running.process().calls());
    calls.remove("GetCallerIdentity");
    (calls, actions(&iam::policy(&stage.declaration, Access::Write).unwrap().document))
}

#[tokio::test]
async fn the_policy_grants_every_call_and_nothing_else() {
    let mut made = Stage::blue_green(&Value::Null);
    let create = format!(
        "create: {{serviceRole: \"arn:aws:iam::123456789012:role/codedeploy\", targetGroups: [mco-api-1, mco-api-2], productionListener: \"{}\"}}, deploymentGroup",
        made.listener(80)
    );
    made.application = made.application.replace("deploymentGroup", &create);
    let rolling = Stage::new(Breaker::On);
    let mut counted = Stage::new(Breaker::On);
    counted.application.push_str("  serviceSettings: {desiredCount: 2}\n");
    let watched = json!({"alarmConfiguration": {"enabled": true, "alarms": [{"name": "errors"}]}});
    let watched = Stage::blue_green(&watched);
    watched.set_alarm("errors", false);
    let mut used_anywhere = BTreeSet::new();
    let shifted = Stage::native(&json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 1}), true);
    for (stage, by) in [
        (rolling, By::Rolling),
        (counted, By::Rolling),
        (watched, By::CodeDeploy),
        (made, By::CodeDeploy),
        (shifted, By::Shift),
    ] {
        let (calls, granted) = promoted(stage).await;
        for call in &calls {
            assert!(action(call, &granted).is_some(), "{call} is not granted");
        }
        let used: BTreeSet<String> = calls.iter().filter_map(|call| action(call, &granted)).collect();
        let spare: Vec<&String> = granted.difference(&used).collect();
        let spare = spare.into_iter().filter(|action| {
            !WITH_OTHERS.contains(&action.as_str())
                && !OF_FAILURES.contains(&action.as_str())
                && *action != OF_ALARMS
        });
        // A strategy that is not declared may be either; the histories of ECS are read where ECS deploys.
        let other = |action: &&String| {
            let of_ecs = action.contains("ServiceDeployments") || action.contains("ServiceRevisions");
            let (shifts, rarely) =
                (WHERE_ECS_SHIFTS.contains(&action.as_str()), OF_OTHER_SHIFTS.contains(&action.as_str()));
            match by {
                By::Rolling => action.starts_with("codedeploy:") || shifts || rarely,
                By::CodeDeploy => of_ecs,
                By::Shift => action.starts_with("codedeploy:") || rarely,
            }
        };
        let spare: Vec<&String> = spare.filter(|action| !other(action)).collect();
        assert!(spare.is_empty(), "granted and never used: {spare:?}");
        used_anywhere.extend(used);
    }
    assert!(used_anywhere.contains(OF_ALARMS));
}

#[tokio::test]
async fn looking_needs_the_read_only_policy_and_that_holds_no_write() {
    for mut stage in [Stage::new(Breaker::On), Stage::blue_green(&json!({}))] {
        stage.build_index("bbbbbbb");
        stage.declare("bbbbbbb");
        let granted = actions(&iam::policy(&stage.declaration, Access::Read).unwrap().document);
        let mut running = stage.process(BTreeMap::new());
        running.controller.sweep(&stage.declaration, Writes::Withheld, |_| true).await;
        for call in running.process().calls().iter().filter(|call| *call != "GetCallerIdentity") {
            assert!(action(call, &granted).is_some(), "{call} is not granted");
        }
        assert!(WRITES.iter().all(|write| action(write, &granted).is_none()));
    }
}

#[tokio::test]
async fn what_fails_is_asked_about_by_what_the_read_only_policy_grants() {
    let (mut stage, commit) = crate::causes::logging_and_crashing();
    stage.declare(commit);
    let mut running = stage.process(BTreeMap::new());
    running.run(&stage, 300).await;
    let granted = actions(&iam::policy(&stage.declaration, Access::Read).unwrap().document);
    let calls = running.process().calls();
    assert!(calls.contains(&"GetLogEvents".to_owned()));
    for call in calls.iter().filter(|call| *call != "GetCallerIdentity" && !WRITES.contains(&call.as_str())) {
        assert!(action(call, &granted).is_some(), "{call} is not granted");
    }
}
