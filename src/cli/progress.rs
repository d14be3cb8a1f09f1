//! How far a look has come, on stderr. One that is quick says nothing; then a line is drawn again and again on a terminal. A log
//! gets a plain line every ten seconds.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::streams;
use crate::controller::{Controller, News, SweepResult, Writes};
use crate::model::{Declaration, Target};

/// What is over sooner is not waited for by anybody.
const QUICK: Duration = Duration::from_secs(1);
/// From one drawing of the line to the next, and from one plain line to the next: a log is read later, and by fewer people.
const DRAWN: Duration = Duration::from_millis(200);
const PLAIN: Duration = Duration::from_secs(10);

/// A sweep of a command that ends.
pub(super) async fn sweep(
    controller: &mut Controller,
    declaration: &Declaration,
    writes: Writes,
    wanted: impl Fn(&Target) -> bool,
) -> Vec<SweepResult> {
    let all = declaration.applications.iter().filter(|declared| wanted(declared.target())).count();
    let done = AtomicUsize::new(0);
    let tell = |news: News<'_>| {
        if matches!(news, News::Swept(_)) {
            done.fetch_add(1, Ordering::Relaxed);
        }
    };
    let work = controller.sweep_while(declaration, writes, wanted, &|| true, tell);
    let how_far = || format!("{} of {all} applications", done.load(Ordering::Relaxed));
    if !streams::is_drawn() {
        return told(work, PLAIN, PLAIN, || say!("{}", how_far())).await;
    }
    let swept = told(work, QUICK, DRAWN, || streams::draw(&how_far())).await;
    streams::draw("");
    swept
}

/// Calls `tell` after `first` and then at this pace, for as long as the work goes on.
async fn told<T>(work: impl Future<Output = T>, first: Duration, pace: Duration, tell: impl Fn()) -> T {
    let mut work = pin!(work);
    let mut rest = first;
    loop {
        match tokio::time::timeout(rest, &mut work).await {
            Ok(done) => return done,
            Err(_) => tell(),
        }
        rest = pace;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_quick_says_nothing_and_a_log_gets_a_line_in_ten_seconds() {
        for (first, pace, milliseconds, lines) in [
            (PLAIN, PLAIN, 9_900, 0),
            (PLAIN, PLAIN, 10_900, 1),
            (PLAIN, PLAIN, 25_000, 2),
            (QUICK, DRAWN, 900, 0),
            (QUICK, DRAWN, 1_500, 3),
        ] {
            let told_so_far = Cell::new(0);
            let work = tokio::time::sleep(Duration::from_millis(milliseconds));
            told(work, first, pace, || told_so_far.set(told_so_far.get() + 1)).await;
            assert_eq!(told_so_far.get(), lines, "{milliseconds} ms");
        }
    }
}
