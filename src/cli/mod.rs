//! The command line: one file a command. stdout is data, stderr is messages.

#[macro_use]
mod streams;

mod accept_history;
mod approval;
mod change;
mod delivery;
mod demo;
mod editors;
mod end;
mod figures;
mod git_program;
mod health;
mod history;
mod iam_policy;
mod import;
mod lead_times;
mod lint;
mod logs;
mod messages;
mod notify;
mod pipelines;
mod plan;
mod progress;
mod promote;
mod proposal;
mod queues;
mod reconcile;
mod render;
mod replicas;
mod retry;
mod rollback;
mod run;
mod settle;
mod simulator;
mod source;
mod status;
mod suspend;
mod unit_loop;
mod verify;
mod wait;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use trueup_simulator::{Rates, World};

use delivery::Delivery;
use end::End;

use crate::accounts::Accounts;
use crate::aws::Aws;
use crate::controller::{Controller, Requeue, SweepResult, Writes};
use crate::iam::Access;
use crate::masking;
use crate::model::{
    self, Commit, Declaration, Declared, Finding, FirstContact, Severity, Target, Waiting, Word,
};
use crate::plan::Plan;
use crate::text::nearest::nearest;
use crate::view::plan::Detail;

/// GitOps for Amazon ECS: make live services run the commits that a git repository declares.
#[derive(Parser)]
#[command(name = "trueup", version, about)]
struct Cli {
    #[command(flatten)]
    repository: RepositoryArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args, Clone)]
