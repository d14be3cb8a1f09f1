//! AWS Lambda, as far as it says which functions there are (AWS Lambda API reference, version 2015-03-31). Nothing runs: what a
//! function does that a hook calls is told by the hand `function`, and one that nobody has made is called all the same.

use std::collections::BTreeMap;

use serde_json::json;

use super::input::{Input, count, optional};
use super::times::iso;
use super::{Answer, AwsError, World, unknown};

/// Functions that are kept; AWS has no such bound (chosen).
const MOST_FUNCTIONS: usize = 10_000;
/// Of an account, unless it has asked for more (AWS Lambda quotas); so many of them are always left for those without a reservation.
const CONCURRENCY: u64 = 1_000;
const UNRESERVED: u64 = 100;

/// By name.
#[derive(Clone, Debug, Default)]
pub(super) struct Functions(BTreeMap<String, Function>);

#[derive(Clone, Debug)]
struct Function {
    settings: Input,
    created: u64,
    /// Executions at the same time that are kept for it, and that it may have at most.
    reserved: Option<u64>,
}

/// What a function is described with as it was made.
const SETTINGS: [&str; 6] = ["Description", "Handler", "MemorySize", "Role", "Runtime", "Timeout"];

impl World {
    pub(super) fn lambda(&mut self, operation: &str, input: &Input) -> Answer {
        match operation {
            "CreateFunction" => self.create_function(input),
            "DeleteFunction" => self.delete_function(input),
            "PutFunctionConcurrency" => self.put_function_concurrency(input),
            "GetFunctionConcurrency" => self.get_function_concurrency(input),
            _ => Err(unknown(operation)),
        }
    }

    fn create_function(&mut self, input: &Input) -> Answer {
        let name = self.function_name(input)?;
        let role = optional(input, "Role")?.unwrap_or_default();
        if !role.starts_with("arn:") {
            return Err(invalid("The role defined for the function cannot be assumed by Lambda."));
        }
        if self.lambda.0.contains_key(&name) {
            let message = format!("Function already exist: {name}");
            return Err(AwsError::with_status("ResourceConflictException", message, 409));
        }
        if self.lambda.0.len() >= MOST_FUNCTIONS {
            return Err(AwsError::client("CodeStorageExceededException", "too many functions"));
        }
        let function = Function { settings: input.clone(), created: self.now, reserved: None };
        let mut told = json!({
            "FunctionName": name,
            "FunctionArn": self.function_arn(&name),
            "LastModified": iso(function.created),
            "Version": "$LATEST",
            "State": "Active",
            "LastUpdateStatus": "Successful",
        });
        for key in SETTINGS {
            if let Some(value) = function.settings.get(key) {
                told[key] = value.clone();
            }
        }
        self.lambda.0.insert(name, function);
        Ok(told)
    }

    fn delete_function(&mut self, input: &Input) -> Answer {
        let name = self.function_name(input)?;
        self.lambda.0.remove(&name).map(|_| json!({})).ok_or_else(|| self.no_function(&name))
    }

    fn put_function_concurrency(&mut self, input: &Input) -> Answer {
        let name = self.function_name(input)?;
        let asked = count(input, "ReservedConcurrentExecutions")?;
        let asked = asked.ok_or_else(|| invalid("ReservedConcurrentExecutions is missing"))?;
        let others = self.lambda.0.iter().filter(|(other, _)| **other != name);
        let reserved: u64 = others.filter_map(|(_, function)| function.reserved).sum();
        if reserved.saturating_add(asked) > CONCURRENCY - UNRESERVED {
            let message = format!(
                "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [{UNRESERVED}]."
            );
            return Err(invalid(message));
        }
        self.function(&name)?.reserved = Some(asked);
        Ok(json!({"ReservedConcurrentExecutions": asked}))
    }

    /// Empty where nothing is reserved.
    fn get_function_concurrency(&mut self, input: &Input) -> Answer {
        let name = self.function_name(input)?;
        let reserved = self.function(&name)?.reserved;
        Ok(reserved.map_or_else(|| json!({}), |reserved| json!({"ReservedConcurrentExecutions": reserved})))
    }

    fn function(&mut self, name: &str) -> Result<&mut Function, AwsError> {
        let missing = self.no_function(name);
        self.lambda.0.get_mut(name).ok_or(missing)
    }

    /// By its name, its ARN, or the end of that; the one of the other account or region is not here.
    fn function_name(&self, input: &Input) -> Result<String, AwsError> {
        let text = optional(input, "FunctionName")?.unwrap_or_default();
        let own = self.function_arn("");
        let name = match text.strip_prefix(&own) {
            Some(name) => name,
            None if text.starts_with("arn:") => return Err(self.no_function(text)),
            None => text,
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if !(1..=64).contains(&name.len()) || !name.chars().all(allowed) {
            return Err(invalid(format!("Value '{text}' at 'functionName' is no name of a function.")));
        }
        Ok(name.to_owned())
    }

    fn function_arn(&self, name: &str) -> String {
        self.arn("lambda", &format!("function:{name}"))
    }

    fn no_function(&self, name: &str) -> AwsError {
        let arn = if name.starts_with("arn:") { name.to_owned() } else { self.function_arn(name) };
        AwsError::with_status("ResourceNotFoundException", format!("Function not found: {arn}"), 404)
    }
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::client("InvalidParameterValueException", message)
}
