//! What stands around a target: roles and what they may do, secrets, parameters, log groups and lifecycle policies. All of it is
//! only read, and no value of a secret or a parameter ever is.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::answer::{list, member, owned, text, time};
use super::caller::Client;
use crate::model::surroundings::{Function, Lifecycle, Permission, Role, StoredImage, Subnet, Verdict};
use crate::model::{AccountId, Digest, RepositoryName, Tag};
use crate::ports::{CloudError, Inspect};

/// Pages of images that are read, of a thousand each: beyond that it is said that there are more.
const MOST_PAGES: usize = 10;

pub(super) struct Inspector {
    pub identity: Client,
    pub iam: Client,
    pub secrets: Client,
    pub parameters: Client,
    pub logs: Client,
    pub images: Client,
    pub functions: Client,
    pub networks: Client,
}

#[async_trait]
impl Inspect for Inspector {
    /// Behind a session stands its role, whose path the session's ARN does not have.
    async fn caller(&self) -> Result<String, CloudError> {
        let identity = self.identity.read("GetCallerIdentity", json!({})).await?;
        let arn = owned(&identity, "Arn").ok_or_else(|| nameless("GetCallerIdentity"))?;
        let Some((_, session)) = arn.split_once(":assumed-role/") else { return Ok(arn) };
        let name = session.split('/').next().unwrap_or(session);
        let answer = self.iam.read("GetRole", json!({"RoleName": name})).await?;
        owned(member(&answer, "Role"), "Arn").ok_or_else(|| nameless("GetRole"))
    }

    async fn role(&self, arn: &str) -> Result<Role, CloudError> {
        let name = arn.rsplit('/').next().unwrap_or(arn);
        let answer = self.iam.read("GetRole", json!({"RoleName": name})).await?;
        let role = member(&answer, "Role");
        // A role is known by its name alone, and used by its whole ARN.
        match text(role, "Arn") {
            Some(found) if found != arn => {
                Err(CloudError::NotFound(format!("the role of this name is {found}")))
            }
            _ => Ok(Role { trusts: trusts(text(role, "AssumeRolePolicyDocument").unwrap_or_default()) }),
        }
    }

    async fn is_allowed(&self, principal: &str, permission: &Permission) -> Result<Verdict, CloudError> {
        let mut input = json!({
            "PolicySourceArn": principal,
            "ActionNames": permission.actions,
            "ResourceArns": [permission.resource],
        });
        if let Some(service) = permission.passed_to {
            input["ContextEntries"] = json!([{
                "ContextKeyName": "iam:PassedToService",
                "ContextKeyValues": [service],
                "ContextKeyType": "string",
            }]);
        }
        let answer = self.iam.read("SimulatePrincipalPolicy", input).await?;
        let results = list(&answer, "EvaluationResults");
        let denied = results.filter(|result| text(result, "EvalDecision") != Some("allowed"));
        let denied: Vec<String> = denied.filter_map(|result| owned(result, "EvalActionName")).collect();
        Ok(if denied.is_empty() { Verdict::Allowed } else { Verdict::Denied(denied) })
    }

    async fn secret(&self, id: &str) -> Result<(), CloudError> {
        let answer = self.secrets.read("DescribeSecret", json!({"SecretId": id})).await?;
        // One that is to be deleted cannot be read any more (AWS Secrets Manager user guide, "Delete a secret").
        match answer.get("DeletedDate") {
            None | Some(Value::Null) => Ok(()),
            Some(_) => Err(CloudError::NotFound("it is marked for deletion".to_owned())),
        }
    }

    /// The ARN of `name` and that of `/name` are one, so both are asked for.
    async fn parameter(&self, name: &str) -> Result<(), CloudError> {
        let bare = name.strip_prefix('/').unwrap_or(name);
        let values = if bare.contains('/') {
            vec![name.to_owned()]
        } else {
            vec![bare.to_owned(), format!("/{bare}")]
        };
        let filter = json!([{"Key": "Name", "Option": "Equals", "Values": values}]);
        let answer = self.parameters.read("DescribeParameters", json!({"ParameterFilters": filter})).await?;
        match list(&answer, "Parameters").next() {
            Some(_) => Ok(()),
            None => Err(CloudError::NotFound(name.to_owned())),
        }
    }

    /// The names are sorted as bytes (Amazon `CloudWatch` Logs API reference, `DescribeLogGroups`): of those that begin with a
    /// name, it is itself the first.
    async fn log_group(&self, name: &str) -> Result<(), CloudError> {
        let input = json!({"logGroupNamePrefix": name, "limit": 1});
        let answer = self.logs.read("DescribeLogGroups", input).await?;
        let first = list(&answer, "logGroups").next().and_then(|group| text(group, "logGroupName"));
        if first == Some(name) { Ok(()) } else { Err(CloudError::NotFound(name.to_owned())) }
    }

    /// `GetFunction` would hand out a link to its code and the values of its variables; this says no more than that it is there, and
    /// how often it may run.
    async fn function(&self, name: &str) -> Result<Function, CloudError> {
        let answer = self.functions.read("GetFunctionConcurrency", json!({"FunctionName": name})).await?;
        Ok(Function { reserved: answer.get("ReservedConcurrentExecutions").and_then(Value::as_u64) })
    }

