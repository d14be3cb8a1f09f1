//! The ports implemented directly on the simulated world, and what can go wrong at each call.
//!
//! A plan of trouble names a call by its number, so that a learning run can list the calls of a promotion and each of
//! them can then be hit in turn. A crash is an error after which nothing reaches the world any more.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};
use trueup::model::*;
use trueup::ports::{
    Clock, CloudError, CodeDeploy, Ecr, Ecs, Extent, Listing, Ports, Reach, RevisionStatus, Scaling, Sts,
    TaggedRevision, Tagging, Tasks,
};
use trueup_simulator::{Api, AwsError, World};

/// What a call meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The process ends before the call leaves it.
    CrashBefore,
    /// The process ends after the effect and before the answer.
    CrashAfter,
    LoseRequest,
    LoseAnswer,
    Throttle,
    ServerError,
    /// From this call on, reads of the kind show the world as it is now, for so many seconds.
    Stale(Kind, u64),
    /// Another controller makes its pass just before the call.
    Elsewhere,
}

/// Kinds of reads that lag independently of one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Services,
    Deployments,
    Tasks,
    Families,
    Revisions,
    Images,
    CodeDeployments,
    Groups,
    TagIndex,
}

impl Kind {
    pub const ALL: [Self; 9] = [
        Self::Services,
        Self::Deployments,
        Self::Tasks,
        Self::Families,
        Self::Revisions,
        Self::Images,
        Self::CodeDeployments,
        Self::Groups,
        Self::TagIndex,
    ];

    pub fn of(operation: &str) -> Option<Self> {
        Some(match operation {
            "DescribeServices" => Self::Services,
            "ListServiceDeployments" | "DescribeServiceDeployments" | "DescribeServiceRevisions" => {
                Self::Deployments
            }
            "ListTasks" | "DescribeTasks" => Self::Tasks,
            "ListTaskDefinitions" => Self::Families,
            "DescribeTaskDefinition" => Self::Revisions,
            "DescribeImages" => Self::Images,
            "ListDeployments" | "BatchGetDeployments" | "GetDeploymentTarget" => Self::CodeDeployments,
            "GetDeploymentGroup" => Self::Groups,
            "GetResources" => Self::TagIndex,
            _ => return None,
        })
    }
}

/// A call that a process made.
#[derive(Clone, Debug)]
pub struct Call {
    pub operation: String,
    /// The world's time: it stands still while somebody looks.
    pub at: u64,
}

/// Another controller that shares the world.
#[async_trait]
pub trait Other: Send + std::marker::Sync {
    async fn pass(&self);
}

/// One process's view of the world.
#[derive(Clone)]
pub struct Process(Arc<Inner>);

struct Inner {
    world: Arc<Mutex<World>>,
    plan: BTreeMap<usize, Trouble>,
    calls: Mutex<Vec<Call>>,
    revisions: Mutex<BTreeMap<String, Value>>,
    platforms: Mutex<BTreeMap<Digest, Platform>>,
    stale: Mutex<Vec<(Kind, World, u64)>>,
    crashed: AtomicBool,
    other: Option<Arc<dyn Other>>,
}

impl Process {
    pub fn new(
        world: &Arc<Mutex<World>>,
        plan: BTreeMap<usize, Trouble>,
        other: Option<Arc<dyn Other>>,
    ) -> Self {
        Self(Arc::new(Inner {
            world: Arc::clone(world),
            plan,
            calls: Mutex::default(),
            revisions: Mutex::default(),
            platforms: Mutex::default(),
            stale: Mutex::default(),
            crashed: AtomicBool::new(false),
            other,
        }))
    }

    pub fn has_crashed(&self) -> bool {
        self.0.crashed.load(Ordering::SeqCst)
    }

    /// The operations of all calls so far.
    pub fn calls(&self) -> Vec<String> {
        self.log().into_iter().map(|call| call.operation).collect()
    }

    /// All calls so far.
    pub fn log(&self) -> Vec<Call> {
        self.0.calls.lock().unwrap().clone()
    }

    async fn call(&self, api: Api, operation: &str, input: Value) -> Result<Value, AwsError> {
        if self.has_crashed() {
            return Err(lost());
        }
        let number = {
            let at = self.0.world.lock().unwrap().now();
            let mut calls = self.0.calls.lock().unwrap();
            calls.push(Call { operation: operation.to_owned(), at });
            calls.len() - 1
        };
        let trouble = self.0.plan.get(&number).copied();
        match trouble {
            Some(Trouble::CrashBefore) => {
                self.0.crashed.store(true, Ordering::SeqCst);
                return Err(lost());
            }
            Some(Trouble::LoseRequest) => return Err(lost()),
            Some(Trouble::Throttle) => return Err(error("ThrottlingException")),
            Some(Trouble::ServerError) => return Err(error("ServerException")),
            Some(Trouble::Stale(kind, seconds)) => {
                let world = self.0.world.lock().unwrap();
                self.0.stale.lock().unwrap().push((kind, world.clone(), world.now() + seconds));
            }
            Some(Trouble::Elsewhere) => {
                if let Some(other) = &self.0.other {
                    other.pass().await;
                }
            }
            Some(Trouble::CrashAfter | Trouble::LoseAnswer) | None => {}
        }
        let answer = self.answer(api, operation, &input);
        match trouble {
            Some(Trouble::CrashAfter) => {
                self.0.crashed.store(true, Ordering::SeqCst);
                Err(lost())
            }
            Some(Trouble::LoseAnswer) => Err(lost()),
            _ => answer,
        }
    }

