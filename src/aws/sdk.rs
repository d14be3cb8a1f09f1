//! The SDK as a caller: its credentials, endpoints, signatures, timeouts and connections, and JSON as it is, in and out, so
//! that a field that neither we nor the SDK know is never lost.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_ecs::config::retry::RetryConfig;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use serde_json::{Value, json};

use super::caller::{Api, Caller};
use super::clock::AwsClock;
use super::download::Downloads;
use super::error::{self, CallError};
use super::json::{JsonClient, Protocol, Route, Service};
use crate::model::{Lacking, Region};

const TAGGING: Service = Service {
    id: "Resource Groups Tagging API",
    host: "tagging",
    protocol: Protocol::Json { version: "1.1", target: "ResourceGroupsTaggingAPI_20170126" },
};
const SCALING: Service = Service {
    id: "Application Auto Scaling",
    host: "application-autoscaling",
    protocol: Protocol::Json { version: "1.1", target: "AnyScaleFrontendService" },
};
const BALANCERS: Service = Service {
    id: "Elastic Load Balancing v2",
    host: "elasticloadbalancing",
    protocol: Protocol::Query { version: "2015-12-01", maps: &[] },
};
const IAM: Service =
    Service { id: "IAM", host: "iam", protocol: Protocol::Query { version: "2010-05-08", maps: &[] } };
const SECRETS: Service = Service {
    id: "Secrets Manager",
    host: "secretsmanager",
    protocol: Protocol::Json { version: "1.1", target: "secretsmanager" },
};
const PARAMETERS: Service =
    Service { id: "SSM", host: "ssm", protocol: Protocol::Json { version: "1.1", target: "AmazonSSM" } };
const ALARMS: Service = Service {
    id: "CloudWatch",
    host: "monitoring",
    protocol: Protocol::Query { version: "2010-08-01", maps: &[] },
};
const FUNCTIONS: Service = Service {
    id: "Lambda",
    host: "lambda",
    protocol: Protocol::Rest(&[Route {
        operation: "GetFunctionConcurrency",
        method: "GET",
        path: "/2019-09-30/functions/",
        name: "FunctionName",
        behind: "/concurrency",
        query: &[],
    }]),
};
const PIPELINES: Service = Service {
    id: "CodePipeline",
    host: "codepipeline",
    protocol: Protocol::Json { version: "1.1", target: "CodePipeline_20150709" },
};
const NETWORKS: Service =
    Service { id: "EC2", host: "ec2", protocol: Protocol::Ec2 { version: "2016-11-15" } };
const LOGS: Service = Service {
    id: "CloudWatch Logs",
    host: "logs",
    protocol: Protocol::Json { version: "1.1", target: "Logs_20140328" },
};
const TOPICS: Service = Service {
    id: "SNS",
    host: "sns",
    protocol: Protocol::Query { version: "2010-03-31", maps: &["MessageAttributes"] },
};

const EVENTS: Service = Service {
    id: "EventBridge",
    host: "events",
    protocol: Protocol::Json { version: "1.1", target: "AWSEvents" },
};
const SCHEDULER: Service =
    Service { id: "Scheduler", host: "scheduler", protocol: Protocol::Rest(SCHEDULES) };
/// Where its operations are found (botocore's model, `http`).
const SCHEDULES: &[Route] = &[
    Route {
        operation: "GetSchedule",
        method: "GET",
        path: "/schedules/",
        name: "Name",
        behind: "",
        query: &[("GroupName", "groupName")],
    },
    Route {
        operation: "UpdateSchedule",
        method: "PUT",
        path: "/schedules/",
        name: "Name",
        behind: "",
        query: &[],
    },
];

