//! What targets of one environment owe each other: shared tags, `rollout` limits, `after:`. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    ApplicationName, Declaration, Declared, Desired, Digest, EnvironmentName, MoveTag, Phase, Proof,
    Registry, RepositoryName, Running, Status, Sync, Tag, Target, Waiting,
};
use crate::plan::{Followers, TagPeer};

/// Who shares what with whom, by one declaration.
pub(super) struct Peers<'a> {
    readable: BTreeMap<&'a Target, &'a Desired>,
    frozen: BTreeSet<&'a Target>,
    by_tag: BTreeMap<Shared<'a>, Vec<&'a Desired>>,
}

/// An environment tag in one repository.
type Shared<'a> = (&'a EnvironmentName, &'a Registry, &'a RepositoryName, &'a Tag);

impl<'a> Peers<'a> {
    pub fn of(declaration: &'a Declaration) -> Self {
        let mut peers = Self { readable: BTreeMap::new(), frozen: BTreeSet::new(), by_tag: BTreeMap::new() };
        for declared in &declaration.applications {
            match declared {
                Declared::Readable(desired) => drop(peers.readable.insert(&desired.target, desired)),
                Declared::Frozen(frozen) => drop(peers.frozen.insert(&frozen.target)),
            }
            // What is frozen runs on, and has its say about a tag.
            let Some(desired) = declared.observable() else { continue };
            for shared in shared(desired) {
                peers.by_tag.entry(shared).or_default().push(desired);
            }
        }
        peers
    }

    /// The environments of which this is true for all targets.
    pub fn environments_all(&self, is: impl Fn(&Target) -> bool) -> BTreeSet<&'a EnvironmentName> {
        let all = || self.readable.keys().chain(&self.frozen);
        let others: BTreeSet<_> =
            all().filter(|target| !is(target)).map(|target| &target.environment).collect();
        all().map(|target| &target.environment).filter(|environment| !others.contains(environment)).collect()
    }

    /// Those whose standing decides about this one by name, beside the limits of the environment.
    pub fn relevant(&self, desired: &'a Desired) -> Vec<&'a Desired> {
        let first = desired.after.iter().filter_map(|name| self.readable.get(&beside(desired, name)));
        let sharing = shared(desired).filter_map(|shared| self.by_tag.get(&shared)).flatten();
        let after = self.after(desired);
        let peers = first.chain(sharing).chain(&after).filter(|peer| peer.target != desired.target);
        let peers: BTreeMap<&Target, &Desired> = peers.map(|peer| (&peer.target, *peer)).collect();
        peers.into_values().collect()
    }
}

impl<'a> Peers<'a> {
    /// Those that come directly after a task; of a service nobody asks.
    fn after(&self, desired: &Desired) -> Vec<&'a Desired> {
        if desired.task().is_none() {
            return Vec::new();
        }
        let own = &desired.target;
        let environment = self.readable.values().filter(|one| one.target.environment == own.environment);
        environment.filter(|one| one.after.contains(&own.application)).copied().collect()
    }
}

/// Whether all who come after a task run what they declare already.
pub(super) fn followers(desired: &Desired, peers: &Peers<'_>, ledger: &Ledger) -> Followers {
    let after = peers.after(desired);
    let runs = |one: &&Desired| ledger.statuses.get(&one.target).is_some_and(runs_declared);
    if !after.is_empty() && after.iter().all(runs) { Followers::RunDeclared } else { Followers::Elsewhere }
}

/// By the commits of what runs, whatever else is declared of it.
fn runs_declared(status: &Status) -> bool {
    let Some(declared) = &status.declared else { return false };
    let is_declared = |running: &Running| running.commits.iter().any(|commit| commit.matches(declared));
    status.last_deployment.as_ref().is_none_or(|last| last.phase == Phase::Succeeded)
        && !status.running.is_empty()
        && status.running.iter().all(is_declared)
}

fn beside(desired: &Desired, application: &ApplicationName) -> Target {
    Target { application: application.clone(), ..desired.target.clone() }
}

fn shared(desired: &Desired) -> impl Iterator<Item = Shared<'_>> {
    let (environment, tag) = (&desired.target.environment, &desired.environment_tag);
    desired.images.iter().map(move |image| (environment, &desired.registry, &image.repository, tag))
}

/// Where targets stand, as far as this process has looked.
#[derive(Default)]
pub(super) struct Ledger {
    statuses: BTreeMap<Target, Status>,
    in_flight: Tally,
    failed: Tally,
    /// Whether what others may wait for has changed since it was asked.
    changed: bool,
}

/// Applications by environment.
type Tally = BTreeMap<EnvironmentName, BTreeSet<ApplicationName>>;

