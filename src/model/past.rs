//! Deployments of the past, for people: nothing is decided by them.

use super::{Cause, Commit, Head, InfraCommit, Millis, Phase, StartedBy, TaskDefinitionArn};

/// One deployment, or a change of what is declared of which no deployment is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastDeployment {
    pub source: PastSource,
    /// When it began; of what is only declared, when that was committed, by the clock of whoever did.
    pub at: Millis,
    pub ended_at: Option<Millis>,
    pub deployment: Option<String>,
    pub revision: Option<TaskDefinitionArn>,
    pub commit: Option<Commit>,
    /// Whether ECR names the commit by the image that was deployed; else the tag on the revision does, or git.
    pub is_commit_of_image: bool,
    /// Which commit of the infrastructure repository trueup deployed it for, by the stamp on its revision.
    pub infra_commit: Option<InfraCommit>,
    /// The commit of the infrastructure repository that declared it, as far as git tells.
    pub declared_in: Option<Head>,
    pub strategy: Option<String>,
    /// `None` where no deployment is known.
    pub phase: Option<Phase>,
    pub started_by: Option<StartedBy>,
    pub causes: Vec<Cause>,
}

/// Who tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PastSource {
    /// AWS's own list of deployments.
    Ecs,
    CodeDeploy,
    /// Tags that trueup left on a revision, where AWS no longer lists the deployment.
    Stamp,
    Git,
}

/// Everything that is known of the past of one target, and where that ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// The newest first.
    pub deployments: Vec<PastDeployment>,
    /// What could not be read.
    pub unread: Vec<String>,
}

impl Past {
    /// Adds what git has declared: who declared each deployment, and what was declared and never deployed as far as anybody
    /// knows. `declared` is each change of the commit, the newest first.
    #[must_use]
    pub fn with_declarations(mut self, declared: &[(Head, Commit)]) -> Self {
        /// The clocks of those who commit are not AWS's.
        const SKEW: Millis = 10 * 60 * 1000;
        let time = |head: &Head| head.time.saturating_mul(1000);
        for one in &mut self.deployments {
            let is_it = |(head, commit): &&(Head, Commit)| {
                one.commit.as_ref().is_some_and(|deployed| deployed.matches(commit))
                    && time(head) <= one.at + SKEW
            };
            let stamped = declared.iter().find(|(head, _)| one.infra_commit.as_ref() == Some(&head.commit));
            one.declared_in = stamped.or_else(|| declared.iter().find(is_it)).map(|(head, _)| head.clone());
        }
        let is_known = |head: &Head| {
            let commits = self.deployments.iter().filter_map(|one| one.declared_in.as_ref());
            commits.into_iter().any(|known| known.commit == head.commit)
        };
        let alone =
            declared.iter().filter(|(head, _)| !is_known(head)).map(|(head, commit)| PastDeployment {
                source: PastSource::Git,
                at: time(head),
                ended_at: None,
                deployment: None,
                revision: None,
                commit: Some(commit.clone()),
                is_commit_of_image: false,
                infra_commit: None,
                declared_in: Some(head.clone()),
                strategy: None,
                phase: None,
                started_by: None,
                causes: Vec::new(),
            });
        let alone: Vec<PastDeployment> = alone.collect();
        self.deployments.extend(alone);
        self.deployments.sort_by_key(|one| std::cmp::Reverse(one.at));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(number: i64) -> Head {
        let commit = InfraCommit::new(format!("{number:040x}"));
        Head { commit, summary: String::new(), author: "Ada".to_owned(), time: number }
    }

    fn deployment(at: i64, commit: &str, infra_commit: Option<i64>) -> PastDeployment {
        PastDeployment {
            source: PastSource::Ecs,
            at: at * 1000,
            ended_at: None,
            deployment: Some(format!("d{at}")),
            revision: None,
            commit: Some(Commit::new(commit)),
            is_commit_of_image: true,
            infra_commit: infra_commit.map(|number| head(number).commit),
            declared_in: None,
            strategy: None,
            phase: Some(Phase::Succeeded),
            started_by: None,
            causes: Vec::new(),
        }
    }

    #[test]
    fn a_deployment_is_told_with_who_declared_it_and_what_was_never_deployed_stands_alone() {
        let declared = [
            (head(50_000), Commit::new("aaaaaaa")),
            (head(40_000), Commit::new("ccccccc")),
            (head(30_000), Commit::new("bbbbbbb")),
            (head(10_000), Commit::new("aaaaaaa")),
        ];
        let deployments = vec![
            deployment(50_010, "aaaaaaa", None),
            deployment(30_010, "bbbbbbb", Some(30_000)),
            deployment(10_010, "aaaaaaa", None),
        ];
        let past = Past { deployments, unread: Vec::new() }.with_declarations(&declared);
        let told: Vec<_> = past
            .deployments
            .iter()
            .map(|one| (one.at / 1000, one.source, one.declared_in.as_ref().map(|head| head.time)))
            .collect();
        let ecs = PastSource::Ecs;
        let expected = [
            (50_010, ecs, Some(50_000)),
            (40_000, PastSource::Git, Some(40_000)),
            (30_010, ecs, Some(30_000)),
            (10_010, ecs, Some(10_000)),
        ];
        assert_eq!(told, expected);
    }
}
