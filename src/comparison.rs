//! What a change of the infrastructure repository touches: two of its states compared, target by target. Pure.
//!
//! What is compared is what is declared for a target once everything is resolved, not the files: a base that several share
//! touches all of them, and a file that was moved or written otherwise touches nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::documents::{differences, native, normalise};
use crate::model::{
    AccountId, AppSpec, ApplicationName, CodeDeploy, Commit, Containers, Declaration, Declared, Desired,
    DesiredImage, Difference, Finding, Head, ImageReference, InFlight, Mode, MoveTag, OnDrift, OnFailure,
    OneShot, Pin, Policy, Position, Region, Registry, Rollout, RunCapacity, RunNetwork, ServiceName,
    Strategy, Suspension, SuspensionScope, Target, TaskDefinitionSource, Workload,
};

const PATCH: &str = "taskDefinitionPatch";

/// What differs from an earlier state of the repository.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// As it was asked for: a branch, a tag or a commit.
    pub reference: String,
    /// The commit that is compared with: where the two histories part.
    pub base: Head,
    /// In the order of their names.
    pub touched: Vec<Touched>,
    /// How many are declared as before.
    pub untouched: usize,
}

impl Comparison {
    pub fn touches(&self, target: &Target) -> bool {
        self.touched.iter().any(|touched| touched.target == *target)
    }
}

/// A target that is declared in another way than before.
#[derive(Clone, Debug, PartialEq)]
pub struct Touched {
    pub target: Target,
    pub before: Side,
    pub after: Side,
    /// Other settings than the commit, as many as people read; none where it is declared on one side alone.
    pub differences: Vec<Difference>,
}

/// What one state says of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Side {
    Undeclared,
    /// Its files have errors.
    Unreadable,
    At(Commit),
}

/// Compares all that is declared.
pub fn touched(before: &Declaration, after: &Declaration) -> Vec<Touched> {
    let (before, after) = (by_target(before), by_target(after));
    let targets: BTreeSet<&Target> = before.keys().chain(after.keys()).copied().collect();
    let compare = |target: &&Target| {
        let (before, after) = (before.get(*target).copied(), after.get(*target).copied());
        let is_same = before.map(without_places) == after.map(without_places);
        (!is_same).then(|| Touched {
            target: (*target).clone(),
            before: side(before),
            after: side(after),
            differences: between(before, after),
        })
    };
    targets.iter().filter_map(compare).collect()
}

fn by_target(declaration: &Declaration) -> BTreeMap<&Target, &Declared> {
    declaration.applications.iter().map(|declared| (declared.target(), declared)).collect()
}

fn side(declared: Option<&Declared>) -> Side {
    match declared {
        None => Side::Undeclared,
        Some(Declared::Frozen(_)) => Side::Unreadable,
        Some(Declared::Readable(desired)) => Side::At(desired.commit().clone()),
    }
}

/// Without where and how it is written down.
fn without_places(declared: &Declared) -> Declared {
    let mut declared = declared.clone();
    let desired = match &mut declared {
        Declared::Readable(desired) => desired,
        Declared::Frozen(frozen) => match &mut frozen.known {
            Some(known) => known,
            None => return declared,
        },
    };
    desired.declared_at = Position::default();
    desired.count_declared_at = None;
    if let TaskDefinitionSource::File { path, input } = &mut desired.task_definition {
        path.clear();
        *input = Arc::new(normalise::by_effect(input));
    }
    if let Strategy::CodeDeploy(settings) = &mut desired.strategy
        && let Some(AppSpec { path, .. }) = &mut settings.app_spec
    {
        path.clear();
    }
    for Finding { position, excerpt, .. } in desired.overlay.for_the_base.values_mut() {
        (*position, *excerpt) = (Position::default(), None);
    }
    declared
}

fn between(before: Option<&Declared>, after: Option<&Declared>) -> Vec<Difference> {
    let (Some(Declared::Readable(before)), Some(Declared::Readable(after))) = (before, after) else {
        return Vec::new();
    };
    let mut found = differences::of_declarations(&settings(before), &settings(after));
    // The tag of a commit goes with it.
    let moved: Vec<String> = before
        .images
        .iter()
        .filter(|image| {
            after.images.iter().any(|other| other.name == image.name && other.commit != image.commit)
        })
        .map(|image| format!("images[{}].commitTag", image.name))
        .collect();
    found.retain(|difference| !moved.contains(&difference.field));
    if let (TaskDefinitionSource::File { input: one, .. }, TaskDefinitionSource::File { input: two, .. }) =
        (&before.task_definition, &after.task_definition)
        && !Arc::ptr_eq(one, two)
    {
        found.extend(differences::of_task_definitions(one, two));
    }
    differences::listed(found)
}

