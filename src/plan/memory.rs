//! What trueup remembers: tags on the task definition revisions that it registered, and on nothing else.
//!
//! A revision is ours only if the hash recomputed from its described content equals its `trueup:content` tag, so a
//! revision that was cloned with our tags but carries another image is foreign.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::normalise;
use crate::model::{
    Applied, Commit, ContentHash, DeploymentId, InfraCommit, Memory, Outcome, OutcomeKind, Revision,
    SettingsStamp, Target, TaskDefinitionArn,
};

pub const ENVIRONMENT: &str = "trueup:environment";
pub const APPLICATION: &str = "trueup:application";
const COMMIT: &str = "trueup:commit";
/// With the name of an image behind it, where that one's commit is not that of the first image.
const COMMIT_OF: &str = "trueup:commit:";
const CONTENT: &str = "trueup:content";
pub(super) const APPLIED: &str = "trueup:applied";
/// `<generation>/<task definition>`: what was live when the stamp of that generation was written.
const FROM: &str = "trueup:from";
const OUTCOME: &str = "trueup:outcome";
const RETRY: &str = "trueup:retry";
const SETTINGS: &str = "trueup:settings";
/// Stands for "no infra commit" (a working tree) in the stamp.
const NONE: &str = "-";

/// The hash over a normalised task definition and the names of who it belongs to. The images in it are pinned, so
/// their digests are part of it.
pub fn content_hash(target: &Target, input: &Value) -> ContentHash {
    let content = json!({
        "application": target.application.as_str(),
        "environment": target.environment.as_str(),
        "taskDefinition": normalise::task_definition(input),
    });
    ContentHash::new(hex::encode(Sha256::digest(content.to_string().as_bytes())))
}

/// What the revision remembers for `target`; `None` if it is foreign, whatever its tags say.
pub fn of(revision: &Revision, target: &Target) -> Option<Memory> {
    let tag = |key: &str| revision.tags.get(key).map(String::as_str);
    let ours = tag(ENVIRONMENT)? == target.environment.as_str()
        && tag(APPLICATION)? == target.application.as_str()
        && tag(CONTENT)? == content_hash(target, &revision.input).as_str();
    ours.then(|| Memory {
        commit: Commit::from_record(tag(COMMIT).unwrap_or_default()),
        commits: commits(&revision.tags),
        content: ContentHash::new(tag(CONTENT).unwrap_or_default()),
        applied: tag(APPLIED).and_then(parse_applied).map(|applied| Applied {
            from: tag(FROM).and_then(|text| of_generation(text, applied.generation)),
            ..applied
        }),
        outcome: tag(OUTCOME).and_then(parse_outcome),
        retry: tag(RETRY).map(str::to_owned),
        settings: tag(SETTINGS).and_then(parse_settings),
    })
}

/// The key of the tag that names the commit of an image.
pub fn commit_key(memory: &Memory, image: &str) -> String {
    if memory.commits.contains_key(image) { format!("{COMMIT_OF}{image}") } else { COMMIT.to_owned() }
}

/// Whether the revision says that any trueup registered it: such a revision is never taken for Terraform's.
pub fn is_tagged(revision: &Revision) -> bool {
    revision.tags.contains_key(CONTENT)
}

fn commits(tags: &BTreeMap<String, String>) -> BTreeMap<String, Commit> {
    let of = |(key, value): (&String, &String)| {
        Some((key.strip_prefix(COMMIT_OF)?.to_owned(), Commit::from_record(value)))
    };
    tags.iter().filter_map(of).collect()
}

/// Whether the revision was registered for `target` with this content, and is described with another one.
pub fn is_described_otherwise(revision: &Revision, target: &Target, content: &ContentHash) -> bool {
    let tag = |key: &str| revision.tags.get(key).map(String::as_str);
    tag(ENVIRONMENT) == Some(target.environment.as_str())
        && tag(APPLICATION) == Some(target.application.as_str())
        && tag(CONTENT) == Some(content.as_str())
        && of(revision, target).is_none()
}

/// The tags of a new revision. `others`: the commits of images whose commit is not that of the first, by their name.
pub fn registration(
    target: &Target,
    commit: &Commit,
    others: &BTreeMap<String, Commit>,
    content: &ContentHash,
    applied: &Applied,
) -> BTreeMap<String, String> {
    let fixed = [
        (ENVIRONMENT, target.environment.as_str().to_owned()),
        (APPLICATION, target.application.as_str().to_owned()),
        (COMMIT, commit.to_record()),
        (CONTENT, content.as_str().to_owned()),
        (APPLIED, format_applied(applied)),
    ];
    let others = others.iter().map(|(name, commit)| (format!("{COMMIT_OF}{name}"), commit.to_record()));
    let from = applied.from.iter();
    let from = from.map(|from| (FROM.to_owned(), format!("{}/{from}", applied.generation)));
    fixed.into_iter().map(|(key, value)| (key.to_owned(), value)).chain(others).chain(from).collect()
}

pub fn applied_tag(applied: &Applied) -> (String, String) {
    (APPLIED.to_owned(), format_applied(applied))
}

