//! AWS IAM, as far as it says who may do what: roles, their trust policies, inline policies, and what those come to (IAM API
//! reference, version 2010-05-08; IAM user guide, "Policy evaluation logic"). The user `simulator` may do everything, unless it has a
//! policy. A role that is assumed (`AssumeRole`) is one of the hand `createRole`, which this does not list.

use std::collections::BTreeMap;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::input::{Input, last_part, optional};
use super::times::iso;
use super::wildcard::wildcard;
use super::{Answer, AwsError, World, invalid_action, partition};

/// Roles of an account (IAM quotas).
const MOST_ROLES: usize = 1_000;
/// Characters of a policy ("Inline policies of a role", the largest of the quotas).
const LONGEST_POLICY: usize = 10_240;

#[derive(Clone, Debug, Default)]
pub(super) struct Iam {
    roles: BTreeMap<String, Role>,
    /// Inline policies of the user `simulator`, by name.
    of_user: BTreeMap<String, Policy>,
}

#[derive(Clone, Debug)]
struct Role {
    path: String,
    id: u64,
    created: u64,
    trust: String,
    /// By name.
    policies: BTreeMap<String, Policy>,
}

#[derive(Clone, Debug)]
struct Policy(Vec<Statement>);

#[derive(Clone, Debug)]
struct Statement {
    denies: bool,
    actions: Vec<String>,
    resources: Vec<String>,
    /// Values that a key of the context must have one of, with `*` for any text.
    conditions: Vec<(String, Vec<String>)>,
}

/// One action on one resource.
struct Deed<'d> {
    action: &'d str,
    resource: &'d str,
    context: &'d BTreeMap<String, Vec<String>>,
}

impl Policy {
    fn parse(text: &str) -> Option<Self> {
        let document: Value = serde_json::from_str(text).ok().filter(|_| text.len() <= LONGEST_POLICY)?;
        let statements = match document.get("Statement")? {
            Value::Array(all) => all.iter().collect(),
            one => vec![one],
        };
        statements.into_iter().map(Statement::parse).collect::<Option<Vec<_>>>().map(Self)
    }
}

impl Statement {
    /// Of conditions only those that compare texts are known.
    fn parse(statement: &Value) -> Option<Self> {
        let denies = match statement.get("Effect")?.as_str()? {
            "Allow" => false,
            "Deny" => true,
            _ => return None,
        };
        let mut conditions = Vec::new();
        let operators = statement.get("Condition").and_then(Value::as_object).into_iter().flatten();
        for (operator, keys) in operators {
            if !["StringEquals", "StringLike"].contains(&operator.as_str()) {
                return None;
            }
            let keys = keys.as_object().into_iter().flatten();
            conditions.extend(keys.map(|(key, values)| (key.to_ascii_lowercase(), texts(values))));
        }
        let (actions, resources) = (texts(statement.get("Action")?), texts(statement.get("Resource")?));
        Some(Self { denies, actions, resources, conditions })
    }

    /// Actions are compared without regard to case.
    fn is_about(&self, deed: &Deed<'_>) -> bool {
        let action = deed.action.to_ascii_lowercase();
        let meets = |(key, wanted): &(String, Vec<String>)| {
            let given = deed.context.get(key).into_iter().flatten();
            given.into_iter().any(|given| wanted.iter().any(|wanted| wildcard(wanted, given)))
        };
        self.actions.iter().any(|known| wildcard(&known.to_ascii_lowercase(), &action))
            && self.resources.iter().any(|known| wildcard(known, deed.resource))
            && self.conditions.iter().all(meets)
    }
}

fn texts(value: &Value) -> Vec<String> {
    let many = value.as_array().into_iter().flatten();
    std::iter::once(value).chain(many).filter_map(Value::as_str).map(str::to_owned).collect()
}

impl World {
    pub(super) fn iam(&mut self, operation: &str, input: &Input) -> Answer {
        match operation {
            "CreateRole" => self.create_role(input),
            "DeleteRole" => self.delete_role(input),
            "GetRole" => self.get_role(input),
            "PutRolePolicy" => self.put_role_policy(input),
            "DeleteRolePolicy" => self.delete_role_policy(input),
            "PutUserPolicy" => self.put_user_policy(input),
            "SimulatePrincipalPolicy" => self.simulate(input),
            _ => Err(invalid_action(operation, "2010-05-08")),
        }
    }

    fn create_role(&mut self, input: &Input) -> Answer {
        let name = required(input, "RoleName")?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        if !(1..=64).contains(&name.len()) || !name.chars().all(allowed) {
            return Err(invalid("The specified value for roleName is invalid."));
        }
        let path = optional(input, "Path")?.unwrap_or("/");
        if !path.starts_with('/') || !path.ends_with('/') {
            return Err(invalid("The specified value for path is invalid."));
        }
        let trust = required(input, "AssumeRolePolicyDocument")?;
        if serde_json::from_str::<Value>(trust).is_err() {
            return Err(malformed());
        }
        if self.iam.roles.contains_key(name) {
            let message = format!("Role with name {name} already exists.");
            return Err(AwsError::with_status("EntityAlreadyExists", message, 409));
        }
        if self.iam.roles.len() >= MOST_ROLES {
            let message = format!("Cannot exceed quota for RolesPerAccount: {MOST_ROLES}");
            return Err(AwsError::with_status("LimitExceeded", message, 409));
        }
        let role = Role {
            path: path.to_owned(),
            id: self.id(),
            created: self.now,
            trust: trust.to_owned(),
            policies: BTreeMap::new(),
        };
        self.iam.roles.insert(name.to_owned(), role);
        self.get_role(input)
    }

