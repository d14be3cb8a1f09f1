//! The control calls below `/_simulator`: time, faults, and other hands (`docs/simulator.md` has one example of each). Faults,
//! hands and the state are those of one world: of the first, unless `?account=…&region=…` names another.
//! A member that is not known is an error, so that a misspelt fault is not taken for none.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::answer::json_answer;
use super::{MOST_SECONDS, Server};
use crate::cloud::{Role, locked};
use crate::faults::{Fault, ReadKind};
use crate::limits::Rates;
use crate::world::{Function, Program, World};

/// Simulated seconds per real second, at most.
const FASTEST: f64 = 100_000.0;

pub(super) async fn state(State(server): State<Server>, uri: Uri) -> Response {
    let speed = server.speed();
    let state = at(&server, &uri, |world| {
        json!({
            "now": world.now(),
            "speed": speed,
            "limits": world.rates() == Rates::Published,
            "calls": world.all_calls(),
            "throttled": world.all_throttled(),
            "faults": world.active_faults(),
        })
    });
    state.map_or_else(nowhere, |state| json_answer(StatusCode::OK, &state))
}

pub(super) async fn advance(State(server): State<Server>, uri: Uri, body: Bytes) -> Response {
    let seconds = Asked::of(&body).and_then(|mut asked| asked.last("seconds", Value::as_u64));
    match seconds.filter(|seconds| *seconds <= MOST_SECONDS) {
        Some(seconds) => {
            server.with(|cloud| cloud.advance(seconds));
            state(State(server), uri).await
        }
        None => wrong("expected {\"seconds\": N}, a year at most"),
    }
}

pub(super) async fn speed(State(server): State<Server>, uri: Uri, body: Bytes) -> Response {
    let speed = Asked::of(&body).and_then(|mut asked| asked.last("speed", Value::as_f64));
    match speed.filter(|speed| (0.0..=FASTEST).contains(speed)) {
        Some(speed) => {
            server.set_speed(speed);
            state(State(server), uri).await
        }
        None => wrong("expected {\"speed\": N}, from 0 to 100000"),
    }
}

pub(super) async fn limits(State(server): State<Server>, uri: Uri, body: Bytes) -> Response {
    let enabled = Asked::of(&body).and_then(|mut asked| asked.last("enabled", Value::as_bool));
    match enabled {
        Some(enabled) => {
            let rates = if enabled { Rates::Published } else { Rates::Unlimited };
            server.with(|cloud| cloud.set_rates(rates));
            state(State(server), uri).await
        }
        None => wrong("expected {\"enabled\": true} or {\"enabled\": false}"),
    }
}

pub(super) async fn fault(State(server): State<Server>, uri: Uri, body: Bytes) -> Response {
    let Some(fault) = Asked::of(&body).and_then(parse_fault) else {
        return wrong("not a fault: see docs/simulator.md");
    };
    at(&server, &uri, |world| world.inject(fault)).map_or_else(nowhere, |()| done())
}

pub(super) async fn heal(State(server): State<Server>, uri: Uri) -> Response {
    at(&server, &uri, World::heal).map_or_else(nowhere, |()| done())
}

pub(super) async fn hand(State(server): State<Server>, uri: Uri, body: Bytes) -> Response {
    let Some(asked) = Asked::of(&body) else { return not_a_hand() };
    if let Some(of_cloud) = asked.kind().and_then(access) {
        return of_cloud(&server, asked).map_or_else(not_a_hand, laid);
    }
    match at(&server, &uri, |world| lay_hand(world, asked)) {
        None => nowhere(),
        Some(None) => not_a_hand(),
        Some(Some(found)) => laid(found),
    }
}