    fn answer(&self, api: Api, operation: &str, input: &Value) -> Result<Value, AwsError> {
        let mut world = self.0.world.lock().unwrap();
        let now = world.now();
        let mut stale = self.0.stale.lock().unwrap();
        stale.retain(|(_, _, until)| now < *until);
        let old = stale.iter_mut().find(|(kind, ..)| Kind::of(operation) == Some(*kind));
        match old {
            Some((_, snapshot, _)) => {
                let answer = snapshot.call(api, operation, input);
                // An answer about something that did not exist then comes from the world: AWS does not forget an ARN
                // that it has just handed out by itself.
                answer.or_else(|_| world.call(api, operation, input))
            }
            None => world.call(api, operation, input),
        }
    }

    async fn read(&self, api: Api, operation: &str, input: Value) -> Result<Value, CloudError> {
        self.call(api, operation, input).await.map_err(|error| match classify(&error) {
            CloudError::Ambiguous(why) => CloudError::Unavailable(why),
            other => other,
        })
    }

    async fn write(&self, api: Api, operation: &str, input: Value) -> Result<Value, CloudError> {
        self.call(api, operation, input).await.map_err(|error| classify(&error))
    }
}

fn error(code: &str) -> AwsError {
    AwsError { code: code.to_owned(), message: "simulated".to_owned(), status: 500 }
}

fn lost() -> AwsError {
    error("SimulatedLostAnswer")
}

fn classify(error: &AwsError) -> CloudError {
    let text = format!("{}: {}", error.code, error.message);
    match error.code.as_str() {
        "ThrottlingException" | "ThrottledException" => CloudError::Throttled(text),
        "SimulatedLostAnswer" | "ServerException" | "InternalFailure" | "InternalServiceException" => {
            CloudError::Ambiguous(text)
        }
        "AccessDeniedException" | "ExpiredTokenException" => CloudError::Denied(text),
        "ClusterNotFoundException"
        | "ServiceNotFoundException"
        | "RepositoryNotFoundException"
        | "ApplicationDoesNotExistException"
        | "DeploymentGroupDoesNotExistException"
        | "ImageNotFoundException" => CloudError::NotFound(text),
        "ClientException" if text.contains("Unable to describe") => CloudError::NotFound(text),
        _ => CloudError::Rejected(text),
    }
}

impl Reach for Process {
    fn ports(&self, _region: Option<&Region>) -> Ports {
        Ports {
            ecs: Arc::new(self.clone()),
            ecr: Arc::new(self.clone()),
            code_deploy: Arc::new(self.clone()),
            sts: Arc::new(self.clone()),
            tagging: Arc::new(self.clone()),
            scaling: Arc::new(self.clone()),
        }
    }
}

/// The virtual clock of the world.
pub struct WorldClock(pub Arc<Mutex<World>>);

impl Clock for WorldClock {
    fn now(&self) -> Millis {
        Millis::try_from(self.0.lock().unwrap().now()).unwrap() * 1000
    }
}

#[async_trait]
impl Sts for Process {
    async fn account(&self) -> Result<AccountId, CloudError> {
        let identity = self.read(Api::Sts, "GetCallerIdentity", json!({})).await?;
        Ok(AccountId::new(text(&identity, "Account")))
    }
}

#[async_trait]
impl Tagging for Process {
    async fn revisions_tagged(
        &self,
        environment: &EnvironmentName,
        applications: &[ApplicationName],
    ) -> Result<Listing<TaggedRevision>, CloudError> {
        let mut items = Vec::new();
        for batch in applications.chunks(20) {
            let names: Vec<&str> = batch.iter().map(ApplicationName::as_str).collect();
            let mut input = json!({
                "ResourceTypeFilters": ["ecs:task-definition"],
                "TagFilters": [
                    {"Key": "trueup:environment", "Values": [environment.as_str()]},
                    {"Key": "trueup:application", "Values": names},
                ],
            });
            loop {
                let page = self.read(Api::Tagging, "GetResources", input.clone()).await?;
                for one in list(&page, "ResourceTagMappingList") {
                    let tags = list(one, "Tags")
                        .map(|tag| (text(tag, "Key").to_owned(), text(tag, "Value").to_owned()));
                    let arn = TaskDefinitionArn::new(text(one, "ResourceARN"));
                    items.push(TaggedRevision { arn, tags: tags.collect() });
                }
                input["PaginationToken"] = page["PaginationToken"].clone();
                if page["PaginationToken"].as_str().unwrap_or_default().is_empty() {
                    break;
                }
            }
        }
        Ok(Listing { items, extent: Extent::Whole })
    }
}