/// What is declared, in the words of the files, but for the commit that is shown beside it and a task definition that is a
/// file. A new member of any of these has to be named here.
fn settings(desired: &Desired) -> Value {
    let Desired {
        target: _,
        declared_at: _,
        account,
        region,
        cluster,
        workload,
        registry: Registry { account: registry_account, region: registry_region },
        environment_tag,
        images,
        task_definition,
        overlay,
        tags,
        allowed_roles: _,
        allowed_repositories: _,
        alerts: _,
        service_settings,
        count_declared_at: _,
        strategy,
        policy,
        mode,
        suspensions,
        rollout: Rollout { max_in_flight, stop_after_failures },
        first_contact: _,
        after,
        source,
    } = desired;
    without_nothing(json!({
        "account": account.as_ref().map(AccountId::as_str),
        "region": region.as_ref().map(Region::as_str),
        "cluster": cluster.as_str(),
        "service": desired.service().map(ServiceName::as_str),
        "registry": {
            "account": registry_account.as_ref().map(AccountId::as_str),
            "region": registry_region.as_ref().map(Region::as_str),
        },
        "environmentTag": environment_tag.as_str(),
        "images": images.iter().enumerate().map(|(number, one)| image(one, number)).collect::<Vec<_>>(),
        "taskDefinition": match task_definition {
            TaskDefinitionSource::Service => json!({"from": "service"}),
            TaskDefinitionSource::Family(family) => json!({"from": "family", "family": family}),
            TaskDefinitionSource::File { .. } => json!({"from": "file"}),
        },
        "values": overlay.values,
        PATCH: overlay.patch,
        "tags": tags,
        "serviceSettings": service_settings,
        "strategy": strategy_of(workload, strategy),
        "policy": policy_of(policy),
        "mode": match mode {
            Mode::Apply => "apply",
            Mode::Observe => "observe",
            Mode::Frozen => "frozen",
        },
        "suspend": suspensions.iter().map(suspension).collect::<Vec<_>>(),
        "rollout": {"maxInFlight": max_in_flight, "stopAfterFailures": stop_after_failures},
        "after": after.iter().map(ApplicationName::as_str).collect::<Vec<_>>(),
        "source": source,
    }))
}

/// What is not declared is not there: it is added, or removed, and not null. In a patch null says something.
fn without_nothing(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(_, value)| !value.is_null());
            let kept = kept.map(|(key, value)| match key.as_str() {
                PATCH => (key, value),
                _ => (key, without_nothing(value)),
            });
            Value::Object(kept.collect())
        }
        Value::Array(items) => items.into_iter().map(without_nothing).collect(),
        other => other,
    }
}

fn image(image: &DesiredImage, number: usize) -> Value {
    let DesiredImage { name, repository, commit, commit_tag, containers, stated } = image;
    json!({
        "name": name,
        "repository": repository.as_str(),
        "commit": (number > 0).then(|| commit.as_str()),
        "commitTag": commit_tag.as_str(),
        "containers": match containers {
            Containers::Named(names) => json!(names),
            Containers::Placeholder(placeholder) => json!(placeholder),
        },
        "stated": stated.as_ref().map(|stated| match stated {
            ImageReference::Tag(tag) => tag.as_str(),
            ImageReference::Digest(digest) => digest.as_str(),
        }),
    })
}

fn strategy_of(workload: &Workload, strategy: &Strategy) -> Value {
    match workload {
        Workload::Task(task) => return json!({"task": task_of(task)}),
        Workload::ScheduledTask(task) => {
            let schedules: Vec<String> = task.schedules.iter().map(ToString::to_string).collect();
            return json!({"schedule": {"schedules": schedules, "success": task.success}});
        }
        Workload::Service(_) => {}
    }
    match strategy {
        Strategy::Unspecified => Value::Null,
        Strategy::Rolling => json!("rolling"),
        Strategy::CodeDeploy(settings) => json!({"codeDeploy": code_deploy(settings)}),
        Strategy::Native(settings) => native::declared(settings),
    }
}

