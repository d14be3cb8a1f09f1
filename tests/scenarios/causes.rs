//! Why something failed: the causes of each kind, what shows them, and how few calls that takes.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trueup::model::{Cause, CauseKind};
use trueup_simulator::{Api, Fault};

use crate::native::{canary, function, with};
use crate::news::Listener;
use crate::stage::{Breaker, Running, Stage, said};

const GROUP: &str = "/mco/api";

/// What a container is registered with that logs to `CloudWatch`.
fn logging() -> Value {
    let options =
        json!({"awslogs-group": GROUP, "awslogs-region": "eu-west-2", "awslogs-stream-prefix": "ecs"});
    json!({"logConfiguration": {"logDriver": "awslogs", "options": options}})
}

/// The service runs commit aaaaaaa with this in the definition of its container, since long ago.
fn with_container(stage: Stage, more: &Value) -> Stage {
    let image = format!("{}/mco/api:aaaaaaa", stage.account.registry());
    let mut container =
        json!({"name": "api", "image": image, "memory": 512, "portMappings": [{"containerPort": 8080}]});
    for (key, value) in more.as_object().unwrap() {
        container[key] = value.clone();
    }
    let definition = json!({"family": "mco-api", "containerDefinitions": [container]});
    let registered = stage.call(Api::Ecs, "RegisterTaskDefinition", &definition);
    stage.update(&json!({"taskDefinition": registered["taskDefinition"]["taskDefinitionArn"]}));
    stage.advance(4000);
    stage
}

/// A service that replaces its tasks, and one whose traffic ECS shifts.
fn carriers(breaker: Breaker) -> [Stage; 2] {
    let on = breaker == Breaker::On;
    let mut shifts = canary();
    shifts["deploymentCircuitBreaker"] = json!({"enable": on, "rollback": on});
    [Stage::new(breaker), Stage::native(&shifts, true)]
}

/// Declares commit bbbbbbb, of which this is so.
fn declare_bad(stage: &mut Stage, faults: impl Fn(String) -> Vec<Fault>) {
    let digest = stage.build("bbbbbbb");
    for fault in faults(digest) {
        stage.inject(fault);
    }
    stage.declare("bbbbbbb");
}

fn crash(digest: String, exit_code: i64) -> Fault {
    Fault::Crash { digest, exit_code, after_seconds: 0 }
}

/// A service whose commit bbbbbbb crashes, and logs; the commit.
pub fn logging_and_crashing() -> (Stage, &'static str) {
    let stage = with_container(Stage::new(Breaker::On), &logging());
    let digest = stage.build("bbbbbbb");
    stage.inject(crash(digest, 1));
    (stage, "bbbbbbb")
}

/// The causes that the alert of the failure has, and those that are told in the end.
async fn failed(stage: &Stage, running: &mut Running) -> (Vec<Cause>, Vec<Cause>) {
    failed_for(stage, running, Listener::default()).await
}

/// The same for who has heard of it before.
async fn failed_for(stage: &Stage, running: &mut Running, told: Listener) -> (Vec<Cause>, Vec<Cause>) {
    let mut told = told;
    let last = running.watch(stage, 480, |swept| told.hear(swept)).await;
    assert_eq!(said(&last[0]), "Held");
    let failed = |alert: &&trueup::model::alert::Alert| alert.event.name() != "commit.held";
    let alert = told.alerts.iter().filter(failed).find(|alert| !alert.causes.is_empty()).unwrap();
    (alert.causes.clone(), last[0].plan.status.causes.clone())
}

/// How often a process has made these calls.
fn calls(running: &Running, operation: &str) -> usize {
    running.process().calls().iter().filter(|call| *call == operation).count()
}

fn lines(cause: &Cause) -> Vec<&str> {
    cause.evidence.iter().flat_map(|evidence| &evidence.lines).map(String::as_str).collect()
}

#[tokio::test]
async fn a_crash_is_told_with_its_code_and_the_last_lines_of_its_log() {
    let [rolling, canary] = carriers(Breaker::On);
    let running = check_crash(with_container(rolling, &logging())).await;
    assert_eq!(calls(&running, "DescribeTargetHealth"), 0);
    check_crash(with_container(canary, &logging())).await;
}