struct RepositoryArgs {
    /// The infrastructure repository: a path, `https://…`, `ssh://…` or `git@host:path` [default: .]
    #[arg(long, global = true, value_name = "PATH|URL")]
    repo: Option<String>,
    /// The branch to follow [default: what is checked out, or the remote's default branch]
    #[arg(long, global = true)]
    branch: Option<String>,
    /// The folder inside the repository that is read [default: all of it]
    #[arg(long, global = true)]
    path: Option<String>,
    /// A file with the operator's settings (docs/settings.md).
    #[arg(long, global = true, env = "TRUEUP_CONFIG", value_name = "FILE")]
    config: Option<String>,
    /// How messages are written.
    #[arg(long, global = true, default_value = "text", env = "TRUEUP_LOG_FORMAT")]
    log_format: LogFormat,
    /// Colour and marks: `auto` on a terminal, unless `NO_COLOR` is set.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Color,
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
enum Format {
    Text,
    Json,
    Markdown,
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
enum StatusFormat {
    Text,
    /// With more columns.
    Wide,
    Json,
    /// `ENVIRONMENT/APPLICATION` alone, a line each.
    Name,
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
enum LintFormat {
    Text,
    Json,
    /// Commands of GitHub Actions: annotations of the lines that a pull request changes.
    Github,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
enum HistoryFormat {
    Text,
    Json,
}

/// Which environments are looked at.
#[derive(Args, Clone)]
struct Environments {
    /// Only this environment; globs, and several.
    #[arg(long, value_name = "NAME")]
    environment: Vec<String>,
}

/// Which of the applications are shown.
#[derive(Args, Clone)]
struct Filters {
    #[command(flatten)]
    environments: Environments,
    /// Only those that do not run well: not Healthy, and not Suspended by wish.
    #[arg(long)]
    unhealthy: bool,
    /// Only those whose commit is on hold; with --unhealthy those of both kinds.
    #[arg(long)]
    held: bool,
}

/// How a change of the infrastructure repository leaves this machine.
#[derive(Args, Clone)]
struct DeliveryArgs {
    /// Push the commit; when others push first, read again and retry for up to three minutes.
    #[arg(long)]
    push: bool,
    /// Push it to a branch of its own instead, and open a pull request with the plan as its text, or bring the one that is
    /// open up to date. Its address goes to stdout.
    #[arg(long, conflicts_with = "push")]
    pull_request: bool,
}

impl From<DeliveryArgs> for Delivery {
    fn from(wanted: DeliveryArgs) -> Self {
        match (wanted.pull_request, wanted.push) {
            (true, _) => Self::PullRequest,
            (false, true) => Self::Push,
            (false, false) => Self::Commit,
        }
    }
}

const LOGS_EXAMPLES: &str = "Examples:\n  trueup logs prod/api --since 1h\n  trueup logs prod/api --follow\n  trueup logs prod/api --failed";
const ROLLBACK_EXAMPLES: &str = "Examples:\n  trueup rollback prod/api --push\n  trueup rollback prod/api --to 3f2c1ab --push\n\nExit codes: 0 declared, 1 refused or an error, 3 that commit failed here (docs/commands.md)";
const SUSPEND_EXAMPLES: &str = "Examples:\n  trueup suspend prod --reason \"database migration\" --for 2h --push\n  trueup suspend prod/api --reason \"incident 4711\" --push";

#[derive(Args, Clone)]
struct Names {
    /// `ENVIRONMENT/APPLICATION`, globs allowed; all, if none is given.
    targets: Vec<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Show the whole story on a simulated AWS, with a git repository in a temporary folder.
    #[command(after_help = demo::scenes())]
    Demo {
        /// Play it by itself, and fail if a scene does not come out as told.
        #[arg(long)]
        script: bool,
        /// Play only this scene by itself; what comes before it happens unseen.
        #[arg(long, value_name = "NUMBER", value_parser = demo::scene)]
        scene: Option<usize>,
    },
    /// Check the files of the infrastructure repository.
    Lint {
        #[arg(short, long, alias = "format", value_name = "FORMAT", default_value = "text")]
        output: LintFormat,
    },
    /// Print what would be sent to AWS, as far as it is declared.
    Render(Names),
    /// Show what would change, and why.
    Plan {
        #[command(flatten)]
        names: Names,
        #[arg(short, long, alias = "format", value_name = "FORMAT", default_value = "text")]
        output: Format,
        /// Only what has changed since this branch, tag or commit, and how it was declared before.
        #[arg(long, value_name = "REF", conflicts_with = "to")]
        base: Option<String>,
        /// Write it on the pull request that this job of GitHub Actions or GitLab CI is about: one comment, kept up to date.
        #[arg(long, conflicts_with = "to")]
        comment: bool,
        /// Tell which rule decided, and what held for those that were asked before it.
        #[arg(long, conflicts_with = "output")]
        explain: bool,
        /// Tell instead how a service that CodeDeploy deploys is moved to this strategy of ECS itself.
        #[arg(long = "as", value_name = "STRATEGY", conflicts_with_all = ["output", "explain"])]
        to: Option<plan::To>,
    },
    /// Show what is declared, tagged, deployed and running.
    Status {
        #[command(flatten)]
        names: Names,
        #[command(flatten)]
        filters: Filters,
        #[arg(
            short,
            long,
            alias = "format",
            value_name = "FORMAT",
            default_value = "text",
            conflicts_with = "watch"
        )]
        output: StatusFormat,
        /// Keep watching; redraws on a terminal, prints one line per change when piped.
        #[arg(long)]
        watch: bool,
        /// End with the code of where the applications stand, for CI (docs/commands.md) [default: 0 once shown]
        #[arg(long, conflicts_with = "watch")]
        exit_code: bool,
    },
    /// Show what was deployed when, by whom, and what became of it; newest first.
    History {
        #[command(flatten)]
        names: Names,
        #[command(flatten)]
        environments: Environments,
        #[arg(short, long, value_name = "FORMAT", default_value = "text")]
        output: HistoryFormat,
    },
    /// Look at everything that a deployment needs, each thing by itself: credentials, roles, images, secrets, log groups, load
    /// balancers. Writes nothing.
    Verify {
        #[command(flatten)]
        names: Names,
        #[command(flatten)]
        environments: Environments,
        #[arg(short, long, value_name = "FORMAT", default_value = "text")]
        output: HistoryFormat,
    },
    /// Show what changed lately, one line each, from git and AWS.
    Events {
        #[command(flatten)]
        names: Names,
        #[command(flatten)]
        environments: Environments,
        /// How far back, such as 30m, 24h.
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = history::how_far)]
        since: Duration,
        /// Go on until stopped.
        #[arg(long)]
        watch: bool,
    },
    /// Reconcile until everything is settled, then exit.
    Reconcile {
        #[command(flatten)]
        names: Names,
        /// Give up after this many seconds.
        #[arg(long, default_value_t = 3600)]
        timeout: u64,
        /// Deploy what is declared where trueup has never deployed anything, whatever runs there.
        #[arg(long)]
        adopt: bool,
    },
    /// Watch and reconcile until stopped.
    Run {
        /// Do everything but writes.
        #[arg(long)]
        observe: bool,
        /// Serve /livez, /readyz and /metrics here, such as 0.0.0.0:8080.
        #[arg(long, value_name = "ADDR")]
        listen: Option<std::net::SocketAddr>,
    },
    /// Ask the controller of this machine whether it lives: for health checks of containers.
    Health {
        /// Where `run` listens [default: `TRUEUP_LISTEN`, or what the file of `--config` says]
        #[arg(long, value_name = "ADDR")]
        listen: Option<std::net::SocketAddr>,
    },
    /// Wait, without writing, until a commit has succeeded here, has failed or was superseded.
    Wait {
        /// `ENVIRONMENT/APPLICATION`.
        target: String,
        #[arg(long, required_unless_present = "release", conflicts_with = "release")]
        commit: Option<String>,
        /// What is declared as a release, such as v1.10.20.
        #[arg(long)]
        release: Option<String>,
        /// How many seconds the commit may stay undeclared where the repository is a remote one: a merge may be on its way.
        #[arg(long, value_name = "SECONDS", default_value_t = 300)]
        declared_within: u64,
        /// Give up after this many seconds.
        #[arg(long, default_value_t = 3600)]
        timeout: u64,
        /// `traffic`: until all production traffic is on it, which comes before its success.
        #[arg(long, value_enum, default_value = "success")]
        until: wait::Until,
    },
    /// Serve a simulated AWS (ECS, ECR, CodeDeploy, load balancing, STS) on loopback, for any AWS client.
    Simulator {
        #[arg(long, default_value = "127.0.0.1:4566")]
        listen: std::net::SocketAddr,
        /// Simulated seconds per real second.
        #[arg(long, default_value_t = 1.0)]
        speed: f64,
        #[arg(long, default_value = "123456789012", value_parser = simulator::account)]
        account: String,
        #[arg(long, default_value = "eu-west-2", value_parser = simulator::region)]
        region: String,
        /// Let tasks take differently long to start, the same in every run with this number; 0: all alike.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Take calls no faster than AWS does, and throttle the rest.
        #[arg(long)]
        limits: bool,
        /// Real milliseconds by which each answer is delayed.
        #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=60_000))]
        latency: u64,
    },
    /// Promote a commit or release: edit the environment file and commit it (push with --push, propose with --pull-request).
    Promote {
        /// `ENVIRONMENT/APPLICATION`; with `--from` and `--to` the application alone.
        target: String,
        #[arg(long, required_unless_present_any = ["from", "release"], conflicts_with_all = ["from", "release"])]
        commit: Option<String>,
        /// A build that is declared by its release, such as v1.10.20.
        #[arg(long, conflicts_with = "from")]
        release: Option<String>,
        /// Take the commit or release that runs well in this environment.
        #[arg(long, requires = "to")]
        from: Option<String>,
        /// The environment that gets it.
        #[arg(long, requires = "from")]
        to: Option<String>,
        /// Take what the other environment declares, even if it has failed or not yet succeeded there.
        #[arg(long, requires = "from")]
        force: bool,
        #[command(flatten)]
        delivery: DeliveryArgs,
    },
    /// Show what the containers log: those that run, or those that failed.
    #[command(after_help = LOGS_EXAMPLES)]
    Logs {
        /// `ENVIRONMENT/APPLICATION`.
        target: String,
        /// How far back, such as 2h [default: 15m; with --failed all that is kept]
        #[arg(long, value_name = "DURATION", value_parser = logs::since)]
        since: Option<Duration>,
        /// Go on until stopped, and take up new tasks.
        #[arg(long, conflicts_with = "failed")]
        follow: bool,
        /// Of the tasks that failed last: ECS tells of stopped tasks for about an hour.
        #[arg(long)]
        failed: bool,
    },
    /// Go back to the last commit that ended well here. A change in git, as with `promote`.
    #[command(after_help = ROLLBACK_EXAMPLES)]
    Rollback {
        /// `ENVIRONMENT/APPLICATION`.
        target: String,
        /// Go back to this commit, if it ended well here [default: the last one that did, other than the declared one]
        #[arg(long, value_name = "COMMIT")]
        to: Option<String>,
        /// Take that commit whatever became of it here, without asking AWS.
        #[arg(long, requires = "to")]
        force: bool,
        #[command(flatten)]
        delivery: DeliveryArgs,
    },
    /// Suspend an environment or an application: nothing is written for it. A change in git, as with `promote`.
    #[command(after_help = SUSPEND_EXAMPLES)]
    Suspend {
        /// `ENVIRONMENT`, or `ENVIRONMENT/APPLICATION`.
        target: String,
        /// Why: one line, which `status` and alerts show.
        #[arg(long, value_name = "TEXT", value_parser = suspend::reason)]
        reason: String,
        /// When it ends by itself, such as 2027-01-31T08:00:00Z.
        #[arg(long, value_name = "TIME", value_parser = suspend::until, conflicts_with = "lasting")]
        until: Option<jiff::Timestamp>,
        /// How long it lasts, such as 2h.
        #[arg(long = "for", id = "lasting", value_name = "DURATION", value_parser = suspend::lasting)]
        lasting: Option<jiff::Timestamp>,
        #[command(flatten)]
        delivery: DeliveryArgs,
    },
    /// End a suspension. A change in git, as with `promote`.
    Resume {
        /// `ENVIRONMENT`, or `ENVIRONMENT/APPLICATION`.
        target: String,
        #[command(flatten)]
        delivery: DeliveryArgs,
    },
    /// Print the least-privilege IAM policy for exactly this repository.
    IamPolicy {
        /// Only what `plan`, `status`, `wait` and `run --observe` need.
        #[arg(long)]
        read_only: bool,
        /// The policy of the role by which this account is reached; without it that of the credentials themselves.
        #[arg(long)]
        account: Option<String>,
        /// Print the trust policy of that role instead: this account, or the role or user of this ARN, may assume it.
        #[arg(long, requires = "account", value_name = "ACCOUNT|ARN")]
        trust: Option<String>,
    },
    /// Write an infrastructure repository from what runs in an account, with the commits that run now.
    #[command(after_help = import::EXAMPLES)]
    Import(import::Options),
    /// Print the JSON Schema of the files.
    Schema,
    /// Print completions for a shell.
    Completions { shell: clap_complete::Shell },
    /// Write man pages into a folder.
    Man { folder: std::path::PathBuf },
    /// Approve a deployment that waits for it: every pause that waits now. Each step of a shift is asked for anew.
    Approve {
        /// `ENVIRONMENT/APPLICATION`.
        target: String,
        /// Only if it brings this commit.
        #[arg(long)]
        commit: Option<String>,
    },
    /// Roll back a deployment that waits for approval, or shifts traffic, or whose old tasks still stand by; its commit is held.
    Reject {
        /// `ENVIRONMENT/APPLICATION`.
        target: String,
        /// Only if it brings this commit.
        #[arg(long)]
        commit: Option<String>,
    },
    /// Let a held commit be tried once more, or what is Contested be restored.
    Retry {
        /// `ENVIRONMENT/APPLICATION`.
        target: String,
    },
    /// Say how a task ended of which that can no longer be found out.
    #[command(group(clap::ArgGroup::new("result").required(true).args(["succeeded", "failed"])))]
    Settle {
        /// `ENVIRONMENT/APPLICATION`, by its whole name.
        target: String,
        /// It did its work: those that come after it may go on.
        #[arg(long)]
        succeeded: bool,
        /// It did not: it is held.
        #[arg(long)]
        failed: bool,
        /// How that was found out; it is kept with the outcome.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Run a declared task once more, however it ended before; one that a schedule starts is run now.
    RunTask {
        /// `ENVIRONMENT/APPLICATION`.
        target: String,
    },
    /// Send a test message to the sinks of the settings, and say what each answers.
    Notify {
        /// Which sinks; all, if none is named.
        sinks: Vec<String>,
        /// Send one message that says that it is a test.
        #[arg(long, required = true)]
        test: bool,
    },
    /// Accept a rewritten history of the infrastructure repository: make this branch the one that was applied.
    AcceptHistory {
        /// The environment; all, if none is given.
        environment: Option<String>,
        /// Write it; without this flag only what would be written is shown.
        #[arg(long)]
        yes: bool,
    },
}

/// Parses the arguments and runs the command.
pub fn main() -> ExitCode {
    let ended = match Cli::try_parse() {
        Ok(cli) => {
            streams::start(cli.repository.log_format);
            run(cli)
        }
        Err(other) => instead(&other),
    };
    let (end, lost) = (ended, streams::finish());
    match end.and_then(|end| lost.map(|()| end)) {
        Ok(end) => ExitCode::from(end as u8),
        Err(error) => {
            streams::message("ERROR", format_args!("{}", streams::told(&error)));
            ExitCode::from(End::Error as u8)
        }
    }
}

/// What is printed instead of a command: its help, the version, or what is wrong with the call.
fn instead(said: &clap::Error) -> anyhow::Result<End> {
    let text = said.render();
    if !said.use_stderr() {
        let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stdout());
        streams::raw(&if is_terminal { text.ansi().to_string() } else { text.to_string() });
        return Ok(End::Good);
    }
    let words: Vec<_> = std::env::args_os().collect();
    let environment = std::env::var_os("TRUEUP_LOG_FORMAT");
    streams::start(asked_for(&words, environment.as_deref()));
    // It repeats the words of the call, where an address may stand at a wrong place.
    streams::message("ERROR", format_args!("{}", masking::scrubbed(&text.to_string()).trim_end()));
    Ok(End::Error)
}

