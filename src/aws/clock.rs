//! AWS's time: the `Date` of its answers, carried on by this machine's monotonic clock. What a machine takes for the time
//! of day plays no part once AWS has answered: deadlines and ages are of one clock for every controller.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::Format;

use crate::model::Millis;
use crate::ports::Clock;

/// How far an answer may lie behind what is known, in milliseconds: `Date` has whole seconds, and an answer takes its
/// time to arrive. Beyond that AWS's clock itself has been set back.
const SLACK: Millis = 10_000;

/// This machine's time of day.
pub struct MachineClock;

impl Clock for MachineClock {
    fn now(&self) -> Millis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
    }
}

/// The clock of one process. Clones share what they have heard.
#[derive(Clone, Debug)]
pub struct AwsClock {
    started: Instant,
    /// AWS's time when the process started; `None` before the first answer.
    origin: Arc<Mutex<Option<Millis>>>,
}

impl AwsClock {
    pub(super) fn new() -> Self {
        Self { started: Instant::now(), origin: Arc::default() }
    }

    fn elapsed(&self) -> Millis {
        Millis::try_from(self.started.elapsed().as_millis()).unwrap_or(Millis::MAX)
    }

    /// An answer says what time it is.
    fn hear(&self, date: Millis) {
        let heard = date.saturating_sub(self.elapsed());
        let mut origin = self.origin.lock().unwrap_or_else(PoisonError::into_inner);
        *origin = Some(origin.map_or(heard, |known| better_origin(known, heard)));
    }
}

/// The later one: an answer can only be older than it looks.
fn better_origin(known: Millis, heard: Millis) -> Millis {
    if heard < known && known - heard <= SLACK { known } else { heard }
}

impl Clock for AwsClock {
    fn now(&self) -> Millis {
        let origin = *self.origin.lock().unwrap_or_else(PoisonError::into_inner);
        origin.map_or_else(|| MachineClock.now(), |origin| origin.saturating_add(self.elapsed()))
    }
}

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for AwsClock {
    fn name(&self) -> &'static str {
        "AwsClock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok()?.to_millis().ok());
        if let Some(date) = date {
            self.hear(date);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_the_first_answer_the_machines_time_holds_and_then_awss_alone() {
        let clock = AwsClock::new();
        let near = |wanted: Millis| (0..60_000).contains(&(clock.now() - wanted));
        assert!(near(MachineClock.now() - 1000));
        for date in [1_000_000, 4_000_000_000_000, 2_000_000] {
            clock.hear(date);
            assert!(near(date), "{date}: {}", clock.now());
        }
    }

    #[test]
    fn a_late_answer_does_not_set_the_clock_back_and_a_clock_that_was_set_back_does() {
        for (known, heard, expected) in [
            (50_000, 50_400, 50_400),
            (50_000, 49_100, 50_000),
            (50_000, 40_000, 50_000),
            (50_000, 39_999, 39_999),
        ] {
            assert_eq!(better_origin(known, heard), expected, "{heard}");
        }
    }
}
