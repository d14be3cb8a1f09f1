//! What AWS refuses of deployments that shift traffic, before they begin.

use serde_json::{Value, json};

use super::laid_over;
use super::shifting::{Shifting, blue_green, canary, function, pause, with_hooks};
use crate::world::Api;

fn refused(made: &mut Shifting, over: &Value) -> String {
    let service =
        json!({"cluster": "mco", "serviceName": "new", "taskDefinition": "mco-api", "desiredCount": 2});
    let service =
        laid_over(service, &laid_over(made.settings(), &json!({"deploymentConfiguration": blue_green()})));
    let error = made.world.call(Api::Ecs, "CreateService", &laid_over(service, over)).unwrap_err();
    assert_eq!(error.code, "InvalidParameterException");
    error.message
}

#[test]
fn load_balancers_that_cannot_be_shifted_are_refused_in_the_words_of_aws() {
    let mut made = Shifting::without_service("application");
    let (rule, first) = (made.production.clone(), made.groups[0].clone());
    let balancer = made.balancer();
    let with = |key: &str, value: Value| {
        let mut balancer = balancer.clone();
        balancer["advancedConfiguration"][key] = value;
        json!([balancer])
    };
    let plain = json!({"targetGroupArn": "other", "containerName": "api", "containerPort": 8080});
    let mut classic = balancer.clone();
    classic["loadBalancerName"] = json!("old");
    for (balancers, said) in [
        (with("productionListenerRule", json!("rule")), "productionListenerRule has an invalid ARN format. Must be RuleArn for ALB or ListenerArn for NLB. Got: rule".to_owned()),
        (with("testListenerRule", json!(rule)), format!("The following rules cannot be used as both production and test listener rules: {rule}")),
        (with("alternateTargetGroupArn", json!(first)), format!("Duplicate targetGroupArn found: {first}")),
        (with("roleArn", Value::Null), "advancedConfiguration.roleArn is required.".to_owned()),
        (json!([plain]), "advancedConfiguration field is required for all loadBalancers when using a non-ROLLING deployment strategy".to_owned()),
        (json!([balancer, plain]), "Either all or none of the provided loadBalancers must have advancedConfiguration defined".to_owned()),
        (json!([classic]), "advancedConfiguration field is not allowed with ELBv1 loadBalancers".to_owned()),
        (
            json!([balancer, {"loadBalancerName": "old", "containerName": "api", "containerPort": 8080}]),
            "All loadBalancers must be strictly either ELBv1 (defining loadBalancerName) or ELBv2 (defining targetGroupArn)".to_owned(),
        ),
    ] {
        assert_eq!(refused(&mut made, &json!({"loadBalancers": balancers})), said);
    }
    let actions = json!([{"Type": "forward", "TargetGroupArn": first}]);
    made.world
        .call(Api::Elb, "ModifyListener", &json!({"ListenerArn": made.listener, "DefaultActions": actions}))
        .unwrap();
    assert_eq!(
        refused(&mut made, &json!({"loadBalancers": with("testListenerRule", Value::Null)})),
        "For Application LoadBalancer, testListenerRule is required when productionListenerRule is not associated with both targetGroup and alternateTargetGroup"
    );
}

#[test]
fn configurations_out_of_their_bounds_are_refused() {
    let mut made = Shifting::without_service("application");
    let canary_of =
        |percent: f64| laid_over(canary(), &json!({"canaryConfiguration": {"canaryPercent": percent}}));
    let linear_of =
        |percent: f64| json!({"strategy": "LINEAR", "linearConfiguration": {"stepPercent": percent}});
    let mut stopped = pause("PRE_SCALE_UP");
    stopped["targetType"] = json!("HTTP");
    let mut long = pause("PRE_SCALE_UP");
    long["timeoutConfiguration"] = json!({"timeoutInMinutes": 20_161});
    let mut slow = function("PRE_SCALE_UP");
    slow["timeoutConfiguration"] = json!({"timeoutInMinutes": 1441});
    let many: Vec<Value> = (0..11).map(|_| pause("PRE_SCALE_UP")).collect();
    let hooks = |hook: Value| with_hooks(blue_green(), &[hook]);
    for (configuration, said) in [
        (json!({"strategy": "BLUE_GREEN"}), "bakeTimeInMinutes is required"),
        (
            json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 1441}),
            "bakeTimeInMinutes must be between 0 and 1440",
        ),
        (canary_of(0.0), "canaryPercent must be between 0.1 and 100.0"),
        (canary_of(0.15), "canaryPercent must be between 0.1 and 100.0, in multiples of 0.1"),
        (linear_of(2.9), "stepPercent must be between 3.0 and 100.0"),
        (linear_of(100.1), "stepPercent must be between 3.0 and 100.0"),
        (hooks(stopped), "Invalid targetType. Valid values are: AWS_LAMBDA, PAUSE"),
        (hooks(pause("TEST_TRAFFIC_SHIFT")), "Invalid lifecycle stage provided for Pause Hook"),
        (hooks(pause("PRODUCTION_TRAFFIC_SHIFT")), "Invalid lifecycle stage provided for Pause Hook"),
        (hooks(pause("SCALE_UP")), "Invalid lifecycle stage provided."),
        (hooks(json!({"roleArn": "r", "lifecycleStages": ["PRE_SCALE_UP"]})), "hookTargetArn is required"),
        (hooks(long), "timeoutInMinutes must be between 1 and 20160"),
        (hooks(slow), "timeoutInMinutes must be between 1 and 1440"),
        (with_hooks(blue_green(), &many), "A service cannot have more than 10 lifecycle hooks"),
        (json!({"strategy": "OTHER"}), "Invalid deployment strategy."),
    ] {
        let found = refused(&mut made, &json!({"deploymentConfiguration": configuration}));
        assert!(found.starts_with(said), "{found}");
    }
    let headless = json!({"loadBalancers": [], "deploymentConfiguration": canary()});
    let found = refused(&mut made, &headless);
    assert!(found.starts_with("A load balancer or Service Connect is required"), "{found}");
}

#[test]
fn the_defaults_of_a_strategy_are_filled_in_and_those_of_another_go() {
    let mut made = Shifting::without_service("application");
    made.create(&json!({"strategy": "CANARY"}));
    let of = |made: &mut Shifting| made.world.service()["deploymentConfiguration"].clone();
    assert_eq!(
        of(&mut made)["canaryConfiguration"],
        json!({"canaryPercent": 5.0, "canaryBakeTimeInMinutes": 10})
    );
    made.world.update(&json!({"deploymentConfiguration": {"strategy": "LINEAR"}}));
    let found = of(&mut made);
    assert_eq!(found["linearConfiguration"], json!({"stepPercent": 10.0, "stepBakeTimeInMinutes": 6}));
    assert!(found["canaryConfiguration"].is_null(), "{found}");
}