/// The format of messages that a call asks for which cannot be understood as a whole.
fn asked_for(words: &[OsString], environment: Option<&OsStr>) -> LogFormat {
    let mut format = environment == Some(OsStr::new("json"));
    for (index, word) in words.iter().enumerate() {
        let value = match word.to_str() {
            Some("--log-format") => words.get(index + 1).and_then(|next| next.to_str()),
            Some(word) => word.strip_prefix("--log-format="),
            None => None,
        };
        format = value.map_or(format, |value| value == "json");
    }
    if format { LogFormat::Json } else { LogFormat::Text }
}

fn run(cli: Cli) -> anyhow::Result<End> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let end = runtime.block_on(dispatch(cli));
    // A fetch that hangs must not keep a process that was asked to end.
    runtime.shutdown_background();
    end
}

async fn dispatch(cli: Cli) -> anyhow::Result<End> {
    let repository = cli.repository;
    match cli.command {
        Command::Demo { scene: Some(number), .. } => demo::run(demo::Script::Scene(number)).await,
        Command::Demo { script: true, .. } => demo::run(demo::Script::Whole).await,
        Command::Demo { .. } => demo::run(demo::Script::Reader).await,
        Command::Lint { output } => lint::run(&repository, output),
        Command::Render(names) => render::run(&repository, &names),
        Command::Plan { names, to: Some(to), .. } => plan::migration(&repository, &names, to).await,
        Command::Plan { names, output, base, comment, explain, to: None } => {
            let detail = if explain { Detail::Rules } else { Detail::Changes };
            plan::run(&repository, &names, &plan::Wanted { base, format: output, detail, comment }).await
        }
        Command::Status { names, filters, output, watch: false, exit_code } => {
            let code = if exit_code { status::Code::AsItStands } else { status::Code::Shown };
            status::run(&repository, (&names, &filters), output, code).await
        }
        Command::Status { names, filters, watch: true, .. } => {
            status::watch(&repository, (&names, &filters)).await
        }
        Command::History { names, environments, output } => {
            history::run(&repository, (&names, &environments), output).await
        }
        Command::Verify { names, environments, output } => {
            verify::run(&repository, (&names, &environments), output).await
        }
        Command::Events { names, environments, since, watch } => {
            let until = if watch { history::Until::Stopped } else { history::Until::Now };
            history::events(&repository, (&names, &environments), since, until).await
        }
        Command::Reconcile { names, timeout, adopt } => {
            let first_contact = if adopt { FirstContact::Adopt } else { FirstContact::ByHistory };
            reconcile::run(&repository, &names, Duration::from_secs(timeout), first_contact).await
        }
        Command::Run { observe, listen } => Box::pin(run::run(&repository, observe, listen)).await,
        Command::Health { listen } => health::run(&repository, listen),
        Command::Wait { target, commit, release, declared_within, timeout, until } => {
            let patience = wait::Patience {
                whole: Duration::from_secs(timeout),
                undeclared: Duration::from_secs(declared_within),
            };
            let commit = match release {
                Some(release) => Commit::release(release),
                None => wait::named(&commit.unwrap_or_default())?,
            };
            wait::run(&repository, &target, commit, (until, patience)).await
        }
        Command::Simulator { listen, speed, account, region, seed, limits, latency } => {
            let rates = if limits { Rates::Published } else { Rates::Unlimited };
            let world = World::new(&account, &region).seeded(seed).with_rates(rates);
            simulator::run(listen, speed, Duration::from_millis(latency), world).await
        }
        Command::Promote { target, commit, release, from, to, force, delivery } => {
            let target = to.map_or(target.clone(), |environment| format!("{environment}/{target}"));
            let environment = from.unwrap_or_default();
            let what = match (commit, release) {
                (Some(commit), _) => promote::What::Commit(commit),
                (None, Some(release)) => promote::What::Release(release),
                (None, None) if force => promote::What::DeclaredIn(environment),
                (None, None) => promote::What::RunsWellIn(environment),
            };
            let delivery = delivery.into();
            promote::run(&repository, &promote::Promotion { target, what, delivery }).await
        }
        Command::Logs { target, since, follow, failed } => {
            let which = match (failed, follow) {
                (true, _) => logs::Which::Failed,
                (false, true) => logs::Which::Followed,
                (false, false) => logs::Which::Running,
            };
            logs::run(&repository, &target, which, since).await
        }
        Command::Rollback { target, to, force, delivery } => {
            let to = match to {
                None => rollback::To::Last,
                Some(commit) if force => rollback::To::Whatever(Commit::new(commit)),
                Some(commit) => rollback::To::Commit(Commit::new(commit)),
            };
            rollback::run(&repository, &target, to, delivery.into()).await
        }
        Command::Suspend { target, reason, until, lasting, delivery } => {
            suspend::suspend(&repository, &target, reason, until.or(lasting), delivery.into()).await
        }
        Command::Resume { target, delivery } => suspend::resume(&repository, &target, delivery.into()).await,
        Command::IamPolicy { read_only, account, trust } => {
            let access = if read_only { Access::Read } else { Access::Write };
            let whose = iam_policy::Whose { account: account.as_deref(), trust: trust.as_deref() };
            iam_policy::run(&repository, access, &whose)
        }
        Command::Import(options) => import::run(&repository, &options).await,
        Command::Schema => Ok(editors::schema()),
        Command::Completions { shell } => Ok(editors::completions(shell)),
        Command::Man { folder } => editors::man(&folder),
        Command::Approve { target, commit } => {
            let commit = commit.map(Commit::new);
            approval::run(&repository, &target, Word::Go, commit.as_ref()).await
        }
        Command::Reject { target, commit } => {
            let commit = commit.map(Commit::new);
            approval::run(&repository, &target, Word::Back, commit.as_ref()).await
        }
        Command::Settle { target, succeeded, reason, .. } => {
            let result = if succeeded { model::OutcomeKind::Succeeded } else { model::OutcomeKind::Failed };
            settle::settle(&repository, &target, result, &reason).await
        }
        Command::RunTask { target } => settle::run_task(&repository, &target).await,
        Command::Notify { sinks, test: _ } => notify::test(&repository, &sinks).await,
        Command::Retry { target } => retry::run(&repository, &target).await,
        Command::AcceptHistory { environment, yes } => {
            let answer = if yes { accept_history::Answer::Yes } else { accept_history::Answer::NotYet };
            accept_history::run(&repository, environment.as_deref(), answer).await
        }
    }
}

