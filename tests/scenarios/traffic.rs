//! The rule by which production traffic comes, and what is declared of a native strategy.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trueup::controller::SweepResult;
use trueup_simulator::Api;

use crate::stage::{SERVICE, Stage, said};

const MINUTE: u64 = 60;
/// Longer than a deployment with all its bakes.
const WHOLE: u64 = 40 * MINUTE;

fn canary() -> Value {
    json!({"strategy": "CANARY", "bakeTimeInMinutes": 5,
        "canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 5}})
}

async fn let_run(stage: &Stage, seconds: u64) -> SweepResult {
    stage.process(BTreeMap::new()).run(stage, seconds).await
}

impl Stage {
    fn service(&self) -> Value {
        let asked = json!({"cluster": "mco", "services": [SERVICE]});
        self.call(Api::Ecs, "DescribeServices", &asked)["services"][0].clone()
    }

    /// The two target groups of the service, in the order in which it names them.
    fn groups(&self) -> [Value; 2] {
        let balancer = &self.service()["loadBalancers"][0];
        [
            balancer["targetGroupArn"].clone(),
            balancer["advancedConfiguration"]["alternateTargetGroupArn"].clone(),
        ]
    }

    /// As Terraform does: what it has in its state comes back.
    fn reset_rule(&self, weights: [u64; 2]) {
        let groups = self.groups();
        let tuples = [0, 1].map(|place| json!({"TargetGroupArn": groups[place], "Weight": weights[place]}));
        let actions = json!([{"Type": "forward", "ForwardConfig": {"TargetGroups": tuples}}]);
        let listener = self.listener(80);
        self.call(Api::Elb, "ModifyListener", &json!({"ListenerArn": listener, "DefaultActions": actions}));
    }

    fn rule(&self) -> Value {
        let listener = self.listener(80);
        self.call(Api::Elb, "DescribeListeners", &json!({"ListenerArns": [listener]}))["Listeners"][0]
            ["DefaultActions"]
            .clone()
    }

    fn promote(&mut self, commit: &str) {
        self.build(commit);
        self.declare(commit);
    }
}

/// Commit bbbbbbb runs in the second target group.
async fn promoted() -> Stage {
    let mut stage = Stage::native(&canary(), true);
    stage.promote("bbbbbbb");
    assert_eq!(said(&let_run(&stage, WHOLE).await), "Settled");
    stage.check_runs(SERVICE, "bbbbbbb");
    stage
}

#[tokio::test]
async fn a_rule_that_another_hand_reset_is_waited_for_and_nothing_is_written() {
    let mut stage = promoted().await;
    stage.reset_rule([1, 0]);
    stage.promote("ccccccc");
    let (writes, rule) = (stage.writes(), stage.rule());
    let mut running = stage.process(BTreeMap::new());
    let swept = running.run(&stage, 10 * MINUTE).await;
    assert_eq!(said(&swept), "ListenerAstray");
    assert_eq!((stage.writes(), stage.rule(), stage.deployments()), (writes, rule, 2));
    // Once it leads to the live tasks again, it goes on by itself.
    stage.reset_rule([0, 1]);
    assert_eq!(said(&running.run(&stage, WHOLE).await), "Settled");
    stage.check_runs(SERVICE, "ccccccc");
    assert_eq!((stage.deployments(), stage.digest("test")), (3, stage.digest("ccccccc")));
}

#[tokio::test]
async fn the_rule_is_read_again_in_the_pass_that_starts_the_deployment() {
    let mut stage = promoted().await;
    stage.promote("ccccccc");
    let mut running = stage.process(BTreeMap::new());
    running.until(&stage, |stage, _| stage.revisions() == 3).await;
    // The revision is registered, and the deployment about to be started.
    stage.reset_rule([1, 0]);
    let swept = running.run(&stage, 10 * MINUTE).await;
    assert_eq!((said(&swept).as_str(), stage.deployments()), ("ListenerAstray", 2));
    stage.reset_rule([0, 1]);
    assert_eq!(said(&running.run(&stage, WHOLE).await), "Settled");
    assert_eq!((stage.deployments(), stage.revisions()), (3, 3));
    stage.check_runs(SERVICE, "ccccccc");
}

#[tokio::test]
async fn a_changed_strategy_goes_along_with_the_next_deployment_and_starts_none() {
    for (declared, told, strategy) in [
        ("{canary: {share: 20%}}", "canary 20 % instead of canary 10 %", "CANARY"),
        ("{blueGreen: {bake: 5m}}", "blue/green instead of canary 10 %", "BLUE_GREEN"),
    ] {
        let mut stage = Stage::native(&canary(), true);
        stage.application = format!("{}  strategy: {declared}\n", stage.application);
        stage.declare("aaaaaaa");
        let writes = stage.writes();
        let swept = let_run(&stage, 10 * MINUTE).await;
        assert_eq!((said(&swept).as_str(), stage.deployments(), stage.writes()), ("Settled", 1, writes));
        let findings: Vec<&str> = swept.plan.findings.iter().map(|one| one.message.as_str()).collect();
        assert_eq!(findings, [format!("with the next deployment: {told}")]);
        stage.promote("bbbbbbb");
        let swept = let_run(&stage, WHOLE).await;
        assert_eq!((said(&swept).as_str(), stage.deployments()), ("Settled", 2));
        assert_eq!(swept.plan.findings, []);
        stage.check_runs(SERVICE, "bbbbbbb");
        let configuration = &stage.service()["deploymentConfiguration"];
        assert_eq!(configuration["strategy"], strategy);
        // What is not declared is as it was.
        assert_eq!(configuration["bakeTimeInMinutes"], 5);
    }
}

#[tokio::test]
async fn a_rolling_service_becomes_another_with_the_next_deployment() {
    let mut stage = Stage::native(&json!({"strategy": "ROLLING"}), false);
    stage.application.push_str("  strategy: {blueGreen: {bake: 5m}}\n");
    stage.promote("bbbbbbb");
    let swept = let_run(&stage, WHOLE).await;
    assert_eq!((said(&swept).as_str(), stage.deployments()), ("Settled", 2));
    stage.check_runs(SERVICE, "bbbbbbb");
    assert_eq!(stage.service()["deploymentConfiguration"]["strategy"], "BLUE_GREEN");
}
