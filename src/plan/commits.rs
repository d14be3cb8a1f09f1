//! Which commit an image is. ECR's tags say so; the tag of a revision only confirms it, and only where a deployment
//! here brought that revision: anybody who may tag or register task definitions can write any commit there.

use super::facts::Facts;
use crate::documents::{containers, memory};
use crate::model::{
    Commit, CommitSource, Desired, DesiredImage, Digest, Image, Memory, MovedTag, ObservedImage, Reading,
    Service, ServiceDeployment, Tag, TagMatch, Tags, TaskDefinitionArn, Waiting,
};

/// Tags that are named where a commit may be several images: enough to see what is meant.
const MOST_CANDIDATES: usize = 5;

/// The revisions that a deployment here brought, the last one first, as far as AWS itself lists them. What a revision
/// says of its own past is no evidence.
pub fn deployed_here<'a>(
    service: Option<&'a Service>,
    history: &'a [ServiceDeployment],
) -> impl Iterator<Item = &'a TaskDefinitionArn> {
    let live = service.into_iter().flat_map(|service| &service.deployments);
    let live = live.map(|deployment| &deployment.task_definition);
    let listed = history.iter().flat_map(|deployment| deployment.target.iter().chain(&deployment.sources));
    live.chain(listed)
}

/// The last deployment here for a declared commit.
pub(super) struct Deployed<'a> {
    pub revision: &'a TaskDefinitionArn,
    pub digest: Digest,
}

