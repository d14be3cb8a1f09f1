//! The JSON Schema of the files, for editors. `lint` says more: it knows the other files.

use serde_json::{Value, json};

use crate::documents::service_settings;
use crate::model::HookStage;

/// The schema of one document, draft 2020-12.
pub fn schema() -> Value {
    let document = |kind: &str, spec: &str| {
        json!({
            "type": "object",
            "properties": {
                "apiVersion": {"const": "trueup.dev/v1"},
                "kind": {"const": kind},
                "metadata": {
                    "type": "object",
                    "properties": {"name": text("The name of the document.")},
                    "required": ["name"],
                    "additionalProperties": false,
                },
                "spec": {"$ref": spec},
            },
            "required": ["apiVersion", "kind", "metadata", "spec"],
            "additionalProperties": false,
        })
    };
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "trueup infrastructure repository",
        "oneOf": [document("Application", "#/$defs/application"), document("Environment", "#/$defs/environment")],
        "$defs": {
            "application": object(&application_keys(), &[]),
            "environment": environment(),
            "entry": object(&entry_keys(), &[]),
            "policy": policy(),
            "registry": registry(),
            "suspension": suspension(),
            "images": {"type": "array", "minItems": 1, "items": image()},
            "strategy": strategy(),
            "commit": {"type": ["string", "number"], "description": "7 to 40 hexadecimal digits; quote those that look like a number."},
            "duration": {"type": ["string", "integer"], "pattern": "^([0-9]+[smh]|0)$", "minimum": 0, "maximum": 0},
            "names": {"type": "array", "items": {"type": "string"}},
            "someNames": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        },
    })
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

fn object(properties: &Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn one_of(words: &[&str], description: &str) -> Value {
    json!({"enum": words, "description": description})
}

fn application_keys() -> Value {
    json!({
        "repository": text("The ECR repository; or `images`."),
        "commitTag": text("How CI tags a build: {commit}, {commit:7} or {release}, with prefix and suffix."),
        "source": text("The web address of the source code: plans for pull requests link to its changes."),
        "service": text("The ECS service; {environment} is replaced."),
        "cluster": text("The ECS cluster; goes before the environment's."),
        "taskDefinition": {
            "description": "A file, {from: service}, or {from: family, family: NAME}.",
            "oneOf": [
                {"type": "string"},
                object(&json!({"from": one_of(&["service", "family"], "What the task definition starts from."), "family": {"type": "string"}}), &["from"]),
            ],
        },
        "containers": reference("someNames"),
        "images": reference("images"),
        "imageDefinitions": text("CodePipeline's imagedefinitions.json."),
        "strategy": reference("strategy"),
        "serviceSettings": {
            "type": "object",
            "description": "Members of UpdateService that are owned too, by their AWS names.",
            "properties": service_settings::KEYS.iter().map(|key| ((*key).to_owned(), service_setting(key))).collect::<serde_json::Map<_, _>>(),
            "additionalProperties": false,
        },
        "values": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}, "description": "Texts for <NAME> in task definition and AppSpec."},
        "taskDefinitionPatch": {"type": ["string", "object"], "description": "A JSON merge patch: a file, or inline."},
        "tags": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}, "description": "Tags of the task definition."},
        "policy": reference("policy"),
        "after": reference("names"),
        "requires": reference("names"),
        "environmentTag": text("The ECR tag that marks what runs in this environment."),
        "registry": reference("registry"),
    })
}

/// What a member of `serviceSettings` holds is AWS's to check, but for what trueup reads itself.
fn service_setting(key: &str) -> Value {
    if key != "desiredCount" {
        return json!({});
    }
    let number = json!({"type": "integer", "minimum": 0});
    let bounds = json!({"type": "object", "properties": {"min": number, "max": number}, "minProperties": 1, "additionalProperties": false});
    json!({"description": "The number of tasks, or the bounds of one that an autoscaler sets.", "oneOf": [number, bounds, {"type": "null"}]})
}

