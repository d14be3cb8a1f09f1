//! The native strategies of ECS.

use super::*;
use crate::model::{
    Balancer, Breaker, FailureThreshold, Hook, HookLimit, HookStage, Minutes, Native, OnTimeout, Share,
    Strategy, TrafficPattern,
};

const RULE: &str = "arn:aws:elasticloadbalancing:eu-west-2:123456789012:listener-rule/app/mco/50dc6c495c0c9188/f2f7dc8efc522ab2";
const PORT: &str = "container: api, port: 8080, targetGroups: [\"api-{environment}\", b], productionRule: RULE/1, testRule: RULE/2, role: ecs-traffic";

fn application(strategy: &str) -> String {
    let strategy = strategy.replace("PORT", PORT).replace("RULE", RULE);
    format!("{APPLICATION}  strategy: {strategy}\n")
}

fn native(strategy: &str) -> Native {
    let declaration = read_files(&[("api.yaml", &application(strategy)), ("test.yaml", ENVIRONMENT)]);
    match desired(&declaration, "test/api").strategy {
        Strategy::Native(native) => *native,
        other => panic!("{other:?}"),
    }
}

/// What is said of a strategy, all of it at the place of `^`, which is no part of it.
#[track_caller]
fn check_strategy(marked: &str, findings: &[&str]) {
    let marked = application(marked);
    let (before, _) = marked.split_once('^').unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    let declaration = read_files(&[("api.yaml", &marked.replacen('^', "", 1)), ("test.yaml", ENVIRONMENT)]);
    let place = format!("api.yaml:7:{} ", line.chars().count() + 1);
    let expected: Vec<String> = findings.iter().map(|finding| format!("{place}{finding}")).collect();
    assert_eq!(said(&declaration), expected, "{marked}");
    let has_errors = declaration.findings.iter().any(|finding| finding.severity == Severity::Error);
    assert_eq!(matches!(declaration.applications[0], Declared::Frozen(_)), has_errors, "{marked}");
}

#[test]
fn a_bare_word_leaves_everything_as_the_live_service_has_it() {
    let canary = TrafficPattern::Canary { share: None, bake: None };
    let linear = TrafficPattern::Linear { step: None, bake: None };
    for (word, pattern) in [("blueGreen", TrafficPattern::AllAtOnce), ("canary", canary), ("linear", linear)]
    {
        for written in [word.to_owned(), format!("{{{word}: }}"), format!("{{{word}: {{}}}}")] {
            assert_eq!(native(&written), Native::inherited(pattern), "{written}");
            assert!(native(&written).is_inherited(), "{written}");
        }
    }
    assert!(!native("{canary: {share: 10%}}").is_inherited());
    assert!(!native("{blueGreen: {hooks: []}}").is_inherited());
}