async fn check_crash(stage: Stage) -> Running {
    let mut stage = stage;
    declare_bad(&mut stage, |digest| {
        vec![crash(digest.clone(), 3), Fault::Says { digest, text: "cannot reach the database".to_owned() }]
    });
    let mut running = stage.process(BTreeMap::new());
    let (alerted, shown) = failed(&stage, &mut running).await;
    for causes in [&alerted, &shown] {
        assert_eq!(causes[0].kind, CauseKind::Exit(3), "{causes:?}");
        assert!(causes[0].to_string().ends_with("x container api exited with 3"), "{causes:?}");
        assert_eq!(lines(&causes[0]), ["api begins", "cannot reach the database", "api ends with 3"]);
        assert!(causes[0].evidence[0].from.starts_with("/mco/api, ecs/api/"), "{causes:?}");
        assert_eq!(causes[1].kind, CauseKind::Breaker, "{causes:?}");
    }
    assert_eq!(calls(&running, "GetLogEvents"), 1);
    // Another process finds as much.
    let again = stage.process(BTreeMap::new()).run(&stage, 60).await.plan.status.causes;
    let told = |causes: &[Cause]| causes.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!((told(&again), lines(&again[0])), (told(&shown), lines(&shown[0])));
    running
}

#[tokio::test]
async fn a_target_that_is_not_healthy_is_told_with_the_reason_of_its_load_balancer() {
    let reasons = [(false, "Target.ResponseCodeMismatch"), (true, "Target.Timeout")];
    let both = reasons.into_iter().flat_map(|reason| [false, true].map(|is_shifted| (reason, is_shifted)));
    for ((silent, reason), is_shifted) in both {
        let [_, canary] = carriers(Breaker::On);
        let stage = if is_shifted { canary } else { Stage::served(Breaker::On) };
        let mut stage = with_container(stage, &logging());
        declare_bad(&mut stage, |digest| {
            vec![if silent { Fault::Silent { digest } } else { Fault::Unhealthy { digest } }]
        });
        let mut running = stage.process(BTreeMap::new());
        let (alerted, shown) = failed(&stage, &mut running).await;
        for causes in [&alerted, &shown] {
            let kinds: Vec<CauseKind> = causes.iter().map(|cause| cause.kind).collect();
            assert_eq!(
                kinds,
                [CauseKind::HealthCheck, CauseKind::TargetHealth, CauseKind::Breaker],
                "{causes:#?}"
            );
            assert!(
                causes[1].text.starts_with(&format!("target of mco-api-1 is unhealthy: {reason}, ")),
                "{causes:#?}"
            );
            assert!(causes[1].hint.is_some());
            assert_eq!(lines(&causes[0]), ["api begins"]);
        }
        let asked = calls(&running, "DescribeTargetHealth");
        // Before traffic is shifted both groups are looked at besides.
        let most = if is_shifted { 12 } else { 4 };
        assert!(calls(&running, "GetLogEvents") == 1 && (1..=most).contains(&asked), "{asked}");
    }
}

const SECRET: &str = "arn:aws:secretsmanager:eu-west-2:123456789012:secret:database";

/// How a service is, what is wrong with commit bbbbbbb of it, and the causes that are told of that: the kind, and a part of the text or
/// of where its evidence is from.
async fn check_causes(
    what: &str,
    stage: Stage,
    faults: impl Fn(String) -> Vec<Fault>,
    expected: &[(CauseKind, &str)],
) {
    let mut stage = stage;
    declare_bad(&mut stage, faults);
    let mut running = stage.process(BTreeMap::new());
    let (alerted, shown) = failed(&stage, &mut running).await;
    for causes in [&alerted, &shown] {
        let kinds: Vec<CauseKind> = causes.iter().map(|cause| cause.kind).collect();
        let wanted: Vec<CauseKind> = expected.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, wanted, "{what}: {causes:#?}");
        for (cause, (_, part)) in causes.iter().zip(expected) {
            let said = format!("{cause} {:?}", cause.evidence);
            assert!(said.contains(part), "{what}: {causes:#?}");
        }
    }
    assert!(calls(&running, "GetLogEvents") <= 2, "{what}");
}

const BREAKER: (CauseKind, &str) = (CauseKind::Breaker, "circuit breaker");

#[tokio::test]
async fn what_a_task_dies_of_is_told_by_its_kind() {
    let of_memory = [(CauseKind::Memory, "(its memory limit is 512 MiB)"), BREAKER];
    for stage in carriers(Breaker::On) {
        let logs = with_container(stage, &logging());
        check_causes("out of memory", logs, |digest| vec![crash(digest, 137)], &of_memory).await;
    }
    let secrets = json!({"secrets": [{"name": "DATABASE", "valueFrom": SECRET}]});
    let secret = || Fault::NoSecret { name: SECRET.to_owned() };
    let of_secret = [(CauseKind::Secret, "ResourceInitializationError"), BREAKER];
    for stage in carriers(Breaker::On) {
        check_causes("no secret", with_container(stage, &secrets), |_| vec![secret()], &of_secret).await;
    }
    let unpulled = |digest: String| vec![Fault::CannotPull { digest }];
    let of_image = [(CauseKind::Pull, "CannotPullContainerError"), BREAKER];
    for stage in carriers(Breaker::On) {
        check_causes("no image", with_container(stage, &json!({})), unpulled, &of_image).await;
    }
    let denied = |digest: String| {
        vec![crash(digest, 1), Fault::Deny { operation: "GetLogEvents".to_owned(), times: u32::MAX }]
    };
    let of_denial = [(CauseKind::Exit(1), "the log /mco/api cannot be read"), BREAKER];
    for stage in carriers(Breaker::On) {
        check_causes("denied logs", with_container(stage, &logging()), denied, &of_denial).await;
    }
}

