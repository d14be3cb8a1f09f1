//! What AWS `CodePipeline` says of a pipeline (AWS `CodePipeline` API reference, `PipelineDeclaration`).

use std::collections::BTreeMap;

use super::Region;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pipeline {
    pub name: String,
    /// In their order.
    pub stages: Vec<PipelineStage>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PipelineStage {
    pub name: String,
    pub actions: Vec<PipelineAction>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PipelineAction {
    pub name: String,
    /// Such as `Deploy`.
    pub category: String,
    /// Such as `CodeDeployToECS`.
    pub provider: String,
    /// `None`: that of the pipeline.
    pub region: Option<Region>,
    /// As whom another account is acted in; `None`: as the pipeline.
    pub role: Option<String>,
    /// Of its settings those that are known here: others may hold secrets.
    pub configuration: BTreeMap<&'static str, String>,
}
