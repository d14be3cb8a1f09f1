//! Leases as items of a `DynamoDB` table: one item each, written over only as it was read.
//!
//! These calls are made with trueup's own credentials, and stand outside of the budgets: a lease must not wait for what it guards.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::Aws;
use super::error::{self, CallError};
use super::json::{JsonClient, Protocol, Service};
use crate::model::{LeaseClaim, LeaseName, LeaseRecord, Replica};
use crate::ports::{CloudError, LeaseError, LeaseStore};

const DYNAMODB: Service = Service {
    id: "DynamoDB",
    host: "dynamodb",
    protocol: Protocol::Json { version: "1.0", target: "DynamoDB_20120810" },
};
/// The partition key of the table.
const KEY: &str = "lease";

/// The leases in one table, in the account and region of the AWS settings.
pub struct LeaseTable {
    client: JsonClient,
    table: String,
}

impl LeaseTable {
    pub fn new(aws: &Aws, table: &str) -> Self {
        Self { client: JsonClient::new(&aws.settings, DYNAMODB, &aws.clock), table: table.to_owned() }
    }

    async fn call(&self, operation: &'static str, input: Value) -> Result<Value, LeaseError> {
        self.client.call(operation, input).await.map_err(|error| self.trouble(error))
    }

    fn trouble(&self, error: CallError) -> LeaseError {
        let table = &self.table;
        if let CallError::Refused { code: Some(code), .. } = &error {
            match code.as_str() {
                "ConditionalCheckFailedException" => return LeaseError::Changed,
                "ResourceNotFoundException" => {
                    return LeaseError::Missing(format!(
                        "the DynamoDB table {table}; docs/install.md has the command that creates it"
                    ));
                }
                "ValidationException" => {
                    return LeaseError::Missing(format!(
                        "the partition key `{KEY}`, a string, of the DynamoDB table {table}: {}",
                        error::meaning(error)
                    ));
                }
                _ => {}
            }
        }
        match error::meaning(error) {
            CloudError::Denied(said) => LeaseError::Denied(format!(
                "{said}; the role needs dynamodb:GetItem and PutItem on the table {table}, as `trueup iam-policy` says"
            )),
            other => LeaseError::Unavailable(format!("the DynamoDB table {table}: {other}")),
        }
    }
}

#[async_trait]
impl LeaseStore for LeaseTable {
    async fn read(&self, name: &LeaseName) -> Result<Option<LeaseRecord>, LeaseError> {
        let key = json!({KEY: {"S": name.as_str()}});
        let input = json!({"TableName": self.table, "Key": key, "ConsistentRead": true});
        let answer = self.call("GetItem", input).await?;
        Ok(answer.get("Item").filter(|item| item.is_object()).cloned().map(record))
    }

    async fn write(
        &self,
        name: &LeaseName,
        read: Option<&LeaseRecord>,
        claim: &LeaseClaim,
    ) -> Result<LeaseRecord, LeaseError> {
        let token = format!("{:032x}", fastrand::u128(..));
        let item = claimed(read.map(|read| &read.stored), name, claim, &token);
        let mut input = json!({"TableName": self.table, "Item": item});
        match read.map(|read| read.stored.get("version")) {
            None => {
                input["ConditionExpression"] = json!("attribute_not_exists(#lease)");
                input["ExpressionAttributeNames"] = json!({"#lease": KEY});
            }
            Some(version) => {
                input["ConditionExpression"] = json!("#version = :version");
                input["ExpressionAttributeNames"] = json!({"#version": "version"});
                input["ExpressionAttributeValues"] =
                    json!({":version": version.unwrap_or(&json!({"S": ""}))});
            }
        }
        self.call("PutItem", input).await?;
        Ok(record(item))
    }
}

fn record(item: Value) -> LeaseRecord {
    let field = |name: &str, kind: &str| item.get(name)?.get(kind)?.as_str().map(str::to_owned);
    let replica = |name: &str| field(name, "S").filter(|text| !text.is_empty()).map(Replica::new);
    let seconds = field("seconds", "N").and_then(|seconds| seconds.parse().ok()).unwrap_or_default();
    LeaseRecord {
        holder: replica("holder"),
        renewal: field("renewal", "S").unwrap_or_default(),
        duration: Duration::from_secs(seconds),
        asked_by: replica("askedBy"),
        stored: item,
    }
}

