//! Scalable targets of services (Application Auto Scaling API reference: `RegisterScalableTarget`,
//! `DeregisterScalableTarget`, `DescribeScalableTargets`). Policies and schedules are not here: what they come to is
//! `World::autoscale`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::input::{Input, count, optional, texts};
use super::times::moment;
use super::{Answer, AwsError, World, unknown};

const DIMENSION: &str = "ecs:service:DesiredCount";
/// Of one request, and of one page (botocore's model: `ResourceIdsMaxLen1600`; the reference: `MaxResults`).
const MOST: usize = 50;

/// By `service/<cluster>/<name>`.
pub(super) type Targets = BTreeMap<String, Target>;

#[derive(Clone, Debug)]
pub(super) struct Target {
    least: u64,
    most: u64,
    created: u64,
}

impl Target {
    fn within(&self, desired: u64) -> u64 {
        desired.clamp(self.least, self.most.max(self.least))
    }
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::client("ValidationException", message)
}

fn resource_id(cluster: &str, service: &str) -> String {
    format!("service/{cluster}/{service}")
}

impl World {
    pub(super) fn scaling(&mut self, operation: &str, input: &Input) -> Answer {
        match operation {
            "RegisterScalableTarget" => self.register_scalable_target(input),
            "DeregisterScalableTarget" => self.deregister_scalable_target(input),
            "DescribeScalableTargets" => self.describe_scalable_targets(input),
            _ => Err(unknown(operation)),
        }
    }

    /// A count within what the target of the service allows.
    pub(super) fn scalable(&self, cluster: &str, service: &str, desired: u64) -> u64 {
        let target = self.targets.get(&resource_id(cluster, service));
        target.map_or(desired, |target| target.within(desired))
    }

    /// What is omitted keeps its value; a new target needs both bounds. A count outside of them is brought inside.
    fn register_scalable_target(&mut self, input: &Input) -> Answer {
        let (id, cluster, service) = self.scaled_service(input)?;
        let (old, now) = (self.targets.get(&id), self.now);
        let bound = |key: &str, old: Option<u64>| {
            let given = count(input, key).map_err(|error| invalid(error.message))?;
            given.or(old).ok_or_else(|| invalid(format!("{key} is missing for a new scalable target.")))
        };
        let target = Target {
            least: bound("MinCapacity", old.map(|old| old.least))?,
            most: bound("MaxCapacity", old.map(|old| old.most))?,
            created: old.map_or(now, |old| old.created),
        };
        if target.least > target.most {
            return Err(invalid("Maximum capacity cannot be less than minimum capacity."));
        }
        self.targets.insert(id.clone(), target);
        let key = (cluster.clone(), service.clone());
        let desired = self.services.get(&key).map(|service| service.desired).unwrap_or_default();
        let wanted = self.scalable(&cluster, &service, desired);
        if wanted != desired {
            self.autoscale(&cluster, &service, wanted);
        }
        Ok(json!({"ScalableTargetARN": self.target_arn(&id)}))
    }

    fn deregister_scalable_target(&mut self, input: &Input) -> Answer {
        let (id, ..) = self.scaled_service(input)?;
        let missing =
            || AwsError::client("ObjectNotFoundException", format!("No scalable target found for {id}."));
        self.targets.remove(&id).map(|_| json!({})).ok_or_else(missing)
    }

    fn describe_scalable_targets(&self, input: &Input) -> Answer {
        namespace(input)?;
        let ids: Vec<&str> = texts(input, "ResourceIds").collect();
        let asked = count(input, "MaxResults").map_err(|error| invalid(error.message))?;
        let size = asked.map_or(MOST, |size| usize::try_from(size).unwrap_or(usize::MAX));
        if ids.len() > MOST || !(1..=MOST).contains(&size) {
            return Err(invalid("At most 50 resources can be asked for."));
        }
        let start: usize = match optional(input, "NextToken")? {
            None => 0,
            Some(token) => token
                .parse()
                .map_err(|_| AwsError::client("InvalidNextTokenException", "The next token is invalid."))?,
        };
        let dimension = optional(input, "ScalableDimension")?;
        let wanted = |id: &str| {
            (ids.is_empty() || ids.contains(&id)) && dimension.is_none_or(|dimension| dimension == DIMENSION)
        };
        let found: Vec<Value> = self
            .targets
            .iter()
            .filter(|(id, _)| wanted(id))
            .map(|(id, target)| self.describe_scalable_target(id, target))
            .collect();
        let rest = found.len().saturating_sub(start.saturating_add(size)) > 0;
        let page: Vec<Value> = found.into_iter().skip(start).take(size).collect();
        let mut answer = json!({"ScalableTargets": page});
        if rest {
            answer["NextToken"] = json!((start + size).to_string());
        }
        Ok(answer)
    }

    fn describe_scalable_target(&self, id: &str, target: &Target) -> Value {
        let role = "aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService";
        json!({
            "ServiceNamespace": "ecs",
            "ResourceId": id,
            "ScalableDimension": DIMENSION,
            "MinCapacity": target.least,
            "MaxCapacity": target.most,
            "RoleARN": format!("arn:{}:iam::{}:role/{role}", self.partition(), self.account),
            "CreationTime": moment(target.created),
            "SuspendedState": {
                "DynamicScalingInSuspended": false,
                "DynamicScalingOutSuspended": false,
                "ScheduledScalingSuspended": false,
            },
            "ScalableTargetARN": self.target_arn(id),
        })
    }

    fn target_arn(&self, id: &str) -> String {
        let digest = super::ids::mixed(
            id.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte))),
        );
        self.arn("application-autoscaling", &format!("scalable-target/{digest:016x}"))
    }

    /// The resource and the service that it is.
    fn scaled_service(&self, input: &Input) -> Result<(String, String, String), AwsError> {
        namespace(input)?;
        if optional(input, "ScalableDimension")? != Some(DIMENSION) {
            return Err(invalid("Unsupported scalable dimension."));
        }
        let id = optional(input, "ResourceId")?.unwrap_or_default();
        let path = id.strip_prefix("service/").and_then(|path| path.split_once('/'));
        let found = path.map(|(cluster, service)| (cluster.to_owned(), service.to_owned()));
        match found.filter(|key| self.services.get(key).is_some_and(super::ecs::Service::is_active)) {
            Some((cluster, service)) => Ok((id.to_owned(), cluster, service)),
            None => Err(invalid(format!("ECS service doesn't exist: {id}"))),
        }
    }
}

/// Services of ECS are all that scales here.
fn namespace(input: &Input) -> Result<(), AwsError> {
    match optional(input, "ServiceNamespace")? {
        Some("ecs") => Ok(()),
        _ => Err(invalid("Unsupported service namespace, resource type or scalable dimension.")),
    }
}
