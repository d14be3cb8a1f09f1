//! The world: everything that exists in one account and region, and the time in it.

mod alarms;
mod codedeploy;
mod ecr;
mod ecs;
mod elb;
mod events;
mod firing;
mod functions;
mod hands;
mod iam;
pub(crate) mod ids;
mod input;
mod logs;
mod networks;
mod parameters;
mod pipelines;
mod publishing;
mod rollout;
mod scaling;
mod scheduler;
mod secrets;
mod tagging;
#[cfg(test)]
mod tests;
pub(crate) mod times;
mod wildcard;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::faults::{Faults, Refusal};
use crate::limits::{Limits, Rates};
pub(crate) use ecr::{DOWNLOADS, Repeat, Shelf};
pub use ecs::Program;
use ecs::{Cluster, Families, Programs, Run, RunToken, Service, ServiceKey};
pub use hands::Function;
use input::Input;
use rollout::Written;

/// The service that an operation belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    Ecs,
    Ecr,
    CodeDeploy,
    /// Elastic Load Balancing, version 2.
    Elb,
    Sts,
    /// The Resource Groups Tagging API.
    Tagging,
    /// Application Auto Scaling.
    Scaling,
    /// Amazon EventBridge.
    Events,
    /// Amazon EventBridge Scheduler.
    Scheduler,
    /// Amazon `CloudWatch` Logs.
    Logs,
    /// Amazon SNS.
    Sns,
    /// AWS Identity and Access Management.
    Iam,
    /// AWS Secrets Manager.
    Secrets,
    /// The parameter store of AWS Systems Manager.
    Parameters,
    /// Amazon `CloudWatch`.
    CloudWatch,
    /// AWS Lambda.
    Lambda,
    CodePipeline,
    /// Amazon EC2, of which there are networks.
    Ec2,
}

/// What AWS answers instead of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsError {
    pub code: String,
    pub message: String,
    /// Of HTTP. Errors that an API declares come with 400 (botocore's models of ECS and ECR).
    pub status: u16,
    /// What a `ConflictException` of ECS names; of no other.
    pub resource_ids: Vec<String>,
}

impl AwsError {
    pub(crate) fn client(code: &str, message: impl Into<String>) -> Self {
        Self::with_status(code, message, 400)
    }

    pub(crate) fn with_status(code: &str, message: impl Into<String>, status: u16) -> Self {
        Self { code: code.to_owned(), message: message.into(), status, resource_ids: Vec::new() }
    }

    fn about(self, resource_ids: Vec<String>) -> Self {
        Self { resource_ids, ..self }
    }
}

pub(crate) type Answer = Result<Value, AwsError>;

/// Who makes a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub account: String,
    pub arn: String,
    /// `UserId` of `GetCallerIdentity`.
    pub id: String,
    /// The ARN of the role that a session has assumed.
    pub role: Option<String>,
}

impl Principal {
    /// The user that there is in every account.
    pub(crate) fn user(account: &str, partition: &str) -> Self {
        let arn = format!("arn:{partition}:iam::{account}:user/simulator");
        Self { account: account.to_owned(), arn, id: "AIDASIMULATOR".to_owned(), role: None }
    }
}

/// One account in one region.
#[derive(Clone, Debug)]
pub struct World {
    account: String,
    region: String,
    /// Who makes the call that goes on.
    principal: Principal,
    /// Seconds since 1970. Whole seconds: one tick each.
    pub(crate) now: u64,
    /// Milliseconds of the second after `now` that have passed. Only [`Rates`] look so closely.
    millis: u64,
    seed: u64,
    ids: u64,
    clusters: BTreeMap<String, Cluster>,
    families: Families,
    services: BTreeMap<ServiceKey, Service>,
    /// Tasks that no service has started.
    runs: Vec<Run>,
    run_tokens: Vec<RunToken>,
    runs_started: u64,
    /// What containers do in them; of others see `USUAL_PROGRAM`.
    programs: Programs,
    registry: ecr::Registry,
    code_deploy: codedeploy::CodeDeploy,
    balancing: elb::Balancing,
    /// What functions do that hooks call; any other succeeds.
    functions: BTreeMap<String, Function>,
    /// Which of them somebody has made.
    lambda: functions::Functions,
    alarms: alarms::Alarms,
    pipelines: pipelines::Pipelines,
    networks: networks::Networks,
    targets: scaling::Targets,
    rules: events::Rules,
    schedules: scheduler::Schedules,
    logs: logs::Logs,
    publishing: publishing::Publishing,
    iam: iam::Iam,
    secrets: secrets::Secrets,
    parameters: parameters::Parameters,
    /// What the index of tags does not have yet, oldest first.
    lags: Vec<tagging::Lag>,
    pub(crate) faults: Faults,
    limits: Limits,
    calls: BTreeMap<String, u64>,
    throttled: BTreeMap<String, u64>,
}

