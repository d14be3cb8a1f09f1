//! The native strategies of ECS: what is declared of traffic, bakes, hooks, alarms and circuit breaker.
//!
//! AWS refuses most of what is refused here as well, but only when a deployment begins; the rest can never end well. The
//! ranges are those of the Amazon ECS API reference (`DeploymentConfiguration`, `CanaryConfiguration`,
//! `LinearConfiguration`, `DeploymentLifecycleHook`) and of the developer guide.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::environment::Environment;
use super::{Found, Resolver};
use crate::manifest::names::{self, NameKind};
use crate::model::{
    Balancer, Breaker, FailureThreshold, Hook, HookLimit, HookStage, Minutes, Native, OnTimeout, Severity,
    Share, TrafficPattern,
};
use crate::text::fields::{Fields, items, some_items, text};
use crate::text::nearest::suggestion;
use crate::text::report::Report;
use crate::text::tree::{Kind, Node};

const DAY: u64 = 24 * 60;
/// AWS ends a stage after a day, its bake included (developer guide, "Amazon ECS blue/green deployments").
const LONG_BAKE: u64 = 23 * 60;
/// AWS ends a deployment after it (developer guide).
const LONGEST_DEPLOYMENT: u64 = 30 * DAY;
/// A pause may wait for longer than a function (developer guide, "Lifecycle hooks").
const LONGEST_PAUSE: u64 = 14 * DAY;
/// Hooks of each kind that a service may have (developer guide, "Lifecycle hooks").
const MOST_HOOKS: usize = 10;
/// Letters of the name of a pause: it stands in alerts and in one line of `status`.
const LONGEST_NAME: usize = 100;

impl<'d, 'f> Resolver<'_, 'd, 'f> {
    /// `settings`: what stands under the word, where anything does.
    pub(super) fn native(&mut self, bare: TrafficPattern, settings: Option<&Found<'d, 'f>>) -> Native {
        let Some(settings) = settings else { return Native::inherited(bare) };
        let environment = self.environment;
        self.read(settings, |node, path, report| {
            let mut fields = Fields::of(node, path, report);
            let native = Native {
                pattern: pattern(bare, &mut fields),
                bake: bake(&mut fields, "bake"),
                balancers: fields
                    .node("traffic")
                    .and_then(|node| balancers(environment, node, &format!("{path}.traffic"), fields.report)),
                hooks: fields
                    .node("hooks")
                    .and_then(|node| hooks(environment, node, &format!("{path}.hooks"), fields.report)),
                alarms: fields.names("alarms", NameKind::Alarm, &|text| environment.fill(text)),
                breaker: fields
                    .node("circuitBreaker")
                    .and_then(|node| breaker(node, &format!("{path}.circuitBreaker"), fields.report)),
            };
            fields.finish();
            check_length(&native, node, path, report);
            native
        })
    }
}

/// What is declared of how the traffic moves.
fn pattern(bare: TrafficPattern, fields: &mut Fields<'_, '_, '_>) -> TrafficPattern {
    match bare {
        TrafficPattern::AllAtOnce => bare,
        // The least shares are AWS's: canaryPercent 0.1, stepPercent 3.0.
        TrafficPattern::Canary { .. } => {
            TrafficPattern::Canary { share: share(fields, "share", 1), bake: bake(fields, "stepBake") }
        }
        TrafficPattern::Linear { .. } => {
            TrafficPattern::Linear { step: share(fields, "step", 30), bake: bake(fields, "stepBake") }
        }
    }
}

/// A percentage of at least so many tenths.
fn share(fields: &mut Fields<'_, '_, '_>, key: &'static str, least: u16) -> Option<Share> {
    let (path, node) = (fields.path(key), fields.node(key)?);
    let written = text(node, &path, fields.report)?;
    let Some(tenths) = tenths(&written) else {
        let hint = if written.ends_with('%') {
            "AWS takes tenths of a percent".to_owned()
        } else {
            "such as 10% or 0.5%".to_owned()
        };
        fields.report.error(node, &path, "expected a percentage").hint = Some(hint);
        return None;
    };
    let found = Share::of_tenths(tenths).filter(|_| tenths >= least);
    if found.is_none() {
        let least = f64::from(least) / 10.0;
        fields.report.error(node, &path, format!("expected {least}% to 100%"));
    }
    found
}

