//! What a person has suspended, of an environment or of an application.

use std::collections::BTreeMap;

use serde_json::json;
use trueup_simulator::Api;

use crate::stage::{Breaker, Stage, said};

const API: &str = "  repository: mco/api\n  service: mco-api-test\n  environmentTag: api\n";
const WORKER: &str = "  repository: mco/api\n  service: mco-worker-test\n";

/// Two services on commit aaaaaaa, which is declared; commit bbbbbbb is built.
fn stage() -> Stage {
    let mut stage = Stage::new(Breaker::On);
    let breaker = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}});
    let input = json!({"cluster": "mco", "serviceName": "mco-worker-test", "taskDefinition": "mco-api:1",
        "desiredCount": 1, "deploymentConfiguration": breaker});
    stage.call(Api::Ecs, "CreateService", &input);
    stage.advance(600);
    stage.write(&[("api", "aaaaaaa", API), ("worker", "aaaaaaa", WORKER)]);
    stage.build("bbbbbbb");
    stage
}

#[tokio::test]
async fn a_suspended_application_is_left_alone_until_its_time_and_its_peers_go_on() {
    let mut stage = stage();
    let end = i64::try_from(stage.now() + 900).unwrap();
    let end = jiff::Timestamp::from_second(end).unwrap();
    let suspended = format!("bbbbbbb, suspend: {{reason: a migration, until: {end}}}");
    stage.write(&[("api", &suspended, API), ("worker", "bbbbbbb", WORKER)]);
    let mut running = stage.process(BTreeMap::new());
    running.run(&stage, 600).await;
    stage.check_runs("mco-worker-test", "bbbbbbb");
    stage.check_runs("mco-api-test", "aaaaaaa");
    let swept = running.pass(&stage).await;
    assert_eq!(swept.iter().map(said).collect::<Vec<_>>(), ["Suspended", "Settled"]);
    // Nobody says a word: its time is over by AWS's clock.
    running.run(&stage, 900).await;
    stage.check_runs("mco-api-test", "bbbbbbb");
    assert_eq!(stage.digest("api"), stage.digest("bbbbbbb"));
}

#[tokio::test]
async fn what_is_suspended_twice_goes_on_once_nothing_suspends_it() {
    let mut stage = stage();
    let end = jiff::Timestamp::from_second(i64::try_from(stage.now()).unwrap() + 60).unwrap();
    stage.environment = format!("  suspend: {{reason: a freeze, until: {end}}}\n");
    stage.write(&[("api", "bbbbbbb, suspend: {reason: a migration}", API), ("worker", "bbbbbbb", WORKER)]);
    let mut running = stage.process(BTreeMap::new());
    let before = stage.writes();
    let swept = running.pass(&stage).await;
    assert_eq!(swept.iter().map(said).collect::<Vec<_>>(), ["Suspended", "Suspended"]);
    assert_eq!(stage.writes(), before);
    running.run(&stage, 600).await;
    stage.check_runs("mco-worker-test", "bbbbbbb");
    stage.check_runs("mco-api-test", "aaaaaaa");
    stage.write(&[("api", "bbbbbbb", API), ("worker", "bbbbbbb", WORKER)]);
    running.run(&stage, 600).await;
    stage.check_runs("mco-api-test", "bbbbbbb");
}
