//! An account and region: how it is reached, what is kept of its targets, and a pass over them.
//!
//! In a pass the calls of all targets go on side by side. Between them, here, one decision is made after the other, each
//! from what is known by then: a slot that is given away is seen by whoever is decided next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::time::Instant;

use super::access::Access;
use super::entry::{Entry, Left};
use super::execute::{operation, without_secrets};
use super::gates::{self, Ledger, Peers};
use super::inspect::Inspection;
use super::moment::{LookResult, Moment, OLDEST_FOR_A_RUN};
use super::outcome::{News, Outcome, Requeue, SweepResult, Writes};
use super::pace;
use crate::model::surroundings::{Questions, Surroundings};
use crate::model::{
    Declaration, Declared, Desired, EnvironmentName, InfraCommit, Inquiry, Mark, Matter, Millis, Observed,
    Past, Reading, RunAnswer, Status, Target, TaskDefinitionArn, Waiting,
};
use crate::plan::{self, Input, Plan, Recent, Reply, Step};
use crate::ports::CloudError;

/// Targets that are read at the same time. What keeps the calls within the rates of AWS stands below the ports; this bounds
/// memory.
const MOST_LOOKS: usize = 512;
/// Targets whose readings begin together, where there are so many. What they ask first goes along in few calls; one by one, as the
/// rate of the slowest call lets the others go on, each would take a call of its own.
const WAVE: usize = 256;
/// Targets that are about to be written to at the same time, for each kind of write: one kind that has to wait for its rate
/// holds up no other.
const MOST_WRITES: usize = 8;
/// How long a pass begins writes. Who has not had its turn by then has it in a later one: what was written for the others must not
/// wait for it.
const LONGEST_PASS: Duration = Duration::from_secs(5);

pub(super) struct Unit {
    access: Access,
    entries: BTreeMap<Target, Entry>,
    ledger: Ledger,
}

/// What holds for everybody in one pass.
pub(super) struct Round<'a> {
    pub peers: Peers<'a>,
    pub head: Option<&'a InfraCommit>,
    pub writes: Writes,
    /// Whether no newer head is known by now: for an older one nothing more is written.
    pub is_newest: &'a (dyn Fn() -> bool + Send + Sync),
}

/// What has come of the calls for one target.
enum Event<'a> {
    /// A reading that says whether there is work.
    Looked(&'a Desired, Box<LookResult>),
    /// The reading that a write of this kind rests on.
    Refreshed(&'a Desired, &'static str, Box<LookResult>),
    Wrote(&'a Desired, &'static str, Box<Observed>, Step, Result<Reply, CloudError>),
}

type Work<'a> = FuturesUnordered<BoxFuture<'a, Event<'a>>>;

impl Unit {
    pub fn new(access: Access) -> Self {
        Self { access, entries: BTreeMap::new(), ledger: Ledger::default() }
    }

    pub fn statuses(&self) -> impl Iterator<Item = &Status> {
        self.ledger.statuses().values()
    }

    /// What was read of a target last.
    pub fn last_look(&self, target: &Target) -> Option<&Observed> {
        self.entries.get(target)?.last_look.as_ref().map(|last| &last.observed)
    }

    /// Of a target that was looked at.
    pub async fn past(&self, desired: &Desired, head: Option<&InfraCommit>) -> Past {
        match self.last_look(&desired.target) {
            Some(observed) => self.access.past(desired, head, observed).await,
            None => Past::default(),
        }
    }

    /// The same, with what would be registered.
    pub async fn inspect(&self, desired: &Desired, head: Option<&InfraCommit>) -> Option<Inspection> {
        let observed = self.last_look(&desired.target)?;
        Some(self.access.inspect(desired, head, observed).await)
    }

    pub async fn look_around(&self, questions: &Questions) -> Surroundings {
        self.access.look_around(questions).await
    }

    /// Whether its time has come.
    pub fn has_come(&self, target: &Target) -> bool {
        self.entries.get(target).is_none_or(|entry| entry.is_due(self.access.clock.now()))
    }

    /// The same, or it is declared otherwise than when it was looked at last.
    pub fn is_due(&self, declared: &Declared) -> bool {
        let last = self.entries.get(declared.target()).and_then(|entry| entry.last_look.as_ref());
        last.is_some_and(|last| declared.observable() != Some(&last.desired))
            || self.has_come(declared.target())
    }

