//! Load balancers, target groups, listeners, rules and targets by themselves.

use serde_json::{Value, json};

use super::blue_green::{BlueGreen, MINUTE, no_hooks};
use super::{SETTLED, laid_over, world};
use crate::Fault;
use crate::world::{Api, World};

impl World {
    #[track_caller]
    fn elb_call(&mut self, operation: &str, input: &Value) -> Value {
        self.call(Api::Elb, operation, input).unwrap()
    }
}

/// A world with a load balancer, a target group and a listener; their ARNs.
fn balanced() -> (World, [String; 3]) {
    let mut world = world();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let balancer = world.elb_call("CreateLoadBalancer", &json!({"Name": "mco"}));
    let balancer = text(&balancer["LoadBalancers"][0]["LoadBalancerArn"]);
    let group =
        world.elb_call("CreateTargetGroup", &json!({"Name": "api", "Port": 8080, "TargetType": "ip"}));
    let group = text(&group["TargetGroups"][0]["TargetGroupArn"]);
    let listener = world.elb_call("CreateListener", &listener(&balancer, &group));
    let listener = text(&listener["Listeners"][0]["ListenerArn"]);
    (world, [balancer, group, listener])
}

fn listener(balancer: &str, group: &str) -> Value {
    json!({"LoadBalancerArn": balancer, "Protocol": "HTTP", "Port": 80, "DefaultActions": forward(group)})
}

fn forward(group: &str) -> Value {
    json!([{"Type": "forward", "TargetGroupArn": group}])
}

fn rule(listener: &str, group: &str, priority: u64) -> Value {
    json!({"ListenerArn": listener, "Priority": priority, "Actions": forward(group),
        "Conditions": [{"Field": "path-pattern", "Values": ["/x"]}]})
}

/// State and reason of each target.
fn states(described: &Value) -> Vec<(String, String)> {
    let all = described["TargetHealthDescriptions"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    all.map(|one| (text(&one["TargetHealth"]["State"]), text(&one["TargetHealth"]["Reason"]))).collect()
}

#[test]
fn creating_the_same_again_answers_what_is_there() {
    let (mut world, [balancer, group, _]) = balanced();
    let another = world.elb_call("CreateTargetGroup", &json!({"Name": "other"}))["TargetGroups"][0].clone();
    let other = another["TargetGroupArn"].as_str().unwrap();
    for (operation, same, different, code) in [
        (
            "CreateLoadBalancer",
            json!({"Name": "mco"}),
            json!({"Name": "mco", "Scheme": "internal"}),
            "DuplicateLoadBalancerName",
        ),
        (
            "CreateTargetGroup",
            json!({"Name": "api", "Port": 8080, "TargetType": "ip"}),
            json!({"Name": "api", "Port": 80, "TargetType": "ip"}),
            "DuplicateTargetGroupName",
        ),
        ("CreateListener", listener(&balancer, &group), listener(&balancer, other), "DuplicateListener"),
    ] {
        let answer = world.elb_call(operation, &same).to_string();
        assert!(answer.contains(&balancer) || answer.contains(&group), "{operation}: {answer}");
        assert_eq!(world.refused(Api::Elb, operation, &different), code);
    }
}

#[test]
fn a_new_load_balancer_is_provisioned_first() {
    let (mut world, _) = balanced();
    let state = |world: &mut World| {
        world.elb_call("DescribeLoadBalancers", &json!({}))["LoadBalancers"][0]["State"]["Code"].clone()
    };
    assert_eq!(state(&mut world), "provisioning");
    world.advance(2 * MINUTE);
    assert_eq!(state(&mut world), "active");
}

#[test]
fn an_action_tells_its_target_groups_with_weights() {
    let (mut world, [_, group, listener]) = balanced();
    let actions = |world: &mut World| {
        let described = world.elb_call("DescribeListeners", &json!({"ListenerArns": [listener]}));
        described["Listeners"][0]["DefaultActions"][0].clone()
    };
    let told = json!({"TargetGroups": [{"TargetGroupArn": group, "Weight": 1}],
        "TargetGroupStickinessConfig": {"Enabled": false}});
    assert_eq!(
        (&actions(&mut world)["TargetGroupArn"], &actions(&mut world)["ForwardConfig"]),
        (&json!(group), &told)
    );
    world.elb_call("ModifyListener", &json!({"ListenerArn": listener, "DefaultActions": forward(&group)}));
    assert_eq!(actions(&mut world)["ForwardConfig"], told);
    let heavy = json!([{"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": group, "Weight": 1000}]}}]);
    let heavy = json!({"ListenerArn": listener, "DefaultActions": heavy});
    assert_eq!(world.refused(Api::Elb, "ModifyListener", &heavy), "ValidationError");
}