/// `10%` and `0.5%` in tenths of a percent.
fn tenths(written: &str) -> Option<u16> {
    let number = written.strip_suffix('%')?;
    let (whole, tenth) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(tenth) || tenth.len() != 1 {
        return None;
    }
    whole.parse::<u16>().ok()?.checked_mul(10)?.checked_add(tenth.parse().ok()?)
}

/// A bake, which is a part of a stage.
fn bake(fields: &mut Fields<'_, '_, '_>, key: &'static str) -> Option<Minutes> {
    let (path, node) = (fields.path(key), fields.node(key)?);
    let minutes = minutes(fields, key, 0, DAY)?;
    if u64::from(minutes.0) > LONG_BAKE {
        let message = "AWS ends a stage after 24h, and with it the deployment";
        fields.report.add(Severity::Warning, node, &path, message).hint =
            Some("23h leave an hour".to_owned());
    }
    Some(minutes)
}

/// A duration in whole minutes, which is all that AWS counts here.
fn minutes(fields: &mut Fields<'_, '_, '_>, key: &'static str, least: u64, most: u64) -> Option<Minutes> {
    let (path, node) = (fields.path(key), fields.node(key)?);
    let duration: Duration = fields.duration(key)?;
    let minutes = duration.as_secs() / 60;
    if !duration.as_secs().is_multiple_of(60) {
        let hint = format!("{minutes}m or {}m", minutes + 1);
        fields.report.error(node, &path, "AWS counts whole minutes here").hint = Some(hint);
        return None;
    }
    if !(least..=most).contains(&minutes) {
        fields.report.error(node, &path, format!("expected {least}m to {most}m"));
        return None;
    }
    u16::try_from(minutes).ok().map(Minutes)
}

/// What takes longer than AWS lets a deployment take can never succeed.
fn check_length(native: &Native, node: &Node, path: &str, report: &mut Report<'_>) {
    let TrafficPattern::Linear { step: Some(step), bake: Some(bake) } = native.pattern else { return };
    let steps = u64::from(Share::ALL.tenths().div_ceil(step.tenths()));
    let bakes = (steps - 1) * u64::from(bake.0);
    if bakes + native.bake.map_or(0, |bake| u64::from(bake.0)) > LONGEST_DEPLOYMENT {
        let at = node.get("stepBake").unwrap_or(node);
        let message =
            format!("{steps} steps with {bake} between them take more than the 30 days of a deployment");
        report.error(at, &format!("{path}.stepBake"), message).hint =
            Some("a larger `step`, or a shorter `stepBake`".to_owned());
    }
}

fn balancers(
    environment: &Environment<'_, '_>,
    node: &Node,
    path: &str,
    report: &mut Report<'_>,
) -> Option<Vec<Balancer>> {
    let items = some_items(node, path, report)?;
    let (mut groups, mut rules) = (BTreeSet::new(), BTreeSet::new());
    let mut found = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some(balancer) = balancer(environment, item, &path, report) else { continue };
        for group in &balancer.target_groups {
            if !groups.insert(group_name(group).to_owned()) {
                let at = item.get("targetGroups").unwrap_or(item);
                let message = format!("target group `{}` is here twice", names::repeated(group_name(group)));
                report.error(at, &format!("{path}.targetGroups"), message).hint =
                    Some("two groups for each port, and none of them elsewhere".to_owned());
            }
        }
        let is_test = Some(&balancer.production_rule) == balancer.test_rule.as_ref();
        if is_test {
            let at = item.get("testRule").unwrap_or(item);
            report.error(at, &format!("{path}.testRule"), "the test rule is the production rule").hint =
                Some("a rule of its own, or none: leave it out".to_owned());
        } else if !rules.insert(balancer.production_rule.clone()) {
            let at = item.get("productionRule").unwrap_or(item);
            report.error(at, &format!("{path}.productionRule"), "this rule is another port's already");
        }
        found.push(balancer);
    }
    Some(found)
}

