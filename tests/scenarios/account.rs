//! The AWS account that a scenario plays in: the simulated world itself, or whatever answers at an endpoint, by AWS's
//! own client (`tests/emulators/account.py`).
//!
//! With `TRUEUP_SCENARIOS=account` the scenarios play at the endpoint of the standard AWS environment, side by side, each with
//! names of its own, and take as many real seconds as they say. With `TRUEUP_SCENARIOS=hurried` they go on as soon as nothing
//! changes any more, for emulators whose deployments are over at once. What a scenario needs beyond the APIs of AWS it says by asking for it; at an
//! endpoint that panics with `needs: …`, which `tests/emulators/scenarios.py` tells apart from a difference.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use trueup_simulator::{Api, AwsError, World};

use crate::stage::{REGISTRY, TICK, WRITES};

/// The program that makes the calls: a Python with boto3.
const CLIENT: &str = "TRUEUP_SCENARIOS_CLIENT";
/// What the scenarios call things that an account has once, and what stands for them at an endpoint.
const SHARED: [&str; 2] = ["mco", "API"];
/// The account and region that the scenarios write.
const HERE: [&str; 2] = ["123456789012", "eu-west-2"];
/// How often an endpoint is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// In an account that hurries: how long nothing must have changed, and after how long it never will.
const QUIET: Duration = Duration::from_secs(5);
const MOST: Duration = Duration::from_secs(90);

#[derive(Clone)]
pub enum Account {
    World(Arc<Mutex<World>>),
    Endpoint(Arc<Endpoint>),
}

/// What no call of AWS's APIs gives.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// Containers that fail, answers that are lost, readings that lag.
    Faults,
    /// The state of an alarm.
    Alarms,
    /// What a function answers that ECS calls.
    Functions,
    /// Every call of a process.
    Calls,
    /// Time that passes at once, and a second world with the same past.
    Clock,
}

impl Account {
    pub fn open() -> Self {
        match std::env::var("TRUEUP_SCENARIOS").as_deref() {
            Ok("account") => Self::Endpoint(Arc::new(Endpoint::open(Pace::AsWritten))),
            Ok("hurried") => Self::Endpoint(Arc::new(Endpoint::open(Pace::Hurried))),
            _ => Self::World(Arc::new(Mutex::new(World::new(HERE[0], HERE[1])))),
        }
    }

    pub fn call(&self, api: Api, operation: &str, input: &Value) -> Result<Value, AwsError> {
        match self {
            Self::World(world) => world.lock().unwrap().call(api, operation, input),
            Self::Endpoint(endpoint) => endpoint.call(api, operation, input),
        }
    }

    /// The simulated world, for a scenario that needs more than AWS's APIs.
    #[track_caller]
    pub fn world(&self, need: Need) -> MutexGuard<'_, World> {
        match self {
            Self::World(world) => world.lock().unwrap(),
            Self::Endpoint(_) => panic!("needs: {need:?}"),
        }
    }

    /// The same, for somebody who shares it.
    #[track_caller]
    pub fn shared(&self) -> Arc<Mutex<World>> {
        match self {
            Self::World(world) => Arc::clone(world),
            Self::Endpoint(_) => panic!("needs: {:?}", Need::Calls),
        }
    }

    /// Says that something could not be checked here; `tests/emulators/scenarios.py` holds that against what is known.
    #[expect(clippy::print_stdout, reason = "read by a program")]
    pub fn does_not_tell(&self, what: &str) {
        let Self::Endpoint(_) = self else { panic!("the simulated world tells of {what}") };
        println!("untold: {what} {}", std::thread::current().name().unwrap_or_default());
    }

    /// Whether it goes on as soon as nothing changes any more.
    pub fn hurries(&self) -> bool {
        matches!(self, Self::Endpoint(endpoint) if matches!(endpoint.pace, Pace::Hurried))
    }

    /// Text of a scenario in the names of this account.
    pub fn own(&self, text: &str) -> String {
        match self {
            Self::World(_) => text.to_owned(),
            Self::Endpoint(endpoint) => endpoint.own(text),
        }
    }

    /// The host of its images.
    pub fn registry(&self) -> String {
        match self {
            Self::World(world) => {
                let world = world.lock().unwrap();
                format!("{}.dkr.ecr.{}.amazonaws.com", world.account(), world.region())
            }
            Self::Endpoint(_) => REGISTRY.to_owned(),
        }
    }

    /// A network and subnets of it in two zones, which load balancers need.
    pub fn network(&self) -> (Value, Value) {
        match self {
            Self::World(_) => some_network(),
            Self::Endpoint(endpoint) => endpoint.network(),
        }
    }

    /// Calls of these operations by anybody; at an endpoint those that the scenario and its processes know of.
    pub fn writes(&self) -> u64 {
        match self {
            Self::World(world) => {
                let world = world.lock().unwrap();
                WRITES.iter().map(|operation| world.calls(operation)).sum()
            }
            Self::Endpoint(endpoint) => endpoint.writes.load(Ordering::SeqCst),
        }
    }

    /// A process has made a write. The simulated world has seen it.
    pub fn wrote(&self) {
        if let Self::Endpoint(endpoint) = self {
            endpoint.writes.fetch_add(1, Ordering::SeqCst);
        }
    }

    pub fn advance(&self, seconds: u64) {
        match self {
            Self::World(world) => world.lock().unwrap().advance(seconds),
            Self::Endpoint(endpoint) => endpoint.wait(endpoint.within(seconds)),
        }
    }

    /// Time in which something is looked at again and again.
    pub fn time(&self, seconds: u64) -> Time<'_> {
        let now = Instant::now();
        let within = match self {
            Self::World(_) => Duration::ZERO,
            Self::Endpoint(endpoint) => endpoint.within(seconds),
        };
        Time { account: self, ticks: seconds / TICK, end: now + within, last: String::new(), since: now }
    }
}

