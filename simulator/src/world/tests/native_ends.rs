//! How deployments that shift traffic fail, and how they go back.

use serde_json::{Value, json};

use super::shifting::{MINUTE, Shifting, blue_green, canary, forward};
use super::{LISTED, laid_over};
use crate::faults::Fault;
use crate::world::Api;

fn watched(alarms: &[&str]) -> Value {
    laid_over(blue_green(), &json!({"alarms": {"enable": true, "rollback": true, "alarmNames": alarms}}))
}

#[test]
fn a_stop_goes_back_from_every_stage_before_the_clean_up() {
    for stage in [
        "SCALE_UP",
        "POST_SCALE_UP",
        "TEST_TRAFFIC_SHIFT",
        "POST_TEST_TRAFFIC_SHIFT",
        "PRE_PRODUCTION_TRAFFIC_SHIFT",
        "PRODUCTION_TRAFFIC_SHIFT",
        "POST_PRODUCTION_TRAFFIC_SHIFT",
        "BAKE_TIME",
    ] {
        let mut made = Shifting::new(&canary());
        let before = made.world.service();
        made.begin("bbbbbbb");
        made.until(&format!("IN_PROGRESS: {stage}"));
        let target = made.world.newest()["targetServiceRevision"]["arn"].clone();
        made.stop();
        assert!(made.stands().starts_with("ROLLBACK_REQUESTED"), "{stage}");
        made.until("ROLLBACK_SUCCESSFUL: CLEAN_UP");
        assert_eq!((made.live(), made.registered()), ([[100, 0], [100, 0]], [2, 0]), "{stage}");
        let newest = made.world.newest();
        assert_eq!(newest["targetServiceRevision"]["arn"], target, "{stage}");
        assert_eq!(
            newest["rollback"]["serviceRevisionArn"], newest["sourceServiceRevisions"][0]["arn"],
            "{stage}"
        );
        assert_eq!(newest["statusReason"], "Service deployment stopped by a user.", "{stage}");
        let after = made.world.service();
        assert_eq!(after["taskDefinition"], before["taskDefinition"], "{stage}");
        let entry =
            |status: &str, rollout: &str, running: u64| (status.to_owned(), rollout.to_owned(), running);
        assert_eq!(made.world.deployments(), [entry("PRIMARY", "COMPLETED", 2)], "{stage}");
        made.begin("ccccccc");
        made.until("SUCCESSFUL: CLEAN_UP");
        assert_eq!((made.live()[0], made.registered()), ([0, 100], [0, 2]), "{stage}");
    }
}

#[test]
fn going_back_moves_the_traffic_first_while_both_revisions_run() {
    let mut made = Shifting::new(&blue_green());
    made.begin("bbbbbbb");
    made.until("IN_PROGRESS: BAKE_TIME");
    made.stop();
    made.until("ROLLBACK_IN_PROGRESS: TEST_TRAFFIC_SHIFT");
    assert_eq!((made.live(), made.registered()), ([[100, 0], [0, 100]], [2, 2]));
    made.until("ROLLBACK_IN_PROGRESS: CLEAN_UP");
    assert_eq!(made.live(), [[100, 0], [100, 0]]);
}

#[test]
fn a_stop_is_too_late_in_the_clean_up_and_has_no_effect_on_a_rollback() {
    let mut made = Shifting::new(&blue_green());
    made.begin("bbbbbbb");
    made.until("IN_PROGRESS: CLEAN_UP");
    made.stop();
    assert_eq!(made.stands(), "ROLLBACK_REQUESTED: CLEAN_UP");
    made.until("SUCCESSFUL: CLEAN_UP");
    let ended = json!({"serviceDeploymentArn": made.world.newest()["serviceDeploymentArn"]});
    assert_eq!(made.world.refused(Api::Ecs, "StopServiceDeployment", &ended), "ConflictException");
    made.world.advance(MINUTE);
    made.begin("ccccccc");
    made.until("IN_PROGRESS: BAKE_TIME");
    made.stop();
    made.until("ROLLBACK_IN_PROGRESS: PRODUCTION_TRAFFIC_SHIFT");
    made.stop();
    made.until("ROLLBACK_SUCCESSFUL: CLEAN_UP");
}

#[test]
fn an_alarm_ends_it_until_the_bake_is_over_unless_one_was_on_at_the_start() {
    for (early, stage, end) in [
        (false, "PRE_SCALE_UP", "ROLLBACK_SUCCESSFUL"),
        (false, "BAKE_TIME", "ROLLBACK_SUCCESSFUL"),
        (false, "CLEAN_UP", "SUCCESSFUL"),
        (true, "BAKE_TIME", "SUCCESSFUL"),
    ] {
        let mut made = Shifting::new(&watched(&["errors", "latency"]));
        made.world.set_alarm("latency", early);
        made.world.deploy("bbbbbbb");
        made.world.advance(if stage == "PRE_SCALE_UP" { 1 } else { LISTED });
        if stage != "PRE_SCALE_UP" {
            made.until(&format!("IN_PROGRESS: {stage}"));
        }
        made.world.set_alarm("errors", true);
        made.world.advance(LISTED);
        made.until(&format!("{end}: CLEAN_UP"));
        let alarms = made.world.newest()["alarms"].clone();
        let triggered = if end == "SUCCESSFUL" { json!([]) } else { json!(["errors"]) };
        assert_eq!(alarms["triggeredAlarmNames"], triggered, "{stage} {alarms}");
    }
}

