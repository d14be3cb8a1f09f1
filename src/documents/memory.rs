//! What trueup remembers: tags on the task definition revisions that it registered, and on nothing else.
//!
//! A revision is ours only if the hash recomputed from its described content equals its `trueup:content` tag, so a
//! revision that was cloned with our tags but carries another image is foreign. It also names the service that it was
//! registered for: two repositories that both declare `test/api` for different services do not share a memory.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::normalise;
use crate::model::{
    About, ApplicationName, Applied, Cause, CauseKind, ClusterName, Commit, ContentHash, DeclarationHash,
    DeploymentId, Desired, Ended, EnvironmentName, InfraCommit, LastRun, Mark, Matter, Memory, Millis,
    Outcome, OutcomeKind, Receipts, Revision, RunStamp, RunStanding, ServiceName, SettingsStamp, Target,
    TaskDefinitionArn, Workload,
};

/// What the keys of all our tags begin with.
pub const PREFIX: &str = "trueup:";
pub const ENVIRONMENT: &str = "trueup:environment";
pub const APPLICATION: &str = "trueup:application";
/// `<cluster>/<service>`. Revisions that 0.1 registered do not have it.
pub const SERVICE: &str = "trueup:service";
pub const COMMIT: &str = "trueup:commit";
/// With the name of an image behind it, where that one's commit is not that of the first image.
const COMMIT_OF: &str = "trueup:commit:";
const CONTENT: &str = "trueup:content";
/// The hash over what git declares (`plan::declaration`). Revisions that 0.1 registered do not have it.
const DECLARED: &str = "trueup:declared";
pub const APPLIED: &str = "trueup:applied";
/// `<generation>/<task definition>`: what was live when the stamp of that generation was written.
const FROM: &str = "trueup:from";
/// `<generation>/<seconds>`: when the stamp of that generation was written, in AWS's time.
const AT: &str = "trueup:at";
/// `<generation>/<rounds>`: how often in a row another hand had undone what is declared when that stamp was written.
const HEALED: &str = "trueup:healed";
const OUTCOME: &str = "trueup:outcome";
/// `<generation>/<deployment>`: the stamp whose deployment the outcome is about.
const ENDED: &str = "trueup:ended";
const RETRY: &str = "trueup:retry";
/// Where there is room for it (`tags::has_room_for_receipts`). `<matter>` that nobody wants to be told, and `<matter>=<about>` that was taken, with the names of those behind it who have not:
/// `succeeded=0a1b2c3d:chat.audit approval`.
const TOLD: &str = "trueup:told";
const SETTINGS: &str = "trueup:settings";
/// `<attempt>.<refusals>/<seconds>/<task>`: the task that was asked for, `-` before its id is known, `none` where AWS found no
/// place for it.
const RUN: &str = "trueup:run";
/// The cluster of that task: not part of the value above, which would be too long with it.
const CLUSTER: &str = "trueup:cluster";
/// `<result>/<seconds>/<task>`, and `/<causes>` where it failed: how the last run ended that a rule or a schedule had started.
const LAST_RUN: &str = "trueup:last-run";
/// What AWS or a person said of it.
const REASON: &str = "trueup:reason";
/// All keys of a revision with one image; each further one may have a commit of its own.
pub const KEYS: [&str; 14] = [
    ENVIRONMENT,
    APPLICATION,
    SERVICE,
    COMMIT,
    CONTENT,
    DECLARED,
    APPLIED,
    FROM,
    AT,
    HEALED,
    OUTCOME,
    ENDED,
    RETRY,
    SETTINGS,
];
/// What a revision of a task has beside those, in the room that it leaves to `FROM`, `HEALED` and `SETTINGS`.
pub const KEYS_OF_A_RUN: [&str; 3] = [RUN, CLUSTER, REASON];
/// The same of one that a rule or a schedule runs, in the room of `SETTINGS`.
pub const KEYS_OF_A_SCHEDULE: [&str; 1] = [LAST_RUN];
/// Stands for "no infra commit" (a working tree) in the stamp, and for a task without an id.
const NONE: &str = "-";
const REFUSED: &str = "none";
/// In the place of the service, on revisions of tasks. It names no cluster and no family: a run that was moved is the same.
const TASK: &str = "task";
/// The same where a rule or a schedule starts them.
const SCHEDULE: &str = "schedule";
/// Characters of the value of a tag (Amazon ECS API reference, `Tag`).
const MOST_OF_A_VALUE: usize = 256;

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

