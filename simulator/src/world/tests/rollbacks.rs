//! How deployments by `CodeDeploy` fail, and how they are undone.

use serde_json::{Value, json};

use super::blue_green::{BlueGreen, MINUTE, deployment, no_hooks, set};
use super::laid_over;
use crate::faults::Fault;

#[test]
fn a_hook_that_fails_before_the_shift_is_undone_by_a_deployment_that_drains_the_new_tasks() {
    let linear = json!({"deploymentConfigName": "CodeDeployDefault.ECSLinear10PercentEvery1Minutes"});
    let mut made = BlueGreen::new(&linear);
    made.world.inject(Fault::HookFails { function: "smoke".to_owned() });
    let id = made.begin("bbbbbbb", &json!([{"AfterAllowTestTraffic": "smoke"}]));
    made.until(&id, "Failed");
    assert_eq!(made.end(&id), ("Failed".to_owned(), json!("HOOK_EXECUTION_FAILURE"), true));
    assert_eq!(
        made.error(&id),
        "HOOK_EXECUTION_FAILURE: The deployment failed because one or more of the lifecycle event validation functions failed."
    );
    let told = made.events(&id);
    assert!(told.contains("AfterAllowTestTraffic Failed, BeforeAllowTraffic Skipped"), "{told}");
    let undoing = made.undone_by(&id);
    assert_eq!(made.info(&undoing)["deploymentConfigName"], "CodeDeployDefault.ECSAllAtOnce");
    made.until(&undoing, "Succeeded");
    assert_eq!(made.sets(), [set("PRIMARY", "1"), set("DRAINING", "2")]);
    let (production, test) = (made.production.clone(), made.test.clone());
    assert_eq!((made.weights(&production), made.weights(&test)), ([100, 0], [100, 0]));
}

#[test]
fn before_the_new_tasks_are_made_there_is_nothing_to_undo() {
    let mut made = BlueGreen::new(&json!({}));
    made.deployed("bbbbbbb");
    made.world.inject(Fault::HookFails { function: "smoke".to_owned() });
    let id = made.begin("ccccccc", &json!([{"BeforeInstall": "smoke"}]));
    made.world.advance(MINUTE);
    assert_eq!(made.end(&id), ("Failed".to_owned(), json!("HOOK_EXECUTION_FAILURE"), false));
    assert_eq!(made.sets(), [set("PRIMARY", "2")]);
}

#[test]
fn what_goes_on_when_it_is_stopped_has_failed_and_the_rest_is_skipped() {
    let mut made =
        BlueGreen::new(&json!({"alarmConfiguration": {"enabled": true, "alarms": [{"name": "errors"}]}}));
    let id = made.begin("bbbbbbb", &no_hooks());
    made.world.advance(10);
    made.world.set_alarm("errors", true);
    made.world.advance(1);
    assert_eq!(
        made.events(&id),
        "BeforeInstall Succeeded, Install Failed, AfterInstall Skipped, AllowTestTraffic Skipped, AfterAllowTestTraffic Skipped, BeforeAllowTraffic Skipped, AllowTraffic Skipped, AfterAllowTraffic Skipped"
    );
    let events = made.target(&id)["lifecycleEvents"].clone();
    assert!(
        events[1]["endTime"].is_number()
            && events[2]["startTime"].is_null()
            && events[2]["endTime"].is_null()
    );
}

#[test]
fn a_failure_after_the_shift_is_rolled_back_by_a_deployment_of_the_last_good_revision() {
    let mut made = BlueGreen::new(&json!({}));
    let good = made.deployed("bbbbbbb");
    made.world.inject(Fault::HookFails { function: "check".to_owned() });
    let id = made.begin("ccccccc", &json!([{"AfterAllowTraffic": "check"}]));
    made.world.advance(50);
    let (status, code, rolled_back) = made.end(&id);
    assert_eq!((status.as_str(), code, rolled_back), ("Failed", json!("HOOK_EXECUTION_FAILURE"), true));
    let rollback = made.undone_by(&id);
    let told = made.info(&id)["rollbackInfo"]["rollbackMessage"].clone();
    assert_eq!(
        told,
        json!(format!(
            "Deployment {id} terminated. Automatic rollback is triggered with a DeploymentId {rollback}."
        ))
    );
    let info = made.info(&rollback);
    assert_eq!(
        info["rollbackInfo"],
        json!({"rollbackTriggeringDeploymentId": id,
            "rollbackMessage": format!("Deployment {rollback} is triggered to roll back deployment {id}.")})
    );
    assert_eq!(
        (&info["creator"], &info["deploymentConfigName"]),
        (&json!("codeDeployRollback"), &json!("CodeDeployDefault.ECSAllAtOnce"))
    );
    let good = made.info(&good)["revision"].clone();
    assert_eq!(info["revision"], good);
    made.world.advance(MINUTE);
    assert_eq!(made.status(&rollback), "Succeeded");
    assert_eq!(made.sets(), [set("PRIMARY", "2"), set("DRAINING", "3")]);
}

#[test]
fn the_first_deployment_of_a_group_is_undone_as_well() {
    let mut made = BlueGreen::new(&json!({}));
    made.world.inject(Fault::HookFails { function: "check".to_owned() });
    let id = made.begin("bbbbbbb", &json!([{"AfterAllowTraffic": "check"}]));
    made.until(&id, "Failed");
    let production = made.production.clone();
    assert_eq!(made.weights(&production), [0, 100]);
    let undoing = made.undone_by(&id);
    made.until(&undoing, "Succeeded");
    assert_eq!(made.weights(&production), [100, 0]);
    assert_eq!(made.sets(), [set("PRIMARY", "1"), set("DRAINING", "2")]);
    // No revision was good before: it names none.
    assert_eq!(made.info(&undoing)["revision"], Value::Null);
    made.deployed("ccccccc");
    assert_eq!(made.sets(), [set("PRIMARY", "3")]);
}

