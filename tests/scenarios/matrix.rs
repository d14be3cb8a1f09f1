//! What can happen to a deployment whose traffic ECS shifts, for every way of shifting it: one body, and a table of what each comes
//! to. What is special to one of them is told in `native.rs`.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trueup::controller::SweepResult;
use trueup_simulator::{Api, Fault, Function, ReadKind};

use crate::native::{blue_green, canary, function, linear, pause, shift_of, ways, with};
use crate::stage::{Running, Stage, said};

const MINUTE: u64 = 60;
/// The stages that may have a function, in their order, but for the one that only comes where something else was in flight.
const STAGES: [&str; 7] = [
    "PRE_SCALE_UP",
    "POST_SCALE_UP",
    "TEST_TRAFFIC_SHIFT",
    "POST_TEST_TRAFFIC_SHIFT",
    "PRE_PRODUCTION_TRAFFIC_SHIFT",
    "PRODUCTION_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
];
/// Those that may have a pause.
const PAUSES: [&str; 5] = [
    "PRE_SCALE_UP",
    "POST_SCALE_UP",
    "POST_TEST_TRAFFIC_SHIFT",
    "PRE_PRODUCTION_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
];

/// What happens while bbbbbbb is deployed over aaaaaaa.
#[derive(Clone, Copy, Debug)]
enum Event {
    Nothing,
    /// A function at this stage does this.
    Function(&'static str, Function),
    /// A pause at this stage ends like this.
    Pause(&'static str, End),
    Breaker,
    /// An alarm goes on at this stage.
    Alarm(&'static str),
    /// A person stops it at this stage, by the console.
    Stop(&'static str),
    /// Another hand deploys ccccccc at this stage.
    Foreign(&'static str),
    /// From this stage on AWS answers for minutes with what it was then.
    Stale(ReadKind, &'static str),
}

/// How a pause ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Approved,
    Rejected,
    Expired,
    /// Nobody answers, and then it goes on.
    GoesOn,
}

/// What is there when all is at rest.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// The reason for doing nothing.
    said: String,
    /// Of the service deployments, the oldest first.
    ends: Vec<String>,
    /// Declared, tagged, deployed (as the number of the revision), and running.
    truths: [String; 4],
}

/// It was deployed, and nothing else was.
fn good() -> (Outcome, &'static str) {
    (outcome("Settled", &["SUCCESSFUL", "SUCCESSFUL"], ["bbbbbbb", "bbbbbbb", "2", "bbbbbbb"]), "")
}

/// AWS went back, and the commit is held for a cause that names this.
fn undone(cause: &'static str) -> (Outcome, &'static str) {
    let truths = ["bbbbbbb", "aaaaaaa", "1", "aaaaaaa"];
    (outcome("Held", &["SUCCESSFUL", "ROLLBACK_SUCCESSFUL"], truths), cause)
}

/// The same, and a function has failed on the way back as well.
fn stranded(cause: &'static str) -> (Outcome, &'static str) {
    let truths = ["bbbbbbb", "aaaaaaa", "1", "aaaaaaa"];
    (outcome("RollbackFailed", &["SUCCESSFUL", "ROLLBACK_FAILED"], truths), cause)
}

fn outcome(said: &str, ends: &[&str], truths: [&str; 4]) -> Outcome {
    Outcome {
        said: said.to_owned(),
        ends: ends.iter().map(|end| (*end).to_owned()).collect(),
        truths: truths.map(str::to_owned),
    }
}

/// The table: what happens, and what it comes to. `pauses`: the stages at which somebody is asked.
fn rows(pauses: &[&'static str]) -> Vec<(Event, (Outcome, &'static str))> {
    let mut rows = vec![
        (Event::Nothing, good()),
        (Event::Function("POST_SCALE_UP", Function::Polls { times: 3, delay: 10 }), good()),
        (Event::Function("POST_SCALE_UP", Function::Throws), undone("POST_SCALE_UP")),
        (Event::Function("POST_TEST_TRAFFIC_SHIFT", Function::Silent), undone("POST_TEST_TRAFFIC_SHIFT")),
        (Event::Breaker, undone("circuit breaker")),
        (Event::Alarm("POST_SCALE_UP"), undone("alarm")),
        (Event::Alarm("BAKE_TIME"), undone("alarm")),
        // Before the shift, with the traffic on its way, and after it.
        (Event::Stop("SCALE_UP"), undone("")),
        (Event::Stop("PRODUCTION_TRAFFIC_SHIFT"), undone("")),
        (Event::Stop("BAKE_TIME"), undone("")),
        (Event::Stop("CLEAN_UP"), good()),
        (Event::Stale(ReadKind::ServiceDeployments, "SCALE_UP"), good()),
        (Event::Stale(ReadKind::ServiceDeployments, "BAKE_TIME"), good()),
        (Event::Stale(ReadKind::Services, "SCALE_UP"), good()),
        (Event::Stale(ReadKind::Services, "BAKE_TIME"), good()),
    ];
    for at in STAGES {
        // On the way back it is called again, and fails again.
        let again = matches!(at, "TEST_TRAFFIC_SHIFT" | "PRODUCTION_TRAFFIC_SHIFT");
        rows.push((Event::Function(at, Function::Fails), if again { stranded(at) } else { undone(at) }));
    }
    for at in pauses.iter().copied() {
        rows.push((Event::Pause(at, End::Approved), good()));
        rows.push((Event::Pause(at, End::Rejected), undone(at)));
        rows.push((Event::Pause(at, End::Expired), undone(at)));
        rows.push((Event::Pause(at, End::GoesOn), good()));
    }
    for at in ["SCALE_UP", "PRODUCTION_TRAFFIC_SHIFT", "BAKE_TIME"] {
        let ends = ["SUCCESSFUL", "STOPPED", "SUCCESSFUL"];
        rows.push((
            Event::Foreign(at),
            (outcome("Drifted", &ends, ["bbbbbbb", "aaaaaaa", "3", "ccccccc"]), ""),
        ));
    }
    rows
}

/// The configuration of the service, with what the event needs.
fn configured(way: &Value, event: Event) -> Value {
    let mut configuration = way.clone();
    match event {
        Event::Function(at, _) => {
            let mut hook = function(at);
            hook["timeoutConfiguration"] = json!({"timeoutInMinutes": 1, "action": "ROLLBACK"});
            configuration = with(configuration, &[hook]);
        }
        Event::Pause(at, end) => {
            let action = if end == End::GoesOn { "CONTINUE" } else { "ROLLBACK" };
            configuration = with(configuration, &[pause(at, 1, action)]);
        }
        Event::Breaker => {
            configuration["deploymentCircuitBreaker"] = json!({"enable": true, "rollback": true});
        }
        Event::Alarm(_) => {
            configuration["alarms"] = json!({"alarmNames": ["errors"], "enable": true, "rollback": true});
        }
        Event::Nothing | Event::Stop(_) | Event::Foreign(_) | Event::Stale(..) => {}
    }
    configuration
}

/// Lets it happen, at its time.
async fn happen(stage: &Stage, running: &mut Running, event: Event) {
    match event {
        Event::Nothing | Event::Function(..) | Event::Breaker => {}
        Event::Pause(_, End::Expired | End::GoesOn) => {}
        // A canary and a linear shift ask before each step.
        Event::Pause(_, End::Approved) => {
            while let Some(swept) = running.until_it_asks(stage).await {
                running.say(stage, swept.plan.approval.unwrap().approve).await;
            }
        }
        Event::Pause(_, End::Rejected) => {
            let swept = running.until_it_asks(stage).await.unwrap();
            running.say(stage, swept.plan.approval.unwrap().reject).await;
        }
        Event::Alarm(at) => {
            running.until_aws_is_at(stage, at).await;
            stage.set_alarm("errors", true);
        }
        Event::Stop(at) => {
            running.until_aws_is_at(stage, at).await;
            let arn = stage.newest()["serviceDeploymentArn"].clone();
            stage.call(Api::Ecs, "StopServiceDeployment", &json!({"serviceDeploymentArn": arn}));
        }
        Event::Foreign(at) => {
            running.until_aws_is_at(stage, at).await;
            stage.build("ccccccc");
            let definition = stage.register("ccccccc");
            stage.update(&json!({"taskDefinition": definition}));
        }
        Event::Stale(kind, at) => {
            running.until_aws_is_at(stage, at).await;
            stage.inject(Fault::Stale { kind, seconds: 2 * MINUTE });
        }
    }
}

impl Running {
    async fn until_aws_is_at(&mut self, stage: &Stage, word: &str) {
        let is_there = |stage: &Stage, _: &SweepResult| {
            let newest = stage.newest();
            newest["lifecycleStage"] == word && newest["finishedAt"].is_null()
        };
        self.until(stage, is_there).await;
    }

    /// `None` once it is over.
    async fn until_it_asks(&mut self, stage: &Stage) -> Option<SweepResult> {
        let asks = |swept: &SweepResult| shift_of(swept).is_some_and(|shift| !shift.pauses.is_empty());
        let is_over = |stage: &Stage| !stage.newest()["finishedAt"].is_null();
        self.run(stage, 10).await;
        let swept = self.until(stage, |stage, swept| asks(swept) || is_over(stage)).await;
        asks(&swept).then_some(swept)
    }
}

fn seen(stage: &Stage, swept: &SweepResult) -> Outcome {
    let status = &swept.plan.status;
    let commit = |commit: Option<&trueup::model::Commit>| commit.map(ToString::to_string).unwrap_or_default();
    let running = status.running.iter().filter(|one| one.tasks > 0).filter_map(|one| one.commits.first());
    Outcome {
        said: said(swept),
        ends: stage.ends(),
        truths: [
            commit(status.declared.as_ref()),
            commit(status.tagged.as_ref()),
            status
                .deployed
                .as_ref()
                .and_then(trueup::model::TaskDefinitionArn::revision)
                .map(|number| number.to_string())
                .unwrap_or_default(),
            running.map(ToString::to_string).collect::<Vec<_>>().join(" "),
        ],
    }
}

async fn play(name: &str, way: &Value, has_traffic: bool, pauses: &[&'static str]) {
    let mut problems = Vec::new();
    for (event, (expected, cause)) in rows(pauses) {
        let mut stage = Stage::native(&configured(way, event), has_traffic);
        // That a success counts after a minute is told elsewhere.
        stage.environment = "  policy: {steady: 0s}\n".to_owned();
        let digest = stage.build("bbbbbbb");
        if let Event::Function(_, does) = event {
            stage.function_does(does);
        }
        if let Event::Breaker = event {
            stage.inject(Fault::Crash { digest, exit_code: 1, after_seconds: 0 });
        }
        stage.declare("bbbbbbb");
        let mut running = stage.process(BTreeMap::new());
        happen(&stage, &mut running, event).await;
        let swept = running.rest(&stage).await;
        let (before, writes) = (said(&swept), stage.writes());
        // A process that knows nothing of it says the same, and does nothing.
        let swept = stage.process(BTreeMap::new()).run(&stage, 10).await;
        let (now, causes) = (seen(&stage, &swept), swept.plan.status.causes);
        let is_told = causes.iter().any(|one| one.text.contains(cause)) || cause.is_empty();
        if now != expected || !is_told || (&before, stage.writes()) != (&now.said, writes) {
            problems.push(format!("{event:?}: {now:?}, {causes:?}, {before} before"));
        }
    }
    assert!(problems.is_empty(), "{name}:\n{}", problems.join("\n"));
}

#[tokio::test]
async fn whatever_happens_to_a_blue_green_deployment() {
    play("blueGreen", &blue_green(), true, &PAUSES[2..4]).await;
}

#[tokio::test]
async fn whatever_happens_to_a_canary() {
    play("canary", &canary(), true, &PAUSES).await;
}

#[tokio::test]
async fn whatever_happens_to_a_linear_shift() {
    play("linear", &linear(), true, &PAUSES[2..4]).await;
}

#[tokio::test]
async fn whatever_happens_where_there_is_no_traffic_to_shift() {
    play("headless", &blue_green(), false, &PAUSES[2..4]).await;
}

/// The eighth stage of a function only comes where another deployment was in flight. What AWS went back to has all the traffic, and
/// counts once it has run well for its minute.
#[tokio::test]
async fn a_function_that_fails_while_what_was_replaced_is_settled_goes_back_to_what_had_the_traffic() {
    let hooks = [function("RECONCILE_SERVICE")];
    for (does, expected) in [
        (
            Function::Succeeds,
            outcome(
                "Settled",
                &["SUCCESSFUL", "STOPPED", "SUCCESSFUL"],
                ["ccccccc", "ccccccc", "3", "ccccccc"],
            ),
        ),
        (
            Function::Fails,
            outcome(
                "Held",
                &["SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL"],
                ["ccccccc", "bbbbbbb", "2", "bbbbbbb"],
            ),
        ),
    ] {
        let mut stage = Stage::native(&with(blue_green(), &hooks), true);
        stage.function_does(does);
        stage.environment = "  policy: {inFlight: replace}\n".to_owned();
        stage.bring("bbbbbbb");
        let mut running = stage.process(BTreeMap::new());
        running.until_aws_is_at(&stage, "BAKE_TIME").await;
        stage.bring("ccccccc");
        running.rest(&stage).await;
        let swept = stage.process(BTreeMap::new()).run(&stage, MINUTE).await;
        assert_eq!(seen(&stage, &swept), expected, "{does:?}: {:?}", swept.plan.status.causes);
    }
}

/// There is nothing to go back to: what failed stays, and the next commit is deployed over it.
#[tokio::test]
async fn a_service_whose_first_deployment_failed_takes_the_next_commit() {
    for (_, way, has_traffic) in ways() {
        let mut stage = Stage::created(&with(way, &[function("PRE_SCALE_UP")]), has_traffic, Function::Fails);
        stage.declare("aaaaaaa");
        let before = stage.writes();
        let swept = stage.process(BTreeMap::new()).run(&stage, MINUTE).await;
        assert_eq!(
            (stage.ends(), stage.writes()),
            (vec!["ROLLBACK_FAILED".to_owned()], before),
            "{}",
            said(&swept)
        );
        assert_eq!(said(&swept), "RollbackFailed");
        assert!(!swept.plan.status.causes.is_empty());
        stage.function_does(Function::Succeeds);
        stage.bring("bbbbbbb");
        let swept = stage.process(BTreeMap::new()).rest(&stage).await;
        let truths = ["bbbbbbb", "bbbbbbb", "2", "bbbbbbb"];
        assert_eq!(seen(&stage, &swept), outcome("Settled", &["ROLLBACK_FAILED", "SUCCESSFUL"], truths));
    }
}
