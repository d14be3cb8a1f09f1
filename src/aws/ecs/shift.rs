//! Where a deployment of ECS stands that shifts traffic (Amazon ECS API reference, `ServiceDeployment`; developer guide, "Amazon
//! ECS blue/green service deployments workflow").

use serde_json::Value;

use super::failure;
use crate::aws::answer::{list, member, owned, text, texts, time};
use crate::model::{
    DeploymentStrategy, HookState, HookStatus, Millis, OnTimeout, Pause, ServiceDeploymentStatus, Share,
    Shift, ShiftStep, Stage, Undo,
};

const MINUTE: Millis = 60_000;

/// `None`: it shifts no traffic.
pub(super) fn shift(described: &Value, status: ServiceDeploymentStatus) -> Option<Shift> {
    let configuration = member(described, "deploymentConfiguration");
    let strategy = DeploymentStrategy::parse(text(configuration, "strategy"));
    if strategy == DeploymentStrategy::Rolling {
        return None;
    }
    let target = member(described, "targetServiceRevision");
    let (production, test) =
        (share(target, "requestedProductionTrafficWeight"), share(target, "requestedTestTrafficWeight"));
    let stage = stage(described, status);
    let steps = Steps::of(strategy, configuration);
    let step = production.filter(|_| stage == Stage::Shifting).and_then(|share| steps.at(share));
    let since = time(described, "updatedAt");
    let failed = list(described, "lifecycleHookDetails")
        .any(|hook| matches!(text(hook, "status"), Some("FAILED" | "TIMED_OUT")));
    let ended_badly = failure::has_ended_badly(status);
    let is_going_back = ended_badly && stage != Stage::Ended;
    Some(Shift {
        stage,
        aws_stage: text(described, "lifecycleStage").filter(|_| stage != Stage::Ended).map(str::to_owned),
        production,
        test,
        step: step.filter(|_| !is_going_back),
        pauses: list(described, "lifecycleHookDetails").filter_map(pause).collect(),
        hooks: list(described, "lifecycleHookDetails").filter_map(hook).collect(),
        until: since.filter(|_| !is_going_back).and_then(|since| {
            let minutes = match stage {
                Stage::Standby => minutes(configuration, "bakeTimeInMinutes"),
                Stage::Shifting if text(described, "lifecycleStage") == Some(SHIFTING) => {
                    steps.bake.filter(|_| step.is_some_and(|step| step.number < step.of))
                }
                _ => None,
            };
            Some(since.saturating_add(minutes?))
        }),
        since,
        has_hooks_first: has_hooks_first(configuration),
        moves_tasks: match text(described, "lifecycleStage") {
            None | Some("SCALE_UP" | "CLEAN_UP") => true,
            Some("RECONCILE_SERVICE") => !has_hooks_first(configuration),
            Some(_) => false,
        },
        undo: match stage {
            _ if is_going_back || list(described, "sourceServiceRevisions").next().is_none() => Undo::No,
            Stage::CleaningUp | Stage::Ended => Undo::Slow,
            _ => Undo::Fast,
        },
        stopped_by_hand: ended_badly && failure::triggered(described).is_none() && !failed,
    })
}

fn has_hooks_first(configuration: &Value) -> bool {
    let stages = list(configuration, "lifecycleHooks").flat_map(|hook| texts(hook, "lifecycleStages"));
    stages.into_iter().any(|stage| matches!(stage, "RECONCILE_SERVICE" | "PRE_SCALE_UP"))
}

const SHIFTING: &str = "PRODUCTION_TRAFFIC_SHIFT";

/// `PRE_PRODUCTION_TRAFFIC_SHIFT` is named by the text of the API and is not among its values. What is newer still goes
/// on, and nobody knows where it stands.
fn stage(described: &Value, status: ServiceDeploymentStatus) -> Stage {
    if status.is_over() {
        return Stage::Ended;
    }
    match text(described, "lifecycleStage") {
        None if status == ServiceDeploymentStatus::Pending => Stage::Pending,
        None => Stage::Unknown,
        Some("RECONCILE_SERVICE") => Stage::Reconciling,
        Some("PRE_SCALE_UP" | "SCALE_UP" | "POST_SCALE_UP") => Stage::Installing,
        Some("TEST_TRAFFIC_SHIFT" | "POST_TEST_TRAFFIC_SHIFT") => Stage::Testing,
        Some("PRE_PRODUCTION_TRAFFIC_SHIFT" | SHIFTING) => Stage::Shifting,
        Some("POST_PRODUCTION_TRAFFIC_SHIFT") => Stage::Checking,
        Some("BAKE_TIME") => Stage::Standby,
        Some("CLEAN_UP") => Stage::CleaningUp,
        Some(_) => Stage::Unknown,
    }
}

/// The steps in which production traffic moves, and how long AWS rests between them.
#[derive(Debug, Default, PartialEq)]
struct Steps {
    /// The share after the first step, which every other one but the last adds, or all at once.
    first: Option<Share>,
    count: u16,
    bake: Option<Millis>,
}

