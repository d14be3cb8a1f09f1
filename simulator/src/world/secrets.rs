//! AWS Secrets Manager: which secrets there are (AWS Secrets Manager API reference, version 2017-10-17). What they hold is not kept,
//! and cannot be asked for.

use std::collections::BTreeMap;

use serde_json::json;

use super::input::{Input, count, flag, optional};
use super::times::moment;
use super::{Answer, AwsError, World, unknown};

const SECOND_OF_A_DAY: u64 = 24 * 60 * 60;

/// By name.
#[derive(Clone, Debug, Default)]
pub(super) struct Secrets(BTreeMap<String, Secret>);

#[derive(Clone, Debug)]
struct Secret {
    arn: String,
    created: u64,
    /// When it is gone, if it is marked for deletion.
    deleted: Option<u64>,
}

impl World {
    pub(super) fn secrets(&mut self, operation: &str, input: &Input) -> Answer {
        let now = self.now;
        self.secrets.0.retain(|_, secret| secret.deleted.is_none_or(|deleted| now < deleted));
        match operation {
            "CreateSecret" => self.create_secret(input),
            "DescribeSecret" => self.describe_secret(input),
            "DeleteSecret" => self.delete_secret(input),
            _ => Err(unknown(operation)),
        }
    }

    fn create_secret(&mut self, input: &Input) -> Answer {
        let name = required(input, "Name")?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c);
        if !(1..=512).contains(&name.len()) || !name.chars().all(allowed) {
            return Err(refused(
                "ValidationException",
                "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!",
            ));
        }
        match self.secrets.0.get(name) {
            Some(Secret { deleted: Some(_), .. }) => {
                let message = "You can't create this secret because a secret with this name is already scheduled for deletion.";
                return Err(refused("InvalidRequestException", message));
            }
            Some(_) => {
                let message = format!("The operation failed because the secret {name} already exists.");
                return Err(refused("ResourceExistsException", message));
            }
            None => {}
        }
        // Six characters that nobody chooses end the ARN.
        let arn = format!("{}-{:06}", self.arn("secretsmanager", &format!("secret:{name}")), self.id());
        let secret = Secret { arn: arn.clone(), created: self.now, deleted: None };
        self.secrets.0.insert(name.to_owned(), secret);
        Ok(json!({"ARN": arn, "Name": name}))
    }

    /// By its name, its ARN, or its ARN without the last six characters.
    fn secret(&mut self, input: &Input) -> Result<(&String, &mut Secret), AwsError> {
        let id = required(input, "SecretId")?;
        let is_it = |(name, secret): &(&String, &mut Secret)| {
            *name == id || secret.arn == id || secret.arn.rsplit_once('-').is_some_and(|(arn, _)| arn == id)
        };
        let found = self.secrets.0.iter_mut().find(is_it);
        found.ok_or_else(|| {
            refused("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
        })
    }

    fn describe_secret(&mut self, input: &Input) -> Answer {
        let (name, secret) = self.secret(input)?;
        let mut described = json!({"ARN": secret.arn, "Name": name, "CreatedDate": moment(secret.created)});
        if let Some(deleted) = secret.deleted {
            described["DeletedDate"] = moment(deleted);
        }
        Ok(described)
    }

    fn delete_secret(&mut self, input: &Input) -> Answer {
        let now = self.now;
        let days = count(input, "RecoveryWindowInDays")?.unwrap_or(30);
        let at_once = flag(input, "ForceDeleteWithoutRecovery");
        if !at_once && !(7..=30).contains(&days) {
            return Err(refused(
                "InvalidParameterException",
                "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
            ));
        }
        let (name, secret) = self.secret(input)?;
        let deleted = if at_once { now } else { now + days * SECOND_OF_A_DAY };
        secret.deleted = Some(deleted);
        Ok(json!({"ARN": secret.arn, "Name": name, "DeletionDate": moment(deleted)}))
    }
}

fn required<'a>(input: &'a Input, key: &str) -> Result<&'a str, AwsError> {
    let text = optional(input, key)?;
    text.ok_or_else(|| refused("InvalidParameterException", format!("{key} is missing.")))
}

fn refused(code: &str, message: impl Into<String>) -> AwsError {
    AwsError::client(code, message)
}
