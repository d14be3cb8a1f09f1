//! Revisions of task definitions and what becomes of them (Amazon ECS API reference: `RegisterTaskDefinition`,
//! `DeregisterTaskDefinition`, `DeleteTaskDefinitions`, `DescribeTaskDefinition`, `ListTaskDefinitions`).
//! What AWS writes into a definition and what it refuses is in `registration`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::registration::describe_registration;
use super::{client_error, time};
use crate::world::input::{
    Input, Tags, batch, described_tags, invalid, last_part, list, optional, page, tags_of, text, texts,
    with_token,
};
use crate::world::{Answer, AwsError, World};

/// Revisions by family, in the order of their numbers.
pub(in crate::world) type Families = BTreeMap<String, Vec<TaskDefinition>>;

#[derive(Clone, Debug)]
pub(in crate::world) struct TaskDefinition {
    pub arn: String,
    pub revision: usize,
    pub status: Status,
    /// As described: the input with AWS's defaults.
    pub described: Input,
    pub tags: Tags,
    registered_at: u64,
    deregistered_at: Option<u64>,
    delete_requested_at: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::world) enum Status {
    Active,
    Inactive,
    DeleteInProgress,
    /// Its number is never used again.
    Deleted,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Inactive => "INACTIVE",
            Self::DeleteInProgress | Self::Deleted => "DELETE_IN_PROGRESS",
        }
    }
}

impl TaskDefinition {
    pub fn containers(&self) -> impl Iterator<Item = &Input> {
        let containers = self.described.get("containerDefinitions").and_then(Value::as_array);
        containers.into_iter().flatten().filter_map(Value::as_object)
    }

    pub fn network_mode(&self) -> Option<&str> {
        self.described.get("networkMode").and_then(Value::as_str)
    }

    /// Fargate needs `awsvpc` and a task size, whether or not it is named in `requiresCompatibilities`.
    /// Whether the container maps the port.
    /// Whether a load balancer can reach this container at this port.
    pub fn offers(&self, container: &str, port: u64) -> Result<(), AwsError> {
        let named = |one: &&Input| one.get("name").and_then(Value::as_str) == Some(container);
        let missing = || invalid(format!("The container {container} does not exist in the task definition."));
        let found = self.containers().find(named).ok_or_else(missing)?;
        let mut mapped = list(found, "portMappings").filter_map(|one| one.get("containerPort")?.as_u64());
        if mapped.any(|mapped| mapped == port) {
            return Ok(());
        }
        Err(invalid(format!("The container {container} did not have a container port {port} defined.")))
    }

    pub fn runs_on_fargate(&self) -> bool {
        self.network_mode() == Some("awsvpc")
            && self.described.contains_key("cpu")
            && self.described.contains_key("memory")
    }

    /// Whether the index of tags has it, which tells of a deleted one for `ghosts_stay` seconds more.
    pub fn is_indexed(&self, now: u64, ghosts_stay: u64, inactive: bool) -> bool {
        match self.status {
            Status::Active => true,
            Status::Inactive => inactive,
            Status::DeleteInProgress | Status::Deleted => {
                inactive && self.delete_requested_at.is_some_and(|at| at + ghosts_stay > now)
            }
        }
    }

    fn compatibilities(&self) -> Vec<&'static str> {
        if self.runs_on_fargate() { vec!["EC2", "FARGATE"] } else { vec!["EC2"] }
    }
}

impl World {
    pub(super) fn register_task_definition(&mut self, input: &Input) -> Answer {
        let family = text(input, "family")?.to_owned();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if family.is_empty() || family.len() > 255 || !family.bytes().all(is_name) {
            return Err(client_error("Family contains invalid characters."));
        }
        let described = describe_registration(input)?;
        let tags = tags_of(input)?;
        // Registering the same twice makes two revisions, and no number is used twice.
        let revision = self.families.get(&family).map_or(0, Vec::len) + 1;
        let registered = TaskDefinition {
            arn: self.arn("ecs", &format!("task-definition/{family}:{revision}")),
            revision,
            status: Status::Active,
            described,
            tags,
            registered_at: self.now,
            deregistered_at: None,
            delete_requested_at: None,
        };
        let answer = self.describe_revision(&registered, true);
        self.index_lags(&registered.arn, None);
        self.families.entry(family).or_default().push(registered);
        Ok(answer)
    }