#[test]
fn what_is_written_of_a_native_strategy_is_declared() {
    let minutes = |number| Some(Minutes(number));
    let found = native(
        "{canary: {share: 0.5%, stepBake: 1h, bake: 10m, traffic: [{PORT}], alarms: [errors], circuitBreaker: {failures: 50%}, hooks: [\
         {lambda: smoke, role: ecs-hooks, at: [preScaleUp, postTestTrafficShift], details: {url: x}, timeout: 30m, onTimeout: continue},\
         {pause: release manager, at: [preProductionTrafficShift], timeout: 8h}]}}",
    );
    assert_eq!(
        found,
        Native {
            pattern: TrafficPattern::Canary { share: Share::of_tenths(5), bake: minutes(60) },
            bake: minutes(10),
            balancers: Some(vec![Balancer {
                container: "api".to_owned(),
                port: 8080,
                target_groups: ["api-test".to_owned(), "b".to_owned()],
                production_rule: format!("{RULE}/1"),
                test_rule: Some(format!("{RULE}/2")),
                role: "ecs-traffic".to_owned(),
            }]),
            hooks: Some(vec![
                Hook::Lambda {
                    function: "smoke".to_owned(),
                    role: "ecs-hooks".to_owned(),
                    at: vec![HookStage::PreScaleUp, HookStage::PostTestTrafficShift],
                    details: serde_json::json!({"url": "x"}),
                    limit: HookLimit { minutes: minutes(30), then: OnTimeout::Continue },
                },
                Hook::Pause {
                    name: "release manager".to_owned(),
                    at: vec![HookStage::PreProductionTrafficShift],
                    limit: HookLimit { minutes: minutes(480), then: OnTimeout::Rollback },
                },
            ]),
            alarms: Some(vec!["errors".to_owned()]),
            breaker: Some(Breaker::At(FailureThreshold::Percent(50))),
        }
    );
    let step = TrafficPattern::Linear { step: Share::of_tenths(30), bake: minutes(0) };
    assert_eq!(native("{linear: {step: 3.0%, stepBake: 0}}").pattern, step);
    for (written, breaker) in [
        ("\"off\"", Breaker::Off),
        ("off", Breaker::Off),
        ("{failures: 5}", Breaker::At(FailureThreshold::Count(5))),
        ("{failures: 100%}", Breaker::At(FailureThreshold::Percent(100))),
    ] {
        assert_eq!(native(&format!("{{blueGreen: {{circuitBreaker: {written}}}}}")).breaker, Some(breaker));
    }
    // The longest that AWS gives a function and a person.
    native(
        "{blueGreen: {hooks: [{lambda: f, role: r, at: [preScaleUp], timeout: 24h}, {pause: p, at: [preScaleUp], timeout: 336h}]}}",
    );
}

#[test]
fn shares_and_times_that_aws_does_not_take_are_told() {
    for (strategy, finding) in [
        ("{canary: {share: ^0%}}", "expected 0.1% to 100%"),
        ("{canary: {share: ^100.1%}}", "expected 0.1% to 100%"),
        ("{canary: {share: ^65536%}}", "expected a percentage | AWS takes tenths of a percent"),
        ("{canary: {share: ^10.05%}}", "expected a percentage | AWS takes tenths of a percent"),
        ("{canary: {share: ^10}}", "expected a percentage | such as 10% or 0.5%"),
        ("{linear: {step: ^2.9%}}", "expected 3% to 100%"),
        ("{linear: {step: ^-3%}}", "expected a percentage | AWS takes tenths of a percent"),
        ("{blueGreen: {bake: ^90s}}", "AWS counts whole minutes here | 1m or 2m"),
        ("{blueGreen: {bake: ^1441m}}", "expected 0m to 1440m"),
        ("{canary: {stepBake: ^25h}}", "expected 0m to 1440m"),
        ("{linear: {stepBake: ^25h}}", "expected 0m to 1440m"),
        (
            "{blueGreen: {hooks: [{lambda: f, role: r, at: [preScaleUp], timeout: ^25h}]}}",
            "expected 1m to 1440m",
        ),
        ("{blueGreen: {hooks: [{pause: p, at: [preScaleUp], timeout: ^337h}]}}", "expected 1m to 20160m"),
        ("{blueGreen: {hooks: [{pause: p, at: [preScaleUp], timeout: ^0m}]}}", "expected 1m to 20160m"),
        (
            "{blueGreen: {circuitBreaker: {failures: ^0}}}",
            "expected a number of failed tasks, or 1% to 100% of the desired count",
        ),
        (
            "{blueGreen: {circuitBreaker: {failures: ^101%}}}",
            "expected a number of failed tasks, or 1% to 100% of the desired count",
        ),
        (
            "{blueGreen: {circuitBreaker: ^on}}",
            "expected `off`, or a map with `failures` | such as {failures: 50%}",
        ),
    ] {
        check_strategy(strategy, &[finding]);
    }
}

