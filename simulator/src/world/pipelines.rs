//! AWS CodePipeline, as far as it says what a pipeline is made of (AWS CodePipeline API reference, version 2015-07-09). None ever
//! runs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::input::{Input, list, optional};
use super::times::moment;
use super::{Answer, AwsError, World, unknown};

/// Pipelines of an account and region (AWS CodePipeline quotas).
const MOST_PIPELINES: usize = 1_000;
const LONGEST_NAME: usize = 100;

/// By name.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipelines(BTreeMap<String, Pipeline>);

#[derive(Clone, Debug)]
struct Pipeline {
    declaration: Value,
    created: u64,
}

impl World {
    pub(super) fn code_pipeline(&mut self, operation: &str, input: &Input) -> Answer {
        match operation {
            "CreatePipeline" => self.create_pipeline(input),
            "GetPipeline" => self.get_pipeline(input),
            "DeletePipeline" => self.delete_pipeline(input),
            _ => Err(unknown(operation)),
        }
    }

    fn create_pipeline(&mut self, input: &Input) -> Answer {
        let mut declaration = input.get("pipeline").and_then(Value::as_object).cloned().unwrap_or_default();
        let name = name(&declaration)?.to_owned();
        if self.pipelines.0.contains_key(&name) {
            let message =
                format!("A pipeline with the name '{name}' already exists in account '{}'", self.account);
            return Err(AwsError::client("PipelineNameInUseException", message));
        }
        if self.pipelines.0.len() >= MOST_PIPELINES {
            return Err(AwsError::client("LimitExceededException", "too many pipelines"));
        }
        has_structure(&declaration)?;
        declaration.insert("version".to_owned(), json!(1));
        declaration.entry("executionMode").or_insert_with(|| json!("SUPERSEDED"));
        declaration.entry("pipelineType").or_insert_with(|| json!("V1"));
        let declaration = Value::Object(declaration);
        let pipeline = Pipeline { declaration: declaration.clone(), created: self.now };
        self.pipelines.0.insert(name, pipeline);
        Ok(json!({"pipeline": declaration}))
    }

    fn get_pipeline(&self, input: &Input) -> Answer {
        let name = name(input)?;
        let Some(pipeline) = self.pipelines.0.get(name) else {
            let message = format!("Account '{}' does not have a pipeline with name '{name}'", self.account);
            return Err(AwsError::client("PipelineNotFoundException", message));
        };
        let metadata = json!({
            "pipelineArn": self.arn("codepipeline", name),
            "created": moment(pipeline.created),
            "updated": moment(pipeline.created),
        });
        Ok(json!({"pipeline": pipeline.declaration, "metadata": metadata}))
    }

    /// Also of one that is not there.
    fn delete_pipeline(&mut self, input: &Input) -> Answer {
        self.pipelines.0.remove(name(input)?);
        Ok(json!({}))
    }
}

fn name(input: &Input) -> Result<&str, AwsError> {
    let name = optional(input, "name")?.unwrap_or_default();
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".@-_".contains(c);
    if (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(name);
    }
    let message = format!("Value '{name}' at 'name' failed to satisfy constraint: [A-Za-z0-9.@\\-_]+");
    Err(AwsError::client("ValidationException", message))
}

/// "A pipeline must contain at least two stages", "The first stage in a pipeline must contain at least one source action", which no
/// other stage may have, and names are unique within their stage (AWS CodePipeline user guide, "Pipeline structure reference").
fn has_structure(declaration: &Input) -> Result<(), AwsError> {
    let invalid = |message: &str| Err(AwsError::client("InvalidStructureException", message));
    let stages: Vec<&Value> = list(declaration, "stages").collect();
    if stages.len() < 2 {
        return invalid("Pipeline has only 1 stage(s). There should be a minimum of 2 stages in a pipeline");
    }
    for (number, stage) in stages.iter().enumerate() {
        let actions: Vec<&Value> =
            stage.get("actions").and_then(Value::as_array).into_iter().flatten().collect();
        if actions.is_empty() {
            return Err(AwsError::client("InvalidStageDeclarationException", "a stage needs an action"));
        }
        let names: BTreeSet<Option<&str>> =
            actions.iter().map(|action| action.get("name").and_then(Value::as_str)).collect();
        if names.len() < actions.len() || names.contains(&None) {
            return Err(AwsError::client(
                "InvalidActionDeclarationException",
                "each action needs a name of its own",
            ));
        }
        let is_source = |action: &&Value| {
            action.pointer("/actionTypeId/category").and_then(Value::as_str) == Some("Source")
        };
        if actions.iter().all(is_source) != (number == 0) || (number > 0 && actions.iter().any(is_source)) {
            return invalid("The first stage of a pipeline has source actions, and no other stage has");
        }
    }
    Ok(())
}