    /// How long it has been due; `None`: its time has not come, or it was never looked at.
    pub fn late(&self, target: &Target) -> Option<Duration> {
        let late = self.access.clock.now().checked_sub(self.entries.get(target)?.due?)?;
        u64::try_from(late).ok().map(Duration::from_millis)
    }

    /// When the next target is due, if there is one.
    pub fn next_due(&self) -> Option<Millis> {
        self.entries.values().filter_map(|entry| entry.due).min()
    }

    /// Forgets targets that are no longer declared.
    pub fn retain(&mut self, is_declared: impl Fn(&Target) -> bool) {
        self.ledger.retain(&is_declared);
        self.entries.retain(|target, _| is_declared(target));
    }

    /// Everything anew, with all that is remembered.
    pub async fn read(&self, desired: &Desired, head: Option<&InfraCommit>) -> Observed {
        self.access.everything(desired, head).await
    }

    /// A pass over the chosen ones, and what can be said of those of which nothing is known.
    pub async fn sweep(
        &mut self,
        declaration: &Declaration,
        round: &Round<'_>,
        chosen: &[&Desired],
        others: &[&Desired],
        unknown: &[&Target],
        tell: &mut (dyn FnMut(News<'_>) + Send),
    ) -> Vec<SweepResult> {
        let mut swept = self.pass(round, chosen, others, tell).await;
        for target in unknown {
            let one = self.unknown(target);
            tell(News::Swept(&one));
            swept.push(one);
        }
        self.wake(declaration, &round.peers);
        swept
    }

    /// A target whose files cannot be read, and of which nothing was known before.
    fn unknown(&mut self, target: &Target) -> SweepResult {
        let now = self.access.clock.now();
        let plan = Plan::unobserved(target, now);
        self.ledger.looked(&plan.status);
        let requeue = Requeue::After(pace::REST);
        let entry = self.entries.entry(target.clone()).or_default();
        *entry = Entry { due: Some(pace::due_at(now, requeue)), ..Entry::default() };
        SweepResult { target: target.clone(), plan, outcome: Outcome::Nothing, requeue }
    }

    /// Looks at the targets, and makes the writes that they need. `others` are only looked at: the chosen ones depend on them.
    async fn pass(
        &mut self,
        round: &Round<'_>,
        chosen: &[&Desired],
        others: &[&Desired],
        tell: &mut (dyn FnMut(News<'_>) + Send),
    ) -> Vec<SweepResult> {
        let books =
            Books { clock: &*self.access.clock, entries: &mut self.entries, ledger: &mut self.ledger };
        let mut pass = Pass {
            access: &self.access,
            familiar: round.peers.environments_all(|target| books.ledger.knows(target)),
            books,
            round,
            only_looked_at: others.iter().map(|desired| &desired.target).collect(),
            deepened: 0,
            unseen: chosen.iter().chain(others).map(|desired| (&desired.target, Instant::now())).collect(),
            parked: Vec::new(),
            lanes: BTreeMap::new(),
            swept: BTreeMap::new(),
            work: FuturesUnordered::new(),
            tell,
            ends: Instant::now() + LONGEST_PASS,
        };
        let mut queue: VecDeque<&Desired> = others.iter().chain(chosen).copied().collect();
        let mut looks = 0;
        loop {
            if looks + WAVE <= MOST_LOOKS {
                for desired in queue.drain(..queue.len().min(MOST_LOOKS - looks)) {
                    pass.look(desired);
                    looks += 1;
                }
            }
            let Some(event) = pass.work.next().await else { break };
            if let Event::Looked(desired, seen) = event {
                looks -= usize::from(pass.looked(desired, *seen));
            } else {
                pass.went_on(event);
            }
        }
        let mut swept = pass.swept;
        chosen.iter().filter_map(|desired| swept.remove(&desired.target)).collect()
    }

    /// Makes one write that a person asked for, such as `retry`; what was answered, where that was a task.
    pub async fn write_one(
        &mut self,
        desired: &Desired,
        step: Step,
    ) -> Result<Option<RunAnswer>, CloudError> {
        let observed = self.entries.get(&desired.target).and_then(|entry| entry.last_look.as_ref());
        let known = observed.map(|last| last.observed.revisions.clone()).unwrap_or_default();
        let result = self.access.write(desired, &step).await;
        let result = result.map_err(|error| without_secrets(error, desired, &step, &known));
        let run = match &result {
            Ok(Reply::Run(run)) => Some(run.clone()),
            _ => None,
        };
        // Whatever became of it, what was read before says nothing about what comes after it.
        if let Some(last) = self.entries.get_mut(&desired.target).and_then(|entry| entry.last_look.as_mut()) {
            last.until = Millis::MIN;
        }
        let mut books =
            Books { clock: &*self.access.clock, entries: &mut self.entries, ledger: &mut self.ledger };
        match books.outcome(desired, step, result) {
            Outcome::Failed(_, error) => Err(error),
            Outcome::Throttled { why, .. } => Err(CloudError::Throttled(why)),
            Outcome::Wrote(_) | Outcome::Nothing => Ok(run),
        }
    }

    /// Puts on record who has taken which alerts of a revision that was read; whether it is there now. It is made beside the decisions:
    /// what is known of the last write that matters stays known.
    pub async fn note(
        &self,
        desired: &Desired,
        revision: &TaskDefinitionArn,
        taken: &BTreeMap<Matter, Mark>,
    ) -> Result<bool, CloudError> {
        let known = self.last_look(&desired.target).and_then(|observed| observed.revisions.get(revision));
        let step = known
            .and_then(Reading::known)
            .and_then(|revision| plan::note(desired, self.access.clock.now(), revision, taken));
        let Some(step) = step else { return Ok(false) };
        self.access.write(desired, &step).await.map(|_| true)
    }

    /// Has those looked at again at once for whom what they waited for has come: as many as may begin.
    fn wake(&mut self, declaration: &Declaration, peers: &Peers<'_>) {
        if !self.ledger.take_changed() {
            return;
        }
        let mut room: BTreeMap<&EnvironmentName, usize> = BTreeMap::new();
        let now = self.access.clock.now();
        for desired in declaration.readable() {
            let Some(entry) = self.entries.get_mut(&desired.target) else { continue };
            let Some(last) = entry.last_look.as_ref().filter(|last| last.awaits_others) else { continue };
            let left = room.entry(&desired.target.environment).or_insert_with(|| {
                self.ledger.room(&desired.target.environment, desired.rollout.max_in_flight)
            });
            let awaits_turn = self.ledger.awaits_turn(&desired.target);
            let has_turn = gates::turn(desired, peers, &self.ledger).is_none();
            if last.desired == *desired && has_turn && (!awaits_turn || *left > 0) {
                *left = left.saturating_sub(usize::from(awaits_turn));
                entry.due = Some(now);
            }
        }
    }
}

/// What decisions rest on besides the readings.
struct Books<'a> {
    clock: &'a dyn crate::ports::Clock,
    entries: &'a mut BTreeMap<Target, Entry>,
    ledger: &'a mut Ledger,
}

impl Books<'_> {
    fn entry(&mut self, target: &Target) -> &mut Entry {
        self.entries.entry(target.clone()).or_default()
    }

    fn registered(&self, target: &Target) -> Option<TaskDefinitionArn> {
        match &self.entries.get(target)?.recent.as_ref()?.reply {
            Some(Reply::Registered(revision)) => Some(revision.clone()),
            _ => None,
        }
    }

    fn decide(&self, desired: &Desired, round: &Round<'_>, observed: &Observed) -> Plan {
        let turn = gates::turn(desired, &round.peers, self.ledger);
        let peers = gates::tag_peers(desired, &round.peers, self.ledger);
        let entry = self.entries.get(&desired.target);
        let none = BTreeMap::new();
        plan::plan(&Input {
            desired,
            observed,
            infra_commit: round.head,
            recent: entry.and_then(|entry| entry.recent.as_ref()),
            refusal: entry.and_then(|entry| entry.refusal.as_ref()),
            particulars: entry.map_or(&none, |entry| &entry.particulars),
            turn: turn.as_deref(),
            followers: gates::followers(desired, &round.peers, self.ledger),
            tag_peers: &peers,
            now: self.clock.now(),
        })
    }

    /// Takes note of what became of a write.
    fn outcome(&mut self, desired: &Desired, step: Step, result: Result<Reply, CloudError>) -> Outcome {
        let at = self.clock.now();
        let entry = self.entry(&desired.target);
        if matches!(result, Ok(_) | Err(CloudError::Ambiguous(_))) {
            let before = entry.recent.as_ref().filter(|before| before.step.repeats(&step));
            entry.recent = Some(Recent {
                step: step.clone(),
                at,
                reply: result.as_ref().ok().cloned(),
                repeated: before.map_or(0, |before| before.repeated.saturating_add(1)),
            });
        }
        match result {
            Ok(_) => Outcome::Wrote(step),
            Err(CloudError::Throttled(why)) => {
                entry.throttled = entry.throttled.saturating_add(1);
                Outcome::Throttled { step, why, attempt: entry.throttled }
            }
            Err(error) => {
                entry.refused(&step, &error, at);
                Outcome::Failed(step, error)
            }
        }
    }
}

/// One pass while it goes on.
struct Pass<'a, 't> {
    access: &'a Access,
    books: Books<'a>,
    round: &'a Round<'a>,
    only_looked_at: BTreeSet<&'a Target>,
    /// Environments of which everybody was looked at before: how many deployments are in flight there is known.
    familiar: BTreeSet<&'a EnvironmentName>,
    /// How many were read more deeply so far.
    deepened: usize,
    /// Targets whose reading is not over, and when it began.
    unseen: BTreeMap<&'a Target, Instant>,
    /// Those that may have to be decided again once everybody was looked at.
    parked: Vec<(&'a Desired, LookResult)>,
    /// By the operation that comes next.
    lanes: BTreeMap<&'static str, Lane<'a>>,
    swept: BTreeMap<&'a Target, SweepResult>,
    work: Work<'a>,
    tell: &'t mut (dyn FnMut(News<'_>) + Send),
    /// When no more writes are begun, by this machine's time: that of AWS may leap with its next answer.
    ends: Instant,
}

/// Those that come to the same kind of write.
#[derive(Default)]
struct Lane<'a> {
    busy: usize,
    queue: VecDeque<(&'a Desired, LookResult)>,
}

impl<'a> Pass<'a, '_> {
    fn look(&mut self, desired: &'a Desired) {
        let (access, head) = (self.access, self.round.head);
        let last = self.books.entry(&desired.target).last_look.take();
        let registered = self.books.registered(&desired.target);
        self.unseen.insert(&desired.target, Instant::now());
        self.work.push(Box::pin(async move {
            let seen = access.glance(desired, head, last, registered.as_ref()).await;
            Event::Looked(desired, Box::new(seen))
        }));
    }

