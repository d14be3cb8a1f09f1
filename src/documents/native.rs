//! The native strategies as members of `UpdateService`.

use serde_json::{Map, Value, json};

use crate::model::{Balancer, Breaker, FailureThreshold, Hook, HookLimit, HookStage, Native, TrafficPattern};

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

/// The shares and times of a pattern, under their member; `None` where none is declared.
fn pattern(pattern: TrafficPattern) -> Option<(&'static str, Value)> {
    let (key, share, bake) = match pattern {
        TrafficPattern::AllAtOnce => return None,
        TrafficPattern::Canary { share, bake } => {
            ("canaryConfiguration", ("canaryPercent", share), ("canaryBakeTimeInMinutes", bake))
        }
        TrafficPattern::Linear { step, bake } => {
            ("linearConfiguration", ("stepPercent", step), ("stepBakeTimeInMinutes", bake))
        }
    };
    let mut members = Map::new();
    members.extend(share.1.map(|value| (share.0.to_owned(), value.percent().into())));
    members.extend(bake.1.map(|value| (bake.0.to_owned(), value.0.into())));
    (!members.is_empty()).then_some((key, Value::Object(members)))
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
