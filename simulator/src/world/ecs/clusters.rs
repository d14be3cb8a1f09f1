//! Clusters (Amazon ECS API reference: `CreateCluster`, `DescribeClusters`, `ListClusters`, `DeleteCluster`).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::world::input::{Input, Tags, described_tags, optional, page, tags_of, texts, with_token};
use crate::world::{Answer, AwsError, World};

#[derive(Clone, Debug)]
pub(in crate::world) struct Cluster {
    pub tags: Tags,
    settings: Value,
    capacity_providers: Value,
    default_strategy: Value,
}

impl Cluster {
    pub fn has_provider(&self, name: &str) -> bool {
        let known = self.capacity_providers.as_array();
        known.into_iter().flatten().any(|known| known == name)
    }

    /// Where tasks run of which nothing else is said.
    pub fn default_strategy(&self) -> impl Iterator<Item = &Value> {
        self.default_strategy.as_array().into_iter().flatten()
    }
}

impl World {
    pub(super) fn create_cluster(&mut self, input: &Input) -> Answer {
        let name = optional(input, "clusterName")?.unwrap_or("default").to_owned();
        let tags = tags_of(input)?;
        // An ACTIVE cluster of that name is answered as it is.
        if !self.clusters.contains_key(&name) {
            self.index_lags(&self.cluster_arn(&name), None);
            let given =
                |key: &str| input.get(key).filter(|value| value.is_array()).cloned().unwrap_or(json!([]));
            let cluster = Cluster {
                tags,
                settings: given("settings"),
                capacity_providers: given("capacityProviders"),
                default_strategy: given("defaultCapacityProviderStrategy"),
            };
            self.clusters.insert(name.clone(), cluster);
        }
        // What is only told when it is asked for is told of what was made.
        Ok(json!({"cluster": self.describe_cluster(&name, &["TAGS", "SETTINGS"])}))
    }

    pub(super) fn describe_clusters(&mut self, input: &Input) -> Answer {
        let mut names: Vec<&str> = texts(input, "clusters").collect();
        if names.is_empty() {
            names.push("default");
        }
        let include: Vec<&str> = texts(input, "include").collect();
        let (mut clusters, mut failures) = (Vec::new(), Vec::new());
        for name in names {
            let own = self.own("cluster", name);
            match own.and_then(|name| Some((name, self.clusters.get(name)?))) {
                Some((name, _)) => clusters.push(self.describe_cluster(name, &include)),
                None => {
                    let arn = own.filter(|own| *own == name).map(|name| self.cluster_arn(name));
                    failures.push(json!({"arn": arn.as_deref().unwrap_or(name), "reason": "MISSING"}));
                }
            }
        }
        Ok(json!({"clusters": clusters, "failures": failures}))
    }

    pub(super) fn list_clusters(&mut self, input: &Input) -> Answer {
        let arns = self.clusters.keys().map(|name| self.cluster_arn(name)).collect();
        let (arns, token) = page(arns, input, 100, 100)?;
        Ok(with_token(json!({"clusterArns": arns}), token))
    }

    pub(super) fn delete_cluster(&mut self, input: &Input) -> Answer {
        let name = self.cluster(input)?;
        if self.services.values().any(|service| service.cluster == name && service.is_active()) {
            let message = "The Cluster cannot be deleted while Services are active.";
            return Err(AwsError::client("ClusterContainsServicesException", message));
        }
        if self.runs.iter().any(|run| run.cluster == name && !run.task.has_stopped()) {
            let message = "The Cluster cannot be deleted while Tasks are active.";
            return Err(AwsError::client("ClusterContainsTasksException", message));
        }
        let mut described = self.describe_cluster(&name, &[]);
        described["status"] = json!("INACTIVE");
        self.clusters.remove(&name);
        self.services.retain(|key, _| key.0 != name);
        self.runs.retain(|run| run.cluster != name);
        Ok(json!({"cluster": described}))
    }

    /// `include`: what is told beyond the rest; empty lists stand for what is not.
    fn describe_cluster(&self, name: &str, include: &[&str]) -> Value {
        let services =
            self.services.values().filter(|service| service.cluster == name && service.is_active());
        let runs = self.runs.iter().filter(|run| run.cluster == name).map(|run| &run.task);
        let tasks = services.clone().flat_map(|service| &service.tasks).chain(runs);
        let tasks = tasks.filter(|task| task.wanted);
        let told = |what: &str, value: &dyn Fn(&Cluster) -> Value| match self.clusters.get(name) {
            Some(cluster) if include.contains(&what) => value(cluster),
            _ => json!([]),
        };
        let always =
            |value: &dyn Fn(&Cluster) -> Value| self.clusters.get(name).map_or_else(|| json!([]), value);
        json!({
            "statistics": told("STATISTICS", &|_| self.statistics(name)),
            "tags": told("TAGS", &|cluster| described_tags(&cluster.tags)),
            "settings": told("SETTINGS", &|cluster| cluster.settings.clone()),
            "capacityProviders": always(&|cluster| cluster.capacity_providers.clone()),
            "defaultCapacityProviderStrategy": always(&|cluster| cluster.default_strategy.clone()),
            "clusterArn": self.cluster_arn(name),
            "clusterName": name,
            "status": "ACTIVE",
            "activeServicesCount": services.count(),
            "runningTasksCount": tasks.clone().filter(|task| task.is_running()).count(),
            "pendingTasksCount": tasks.filter(|task| !task.is_running()).count(),
            "registeredContainerInstancesCount": 0,
        })
    }

    /// Tasks and services by launch type, as names and numbers in words.
    fn statistics(&self, name: &str) -> Value {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for kind in ["EC2", "Fargate"] {
            for what in ["running", "pending"] {
                counts.insert(format!("{what}{kind}TasksCount"), 0);
            }
            for what in ["active", "draining"] {
                counts.insert(format!("{what}{kind}ServiceCount"), 0);
            }
        }
        for service in
            self.services.values().filter(|service| service.cluster == name && !service.has_ended())
        {
            let kind = if service.is_fargate() { "Fargate" } else { "EC2" };
            let state = if service.is_active() { "active" } else { "draining" };
            *counts.entry(format!("{state}{kind}ServiceCount")).or_default() += 1;
            for task in service.tasks.iter().filter(|task| task.wanted) {
                let state = if task.is_running() { "running" } else { "pending" };
                *counts.entry(format!("{state}{kind}TasksCount")).or_default() += 1;
            }
        }
        for run in self.runs.iter().filter(|run| run.cluster == name && run.task.wanted) {
            let kind = if run.is_fargate() { "Fargate" } else { "EC2" };
            let state = if run.task.is_running() { "running" } else { "pending" };
            *counts.entry(format!("{state}{kind}TasksCount")).or_default() += 1;
        }
        counts.into_iter().map(|(name, count)| json!({"name": name, "value": count.to_string()})).collect()
    }

    pub(in crate::world) fn cluster_arn(&self, name: &str) -> String {
        self.arn("ecs", &format!("cluster/{name}"))
    }

    /// The name of the cluster that is asked about. A wrong one is an error, never an entry in `failures`.
    pub(super) fn cluster(&self, input: &Input) -> Result<String, AwsError> {
        let name = self.own("cluster", optional(input, "cluster")?.unwrap_or("default"));
        if let Some(name) = name.filter(|name| self.clusters.contains_key(*name)) {
            return Ok(name.to_owned());
        }
        Err(AwsError::client("ClusterNotFoundException", "Cluster not found."))
    }
}