/// Of an ARN the name, of which there is one in an account and region.
fn group_name(group: &str) -> &str {
    let resource = group.split_once(":targetgroup/");
    resource.and_then(|(_, rest)| rest.split('/').next()).unwrap_or(group)
}

fn balancer(
    environment: &Environment<'_, '_>,
    node: &Node,
    path: &str,
    report: &mut Report<'_>,
) -> Option<Balancer> {
    let fill = |text: &str| environment.fill(text);
    let mut fields = Fields::of(node, path, report);
    for key in ["container", "port", "targetGroups", "productionRule", "role"] {
        fields.require(key);
    }
    let container = fields.name("container", NameKind::Container, &fill);
    let port = fields.text("port");
    let groups = fields.names("targetGroups", NameKind::TargetGroupOrArn, &fill);
    let production_rule = fields.name("productionRule", NameKind::ListenerRuleArn, &fill);
    let test_rule = fields.name("testRule", NameKind::ListenerRuleArn, &fill);
    let role = fields.name("role", NameKind::Role, &fill);
    fields.finish();
    let port = match port?.parse::<u16>() {
        Ok(port) if port > 0 => Some(port),
        _ => {
            let at = node.get("port").unwrap_or(node);
            report.error(at, &format!("{path}.port"), "expected a port").hint =
                Some("the port of the container behind the load balancer, such as 8080".to_owned());
            None
        }
    };
    let pair: Result<[String; 2], _> = groups?.try_into();
    if pair.is_err() {
        let at = node.get("targetGroups").unwrap_or(node);
        let message = "expected the names or ARNs of two target groups";
        report.error(at, &format!("{path}.targetGroups"), message);
    }
    Some(Balancer {
        container: container?,
        port: port?,
        target_groups: pair.ok()?,
        production_rule: production_rule?,
        test_rule,
        role: role?,
    })
}

fn hooks(
    environment: &Environment<'_, '_>,
    node: &Node,
    path: &str,
    report: &mut Report<'_>,
) -> Option<Vec<Hook>> {
    let items = items(node, path, report)?;
    let (mut found, mut lambdas, mut pauses) = (Vec::new(), 0, 0);
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let is_pause = item.get("pause").is_some();
        let (number, what) = if is_pause { (&mut pauses, "pauses") } else { (&mut lambdas, "functions") };
        *number += 1;
        if *number == MOST_HOOKS + 1 {
            let message = format!("AWS takes {MOST_HOOKS} {what} of a service");
            report.error(item, &path, message);
        }
        found.extend(if is_pause {
            pause(item, &path, report)
        } else {
            lambda(environment, item, &path, report)
        });
    }
    Some(found)
}

fn lambda(
    environment: &Environment<'_, '_>,
    node: &Node,
    path: &str,
    report: &mut Report<'_>,
) -> Option<Hook> {
    let fill = |text: &str| environment.fill(text);
    let mut fields = Fields::of(node, path, report);
    if node.get("lambda").is_none() {
        fields.require("lambda");
        // What else is missing follows from which of the two it is.
        fields.node("pause");
    } else {
        fields.require("role");
        fields.require("at");
    }
    let function = fields.name("lambda", NameKind::Function, &fill);
    let role = fields.name("role", NameKind::Role, &fill);
    let at = stages(&mut fields);
    let details = fields.node("details").map_or(Value::Null, Node::to_json);
    let minutes = minutes(&mut fields, "timeout", 1, DAY);
    let then = on_timeout(&mut fields);
    fields.finish();
    let limit = HookLimit { minutes, then };
    Some(Hook::Lambda { function: function?, role: role?, at: at?, details, limit })
}