#[async_trait]
impl Scaling for Process {
    async fn scalable_targets(
        &self,
        services: &[(ClusterName, ServiceName)],
    ) -> Result<BTreeMap<(ClusterName, ServiceName), ScalableTarget>, CloudError> {
        let target = |one: &Value| {
            let (cluster, service) =
                text(one, "ResourceId").trim_start_matches("service/").split_once('/').unwrap();
            let bound = |key: &str| u32::try_from(one[key].as_u64().unwrap()).unwrap();
            let target = ScalableTarget { least: bound("MinCapacity"), most: bound("MaxCapacity") };
            ((ClusterName::new(cluster), ServiceName::new(service)), target)
        };
        let mut found = BTreeMap::new();
        for batch in services.chunks(50) {
            let ids: Vec<String> = batch.iter().map(|(c, s)| format!("service/{c}/{s}")).collect();
            let input = json!({"ServiceNamespace": "ecs", "ResourceIds": ids});
            let page = self.read(Api::Scaling, "DescribeScalableTargets", input).await?;
            found.extend(list(&page, "ScalableTargets").map(target));
        }
        Ok(found)
    }
}

#[async_trait]
impl Ecs for Process {
    async fn services(
        &self,
        cluster: &ClusterName,
        names: &[ServiceName],
    ) -> Result<BTreeMap<ServiceName, Service>, CloudError> {
        let names: Vec<&str> = names.iter().map(ServiceName::as_str).collect();
        let input = json!({"cluster": cluster.as_str(), "services": names});
        let answer = self.read(Api::Ecs, "DescribeServices", input).await?;
        Ok(list(&answer, "services")
            .map(|one| (ServiceName::new(text(one, "serviceName")), service(one)))
            .collect())
    }

    async fn service_deployments(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
        most: usize,
    ) -> Result<Vec<ServiceDeployment>, CloudError> {
        let input =
            json!({"cluster": cluster.as_str(), "service": service.as_str(), "maxResults": most.min(20)});
        let briefs = self.read(Api::Ecs, "ListServiceDeployments", input).await?;
        let arns: Vec<&str> =
            list(&briefs, "serviceDeployments").map(|one| text(one, "serviceDeploymentArn")).collect();
        if arns.is_empty() {
            return Ok(Vec::new());
        }
        let input = json!({"serviceDeploymentArns": arns});
        let described = self.read(Api::Ecs, "DescribeServiceDeployments", input).await?;
        let mut deployments = Vec::new();
        for one in list(&described, "serviceDeployments") {
            let sources = list(one, "sourceServiceRevisions").map(|source| text(source, "arn"));
            let arns: Vec<&str> =
                std::iter::once(text(&one["targetServiceRevision"], "arn")).chain(sources).collect();
            let revisions = self.service_revisions(&arns).await?;
            deployments.push(service_deployment(one, &revisions));
        }
        deployments.sort_by_key(|deployment| std::cmp::Reverse(deployment.created_at));
        Ok(deployments)
    }

    async fn tasks(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
        which: Tasks,
        _most: usize,
    ) -> Result<Vec<Task>, CloudError> {
        let status = if which == Tasks::Running { "RUNNING" } else { "STOPPED" };
        let input =
            json!({"cluster": cluster.as_str(), "serviceName": service.as_str(), "desiredStatus": status});
        let page = self.read(Api::Ecs, "ListTasks", input).await?;
        let arns: Vec<&str> = list(&page, "taskArns").filter_map(Value::as_str).collect();
        if arns.is_empty() {
            return Ok(Vec::new());
        }
        let input = json!({"cluster": cluster.as_str(), "tasks": arns});
        let answer = self.read(Api::Ecs, "DescribeTasks", input).await?;
        Ok(list(&answer, "tasks").map(task).collect())
    }

    async fn newest_revisions(
        &self,
        family: &str,
        most: usize,
    ) -> Result<Vec<TaskDefinitionArn>, CloudError> {
        let input = json!({"familyPrefix": family, "sort": "DESC", "maxResults": most});
        let answer = self.read(Api::Ecs, "ListTaskDefinitions", input).await?;
        Ok(list(&answer, "taskDefinitionArns")
            .filter_map(Value::as_str)
            .map(TaskDefinitionArn::new)
            .collect())
    }

    async fn family_revisions(
        &self,
        family: &str,
        status: RevisionStatus,
        most: usize,
    ) -> Result<Listing<TaskDefinitionArn>, CloudError> {
        let status = if status == RevisionStatus::Active { "ACTIVE" } else { "INACTIVE" };
        let mut input = json!({"familyPrefix": family, "status": status, "sort": "DESC"});
        let mut items = Vec::new();
        loop {
            let page = self.read(Api::Ecs, "ListTaskDefinitions", input.clone()).await?;
            let arns = list(&page, "taskDefinitionArns").filter_map(Value::as_str);
            items.extend(arns.map(TaskDefinitionArn::new));
            input["nextToken"] = page["nextToken"].clone();
            if page["nextToken"].is_null() || items.len() > most {
                break;
            }
        }
        let whole = input["nextToken"].is_null() && items.len() <= most;
        items.truncate(most);
        Ok(Listing { items, extent: if whole { Extent::Whole } else { Extent::Cut } })
    }

