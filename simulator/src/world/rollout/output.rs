//! What containers write: that they begin, what a fault has them say, and that they end. Only what goes to `CloudWatch` Logs in the
//! region of the world is kept (developer guide, "Send Amazon ECS logs to `CloudWatch`").

use serde_json::Value;

use crate::faults::Faults;
use crate::world::World;
use crate::world::ecs::{Container, Families, Task, TaskDefinition, find_definition};
use crate::world::input::{Input, last_part};
use crate::world::logs::Logs;

/// How much a container has written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::world) enum Written {
    #[default]
    Nothing,
    Beginning,
    All,
}

impl World {
    /// After a second has passed.
    pub(super) fn write_logs(&mut self) {
        let of_services = self.services.values_mut().flat_map(|service| &mut service.tasks);
        let tasks = of_services.chain(self.runs.iter_mut().map(|run| &mut run.task));
        for task in tasks.filter(|task| task.started_at.is_some()) {
            write(task, &self.region, &self.families, &self.faults, &mut self.logs, self.now);
        }
    }
}

fn write(task: &mut Task, region: &str, families: &Families, faults: &Faults, logs: &mut Logs, now: u64) {
    let definition = find_definition(families, &task.task_definition);
    let id = last_part(&task.arn).to_owned();
    for container in task.containers.iter_mut().filter(|container| container.written != Written::All) {
        let ended = container.exit_code;
        let lines = lines(container, faults);
        container.written = if ended.is_some() { Written::All } else { Written::Beginning };
        let mut defined = definition.into_iter().flat_map(TaskDefinition::containers);
        let named = |one: &&Input| one.get("name").and_then(Value::as_str) == Some(&container.name);
        let place =
            defined.find(named).and_then(|one| place(one.get("logConfiguration")?, container, &id, region));
        if let Some((group, stream)) = place.filter(|(group, _)| !faults.hides_log_group(group)) {
            for line in &lines {
                logs.write(&group, &stream, line, now);
            }
        }
    }
}

/// Those that are new.
fn lines(container: &Container, faults: &Faults) -> Vec<String> {
    let mut lines = Vec::new();
    if container.written == Written::Nothing {
        lines.push(format!("{} begins", container.name));
        lines.extend(container.digest.iter().flat_map(|digest| faults.says(digest)).map(str::to_owned));
    }
    lines.extend(container.exit_code.map(|code| format!("{} ends with {code}", container.name)));
    lines
}

/// Group and stream: `<prefix>/<container>/<task>`, or the id of the runtime where there is no prefix.
fn place(configuration: &Value, container: &Container, task: &str, region: &str) -> Option<(String, String)> {
    let option = |name: &str| configuration.get("options")?.get(name)?.as_str();
    let is_here = option("awslogs-region").is_none_or(|named| named == region);
    let is_kept = configuration.get("logDriver").and_then(Value::as_str) == Some("awslogs") && is_here;
    let group = option("awslogs-group").filter(|_| is_kept)?.to_owned();
    let stream = match option("awslogs-stream-prefix") {
        Some(prefix) => format!("{prefix}/{}/{task}", container.name),
        None => container.runtime_id(task),
    };
    Some((group, stream))
}