    fn describe_revision(&self, definition: &TaskDefinition, with_tags: bool) -> Value {
        let mut described = definition.described.clone();
        let mut set = |key: &str, value: Value| described.insert(key.to_owned(), value);
        set("taskDefinitionArn", json!(definition.arn));
        set("revision", json!(definition.revision));
        set("status", json!(definition.status.name()));
        set("compatibilities", json!(definition.compatibilities()));
        set("requiresAttributes", json!([]));
        set("registeredAt", time(definition.registered_at));
        set("registeredBy", json!(self.caller()));
        if let Some(at) = definition.deregistered_at {
            set("deregisteredAt", time(at));
        }
        if let Some(at) = definition.delete_requested_at {
            set("deleteRequestedAt", time(at));
        }
        // The tags stand beside the definition, not in it.
        let mut answer = json!({"taskDefinition": described});
        if with_tags {
            answer["tags"] = described_tags(&definition.tags);
        }
        answer
    }

    pub(in crate::world) fn definition(&self, name: &str) -> Option<&TaskDefinition> {
        find_definition(&self.families, self.own("task-definition", name)?)
    }

    /// By `family:revision` or ARN.
    pub(super) fn definition_mut(&mut self, name: &str) -> Option<&mut TaskDefinition> {
        let (family, number) = self.own("task-definition", name)?.rsplit_once(':')?;
        let index = number.parse::<usize>().ok()?.checked_sub(1)?;
        self.families.get_mut(family)?.get_mut(index).filter(|found| found.status != Status::Deleted)
    }

    pub(super) fn describe_task_definition(&mut self, input: &Input) -> Answer {
        let name = text(input, "taskDefinition")?;
        let found =
            self.definition(name).ok_or_else(|| client_error("Unable to describe task definition."))?;
        Ok(self.describe_revision(found, texts(input, "include").any(|what| what == "TAGS")))
    }

    /// `familyPrefix` is the whole name of a family; revisions are in the order of their numbers.
    pub(super) fn list_task_definitions(&mut self, input: &Input) -> Answer {
        let family = optional(input, "familyPrefix")?;
        let status = wanted_status(input)?;
        let descending = match optional(input, "sort")? {
            None | Some("ASC") => false,
            Some("DESC") => true,
            Some(_) => return Err(invalid("sort must be ASC or DESC.")),
        };
        let families = self.families.iter().filter(|(name, _)| family.is_none_or(|family| family == *name));
        let mut arns = Vec::new();
        for (_, revisions) in families {
            let found =
                revisions.iter().filter(|found| found.status == status).map(|found| found.arn.clone());
            arns.extend(found);
        }
        if descending {
            arns.reverse();
        }
        let (arns, token) = page(arns, input, 100, 100)?;
        Ok(with_token(json!({"taskDefinitionArns": arns}), token))
    }

    /// Here `familyPrefix` is the beginning of a name.
    pub(super) fn list_task_definition_families(&mut self, input: &Input) -> Answer {
        let prefix = optional(input, "familyPrefix")?.unwrap_or_default();
        let status = optional(input, "status")?.unwrap_or("ALL");
        let is_active =
            |revisions: &[TaskDefinition]| revisions.iter().any(|found| found.status == Status::Active);
        let is_there =
            |revisions: &[TaskDefinition]| revisions.iter().any(|one| one.status != Status::Deleted);
        let mut names = Vec::new();
        let families = self.families.iter().filter(|(name, _)| name.starts_with(prefix));
        for (name, revisions) in families.filter(|(_, revisions)| is_there(revisions)) {
            if status == "ALL" || (status == "ACTIVE") == is_active(revisions) {
                names.push(name.clone());
            }
        }
        let (names, token) = page(names, input, 100, 100)?;
        Ok(with_token(json!({"families": names}), token))
    }

