//! What the parts of a running controller know of themselves, as figures for its metrics.

use crate::aws::{Budgets, Category, Cost};
use crate::http::{Figures, Labels, Values};
use crate::lease::{Leases, Standing};
use crate::notify::outbox::{Deliveries, Delivery};
use crate::ports::Place;

/// The labels of an account and region. Empty: those of the credentials and of the AWS settings.
pub(super) fn labels(place: &Place) -> Labels {
    let account = place.account.as_ref().map(ToString::to_string).unwrap_or_default();
    let region = place.region.as_ref().map(ToString::to_string).unwrap_or_default();
    vec![("account", account), ("region", region)]
}

pub(super) fn calls(budgets: &Budgets) -> Vec<Figures> {
    let costs = budgets.costs();
    let labels = |place: &Place, category: &'static str| {
        let mut labels = labels(place);
        labels.push(("category", category.to_owned()));
        labels
    };
    let all = |count: fn(&Cost) -> u64| {
        costs.iter().map(|(place, category, cost)| (labels(place, category.name()), count(cost))).collect()
    };
    let waited = |(place, category, cost): &(Place, Category, Cost)| {
        (labels(place, category.name()), cost.waited.as_secs_f64())
    };
    vec![
        Figures {
            name: "aws_calls",
            help: "Calls of AWS that were answered",
            values: Values::Count(all(|cost| cost.calls)),
        },
        Figures {
            name: "aws_throttled",
            help: "Calls that AWS throttled",
            values: Values::Count(all(|cost| cost.refusals)),
        },
        Figures {
            name: "aws_call_wait_seconds",
            help: "Seconds that calls were held back to keep within the rates of AWS",
            values: Values::SecondsSpent(costs.iter().map(waited).collect()),
        },
    ]
}

/// None where there are no leases.
pub(super) fn leases(leases: &Leases) -> Vec<Figures> {
    let Some(standings) = leases.standings() else { return Vec::new() };
    let all = |is: fn(&Standing) -> bool| {
        standings.iter().map(|one| (labels(&one.place), i64::from(is(one)))).collect()
    };
    vec![
        Figures {
            name: "lease_held",
            help: "1 while this replica holds the lease of the account and region",
            values: Values::Level(all(|one| one.is_held)),
        },
        Figures {
            name: "lease_store_usable",
            help: "1 while the store of the leases answers",
            values: Values::Level(all(|one| one.is_usable)),
        },
    ]
}

/// By the names of the sinks, which the settings bound.
pub(super) fn deliveries(deliveries: &[Deliveries]) -> Vec<Figures> {
    let sink = |one: &Deliveries| ("sink", one.sink.clone());
    let ended = deliveries.iter().flat_map(|one| {
        let labels = move |ended: Delivery| vec![sink(one), ("outcome", ended.name().to_owned())];
        Delivery::ALL.map(|ended| (labels(ended), one.ended(ended)))
    });
    let waiting =
        deliveries.iter().map(|one| (vec![sink(one)], i64::try_from(one.waiting()).unwrap_or(i64::MAX)));
    vec![
        Figures {
            name: "alert_deliveries",
            help: "Alerts whose delivery is over, by sink and by how it ended",
            values: Values::Count(ended.collect()),
        },
        Figures {
            name: "alerts_waiting",
            help: "Alerts that wait for their delivery, by sink",
            values: Values::Level(waiting.collect()),
        },
    ]
}

/// None where the system does not say it.
pub(super) fn memory() -> Vec<Figures> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = resident(&status).map(|bytes| Figures {
        name: "resident_memory_bytes",
        help: "Memory that this process holds, in bytes",
        values: Values::Level(vec![(Labels::new(), bytes)]),
    });
    resident.into_iter().collect()
}

/// In bytes, as Linux has it (`proc_pid_status(5)`: `VmRSS`, in kibibytes).
fn resident(status: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<i64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_is_that_which_linux_says() {
        assert_eq!(resident("Name:\ttrueup\nVmHWM:\t  99 kB\nVmRSS:\t   12345 kB\n"), Some(12_641_280));
        assert_eq!(resident(""), None);
        assert_eq!(resident("VmRSS:\t 9223372036854775807 kB"), None);
    }
}