/// Whether a described revision is what was registered with this hash. Empty texts that AWS takes for absent are not sent, and
/// may be described all the same; older versions sent them.
fn has_content(target: &Target, input: &Value, hash: &str) -> bool {
    if content_hash(target, input).as_str() == hash {
        return true;
    }
    let mut without = input.clone();
    normalise::drop_empty_texts(&mut without);
    without != *input && content_hash(target, &without).as_str() == hash
}

/// What is written onto a revision of ours, in one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// Before each deployment to the revision.
    Applied(Applied),
    /// After a deployment ended; `generation` is that of the stamp which it followed.
    Outcome {
        outcome: Outcome,
        generation: Option<u64>,
    },
    /// A person asks for another try after this failed deployment.
    Retry(String),
    Settings(SettingsStamp),
    /// After receivers have taken alerts.
    Told(Receipts),
    /// Before a task is asked for, and with what became of that.
    Run {
        run: RunStamp,
        why: Option<String>,
    },
    /// How an attempt ended; `why` is a person's word, where it is one.
    Ran {
        outcome: Outcome,
        attempt: u64,
        why: Option<String>,
    },
    /// How a run ended that a rule or a schedule has started.
    LastRun(LastRun),
}

impl Stamp {
    /// Whether both say the same, whenever they are written.
    pub fn repeats(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Applied(one), Self::Applied(two)) => *one == Applied { at: one.at, ..two.clone() },
            _ => self == other,
        }
    }

    /// The tags that are sent, by key.
    pub fn tags(&self) -> BTreeMap<String, String> {
        match self {
            Self::Applied(applied) => applied_tags(applied).collect(),
            Self::Outcome { outcome, generation } => {
                let ended = generation
                    .map(|generation| (ENDED.to_owned(), format!("{generation}/{}", outcome.deployment)));
                [outcome_tag(outcome)].into_iter().chain(ended).collect()
            }
            Self::Retry(failed) => BTreeMap::from([retry_tag(failed)]),
            Self::Settings(settings) => BTreeMap::from([settings_tag(settings)]),
            Self::Told(receipts) => BTreeMap::from([told_tag(receipts)]),
            Self::Run { run, why } => {
                let fixed = [
                    (RUN.to_owned(), format_run(run)),
                    (CLUSTER.to_owned(), run.cluster.as_str().to_owned()),
                ];
                fixed.into_iter().chain(reason_tag(why.as_deref())).collect()
            }
            Self::Ran { outcome, attempt, why } => {
                let ended = (ENDED.to_owned(), format!("{attempt}/{}", outcome.deployment));
                [outcome_tag(outcome), ended].into_iter().chain(reason_tag(why.as_deref())).collect()
            }
            Self::LastRun(run) => BTreeMap::from([(LAST_RUN.to_owned(), format_last_run(run))]),
        }
    }

    /// The key that says what kind of stamp it is, for people.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Applied(_) => APPLIED,
            Self::Outcome { .. } | Self::Ran { .. } => OUTCOME,
            Self::Run { .. } => RUN,
            Self::LastRun(_) => LAST_RUN,
            Self::Retry(_) => RETRY,
            Self::Settings(_) => SETTINGS,
            Self::Told(_) => TOLD,
        }
    }
}

/// What the revision remembers for `desired`; `None` if it is foreign, whatever its tags say.
pub fn of(revision: &Revision, desired: &Desired) -> Option<Memory> {
    let record = record(&revision.tags, desired)?;
    has_content(&desired.target, &revision.input, record.content.as_str()).then_some(record)
}

/// What tags say that name this target: for people, who are told that it is only by tags. Whoever may tag revisions can write them.
pub fn record(tags: &BTreeMap<String, String>, desired: &Desired) -> Option<Memory> {
    let tag = |key: &str| tags.get(key).map(String::as_str);
    let target = &desired.target;
    let names_it = tag(ENVIRONMENT)? == target.environment.as_str()
        && tag(APPLICATION)? == target.application.as_str()
        && tag(SERVICE).is_none_or(|service| service == place(desired));
    let content = tag(CONTENT)?;
    let of_stamp = |key: &str, generation| tag(key).and_then(|text| of_generation(text, generation));
    let applied = tag(APPLIED).and_then(parse_applied).map(|applied| Applied {
        from: of_stamp(FROM, applied.generation).map(TaskDefinitionArn::new),
        at: of_stamp(AT, applied.generation).and_then(|at| at.parse::<Millis>().ok()?.checked_mul(1000)),
        rounds: of_stamp(HEALED, applied.generation).and_then(|text| text.parse().ok()).unwrap_or_default(),
        receipts: tag(TOLD).map(parse_told),
        ..applied
    });
    names_it.then(|| Memory {
        commit: Commit::from_record(tag(COMMIT).unwrap_or_default()),
        commits: commits(tags),
        content: ContentHash::new(content),
        declared: tag(DECLARED).map(DeclarationHash::new),
        names_service: tag(SERVICE).is_some(),
        applied,
        ended: tag(ENDED).and_then(parse_ended),
        outcome: tag(OUTCOME).and_then(parse_outcome),
        retry: tag(RETRY).map(str::to_owned),
        settings: tag(SETTINGS).and_then(parse_settings),
        run: tag(RUN).zip(tag(CLUSTER)).and_then(|(run, cluster)| parse_run(run, cluster)),
        last_run: tag(LAST_RUN).and_then(parse_last_run),
    })
}

