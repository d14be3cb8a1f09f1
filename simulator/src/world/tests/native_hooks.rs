//! Hooks of deployments that shift traffic: functions, and pauses that somebody answers.

use serde_json::{Value, json};

use super::shifting::{MINUTE, Shifting, blue_green, canary, function, pause, with_hooks};
use super::{LISTED, laid_over, seconds};
use crate::world::{Api, Function};

/// A service that was deployed without the hooks that it has now, and a deployment with them.
fn hooked(configuration: Value, hooks: &[Value]) -> Shifting {
    let mut made = Shifting::new(&configuration);
    made.world.update(&json!({"deploymentConfiguration": with_hooks(configuration, hooks)}));
    made.begin("bbbbbbb");
    made
}

fn timing_out(mut hook: Value, minutes: u64, action: &str) -> Value {
    hook["timeoutConfiguration"] = json!({"timeoutInMinutes": minutes, "action": action});
    hook
}

#[test]
fn a_stage_ends_when_the_functions_of_its_hooks_have_answered() {
    let failed = "Service deployment rolled back because POST_SCALE_UP lifecycle hook(s) failed. ";
    let target = "arn:aws:lambda:eu-west-2:123456789012:function:smoke";
    for (does, action, within, stands, why) in [
        (Function::Succeeds, "ROLLBACK", 3, "IN_PROGRESS: TEST_TRAFFIC_SHIFT", String::new()),
        (
            Function::Polls { times: 2, delay: 30 },
            "ROLLBACK",
            62,
            "IN_PROGRESS: TEST_TRAFFIC_SHIFT",
            String::new(),
        ),
        (Function::Silent, "CONTINUE", 5 * MINUTE, "IN_PROGRESS: TEST_TRAFFIC_SHIFT", String::new()),
        (
            Function::Silent,
            "ROLLBACK",
            5 * MINUTE,
            "ROLLBACK_IN_PROGRESS: CLEAN_UP",
            format!("{failed}Lifecycle hook target {target} timed out."),
        ),
        (
            Function::Fails,
            "CONTINUE",
            2,
            "ROLLBACK_IN_PROGRESS: CLEAN_UP",
            format!("{failed}Lifecycle hook target {target} returned FAILED status."),
        ),
        (
            Function::Throws,
            "CONTINUE",
            2,
            "ROLLBACK_IN_PROGRESS: CLEAN_UP",
            format!(
                "{failed}ECS was unable to parse the response from {target} due to: HookStatus must not be null"
            ),
        ),
    ] {
        let mut made = hooked(blue_green(), &[timing_out(function("POST_SCALE_UP"), 5, action)]);
        made.world.set_function("smoke", does);
        made.until("IN_PROGRESS: POST_SCALE_UP");
        let before = made.world.now();
        made.until(stands);
        assert!(made.world.now() - before <= within, "{does:?}: {}", made.world.now() - before);
        let reason = made.world.newest()["statusReason"].as_str().unwrap_or_default().to_owned();
        assert_eq!(reason, why, "{does:?}");
    }
}

#[test]
fn the_hooks_of_the_present_stage_are_described_and_their_timeouts_filled_in() {
    let mut made =
        hooked(blue_green(), &[function("POST_SCALE_UP"), pause("POST_SCALE_UP"), pause("PRE_SCALE_UP")]);
    made.world.set_function("smoke", Function::Silent);
    let configured = made.world.service()["deploymentConfiguration"]["lifecycleHooks"].clone();
    for hook in configured.as_array().unwrap() {
        assert_eq!(hook["timeoutConfiguration"], json!({"timeoutInMinutes": 1440, "action": "ROLLBACK"}));
    }
    made.answer("CONTINUE");
    made.until("IN_PROGRESS: POST_SCALE_UP");
    let entered = made.world.now();
    let hooks = made.world.newest()["lifecycleHookDetails"].clone();
    let told = |place: usize, key: &str| hooks[place][key].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        [told(0, "targetType"), told(0, "status"), told(0, "timeoutAction")],
        ["AWS_LAMBDA", "IN_PROGRESS", "ROLLBACK"]
    );
    assert!(told(0, "targetArn").ends_with("function:smoke"));
    assert_eq!(
        [told(1, "targetType"), told(1, "status"), told(1, "targetArn")],
        ["PAUSE", "AWAITING_ACTION", ""]
    );
    assert_eq!(told(1, "hookId").strip_prefix("ecs-pause-").map(str::len), Some(43));
    assert_eq!(seconds(&hooks[1]["expiresAt"]) - entered, 1440 * MINUTE);
    assert_eq!(hooks.as_array().unwrap().len(), 2);
}

