//! Everything that is declared, divided into units. Each has a pass of its own, and one that is slow delays no other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;

use super::access::Access;
use super::gates::Peers;
use super::inspect::Inspection;
use super::outcome::{News, SweepResult, Writes};
use super::pace;
use super::unit::{Round, Unit};
use crate::model::surroundings::{Questions, Surroundings};
use crate::model::{
    Declaration, Declared, Desired, FirstContact, Frozen, Mark, Matter, Mode, Observed, Past, RunAnswer,
    Status, Target, TaskDefinitionArn,
};
use crate::plan::Step;
use crate::ports::{Clock, CloudError, History, Place, Reach};

/// The loop's memory. All of it is found out again by another process; here it makes for patience and frugality.
pub struct Controller {
    reach: Arc<dyn Reach>,
    history: Arc<dyn History>,
    clock: Arc<dyn Clock>,
    units: BTreeMap<Place, Unit>,
}

/// The unit of a target.
fn place(reach: &dyn Reach, desired: &Desired) -> Place {
    reach.resolve(Place { account: desired.account.clone(), region: desired.region.clone() })
}

/// The unit that looks after what is declared. What is known of nowhere is told of by the one of the settings.
pub fn place_of(reach: &dyn Reach, declared: &Declared) -> Place {
    let nowhere = || reach.resolve(Place::default());
    declared.observable().map_or_else(nowhere, |desired| place(reach, desired))
}

/// What one unit has to do in one sweep.
#[derive(Default)]
struct Share<'a> {
    chosen: Vec<&'a Desired>,
    /// Those that nobody asked for, on whom the chosen ones depend, and whose time has come.
    others: Vec<&'a Desired>,
    /// Frozen ones of which it is not known where they run.
    unknown: Vec<&'a Target>,
}

impl Controller {
    pub fn new(reach: Box<dyn Reach>, history: Box<dyn History>, clock: Arc<dyn Clock>) -> Self {
        Self { reach: reach.into(), history: history.into(), clock, units: BTreeMap::new() }
    }

    /// What all times are counted by.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Targets whose time has come, and those that are declared otherwise than when they were last looked at.
    pub fn due(&self, declaration: &Declaration) -> BTreeSet<Target> {
        let is_due = |declared: &&Declared| {
            self.units.get(&place_of(&*self.reach, declared)).is_none_or(|unit| unit.is_due(declared))
        };
        declaration.applications.iter().filter(is_due).map(|declared| declared.target().clone()).collect()
    }

    /// The same, in one account and region.
    pub fn due_in(&self, place: &Place, declaration: &Declaration) -> BTreeSet<Target> {
        let here = self.all_in(place, declaration);
        let mut due = self.due(declaration);
        due.retain(|target| here.contains(target));
        due
    }

    /// How long a target of this account and region has been due.
    pub fn late(&self, place: &Place, target: &Target) -> Duration {
        self.units.get(place).and_then(|unit| unit.late(target)).unwrap_or_default()
    }

    /// Everything that is declared in one account and region.
    pub fn all_in(&self, place: &Place, declaration: &Declaration) -> BTreeSet<Target> {
        let here = |declared: &&Declared| place_of(&*self.reach, declared) == *place;
        declaration.applications.iter().filter(here).map(Declared::target).cloned().collect()
    }

    /// How long nothing is due.
    pub fn rest(&self) -> Duration {
        let next = self.units.values().filter_map(Unit::next_due).min();
        let Some(next) = next else { return pace::REST };
        let wait = next.saturating_sub(self.clock.now()).max(0);
        Duration::from_millis(wait.unsigned_abs()).min(pace::REST)
    }

    /// A sweep that nobody listens to.
    pub async fn sweep(
        &mut self,
        declaration: &Declaration,
        writes: Writes,
        wanted: impl Fn(&Target) -> bool,
    ) -> Vec<SweepResult> {
        self.sweep_while(declaration, writes, wanted, &|| true, |_| ()).await
    }

