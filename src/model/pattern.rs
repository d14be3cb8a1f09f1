//! The operator's patterns of names: `*` stands for any number of characters, `?` for one.

use std::fmt;

use super::AccountId;

/// A name, or many by their common parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn matches(&self, name: &str) -> bool {
        matches(self.0.as_bytes(), name.as_bytes())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// At most the product of both lengths in steps: what the last star stands for grows, and nothing before it is tried again.
/// Names of AWS are ASCII, so that a byte is a character.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    // Behind the last star, and how much of the name it left to the rest.
    let mut star = None;
    while let Some(byte) = name.get(read) {
        match pattern.get(at) {
            Some(b'*') => {
                at += 1;
                star = Some((at, read));
            }
            Some(wanted) if wanted == byte || *wanted == b'?' => (at, read) = (at + 1, read + 1),
            _ => match star {
                Some((behind, left)) => {
                    (at, read) = (behind, left + 1);
                    star = Some((behind, left + 1));
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

/// Which images may be taken. A pattern is of repositories in the private registries of ECR that are in reach, or of those in any
/// other registry where it names that before them: `public.ecr.aws/docker/*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedRepositories {
    /// `None`: all, whosesoever.
    pub names: Option<Vec<Pattern>>,
    /// Whose private registries. `None`: those of the environment's own account and of its registry.
    pub accounts: Option<Vec<AccountId>>,
}

/// Where an image is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageRepository<'n> {
    /// In the declared registry.
    Declared { name: &'n str },
    /// In a private registry of ECR, which states whose it is.
    Private { host: &'n str, account: &'n str, name: &'n str },
    /// In any other, at this address; images of Docker's own are in the folder `library/`.
    Elsewhere { host: &'n str, folder: &'static str, name: &'n str },
}

impl fmt::Display for ImageRepository<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Declared { name } => f.write_str(name),
            Self::Private { account, name, .. } => write!(f, "{name} of account {account}"),
            Self::Elsewhere { host, folder, name } => write!(f, "{host}/{folder}{name}"),
        }
    }
}

impl AllowedRepositories {
    /// `own`: the account of the environment, where it is known; `registry`: that of its registry, where it is declared.
    pub fn allows(
        &self,
        repository: &ImageRepository<'_>,
        own: Option<&AccountId>,
        registry: Option<&AccountId>,
    ) -> bool {
        let Some(patterns) = &self.names else { return true };
        let named = |name: &str| patterns.iter().any(|pattern| pattern.matches(name));
        let at = |address: &str| {
            patterns.iter().any(|pattern| names_registry(pattern) && pattern.matches(address))
        };
        match repository {
            ImageRepository::Declared { name } => named(name),
            ImageRepository::Private { host, account, name } => {
                let is_of = |known: &AccountId| known.as_str() == *account;
                let is_in_reach = match &self.accounts {
                    Some(accounts) => accounts.iter().any(is_of),
                    None => own.is_none_or(is_of) || registry.is_some_and(is_of),
                };
                is_in_reach && (named(name) || at(&format!("{host}/{name}")))
            }
            ImageRepository::Elsewhere { .. } => at(&repository.to_string()),
        }
    }
}

/// Whether a registry stands before the repositories. It has a dot or a port, as in the address of an image.
fn names_registry(pattern: &Pattern) -> bool {
    pattern.as_str().split_once('/').is_some_and(|(host, _)| host.contains(['.', ':']))
}

/// Which roles may be given to tasks: a pattern of their names, with the path before them, in the account of the
/// environment; or of their ARNs, whose partition is not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolePattern {
    written: String,
    account: Option<Pattern>,
    name: Pattern,
}

impl RolePattern {
    pub fn new(text: impl Into<String>) -> Self {
        let written = text.into();
        let (account, name) = account_and_name(&written);
        let (account, name) = (account.map(Pattern::new), Pattern::new(name));
        Self { written, account, name }
    }

    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Whether it bounds nothing.
    pub fn is_any(&self) -> bool {
        let name = self.name.as_str();
        !name.is_empty() && name.bytes().all(|byte| byte == b'*')
    }

    /// `role`: an ARN, or a name alone, which is a role of `account`.
    pub fn matches(&self, role: &str, account: Option<&AccountId>) -> bool {
        let (stated, name) = account_and_name(role);
        let own = account.map(AccountId::as_str);
        let is_in_reach = match (&self.account, stated.or(own)) {
            (Some(pattern), Some(account)) => pattern.matches(account),
            (Some(_), None) => false,
            (None, of_role) => own.is_none() || of_role == own,
        };
        is_in_reach && self.name.matches(name)
    }
}

/// The account that a role's ARN names, and what follows `role/`; of a text that is no ARN the text itself.
pub fn account_and_name(text: &str) -> (Option<&str>, &str) {
    match text.strip_prefix("arn:").and_then(|arn| arn.split_once(":role/")) {
        Some((start, name)) => (start.rsplit(':').next(), name),
        None => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_and_a_question_mark_for_one() {
        for (pattern, name, expected) in [
            ("api", "api", true),
            ("api", "api2", false),
            ("api", "ap", false),
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "mco/api", true),
            ("mco/*", "mco/api", true),
            ("mco/*", "mco", false),
            ("*-task", "api-task-task", true),
            ("*-task", "api-tasks", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*?", "", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(name), expected, "{pattern} {name}");
        }
        let stars = "*a".repeat(200) + "b";
        assert!(!Pattern::new(stars).matches(&"a".repeat(20_000)));
    }

    #[test]
    fn a_pattern_of_repositories_is_of_ecr_unless_it_names_a_registry() {
        let host = "111111111111.dkr.ecr.eu-west-2.amazonaws.com";
        let private = |account, name| ImageRepository::Private { host, account, name };
        let elsewhere = |host, name| ImageRepository::Elsewhere { host, folder: "", name };
        let (mine, theirs) = (private("111111111111", "mco/api"), private("222222222222", "mco/api"));
        let declared = ImageRepository::Declared { name: "mco/api" };
        let public = elsewhere("public.ecr.aws", "mco/api");
        let ported = elsewhere("registry.example.com:5000", "mco/api");
        for (pattern, allowed) in [
            ("*", [true, true, false, false, false]),
            ("mco/*", [true, true, false, false, false]),
            ("*/*", [true, true, false, false, false]),
            ("other", [false; 5]),
            ("public.ecr.aws/mco/*", [false, false, false, true, false]),
            ("public.ecr.aws/other/*", [false; 5]),
            ("registry.example.com:*/*", [false, false, false, false, true]),
            ("*.dkr.ecr.*/mco/api", [false, true, false, false, false]),
            ("*.*/*", [false, true, false, true, true]),
        ] {
            let bounds = AllowedRepositories { names: Some(vec![Pattern::new(pattern)]), accounts: None };
            let own = AccountId::new("111111111111");
            let found = [declared, mine, theirs, public, ported]
                .map(|repository| bounds.allows(&repository, Some(&own), None));
            assert_eq!(found, allowed, "{pattern}");
        }
        assert!(AllowedRepositories::default().allows(&public, None, None));
    }

    #[test]
    fn a_pattern_of_roles_without_a_bound_is_known() {
        for (pattern, expected) in [
            ("*", true),
            ("arn:aws:iam::*:role/**", true),
            ("arn:aws:iam::111111111111:role/", false),
            ("ecs*", false),
        ] {
            assert_eq!(RolePattern::new(pattern).is_any(), expected, "{pattern}");
        }
    }

    #[test]
    fn a_role_is_matched_by_its_name_in_the_account_of_the_environment_or_by_its_arn() {
        let (own, other) = ("arn:aws:iam::111111111111:role/", "arn:aws:iam::222222222222:role/");
        let account = AccountId::new("111111111111");
        for (pattern, role, expected) in [
            ("ecs*", "ecsTaskExecutionRole".to_owned(), true),
            ("ecs*", format!("{own}ecsTaskExecutionRole"), true),
            ("ecs*", format!("{other}ecsTaskExecutionRole"), false),
            ("ecs*", format!("{own}teams/ecs"), false),
            ("teams/*", format!("{own}teams/api"), true),
            ("arn:aws:iam::111111111111:role/api", "api".to_owned(), true),
            ("arn:aws:iam::111111111111:role/api", format!("{own}api"), true),
            ("arn:aws:iam::222222222222:role/api", "api".to_owned(), false),
            ("arn:aws:iam::*:role/api", format!("{other}api"), true),
            ("*", format!("{other}admin"), false),
        ] {
            assert_eq!(
                RolePattern::new(pattern).matches(&role, Some(&account)),
                expected,
                "{pattern} {role}"
            );
        }
        let unknown = |pattern: &str, role: &str| RolePattern::new(pattern).matches(role, None);
        assert!(unknown("api", "api") && unknown("api", &format!("{own}api")));
        assert!(!unknown("arn:aws:iam::111111111111:role/api", "api"));
    }
}
