//! Rules and schedules: whose doing it is what their targets run, what is written and recorded, and which run is news.

use super::*;
use crate::documents::memory::Stamp;

const CLUSTER: &str = "arn:aws:ecs:eu-west-2:123456789012:cluster/mco";
const HOUR: Millis = 3_600_000;

fn rule(name: &str) -> ScheduleName {
    ScheduleName::Rule(name.to_owned())
}

/// Enabled, with one target that runs this.
fn running(arn: &TaskDefinitionArn) -> Reading<Schedule> {
    let raw = json!({"Id": "a", "Arn": CLUSTER, "EcsParameters": {"TaskDefinitionArn": arn.as_str()}});
    let (task_definition, role) = (Some(arn.clone()), Some("arn:aws:iam::1:role/events".to_owned()));
    let target = ScheduleTarget { arn: CLUSTER.to_owned(), task_definition, role, raw };
    Reading::Known(Schedule { is_enabled: true, targets: vec![target] })
}

/// Rules that run these revisions, by another hand's of commit aaaaaaa, which git declared before; it declares bbbbbbb.
fn rules(revisions: &[TaskDefinitionArn]) -> Scene {
    Scene::new().with(|scene| {
        let names: Vec<ScheduleName> =
            (1..=revisions.len()).map(|number| rule(&format!("r{number}"))).collect();
        scene.observed.schedules = names.iter().cloned().zip(revisions.iter().map(running)).collect();
        let task = ScheduledTask { schedules: names, success: None };
        scene.desired.workload = Workload::ScheduledTask(Box::new(task));
        let (path, input) = ("taskdef.json".to_owned(), input("<IMAGE_NAME>"));
        scene.desired.task_definition = TaskDefinitionSource::File { path, input: input.into() };
        scene.observed.service = Reading::Absent;
        scene.observed.service_deployments = Reading::Absent;
        scene.observed.tasks = Reading::Known(Vec::new());
        scene.observed.memory = Some(Completeness::Complete);
        scene.observed.earlier = Some(declared_before("aaaaaaa"));
        for number in 1..=3 {
            let revision = foreign(number, &format!("{URI}@{}", digest('a')));
            scene.observed.revisions.insert(arn(number), Reading::Known(revision));
        }
    })
}

fn unnumbered() -> TaskDefinitionArn {
    TaskDefinitionArn::new(arn(1).as_str().rsplit_once(':').unwrap().0)
}

/// Our revision 7 of bbbbbbb, stamped when this was there.
fn ours(scene: Scene, live_then: &str) -> Scene {
    scene.ours(7, 'b', 1, live_then)
}

/// The same, which has been brought.
fn brought(scene: Scene, live_then: &str) -> Scene {
    let outcome = Outcome { result: OutcomeKind::Succeeded, deployment: "mco-api:7@1".to_owned() };
    stamped(ours(scene, live_then), &Stamp::Outcome { outcome, generation: Some(1) })
}

fn stamped(scene: Scene, stamp: &Stamp) -> Scene {
    stamp.tags().into_iter().fold(scene, |scene, tag| scene.tag(7, tag))
}

#[test]
fn what_is_declared_is_registered_then_each_rule_runs_it_then_it_is_recorded() {
    let registered = format!("register bbbbbbb 1/{}/1", rules(&[arn(1)]).head);
    rules(&[arn(1)]).check(&registered);
    ours(rules(&[arn(1)]), "1").check("rule r1 runs mco-api:7");
    ours(rules(&[arn(7)]), "1").check("stamp mco-api:7 trueup:outcome=succeeded/mco-api:7@1");
    brought(rules(&[arn(7)]), "1").check("Settled");
    // One after the other, from whatever each of them ran.
    ours(rules(&[arn(1), arn(3)]), "1+3").check("rule r1 runs mco-api:7");
    ours(rules(&[arn(7), arn(3)]), "1+3").check("rule r2 runs mco-api:7");
    ours(rules(&[arn(7), arn(7)]), "1+3").check("stamp mco-api:7 trueup:outcome=succeeded/mco-api:7@1");
    ours(rules(&[unnumbered(), arn(1)]), "1+newest").check("rule r1 runs mco-api:7");
}