fn task_of(task: &OneShot) -> Value {
    let OneShot { network, capacity, timeout, success } = task;
    json!({
        "network": match network {
            RunNetwork::Unspecified => Value::Null,
            RunNetwork::Like(service) => json!({"like": service.as_str()}),
            RunNetwork::Declared(declared) => declared.clone(),
        },
        "capacity": match capacity {
            RunCapacity::Unspecified => Value::Null,
            RunCapacity::LaunchType(launch_type) => json!(launch_type),
            RunCapacity::Providers(providers) => json!(providers),
        },
        "timeout": timeout.map(seconds),
        "success": success,
    })
}

fn code_deploy(settings: &CodeDeploy) -> Value {
    let CodeDeploy { application, group, app_spec, configuration, create } = settings;
    json!({
        "application": application,
        "deploymentGroup": group,
        "appSpec": app_spec.as_ref().map(|app_spec| &app_spec.content),
        "deploymentConfig": configuration,
        "create": create.as_ref().map(|create| json!({
            "serviceRole": create.service_role,
            "targetGroups": create.target_groups,
            "productionListener": create.production_listener,
            "testListener": create.test_listener,
            "readyWait": create.ready_wait,
            "terminationWait": create.termination_wait,
            "alarms": create.alarms,
        })),
    })
}

fn policy_of(policy: &Policy) -> Value {
    let Policy { drift, on_failure, progress_deadline, steady, in_flight, pin, move_tag } = policy;
    json!({
        "drift": match drift {
            OnDrift::Alert => "alert",
            OnDrift::Heal => "heal",
            OnDrift::Ignore => "ignore",
        },
        "onFailure": match on_failure {
            OnFailure::Rollback => "rollback",
            OnFailure::Leave => "leave",
        },
        "progressDeadline": seconds(*progress_deadline),
        "steady": seconds(*steady),
        "inFlight": match in_flight {
            InFlight::Unspecified => Value::Null,
            InFlight::Replace => json!("replace"),
            InFlight::Finish => json!("finish"),
        },
        "pin": match pin {
            Pin::Digest => "digest",
            Pin::CommitTag => "commitTag",
        },
        "moveTag": match move_tag {
            MoveTag::AfterSuccess => "afterSuccess",
            MoveTag::Never => "never",
        },
    })
}

fn seconds(duration: std::time::Duration) -> String {
    format!("{}s", duration.as_secs())
}

