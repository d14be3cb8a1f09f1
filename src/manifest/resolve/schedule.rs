//! Tasks that rules and schedules of EventBridge start: `strategy: schedule`. Only what they run is declared: when and where they
//! start it is said there.

use std::collections::BTreeSet;

use super::Resolver;
use crate::manifest::names::NameKind;
use crate::model::{ScheduleName, ScheduledTask, TaskDefinitionSource};
use crate::text::fields::{Fields, items, text};
use crate::text::report::Report;
use crate::text::tree::Node;

/// The group that a schedule is in that names none (EventBridge Scheduler API reference, `GetSchedule`).
const DEFAULT_GROUP: &str = "default";

impl Resolver<'_, '_, '_> {
    /// `None` where the application is no such task.
    pub(super) fn scheduled_task(&mut self) -> Option<ScheduledTask> {
        if !self.is_without_service("schedule", "a task that is scheduled") {
            return None;
        }
        let settings = self.settings_of("schedule");
        let found = self.merged.get("strategy")?;
        let environment = self.environment;
        let read = settings.map(|settings| {
            self.read(&settings, |node, path, report| {
                scheduled_task(node, path, &|text| environment.fill(text), report)
            })
        });
        let names_any = read.as_ref().is_none_or(|task| !task.schedules.is_empty());
        if read.is_none() || !names_any {
            let message = "expected `rules` or `schedules`: who starts the task";
            self.error(found.file, found.node, &found.path, message).hint =
                Some("such as {schedule: {rules: [\"nightly-{environment}\"]}}".to_owned());
        }
        Some(read.unwrap_or_default())
    }

    /// Holds what is declared against the task definition.
    pub(super) fn check_scheduled(&mut self, task: &ScheduledTask, source: &TaskDefinitionSource) {
        let Some(input) = self.own_task_definition(source) else { return };
        let names: Vec<&str> = super::task::container_names(input).collect();
        let unknown = task.success.iter().flatten().find(|name| !names.contains(&name.as_str()));
        let Some((unknown, found)) = unknown.zip(self.merged.get("strategy")) else { return };
        let message = format!("the task definition has no container {unknown}");
        let path = format!("{}.schedule.success", found.path);
        self.error(found.file, found.node, &path, message).hint =
            Some(format!("it has {}", names.join(", ")));
    }
}

fn scheduled_task(
    node: &Node,
    path: &str,
    fill: &dyn Fn(&str) -> String,
    report: &mut Report<'_>,
) -> ScheduledTask {
    let mut fields = Fields::of(node, path, report);
    let listed = |key: &'static str, fields: &mut Fields<'_, '_, '_>| {
        fields.node(key).map(|node| (node.clone(), fields.path(key)))
    };
    let (rules, schedules) = (listed("rules", &mut fields), listed("schedules", &mut fields));
    let success = fields.names("success", NameKind::Container, fill);
    fields.finish();
    let mut names = Names { fill, seen: BTreeSet::new(), all: Vec::new() };
    if let Some((node, path)) = rules {
        names.read(&node, &path, &rule, report);
    }
    if let Some((node, path)) = schedules {
        names.read(&node, &path, &schedule, report);
    }
    ScheduledTask { schedules: names.all, success: success.filter(|names| !names.is_empty()) }
}

/// The names so far, each once.
struct Names<'a> {
    fill: &'a dyn Fn(&str) -> String,
    seen: BTreeSet<ScheduleName>,
    all: Vec<ScheduleName>,
}

type Parse<'a> = &'a dyn Fn(&str, &Node, &str, &mut Report<'_>) -> ScheduleName;

impl Names<'_> {
    fn read(&mut self, node: &Node, path: &str, parse: Parse<'_>, report: &mut Report<'_>) {
        for item in items(node, path, report).unwrap_or_default() {
            let Some(written) = text(item, path, report) else { continue };
            let name = parse(&(self.fill)(&written), item, path, report);
            if self.seen.insert(name.clone()) {
                self.all.push(name);
            } else {
                report.error(item, path, format!("{name} is named twice"));
            }
        }
    }
}

fn rule(name: &str, node: &Node, path: &str, report: &mut Report<'_>) -> ScheduleName {
    NameKind::EventRule.check(name, node, path, report);
    ScheduleName::Rule(name.to_owned())
}

/// `<group>/<name>`, or the name alone of one in the default group.
fn schedule(written: &str, node: &Node, path: &str, report: &mut Report<'_>) -> ScheduleName {
    let (group, name) = written.split_once('/').unwrap_or((DEFAULT_GROUP, written));
    NameKind::ScheduleGroup.check(group, node, path, report);
    NameKind::Schedule.check(name, node, path, report);
    ScheduleName::Schedule { group: group.to_owned(), name: name.to_owned() }
}
