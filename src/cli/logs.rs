//! `trueup logs`: what the containers of a target have written to `CloudWatch` Logs. What cannot be read of it is a line on
//! stderr, and the rest goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, bail};
use futures::future::join_all;
use serde_json::Value;

use super::change::readable;
use super::end::End;
use super::source::InfraRepository;
use super::{RepositoryArgs, aws_of, streams};
use crate::aws::Aws;
use crate::controller;
use crate::documents::logs::{self, Log};
use crate::documents::{reasons, shown};
use crate::model::{
    CauseKind, Declared, Desired, LogStream, Millis, Task, TaskDefinitionArn, TaskDefinitionSource,
};
use crate::plan;
use crate::plan::steady::{Ending, ending};
use crate::ports::{Clock, CloudError, LogPage, Place, Ports, Reach, Since, Tasks};
use crate::text::duration;
use crate::view::logs::{Entry, lines};

/// How far back is looked where nobody says.
const USUAL: Duration = Duration::from_mins(15);
/// Tasks whose logs are read, the newest first, and logs of all of them (chosen: what a person can still follow).
const MOST_TASKS: usize = 20;
const MOST_STREAMS: usize = 40;
/// Tasks that are looked through for those that failed.
const MOST_STOPPED: usize = 200;
/// Things that are said beside the logs: some for each of them.
const MOST_SAID: usize = 100;
/// Entries of one log in one answer.
const MOST_ENTRIES: usize = 500;
/// From one look at the logs to the next, and looks from one list of the tasks to the next.
const REST: Duration = Duration::from_secs(2);
const LOOKS: u32 = 5;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Running,
    /// The same, and what they go on to write.
    Followed,
    Failed,
}

/// How far back, for an option.
pub(super) fn since(text: &str) -> Result<Duration, String> {
    let parsed = duration::parse(text).filter(|duration| !duration.is_zero());
    parsed.ok_or_else(|| duration::EXPECTED.to_owned())
}

pub(super) async fn run(
    arguments: &RepositoryArgs,
    name: &str,
    which: Which,
    since: Option<Duration>,
) -> anyhow::Result<End> {
    let source = InfraRepository::open(arguments)?;
    let (_, declaration) = source.committed()?;
    let desired = readable(&declaration, name)?;
    let aws = aws_of(&source).await;
    let declared = Declared::Readable(Box::new(desired.clone()));
    let place = controller::place_of(&aws, &declared);
    let mut reader = Reader {
        ports: aws.ports(&place),
        aws,
        place,
        desired,
        since: 0,
        read: BTreeMap::new(),
        inputs: BTreeMap::new(),
        said: BTreeSet::new(),
    };
    reader.check_account().await?;
    let since = since.or((which != Which::Failed).then_some(USUAL));
    let back = since.map(|since| Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX));
    reader.since = back.map_or(0, |back| reader.aws.clock().now().saturating_sub(back).max(0));
    reader.find(which).await?;
    if reader.read.is_empty() {
        say!("{name}: {}", reader.nothing(which));
        return Ok(End::Good);
    }
    reader.print().await;
    if which != Which::Followed {
        return Ok(End::Good);
    }
    let mut stop = std::pin::pin!(tokio::signal::ctrl_c());
    for look in 1_u32.. {
        tokio::select! {
            () = tokio::time::sleep(REST) => {}
            _ = &mut stop => break,
        }
        if look % LOOKS == 0
            && let Err(error) = reader.find(which).await
        {
            reader.say_once(format!("{error:#}"));
        }
        reader.print().await;
        if streams::has_ended() {
            break;
        }
    }
    Ok(End::Good)
}

/// What is known of one log.
struct Read {
    /// `container/task`, the task by the first digits of its id.
    prefix: String,
    revision: TaskDefinitionArn,
    since: Since,
}

struct Reader<'d> {
    aws: Aws,
    place: Place,
    ports: Ports,
    desired: &'d Desired,
    since: Millis,
    read: BTreeMap<LogStream, Read>,
    /// The task definitions of the tasks: how their logs are named, and what must not be shown.
    inputs: BTreeMap<TaskDefinitionArn, Value>,
    said: BTreeSet<String>,
}