    /// Looks at every target that `wanted` names, and makes at most one write for each that needs one. The answer is in the
    /// order of the declaration; `tell` hears of each as soon as it is known. Nothing more is written once `is_newest` says that
    /// something else is declared by now.
    pub async fn sweep_while(
        &mut self,
        declaration: &Declaration,
        writes: Writes,
        wanted: impl Fn(&Target) -> bool,
        is_newest: &(dyn Fn() -> bool + Send + Sync),
        tell: impl FnMut(News<'_>) + Send,
    ) -> Vec<SweepResult> {
        self.forget(declaration);
        let peers = Peers::of(declaration);
        let mut shares = self.shares(declaration, &peers, wanted);
        for place in shares.keys() {
            if !self.units.contains_key(place) {
                let access = Access::new(place.clone(), &self.reach, &self.history, &self.clock);
                self.units.insert(place.clone(), Unit::new(access));
            }
        }
        let round = Round { peers, head: declaration.infra_commit.as_ref(), writes, is_newest };
        let tell = Mutex::new(tell);
        let passes = self.units.iter_mut().filter_map(|(place, unit)| {
            let (share, round, tell) = (shares.remove(place)?, &round, &tell);
            Some(async move {
                let mut tell = |news: News<'_>| tell.lock().unwrap_or_else(PoisonError::into_inner)(news);
                unit.sweep(declaration, round, &share.chosen, &share.others, &share.unknown, &mut tell).await
            })
        });
        let swept: Vec<SweepResult> = join_all(passes).await.into_iter().flatten().collect();
        let mut swept: BTreeMap<Target, SweepResult> =
            swept.into_iter().map(|one| (one.target.clone(), one)).collect();
        declaration.applications.iter().filter_map(|declared| swept.remove(declared.target())).collect()
    }

    /// Forgets targets that are no longer declared, or declared somewhere else.
    fn forget(&mut self, declaration: &Declaration) {
        let mut declared: BTreeMap<Place, BTreeSet<&Target>> = BTreeMap::new();
        for one in &declaration.applications {
            declared.entry(place_of(&*self.reach, one)).or_default().insert(one.target());
        }
        for (place, unit) in &mut self.units {
            let declared = declared.get(place);
            unit.retain(|target| declared.is_some_and(|declared| declared.contains(target)));
        }
    }

    fn shares<'a>(
        &self,
        declaration: &'a Declaration,
        peers: &Peers<'a>,
        wanted: impl Fn(&Target) -> bool,
    ) -> BTreeMap<Place, Share<'a>> {
        let mut shares: BTreeMap<Place, Share<'a>> = BTreeMap::new();
        for declared in declaration.applications.iter().filter(|declared| wanted(declared.target())) {
            match declared {
                Declared::Frozen(Frozen { target, known: None }) => {
                    shares.entry(place_of(&*self.reach, declared)).or_default().unknown.push(target);
                }
                declared => {
                    let Some(desired) = declared.observable() else { continue };
                    shares.entry(place(&*self.reach, desired)).or_default().chosen.push(desired);
                }
            }
        }
        for (place, share) in &mut shares {
            let mut seen: BTreeSet<&Target> = share.chosen.iter().map(|desired| &desired.target).collect();
            let unit = self.units.get(place);
            let is_due = |target: &Target| unit.is_none_or(|unit| unit.has_come(target));
            let relevant = share.chosen.iter().flat_map(|desired| peers.relevant(desired));
            let others = relevant.filter(|peer| seen.insert(&peer.target) && is_due(&peer.target));
            share.others = others.collect();
        }
        shares
    }

    /// Everything that AWS tells of one target, its past included. Nothing is decided.
    pub async fn read(&mut self, declaration: &Declaration, desired: &Desired) -> Observed {
        let place = place(&*self.reach, desired);
        let open = || Unit::new(Access::new(place.clone(), &self.reach, &self.history, &self.clock));
        let unit = self.units.entry(place.clone()).or_insert_with(open);
        unit.read(desired, declaration.infra_commit.as_ref()).await
    }

    /// Makes one write that a person asked for, such as `retry`.
    pub async fn write_one(
        &mut self,
        declaration: &Declaration,
        name: &str,
        step: Step,
    ) -> Result<Option<RunAnswer>, CloudError> {
        let desired = declaration.readable().find(|desired| desired.target.to_string() == name);
        let desired = desired.ok_or_else(|| CloudError::NotFound(name.to_owned()))?;
        let place = place(&*self.reach, desired);
        let open = || Unit::new(Access::new(place.clone(), &self.reach, &self.history, &self.clock));
        self.units.entry(place.clone()).or_insert_with(open).write_one(desired, step).await
    }

    /// Puts on record who has taken which alerts of a target that was looked at; whether that is there now.
    pub async fn note(
        &self,
        declaration: &Declaration,
        target: &Target,
        revision: &TaskDefinitionArn,
        taken: &BTreeMap<Matter, Mark>,
    ) -> Result<bool, CloudError> {
        let Some(desired) = declaration.readable().find(|desired| desired.target == *target) else {
            return Ok(false);
        };
        match self.units.get(&place(&*self.reach, desired)) {
            Some(unit) => unit.note(desired, revision, taken).await,
            None => Ok(false),
        }
    }

    /// What was read of a target last; `None`: it was not looked at.
    pub fn last_look(&self, desired: &Desired) -> Option<&Observed> {
        self.units.get(&place(&*self.reach, desired))?.last_look(&desired.target)
    }

    /// The deployments of the past of a target that was looked at, for people.
    pub async fn past(&self, declaration: &Declaration, desired: &Desired) -> Past {
        match self.units.get(&place(&*self.reach, desired)) {
            Some(unit) => unit.past(desired, declaration.infra_commit.as_ref()).await,
            None => Past::default(),
        }
    }

    /// A target that was looked at, in depth; `None`: it was not looked at.
    pub async fn inspect(&self, declaration: &Declaration, desired: &Desired) -> Option<Inspection> {
        let unit = self.units.get(&place(&*self.reach, desired))?;
        unit.inspect(desired, declaration.infra_commit.as_ref()).await
    }

    /// What stands around targets, by the unit that looks after each. What several of a unit need is asked once.
    pub async fn look_around(
        &self,
        needed: impl IntoIterator<Item = (&Desired, Questions)>,
    ) -> BTreeMap<Place, Surroundings> {
        let mut questions: BTreeMap<Place, Questions> = BTreeMap::new();
        for (desired, needed) in needed {
            questions.entry(place(&*self.reach, desired)).or_default().extend(needed);
        }
        let asked = questions.into_iter().filter_map(|(place, questions)| {
            let unit = self.units.get(&place)?;
            Some(async move { (place, unit.look_around(&questions).await) })
        });
        join_all(asked).await.into_iter().collect()
    }

    /// The unit that looks after a target.
    pub fn place(&self, desired: &Desired) -> Place {
        place(&*self.reach, desired)
    }

    /// Where every target stands that was looked at.
    pub fn statuses(&self) -> impl Iterator<Item = &Status> {
        self.units.values().flat_map(Unit::statuses)
    }
}

/// What `--adopt` says of every target that a command names: what is declared may be deployed where trueup never did.
pub fn adopt(declaration: &mut Declaration) {
    for declared in &mut declaration.applications {
        if let Declared::Readable(desired) = declared {
            desired.first_contact = FirstContact::Adopt;
        }
    }
}

/// The mode that `--observe` gives to every target.
pub fn observe_only(declaration: &mut Declaration) {
    for declared in &mut declaration.applications {
        if let Declared::Readable(desired) = declared {
            desired.mode = Mode::Observe;
        }
    }
}