fn suspension(suspension: &Suspension) -> Value {
    let Suspension { until, reason, scope } = suspension;
    let until = until.and_then(|until| jiff::Timestamp::from_second(until).ok());
    json!({
        "of": match scope {
            SuspensionScope::Environment => "environment",
            SuspensionScope::Application => "application",
        },
        "until": until.map(|until| until.to_string()),
        "reason": reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{self, Files};

    const APPLICATION: &str = "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: api}\nspec:\n  repository: mco/api\n  service: mco-api-{environment}\n  taskDefinition: taskdef.json\n";
    const ENVIRONMENT: &str = "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {name: test}\nspec:\n  cluster: mco\n  applications:\n    api: {commit: aaaaaaa}\n";
    const TASK_DEFINITION: &str = r#"{"family": "mco-api", "containerDefinitions": [{"name": "api", "image": "<IMAGE_NAME>", "memory": 512, "environment": [{"name": "DB_PASSWORD", "value": "one"}]}]}"#;

    fn files() -> Files {
        let staging = ENVIRONMENT.replace("name: test", "name: staging");
        let files = [
            ("api.yaml", APPLICATION),
            ("test.yaml", ENVIRONMENT),
            ("staging.yaml", &staging),
            ("taskdef.json", TASK_DEFINITION),
        ];
        files.into_iter().map(|(name, text)| (name.to_owned(), Ok(text.to_owned()))).collect()
    }

    fn read(files: &Files) -> Declaration {
        manifest::read(files, None, &|_, _| Vec::new())
    }

    /// What is told of each that is touched when these texts take the place of others.
    #[track_caller]
    fn check(edits: &[(&str, &str, &str)], expected: &[&str]) {
        let (before, mut after) = (files(), files());
        for (file, from, to) in edits {
            let text = after[*file].clone().unwrap();
            assert!(text.contains(from), "{file} holds no {from}");
            after.insert((*file).to_owned(), Ok(text.replace(from, to)));
        }
        assert_eq!(told(&before, &after), expected);
    }

    fn told(before: &Files, after: &Files) -> Vec<String> {
        let side = |side: &Side| match side {
            Side::Undeclared => "-".to_owned(),
            Side::Unreadable => "?".to_owned(),
            Side::At(commit) => commit.to_string(),
        };
        let shown = |value: &Option<String>| value.clone().unwrap_or("-".to_owned());
        let touched = touched(&read(before), &read(after));
        let one = |one: &Touched| {
            let differences = one.differences.iter().map(|difference| {
                format!(
                    "; {} {} -> {}",
                    difference.field,
                    shown(&difference.live),
                    shown(&difference.desired)
                )
            });
            let (before, after) = (side(&one.before), side(&one.after));
            format!("{} {before} -> {after}{}", one.target, differences.collect::<String>())
        };
        touched.iter().map(one).collect()
    }

    #[test]
    fn what_is_written_otherwise_or_elsewhere_touches_nobody() {
        check(&[], &[]);
        check(&[("test.yaml", "spec:\n", "# a comment\n\nspec:\n")], &[]);
        check(&[("test.yaml", "{commit: aaaaaaa}", "\n      commit: \"aaaaaaa\"")], &[]);
        check(&[("taskdef.json", "{\"family\"", "{ \"cpu\": null, \"family\"")], &[]);
        let mut moved = files();
        let text = moved.remove("taskdef.json").unwrap();
        moved.insert("other.json".to_owned(), text);
        moved.insert("api.yaml".to_owned(), Ok(APPLICATION.replace("taskdef.json", "other.json")));
        assert_eq!(told(&files(), &moved), Vec::<String>::new());
    }

    #[test]
    fn a_file_that_many_use_touches_all_of_them_and_an_entry_its_own_target() {
        check(
            &[("taskdef.json", "512", "256")],
            &[
                "staging/api aaaaaaa -> aaaaaaa; containers[api].memory 512 -> 256",
                "test/api aaaaaaa -> aaaaaaa; containers[api].memory 512 -> 256",
            ],
        );
        check(&[("test.yaml", "aaaaaaa", "bbbbbbb")], &["test/api aaaaaaa -> bbbbbbb"]);
        let drift = "cluster: mco\n  policy: {drift: heal}";
        check(
            &[("test.yaml", "cluster: mco", drift)],
            &["test/api aaaaaaa -> aaaaaaa; policy.drift alert -> heal"],
        );
        check(
            &[("test.yaml", "aaaaaaa}", "bbbbbbb, suspend: {reason: a freeze}}")],
            &[r#"test/api aaaaaaa -> bbbbbbb; suspend - -> [{"of":"application","reason":"a freeze"}]"#],
        );
    }

    #[test]
    fn what_is_added_removed_or_broken_is_told_as_that() {
        check(&[("test.yaml", "api: {commit: aaaaaaa}", "{}")], &["test/api aaaaaaa -> -"]);
        check(&[("test.yaml", "commit", "comit")], &["test/api aaaaaaa -> ?"]);
        let mut without = files();
        without.remove("test.yaml");
        assert_eq!(told(&without, &files()), ["test/api - -> aaaaaaa"]);
        let mut broken = files();
        broken.insert("test.yaml".to_owned(), Ok(ENVIRONMENT.replace("commit", "comit")));
        assert_eq!(told(&broken, &files()), ["test/api ? -> aaaaaaa"]);
        assert_eq!(told(&broken, &broken), Vec::<String>::new());
    }

    #[test]
    fn a_declared_secret_is_masked_on_both_sides_and_is_a_change_all_the_same() {
        let masked = "containers[api].environment.DB_PASSWORD (masked) -> (masked)";
        check(
            &[("taskdef.json", "\"one\"", "\"two\"")],
            &[
                &format!("staging/api aaaaaaa -> aaaaaaa; {masked}"),
                &format!("test/api aaaaaaa -> aaaaaaa; {masked}"),
            ],
        );
    }
}