    async fn revision(&self, arn: &TaskDefinitionArn) -> Result<Revision, CloudError> {
        let input = json!({"taskDefinition": arn.as_str(), "include": ["TAGS"]});
        let answer = self.read(Api::Ecs, "DescribeTaskDefinition", input).await?;
        let mut described = answer["taskDefinition"].as_object().cloned().unwrap_or_default();
        let active = described.get("status").and_then(Value::as_str) == Some("ACTIVE");
        for key in [
            "taskDefinitionArn",
            "revision",
            "status",
            "registeredAt",
            "registeredBy",
            "deregisteredAt",
            "deleteRequestedAt",
            "compatibilities",
            "requiresAttributes",
        ] {
            described.remove(key);
        }
        let tags = list(&answer, "tags");
        let tags = tags.map(|tag| (text(tag, "key").to_owned(), text(tag, "value").to_owned())).collect();
        Ok(Revision { arn: arn.clone(), active, input: Value::Object(described), tags })
    }

    async fn register(
        &self,
        input: &Value,
        tags: &BTreeMap<String, String>,
    ) -> Result<TaskDefinitionArn, CloudError> {
        let mut input = input.clone();
        input["tags"] = tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        let answer = self.write(Api::Ecs, "RegisterTaskDefinition", input).await?;
        Ok(TaskDefinitionArn::new(text(&answer["taskDefinition"], "taskDefinitionArn")))
    }

    async fn tag_revision(
        &self,
        arn: &TaskDefinitionArn,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), CloudError> {
        let tags: Value = tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        let input = json!({"resourceArn": arn.as_str(), "tags": tags});
        self.write(Api::Ecs, "TagResource", input).await.map(drop)
    }

    async fn deploy(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
        revision: &TaskDefinitionArn,
        settings: Option<&Value>,
        force: bool,
    ) -> Result<(), CloudError> {
        let mut input = settings.cloned().unwrap_or_else(|| json!({}));
        input["cluster"] = json!(cluster.as_str());
        input["service"] = json!(service.as_str());
        input["taskDefinition"] = json!(revision.as_str());
        if force {
            input["forceNewDeployment"] = json!(true);
        }
        self.write(Api::Ecs, "UpdateService", input).await.map(drop)
    }

    async fn update_settings(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
        settings: &Value,
    ) -> Result<(), CloudError> {
        let mut input = settings.clone();
        input["cluster"] = json!(cluster.as_str());
        input["service"] = json!(service.as_str());
        self.write(Api::Ecs, "UpdateService", input).await.map(drop)
    }
}

#[async_trait]
impl CodeDeploy for Process {
    async fn group(&self, application: &str, group: &str) -> Result<Group, CloudError> {
        let input = json!({"applicationName": application, "deploymentGroupName": group});
        match self.read(Api::CodeDeploy, "GetDeploymentGroup", input).await {
            Ok(answer) => Ok(Group::Found(deployment_group(&answer["deploymentGroupInfo"]))),
            Err(CloudError::NotFound(why)) if why.starts_with("Application") => Ok(Group::NoApplication),
            Err(CloudError::NotFound(_)) => Ok(Group::NoGroup),
            Err(error) => Err(error),
        }
    }

    async fn deployments(
        &self,
        application: &str,
        group: &str,
        since: Option<Millis>,
        _most: usize,
    ) -> Result<Vec<CodeDeployment>, CloudError> {
        let mut input = json!({"applicationName": application, "deploymentGroupName": group});
        if let Some(since) = since {
            #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit")]
            let start = since as f64 / 1000.0;
            input["createTimeRange"] = json!({"start": start});
        }
        let listed = self.read(Api::CodeDeploy, "ListDeployments", input).await?;
        let ids: Vec<String> =
            list(&listed, "deployments").filter_map(Value::as_str).map(str::to_owned).collect();
        let mut found = self.code_deployments(&ids).await?;
        let others = found.iter().flat_map(|one| one.rolled_back_by.iter().chain(&one.undoes)).cloned();
        let missing: Vec<String> = others.filter(|id| !ids.contains(id)).collect();
        found.extend(self.code_deployments(&missing).await?);
        Ok(found)
    }

    async fn progress(
        &self,
        deployment: &str,
        cluster: &ClusterName,
        service: &ServiceName,
    ) -> Result<Progress, CloudError> {
        let input = json!({"deploymentId": deployment, "targetId": format!("{cluster}:{service}")});
        let answer = self.read(Api::CodeDeploy, "GetDeploymentTarget", input).await?;
        let target = &answer["deploymentTarget"]["ecsTarget"];
        let mut events = list(target, "lifecycleEvents");
        let goes_on = events.find(|event| matches!(text(event, "status"), "Pending" | "InProgress"));
        let green = list(target, "taskSetsInfo").find(|set| text(set, "taskSetLabel") == "Green");
        Ok(Progress {
            event: goes_on.map(|event| text(event, "lifecycleEventName").to_owned()),
            traffic: green.and_then(|green| u8::try_from(green["trafficWeight"].as_u64()?).ok()),
            since: list(target, "lifecycleEvents").filter_map(|event| time(event, "endTime")).max(),
        })
    }