/// Goes on from look to look.
pub struct Time<'a> {
    account: &'a Account,
    /// That are left of simulated time.
    ticks: u64,
    end: Instant,
    /// What the last look came to, and since when looks have come to it.
    last: String,
    since: Instant,
}

impl Time<'_> {
    /// Lets time pass until the next look; `false` when it is over. `now` is what the last look came to.
    pub fn goes_on(&mut self, now: &str, rests: bool) -> bool {
        match self.account {
            Account::World(_) => {
                let goes_on = self.ticks > 0;
                if goes_on {
                    self.account.advance(TICK);
                    self.ticks -= 1;
                }
                goes_on
            }
            Account::Endpoint(endpoint) => {
                let is_quiet = endpoint.pace == Pace::Hurried && self.is_quiet(endpoint, now, rests);
                let goes_on = !is_quiet && Instant::now() < self.end;
                if goes_on {
                    // Time in an account is real, and nothing but time can be waited for.
                    std::thread::sleep(LOOK);
                }
                goes_on
            }
        }
    }

    fn is_quiet(&mut self, endpoint: &Endpoint, now: &str, rests: bool) -> bool {
        if now != self.last || !rests || !endpoint.is_settled() {
            (self.last, self.since) = (now.to_owned(), Instant::now());
        }
        self.since.elapsed() >= QUIET
    }
}

/// How time passes at an endpoint.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// Second by second.
    AsWritten,
    /// Until nothing changes any more.
    Hurried,
}

/// What answers at the endpoint of the AWS environment.
pub struct Endpoint {
    pace: Pace,
    client: Mutex<Client>,
    /// Pairs of what a scenario writes and what stands for it here.
    names: Vec<(String, String)>,
    /// Writes of the scenario itself and of the processes that it started.
    writes: AtomicU64,
    /// Calls that remove what was made, oldest first.
    made: Mutex<Vec<(Api, &'static str, Value)>>,
}

struct Client {
    process: Child,
    calls: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Endpoint {
    fn open(pace: Pace) -> Self {
        let python = std::env::var(CLIENT).unwrap_or_else(|_| panic!("{CLIENT} names no Python with boto3"));
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/emulators/account.py");
        let mut command = Command::new(python);
        let mut process = command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (calls, answers) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let client = Mutex::new(Client { process, calls, answers: BufReader::new(answers) });
        let mut endpoint =
            Self { pace, client, names: Vec::new(), writes: AtomicU64::new(0), made: Mutex::default() };
        let account = endpoint.call(Api::Sts, "GetCallerIdentity", &json!({})).unwrap();
        let account = account["Account"].as_str().unwrap().to_owned();
        let region = std::env::var("AWS_REGION").unwrap();
        let own = format!("{:06x}", fastrand::u32(..1 << 24));
        endpoint.names = SHARED.iter().map(|name| ((*name).to_owned(), format!("{name}{own}"))).collect();
        let here = HERE.iter().map(|name| (*name).to_owned()).zip([account, region]);
        endpoint.names.extend(here.filter(|(written, real)| written != real));
        endpoint
    }

    fn own(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (written, real)| text.replace(written, real))
    }

    fn call(&self, api: Api, operation: &str, input: &Value) -> Result<Value, AwsError> {
        let name = match api {
            Api::Ecs => "ecs",
            Api::Ecr => "ecr",
            Api::CodeDeploy => "codedeploy",
            Api::Elb => "elbv2",
            Api::Sts => "sts",
            Api::Tagging => "resourcegroupstaggingapi",
            Api::Scaling => "application-autoscaling",
            Api::Events => "events",
            Api::Scheduler => "scheduler",
            Api::Logs => "logs",
            Api::Sns => "sns",
            Api::Iam => "iam",
            Api::Secrets => "secretsmanager",
            Api::Parameters => "ssm",
            Api::CloudWatch => "cloudwatch",
            Api::Lambda => "lambda",
            Api::CodePipeline => "codepipeline",
            Api::Ec2 => "ec2",
        };
        let answer = self.ask(name, operation, input)?;
        self.remember(api, operation, input, &answer);
        Ok(answer)
    }

