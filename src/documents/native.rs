//! The native strategies as members of `UpdateService`: what is declared, laid over what the live service has.
//!
//! A structure is sent whole, since it is not documented whether AWS merges or replaces one that is sent in part. What is not
//! declared is as the live service has it, members among them that nobody here knows.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::service_settings;
use crate::model::{
    Balancer, Breaker, Difference, FailureThreshold, Hook, HookLimit, HookStage, Native, TrafficPattern,
};

const CONFIGURATION: &str = "deploymentConfiguration";
const BALANCERS: &str = "loadBalancers";
const ADVANCED: &str = "advancedConfiguration";
/// What a pattern is configured by; what is another pattern's goes.
const OF_PATTERNS: [&str; 2] = ["canaryConfiguration", "linearConfiguration"];

/// What ARNs of an account and region begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home<'a> {
    partition: &'a str,
    region: &'a str,
    account: &'a str,
}

impl<'a> Home<'a> {
    /// That of another thing in the same account and region.
    pub fn of(arn: &'a str) -> Option<Self> {
        let mut parts = arn.strip_prefix("arn:")?.split(':');
        let (partition, _, region, account) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        Some(Self { partition, region, account })
    }

    pub fn role(self, name: &str) -> String {
        format!("arn:{}:iam::{}:role/{name}", self.partition, self.account)
    }

    pub fn function(self, name: &str) -> String {
        format!("arn:{}:lambda:{}:{}:function:{name}", self.partition, self.region, self.account)
    }
}

/// A target group of this name is nowhere to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownGroup(pub String);

/// Members of `UpdateService` with which the service is as it is declared. `groups`: the ARNs of target groups, by name.
pub fn settings(
    native: &Native,
    live: &Value,
    home: Home<'_>,
    groups: &BTreeMap<String, String>,
) -> Result<Value, UnknownGroup> {
    let mut settings = Map::new();
    settings.insert(CONFIGURATION.to_owned(), whole_configuration(native, live, home));
    if let Some(balancers) = &native.balancers {
        let of_live = Live::of(live, BALANCERS);
        let whole = balancers.iter().map(|one| whole_balancer(one, &of_live, home, groups));
        settings.insert(BALANCERS.to_owned(), whole.collect::<Result<_, _>>()?);
    }
    Ok(Value::Object(settings))
}

/// The hooks of a deployment, as AWS has them: as declared, else those of the live service.
pub fn hooks(native: Option<&Native>, live: &Value, home: Home<'_>) -> Vec<Value> {
    let live = live.get(CONFIGURATION).unwrap_or(&Value::Null);
    let of_live = Live::of(live, "lifecycleHooks");
    match native.and_then(|native| native.hooks.as_ref()) {
        Some(declared) => declared.iter().map(|hook| whole_hook(hook, &of_live, home)).collect(),
        None => of_live.0.into_iter().cloned().collect(),
    }
}

/// Those of the members in which the live service differs: nothing else is sent.
pub fn to_send(settings: &Value, live: &Value) -> Option<Value> {
    let members = settings.as_object()?.iter().filter(|(key, value)| {
        let one = json!({*key: value});
        !differences(&one, live).is_empty()
    });
    let members: Map<String, Value> = members.map(|(key, value)| (key.clone(), value.clone())).collect();
    (!members.is_empty()).then_some(Value::Object(members))
}

/// Where the live service is not as it is declared. What AWS fills in by itself is no difference.
pub fn differences(settings: &Value, live: &Value) -> Vec<Difference> {
    service_settings::differences(&filled_in(settings), &filled_in(live))
}

/// What will be other with the next deployment, for people; `None`: nothing.
pub fn change(settings: &Value, live: &Value) -> Option<String> {
    let (to, from) = (settings.get(CONFIGURATION).map(shown), live.get(CONFIGURATION).map(shown));
    let (to, from) = (to.unwrap_or_default(), from.unwrap_or_else(|| "rolling".to_owned()));
    if to != from {
        return Some(format!("{to} instead of {from}"));
    }
    let fields: BTreeSet<String> = differences(settings, live)
        .into_iter()
        .map(|difference| difference.field.trim_start_matches("service.").to_owned())
        .collect();
    (!fields.is_empty()).then(|| fields.into_iter().collect::<Vec<_>>().join(", "))
}