#[test]
fn what_another_hand_has_done_since_is_drift() {
    ours(rules(&[arn(2)]), "1").check("Drifted");
    ours(rules(&[arn(7), arn(2)]), "1+3").check("Drifted");
    brought(rules(&[arn(1)]), "1").check("Drifted");
    brought(rules(&[unnumbered()]), "1").check("Drifted");
    let heals = |scene: Scene| scene.with(|scene| scene.desired.policy.drift = OnDrift::Heal);
    let stamp = format!("stamp mco-api:7 trueup:applied=2/{}/2", rules(&[arn(1)]).head);
    heals(brought(rules(&[arn(2)]), "1")).check(&stamp);
    // At first contact too, unless git had declared it; without a number it is nobody's choice.
    let unknown =
        |scene: Scene| scene.with(|scene| scene.observed.earlier = Some(declared_before("ccccccc")));
    unknown(rules(&[arn(1)])).check("Drifted");
    let registered = format!("register bbbbbbb 1/{}/newest", rules(&[arn(1)]).head);
    unknown(rules(&[unnumbered()])).check(&registered);
}

#[test]
fn what_amounts_to_it_is_left_and_what_does_not_is_told_by_its_difference() {
    rules(&[arn(1)]).declares_a().check("Settled");
    let registered = format!("register aaaaaaa 1/{}/newest", rules(&[arn(1)]).head);
    rules(&[unnumbered()]).declares_a().check(&registered);
    let plan = rules(&[unnumbered()]).declares_a().plan();
    assert_eq!(plan.differences[0].live.as_deref(), Some("the newest of mco-api"));
    let plan = brought(rules(&[arn(1)]), "1").plan();
    assert_eq!(plan.status.drift[0].field, "containers[api].image");
}

#[test]
fn what_cannot_be_read_is_never_taken_for_gone() {
    for unread in [
        rules(&[arn(1)]).with(|scene| {
            scene.observed.schedules.insert(rule("r1"), Reading::Unavailable("no".to_owned()));
        }),
        rules(&[arn(1)]).with(|scene| {
            scene.observed.revisions.insert(arn(1), Reading::Unavailable("no".to_owned()));
        }),
    ] {
        unread.check("Unreadable");
        assert_eq!(unread.plan().status.sync, Sync::Unknown);
    }
    let forgotten = Completeness::Incomplete("no".to_owned());
    rules(&[arn(1)]).with(|scene| scene.observed.memory = Some(forgotten)).check("MemoryIncomplete");
    let turn = rules(&[arn(1)]).with(|scene| scene.turn = Some("after test/migrate"));
    turn.check("Turn");
}

/// A run of revision 7 that ended so long ago with this code, where another one is on record that ended before it.
fn ran(code: i32, ago: Millis, recorded: Option<(OutcomeKind, Millis)>) -> Scene {
    let scene = brought(rules(&[arn(7)]), "1").with(|scene| {
        let mut run = task(7, 'b');
        run.arn = "arn:aws:ecs:eu-west-2:123456789012:task/mco/9".to_owned();
        (run.last_status, run.desired_status) = ("STOPPED".to_owned(), "STOPPED".to_owned());
        (run.stop_code, run.stopped_at) = (Some("EssentialContainerExited".to_owned()), Some(NOW - ago));
        run.containers[0].exit_code = Some(code);
        let going_on = task(7, 'b');
        scene.observed.tasks = Reading::Known(vec![going_on, run]);
    });
    let Some((result, before)) = recorded else { return scene };
    let run = LastRun { result, ended_at: NOW - ago - before, task: "8".to_owned(), causes: Vec::new() };
    stamped(scene, &Stamp::LastRun(run))
}

#[test]
fn a_run_is_recorded_when_it_says_something_new() {
    let seconds = (NOW - 1000) / 1000;
    let failed = format!("stamp mco-api:7 trueup:last-run=failed/{seconds}/9/container api exited with 1");
    let well = format!("stamp mco-api:7 trueup:last-run=succeeded/{seconds}/9");
    ran(1, 1000, None).check(&failed);
    ran(0, 1000, None).check(&well);
    ran(0, 1000, Some((OutcomeKind::Failed, HOUR))).check(&well);
    ran(0, 1000, Some((OutcomeKind::Succeeded, HOUR))).check("Settled");
    ran(0, 1000, Some((OutcomeKind::Succeeded, 12 * HOUR))).check(&well);
    ran(1, 1000, Some((OutcomeKind::Succeeded, -HOUR))).check("Settled");
    let status = ran(1, 1000, Some((OutcomeKind::Succeeded, HOUR))).plan().status;
    assert_eq!((status.health, status.proof), (Health::Degraded, Proof::Unproven));
    assert_eq!((status.failing_since, status.running[0].tasks), (Some(NOW - 1000), 1));
    // What is read lately goes before what is on record, and the other way round.
    let status = ran(0, 1000, Some((OutcomeKind::Failed, -HOUR))).plan().status;
    assert_eq!(status.last_run.unwrap().result, OutcomeKind::Failed);
}
