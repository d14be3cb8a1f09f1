//! One process's view of the simulated world, and what can go wrong at each of its calls.
//!
//! It stands where the SDK does: everything above a call is the program's own. A plan of trouble names a call by its number,
//! so that a learning run can list the calls of a promotion and each of them can then be hit in turn. A crash is an error
//! after which nothing reaches the world any more.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::time::Instant;
use trueup::archive::Archive;
use trueup::aws::{self, CallError, Caller};
use trueup::model::{Millis, Region};
use trueup::ports::{Clock, Place, Ports, Reach};
use trueup_simulator::{Api, AwsError, World};

use crate::stage::Stage;

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
    /// Another hand acts just before the call.
    Elsewhere,
    /// The request is on its way when the process ends; it arrives when `Process::deliver` says so.
    Hang,
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

    /// What tells of a service and its deployments.
    pub const OF_THE_SERVICE: [Self; 5] =
        [Self::Services, Self::Deployments, Self::Tasks, Self::CodeDeployments, Self::Groups];

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

/// Another hand that shares the world.
#[async_trait]
pub trait Other: Send + std::marker::Sync {
    /// Acts at the moment that a plan of trouble names.
    async fn act(&self);

    /// Has a look of its own, as often as the process does.
    async fn look(&self) {}
}

/// One process's view of the world.
#[derive(Clone)]
pub struct Process(Arc<Inner>);

struct Inner {
    world: Arc<Mutex<World>>,
    plan: BTreeMap<usize, Trouble>,
    calls: Mutex<Vec<Call>>,
    stale: Mutex<Vec<(Kind, World, u64)>>,
    crashed: AtomicBool,
    hanging: Mutex<Option<(Api, String, Value)>>,
    other: Option<Arc<dyn Other>>,
    /// How far away the world is, in tokio's time.
    latency: Duration,
    /// When tokio's time began, and what the world's time was then: the world of who is far away goes on by tokio's time.
    began: (Instant, u64),
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
            stale: Mutex::default(),
            crashed: AtomicBool::new(false),
            hanging: Mutex::default(),
            other,
            latency: Duration::ZERO,
            began: (Instant::now(), 0),
        }))
    }

    /// A view from so far away, without trouble.
    pub fn far_away(world: &Arc<Mutex<World>>, latency: Duration) -> Self {
        let Self(near) = Self::new(world, BTreeMap::new(), None);
        let near = Arc::into_inner(near).unwrap();
        let began = (Instant::now(), world.lock().unwrap().now());
        Self(Arc::new(Inner { latency, began, ..near }))
    }

    /// Has the world's time follow tokio's.
    pub fn catch_up(&self) {
        let (instant, then) = self.0.began;
        let mut world = self.0.world.lock().unwrap();
        let behind = (then + instant.elapsed().as_secs()).saturating_sub(world.now());
        world.advance(behind);
    }

    pub fn has_crashed(&self) -> bool {
        self.0.crashed.load(Ordering::SeqCst)
    }

    /// The call that hangs arrives, whatever AWS says to it by now.
    pub fn deliver(&self, stage: &Stage) {
        let (api, operation, input) = self.0.hanging.lock().unwrap().clone().unwrap();
        let _ = stage.account.call(api, &operation, &input);
    }

    /// The operations of all calls so far.
    pub fn calls(&self) -> Vec<String> {
        self.log().into_iter().map(|call| call.operation).collect()
    }

    /// All calls so far.
    pub fn log(&self) -> Vec<Call> {
        self.0.calls.lock().unwrap().clone()
    }

    async fn meet(&self, api: Api, operation: &str, input: &Value) -> Result<Value, CallError> {
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
            Some(Trouble::Hang) => {
                self.0.crashed.store(true, Ordering::SeqCst);
                *self.0.hanging.lock().unwrap() = Some((api, operation.to_owned(), input.clone()));
                return Err(lost());
            }
            Some(Trouble::LoseRequest) => return Err(lost()),
            Some(Trouble::Throttle) => return Err(refused("ThrottlingException")),
            Some(Trouble::ServerError) => return Err(refused("ServerException")),
            Some(Trouble::Stale(kind, seconds)) => {
                let world = self.0.world.lock().unwrap();
                self.0.stale.lock().unwrap().push((kind, world.clone(), world.now() + seconds));
            }
            Some(Trouble::Elsewhere) => {
                if let Some(other) = &self.0.other {
                    other.act().await;
                }
            }
            Some(Trouble::CrashAfter | Trouble::LoseAnswer) | None => {}
        }
        let answer = self.answer(api, operation, input);
        match trouble {
            Some(Trouble::CrashAfter) => {
                self.0.crashed.store(true, Ordering::SeqCst);
                Err(lost())
            }
            Some(Trouble::LoseAnswer) => Err(lost()),
            _ => answer.map_err(|AwsError { code, message, .. }| CallError::Refused {
                code: Some(code),
                message: Some(message),
            }),
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
}

#[async_trait]
impl Caller for Process {
    async fn call(&self, api: aws::Api, operation: &'static str, input: Value) -> Result<Value, CallError> {
        let api = simulated(api);
        if !self.0.latency.is_zero() {
            tokio::time::sleep(self.0.latency).await;
            self.catch_up();
        }
        self.meet(api, operation, &input).await
    }

    fn linger(&self) -> Duration {
        self.0.latency / 5
    }

    async fn download(&self, address: &str) -> Option<Vec<u8>> {
        self.0.world.lock().unwrap().download(address).map(<[u8]>::to_vec)
    }

    fn can_download(&self) -> bool {
        true
    }

    fn region(&self) -> Option<Region> {
        Some(Region::new("eu-west-2"))
    }
}

impl Reach for Process {
    fn ports(&self, _place: &Place) -> Ports {
        let caller: Arc<dyn Caller> = Arc::new(self.clone());
        aws::ports(&caller, &Archive::default())
    }
}

/// What the simulated AWS calls it.
pub fn simulated(api: aws::Api) -> Api {
    match api {
        aws::Api::Ecs => Api::Ecs,
        aws::Api::Ecr => Api::Ecr,
        aws::Api::CodeDeploy => Api::CodeDeploy,
        aws::Api::Sts => Api::Sts,
        aws::Api::Tagging => Api::Tagging,
        aws::Api::Scaling => Api::Scaling,
        aws::Api::Balancers => Api::Elb,
        aws::Api::Events => Api::Events,
        aws::Api::Scheduler => Api::Scheduler,
        aws::Api::Logs => Api::Logs,
        aws::Api::Topics => Api::Sns,
        aws::Api::Iam => Api::Iam,
        aws::Api::Secrets => Api::Secrets,
        aws::Api::Parameters => Api::Parameters,
        aws::Api::Alarms => Api::CloudWatch,
        aws::Api::Functions => Api::Lambda,
        aws::Api::Pipelines => Api::CodePipeline,
        aws::Api::Networks => Api::Ec2,
    }
}

fn refused(code: &str) -> CallError {
    CallError::Refused { code: Some(code.to_owned()), message: Some("simulated".to_owned()) }
}

fn lost() -> CallError {
    CallError::Unanswered("simulated: the answer was lost".to_owned())
}

/// The virtual clock of the world.
pub struct WorldClock(pub Arc<Mutex<World>>);

impl Clock for WorldClock {
    fn now(&self) -> Millis {
        Millis::try_from(self.0.lock().unwrap().now()).unwrap() * 1000
    }
}
