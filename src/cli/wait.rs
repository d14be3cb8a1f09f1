//! `trueup wait`: for CI. Writes nothing; looks until it is known what became of a commit here, and says each change on
//! stderr.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::end::{self, Asked, End, Standing};
use super::source::InfraRepository;
use super::{Names, RepositoryArgs, controller, jittered, pause, progress};
use crate::controller::{SweepResult, Writes};
use crate::model::{Commit, Declaration, Declared, Desired, InfraCommit, MoveTag, Phase, Traffic, Waiting};
use crate::plan::waiting::Class;
use crate::plan::{self, Plan};
use crate::view::{status, words};

/// How long what only a person can end may go on before the wait ends: this clone may be a moment behind the controller,
/// which then looks as if the history had been rewritten.
const STUCK: Duration = Duration::from_secs(20);
/// The longest rest between two looks, but for those that failed. One service costs a few calls a look.
const REST: Duration = Duration::from_secs(5);

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Until {
    Success,
    Traffic,
}

/// When it gives up.
pub(super) struct Patience {
    pub(super) whole: Duration,
    /// How long a remote repository may not declare the commit: its merge may be on its way.
    pub(super) undeclared: Duration,
}

pub(super) async fn run(
    arguments: &RepositoryArgs,
    name: &str,
    commit: Commit,
    (until, patience): (Until, Patience),
) -> anyhow::Result<End> {
    let mut watch = Watch {
        name: name.to_owned(),
        commit,
        until,
        patience,
        is_seen: false,
        searched: None,
        said: String::new(),
        last: (End::NotReached, "AWS and the repository were not read in time".to_owned()),
    };
    // Whatever hangs, a fetch or a call to AWS, the wait ends in time: nothing is written that could be cut off.
    let (end, why) = match tokio::time::timeout(watch.patience.whole, watch.ended(arguments)).await {
        Ok(ended) => ended?,
        Err(_) => {
            let (end, last) = watch.last;
            (end, format!("not reached after {} s: {last}", watch.patience.whole.as_secs()))
        }
    };
    say!("{}: {} {why}", watch.name, watch.commit.short());
    Ok(end)
}

struct Watch {
    name: String,
    commit: Commit,
    until: Until,
    patience: Patience,
    /// It has been declared since the wait began.
    is_seen: bool,
    /// The infra commit whose history was searched last for an earlier declaration.
    searched: Option<InfraCommit>,
    /// The line that was printed last.
    said: String,
    /// What the wait ends with when its time is over.
    last: (End, String),
}

/// What cannot be a commit or a release is never declared: waiting for it would only end in a timeout.
pub(super) fn named(commit: &str) -> anyhow::Result<Commit> {
    let looks_cut = commit.len() < Commit::MIN_DIGITS
        && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
        && commit.bytes().any(|byte| byte.is_ascii_alphabetic());
    let is_release = commit.bytes().any(|byte| byte.is_ascii_digit()) && !looks_cut;
    let named = Commit::new(commit);
    ensure!(
        is_release || !named.is_release(),
        "neither a commit ID nor a release: {commit:?}\n  hint  a commit has 7 to 40 hexadecimal digits; for what a name stands for: git rev-parse {commit}"
    );
    Ok(named)
}

