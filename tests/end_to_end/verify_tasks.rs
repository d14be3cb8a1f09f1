//! `verify` of tasks that run once or by a schedule, and of quotas: for each thing a world in which it is right and one in which it is not.

use serde_json::{Value, json};
use trueup_simulator::Api;

use crate::rig::{APPLICATION, Rig};
use crate::verify::{deny, iam, network, trust, verified};

const CLUSTER: &str = "arn:aws:ecs:eu-west-2:123456789012:cluster/mco";
const ROLE: &str = "arn:aws:iam::123456789012:role/starter";

fn application(name: &str, strategy: &str) -> String {
    format!(
        "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {{name: {name}}}\nspec:\n  repository: mco/api\n  taskDefinition: {name}.json\n  strategy: {strategy}\n"
    )
}

/// The application of this name in the place of `api`, whose tasks have networks of their own.
fn declare(rig: &Rig, name: &str, strategy: &str) {
    let container = json!({"name": name, "image": "<IMAGE_NAME>", "memory": 64});
    let input = json!({"family": name, "networkMode": "awsvpc", "containerDefinitions": [container]});
    rig.write(&format!("{name}.json"), &input.to_string());
    rig.write(&format!("{name}.yaml"), &application(name, strategy));
    rig.declare("aaaaaaa");
    rig.replace("test.yaml", "api: ", &format!("{name}: "));
}

/// What was found of the checks of this name.
fn found(rig: &Rig, check: &str) -> String {
    let (checks, _) = verified(rig);
    let of_it = checks.iter().filter_map(|one| one.strip_prefix(check)?.strip_prefix(' '));
    of_it.collect::<Vec<_>>().join(", ")
}

fn revision(rig: &Rig, family: &str) -> Value {
    let container = json!({"name": family, "image": "busybox", "memory": 64});
    let input = json!({"family": family, "networkMode": "awsvpc", "containerDefinitions": [container]});
    rig.call(Api::Ecs, "RegisterTaskDefinition", &input)["taskDefinition"]["taskDefinitionArn"].clone()
}

fn parameters(revision: &Value, network: &Value, count: u64) -> Value {
    let network = &network["awsvpcConfiguration"];
    let network = json!({"awsvpcConfiguration": {"Subnets": network["subnets"], "SecurityGroups": network["securityGroups"]}});
    json!({"TaskDefinitionArn": revision, "TaskCount": count, "LaunchType": "FARGATE", "NetworkConfiguration": network})
}

fn put_rule(rig: &Rig, revision: &Value, network: &Value, count: u64) {
    rig.call(Api::Events, "PutRule", &json!({"Name": "nightly", "ScheduleExpression": "rate(1 day)"}));
    let target = json!({"Id": "1", "Arn": CLUSTER, "RoleArn": ROLE, "EcsParameters": parameters(revision, network, count)});
    rig.call(Api::Events, "PutTargets", &json!({"Rule": "nightly", "Targets": [target]}));
}

fn put_schedule(rig: &Rig, operation: &str, revision: &Value, network: &Value) {
    let target = json!({"Arn": CLUSTER, "RoleArn": ROLE, "EcsParameters": parameters(revision, network, 1)});
    let schedule = json!({"Name": "nightly", "ScheduleExpression": "rate(1 day)", "FlexibleTimeWindow": {"Mode": "OFF"}, "Target": target});
    rig.call(Api::Scheduler, operation, &schedule);
}

fn family(revision: &Value) -> Value {
    json!(revision.as_str().unwrap().trim_end_matches(":1"))
}

fn starter(rig: &Rig, service: &str) {
    iam(rig, "CreateRole", &json!({"RoleName": "starter", "AssumeRolePolicyDocument": trust(service)}));
}

#[test]
fn a_rule_names_its_revision_and_its_tasks_have_room_in_a_network() {
    let rig = Rig::bare();
    let (nightly, place) = (revision(&rig, "nightly"), network(&rig, "10.0.0.0/28"));
    declare(&rig, "nightly", "{schedule: {rules: [nightly]}}");
    assert_eq!(found(&rig, "Schedule"), "Failed", "there is no such rule");
    put_rule(&rig, &nightly, &place, 1);
    starter(&rig, "events.amazonaws.com");
    for check in ["Schedule", "Subnet", "SecurityGroup", "Role", "PassRole", "Quota"] {
        assert_eq!(found(&rig, check), "Passed", "{check}");
    }
    put_rule(&rig, &family(&nightly), &place, 12);
    assert_eq!(found(&rig, "Schedule"), "Risk", "it names no revision");
    assert_eq!(found(&rig, "Subnet"), "Failed", "a /28 has eleven addresses");
    let text = rig.expect(&["verify"], 3);
    assert!(
        text.contains("rule nightly names nightly without a revision: it starts whatever is registered last"),
        "{text}"
    );
    assert!(text.contains("rule nightly: 11 addresses are free, and a run takes 12"), "{text}");
    rig.call(Api::Events, "DisableRule", &json!({"Name": "nightly"}));
    let text = rig.expect(&["verify"], 3);
    assert!(text.contains("without a revision, and is disabled: it"), "{text}");
    deny(&rig, "DescribeRule");
    assert_eq!(found(&rig, "Schedule"), "Unseen");
}

