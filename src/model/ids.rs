//! Identifiers as types of their own, so that one cannot be passed for another.

use std::fmt;

macro_rules! text_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

text_ids! {
    /// Where: the name of an `Environment` document.
    EnvironmentName;
    /// What is built from one source: the name of an `Application` document.
    ApplicationName;
    /// Twelve digits.
    AccountId;
    /// An AWS region such as `eu-west-2`.
    Region;
    /// The short name of an ECS cluster.
    ClusterName;
    /// The short name of an ECS service.
    ServiceName;
    /// An ECR repository such as `mco/api`.
    RepositoryName;
    /// An ECR image tag.
    Tag;
    /// `sha256:` and 64 hexadecimal digits.
    Digest;
    /// The ARN of one revision of a task definition family.
    TaskDefinitionArn;
    /// A deployment in `Service.deployments[]`: `ecs-svc/<digits>`.
    DeploymentId;
    /// A commit of the infrastructure repository: 40 hexadecimal digits.
    InfraCommit;
    /// The hash over everything a revision declares, with the names of its environment and application.
    ContentHash;
}

impl TaskDefinitionArn {
    /// `family:revision`, the part that people read; the whole text if it is not an ARN.
    pub fn short(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, short)| short)
    }

    /// The family, without the revision number.
    pub fn family(&self) -> &str {
        self.short().rsplit_once(':').map_or(self.short(), |(family, _)| family)
    }

    /// Whether this text names the revision: by its ARN, or by family and number.
    pub fn names(&self, revision: &Self) -> bool {
        self == revision || (!self.0.contains('/') && self.short() == revision.short())
    }

    /// The number after the last colon; `None` when the text has none.
    pub fn revision(&self) -> Option<u64> {
        self.short().rsplit_once(':').and_then(|(_, number)| number.parse().ok())
    }
}

impl Digest {
    /// The first twelve hexadecimal digits, enough for people to tell digests apart.
    pub fn short(&self) -> &str {
        let hex = self.0.strip_prefix("sha256:").unwrap_or(&self.0);
        hex.get(..12).unwrap_or(hex)
    }
}

/// One application in one environment: the unit that is planned, held and reported.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    pub environment: EnvironmentName,
    pub application: ApplicationName,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.environment, self.application)
    }
}

/// A commit of an application: 7 to 40 hexadecimal digits, or whatever `commitTag` allows.
///
/// Two commits are the same when one is a prefix of the other and both have at least seven digits, so equality is
/// [`Commit::matches`], not `==` on the text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Commit(String);

impl Commit {
    /// Digits from which a prefix names a commit.
    pub const MIN_DIGITS: usize = 7;

    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first seven characters: what people read.
    pub fn short(&self) -> &str {
        self.0.get(..Self::MIN_DIGITS).unwrap_or(&self.0)
    }

    pub fn is_hexadecimal(&self) -> bool {
        (Self::MIN_DIGITS..=40).contains(&self.0.len()) && self.0.bytes().all(|byte| byte.is_ascii_hexdigit())
    }

    /// Whether both name the same commit: equal text, or one hexadecimal text is a prefix of the other.
    pub fn matches(&self, other: &Self) -> bool {
        let (one, two) = (self.0.to_ascii_lowercase(), other.0.to_ascii_lowercase());
        let prefix = one.starts_with(&two) || two.starts_with(&one);
        self.0 == other.0 || (self.is_hexadecimal() && other.is_hexadecimal() && prefix)
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_compared_by_prefix_from_seven_digits() {
        for (one, two, same) in [
            ("3f2c1ab", "3f2c1ab", true),
            ("3f2c1ab", "3f2c1abcdef0123456789abcdef0123456789abc", true),
            ("3F2C1AB", "3f2c1abc", true),
            ("3f2c1ab", "3f2c1ac", false),
            ("3f2c1", "3f2c1ab", false),
            ("v1.2", "v1.2.3", false),
            ("v1.2", "v1.2", true),
        ] {
            assert_eq!(Commit::new(one).matches(&Commit::new(two)), same, "{one} and {two}");
        }
    }

    #[test]
    fn the_parts_of_a_revision_are_read_from_its_arn() {
        let arn = TaskDefinitionArn::new("arn:aws-cn:ecs:cn-north-1:123456789012:task-definition/mco-api:42");
        assert_eq!((arn.short(), arn.family(), arn.revision()), ("mco-api:42", "mco-api", Some(42)));
    }
}