/// Where the virtual clock starts: 2026-01-01T00:00:00Z.
const START: u64 = 1_767_225_600;

impl World {
    pub fn new(account: &str, region: &str) -> Self {
        Self {
            account: account.to_owned(),
            region: region.to_owned(),
            principal: Principal::user(account, partition(region)),
            now: START,
            millis: 0,
            seed: 0,
            ids: 0,
            clusters: BTreeMap::new(),
            families: BTreeMap::new(),
            services: BTreeMap::new(),
            runs: Vec::new(),
            run_tokens: Vec::new(),
            runs_started: 0,
            programs: Programs::new(),
            registry: ecr::Registry::new(account, region),
            code_deploy: codedeploy::CodeDeploy::default(),
            balancing: elb::Balancing::default(),
            functions: BTreeMap::new(),
            lambda: functions::Functions::default(),
            alarms: alarms::Alarms::default(),
            pipelines: pipelines::Pipelines::default(),
            networks: networks::Networks::default(),
            targets: scaling::Targets::new(),
            rules: events::Rules::new(),
            schedules: scheduler::Schedules::default(),
            logs: logs::Logs::default(),
            publishing: publishing::Publishing::default(),
            iam: iam::Iam::default(),
            secrets: secrets::Secrets::default(),
            parameters: parameters::Parameters::default(),
            lags: Vec::new(),
            faults: Faults::default(),
            limits: Limits::default(),
            calls: BTreeMap::new(),
            throttled: BTreeMap::new(),
        }
    }

    /// An empty world of another account or region, at the same time and as this one is otherwise.
    pub(crate) fn elsewhere(&self, account: &str, region: &str) -> Self {
        let mut world = Self::new(account, region).seeded(self.seed).with_rates(self.rates());
        (world.now, world.millis) = self.time();
        world
    }

    pub fn account(&self) -> &str {
        &self.account
    }

    pub fn region(&self) -> &str {
        &self.region
    }

    /// Sets the clock before anything exists, for clients that compare it with their own.
    #[must_use]
    pub fn starting_at(mut self, seconds: u64) -> Self {
        self.now = seconds;
        self
    }

    /// Lets tasks take up to eight seconds longer to start, each differently and the same in every run with this seed.
    /// 0: no jitter.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Takes calls no faster than this.
    #[must_use]
    pub fn with_rates(mut self, rates: Rates) -> Self {
        self.set_rates(rates);
        self
    }

    /// From now on calls are taken no faster than this; every bucket is full.
    pub fn set_rates(&mut self, rates: Rates) {
        self.limits.set(rates);
    }

    pub fn rates(&self) -> Rates {
        self.limits.rates()
    }

    /// Seconds since 1970.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// How often an operation was called, failures included.
    pub fn calls(&self, operation: &str) -> u64 {
        self.calls.get(operation).copied().unwrap_or_default()
    }

    pub fn all_calls(&self) -> &BTreeMap<String, u64> {
        &self.calls
    }

    /// How often an operation was refused because calls came too fast, by a fault or by [`Rates`].
    pub fn all_throttled(&self) -> &BTreeMap<String, u64> {
        &self.throttled
    }

    /// How many tasks `RunTask` has ever started.
    pub fn runs_started(&self) -> u64 {
        self.runs_started
    }

