//! The loop of one account and region under `trueup run`: it looks at who is due, writes, tells, and rests. Each has a loop of
//! its own, so that one that is slow, throttled or denied delays no other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use tokio::sync::watch;

use super::lead_times::LeadTimes;
use super::queues::Queues;
use super::{figures, jittered, messages};
use crate::controller::{Controller, News, Outcome, Writes};
use crate::http::Board;
use crate::http::deployments::Arrival;
use crate::lease::Permit;
use crate::model::{Declaration, Declared, Millis, Status, Target};
use crate::notify::{Note, Notifier};
use crate::ports::Place;

/// The shortest rest of a replica that only stands by: AWS's rates belong to the one that writes.
const STAND_BY: Duration = Duration::from_mins(1);

/// Records of alerts that are written after a sweep, and of these at a time: they wait for what is due, and nothing waits for them.
const MOST_NOTES: usize = 64;
const NOTES_AT_A_TIME: usize = 8;
const TOGETHER: Duration = Duration::from_millis(500);

/// How long after a write it is taken for granted that others follow.
const WRITES_GO_ON: Duration = Duration::from_secs(10);

/// What all loops tell, in one place.
#[derive(Clone)]
pub(super) struct FleetReport(Arc<Mutex<ReportState>>);

struct ReportState {
    board: Board,
    notifier: Notifier,
    statuses: BTreeMap<Target, Status>,
    /// What is declared now: a loop may not have heard of it yet.
    declared: BTreeSet<Target>,
    /// Whose first look is not over.
    unseen: BTreeSet<Place>,
    wrote: Option<Instant>,
    /// When each loop was heard of last.
    heard: BTreeMap<Place, Instant>,
    queues: Queues,
}

impl FleetReport {
    pub fn new(board: Board, notifier: Notifier) -> Self {
        let queues = Queues::default();
        let waiting = queues.clone();
        board.figures(move || waiting.figures());
        let (statuses, unseen, heard) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        let declared = BTreeSet::new();
        Self(Arc::new(Mutex::new(ReportState {
            board,
            notifier,
            statuses,
            declared,
            unseen,
            wrote: None,
            heard,
            queues,
        })))
    }

    fn telling(&self) -> MutexGuard<'_, ReportState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queues(&self) -> Queues {
        self.telling().queues.clone()
    }

    /// Hands the notifier to somebody for a moment.
    pub fn notifier<T>(&self, with: impl FnOnce(&mut Notifier) -> T) -> T {
        with(&mut self.telling().notifier)
    }

    /// Says of each target what must arrive of its alerts.
    pub fn wanted(&self, declaration: &mut Declaration) {
        let telling = self.telling();
        for declared in &mut declaration.applications {
            if let Declared::Readable(desired) = declared {
                desired.alerts = telling.notifier.wanted(&desired.target);
            }
        }
    }

    /// A new declaration: who is gone is no longer told of, from the next sweep on.
    pub fn declared(&self, declaration: &Declaration, repository: Option<&str>) {
        let mut telling = self.telling();
        let telling = &mut *telling;
        telling.declared = declaration.applications.iter().map(Declared::target).cloned().collect();
        telling.statuses.retain(|target, _| telling.declared.contains(target));
        telling.board.declared(&telling.declared);
        telling.notifier.declared(declaration, repository);
    }

    /// The loop that reads the repository has come round; where there is no other one, that is all there is.
    pub fn turned(&self) {
        let telling = self.telling();
        if telling.heard.is_empty() {
            telling.board.came_round(Instant::now());
        }
    }

    /// A loop begins.
    pub fn begins(&self, place: &Place) {
        let mut telling = self.telling();
        telling.unseen.insert(place.clone());
        telling.hear(place);
    }

    /// Whether somebody wrote a moment ago.
    pub fn writes_go_on(&self) -> bool {
        self.telling().wrote.is_some_and(|at| at.elapsed() < WRITES_GO_ON)
    }

    /// Who only stands by raises no alerts and counts no deployments: the one that writes does. What has come to run, where that is
    /// new.
    fn news(&self, place: &Place, news: News<'_>, writes: Writes, now: Millis) -> Option<Arrival> {
        let mut telling = self.telling();
        telling.hear(place);
        telling.board.news(&figures::labels(place), news);
        let News::Swept(one) = news else { return None };
        telling.queues.looked(place, &one.target);
        messages::outcome(one);
        if matches!(one.outcome, Outcome::Wrote(_)) {
            telling.wrote = Some(Instant::now());
        }
        if !telling.declared.contains(&one.target) {
            return None;
        }
        let status = &one.plan.status;
        telling.statuses.insert(status.target.clone(), status.clone());
        match writes {
            Writes::Allowed => {
                telling.notifier.target(status, now);
                telling.board.looked_at(one)
            }
            Writes::Withheld => {
                telling.notifier.forget(&one.target);
                telling.board.forget(&one.target);
                None
            }
        }
    }

    fn swept(&self, place: &Place, took: Duration) {
        let mut telling = self.telling();
        telling.hear(place);
        telling.board.sweep_took(&figures::labels(place), took);
        telling.queues.end(place);
        telling.unseen.remove(place);
        telling.show();
    }
}