/// What AWS or a person said of the last task of a revision.
pub fn reason(revision: &Revision) -> Option<&str> {
    revision.tags.get(REASON).map(String::as_str)
}

/// The key of the tag that names the commit of an image.
pub fn commit_key(memory: &Memory, image: &str) -> String {
    if memory.commits.contains_key(image) { format!("{COMMIT_OF}{image}") } else { COMMIT.to_owned() }
}

/// What the tags of a revision say of their place and age, before anybody has described it: a hint what to describe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    pub commit: Commit,
    pub content: ContentHash,
    pub declared: Option<DeclarationHash>,
    pub generation: u64,
    pub succeeded: bool,
}

/// `None` where the tags name another environment, application or service.
pub fn hint(tags: &BTreeMap<String, String>, desired: &Desired) -> Option<Hint> {
    let tag = |key: &str| tags.get(key).map(String::as_str);
    let named = tag(ENVIRONMENT)? == desired.target.environment.as_str()
        && tag(APPLICATION)? == desired.target.application.as_str()
        && tag(SERVICE).is_none_or(|service| service == place(desired));
    let succeeded = |outcome: Outcome| outcome.result == OutcomeKind::Succeeded;
    named.then(|| Hint {
        commit: Commit::new(tag(COMMIT).unwrap_or_default()),
        content: ContentHash::new(tag(CONTENT).unwrap_or_default()),
        declared: tag(DECLARED).map(DeclarationHash::new),
        generation: tag(APPLIED).and_then(parse_applied).map_or(0, |applied| applied.generation),
        succeeded: tag(OUTCOME).and_then(parse_outcome).is_some_and(succeeded),
    })
}

/// `<cluster>/<service>`.
fn place(desired: &Desired) -> String {
    match &desired.workload {
        Workload::Service(service) => format!("{}/{service}", desired.cluster),
        Workload::Task(_) => TASK.to_owned(),
        Workload::ScheduledTask(_) => SCHEDULE.to_owned(),
    }
}

/// Whether it has some of the tags with which trueup registers a revision.
pub fn is_tagged_in_part(revision: &Revision) -> bool {
    [ENVIRONMENT, APPLICATION, SERVICE, CONTENT, COMMIT].iter().any(|key| revision.tags.contains_key(*key))
}

/// Whether the revision says that any trueup registered it: such a revision is never taken for Terraform's.
pub fn is_tagged(revision: &Revision) -> bool {
    revision.tags.contains_key(CONTENT)
}

/// The service that a revision of ours says it was registered for, and as what; `None`: it is none of ours, or of a task.
pub fn registered_for(tags: &BTreeMap<String, String>) -> Option<(ClusterName, ServiceName, Target)> {
    let (cluster, service) = tags.get(SERVICE)?.split_once('/')?;
    let target = Target {
        environment: EnvironmentName::new(tags.get(ENVIRONMENT)?),
        application: ApplicationName::new(tags.get(APPLICATION)?),
    };
    Some((ClusterName::new(cluster), ServiceName::new(service), target))
}

fn commits(tags: &BTreeMap<String, String>) -> BTreeMap<String, Commit> {
    let of = |(key, value): (&String, &String)| {
        Some((key.strip_prefix(COMMIT_OF)?.to_owned(), Commit::from_record(value)))
    };
    tags.iter().filter_map(of).collect()
}