/// A check that never passes, with nothing but the deadline to end it.
#[tokio::test]
async fn what_takes_too_long_is_told_with_what_it_waited_for() {
    let (check, deadline) = ((CauseKind::HealthCheck, ""), (CauseKind::Deadline, "no progress for 120 s"));
    let target = (CauseKind::TargetHealth, "target of mco-api-1 is unhealthy");
    let expected = [vec![check, deadline], vec![check, target, deadline]];
    for (mut stage, expected) in carriers(Breaker::Off).into_iter().zip(expected) {
        stage.environment = "  policy: {progressDeadline: 2m}\n".to_owned();
        let checked = with_container(stage, &json!({"healthCheck": {"command": ["CMD", "true"]}}));
        check_causes("deadline", checked, |digest| vec![Fault::Unhealthy { digest }], &expected).await;
    }
}

/// The kind of the first cause, and a part of its text and of its hint; it is so for 200 s at least, and then until the end or not.
async fn check_hint(
    what: &str,
    stage: Stage,
    faults: impl Fn(String) -> Vec<Fault>,
    cause: (CauseKind, &str, &str),
    heals: bool,
) {
    let mut stage = stage;
    declare_bad(&mut stage, faults);
    let mut running = stage.process(BTreeMap::new());
    let mut told = Listener::default();
    running.watch(&stage, 200, |swept| told.hear(swept)).await;
    if heals {
        stage.heal();
    }
    let (alerted, shown) = failed_for(&stage, &mut running, told).await;
    // Another process finds as much.
    let again = stage.process(BTreeMap::new()).run(&stage, 60).await.plan.status.causes;
    for causes in [&alerted, &shown, &again] {
        let (kind, text, hint) = cause;
        assert_eq!(causes[0].kind, kind, "{what}: {causes:#?}");
        assert!(causes[0].text.contains(text), "{what}: {causes:#?}");
        assert!(causes[0].hint.as_ref().is_some_and(|told| told.contains(hint)), "{what}: {causes:#?}");
    }
}

#[tokio::test]
async fn a_log_group_that_is_gone_is_told_and_named() {
    let gone = |_| vec![Fault::NoLogGroup { name: GROUP.to_owned() }];
    let cause = (
        CauseKind::LogGroup,
        "The specified log group does not exist.",
        "see that log group /mco/api is there",
    );
    for stage in carriers(Breaker::On) {
        check_hint("no log group", with_container(stage, &logging()), gone, cause, false).await;
    }
    check_hint("no log group on Fargate", on_fargate(&logging()), gone, cause, false).await;
}

/// AWS makes the group when the task starts, and somebody deletes it before anybody reads it.
#[tokio::test]
async fn logs_that_were_deleted_are_one_line_beside_the_rest() {
    let mut makes = logging();
    makes["logConfiguration"]["options"]["awslogs-create-group"] = json!("true");
    let faults = |digest: String| vec![crash(digest, 1), Fault::NoLogGroup { name: GROUP.to_owned() }];
    let causes = [(CauseKind::Exit(1), "there is no log /mco/api, ecs/api/"), BREAKER];
    for stage in carriers(Breaker::On) {
        check_causes("deleted logs", with_container(stage, &makes), faults, &causes).await;
    }
}

/// The same service on Fargate.
fn on_fargate(more: &Value) -> Stage {
    let stage = with_container(Stage::new(Breaker::On), more);
    let providers = json!([{"capacityProvider": "FARGATE", "weight": 1}]);
    stage.update(&json!({"capacityProviderStrategy": providers, "forceNewDeployment": true}));
    stage.advance(4000);
    stage
}

