//! What AWS writes into a task definition is not drift: whatever is registered describes itself without a difference.

use fastrand::Rng;
use serde_json::{Map, Value, json};
use trueup::documents::{differences, shown::Origin};
use trueup_simulator::{Api, World};

const DEFINITIONS: u64 = 2000;

fn maybe(random: &mut Rng, map: &mut Map<String, Value>, key: &str, value: Value) {
    if random.bool() {
        map.insert(key.to_owned(), value);
    }
}

fn container(random: &mut Rng, name: &str) -> Value {
    let mut container = Map::new();
    container.insert("name".to_owned(), json!(name));
    container.insert("image".to_owned(), json!("repository:tag"));
    container.insert("memory".to_owned(), json!(128));
    let variables: Vec<Value> = (0..random.usize(0..5))
        .map(|number| json!({"name": format!("V{number}"), "value": random.u8(..).to_string()}))
        .collect();
    let secret = |variable: &Value| json!({"name": format!("S{}", variable["name"]), "valueFrom": "arn"});
    let secrets: Vec<Value> = variables.iter().map(secret).collect();
    maybe(random, &mut container, "environment", Value::Array(variables));
    maybe(random, &mut container, "secrets", Value::Array(secrets));
    let port = random.u16(1..);
    maybe(random, &mut container, "portMappings", json!([{"containerPort": port}]));
    maybe(random, &mut container, "essential", json!(true));
    let units = i32::from(random.u8(..));
    maybe(random, &mut container, "cpu", json!(units));
    maybe(random, &mut container, "mountPoints", json!([]));
    maybe(random, &mut container, "command", json!(["b", "a"]));
    maybe(random, &mut container, "healthCheck", json!({"command": ["CMD", "true"]}));
    maybe(random, &mut container, "dependsOn", json!([]));
    maybe(random, &mut container, "readonlyRootFilesystem", json!(false));
    maybe(random, &mut container, "aFieldOfTomorrow", json!({"with": ["anything", 1, null]}));
    Value::Object(container)
}

fn definition(random: &mut Rng) -> Value {
    let containers: Vec<Value> =
        ["api", "proxy", "log"].iter().take(random.usize(1..4)).map(|name| container(random, name)).collect();
    let mut definition = Map::new();
    definition.insert("family".to_owned(), json!("f"));
    definition.insert("containerDefinitions".to_owned(), Value::Array(containers));
    maybe(random, &mut definition, "volumes", json!([{"name": "v"}]));
    let network = *random.choice(&["bridge", "host", "awsvpc", "none"]).unwrap();
    maybe(random, &mut definition, "networkMode", json!(network));
    let cpu = *random.choice(&["256", "0.5 vCPU", "1 vcpu", ".25 vCPU"]).unwrap();
    maybe(random, &mut definition, "cpu", json!(cpu));
    let memory = *random.choice(&["1024", "2 GB", "0.5GB"]).unwrap();
    maybe(random, &mut definition, "memory", json!(memory));
    maybe(random, &mut definition, "placementConstraints", json!([]));
    maybe(random, &mut definition, "taskRoleArn", json!(""));
    maybe(random, &mut definition, "executionRoleArn", json!(""));
    maybe(random, &mut definition, "enableFaultInjection", json!(false));
    Value::Object(definition)
}

#[test]
fn what_was_registered_never_drifts_from_how_it_is_described() {
    let mut world = World::new("123456789012", "eu-west-2");
    let mut registered = 0;
    for seed in 0..DEFINITIONS {
        let mut random = Rng::with_seed(seed);
        let input = definition(&mut random);
        // What AWS would refuse cannot drift.
        let Ok(answer) = world.call(Api::Ecs, "RegisterTaskDefinition", &input) else { continue };
        registered += 1;
        let mut described = answer["taskDefinition"].clone();
        for key in [
            "taskDefinitionArn",
            "revision",
            "status",
            "requiresAttributes",
            "compatibilities",
            "registeredAt",
            "registeredBy",
        ] {
            described.as_object_mut().unwrap().remove(key);
        }
        assert_eq!(
            differences::task_definitions(&described, &input, Origin::Git),
            [],
            "seed {seed}: {input:#}"
        );
        described["containerDefinitions"][0]["memory"] = json!(256);
        assert_eq!(
            differences::task_definitions(&described, &input, Origin::Git).len(),
            1,
            "seed {seed}: a change is seen"
        );
    }
    assert!(registered > DEFINITIONS / 2, "{registered} were registered");
}