impl Steps {
    fn of(strategy: DeploymentStrategy, configuration: &Value) -> Self {
        let percent = |of: &str, key: &str| {
            let share = Share::of_percent(member(member(configuration, of), key).as_f64()?);
            share.filter(|share| *share > Share::NONE)
        };
        match strategy {
            DeploymentStrategy::Canary => Self {
                first: percent("canaryConfiguration", "canaryPercent"),
                count: 2,
                bake: minutes(member(configuration, "canaryConfiguration"), "canaryBakeTimeInMinutes"),
            },
            DeploymentStrategy::Linear => {
                let first = percent("linearConfiguration", "stepPercent");
                Self {
                    count: first.map_or(0, |step| Share::ALL.tenths().div_ceil(step.tenths())),
                    first,
                    bake: minutes(member(configuration, "linearConfiguration"), "stepBakeTimeInMinutes"),
                }
            }
            _ => Self::default(),
        }
    }

    /// The step that has brought it to this share, or the first one where none has been made.
    fn at(&self, share: Share) -> Option<ShiftStep> {
        let first = self.first?;
        let made = if share == Share::ALL { self.count } else { share.tenths().div_ceil(first.tenths()) };
        (self.count > 0).then(|| ShiftStep { number: made.clamp(1, self.count), of: self.count })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "minutes of a day at most")]
fn minutes(of: &Value, key: &str) -> Option<Millis> {
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let millis = member(of, key).as_f64()?.clamp(0.0, 100_000.0) * MINUTE as f64;
    Some(millis as Millis)
}

fn share(of: &Value, key: &str) -> Option<Share> {
    of.get(key)?.as_f64().and_then(Share::of_percent)
}

fn pause(hook: &Value) -> Option<Pause> {
    let waits = text(hook, "targetType") == Some("PAUSE") && text(hook, "status") == Some("AWAITING_ACTION");
    waits.then_some(())?;
    let then = match text(hook, "timeoutAction") {
        Some("CONTINUE") => OnTimeout::Continue,
        _ => OnTimeout::Rollback,
    };
    Some(Pause { id: owned(hook, "hookId")?, until: time(hook, "expiresAt"), then })
}