/// The settings of AWS, with a clock that is right.
async fn aws(accounts: Accounts, cache: Option<&Path>) -> Aws {
    let aws = Aws::load().await.with_accounts(accounts);
    let aws = match cache {
        Some(folder) => aws.with_cache(folder),
        None => aws,
    };
    aws.learn_time().await;
    aws
}

async fn aws_of(source: &source::InfraRepository) -> Aws {
    aws(source.accounts.clone(), source.cache.as_deref()).await
}

async fn controller(source: source::InfraRepository) -> Controller {
    controller_of(&aws_of(&source).await, source)
}

fn controller_of(aws: &Aws, source: source::InfraRepository) -> Controller {
    Controller::new(Box::new(aws.clone()), Box::new(source), Arc::new(aws.clock()))
}

/// The plan of one target, of which nothing is written.
async fn look_at(controller: &mut Controller, declaration: &Declaration, name: &str) -> anyhow::Result<Plan> {
    let swept =
        progress::sweep(controller, declaration, Writes::Withheld, |target| target.to_string() == name).await;
    let found = swept.into_iter().next().with_context(|| format!("no application {name}"))?;
    let plan = Some(found.plan).filter(|plan| plan.waiting != Some(Waiting::Frozen));
    plan.with_context(|| format!("{name} is frozen: its files have errors; `trueup lint` names them"))
}