/// A pattern with its share.
fn shown(configuration: &Value) -> String {
    let percent = |of: &str, key: &str| {
        let percent = configuration.get(of).and_then(|found| found.get(key)?.as_f64());
        percent.map(|percent| format!(" {percent} %")).unwrap_or_default()
    };
    match configuration.get("strategy").and_then(Value::as_str) {
        Some("BLUE_GREEN") => "blue/green".to_owned(),
        Some("CANARY") => format!("canary{}", percent("canaryConfiguration", "canaryPercent")),
        Some("LINEAR") => format!("linear{}", percent("linearConfiguration", "stepPercent")),
        _ => "rolling".to_owned(),
    }
}

fn whole_configuration(native: &Native, live: &Value, home: Home<'_>) -> Value {
    let live = live.get(CONFIGURATION).unwrap_or(&Value::Null);
    let mut declared = configuration(native);
    let mut whole = over(live, &OF_PATTERNS, json!({}));
    if let Some((key, pattern)) = pattern(native.pattern) {
        declared[key] = over(live.get(key).unwrap_or(&Value::Null), &[], pattern);
    } else if let Some(key) = pattern_key(native.pattern)
        && let Some(present) = live.get(key)
    {
        declared[key] = present.clone();
    }
    if let Some(hooks) = &native.hooks {
        let of_live = Live::of(live, "lifecycleHooks");
        declared["lifecycleHooks"] = hooks.iter().map(|hook| whole_hook(hook, &of_live, home)).collect();
    }
    for (key, known) in [("alarms", &ALARMS as &[&str]), ("deploymentCircuitBreaker", &BREAKER as &[&str])] {
        if let Some(found) = declared.get_mut(key) {
            *found = over(live.get(key).unwrap_or(&Value::Null), known, found.take());
        }
    }
    for (key, value) in declared.as_object().into_iter().flatten() {
        whole[key] = value.clone();
    }
    if let Some(members) = whole.as_object_mut() {
        members.retain(|key, value| declared.get(key).is_some() || !service_settings::is_filled_in(value));
    }
    whole
}

/// Members that are declared as a whole. What else a live one has stays.
const ALARMS: [&str; 3] = ["alarmNames", "enable", "rollback"];
const BREAKER: [&str; 3] = ["enable", "rollback", "thresholdConfiguration"];
const HOOK: [&str; 6] =
    ["targetType", "hookTargetArn", "roleArn", "lifecycleStages", "hookDetails", "timeoutConfiguration"];
const BALANCER: [&str; 4] = ["containerName", "containerPort", "targetGroupArn", ADVANCED];
const TRAFFIC: [&str; 4] =
    ["alternateTargetGroupArn", "productionListenerRule", "testListenerRule", "roleArn"];

/// The live structure with the declared members in the place of those that could be declared.
fn over(live: &Value, known: &[&str], declared: Value) -> Value {
    let kept = live.as_object().into_iter().flatten().filter(|(key, _)| !known.contains(&key.as_str()));
    let mut whole: Map<String, Value> = kept.map(|(key, value)| (key.clone(), value.clone())).collect();
    if let Value::Object(members) = declared {
        whole.extend(members);
    }
    Value::Object(whole)
}

/// Items of a list of the live service.
struct Live<'a>(Vec<&'a Value>);

impl<'a> Live<'a> {
    fn of(live: &'a Value, key: &str) -> Self {
        Self(live.get(key).and_then(Value::as_array).into_iter().flatten().collect())
    }

    fn find(&self, is_it: impl Fn(&Value) -> bool) -> &'a Value {
        self.0.iter().copied().find(|item| is_it(item)).unwrap_or(&Value::Null)
    }
}