    /// Whether the look is over.
    fn looked(&mut self, desired: &'a Desired, seen: LookResult) -> bool {
        let plan = self.books.decide(desired, self.round, &seen.observed);
        if plan.waiting == Some(Waiting::LookDeeper) && seen.observed.newest.is_none() {
            self.deepen(desired, seen.observed);
            return false;
        }
        self.books.entry(&desired.target).report(&plan);
        let inquiries = plan.reports.iter().map(|report| &report.inquiry);
        let inquiries: Vec<Inquiry> = inquiries.filter(|inquiry| !inquiry.is_empty()).cloned().collect();
        if !inquiries.is_empty() {
            self.ask(desired, seen, inquiries);
            return false;
        }
        self.books.ledger.looked(&plan.status);
        // Decided again, it has been looked at already.
        let began = self.unseen.remove(&desired.target);
        let was_unseen = began.is_some();
        if let Some(began) = began {
            (self.tell)(News::Looked { took: began.elapsed() });
        }
        if self.only_looked_at.contains(&desired.target)
            || (plan.steps.is_empty() && !pace::awaits_others(&plan))
        {
            self.finish(desired, seen.observed, plan, Outcome::Nothing);
        } else if self.knows_enough_about(desired) {
            self.queue(desired, seen, &plan);
        } else {
            self.parked.push((desired, seen));
        }
        if was_unseen && self.unseen.is_empty() {
            for (desired, seen) in std::mem::take(&mut self.parked) {
                self.looked(desired, seen);
            }
        }
        was_unseen
    }

