//! One write, as a value, and one that was made or refused before.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::documents::memory::Stamp;
use crate::model::{
    ClusterName, Commit, DeploymentId, Digest, LastDeployment, Millis, NewDeployment, Outcome, OutcomeKind,
    Phase, RepositoryName, RunAnswer, ScheduleName, ServiceName, Shift, Tag, TaskDefinitionArn, Waiting,
    Word,
};

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Register {
        input: Value,
        tags: BTreeMap<String, String>,
        commit: Commit,
    },
    Stamp {
        revision: TaskDefinitionArn,
        stamp: Stamp,
    },
    Deploy {
        cluster: ClusterName,
        service: ServiceName,
        revision: TaskDefinitionArn,
        by: By,
        why: Why,
    },
    /// Members of `UpdateService` alone, where that starts no deployment.
    UpdateSettings {
        cluster: ClusterName,
        service: ServiceName,
        settings: Value,
    },
    /// Has AWS stop a deployment of ours and bring back what stands by.
    Undo {
        deployment: DeploymentName,
    },
    /// A person's word to a deployment that waits for it.
    Answer {
        deployment: DeploymentName,
        pause: String,
        word: Word,
    },
    /// Ends the time in which the old tasks of a deployment of CodeDeploy stand by, by its id.
    EndStandby {
        deployment: String,
    },
    CreateApplication {
        application: String,
    },
    CreateGroup {
        application: String,
        group: String,
        input: Value,
    },
    MoveTag {
        repository: RepositoryName,
        digest: Digest,
        tag: Tag,
    },
    /// One `RunTask`, sent as written.
    Run {
        revision: TaskDefinitionArn,
        input: Value,
    },
    /// Has targets of a rule or a schedule run the revision: one `PutTargets` or `UpdateSchedule`, sent as written.
    Retarget {
        schedule: ScheduleName,
        revision: TaskDefinitionArn,
        input: Value,
    },
    /// Stops a task of ours that goes on for too long.
    StopRun {
        cluster: ClusterName,
        task: String,
        reason: String,
    },
}

/// An attempt of a task of which nobody can find out any more how it ended: a person may say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsettled {
    pub revision: TaskDefinitionArn,
    pub attempt: u64,
    /// `None` where nobody knows whether there was one.
    pub task: Option<String>,
}

impl Unsettled {
    /// Stands for the task where nobody knows of any.
    const NO_TASK: &str = "settled";

    /// The write by which a person says how it ended, and how that was found out.
    pub fn settle(&self, result: OutcomeKind, reason: &str) -> Step {
        let deployment = self.task.clone().unwrap_or_else(|| Self::NO_TASK.to_owned());
        let (outcome, why) = (Outcome { result, deployment }, Some(reason.to_owned()));
        let stamp = Stamp::Ran { outcome, attempt: self.attempt, why };
        Step::Stamp { revision: self.revision.clone(), stamp }
    }
}

impl Step {
    /// Whether both would leave the same behind; two registrations of one content differ in their stamps only, and two stamps in
    /// their time.
    pub fn repeats(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Register { input: one, .. }, Self::Register { input: two, .. }) => one == two,
            (Self::Stamp { revision: one, stamp: first }, Self::Stamp { revision: two, stamp: second }) => {
                one == two && first.repeats(second)
            }
            _ => self == other,
        }
    }

    /// How a deployment ended, where it puts that on record.
    pub fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Stamp { stamp: Stamp::Outcome { outcome, .. } | Stamp::Ran { outcome, .. }, .. } => {
                Some(outcome)
            }
            _ => None,
        }
    }

    /// What it does, in a few words.
    fn purpose(&self) -> &'static str {
        match self {
            Self::Register { .. } => "register the task definition",
            Self::Stamp { .. } => "tag the task definition revision",
            Self::Deploy { .. } => "deploy it",
            Self::UpdateSettings { .. } => "update the service",
            Self::Undo { .. } => "stop the deployment",
            Self::Answer { .. } | Self::EndStandby { .. } => "continue the deployment",
            Self::CreateApplication { .. } => "create the CodeDeploy application",
            Self::CreateGroup { .. } => "create the CodeDeploy group",
            Self::MoveTag { .. } => "move the environment tag",
            Self::Run { .. } => "run the task",
            Self::Retarget { .. } => "have the schedule run it",
            Self::StopRun { .. } => "stop the task",
        }
    }
}