impl<'a> Facts<'a> {
    /// What was last deployed here for the commit, by the tag of a revision that a deployment here brought.
    pub(super) fn deployed_for(
        &self,
        wanted: &DesiredImage,
        observed: &ObservedImage,
    ) -> Option<Deployed<'a>> {
        let uri = &observed.repository.known()?.uri;
        deployed_here(self.service, self.history().as_slice()).find_map(|deployed| {
            let (arn, memory) = self.ours.iter().find(|(arn, _)| deployed.names(arn))?;
            if !memory.commit_of(&wanted.name).matches(&wanted.commit) {
                return None;
            }
            let digest = self.digest_of_image(arn, wanted, uri)?;
            Some(Deployed { revision: arn, digest })
        })
    }

    /// A commit tag that is on another image by now than the one that ran here for its commit, where a task is declared.
    pub(super) fn commit_tag_moved_since_it_ran(&self) -> Option<Waiting> {
        let mut images = self.input.desired.images.iter().zip(self.images);
        images.find_map(|(wanted, observed)| self.moved_since_it_ran(wanted, observed))
    }

    fn moved_since_it_ran(&self, wanted: &DesiredImage, observed: &ObservedImage) -> Option<Waiting> {
        let (repository, built) = (observed.repository.known()?, observed.built.known()?);
        let has_run = |memory: &Memory| memory.run.is_some() || memory.outcome.is_some();
        let of_commit =
            |memory: &Memory| memory.commit_of(&wanted.name).matches(&wanted.commit) && has_run(memory);
        let ran = self.ours.iter().filter(|(_, memory)| of_commit(memory));
        let mut digests = ran.filter_map(|(arn, memory)| {
            Some((*arn, memory, self.digest_of_image(arn, wanted, &repository.uri)?))
        });
        if digests.clone().any(|(_, _, digest)| digest == built.digest) {
            return None;
        }
        let (revision, memory, deployed) = digests.next()?;
        Some(Waiting::CommitTagMoved(Box::new(MovedTag {
            repository: wanted.repository.to_string(),
            tag: observed.commit_tag(wanted).to_string(),
            revision: revision.clone(),
            key: memory::commit_key(memory, &wanted.name),
            deployed,
            now: Some(built.digest.clone()),
        })))
    }

    /// The digest that a revision is pinned to, or that its tag stood for when it was deployed.
    fn digest_of_image(&self, arn: &TaskDefinitionArn, wanted: &DesiredImage, uri: &str) -> Option<Digest> {
        let revision = self.revision(arn)?;
        let names = containers::of_image(wanted, &revision.input).ok()?;
        let mut images = containers::images(&revision.input);
        let (name, image) = images.find(|(name, _)| names.iter().any(|known| known == name))?;
        let rest = image.strip_prefix(uri)?;
        match rest.split_once('@') {
            Some((tag, digest)) => (tag.is_empty() || tag.starts_with(':')).then(|| Digest::new(digest)),
            None => rest.starts_with(':').then(|| self.resolved_digests(arn, name))?,
        }
    }

    /// A commit tag that is on another image than the one that was deployed here for its commit.
    pub(super) fn moved_commit_tags(&self) -> impl Iterator<Item = Waiting> {
        let images = self.input.desired.images.iter().zip(self.images);
        images.filter_map(|(wanted, observed)| self.moved_commit_tag(wanted, observed))
    }

    /// `None` where tag and deployment agree, or nothing was deployed here for the commit.
    pub(super) fn moved_commit_tag(
        &self,
        wanted: &DesiredImage,
        observed: &ObservedImage,
    ) -> Option<Waiting> {
        let deployed = self.deployed_for(wanted, observed)?;
        let now = match &observed.built {
            Reading::Known(image) if image.is(&deployed.digest) => return None,
            Reading::Known(image) => Some(image.digest.clone()),
            // Nothing was taken from an image: what is declared fits the tags of several by now.
            Reading::Absent if matches!(observed.tag_match, TagMatch::Several(_)) => return None,
            // The image is there: the tag was taken from it.
            Reading::Absent => {
                image_of(observed, &deployed.digest)?;
                None
            }
            Reading::Unavailable(_) => return None,
        };
        Some(Waiting::CommitTagMoved(Box::new(MovedTag {
            repository: wanted.repository.to_string(),
            tag: observed.commit_tag(wanted).to_string(),
            key: memory::commit_key(self.ours.get(deployed.revision)?, &wanted.name),
            revision: deployed.revision.clone(),
            deployed: deployed.digest,
            now,
        })))
    }

    /// Whether the image that was deployed here for the commit is no longer in the registry.
    pub(super) fn is_removed(&self, wanted: &DesiredImage, observed: &ObservedImage) -> bool {
        let deployed = self.deployed_for(wanted, observed);
        deployed.is_some_and(|deployed| observed.known.get(&deployed.digest) == Some(&Reading::Absent))
    }

    /// The commit of a revision of ours as ECR names it; of several the one that the revision names too.
    pub(super) fn commit_of(&self, arn: &TaskDefinitionArn) -> Option<Commit> {
        let memory = self.ours.get(arn)?;
        let (wanted, observed) = (self.input.desired.images.first()?, self.images.first()?);
        let digest = self.digest_of_image(arn, wanted, &observed.repository.known()?.uri)?;
        let mut commits = commits_of_digest(wanted, observed, &digest);
        let same = commits.iter().position(|commit| commit.matches(&memory.commit)).unwrap_or_default();
        (same < commits.len()).then(|| commits.swap_remove(same))
    }

    /// The commits of a digest that tasks of a revision run, and who says so.
    pub(super) fn commits_running(
        &self,
        wanted: &DesiredImage,
        observed: &ObservedImage,
        digest: &Digest,
        revision: &TaskDefinitionArn,
    ) -> (Vec<Commit>, CommitSource) {
        let commits = commits_of_digest(wanted, observed, digest);
        if !commits.is_empty() {
            return (commits, CommitSource::Registry);
        }
        let remembered = self.ours.get(revision).map(|memory| memory.commit_of(&wanted.name));
        let Some(commit) = remembered.filter(|commit| !commit.as_str().is_empty()) else {
            return (commits, CommitSource::Registry);
        };
        match (image_of(observed, digest), observed.known.get(digest)) {
            (Some(_), _) => (vec![commit.clone()], CommitSource::RevisionOfUntagged),
            (None, Some(Reading::Absent)) => (vec![commit.clone()], CommitSource::RevisionOfRemoved),
            _ => (commits, CommitSource::Registry),
        }
    }
}

/// The image with this digest, if it was read and is there.
fn image_of<'o>(observed: &'o ObservedImage, digest: &Digest) -> Option<&'o Image> {
    let images = observed.known.get(digest).into_iter().chain([&observed.built, &observed.tagged]);
    images.filter_map(Reading::known).find(|image| image.is(digest))
}

pub(super) fn commits_of_digest(
    wanted: &DesiredImage,
    observed: &ObservedImage,
    digest: &Digest,
) -> Vec<Commit> {
    let mut commits =
        image_of(observed, digest).map(|image| commits_of(wanted, observed, image)).unwrap_or_default();
    let built = observed.built.known().is_some_and(|built| built.is(digest));
    if built && !commits.iter().any(|commit| commit.matches(&wanted.commit)) {
        commits.insert(0, wanted.commit.clone());
    }
    commits
}

