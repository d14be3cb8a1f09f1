//! Every way in and out of a rolling deployment.

use std::collections::BTreeMap;

use trueup_simulator::Fault;

use crate::stage::{Breaker, Stage, said};

fn none<T>() -> BTreeMap<usize, T> {
    BTreeMap::new()
}

#[tokio::test]
async fn a_new_commit_is_deployed_once_and_tagged_after_it_succeeded() {
    let mut stage = Stage::new(Breaker::On);
    let digest = stage.build("bbbbbbb");
    stage.declare("bbbbbbb");
    let last = stage.process(none()).run(&stage, 120).await;
    assert_eq!(said(&last), "Settled", "{last:#?}");
    assert_eq!((stage.deployments(), stage.revisions()), (2, 2));
    assert_eq!(stage.running(), [digest.clone(), digest.clone()]);
    assert_eq!(stage.digest("test"), Some(digest));
}

#[tokio::test]
async fn a_commit_that_crashes_is_rolled_back_by_the_breaker_and_held() {
    let mut stage = Stage::new(Breaker::On);
    let digest = stage.build("bbbbbbb");
    stage.world.lock().unwrap().inject(Fault::Crash { digest, exit_code: 1 });
    stage.declare("bbbbbbb");
    let last = stage.process(none()).run(&stage, 300).await;
    assert_eq!(said(&last), "Held", "{last:#?}");
    assert_eq!(stage.deployments(), 2);
    assert_eq!(stage.digest("test"), stage.digest("aaaaaaa"));
    let later = stage.process(none()).run(&stage, 300).await;
    assert_eq!((said(&later).as_str(), stage.deployments()), ("Held", 2));
}