/// An entry may say whatever an application says, and the commit or release.
fn entry_keys() -> Value {
    let mut keys = application_keys();
    keys["commit"] = reference("commit");
    keys["release"] =
        json!({"type": ["string", "number"], "description": "The tag of a release, instead of `commit`."});
    keys["suspend"] = reference("suspension");
    keys["commits"] = json!({"type": "object", "additionalProperties": {"$ref": "#/$defs/commit"}, "description": "By image."});
    keys
}

fn environment() -> Value {
    object(
        &json!({
            "account": {"type": ["string", "number"], "description": "Twelve digits, in quotes; compared with the credentials before the first write."},
            "region": text("The AWS region."),
            "cluster": text("The ECS cluster."),
            "environmentTag": text("The ECR tag that marks what runs here; default: the name."),
            "registry": reference("registry"),
            "policy": reference("policy"),
            "mode": one_of(&["apply", "observe"], "observe: everything but writes."),
            "suspend": reference("suspension"),
            "rollout": object(&json!({"maxInFlight": {"type": "integer", "minimum": 1}, "stopAfterFailures": {"type": "integer", "minimum": 1}}), &[]),
            "applications": {"type": ["object", "null"], "additionalProperties": {"$ref": "#/$defs/entry"}},
        }),
        &[],
    )
}

fn policy() -> Value {
    object(
        &json!({
            "drift": one_of(&["alert", "heal", "ignore"], "What happens if somebody changes the service outside trueup."),
            "onFailure": one_of(&["rollback", "leave"], "What a failed deployment leads to where AWS does not roll back."),
            "progressDeadline": reference("duration"),
            "steady": reference("duration"),
            "inFlight": one_of(&["replace", "finish"], "What a newer commit does to a deployment of trueup's that goes on."),
            "pin": one_of(&["digest", "commitTag"], "How the image is written into the task definition."),
            "moveTag": one_of(&["afterSuccess", "never"], "When the environment tag moves."),
        }),
        &[],
    )
}

fn suspension() -> Value {
    let until = json!({"type": "string", "format": "date-time", "description": "When it ends by itself."});
    let mut suspension =
        object(&json!({"reason": text("Why nothing is written."), "until": until}), &["reason"]);
    suspension["description"] = "Nothing is written until it is removed, or until its end.".into();
    suspension
}

fn registry() -> Value {
    object(&json!({"account": {"type": ["string", "number"]}, "region": {"type": "string"}}), &[])
}

fn image() -> Value {
    object(
        &json!({
            "name": {"type": "string", "pattern": "^[A-Za-z0-9+=._/@-]{1,64}$"},
            "repository": {"type": "string"},
            "container": {"type": "string"},
            "containers": reference("someNames"),
            "commitTag": {"type": "string"},
        }),
        &["name", "repository"],
    )
}