fn pause(node: &Node, path: &str, report: &mut Report<'_>) -> Option<Hook> {
    let mut fields = Fields::of(node, path, report);
    fields.require("at");
    let name = fields.text("pause");
    let at = stages(&mut fields);
    let minutes = minutes(&mut fields, "timeout", 1, LONGEST_PAUSE);
    let then = on_timeout(&mut fields);
    fields.finish();
    check_name(node, path, report);
    let listed = node.get("at").map(|at| match &at.kind {
        Kind::List(items) => items.as_slice(),
        _ => &[],
    });
    for item in listed.unwrap_or_default() {
        let stage = HookStage::ALL.into_iter().find(|stage| item.is_text(stage.key()));
        if stage.is_some_and(|stage| !stage.takes_pause()) {
            let message = "AWS takes functions alone while traffic moves";
            report.error(item, &format!("{path}.at"), message).hint =
                Some("pause before or after it".to_owned());
        }
    }
    if let Some(at) = node.get("onTimeout").filter(|_| then == OnTimeout::Continue) {
        let message = "the deployment goes on without anybody's word once the time is over";
        report.add(Severity::Warning, at, &format!("{path}.onTimeout"), message).hint =
            Some("`rollback` is the default".to_owned());
    }
    Some(Hook::Pause { name: name?, at: at?, limit: HookLimit { minutes, then } })
}

/// For people alone, so that it fits into a line.
fn check_name(node: &Node, path: &str, report: &mut Report<'_>) {
    let Some(Node { kind: Kind::Scalar { text, .. }, place }) = node.get("pause") else { return };
    let letters = text.chars().count();
    if letters == 0 || letters > LONGEST_NAME || text.chars().any(char::is_control) {
        let message = format!("expected a name of 1 to {LONGEST_NAME} letters on one line");
        report.error(*place, &format!("{path}.pause"), message);
    }
}

/// The stages at which a hook stands, in AWS's words written as one.
fn stages(fields: &mut Fields<'_, '_, '_>) -> Option<Vec<HookStage>> {
    let (path, node) = (fields.path("at"), fields.node("at")?);
    let keys = HookStage::ALL.map(HookStage::key);
    let mut found = Vec::new();
    for item in some_items(node, &path, fields.report)? {
        let Some(word) = text(item, &path, fields.report) else { continue };
        match HookStage::ALL.into_iter().find(|stage| stage.key() == word) {
            Some(stage) if found.contains(&stage) => {
                fields.report.error(item, &path, format!("`{word}` is here twice"));
            }
            Some(stage) => found.push(stage),
            None => {
                let message = format!("`{}` is none of {}", names::repeated(&word), keys.join(", "));
                fields.report.error(item, &path, message).hint = suggestion(&word, &keys);
            }
        }
    }
    Some(found)
}

fn on_timeout(fields: &mut Fields<'_, '_, '_>) -> OnTimeout {
    let words = [("rollback", OnTimeout::Rollback), ("continue", OnTimeout::Continue)];
    fields.word("onTimeout", &words).unwrap_or_default()
}

/// `off`, or a number or percentage of failed tasks.
fn breaker(node: &Node, path: &str, report: &mut Report<'_>) -> Option<Breaker> {
    if node.is_text("off") {
        return Some(Breaker::Off);
    }
    if let Kind::Scalar { .. } = &node.kind {
        report.error(node, path, "expected `off`, or a map with `failures`").hint =
            Some("such as {failures: 50%}".to_owned());
        return None;
    }
    let mut fields = Fields::of(node, path, report);
    let written = fields.required("failures");
    fields.finish();
    let written = written?;
    let threshold = match written.strip_suffix('%') {
        Some(percent) => {
            percent.parse().ok().filter(|percent| (1..=100).contains(percent)).map(FailureThreshold::Percent)
        }
        None => written.parse().ok().filter(|count| *count > 0).map(FailureThreshold::Count),
    };
    if threshold.is_none() {
        let at = node.get("failures").unwrap_or(node);
        let message = "expected a number of failed tasks, or 1% to 100% of the desired count";
        report.error(at, &format!("{path}.failures"), message);
    }
    threshold.map(Breaker::At)
}