/// The shortest rest that any target asks for.
fn pause(swept: &[SweepResult]) -> Duration {
    let asked = swept.iter().map(|one| match one.requeue {
        Requeue::Now => Duration::ZERO,
        Requeue::After(delay) => delay,
    });
    asked.min().unwrap_or(Duration::from_secs(30))
}

/// Up to a tenth more, so that many controllers do not fall into step.
fn jittered(rest: Duration) -> Duration {
    rest + rest.mul_f64(fastrand::f64() / 10.0)
}

/// Which targets a command means.
struct Selection(Vec<globset::GlobMatcher>);

impl Names {
    /// An error where a name means none of what is declared: a typing error must not look like "nothing to do".
    fn selection(&self, declaration: &Declaration) -> anyhow::Result<Selection> {
        let declared: Vec<String> =
            declaration.applications.iter().map(|declared| declared.target().to_string()).collect();
        let names: Vec<&str> = declared.iter().map(String::as_str).collect();
        let mut globs = Vec::new();
        for name in &self.targets {
            let full = if name.contains('/') { name.clone() } else { format!("*/{name}") };
            let glob = globset::GlobBuilder::new(&full).literal_separator(true).build()?.compile_matcher();
            if !declared.iter().any(|target| glob.is_match(target)) {
                let hint = nearest(&full, &names);
                let hint = hint.map(|near| format!("\n  hint  did you mean {near}?")).unwrap_or_default();
                anyhow::bail!("no application {name} is declared{hint}");
            }
            globs.push(glob);
        }
        Ok(Selection(globs))
    }