fn whole_hook(declared: &Hook, live: &Live<'_>, home: Home<'_>) -> Value {
    let mut members = hook(declared);
    if let Hook::Lambda { function, role, .. } = declared {
        if !function.starts_with("arn:") {
            members["hookTargetArn"] = home.function(function).into();
        }
        let role = Named { name: role, member: "roleArn" };
        let same = |item: &Value| item.get("hookTargetArn") == members.get("hookTargetArn");
        members["roleArn"] = role.arn(live.find(same), home).into();
    }
    let same = |item: &Value| {
        text(item, "targetType").unwrap_or("AWS_LAMBDA") == text(&members, "targetType").unwrap_or_default()
            && item.get("hookTargetArn") == members.get("hookTargetArn")
            && item.get("lifecycleStages") == members.get("lifecycleStages")
    };
    over(live.find(same), &HOOK, members)
}

fn whole_balancer(
    declared: &Balancer,
    live: &Live<'_>,
    home: Home<'_>,
    groups: &BTreeMap<String, String>,
) -> Result<Value, UnknownGroup> {
    let mut members = balancer(declared);
    let same_port = |item: &Value| {
        item.get("containerName") == members.get("containerName")
            && item.get("containerPort") == members.get("containerPort")
    };
    let present = live.find(same_port);
    let of_live = pair(present);
    let arn = |group: &str| arn_of_group(group, live, groups);
    let mut wanted = [arn(&declared.target_groups[0])?, arn(&declared.target_groups[1])?];
    // ECS reads from the rule which of the two serves: their order means nothing, and is left as it is.
    if of_live == Some([wanted[1].as_str(), wanted[0].as_str()]) {
        wanted.swap(0, 1);
    }
    let role = Named { name: &declared.role, member: "roleArn" };
    let of_traffic = present.get(ADVANCED).unwrap_or(&Value::Null);
    let mut traffic = over(of_traffic, &TRAFFIC, members[ADVANCED].take());
    traffic["roleArn"] = role.arn(of_traffic, home).into();
    let [one, other] = wanted;
    members["targetGroupArn"] = one.into();
    traffic["alternateTargetGroupArn"] = other.into();
    members[ADVANCED] = traffic;
    Ok(over(present, &BALANCER, members))
}

fn arn_of_group(
    group: &str,
    live: &Live<'_>,
    groups: &BTreeMap<String, String>,
) -> Result<String, UnknownGroup> {
    if group.starts_with("arn:") {
        return Ok(group.to_owned());
    }
    let is_it = |arn: &&str| arn.contains(&format!(":targetgroup/{group}/"));
    let of_live = live.0.iter().filter_map(|item| pair(item)).flatten().find(is_it);
    let found = of_live.map(str::to_owned).or_else(|| groups.get(group).cloned());
    found.ok_or_else(|| UnknownGroup(group.to_owned()))
}

/// The two target groups of a load balancer of a service.
pub fn pair(balancer: &Value) -> Option<[&str; 2]> {
    let other = text(balancer.get(ADVANCED)?, "alternateTargetGroupArn")?;
    Some([text(balancer, "targetGroupArn")?, other])
}

/// A role by its name or ARN, and where the live service has one.
struct Named<'a> {
    name: &'a str,
    member: &'a str,
}

impl Named<'_> {
    /// A name says nothing of the path: a live role of this name is the one that is meant.
    fn arn(&self, live: &Value, home: Home<'_>) -> String {
        if self.name.starts_with("arn:") {
            return self.name.to_owned();
        }
        let of_live = text(live, self.member).filter(|arn| arn.rsplit('/').next() == Some(self.name));
        of_live.map_or_else(|| home.role(self.name), str::to_owned)
    }
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