impl Watch {
    async fn ended(&mut self, arguments: &RepositoryArgs) -> anyhow::Result<(End, String)> {
        let source = InfraRepository::with(&arguments.settings()?)?;
        source.fetch().await?;
        let mut controller = controller(source.clone()).await;
        let started = Instant::now();
        let mut stuck = None;
        loop {
            let (_, declaration) = source.committed()?;
            if !self.is_seen {
                self.name = Names { targets: vec![self.name.clone()] }.only(&declaration)?.to_string();
            }
            let name = &self.name;
            let swept = progress::sweep(&mut controller, &declaration, Writes::Withheld, |target| {
                target.to_string() == *name
            })
            .await;
            let verdict = self.look(&declaration, swept.first());
            let is_stuck = matches!(verdict, Verdict::Stuck(..));
            match verdict {
                Verdict::Ended(end, why) => return Ok((end, why)),
                Verdict::Pending(end, why) => self.last = (end, why),
                Verdict::Stuck(end, why) => {
                    if stuck.get_or_insert_with(Instant::now).elapsed() >= STUCK {
                        return Ok((end, why));
                    }
                    self.last = (end, why);
                }
                Verdict::Undeclared(now) => {
                    if self.is_seen || self.was_declared(&source, &declaration).await {
                        return Ok((End::NotReached, format!("was superseded: {now}")));
                    }
                    let (end, why) = undeclared(&source, &now);
                    if !source.is_remote() || started.elapsed() >= self.patience.undeclared {
                        return Ok((end, why));
                    }
                    self.last = (end, why);
                }
            }
            if !is_stuck {
                stuck = None;
            }
            tokio::time::sleep(jittered(rest(&swept))).await;
            // What was read before stays good while the repository cannot be reached.
            if let Err(error) = source.fetch().await {
                self.say(format!("{error:#}"));
            }
        }
    }

    fn look(&mut self, declaration: &Declaration, one: Option<&SweepResult>) -> Verdict {
        let Some(one) = one else {
            return Verdict::Undeclared("the application is no longer declared".to_owned());
        };
        self.say(status::progress(&one.plan));
        let declared = declaration.applications.iter().find(|declared| *declared.target() == one.target);
        let desired = declared.and_then(Declared::observable);
        let verdict = verdict(&one.plan, desired, &self.commit, self.until);
        self.is_seen |= declares(&one.plan, &self.commit);
        verdict
    }

    /// Whether the branch declared it before what it declares now. A history is searched once.
    async fn was_declared(&mut self, source: &InfraRepository, declaration: &Declaration) -> bool {
        if self.searched == declaration.infra_commit {
            return false;
        }
        self.searched.clone_from(&declaration.infra_commit);
        let find = |declared: &&Declared| declared.target().to_string() == self.name;
        let Some(desired) = declaration.applications.iter().find(find).and_then(Declared::observable) else {
            return false;
        };
        source.has_declared(desired, declaration.infra_commit.as_ref(), &self.commit).await
    }

    /// One line for each change.
    fn say(&mut self, line: String) {
        if self.said != line {
            say!("{line}");
            self.said = line;
        }
    }
}

/// What one look says of the commit.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing changes it any more.
    Ended(End, String),
    /// It may still change by itself, or by the controller. With it the wait ends when its time is over.
    Pending(End, String),
    /// Only a person can change it.
    Stuck(End, String),
    /// What is declared instead.
    Undeclared(String),
}

/// Two commits may begin alike: where more digits are asked for than are declared, ECR tells which one is meant.
fn declares(plan: &Plan, commit: &Commit) -> bool {
    let Some(declared) = plan.status.declared.as_ref().filter(|declared| declared.matches(commit)) else {
        return false;
    };
    let stands_for = &plan.status.stands_for;
    commit.as_str().len() <= declared.as_str().len()
        || stands_for.is_empty()
        || stands_for.iter().any(|longer| longer.matches(commit))
}