/// The clients of one region.
pub(super) struct Sdk {
    region: Option<Region>,
    ecs: aws_sdk_ecs::Client,
    ecr: aws_sdk_ecr::Client,
    code_deploy: aws_sdk_codedeploy::Client,
    sts: aws_sdk_sts::Client,
    tagging: JsonClient,
    scaling: JsonClient,
    balancers: JsonClient,
    events: JsonClient,
    scheduler: JsonClient,
    logs: JsonClient,
    topics: JsonClient,
    iam: JsonClient,
    secrets: JsonClient,
    parameters: JsonClient,
    alarms: JsonClient,
    functions: JsonClient,
    pipelines: JsonClient,
    networks: JsonClient,
    downloads: Downloads,
}

impl Sdk {
    pub fn new(settings: &SdkConfig, clock: &AwsClock) -> Self {
        let ecs = aws_sdk_ecs::config::Builder::from(settings).interceptor(clock.clone()).build();
        let ecr = aws_sdk_ecr::config::Builder::from(settings).interceptor(clock.clone()).build();
        let code_deploy =
            aws_sdk_codedeploy::config::Builder::from(settings).interceptor(clock.clone()).build();
        let sts = aws_sdk_sts::config::Builder::from(settings).interceptor(clock.clone()).build();
        Self {
            region: settings.region().map(|region| Region::new(region.as_ref())),
            ecs: aws_sdk_ecs::Client::from_conf(ecs),
            ecr: aws_sdk_ecr::Client::from_conf(ecr),
            code_deploy: aws_sdk_codedeploy::Client::from_conf(code_deploy),
            sts: aws_sdk_sts::Client::from_conf(sts),
            tagging: JsonClient::new(settings, TAGGING, clock),
            scaling: JsonClient::new(settings, SCALING, clock),
            balancers: JsonClient::new(settings, BALANCERS, clock),
            events: JsonClient::new(settings, EVENTS, clock),
            scheduler: JsonClient::new(settings, SCHEDULER, clock),
            logs: JsonClient::new(settings, LOGS, clock),
            topics: JsonClient::new(settings, TOPICS, clock),
            iam: JsonClient::new(settings, IAM, clock),
            secrets: JsonClient::new(settings, SECRETS, clock),
            parameters: JsonClient::new(settings, PARAMETERS, clock),
            alarms: JsonClient::new(settings, ALARMS, clock),
            functions: JsonClient::new(settings, FUNCTIONS, clock),
            pipelines: JsonClient::new(settings, PIPELINES, clock),
            networks: JsonClient::new(settings, NETWORKS, clock),
            downloads: Downloads::new(settings.endpoint_url()),
        }
    }

    /// STS does not speak JSON.
    async fn identity(&self) -> Result<Value, CallError> {
        let identity = self.sts.get_caller_identity().send().await.map_err(|error| error::of_sdk(&error))?;
        Ok(json!({"Account": identity.account(), "Arn": identity.arn()}))
    }

    /// Nor do its other answers. The typed members stand for the input that is known here.
    async fn assume_role(&self, input: &Value) -> Result<Value, CallError> {
        let text = |key: &str| input.get(key).and_then(Value::as_str).map(str::to_owned);
        let seconds = input.get("DurationSeconds").and_then(Value::as_i64);
        let call = self
            .sts
            .assume_role()
            .set_role_arn(text("RoleArn"))
            .set_role_session_name(text("RoleSessionName"))
            .set_external_id(text("ExternalId"))
            .set_duration_seconds(seconds.and_then(|seconds| i32::try_from(seconds).ok()));
        let answer = call.send().await.map_err(|error| error::of_sdk(&error))?;
        let Some(given) = answer.credentials() else { return Ok(json!({})) };
        Ok(json!({"Credentials": {
            "AccessKeyId": given.access_key_id(),
            "SecretAccessKey": given.secret_access_key(),
            "SessionToken": given.session_token(),
            "Expiration": given.expiration().to_string(),
        }}))
    }
}

/// Sends an operation whose body is the input. Its typed members stay empty.
macro_rules! send {
    ($operation:expr, $input:expr) => {{
        let raw = RawJson::new($input);
        match $operation.customize().interceptor(raw.clone()).send().await {
            Ok(_) => raw.answer(),
            Err(error) => Err(error::of_sdk(&error)),
        }
    }};
}

