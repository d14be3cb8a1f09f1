//! The tasks of services: of one service by its own list, of many by the list of their cluster.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;

use futures::future::try_join_all;
use serde_json::{Value, json};

use super::super::answer::{list, next_page, text, texts};
use super::super::batch::{Batches, Terms};
use super::super::caller::Client;
use super::MOST_PAGES;
use super::convert::task;
use crate::model::{ClusterName, ServiceName, Task};
use crate::ports::{CloudError, Tasks};

/// `ListTasks` has pages of a hundred, and `DescribeTasks` takes a hundred (Amazon ECS API reference).
const PAGE: usize = 100;
/// Services of a cluster at most (Amazon ECS service quotas).
const SERVICES: usize = 5000;

pub(super) struct ServiceTasks {
    client: Client,
    lists: Batches<(ClusterName, &'static str), ServiceName, Vec<Task>>,
    described: Batches<ClusterName, String, Value>,
    /// Clusters whose list was too long to be read for so many services.
    long: Mutex<HashMap<ClusterName, usize>>,
}

impl ServiceTasks {
    pub fn new(client: Client) -> Self {
        // One list of a cluster serves everybody; while it is read the others gather for the next one.
        let terms = Terms { most: SERVICES, calls: 1, linger: client.linger() };
        let lists = Batches::new(terms);
        let described = Batches::new(Terms::new(PAGE, client.linger()));
        Self { client, lists, described, long: Mutex::default() }
    }

    /// At most `most`.
    pub async fn of(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
        which: Tasks,
        most: usize,
    ) -> Result<Vec<Task>, CloudError> {
        let status = match which {
            Tasks::Running => "RUNNING",
            Tasks::Stopped => "STOPPED",
        };
        let call = |services| self.of_all(cluster, status, services, most);
        let found = self.lists.ask((cluster.clone(), status), service.clone(), call).await?;
        Ok(found.unwrap_or_default())
    }

    /// A task by its id.
    pub async fn one(&self, cluster: &ClusterName, id: &str) -> Result<Option<Task>, CloudError> {
        Ok(self.describe(cluster, &[id.to_owned()]).await?.iter().find_map(task))
    }

    /// Those that somebody has started under this name, and that run or have stopped of late. The model says of `startedBy`
    /// that it must be the only filter; clients are seen to send the status beside it, without which only what runs is listed.
    pub async fn started_by(&self, cluster: &ClusterName, name: &str) -> Result<Vec<Task>, CloudError> {
        let mut arns = Vec::new();
        for status in ["RUNNING", "STOPPED"] {
            let input = json!({"cluster": cluster.as_str(), "startedBy": name, "desiredStatus": status});
            match self.list(input, PAGE, MOST_PAGES).await {
                Ok(found) => arns.extend(found.unwrap_or_default()),
                Err(CloudError::Rejected(_)) => return self.among_all(cluster, name).await,
                Err(error) => return Err(error),
            }
        }
        Ok(self.describe(cluster, &arns).await?.iter().filter_map(task).collect())
    }

    /// Those of a family that run or have stopped of late; at most `most` of each.
    pub async fn of_family(
        &self,
        cluster: &ClusterName,
        family: &str,
        most: usize,
    ) -> Result<Vec<Task>, CloudError> {
        let mut all = Vec::new();
        for status in ["RUNNING", "STOPPED"] {
            let input = json!({"cluster": cluster.as_str(), "family": family, "desiredStatus": status});
            let mut arns = self.list(input, most, MOST_PAGES).await?.unwrap_or_default();
            arns.truncate(most);
            all.extend(arns);
        }
        Ok(self.describe(cluster, &all).await?.iter().filter_map(task).collect())
    }

    /// The same where AWS takes no status beside the name: among all tasks of the cluster.
    async fn among_all(&self, cluster: &ClusterName, name: &str) -> Result<Vec<Task>, CloudError> {
        let mut arns = Vec::new();
        for status in ["RUNNING", "STOPPED"] {
            let input = json!({"cluster": cluster.as_str(), "desiredStatus": status});
            let found = self.list(input, usize::MAX, MOST_PAGES).await?;
            let too_many = || CloudError::Unavailable("the cluster has more tasks than are read".to_owned());
            arns.extend(found.ok_or_else(too_many)?);
        }
        let tasks = self.describe(cluster, &arns).await?;
        let is_its = |one: &&Value| text(one, "startedBy") == Some(name);
        Ok(tasks.iter().filter(is_its).filter_map(task).collect())
    }

