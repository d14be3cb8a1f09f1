//! Seeds of the tests that change something at random: so many in their order, or ever others for as long as somebody asks.
//!
//! `TRUEUP_FUZZ_SECONDS` says how long; `TRUEUP_FUZZ_SEED` is the first seed. A failure names its seed. Who asks for a time runs each
//! of these tests in a process of its own, as `scripts/fuzz` does: the memory that it takes is that of the process.

use std::time::{Duration, Instant};

/// MiB that one kind of mutants may take at its worst.
const MOST_MEMORY: usize = 64;

pub struct Seeds {
    what: &'static str,
    next: u64,
    tried: u64,
    most: u64,
    end: Option<Instant>,
}

/// `many` where nobody asks for a time.
pub fn seeds(what: &'static str, many: u64) -> Seeds {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let end = number("TRUEUP_FUZZ_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let first = if end.is_some() { fastrand::u64(..) } else { 0 };
    Seeds { what, next: number("TRUEUP_FUZZ_SEED").unwrap_or(first), tried: 0, most: many, end }
}

impl Iterator for Seeds {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        if self.end.map_or(self.tried >= self.most, |end| Instant::now() >= end) {
            return None;
        }
        let seed = self.next;
        (self.next, self.tried) = (seed.wrapping_add(1), self.tried + 1);
        Some(seed)
    }
}

impl Drop for Seeds {
    #[expect(clippy::print_stdout, reason = "read by people")]
    fn drop(&mut self) {
        let peak = self.end.and_then(|_| peak());
        let memory = peak.map(|peak| format!(", {peak} MiB at the worst")).unwrap_or_default();
        println!("{}: {} mutants{memory}", self.what, self.tried);
        if std::thread::panicking() {
            println!("{}: fails with TRUEUP_FUZZ_SEED={}", self.what, self.next.wrapping_sub(1));
        } else if let Some(peak) = peak {
            assert!(peak < MOST_MEMORY, "{}: {peak} MiB at the worst", self.what);
        }
    }
}

/// MiB of memory that the process has needed at most, without the pages of the program itself; `None` where the system does not say.
fn peak() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").parse::<usize>().ok()
    };
    Some(kibibytes("VmHWM:")?.saturating_sub(kibibytes("RssFile:")?) / 1024)
}