impl Reader<'_> {
    /// In another account something else may have the names.
    async fn check_account(&self) -> anyhow::Result<()> {
        let Some(expected) = &self.desired.account else { return Ok(()) };
        match self.ports.sts.account().await {
            Ok(actual) if actual != *expected => {
                bail!("the credentials belong to account {actual}, {expected} is declared")
            }
            Ok(_) => Ok(()),
            Err(why) => {
                let why = crate::model::Waiting::Unreached { account: Some(expected.to_string()), why };
                bail!("cannot reach account {expected}: {}", plan::waiting::describe(&why))
            }
        }
    }

    /// The logs of the tasks that are there now, beside those that are known.
    async fn find(&mut self, which: Which) -> anyhow::Result<()> {
        let tasks = self.tasks(which).await.context("cannot read the tasks")?;
        let mut cut = tasks.len() > MOST_TASKS;
        for task in tasks.iter().take(MOST_TASKS) {
            let Some(input) = self.input(&task.task_definition).await else { continue };
            let runtime_id = |name: &str| {
                let container = task.containers.iter().find(|container| container.name == name)?;
                container.runtime_id.clone()
            };
            let id = task.id();
            for (container, log) in logs::of_task(&input, id, runtime_id) {
                let stream = match log {
                    Log::Kept(stream) => stream,
                    Log::Elsewhere(what) => {
                        self.say_once(format!("the log of container {container} is not read: {what}"));
                        continue;
                    }
                };
                if self.read.len() >= MOST_STREAMS && !self.read.contains_key(&stream) {
                    cut = true;
                    continue;
                }
                let prefix = format!("{container}/{}", id.get(..8).unwrap_or(id));
                let (revision, since) = (task.task_definition.clone(), Since::Time(self.since));
                self.read.entry(stream).or_insert(Read { prefix, revision, since });
            }
        }
        if cut {
            self.say_once(format!("only the logs of the newest tasks are read, {MOST_STREAMS} at most"));
        }
        Ok(())
    }

    /// The newest first.
    async fn tasks(&self, which: Which) -> Result<Vec<Task>, CloudError> {
        let (cluster, ecs) = (&self.desired.cluster, &self.ports.ecs);
        let mut tasks = match (self.desired.service(), which) {
            (Some(service), Which::Failed) => {
                ecs.tasks(cluster, service, Tasks::Stopped, MOST_STOPPED).await?
            }
            (Some(service), _) => ecs.tasks(cluster, service, Tasks::Running, MOST_STOPPED).await?,
            (None, _) => match plan::declared_family(self.desired) {
                Some(family) => ecs.runs_of_family(cluster, family, MOST_STOPPED).await?,
                None => Vec::new(),
            },
        };
        if which == Which::Failed {
            tasks.retain(|task| ending(task).is_some_and(Ending::is_failure));
            let last =
                tasks.iter().max_by_key(|task| task.stopped_at).map(|task| task.task_definition.clone());
            tasks.retain(|task| Some(&task.task_definition) == last.as_ref());
        }
        tasks.sort_by_key(|task| {
            std::cmp::Reverse(task.stopped_at.or(task.started_at).unwrap_or(Millis::MAX))
        });
        Ok(tasks)
    }

    /// A task definition never changes: each is read once.
    async fn input(&mut self, arn: &TaskDefinitionArn) -> Option<Value> {
        if !self.inputs.contains_key(arn) {
            match self.ports.ecs.revision(arn).await {
                Ok(revision) => drop(self.inputs.insert(arn.clone(), revision.input)),
                Err(error) => self.say_once(format!("cannot read {}: {error}", arn.short())),
            }
        }
        self.inputs.get(arn).cloned()
    }

    /// What was written since it was read last, of all of them together in the order of time.
    async fn print(&mut self) {
        let calls = self.read.iter().map(async |(stream, read)| {
            let region = stream.region.clone().or_else(|| self.place.region.clone());
            let ports = self.aws.ports(&Place { region, ..self.place.clone() });
            (stream.clone(), ports.logs.page(stream, read.since.clone(), MOST_ENTRIES).await)
        });
        let mut entries = Vec::new();
        for (stream, answer) in join_all(calls).await {
            match answer {
                Ok(page) => entries.extend(self.took(&stream, page)),
                Err(CloudError::NotFound(why)) if reasons::of_stop(&why) == CauseKind::LogGroup => {
                    self.say_once(format!("there is no log group {}", stream.group));
                }
                // Nothing was written there yet.
                Err(CloudError::NotFound(_)) => {
                    self.say_once(format!("nothing is logged in {}, {}", stream.group, stream.stream));
                }
                // Of all streams of a group the same is said.
                Err(error) => self.say_once(format!("the log {} cannot be read: {error}", stream.group)),
            }
        }
        entries.sort_by_key(|entry| entry.at);
        streams::print(format_args!("{}", lines(&entries)));
    }

    fn took(&mut self, stream: &LogStream, page: LogPage) -> Vec<Entry> {
        let Some(read) = self.read.get(stream) else { return Vec::new() };
        if page.lines.len() >= MOST_ENTRIES && matches!(read.since, Since::Time(_)) {
            let first = format!("of {} only the last {MOST_ENTRIES} entries are shown", read.prefix);
            self.say_once(first);
        }
        let Some(read) = self.read.get_mut(stream) else { return Vec::new() };
        if let Some(next) = page.next {
            read.since = Since::Page(next);
        }
        let declared = match &self.desired.task_definition {
            TaskDefinitionSource::File { input, .. } => Some(&**input),
            TaskDefinitionSource::Service | TaskDefinitionSource::Family(_) => None,
        };
        let entry = |(at, text): (Millis, String)| {
            let text = shown::without_hidden(&text, self.inputs.get(&read.revision), declared);
            Entry { at, prefix: read.prefix.clone(), text }
        };
        page.lines.into_iter().map(entry).collect()
    }

    fn nothing(&self, which: Which) -> &'static str {
        match which {
            _ if !self.said.is_empty() => "there is no log to show",
            Which::Failed => {
                "no task has failed within the last hour or so, for which ECS tells of stopped tasks"
            }
            Which::Running | Which::Followed => "no task runs; --failed shows the logs of those that failed",
        }
    }

    fn say_once(&mut self, text: String) {
        if self.said.len() < MOST_SAID && !self.said.contains(&text) {
            say!("{text}");
            self.said.insert(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_back_is_a_duration() {
        assert_eq!(since("2h"), Ok(Duration::from_hours(2)));
        assert!(since("0").is_err() && since("yesterday").is_err());
    }
}