    /// Lets time pass, a second at a time; at once while nothing is under way or all that is just waits.
    pub fn advance(&mut self, seconds: u64) {
        let end = self.now.saturating_add(seconds);
        while self.now < end {
            self.now += 1;
            let (services, deployments) = (self.tick(), self.tick_deployments());
            let next = if deployments { Some(self.now + 1) } else { services };
            self.now = next.map_or(end, |next| (next - 1).clamp(self.now, end));
        }
        self.forget();
    }

    /// Lets part of a second pass, or more; what happens in the world happens at whole seconds.
    pub fn advance_millis(&mut self, millis: u64) {
        let passed = self.millis.saturating_add(millis);
        self.millis = passed % 1000;
        self.advance(passed / 1000);
    }

    /// Seconds since 1970, and the milliseconds beyond them.
    pub(crate) fn time(&self) -> (u64, u64) {
        (self.now, self.millis)
    }

    /// Lets time pass until then; it never goes back.
    pub(crate) fn follow(&mut self, (now, millis): (u64, u64)) {
        if now > self.now {
            self.advance(now - self.now);
            self.millis = millis;
        } else if now == self.now {
            self.millis = self.millis.max(millis);
        }
    }

    /// One call of the API, by a user of the account. An answer that is lost has the code [`crate::LOST`].
    pub fn call(&mut self, api: Api, operation: &str, input: &Value) -> Answer {
        let user = Principal::user(&self.account, partition(&self.region));
        self.call_as(&user, api, operation, input)
    }

    /// The same, by somebody else.
    pub(crate) fn call_as(&mut self, by: &Principal, api: Api, operation: &str, input: &Value) -> Answer {
        self.principal.clone_from(by);
        self.admit(api, operation, input)?;
        let Value::Object(input) = input else {
            return Err(AwsError::client("SerializationException", "the body is no JSON object"));
        };
        let answer = match self.stale(api, operation) {
            Some(seen) => seen.answer(api, operation, input),
            None => self.answer(api, operation, input),
        };
        match self.lost_answer(operation) {
            Some(lost) => Err(lost),
            None => answer,
        }
    }

    /// The same, where something beyond this world gives the answer.
    pub(crate) fn call_by(
        &mut self,
        by: &Principal,
        api: Api,
        operation: &str,
        input: &Value,
        answer: impl FnOnce(&Value) -> Answer,
    ) -> Answer {
        self.principal.clone_from(by);
        self.admit(api, operation, input)?;
        let answer = answer(input);
        match self.lost_answer(operation) {
            Some(lost) => Err(lost),
            None => answer,
        }
    }

    /// Counts the call. A refusal is why it has no effect.
    fn admit(&mut self, api: Api, operation: &str, input: &Value) -> Result<(), AwsError> {
        *self.calls.entry(operation.to_owned()).or_default() += 1;
        let Some(refusal) = self.refusal(api, operation) else { return Ok(()) };
        if refusal == Refusal::Throttled {
            *self.throttled.entry(operation.to_owned()).or_default() += 1;
        }
        Err(refusal.told(api, &self.not_authorized(api, operation, input)))
    }

    /// The rate comes before all else: a call that is refused for another reason has taken its token.
    fn refusal(&mut self, api: Api, operation: &str) -> Option<Refusal> {
        if !self.limits.admits(api, operation, self.now.saturating_mul(1000).saturating_add(self.millis)) {
            return Some(Refusal::Throttled);
        }
        self.faults.refusal(operation)
    }

    fn answer(&mut self, api: Api, operation: &str, input: &Input) -> Answer {
        match api {
            Api::Ecs => self.ecs(operation, input),
            Api::Ecr => self.ecr(operation, input),
            Api::CodeDeploy => self.code_deploy(operation, input),
            Api::Elb => self.elb(operation, input),
            Api::Sts => self.sts(operation),
            Api::Tagging => self.tagging(operation, input),
            Api::Scaling => self.scaling(operation, input),
            Api::Events => self.event_bridge(operation, input),
            Api::Scheduler => self.scheduler(operation, input),
            Api::Logs => self.logs(operation, input),
            Api::Sns => self.sns(operation, input),
            Api::Iam => self.iam(operation, input),
            Api::Secrets => self.secrets(operation, input),
            Api::Parameters => self.parameters(operation, input),
            Api::CloudWatch => self.cloud_watch(operation, input),
            Api::Lambda => self.lambda(operation, input),
            Api::CodePipeline => self.code_pipeline(operation, input),
            Api::Ec2 => self.ec2(operation, input),
        }
    }