    fn deepen(&mut self, desired: &'a Desired, observed: Observed) {
        let (access, head) = (self.access, self.round.head);
        let registered = self.books.registered(&desired.target);
        // Of many, most have to wait until they may write, and are read again then.
        let is_whole = self.round.writes == Writes::Allowed && self.deepened < MOST_WRITES;
        self.deepened += 1;
        self.work.push(Box::pin(async move {
            let seen = access.deepen(desired, head, observed, registered.as_ref(), is_whole).await;
            Event::Looked(desired, Box::new(seen))
        }));
    }

    /// Asks about what fails, once: what is told of it in this pass is to be the whole of it.
    fn ask(&mut self, desired: &'a Desired, mut seen: LookResult, inquiries: Vec<Inquiry>) {
        let access = self.access;
        self.work.push(Box::pin(async move {
            seen.observed.answers = access.ask(&inquiries).await;
            Event::Looked(desired, Box::new(seen))
        }));
    }

    /// Whether it is known where those stand on whom this one depends.
    fn knows_enough_about(&self, desired: &'a Desired) -> bool {
        self.unseen.is_empty()
            || self.familiar.contains(&desired.target.environment)
                && self
                    .round
                    .peers
                    .relevant(desired)
                    .iter()
                    .all(|peer| !self.unseen.contains_key(&peer.target))
    }