/// The commit that the tag of a reference such as `registry/api:3f2c1ab` names.
pub(super) fn by_tag(wanted: &DesiredImage, reference: &str) -> Option<Commit> {
    let name = reference.split('@').next()?;
    let (_, tag) = name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'))?;
    let (prefix, suffix) = around_commit(wanted);
    built_from(tag.strip_prefix(prefix)?.strip_suffix(suffix)?, &wanted.commit)
}

/// The commits that tags of an image name, the declared one first. A tag that only begins like the declared commit is
/// told as it is written, unless ECR says that this image is the commit's.
pub(super) fn commits_of(wanted: &DesiredImage, observed: &ObservedImage, image: &Image) -> Vec<Commit> {
    let (prefix, suffix) = around_commit(wanted);
    let is_built = observed.built.known().is_some_and(|built| built.is(&image.digest));
    let mut commits: Vec<Commit> = image
        .tags
        .iter()
        .filter_map(|tag| tag.as_str().strip_prefix(prefix)?.strip_suffix(suffix))
        .filter_map(|text| built_from(text, &wanted.commit))
        .map(|commit| if is_built && commit.matches(&wanted.commit) { wanted.commit.clone() } else { commit })
        .collect();
    commits.sort_by_key(|commit| (!commit.matches(&wanted.commit), commit.clone()));
    commits.dedup();
    commits
}

/// Commits of more digits than the declared one has that its image is tagged with: what it stands for here.
pub(super) fn stands_for(desired: &Desired, images: &[ObservedImage]) -> Vec<Commit> {
    let Some((wanted, observed)) = desired.images.first().zip(images.first()) else { return Vec::new() };
    let tags = observed.built.known().into_iter().flat_map(|image| &image.tags);
    let commits = tags.filter_map(|tag| commit_in_tag(wanted, tag.as_str()));
    let is_longer = |commit: &Commit| {
        !commit.is_release()
            && commit.matches(&wanted.commit)
            && commit.as_str().len() > wanted.commit.as_str().len()
    };
    commits.filter(is_longer).collect()
}

/// The commit that a tag names; `None` if it is not a commit tag.
pub(super) fn commit_in_tag(wanted: &DesiredImage, tag: &str) -> Option<Commit> {
    let (prefix, suffix) = around_commit(wanted);
    built_from(tag.strip_prefix(prefix)?.strip_suffix(suffix)?, &wanted.commit)
}

/// How all tags begin that may be the commit's, whatever number of its digits builds tag with. `None`: nothing but the
/// commit tag itself can be it.
pub fn tag_beginning(wanted: &DesiredImage) -> Option<String> {
    if wanted.commit.is_release() {
        return None;
    }
    let (prefix, _) = around_commit(wanted);
    Some(format!("{prefix}{}", wanted.commit.as_str().get(..Commit::MIN_DIGITS)?))
}

/// Which of the tags that begin like the commit names it, where the commit tag itself is not there. One with more digits does,
/// if all such are on one image; one with fewer might be another commit's.
pub fn tag_match(wanted: &DesiredImage, tags: &Tags) -> TagMatch {
    let (prefix, suffix) = around_commit(wanted);
    let digits = |tag: &Tag| {
        let commit = Commit::new(tag.as_str().get(prefix.len()..)?.strip_suffix(suffix)?);
        (!commit.is_release() && commit.matches(&wanted.commit)).then(|| commit.as_str().len())
    };
    let mut fitting: Vec<(usize, &Tag, &Digest)> =
        tags.found.iter().filter_map(|(tag, digest)| Some((digits(tag)?, tag, digest))).collect();
    fitting.sort_by(|one, two| two.cmp(one));
    let declared = wanted.commit.as_str().len();
    let longer: Vec<_> = fitting.iter().filter(|(digits, ..)| *digits >= declared).collect();
    match (longer.as_slice(), fitting.first()) {
        ([(_, tag, digest), rest @ ..], _) => match rest.iter().any(|(_, _, other)| other != digest) {
            true => {
                let some = longer.iter().take(MOST_CANDIDATES).map(|(_, tag, _)| (*tag).clone());
                TagMatch::Several(some.collect())
            }
            false if tags.is_complete => TagMatch::Longer((*tag).clone()),
            false => TagMatch::TooMany,
        },
        ([], Some((_, tag, _))) => TagMatch::Shorter((*tag).clone()),
        ([], None) if tags.is_complete => TagMatch::Exact,
        ([], None) => TagMatch::TooMany,
    }
}