impl Ledger {
    pub fn statuses(&self) -> &BTreeMap<Target, Status> {
        &self.statuses
    }

    /// Whether the target was looked at.
    pub fn knows(&self, target: &Target) -> bool {
        self.statuses.contains_key(target)
    }

    /// Forgets all but these.
    pub fn retain(&mut self, keep: impl Fn(&Target) -> bool) {
        let gone: Vec<Target> = self.statuses.keys().filter(|target| !keep(target)).cloned().collect();
        for target in gone {
            self.statuses.remove(&target);
            self.mark(&target, Some(false), false);
        }
    }

    /// Takes note of where a target stands.
    pub fn looked(&mut self, status: &Status) {
        // A start that cannot be seen yet goes on counting, and so does one of which the registration was made.
        let unseen = matches!(status.waiting, None | Some(Waiting::Consistency { .. }));
        let in_flight = (is_in_flight(status) || !unseen).then(|| is_in_flight(status));
        self.mark(&status.target, in_flight, matches!(status.waiting, Some(Waiting::Held { .. })));
        let before = self.statuses.insert(status.target.clone(), status.clone());
        let standing = |status: &Status| (has_succeeded(status), status.good.clone());
        self.changed |= before.as_ref().map(standing) != Some(standing(status));
    }

    /// A deployment was started.
    pub fn started(&mut self, target: &Target) {
        mark(&mut self.in_flight, target, true);
    }

    fn mark(&mut self, target: &Target, in_flight: Option<bool>, failed: bool) {
        if let Some(is) = in_flight {
            self.changed |= mark(&mut self.in_flight, target, is);
        }
        self.changed |= mark(&mut self.failed, target, failed);
    }

    /// Whether anything has changed since it was asked last that others may wait for.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// How many deployments go on.
    pub fn in_flight(&self) -> usize {
        self.in_flight.values().map(BTreeSet::len).sum()
    }

    /// How many deployments may begin besides those in flight.
    pub fn room(&self, environment: &EnvironmentName, max_in_flight: usize) -> usize {
        max_in_flight.saturating_sub(self.in_flight.get(environment).map_or(0, BTreeSet::len))
    }

    /// Whether the target waits for others to end.
    pub fn awaits_turn(&self, target: &Target) -> bool {
        let waiting = self.statuses.get(target).and_then(|status| status.waiting.as_ref());
        matches!(waiting, Some(Waiting::Turn { .. }))
    }

    /// What last succeeded there and runs.
    fn good(&self, target: &Target, repository: &RepositoryName) -> Option<&Digest> {
        self.statuses.get(target)?.good.get(repository)
    }
}

/// What is declared runs steadily, or has before the service was scaled to zero.
fn has_succeeded(status: &Status) -> bool {
    status.sync == Sync::Synced && status.proof == Proof::Proven
}

/// Whether that changes anything.
fn mark(tally: &mut Tally, target: &Target, is: bool) -> bool {
    let applications = tally.entry(target.environment.clone()).or_default();
    if is {
        applications.insert(target.application.clone())
    } else {
        applications.remove(&target.application)
    }
}

/// How many others of the environment.
fn others(tally: &Tally, target: &Target) -> usize {
    let all = tally.get(&target.environment);
    all.map_or(0, |all| all.len() - usize::from(all.contains(&target.application)))
}

fn is_in_flight(status: &Status) -> bool {
    status
        .last_deployment
        .as_ref()
        .is_some_and(|last| matches!(last.phase, Phase::Pending | Phase::InProgress | Phase::RollingBack))
}

/// Why `desired` must not start a deployment now.
pub(super) fn turn(desired: &Desired, peers: &Peers<'_>, ledger: &Ledger) -> Option<String> {
    let environment = &desired.target.environment;
    for application in &desired.after {
        let first = beside(desired, application);
        if peers.frozen.contains(&first) {
            return Some(format!("after {first}, whose files cannot be read"));
        }
        let status = ledger.statuses.get(&first);
        if !peers.readable.contains_key(&first) || status.is_some_and(has_succeeded) {
            continue;
        }
        let why = match status {
            Some(status) if status.sync == Sync::Synced => ", which has no task that would prove it",
            Some(Status { waiting: Some(Waiting::Held { .. }), .. }) => ", which has failed",
            Some(Status { waiting: Some(Waiting::OutcomeUnknown { .. }), .. }) => {
                ", of which nobody knows how it ended"
            }
            _ => "",
        };
        return Some(format!("after {first}{why}"));
    }
    let in_flight = others(&ledger.in_flight, &desired.target);
    if in_flight >= desired.rollout.max_in_flight {
        return Some(format!("{in_flight} deployments are in flight in {environment}"));
    }
    let failed = others(&ledger.failed, &desired.target);
    let stopped = desired.rollout.stop_after_failures.is_some_and(|limit| failed >= limit);
    stopped.then(|| format!("{failed} applications are held in {environment}"))
}