/// With what AWS describes where nothing was sent, and a null for what could be there and is not.
fn filled_in(settings: &Value) -> Value {
    let mut settings = settings.clone();
    let configuration = settings.get_mut(CONFIGURATION);
    if let Some(configuration) = configuration.filter(|found| found.is_object()) {
        for hook in items(configuration.get_mut("lifecycleHooks")) {
            fill(hook, "targetType", json!("AWS_LAMBDA"));
            fill(hook, "hookDetails", Value::Null);
            fill(hook, "timeoutConfiguration", json!({}));
            fill(&mut hook["timeoutConfiguration"], "timeoutInMinutes", json!(1440));
            fill(&mut hook["timeoutConfiguration"], "action", json!("ROLLBACK"));
        }
        if let Some(breaker) =
            configuration.get_mut("deploymentCircuitBreaker").filter(|one| one["enable"] == true)
        {
            fill(breaker, "thresholdConfiguration", json!({"type": "BOUNDED_PERCENT", "value": 50}));
        }
        for (of, key) in [("canaryConfiguration", "canaryPercent"), ("linearConfiguration", "stepPercent")] {
            let percent = configuration.get_mut(of).and_then(|found| found.get_mut(key));
            if let Some(percent) = percent
                && let Some(number) = percent.as_f64()
            {
                *percent = number.into();
            }
        }
    }
    for balancer in items(settings.get_mut(BALANCERS)) {
        if let Some(traffic) = balancer.get_mut(ADVANCED) {
            fill(traffic, "testListenerRule", Value::Null);
        }
    }
    settings
}

fn items(list: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    list.and_then(Value::as_array_mut).into_iter().flatten()
}

fn fill(object: &mut Value, key: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.entry(key).or_insert(value);
    }
}

/// What is declared and nothing else, names as they are written.
pub fn declared(native: &Native) -> Value {
    let mut members = Map::new();
    members.insert("deploymentConfiguration".to_owned(), configuration(native));
    if let Some(balancers) = &native.balancers {
        members.insert("loadBalancers".to_owned(), balancers.iter().map(balancer).collect());
    }
    Value::Object(members)
}

fn configuration(native: &Native) -> Value {
    let mut configuration = json!({"strategy": native.pattern.strategy().word()});
    if let Some(bake) = native.bake {
        configuration["bakeTimeInMinutes"] = bake.0.into();
    }
    if let Some((key, pattern)) = pattern(native.pattern) {
        configuration[key] = pattern;
    }
    if let Some(hooks) = &native.hooks {
        configuration["lifecycleHooks"] = hooks.iter().map(hook).collect();
    }
    if let Some(names) = &native.alarms {
        let is_on = !names.is_empty();
        configuration["alarms"] = json!({"alarmNames": names, "enable": is_on, "rollback": is_on});
    }
    if let Some(breaker) = native.breaker {
        configuration["deploymentCircuitBreaker"] = circuit_breaker(breaker);
    }
    configuration
}

/// The member that a pattern is configured by.
fn pattern_key(pattern: TrafficPattern) -> Option<&'static str> {
    match pattern {
        TrafficPattern::AllAtOnce => None,
        TrafficPattern::Canary { .. } => Some("canaryConfiguration"),
        TrafficPattern::Linear { .. } => Some("linearConfiguration"),
    }
}

/// The shares and times of a pattern, under their member; `None` where none is declared.
fn pattern(pattern: TrafficPattern) -> Option<(&'static str, Value)> {
    let (share, bake) = match pattern {
        TrafficPattern::AllAtOnce => return None,
        TrafficPattern::Canary { share, bake } => {
            (("canaryPercent", share), ("canaryBakeTimeInMinutes", bake))
        }
        TrafficPattern::Linear { step, bake } => (("stepPercent", step), ("stepBakeTimeInMinutes", bake)),
    };
    let mut members = Map::new();
    members.extend(share.1.map(|value| (share.0.to_owned(), value.percent().into())));
    members.extend(bake.1.map(|value| (bake.0.to_owned(), value.0.into())));
    let key = pattern_key(pattern).filter(|_| !members.is_empty())?;
    Some((key, Value::Object(members)))
}

fn balancer(balancer: &Balancer) -> Value {
    let [one, other] = &balancer.target_groups;
    let mut advanced = json!({
        "alternateTargetGroupArn": other,
        "productionListenerRule": balancer.production_rule,
        "roleArn": balancer.role,
    });
    if let Some(rule) = &balancer.test_rule {
        advanced["testListenerRule"] = rule.as_str().into();
    }
    json!({
        "containerName": balancer.container,
        "containerPort": balancer.port,
        "targetGroupArn": one,
        "advancedConfiguration": advanced,
    })
}