    /// The one target that is meant. A name that means none or several is an error: a typing error must not look like a
    /// merge that is on its way.
    fn only<'d>(&self, declaration: &'d Declaration) -> anyhow::Result<&'d Target> {
        let selection = self.selection(declaration)?;
        let targets = declaration.applications.iter().map(Declared::target);
        let meant: Vec<&Target> = targets.filter(|target| selection.holds(target)).collect();
        match meant[..] {
            [target] => Ok(target),
            _ => {
                let meant: Vec<String> = meant.iter().map(ToString::to_string).take(5).collect();
                anyhow::bail!("one application is waited for; this may be {}", meant.join(", "))
            }
        }
    }
}

impl Environments {
    /// A name that means none is an error, as for applications.
    fn globs(&self, declaration: &Declaration) -> anyhow::Result<Vec<globset::GlobMatcher>> {
        let declared = declaration.applications.iter().map(|declared| declared.target().environment.as_str());
        let declared: std::collections::BTreeSet<&str> = declared.collect();
        let names: Vec<&str> = declared.iter().copied().collect();
        let mut globs = Vec::new();
        for name in &self.environment {
            let glob = globset::Glob::new(name)?.compile_matcher();
            if !declared.iter().any(|environment| glob.is_match(environment)) {
                let hint = nearest(name, &names);
                let hint = hint.map(|near| format!("\n  hint  did you mean {near}?")).unwrap_or_default();
                anyhow::bail!("no environment {name} is declared{hint}");
            }
            globs.push(glob);
        }
        Ok(globs)
    }
}

