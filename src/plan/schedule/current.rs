//! What the targets of rules and schedules run, as one: what a deployment and the tasks of a service are to other rules.

use super::Timetable;
use crate::model::{DeploymentId, Memory, Phase, TaskDefinitionArn};
use crate::plan::facts::Facts;
use crate::plan::phase::Current;

/// Stands for the number of a revision where a target names none.
const NEWEST: &str = "newest";

impl Facts<'_> {
    /// What the targets run, as one: the first of those that do not run what is declared, else what trueup brought last.
    ///
    /// Its name is made of the numbers of all revisions but that one. While each of them was there when the stamp was written, the
    /// write that the stamp is for has not come to its end: then it is the name that the stamp has.
    pub(in crate::plan) fn scheduled(&self) -> Option<Current> {
        let timetable = Timetable { facts: self, task: self.input.desired.scheduled_task()? };
        let brought = self.highest_stamp().map(|(revision, _)| revision);
        let running: Vec<&TaskDefinitionArn> = timetable.running().collect();
        let is_other = |arn: &&TaskDefinitionArn| Some(*arn) != brought;
        let amiss = running.iter().copied().find(|arn| !timetable.is_declared(arn));
        let live = amiss
            .or_else(|| running.iter().copied().find(|arn| !is_other(arn)))
            .or(running.first().copied())?;
        let mut others: Vec<String> = running.iter().copied().filter(is_other).map(number).collect();
        others.sort();
        others.dedup();
        let stamped = self.highest().map(|applied| applied.live_then);
        let is_stamped =
            |name: &DeploymentId| others.iter().all(|one| name.as_str().split('+').any(|known| known == one));
        let name = match stamped.filter(|name| !others.is_empty() && is_stamped(name)) {
            Some(name) => name,
            None if others.is_empty() => DeploymentId::new(number(live)),
            None => DeploymentId::new(others.join("+")),
        };
        Some(Current {
            id: id(self, live),
            target: live.clone(),
            phase: Phase::Succeeded,
            // Nobody tells since when; it is so now.
            started_at: self.input.observed.checked_at,
            live: name,
            live_revision: live.clone(),
            live_phase: Phase::Succeeded,
            name: None,
            stands_by: None,
        })
    }
}

fn number(arn: &TaskDefinitionArn) -> String {
    arn.revision().map_or_else(|| NEWEST.to_owned(), |number| number.to_string())
}

/// What it is remembered and told by: the same revision may be brought more than once.
fn id(facts: &Facts<'_>, arn: &TaskDefinitionArn) -> String {
    let generation = facts.ours.get(arn).map(Memory::generation);
    generation.map_or_else(|| arn.short().to_owned(), |generation| format!("{}@{generation}", arn.short()))
}
