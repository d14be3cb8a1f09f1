//! The keys of an application's document, and what each environment says otherwise. A key that any of its services needs is written
//! for all of them, since an environment can replace a key and not take it away.

use std::collections::{BTreeMap, BTreeSet};

use super::builds::Build;
use super::images::{LiveBuild, LiveTarget};
use super::names::{Evidence, templated};
use super::yaml::Value;
use crate::model::{Controller, DeploymentStrategy};

/// An application with its services in all environments.
#[derive(Clone, Debug)]
pub struct Application {
    pub name: String,
    /// In the order in which they are written.
    pub spec: Vec<(&'static str, Value)>,
    pub targets: Vec<LiveTarget>,
    /// Name and text of the `AppSpec` that all of them are deployed by.
    pub app_spec: Option<(String, String)>,
    /// By target: what its environment replaces.
    pub replaced: Vec<Vec<(&'static str, Value)>>,
}

/// The keys in the order in which they are written.
const KEYS: [&str; 9] = [
    "repository",
    "images",
    "commitTag",
    "containers",
    "service",
    "cluster",
    "registry",
    "strategy",
    "policy",
];

pub fn of(targets: Vec<LiveTarget>) -> Vec<Application> {
    let clusters = clusters(&targets);
    let mut by_name: BTreeMap<String, Vec<LiveTarget>> = BTreeMap::new();
    for target in targets {
        by_name.entry(target.target.application.to_string()).or_default().push(target);
    }
    by_name.into_iter().map(|(name, targets)| application(name, targets, &clusters)).collect()
}

/// The cluster of each environment: that of most of its services.
pub fn clusters(targets: &[LiveTarget]) -> BTreeMap<String, String> {
    let mut counts: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for target in targets {
        let of_environment = counts.entry(target.target.environment.as_str()).or_default();
        *of_environment.entry(target.service.cluster.as_str()).or_default() += 1;
    }
    let most = |clusters: BTreeMap<&str, usize>| {
        let first = clusters.into_iter().max_by(|one, two| one.1.cmp(&two.1).then(two.0.cmp(one.0)));
        first.map(|(cluster, _)| cluster.to_owned()).unwrap_or_default()
    };
    counts.into_iter().map(|(environment, clusters)| (environment.to_owned(), most(clusters))).collect()
}

fn application(name: String, targets: Vec<LiveTarget>, clusters: &BTreeMap<String, String>) -> Application {
    let form = Form::of(&name, &targets, clusters);
    let values: Vec<Vec<(&'static str, Value)>> = targets.iter().map(|target| form.values(target)).collect();
    let (mut spec, mut replaced) = (Vec::new(), vec![Vec::new(); targets.len()]);
    for key in KEYS {
        let own = |values: &Vec<(&'static str, Value)>| {
            values.iter().find(|(own, _)| *own == key).map(|(_, value)| value.clone())
        };
        let written: Vec<Option<Value>> = values.iter().map(own).collect();
        let common = common(key, &written, &targets);
        for ((value, target), replaced) in written.into_iter().zip(&targets).zip(&mut replaced) {
            let environment = target.target.environment.as_str();
            let is_common = |value: &Value| {
                common
                    .as_ref()
                    .is_some_and(|common| *common == *value || filled(common, environment) == *value)
            };
            if let Some(value) = value.filter(|value| !is_common(value)) {
                replaced.push((key, value));
            }
        }
        spec.extend(common.map(|common| (key, common)));
    }
    let app_spec = form.app_spec.clone();
    Application { name, spec, targets, app_spec, replaced }
}

/// The value of most of them, with `{environment}` where that makes them the same.
fn common(key: &str, written: &[Option<Value>], targets: &[LiveTarget]) -> Option<Value> {
    let distinct: BTreeSet<&Value> = written.iter().flatten().collect();
    // Of a single one, only what holds the word that says where it belongs.
    let may_be_template = match key {
        "service" => true,
        "strategy" => distinct.len() > 1 || targets.iter().any(|one| one.evidence == Evidence::Service),
        "repository" | "images" | "cluster" => distinct.len() > 1,
        // Nothing is filled into them.
        _ => false,
    };
    let mut counts: BTreeMap<Value, usize> = BTreeMap::new();
    for (value, target) in written.iter().zip(targets) {
        let Some(value) = value else { continue };
        let environment = target.target.environment.as_str();
        let template = if may_be_template { with_environment(value, environment) } else { value.clone() };
        *counts.entry(template).or_default() += 1;
    }
    counts.into_iter().max_by(|one, two| one.1.cmp(&two.1).then(two.0.cmp(&one.0))).map(|(value, _)| value)
}

fn with_environment(value: &Value, environment: &str) -> Value {
    each_text(value, &|text| templated(text, environment).unwrap_or_else(|| text.to_owned()))
}

fn filled(value: &Value, environment: &str) -> Value {
    each_text(value, &|text| text.replace("{environment}", environment))
}

fn each_text(value: &Value, change: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::Text(text) => Value::Text(change(text)),
        Value::List(items) => Value::List(items.iter().map(|item| each_text(item, change)).collect()),
        // Containers, templates and names of images are no names of AWS that `{environment}` is replaced in.
        Value::Map(entries) => {
            let is_filled =
                |key: &str| ["application", "deploymentGroup", "repository", "codeDeploy"].contains(&key);
            let changed = entries.iter().map(|(key, value)| {
                (*key, if is_filled(key) { each_text(value, change) } else { value.clone() })
            });
            Value::Map(changed.collect())
        }
        Value::Named(entries) => Value::Named(entries.clone()),
    }
}

/// Which keys the services of an application need.
struct Form {
    lists_images: bool,
    names_containers: bool,
    has_template: bool,
    names_cluster: bool,
    names_registry: bool,
    names_strategy: bool,
    tag_stays: bool,
    app_spec: Option<(String, String)>,
}

impl Form {
    fn of(name: &str, targets: &[LiveTarget], clusters: &BTreeMap<String, String>) -> Self {
        let any = |is_so: &dyn Fn(&LiveTarget) -> bool| targets.iter().any(is_so);
        let images =
            |target: &LiveTarget, is_so: &dyn Fn(&LiveBuild) -> bool| target.images.iter().any(is_so);
        Self {
            lists_images: any(&|target| target.images.len() > 1),
            names_containers: any(&|target| target.service.containers.len() > 1),
            has_template: any(&|target| images(target, &|image| template_of(&image.build) != COMMIT)),
            names_cluster: any(&|target| {
                let usual = clusters.get(target.target.environment.as_str());
                usual.map(String::as_str) != Some(target.service.cluster.as_str())
            }),
            names_registry: any(&|target| images(target, &|image| !is_own(target, image))),
            names_strategy: any(&|target| target.service.controller == Controller::CodeDeploy),
            tag_stays: any(&|target| images(target, &|image| image.tag_stays.is_some())),
            app_spec: app_spec(name, targets),
        }
    }

    /// The keys with the values that a service has. Without an image there is nothing to say but where it is.
    fn values(&self, target: &LiveTarget) -> Vec<(&'static str, Value)> {
        let service = &target.service;
        let mut values = vec![("service", Value::text(service.name.as_str()))];
        if self.names_cluster {
            values.push(("cluster", Value::text(service.cluster.as_str())));
        }
        if self.names_strategy {
            values.push(("strategy", strategy(target, self.app_spec.as_ref())));
        }
        let repositories = target.missing.iter().map(|image| (&image.repository, &image.container));
        let Some(first) = target.images.first() else {
            if let (Some((repository, container)), false) =
                (repositories.into_iter().next(), self.lists_images)
            {
                values.push(("repository", Value::text(repository.as_str())));
                if self.names_containers {
                    values.push(("containers", Value::List(vec![Value::text(container)])));
                }
            }
            return values;
        };
        if self.lists_images {
            values.push(("images", Value::List(target.images.iter().map(listed).collect())));
        } else {
            values.push(("repository", Value::text(first.repository.as_str())));
            if self.has_template {
                values.push(("commitTag", Value::text(template_of(&first.build))));
            }
            if self.names_containers {
                let containers = first.containers.iter().map(Value::text).collect();
                values.push(("containers", Value::List(containers)));
            }
        }
        if self.names_registry {
            let (account, region) = &first.registry;
            let registry = vec![("account", Value::text(account)), ("region", Value::text(region.as_str()))];
            values.push(("registry", Value::Map(registry)));
        }
        if self.tag_stays {
            let stays = target.images.iter().any(|image| image.tag_stays.is_some());
            let word = if stays { "never" } else { "afterSuccess" };
            values.push(("policy", Value::Map(vec![("moveTag", Value::text(word))])));
        }
        values
    }
}

const COMMIT: &str = "{commit}";

fn template_of(build: &Build) -> &str {
    match build {
        Build::Commit { template, .. } => template,
        // A release is declared as one, however commits are tagged.
        Build::Release(_) => COMMIT,
    }
}

/// In a list each image says how its own builds are tagged.
fn listed(image: &LiveBuild) -> Value {
    let mut entry =
        vec![("name", Value::text(&image.name)), ("repository", Value::text(image.repository.as_str()))];
    match image.containers.as_slice() {
        [only] => entry.push(("container", Value::text(only))),
        several => entry.push(("containers", Value::List(several.iter().map(Value::text).collect()))),
    }
    let template = match &image.build {
        Build::Commit { template, .. } => template,
        Build::Release(_) => "{release}",
    };
    if template != COMMIT {
        entry.push(("commitTag", Value::text(template)));
    }
    Value::Map(entry)
}

fn is_own(target: &LiveTarget, image: &LiveBuild) -> bool {
    let (account, region) = &image.registry;
    *account == target.service.account.as_str() && *region == target.service.region
}

/// The file of an application's `AppSpec`, where all of its services that CodeDeploy deploys have the same.
fn app_spec(name: &str, targets: &[LiveTarget]) -> Option<(String, String)> {
    let by_code_deploy = targets.iter().filter(|one| one.service.controller == Controller::CodeDeploy);
    let found: BTreeSet<Option<&(String, String)>> =
        by_code_deploy.map(|one| one.app_spec.as_ref()).collect();
    let [Some((file, text))] = found.into_iter().collect::<Vec<_>>()[..] else { return None };
    let ending = if file.to_ascii_lowercase().ends_with(".json") { "json" } else { "yaml" };
    Some((format!("{name}.appspec.{ending}"), text.clone()))
}

fn strategy(target: &LiveTarget, app_spec: Option<&(String, String)>) -> Value {
    match (&target.service.group, target.service.strategy) {
        (Some(group), _) => {
            let mut names = vec![
                ("application", Value::text(&group.application)),
                ("deploymentGroup", Value::text(&group.group)),
            ];
            names.extend(app_spec.map(|(file, _)| ("appSpec", Value::text(file))));
            Value::Map(vec![("codeDeploy", Value::Map(names))])
        }
        (None, strategy) => Value::text(match strategy {
            DeploymentStrategy::Unknown => DeploymentStrategy::Rolling.declared_as(),
            known => known.declared_as(),
        }),
    }
}