impl Filters {
    /// Whether one is shown that was looked at.
    fn shows(&self, plan: &Plan) -> bool {
        let runs_well = matches!(plan.status.health, model::Health::Healthy | model::Health::Suspended);
        match (self.unhealthy, self.held) {
            (false, false) => true,
            (unhealthy, held) => unhealthy && !runs_well || held && plan.status.hold.is_some(),
        }
    }
}

fn is_broken(declaration: &Declaration, is_meant: impl Fn(&Target) -> bool) -> End {
    let concerns = |finding: &Finding| finding.targets.is_empty() || finding.targets.iter().any(&is_meant);
    let mut errors = declaration.findings.iter().filter(|finding| finding.severity == Severity::Error);
    if errors.any(concerns) { End::Error } else { End::Good }
}

impl Selection {
    /// The same, in some environments alone.
    fn within(self, environments: Vec<globset::GlobMatcher>) -> impl Fn(&Target) -> bool {
        move |target| {
            let environment = target.environment.as_str();
            let is_in = environments.is_empty() || environments.iter().any(|glob| glob.is_match(environment));
            is_in && self.holds(target)
        }
    }

    fn holds(&self, target: &Target) -> bool {
        self.0.is_empty() || self.0.iter().any(|glob| glob.is_match(target.to_string()))
    }

    /// An error where one of the findings is one, and is about a target that is meant, or about none in particular.
    fn is_broken(&self, declaration: &Declaration) -> End {
        is_broken(declaration, |target| self.holds(target))
    }
}