/// Whether the revision was registered for `desired` with this content, and is described with another one.
pub fn is_described_otherwise(revision: &Revision, desired: &Desired, content: &ContentHash) -> bool {
    let tag = |key: &str| revision.tags.get(key).map(String::as_str);
    tag(ENVIRONMENT) == Some(desired.target.environment.as_str())
        && tag(APPLICATION) == Some(desired.target.application.as_str())
        && tag(CONTENT) == Some(content.as_str())
        && !has_content(&desired.target, &revision.input, content.as_str())
}

/// What a new revision is registered for.
pub struct Registration<'a> {
    pub commit: &'a Commit,
    /// The commits of images whose commit is not that of the first, by their name.
    pub others: BTreeMap<String, Commit>,
    pub content: &'a ContentHash,
    /// `None` where nobody can say what declared it: a last good revision that is registered again.
    pub declared: Option<&'a DeclarationHash>,
    pub applied: &'a Applied,
}

/// The tags of a new revision.
pub fn registration(desired: &Desired, registration: &Registration<'_>) -> BTreeMap<String, String> {
    let target = &desired.target;
    let fixed = [
        (ENVIRONMENT, target.environment.as_str().to_owned()),
        (APPLICATION, target.application.as_str().to_owned()),
        (SERVICE, place(desired)),
        (COMMIT, registration.commit.to_record()),
        (CONTENT, registration.content.as_str().to_owned()),
    ];
    let others = registration.others.iter();
    let others = others.map(|(name, commit)| (format!("{COMMIT_OF}{name}"), commit.to_record()));
    let declared = registration.declared.map(|hash| (DECLARED.to_owned(), hash.as_str().to_owned()));
    let fixed = fixed.into_iter().map(|(key, value)| (key.to_owned(), value));
    fixed.chain(others).chain(declared).chain(applied_tags(registration.applied)).collect()
}

/// The stamp in the format of 0.1, and beside it what 0.1 does not read, each naming the generation that it belongs to.
fn applied_tags(applied: &Applied) -> impl Iterator<Item = (String, String)> {
    let generation = applied.generation;
    let at = applied.at.map(|at| (AT.to_owned(), format!("{generation}/{}", at.div_euclid(1000))));
    let rounds =
        (applied.rounds > 0).then(|| (HEALED.to_owned(), format!("{generation}/{}", applied.rounds)));
    let from = applied.from.as_ref().map(|from| (FROM.to_owned(), format!("{generation}/{from}")));
    let told = applied.receipts.as_ref().map(told_tag);
    [(APPLIED.to_owned(), format_applied(applied))]
        .into_iter()
        .chain(from)
        .chain(at)
        .chain(rounds)
        .chain(told)
}

/// What does not fit is left out, the longest first: it is told again.
fn told_tag(receipts: &Receipts) -> (String, String) {
    let word = |(matter, mark): (&Matter, &Mark)| match mark {
        Mark::Unwanted => matter.name().to_owned(),
        Mark::Taken { about, owed } => {
            let owed: Vec<&str> = owed.iter().map(String::as_str).collect();
            let behind = if owed.is_empty() { String::new() } else { format!(":{}", owed.join(".")) };
            format!("{}={}{behind}", matter.name(), about.as_str())
        }
    };
    let mut words: Vec<String> = receipts.0.iter().map(word).collect();
    let length = |words: &[String]| words.iter().map(|word| word.len() + 1).sum::<usize>();
    while length(&words) > MOST_OF_A_VALUE
        && let Some((longest, _)) = words.iter().enumerate().max_by_key(|(_, word)| word.len())
    {
        words.remove(longest);
    }
    (TOLD.to_owned(), words.join(" "))
}

fn parse_told(text: &str) -> Receipts {
    let mark = |word: &str| {
        let (name, rest) = word.split_once('=').map_or((word, None), |(name, rest)| (name, Some(rest)));
        let matter = Matter::ALL.into_iter().find(|matter| matter.name() == name)?;
        let Some(rest) = rest else { return Some((matter, Mark::Unwanted)) };
        let (about, owed) = rest.split_once(':').unwrap_or((rest, ""));
        let owed = owed.split('.').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Some((matter, Mark::Taken { about: About::from_record(about), owed }))
    };
    Receipts(text.split(' ').filter_map(mark).collect())
}

pub fn outcome_tag(outcome: &Outcome) -> (String, String) {
    (OUTCOME.to_owned(), format!("{}/{}", outcome.result.name(), outcome.deployment))
}

