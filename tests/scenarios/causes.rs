//! Why something failed: the causes of each kind, what shows them, and how few calls that takes.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trueup::model::{Cause, CauseKind};
use trueup_simulator::{Api, Fault};

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
    let mut told = Listener::default();
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
    let mut stage = with_container(Stage::new(Breaker::On), &logging());
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
    assert_eq!((calls(&running, "GetLogEvents"), calls(&running, "DescribeTargetHealth")), (1, 0));
    // Another process finds as much.
    let again = stage.process(BTreeMap::new()).run(&stage, 60).await.plan.status.causes;
    let told = |causes: &[Cause]| causes.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!((told(&again), lines(&again[0])), (told(&shown), lines(&shown[0])));
}

#[tokio::test]
async fn a_target_that_is_not_healthy_is_told_with_the_reason_of_its_load_balancer() {
    for (silent, reason) in [(false, "Target.ResponseCodeMismatch"), (true, "Target.Timeout")] {
        let mut stage = with_container(Stage::served(Breaker::On), &logging());
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
        assert!(calls(&running, "GetLogEvents") == 1 && (1..=4).contains(&asked), "{asked}");
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

#[tokio::test]
async fn what_a_task_dies_of_is_told_by_its_kind() {
    let breaker = (CauseKind::Breaker, "circuit breaker");
    let logs = || with_container(Stage::new(Breaker::On), &logging());
    let of_memory = [(CauseKind::Memory, "(its memory limit is 512 MiB)"), breaker];
    check_causes("out of memory", logs(), |digest| vec![crash(digest, 137)], &of_memory).await;
    let secrets = json!({"secrets": [{"name": "DATABASE", "valueFrom": SECRET}]});
    let secret = || Fault::NoSecret { name: SECRET.to_owned() };
    let of_secret = [(CauseKind::Secret, "ResourceInitializationError"), breaker];
    let with_secret = with_container(Stage::new(Breaker::On), &secrets);
    check_causes("no secret", with_secret, |_| vec![secret()], &of_secret).await;
    let denied = |digest: String| {
        vec![crash(digest, 1), Fault::Deny { operation: "GetLogEvents".to_owned(), times: u32::MAX }]
    };
    let of_denial = [(CauseKind::Exit(1), "the log /mco/api cannot be read"), breaker];
    check_causes("denied logs", logs(), denied, &of_denial).await;
    let deadline = [(CauseKind::HealthCheck, ""), (CauseKind::Deadline, "no progress for 120 s")];
    let mut slow = Stage::new(Breaker::Off);
    slow.environment = "  policy: {progressDeadline: 2m}\n".to_owned();
    let checked = with_container(slow, &json!({"healthCheck": {"command": ["CMD", "true"]}}));
    check_causes("deadline", checked, |digest| vec![Fault::Unhealthy { digest }], &deadline).await;
}

/// The end of a deployment by a person and by an alarm are told as what they are, in AWS's words.
#[tokio::test]
async fn who_ended_a_deployment_is_told() {
    for (by_alarm, expected) in [(true, CauseKind::Alarm), (false, CauseKind::StoppedByHand)] {
        let mut stage = Stage::new(Breaker::Off);
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