#[test]
fn a_bake_that_ends_its_stage_and_a_shift_that_never_ends_are_told() {
    let stage = "AWS ends a stage after 24h, and with it the deployment | 23h leave an hour";
    check_strategy("{blueGreen: {bake: 23h}}", &[]);
    check_strategy("{blueGreen: {bake: ^1381m}}", &[stage]);
    check_strategy("{canary: {stepBake: ^24h}}", &[stage]);
    // 34 steps, and 33 bakes between them: 759 hours. With 32 steps it is 713, and 720 are 30 days.
    check_strategy(
        "{linear: {step: 3%, stepBake: ^23h}}",
        &[
            "34 steps with 1380m between them take more than the 30 days of a deployment | a larger `step`, or a shorter `stepBake`",
        ],
    );
    check_strategy("{linear: {step: 3.2%, stepBake: 23h}}", &[]);
    check_strategy(
        "{linear: {step: 3.2%, stepBake: ^23h, bake: 8h}}",
        &[
            "32 steps with 1380m between them take more than the 30 days of a deployment | a larger `step`, or a shorter `stepBake`",
        ],
    );
}

#[test]
fn hooks_that_aws_refuses_are_told_where_they_stand() {
    for (hooks, findings) in [
        (
            "{pause: p, at: [^testTrafficShift, preScaleUp]}",
            &["AWS takes functions alone while traffic moves | pause before or after it"] as &[&str],
        ),
        (
            "{pause: p, at: [^productionTrafficShift]}",
            &["AWS takes functions alone while traffic moves | pause before or after it"],
        ),
        ("{lambda: f, role: r, at: [testTrafficShift, productionTrafficShift]}", &[]),
        (
            "{pause: p, at: [preScaleUp], onTimeout: ^continue}",
            &[
                "the deployment goes on without anybody's word once the time is over | `rollback` is the default",
            ],
        ),
        ("{lambda: f, role: r, at: [preScaleUp], onTimeout: continue}", &[]),
        (
            "{lambda: f, role: r, at: [^preScaleUpp]}",
            &[
                "`preScaleUpp` is none of reconcileService, preScaleUp, postScaleUp, testTrafficShift, postTestTrafficShift, preProductionTrafficShift, productionTrafficShift, postProductionTrafficShift | did you mean `preScaleUp`?",
            ],
        ),
        ("{pause: p, at: [preScaleUp, ^preScaleUp]}", &["`preScaleUp` is here twice"]),
        ("{pause: p, at: ^[]}", &["the list is empty | name one, or leave it out"]),
        ("^{pause: p}", &["`at` is missing"]),
        ("^{lambda: f}", &["`at` is missing", "`role` is missing"]),
        ("^{}", &["`lambda` is missing"]),
        ("{pause: p, at: [preScaleUp], ^role: r}", &["unknown field `role`"]),
        (
            "{lambda: f, role: r, at: [preScaleUp], ^timout: 1m}",
            &["unknown field `timout` | did you mean `timeout`?"],
        ),
        ("{pause: ^\"\", at: [preScaleUp]}", &["expected a name of 1 to 100 letters on one line"]),
        (
            "{lambda: ^scripts/check.sh, role: r, at: [preScaleUp]}",
            &[
                "`scripts/check.sh` cannot be a Lambda function | its name, letters, digits and `-_.`, or its ARN: arn:aws:lambda:REGION:ACCOUNT:function:NAME",
            ],
        ),
        (
            "{lambda: f, role: ^\"a b\", at: [preScaleUp]}",
            &[
                "`a b` cannot be an IAM role | its ARN, arn:aws:iam::123456789012:role/NAME, or its name: up to 64 letters, digits and `_+=,.@-`",
            ],
        ),
    ] {
        check_strategy(&format!("{{blueGreen: {{hooks: [{hooks}]}}}}"), findings);
    }
    let some = |number, hook: &str| vec![hook; number].join(", ");
    let (pause, lambda) = ("{pause: p, at: [preScaleUp]}", "{lambda: f, role: r, at: [preScaleUp]}");
    let ten = format!("{}, {}", some(10, pause), some(10, lambda));
    check_strategy(&format!("{{blueGreen: {{hooks: [{ten}]}}}}"), &[]);
    for (hook, finding) in
        [(pause, "AWS takes 10 pauses of a service"), (lambda, "AWS takes 10 functions of a service")]
    {
        check_strategy(&format!("{{blueGreen: {{hooks: [{ten}, ^{hook}, {hook}]}}}}"), &[finding]);
    }
}