#[test]
fn rules_are_told_by_priority_and_the_default_one_last() {
    let (mut world, [_, group, listener]) = balanced();
    for priority in [20, 3, 100] {
        world.elb_call("CreateRule", &rule(&listener, &group, priority));
    }
    let rules = world.elb_call("DescribeRules", &json!({"ListenerArn": listener}))["Rules"].clone();
    let told: Vec<(&Value, &Value)> =
        rules.as_array().unwrap().iter().map(|rule| (&rule["Priority"], &rule["IsDefault"])).collect();
    let (no, yes) = (json!(false), json!(true));
    let priorities = ["3", "20", "100", "default"].map(|priority| json!(priority));
    let [three, twenty, hundred, default] = &priorities;
    assert_eq!(told, [(three, &no), (twenty, &no), (hundred, &no), (default, &yes)]);
    let default = rules[3]["RuleArn"].clone();
    let by_arn = world.elb_call("DescribeRules", &json!({"RuleArns": [default]}));
    assert_eq!(by_arn["Rules"], json!([rules[3]]));
    let change = json!({"RuleArn": default, "Actions": forward(&group)});
    assert_eq!(world.refused(Api::Elb, "ModifyRule", &change), "OperationNotPermitted");
    assert_eq!(world.refused(Api::Elb, "CreateRule", &rule(&listener, &group, 20)), "PriorityInUse");
    world.elb_call("DeleteListener", &json!({"ListenerArn": listener}));
    let gone = json!({"RuleArns": [rules[0]["RuleArn"]]});
    assert_eq!(world.refused(Api::Elb, "DescribeRules", &gone), "RuleNotFound");
    world.elb_call("DeleteTargetGroup", &json!({"TargetGroupArn": group}));
}

#[test]
fn every_call_says_what_it_cannot_find_or_misses() {
    let (mut world, [balancer, group, listener]) = balanced();
    let without = |key: &str| laid_over(rule(&listener, &group, 1), &json!({key: null}));
    for (operation, input, code) in [
        ("DescribeRules", json!({}), "ValidationError"),
        ("DescribeRules", json!({"ListenerArn": "x"}), "ListenerNotFound"),
        ("DescribeRules", json!({"RuleArns": ["x"]}), "RuleNotFound"),
        ("DescribeListeners", json!({}), "ValidationError"),
        ("DescribeListeners", json!({"LoadBalancerArn": "x"}), "LoadBalancerNotFound"),
        ("DescribeListeners", json!({"ListenerArns": ["x"]}), "ListenerNotFound"),
        ("DescribeTargetGroups", json!({"LoadBalancerArn": "x"}), "LoadBalancerNotFound"),
        ("DescribeTargetGroups", json!({"Names": ["x"]}), "TargetGroupNotFound"),
        ("DescribeLoadBalancers", json!({"Names": ["x"]}), "LoadBalancerNotFound"),
        ("DescribeTargetHealth", json!({"TargetGroupArn": "x"}), "TargetGroupNotFound"),
        ("DescribeTargetHealth", json!({}), "ValidationError"),
        ("CreateRule", without("Priority"), "ValidationError"),
        ("CreateRule", without("Conditions"), "ValidationError"),
        ("CreateRule", without("Actions"), "ValidationError"),
        ("CreateRule", rule("x", &group, 1), "ListenerNotFound"),
        ("CreateRule", rule(&listener, "x", 1), "TargetGroupNotFound"),
        ("CreateListener", listener_input(&balancer, "x"), "TargetGroupNotFound"),
        ("DeleteTargetGroup", json!({"TargetGroupArn": group}), "ResourceInUse"),
    ] {
        assert_eq!(world.refused(Api::Elb, operation, &input), code, "{operation} {input}");
    }
    // What is gone already may be deleted.
    world.elb_call("DeleteLoadBalancer", &json!({"LoadBalancerArn": "x"}));
}

fn listener_input(balancer: &str, group: &str) -> Value {
    laid_over(listener(balancer, group), &json!({"Port": 81}))
}

#[test]
fn targets_are_healthy_when_their_tasks_are_and_drain_with_them() {
    let mut made = BlueGreen::new(&json!({}));
    let [first, second] = made.groups.clone().map(|group| json!({"TargetGroupArn": group}));
    let healthy = ("healthy".to_owned(), String::new());
    assert_eq!(states(&made.elb("DescribeTargetHealth", &first)), [healthy.clone(), healthy.clone()]);
    let id = made.begin("bbbbbbb", &no_hooks());
    made.world.advance(18);
    // No listener leads to the second group yet.
    let unused = ("unused".to_owned(), "Target.NotInUse".to_owned());
    assert_eq!(states(&made.elb("DescribeTargetHealth", &second)), [unused.clone(), unused]);
    made.until(&id, "Succeeded");
    made.world.advance(MINUTE);
    assert_eq!(states(&made.elb("DescribeTargetHealth", &second)), [healthy.clone(), healthy]);
    let draining = ("draining".to_owned(), "Target.DeregistrationInProgress".to_owned());
    assert_eq!(states(&made.elb("DescribeTargetHealth", &first)), [draining.clone(), draining]);
    made.world.advance(5 * MINUTE);
    assert!(states(&made.elb("DescribeTargetHealth", &first)).is_empty());
}

