//! What is sent to EventBridge: everything as it was read, but for the task definition. What is left out of a target or a
//! schedule is gone afterwards (Amazon EventBridge API reference, `PutTargets`; EventBridge Scheduler API reference,
//! `UpdateSchedule`). And what ECS is sent to start now what a target starts at its time.

use serde_json::{Map, Value, json};

use crate::model::{ClusterName, Schedule, ScheduleName, ScheduleTarget, TaskDefinitionArn};

/// Members of `GetSchedule` that `UpdateSchedule` does not take.
const TOLD: [&str; 3] = ["Arn", "CreationDate", "LastModificationDate"];

/// The input of `PutTargets` or `UpdateSchedule` after which the targets that run the family of this revision in this cluster run
/// the revision. Other targets of a rule are not in it: they stay as they are.
pub fn retargeted(
    name: &ScheduleName,
    schedule: &Schedule,
    cluster: &ClusterName,
    revision: &TaskDefinitionArn,
) -> Value {
    let ours = schedule.targets.iter().filter(|target| target.runs(cluster, revision.family()));
    let others = ours.filter(|target| target.task_definition.as_ref() != Some(revision));
    match name {
        ScheduleName::Rule(rule) => {
            let targets = others.map(|target| with_revision(&target.raw, "", revision));
            json!({"Rule": rule, "Targets": targets.collect::<Vec<_>>()})
        }
        ScheduleName::Schedule { group, name } => {
            let whole = others.map(|target| with_revision(&target.raw, "/Target", revision)).next();
            let mut input = whole.unwrap_or_else(|| json!({}));
            if let Some(members) = input.as_object_mut() {
                members.retain(|key, _| !TOLD.contains(&key.as_str()));
            }
            input["Name"] = json!(name);
            input["GroupName"] = json!(group);
            input
        }
    }
}

/// The input of `RunTask` that starts what a target starts, with as many tasks, in its network, with its capacity and its overrides; but
/// for who asks for it. `None`: what the target is given is only known at its time, or is no JSON.
pub fn run_now(target: &ScheduleTarget, cluster: &ClusterName) -> Option<Map<String, Value>> {
    let raw = target.own();
    let is_made_at_its_time = |key: &str| raw.get(key).is_some_and(|value| !value.is_null());
    if is_made_at_its_time("InputTransformer") || is_made_at_its_time("InputPath") {
        return None;
    }
    let mut input = Map::new();
    for (key, value) in target.ecs_parameters()?.as_object()? {
        match key.as_str() {
            "TaskDefinitionArn" => input.insert("taskDefinition".to_owned(), value.clone()),
            "TaskCount" => input.insert("count".to_owned(), value.clone()),
            other => input.insert(in_small(other), as_ecs_spells(value)),
        };
    }
    if let Some(overrides) = raw.get("Input").and_then(Value::as_str) {
        // Amazon EventBridge Scheduler user guide, "Adding context attributes".
        if overrides.contains("<aws.scheduler.") {
            return None;
        }
        input.insert("overrides".to_owned(), serde_json::from_str(overrides).ok()?);
    }
    input.insert("cluster".to_owned(), json!(cluster.as_str()));
    Some(input)
}

/// Members with a small letter in front, as ECS has them.
fn as_ecs_spells(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            members.iter().map(|(key, value)| (in_small(key), as_ecs_spells(value))).collect()
        }
        Value::Array(items) => items.iter().map(as_ecs_spells).collect(),
        other => other.clone(),
    }
}