#[test]
fn traffic_that_ecs_cannot_shift_is_told_where_it_stands() {
    for (traffic, finding) in [
        (
            "container: api, port: 8080, targetGroups: ^[a, a], productionRule: RULE/1, role: r",
            "target group `a` is here twice | two groups for each port, and none of them elsewhere",
        ),
        (
            "container: api, port: 8080, targetGroups: ^[a, 'arn:aws:elasticloadbalancing:eu-west-2:123456789012:targetgroup/a/1'], productionRule: RULE/1, role: r",
            "target group `a` is here twice | two groups for each port, and none of them elsewhere",
        ),
        (
            "PORT}, {container: api, port: 8443, targetGroups: ^[c, b], productionRule: RULE/3, role: r",
            "target group `b` is here twice | two groups for each port, and none of them elsewhere",
        ),
        (
            "PORT}, {container: api, port: 8443, targetGroups: [c, d], productionRule: ^RULE/1, role: r",
            "this rule is another port's already",
        ),
        (
            "container: api, port: 8080, targetGroups: [a, b], productionRule: RULE/1, testRule: ^RULE/1, role: r",
            "the test rule is the production rule | a rule of its own, or none: leave it out",
        ),
        (
            "container: api, port: 8080, targetGroups: ^[a], productionRule: RULE/1, role: r",
            "expected the names or ARNs of two target groups",
        ),
        (
            "container: api, port: ^http, targetGroups: [a, b], productionRule: RULE/1, role: r",
            "expected a port | the port of the container behind the load balancer, such as 8080",
        ),
        (
            "container: api, port: 8080, targetGroups: [a, ^-b], productionRule: RULE/1, role: r",
            "`-b` cannot be a target group | its ARN, arn:aws:elasticloadbalancing:REGION:ACCOUNT:targetgroup/NAME/ID, or its name: up to 32 letters, digits and `-`",
        ),
        (
            "container: api, port: 8080, targetGroups: [a, b], productionRule: ^main, role: r",
            "`main` cannot be a listener or a rule of one | its ARN: arn:aws:elasticloadbalancing:REGION:ACCOUNT:listener-rule/app/NAME/ID/ID/ID",
        ),
        (
            "container: api, port: 8080, targetGroups: [a, b], productionRule: RULE/1, role: ^'arn:aws:iam::1:role/r'",
            "`arn:aws:iam::1:role/r` cannot be an IAM role | its ARN, arn:aws:iam::123456789012:role/NAME, or its name: up to 64 letters, digits and `_+=,.@-`",
        ),
        (
            "container: api, port: 8080, targetGroups: [a, b], ^productionRul: x, role: r, productionRule: RULE/1",
            "unknown field `productionRul` | did you mean `productionRule`?",
        ),
    ] {
        let strategy = format!("{{blueGreen: {{traffic: [{{{traffic}}}]}}}}");
        check_strategy(&strategy, &[finding]);
    }
    check_strategy(
        "{blueGreen: {traffic: [^{}]}}",
        &[
            "`container` is missing",
            "`port` is missing",
            "`productionRule` is missing",
            "`role` is missing",
            "`targetGroups` is missing",
        ],
    );
    check_strategy("{blueGreen: {traffic: ^[]}}", &["the list is empty | name one, or leave it out"]);
    check_strategy("{canary: {^shares: 10%}}", &["unknown field `shares` | did you mean `share`?"]);
    check_strategy("{blueGreen: {^step: 10%}}", &["unknown field `step`"]);
}

