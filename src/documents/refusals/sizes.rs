//! CPU and memory of containers, beside those of the task (Amazon ECS API reference, `ContainerDefinition`).

use serde_json::Value;

use super::{Complaint, Fields, amount, units};

/// MiB below which Docker starts no container: the older daemons on EC2, and the newer ones.
const LEAST_MEMORY: u64 = 4;
const USUAL_LEAST_MEMORY: u64 = 6;

pub(super) fn of(fields: &Fields, containers: &[&Fields], found: &mut Vec<Complaint>) {
    let (cpu, memory) = (units(fields, "cpu"), units(fields, "memory"));
    let of_the_task = [("cpu", cpu), ("memory", memory), ("memoryReservation", memory)];
    for (index, container) in containers.iter().enumerate() {
        let path = |key: &str| format!("containerDefinitions[{index}].{key}");
        for (key, most) in of_the_task {
            let (Some(own), Some(most)) = (amount(container, key), most) else { continue };
            if own > most {
                let message = format!("`{key}` is {own}, and the whole task has {most}");
                found.push(Complaint::error(path(key), message));
            }
        }
        for key in ["cpu", "memory", "memoryReservation"] {
            if container.get(key).and_then(Value::as_i64).is_some_and(|own| own < 0) {
                found.push(Complaint::error(path(key), format!("`{key}` is less than nothing")));
            }
        }
        for key in ["memory", "memoryReservation"] {
            match amount(container, key) {
                Some(own) if own < LEAST_MEMORY => {
                    let message = format!("`{key}` is less than {LEAST_MEMORY} MiB");
                    found.push(Complaint::error(path(key), message).hint("6 MiB at least"));
                }
                Some(own) if own < USUAL_LEAST_MEMORY => {
                    let message = format!("`{key}` is less than {USUAL_LEAST_MEMORY} MiB");
                    let hint = "Docker 20.10 and later reserve as much for a container";
                    found.push(Complaint::warning(path(key), message).hint(hint));
                }
                _ => {}
            }
        }
    }
    let all: u64 =
        containers.iter().filter_map(|container| amount(container, "cpu")).fold(0, u64::saturating_add);
    let is_told = |cpu: u64| containers.iter().any(|container| amount(container, "cpu") > Some(cpu));
    if let Some(cpu) = cpu.filter(|cpu| all > *cpu && !is_told(*cpu)) {
        found.push(Complaint::error(
            "cpu",
            format!("the containers have cpu {all} together, and the task {cpu}"),
        ));
    }
}