fn in_small(key: &str) -> String {
    let mut letters = key.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// `at`: where the target stands in what was read.
fn with_revision(raw: &Value, at: &str, revision: &TaskDefinitionArn) -> Value {
    let mut raw = raw.clone();
    if let Some(member) = raw.pointer_mut(&format!("{at}/EcsParameters/TaskDefinitionArn")) {
        *member = json!(revision.as_str());
    }
    raw
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ScheduleTarget;

    const CLUSTER: &str = "arn:aws:ecs:eu-west-2:123456789012:cluster/mco";

    fn arn(short: &str) -> String {
        format!("arn:aws:ecs:eu-west-2:123456789012:task-definition/{short}")
    }

    fn target(cluster: &str, runs: &str, raw: Value) -> ScheduleTarget {
        let task_definition = Some(TaskDefinitionArn::new(arn(runs)));
        ScheduleTarget { arn: cluster.to_owned(), task_definition, role: None, raw }
    }

    #[test]
    fn of_a_rule_only_the_targets_that_run_it_are_sent_with_all_their_members() {
        let raw = |id: &str, runs: &str| {
            json!({"Id": id, "Arn": CLUSTER, "Input": "{\"containerOverrides\": []}", "Newer": {"x": [1.5]},
                "EcsParameters": {"TaskDefinitionArn": arn(runs), "TaskCount": 2, "Newer": true}})
        };
        let schedule = Schedule {
            is_enabled: true,
            targets: vec![
                target(CLUSTER, "nightly:1", raw("a", "nightly:1")),
                target(CLUSTER, "nightly", raw("b", "nightly")),
                target(CLUSTER, "nightly:2", raw("c", "nightly:2")),
                target(CLUSTER, "weekly:1", raw("d", "weekly:1")),
                target(&format!("{CLUSTER}2"), "nightly:1", raw("e", "nightly:1")),
            ],
        };
        let name = ScheduleName::Rule("nightly".to_owned());
        let revision = TaskDefinitionArn::new(arn("nightly:2"));
        let sent = retargeted(&name, &schedule, &ClusterName::new("mco"), &revision);
        let expected = ["a", "b"].map(|id| raw(id, "nightly:2"));
        assert_eq!(sent, json!({"Rule": "nightly", "Targets": expected}));
    }

    #[test]
    fn what_a_target_starts_at_its_time_is_started_now_as_it_is() {
        let network = json!({"awsvpcConfiguration": {"Subnets": ["s"], "AssignPublicIp": "DISABLED"}});
        let raw = |more: Value| {
            let mut raw = json!({"Id": "a", "Arn": CLUSTER, "RoleArn": "r",
                "Input": "{\"containerOverrides\": [{\"name\": \"nightly\"}]}",
                "EcsParameters": {"TaskDefinitionArn": arn("nightly:2"), "TaskCount": 2, "LaunchType": "FARGATE",
                    "NetworkConfiguration": network, "Tags": [{"Key": "team", "Value": "A"}]}});
            raw.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            raw
        };
        let now = |raw: Value| {
            let sent = run_now(&target(CLUSTER, "nightly:2", raw), &ClusterName::new("mco"));
            sent.map(Value::Object)
        };
        let expected = json!({"cluster": "mco", "taskDefinition": arn("nightly:2"), "count": 2, "launchType": "FARGATE",
            "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["s"], "assignPublicIp": "DISABLED"}},
            "tags": [{"key": "team", "value": "A"}], "overrides": {"containerOverrides": [{"name": "nightly"}]}});
        assert_eq!(now(raw(json!({}))), Some(expected.clone()));
        assert_eq!(now(json!({"Target": raw(json!({}))})), Some(expected));
        for unknown in [
            json!({"InputTransformer": {"InputTemplate": "{}"}}),
            json!({"InputPath": "$.detail"}),
            json!({"Input": "<aws.scheduler.scheduled-time>"}),
            json!({"Input": "nightly"}),
        ] {
            assert_eq!(now(raw(unknown.clone())), None, "{unknown}");
        }
    }

    #[test]
    fn a_schedule_is_sent_whole() {
        let raw = |runs: &str, more: Value| {
            let mut raw = json!({"Name": "nightly", "GroupName": "jobs", "ScheduleExpression": "rate(1 day)",
                "FlexibleTimeWindow": {"Mode": "OFF"}, "State": "DISABLED", "StartDate": 1_767_225_600.25, "Newer": [null],
                "Target": {"Arn": CLUSTER, "RoleArn": "r", "Input": "{}", "EcsParameters": {"TaskDefinitionArn": arn(runs)}}});
            raw.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            raw
        };
        let told = json!({"Arn": "s", "CreationDate": 1, "LastModificationDate": 2});
        let schedule = Schedule {
            is_enabled: false,
            targets: vec![target(CLUSTER, "nightly:1", raw("nightly:1", told))],
        };
        let name = ScheduleName::Schedule { group: "jobs".to_owned(), name: "nightly".to_owned() };
        let revision = TaskDefinitionArn::new(arn("nightly:2"));
        let sent = retargeted(&name, &schedule, &ClusterName::new("mco"), &revision);
        assert_eq!(sent, raw("nightly:2", json!({})));
    }
}