fn hook(hook: &Hook) -> Value {
    let (mut members, at, limit) = match hook {
        Hook::Lambda { function, role, at, details, limit } => {
            let mut members = json!({"targetType": "AWS_LAMBDA", "hookTargetArn": function, "roleArn": role});
            if !details.is_null() {
                members["hookDetails"] = details.clone();
            }
            (members, at, limit)
        }
        Hook::Pause { at, limit, .. } => (json!({"targetType": "PAUSE"}), at, limit),
    };
    members["lifecycleStages"] = at.iter().copied().map(HookStage::word).collect();
    if let Some(timeout) = timeout(*limit) {
        members["timeoutConfiguration"] = timeout;
    }
    members
}

/// `None` where AWS's own is meant.
fn timeout(limit: HookLimit) -> Option<Value> {
    if limit == HookLimit::default() {
        return None;
    }
    let mut timeout = json!({"action": limit.then.word()});
    if let Some(minutes) = limit.minutes {
        timeout["timeoutInMinutes"] = minutes.0.into();
    }
    Some(timeout)
}

fn circuit_breaker(breaker: Breaker) -> Value {
    let threshold = match breaker {
        Breaker::Off => return json!({"enable": false, "rollback": false}),
        Breaker::At(FailureThreshold::Count(count)) => json!({"type": "COUNT", "value": count}),
        Breaker::At(FailureThreshold::Percent(percent)) => {
            json!({"type": "BOUNDED_PERCENT", "value": percent})
        }
    };
    json!({"enable": true, "rollback": true, "thresholdConfiguration": threshold})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Minutes, OnTimeout, Share};

    const HOME: Home<'_> = Home { partition: "aws", region: "eu-west-2", account: "1" };

    fn group(name: &str) -> String {
        format!("arn:aws:elasticloadbalancing:eu-west-2:1:targetgroup/{name}/{name}1")
    }

    /// A service that ECS deploys by canary, with members of the future.
    fn live() -> Value {
        json!({
            "desiredCount": 2,
            "deploymentConfiguration": {
                "strategy": "CANARY",
                "maximumPercent": 200,
                "bakeTimeInMinutes": 5,
                "canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 10, "future": 1},
                "lifecycleHooks": [
                    {"targetType": "PAUSE", "lifecycleStages": ["PRE_SCALE_UP"], "future": 2,
                        "timeoutConfiguration": {"timeoutInMinutes": 1440, "action": "ROLLBACK"}},
                    {"hookTargetArn": "arn:aws:lambda:eu-west-2:1:function:smoke", "roleArn": "arn:aws:iam::1:role/team/hooks",
                        "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"]},
                ],
                "alarms": {"alarmNames": [], "enable": false, "rollback": false},
                "deploymentCircuitBreaker": {"enable": true, "rollback": true, "resetOnHealthyTask": false},
                "futureSetting": {"deep": true},
            },
            "loadBalancers": [{
                "containerName": "api", "containerPort": 8080, "targetGroupArn": group("b"), "future": 3,
                "advancedConfiguration": {"alternateTargetGroupArn": group("a"), "productionListenerRule": "p", "testListenerRule": "t",
                    "roleArn": "arn:aws:iam::1:role/team/traffic", "future": 4},
            }],
        })
    }

    fn canary() -> Native {
        Native::inherited(TrafficPattern::Canary { share: None, bake: None })
    }

    fn balancer(groups: [&str; 2]) -> Balancer {
        Balancer {
            container: "api".to_owned(),
            port: 8080,
            target_groups: groups.map(str::to_owned),
            production_rule: "p".to_owned(),
            test_rule: Some("t".to_owned()),
            role: "traffic".to_owned(),
        }
    }

    fn pause(minutes: Option<u16>, then: OnTimeout) -> Hook {
        let limit = HookLimit { minutes: minutes.map(Minutes), then };
        Hook::Pause { name: "people".to_owned(), at: vec![HookStage::PreScaleUp], limit }
    }

    fn lambda() -> Hook {
        Hook::Lambda {
            function: "smoke".to_owned(),
            role: "hooks".to_owned(),
            at: vec![HookStage::PostTestTrafficShift],
            details: Value::Null,
            limit: HookLimit::default(),
        }
    }

    fn whole(native: &Native, live: &Value) -> Value {
        let groups = BTreeMap::from([("new".to_owned(), group("new"))]);
        settings(native, live, HOME, &groups).unwrap()
    }

    /// The paths in which the live service differs from what is declared.
    fn differ(native: &Native) -> Vec<String> {
        let live = live();
        let found = differences(&whole(native, &live), &live);
        found.into_iter().map(|difference| difference.field.replace("service.", "")).collect()
    }

    #[test]
    fn what_is_as_the_live_service_has_it_is_no_difference_and_not_sent() {
        let percent = TrafficPattern::Canary { share: Share::of_tenths(100), bake: Some(Minutes(10)) };
        for native in [
            canary(),
            Native { pattern: percent, bake: Some(Minutes(5)), ..canary() },
            Native { balancers: Some(vec![balancer(["a", "b"])]), ..canary() },
            Native { balancers: Some(vec![balancer(["b", &group("a")])]), ..canary() },
            Native { hooks: Some(vec![lambda(), pause(None, OnTimeout::Rollback)]), ..canary() },
            Native { hooks: Some(vec![pause(Some(1440), OnTimeout::Rollback), lambda()]), ..canary() },
            Native { alarms: Some(Vec::new()), ..canary() },
            Native { breaker: Some(Breaker::At(FailureThreshold::Percent(50))), ..canary() },
        ] {
            assert_eq!(differ(&native), [""; 0], "{native:?}");
            assert_eq!(to_send(&whole(&native, &live()), &live()), None, "{native:?}");
            assert_eq!(change(&whole(&native, &live()), &live()), None, "{native:?}");
        }
    }

    #[test]
    fn what_is_declared_otherwise_is_a_difference_and_told_in_words() {
        let share = TrafficPattern::Canary { share: Share::of_tenths(5), bake: None };
        let linear = TrafficPattern::Linear { step: Share::of_tenths(200), bake: None };
        let no_test = Balancer { test_rule: None, ..balancer(["a", "b"]) };
        let hooks = "deploymentConfiguration.lifecycleHooks";
        let threshold = "deploymentConfiguration.deploymentCircuitBreaker.thresholdConfiguration.type";
        for (native, field, change) in [
            (
                Native { pattern: share, ..canary() },
                "deploymentConfiguration.canaryConfiguration.canaryPercent",
                "canary 0.5 % instead of canary 10 %",
            ),
            (
                Native { pattern: TrafficPattern::AllAtOnce, ..canary() },
                "deploymentConfiguration.strategy",
                "blue/green instead of canary 10 %",
            ),
            (
                Native { pattern: linear, ..canary() },
                "deploymentConfiguration.strategy",
                "linear 20 % instead of canary 10 %",
            ),
            (
                Native { bake: Some(Minutes(6)), ..canary() },
                "deploymentConfiguration.bakeTimeInMinutes",
                "deploymentConfiguration.bakeTimeInMinutes",
            ),
            (Native { hooks: Some(Vec::new()), ..canary() }, hooks, hooks),
            (
                Native { hooks: Some(vec![pause(Some(60), OnTimeout::Rollback), lambda()]), ..canary() },
                hooks,
                hooks,
            ),
            (
                Native { hooks: Some(vec![pause(None, OnTimeout::Continue), lambda()]), ..canary() },
                hooks,
                hooks,
            ),
            (Native { balancers: Some(vec![no_test]), ..canary() }, "loadBalancers", "loadBalancers"),
            (
                Native { balancers: Some(vec![balancer(["a", "new"])]), ..canary() },
                "loadBalancers",
                "loadBalancers",
            ),
            (
                Native { breaker: Some(Breaker::At(FailureThreshold::Count(50))), ..canary() },
                threshold,
                threshold,
            ),
        ] {
            assert!(differ(&native).iter().any(|found| found == field), "{native:?}: {:?}", differ(&native));
            let settings = whole(&native, &live());
            assert_eq!(super::change(&settings, &live()).as_deref(), Some(change), "{native:?}");
            assert!(to_send(&settings, &live()).is_some());
        }
        let from_rolling = change(&whole(&canary(), &json!({})), &json!({}));
        assert_eq!(from_rolling.as_deref(), Some("canary instead of rolling"));
    }

    #[test]
    fn members_that_nobody_knows_are_sent_as_they_are() {
        let native = Native {
            pattern: TrafficPattern::Canary { share: Share::of_tenths(200), bake: None },
            hooks: Some(vec![pause(Some(60), OnTimeout::Rollback)]),
            balancers: Some(vec![Balancer { test_rule: None, ..balancer(["a", "b"]) }]),
            breaker: Some(Breaker::At(FailureThreshold::Count(5))),
            ..canary()
        };
        let live = live();
        assert_eq!(
            to_send(&whole(&native, &live), &live).unwrap(),
            json!({
                "deploymentConfiguration": {
                    "strategy": "CANARY",
                    "maximumPercent": 200,
                    "bakeTimeInMinutes": 5,
                    "canaryConfiguration": {"canaryPercent": 20.0, "canaryBakeTimeInMinutes": 10, "future": 1},
                    "lifecycleHooks": [{"targetType": "PAUSE", "lifecycleStages": ["PRE_SCALE_UP"], "future": 2,
                        "timeoutConfiguration": {"timeoutInMinutes": 60, "action": "ROLLBACK"}}],
                    "deploymentCircuitBreaker": {"enable": true, "rollback": true, "resetOnHealthyTask": false,
                        "thresholdConfiguration": {"type": "COUNT", "value": 5}},
                    "futureSetting": {"deep": true},
                },
                "loadBalancers": [{
                    "containerName": "api", "containerPort": 8080, "targetGroupArn": group("b"), "future": 3,
                    "advancedConfiguration": {"alternateTargetGroupArn": group("a"), "productionListenerRule": "p",
                        "roleArn": "arn:aws:iam::1:role/team/traffic", "future": 4},
                }],
            })
        );
        // What belongs to another pattern goes, and nothing else.
        let all_at_once = whole(&Native::inherited(TrafficPattern::AllAtOnce), &live);
        let configuration = &all_at_once["deploymentConfiguration"];
        assert_eq!(configuration.get("canaryConfiguration"), None);
        assert_eq!(configuration["futureSetting"], json!({"deep": true}));
        assert_eq!(configuration["lifecycleHooks"], live["deploymentConfiguration"]["lifecycleHooks"]);
    }

    #[test]
    fn names_become_arns_of_the_account_and_unknown_groups_are_told() {
        let native =
            Native { hooks: Some(vec![lambda()]), balancers: Some(vec![balancer(["new", "a"])]), ..canary() };
        let groups = BTreeMap::from([("new".to_owned(), group("new")), ("a".to_owned(), group("a"))]);
        let settings = settings(&native, &json!({}), HOME, &groups).unwrap();
        let hook = &settings["deploymentConfiguration"]["lifecycleHooks"][0];
        assert_eq!(hook["hookTargetArn"], "arn:aws:lambda:eu-west-2:1:function:smoke");
        assert_eq!(hook["roleArn"], "arn:aws:iam::1:role/hooks");
        let balancer = &settings["loadBalancers"][0];
        assert_eq!(balancer["advancedConfiguration"]["roleArn"], "arn:aws:iam::1:role/traffic");
        assert_eq!(pair(balancer), Some([group("new").as_str(), group("a").as_str()]));
        let unknown = super::settings(&native, &json!({}), HOME, &BTreeMap::new());
        assert_eq!(unknown, Err(UnknownGroup("new".to_owned())));
        assert_eq!(Home::of("arn:aws:ecs:eu-west-2:1:task-definition/api:3"), Some(HOME));
    }
}
