//! Who waits to be looked at in each account and region, and since when.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::figures::labels;
use crate::http::{Figures, Values};
use crate::model::Target;
use crate::ports::Place;

/// Those whose time has come and that were not looked at since.
#[derive(Clone, Default)]
pub(super) struct Queues(Arc<Mutex<BTreeMap<Place, Queue>>>);

type Queue = BTreeMap<Target, Instant>;

impl Queues {
    fn all(&self) -> MutexGuard<'_, BTreeMap<Place, Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sweep begins. These wait for it, for so long by now.
    pub fn begin(&self, place: &Place, late: impl Iterator<Item = (Target, Duration)>) {
        let now = Instant::now();
        let since = |late| now.checked_sub(late).unwrap_or(now);
        let queue = late.map(|(target, late)| (target, since(late))).collect();
        self.all().insert(place.clone(), queue);
    }

    pub fn looked(&self, place: &Place, target: &Target) {
        if let Some(queue) = self.all().get_mut(place) {
            queue.remove(target);
        }
    }

    /// The sweep is over. Who still waits is not declared any more, or cut off by a newer declaration: the next sweep counts it.
    pub fn end(&self, place: &Place) {
        self.all().insert(place.clone(), Queue::new());
    }

    pub fn figures(&self) -> Vec<Figures> {
        let all = self.all();
        let length = |(place, queue): (&Place, &Queue)| {
            (labels(place), i64::try_from(queue.len()).unwrap_or(i64::MAX))
        };
        let age = |(place, queue): (&Place, &Queue)| {
            let oldest = queue.values().min().map(Instant::elapsed).unwrap_or_default();
            (labels(place), oldest.as_secs_f64())
        };
        vec![
            Figures {
                name: "queue_length",
                help: "Applications whose time has come and that were not looked at since",
                values: Values::Level(all.iter().map(length).collect()),
            },
            Figures {
                name: "queue_age_seconds",
                help: "How long the one among them has waited that waits longest",
                values: Values::SecondsNow(all.iter().map(age).collect()),
            },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ApplicationName, EnvironmentName};

    #[test]
    fn the_one_that_waits_longest_gives_the_age() {
        let target = |name: &str| Target {
            environment: EnvironmentName::new("test"),
            application: ApplicationName::new(name),
        };
        let (queues, place) = (Queues::default(), Place::default());
        let shown = |queues: &Queues| match queues.figures().as_slice() {
            [
                Figures { values: Values::Level(length), .. },
                Figures { values: Values::SecondsNow(age), .. },
            ] => (length[0].1, age[0].1),
            other => panic!("{other:?}"),
        };
        let minutes = Duration::from_mins;
        queues.begin(&place, [(target("old"), minutes(9)), (target("new"), minutes(1))].into_iter());
        let (length, age) = shown(&queues);
        assert!(length == 2 && (540.0..550.0).contains(&age), "{length} {age}");
        queues.looked(&place, &target("old"));
        let (length, age) = shown(&queues);
        assert!(length == 1 && (60.0..70.0).contains(&age), "{length} {age}");
        queues.end(&place);
        assert_eq!(shown(&queues), (0, 0.0));
    }
}