    /// The list of the cluster is read for as many pages as there are services: where it is longer, asking for each costs no
    /// more.
    async fn of_all(
        &self,
        cluster: &ClusterName,
        status: &str,
        services: Vec<ServiceName>,
        most: usize,
    ) -> Result<BTreeMap<ServiceName, Vec<Task>>, CloudError> {
        if services.len() > 1 && !self.is_long(cluster, services.len()) {
            let input = json!({"cluster": cluster.as_str(), "desiredStatus": status});
            match self.list(input, usize::MAX, services.len()).await? {
                Some(arns) => return self.by_service(cluster, &arns, &services, most).await,
                None => self.keep_long(cluster, services.len()),
            }
        }
        let mut found = BTreeMap::new();
        for service in services {
            let input = json!({"cluster": cluster.as_str(), "serviceName": service.as_str(), "desiredStatus": status});
            let mut arns = self.list(input, most, MOST_PAGES).await?.unwrap_or_default();
            arns.truncate(most);
            let tasks = self.describe(cluster, &arns).await?;
            found.insert(service, tasks.iter().filter_map(task).collect());
        }
        Ok(found)
    }

    async fn by_service(
        &self,
        cluster: &ClusterName,
        arns: &[String],
        services: &[ServiceName],
        most: usize,
    ) -> Result<BTreeMap<ServiceName, Vec<Task>>, CloudError> {
        let wanted: BTreeSet<&str> = services.iter().map(ServiceName::as_str).collect();
        let mut found: BTreeMap<ServiceName, Vec<Task>> = BTreeMap::new();
        for described in self.describe(cluster, arns).await? {
            let service = text(&described, "group").and_then(|group| group.strip_prefix("service:"));
            let Some(service) = service.filter(|service| wanted.contains(service)) else { continue };
            let tasks = found.entry(ServiceName::new(service)).or_default();
            if tasks.len() < most {
                tasks.extend(task(&described));
            }
        }
        Ok(found)
    }

    /// The ARNs of a list, until there are enough; `None` where it has more pages than are read.
    async fn list(
        &self,
        mut input: Value,
        enough: usize,
        most_pages: usize,
    ) -> Result<Option<Vec<String>>, CloudError> {
        let mut arns = Vec::new();
        for _ in 0..most_pages.min(MOST_PAGES) {
            let page = self.client.read("ListTasks", input.clone()).await?;
            arns.extend(texts(&page, "taskArns").map(str::to_owned));
            match next_page(&page, "nextToken") {
                Some(token) if arns.len() < enough => input["nextToken"] = Value::from(token),
                _ => return Ok(Some(arns)),
            }
        }
        Ok((enough != usize::MAX).then_some(arns))
    }

    /// Those that AWS still knows.
    async fn describe(&self, cluster: &ClusterName, arns: &[String]) -> Result<Vec<Value>, CloudError> {
        let call = |arns: Vec<String>| async move {
            let input = json!({"cluster": cluster.as_str(), "tasks": arns});
            let answer = self.client.read("DescribeTasks", input).await?;
            // They are asked for by their ids, or by their ARNs.
            let is = |one: &Value, id: &str| {
                text(one, "taskArn").is_some_and(|arn| arn == id || arn.rsplit('/').next() == Some(id))
            };
            let found = |id: String| {
                let task = list(&answer, "tasks").find(|one| is(one, &id))?.clone();
                Some((id, task))
            };
            Ok(arns.into_iter().filter_map(found).collect())
        };
        let asked = arns.iter().map(|arn| self.described.ask(cluster.clone(), arn.clone(), call));
        Ok(try_join_all(asked).await?.into_iter().flatten().collect())
    }

    fn is_long(&self, cluster: &ClusterName, services: usize) -> bool {
        self.long.lock().is_ok_and(|long| long.get(cluster).is_some_and(|tried| services <= *tried))
    }

    fn keep_long(&self, cluster: &ClusterName, services: usize) {
        if let Ok(mut long) = self.long.lock() {
            long.insert(cluster.clone(), services);
        }
    }
}
