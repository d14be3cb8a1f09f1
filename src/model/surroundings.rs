//! What stands around a target in its account, as `verify` asks for it. Nothing is decided by it, and nothing of it is a secret:
//! of secrets only whether they are there.

use std::collections::{BTreeMap, BTreeSet};

use super::{AccountId, AlarmState, Digest, Millis, Reading, Region, RepositoryName, Tag, TargetGroup};

/// What is asked, each thing once, however many targets need it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Questions {
    /// ARNs of roles.
    pub roles: BTreeSet<String>,
    pub permissions: BTreeSet<Permission>,
    /// Secrets of AWS Secrets Manager, by ARN or name.
    pub secrets: BTreeSet<Placed>,
    /// Parameters of AWS Systems Manager, by name.
    pub parameters: BTreeSet<Placed>,
    pub log_groups: BTreeSet<Placed>,
    /// Whose lifecycle policies are asked for.
    pub repositories: BTreeSet<Shelf>,
    /// Names of alarms.
    pub alarms: BTreeSet<String>,
    /// Functions by their ARNs, without a version or an alias.
    pub functions: BTreeSet<String>,
    pub subnets: BTreeSet<String>,
    pub security_groups: BTreeSet<String>,
    /// ARNs of target groups.
    pub target_groups: BTreeSet<String>,
}

impl Questions {
    pub fn extend(&mut self, other: Self) {
        self.roles.extend(other.roles);
        self.permissions.extend(other.permissions);
        self.secrets.extend(other.secrets);
        self.parameters.extend(other.parameters);
        self.log_groups.extend(other.log_groups);
        self.repositories.extend(other.repositories);
        self.alarms.extend(other.alarms);
        self.functions.extend(other.functions);
        self.subnets.extend(other.subnets);
        self.security_groups.extend(other.security_groups);
        self.target_groups.extend(other.target_groups);
    }
}

/// A name in a region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Placed {
    /// `None`: the region of the target.
    pub region: Option<Region>,
    pub name: String,
}

/// A repository of a registry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shelf {
    /// `None`: the account of the target.
    pub account: Option<AccountId>,
    /// `None`: the region of the target.
    pub region: Option<Region>,
    pub name: RepositoryName,
}

/// Something that somebody has to be allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    pub who: Who,
    pub actions: Vec<&'static str>,
    /// An ARN, or `*`.
    pub resource: String,
    /// The service that a role is passed to: `iam:PassedToService`.
    pub passed_to: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Whose the credentials are.
    Caller,
    /// A role, by its ARN.
    Role(String),
}

/// What was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    pub roles: BTreeMap<String, Reading<Role>>,
    pub permissions: BTreeMap<Permission, Reading<Verdict>>,
    pub secrets: BTreeMap<Placed, Reading<()>>,
    pub parameters: BTreeMap<Placed, Reading<()>>,
    pub log_groups: BTreeMap<Placed, Reading<()>>,
    pub lifecycles: BTreeMap<Shelf, Reading<Lifecycle>>,
    pub alarms: BTreeMap<String, Reading<AlarmState>>,
    pub functions: BTreeMap<String, Reading<Function>>,
    pub subnets: BTreeMap<String, Reading<Subnet>>,
    /// The VPC of each.
    pub security_groups: BTreeMap<String, Reading<String>>,
    pub target_groups: BTreeMap<String, Reading<TargetGroup>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    pub vpc: String,
    /// Addresses of version 4 that nobody has.
    pub free: u64,
}

/// A function of AWS Lambda.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// How often it may run at the same time; `None`: it shares what its account has.
    pub reserved: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// Services that may assume it, such as `ecs-tasks.amazonaws.com`.
    pub trusts: BTreeSet<String>,
}

/// What the policies of an identity say; service control policies, permission boundaries of others and policies of resources are
/// not seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    /// The actions that are not.
    Denied(Vec<String>),
}

/// What expires in a repository, and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifecycle {
    /// The policy as it was put, in JSON.
    pub policy: String,
    pub images: Vec<StoredImage>,
    /// Whether these are all images of the repository.
    pub is_complete: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredImage {
    pub digest: Digest,
    pub tags: BTreeSet<Tag>,
    pub pushed_at: Millis,
}