#[test]
fn all_pauses_of_a_stage_must_be_answered_and_wait_for_days() {
    let longest = timing_out(pause("POST_TEST_TRAFFIC_SHIFT"), 20_160, "ROLLBACK");
    let mut made = hooked(blue_green(), &[longest.clone(), longest]);
    made.until("IN_PROGRESS: POST_TEST_TRAFFIC_SHIFT");
    made.world.advance(13 * 24 * 60 * MINUTE);
    let newest = made.world.newest();
    let input = |place: usize| {
        let hook = newest["lifecycleHookDetails"][place]["hookId"].clone();
        json!({"serviceDeploymentArn": newest["serviceDeploymentArn"], "hookId": hook})
    };
    made.world.ecs_call("ContinueServiceDeployment", &input(1));
    made.world.advance(MINUTE);
    let said = made.world.why_refused("ContinueServiceDeployment", &input(1));
    assert!(said.starts_with("Provided hookId is either completed, unavailable"), "{said}");
    assert_eq!(made.stands(), "IN_PROGRESS: POST_TEST_TRAFFIC_SHIFT");
    made.world.ecs_call("ContinueServiceDeployment", &input(0));
    made.until("SUCCESSFUL: CLEAN_UP");
}

#[test]
fn a_pause_that_nobody_answers_does_what_its_timeout_says() {
    for (action, stands, why) in [
        ("CONTINUE", "SUCCESSFUL: CLEAN_UP", json!(null)),
        (
            "ROLLBACK",
            "ROLLBACK_SUCCESSFUL: CLEAN_UP",
            json!("Service deployment rolled back because POST_TEST_TRAFFIC_SHIFT pause hook timed out."),
        ),
    ] {
        let mut made = hooked(blue_green(), &[timing_out(pause("POST_TEST_TRAFFIC_SHIFT"), 3, action)]);
        made.until(stands);
        assert_eq!(made.world.newest()["statusReason"], why);
    }
}

#[test]
fn a_deployment_that_waits_for_more_than_thirty_days_goes_back() {
    let paused = ["PRE_SCALE_UP", "POST_SCALE_UP", "POST_TEST_TRAFFIC_SHIFT"];
    let hooks = paused.map(|stage| timing_out(pause(stage), 20_160, "CONTINUE"));
    let mut made = hooked(blue_green(), &hooks);
    made.world.advance(29 * 24 * 60 * MINUTE);
    assert_eq!(made.stands(), "IN_PROGRESS: POST_TEST_TRAFFIC_SHIFT");
    made.world.advance(2 * 24 * 60 * MINUTE);
    assert_eq!(made.stands(), "ROLLBACK_SUCCESSFUL: CLEAN_UP");
}

#[test]
fn a_pause_before_the_shift_is_asked_again_before_each_step() {
    let mut made = hooked(canary(), &[pause("PRE_PRODUCTION_TRAFFIC_SHIFT")]);
    let mut ids = Vec::new();
    for weight in [0.0, 10.0] {
        made.until("IN_PROGRESS: PRE_PRODUCTION_TRAFFIC_SHIFT");
        let newest = made.world.newest();
        assert_eq!(newest["targetServiceRevision"]["requestedProductionTrafficWeight"], weight);
        ids.push(newest["lifecycleHookDetails"][0]["hookId"].clone());
        made.answer("CONTINUE");
        made.until("IN_PROGRESS: PRODUCTION_TRAFFIC_SHIFT");
    }
    assert_ne!(ids[0], ids[1]);
    made.until("SUCCESSFUL: CLEAN_UP");
}

#[test]
fn a_pause_answered_with_a_rollback_goes_back() {
    let mut made = hooked(blue_green(), &[pause("POST_PRODUCTION_TRAFFIC_SHIFT")]);
    made.until("IN_PROGRESS: POST_PRODUCTION_TRAFFIC_SHIFT");
    assert_eq!(made.live()[0], [0, 100]);
    made.answer("ROLLBACK");
    made.until("ROLLBACK_SUCCESSFUL: CLEAN_UP");
    assert_eq!(made.live(), [[100, 0], [100, 0]]);
}