/// What carries a deployment out.
#[derive(Clone, Debug, PartialEq)]
pub enum By {
    /// ECS itself; members of `UpdateService` that are owned are sent in the same call.
    UpdateService {
        settings: Option<Value>,
    },
    CodeDeploy(Box<NewDeployment>),
}

/// Why a deployment is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    GitChanged,
    /// A start that was interrupted goes on.
    Interrupted,
    FirstContact,
    Drift,
    Rollback,
    /// A person asked for another try of what is live but failed: a new deployment of the same revision.
    Retry,
}

/// A deployment, as those calls of AWS name it that act on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeploymentName {
    /// The ARN of a service deployment.
    Ecs(String),
    /// The id of a deployment of CodeDeploy.
    CodeDeploy(String),
}

/// As it is remembered and shown.
impl fmt::Display for DeploymentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Ecs(name) | Self::CodeDeploy(name)) = self;
        f.write_str(name.rsplit('/').next().unwrap_or(name))
    }
}

/// What a person may say to the deployment that goes on, and the writes that it comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Approval {
    /// What the deployment brings.
    pub commit: Option<Commit>,
    pub shift: Shift,
    /// One for each pause; empty where nobody is waited for.
    pub approve: Vec<Step>,
    /// To one of the pauses; where there is none, a deployment of ours is stopped that can be undone, once that is on record.
    pub reject: Vec<Step>,
}

/// Why a word is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAnswered {
    /// Nothing can be said to it.
    NothingToSay,
    /// It brings something else than the person means.
    Another(Option<Commit>),
}

impl Approval {
    /// The writes that the word comes to, where the deployment brings the commit that is meant, if one is.
    pub fn answer(&self, word: Word, meant: Option<&Commit>) -> Result<&[Step], NotAnswered> {
        let steps = match word {
            Word::Go => &self.approve,
            Word::Back => &self.reject,
        };
        if steps.is_empty() {
            return Err(NotAnswered::NothingToSay);
        }
        let brings = |meant: &Commit| self.commit.as_ref().is_some_and(|commit| commit.matches(meant));
        if meant.is_none_or(brings) { Ok(steps) } else { Err(NotAnswered::Another(self.commit.clone())) }
    }
}

impl Step {
    /// Whether a pause that this answers was answered so by somebody else meanwhile: it waits no more, and the deployment goes that
    /// way.
    pub fn is_answered(&self, last: &LastDeployment) -> bool {
        let Self::Answer { deployment, pause, word } = self else { return false };
        let is_same = last.id.as_ref() == Some(&deployment.to_string());
        let mut waiting = last.shift.iter().flat_map(|shift| &shift.pauses);
        let goes = match word {
            Word::Go => matches!(last.phase, Phase::InProgress | Phase::Succeeded),
            Word::Back => matches!(last.phase, Phase::RollingBack | Phase::RolledBack),
        };
        is_same && goes && waiting.all(|one| one.id != *pause)
    }
}

/// What a write was answered with, where that says more than that it was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Done,
    Registered(TaskDefinitionArn),
    /// The deployment that was started.
    Deploying(DeploymentId),
    Run(RunAnswer),
}

/// A write that this process made, or may have made.
#[derive(Clone, Debug, PartialEq)]
pub struct Recent {
    pub step: Step,
    pub at: Millis,
    /// What AWS answered; `None`: whether it was made is not known.
    pub reply: Option<Reply>,
    /// How often the same write was made before without its effect being seen.
    pub repeated: u32,
}