fn parse_word(word: &str) -> Option<OutcomeKind> {
    OutcomeKind::ALL.into_iter().find(|result| result.name() == word)
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

/// One for each deployment of an application: no history comes near it. What claims to be beyond was forged, and would leave no number
/// to those that come after it.
const MOST_GENERATIONS: u64 = 1_000_000_000_000;

fn parse_applied(text: &str) -> Option<Applied> {
    let mut parts = text.splitn(3, '/');
    let generation = parts.next()?.parse().ok().filter(|generation| *generation <= MOST_GENERATIONS)?;
    let infra = parts.next()?;
    let live_then = DeploymentId::new(parts.next()?);
    let infra_commit = (infra != NONE).then(|| InfraCommit::new(infra));
    Some(Applied { generation, infra_commit, live_then, from: None, at: None, rounds: 0, receipts: None })
}

/// What stands behind `<generation>/`, if it is about this generation: a stamp by 0.1 leaves those of others behind.
fn of_generation(text: &str, generation: u64) -> Option<&str> {
    let (of, rest) = text.split_once('/')?;
    (of.parse() == Ok(generation)).then_some(rest)
}

fn parse_settings(text: &str) -> Option<SettingsStamp> {
    let (hash, state) = text.split_once('/')?;
    Some(SettingsStamp { hash: hash.to_owned(), done: state == "done" })
}

/// `<attempt>.<refusals>/<seconds>/<task>`.
fn format_run(run: &RunStamp) -> String {
    let task = match &run.standing {
        RunStanding::Asked => NONE,
        RunStanding::Refused => REFUSED,
        RunStanding::Started(task) => task,
    };
    format!("{}.{}/{}/{task}", run.attempt, run.refusals, run.asked_at.div_euclid(1000))
}

fn parse_run(text: &str, cluster: &str) -> Option<RunStamp> {
    let mut parts = text.splitn(3, '/');
    let (attempt, refusals) = parts.next()?.split_once('.')?;
    let asked_at = parts.next()?.parse::<Millis>().ok()?.checked_mul(1000)?;
    let standing = match parts.next()? {
        NONE => RunStanding::Asked,
        REFUSED => RunStanding::Refused,
        task => RunStanding::Started(task.to_owned()),
    };
    Some(RunStamp {
        attempt: attempt.parse().ok()?,
        refusals: refusals.parse().ok()?,
        asked_at,
        standing,
        cluster: ClusterName::new(cluster),
    })
}

fn format_last_run(run: &LastRun) -> String {
    let last = format!("{}/{}/{}", run.result.name(), run.ended_at.div_euclid(1000), run.task);
    let causes: Vec<String> = run.causes.iter().map(ToString::to_string).collect();
    if causes.is_empty() { last } else { plain(&format!("{last}/{}", causes.join(" - "))) }
}

fn parse_last_run(text: &str) -> Option<LastRun> {
    let mut parts = text.splitn(4, '/');
    let result = parse_word(parts.next()?)?;
    let ended_at = parts.next()?.parse::<Millis>().ok()?.checked_mul(1000)?;
    let task = parts.next()?.to_owned();
    // Only the words are on record.
    let causes = parts.map(|said| Cause::new(CauseKind::Other, said)).collect();
    Some(LastRun { result, ended_at, task, causes })
}

/// With what a tag may not hold replaced; nothing where there is nothing to say.
fn reason_tag(why: Option<&str>) -> Option<(String, String)> {
    Some((REASON.to_owned(), plain(why?)))
}

/// As the value of a tag may be.
fn plain(text: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || " _.:/=+-@".contains(c) { c } else { '_' };
    let value: String = text.chars().map(plain).take(MOST_OF_A_VALUE).collect();
    value.trim().to_owned()
}

fn parse_ended(text: &str) -> Option<Ended> {
    let (generation, deployment) = text.split_once('/')?;
    Some(Ended { generation: generation.parse().ok()?, deployment: deployment.to_owned() })
}

fn parse_outcome(text: &str) -> Option<Outcome> {
    let (result, deployment) = text.split_once('/')?;
    Some(Outcome { result: parse_word(result)?, deployment: deployment.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::example::desired;
    use crate::model::{ClusterName, EnvironmentName, ServiceName};

    fn revision(image: &str) -> Revision {
        let input = json!({"family": "f", "containerDefinitions": [{"name": "api", "image": image}]});
        let registered =
            json!({"family": "f", "containerDefinitions": [{"name": "api", "image": "r@sha256:1"}]});
        let content = content_hash(&desired().target, &registered);
        let applied = Applied {
            generation: 7,
            infra_commit: Some(InfraCommit::new("abc")),
            live_then: DeploymentId::new("ecs-svc/42"),
            from: Some(TaskDefinitionArn::new("f:0")),
            at: Some(1_000_000),
            rounds: 2,
            receipts: Some(Receipts::new(&Matter::ALL.into())),
        };
        let declared = DeclarationHash::new("d");
        let registration_of = Registration {
            commit: &Commit::new("3f2c1ab"),
            others: BTreeMap::from([("proxy".to_owned(), Commit::new("aaaaaaa"))]),
            content: &content,
            declared: Some(&declared),
            applied: &applied,
        };
        let tags = registration(&desired(), &registration_of);
        Revision { arn: TaskDefinitionArn::new("f:1"), active: true, input, tags, registered_by: None }
    }

    fn failed(generation: Option<u64>) -> Stamp {
        let outcome = Outcome { result: OutcomeKind::Failed, deployment: "ecs-svc/43".to_owned() };
        Stamp::Outcome { outcome, generation }
    }

    #[test]
    fn a_registered_revision_is_remembered_whole() {
        let mut ours = revision("r@sha256:1");
        ours.tags.extend(failed(Some(7)).tags());
        ours.tags.extend(Stamp::Retry("ecs-svc/43".to_owned()).tags());
        let memory = of(&ours, &desired()).unwrap();
        assert_eq!(memory.commit.as_str(), "3f2c1ab");
        assert_eq!(memory.commits["proxy"].as_str(), "aaaaaaa");
        assert!(memory.has_ended() && memory.names_service);
        assert_eq!(memory.declared, Some(DeclarationHash::new("d")));
        let applied = memory.applied.unwrap();
        assert_eq!(applied.from.unwrap().as_str(), "f:0");
        assert_eq!(
            (applied.live_then.as_str(), applied.at, applied.rounds),
            ("ecs-svc/42", Some(1_000_000), 2)
        );
        assert_eq!(memory.outcome.unwrap().deployment, "ecs-svc/43");
        assert_eq!(memory.retry.as_deref(), Some("ecs-svc/43"));
    }

    /// It writes the stamp and the outcome and leaves what it does not know as it was.
    #[test]
    fn what_0_1_writes_beside_it_ends_what_it_did_not_know() {
        let mut ours = revision("r@sha256:1");
        ours.tags.extend(failed(Some(7)).tags());
        ours.tags.insert(APPLIED.to_owned(), "8/abc/ecs-svc/44".to_owned());
        let memory = of(&ours, &desired()).unwrap();
        assert!(!memory.has_ended(), "what ended is about the stamp before");
        let applied = memory.applied.unwrap();
        assert_eq!((applied.at, applied.rounds), (None, 0));
        ours.tags.insert(OUTCOME.to_owned(), "succeeded/ecs-svc/45".to_owned());
        let memory = of(&ours, &desired()).unwrap();
        assert!(memory.has_brought("ecs-svc/43") && !memory.has_brought("ecs-svc/45"));
    }

    #[test]
    fn a_cloned_revision_with_our_tags_but_another_image_is_foreign() {
        let clone = revision("r@sha256:2");
        assert_eq!(of(&clone, &desired()), None);
        let claimed = ContentHash::new(clone.tags[CONTENT].as_str());
        assert!(is_described_otherwise(&clone, &desired(), &claimed));
        assert!(!is_described_otherwise(&revision("r@sha256:1"), &desired(), &claimed));
    }

    #[test]
    fn empty_texts_that_aws_describes_of_its_own_accord_change_nothing() {
        let with = |mut revision: Revision| {
            revision.input["pidMode"] = json!("");
            revision.input["containerDefinitions"][0]["hostname"] = json!("");
            revision
        };
        let registered = revision("r@sha256:1");
        let content = ContentHash::new(registered.tags[CONTENT].clone());
        assert!(of(&registered, &desired()).is_some());
        assert!(of(&with(registered.clone()), &desired()).is_some(), "described with them");
        assert!(!is_described_otherwise(&with(registered), &desired(), &content));
    }

    #[test]
    fn a_revision_of_another_environment_or_service_is_foreign() {
        let ours = revision("r@sha256:1");
        assert!(of(&ours, &desired()).is_some());
        let mut elsewhere = desired();
        elsewhere.target.environment = EnvironmentName::new("staging");
        assert_eq!(of(&ours, &elsewhere), None);
        let other_service = Desired { workload: Workload::Service(ServiceName::new("other")), ..desired() };
        assert_eq!((of(&ours, &other_service), hint(&ours.tags, &other_service)), (None, None));
        let other_cluster = Desired { cluster: ClusterName::new("other"), ..desired() };
        assert_eq!(of(&ours, &other_cluster), None);
        let mut by_older = ours;
        by_older.tags.remove(SERVICE);
        assert!(of(&by_older, &other_service).is_some(), "0.1 did not say which service");
    }

    #[test]
    fn a_run_is_read_as_it_was_stamped_and_takes_the_room_of_what_a_task_does_not_need() {
        let task = Desired { workload: Workload::Task(Box::default()), ..desired() };
        let mut revision = revision("r@sha256:1");
        assert_eq!(of(&revision, &task), None, "it is of a service");
        revision.tags.insert(SERVICE.to_owned(), TASK.to_owned());
        let id = "0123456789abcdef0123456789abcdef";
        for standing in [RunStanding::Asked, RunStanding::Refused, RunStanding::Started(id.to_owned())] {
            let cluster = ClusterName::new("c".repeat(255));
            let run = RunStamp { attempt: 2, refusals: 3, asked_at: 1_767_225_600_000, standing, cluster };
            let stamp = Stamp::Run { run: run.clone(), why: Some("RESOURCE:CPU {no}".to_owned()) };
            let tags = stamp.tags();
            assert!(tags.values().all(|value| value.chars().count() <= MOST_OF_A_VALUE));
            assert_eq!(tags[REASON], "RESOURCE:CPU _no_");
            revision.tags.extend(tags);
            assert_eq!(of(&revision, &task).unwrap().run, Some(run));
        }
        let outcome = Outcome { result: OutcomeKind::Failed, deployment: id.to_owned() };
        revision.tags.extend(Stamp::Ran { outcome, attempt: 2, why: None }.tags());
        revision.tags.extend(Stamp::Retry("2".to_owned()).tags());
        let memory = of(&revision, &task).unwrap();
        assert_eq!((memory.attempt(), memory.outcome_of(2).is_some(), memory.outcome_of(3)), (3, true, None));
        let used = KEYS.iter().filter(|key| ![FROM, HEALED, SETTINGS].contains(key)).count();
        assert!(used + KEYS_OF_A_RUN.len() <= KEYS.len());
    }

    #[test]
    fn a_stamp_repeats_another_whenever_it_is_written() {
        let applied = of(&revision("r@sha256:1"), &desired()).unwrap().applied.unwrap();
        let at = |at| Stamp::Applied(Applied { at, ..applied.clone() });
        assert!(at(Some(1)).repeats(&at(Some(2))) && at(None).repeats(&at(Some(2))));
        let next = Stamp::Applied(Applied { generation: 8, ..applied.clone() });
        assert!(!at(Some(1)).repeats(&next));
        assert!(failed(Some(7)).repeats(&failed(Some(7))) && !failed(Some(7)).repeats(&failed(None)));
    }

    #[test]
    fn a_generation_that_no_history_reaches_is_no_stamp() {
        let mut revision = revision("r@sha256:1");
        for (generation, is_stamp) in
            [(MOST_GENERATIONS, true), (MOST_GENERATIONS + 1, false), (u64::MAX, false)]
        {
            revision.tags.insert(APPLIED.to_owned(), format!("{generation}/abc/ecs-svc/42"));
            assert_eq!(of(&revision, &desired()).unwrap().applied.is_some(), is_stamp, "{generation}");
            let expected = if is_stamp { generation } else { 0 };
            assert_eq!(hint(&revision.tags, &desired()).unwrap().generation, expected);
        }
    }

    #[test]
    fn the_last_run_of_a_schedule_is_read_as_it_was_stamped_and_fits_into_one_tag() {
        let task = Desired { workload: Workload::ScheduledTask(Box::default()), ..desired() };
        let mut revision = revision("r@sha256:1");
        revision.tags.insert(SERVICE.to_owned(), SCHEDULE.to_owned());
        let run = |result, causes: &[&str]| LastRun {
            result,
            ended_at: 1_767_225_600_000,
            task: "0123456789abcdef0123456789abcdef".to_owned(),
            causes: causes.iter().map(|cause| Cause::new(CauseKind::Other, *cause)).collect(),
        };
        for (causes, read) in
            [(vec![], vec![]), (vec!["exited with 1", "a/b {c}"], vec!["exited with 1 - a/b _c_"])]
        {
            revision.tags.extend(Stamp::LastRun(run(OutcomeKind::Failed, &causes)).tags());
            assert_eq!(of(&revision, &task).unwrap().last_run, Some(run(OutcomeKind::Failed, &read)));
        }
        let long = Stamp::LastRun(run(OutcomeKind::Failed, &["x".repeat(1000).as_str()]));
        assert_eq!(long.tags()[LAST_RUN].chars().count(), MOST_OF_A_VALUE);
        revision.tags.extend(Stamp::LastRun(run(OutcomeKind::Succeeded, &[])).tags());
        assert_eq!(of(&revision, &task).unwrap().last_run, Some(run(OutcomeKind::Succeeded, &[])));
        let used = KEYS.iter().filter(|key| **key != SETTINGS).count();
        assert!(used + KEYS_OF_A_SCHEDULE.len() <= KEYS.len());
    }

    #[test]
    fn the_tags_of_a_revision_hint_at_what_is_worth_describing() {
        let mut ours = revision("r@sha256:1");
        let expected = Hint {
            commit: Commit::new("3f2c1ab"),
            content: ContentHash::new(ours.tags[CONTENT].clone()),
            declared: Some(DeclarationHash::new("d")),
            generation: 7,
            succeeded: false,
        };
        assert_eq!(hint(&ours.tags, &desired()), Some(expected.clone()));
        ours.tags.insert(OUTCOME.to_owned(), "succeeded/ecs-svc/43".to_owned());
        assert_eq!(hint(&ours.tags, &desired()), Some(Hint { succeeded: true, ..expected }));
        assert_eq!(hint(&BTreeMap::new(), &desired()), None);
    }

    #[test]
    fn what_receivers_have_taken_is_read_as_it_was_stamped_and_fits_into_one_tag() {
        let taken = |about: &str, owed: &[&str]| Mark::Taken {
            about: About::of(about),
            owed: owed.iter().map(ToString::to_string).collect(),
        };
        let marks = |marks: &[(Matter, Mark)]| Receipts(marks.iter().cloned().collect());
        let names: Vec<String> = (0..32).map(|number| format!("{number:040}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let unwanted = (Matter::Approval, Mark::Unwanted);
        let outcomes = Receipts::new(&[Matter::Failed, Matter::Succeeded].into());
        for (receipts, text, read) in [
            (Receipts::default(), "", Receipts::default()),
            (outcomes.clone(), "held approval", outcomes),
            (
                marks(&[
                    (Matter::Failed, taken("d", &[])),
                    (Matter::Held, taken("d", &["audit", "on-call"])),
                ]),
                "failed=18ac3e73 held=18ac3e73:audit.on-call",
                marks(&[
                    (Matter::Failed, taken("d", &[])),
                    (Matter::Held, taken("d", &["audit", "on-call"])),
                ]),
            ),
            (
                marks(&[(Matter::Failed, taken("d", &names)), unwanted.clone()]),
                "approval",
                marks(&[unwanted]),
            ),
        ] {
            let mut ours = revision("r@sha256:1");
            ours.tags.extend(Stamp::Told(receipts).tags());
            assert_eq!(ours.tags[TOLD], text);
            assert_eq!(of(&ours, &desired()).unwrap().applied.unwrap().receipts, Some(read));
        }
        let mut older = revision("r@sha256:1");
        older.tags.remove(TOLD);
        assert_eq!(of(&older, &desired()).unwrap().applied.unwrap().receipts, None);
    }

    /// Tags that others may declare are counted by these keys: one that is missing there would be refused by AWS here.
    #[test]
    fn every_key_that_is_written_is_known() {
        let settings = SettingsStamp { hash: "h".to_owned(), done: true };
        let mut written = revision("r@sha256:1").tags;
        for stamp in [failed(Some(7)), Stamp::Retry("d".to_owned()), Stamp::Settings(settings)] {
            written.extend(stamp.tags());
        }
        let written: Vec<&str> =
            written.keys().map(String::as_str).filter(|key| !key.starts_with(COMMIT_OF)).collect();
        let mut known = [KEYS.as_slice(), &[TOLD]].concat();
        known.sort_unstable();
        assert_eq!(written, known);
    }

    #[test]
    fn what_aws_fills_in_does_not_change_the_hash() {
        let declared = json!({"family": "f", "containerDefinitions": [{"name": "a", "image": "i"}]});
        let described = json!({"family": "f", "volumes": [], "containerDefinitions":
            [{"name": "a", "image": "i", "cpu": 0, "essential": true, "environment": []}]});
        let target = desired().target;
        assert_eq!(content_hash(&target, &declared), content_hash(&target, &described));
    }
}
