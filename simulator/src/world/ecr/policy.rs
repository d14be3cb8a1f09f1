//! Repository policies: who of other accounts may do what (Amazon ECR user guide, "Private repository policies"; IAM user
//! guide, "Policy evaluation logic"). A statement with a condition, `NotAction` or `NotPrincipal` is not understood: it
//! allows nothing here, and denies nothing.

use serde_json::{Value, json};

use super::{Registry, Repository};
use crate::world::input::{Input, text};
use crate::world::{Answer, AwsError, Principal};

/// A policy as it was set, and what it says.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    text: String,
    statements: Vec<Statement>,
}

#[derive(Clone, Debug)]
struct Statement {
    denies: bool,
    /// `*`, accounts, or ARNs.
    principals: Vec<String>,
    /// With `*` for any text, as they are written.
    actions: Vec<String>,
}

impl Policy {
    fn parse(text: &str) -> Option<Self> {
        let document: Value = serde_json::from_str(text).ok()?;
        let statements = match document.get("Statement")? {
            Value::Array(all) => all.iter().collect(),
            one @ Value::Object(_) => vec![one],
            _ => return None,
        };
        let statements = statements.into_iter().map(Statement::parse).collect::<Option<Vec<_>>>()?;
        Some(Self { text: text.to_owned(), statements: statements.into_iter().flatten().collect() })
    }

    /// Whether somebody of another account may do it. What is denied stays denied.
    fn allows(&self, principal: &Principal, operation: &str) -> bool {
        let mut about =
            self.statements.iter().filter(|one| one.names(principal) && one.means(operation)).peekable();
        about.peek().is_some() && about.all(|one| !one.denies)
    }
}

impl Statement {
    /// `None`: it is no statement; `Some(None)`: it is not understood here.
    #[expect(clippy::option_option, reason = "a statement may be wrong, or not understood")]
    fn parse(statement: &Value) -> Option<Option<Self>> {
        let denies = match statement.get("Effect")?.as_str()? {
            "Allow" => false,
            "Deny" => true,
            _ => return None,
        };
        let is_understood =
            !["Condition", "NotAction", "NotPrincipal"].iter().any(|member| statement.get(*member).is_some());
        if !is_understood {
            return Some(None);
        }
        let principals = match statement.get("Principal")? {
            Value::String(all) if all == "*" => vec![all.clone()],
            Value::Object(kinds) => kinds.get("AWS").map(texts).unwrap_or_default(),
            _ => return None,
        };
        let actions = texts(statement.get("Action")?);
        (!actions.is_empty()).then_some(Some(Self { denies, principals, actions }))
    }

    fn names(&self, principal: &Principal) -> bool {
        let root = format!(":iam::{}:root", principal.account);
        self.principals.iter().any(|named| {
            named == "*"
                || *named == principal.account
                || named.ends_with(&root)
                || *named == principal.arn
                || Some(named) == principal.role.as_ref()
        })
    }

    fn means(&self, operation: &str) -> bool {
        let called = format!("ecr:{operation}");
        self.actions.iter().any(|action| {
            action == "*"
                || action.eq_ignore_ascii_case(&called)
                || action.strip_suffix('*').is_some_and(|start| {
                    called.get(..start.len()).is_some_and(|same| same.eq_ignore_ascii_case(start))
                })
        })
    }
}

/// One text or several.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        Value::Array(all) => all.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

impl Repository {
    /// Whether its policy lets somebody of another account do this.
    pub(super) fn lets_in(&self, principal: &Principal, operation: &str) -> bool {
        self.policy.as_ref().is_some_and(|policy| policy.allows(principal, operation))
    }
}

impl Registry {
    pub(super) fn set_repository_policy(&mut self, input: &Input) -> Answer {
        let policy = Policy::parse(text(input, "policyText")?).ok_or_else(|| {
            let message = "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'";
            AwsError::client("InvalidParameterException", message)
        })?;
        let account = self.account.clone();
        let (repository, name) = self.repository_mut(input)?;
        let told = told(&account, &name, &policy);
        repository.policy = Some(policy);
        Ok(told)
    }

    pub(super) fn get_repository_policy(&self, input: &Input) -> Answer {
        let (repository, name) = self.repository(input)?;
        let policy = repository.policy.as_ref().ok_or_else(|| self.without_policy(&name))?;
        Ok(told(&self.account, &name, policy))
    }

    pub(super) fn delete_repository_policy(&mut self, input: &Input) -> Answer {
        let account = self.account.clone();
        let missing = self.without_policy(text(input, "repositoryName")?);
        let (repository, name) = self.repository_mut(input)?;
        let policy = repository.policy.take().ok_or(missing)?;
        Ok(told(&account, &name, &policy))
    }

    fn without_policy(&self, name: &str) -> AwsError {
        let message = format!(
            "Repository policy does not exist for the repository with name '{name}' in the registry with id '{}'",
            self.account
        );
        AwsError::client("RepositoryPolicyNotFoundException", message)
    }
}

fn told(account: &str, name: &str, policy: &Policy) -> Value {
    json!({"registryId": account, "repositoryName": name, "policyText": policy.text})
}
