//! Rules of EventBridge and schedules of EventBridge Scheduler: what an update drops, what is refused, and what they start.

use serde_json::{Value, json};

use super::super::{Api, Program, World};
use super::{laid_over, world};
use crate::faults::Fault;

const CLUSTER: &str = "arn:aws:ecs:eu-west-2:123456789012:cluster/mco";
const FAMILY: &str = "arn:aws:ecs:eu-west-2:123456789012:task-definition/mco-api";
const ROLE: &str = "arn:aws:iam::123456789012:role/events";

fn target(id: &str, more: &Value) -> Value {
    let target = json!({"Id": id, "Arn": CLUSTER, "RoleArn": ROLE, "EcsParameters": {"TaskDefinitionArn": format!("{FAMILY}:1")}});
    laid_over(target, more)
}

fn schedule(more: &Value) -> Value {
    let target = json!({"Arn": CLUSTER, "RoleArn": ROLE, "EcsParameters": {"TaskDefinitionArn": format!("{FAMILY}:1")}});
    let schedule = json!({"Name": "nightly", "ScheduleExpression": "rate(1 day)", "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": target});
    laid_over(schedule, more)
}

impl World {
    #[track_caller]
    fn rule_call(&mut self, operation: &str, input: &Value) -> Value {
        self.call(Api::Events, operation, input).unwrap()
    }

    #[track_caller]
    fn schedule_call(&mut self, operation: &str, input: &Value) -> Value {
        self.call(Api::Scheduler, operation, input).unwrap()
    }

    fn put_nightly(&mut self, targets: &Value) -> Value {
        self.rule_call("PutRule", &json!({"Name": "nightly", "ScheduleExpression": "rate(1 day)"}));
        self.rule_call("PutTargets", &json!({"Rule": "nightly", "Targets": targets}))
    }

    /// Who started the tasks that run, which revisions they are of, and with which overrides.
    fn started_tasks_by(&mut self) -> Vec<(String, String, Value)> {
        self.advance(5);
        let arns = self.ecs_call("ListTasks", &json!({"cluster": "mco"}))["taskArns"].clone();
        if arns == json!([]) {
            return Vec::new();
        }
        let tasks = self.ecs_call("DescribeTasks", &json!({"cluster": "mco", "tasks": arns}));
        let text =
            |task: &Value, key: &str| task[key].as_str().unwrap().rsplit_once('/').unwrap().1.to_owned();
        let of = |task: &Value| {
            let by = task["startedBy"].as_str().unwrap().to_owned();
            (by, text(task, "taskDefinitionArn"), task["overrides"]["containerOverrides"].clone())
        };
        let mut all: Vec<_> = tasks["tasks"].as_array().unwrap().iter().map(of).collect();
        all.sort_by(|one, two| (&one.0, &one.1).cmp(&(&two.0, &two.1)));
        all
    }
}

#[test]
fn a_target_is_replaced_as_a_whole_and_others_stay() {
    let mut world = world();
    let other = target("b", &json!({"Input": "{}"}));
    let put = world.put_nightly(&json!([target("a", &json!({"Input": "{}", "Newer": [1]})), other]));
    assert_eq!(put, json!({"FailedEntryCount": 0, "FailedEntries": []}));
    let new = target("a", &json!({"RetryPolicy": {"MaximumRetryAttempts": 1}}));
    world.rule_call("PutTargets", &json!({"Rule": "nightly", "Targets": [new]}));
    let listed = world.rule_call("ListTargetsByRule", &json!({"Rule": "nightly"}));
    assert_eq!(listed, json!({"Targets": [new, other]}));
    // A rule that is put again keeps them.
    world.rule_call(
        "PutRule",
        &json!({"Name": "nightly", "ScheduleExpression": "rate(2 days)", "State": "DISABLED"}),
    );
    let page = world.rule_call("ListTargetsByRule", &json!({"Rule": "nightly", "Limit": 1}));
    assert_eq!(page, json!({"Targets": [new], "NextToken": "1"}));
    let rule = world.rule_call("DescribeRule", &json!({"Name": "nightly"}));
    assert_eq!((&rule["State"], &rule["ScheduleExpression"]), (&json!("DISABLED"), &json!("rate(2 days)")));
    world.rule_call("EnableRule", &json!({"Name": "nightly"}));
    assert_eq!(world.rule_call("ListRules", &json!({"NamePrefix": "night"}))["Rules"][0]["State"], "ENABLED");
    let removed = world.rule_call("RemoveTargets", &json!({"Rule": "nightly", "Ids": ["a", "nope"]}));
    assert_eq!(removed["FailedEntries"][0]["TargetId"], "nope");
    assert_eq!(world.refused(Api::Events, "DeleteRule", &json!({"Name": "nightly"})), "ValidationException");
    world.rule_call("RemoveTargets", &json!({"Rule": "nightly", "Ids": ["b"]}));
    world.rule_call("DeleteRule", &json!({"Name": "nightly"}));
}