    /// Lets it wait for its turn to write.
    fn queue(&mut self, desired: &'a Desired, seen: LookResult, plan: &Plan) {
        match plan.steps.first().filter(|_| self.round.writes == Writes::Allowed) {
            Some(step) => {
                let operation = operation(step);
                self.lanes.entry(operation).or_default().queue.push_back((desired, seen));
                self.begin_writes(operation);
            }
            None => self.decide_and_finish(desired, seen.observed),
        }
    }

    fn decide_and_finish(&mut self, desired: &'a Desired, observed: Observed) {
        let plan = self.books.decide(desired, self.round, &observed);
        self.finish(desired, observed, plan, Outcome::Nothing);
    }

    /// A fresh look comes before each write, unless it was just made. Where the decision is another one by now, there is nothing to
    /// read.
    fn begin_writes(&mut self, operation: &'static str) {
        if Instant::now() > self.ends {
            return self.postpone(operation);
        }
        while let Some((desired, seen)) = self.next_in(operation) {
            let plan = self.books.decide(desired, self.round, &seen.observed);
            if plan.steps.is_empty() || !(self.round.is_newest)() {
                self.finish(desired, seen.observed, plan, Outcome::Nothing);
                continue;
            }
            self.lanes.entry(operation).or_default().busy += 1;
            let (access, head) = (self.access, self.round.head);
            let registered = self.books.registered(&desired.target);
            self.work.push(Box::pin(async move {
                access.turn(desired, operation).await;
                let seen = if seen.carries(operation, access.clock.now()) {
                    seen
                } else {
                    access.refresh(desired, head, operation, &seen.observed, registered.as_ref()).await
                };
                Event::Refreshed(desired, operation, Box::new(seen))
            }));
        }
    }

    /// Leaves those that wait to later passes, each to the one in which its turn may come.
    fn postpone(&mut self, operation: &'static str) {
        let queue = self.lanes.get_mut(operation).map(|lane| std::mem::take(&mut lane.queue));
        let now = self.books.clock.now();
        for (place, (desired, LookResult { observed, .. })) in
            queue.unwrap_or_default().into_iter().enumerate()
        {
            let plan = self.books.decide(desired, self.round, &observed);
            self.finish(desired, observed, plan, Outcome::Nothing);
            let passes = u32::try_from(place / MOST_WRITES).unwrap_or(u32::MAX);
            let rest = Requeue::After(LONGEST_PASS.saturating_mul(passes));
            self.books.entry(&desired.target).due = Some(pace::due_with_others(now, rest));
        }
    }

    fn next_in(&mut self, operation: &'static str) -> Option<(&'a Desired, LookResult)> {
        let lane = self.lanes.get_mut(operation)?;
        (lane.busy < MOST_WRITES).then(|| lane.queue.pop_front()).flatten()
    }