fn verdict(plan: &Plan, desired: Option<&Desired>, commit: &Commit, until: Until) -> Verdict {
    let standing = end::standing(plan);
    let ends_with = end::end(Asked::Wait, standing);
    let Some(desired) = desired.filter(|_| standing != Standing::Frozen) else {
        return Verdict::Stuck(ends_with, plan::waiting::describe(&Waiting::Frozen));
    };
    if !declares(plan, commit) {
        return Verdict::Undeclared(declared_instead(plan, commit));
    }
    let target = &desired.target;
    match standing {
        Standing::Failed => Verdict::Ended(ends_with, failed(plan, desired)),
        // Its image may be gone by now: it failed all the same.
        _ if plan.failure.is_some() => Verdict::Ended(End::Failed, failed(plan, desired)),
        _ if until == Until::Traffic && has_all_traffic(plan, commit) => {
            let what = "all production traffic is on it; it has yet to succeed";
            Verdict::Ended(End::Good, what.to_owned())
        }
        Standing::AsDeclared | Standing::Unproven | Standing::TagWaits | Standing::TagStays => {
            Verdict::Ended(ends_with, succeeded(standing, plan, desired))
        }
        Standing::TagSuspended if desired.policy.move_tag == MoveTag::Never => {
            Verdict::Ended(End::Good, succeeded(standing, plan, desired))
        }
        Standing::TagSuspended => {
            let tag = &desired.environment_tag;
            Verdict::Pending(ends_with, format!("runs; tag \"{tag}\" has yet to move: {}", pending(plan)))
        }
        Standing::Stalled | Standing::Drifted => {
            let waiting = plan.waiting.as_ref();
            let hint = waiting.and_then(|waiting| plan::waiting::hint(waiting, target));
            let hint = hint.map(|hint| format!("\n  hint  {hint}")).unwrap_or_default();
            let causes = words::told(&plan.status.causes);
            let causes = if causes.is_empty() { causes } else { format!("\n{}", causes.trim_end()) };
            Verdict::Stuck(ends_with, format!("is stuck: {}{causes}{hint}", pending(plan)))
        }
        _ => Verdict::Pending(ends_with, pending(plan)),
    }
}

/// With as many digits as tell the two apart.
fn declared_instead(plan: &Plan, commit: &Commit) -> String {
    let Some(declared) = &plan.status.declared else { return "nothing is declared now".to_owned() };
    if declared.short() != commit.short() {
        return format!("{} is declared now", declared.short());
    }
    let longer = plan.status.stands_for.first();
    let longer = longer.map(|longer| format!(", which is {longer} here")).unwrap_or_default();
    format!("{declared} is declared now{longer}")
}

/// Whether a deployment of the commit goes on that has nothing more to shift.
fn has_all_traffic(plan: &Plan, commit: &Commit) -> bool {
    let Some(last) = &plan.status.last_deployment else { return false };
    let is_it = last.commit.as_ref().is_some_and(|deployed| deployed.matches(commit));
    let is_settling = matches!(plan.waiting, Some(Waiting::Settling { .. }));
    let has_shifted = last.shift.as_ref().is_some_and(|shift| shift.traffic() == Traffic::OnNew);
    is_it && last.phase == Phase::InProgress && (is_settling || has_shifted)
}

/// Why it is not there yet.
fn pending(plan: &Plan) -> String {
    match (&plan.waiting, plan.steps.first()) {
        (Some(Waiting::Settled), _) => "it is deployed and not healthy yet".to_owned(),
        (Some(waiting), _) => plan::waiting::describe(waiting),
        (None, Some(step)) => format!("a controller has yet to: {}", words::step_line(step)),
        (None, None) => String::new(),
    }
}

fn failed(plan: &Plan, desired: &Desired) -> String {
    let causes = words::told(&plan.status.causes);
    let target = &desired.target;
    // What stands in the way now, such as an image that was removed since, a retry would meet too.
    let in_the_way = plan
        .waiting
        .as_ref()
        .filter(|waiting| matches!(plan::waiting::class(waiting), Class::Stalled | Class::Build));
    let hint = in_the_way.map_or_else(
        || format!("promote a fixed commit, or run `trueup retry {target}`"),
        |waiting| plan::waiting::hint(waiting, target).unwrap_or_else(|| "promote a fixed commit".to_owned()),
    );
    format!("failed here\n{causes}  hint   {hint}")
}

