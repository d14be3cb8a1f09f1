//! The scenes. Each asks the simulated AWS at its end whether it finished as expected.

use anyhow::ensure;
use futures::future::LocalBoxFuture;
use serde_json::json;
use trueup_simulator::Api;

use super::files::TEST;
use super::stage::Stage;
use crate::model::{Health, Share, Shift, Status, Sync, Waiting};

pub(super) struct Scene {
    pub(super) title: &'static str,
    pub(super) told: &'static str,
    pub(super) play: for<'a> fn(&'a mut Stage) -> LocalBoxFuture<'a, anyhow::Result<()>>,
}

pub(super) const SCENES: &[Scene] = &[
    Scene {
        title: "a commit lands in test",
        told: "CI has built 8c1f0aa. Somebody changes one line of environments/test.yaml and merges it. The deployment\nhas succeeded once its tasks have run for a minute without a failure (`policy.steady`).",
        play: |stage| Box::pin(lands(stage)),
    },
    Scene {
        title: "blue/green",
        told: "CodeDeploy deploys shop: it starts new tasks beside the old ones and shifts the traffic in steps of 25 %.\nThe \
               commit has succeeded, and the tag moves, a minute after the old tasks begin to stop; they drain a little longer.",
        play: |stage| Box::pin(shifts(stage)),
    },
    Scene {
        title: "a bad commit",
        told: "bad0bad crashes at its start. ECS rolls it back, trueup holds it: it is not tried again, and the tag \
               \"test\"\nstays on what really runs.",
        play: |stage| Box::pin(fails(stage)),
    },
    Scene {
        title: "the fix",
        told: "The next commit has different content, so the hold does not apply.",
        play: |stage| Box::pin(is_fixed(stage)),
    },
    Scene {
        title: "somebody changes the service by hand",
        told: "A deployment from the console puts 3f2c1ab back. environments/test.yaml says `drift: heal`.",
        play: |stage| Box::pin(drifts(stage)),
    },
    Scene {
        title: "promotion to staging",
        told: "The same image, no rebuild: the change is one line of environments/staging.yaml.\n`trueup promote --from test \
               --to staging api` makes the same change.",
        play: |stage| Box::pin(is_promoted(stage)),
    },
    Scene {
        title: "a canary that waits for approval",
        told: "ECS itself deploys web: it starts new tasks beside the old ones and pauses before any traffic. After approval \
               they get\na tenth of the traffic for a minute, then all of it. Only a person ends the pause: `trueup approve test/web`.",
        play: |stage| Box::pin(is_approved(stage)),
    },
    Scene {
        title: "a migration that fails",
        told: "web comes after migrate, a task that runs once for each commit. The task of bad0bad fails: it is not retried by \
               itself,\nand web keeps its commit.",
        play: |stage| Box::pin(keeps_its_service(stage)),
    },
];

pub(super) const EPILOGUE: &str = "Everything finished as expected. On your own cluster, without a write:

  trueup lint   --repo path/to/infrastructure
  trueup plan   --repo path/to/infrastructure
  trueup run --observe --repo path/to/infrastructure";

fn runs(commit: &str) -> impl Fn(&Status) -> bool {
    move |status| {
        status.sync == Sync::Synced
            && status.health == Health::Healthy
            && status.waiting == Some(Waiting::Settled)
            && status.declared.as_ref().is_some_and(|declared| declared.as_str() == commit)
    }
}

/// What AWS says: the environment runs and is tagged with this commit, after so many deployments.
fn check(stage: &Stage, target: &str, commit: &str, deployments: usize) -> anyhow::Result<()> {
    let (environment, application) = target.split_once('/').unwrap_or((target, "api"));
    let running = stage.running(application, environment)?;
    ensure!(running == [commit], "{target} runs {running:?}, told was {commit}");
    let tagged = stage.tagged(application, environment)?;
    ensure!(tagged == commit, "tag {environment} of {application} is on {tagged}, told was {commit}");
    let seen = stage.deployments(application, environment)?;
    ensure!(seen == deployments, "{target} saw {seen} deployments, told were {deployments}");
    Ok(())
}

async fn lands(stage: &mut Stage) -> anyhow::Result<()> {
    stage.build("api", "8c1f0aa")?;
    stage.edit(TEST, "api: { commit: 3f2c1ab }", "api: { commit: 8c1f0aa }", "api 8c1f0aa to test")?;
    stage.until("test/api", "8c1f0aa", runs("8c1f0aa")).await?;
    stage.print_status().await?;
    check(stage, "test/api", "8c1f0aa", 2)?;
    check(stage, "staging/api", "3f2c1ab", 1)
}