    fn role(&mut self, name: &str) -> Result<&mut Role, AwsError> {
        self.iam.roles.get_mut(name).ok_or_else(|| {
            let message = format!("The role with name {name} cannot be found.");
            AwsError::with_status("NoSuchEntity", message, 404)
        })
    }

    fn get_role(&mut self, input: &Input) -> Answer {
        let name = required(input, "RoleName")?;
        let arn_before = format!("arn:{}:iam::{}:role", partition(&self.region), self.account);
        let role = self.role(name)?;
        Ok(json!({"Role": {
            "Path": role.path,
            "RoleName": name,
            "RoleId": format!("AROA{:017}", role.id),
            "Arn": format!("{arn_before}{}{name}", role.path),
            "CreateDate": iso(role.created),
            "AssumeRolePolicyDocument": utf8_percent_encode(&role.trust, NON_ALPHANUMERIC).to_string(),
            "MaxSessionDuration": 3600,
        }}))
    }

    fn delete_role(&mut self, input: &Input) -> Answer {
        let name = required(input, "RoleName")?;
        if !self.role(name)?.policies.is_empty() {
            let message = "Cannot delete entity, must delete policies first.";
            return Err(AwsError::with_status("DeleteConflict", message, 409));
        }
        self.iam.roles.remove(name);
        Ok(json!({}))
    }

    fn put_role_policy(&mut self, input: &Input) -> Answer {
        let (name, policy) = (required(input, "RoleName")?, required(input, "PolicyName")?);
        let document = Policy::parse(required(input, "PolicyDocument")?).ok_or_else(malformed)?;
        self.role(name)?.policies.insert(policy.to_owned(), document);
        Ok(json!({}))
    }

    fn delete_role_policy(&mut self, input: &Input) -> Answer {
        let (name, policy) = (required(input, "RoleName")?, required(input, "PolicyName")?);
        self.role(name)?.policies.remove(policy).map(|_| json!({})).ok_or_else(|| {
            let message = format!("The role policy with name {policy} cannot be found.");
            AwsError::with_status("NoSuchEntity", message, 404)
        })
    }

    fn put_user_policy(&mut self, input: &Input) -> Answer {
        let (name, policy) = (required(input, "UserName")?, required(input, "PolicyName")?);
        if name != "simulator" {
            let message = format!("The user with name {name} cannot be found.");
            return Err(AwsError::with_status("NoSuchEntity", message, 404));
        }
        let document = Policy::parse(required(input, "PolicyDocument")?).ok_or_else(malformed)?;
        self.iam.of_user.insert(policy.to_owned(), document);
        Ok(json!({}))
    }

    /// One result for each action and resource. Policies of resources are not asked.
    fn simulate(&mut self, input: &Input) -> Answer {
        let principal = required(input, "PolicySourceArn")?;
        let list = |key: &str| input.get(key).map(texts).unwrap_or_default();
        let actions = list("ActionNames");
        if actions.is_empty() || !actions.iter().all(|action| action.contains(':')) {
            return Err(AwsError::with_status("InvalidInput", "Invalid action name.", 400));
        }
        let resources = Some(list("ResourceArns")).filter(|all| !all.is_empty());
        let resources = resources.unwrap_or_else(|| vec!["*".to_owned()]);
        let entries = input.get("ContextEntries").and_then(Value::as_array).into_iter().flatten();
        let context: BTreeMap<String, Vec<String>> = entries
            .filter_map(|entry| {
                let key = entry.get("ContextKeyName")?.as_str()?.to_ascii_lowercase();
                Some((key, entry.get("ContextKeyValues").map(texts).unwrap_or_default()))
            })
            .collect();
        let (policies, is_free): (Vec<&Policy>, bool) = match last_part(principal) {
            "simulator" if principal.contains(":user/") => {
                (self.iam.of_user.values().collect(), self.iam.of_user.is_empty())
            }
            name => {
                let role = self.role(name)?;
                (role.policies.values().collect(), false)
            }
        };
        let statements = || policies.iter().flat_map(|Policy(statements)| statements);
        let decide = |deed: &Deed<'_>| {
            let about = || statements().filter(|statement| statement.is_about(deed));
            match about().next() {
                _ if is_free => "allowed",
                None => "implicitDeny",
                Some(_) if about().any(|statement| statement.denies) => "explicitDeny",
                Some(_) => "allowed",
            }
        };
        let pairs =
            actions.iter().flat_map(|action| resources.iter().map(move |resource| (action, resource)));
        let results = pairs.map(|(action, resource)| {
            let deed = Deed { action, resource, context: &context };
            json!({
                "EvalActionName": action,
                "EvalResourceName": resource,
                "EvalDecision": decide(&deed),
                "MatchedStatements": [],
                "MissingContextValues": [],
            })
        });
        Ok(json!({"EvaluationResults": results.collect::<Vec<_>>(), "IsTruncated": false}))
    }
}

fn required<'a>(input: &'a Input, key: &str) -> Result<&'a str, AwsError> {
    optional(input, key)?.ok_or_else(|| invalid(format!("{key} is missing.")))
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::with_status("ValidationError", message, 400)
}

fn malformed() -> AwsError {
    AwsError::with_status("MalformedPolicyDocument", "Syntax errors in policy.", 400)
}