/// How it succeeded, and where the environment tag is.
fn succeeded(standing: Standing, plan: &Plan, desired: &Desired) -> String {
    let (tag, commit) = (&desired.environment_tag, desired.commit());
    let is_tagged = plan.status.tagged.as_ref().is_some_and(|tagged| tagged.matches(commit));
    match (standing, &plan.waiting) {
        (Standing::Unproven, _) => {
            "is deployed and unproven: the desired count is 0, and the environment tag moves after a task has run"
                .to_owned()
        }
        _ if is_tagged => format!("succeeded; tag \"{tag}\" is on it"),
        (Standing::TagWaits | Standing::TagStays, Some(waiting)) => {
            format!("succeeded; {}", plan::waiting::describe(waiting))
        }
        _ if desired.policy.move_tag == MoveTag::Never => {
            format!("succeeded; tag \"{tag}\" stays where it is: policy.moveTag is never")
        }
        (_, Some(waiting @ Waiting::Observing)) => {
            format!("succeeded; tag \"{tag}\" does not move: {}", plan::waiting::describe(waiting))
        }
        _ => format!("runs; tag \"{tag}\" is not moved: trueup did not deploy it"),
    }
}

fn undeclared(source: &InfraRepository, now: &str) -> (End, String) {
    let hint = if source.is_remote() {
        "merge it, or wait longer with --declared-within"
    } else {
        "commit it; what others push is seen where --repo is the address of the repository"
    };
    (End::NotReached, format!("is not declared: {now}\n  hint  {hint}"))
}

