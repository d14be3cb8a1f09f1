//! A service that a person moves from CodeDeploy to ECS itself, as `trueup plan --as` tells it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trueup::model::TrafficPattern;
use trueup_simulator::Api;

use crate::stage::{SERVICE, Stage, said};

/// Commit bbbbbbb was deployed by CodeDeploy, and its old tasks have ended.
async fn deployed() -> Stage {
    let mut stage = Stage::blue_green(&json!({}));
    stage.build("bbbbbbb");
    stage.declare("bbbbbbb");
    assert_eq!(said(&stage.process(BTreeMap::new()).run(&stage, 480).await), "Settled");
    stage
}

impl Stage {
    fn group_arn(&self, name: &str) -> Value {
        let groups = self.call(Api::Elb, "DescribeTargetGroups", &json!({"Names": [name]}));
        groups["TargetGroups"][0]["TargetGroupArn"].clone()
    }

    /// Leads to the one, and names the other; the rule.
    fn name_both(&self, [serves, other]: [&Value; 2]) -> Value {
        let listener = self.listener(80);
        let groups = json!([{"TargetGroupArn": serves, "Weight": 1}, {"TargetGroupArn": other, "Weight": 0}]);
        let actions = json!([{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]);
        self.call(Api::Elb, "ModifyListener", &json!({"ListenerArn": listener, "DefaultActions": actions}));
        let rules = self.call(Api::Elb, "DescribeRules", &json!({"ListenerArn": listener}));
        rules["Rules"][0]["RuleArn"].clone()
    }
}

#[tokio::test]
async fn a_service_that_a_person_moves_to_ecs_is_adopted_without_a_deployment() {
    let mut stage = deployed().await;
    let before = stage.writes();
    let migration = stage.process(BTreeMap::new()).run(&stage, 4).await.plan.migration.unwrap();
    assert_eq!((&migration.open, stage.writes()), (&None, before));
    // A person does as told.
    let [serves, other] = migration.groups.each_ref().map(|name| stage.group_arn(name));
    let rule = stage.name_both([&serves, &other]);
    let mut update = migration.update_service(TrafficPattern::AllAtOnce);
    assert_eq!(update["loadBalancers"][0]["targetGroupArn"], serves);
    let advanced = &mut update["loadBalancers"][0]["advancedConfiguration"];
    advanced["alternateTargetGroupArn"] = other;
    advanced["productionListenerRule"] = rule;
    advanced["roleArn"] = json!("arn:aws:iam::123456789012:role/ecs");
    update["deploymentConfiguration"]["bakeTimeInMinutes"] = json!(0);
    stage.call(Api::Ecs, "UpdateService", &update);
    stage.advance(3600);
    let moved = stage.service_deployments().unwrap().len();
    stage.application = stage
        .application
        .replace("{codeDeploy: {application: API, deploymentGroup: \"API-{environment}\"}}", "blueGreen");
    stage.declare("bbbbbbb");
    let registered = stage.registered();
    let last = stage.process(BTreeMap::new()).run(&stage, 600).await;
    assert_eq!(said(&last), "Settled");
    assert_eq!(last.plan.migration, None);
    assert_eq!((stage.service_deployments().unwrap().len(), stage.registered()), (moved, registered));
    stage.check_runs(SERVICE, "bbbbbbb");
    assert_eq!(stage.digest("test"), stage.digest("bbbbbbb"));
    // The next commit is carried by ECS.
    stage.build("ccccccc");
    stage.declare("ccccccc");
    assert_eq!(said(&stage.process(BTreeMap::new()).run(&stage, 1200).await), "Settled");
    assert_eq!(stage.service_deployments().unwrap().len(), moved + 1);
    stage.check_runs(SERVICE, "ccccccc");
}

#[tokio::test]
async fn while_codedeploy_deploys_nothing_is_moved() {
    let mut stage = deployed().await;
    stage.build("ccccccc");
    stage.declare("ccccccc");
    let mut running = stage.process(BTreeMap::new());
    let swept = running.until(&stage, |stage, _| stage.code_deployments().len() == 2).await;
    let swept = if swept.plan.migration.as_ref().is_some_and(|one| one.open.is_some()) {
        swept
    } else {
        running.run(&stage, 20).await
    };
    assert!(swept.plan.migration.unwrap().open.is_some());
}
