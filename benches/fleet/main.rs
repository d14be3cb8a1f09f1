//! What trueup costs at scale: the built binary against a simulated AWS that keeps AWS's request rates and is some
//! milliseconds away, in the rows of a table: measured, limit, ratio. A script of boto3 does the same cold look beside it.
//!
//! `scripts/fleet --services 1000 --latency 25 --rows cold,rest,promote` (docs/performance.md). Never a test: it takes as
//! long as AWS's rates make it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a measurement is read by people")]

mod account;
mod program;
mod table;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::{Parser, ValueEnum};

use account::{Account, Counts};
use program::{Ended, Program};
use table::{Row, Table};

/// Between two looks at whether the program is ready, and at how far a promotion has come.
const LOOK: Duration = Duration::from_millis(500);
const SHORT_LOOK: Duration = Duration::from_millis(20);
/// What trueup takes of what AWS allows: 80 % of 20 `DescribeTaskDefinition` a second, 90 % of one registration.
const READS_A_SECOND: f64 = 16.0;
const REGISTRATIONS_A_SECOND: f64 = 0.9;
const UPDATES_A_SECOND: f64 = 4.5;
/// From `UpdateService` to the environment tag: the simulated rollout, and the minute of `policy.steady`.
const ROLLOUT: f64 = 117.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Rows {
    Cold,
    Rest,
    Promote,
    /// Of what was promoted before; includes it.
    Rollback,
    /// A suspend while a promotion goes on.
    Suspend,
}

#[derive(Debug, Parser)]
#[command(about = "Measures the built trueup on a simulated fleet")]
struct Arguments {
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    services: u32,
    /// Milliseconds by which each answer of the simulated AWS is delayed.
    #[arg(long, default_value_t = 25)]
    latency: u64,
    #[arg(long, value_delimiter = ',', default_value = "cold,rest,promote,rollback,suspend")]
    rows: Vec<Rows>,
    /// How long the fleet is watched at rest. All facts are read once in ten minutes.
    #[arg(long, default_value_t = 660)]
    rest_seconds: u64,
    /// After how many seconds a promotion, a look or a start counts as not reached.
    #[arg(long, default_value_t = 7200)]
    patience: u64,
    /// A Python that has boto3; without it there is no peer in the table.
    #[arg(long)]
    python: Option<PathBuf>,
    /// Cargo passes it.
    #[arg(long, hide = true)]
    bench: bool,
}

struct Bench {
    arguments: Arguments,
    account: Account,
    table: Table,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let began = Instant::now();
    let account = Account::furnished(arguments.services, Duration::from_millis(arguments.latency))?;
    eprintln!("{} services are furnished after {:.1} s", arguments.services, began.elapsed().as_secs_f64());
    let mut bench = Bench { arguments, account, table: Table::default() };
    // What was measured is printed, whatever became of the rest.
    let measured = bench.measure();
    let Arguments { services, latency, .. } = bench.arguments;
    let build =
        if cfg!(debug_assertions) { "a debug build: its times mean nothing" } else { "a release build" };
    let cores = std::thread::available_parallelism()?;
    println!(
        "\n{services} services, {latency} ms away, AWS's request rates; {build}; {cores} cores, shared with the simulated AWS."
    );
    println!(
        "Nothing was made fast: a second of the simulated AWS takes a second. The fleet was furnished before it had rates; each row"
    );
    println!(
        "begins with full buckets. A task runs 12 s after it was started, a rollout takes 57 s, `policy.steady` a minute.\n"
    );
    println!("{}", bench.table);
    measured
}

impl Bench {
    fn measure(&mut self) -> anyhow::Result<()> {
        if self.has(Rows::Cold) {
            self.cold_look("cold look")?;
            self.cold_look("the same again, with its cache folder")?;
            self.cold_look_of_boto3()?;
        }
        if [Rows::Rest, Rows::Promote, Rows::Rollback, Rows::Suspend].iter().any(|rows| self.has(*rows)) {
            let program = self.started()?;
            let measured = self.run(&program);
            let peak = program.peak_memory()?;
            self.table.push(Row::new("`run`: peak memory, MiB", peak, Some(self.memory_limit())));
            program.stop()?;
            measured?;
        }
        if self.has(Rows::Cold) && self.has(Rows::Promote) {
            self.cold_look("cold look after a promotion")?;
        }
        if self.has(Rows::Promote) {
            self.promotion_by_ecs_deploy()?;
        }
        Ok(())
    }

