//! Listeners and target groups around deployments by `CodeDeploy`.

use serde_json::{Value, json};

use super::blue_green::{BlueGreen, MINUTE, no_hooks, set};
use crate::faults::Fault;

impl BlueGreen {
    /// Target groups by their place in the pair or by ARN, with weights.
    fn forward(&self, weights: &[(&str, u64)]) -> Value {
        let groups = weights.iter().map(|(group, weight)| {
            let arn = match *group {
                "api-1" => self.groups[0].as_str(),
                "api-2" => self.groups[1].as_str(),
                other => other,
            };
            json!({"TargetGroupArn": arn, "Weight": weight})
        });
        json!([{"Type": "forward", "ForwardConfig": {"TargetGroups": groups.collect::<Vec<_>>()}}])
    }

    fn lead(&mut self, listener: &str, weights: &[(&str, u64)]) {
        let actions = self.forward(weights);
        self.elb("ModifyListener", &json!({"ListenerArn": listener, "DefaultActions": actions}));
    }

    fn fails(&mut self, tag: &str) -> String {
        let id = self.begin(tag, &no_hooks());
        self.until(&id, "Failed");
        assert!(!self.end(&id).2, "nothing was made that could be undone");
        self.error(&id)
    }
}

#[test]
fn every_deployment_goes_to_the_target_group_that_is_free() {
    let mut made = BlueGreen::new(&json!({}));
    let production = made.production.clone();
    for (tag, weights) in [("bbbbbbb", [0, 100]), ("ccccccc", [100, 0]), ("ddddddd", [0, 100])] {
        made.deployed(tag);
        assert_eq!(made.weights(&production), weights, "{tag}");
    }
}

#[test]
fn the_production_listener_must_lead_to_the_primary_task_set_and_to_nothing_else() {
    let mut made = BlueGreen::new(&json!({}));
    let other =
        made.elb("CreateTargetGroup", &json!({"Name": "other"}))["TargetGroups"][0]["TargetGroupArn"].clone();
    let other = other.as_str().unwrap();
    let production = made.production.clone();
    let [first, second] = made.groups.clone();
    let behind = format!("Primary taskset target group must be behind listener {production}");
    for (weights, told) in [
        (vec![(other, 1)], behind.clone()),
        (vec![("api-2", 1)], behind),
        (
            vec![("api-1", 90), ("api-2", 10)],
            "Green taskset target group cannot have non-zero weight prior to traffic shifting".to_owned(),
        ),
        (
            vec![("api-1", 1), (other, 1)],
            format!(
                "Only target group in ECS deployment group ({first}, {second}) can be set on listener {production}"
            ),
        ),
    ] {
        made.lead(&production, &weights);
        let expected = format!(
            "ELASTIC_LOAD_BALANCING_INVALID: The ELB could not be updated due to the following error: {told}"
        );
        let tag = format!("{:07x}", made.world.now());
        assert_eq!(made.fails(&tag), expected);
        assert_eq!(made.sets().len(), 1, "no task set was made");
    }
    made.lead(&production, &[("api-1", 1)]);
    made.deployed("bbbbbbb");
}

#[test]
fn a_rule_of_the_listener_is_looked_at_and_moved_like_its_default_action() {
    let mut made = BlueGreen::new(&json!({}));
    let production = made.production.clone();
    let actions = made.forward(&[("api-2", 1)]);
    let rule = json!({"ListenerArn": production, "Priority": 1, "Actions": actions,
        "Conditions": [{"Field": "path-pattern", "Values": ["/x"]}]});
    let rule = made.elb("CreateRule", &rule)["Rules"][0]["RuleArn"].as_str().unwrap().to_owned();
    let error = made.fails("bbbbbbb");
    assert!(error.ends_with(&format!("must be behind listener {rule}")), "{error}");
    let actions = made.forward(&[("api-1", 1)]);
    made.elb("ModifyRule", &json!({"RuleArn": rule, "Actions": actions}));
    made.deployed("ccccccc");
    let described = made.elb("DescribeRules", &json!({"RuleArns": [rule]}));
    let moved = made.forward(&[("api-1", 0), ("api-2", 100)])[0]["ForwardConfig"]["TargetGroups"].clone();
    assert_eq!(described["Rules"][0]["Actions"][0]["ForwardConfig"]["TargetGroups"], moved);
}

#[test]
fn the_test_listener_may_lead_to_either_target_group_but_to_no_other() {
    let mut made = BlueGreen::new(&json!({}));
    let test = made.test.clone();
    let other =
        made.elb("CreateTargetGroup", &json!({"Name": "other"}))["TargetGroups"][0]["TargetGroupArn"].clone();
    made.lead(&test, &[(other.as_str().unwrap(), 1)]);
    let error = made.fails("bbbbbbb");
    assert!(error.ends_with(&format!("must be behind listener {test}")), "{error}");
    made.lead(&test, &[("api-2", 1)]);
    made.deployed("ccccccc");
}

#[test]
fn the_service_must_use_one_of_the_two_target_groups() {
    let mut made = BlueGreen::new(&json!({}));
    for name in ["api-3", "api-4"] {
        made.elb("CreateTargetGroup", &json!({"Name": name}));
    }
    let mut routes = made.without_test_listener();
    routes["targetGroupPairInfoList"][0]["targetGroups"] = json!([{"name": "api-3"}, {"name": "api-4"}]);
    made.update_group(&json!({"loadBalancerInfo": routes}));
    assert_eq!(
        made.fails("bbbbbbb"),
        "INVALID_ECS_SERVICE: The target ECS service must be configured using one of those two target groups."
    );
}

#[test]
fn a_target_group_that_no_listener_names_is_not_looked_at_before_the_shift() {
    let mut made = BlueGreen::new(&json!({}));
    let digest = made.world.push("bbbbbbb");
    made.world.inject(Fault::Unhealthy { digest });
    let id = made.begin_image("bbbbbbb", &no_hooks());
    made.world.advance(3 * MINUTE);
    // All traffic went to tasks that no health check would have let through.
    assert_eq!((made.status(&id).as_str(), made.traffic(&id)), ("InProgress", 100));
    assert!(made.world.events().contains("is unhealthy in (target-group"));
    made.until(&id, "Succeeded");
    assert_eq!(made.sets()[0], set("PRIMARY", "2"));
}

#[test]
fn a_group_that_shifts_in_steps_names_both_target_groups_from_the_beginning() {
    let canary = json!({"deploymentConfigName": "CodeDeployDefault.ECSCanary10Percent5Minutes"});
    let mut made = BlueGreen::new(&canary);
    let (production, test) = (made.production.clone(), made.test.clone());
    assert_eq!((made.weights(&production), made.weights(&test)), ([100, 0], [1, 0]));
    let digest = made.world.push("bbbbbbb");
    made.world.inject(Fault::Unhealthy { digest });
    let id = made.begin_image("bbbbbbb", &no_hooks());
    made.world.advance(59 * MINUTE);
    assert!(made.events(&id).ends_with("Install InProgress"), "{}", made.events(&id));
    // The same where only the deployment asks for steps.
    let mut made = BlueGreen::new(&json!({}));
    let (production, arn) = (made.production.clone(), made.world.register("aaaaaaa"));
    assert_eq!(made.weights(&production), [1, 0]);
    let input = super::laid_over(super::blue_green::deployment(&arn, &no_hooks()), &canary);
    made.code_deploy("CreateDeployment", &input);
    made.world.advance(10);
    assert_eq!(made.weights(&production), [100, 0]);
}
