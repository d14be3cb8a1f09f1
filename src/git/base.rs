//! What a change is compared with: a branch, a tag or a commit by its name, and where two histories part.

use git2::{ErrorCode, Oid, Repository};

use super::history::boundary;
use super::{GitError, Source, commit};
use crate::model::{Head, InfraCommit};

/// Digits by which git knows a commit, at least and at most.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=40;

impl Source {
    /// The commit that `name` means in this repository: a branch of it or of `origin`, a tag, `HEAD`, or 7 to 40 digits.
    pub fn resolve(&self, name: &str) -> Result<Head, GitError> {
        self.with(|repository| {
            let found = named(repository, name).and_then(|id| commit(repository, id).ok());
            found.map(|commit| super::head(&commit)).ok_or_else(|| GitError::NoReference {
                name: name.to_owned(),
                hint: hint(repository, "git branch --all and git tag tell which there are").to_owned(),
            })
        })
    }

    /// The newest commit that both come from.
    pub fn merge_base(&self, one: &InfraCommit, other: &InfraCommit) -> Result<Head, GitError> {
        self.with(|repository| {
            let ids = (Oid::from_str(one.as_str())?, Oid::from_str(other.as_str())?);
            match repository.merge_base(ids.0, ids.1) {
                Ok(base) => Ok(super::head(&commit(repository, base)?)),
                Err(error) if error.code() == ErrorCode::NotFound => Err(GitError::NoMergeBase {
                    hint: hint(repository, "they are of two repositories, or a history was rewritten")
                        .to_owned(),
                }),
                Err(error) => Err(error.into()),
            }
        })
    }
}

/// No other way to name a commit than these: some of those that git knows search the whole history.
fn named(repository: &Repository, name: &str) -> Option<Oid> {
    let full = name == "HEAD" || name.starts_with("refs/");
    let places = ["refs/heads/", "refs/remotes/origin/", "refs/tags/", "refs/remotes/"];
    let places = places.into_iter().map(|place| format!("{place}{name}"));
    let mut names = full.then(|| name.to_owned()).into_iter().chain(places);
    let found = names.find_map(|name| repository.find_reference(&name).ok()?.resolve().ok()?.target());
    let is_commit = DIGITS.contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    found.or_else(|| is_commit.then(|| repository.revparse_single(name).ok().map(|found| found.id()))?)
}

fn hint(repository: &Repository, otherwise: &'static str) -> &'static str {
    if boundary(repository).is_empty() {
        return otherwise;
    }
    "this clone is shallow: git fetch --unshallow origin; with actions/checkout `fetch-depth: 0`, at GitLab `GIT_DEPTH: \"0\"`"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::scratch;

    #[test]
    fn a_commit_is_found_by_branch_tag_and_digits_and_by_nothing_that_searches() {
        let folder = tempfile::tempdir().unwrap();
        scratch::init(folder.path()).unwrap();
        let mut commits = Vec::new();
        for text in ["1", "2"] {
            std::fs::write(folder.path().join("a.yaml"), text).unwrap();
            commits.push(scratch::commit_all(folder.path(), "change").unwrap());
        }
        let repository = Repository::open(folder.path()).unwrap();
        let first = repository.find_commit(Oid::from_str(commits[0].as_str()).unwrap()).unwrap();
        for name in ["refs/remotes/origin/main2", "refs/remotes/fork/main", "refs/heads/old"] {
            repository.reference(name, first.id(), false, "test").unwrap();
        }
        let author = git2::Signature::now("a", "a@example.com").unwrap();
        repository.tag("v1", first.as_object(), &author, "annotated", false).unwrap();
        // What other commands of git leave behind is no branch.
        std::fs::write(folder.path().join(".git/ORIG_HEAD"), format!("{}\n", commits[0].as_str())).unwrap();
        let source = Source::open(folder.path(), None, "").unwrap();
        let short = &commits[0].as_str()[..7];
        for name in
            ["main2", "origin/main2", "fork/main", "old", "refs/heads/old", "v1", short, commits[0].as_str()]
        {
            assert_eq!(source.resolve(name).unwrap().commit, commits[0], "{name}");
        }
        assert_eq!(source.resolve("HEAD").unwrap().commit, commits[1]);
        for name in [
            "nothing",
            "HEAD~1",
            "ORIG_HEAD",
            ":/change",
            "HEAD@{0}",
            "",
            "-x",
            "../x",
            &short[..6],
            "0000000",
        ] {
            let error = source.resolve(name).unwrap_err().to_string();
            assert!(error.contains("git branch --all"), "{name}: {error}");
        }
    }
}
