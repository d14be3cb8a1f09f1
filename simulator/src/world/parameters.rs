//! The parameter store of AWS Systems Manager: which parameters there are (AWS Systems Manager API reference, version 2014-11-06). What
//! they hold is not kept, and cannot be asked for.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::input::{Input, count, flag, list, optional};
use super::times::moment;
use super::{Answer, AwsError, World, unknown};

/// Parameters of one page.
const MOST_OF_A_PAGE: u64 = 50;

/// By name.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters(BTreeMap<String, Parameter>);

#[derive(Clone, Debug)]
struct Parameter {
    kind: String,
    version: u64,
    changed: u64,
}

impl World {
    pub(super) fn parameters(&mut self, operation: &str, input: &Input) -> Answer {
        match operation {
            "PutParameter" => self.put_parameter(input),
            "DeleteParameter" => self.delete_parameter(input),
            "DescribeParameters" => self.describe_parameters(input),
            _ => Err(unknown(operation)),
        }
    }

    fn put_parameter(&mut self, input: &Input) -> Answer {
        let name = required(input, "Name")?;
        required(input, "Value")?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-/".contains(c);
        if !(1..=1011).contains(&name.len()) || !name.chars().all(allowed) {
            return Err(refused("ValidationException", "Parameter name must be a fully qualified name."));
        }
        if name.contains('/') && !name.starts_with('/') {
            return Err(refused("ValidationException", "Parameter name must be a fully qualified name."));
        }
        let known = self.parameters.0.get(name);
        if known.is_some() && !flag(input, "Overwrite") {
            return Err(refused(
                "ParameterAlreadyExists",
                "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
            ));
        }
        let kind = optional(input, "Type")?.or(known.map(|known| known.kind.as_str())).unwrap_or("String");
        if !["String", "StringList", "SecureString"].contains(&kind) {
            return Err(refused("UnsupportedParameterType", "The parameter type isn't supported."));
        }
        let version = known.map_or(1, |known| known.version + 1);
        let parameter = Parameter { kind: kind.to_owned(), version, changed: self.now };
        self.parameters.0.insert(name.to_owned(), parameter);
        Ok(json!({"Version": version, "Tier": "Standard"}))
    }

    fn delete_parameter(&mut self, input: &Input) -> Answer {
        let name = required(input, "Name")?;
        let gone = self.parameters.0.remove(name).map(|_| json!({}));
        gone.ok_or_else(|| refused("ParameterNotFound", format!("Parameter {name} not found.")))
    }

    /// Of filters only those by name are known.
    fn describe_parameters(&mut self, input: &Input) -> Answer {
        let size = count(input, "MaxResults")?.unwrap_or(MOST_OF_A_PAGE);
        if !(1..=MOST_OF_A_PAGE).contains(&size) {
            return Err(refused("ValidationException", "MaxResults must be between 1 and 50."));
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let start: usize = match optional(input, "NextToken")? {
            Some(token) => {
                token.parse().map_err(|_| refused("InvalidNextToken", "The specified token isn't valid."))?
            }
            None => 0,
        };
        let filters: Vec<Filter> =
            list(input, "ParameterFilters").map(Filter::parse).collect::<Result<_, _>>()?;
        let arn = |name: &str| self.arn("ssm", &format!("parameter/{}", name.trim_start_matches('/')));
        let chosen = self.parameters.0.iter().filter(|(name, _)| filters.iter().all(|one| one.holds(name)));
        let described: Vec<Value> = chosen
            .map(|(name, parameter)| {
                json!({
                    "Name": name,
                    "ARN": arn(name),
                    "Type": parameter.kind,
                    "LastModifiedDate": moment(parameter.changed),
                    "Version": parameter.version,
                    "Tier": "Standard",
                    "DataType": "text",
                })
            })
            .collect();
        let next = start.saturating_add(size);
        let more = next < described.len();
        let page: Vec<Value> = described.into_iter().skip(start).take(size).collect();
        let mut answer = json!({"Parameters": page});
        if more {
            answer["NextToken"] = json!(next.to_string());
        }
        Ok(answer)
    }
}

struct Filter {
    option: String,
    values: Vec<String>,
}

impl Filter {
    fn parse(filter: &Value) -> Result<Self, AwsError> {
        let text = |key: &str| filter.get(key).and_then(Value::as_str);
        if text("Key") != Some("Name") {
            return Err(refused("InvalidFilterKey", "The specified key isn't valid."));
        }
        let option = text("Option").unwrap_or("Equals");
        if !["Equals", "BeginsWith", "Contains"].contains(&option) {
            return Err(refused("InvalidFilterOption", "The specified filter option isn't valid."));
        }
        let values = filter.get("Values").and_then(Value::as_array).into_iter().flatten();
        let values: Vec<String> = values.filter_map(Value::as_str).map(str::to_owned).collect();
        if !(1..=50).contains(&values.len()) {
            return Err(refused("InvalidFilterValue", "The filter value isn't valid."));
        }
        Ok(Self { option: option.to_owned(), values })
    }

    fn holds(&self, name: &str) -> bool {
        self.values.iter().any(|value| match self.option.as_str() {
            "BeginsWith" => name.starts_with(value.as_str()),
            "Contains" => name.contains(value.as_str()),
            _ => name == value,
        })
    }
}

fn required<'a>(input: &'a Input, key: &str) -> Result<&'a str, AwsError> {
    optional(input, key)?.ok_or_else(|| refused("ValidationException", format!("{key} is missing.")))
}

fn refused(code: &str, message: impl Into<String>) -> AwsError {
    AwsError::client(code, message)
}