#[test]
fn without_a_rollback_everything_stays_as_the_failure_left_it() {
    let mut made = BlueGreen::new(&json!({"autoRollbackConfiguration": {"enabled": false}}));
    made.world.inject(Fault::HookFails { function: "smoke".to_owned() });
    let id = made.begin("bbbbbbb", &json!([{"BeforeAllowTraffic": "smoke"}]));
    made.world.advance(2 * MINUTE);
    assert_eq!(made.end(&id).0, "Failed");
    assert_eq!(made.sets(), [set("PRIMARY", "1"), set("ACTIVE", "2")]);
    // What is left over does not stop the next one.
    made.world.heal();
    made.deployed("ccccccc");
    assert_eq!(made.sets(), [set("PRIMARY", "3")]);
}

#[test]
fn tasks_that_never_get_healthy_fail_it_after_an_hour() {
    let mut made = BlueGreen::new(&json!({}));
    // From the second deployment on the load balancer looks at the replacement during the installation.
    made.deployed("bbbbbbb");
    let digest = made.world.push("ccccccc");
    made.world.inject(Fault::Unhealthy { digest });
    let id = made.begin_image("ccccccc", &no_hooks());
    made.world.advance(59 * MINUTE);
    assert_eq!(made.status(&id), "InProgress");
    made.world.advance(2 * MINUTE);
    assert_eq!(made.end(&id), ("Failed".to_owned(), json!("HEALTH_CONSTRAINTS"), true));
}

#[test]
fn a_function_that_never_answers_fails_it_after_an_hour_unless_somebody_answers_for_it() {
    let mut made = BlueGreen::new(&json!({}));
    made.world.inject(Fault::HookSilent { function: "smoke".to_owned() });
    let hooks = json!([{"BeforeInstall": "smoke"}]);
    let id = made.begin("bbbbbbb", &hooks);
    made.world.advance(50 * MINUTE);
    assert_eq!(made.events(&id), "BeforeInstall InProgress");
    made.world.advance(11 * MINUTE);
    assert!(made.error(&id).contains("timed out while waiting for a status callback"), "{}", made.error(&id));
    for (status, end) in [("Succeeded", "Succeeded"), ("Failed", "Failed")] {
        let id = made.begin_image("bbbbbbb", &hooks);
        made.world.advance(MINUTE);
        let answer = json!({"deploymentId": id, "lifecycleEventHookExecutionId": format!("{id}:BeforeInstall"), "status": status});
        made.code_deploy("PutLifecycleEventHookExecutionStatus", &answer);
        made.world.advance(10 * MINUTE);
        assert_eq!(made.status(&id), end);
    }
}

#[test]
fn an_alarm_stops_it_and_rolls_it_back() {
    let named = json!([{"name": "errors"}, {"name": "latency"}, {"name": "quiet"}]);
    let alarms = json!({"alarmConfiguration": {"enabled": true, "alarms": named}});
    let mut made = BlueGreen::new(&alarms);
    made.deployed("bbbbbbb");
    let id = made.begin("ccccccc", &no_hooks());
    made.world.advance(2 * MINUTE);
    made.world.set_alarm("errors", true);
    made.world.set_alarm("latency", true);
    made.world.advance(1);
    assert_eq!(made.end(&id), ("Stopped".to_owned(), json!("ALARM_ACTIVE"), true));
    assert!(made.error(&id).ends_with("Activated alarms: <errors> <latency>"), "{}", made.error(&id));
    made.world.advance(MINUTE);
    assert_eq!(made.sets(), [set("PRIMARY", "2"), set("DRAINING", "3")]);
}

#[test]
fn stopping_rolls_back_as_the_group_or_the_request_says() {
    for (asked, rolled_back) in [(json!({}), true), (json!({"autoRollbackEnabled": false}), false)] {
        let mut made = BlueGreen::new(&json!({}));
        made.deployed("bbbbbbb");
        let id = made.begin("ccccccc", &no_hooks());
        made.world.advance(2 * MINUTE);
        let stopped = made.code_deploy("StopDeployment", &laid_over(json!({"deploymentId": id}), &asked));
        assert_eq!((stopped["status"].as_str(), made.status(&id).as_str()), (Some("Pending"), "InProgress"));
        made.world.advance(1);
        assert_eq!(made.end(&id), ("Stopped".to_owned(), json!("MANUAL_STOP"), rolled_back));
        assert_eq!(
            made.refused("StopDeployment", &json!({"deploymentId": id})),
            "DeploymentAlreadyCompletedException"
        );
        made.world.advance(MINUTE);
        let left = if rolled_back {
            vec![set("PRIMARY", "2"), set("DRAINING", "3")]
        } else {
            vec![set("PRIMARY", "3"), set("ACTIVE", "2")]
        };
        assert_eq!(made.sets(), left);
    }
}

#[test]
fn a_group_is_not_free_before_what_failed_is_undone() {
    let mut made = BlueGreen::new(&json!({}));
    made.world.inject(Fault::HookFails { function: "smoke".to_owned() });
    let id = made.begin("bbbbbbb", &json!([{"AfterInstall": "smoke"}]));
    made.until(&id, "Failed");
    let undoing = made.undone_by(&id);
    let again = deployment("mco-api:1", &no_hooks());
    let error = made.world.call(crate::world::Api::CodeDeploy, "CreateDeployment", &again).unwrap_err();
    assert_eq!(error.code, "DeploymentLimitExceededException");
    assert!(error.message.contains(&undoing), "{}", error.message);
    made.until(&undoing, "Succeeded");
    made.code_deploy("CreateDeployment", &again);
}
