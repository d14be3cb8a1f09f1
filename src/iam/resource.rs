//! The resources of a policy: each by its name, or many by a pattern where the names are too many.

use std::collections::{BTreeMap, BTreeSet};

/// An ARN: up to its name, the name, and what follows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Resource {
    /// Such as `arn:aws:ecs:eu-west-2:123456789012:service/`.
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) rest: &'static str,
}

/// What stands for a resource, the narrowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    Exact,
    /// All whose names begin with the same word, in the same cluster or folder: `mco/mco-*`.
    Word,
    /// All of the same cluster or folder: `mco/*`. As before, where there is none.
    Folder,
    /// All of the same kind in the account and region.
    Kind,
}

impl Naming {
    /// `None`: nothing is wider but everything.
    pub(super) fn wider(self) -> Option<Self> {
        match self {
            Self::Exact => Some(Self::Word),
            Self::Word => Some(Self::Folder),
            Self::Folder => Some(Self::Kind),
            Self::Kind => None,
        }
    }
}

impl Resource {
    /// What its name has in common with those that one pattern may stand for; `None`: it stands alone.
    fn shared(&self, naming: Naming) -> Option<&str> {
        let folder = self.name.rfind('/').map(|slash| slash + 1);
        let word = || {
            let start = folder.unwrap_or(0);
            self.name.get(start..)?.find(['-', '_', '.']).map(|found| start + found + 1)
        };
        let end = match naming {
            Naming::Exact => None,
            Naming::Word => word().or(folder),
            Naming::Folder => folder.or_else(word),
            Naming::Kind => Some(0),
        };
        self.name.get(..end?)
    }
}

/// The resources as a policy names them. A pattern stands for two at the least, and for all that it matches.
pub(super) fn named(resources: &BTreeSet<Resource>, naming: Naming) -> BTreeSet<String> {
    let mut sharing: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    for one in resources {
        if let Some(shared) = one.shared(naming) {
            *sharing.entry((&one.kind, one.rest, shared)).or_default() += 1;
        }
    }
    sharing.retain(|_, count| *count > 1);
    let of = |one: &Resource| {
        let mut ends = (0..=one.name.len()).filter_map(|end| one.name.get(..end));
        let shared = ends.find(|start| sharing.contains_key(&(one.kind.as_str(), one.rest, *start)));
        let (name, star) = shared.map_or((one.name.as_str(), ""), |shared| (shared, "*"));
        format!("{}{name}{star}{}", one.kind, one.rest)
    };
    resources.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(naming: Naming, names: &[&str], expected: &[&str]) {
        let of = |name: &&str| Resource { kind: "k/".to_owned(), name: (*name).to_owned(), rest: "/r" };
        let expected: BTreeSet<String> = expected.iter().map(|name| format!("k/{name}/r")).collect();
        assert_eq!(named(&names.iter().map(of).collect(), naming), expected);
    }

    #[test]
    fn a_pattern_stands_for_what_shares_a_word_a_folder_or_a_kind() {
        let names = ["mco/mco-api", "mco/mco-web", "mco/old-web", "other/mco-api"];
        check(Naming::Exact, &names, &names);
        check(Naming::Word, &names, &["mco/mco-*", "mco/old-web", "other/mco-api"]);
        check(Naming::Folder, &names, &["mco/*", "other/mco-api"]);
        check(Naming::Kind, &names, &["*"]);
        check(Naming::Kind, &["mco/api"], &["mco/api"]);
    }

    #[test]
    fn what_has_no_word_shares_its_folder_and_what_has_no_folder_its_word() {
        let names = ["mco/api", "mco/web", "mco/mco-api", "mco-api", "mco-web", "api", "web"];
        check(Naming::Word, &names, &["mco/*", "mco-*", "api", "web"]);
        check(Naming::Folder, &names, &["mco/*", "mco-*", "api", "web"]);
    }
}
