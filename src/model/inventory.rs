//! What runs in an account, for who knows no name there yet: what `import` makes files of.

use super::{
    AccountId, ClusterName, Controller, DeploymentStrategy, Image, Mutability, Reading, Region,
    RepositoryName, ServiceName, Tag, Target, TaskDefinitionArn,
};

/// What was found in some accounts and regions, in the order of their names, and what could not be read there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inventory {
    pub services: Vec<LiveService>,
    pub unread: Vec<Unread>,
}

impl Inventory {
    pub fn append(&mut self, other: Self) {
        self.services.extend(other.services);
        self.unread.extend(other.unread);
    }
}

/// Something that could not be looked at, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// In words for people.
    pub what: String,
    pub why: String,
}

/// A service, and what it ran when nothing was on its way yet.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveService {
    pub account: AccountId,
    pub region: Region,
    pub cluster: ClusterName,
    pub name: ServiceName,
    pub controller: Controller,
    pub strategy: DeploymentStrategy,
    /// Whether a deployment goes on: then `revision` is the one that was proven before it.
    pub is_deploying: bool,
    pub revision: TaskDefinitionArn,
    /// In the order of the task definition.
    pub containers: Vec<LiveContainer>,
    /// Application and deployment group of CodeDeploy; `None` where it has no part in the service, or none was found.
    pub group: Option<DeploymentGroupName>,
    /// As what trueup has deployed it before, by whichever repository.
    pub known_as: Option<Target>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LiveContainer {
    pub name: String,
    /// The image as the task definition names it.
    pub reference: String,
    /// `None`: it is of another registry than ECR.
    pub image: Option<LiveImage>,
}

/// An image of ECR that a container runs.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveImage {
    pub account: AccountId,
    pub region: Region,
    pub repository: RepositoryName,
    /// The tag by which the task definition names it.
    pub named_by: Option<Tag>,
    /// What runs.
    pub found: Reading<Image>,
    /// Which tags may move; Unavailable where the registry only lets itself be pulled from.
    pub mutability: Reading<Mutability>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeploymentGroupName {
    pub application: String,
    pub group: String,
}