/// The item with the claim in it. `token` is another text with each write.
fn claimed(stored: Option<&Value>, name: &LeaseName, claim: &LeaseClaim, token: &str) -> Value {
    let mut item = stored.and_then(Value::as_object).cloned().unwrap_or_default();
    let text = |text: &str| json!({"S": text});
    item.insert(KEY.to_owned(), text(name.as_str()));
    item.insert("version".to_owned(), text(token));
    item.remove("askedBy");
    match claim {
        LeaseClaim::Hold { by, duration } => {
            item.insert("holder".to_owned(), text(by.as_str()));
            item.insert("renewal".to_owned(), text(token));
            item.insert("seconds".to_owned(), json!({"N": duration.as_secs().to_string()}));
        }
        LeaseClaim::Ask { by } => {
            item.insert("askedBy".to_owned(), text(by.as_str()));
        }
        LeaseClaim::GiveBack { to } => {
            item.remove("holder");
            item.extend(to.as_ref().map(|to| ("askedBy".to_owned(), text(to.as_str()))));
        }
    }
    Value::Object(item)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_says_who_holds_the_lease_and_who_asked_for_it() {
        let (name, one, two) = (LeaseName::new("n"), Replica::new("one"), Replica::new("two"));
        let duration = Duration::from_secs(30);
        let mut item = json!({"expires": {"N": "1"}});
        for (claim, token, expected) in [
            (LeaseClaim::Hold { by: one.clone(), duration }, "1", (Some(&one), "1", None)),
            (LeaseClaim::Ask { by: two.clone() }, "2", (Some(&one), "1", Some(&two))),
            (LeaseClaim::Hold { by: one.clone(), duration }, "3", (Some(&one), "3", None)),
            (LeaseClaim::GiveBack { to: Some(two.clone()) }, "4", (None, "3", Some(&two))),
            (LeaseClaim::GiveBack { to: None }, "5", (None, "3", None)),
        ] {
            item = claimed(Some(&item), &name, &claim, token);
            let read = record(item.clone());
            let found = (read.holder.as_ref(), read.renewal.as_str(), read.asked_by.as_ref());
            assert_eq!((found, read.duration), (expected, duration), "{claim:?}");
            assert_eq!(item["version"]["S"], token, "each write has a version of its own");
            assert_eq!((&item["lease"]["S"], &item["expires"]["N"]), (&json!("n"), &json!("1")));
        }
        let nonsense = record(json!({"holder": {"N": "1"}, "seconds": {"N": "-1"}, "renewal": 7}));
        assert_eq!((nonsense.holder, nonsense.duration), (None, Duration::ZERO));
    }

    #[tokio::test]
    async fn what_is_wrong_with_the_table_is_said_in_our_words() {
        let aws = Aws::simulated("http://127.0.0.1:1", &crate::model::Region::new("eu-west-2")).await;
        let table = LeaseTable::new(&aws, "leases");
        let refused = |code: &str| {
            let (code, message) = (Some(code.to_owned()), Some("said".to_owned()));
            table.trouble(CallError::Refused { code, message }).to_string()
        };
        for (code, expected) in [
            ("ConditionalCheckFailedException", "somebody else has written it"),
            ("ResourceNotFoundException", "not found: the DynamoDB table leases; docs/install.md has"),
            (
                "ValidationException",
                "not found: the partition key `lease`, a string, of the DynamoDB table leases",
            ),
            (
                "AccessDeniedException",
                "not allowed: AccessDeniedException: said; the role needs dynamodb:GetItem",
            ),
            ("ProvisionedThroughputExceededException", "unavailable: the DynamoDB table leases"),
        ] {
            assert!(refused(code).starts_with(expected), "{code}: {}", refused(code));
        }
        let said = table.read(&LeaseName::new("n")).await.unwrap_err();
        assert!(matches!(said, LeaseError::Unavailable(_)), "{said}");
    }
}
