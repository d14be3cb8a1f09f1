//! A repository made on the spot: what the demo commits to.

use std::path::Path;

use git2::{Repository, RepositoryInitOptions, Signature};

use super::GitError;
use crate::model::InfraCommit;

/// Makes a repository with the branch `main` and no commit.
pub fn init(folder: &Path) -> Result<(), GitError> {
    let mut options = RepositoryInitOptions::new();
    options.initial_head("main").external_template(false);
    Repository::init_opts(folder, &options)?;
    Ok(())
}

/// Commits everything in the working tree.
pub fn commit_all(folder: &Path, message: &str) -> Result<InfraCommit, GitError> {
    let repository = Repository::open(folder)?;
    let mut index = repository.index()?;
    index.add_all(["*"], git2::IndexAddOption::DEFAULT, None)?;
    index.write()?;
    let tree = repository.find_tree(index.write_tree()?)?;
    let author = Signature::now("you", "you@example.com")?;
    let parent = repository.head().ok().and_then(|head| head.peel_to_commit().ok());
    let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
    let id = repository.commit(Some("HEAD"), &author, &author, message, &tree, &parents)?;
    Ok(InfraCommit::new(id.to_string()))
}