fn strategy() -> Value {
    let create = object(
        &json!({
            "serviceRole": {"type": "string"},
            "targetGroups": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2},
            "productionListener": {"type": "string"},
            "testListener": {"type": "string"},
            "readyWait": reference("duration"),
            "terminationWait": reference("duration"),
            "alarms": reference("names"),
        }),
        &["serviceRole", "targetGroups", "productionListener"],
    );
    let mut code_deploy = object(
        &json!({
            "application": text("Default: AppECS-<cluster>-<service>."),
            "deploymentGroup": text("Default: DgpECS-<cluster>-<service>."),
            "appSpec": text("A file; made from the primary task set, if not given."),
            "deploymentConfig": text("How traffic shifts; the group's, if not given."),
            "create": create,
        }),
        &[],
    );
    code_deploy["type"] = json!(["object", "null"]);
    let by_container = |value: Value| json!({"type": "object", "additionalProperties": value});
    let network = object(
        &json!({
            "like": text("A service of the same cluster whose network, launch type and platform it takes."),
            "subnets": reference("someNames"),
            "securityGroups": reference("someNames"),
            "assignPublicIp": {"enum": ["ENABLED", "DISABLED"]},
        }),
        &[],
    );
    let mut task = object(
        &json!({
            "command": by_container(reference("someNames")),
            "environment": by_container(json!({"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}})),
            "network": network,
            "capacity": {"oneOf": [
                {"enum": ["FARGATE", "FARGATE_SPOT", "EC2", "EXTERNAL"]},
                object(&json!({"providers": reference("someNames")}), &["providers"]),
            ]},
            "timeout": reference("duration"),
            "success": reference("someNames"),
        }),
        &[],
    );
    task["type"] = json!(["object", "null"]);
    let schedule = object(
        &json!({
            "rules": reference("someNames"),
            "schedules": reference("someNames"),
            "success": reference("someNames"),
        }),
        &[],
    );
    json!({"oneOf": [
        {"enum": ["rolling", "codeDeploy", "blueGreen", "canary", "linear", "task"]},
        object(&json!({"rolling": {"type": ["object", "null"]}}), &["rolling"]),
        object(&json!({"codeDeploy": code_deploy}), &["codeDeploy"]),
        object(&json!({"blueGreen": native(&json!({}))}), &["blueGreen"]),
        object(&json!({"canary": native(&json!({"share": share("The share of production traffic that goes first."), "stepBake": reference("duration")}))}), &["canary"]),
        object(&json!({"linear": native(&json!({"step": share("The share of production traffic of each step."), "stepBake": reference("duration")}))}), &["linear"]),
        object(&json!({"task": task}), &["task"]),
        object(&json!({"schedule": schedule}), &["schedule"]),
    ]})
}

fn share(description: &str) -> Value {
    json!({"type": "string", "pattern": "^[0-9]{1,3}([.][0-9])?%$", "description": description})
}

/// A native strategy of ECS; `pattern`: the members of its own. What is left out is as the live service has it.
fn native(pattern: &Value) -> Value {
    let traffic = object(
        &json!({
            "container": {"type": "string"},
            "port": {"type": "integer", "minimum": 1, "maximum": 65535},
            "targetGroups": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2},
            "productionRule": text("The ARN of a rule; of a listener of a Network Load Balancer."),
            "testRule": text("The same for test traffic; there is none, if not given."),
            "role": text("The role by which ECS writes the rules: its name or ARN."),
        }),
        &["container", "port", "targetGroups", "productionRule", "role"],
    );
    let stages =
        json!({"type": "array", "minItems": 1, "items": {"enum": HookStage::ALL.map(HookStage::key)}});
    let on_timeout = one_of(&["rollback", "continue"], "What AWS does once the time is over.");
    let lambda = object(
        &json!({
            "lambda": text("A function: its name or ARN."),
            "role": text("The role by which ECS calls it: its name or ARN."),
            "at": stages,
            "details": {"description": "What the function is told."},
            "timeout": reference("duration"),
            "onTimeout": on_timeout,
        }),
        &["lambda", "role", "at"],
    );
    let pauses: Vec<&str> =
        HookStage::ALL.into_iter().filter(|one| one.takes_pause()).map(HookStage::key).collect();
    let pause = object(
        &json!({
            "pause": text("Whose word is waited for; AWS keeps no name with it."),
            "at": {"type": "array", "minItems": 1, "items": {"enum": pauses}},
            "timeout": reference("duration"),
            "onTimeout": on_timeout,
        }),
        &["pause", "at"],
    );
    let breaker = object(
        &json!({"failures": {"type": ["string", "integer"], "description": "A number of tasks, or a percentage of the desired count."}}),
        &["failures"],
    );
    let mut settings = json!({
        "bake": reference("duration"),
        "traffic": {"type": "array", "minItems": 1, "items": traffic},
        "hooks": {"type": "array", "items": {"oneOf": [lambda, pause]}},
        "alarms": reference("names"),
        "circuitBreaker": {"oneOf": [{"const": "off"}, breaker]},
    });
    let own = pattern.as_object().into_iter().flatten();
    for (key, value) in own {
        settings[key] = value.clone();
    }
    let mut settings = object(&settings, &[]);
    settings["type"] = json!(["object", "null"]);
    settings
}