/// A write of this process that AWS refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    pub step: Step,
    pub why: String,
    /// In a row.
    pub times: u32,
    /// When it may be tried again.
    pub until: Millis,
}

impl Refusal {
    /// Whether the write comes too early again.
    pub(super) fn keeps_from(&self, step: &Step, now: Millis) -> bool {
        now < self.until && self.step.repeats(step)
    }

    pub(super) fn waiting(&self) -> Waiting {
        let (what, why) = (self.step.purpose(), self.why.clone());
        Waiting::Refused { what, why, times: self.times, until: self.until }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{OnTimeout, Pause, Stage, StartedBy};

    #[test]
    fn a_word_is_taken_for_the_commit_that_is_meant_alone() {
        let deployment = DeploymentName::Ecs("d2".to_owned());
        let go = vec![Step::Answer { deployment: deployment.clone(), pause: "p".to_owned(), word: Word::Go }];
        let back = vec![Step::Undo { deployment }];
        let (commit, shift) = (Some(Commit::new("bbbbbbb")), Shift::at(Stage::Shifting));
        let approval = Approval { commit: commit.clone(), shift, approve: go.clone(), reject: back.clone() };
        let another = Err(NotAnswered::Another(commit));
        for (word, meant, expected) in [
            (Word::Go, None, Ok(go.as_slice())),
            (Word::Go, Some("bbbbbbb"), Ok(go.as_slice())),
            (Word::Back, Some("bbbbbbbb1"), Ok(back.as_slice())),
            (Word::Go, Some("aaaaaaa"), another.clone()),
            (Word::Back, Some("aaaaaaa"), another),
        ] {
            assert_eq!(
                approval.answer(word, meant.map(Commit::new).as_ref()),
                expected,
                "{word:?} {meant:?}"
            );
        }
        let unknown = Approval { commit: None, ..approval.clone() };
        let meant = Commit::new("bbbbbbb");
        assert_eq!(unknown.answer(Word::Go, Some(&meant)), Err(NotAnswered::Another(None)));
        let brake = Approval { approve: Vec::new(), ..approval };
        assert_eq!(brake.answer(Word::Go, None), Err(NotAnswered::NothingToSay));
    }

    #[test]
    fn a_pause_was_answered_by_somebody_else_where_it_waits_no_more_and_the_deployment_goes_that_way() {
        let answer = |word| Step::Answer {
            deployment: DeploymentName::Ecs(
                "arn:aws:ecs:eu-west-2:1:service-deployment/mco/api/one".to_owned(),
            ),
            pause: "first".to_owned(),
            word,
        };
        let last = |id: &str, phase, pauses: &[&str]| {
            let pauses = pauses.iter().map(|id| Pause {
                id: (*id).to_owned(),
                until: None,
                then: OnTimeout::Rollback,
            });
            LastDeployment {
                id: Some(id.to_owned()),
                commit: None,
                phase,
                shift: Some(Shift { pauses: pauses.collect(), ..Shift::at(Stage::Installing) }),
                started_by: StartedBy::Trueup,
                infra: None,
                started_at: 0,
                ended_at: None,
                replaces: None,
                causes: Vec::new(),
            }
        };
        for (word, id, phase, pauses, expected) in [
            (Word::Go, "one", Phase::InProgress, &[][..], true),
            (Word::Go, "one", Phase::InProgress, &["second"], true),
            (Word::Go, "one", Phase::Succeeded, &[], true),
            (Word::Go, "one", Phase::InProgress, &["first"], false),
            (Word::Go, "one", Phase::RollingBack, &[], false),
            (Word::Go, "two", Phase::InProgress, &[], false),
            (Word::Back, "one", Phase::RollingBack, &[], true),
            (Word::Back, "one", Phase::InProgress, &[], false),
        ] {
            let found = answer(word).is_answered(&last(id, phase, pauses));
            assert_eq!(found, expected, "{word:?} {id} {phase:?} {pauses:?}");
        }
    }
}
