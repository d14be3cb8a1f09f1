//! Things are named by a name or by an ARN. An ARN of another account, region or cluster is nothing here.

use crate::world::input::{Input, invalid, text};
use crate::world::{AwsError, World};

impl World {
    /// What follows the kind in an ARN of ECS here, or the name as it is; nothing for an ARN of elsewhere.
    pub(super) fn own<'a>(&self, kind: &str, name_or_arn: &'a str) -> Option<&'a str> {
        if !name_or_arn.starts_with("arn:") {
            return Some(name_or_arn);
        }
        name_or_arn.strip_prefix(&self.arn("ecs", kind))?.strip_prefix('/')
    }

    /// The name of something in the cluster. ARNs of before 2018 do not name the cluster.
    pub(super) fn within<'a>(
        &self,
        kind: &str,
        cluster: &str,
        name_or_arn: &'a str,
    ) -> Result<&'a str, AwsError> {
        let path = self.own(kind, name_or_arn);
        let path =
            path.ok_or_else(|| invalid(format!("Identifier is not for your account: {name_or_arn}")))?;
        match path.rsplit_once('/') {
            Some((other, _)) if other != cluster => {
                Err(invalid(format!("Identifier is for {other}. Your cluster is {cluster}")))
            }
            Some((_, name)) => Ok(name),
            None => Ok(path),
        }
    }

    /// The service that is asked about, whether or not it is there.
    pub(super) fn named_service(&self, input: &Input, key: &str) -> Result<(String, String), AwsError> {
        let cluster = self.cluster(input)?;
        let name = self.within("service", &cluster, text(input, key)?)?.to_owned();
        Ok((cluster, name))
    }
}