#[test]
fn the_functions_of_both_shifts_are_called_again_on_the_way_back_and_hold_nothing_up() {
    for (does, end) in [(Function::Succeeds, "ROLLBACK_SUCCESSFUL"), (Function::Fails, "ROLLBACK_FAILED")] {
        let mut made =
            hooked(blue_green(), &[function("PRODUCTION_TRAFFIC_SHIFT"), function("TEST_TRAFFIC_SHIFT")]);
        made.until("IN_PROGRESS: BAKE_TIME");
        made.world.set_function("smoke", does);
        made.stop();
        for stage in ["PRODUCTION_TRAFFIC_SHIFT", "TEST_TRAFFIC_SHIFT"] {
            made.until(&format!("ROLLBACK_IN_PROGRESS: {stage}"));
            assert_eq!(made.world.newest()["lifecycleHookDetails"].as_array().unwrap().len(), 1, "{stage}");
        }
        made.until(&format!("{end}: CLEAN_UP"));
        assert_eq!((made.live(), made.registered()), ([[100, 0], [100, 0]], [2, 0]));
    }
}

#[test]
fn a_hook_runs_on_the_first_deployment_too_which_has_nothing_to_go_back_to() {
    let mut made = Shifting::without_service("application");
    made.world.set_function("smoke", Function::Fails);
    made.create(&with_hooks(blue_green(), &[function("PRE_SCALE_UP")]));
    made.world.advance(MINUTE);
    let newest = made.world.newest();
    assert_eq!(newest["status"], "ROLLBACK_FAILED");
    assert_eq!(newest["statusReason"], "No rollback candidate was found to run the rollback.");
    let events = made.world.events();
    assert!(
        events.contains(
            "deployment failed: Service deployment rolled back because PRE_SCALE_UP lifecycle hook(s) failed."
        ),
        "{events}"
    );
    assert_eq!((made.world.tasks("RUNNING").len(), made.world.tasks("STOPPED").len()), (0, 0));
    made.world.set_function("smoke", Function::Succeeds);
    made.begin("bbbbbbb");
    made.until("SUCCESSFUL: CLEAN_UP");
    assert_eq!((made.live()[0], made.registered()), ([100, 0], [2, 0]));
    assert_eq!(made.world.deployments().len(), 1, "what failed is listed until then");
}

#[test]
fn an_answer_that_fits_no_pause_is_refused_in_the_words_of_aws() {
    let mut made = hooked(blue_green(), &[pause("PRE_SCALE_UP")]);
    let arn = made.world.newest()["serviceDeploymentArn"].clone();
    let id = made.world.newest()["lifecycleHookDetails"][0]["hookId"].clone();
    let ask = |made: &mut Shifting, over: Value| {
        let input = laid_over(json!({"serviceDeploymentArn": arn, "hookId": id}), &over);
        let error = made.world.call(Api::Ecs, "ContinueServiceDeployment", &input).unwrap_err();
        (error.code, error.message)
    };
    for (over, code, part) in [
        (
            json!({"hookId": "pause"}),
            "InvalidParameterException",
            "Invalid hookId: hookId must follow the format: ecs-{hookType}-{id}",
        ),
        (
            json!({"hookId": "ecs-pause-other"}),
            "InvalidParameterException",
            "Provided hookId is either completed, unavailable, or not associated with the given Resource ARN",
        ),
        (
            json!({"serviceDeploymentArn": "nope"}),
            "ServiceDeploymentNotFoundException",
            "The service deployment does not exist.",
        ),
        (json!({"action": "STOP"}), "InvalidParameterException", "action must be"),
    ] {
        let (found, message) = ask(&mut made, over);
        assert_eq!(found, code);
        assert!(message.starts_with(part), "{message}");
    }
    made.answer("ROLLBACK");
    made.world.advance(LISTED);
    let (_, message) = ask(&mut made, json!({}));
    assert_eq!(
        message,
        "Continuing a service deployment is not allowed for service deployment in terminal states."
    );
}
