//! What a change will come to, from its first write to its last, for people who decide about it.

use super::carriers;
use super::facts::Facts;
use super::step::Step;
use crate::documents::memory::Stamp;
use crate::model::{
    Commit, Digest, Finding, MoveTag, Phase, Reading, ScalableTarget, Service, Severity, TaskDefinitionArn,
    TaskDefinitionSource,
};

/// The writes that follow from one decision, if nothing comes between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// `repository:tag` and the digest it stands for.
    pub images: Vec<(String, Digest)>,
    /// The family of the new revision and what it is made from; `None` where a revision is there already.
    pub register: Option<(String, String)>,
    /// CodeDeploy application and group that are made first.
    pub create: Vec<String>,
    /// The declared strategy, or that of the service's deployment controller.
    pub strategy: String,
    pub service: String,
    pub cluster: String,
    /// How many tasks are to run.
    pub count: i32,
    /// Within what an autoscaler changes that.
    pub scalable_target: Option<ScalableTarget>,
    /// The environment tag, and what it moves from and to after success.
    pub tag: Option<(String, Option<Commit>, Commit)>,
    /// What a reviewer should know first.
    pub risks: Vec<String>,
}

/// The outlook of a step that leads to a deployment; `None` for all others.
pub(super) fn of(facts: &Facts<'_>, next: Option<&Step>, tagged: Option<&Commit>) -> Option<Outlook> {
    let leads = match next? {
        Step::Register { .. } | Step::Deploy { .. } => true,
        Step::Stamp { stamp: Stamp::Settings(settings), .. } => {
            !settings.done && facts.settings_alone().is_none()
        }
        // That it is declared again is only recorded on what is live already.
        Step::Stamp { revision, stamp: Stamp::Applied(_) } => !facts.is_live_for_good(revision),
        Step::Stamp { stamp, .. } => !matches!(stamp, Stamp::Outcome { .. }),
        Step::CreateApplication { .. } | Step::CreateGroup { .. } => true,
        Step::MoveTag { .. }
        | Step::UpdateSettings { .. }
        | Step::Undo { .. }
        | Step::Answer { .. }
        | Step::EndStandby { .. }
        | Step::Run { .. }
        | Step::Retarget { .. }
        | Step::StopRun { .. } => false,
    };
    let service = facts.service.filter(|_| leads)?;
    let desired = facts.input.desired;
    let images = desired.images.iter().zip(facts.images).filter_map(|(wanted, observed)| {
        let digest = observed.built.known()?.digest.clone();
        Some((format!("{}:{}", wanted.repository, observed.commit_tag(wanted)), digest))
    });
    let family = facts.rendered.as_ref().ok().and_then(|rendered| rendered.get("family")?.as_str());
    let mut made_from = match &desired.task_definition {
        TaskDefinitionSource::Service => "the last good revision".to_owned(),
        TaskDefinitionSource::Family(family) => format!("the newest revision of {family}"),
        TaskDefinitionSource::File { path, .. } => path.clone(),
    };
    if desired.overlay.patch.is_some() {
        made_from.push_str(" with taskDefinitionPatch");
    }
    let registers = matches!(
        next,
        Some(Step::Register { .. } | Step::CreateApplication { .. } | Step::CreateGroup { .. })
    );
    let moves = desired.policy.move_tag == MoveTag::AfterSuccess
        && facts.images.first().is_some_and(|image| match (&image.tagged, image.built.known()) {
            (Reading::Known(tagged), Some(built)) => tagged.digest != built.digest,
            _ => true,
        });
    Some(Outlook {
        images: images.collect(),
        register: registers.then(|| (family.unwrap_or_default().to_owned(), made_from)),
        create: match next {
            Some(Step::CreateApplication { application }) => {
                vec![format!("CodeDeploy application {application}, then its group")]
            }
            Some(Step::CreateGroup { group, .. }) => vec![format!("CodeDeploy group {group}")],
            _ => Vec::new(),
        },
        strategy: facts.carrier.name(),
        service: desired.service()?.to_string(),
        cluster: desired.cluster.to_string(),
        count: facts.count_to_come(),
        scalable_target: facts.scalable_target(),
        tag: moves.then(|| (desired.environment_tag.to_string(), tagged.cloned(), desired.commit().clone())),
        risks: risks(facts, service),
    })
}

impl Facts<'_> {
    /// Whether the last deployment of what is live ended well, and is not to be made once more.
    fn is_live_for_good(&self, revision: &TaskDefinitionArn) -> bool {
        let Some(current) = &self.current else { return false };
        let ended_well = matches!(current.live_phase, Phase::Succeeded | Phase::Superseded);
        let is_live = current.live_revision == *revision && current.phase.is_over();
        is_live && ended_well && self.failure_of(revision).is_none()
    }

    /// A changed strategy starts no deployment by itself.
    pub(super) fn strategy_finding(&self) -> Option<Finding> {
        let desired = self.input.desired;
        let change = carriers::strategy_change(desired, self.service?, self.input.observed)?;
        Some(Finding {
            severity: Severity::Warning,
            position: desired.declared_at.clone(),
            field: "strategy".to_owned(),
            message: format!("with the next deployment: {change}"),
            hint: Some("a changed strategy starts none by itself".to_owned()),
            excerpt: None,
            targets: vec![desired.target.clone()],
        })
    }
}

fn risks(facts: &Facts<'_>, service: &Service) -> Vec<String> {
    let of_carrier = facts.carrier.risks(service, facts.input.observed).into_iter();
    let all = [
        (facts.count_to_come() == 0, "no task runs: it cannot be proven"),
        (
            has_no_way_back(facts),
            "nothing to go back to: the image that runs has been removed from the registry",
        ),
    ];
    of_carrier
        .chain(all.into_iter().filter(|(applies, _)| *applies).map(|(_, risk)| risk.to_owned()))
        .collect()
}

/// Whether what runs, or what a failure would be undone with, could not be pulled again.
fn has_no_way_back(facts: &Facts<'_>) -> bool {
    let live = || Some(facts.current.as_ref()?.live_revision.clone());
    let good = facts.last_good().or_else(live);
    let tasks = facts.input.observed.tasks.known().into_iter().flatten().filter(|task| task.is_running());
    let mut running =
        tasks.flat_map(|task| &task.containers).filter_map(|container| container.digest.as_ref());
    let is_gone = |digest| facts.images.iter().any(|image| image.known.get(digest) == Some(&Reading::Absent));
    good.is_some_and(|good| facts.image_is_gone(&good)) || running.any(is_gone)
}