    /// AWS STS API reference. It needs no permission, so it works with any credentials.
    fn sts(&self, operation: &str) -> Answer {
        match operation {
            "GetCallerIdentity" => Ok(json!({
                "Account": self.principal.account,
                "Arn": self.principal.arn,
                "UserId": self.principal.id,
            })),
            _ => Err(invalid_action(operation, "2011-06-15")),
        }
    }

    /// The text of a denial (IAM user guide, "Troubleshoot access denied error messages").
    fn not_authorized(&self, api: Api, operation: &str, input: &Value) -> String {
        let text = |key: &str| input.get(key).and_then(Value::as_str);
        let (service, resource) = match api {
            Api::Ecs => (
                "ecs",
                text("service")
                    .map(|name| format!("service/{}/{name}", text("cluster").unwrap_or("default"))),
            ),
            Api::Ecr => ("ecr", text("repositoryName").map(|name| format!("repository/{name}"))),
            Api::CodeDeploy => (
                "codedeploy",
                text("applicationName")
                    .zip(text("deploymentGroupName"))
                    .map(|(application, group)| format!("deploymentgroup:{application}/{group}")),
            ),
            Api::Elb => ("elasticloadbalancing", None),
            Api::Sts => ("sts", None),
            Api::Tagging => ("tag", None),
            Api::Scaling => ("application-autoscaling", None),
            Api::Events => ("events", text("Rule").or(text("Name")).map(|name| format!("rule/{name}"))),
            Api::Scheduler => (
                "scheduler",
                text("Name")
                    .map(|name| format!("schedule/{}/{name}", text("GroupName").unwrap_or("default"))),
            ),
            Api::Logs => (
                "logs",
                text("logGroupName").map(|group| {
                    format!("log-group:{group}:log-stream:{}", text("logStreamName").unwrap_or_default())
                }),
            ),
            Api::Sns => ("sns", text("TopicArn").and_then(|arn| arn.rsplit(':').next()).map(str::to_owned)),
            Api::Iam => ("iam", text("RoleName").map(|name| format!("role/{name}"))),
            Api::Secrets => ("secretsmanager", text("SecretId").map(|id| format!("secret:{id}"))),
            Api::Parameters => ("ssm", None),
            Api::CloudWatch => ("cloudwatch", None),
            Api::CodePipeline => ("codepipeline", text("name").map(str::to_owned)),
            Api::Ec2 => ("ec2", None),
            Api::Lambda => ("lambda", text("FunctionName").map(|name| format!("function:{name}"))),
        };
        let resource = resource.map_or_else(|| "*".to_owned(), |resource| self.arn(service, &resource));
        format!(
            "User: {} is not authorized to perform: {service}:{operation} on resource: {resource} because no identity-based policy allows the {service}:{operation} action",
            self.caller()
        )
    }

    /// The ARN of who calls.
    fn caller(&self) -> &str {
        &self.principal.arn
    }

    /// The next of a row of numbers that never repeats.
    fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{resource}", self.partition(), self.region, self.account)
    }

    fn partition(&self) -> &'static str {
        partition(&self.region)
    }
}

/// Of a region (AWS general reference, "Amazon Resource Names").
pub(crate) fn partition(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}

/// An operation that a service of the query protocol does not have.
fn invalid_action(operation: &str, version: &str) -> AwsError {
    AwsError::client("InvalidAction", format!("Could not find operation {operation} for version {version}"))
}

fn unknown(operation: &str) -> AwsError {
    AwsError::with_status("UnknownOperationException", format!("{operation} is not simulated"), 404)
}