    fn run(&mut self, program: &Program) -> anyhow::Result<()> {
        if self.has(Rows::Rest) {
            self.rest(program)?;
        }
        if self.has(Rows::Promote) || self.has(Rows::Rollback) {
            self.promotion(program, "bbbbbbb")?;
        }
        if self.has(Rows::Rollback) {
            self.rollback(program)?;
        }
        if self.has(Rows::Suspend) {
            self.suspend(program)?;
        }
        Ok(())
    }

    fn has(&self, rows: Rows) -> bool {
        self.arguments.rows.contains(&rows)
    }

    fn memory_limit(&self) -> f64 {
        if self.arguments.services <= 1000 { 64.0 } else { 128.0 }
    }

    fn services(&self) -> f64 {
        f64::from(self.arguments.services)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(self.arguments.patience)
    }

    fn push_counts(&mut self, what: &str, counts: &Counts, limit: Option<f64>) {
        let each = counts.all() / self.services();
        self.table.push(Row::new(&format!("{what}: calls a service"), each, limit));
        self.table.push(Row::new(&format!("{what}: calls refused"), counts.refused(), Some(0.0)));
        eprintln!("{what}: {counts}");
    }

    fn cold_look(&mut self, what: &str) -> anyhow::Result<()> {
        self.account.fill_buckets();
        let before = self.account.counts();
        let Ended { seconds, processor, memory, output } =
            Program::start(&self.account, &["status", "-o", "json"])?.ended(self.patience())?;
        let counts = self.account.counts().since(&before);
        let status: serde_json::Value =
            serde_json::from_str(&output).with_context(|| format!("no status in {output:.2000}"))?;
        let seen = status["applications"].as_array().map(Vec::as_slice).unwrap_or_default();
        let synced = seen.iter().filter(|one| one["sync"] == "Synced").count();
        // The bucket of task definitions holds 50, of which trueup uses four fifths.
        let budget = ((self.services() - 40.0) / READS_A_SECOND).max(1.0);
        self.table.push(Row::new(&format!("{what}: seconds"), seconds, Some(budget)));
        self.table.push(Row::new(&format!("{what}: seconds of processor"), processor, None));
        self.push_counts(what, &counts, Some(2.5));
        #[expect(clippy::cast_precision_loss, reason = "a number of services")]
        let unread = self.services() - synced as f64;
        self.table.push(Row::new(&format!("{what}: services not seen as Synced"), unread, Some(0.0)));
        self.table.push(Row::new(&format!("{what}: peak memory, MiB"), memory, None));
        Ok(())
    }

    fn cold_look_of_boto3(&mut self) -> anyhow::Result<()> {
        let Some(python) = self.arguments.python.clone() else {
            eprintln!("no --python: boto3 is left out");
            return Ok(());
        };
        self.account.fill_buckets();
        let before = self.account.counts();
        let services = self.arguments.services.to_string();
        let ended = Program::script(&self.account, &python, "benches/fleet/cold_look.py", &[&services])?
            .ended(self.patience())?;
        let counts = self.account.counts().since(&before);
        let what = "boto3, 8 threads, cold look";
        ensure!(ended.output.trim() == services, "boto3 saw {:.2000}", ended.output);
        self.table.push(Row::new(&format!("{what}: seconds"), ended.seconds, None));
        self.table.push(Row::new(&format!("{what}: seconds of processor"), ended.processor, None));
        self.push_counts(what, &counts, None);
        Ok(())
    }