/// The same without the retries of the SDK.
macro_rules! send_once {
    ($operation:expr, $input:expr) => {{
        let raw = RawJson::new($input);
        let once = aws_sdk_ecs::config::Builder::default().retry_config(RetryConfig::disabled());
        match $operation.customize().config_override(once).interceptor(raw.clone()).send().await {
            Ok(_) => raw.answer(),
            Err(error) => Err(error::of_sdk(&error)),
        }
    }};
}

#[async_trait]
impl Caller for Sdk {
    async fn call(&self, api: Api, operation: &'static str, input: Value) -> Result<Value, CallError> {
        if self.region.is_none() {
            return Err(CallError::Lacking(Lacking::Region));
        }
        let (ecs, ecr, code_deploy) = (&self.ecs, &self.ecr, &self.code_deploy);
        match (api, operation) {
            (Api::Ecs, "ListClusters") => send!(ecs.list_clusters(), &input),
            (Api::Ecs, "ListServices") => send!(ecs.list_services(), &input),
            (Api::Ecs, "DescribeServices") => send!(ecs.describe_services(), &input),
            (Api::Ecs, "ListServiceDeployments") => send!(ecs.list_service_deployments(), &input),
            (Api::Ecs, "DescribeServiceDeployments") => send!(ecs.describe_service_deployments(), &input),
            (Api::Ecs, "DescribeServiceRevisions") => send!(ecs.describe_service_revisions(), &input),
            (Api::Ecs, "ListTasks") => send!(ecs.list_tasks(), &input),
            (Api::Ecs, "DescribeTasks") => send!(ecs.describe_tasks(), &input),
            (Api::Ecs, "ListTaskDefinitions") => send!(ecs.list_task_definitions(), &input),
            (Api::Ecs, "DescribeTaskDefinition") => send!(ecs.describe_task_definition(), &input),
            (Api::Ecs, "RegisterTaskDefinition") => send!(ecs.register_task_definition(), &input),
            (Api::Ecs, "TagResource") => send!(ecs.tag_resource(), &input),
            // Tried once: a retry of the SDK would be signed anew, maybe long after the token has expired.
            (Api::Ecs, "RunTask") => send_once!(ecs.run_task(), &input),
            (Api::Ecs, "StopTask") => send!(ecs.stop_task(), &input),
            (Api::Ecs, "UpdateService") => send!(ecs.update_service(), &input),
            (Api::Ecs, "StopServiceDeployment") => send!(ecs.stop_service_deployment(), &input),
            (Api::Ecs, "ContinueServiceDeployment") => send!(ecs.continue_service_deployment(), &input),
            (Api::Ecr, "DescribeRepositories") => send!(ecr.describe_repositories(), &input),
            (Api::Ecr, "DescribeImages") => send!(ecr.describe_images(), &input),
            (Api::Ecr, "BatchGetImage") => send!(ecr.batch_get_image(), &input),
            (Api::Ecr, "GetDownloadUrlForLayer") => send!(ecr.get_download_url_for_layer(), &input),
            (Api::Ecr, "GetLifecyclePolicy") => send!(ecr.get_lifecycle_policy(), &input),
            (Api::Ecr, "PutImage") => send!(ecr.put_image(), &input),
            (Api::CodeDeploy, "GetDeploymentGroup") => send!(code_deploy.get_deployment_group(), &input),
            (Api::CodeDeploy, "ListApplications") => send!(code_deploy.list_applications(), &input),
            (Api::CodeDeploy, "BatchGetApplications") => {
                send!(code_deploy.batch_get_applications(), &input)
            }
            (Api::CodeDeploy, "ListDeploymentGroups") => {
                send!(code_deploy.list_deployment_groups(), &input)
            }
            (Api::CodeDeploy, "BatchGetDeploymentGroups") => {
                send!(code_deploy.batch_get_deployment_groups(), &input)
            }
            (Api::CodeDeploy, "ListDeployments") => send!(code_deploy.list_deployments(), &input),
            (Api::CodeDeploy, "BatchGetDeployments") => send!(code_deploy.batch_get_deployments(), &input),
            (Api::CodeDeploy, "GetDeploymentTarget") => send!(code_deploy.get_deployment_target(), &input),
            (Api::CodeDeploy, "GetApplicationRevision") => {
                send!(code_deploy.get_application_revision(), &input)
            }
            (Api::CodeDeploy, "CreateDeployment") => send!(code_deploy.create_deployment(), &input),
            (Api::CodeDeploy, "StopDeployment") => send!(code_deploy.stop_deployment(), &input),
            (Api::CodeDeploy, "ContinueDeployment") => send!(code_deploy.continue_deployment(), &input),
            (Api::CodeDeploy, "CreateApplication") => send!(code_deploy.create_application(), &input),
            (Api::CodeDeploy, "CreateDeploymentGroup") => {
                send!(code_deploy.create_deployment_group(), &input)
            }
            (Api::Sts, "GetCallerIdentity") => self.identity().await,
            (Api::Sts, "AssumeRole") => self.assume_role(&input).await,
            (Api::Tagging, _) => self.tagging.call(operation, input).await,
            (Api::Scaling, _) => self.scaling.call(operation, input).await,
            (Api::Balancers, _) => self.balancers.call(operation, input).await,
            (Api::Events, _) => self.events.call(operation, input).await,
            (Api::Scheduler, _) => self.scheduler.call(operation, input).await,
            (Api::Logs, _) => self.logs.call(operation, input).await,
            (Api::Topics, _) => self.topics.call(operation, input).await,
            (Api::Iam, _) => self.iam.call(operation, input).await,
            (Api::Secrets, _) => self.secrets.call(operation, input).await,
            (Api::Parameters, _) => self.parameters.call(operation, input).await,
            (Api::Alarms, _) => self.alarms.call(operation, input).await,
            (Api::Functions, _) => self.functions.call(operation, input).await,
            (Api::Pipelines, _) => self.pipelines.call(operation, input).await,
            (Api::Networks, _) => self.networks.call(operation, input).await,
            (Api::Ecs | Api::Ecr | Api::CodeDeploy | Api::Sts, _) => {
                Err(CallError::Unsent(format!("no client has the operation {operation}")))
            }
        }
    }