async fn shifts(stage: &mut Stage) -> anyhow::Result<()> {
    stage.build("shop", "8c1f0aa")?;
    stage.edit(TEST, "shop: { commit: 3f2c1ab }", "shop: { commit: 8c1f0aa }", "shop 8c1f0aa to test")?;
    for percent in [25_u8, 50, 75, 100] {
        // A machine that is busy with something else may sleep through a step.
        let reached = move |status: &Status| {
            traffic(status).is_some_and(|now| now.percent() >= f64::from(percent)) || runs("8c1f0aa")(status)
        };
        let status = stage.until("test/shop", &format!("{percent} % of the traffic"), reached).await?;
        let early = !runs("8c1f0aa")(&status) && stage.tagged("shop", "test")? != "3f2c1ab";
        ensure!(!early, "the tag moved before the end");
    }
    stage.until("test/shop", "8c1f0aa", runs("8c1f0aa")).await?;
    stage.print_status().await?;
    check(stage, "test/shop", "8c1f0aa", 1)
}

fn traffic(status: &Status) -> Option<Share> {
    shift(status)?.production
}

fn shift(status: &Status) -> Option<&Shift> {
    status.last_deployment.as_ref()?.shift.as_ref()
}

async fn fails(stage: &mut Stage) -> anyhow::Result<()> {
    let digest = stage.build("api", "bad0bad")?;
    stage.breaks(digest);
    stage.edit(TEST, "api: { commit: 8c1f0aa }", "api: { commit: bad0bad }", "api bad0bad to test")?;
    let held = |status: &Status| matches!(status.waiting, Some(Waiting::Held { .. }));
    stage.until("test/api", "the hold of bad0bad", held).await?;
    stage.print_status().await?;
    check(stage, "test/api", "8c1f0aa", 3)
}

async fn is_fixed(stage: &mut Stage) -> anyhow::Result<()> {
    stage.build("api", "c0ffee1")?;
    stage.edit(TEST, "bad0bad", "c0ffee1", "api c0ffee1 to test")?;
    stage.until("test/api", "c0ffee1", runs("c0ffee1")).await?;
    stage.print_status().await?;
    check(stage, "test/api", "c0ffee1", 4)
}

async fn drifts(stage: &mut Stage) -> anyhow::Result<()> {
    stage.say(
        "$ aws ecs update-service --cluster mco --service mco-api-test --task-definition mco-api-test:1",
    );
    let by_hand = json!({"cluster": "mco", "service": "mco-api-test", "taskDefinition": "mco-api-test:1"});
    stage.call(Api::Ecs, "UpdateService", &by_hand)?;
    stage.until("test/api", "the drift", |status| !status.drift.is_empty()).await?;
    stage.print_drift();
    stage.until("test/api", "the healing", runs("c0ffee1")).await?;
    stage.print_status().await?;
    check(stage, "test/api", "c0ffee1", 6)
}

async fn is_promoted(stage: &mut Stage) -> anyhow::Result<()> {
    stage.edit("environments/staging.yaml", "3f2c1ab", "c0ffee1", "promote api c0ffee1 to staging")?;
    stage.until("staging/api", "c0ffee1", runs("c0ffee1")).await?;
    stage.print_status().await?;
    check(stage, "staging/api", "c0ffee1", 2)?;
    check(stage, "test/api", "c0ffee1", 6)
}

async fn is_approved(stage: &mut Stage) -> anyhow::Result<()> {
    stage.build("web", "8c1f0aa")?;
    stage.edit(TEST, "web: { commit: 3f2c1ab }", "web: { commit: 8c1f0aa }", "web 8c1f0aa to test")?;
    let waits = |status: &Status| shift(status).is_some_and(|shift| !shift.pauses.is_empty());
    stage.until("test/web", "the pause", waits).await?;
    ensure!(stage.running("web", "test")?.len() == 2, "both commits run, and the old one has the traffic");
    stage.approve("test/web").await?;
    // A machine that is busy with something else may sleep through the canary.
    let divided = |status: &Status| {
        traffic(status).is_some_and(|share| share.percent() >= 10.0) || runs("8c1f0aa")(status)
    };
    stage.until("test/web", "a tenth of the traffic", divided).await?;
    stage.until("test/web", "8c1f0aa", runs("8c1f0aa")).await?;
    stage.print_status().await?;
    check(stage, "test/web", "8c1f0aa", 2)
}

async fn keeps_its_service(stage: &mut Stage) -> anyhow::Result<()> {
    let digest = stage.build("web", "bad0bad")?;
    stage.breaks(digest);
    stage.edit(
        TEST,
        "migrate: { commit: 3f2c1ab }\n    web: { commit: 8c1f0aa }",
        "migrate: { commit: bad0bad }\n    web: { commit: bad0bad }",
        "web bad0bad to test",
    )?;
    let held = |status: &Status| matches!(status.waiting, Some(Waiting::Held { .. }));
    stage.until("test/migrate", "the failure of the migration", held).await?;
    let waits = |status: &Status| matches!(status.waiting, Some(Waiting::Turn { .. }));
    stage.until("test/web", "its wait for the migration", waits).await?;
    stage.print_status().await?;
    ensure!(stage.runs() == 1, "the migration ran {} times", stage.runs());
    check(stage, "test/web", "8c1f0aa", 2)
}
