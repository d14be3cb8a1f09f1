//! Task definitions: what AWS writes into them, what it refuses, and what becomes of revisions.

use serde_json::{Value, json};

use super::super::{Api, World};
use super::{laid_over, world};

fn definition(more: &Value) -> Value {
    laid_over(
        json!({"family": "f", "containerDefinitions": [{"name": "a", "image": "b", "memory": 64}]}),
        more,
    )
}

fn containers(more: &Value) -> Value {
    definition(
        &json!({"containerDefinitions": [laid_over(json!({"name": "a", "image": "b", "memory": 64}), more)]}),
    )
}

fn fargate(more: &Value) -> Value {
    let fargate = json!({"requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "256", "memory": "512"});
    definition(&laid_over(fargate, more))
}

fn registered(world: &mut World, input: &Value) -> Value {
    world.ecs_call("RegisterTaskDefinition", input)["taskDefinition"].clone()
}

#[test]
fn defaults_are_written_into_a_registration() {
    let sent = containers(
        &json!({"portMappings": [{"containerPort": 80}], "healthCheck": {"command": ["CMD", "x"]}}),
    );
    let described = registered(&mut world(), &sent);
    let expected = json!([{"name": "a", "image": "b", "memory": 64,
        "portMappings": [{"containerPort": 80, "protocol": "tcp", "hostPort": 0}],
        "healthCheck": {"command": ["CMD", "x"], "interval": 30, "timeout": 5, "retries": 3},
        "cpu": 0, "essential": true, "environment": [], "mountPoints": [], "volumesFrom": [], "systemControls": []}]);
    assert_eq!(described["containerDefinitions"], expected);
    assert_eq!((&described["volumes"], &described["placementConstraints"]), (&json!([]), &json!([])));
    assert_eq!(described["compatibilities"], json!(["EC2"]));
    assert_eq!(described["networkMode"], Value::Null);
}

#[test]
fn variables_come_back_in_another_order_and_empty_roles_not_at_all() {
    let mut world = world();
    let names = ["A", "B", "C", "D", "E", "F"];
    let variables = |value: &str| names.map(|name| json!({"name": name, value: "x"}));
    let container = json!({"name": "a", "image": "b", "memory": 64, "environment": variables("value"), "secrets": variables("valueFrom")});
    let definition = json!({"family": "f", "taskRoleArn": "", "executionRoleArn": "", "containerDefinitions": [container]});
    let registered = world.ecs_call("RegisterTaskDefinition", &definition)["taskDefinition"].clone();
    assert_eq!((&registered["taskRoleArn"], &registered["executionRoleArn"]), (&Value::Null, &Value::Null));
    for key in ["environment", "secrets"] {
        let described = registered["containerDefinitions"][0][key].as_array().unwrap();
        let mut order: Vec<&str> =
            described.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
        assert_ne!(order, names, "{key}");
        order.sort_unstable();
        assert_eq!(order, names, "{key}");
    }
}

#[test]
fn a_port_of_its_own_network_is_the_port_of_the_host() {
    let sent = laid_over(
        containers(&json!({"portMappings": [{"containerPort": 80, "hostPort": 0}]})),
        &json!({"networkMode": "awsvpc"}),
    );
    let described = registered(&mut world(), &sent);
    assert_eq!(described["containerDefinitions"][0]["portMappings"][0]["hostPort"], 80);
}

#[test]
fn sizes_in_words_become_numbers() {
    for (cpu, memory, expected) in [
        ("1 vCPU", "2 GB", ("1024", "2048")),
        (".25 vcpu", "0.5GB", ("256", "512")),
        ("512", "1024", ("512", "1024")),
    ] {
        let described = registered(&mut world(), &definition(&json!({"cpu": cpu, "memory": memory})));
        assert_eq!((&described["cpu"], &described["memory"]), (&json!(expected.0), &json!(expected.1)));
    }
}

#[test]
fn what_aws_refuses_is_refused() {
    let cases = [
        (definition(&json!({"family": "a b"})), "Family"),
        (definition(&json!({"containerDefinitions": []})), "Container list cannot be empty"),
        (definition(&json!({"networkMode": "own"})), "networkMode"),
        (definition(&json!({"requiresCompatibilities": ["LAMBDA"]})), "LAMBDA"),
        (definition(&json!({"cpu": "much"})), "Invalid 'cpu' setting"),
        (
            definition(&json!({"containerDefinitions": [{"name": "a", "image": "b"}]})),
            "At least one of 'memory'",
        ),
        (definition(&json!({"containerDefinitions": [{"name": "a", "memory": 64}]})), "Container.image"),
        (definition(&json!({"containerDefinitions": [{"image": "b", "memory": 64}]})), "Container.name"),
        (
            definition(&json!({"containerDefinitions": [
                {"name": "a", "image": "b", "memory": 64}, {"name": "a", "image": "b", "memory": 64}]})),
            "must be unique",
        ),
        (containers(&json!({"essential": false})), "essential"),
        (containers(&json!({"memoryReservation": 128})), "memoryReservation"),
        (containers(&json!({"mountPoints": [{"sourceVolume": "v"}]})), "Unknown volume 'v'"),
        (
            containers(&json!({"dependsOn": [{"containerName": "z", "condition": "START"}]})),
            "z does not exist",
        ),
        (
            containers(&json!({"healthCheck": {"command": ["CMD", "x"], "interval": 1}})),
            "healthCheck.interval",
        ),
        (containers(&json!({"dockerLabels": {"l": "x".repeat(70_000)}})), "65536"),
        (
            laid_over(
                containers(&json!({"portMappings": [{"containerPort": 80, "hostPort": 81}]})),
                &json!({"networkMode": "awsvpc"}),
            ),
            "must match",
        ),
    ];
    for (input, part) in cases {
        let error = world().call(Api::Ecs, "RegisterTaskDefinition", &input).unwrap_err();
        assert_eq!(error.code, "ClientException", "{part}");
        assert!(error.message.contains(part), "{part}: {}", error.message);
    }
}

#[test]
fn fargate_takes_only_its_own_sizes_and_network() {
    registered(&mut world(), &fargate(&json!({})));
    registered(&mut world(), &fargate(&json!({"cpu": "8192", "memory": "20480"})));
    let ecr = json!([{"name": "a", "image": "123456789012.dkr.ecr.eu-west-2.amazonaws.com/mco/api:x"}]);
    let cases = [
        (json!({"networkMode": "bridge"}), "network mode 'awsvpc'"),
        (json!({"cpu": Value::Null}), "'cpu' be defined"),
        (json!({"memory": "513"}), "No Fargate configuration exists"),
        (json!({"cpu": "8192", "memory": "17408"}), "No Fargate configuration exists"),
        (json!({"cpu": "300", "memory": "512"}), "No Fargate configuration exists"),
        (json!({"containerDefinitions": ecr}), "execution role"),
        (json!({"containerDefinitions": [{"name": "a", "image": "b", "privileged": true}]}), "privileged"),
        (json!({"placementConstraints": [{"type": "memberOf"}]}), "placementConstraints"),
    ];
    for (more, part) in cases {
        let said = world().why_refused("RegisterTaskDefinition", &fargate(&more));
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn registering_the_same_twice_makes_two_revisions_and_tags_stand_beside_them() {
    let mut world = world();
    let input = definition(&json!({"tags": [{"key": "k", "value": "v"}]}));
    let answers = [(); 2].map(|()| world.ecs_call("RegisterTaskDefinition", &input));
    let revisions = answers.clone().map(|answer| answer["taskDefinition"]["revision"].clone());
    assert_eq!(revisions, [json!(1), json!(2)]);
    assert_eq!(answers[0]["tags"], json!([{"key": "k", "value": "v"}]));
    let plain = world.ecs_call("DescribeTaskDefinition", &json!({"taskDefinition": "f"}));
    assert_eq!((&plain["tags"], &plain["taskDefinition"]["tags"]), (&Value::Null, &Value::Null));
    let tagged =
        world.ecs_call("DescribeTaskDefinition", &json!({"taskDefinition": "f:1", "include": ["TAGS"]}));
    assert_eq!(tagged["tags"], json!([{"key": "k", "value": "v"}]));
}

#[test]
fn the_time_of_the_registration_stays() {
    let mut world = world();
    let at = registered(&mut world, &definition(&json!({})))["registeredAt"].clone();
    world.advance(100);
    let later = world.ecs_call("DescribeTaskDefinition", &json!({"taskDefinition": "f"}));
    assert_eq!(later["taskDefinition"]["registeredAt"], at);
}

#[test]
fn an_inactive_revision_runs_on_and_takes_nothing_new() {
    let mut world = super::world_with_service(&json!({}));
    world.ecs_call("DeregisterTaskDefinition", &json!({"taskDefinition": "mco-api:1"}));
    let described = world.ecs_call("DescribeTaskDefinition", &json!({"taskDefinition": "mco-api:1"}));
    assert_eq!(described["taskDefinition"]["status"], "INACTIVE");
    world.update(&json!({"desiredCount": 3}));
    world.advance(super::SETTLED);
    assert_eq!(world.service()["runningCount"], 3);
    let create =
        json!({"cluster": "mco", "serviceName": "b", "taskDefinition": "mco-api:1", "desiredCount": 1});
    assert_eq!(world.why_refused("CreateService", &create), "TaskDefinition is inactive");
    world.register("aaaaaaa");
    world.update(&json!({"taskDefinition": "mco-api:2"}));
    let back = json!({"cluster": "mco", "service": "api", "taskDefinition": "mco-api:1"});
    assert_eq!(world.why_refused("UpdateService", &back), "TaskDefinition is inactive");
}

#[test]
fn a_deleted_revision_stays_while_it_is_needed_and_its_number_never_comes_back() {
    let mut world = super::world_with_service(&json!({}));
    let delete = json!({"taskDefinitions": ["mco-api:1"]});
    let refused = world.ecs_call("DeleteTaskDefinitions", &delete);
    assert_eq!(refused["taskDefinitions"], json!([]));
    world.ecs_call("DeregisterTaskDefinition", &json!({"taskDefinition": "mco-api:1"}));
    let deleted = world.ecs_call("DeleteTaskDefinitions", &delete);
    assert_eq!(deleted["taskDefinitions"][0]["status"], "DELETE_IN_PROGRESS");
    assert!(deleted["taskDefinitions"][0]["deleteRequestedAt"].is_number());
    world.advance(10);
    world.ecs_call("DescribeTaskDefinition", &json!({"taskDefinition": "mco-api:1"}));
    world.ecs_call("DeleteService", &json!({"cluster": "mco", "service": "api", "force": true}));
    world.advance(10);
    world.refused(Api::Ecs, "DescribeTaskDefinition", &json!({"taskDefinition": "mco-api:1"}));
    for status in ["ALL", "INACTIVE"] {
        let families = world.ecs_call("ListTaskDefinitionFamilies", &json!({"status": status}));
        assert_eq!(families["families"], json!([]), "nothing is left of it");
    }
    assert!(world.register("aaaaaaa").ends_with("mco-api:2"));
}