    /// A controller that has looked at everything once.
    fn started(&mut self) -> anyhow::Result<Program> {
        self.account.fill_buckets();
        let (before, began) = (self.account.counts(), Instant::now());
        let program = Program::controller(&self.account)?;
        while !program.is_ready() {
            ensure!(program.is_alive()?, "trueup run has ended: {}", program.said());
            ensure!(began.elapsed() < self.patience(), "trueup run is not ready: {}", program.said());
            std::thread::sleep(LOOK);
        }
        let counts = self.account.counts().since(&before);
        self.table.push(Row::new("`run` until ready: seconds", began.elapsed().as_secs_f64(), None));
        self.push_counts("`run` until ready", &counts, None);
        Ok(program)
    }

    fn rest(&mut self, program: &Program) -> anyhow::Result<()> {
        let (before, processor, began) = (self.account.counts(), program.processor()?, Instant::now());
        let mut minutes = Vec::new();
        let (mut minute, mut left) = (before.clone(), self.arguments.rest_seconds);
        while left > 0 {
            let seconds = left.min(60);
            std::thread::sleep(Duration::from_secs(seconds));
            left -= seconds;
            let now = self.account.counts();
            #[expect(clippy::cast_precision_loss, reason = "a minute at most")]
            minutes.push(now.since(&minute).all() * 60.0 / seconds as f64);
            minute = now;
        }
        let counts = self.account.counts().since(&before);
        let seconds = began.elapsed().as_secs_f64();
        let share = (program.processor()? - processor) / seconds * 100.0;
        let worst = minutes.iter().copied().fold(0.0, f64::max);
        self.table.push(Row::new(
            "at rest: calls a minute",
            counts.all() * 60.0 / seconds,
            Some(self.services() * 0.2),
        ));
        self.table.push(Row::new("at rest: calls in the worst minute", worst, None));
        self.table.push(Row::new("at rest: calls refused", counts.refused(), Some(0.0)));
        self.table.push(Row::new("at rest: % of a core", share, Some(self.services() * 0.3 / 1000.0)));
        let memory = program.memory()?;
        self.table.push(Row::new("at rest: memory, MiB", memory, Some(self.memory_limit())));
        eprintln!("at rest, {seconds:.0} s: {counts}");
        Ok(())
    }

    /// One merge changes the commit of every service; it is over when every environment tag has moved.
    fn promotion(&mut self, program: &Program, commit: &str) -> anyhow::Result<()> {
        self.account.build_all(commit)?;
        self.account.fill_buckets();
        let (before, processor) = (self.account.counts(), program.processor()?);
        let began = Instant::now();
        self.account.declare_all(commit)?;
        let first = self.until(program, &before, |counts| counts.taken("RegisterTaskDefinition") > 0)?;
        let what = "one merge promotes all";
        self.table.push(Row::new(&format!("{what}: seconds until the first write"), first, Some(1.0)));
        let services = u64::from(self.arguments.services);
        self.until(program, &before, |counts| counts.taken("UpdateService") >= services)?;
        let updated = began.elapsed().as_secs_f64();
        self.until(program, &before, |counts| counts.taken("PutImage") >= services)?;
        let (seconds, counts) = (began.elapsed().as_secs_f64(), self.account.counts().since(&before));
        let registrations = (self.services() - 18.0).max(0.0) / REGISTRATIONS_A_SECOND;
        self.table.push(Row::new(&format!("{what}: seconds"), seconds, Some(registrations + ROLLOUT)));
        let until_last = format!("{what}: seconds until the last `UpdateService`");
        self.table.push(Row::new(&until_last, updated, None));
        let processor = program.processor()? - processor;
        self.table.push(Row::new(&format!("{what}: seconds of processor"), processor, None));
        self.push_counts(what, &counts, Some(25.0));
        for operation in ["RegisterTaskDefinition", "UpdateService", "PutImage"] {
            #[expect(clippy::cast_precision_loss, reason = "a number of calls")]
            let each = counts.taken(operation) as f64 / self.services();
            self.table.push(Row::new(&format!("{what}: `{operation}` a service"), each, Some(1.0)));
        }
        Ok(())
    }

