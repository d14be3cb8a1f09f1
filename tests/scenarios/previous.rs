//! What version 0.1 left behind is understood: nothing is deployed, no hold is lost and no tag moves when another version
//! takes over.
//!
//! `previous/` holds what 0.1 wrote in each situation, call by call, and what had become of it. The calls are made once
//! more in a world of their own; then a process of today goes on.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::faults::run;
use crate::moments::{is_write, with_hand};
use crate::stage::{SERVICE, Stage, said};

/// Longer than what goes on can take.
fn seconds(situation: &str) -> u64 {
    if situation.starts_with("codedeploy") { 900 } else { 400 }
}

const SITUATIONS: [(&str, &str); 14] = [
    ("adopted", include_str!("previous/adopted.json")),
    ("codedeploy-held", include_str!("previous/codedeploy-held.json")),
    ("codedeploy-in-flight", include_str!("previous/codedeploy-in-flight.json")),
    ("codedeploy-promoted", include_str!("previous/codedeploy-promoted.json")),
    ("codedeploy-superseded", include_str!("previous/codedeploy-superseded.json")),
    ("rolling-back-and-forth", include_str!("previous/rolling-back-and-forth.json")),
    ("rolling-drifted", include_str!("previous/rolling-drifted.json")),
    ("rolling-held-without-breaker", include_str!("previous/rolling-held-without-breaker.json")),
    ("rolling-held", include_str!("previous/rolling-held.json")),
    ("rolling-in-flight", include_str!("previous/rolling-in-flight.json")),
    ("rolling-promoted", include_str!("previous/rolling-promoted.json")),
    ("rolling-retried", include_str!("previous/rolling-retried.json")),
    ("rolling-reverted", include_str!("previous/rolling-reverted.json")),
    ("rolling-settings", include_str!("previous/rolling-settings.json")),
];

/// Why it rested, deployments and revisions, and the commit that is tagged.
type Came = (String, usize, usize, Option<String>);

fn came_to(stage: &Stage, said: String) -> Came {
    let tagged = ["aaaaaaa", "bbbbbbb", "ccccccc"].into_iter();
    let tagged = tagged.filter(|commit| stage.digest(commit).is_some());
    let mut tagged = tagged.filter(|commit| stage.digest(commit) == stage.digest("test"));
    (said, stage.deployments(), stage.revisions(), tagged.next_back().map(str::to_owned))
}

fn recorded(situation: &Value) -> Came {
    let number = |key: &str| usize::try_from(situation[key].as_u64().unwrap()).unwrap();
    let text = |key: &str| situation[key].as_str().map(str::to_owned);
    (text("waiting").unwrap(), number("deployments"), number("revisions"), text("tagged"))
}

#[tokio::test]
async fn what_the_previous_version_left_is_understood_in_every_situation() {
    for (name, text) in SITUATIONS {
        let situation: Value = serde_json::from_str(text).unwrap();
        let mut expected = recorded(&situation);
        let stage = Stage::recorded(&situation, None);
        assert_eq!(came_to(&stage, expected.0.clone()), expected, "{name}: the calls come to the same again");
        if expected.0 == "Deploying" {
            expected = ("Settled".to_owned(), expected.1, expected.2, Some("bbbbbbb".to_owned()));
        }
        let last = stage.process(BTreeMap::new()).run(&stage, seconds(name)).await;
        assert_eq!(came_to(&stage, said(&last)), expected, "{name}");
        let runs = expected.3.unwrap();
        if name != "rolling-drifted" {
            stage.check_runs(SERVICE, &runs);
        }
    }
}

/// What 0.1 wrote after the last commit was declared, each with its place among all calls. None where one commit was
/// declared after the other: the last one was not yet at every moment.
fn writes_of(situation: &Value) -> Vec<(usize, &Value)> {
    if situation["waiting"] == "Deploying" || situation["declared"].as_array().unwrap().len() != 2 {
        return Vec::new();
    }
    let calls = situation["calls"].as_array().unwrap();
    let begun = calls.iter().position(|call| call.to_string().contains("trueup:content")).unwrap();
    calls.iter().enumerate().skip(begun).collect()
}

/// 0.1 is stopped after each of its writes, and a process of today goes on.
#[tokio::test]
async fn a_process_of_today_takes_over_at_any_moment() {
    for (name, text) in SITUATIONS {
        let situation: Value = serde_json::from_str(text).unwrap();
        let expected = recorded(&situation);
        for (cut, call) in writes_of(&situation) {
            let stage = Stage::recorded(&situation, Some(cut + 1));
            let last = stage.process(BTreeMap::new()).run(&stage, seconds(name)).await;
            assert_eq!(came_to(&stage, said(&last)), expected, "{name} after {call}");
        }
    }
}

/// 0.1 hangs in one of its writes while a process of today takes over, and the write arrives at any moment of what that does.
/// It may bring what is declared once more, and it may leave a revision that nobody runs; nothing else comes of it.
#[tokio::test]
async fn a_late_write_of_the_previous_version_is_put_right() {
    let mut tried = 0;
    for (name, text) in SITUATIONS {
        let situation: Value = serde_json::from_str(text).unwrap();
        let (waiting, deployments, revisions, tagged) = recorded(&situation);
        for (cut, late) in writes_of(&situation) {
            let stage = Stage::recorded(&situation, Some(cut));
            let calls = run(&stage.clone(), BTreeMap::new(), None).await.calls;
            let mut moments: Vec<usize> = (0..calls.len()).filter(|index| is_write(&calls[*index])).collect();
            // At rest.
            moments.push(moments.last().map_or(0, |last| last + 40).min(calls.len() - 1));
            for index in moments {
                let call = late.clone();
                let (stage, _, _) = with_hand(&stage, index, move |stage| stage.again(&call)).await;
                let last = stage.process(BTreeMap::new()).run(&stage, seconds(name)).await;
                let place = format!("{name}: {late} arrives before call {index}, {}", calls[index].operation);
                let came = came_to(&stage, said(&last));
                assert_eq!((&came.0, &came.3), (&waiting, &tagged), "{place}");
                // Where no breaker is on, the way back is a deployment too.
                assert!(came.1 <= deployments + 2 && came.2 <= revisions + 1, "{place}: {came:?}");
                stage.check_runs(SERVICE, tagged.as_deref().unwrap());
                tried += 1;
            }
        }
    }
    assert!(tried > 60, "{tried} moments are too few for every write");
}
