//! What a pipeline of AWS CodePipeline deploys, and what stands around that: read from its stages alone. Its artifacts are not read;
//! files of it come from a checkout.
//!
//! What is not known here is told, and keeps nothing else from being read.

use std::collections::BTreeSet;

use serde_json::Value;

use super::LeftOut;
use super::names::word_in;
use crate::model::{
    ClusterName, DeploymentGroupName, Pipeline, PipelineAction, PipelineStage, Region, ServiceName,
};

/// All that one pipeline says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piped {
    pub deploys: Vec<Deploys>,
    pub left_out: Vec<LeftOut>,
}

/// One action that deploys a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deploys {
    pub what: Deployed,
    pub pipeline: String,
    pub stage: String,
    /// `None`: that of the pipeline.
    pub region: Option<Region>,
    /// The word of the stage, or of the tag that the pipeline starts from, that names an environment.
    pub environment: Option<String>,
    /// What the pipeline says besides, for people, in its order.
    pub comments: Vec<String>,
    pub files: Template,
}

/// How an action names what it deploys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deployed {
    Service(ClusterName, ServiceName),
    Group(DeploymentGroupName),
}

/// The files that an action takes from its artifacts, by their paths there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Template {
    /// Names and images of containers.
    Images(String),
    BlueGreen {
        task_definition: String,
        app_spec: String,
        /// What stands for images in the task definition, without its brackets.
        placeholders: Vec<String>,
    },
}

/// What was read of these files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkout {
    /// Whose image the pipeline replaces; `None`: no file says so.
    pub containers: Option<BTreeSet<String>>,
    /// Name and text of the `AppSpec`.
    pub app_spec: Option<(String, String)>,
}

/// Comments of one service: a pipeline may have a thousand actions.
const MOST_COMMENTS: usize = 30;

/// Defaults of the file names (AWS CodePipeline user guide, action references of Amazon ECS and of CodeDeploy blue/green).
const IMAGES: &str = "imagedefinitions.json";
const TASK_DEFINITION: &str = "taskdef.json";
const APP_SPEC: &str = "appspec.yaml";

/// The word of a name that names an environment.
fn word_of(name: &str) -> Option<String> {
    word_in(name).map(str::to_ascii_lowercase)
}

/// What the pipeline deploys, in its order.
pub fn read(pipeline: &Pipeline) -> Piped {
    let mut piped = Piped::default();
    let mut before: Vec<String> = Vec::new();
    let tag = source_tag(pipeline).and_then(word_of);
    for stage in &pipeline.stages {
        let mut of_stage = Vec::new();
        for action in &stage.actions {
            match role(action) {
                Role::Deploys(what, files) => piped.deploys.push(Deploys {
                    what,
                    pipeline: pipeline.name.clone(),
                    stage: stage.name.clone(),
                    region: action.region.clone(),
                    environment: word_of(&split_words(&stage.name)).or_else(|| tag.clone()),
                    comments: comments(pipeline, stage, &files, before.iter().chain(&of_stage), action),
                    files,
                }),
                Role::Told(comment) => of_stage.push(format!("{}: {comment}", told(stage, action))),
                Role::Unknown(why) => {
                    let what = format!("pipeline {}: {}", pipeline.name, told(stage, action));
                    piped.left_out.push(LeftOut { what, why });
                }
            }
        }
        before.extend(of_stage);
    }
    if piped.deploys.is_empty() {
        let what = format!("pipeline {}", pipeline.name);
        let why = "no action of it deploys a service of Amazon ECS".to_owned();
        piped.left_out.push(LeftOut { what, why });
    }
    piped
}