    async fn app_spec(&self, application: &str, sha256: &str) -> Result<String, CloudError> {
        let revision = json!({"revisionType": "AppSpecContent", "appSpecContent": {"sha256": sha256}});
        let input = json!({"applicationName": application, "revision": revision});
        let answer = self.read(Api::CodeDeploy, "GetApplicationRevision", input).await?;
        Ok(text(&answer["revision"]["appSpecContent"], "content").to_owned())
    }

    async fn create_deployment(&self, new: &NewDeployment) -> Result<(), CloudError> {
        let input = trueup::plan::blue_green::deployment_input(new);
        self.write(Api::CodeDeploy, "CreateDeployment", input).await.map(drop)
    }

    async fn stop(&self, deployment: &str) -> Result<(), CloudError> {
        let input = json!({"deploymentId": deployment, "autoRollbackEnabled": true});
        over(self.write(Api::CodeDeploy, "StopDeployment", input).await)
    }

    async fn end_wait(&self, deployment: &str, wait: Wait) -> Result<(), CloudError> {
        let wait = if wait == Wait::Ready { "READY_WAIT" } else { "TERMINATION_WAIT" };
        let input = json!({"deploymentId": deployment, "deploymentWaitType": wait});
        over(self.write(Api::CodeDeploy, "ContinueDeployment", input).await)
    }

    async fn create_application(&self, name: &str) -> Result<(), CloudError> {
        let input = json!({"applicationName": name, "computePlatform": "ECS"});
        self.write(Api::CodeDeploy, "CreateApplication", input).await.map(drop)
    }

    async fn create_group(&self, input: &Value) -> Result<(), CloudError> {
        self.write(Api::CodeDeploy, "CreateDeploymentGroup", input.clone()).await.map(drop)
    }
}

fn over(result: Result<Value, CloudError>) -> Result<(), CloudError> {
    match result {
        Err(CloudError::Rejected(why)) if why.starts_with("DeploymentAlreadyCompleted") => Ok(()),
        other => other.map(drop),
    }
}

fn deployment_group(info: &Value) -> DeploymentGroup {
    let pair = &info["loadBalancerInfo"]["targetGroupPairInfoList"][0];
    DeploymentGroup {
        is_for_ecs: text(info, "computePlatform") == "ECS",
        services: list(info, "ecsServices")
            .map(|one| {
                (ClusterName::new(text(one, "clusterName")), ServiceName::new(text(one, "serviceName")))
            })
            .collect(),
        target_groups: list(pair, "targetGroups").map(|group| text(group, "name").to_owned()).collect(),
        has_production_listener: list(&pair["prodTrafficRoute"], "listenerArns").next().is_some(),
        has_test_listener: list(&pair["testTrafficRoute"], "listenerArns").next().is_some(),
        last_success: time(&info["lastSuccessfulDeployment"], "createTime"),
    }
}

fn code_deployment(info: &Value) -> CodeDeployment {
    let optional = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let ready = &info["blueGreenDeploymentConfiguration"]["deploymentReadyOption"]["waitTimeInMinutes"];
    CodeDeployment {
        id: text(info, "deploymentId").to_owned(),
        status: match text(info, "status") {
            "Created" => CodeDeployStatus::Created,
            "InProgress" => CodeDeployStatus::InProgress,
            "Ready" => CodeDeployStatus::Ready,
            "Succeeded" => CodeDeployStatus::Succeeded,
            "Failed" => CodeDeployStatus::Failed,
            "Stopped" => CodeDeployStatus::Stopped,
            _ => CodeDeployStatus::Unknown,
        },
        is_rollback: text(info, "creator") == "codeDeployRollback",
        undoes: optional(&info["rollbackInfo"], "rollbackTriggeringDeploymentId"),
        description: optional(info, "description"),
        sha256: optional(&info["revision"]["appSpecContent"], "sha256"),
        error: info.get("errorInformation").map(|error| CodeDeployError {
            code: text(error, "code").to_owned(),
            message: text(error, "message").to_owned(),
        }),
        rolled_back_by: optional(&info["rollbackInfo"], "rollbackDeploymentId"),
        has_previous: info.get("previousRevision").is_some(),
        termination_started: info["instanceTerminationWaitTimeStarted"] == true,
        ready_wait: ready.as_i64().and_then(|minutes| i32::try_from(minutes).ok()),
        created_at: time(info, "createTime").unwrap_or_default(),
        completed_at: time(info, "completeTime"),
    }
}

#[async_trait]
impl Ecr for Process {
    async fn repository(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
    ) -> Result<Repository, CloudError> {
        let mut input = json!({"repositoryNames": [name.as_str()]});
        if let Some(registry) = registry {
            input["registryId"] = json!(registry.as_str());
        }
        let answer = self.read(Api::Ecr, "DescribeRepositories", input).await?;
        let found = &answer["repositories"][0];
        let mutability = Mutability {
            mutable_by_default: text(found, "imageTagMutability").starts_with("MUTABLE"),
            exceptions: list(found, "imageTagMutabilityExclusionFilters")
                .map(|filter| text(filter, "filter").to_owned())
                .collect(),
        };
        Ok(Repository { name: name.clone(), uri: text(found, "repositoryUri").to_owned(), mutability })
    }