fn rest(swept: &[SweepResult]) -> Duration {
    let is_unreadable = |one: &SweepResult| end::standing(&one.plan) == Standing::Unreadable;
    let asked = pause(swept);
    if swept.iter().any(is_unreadable) { asked } else { asked.min(REST) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::end::tests::{plan, suspended, target};
    use crate::manifest::{self, Files};
    use crate::model::{
        Digest, Health, LastDeployment, MovedTag, Share, Shift, Stage, StartedBy, Sync, TaskDefinitionArn,
    };

    const APPLICATION: &str = "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: api}\nspec:\n  repository: mco/api\n  service: mco-api\n";
    const ENVIRONMENT: &str = "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {name: test}\nspec:\n  applications:\n    api: {commit: bbbbbbb, policy: {moveTag: afterSuccess}}\n";

    fn desired(environment: &str) -> Desired {
        let files = [("api.yaml", APPLICATION), ("test.yaml", environment)];
        let files: Files =
            files.iter().map(|(name, text)| ((*name).to_owned(), Ok((*text).to_owned()))).collect();
        manifest::read(&files, None, &|_, _| Vec::new()).readable().next().unwrap().clone()
    }

    /// Commit bbbbbbb is declared, and the environment tag is on `tagged`.
    fn declared(waiting: Option<Waiting>, sync: Sync, health: Health, tagged: &str) -> Plan {
        let mut plan = plan(waiting, sync, health);
        plan.status.declared = Some(Commit::new("bbbbbbb"));
        plan.status.tagged = Some(Commit::new(tagged));
        plan
    }

    #[track_caller]
    fn check(plan: &Plan, environment: &str, expected: (&str, End, &str)) {
        let commit = Commit::new("bbbbbbb");
        let verdict = verdict(plan, Some(&desired(environment)), &commit, Until::Success);
        let (kind, end, why) = match verdict {
            Verdict::Ended(end, why) => ("ended", end, why),
            Verdict::Pending(end, why) => ("pending", end, why),
            Verdict::Stuck(end, why) => ("stuck", end, why),
            Verdict::Undeclared(why) => ("undeclared", End::NotReached, why),
        };
        assert_eq!((kind, end), (expected.0, expected.1), "{why}");
        assert!(why.contains(expected.2), "{:?} is not in {why}", expected.2);
    }

    #[test]
    fn a_commit_that_only_begins_like_the_declared_one_is_another() {
        let desired = desired(ENVIRONMENT);
        let mut plan = declared(Some(Waiting::Settled), Sync::Synced, Health::Healthy, "bbbbbbb");
        for (stands_for, asked, is_it) in [
            (&[][..], "bbbbbbb1", true),
            (&["bbbbbbb1111"], "bbbbbbb1", true),
            (&["bbbbbbb1111"], "bbbbbbb", true),
            (&["bbbbbbb1111"], "bbbbbbb2", false),
            (&["bbbbbbb1111"], "bbbbbbb11112", true),
            (&["bbbbbbb1111", "bbbbbbb2222"], "bbbbbbb2", true),
        ] {
            plan.status.stands_for = stands_for.iter().map(|commit| Commit::new(*commit)).collect();
            let verdict = verdict(&plan, Some(&desired), &Commit::new(asked), Until::Success);
            let expected = match &verdict {
                Verdict::Ended(End::Good, _) => true,
                Verdict::Undeclared(now) => {
                    assert_eq!(now, "bbbbbbb is declared now, which is bbbbbbb1111 here");
                    false
                }
                other => panic!("{other:?}"),
            };
            assert_eq!(expected, is_it, "{stands_for:?} {asked}");
        }
    }

    #[test]
    fn what_can_never_be_declared_is_not_waited_for() {
        for commit in ["3f2c1ab", "abcdefa", "12345e7", "v1.10.20", "20240115", "42"] {
            assert_eq!(named(commit).unwrap().as_str(), commit);
        }
        for commit in ["HEAD", "", "8c1f0", "main", "v"] {
            assert!(named(commit).unwrap_err().to_string().contains("neither"), "{commit}");
        }
    }

    #[test]
    fn a_wait_goes_on_until_the_tag_has_moved_or_will_not_move() {
        let settled = || Some(Waiting::Settled);
        let observing = || Some(Waiting::Observing);
        let shared = || Some(Waiting::TagShared { tag: "test".to_owned(), with: "test/web".to_owned() });
        let immutable =
            || Some(Waiting::TagImmutable { repository: "mco/api".to_owned(), tag: "test".to_owned() });
        let never = ENVIRONMENT.replace("afterSuccess", "never");
        let (synced, healthy) = (Sync::Synced, Health::Healthy);
        for (waiting, health, tagged, environment, expected) in [
            (
                settled(),
                healthy,
                "bbbbbbb",
                ENVIRONMENT,
                ("ended", End::Good, "succeeded; tag \"test\" is on it"),
            ),
            (settled(), healthy, "aaaaaaa", never.as_str(), ("ended", End::Good, "policy.moveTag is never")),
            (settled(), healthy, "aaaaaaa", ENVIRONMENT, ("ended", End::Good, "trueup did not deploy it")),
            (shared(), healthy, "aaaaaaa", ENVIRONMENT, ("ended", End::Good, "test/web has succeeded")),
            (immutable(), healthy, "aaaaaaa", ENVIRONMENT, ("ended", End::Good, "does not let the tag")),
            (settled(), Health::Suspended, "aaaaaaa", ENVIRONMENT, ("ended", End::Good, "unproven")),
            (
                settled(),
                Health::Degraded,
                "bbbbbbb",
                ENVIRONMENT,
                ("pending", End::NotReached, "not healthy yet"),
            ),
            (
                observing(),
                healthy,
                "aaaaaaa",
                ENVIRONMENT,
                ("ended", End::Good, "does not move: mode is observe"),
            ),
            // A suspension ends, and the tag moves then.
            (
                suspended(),
                healthy,
                "aaaaaaa",
                ENVIRONMENT,
                ("pending", End::NotReached, "runs; tag \"test\" has yet to move: suspended: freeze"),
            ),
            (suspended(), healthy, "bbbbbbb", ENVIRONMENT, ("ended", End::Good, "tag \"test\" is on it")),
            (
                suspended(),
                healthy,
                "aaaaaaa",
                never.as_str(),
                ("ended", End::Good, "policy.moveTag is never"),
            ),
            // Moving the tag is the write that comes next.
            (None, healthy, "aaaaaaa", ENVIRONMENT, ("pending", End::NotReached, "a controller has yet to")),
        ] {
            check(&declared(waiting, synced, health, tagged), environment, expected);
        }
    }

    #[test]
    fn traffic_is_on_it_before_it_has_succeeded() {
        let going = |commit: &str, stage, percent| {
            let shift = Shift { production: Share::of_percent(percent), ..Shift::at(stage) };
            let commit = Some(Commit::new(commit));
            let waiting = Waiting::Deploying {
                phase: Phase::InProgress,
                commit: commit.clone(),
                by: StartedBy::Trueup,
                shift: Some(Box::new(shift.clone())),
            };
            let mut plan = declared(Some(waiting), Sync::OutOfSync, Health::Progressing, "aaaaaaa");
            plan.status.last_deployment = Some(LastDeployment {
                id: Some("d2".to_owned()),
                commit,
                phase: Phase::InProgress,
                shift: Some(shift),
                started_by: StartedBy::Trueup,
                infra: None,
                started_at: 0,
                ended_at: None,
                replaces: None,
                causes: Vec::new(),
            });
            plan
        };
        for (what, plan, is_there) in [
            ("bake", going("bbbbbbb", Stage::Standby, 100.0), true),
            ("the last step", going("bbbbbbb", Stage::Shifting, 100.0), false),
            ("ten percent", going("bbbbbbb", Stage::Shifting, 10.0), false),
            ("another commit", going("ccccccc", Stage::Standby, 100.0), false),
        ] {
            let of = |until| verdict(&plan, Some(&desired(ENVIRONMENT)), &Commit::new("bbbbbbb"), until);
            assert_eq!(matches!(of(Until::Traffic), Verdict::Ended(End::Good, _)), is_there, "{what}");
            assert!(matches!(of(Until::Success), Verdict::Pending(..)), "{what}: it has not succeeded");
        }
    }

    #[test]
    fn a_wait_tells_what_ends_it_from_what_may_pass() {
        let held = Waiting::Held { commit: Commit::new("bbbbbbb"), deployment: None, stranded: None };
        let removed = Waiting::ImageRemoved { repository: "mco/api".to_owned(), tag: "bbbbbbb".to_owned() };
        let out = |waiting| declared(Some(waiting), Sync::OutOfSync, Health::Healthy, "aaaaaaa");
        check(&out(held), ENVIRONMENT, ("ended", End::Failed, "or run `trueup retry test/api`"));
        check(&out(removed.clone()), ENVIRONMENT, ("stuck", End::Error, "has been removed"));
        let gone = Plan { failure: Some("d2".to_owned()), ..out(removed) };
        // A retry would be refused.
        check(&gone, ENVIRONMENT, ("ended", End::Failed, "failed here\n  hint   build and push it again"));
        check(&out(Waiting::Drifted), ENVIRONMENT, ("stuck", End::NotReached, "changed outside trueup"));
        let moved = MovedTag {
            repository: "mco/api".to_owned(),
            tag: "bbbbbbb".to_owned(),
            revision: TaskDefinitionArn::new("mco-api:2"),
            deployed: Digest::new("sha256:bb"),
            now: None,
            key: "trueup:commit".to_owned(),
        };
        let moved = Waiting::CommitTagMoved(Box::new(moved));
        check(&out(moved.clone()), ENVIRONMENT, ("stuck", End::Error, "tag bbbbbbb of mco/api is gone"));
        check(&out(moved), ENVIRONMENT, ("stuck", End::Error, "hint  nothing is deployed: point tag"));
        check(&out(Waiting::Observing), ENVIRONMENT, ("pending", End::NotReached, "mode is observe"));
        let unread = Waiting::Unreadable { what: "the service", why: "throttled".to_owned() };
        check(&out(unread), ENVIRONMENT, ("pending", End::Error, "cannot read the service"));
        let mut other = out(Waiting::Settled);
        other.status.declared = Some(Commit::new("ccccccc"));
        check(&other, ENVIRONMENT, ("undeclared", End::NotReached, "ccccccc is declared now"));
        let commit = Commit::new("bbbbbbb");
        let frozen = verdict(&Plan::unobserved(&target(), 0), None, &commit, Until::Success);
        assert!(matches!(frozen, Verdict::Stuck(End::Error, _)), "{frozen:?}");
    }
}