/// What stands behind a service in the pipeline, in its order.
fn comments<'c>(
    pipeline: &Pipeline,
    stage: &PipelineStage,
    files: &Template,
    before: impl Iterator<Item = &'c String>,
    action: &PipelineAction,
) -> Vec<String> {
    let by = files.paths().join(" and ");
    let first = format!("CodePipeline {} deploys it in stage {}, by {by}", pipeline.name, stage.name);
    let whole = match files {
        Template::Images(_) => None,
        Template::BlueGreen { task_definition, .. } => {
            let name = file_name(task_definition);
            Some(format!(
                "to have git own the whole task definition, put {task_definition} beside this file and write `taskDefinition: {name}`: `plan` shows what differs"
            ))
        }
    };
    let all = std::iter::once(first).chain(before.cloned()).chain(elsewhere(action)).chain(whole);
    all.take(MOST_COMMENTS).collect()
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn told(stage: &PipelineStage, action: &PipelineAction) -> String {
    format!("stage {}, action {}", stage.name, action.name)
}

/// What an action is for.
enum Role {
    Deploys(Deployed, Template),
    /// Something that people should know of.
    Told(String),
    /// It is not read, for this reason.
    Unknown(String),
}

fn role(action: &PipelineAction) -> Role {
    let of = |key: &'static str| action.configuration.get(key).cloned();
    let named = |key: &'static str| of(key).unwrap_or_else(|| "one that is not named".to_owned());
    match (action.category.as_str(), action.provider.as_str()) {
        ("Deploy", "ECS") => match (of("ClusterName"), of("ServiceName")) {
            (Some(cluster), Some(service)) => Role::Deploys(
                Deployed::Service(ClusterName::new(cluster), ServiceName::new(service)),
                Template::Images(of("FileName").unwrap_or_else(|| IMAGES.to_owned())),
            ),
            _ => Role::Unknown("it names no cluster and service".to_owned()),
        },
        ("Deploy", "CodeDeployToECS") => match (of("ApplicationName"), of("DeploymentGroupName")) {
            (Some(application), Some(group)) => {
                let keys = [
                    "Image1ContainerName",
                    "Image2ContainerName",
                    "Image3ContainerName",
                    "Image4ContainerName",
                ];
                let files = Template::BlueGreen {
                    task_definition: of("TaskDefinitionTemplatePath")
                        .unwrap_or_else(|| TASK_DEFINITION.to_owned()),
                    app_spec: of("AppSpecTemplatePath").unwrap_or_else(|| APP_SPEC.to_owned()),
                    placeholders: keys.into_iter().filter_map(of).collect(),
                };
                Role::Deploys(Deployed::Group(DeploymentGroupName { application, group }), files)
            }
            _ => Role::Unknown("it names no application and deployment group of CodeDeploy".to_owned()),
        },
        ("Source", "ECR") => {
            let tag = of("ImageTag").unwrap_or_else(|| "latest".to_owned());
            Role::Told(format!(
                "it starts when {}:{tag} is pushed; here the commit that an environment runs stands in git",
                named("RepositoryName")
            ))
        }
        ("Source", "CodeStarSourceConnection") => Role::Told(format!(
            "the source is {}, branch {}, by a connection, which does not say at which host",
            named("FullRepositoryId"),
            named("BranchName")
        )),
        ("Source", "GitHub") => Role::Told(format!(
            "the source is https://github.com/{}/{}, branch {}",
            named("Owner"),
            named("Repo"),
            named("Branch")
        )),
        ("Source", "CodeCommit") => Role::Told(format!(
            "the source is the CodeCommit repository {}, branch {}",
            named("RepositoryName"),
            named("BranchName")
        )),
        ("Source", "S3") => Role::Told("the source is a file in S3".to_owned()),
        ("Build" | "Test", "CodeBuild") => Role::Told(format!(
            "CodeBuild project {} goes on; it has to tag each image with its commit",
            named("ProjectName")
        )),
        ("Approval", "Manual") => {
            let said = of("CustomData").map(|said| format!(" ({said})")).unwrap_or_default();
            Role::Told(format!("somebody approves{said}; here that is the review of the change in git"))
        }
        (category, provider) => Role::Unknown(format!(
            "{category} by {provider} is not read: look whether something has to take its place"
        )),
    }
}

/// Where an action acts that is not the pipeline's own place.
fn elsewhere(action: &PipelineAction) -> Option<String> {
    let region = action.region.as_ref().map(|region| format!("in region {region}"));
    let role = action.role.as_ref().map(|role| format!("as {role}"));
    let all: Vec<String> = region.into_iter().chain(role).collect();
    (!all.is_empty()).then(|| format!("the pipeline acts {}", all.join(" ")))
}

/// The tag of the image that the pipeline starts from, if that is one.
fn source_tag(pipeline: &Pipeline) -> Option<&str> {
    let actions = pipeline.stages.iter().flat_map(|stage| &stage.actions);
    let mut tags = actions
        .filter(|action| action.category == "Source" && action.provider == "ECR")
        .filter_map(|action| action.configuration.get("ImageTag"));
    let first = tags.next()?;
    tags.all(|tag| tag == first).then_some(first.as_str())
}

/// `DeployToTest` has words too.
fn split_words(name: &str) -> String {
    let mut split = String::new();
    let mut before = ' ';
    for letter in name.chars() {
        if before.is_ascii_lowercase() && letter.is_ascii_uppercase() {
            split.push('-');
        }
        split.push(if letter.is_ascii_alphanumeric() { letter } else { '-' });
        before = letter;
    }
    split
}

impl Template {
    /// The paths of the files.
    pub fn paths(&self) -> Vec<&str> {
        match self {
            Self::Images(path) => vec![path],
            Self::BlueGreen { task_definition, app_spec, .. } => vec![task_definition, app_spec],
        }
    }

    /// What the files say that were found, by their paths.
    pub fn checkout(&self, found: impl Fn(&str) -> Option<String>) -> Result<Checkout, String> {
        match self {
            Self::Images(path) => {
                let containers = found(path).map(|text| listed(path, &text)).transpose()?;
                Ok(Checkout { containers, app_spec: None })
            }
            Self::BlueGreen { task_definition, app_spec, placeholders } => {
                let containers = match found(task_definition) {
                    Some(text) if !placeholders.is_empty() => {
                        Some(marked(task_definition, &text, placeholders)?)
                    }
                    _ => None,
                };
                let name = file_name(app_spec).to_owned();
                Ok(Checkout { containers, app_spec: found(app_spec).map(|text| (name, text)) })
            }
        }
    }
}

/// The containers of an image definitions file.
fn listed(path: &str, text: &str) -> Result<BTreeSet<String>, String> {
    let file: Value = json(path, text)?;
    let names = file.as_array().into_iter().flatten().map(|one| one.get("name")?.as_str().map(str::to_owned));
    let names: Option<BTreeSet<String>> = names.collect();
    names.filter(|names| !names.is_empty()).ok_or_else(|| format!("{path} is no list of names and images"))
}

/// The containers whose image a placeholder stands for.
fn marked(path: &str, text: &str, placeholders: &[String]) -> Result<BTreeSet<String>, String> {
    let file: Value = json(path, text)?;
    let containers = file.get("containerDefinitions").and_then(Value::as_array).into_iter().flatten();
    let marks: BTreeSet<String> = placeholders.iter().map(|name| format!("<{name}>")).collect();
    let is_marked =
        |one: &&Value| one.get("image").and_then(Value::as_str).is_some_and(|image| marks.contains(image));
    let names: BTreeSet<String> =
        containers.filter(is_marked).filter_map(|one| Some(one.get("name")?.as_str()?.to_owned())).collect();
    if names.is_empty() {
        let marks = marks.into_iter().collect::<Vec<_>>().join(", ");
        return Err(format!("{path} has no container with {marks} for its image"));
    }
    Ok(names)
}

fn json(path: &str, text: &str) -> Result<Value, String> {
    let text = text.trim_start_matches('\u{feff}');
    serde_json::from_str(text).map_err(|_| format!("{path} is no JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(category: &str, provider: &str, configuration: &[(&'static str, &str)]) -> PipelineAction {
        PipelineAction {
            name: provider.to_owned(),
            category: category.to_owned(),
            provider: provider.to_owned(),
            configuration: configuration.iter().map(|(key, value)| (*key, (*value).to_owned())).collect(),
            ..PipelineAction::default()
        }
    }

    fn pipeline(stages: Vec<(&str, Vec<PipelineAction>)>) -> Pipeline {
        let stage = |(name, actions): (&str, _)| PipelineStage { name: name.to_owned(), actions };
        Pipeline { name: "api".to_owned(), stages: stages.into_iter().map(stage).collect() }
    }

    #[test]
    fn each_deploy_action_is_a_service_with_what_comes_before_it() {
        let ecs = action("Deploy", "ECS", &[("ClusterName", "mco"), ("ServiceName", "api")]);
        let names = [
            ("ApplicationName", "API"),
            ("DeploymentGroupName", "API-prod"),
            ("Image1ContainerName", "IMAGE"),
        ];
        let approval = action("Approval", "Manual", &[("CustomData", "look at the board")]);
        let piped = read(&pipeline(vec![
            ("Source", vec![action("Source", "ECR", &[("RepositoryName", "mco/api"), ("ImageTag", "test")])]),
            ("Build", vec![action("Build", "CodeBuild", &[("ProjectName", "api")])]),
            ("Deploy", vec![ecs]),
            ("ToProd", vec![approval, action("Deploy", "CodeDeployToECS", &names)]),
        ]));
        assert_eq!(piped.left_out, []);
        let [one, other] = &piped.deploys[..] else { unreachable!("{piped:?}") };
        let service = Deployed::Service(ClusterName::new("mco"), ServiceName::new("api"));
        assert_eq!(
            (&one.what, one.environment.as_deref()),
            (&service, Some("test")),
            "by the tag of the source"
        );
        assert_eq!(one.files, Template::Images("imagedefinitions.json".to_owned()));
        assert_eq!(one.comments.len(), 3, "{:?}", one.comments);
        assert_eq!(other.environment.as_deref(), Some("prod"), "by the word of its stage");
        assert!(other.comments[3].contains("somebody approves (look at the board)"), "{:?}", other.comments);
        assert_eq!(other.files.paths(), ["taskdef.json", "appspec.yaml"]);
    }

    #[test]
    fn what_is_not_known_is_told_and_the_rest_goes_on() {
        let ecs = || action("Deploy", "ECS", &[("ClusterName", "mco"), ("ServiceName", "api")]);
        let stacks = action("Deploy", "CloudFormation", &[]);
        let piped = read(&pipeline(vec![("Deploy", vec![stacks, ecs(), action("Deploy", "ECS", &[])])]));
        assert_eq!(piped.deploys.len(), 1);
        let told: Vec<String> =
            piped.left_out.iter().map(|one| format!("{}: {}", one.what, one.why)).collect();
        assert!(
            told[0]
                .starts_with("pipeline api: stage Deploy, action CloudFormation: Deploy by CloudFormation"),
            "{told:?}"
        );
        assert!(told[1].ends_with("it names no cluster and service"), "{told:?}");
        let none = read(&pipeline(vec![]));
        assert_eq!(none.left_out[0].why, "no action of it deploys a service of Amazon ECS");
    }

    #[test]
    fn the_files_say_whose_image_is_replaced() {
        let images = Template::Images("i.json".to_owned());
        let containers = |template: &Template, text: &str| {
            let found = template.checkout(|_| Some(text.to_owned()));
            found.map(|found| found.containers.map(|names| names.into_iter().collect::<Vec<_>>().join(" ")))
        };
        let list = r#"[{"name": "api", "imageUri": "x"}, {"name": "worker", "imageUri": "y"}]"#;
        assert_eq!(containers(&images, list), Ok(Some("api worker".to_owned())));
        assert_eq!(containers(&images, "[]"), Err("i.json is no list of names and images".to_owned()));
        assert_eq!(containers(&images, "no"), Err("i.json is no JSON".to_owned()));
        let template = Template::BlueGreen {
            task_definition: "t.json".to_owned(),
            app_spec: "a/appspec.json".to_owned(),
            placeholders: vec!["IMAGE".to_owned()],
        };
        let definition = r#"{"containerDefinitions": [{"name": "api", "image": "<IMAGE>"}, {"name": "log", "image": "x"}]}"#;
        assert_eq!(containers(&template, definition), Ok(Some("api".to_owned())));
        assert!(containers(&template, "{}").is_err());
        let none = template.checkout(|path| path.starts_with("a/").then(|| "{}".to_owned())).unwrap();
        assert_eq!(
            none,
            Checkout { containers: None, app_spec: Some(("appspec.json".to_owned(), "{}".to_owned())) }
        );
    }
}