    fn address(&self, registry: Option<&AccountId>, name: &RepositoryName) -> Option<String> {
        Some(format!("{}.dkr.ecr.eu-west-2.amazonaws.com/{name}", registry?))
    }

    async fn image_by_tag(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
        tag: &Tag,
    ) -> Result<Image, CloudError> {
        self.image(registry, name, &json!({"imageTag": tag.as_str()})).await
    }

    async fn image_by_digest(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Image, CloudError> {
        self.image(registry, name, &json!({"imageDigest": digest.as_str()})).await
    }

    async fn platform(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Option<Platform> {
        if let Some(kept) = self.0.platforms.lock().unwrap().get(digest) {
            return Some(kept.clone());
        }
        let named = |more: Value| {
            let mut input = json!({"repositoryName": name.as_str()});
            input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            if let Some(registry) = registry {
                input["registryId"] = json!(registry.as_str());
            }
            input
        };
        let ids = json!({"imageIds": [{"imageDigest": digest.as_str()}]});
        let answer = self.read(Api::Ecr, "BatchGetImage", named(ids)).await.ok()?;
        let manifest: Value = serde_json::from_str(text(&answer["images"][0], "imageManifest")).ok()?;
        let layer = json!({"layerDigest": manifest["config"]["digest"]});
        let answer = self.read(Api::Ecr, "GetDownloadUrlForLayer", named(layer)).await.ok()?;
        let config = self.0.world.lock().unwrap().download(text(&answer, "downloadUrl"))?.to_vec();
        let config: Value = serde_json::from_slice(&config).ok()?;
        let part = |key: &str| text(&config, key).to_owned();
        let platform = Platform { digest: None, os: part("os"), architecture: part("architecture") };
        self.0.platforms.lock().unwrap().insert(digest.clone(), platform.clone());
        Some(platform)
    }

    async fn tags(
        &self,
        _registry: Option<&AccountId>,
        name: &RepositoryName,
        beginning: &str,
    ) -> Result<Tags, CloudError> {
        let filter = json!({"tagStatus": "TAGGED", "imageStatus": "ANY"});
        let mut input = json!({"repositoryName": name.as_str(), "filter": filter, "maxResults": 1000});
        let mut tags = Tags::default();
        while tags.pages < 10 && !tags.is_complete {
            let answer = self.read(Api::Ecr, "DescribeImages", input.clone()).await?;
            tags.pages += 1;
            for image in list(&answer, "imageDetails") {
                let fitting = list(image, "imageTags").filter_map(Value::as_str);
                let fitting = fitting.filter(|tag| tag.to_lowercase().starts_with(&beginning.to_lowercase()));
                let digest = Digest::new(text(image, "imageDigest"));
                tags.found.extend(fitting.map(|tag| (Tag::new(tag), digest.clone())));
            }
            tags.is_complete = answer.get("nextToken").is_none();
            input["nextToken"] = answer["nextToken"].clone();
        }
        Ok(tags)
    }

    async fn move_tag(
        &self,
        _registry: Option<&AccountId>,
        name: &RepositoryName,
        digest: &Digest,
        tag: &Tag,
    ) -> Result<(), CloudError> {
        let manifest = self.manifest(name, digest).await?;
        let input =
            json!({"repositoryName": name.as_str(), "imageManifest": manifest, "imageTag": tag.as_str()});
        match self.write(Api::Ecr, "PutImage", input).await {
            Err(CloudError::Rejected(why)) if why.starts_with("ImageAlreadyExists") => Ok(()),
            Err(CloudError::Rejected(why)) if why.starts_with("ImageTagAlreadyExists") => {
                let found = self.image_by_tag(None, name, tag).await?;
                if found.digest == *digest { Ok(()) } else { Err(CloudError::Rejected(why)) }
            }
            other => other.map(drop),
        }
    }
}

impl Process {
    /// Service revisions with their digests never change and are read once, as the adapter of the SDK does.
    async fn service_revisions(&self, arns: &[&str]) -> Result<Value, CloudError> {
        let kept = |arn: &&str| self.0.revisions.lock().unwrap().get(*arn).cloned();
        let missing: Vec<&str> = arns.iter().copied().filter(|arn| kept(arn).is_none()).collect();
        if !missing.is_empty() {
            let input = json!({"serviceRevisionArns": missing});
            let answer = self.read(Api::Ecs, "DescribeServiceRevisions", input).await?;
            let mut revisions = self.0.revisions.lock().unwrap();
            for one in list(&answer, "serviceRevisions") {
                revisions.insert(text(one, "serviceRevisionArn").to_owned(), one.clone());
            }
        }
        let found: Vec<Value> = arns.iter().filter_map(kept).collect();
        let resolved =
            |one: &Value| list(one, "containerImages").all(|image| image.get("imageDigest").is_some());
        self.0.revisions.lock().unwrap().retain(|_, one| resolved(one));
        Ok(json!({"serviceRevisions": found}))
    }

    async fn code_deployments(&self, ids: &[String]) -> Result<Vec<CodeDeployment>, CloudError> {
        let mut found = Vec::new();
        for batch in ids.chunks(25) {
            let input = json!({"deploymentIds": batch});
            let answer = self.read(Api::CodeDeploy, "BatchGetDeployments", input).await?;
            found.extend(list(&answer, "deploymentsInfo").map(code_deployment));
        }
        Ok(found)
    }

    async fn image(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
        id: &Value,
    ) -> Result<Image, CloudError> {
        let mut input =
            json!({"repositoryName": name.as_str(), "imageIds": [id], "filter": {"imageStatus": "ANY"}});
        if let Some(registry) = registry {
            input["registryId"] = json!(registry.as_str());
        }
        let answer = match self.read(Api::Ecr, "DescribeImages", input.clone()).await {
            Err(CloudError::Denied(_)) => return self.pulled(&input, id).await,
            answer => answer?,
        };
        let found = &answer["imageDetails"][0];
        let digest = Digest::new(text(found, "imageDigest"));
        let is_index = text(found, "imageManifestMediaType").contains("index");
        Ok(Image {
            tags: list(found, "imageTags").filter_map(Value::as_str).map(Tag::new).collect(),
            archived: text(found, "imageStatus") == "ARCHIVED",
            pushed_at: time(found, "imagePushedAt").unwrap_or_default(),
            platforms: if is_index { self.platforms(name, &digest).await? } else { Vec::new() },
            digest,
        })
    }

    /// An image that may be pulled and not described.
    async fn pulled(&self, input: &Value, id: &Value) -> Result<Image, CloudError> {
        let mut input = input.clone();
        input.as_object_mut().unwrap().shift_remove("filter");
        let answer = self.read(Api::Ecr, "BatchGetImage", input).await?;
        let found = &answer["images"][0];
        if found.is_null() {
            return Err(CloudError::NotFound("no such image".to_owned()));
        }
        Ok(Image {
            tags: id["imageTag"].as_str().map(Tag::new).into_iter().collect(),
            archived: false,
            pushed_at: 0,
            platforms: Vec::new(),
            digest: Digest::new(text(&found["imageId"], "imageDigest")),
        })
    }

    async fn platforms(&self, name: &RepositoryName, digest: &Digest) -> Result<Vec<Platform>, CloudError> {
        let manifest: Value = serde_json::from_str(&self.manifest(name, digest).await?).unwrap();
        let platforms = list(&manifest, "manifests").map(|entry| Platform {
            digest: Some(Digest::new(text(entry, "digest"))),
            os: text(&entry["platform"], "os").to_owned(),
            architecture: text(&entry["platform"], "architecture").to_owned(),
        });
        Ok(platforms.collect())
    }

    async fn manifest(&self, name: &RepositoryName, digest: &Digest) -> Result<String, CloudError> {
        let ids = json!([{"imageDigest": digest.as_str()}]);
        let input = json!({"repositoryName": name.as_str(), "imageIds": ids});
        let answer = self.read(Api::Ecr, "BatchGetImage", input).await?;
        Ok(text(&answer["images"][0], "imageManifest").to_owned())
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn count(value: &Value, key: &str) -> i32 {
    value.get(key).and_then(Value::as_i64).and_then(|count| i32::try_from(count).ok()).unwrap_or_default()
}

fn time(value: &Value, key: &str) -> Option<Millis> {
    let since_1970 = std::time::Duration::from_secs_f64(value.get(key)?.as_f64()?);
    Millis::try_from(since_1970.as_millis()).ok()
}

fn service(described: &Value) -> Service {
    let configuration = &described["deploymentConfiguration"];
    let flag = |of: &Value, key: &str| of.get(key).and_then(Value::as_bool).unwrap_or_default();
    Service {
        arn: text(described, "serviceArn").to_owned(),
        status: match text(described, "status") {
            "ACTIVE" => ServiceStatus::Active,
            "DRAINING" => ServiceStatus::Draining,
            _ => ServiceStatus::Inactive,
        },
        controller: match text(&described["deploymentController"], "type") {
            "ECS" | "" => Controller::Ecs,
            "CODE_DEPLOY" => Controller::CodeDeploy,
            _ => Controller::External,
        },
        strategy: DeploymentStrategy::parse(configuration.get("strategy").and_then(Value::as_str)),
        scheduling: Scheduling::Replica,
        task_definition: TaskDefinitionArn::new(text(described, "taskDefinition")),
        desired_count: count(described, "desiredCount"),
        running_count: count(described, "runningCount"),
        pending_count: count(described, "pendingCount"),
        circuit_breaker: CircuitBreaker {
            enabled: flag(&configuration["deploymentCircuitBreaker"], "enable"),
            rollback: flag(&configuration["deploymentCircuitBreaker"], "rollback"),
        },
        alarms_roll_back: flag(&configuration["alarms"], "enable")
            && flag(&configuration["alarms"], "rollback"),
        settings: trueup::plan::service_settings::of(described),
        deployments: list(described, "deployments")
            .map(deployment)
            .chain(list(described, "taskSets").map(task_set))
            .collect(),
        events: list(described, "events").map(|event| text(event, "message").to_owned()).take(5).collect(),
    }
}

fn deployment(described: &Value) -> Deployment {
    Deployment {
        id: DeploymentId::new(text(described, "id")),
        status: if text(described, "status") == "PRIMARY" {
            DeploymentStatus::Primary
        } else {
            DeploymentStatus::Active
        },
        task_definition: TaskDefinitionArn::new(text(described, "taskDefinition")),
        rollout: match text(described, "rolloutState") {
            "COMPLETED" => Some(RolloutState::Completed),
            "FAILED" => Some(RolloutState::Failed),
            "IN_PROGRESS" => Some(RolloutState::InProgress),
            _ => None,
        },
        running: count(described, "runningCount"),
        failed_tasks: count(described, "failedTasks"),
        load_balancer: None,
        created_at: time(described, "createdAt").unwrap_or_default(),
        updated_at: time(described, "updatedAt").unwrap_or_default(),
    }
}

fn task_set(described: &Value) -> Deployment {
    let balancer = list(described, "loadBalancers").next();
    Deployment {
        status: match text(described, "status") {
            "PRIMARY" => DeploymentStatus::Primary,
            "ACTIVE" => DeploymentStatus::Active,
            _ => DeploymentStatus::Inactive,
        },
        rollout: match text(described, "stabilityStatus") {
            "STEADY_STATE" => Some(RolloutState::Completed),
            _ => Some(RolloutState::InProgress),
        },
        load_balancer: balancer.map(|balancer| LoadBalancer {
            target_group: text(balancer, "targetGroupArn").to_owned(),
            container: text(balancer, "containerName").to_owned(),
            port: count(balancer, "containerPort"),
        }),
        ..deployment(described)
    }
}

fn service_deployment(described: &Value, revisions: &Value) -> ServiceDeployment {
    let revision = |arn: &str| {
        list(revisions, "serviceRevisions").find(|revision| text(revision, "serviceRevisionArn") == arn)
    };
    let definition =
        |arn: &str| revision(arn).map(|found| TaskDefinitionArn::new(text(found, "taskDefinition")));
    let target = text(&described["targetServiceRevision"], "arn");
    let digests = revision(target).into_iter().flat_map(|revision| list(revision, "containerImages"));
    ServiceDeployment {
        arn: text(described, "serviceDeploymentArn").to_owned(),
        status: match text(described, "status") {
            "PENDING" => ServiceDeploymentStatus::Pending,
            "IN_PROGRESS" => ServiceDeploymentStatus::InProgress,
            "SUCCESSFUL" => ServiceDeploymentStatus::Successful,
            "STOP_REQUESTED" => ServiceDeploymentStatus::StopRequested,
            "STOPPED" => ServiceDeploymentStatus::Stopped,
            "ROLLBACK_REQUESTED" => ServiceDeploymentStatus::RollbackRequested,
            "ROLLBACK_IN_PROGRESS" => ServiceDeploymentStatus::RollbackInProgress,
            "ROLLBACK_SUCCESSFUL" => ServiceDeploymentStatus::RollbackSuccessful,
            "ROLLBACK_FAILED" => ServiceDeploymentStatus::RollbackFailed,
            _ => ServiceDeploymentStatus::Unknown,
        },
        reason: described.get("statusReason").and_then(Value::as_str).map(str::to_owned),
        target: definition(target),
        sources: list(described, "sourceServiceRevisions")
            .filter_map(|one| definition(text(one, "arn")))
            .collect(),
        digests: digests
            .filter(|image| image.get("imageDigest").is_some())
            .map(|image| (text(image, "containerName").to_owned(), Digest::new(text(image, "imageDigest"))))
            .collect(),
        monitor_triggered: text(&described["deploymentCircuitBreaker"], "status") == "TRIGGERED"
            || text(&described["alarms"], "status") == "TRIGGERED",
        target_running: count(&described["targetServiceRevision"], "runningTaskCount"),
        shift: None,
        created_at: time(described, "createdAt").unwrap_or_default(),
        finished_at: time(described, "finishedAt").or_else(|| time(described, "stoppedAt")),
    }
}

fn task(described: &Value) -> Task {
    let optional = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    Task {
        arn: text(described, "taskArn").to_owned(),
        task_definition: TaskDefinitionArn::new(text(described, "taskDefinitionArn")),
        started_by: optional(described, "startedBy").map(DeploymentId::new),
        last_status: text(described, "lastStatus").to_owned(),
        desired_status: text(described, "desiredStatus").to_owned(),
        health: match text(described, "healthStatus") {
            "HEALTHY" => TaskHealth::Healthy,
            "UNHEALTHY" => TaskHealth::Unhealthy,
            _ => TaskHealth::Unknown,
        },
        containers: list(described, "containers")
            .map(|container| TaskContainer {
                name: text(container, "name").to_owned(),
                image: text(container, "image").to_owned(),
                digest: optional(container, "imageDigest").map(Digest::new),
                exit_code: container
                    .get("exitCode")
                    .and_then(Value::as_i64)
                    .and_then(|code| i32::try_from(code).ok()),
                reason: optional(container, "reason"),
            })
            .collect(),
        stop_code: optional(described, "stopCode"),
        stopped_reason: optional(described, "stoppedReason"),
        started_at: time(described, "startedAt"),
        stopped_at: time(described, "stoppedAt"),
    }
}
