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
    /// The hash over what git declares for one application in one environment, apart from its commits.
    DeclarationHash;
    /// One of several processes that do the same work.
    Replica;
    /// What a lease is about, in the words of its store.
    LeaseName;
}

/// How the names of regions begin in each partition but `aws` (the endpoint rules of the AWS SDKs).
const PARTITIONS: [(&str, &str); 7] = [
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-iso-", "aws-iso"),
    ("us-isob-", "aws-iso-b"),
    ("eu-isoe-", "aws-iso-e"),
    ("us-isof-", "aws-iso-f"),
    ("eusc-", "aws-eusc"),
];

impl Region {
    /// The first part of the ARNs of what is there.
    pub fn partition(&self) -> &'static str {
        let known = PARTITIONS.iter().find(|(start, _)| self.0.starts_with(start));
        known.map_or("aws", |(_, partition)| partition)
    }
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

impl AccountId {
    /// Whether a text is one: twelve digits.
    pub fn is_one(text: &str) -> bool {
        text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
    }
}

/// What an image was built from: a commit of the application's source, or a release that is tagged as such.
///
/// Two texts name the same commit when one is a prefix of the other and both have at least seven digits; a release is its
/// text, never cut and compared as a whole. So equality is [`Commit::matches`], not `==`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Commit(Built);

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Built {
    /// 7 to 40 hexadecimal digits.
    Commit(String),
    Release(String),
}

/// Stands before a release on record that would else be read as a commit, such as `20240115`. No tag of an image has a colon.
const RELEASE: &str = "release:";

impl Commit {
    /// Digits from which a prefix names a commit.
    pub const MIN_DIGITS: usize = 7;

    /// A commit, if it can be one; else a release.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self(if is_hexadecimal(&text) { Built::Commit(text) } else { Built::Release(text) })
    }

    /// A release, whatever its text looks like.
    pub fn release(text: impl Into<String>) -> Self {
        Self(Built::Release(text.into()))
    }

    /// What [`Commit::to_record`] wrote.
    pub fn from_record(text: &str) -> Self {
        text.strip_prefix(RELEASE).map_or_else(|| Self::new(text), Self::release)
    }

    /// The text by which it is remembered.
    pub fn to_record(&self) -> String {
        match &self.0 {
            Built::Release(text) if is_hexadecimal(text) => format!("{RELEASE}{text}"),
            Built::Release(text) | Built::Commit(text) => text.clone(),
        }
    }

    pub fn as_str(&self) -> &str {
        match &self.0 {
            Built::Commit(text) | Built::Release(text) => text,
        }
    }

    /// What people read: the first seven digits of a commit, the whole of a release.
    pub fn short(&self) -> &str {
        match &self.0 {
            Built::Commit(text) => text.get(..Self::MIN_DIGITS).unwrap_or(text),
            Built::Release(text) => text,
        }
    }

    pub fn is_release(&self) -> bool {
        matches!(self.0, Built::Release(_))
    }

    /// Whether no other text names it better: all forty digits of a commit, or a release.
    pub fn is_whole(&self) -> bool {
        self.is_release() || self.as_str().len() == 40
    }

    /// Whether both name the same: the same text, or two commits of which one is a prefix of the other.
    pub fn matches(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Built::Commit(one), Built::Commit(two)) => {
                let (one, two) = (one.to_ascii_lowercase(), two.to_ascii_lowercase());
                one.starts_with(&two) || two.starts_with(&one)
            }
            _ => self.as_str() == other.as_str(),
        }
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn is_hexadecimal(text: &str) -> bool {
    (Commit::MIN_DIGITS..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
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
    fn a_release_is_told_and_compared_as_it_is_written() {
        for text in [
            "v1.10.20",
            "v1.10.2",
            "20240115",
            "release-2024-01-15",
            "0123456789abcdef0123456789abcdef01234567",
        ] {
            let release = Commit::release(text);
            assert_eq!(
                (release.short(), release.to_string().as_str(), release.is_release()),
                (text, text, true)
            );
            assert_eq!(Commit::from_record(&release.to_record()), release);
            assert!(release.matches(&Commit::new(text)) && release.matches(&Commit::release(text)));
            for other in [&text[..7], &format!("{text}1"), &text.to_uppercase()] {
                let same = other == text;
                assert_eq!(release.matches(&Commit::release(other)), same, "{text} and {other}");
                assert_eq!(release.matches(&Commit::new(other)), same, "{text} and {other}");
            }
        }
        let commit = Commit::new("3f2c1abcd");
        assert_eq!((commit.short(), commit.to_record().as_str()), ("3f2c1ab", "3f2c1abcd"));
        assert_eq!(Commit::from_record("3f2c1abcd"), commit);
    }

    #[test]
    fn the_parts_of_a_revision_are_read_from_its_arn() {
        let arn = TaskDefinitionArn::new("arn:aws-cn:ecs:cn-north-1:123456789012:task-definition/mco-api:42");
        assert_eq!((arn.short(), arn.family(), arn.revision()), ("mco-api:42", "mco-api", Some(42)));
    }
}
