//! Elastic Load Balancing, of which this only reads.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::answer::{list, owned, text};
use super::batch::{Batch, Terms};
use super::caller::Client;
use crate::model::{Forward, TargetGroup, TargetHealth, TargetState};
use crate::ports::{Balancers, CloudError};

/// ARNs of one request (Elastic Load Balancing quotas: what is asked for by ARN comes in pages of at most 400, and 20 is
/// what `DescribeTags` takes; chosen).
const MOST_ARNS: usize = 20;

pub(super) struct BalancersClient {
    client: Client,
    rules: Batch<String, Forward>,
    listeners: Batch<String, Forward>,
    groups: Batch<String, TargetGroup>,
}

impl BalancersClient {
    pub fn new(client: Client) -> Self {
        let terms = Terms::new(MOST_ARNS, client.linger());
        Self { rules: Batch::new(terms), listeners: Batch::new(terms), groups: Batch::new(terms), client }
    }

    async fn forwards(
        &self,
        operation: &'static str,
        (asked, found, arn, actions): (&'static str, &'static str, &'static str, &'static str),
        arns: Vec<String>,
    ) -> Result<BTreeMap<String, Forward>, CloudError> {
        let answer = self.client.read(operation, json!({asked: arns})).await?;
        let forwards = list(&answer, found).filter_map(|one| {
            let weights = list(one, actions).flat_map(weights).collect();
            Some((text(one, arn)?.to_owned(), Forward { weights }))
        });
        Ok(forwards.collect())
    }

    /// By ARNs and by names, which one request does not take together.
    async fn target_groups(&self, asked: Vec<String>) -> Result<BTreeMap<String, TargetGroup>, CloudError> {
        let (arns, names): (Vec<String>, Vec<String>) =
            asked.into_iter().partition(|one| one.starts_with("arn:"));
        let mut found = BTreeMap::new();
        for (key, member, asked) in
            [("TargetGroupArns", "TargetGroupArn", arns), ("Names", "TargetGroupName", names)]
        {
            if asked.is_empty() {
                continue;
            }
            let answer = self.client.read("DescribeTargetGroups", json!({key: asked})).await?;
            for group in list(&answer, "TargetGroups") {
                let (Some(asked), Some(arn), Some(name)) =
                    (text(group, member), text(group, "TargetGroupArn"), text(group, "TargetGroupName"))
                else {
                    continue;
                };
                let targets = self.targets(arn).await?;
                let targets = targets.iter().filter(|one| one.state != TargetState::Draining).count();
                let takes_addresses = text(group, "TargetType") == Some("ip");
                let (arn, name) = (arn.to_owned(), name.to_owned());
                let told = |key: &str| text(group, key).map(str::to_owned);
                let (network, protocol) = (told("VpcId"), told("Protocol"));
                let health_port = text(group, "HealthCheckPort").and_then(|port| port.parse().ok());
                let known =
                    TargetGroup { arn, name, takes_addresses, network, protocol, health_port, targets };
                found.insert(asked.to_owned(), known);
            }
        }
        Ok(found)
    }

    async fn targets(&self, group: &str) -> Result<Vec<TargetHealth>, CloudError> {
        let answer = self.client.read("DescribeTargetHealth", json!({"TargetGroupArn": group})).await?;
        let targets = list(&answer, "TargetHealthDescriptions").filter_map(|one| one.get("TargetHealth"));
        Ok(targets.map(health).collect())
    }
}

#[async_trait]
impl Balancers for BalancersClient {
    async fn forward(&self, arn: &str) -> Result<Option<Forward>, CloudError> {
        let key = arn.to_owned();
        if arn.contains(":listener-rule/") {
            let members = ("RuleArns", "Rules", "RuleArn", "Actions");
            self.rules.ask(key, |arns| self.forwards("DescribeRules", members, arns)).await
        } else {
            let members = ("ListenerArns", "Listeners", "ListenerArn", "DefaultActions");
            self.listeners.ask(key, |arns| self.forwards("DescribeListeners", members, arns)).await
        }
    }

    async fn target_group(&self, name: &str) -> Result<Option<TargetGroup>, CloudError> {
        self.groups.ask(name.to_owned(), |asked| self.target_groups(asked)).await
    }

    async fn target_health(&self, group: &str) -> Result<Vec<TargetHealth>, CloudError> {
        self.targets(group).await
    }
}

fn health(described: &Value) -> TargetHealth {
    TargetHealth {
        state: match text(described, "State") {
            Some("healthy") => TargetState::Healthy,
            Some("initial") => TargetState::Initial,
            Some("unhealthy") => TargetState::Unhealthy,
            Some("unused") => TargetState::Unused,
            Some("draining") => TargetState::Draining,
            _ => TargetState::Unknown,
        },
        reason: owned(described, "Reason"),
        description: owned(described, "Description"),
    }
}

/// Target groups and weights of an action. A weight that is left out is 1 (Elastic Load Balancing API reference,
/// `TargetGroupTuple`); an action may name its only group beside them.
fn weights(action: &Value) -> Vec<(String, u64)> {
    let tuples = action.get("ForwardConfig").map(|forward| list(forward, "TargetGroups"));
    let weighted = tuples.into_iter().flatten().filter_map(|tuple| {
        let weight = text(tuple, "Weight").and_then(|weight| weight.parse().ok());
        let weight = weight.or_else(|| tuple.get("Weight")?.as_u64());
        Some((text(tuple, "TargetGroupArn")?.to_owned(), weight.unwrap_or(1)))
    });
    let weighted: Vec<(String, u64)> = weighted.collect();
    match text(action, "TargetGroupArn") {
        Some(group) if weighted.is_empty() => vec![(group.to_owned(), 1)],
        _ => weighted,
    }
}