#[test]
fn what_a_native_strategy_declares_has_no_second_owner() {
    let settings = |strategy: &str, settings: &str| {
        application(strategy) + &format!("  serviceSettings: {{{settings}}}\n")
    };
    let balancers = format!(
        "loadBalancers: [{{containerName: api, containerPort: 8080, targetGroupArn: 'arn:aws:elasticloadbalancing:eu-west-2:123456789012:targetgroup/a/1', advancedConfiguration: {{productionListenerRule: '{RULE}/1'}}}}]"
    );
    for (key, written) in [
        ("deploymentConfiguration", "deploymentConfiguration: {maximumPercent: 150}"),
        ("loadBalancers", balancers.as_str()),
    ] {
        let finding = format!(
            "api.yaml:8:21 `{key}` is what `strategy` declares here | declare it in one place: under `strategy.canary`"
        );
        let application = settings("{canary: {share: 10%}}", written);
        check(&[("api.yaml", &application), ("test.yaml", ENVIRONMENT)], &[&finding], &["test/api"]);
        let inherited = settings("canary", written);
        check(&[("api.yaml", &inherited), ("test.yaml", ENVIRONMENT)], &[], &[]);
    }
}

/// AWS's guide has shown names that its model does not have, and its API takes no notice of such.
#[test]
fn a_name_that_a_guide_has_and_the_model_has_not_is_an_error() {
    for (written, findings) in [
        ("bakeTime: 10", &["api.yaml:7:47 unknown field `bakeTime` | did you mean `bakeTimeInMinutes`?"][..]),
        (
            "canaryConfiguration: {canaryBakeTime: 10}",
            &[
                "api.yaml:7:47 `canaryConfiguration` cannot be set here | it belongs in `strategy`, under blueGreen, canary or linear",
                "api.yaml:7:69 unknown field `canaryBakeTime` | did you mean `canaryBakeTimeInMinutes`?",
            ],
        ),
    ] {
        let application =
            format!("{APPLICATION}  serviceSettings: {{deploymentConfiguration: {{{written}}}}}\n");
        check(&[("api.yaml", &application), ("test.yaml", ENVIRONMENT)], findings, &["test/api"]);
    }
}

#[test]
fn container_and_port_of_the_traffic_are_in_the_task_definition() {
    let file = TASK_DEFINITION
        .replace("<LEVEL>", "info")
        .replace(", \"futureField2028\": 1", "")
        .replace("\"image\"", "\"portMappings\": [{\"containerPort\": 8080}], \"image\"");
    for (port, finding) in [
        (PORT.to_owned(), None),
        (
            PORT.replace("8080", "^8081"),
            Some("container `api` in taskdef.json has no port 8081 | its `portMappings` have 8080"),
        ),
        (
            PORT.replace("container: api", "container: ^app"),
            Some("taskdef.json has no container `app` | did you mean `api`?"),
        ),
    ] {
        let marked = application(&format!("{{canary: {{traffic: [{{{port}}}]}}}}")).replace("RULE", RULE);
        let column = marked.lines().nth(6).and_then(|line| line.find('^')).map(|place| place + 1);
        let written = marked.replacen('^', "", 1) + "  taskDefinition: taskdef.json\n";
        let declaration =
            read_files(&[("api.yaml", &written), ("test.yaml", ENVIRONMENT), ("taskdef.json", &file)]);
        let expected = finding.map(|finding| format!("api.yaml:7:{} {finding}", column.unwrap_or_default()));
        assert_eq!(said(&declaration), expected.into_iter().collect::<Vec<_>>(), "{port}");
    }
}

#[test]
fn a_name_that_is_none_is_never_asked_for() {
    for port in [PORT.replace(", b]", ", \"b c\"]"), PORT.replace("RULE/2", "main")] {
        let written = application(&format!("{{canary: {{traffic: [{{{port}}}]}}}}")).replace("RULE", RULE);
        let declaration = read_files(&[("api.yaml", &written), ("test.yaml", ENVIRONMENT)]);
        let Declared::Frozen(frozen) = &declaration.applications[0] else { panic!("{port}") };
        assert_eq!(frozen.known, None, "{port}");
    }
}
