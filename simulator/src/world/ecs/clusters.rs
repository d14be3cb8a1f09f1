//! Clusters (Amazon ECS API reference: `CreateCluster`, `DescribeClusters`, `ListClusters`, `DeleteCluster`).

use serde_json::{Value, json};

use crate::world::input::{Input, Tags, described_tags, optional, page, tags_of, texts, with_token};
use crate::world::{Answer, AwsError, World};

#[derive(Clone, Debug)]
pub(in crate::world) struct Cluster {
    pub tags: Tags,
}

impl World {
    pub(super) fn create_cluster(&mut self, input: &Input) -> Answer {
        let name = optional(input, "clusterName")?.unwrap_or("default").to_owned();
        let tags = tags_of(input)?;
        // An ACTIVE cluster of that name is answered as it is.
        if !self.clusters.contains_key(&name) {
            self.index_lags(&self.cluster_arn(&name), None);
            self.clusters.insert(name.clone(), Cluster { tags });
        }
        Ok(json!({"cluster": self.describe_cluster(&name)}))
    }

    pub(super) fn describe_clusters(&mut self, input: &Input) -> Answer {
        let mut names: Vec<&str> = texts(input, "clusters").collect();
        if names.is_empty() {
            names.push("default");
        }
        let (mut clusters, mut failures) = (Vec::new(), Vec::new());
        for name in names {
            let own = self.own("cluster", name);
            match own.and_then(|name| Some((name, self.clusters.get(name)?))) {
                Some((name, cluster)) => {
                    let mut described = self.describe_cluster(name);
                    if texts(input, "include").any(|what| what == "TAGS") {
                        described["tags"] = described_tags(&cluster.tags);
                    }
                    clusters.push(described);
                }
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
        let mut described = self.describe_cluster(&name);
        described["status"] = json!("INACTIVE");
        self.clusters.remove(&name);
        self.services.retain(|key, _| key.0 != name);
        Ok(json!({"cluster": described}))
    }

    fn describe_cluster(&self, name: &str) -> Value {
        let services =
            self.services.values().filter(|service| service.cluster == name && service.is_active());
        let tasks = services.clone().flat_map(|service| &service.tasks).filter(|task| task.wanted);
        json!({
            "clusterArn": self.cluster_arn(name),
            "clusterName": name,
            "status": "ACTIVE",
            "activeServicesCount": services.count(),
            "runningTasksCount": tasks.clone().filter(|task| task.is_running()).count(),
            "pendingTasksCount": tasks.filter(|task| !task.is_running()).count(),
            "registeredContainerInstancesCount": 0,
        })
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