#[test]
fn the_breaker_counts_while_the_new_tasks_come_up() {
    let breaker = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}});
    let mut made = Shifting::new(&laid_over(blue_green(), &breaker));
    let digest = made.world.push("bbbbbbb");
    made.world.inject(Fault::Crash { digest, exit_code: 1, after_seconds: 1 });
    let arn = made.world.register("bbbbbbb");
    made.world.update(&json!({"taskDefinition": arn}));
    made.world.advance(LISTED);
    made.until("ROLLBACK_SUCCESSFUL: CLEAN_UP");
    let newest = made.world.newest();
    assert_eq!(
        newest["statusReason"],
        "Service deployment rolled back because the circuit breaker threshold was exceeded."
    );
    assert_eq!(newest["deploymentCircuitBreaker"]["status"], "TRIGGERED");
    assert_eq!(made.live(), [[100, 0], [100, 0]]);
}

#[test]
fn a_stage_that_takes_longer_than_a_day_goes_back() {
    let mut made = Shifting::new(&blue_green());
    let digest = made.world.push("bbbbbbb");
    made.world.inject(Fault::CannotPull { digest });
    let arn = made.world.register("bbbbbbb");
    made.world.update(&json!({"taskDefinition": arn}));
    made.world.advance(24 * 60 * MINUTE - MINUTE);
    assert_eq!(made.stands(), "IN_PROGRESS: SCALE_UP");
    made.world.advance(3 * MINUTE);
    assert_eq!(made.stands(), "ROLLBACK_SUCCESSFUL: CLEAN_UP");
}

#[test]
fn rules_that_do_not_fit_end_it_before_a_task_is_made() {
    let change = |made: &mut Shifting, test: bool, actions: Value| {
        let rule = if test { made.test.clone() } else { made.production.clone() };
        let listeners = made.world.call(Api::Elb, "DescribeRules", &json!({"RuleArns": [rule]})).unwrap();
        assert_eq!(listeners["Rules"][0]["IsDefault"], true);
        let listener = if test { made.test_listener() } else { made.listener.clone() };
        made.world
            .call(Api::Elb, "ModifyListener", &json!({"ListenerArn": listener, "DefaultActions": actions}))
            .unwrap();
    };
    let both = "Both targetGroup and alternateTargetGroup must be associated with the productionListenerRule or testListenerRule.";
    for (case, why) in [
        ("half", "should have exactly one target group serving traffic but found 2"),
        ("none", "should have exactly one target group serving traffic but found 0"),
        ("alone", both),
        ("other", "Production listener rule is forwarding traffic to unexpected target group"),
        ("gone", "One or more rules not found"),
    ] {
        let mut made = Shifting::new(&blue_green());
        let groups = made.groups.clone();
        match case {
            "half" => change(&mut made, false, forward(&groups, [50, 50])),
            "none" => change(&mut made, false, forward(&groups, [0, 0])),
            "alone" => {
                let alone = json!([{"Type": "forward", "TargetGroupArn": groups[0]}]);
                change(&mut made, false, alone.clone());
                change(&mut made, true, alone);
            }
            "other" => {
                let created = made
                    .world
                    .call(
                        Api::Elb,
                        "CreateTargetGroup",
                        &json!({"Name": "other", "TargetType": "ip", "Port": 80}),
                    )
                    .unwrap();
                let other = created["TargetGroups"][0]["TargetGroupArn"].as_str().unwrap().to_owned();
                let mut actions = forward(&groups, [1, 0]);
                let all = actions[0]["ForwardConfig"]["TargetGroups"].as_array_mut().unwrap();
                all.push(json!({"TargetGroupArn": other, "Weight": 1}));
                change(&mut made, false, actions);
            }
            _ => {
                let listener = made.test_listener();
                made.world.call(Api::Elb, "DeleteListener", &json!({"ListenerArn": listener})).unwrap();
            }
        }
        made.begin("bbbbbbb");
        made.until("ROLLBACK_SUCCESSFUL: CLEAN_UP");
        let reason = made.world.newest()["statusReason"].as_str().unwrap().to_owned();
        assert!(
            reason
                .starts_with("Service deployment rolled back because of invalid networking configuration. "),
            "{reason}"
        );
        assert!(reason.contains(why), "{case}: {reason}");
        assert_eq!(made.world.tasks("RUNNING").len() + made.world.tasks("STOPPED").len(), 2, "{case}");
    }
}
