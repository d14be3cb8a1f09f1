//! What `RunTask` is sent.

use serde_json::{Map, Value, json};

use super::{Job, Open, identity};
use crate::documents::memory;
use crate::model::{Observed, OneShot, Reading, RunCapacity, RunNetwork, Service, Waiting};
use crate::plan::facts::unreadable;

/// Members of a service that its model lends to a task.
const LENT: [&str; 3] = ["networkConfiguration", "capacityProviderStrategy", "platformVersion"];

pub(super) fn input(job: &Job<'_, '_>, open: &Open<'_, '_>) -> Result<Value, Waiting> {
    let desired = job.facts.input.desired;
    let target = &desired.target;
    let tag = |key: &str, value: &str| json!({"key": key, "value": value});
    let mut input = place(job.task, job.facts.input.observed)?;
    let members = json!({
        "cluster": open.run.cluster.as_str(),
        "taskDefinition": open.revision.as_str(),
        "count": 1,
        "clientToken": identity::token(target, &open.memory.content, open.run),
        "startedBy": identity::started_by(target, &open.memory.content, open.run.attempt),
        // For people: nothing reads them again.
        "tags": [
            tag(memory::ENVIRONMENT, target.environment.as_str()),
            tag(memory::APPLICATION, target.application.as_str()),
            tag(memory::COMMIT, &open.memory.commit.to_record()),
            tag("trueup:attempt", &open.run.attempt.to_string()),
        ],
    });
    input.extend(members.as_object().cloned().unwrap_or_default());
    Ok(Value::Object(input))
}

/// Where it runs: the members of the declared network and capacity, over those of the service that they are like.
pub(super) fn place(task: &OneShot, observed: &Observed) -> Result<Map<String, Value>, Waiting> {
    let mut place = Map::new();
    match &task.network {
        RunNetwork::Unspecified => {}
        RunNetwork::Declared(network) => {
            place.insert("networkConfiguration".to_owned(), json!({"awsvpcConfiguration": network}));
        }
        RunNetwork::Like(name) => match &observed.model_service {
            Some(Reading::Known(service)) => place.extend(lent(service)),
            Some(Reading::Unavailable(why)) => return Err(unreadable("the service with its network", why)),
            Some(Reading::Absent) => {
                return Err(Waiting::NoNetwork { why: format!("there is no service {name}") });
            }
            None => return Err(Waiting::LookDeeper),
        },
    }
    match &task.capacity {
        RunCapacity::Unspecified => return Ok(place),
        RunCapacity::LaunchType(name) => {
            place.shift_remove("capacityProviderStrategy");
            place.insert("launchType".to_owned(), json!(name));
        }
        RunCapacity::Providers(names) => {
            place.shift_remove("launchType");
            let strategy: Vec<Value> =
                names.iter().map(|name| json!({"capacityProvider": name, "weight": 1})).collect();
            place.insert("capacityProviderStrategy".to_owned(), json!(strategy));
        }
    }
    if !is_on_fargate(&place) {
        place.shift_remove("platformVersion");
    }
    Ok(place)
}

/// Nowhere else is there a platform version.
fn is_on_fargate(place: &Map<String, Value>) -> bool {
    let mut providers = place.get("capacityProviderStrategy").and_then(Value::as_array).into_iter().flatten();
    let is_fargate = |provider: &Value| {
        provider["capacityProvider"] == "FARGATE" || provider["capacityProvider"] == "FARGATE_SPOT"
    };
    place.get("launchType").is_some_and(|name| name == "FARGATE") || providers.any(is_fargate)
}

fn lent(service: &Service) -> impl Iterator<Item = (String, Value)> + '_ {
    let launch_type = service.launch_type.as_ref().map(|name| ("launchType".to_owned(), json!(name)));
    let settings = LENT.iter().filter_map(|key| {
        let value = service.settings.get(*key).filter(|value| !value.is_null())?;
        let is_empty = value.as_array().is_some_and(Vec::is_empty) || value == "";
        (!is_empty).then(|| ((*key).to_owned(), value.clone()))
    });
    settings.chain(launch_type)
}