impl ReportState {
    fn hear(&mut self, place: &Place) {
        self.heard.insert(place.clone(), Instant::now());
        if let Some(silent) = self.heard.values().min() {
            self.board.came_round(*silent);
        }
    }

    fn show(&self) {
        if self.unseen.is_empty() {
            self.board.swept(self.statuses.values());
        }
    }
}

/// So that what is taken together is put on record together.
async fn a_moment_after(taken: &mut watch::Receiver<()>) {
    match taken.changed().await {
        Ok(()) => tokio::time::sleep(TOGETHER).await,
        Err(_) => std::future::pending().await,
    }
}

/// Puts on record what receivers have taken.
async fn note(
    controller: &Controller,
    place: &Place,
    declaration: &Declaration,
    permit: &Permit,
    told: &FleetReport,
) {
    let notes = told.notifier(|notifier| {
        if !notifier.has_receivers() {
            return Vec::new();
        }
        let here = controller.all_in(place, declaration);
        notifier.notes(|target| here.contains(target), MOST_NOTES)
    });
    let write = async |note: Note| match controller
        .note(declaration, &note.target, &note.revision, &note.marks)
        .await
    {
        Ok(true) => told.notifier(|notifier| notifier.noted(&note)),
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(event = "alert.unrecorded", target = %note.target, "{error}");
        }
    };
    let notes = stream::iter(notes).take_while(|_| std::future::ready(permit.allows_writes()));
    notes.for_each_concurrent(NOTES_AT_A_TIME, write).await;
}

/// Goes on until nobody declares anything any more: then the process ends, after the writes that have begun.
pub(super) async fn run(
    mut controller: Controller,
    place: Place,
    mut declared: watch::Receiver<Arc<Declaration>>,
    mut permit: Permit,
    told: FleetReport,
    lead_times: LeadTimes,
) {
    while !permit.is_known() {
        tokio::select! {
            () = permit.known() => {}
            changed = declared.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
    let mut before = Writes::Allowed;
    let mut taken = told.notifier(|notifier| notifier.taken());
    loop {
        let declaration = Arc::clone(&declared.borrow_and_update());
        let writes = if permit.allows_writes() { Writes::Allowed } else { Writes::Withheld };
        let due = match (before, writes) {
            // What came due while nothing could be written is not known.
            (Writes::Withheld, Writes::Allowed) => controller.all_in(&place, &declaration),
            _ => controller.due_in(&place, &declaration),
        };
        let clock = controller.clock();
        let tell = |news: News<'_>| {
            if let Some(arrival) = told.news(&place, news, writes, clock.now()) {
                lead_times.ask(&declaration, arrival);
            }
        };
        let head = declared.clone();
        let may_go_on = || matches!(head.has_changed(), Ok(false)) && permit.allows_writes();
        let wanted = |target: &Target| due.contains(target);
        let late = due.iter().map(|target| (target.clone(), controller.late(&place, target)));
        told.queues().begin(&place, late);
        let began = Instant::now();
        controller.sweep_while(&declaration, writes, wanted, &may_go_on, tell).await;
        told.swept(&place, began.elapsed());
        note(&controller, &place, &declaration, &permit, &told).await;
        before = writes;
        let rest = match writes {
            Writes::Allowed => controller.rest(),
            Writes::Withheld => controller.rest().max(STAND_BY),
        };
        tokio::select! {
            () = tokio::time::sleep(jittered(rest)) => {}
            () = permit.granted() => {}
            () = a_moment_after(&mut taken) => {}
            changed = declared.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
        if declared.has_changed().is_err() {
            return;
        }
    }
}