    /// The effect may take AWS up to ten minutes; here it is there at once.
    pub(super) fn deregister_task_definition(&mut self, input: &Input) -> Answer {
        let now = self.now;
        let name = text(input, "taskDefinition")?;
        let missing = || client_error("The specified task definition does not exist.");
        let definition = self.definition_mut(name).ok_or_else(missing)?;
        if definition.status == Status::Active {
            definition.status = Status::Inactive;
            definition.deregistered_at = Some(now);
        }
        let found = definition.clone();
        Ok(self.describe_revision(&found, false))
    }

    /// Only what was deregistered can be deleted. While a service or a task needs it, it stays `DELETE_IN_PROGRESS`.
    pub(super) fn delete_task_definitions(&mut self, input: &Input) -> Answer {
        let ((mut deleted, mut failures), now) = ((Vec::new(), Vec::new()), self.now);
        for name in batch(input, "taskDefinitions", 10)? {
            match self.definition_mut(name) {
                Some(found) if found.status != Status::Active => {
                    found.status = Status::DeleteInProgress;
                    found.delete_requested_at.get_or_insert(now);
                    let found = found.clone();
                    deleted.push(self.describe_revision(&found, false)["taskDefinition"].take());
                }
                Some(found) => failures.push(json!({
                    "arn": found.arn,
                    "reason": "The specified task definition is still in ACTIVE status. Please deregister the target and try again.",
                })),
                None => failures.push(json!({"arn": name, "reason": "The specified task definition does not exist."})),
            }
        }
        Ok(json!({"taskDefinitions": deleted, "failures": failures}))
    }

    /// Deletes what is to be deleted and no longer needed.
    pub(in crate::world) fn delete_unneeded_definitions(&mut self) {
        let (services, runs) = (&self.services, &self.runs);
        let runs_it = |arn: &str| runs.iter().any(|run| run.task.wanted && run.task.task_definition == arn);
        for definition in self.families.values_mut().flatten() {
            if definition.status == Status::DeleteInProgress
                && !services.values().any(|service| service.needs(&definition.arn))
                && !runs_it(&definition.arn)
            {
                definition.status = Status::Deleted;
            }
        }
    }

    /// The ARN of a revision that new tasks may use.
    pub(in crate::world) fn usable_definition(&self, name: &str) -> Result<&TaskDefinition, AwsError> {
        let definition = self.definition(name).ok_or_else(|| client_error("TaskDefinition not found."))?;
        match definition.status {
            Status::Active => Ok(definition),
            _ => Err(client_error("TaskDefinition is inactive")),
        }
    }
}

/// By `family` (the newest ACTIVE), `family:revision` or ARN.
pub(in crate::world) fn find_definition<'a>(
    families: &'a Families,
    name: &str,
) -> Option<&'a TaskDefinition> {
    let short = last_part(name);
    match short.rsplit_once(':') {
        Some((family, number)) => {
            let index = number.parse::<usize>().ok()?.checked_sub(1)?;
            families.get(family)?.get(index).filter(|found| found.status != Status::Deleted)
        }
        None => families.get(short)?.iter().rev().find(|definition| definition.status == Status::Active),
    }
}

fn wanted_status(input: &Input) -> Result<Status, AwsError> {
    match optional(input, "status")?.unwrap_or("ACTIVE") {
        "ACTIVE" => Ok(Status::Active),
        "INACTIVE" => Ok(Status::Inactive),
        "DELETE_IN_PROGRESS" => Ok(Status::DeleteInProgress),
        _ => Err(invalid("status must be ACTIVE, INACTIVE or DELETE_IN_PROGRESS.")),
    }
}