#[test]
fn a_target_has_the_address_of_its_task_and_the_port_of_its_container() {
    let (mut world, [_, group, _]) = balanced();
    let container =
        json!({"name": "api", "image": "nginx", "memory": 128, "portMappings": [{"containerPort": 3000}]});
    world.ecs_call(
        "RegisterTaskDefinition",
        &json!({"family": "own", "networkMode": "awsvpc", "containerDefinitions": [container]}),
    );
    world.begin(&json!({"taskDefinition": "own",
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-7"]}},
        "loadBalancers": [{"targetGroupArn": group, "containerName": "api", "containerPort": 3000}]}));
    world.advance(SETTLED);
    let detail = |task: &Value, name: &str| {
        let details = task["attachments"][0]["details"].as_array().unwrap().clone();
        details.iter().find(|detail| detail["name"] == name).unwrap()["value"].clone()
    };
    let tasks = world.tasks("RUNNING");
    let mut addresses: Vec<Value> = tasks.iter().map(|task| detail(task, "privateIPv4Address")).collect();
    assert_eq!(detail(&tasks[0], "subnetId"), "subnet-7");
    let described = world.elb_call("DescribeTargetHealth", &json!({"TargetGroupArn": group}));
    let all = described["TargetHealthDescriptions"].as_array().unwrap();
    let mut targets: Vec<Value> = all.iter().map(|one| one["Target"]["Id"].clone()).collect();
    assert!(all.iter().all(|one| one["Target"]["Port"] == 3000 && one["HealthCheckPort"] == "3000"));
    addresses.sort_by_key(ToString::to_string);
    targets.sort_by_key(ToString::to_string);
    assert_eq!(targets, addresses);
    // Only those that are asked for; what is not registered is unused.
    let asked = json!({"TargetGroupArn": group, "Targets": [
        {"Id": targets[0], "Port": 3000}, {"Id": targets[0], "Port": 8080}, {"Id": "10.9.9.9", "Port": 3000}]});
    let unused = ("unused".to_owned(), "Target.NotRegistered".to_owned());
    assert_eq!(
        states(&world.elb_call("DescribeTargetHealth", &asked)),
        [("healthy".to_owned(), String::new()), unused.clone(), unused]
    );
}

#[test]
fn a_target_that_fails_its_checks_says_why_and_the_service_says_the_same() {
    for (protocol, silent, reason, said) in [
        ("HTTP", false, "Target.ResponseCodeMismatch", "Health checks failed with these codes: [502]"),
        ("TCP", false, "Target.FailedHealthChecks", "Health checks failed"),
        ("HTTP", true, "Target.Timeout", "Request timed out"),
    ] {
        let (mut world, [balancer, ..]) = balanced();
        let group = json!({"Name": "checked", "Protocol": protocol, "Port": 8080, "TargetType": "ip"});
        let group = world.elb_call("CreateTargetGroup", &group)["TargetGroups"][0]["TargetGroupArn"].clone();
        let mut listened = listener(&balancer, group.as_str().unwrap());
        listened["Port"] = json!(81);
        world.elb_call("CreateListener", &listened);
        let digest = world.push("sick");
        world.inject(if silent { Fault::Silent { digest } } else { Fault::Unhealthy { digest } });
        let arn = world.register("sick");
        world.begin(&json!({"taskDefinition": arn, "desiredCount": 1,
            "loadBalancers": [{"targetGroupArn": group, "containerName": "api", "containerPort": 8080}]}));
        let mut told: Vec<(String, String)> = Vec::new();
        for _ in 0..60 {
            world.advance(1);
            for state in states(&world.elb_call("DescribeTargetHealth", &json!({"TargetGroupArn": group}))) {
                if !told.contains(&state) {
                    told.push(state);
                }
            }
        }
        let state = |state: &str, reason: &str| (state.to_owned(), reason.to_owned());
        let expected = [
            state("initial", "Elb.RegistrationInProgress"),
            state("initial", "Elb.InitialHealthChecking"),
            state("unhealthy", reason),
        ];
        assert_eq!(told, expected, "{protocol}");
        world.advance(30);
        let service = world.service();
        let events =
            service["events"].as_array().unwrap().iter().map(|event| event["message"].as_str().unwrap());
        let event = format!("due to (reason {said})");
        assert!(events.clone().any(|message| message.contains(&event)), "{:?}", events.collect::<Vec<_>>());
    }
}