    /// A call of the API that boto3 knows by this name.
    fn ask(&self, api: &str, operation: &str, input: &Value) -> Result<Value, AwsError> {
        if WRITES.contains(&operation) {
            self.writes.fetch_add(1, Ordering::SeqCst);
        }
        let call = json!({"api": api, "operation": operation, "input": input}).to_string();
        let said = self.client.lock().unwrap_or_else(PoisonError::into_inner).say(&self.own(&call));
        let said = self.names.iter().fold(said, |text, (written, real)| text.replace(real, written));
        let mut said: Value = serde_json::from_str(&said).unwrap();
        match said["refused"].as_str() {
            Some(code) => {
                let message = said["message"].as_str().unwrap_or_default().to_owned();
                Err(AwsError { code: code.to_owned(), message, status: 400, resource_ids: Vec::new() })
            }
            None => Ok(said["answer"].take()),
        }
    }

    fn network(&self) -> (Value, Value) {
        let Ok(described) = self.ask("ec2", "DescribeSubnets", &json!({})) else { return some_network() };
        let subnets = &described["Subnets"];
        let network = subnets[0]["VpcId"].clone();
        let mut zones = BTreeMap::new();
        for subnet in subnets.as_array().into_iter().flatten().filter(|subnet| subnet["VpcId"] == network) {
            zones.insert(subnet["AvailabilityZone"].to_string(), subnet["SubnetId"].clone());
        }
        (network, zones.into_values().take(2).collect())
    }

    /// Notes how to remove what a call has made.
    fn remember(&self, api: Api, operation: &str, input: &Value, answer: &Value) {
        let (undo, with) = match operation {
            "CreateCluster" => ("DeleteCluster", json!({"cluster": input["clusterName"]})),
            "CreateRepository" => {
                ("DeleteRepository", json!({"repositoryName": input["repositoryName"], "force": true}))
            }
            "CreateService" => {
                let service = &input["serviceName"];
                ("DeleteService", json!({"cluster": input["cluster"], "service": service, "force": true}))
            }
            "CreateApplication" => {
                ("DeleteApplication", json!({"applicationName": input["applicationName"]}))
            }
            "CreateLoadBalancer" => {
                let arn = &answer["LoadBalancers"][0]["LoadBalancerArn"];
                ("DeleteLoadBalancer", json!({"LoadBalancerArn": arn}))
            }
            "CreateTargetGroup" => {
                ("DeleteTargetGroup", json!({"TargetGroupArn": answer["TargetGroups"][0]["TargetGroupArn"]}))
            }
            _ => return,
        };
        self.made.lock().unwrap().push((api, undo, with));
    }

    /// Real time for so many seconds.
    fn within(&self, seconds: u64) -> Duration {
        let written = Duration::from_secs(seconds);
        if self.pace == Pace::Hurried { written.min(MOST) } else { written }
    }

    fn wait(&self, most: Duration) {
        let end = Instant::now() + most;
        while Instant::now() < end && (self.pace == Pace::AsWritten || !self.is_settled()) {
            std::thread::sleep(LOOK);
        }
    }

    /// Whether every service has one deployment with all of its tasks.
    fn is_settled(&self) -> bool {
        let listed = self.call(Api::Ecs, "ListServices", &json!({"cluster": "mco"}));
        let arns = listed.map(|listed| listed["serviceArns"].clone()).unwrap_or_default();
        let arns = arns.as_array().cloned().unwrap_or_default();
        arns.chunks(10).all(|batch| {
            let input = json!({"cluster": "mco", "services": batch});
            let described = self.call(Api::Ecs, "DescribeServices", &input).unwrap_or_default();
            described["services"].as_array().is_some_and(|services| services.iter().all(is_stable))
        })
    }
}

/// Where there are no networks, any will do.
fn some_network() -> (Value, Value) {
    (json!("vpc-1"), json!(["subnet-1", "subnet-2"]))
}

fn is_stable(service: &Value) -> bool {
    let deployments = service["deployments"].as_array().map_or(0, Vec::len);
    deployments <= 1 && service["runningCount"] == service["desiredCount"]
}

impl Client {
    fn say(&mut self, call: &str) -> String {
        writeln!(self.calls, "{call}").unwrap();
        let mut said = String::new();
        self.answers.read_line(&mut said).unwrap();
        said
    }
}

impl Drop for Endpoint {
    /// Leaves as little behind as AWS lets it: an account may be somebody's.
    fn drop(&mut self) {
        let made = std::mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner));
        for (api, operation, input) in made.into_iter().rev() {
            let _ = self.call(api, operation, &input);
        }
        let client = self.client.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = client.process.kill();
        let _ = client.process.wait();
    }
}