/// Acts on the world that the query of the address names. `None`: there is no such place.
fn at<T>(server: &Server, uri: &Uri, act: impl FnOnce(&mut World) -> T) -> Option<T> {
    let query = uri.query().unwrap_or_default().as_bytes();
    let part = |name: &str| {
        form_urlencoded::parse(query).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    let (account, region) = (part("account"), part("region"));
    server.with(|cloud| {
        let home = cloud.home();
        let (own_account, own_region) = {
            let home = locked(&home);
            (home.account().to_owned(), home.region().to_owned())
        };
        let world = cloud.world(&account.unwrap_or(own_account), &region.unwrap_or(own_region))?;
        Some(act(&mut locked(&world)))
    })
}

fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

fn laid(found: bool) -> Response {
    if found {
        done()
    } else {
        (StatusCode::CONFLICT, "there is nothing that it could change").into_response()
    }
}

fn not_a_hand() -> Response {
    wrong("not a change by another hand: see docs/simulator.md")
}

fn nowhere() -> Response {
    wrong("?account=…&region=… names no account and region")
}

fn wrong(message: &'static str) -> Response {
    (StatusCode::BAD_REQUEST, message).into_response()
}

/// The members of a request, each taken once.
struct Asked(Map<String, Value>);

impl Asked {
    fn of(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok().map(Self)
    }

    fn kind(&self) -> Option<&str> {
        self.0.get("kind")?.as_str()
    }

    fn text(&mut self, key: &str) -> Option<String> {
        self.0.remove(key)?.as_str().map(str::to_owned)
    }

    /// The external id of a role: none if it is not said, but nothing else than text.
    fn external_id(&mut self) -> Result<Option<String>, ()> {
        self.0.remove("externalId").map_or(Ok(None), |id| id.as_str().map(|id| Some(id.to_owned())).ok_or(()))
    }

    fn number(&mut self, key: &str) -> Option<u64> {
        self.0.remove(key)?.as_u64()
    }

    /// How often: once if it is not said.
    fn times(&mut self) -> Option<u32> {
        self.0.remove("times").map_or(Some(1), |times| u32::try_from(times.as_u64()?).ok())
    }

    /// Which operation: any if it is not said.
    fn operation(&mut self) -> Option<String> {
        self.0
            .remove("operation")
            .map_or_else(|| Some("*".to_owned()), |name| name.as_str().map(str::to_owned))
    }

    fn exit_code(&mut self) -> Option<i64> {
        self.0.remove("exitCode").map_or(Some(1), |code| code.as_i64())
    }

    /// How long it goes well: not at all if it is not said.
    fn after_seconds(&mut self) -> Option<u64> {
        self.0.remove("afterSeconds").map_or(Some(0), |seconds| seconds.as_u64())
    }

    /// The only member that is left.
    fn last<T>(&mut self, key: &str, read: fn(&Value) -> Option<T>) -> Option<T> {
        let value = self.0.remove(key)?;
        if self.0.is_empty() { read(&value) } else { None }
    }
}

fn parse_fault(mut asked: Asked) -> Option<Fault> {
    let fault = match asked.text("kind")?.as_str() {
        "throttle" => Fault::Throttle { operation: asked.operation()?, times: asked.times()? },
        "loseAnswer" => Fault::LoseAnswer { operation: asked.operation()? },
        "loseRequest" => Fault::LoseRequest { operation: asked.operation()? },
        "serverError" => Fault::ServerError { operation: asked.operation()?, times: asked.times()? },
        "deny" => Fault::Deny { operation: asked.operation()?, times: asked.times()? },
        "refuse" => Fault::Refuse {
            operation: asked.operation()?,
            message: asked.text("message")?,
            times: asked.times()?,
        },
        "expiredToken" => Fault::ExpiredToken { times: asked.times()? },
        "crash" => Fault::Crash {
            digest: asked.text("digest")?,
            exit_code: asked.exit_code()?,
            after_seconds: asked.after_seconds()?,
        },
        "says" => Fault::Says { digest: asked.text("digest")?, text: asked.text("text")? },
        "silent" => Fault::Silent { digest: asked.text("digest")? },
        "unhealthy" => Fault::Unhealthy { digest: asked.text("digest")? },
        "cannotPull" => Fault::CannotPull { digest: asked.text("digest")? },
        "noSecret" => Fault::NoSecret { name: asked.text("name")? },
        "noLogGroup" => Fault::NoLogGroup { name: asked.text("name")? },
        "noPlace" => Fault::NoPlace { reason: asked.text("reason")? },
        "noCapacity" => Fault::NoCapacity { reason: asked.text("reason")?, times: asked.times()? },
        "failEntries" => Fault::FailEntries {
            code: asked.text("code")?,
            message: asked.text("message")?,
            times: asked.times()?,
        },
        "strictStartedBy" => Fault::StrictStartedBy,
        "hookFails" => Fault::HookFails { function: asked.text("function")? },
        "hookSilent" => Fault::HookSilent { function: asked.text("function")? },
        "tagExists" => Fault::TagExists,
        "inactiveUnindexed" => Fault::InactiveUnindexed,
        "stale" => {
            Fault::Stale { kind: parse_kind(&asked.text("read")?)?, seconds: asked.number("seconds")? }
        }
        _ => return None,
    };
    asked.0.is_empty().then_some(fault)
}

fn parse_kind(name: &str) -> Option<ReadKind> {
    Some(match name {
        "services" => ReadKind::Services,
        "serviceDeployments" => ReadKind::ServiceDeployments,
        "tasks" => ReadKind::Tasks,
        "taskDefinitionList" => ReadKind::TaskDefinitionList,
        "taskDefinition" => ReadKind::TaskDefinition,
        "images" => ReadKind::Images,
        "deployments" => ReadKind::Deployments,
        "deploymentGroups" => ReadKind::DeploymentGroups,
        "tagIndex" => ReadKind::TagIndex,
        "schedules" => ReadKind::Schedules,
        _ => return None,
    })
}

type AccessHand = fn(&Server, Asked) -> Option<bool>;

/// What the administrator of an account changes in who may act where.
fn access(kind: &str) -> Option<AccessHand> {
    Some(match kind {
        "createRole" => |server, mut asked| {
            asked.text("kind")?;
            let role = Role {
                account: asked.text("account")?,
                name: asked.text("name")?,
                trusts: vec![asked.text("trusts")?],
                external_id: asked.external_id().ok()?,
                longest_session: asked.0.remove("longestSession").map_or(Some(3600), |all| all.as_u64())?,
            };
            asked.0.is_empty().then(|| server.with(|cloud| cloud.create_role(role))).map(|()| true)
        },
        "deleteRole" => |server, mut asked| {
            let (_, account, name) = (asked.text("kind")?, asked.text("account")?, asked.text("name")?);
            asked.0.is_empty().then(|| server.with(|cloud| cloud.delete_role(&account, &name)))
        },
        "region" => |server, mut asked| {
            let (_, account, region) = (asked.text("kind")?, asked.text("account")?, asked.text("region")?);
            let enabled = asked.last("enabled", Value::as_bool)?;
            server.with(|cloud| cloud.set_region(&account, &region, enabled));
            Some(true)
        },
        _ => return None,
    })
}

fn parse_function(asked: &mut Asked) -> Option<Function> {
    let behaviour = match asked.text("does")?.as_str() {
        "succeeds" => Function::Succeeds,
        "fails" => Function::Fails,
        "throws" => Function::Throws,
        "silent" => Function::Silent,
        "polls" => Function::Polls { times: asked.times()?, delay: asked.number("delay")? },
        _ => return None,
    };
    asked.0.is_empty().then_some(behaviour)
}

/// Whether it found what it was to change; `None` if it is not understood.
fn lay_hand(world: &mut World, mut asked: Asked) -> Option<bool> {
    let kind = asked.text("kind")?;
    Some(match kind.as_str() {
        "autoscale" => {
            let (cluster, service) = (asked.text("cluster")?, asked.text("service")?);
            let desired = asked.last("desiredCount", Value::as_u64)?;
            world.autoscale(&cluster, &service, desired)
        }
        "alarm" => {
            let (name, in_alarm) = (asked.text("name")?, asked.last("alarm", Value::as_bool)?);
            world.set_alarm(&name, in_alarm);
            true
        }
        "function" => {
            let (function, behaviour) = (asked.text("function")?, parse_function(&mut asked)?);
            world.set_function(&function, behaviour);
            true
        }
        "exitTask" => {
            let exit_code = asked.exit_code()?;
            let task = asked.last("task", |task| task.as_str().map(str::to_owned))?;
            world.exit_task(&task, exit_code)
        }
        "fire" => {
            let name = asked.last("name", |name| name.as_str().map(str::to_owned))?;
            world.fire(&name)
        }
        "interruptTask" => {
            let task = asked.last("task", |task| task.as_str().map(str::to_owned))?;
            world.interrupt_task(&task)
        }
        "program" => {
            let container = asked.text("container")?;
            world.set_program(&container, parse_program(asked)?);
            true
        }
        "shareRepository" => {
            let (account, repository) = (asked.text("account")?, asked.text("repository")?);
            let operations = asked.last("operations", |all| all.as_array().cloned())?;
            let operations: Option<Vec<&str>> = operations.iter().map(Value::as_str).collect();
            world.share_repository(&account, &repository, &operations?)
        }
        "expireImage" | "archiveImage" => {
            let repository = asked.text("repository")?;
            let digest = asked.last("digest", |digest| digest.as_str().map(str::to_owned))?;
            if kind == "expireImage" {
                world.expire_image(&repository, &digest)
            } else {
                world.archive_image(&repository, &digest)
            }
        }
        _ => return None,
    })
}

/// `{"stays": true}`, or how it ends.
fn parse_program(mut asked: Asked) -> Option<Program> {
    if asked.0.contains_key("stays") {
        return asked.last("stays", |stays| (stays.as_bool() == Some(true)).then_some(Program::Stays));
    }
    let program = Program::Ends { exit_code: asked.exit_code()?, after_seconds: asked.after_seconds()? };
    asked.0.is_empty().then_some(program)
}