pub fn outcome_tag(outcome: &Outcome) -> (String, String) {
    let result = match outcome.result {
        OutcomeKind::Succeeded => "succeeded",
        OutcomeKind::Failed => "failed",
        OutcomeKind::Superseded => "superseded",
    };
    (OUTCOME.to_owned(), format!("{result}/{}", outcome.deployment))
}

pub fn settings_tag(settings: &SettingsStamp) -> (String, String) {
    let state = if settings.done { "done" } else { "pending" };
    (SETTINGS.to_owned(), format!("{}/{state}", settings.hash))
}

pub fn retry_tag(failed_deployment: &str) -> (String, String) {
    (RETRY.to_owned(), failed_deployment.to_owned())
}

/// `<generation>/<infra commit>/<deployment>`.
fn format_applied(applied: &Applied) -> String {
    let infra = applied.infra_commit.as_ref().map_or(NONE, InfraCommit::as_str);
    format!("{}/{infra}/{}", applied.generation, applied.live_then)
}

fn parse_applied(text: &str) -> Option<Applied> {
    let mut parts = text.splitn(3, '/');
    let generation = parts.next()?.parse().ok()?;
    let infra = parts.next()?;
    let live_then = DeploymentId::new(parts.next()?);
    let infra_commit = (infra != NONE).then(|| InfraCommit::new(infra));
    Some(Applied { generation, infra_commit, live_then, from: None })
}

/// The revision of `<generation>/<task definition>`, if it is about this generation: another stamp leaves it behind.
fn of_generation(text: &str, generation: u64) -> Option<TaskDefinitionArn> {
    let (of, revision) = text.split_once('/')?;
    (of.parse() == Ok(generation)).then(|| TaskDefinitionArn::new(revision))
}

fn parse_settings(text: &str) -> Option<SettingsStamp> {
    let (hash, state) = text.split_once('/')?;
    Some(SettingsStamp { hash: hash.to_owned(), done: state == "done" })
}

fn parse_outcome(text: &str) -> Option<Outcome> {
    let (result, deployment) = text.split_once('/')?;
    let result = match result {
        "succeeded" => OutcomeKind::Succeeded,
        "failed" => OutcomeKind::Failed,
        "superseded" => OutcomeKind::Superseded,
        _ => return None,
    };
    Some(Outcome { result, deployment: deployment.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ApplicationName, EnvironmentName};

    fn target() -> Target {
        Target { environment: EnvironmentName::new("test"), application: ApplicationName::new("api") }
    }

    fn revision(image: &str) -> Revision {
        let input = json!({"family": "f", "containerDefinitions": [{"name": "api", "image": image}]});
        let content = content_hash(
            &target(),
            &json!({"family": "f", "containerDefinitions": [{"name": "api", "image": "r@sha256:1"}]}),
        );
        let applied = Applied {
            generation: 7,
            infra_commit: Some(InfraCommit::new("abc")),
            live_then: DeploymentId::new("ecs-svc/42"),
            from: Some(TaskDefinitionArn::new("f:0")),
        };
        let others = BTreeMap::from([("proxy".to_owned(), Commit::new("aaaaaaa"))]);
        let tags = registration(&target(), &Commit::new("3f2c1ab"), &others, &content, &applied);
        Revision { arn: TaskDefinitionArn::new("f:1"), active: true, input, tags }
    }

    #[test]
    fn a_registered_revision_is_remembered_whole() {
        let mut ours = revision("r@sha256:1");
        let outcome = Outcome { result: OutcomeKind::Failed, deployment: "ecs-svc/43".to_owned() };
        ours.tags.extend([outcome_tag(&outcome), retry_tag("ecs-svc/43")]);
        let memory = of(&ours, &target()).unwrap();
        assert_eq!(memory.commit.as_str(), "3f2c1ab");
        assert_eq!(memory.commits["proxy"].as_str(), "aaaaaaa");
        let applied = memory.applied.unwrap();
        assert_eq!((applied.live_then.as_str(), applied.from.unwrap().as_str()), ("ecs-svc/42", "f:0"));
        assert_eq!((memory.outcome, memory.retry), (Some(outcome), Some("ecs-svc/43".to_owned())));
    }

    #[test]
    fn a_cloned_revision_with_our_tags_but_another_image_is_foreign() {
        let clone = revision("r@sha256:2");
        assert_eq!(of(&clone, &target()), None);
        let claimed = ContentHash::new(clone.tags[CONTENT].as_str());
        assert!(is_described_otherwise(&clone, &target(), &claimed));
        assert!(!is_described_otherwise(&revision("r@sha256:1"), &target(), &claimed));
    }

    #[test]
    fn a_revision_of_another_environment_is_foreign() {
        let other = Target { environment: EnvironmentName::new("staging"), ..target() };
        assert_eq!(of(&revision("r@sha256:1"), &other), None);
    }

    #[test]
    fn what_aws_fills_in_does_not_change_the_hash() {
        let declared = json!({"family": "f", "containerDefinitions": [{"name": "a", "image": "i"}]});
        let described = json!({"family": "f", "volumes": [], "containerDefinitions":
            [{"name": "a", "image": "i", "cpu": 0, "essential": true, "environment": []}]});
        assert_eq!(content_hash(&target(), &declared), content_hash(&target(), &described));
    }
}