    /// What came of the calls that lead to a write.
    fn went_on(&mut self, event: Event<'a>) {
        match event {
            Event::Looked(desired, seen) => {
                self.looked(desired, *seen);
            }
            Event::Refreshed(desired, lane, seen) => self.refreshed(desired, lane, *seen),
            Event::Wrote(desired, lane, observed, step, result) => {
                self.wrote(desired, lane, *observed, step, result);
            }
        }
    }

    /// The last decision before the write.
    fn refreshed(&mut self, desired: &'a Desired, lane: &'static str, seen: LookResult) {
        let LookResult { observed, whole_since: begun, .. } = seen;
        let plan = self.books.decide(desired, self.round, &observed);
        let step = plan.steps.first().filter(|_| (self.round.is_newest)()).cloned();
        let Some(step) = step else {
            self.finish(desired, observed, plan, Outcome::Nothing);
            return self.leave(lane);
        };
        if starts(&step) {
            self.books.ledger.started(&desired.target);
        }
        let access = self.access;
        self.work.push(Box::pin(async move {
            let age = begun.map_or(Duration::MAX, |begun| begun.age(Moment::now(&*access.clock)));
            let result = match too_old(&step, age) {
                Some(error) => Err(error),
                None => access.write(desired, &step).await,
            };
            Event::Wrote(desired, lane, Box::new(observed), step, result)
        }));
    }

    fn wrote(
        &mut self,
        desired: &'a Desired,
        lane: &'static str,
        observed: Observed,
        step: Step,
        result: Result<Reply, CloudError>,
    ) {
        let result = result.map_err(|error| without_secrets(error, desired, &step, &observed.revisions));
        // What was refused is told by the plan that comes after it.
        let before = self.books.decide(desired, self.round, &observed);
        let outcome = self.books.outcome(desired, step, result);
        let plan = match &outcome {
            Outcome::Failed(..) => self.books.decide(desired, self.round, &observed),
            _ => before,
        };
        self.finish(desired, observed, plan, outcome);
        self.leave(lane);
    }

    fn leave(&mut self, lane: &'static str) {
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.busy = lane.busy.saturating_sub(1);
        }
        self.begin_writes(lane);
    }

    fn finish(&mut self, desired: &'a Desired, observed: Observed, plan: Plan, outcome: Outcome) {
        let target = &desired.target;
        self.books.ledger.looked(&plan.status);
        let has_started = match &outcome {
            Outcome::Wrote(step) | Outcome::Failed(step, CloudError::Ambiguous(_)) => starts(step),
            Outcome::Failed(..) | Outcome::Throttled { .. } | Outcome::Nothing => false,
        };
        if has_started {
            self.books.ledger.started(target);
        }
        let (now, in_flight) = (self.books.clock.now(), self.books.ledger.in_flight());
        let is_left = !plan.steps.is_empty() && outcome == Outcome::Nothing;
        let left = match self.round.writes {
            _ if !is_left => None,
            Writes::Allowed => Some(Left::ForLater),
            Writes::Withheld => Some(Left::ToOthers),
        };
        let entry = self.books.entry(target);
        entry.report(&plan);
        let requeue = entry.finish(desired, observed, &plan, &outcome, left, (now, in_flight));
        if self.only_looked_at.contains(target) {
            return;
        }
        let one = SweepResult { target: target.clone(), plan, outcome, requeue };
        (self.tell)(News::Swept(&one));
        self.swept.insert(target, one);
    }
}

/// Why a task is not run: what was read says no more whether it has been, where a machine slept since, or a call took as long. The
/// next pass reads again.
fn too_old(step: &Step, age: Duration) -> Option<CloudError> {
    let is_too_old = matches!(step, Step::Run { .. }) && age > OLDEST_FOR_A_RUN;
    is_too_old.then(|| {
        CloudError::Unavailable(format!("not asked: what was read is {} s old by now", age.as_secs()))
    })
}

/// Whether it begins a deployment: a registration is the first step of one.
fn starts(step: &Step) -> bool {
    matches!(step, Step::Register { .. } | Step::Deploy { .. } | Step::Run { .. } | Step::Retarget { .. })
}
