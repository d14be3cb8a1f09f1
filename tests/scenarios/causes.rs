//! Why something failed: the causes of each kind, what shows them, and how few calls that takes.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trueup::model::{Cause, CauseKind};
use trueup_simulator::{Api, Fault};

use crate::news::Told;
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
    let mut told = Told::default();
    let last = running.watch(stage, 480, |swept| told.hear(swept)).await;
    assert_eq!(said(&last[0]), "Held");
    let failed = |alert: &&trueup::notify::transition::Alert| alert.event.name() != "commit.held";
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
