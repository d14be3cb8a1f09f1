//! The life of tasks that no service started: they end by themselves, and nobody replaces them.

use super::Around;
use super::life::{self, Due};
use crate::world::ecs::{Container, Program, Run, Task};

impl Run {
    /// One second of it.
    pub(super) fn live(&mut self, around: &Around) {
        let task = &mut self.task;
        if !task.wanted {
            life::go_on_stopping(task, around.now, 0);
        } else if task.is_running() {
            work(task, around);
        } else {
            self.go_on_starting(around);
        }
    }

    /// Its essential containers end with this code.
    pub(in crate::world) fn exit(&mut self, exit_code: i64, now: u64) {
        for container in self.task.containers.iter_mut().filter(|container| container.essential) {
            container.exit(exit_code);
        }
        end_with_essential(&mut self.task, now);
    }

    fn go_on_starting(&mut self, around: &Around) {
        let is_fargate = self.is_fargate();
        let (task, now) = (&mut self.task, around.now);
        let status = task.status;
        match life::due(task, now) {
            None => {}
            Some(Due::Pending) => life::begin_to_pull(task, now),
            Some(Due::Pulled) => match resolve(task, around) {
                None => life::end_pull(task, now),
                Some(missing) => _ = life::give_up(task, &missing, is_fargate, now),
            },
            Some(Due::Running) => {
                task.status = "RUNNING";
                task.started_at = Some(now);
            }
        }
        task.version += u64::from(task.status != status);
    }
}

/// Gives the containers their digests; what cannot be had. Each run resolves them anew.
fn resolve(task: &mut Task, around: &Around) -> Option<life::Missing> {
    if let Some(secret) = around.missing_secret(task) {
        return Some(life::Missing::Secret(secret));
    }
    for container in &mut task.containers {
        match around.registry.pull(&container.image, None, around.now) {
            Some(digest) if !around.faults.cannot_pull(&digest) => container.digest = Some(digest),
            _ => return Some(life::Missing::Image(container.image.clone())),
        }
    }
    around.misses_log_group(task).then_some(life::Missing::LogGroup)
}

/// Containers end as their programs do, or as a fault wants.
fn work(task: &mut Task, around: &Around) {
    let age = around.now - task.started_at.unwrap_or(around.now);
    life::crash(task, age, around);
    for container in task.containers.iter_mut().filter(|container| container.exit_code.is_none()) {
        match container.program(around.programs) {
            Program::Ends { exit_code, after_seconds } if age >= after_seconds.max(1) => {
                container.exit(exit_code);
            }
            Program::Ends { .. } | Program::Stays => {}
        }
    }
    end_with_essential(task, around.now);
}

fn end_with_essential(task: &mut Task, now: u64) {
    let ended = |container: &Container| container.essential && container.exit_code.is_some();
    if task.containers.iter().any(ended) {
        task.stop(now, "EssentialContainerExited", "Essential container in task exited");
    }
}
