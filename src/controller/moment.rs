//! How old a reading is. Pure, but for the question what time it is.

use std::time::{Duration, SystemTime};

use crate::model::Millis;
use crate::ports::Clock;

/// How old the reading may be on which a task is run. Within the hour for which AWS knows a task that has ended, and the minutes for
/// which a signature is good, this is nothing.
pub(super) const OLDEST_FOR_A_RUN: Duration = Duration::from_mins(1);

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
}