    /// By a filter, since an id that is unknown fails the whole call that names it.
    async fn subnets(&self, ids: &[String]) -> Result<BTreeMap<String, Subnet>, CloudError> {
        let input = json!({"Filter": [{"Name": "subnet-id", "Value": ids}]});
        let answer = self.networks.read("DescribeSubnets", input).await?;
        let subnet = |described: &Value| {
            let free = text(described, "availableIpAddressCount")?.parse().ok()?;
            Some((owned(described, "subnetId")?, Subnet { vpc: owned(described, "vpcId")?, free }))
        };
        Ok(list(&answer, "subnetSet").filter_map(subnet).collect())
    }

    async fn security_groups(&self, ids: &[String]) -> Result<BTreeMap<String, String>, CloudError> {
        let input = json!({"Filter": [{"Name": "group-id", "Value": ids}]});
        let answer = self.networks.read("DescribeSecurityGroups", input).await?;
        let group = |described: &Value| Some((owned(described, "groupId")?, owned(described, "vpcId")?));
        Ok(list(&answer, "securityGroupInfo").filter_map(group).collect())
    }

    async fn lifecycle(
        &self,
        registry: Option<&AccountId>,
        repository: &RepositoryName,
    ) -> Result<Lifecycle, CloudError> {
        let mut input = json!({"repositoryName": repository.as_str()});
        if let Some(registry) = registry {
            input["registryId"] = json!(registry.as_str());
        }
        let answer = self.images.read("GetLifecyclePolicy", input.clone()).await?;
        let policy = owned(&answer, "lifecyclePolicyText").unwrap_or_default();
        let mut found = Lifecycle { policy, images: Vec::new(), is_complete: false };
        input["maxResults"] = json!(1000);
        for _ in 0..MOST_PAGES {
            let page = self.images.read("DescribeImages", input.clone()).await?;
            found.images.extend(list(&page, "imageDetails").filter_map(image));
            match page.get("nextToken").filter(|token| token.is_string()) {
                Some(token) => input["nextToken"] = token.clone(),
                None => return Ok(Lifecycle { is_complete: true, ..found }),
            }
        }
        Ok(found)
    }
}

fn nameless(operation: &str) -> CloudError {
    CloudError::Unavailable(format!("the answer to {operation} has no ARN"))
}

fn image(described: &Value) -> Option<StoredImage> {
    Some(StoredImage {
        digest: Digest::new(text(described, "imageDigest")?),
        tags: list(described, "imageTags").filter_map(Value::as_str).map(Tag::new).collect(),
        pushed_at: time(described, "imagePushedAt").unwrap_or_default(),
    })
}

/// Services that a trust policy lets in. It comes percent-encoded (AWS IAM API reference, `GetRole`).
fn trusts(document: &str) -> BTreeSet<String> {
    let decoded = percent_decode_str(document).decode_utf8_lossy();
    let policy: Value = serde_json::from_str(&decoded).unwrap_or_default();
    let statements = match policy.get("Statement") {
        Some(Value::Array(statements)) => statements.as_slice(),
        Some(statement) => std::slice::from_ref(statement),
        None => &[],
    };
    let allows = statements.iter().filter(|one| {
        text(one, "Effect") == Some("Allow")
            && texts(member(one, "Action")).any(|action| action == "sts:AssumeRole")
    });
    allows.flat_map(|one| texts(member(member(one, "Principal"), "Service"))).map(str::to_owned).collect()
}

/// A text or a list of texts, as policies have them.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let many = value.as_array().into_iter().flatten();
    std::iter::once(value).chain(many).filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trust_policy_tells_which_services_it_lets_in() {
        let of = |statement: Value| {
            let document = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
            let encoded: String = url::form_urlencoded::byte_serialize(document.as_bytes()).collect();
            let encoded = encoded.replace('+', "%20");
            assert_eq!(trusts(&encoded), trusts(&document), "encoded or not");
            trusts(&document).into_iter().collect::<Vec<_>>().join(" ")
        };
        let tasks = json!({"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"});
        assert_eq!(of(json!([tasks])), "ecs-tasks.amazonaws.com");
        assert_eq!(of(tasks.clone()), "ecs-tasks.amazonaws.com", "one statement needs no list");
        let mut several = tasks.clone();
        several["Principal"]["Service"] = json!(["ecs.amazonaws.com", "a+b=c"]);
        several["Action"] = json!(["sts:TagSession", "sts:AssumeRole"]);
        assert_eq!(of(json!([several])), "a+b=c ecs.amazonaws.com");
        let mut denied = tasks;
        denied["Effect"] = json!("Deny");
        assert_eq!(of(json!([denied])), "");
        assert_eq!(
            of(json!([{"Effect": "Allow", "Principal": {"AWS": "1"}, "Action": "sts:AssumeRole"}])),
            ""
        );
        assert_eq!(trusts("no policy"), BTreeSet::new());
    }
}