/// What a text in a tag names: a commit, or a release that is written as the declared one is. Of all else nobody knows
/// whether it moves.
fn built_from(text: &str, wanted: &Commit) -> Option<Commit> {
    let is_alike = wanted.is_release() && shape(text) == shape(wanted.as_str());
    let built = if is_alike { Commit::release(text) } else { Commit::new(text) };
    (is_alike || !built.is_release() || built.matches(wanted)).then_some(built)
}

/// A text with one zero for each of its numbers: `v0.0.0` of `v1.10.20`.
fn shape(text: &str) -> String {
    let mut shape = String::new();
    for letter in text.chars() {
        match letter {
            '0'..='9' if shape.ends_with('0') => {}
            '0'..='9' => shape.push('0'),
            other => shape.push(other),
        }
    }
    shape
}

/// What stands before and after the commit in the commit tag.
fn around_commit(wanted: &DesiredImage) -> (&str, &str) {
    let (tag, commit) = (wanted.commit_tag.as_str(), wanted.commit.as_str());
    let mut lengths = (1..=commit.len()).rev().filter(|length| commit.is_char_boundary(*length));
    lengths.find_map(|length| tag.split_once(&commit[..length])).unwrap_or(("", ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Containers, RepositoryName};

    /// The tags of a repository with the digests that they are on, and what the commit is found by.
    #[track_caller]
    fn check(commit: &str, commit_tag: &str, tags: &[(&str, &str)], expected: TagMatch) {
        let wanted = DesiredImage {
            name: "api".to_owned(),
            repository: RepositoryName::new("mco/api"),
            commit: Commit::new(commit),
            commit_tag: Tag::new(commit_tag),
            containers: Containers::Named(Vec::new()),
            stated: None,
        };
        let beginning = tag_beginning(&wanted).unwrap();
        let begins = |tag: &&(&str, &str)| tag.0.to_lowercase().starts_with(&beginning.to_lowercase());
        let found = tags.iter().filter(begins).map(|(tag, digest)| (Tag::new(*tag), Digest::new(*digest)));
        let mut tags = Tags { found: found.collect(), pages: 1, is_complete: true };
        assert_eq!(tag_match(&wanted, &tags), expected, "{commit}");
        tags.is_complete = false;
        let unsure = match expected {
            TagMatch::Longer(_) | TagMatch::Exact => TagMatch::TooMany,
            other => other,
        };
        assert_eq!(
            tag_match(&wanted, &tags),
            unsure,
            "{commit} in a repository that was not read to its end"
        );
    }

    #[test]
    fn a_commit_is_found_by_the_only_image_whose_tag_has_more_of_its_digits() {
        let long = "3f2c1ab9d0e4c6a7b8f1e2d3c4b5a6978869504f";
        let other = "3f2c1ab0000000000000000000000000000000ff";
        let longer = |tag: &str| TagMatch::Longer(Tag::new(tag));
        check("3f2c1ab", "3f2c1ab", &[(long, "d"), ("8c1f0aa", "e"), ("test", "d")], longer(long));
        check("3F2C1AB", "3F2C1AB", &[(long, "d")], longer(long));
        check("3f2c1ab", "3f2c1ab", &[(long, "d"), ("3f2c1ab9", "d")], longer(long));
        let both = [Tag::new(long), Tag::new(other)];
        check("3f2c1ab", "3f2c1ab", &[(long, "d"), (other, "e")], TagMatch::Several(both.to_vec()));
        check("3f2c1ab9", "3f2c1ab9", &[(long, "d"), (other, "e")], longer(long));
        // A tag with fewer digits may be another commit's.
        check(long, long, &[("3f2c1ab", "d")], TagMatch::Shorter(Tag::new("3f2c1ab")));
        check(long, long, &[("3f2c1ac", "d"), ("3f2c1ab-debug", "d")], TagMatch::Exact);
        let build = format!("build-{long}-x");
        check("3f2c1ab", "build-3f2c1ab-x", &[(&build, "d"), (long, "e")], longer(&build));
        // What `{commit:7}` has cut.
        check(long, "3f2c1ab", &[(long, "d"), (other, "e")], longer(long));
    }
}
