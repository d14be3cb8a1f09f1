//! Lifecycle policies of repositories: put, told and deleted (Amazon ECR API reference; user guide, "Lifecycle policies"). They
//! are held against their syntax, and never evaluated: no image expires by itself here.

use serde_json::{Value, json};

use super::Registry;
use crate::world::input::{Input, invalid, text};
use crate::world::{Answer, AwsError};

/// Bytes of a policy ("`lifecyclePolicyText`: maximum length of 30720"), and its rules (Amazon ECR quotas).
const LONGEST: usize = 30_720;
const MOST_RULES: usize = 50;

impl Registry {
    pub(super) fn put_lifecycle_policy(&mut self, input: &Input) -> Answer {
        let policy = text(input, "lifecyclePolicyText")?.to_owned();
        if !is_policy(&policy) {
            return Err(invalid(
                "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation failure'",
            ));
        }
        let account = self.account.clone();
        let (repository, name) = self.repository_mut(input)?;
        repository.lifecycle = Some(policy.clone());
        Ok(told(&account, &name, &policy))
    }

    pub(super) fn get_lifecycle_policy(&self, input: &Input) -> Answer {
        let (repository, name) = self.repository(input)?;
        let policy = repository.lifecycle.as_ref().ok_or_else(|| self.without_lifecycle(&name))?;
        Ok(told(&self.account, &name, policy))
    }

    pub(super) fn delete_lifecycle_policy(&mut self, input: &Input) -> Answer {
        let account = self.account.clone();
        let missing = self.without_lifecycle(text(input, "repositoryName")?);
        let (repository, name) = self.repository_mut(input)?;
        let policy = repository.lifecycle.take().ok_or(missing)?;
        Ok(told(&account, &name, &policy))
    }

    fn without_lifecycle(&self, name: &str) -> AwsError {
        let message = format!(
            "Lifecycle policy does not exist for the repository with name '{name}' in the registry with id '{}'",
            self.account
        );
        AwsError::client("LifecyclePolicyNotFoundException", message)
    }
}

fn told(account: &str, name: &str, policy: &str) -> Value {
    json!({"registryId": account, "repositoryName": name, "lifecyclePolicyText": policy})
}

/// Rules of different priorities, each with what it selects and what then happens.
fn is_policy(text: &str) -> bool {
    let policy: Value = serde_json::from_str(text).unwrap_or_default();
    let rules = policy.get("rules").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut priorities: Vec<u64> = rules.iter().filter_map(priority).collect();
    priorities.sort_unstable();
    priorities.dedup();
    text.len() <= LONGEST && (1..=MOST_RULES).contains(&rules.len()) && priorities.len() == rules.len()
}

/// `None`: it is no rule.
fn priority(rule: &Value) -> Option<u64> {
    let selection = rule.get("selection")?;
    let word = |key: &str| selection.get(key).and_then(Value::as_str);
    let is_known = match (word("tagStatus")?, word("countType")?) {
        ("tagged", "imageCountMoreThan" | "sinceImagePushed") => {
            ["tagPrefixList", "tagPatternList"].iter().any(|key| selection.get(*key).is_some())
        }
        ("untagged" | "any", "imageCountMoreThan" | "sinceImagePushed") => true,
        _ => false,
    };
    let counts = selection.get("countNumber")?.as_u64().is_some_and(|number| number > 0);
    let acts = rule.get("action")?.get("type")?.as_str() == Some("expire");
    rule.get("rulePriority")?.as_u64().filter(|priority| is_known && counts && acts && *priority > 0)
}