/// Who shares the tag of each repository: it moves when the same image has succeeded and runs in all of them.
pub(super) fn tag_peers(
    desired: &Desired,
    peers: &Peers<'_>,
    ledger: &Ledger,
) -> BTreeMap<RepositoryName, Vec<TagPeer>> {
    let mut found = BTreeMap::new();
    for (image, shared) in desired.images.iter().zip(shared(desired)) {
        let sharing = peers.by_tag.get(&shared).into_iter().flatten();
        let others = sharing
            .filter(|peer| peer.target != desired.target && peer.policy.move_tag == MoveTag::AfterSuccess);
        let others = others.map(|peer| TagPeer {
            target: peer.target.clone(),
            digest: ledger.good(&peer.target, &image.repository).cloned(),
        });
        found.insert(image.repository.clone(), others.collect());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{self, Files};
    use crate::model::{Health, LastDeployment, StartedBy};

    /// The applications of environment test, all from one repository: name, commit, more lines of the specification.
    fn declaration(rollout: &str, applications: &[(&str, &str, &str)]) -> Declaration {
        let mut files = Files::new();
        let mut entries = String::new();
        for (name, commit, more) in applications {
            let text = format!(
                "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {{name: {name}}}\nspec:\n  repository: mco/api\n  service: {name}\n{more}"
            );
            files.insert(format!("{name}.yaml"), Ok(text));
            entries = format!("{entries}    {name}: {{commit: {commit}}}\n");
        }
        let environment = format!(
            "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {{name: test}}\nspec:\n{rollout}  applications:\n{entries}"
        );
        files.insert("test.yaml".to_owned(), Ok(environment));
        manifest::read(&files, None, &|_, _| Vec::new())
    }

    fn target(name: &str) -> Target {
        Target { environment: EnvironmentName::new("test"), application: ApplicationName::new(name) }
    }

    fn status(name: &str, sync: Sync, phase: Phase, waiting: Option<Waiting>) -> Status {
        Status {
            target: target(name),
            checked_at: 0,
            facts_checked_at: 0,
            declared: None,
            stands_for: Vec::new(),
            tagged: None,
            deployed: None,
            running: Vec::new(),
            desired_count: 1,
            sync,
            health: Health::Healthy,
            conditions: Vec::new(),
            waiting,
            last_deployment: Some(LastDeployment {
                id: Some("1".to_owned()),
                commit: None,
                phase,
                shift: None,
                started_by: StartedBy::Trueup,
                infra: None,
                started_at: 0,
                ended_at: None,
                replaces: None,
                causes: Vec::new(),
            }),
            drift: Vec::new(),
            is_recorded: true,
            proof: Proof::Proven,
            last_run: None,
            failing_since: None,
            failing_causes: Vec::new(),
            causes: Vec::new(),
            good: BTreeMap::new(),
            is_observed: true,
            since: None,
            hold: None,
            unread: std::collections::BTreeSet::new(),
            kept: Vec::new(),
        }
    }

    fn synced(name: &str) -> Status {
        let good = BTreeMap::from([(RepositoryName::new("mco/api"), Digest::new("sha256:b"))]);
        Status { good, ..status(name, Sync::Synced, Phase::Succeeded, Some(Waiting::Settled)) }
    }

    fn held(name: &str) -> Status {
        let commit = crate::model::Commit::new("bbbbbbb");
        let waiting = Waiting::Held { commit, deployment: None, stranded: None };
        status(name, Sync::OutOfSync, Phase::RolledBack, Some(waiting))
    }

    /// Why api must not start, and who shares its tag with which good digest.
    fn gates(declaration: &Declaration, ledger: &Ledger) -> (Option<String>, Option<String>) {
        let peers = Peers::of(declaration);
        let api = peers.readable[&target("api")];
        let tag = tag_peers(api, &peers, ledger).into_values().flatten().next();
        let tag = tag.map(|peer| match peer.digest {
            Some(digest) => format!("{} {digest}", peer.target),
            None => peer.target.to_string(),
        });
        (turn(api, &peers, ledger), tag)
    }

    #[track_caller]
    fn check(declaration: &Declaration, statuses: &[Status], turn: Option<&str>, tag: Option<&str>) {
        let mut ledger = Ledger::default();
        for status in statuses {
            ledger.looked(status);
        }
        let found = gates(declaration, &ledger);
        assert_eq!((found.0.as_deref(), found.1.as_deref()), (turn, tag));
    }

    #[test]
    fn who_shares_a_tag_is_told_with_what_is_good_there() {
        // What they declare is of no interest: the tag says what runs.
        for worker in ["bbbbbbb", "aaaaaaa"] {
            let same = declaration("", &[("api", "bbbbbbb", ""), ("worker", worker, "")]);
            check(&same, &[synced("worker")], None, Some("test/worker sha256:b"));
            check(&same, &[], None, Some("test/worker"));
            check(&same, &[held("worker")], None, Some("test/worker"));
        }
        let apart = ("worker", "aaaaaaa", "  environmentTag: worker\n");
        check(&declaration("", &[("api", "bbbbbbb", ""), apart]), &[], None, None);
        let broken = ("worker", "aaaaaaa", "  nonsense: 1\n");
        let broken = declaration("", &[("api", "bbbbbbb", ""), broken]);
        check(&broken, &[], None, Some("test/worker"));
        check(&broken, &[synced("worker")], None, Some("test/worker sha256:b"));
        let never = ("worker", "aaaaaaa", "  policy: {moveTag: never}\n");
        check(&declaration("", &[("api", "bbbbbbb", ""), never]), &[], None, None);
    }

    #[test]
    fn what_comes_first_must_be_there_and_readable() {
        let worker = ("worker", "aaaaaaa", "  environmentTag: worker\n");
        let after = declaration("", &[("api", "bbbbbbb", "  after: [worker]\n"), worker]);
        check(&after, &[synced("worker")], None, None);
        check(&after, &[], Some("after test/worker"), None);
        let settling = status("worker", Sync::OutOfSync, Phase::InProgress, None);
        check(&after, &[settling], Some("after test/worker"), None);
        let unproven = Status { proof: Proof::Unproven, health: Health::Suspended, ..synced("worker") };
        let why = "after test/worker, which has no task that would prove it";
        check(&after, &[unproven], Some(why), None);
        let proven = Status { health: Health::Suspended, ..synced("worker") };
        check(&after, &[proven], None, None);
        let broken = ("worker", "aaaaaaa", "  nonsense: 1\n");
        let frozen = declaration("", &[("api", "bbbbbbb", "  after: [worker]\n"), broken]);
        let why = "after test/worker, whose files cannot be read";
        check(&frozen, &[], Some(why), Some("test/worker"));
    }

    #[test]
    fn an_environment_has_limits() {
        let names = ["one", "two"].map(|name| (name, "bbbbbbb", "  environmentTag: other\n"));
        let all = [("api", "bbbbbbb", ""), names[0], names[1]];
        let limited = declaration("  rollout: {maxInFlight: 2, stopAfterFailures: 1}\n", &all);
        let going = |name| status(name, Sync::OutOfSync, Phase::InProgress, None);
        check(&limited, &[going("one"), synced("two")], None, None);
        check(&limited, &[going("api"), going("one"), synced("two")], None, None);
        check(&limited, &[going("one"), going("two")], Some("2 deployments are in flight in test"), None);
        check(&limited, &[held("api"), held("one")], Some("1 applications are held in test"), None);
    }

    #[test]
    fn a_start_counts_before_it_can_be_seen_and_no_longer_than_it_goes_on() {
        let one = ("one", "bbbbbbb", "  environmentTag: other\n");
        let limited = declaration("  rollout: {maxInFlight: 1}\n", &[("api", "bbbbbbb", ""), one]);
        let mut ledger = Ledger::default();
        ledger.started(&target("one"));
        let unseen = Waiting::Consistency { what: "the deployment" };
        ledger.looked(&status("one", Sync::OutOfSync, Phase::Succeeded, Some(unseen)));
        assert_eq!(gates(&limited, &ledger).0.as_deref(), Some("1 deployments are in flight in test"));
        ledger.looked(&synced("one"));
        assert_eq!(gates(&limited, &ledger).0, None);
        ledger.started(&target("one"));
        ledger.looked(&status("one", Sync::OutOfSync, Phase::InProgress, None));
        ledger.retain(|_| false);
        assert_eq!(gates(&limited, &ledger).0, None, "what is no longer declared takes no place");
    }

    #[test]
    fn those_whose_standing_decides_are_named() {
        let first = ("first", "aaaaaaa", "  environmentTag: first\n");
        let other = ("other", "aaaaaaa", "  environmentTag: other\n");
        let all = [("api", "bbbbbbb", "  after: [first]\n"), first, other, ("worker", "bbbbbbb", "")];
        let declaration = declaration("", &all);
        let peers = Peers::of(&declaration);
        let relevant = peers.relevant(peers.readable[&target("api")]);
        let names: Vec<String> = relevant.iter().map(|peer| peer.target.to_string()).collect();
        assert_eq!(names, ["test/first", "test/worker"]);
    }
}