#[test]
fn a_schedule_is_looked_at_as_a_rule_is() {
    let rig = Rig::bare();
    let (nightly, place) = (revision(&rig, "nightly"), network(&rig, "10.0.0.0/24"));
    let far = network(&rig, "10.0.0.0/24");
    declare(&rig, "nightly", "{schedule: {schedules: [nightly]}}");
    put_schedule(&rig, "CreateSchedule", &nightly, &place);
    starter(&rig, "events.amazonaws.com");
    assert_eq!((found(&rig, "Schedule"), found(&rig, "Subnet")), ("Passed".to_owned(), "Passed".to_owned()));
    assert_eq!(found(&rig, "Role"), "Failed", "it lets in who starts rules");
    let mut mixed = place.clone();
    mixed["awsvpcConfiguration"]["securityGroups"] = far["awsvpcConfiguration"]["securityGroups"].clone();
    put_schedule(&rig, "UpdateSchedule", &family(&nightly), &mixed);
    assert_eq!(
        (found(&rig, "Schedule"), found(&rig, "SecurityGroup")),
        ("Risk".to_owned(), "Failed".to_owned())
    );
}

#[test]
fn a_task_that_runs_once_has_room_in_a_network() {
    let rig = Rig::bare();
    let place = network(&rig, "10.0.0.0/24")["awsvpcConfiguration"].clone();
    let (subnet, group) =
        (place["subnets"][0].as_str().unwrap(), place["securityGroups"][0].as_str().unwrap());
    declare(
        &rig,
        "migrate",
        &format!("{{task: {{network: {{subnets: [{subnet}], securityGroups: [{group}]}}}}}}"),
    );
    assert_eq!(
        (found(&rig, "Subnet"), found(&rig, "SecurityGroup")),
        ("Passed".to_owned(), "Passed".to_owned())
    );
    rig.call(Api::Ec2, "DeleteSubnet", &json!({"SubnetId": subnet}));
    rig.call(Api::Ec2, "DeleteSecurityGroup", &json!({"GroupId": group}));
    assert_eq!(
        (found(&rig, "Subnet"), found(&rig, "SecurityGroup")),
        ("Failed".to_owned(), "Failed".to_owned())
    );
    // That of a service, as it is now.
    let own = network(&rig, "10.0.0.0/24");
    let other = revision(&rig, "other");
    let service = json!({"cluster": "mco", "serviceName": "other", "taskDefinition": other, "desiredCount": 1,
        "networkConfiguration": own});
    rig.call(Api::Ecs, "CreateService", &service);
    declare(&rig, "migrate", "{task: {network: {like: other}}}");
    assert_eq!(found(&rig, "Subnet"), "Passed");
    rig.call(Api::Ec2, "DeleteSubnet", &json!({"SubnetId": own["awsvpcConfiguration"]["subnets"][0]}));
    assert_eq!(found(&rig, "Subnet"), "Failed");
}

#[test]
fn quotas_near_their_end_are_told_of() {
    let groups =
        |count: usize| (0..count).map(|number| format!("sg-{number}")).collect::<Vec<_>>().join(", ");
    let place = |count| {
        format!("{{task: {{network: {{subnets: [subnet-1], securityGroups: [{}]}}}}}}", groups(count))
    };
    let rig = Rig::bare();
    for (count, expected) in [(5, "Passed"), (6, "Failed")] {
        declare(&rig, "migrate", &place(count));
        assert_eq!(found(&rig, "Quota"), expected, "{count} security groups");
    }
    let rig = Rig::new();
    assert_eq!(found(&rig, "Quota"), "Passed");
    let text = rig.expect(&["verify"], 0);
    assert!(
        text.contains(
            "✓ quota            none is near its end; the nearest is bytes of the task definition: "
        ),
        "{text}"
    );
    let tags = |count: usize| (0..count).map(|number| format!("t{number}: x")).collect::<Vec<_>>().join(", ");
    for (count, expected) in [(10, "Passed"), (34, "Risk")] {
        rig.write("api.yaml", &format!("{APPLICATION}  tags: {{{}}}\n", tags(count)));
        rig.commit("tags");
        assert_eq!(found(&rig, "Quota"), expected, "{count} tags");
    }
    let container = |value: usize| json!({"name": "api", "image": "<IMAGE_NAME>", "memory": 64, "environment": [{"name": "BIG", "value": "x".repeat(value)}]});
    for (bytes, expected) in [(50_000, "Passed"), (60_000, "Risk")] {
        let input = json!({"family": "mco-api", "containerDefinitions": [container(bytes)]});
        rig.write("task.json", &input.to_string());
        rig.write("api.yaml", &format!("{APPLICATION}  taskDefinition: task.json\n"));
        rig.commit("bytes");
        assert_eq!(found(&rig, "Quota"), expected, "{bytes} bytes");
    }
}