#[test]
fn a_rule_or_target_that_makes_no_sense_is_refused() {
    let mut world = world();
    let put = |targets: &Value| json!({"Rule": "nightly", "Targets": targets});
    let gone = world.call(Api::Events, "PutTargets", &put(&json!([target("a", &json!({}))]))).unwrap_err();
    assert_eq!(gone.message, "Rule nightly does not exist on EventBus default.");
    for (operation, input) in [
        ("PutRule", json!({"Name": "a b", "ScheduleExpression": "rate(1 day)"})),
        ("PutRule", json!({"Name": "a"})),
        ("PutRule", json!({"Name": "a", "ScheduleExpression": "at(2026-01-01T00:00:00)"})),
        ("PutRule", json!({"Name": "a", "ScheduleExpression": "rate(1 day)", "State": "OFF"})),
    ] {
        assert_eq!(world.refused(Api::Events, operation, &input), "ValidationException", "{input}");
    }
    let on_another_bus = json!({"Name": "a", "EventPattern": "{}", "EventBusName": "mine"});
    assert_eq!(world.refused(Api::Events, "PutRule", &on_another_bus), "ResourceNotFoundException");
    world.put_nightly(&json!([target("a", &json!({}))]));
    for wrong in [
        json!([]),
        json!([{"Arn": CLUSTER}]),
        json!([{"Id": "a", "Arn": "mco"}]),
        json!([target("a", &json!({"EcsParameters": null}))]),
        json!([target("a", &json!({"EcsParameters": {"TaskDefinitionArn": "mco-api:1"}}))]),
        json!([target("a", &json!({"RoleArn": null}))]),
    ] {
        assert_eq!(world.refused(Api::Events, "PutTargets", &put(&wrong)), "ValidationException", "{wrong}");
    }
    let six: Vec<Value> = (0..6).map(|number| target(&number.to_string(), &json!({}))).collect();
    assert_eq!(world.refused(Api::Events, "PutTargets", &put(&json!(six))), "LimitExceededException");
    let fault = Fault::FailEntries { code: "X".to_owned(), message: "no".to_owned(), times: 1 };
    world.inject(fault);
    let changed = put(&json!([target("a", &json!({"Input": "{}"}))]));
    let failed = world.rule_call("PutTargets", &changed);
    let entry = json!({"TargetId": "a", "ErrorCode": "X", "ErrorMessage": "no"});
    assert_eq!(failed, json!({"FailedEntryCount": 1, "FailedEntries": [entry]}));
    let listed = world.rule_call("ListTargetsByRule", &json!({"Rule": "nightly"}));
    assert_eq!(listed["Targets"][0].get("Input"), None);
}

#[test]
fn an_update_of_a_schedule_drops_what_it_leaves_out() {
    let mut world = world();
    let all = schedule(&json!({"Description": "d", "State": "DISABLED", "StartDate": 1.5, "KmsKeyArn": "k",
        "ScheduleExpressionTimezone": "Europe/London", "ActionAfterCompletion": "DELETE", "ClientToken": "t"}));
    world.schedule_call("CreateSchedule", &all);
    assert_eq!(world.refused(Api::Scheduler, "CreateSchedule", &all), "ConflictException");
    let named = json!({"Name": "nightly"});
    let before = world.schedule_call("GetSchedule", &named);
    for (key, value) in all.as_object().unwrap().iter().filter(|(key, _)| *key != "ClientToken") {
        assert_eq!(before[key], *value, "{key}");
    }
    world.advance(10);
    world.schedule_call("UpdateSchedule", &schedule(&json!({})));
    let after = world.schedule_call("GetSchedule", &named);
    assert_eq!(
        (after.get("Description"), after.get("StartDate"), after.get("KmsKeyArn")),
        (None, None, None)
    );
    let defaults =
        ["State", "ScheduleExpressionTimezone", "ActionAfterCompletion", "GroupName"].map(|key| &after[key]);
    assert_eq!(defaults, ["ENABLED", "UTC", "NONE", "default"]);
    assert_eq!(after["CreationDate"], before["CreationDate"]);
    assert!(after["LastModificationDate"].as_f64() > before["LastModificationDate"].as_f64());
    world.schedule_call("DeleteSchedule", &named);
    let gone = world.call(Api::Scheduler, "UpdateSchedule", &schedule(&json!({}))).unwrap_err();
    assert_eq!((gone.message.as_str(), gone.status), ("Schedule nightly does not exist.", 404));
}