fn hook(described: &Value) -> Option<HookState> {
    let function = text(described, "targetArn").filter(|_| text(described, "targetType") != Some("PAUSE"))?;
    let status = match text(described, "status") {
        Some("IN_PROGRESS") => HookStatus::InProgress,
        Some("SUCCEEDED") => HookStatus::Succeeded,
        Some("FAILED") => HookStatus::Failed,
        Some("TIMED_OUT") => HookStatus::TimedOut,
        _ => HookStatus::Unknown,
    };
    Some(HookState { function: function.rsplit(':').next().unwrap_or(function).to_owned(), status })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// One deployment of a linear service, as described.
    fn described(stage: &str, production: f64) -> Value {
        json!({
            "status": "IN_PROGRESS",
            "lifecycleStage": stage,
            "updatedAt": 1000.0,
            "sourceServiceRevisions": [{"arn": "blue"}],
            "targetServiceRevision": {"requestedProductionTrafficWeight": production, "requestedTestTrafficWeight": 100.0},
            "deploymentConfiguration": {"strategy": "LINEAR", "bakeTimeInMinutes": 10,
                "linearConfiguration": {"stepPercent": 40.0, "stepBakeTimeInMinutes": 5}},
        })
    }

    fn read(described: &Value) -> Shift {
        shift(described, ServiceDeploymentStatus::InProgress).unwrap()
    }

    #[test]
    fn every_stage_has_its_word_and_an_unknown_one_goes_on_all_the_same() {
        for (said, expected) in [
            ("RECONCILE_SERVICE", Stage::Reconciling),
            ("PRE_SCALE_UP", Stage::Installing),
            ("SCALE_UP", Stage::Installing),
            ("POST_SCALE_UP", Stage::Installing),
            ("TEST_TRAFFIC_SHIFT", Stage::Testing),
            ("POST_TEST_TRAFFIC_SHIFT", Stage::Testing),
            ("PRE_PRODUCTION_TRAFFIC_SHIFT", Stage::Shifting),
            ("PRODUCTION_TRAFFIC_SHIFT", Stage::Shifting),
            ("POST_PRODUCTION_TRAFFIC_SHIFT", Stage::Checking),
            ("BAKE_TIME", Stage::Standby),
            ("CLEAN_UP", Stage::CleaningUp),
            ("A_STAGE_OF_TOMORROW", Stage::Unknown),
        ] {
            let read = read(&described(said, 0.0));
            assert_eq!((read.stage, read.aws_stage.as_deref()), (expected, Some(said)));
        }
        let pending = json!({"deploymentConfiguration": {"strategy": "CANARY"}});
        let stage = |status| shift(&pending, status).map(|shift| shift.stage);
        assert_eq!(stage(ServiceDeploymentStatus::Pending), Some(Stage::Pending));
        assert_eq!(stage(ServiceDeploymentStatus::InProgress), Some(Stage::Unknown));
        assert_eq!(stage(ServiceDeploymentStatus::Successful), Some(Stage::Ended));
        assert_eq!(shift(&json!({}), ServiceDeploymentStatus::InProgress), None, "rolling");
    }

    #[test]
    fn tasks_move_where_no_hook_alone_is_waited_for() {
        let hooked = |stage| {
            let mut described = described(stage, 0.0);
            described["deploymentConfiguration"]["lifecycleHooks"] =
                json!([{"targetType": "PAUSE", "lifecycleStages": ["RECONCILE_SERVICE"]}]);
            described
        };
        for (stage, plain, with_hooks) in [
            ("RECONCILE_SERVICE", true, false),
            ("PRE_SCALE_UP", false, false),
            ("SCALE_UP", true, true),
            ("POST_SCALE_UP", false, false),
            ("CLEAN_UP", true, true),
        ] {
            let found = (read(&described(stage, 0.0)).moves_tasks, read(&hooked(stage)).moves_tasks);
            assert_eq!(found, (plain, with_hooks), "{stage}");
        }
    }

    #[test]
    fn steps_are_counted_by_their_share_and_rest_but_for_the_last() {
        let until = Some(1_000_000 + 5 * 60_000);
        for (share, number, until) in [(0.0, 1, None), (40.0, 1, until), (80.0, 2, until), (100.0, 3, None)] {
            let stage = if share == 0.0 { "PRE_PRODUCTION_TRAFFIC_SHIFT" } else { SHIFTING };
            let read = read(&described(stage, share));
            assert_eq!((read.step, read.until), (Some(ShiftStep { number, of: 3 }), until), "{share}");
        }
        let bake = read(&described("BAKE_TIME", 100.0));
        assert_eq!((bake.step, bake.until), (None, Some(1_000_000 + 10 * 60_000)));
        let smallest = json!({"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 0.1, "canaryBakeTimeInMinutes": 1}});
        let mut canary = described(SHIFTING, 0.1);
        canary["deploymentConfiguration"] = smallest;
        assert_eq!(read(&canary).step, Some(ShiftStep { number: 1, of: 2 }));
        assert_eq!(read(&canary).production.map(|share| share.to_string()).as_deref(), Some("0.1"));
    }

    #[test]
    fn pauses_wait_for_people_and_functions_for_nobody() {
        let mut waits = described("POST_TEST_TRAFFIC_SHIFT", 0.0);
        waits["lifecycleHookDetails"] = json!([
            {"hookId": "ecs-pause-1", "targetType": "PAUSE", "status": "AWAITING_ACTION", "expiresAt": 2000.0, "timeoutAction": "CONTINUE"},
            {"hookId": "ecs-pause-2", "targetType": "PAUSE", "status": "SUCCEEDED", "expiresAt": 2000.0, "timeoutAction": "ROLLBACK"},
            {"hookId": "ecs-lambda-3", "targetType": "AWS_LAMBDA", "targetArn": "arn:aws:lambda:eu-west-2:1:function:smoke", "status": "IN_PROGRESS"},
        ]);
        let read = read(&waits);
        let pause = Pause { id: "ecs-pause-1".to_owned(), until: Some(2_000_000), then: OnTimeout::Continue };
        assert_eq!(read.pauses, [pause]);
        assert_eq!(read.hooks, [HookState { function: "smoke".to_owned(), status: HookStatus::InProgress }]);
    }

    #[test]
    fn a_stop_is_told_apart_from_a_failure() {
        let hook = |status: &str| json!([{"targetType": "AWS_LAMBDA", "targetArn": "arn:aws:lambda:eu-west-2:1:function:smoke", "status": status}]);
        for (member, value, stopped) in [
            ("statusReason", json!("Service deployment stopped by a user."), true),
            ("lifecycleHookDetails", hook("SUCCEEDED"), true),
            ("lifecycleHookDetails", hook("FAILED"), false),
            ("lifecycleHookDetails", hook("TIMED_OUT"), false),
            ("deploymentCircuitBreaker", json!({"status": "TRIGGERED"}), false),
            ("alarms", json!({"status": "TRIGGERED"}), false),
        ] {
            let mut ended = described("CLEAN_UP", 0.0);
            ended[member] = value;
            let read = shift(&ended, ServiceDeploymentStatus::RollbackSuccessful).unwrap();
            assert_eq!((read.stopped_by_hand, read.stage), (stopped, Stage::Ended), "{member}");
        }
        let good = shift(&described("CLEAN_UP", 100.0), ServiceDeploymentStatus::Successful).unwrap();
        assert!(!good.stopped_by_hand);
    }

    #[test]
    fn it_can_be_undone_fast_until_the_old_tasks_end_and_where_there_are_any() {
        for (stage, expected) in
            [("SCALE_UP", Undo::Fast), ("BAKE_TIME", Undo::Fast), ("CLEAN_UP", Undo::Slow)]
        {
            assert_eq!(read(&described(stage, 0.0)).undo, expected, "{stage}");
        }
        let mut first = described("BAKE_TIME", 100.0);
        first["sourceServiceRevisions"] = json!([]);
        assert_eq!(read(&first).undo, Undo::No);
    }
}