#[tokio::test]
async fn a_task_that_finds_no_place_is_told_with_what_is_missing() {
    let unplaced = |reason: &str| {
        let reason = reason.to_owned();
        move |_| vec![Fault::NoPlace { reason: reason.clone() }]
    };
    let closest = "The closest matching container-instance 0123 has insufficient memory available.";
    let of_memory = (CauseKind::Placement, closest, "no instance has as much memory left");
    // Nothing but the deadline ends it: no task has failed. The way back needs a place as well.
    for mut stage in carriers(Breaker::Off) {
        stage.environment = "  policy: {progressDeadline: 2m}\n".to_owned();
        check_hint("no memory", with_container(stage, &json!({})), unplaced(closest), of_memory, true).await;
    }
    for (reason, hint) in [
        (
            "Capacity is unavailable at this time. Please try again later or in a different availability zone",
            "more availability zones",
        ),
        (
            "Unexpected EC2 error while attempting to Create Network Interface in subnet 'subnet-1': InsufficientFreeAddressesInSubnet",
            "its subnet has no address left",
        ),
    ] {
        let cause = (CauseKind::Placement, reason, hint);
        check_hint(reason, on_fargate(&json!({})), unplaced(reason), cause, false).await;
    }
}

/// By ECS the function is named, by CodeDeploy the event at which it is called.
#[tokio::test]
async fn a_hook_that_fails_is_told_with_its_stage_and_where_its_log_is() {
    let fails = |name: &str| {
        let function = name.to_owned();
        move |_| vec![Fault::HookFails { function: function.clone() }]
    };
    let native = Stage::native(&with(canary(), &[function("POST_SCALE_UP")]), true);
    let of_ecs = (
        CauseKind::Hook,
        "POST_SCALE_UP lifecycle hook(s) failed. Lifecycle hook target arn:aws:lambda:eu-west-2:123456789012:function:smoke returned FAILED",
        "what function smoke logged, in /aws/lambda/smoke",
    );
    check_hint("native", native, fails("smoke"), of_ecs, false).await;
    let mut shifted = Stage::blue_green(&json!({}));
    shifted.hook("AfterAllowTestTraffic", "check");
    let of_code_deploy = (
        CauseKind::Hook,
        "HOOK_EXECUTION_FAILURE at AfterAllowTestTraffic: The deployment failed because",
        "what the function logged that the AppSpec names for AfterAllowTestTraffic",
    );
    check_hint("CodeDeploy", shifted, fails("check"), of_code_deploy, false).await;
}

/// The end of a deployment by a person and by an alarm are told as what they are, in AWS's words.
#[tokio::test]
async fn who_ended_a_deployment_is_told() {
    let ends = [(true, CauseKind::Alarm), (false, CauseKind::StoppedByHand)];
    let played = |end| carriers(Breaker::Off).map(|stage| (stage, end));
    for (mut stage, (by_alarm, expected)) in ends.into_iter().flat_map(played) {
        let alarms = json!({"alarms": {"alarmNames": ["errors"], "enable": true, "rollback": true}});
        stage.update(&json!({"deploymentConfiguration": alarms}));
        stage.build("bbbbbbb");
        stage.declare("bbbbbbb");
        let mut running = stage.process(BTreeMap::new());
        running.run(&stage, 20).await;
        if by_alarm {
            stage.set_alarm("errors", true);
        } else {
            let list = json!({"cluster": "mco", "service": "mco-api-test"});
            let newest =
                stage.call(Api::Ecs, "ListServiceDeployments", &list)["serviceDeployments"][0].clone();
            let stop =
                json!({"serviceDeploymentArn": newest["serviceDeploymentArn"], "stopType": "ROLLBACK"});
            stage.call(Api::Ecs, "StopServiceDeployment", &stop);
        }
        let last = running.run(&stage, 400).await;
        assert_eq!(said(&last), "Held", "{expected:?}");
        let causes = &last.plan.status.causes;
        assert!(causes.iter().any(|cause| cause.kind == expected), "{expected:?}: {causes:#?}");
    }
}

/// What a container was given, it may write, and AWS may repeat.
#[tokio::test]
async fn no_secret_of_a_container_is_told_in_lines_or_reasons() {
    let canary = "hunter2-canary";
    let mut given = logging();
    given["environment"] = json!([{"name": "DATABASE_PASSWORD", "value": canary}]);
    given["command"] = json!(["serve", "--token", canary]);
    let mut stage = with_container(Stage::new(Breaker::On), &given);
    let text = format!("cannot log in with {canary}\npostgres://me:{canary}@db/api\nrest");
    declare_bad(&mut stage, |digest| {
        vec![crash(digest.clone(), 1), Fault::Says { digest, text: text.clone() }]
    });
    let mut running = stage.process(BTreeMap::new());
    let (alerted, shown) = failed(&stage, &mut running).await;
    for causes in [&alerted, &shown] {
        assert!(lines(&causes[0]).contains(&"rest"), "{causes:#?}");
        assert!(!format!("{causes:?}").contains(canary), "{causes:#?}");
    }
}