#[test]
fn a_schedule_that_makes_no_sense_is_refused() {
    let mut world = world();
    for wrong in [
        json!({"Name": "a b"}),
        json!({"ScheduleExpression": "every day"}),
        json!({"FlexibleTimeWindow": null}),
        json!({"Target": {"Arn": CLUSTER, "RoleArn": ROLE}}),
        json!({"Target": {"Arn": "arn:aws:sqs:x"}}),
    ] {
        let refused = world.refused(Api::Scheduler, "CreateSchedule", &schedule(&wrong));
        assert_eq!(refused, "ValidationException", "{wrong}");
    }
    let grouped = schedule(&json!({"GroupName": "jobs"}));
    assert_eq!(world.refused(Api::Scheduler, "CreateSchedule", &grouped), "ResourceNotFoundException");
    world.schedule_call("CreateScheduleGroup", &json!({"Name": "jobs"}));
    world.schedule_call("CreateSchedule", &grouped);
    assert_eq!(
        world.refused(Api::Scheduler, "GetSchedule", &json!({"Name": "nightly"})),
        "ResourceNotFoundException"
    );
}

#[test]
fn rules_and_schedules_run_their_tasks_when_somebody_says_that_it_is_time() {
    let mut world = world();
    world.set_program("api", Program::Stays);
    let overrides = json!([{"name": "api", "command": ["x"]}]);
    let input = json!({"containerOverrides": overrides}).to_string();
    let newest = json!({"Input": input, "EcsParameters": {"TaskDefinitionArn": FAMILY}});
    let queue = json!({"Id": "queue", "Arn": "arn:aws:sqs:eu-west-2:123456789012:jobs"});
    world.put_nightly(&json!([target("one", &json!({})), target("newest", &newest), queue]));
    world.register("aaaaaaa");
    world.advance(1000 * 3600);
    assert_eq!(world.started_tasks_by(), [], "by the time alone nothing is");
    assert!(world.fire("nightly"));
    let by_rule = |revision: &str, overrides: &Value| {
        ("events-rule/nightly".to_owned(), revision.to_owned(), overrides.clone())
    };
    assert_eq!(
        world.started_tasks_by(),
        [by_rule("mco-api:1", &json!([])), by_rule("mco-api:2", &overrides)]
    );
    world.rule_call("DisableRule", &json!({"Name": "nightly"}));
    assert!(!world.fire("nightly"));
    world.schedule_call("CreateScheduleGroup", &json!({"Name": "jobs"}));
    world.schedule_call("CreateSchedule", &schedule(&json!({"GroupName": "jobs"})));
    assert!(world.fire("jobs/nightly"));
    assert_eq!(world.started_tasks_by()[0].0, "chronos-schedule/nightly");
    world.schedule_call("UpdateSchedule", &schedule(&json!({"GroupName": "jobs", "State": "DISABLED"})));
    assert!(!world.fire("jobs/nightly"));
}

#[test]
fn a_task_of_a_rule_runs_in_its_network_and_with_its_capacity() {
    let mut world = world();
    let image = format!("{}/mco/api:aaaaaaa", super::REGISTRY);
    let job = json!({"family": "job", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256",
        "memory": "512", "executionRoleArn": ROLE, "containerDefinitions": [{"name": "job", "image": image}]});
    let job = world.ecs_call("RegisterTaskDefinition", &job)["taskDefinition"]["taskDefinitionArn"].clone();
    let network = json!({"awsvpcConfiguration": {"Subnets": ["subnet-1"], "AssignPublicIp": "ENABLED"}});
    let parameters = json!({"TaskDefinitionArn": job, "TaskCount": 2, "LaunchType": "FARGATE", "Group": "night",
        "NetworkConfiguration": network});
    world.put_nightly(&json!([target("one", &json!({"EcsParameters": parameters}))]));
    assert!(world.fire("nightly"));
    world.advance(5);
    let arns = world.ecs_call("ListTasks", &json!({"cluster": "mco", "family": "job"}))["taskArns"].clone();
    let tasks = world.ecs_call("DescribeTasks", &json!({"cluster": "mco", "tasks": arns}))["tasks"].clone();
    assert_eq!(tasks.as_array().unwrap().len(), 2);
    assert_eq!((&tasks[0]["launchType"], &tasks[0]["group"]), (&json!("FARGATE"), &json!("night")));
}