    /// Back to what trueup deployed before, which needs no registration: what came in between is promoted first.
    fn rollback(&mut self, program: &Program) -> anyhow::Result<()> {
        self.account.build_all("ccccccc")?;
        self.account.fill_buckets();
        let before = self.account.counts();
        self.account.declare_all("ccccccc")?;
        let services = u64::from(self.arguments.services);
        self.until(program, &before, |counts| counts.taken("PutImage") >= services)?;
        self.account.fill_buckets();
        let before = self.account.counts();
        self.account.declare_all("bbbbbbb")?;
        let seconds = self.until(program, &before, |counts| counts.taken("UpdateService") >= services)?;
        let counts = self.account.counts().since(&before);
        let what = "one merge rolls all back";
        let updates = ((self.services() - 45.0) / UPDATES_A_SECOND).max(1.0);
        let until_last = format!("{what}: seconds until the last `UpdateService`");
        self.table.push(Row::new(&until_last, seconds, Some(updates)));
        self.push_counts(what, &counts, None);
        #[expect(clippy::cast_precision_loss, reason = "a number of calls")]
        let registered = counts.taken("RegisterTaskDefinition") as f64;
        self.table.push(Row::new(&format!("{what}: registrations"), registered, Some(0.0)));
        self.until(program, &before, |counts| counts.taken("PutImage") >= services)?;
        Ok(())
    }

    /// After ten registrations of a promotion everything is suspended: what is written from two seconds later on.
    fn suspend(&mut self, program: &Program) -> anyhow::Result<()> {
        self.account.build_all("ddddddd")?;
        self.account.fill_buckets();
        let before = self.account.counts();
        self.account.declare_all("ddddddd")?;
        self.until(program, &before, |counts| counts.taken("RegisterTaskDefinition") >= 10)?;
        self.account.suspend_all("ddddddd")?;
        std::thread::sleep(Duration::from_secs(2));
        let known = self.account.counts();
        std::thread::sleep(Duration::from_secs(20));
        let since = self.account.counts().since(&known);
        let written = since.taken("RegisterTaskDefinition") + since.taken("UpdateService");
        #[expect(clippy::cast_precision_loss, reason = "a number of calls")]
        let written = written as f64;
        let what = "suspended in the middle: registrations and deployments after two seconds";
        self.table.push(Row::new(what, written, Some(1.0)));
        Ok(())
    }

    /// One service, by another tool.
    fn promotion_by_ecs_deploy(&mut self) -> anyhow::Result<()> {
        let Some(python) = self.arguments.python.clone() else { return Ok(()) };
        self.account.fill_buckets();
        let before = self.account.counts();
        let arguments = ["deploy", "fleet-00", "app-00000", "--tag", "aaaaaaa", "--timeout", "600"];
        let ended = Program::beside(&self.account, &python, "ecs", &arguments)?.ended(self.patience())?;
        let counts = self.account.counts().since(&before);
        let what = "ecs-deploy, one service";
        self.table.push(Row::new(&format!("{what}: seconds"), ended.seconds, None));
        self.table.push(Row::new(&format!("{what}: calls"), counts.all(), None));
        eprintln!("{what}: {counts}");
        Ok(())
    }

    /// The seconds until it is so.
    fn until(
        &self,
        program: &Program,
        before: &Counts,
        is_so: impl Fn(&Counts) -> bool,
    ) -> anyhow::Result<f64> {
        let (began, mut told) = (Instant::now(), Instant::now());
        loop {
            let counts = self.account.counts().since(before);
            if is_so(&counts) {
                return Ok(began.elapsed().as_secs_f64());
            }
            if told.elapsed() > Duration::from_secs(30) {
                told = Instant::now();
                let taken =
                    ["RegisterTaskDefinition", "UpdateService", "PutImage"].map(|one| counts.taken(one));
                eprintln!("  {} s: {taken:?} registered, updated, tagged", began.elapsed().as_secs());
            }
            ensure!(program.is_alive()?, "trueup run has ended: {}", program.said());
            ensure!(began.elapsed() < self.patience(), "not reached: {counts}\n{}", program.said());
            std::thread::sleep(SHORT_LOOK);
        }
    }
}
