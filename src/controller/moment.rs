//! How old a reading is. Pure, but for the question what time it is.

use std::time::{Duration, SystemTime};

use super::execute::MOVE_TAG;
use crate::model::{Millis, Observed};
use crate::ports::Clock;

/// How old the reading may be on which a task is run. Within the hour for which AWS knows a task that has ended, and the minutes for
/// which a signature is good, this is nothing.
pub(super) const OLDEST_FOR_A_RUN: Duration = Duration::from_mins(1);

/// How old a whole reading may be on which a write rests, in milliseconds of AWS's time: to read all of it again takes about as long
/// (chosen).
const YOUNG: Millis = 2_000;

/// A moment by both clocks: AWS's time, which a monotonic clock carries on, stands still while a machine sleeps; the time of day
/// may be set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    aws: Millis,
    machine: SystemTime,
}

impl Moment {
    pub fn now(clock: &dyn Clock) -> Self {
        Self { aws: clock.now(), machine: SystemTime::now() }
    }

    /// How long ago it was, by the clock that saw more of it.
    pub fn age(self, now: Self) -> Duration {
        let by_aws = u64::try_from(now.aws.saturating_sub(self.aws)).unwrap_or_default();
        let by_machine = now.machine.duration_since(self.machine).unwrap_or_default();
        by_machine.max(Duration::from_millis(by_aws))
    }
}

/// A reading, and since when it is a whole one.
pub(super) struct LookResult {
    pub observed: Observed,
    /// Everything that a write may rest on was asked for since then; `None`: some of it was read earlier, or not at all.
    pub whole_since: Option<Moment>,
    /// Whether the deployments of the service were listed.
    pub is_listed: bool,
}

/// Whether a write by this operation rests on the list of deployments. A tag says what has ended, whatever has begun since that the
/// service does not name yet.
pub(super) fn needs_the_list(operation: &str) -> bool {
    !matches!(operation, "TagResource" | MOVE_TAG)
}

impl LookResult {
    pub fn in_part(observed: Observed) -> Self {
        Self { observed, whole_since: None, is_listed: false }
    }

    /// Whether a write by this operation may rest on it without another reading.
    pub fn carries(&self, operation: &str, now: Millis) -> bool {
        let is_young = self.whole_since.is_some_and(|begun| (0..=YOUNG).contains(&(now - begun.aws)));
        is_young && (self.is_listed || !needs_the_list(operation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_as_old_as_either_clock_says() {
        let begun = SystemTime::UNIX_EPOCH + Duration::from_hours(1);
        let moment = |aws, seconds| Moment { aws, machine: begun + Duration::from_secs(seconds) };
        for (now, expected) in [
            (moment(5_000, 5), 5),
            // The lid was closed: the monotonic clock stood still.
            (moment(5_000, 7200), 7200),
            // The time of day was set back.
            (Moment { aws: 90_000, machine: SystemTime::UNIX_EPOCH }, 90),
            (moment(-5_000, 0), 0),
        ] {
            assert_eq!(moment(0, 0).age(now), Duration::from_secs(expected), "{now:?}");
        }
    }

    #[test]
    fn a_write_rests_on_a_whole_reading_of_two_seconds_and_but_for_tags_on_the_list_of_deployments() {
        let observed = || Observed::unreached(Ok(crate::model::AccountId::new("1")), "x", 0);
        let seen = |since: Option<Millis>, is_listed| LookResult {
            observed: observed(),
            whole_since: since.map(|aws| Moment { aws, machine: SystemTime::UNIX_EPOCH }),
            is_listed,
        };
        for (since, is_listed, operation, expected) in [
            (Some(8_000), true, "UpdateService", true),
            (Some(7_999), true, "UpdateService", false),
            // AWS's time was set back.
            (Some(10_001), true, "UpdateService", false),
            (None, true, "UpdateService", false),
            (Some(8_000), false, "UpdateService", false),
            (Some(8_000), false, "TagResource", true),
            (Some(8_000), false, MOVE_TAG, true),
        ] {
            let found = seen(since, is_listed).carries(operation, 10_000);
            assert_eq!(found, expected, "{since:?} {is_listed} {operation}");
        }
    }
}