    async fn download(&self, address: &str) -> Option<Vec<u8>> {
        self.downloads.download(address).await
    }

    fn can_download(&self) -> bool {
        !self.downloads.rests()
    }

    fn region(&self) -> Option<Region> {
        self.region.clone()
    }

    /// A fraction of what a call takes.
    fn linger(&self) -> Duration {
        Duration::from_millis(5)
    }
}

/// The body of a request in the place of the serialised one, and the body of its answer.
#[derive(Clone, Debug)]
struct RawJson {
    request: Arc<[u8]>,
    response: Arc<Mutex<Option<Vec<u8>>>>,
}

impl RawJson {
    fn new(body: &Value) -> Self {
        Self { request: body.to_string().into_bytes().into(), response: Arc::default() }
    }

    /// Once the operation is over. An operation without an output answers nothing at all.
    fn answer(&self) -> Result<Value, CallError> {
        let bytes = self.response.lock().ok().and_then(|mut response| response.take()).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(json!({}));
        }
        serde_json::from_slice(&bytes)
            .map_err(|_| CallError::Unanswered("the answer held no JSON".to_owned()))
    }
}

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for RawJson {
    fn name(&self) -> &'static str {
        "RawJson"
    }

    // Before the retry loop: every attempt is then signed over the replaced body.
    fn modify_before_retry_loop(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        request.headers_mut().insert("content-length", self.request.len().to_string());
        *request.body_mut() = SdkBody::from(self.request.to_vec());
        Ok(())
    }

    // The body of an answer is in memory from here on.
    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Ok(mut response) = self.response.lock() {
            *response = context.response().body().bytes().map(<[u8]>::to_vec);
        }
        Ok(())
    }
}
