//! `verify`: a world in which everything is as it has to be, and for each thing one in which it is not.

use serde_json::{Value, json};
use trueup_simulator::{Api, Fault};

use crate::rig::{APPLICATION, REGISTRY, Rig};

const ACCOUNT: &str = "123456789012";

/// A service behind a load balancer whose tasks have roles, a secret, a parameter and a log group.
fn rig() -> Rig {
    let rig = Rig::bare();
    for (name, service) in [("task", "ecs-tasks"), ("execution", "ecs-tasks")] {
        let trust = trust(&format!("{service}.amazonaws.com"));
        iam(&rig, "CreateRole", &json!({"RoleName": name, "AssumeRolePolicyDocument": trust}));
    }
    permit(&rig, &["secretsmanager:GetSecretValue", "ssm:GetParameters", "logs:*"]);
    let secret = rig.call(Api::Secrets, "CreateSecret", &json!({"Name": "mco/db"}));
    let secret = format!("{}:password::", secret["ARN"].as_str().unwrap());
    rig.call(
        Api::Parameters,
        "PutParameter",
        &json!({"Name": "/mco/level", "Value": "hunter2", "Type": "String"}),
    );
    rig.call(Api::Logs, "CreateLogGroup", &json!({"logGroupName": "/mco/api-old"}));
    rig.call(Api::Logs, "CreateLogGroup", &json!({"logGroupName": "/mco/api"}));
    alarm(&rig, "OK");
    let group = balanced(&rig);
    let network = network(&rig, "10.0.0.0/24");
    let role = |name: &str| format!("arn:aws:iam::{ACCOUNT}:role/{name}");
    let input = json!({
        "family": "mco-api",
        "networkMode": "awsvpc",
        "taskRoleArn": role("task"),
        "executionRoleArn": role("execution"),
        "containerDefinitions": [{
            "name": "api",
            "image": format!("{REGISTRY}/mco/api:aaaaaaa"),
            "memory": 512,
            "portMappings": [{"containerPort": 8080}],
            "secrets": [
                {"name": "DB_PASSWORD", "valueFrom": secret},
                {"name": "LEVEL", "valueFrom": "/mco/level"},
            ],
            "logConfiguration": {"logDriver": "awslogs", "options": {
                "awslogs-group": "/mco/api", "awslogs-region": "eu-west-2", "awslogs-stream-prefix": "ecs"}},
        }],
    });
    rig.call(Api::Ecs, "RegisterTaskDefinition", &input);
    rig.write("task.json", &input.to_string());
    let service = json!({
        "cluster": "mco",
        "serviceName": "mco-api-test",
        "taskDefinition": "mco-api",
        "desiredCount": 2,
        "networkConfiguration": network,
        "deploymentConfiguration": {
            "deploymentCircuitBreaker": {"enable": true, "rollback": true},
            "alarms": {"alarmNames": ["errors"], "enable": true, "rollback": true},
        },
        "loadBalancers": [{"targetGroupArn": group, "containerName": "api", "containerPort": 8080}],
    });
    rig.call(Api::Ecs, "CreateService", &service);
    rig.world.lock().unwrap().advance(400);
    rig.write("api.yaml", &format!("{APPLICATION}  taskDefinition: task.json\n"));
    rig.declare("aaaaaaa");
    rig
}

/// IAM is one for all regions, and answers in one of them.
pub fn iam(rig: &Rig, operation: &str, input: &Value) -> Value {
    let world = rig.cloud.lock().unwrap().world(ACCOUNT, "us-east-1").unwrap();
    let answer = world.lock().unwrap().call(Api::Iam, operation, input);
    answer.unwrap()
}

pub fn trust(service: &str) -> String {
    let statement = json!({"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"});
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

/// What the execution role may do.
fn permit(rig: &Rig, actions: &[&str]) {
    let statement = json!({"Effect": "Allow", "Action": actions, "Resource": "*"});
    let document = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    iam(
        rig,
        "PutRolePolicy",
        &json!({"RoleName": "execution", "PolicyName": "all", "PolicyDocument": document}),
    );
}

fn alarm(rig: &Rig, state: &str) {
    let put = json!({"AlarmName": "errors", "MetricName": "HTTPCode_Target_5XX_Count", "Namespace": "AWS/ApplicationELB",
        "ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1});
    rig.call(Api::CloudWatch, "PutMetricAlarm", &put);
    let set = json!({"AlarmName": "errors", "StateValue": state, "StateReason": "told"});
    rig.call(Api::CloudWatch, "SetAlarmState", &set);
}

/// A subnet of this block and a security group, in a VPC of their own.
pub fn network(rig: &Rig, block: &str) -> Value {
    let vpc = rig.call(Api::Ec2, "CreateVpc", &json!({"CidrBlock": "10.0.0.0/16"}))["vpc"]["vpcId"].clone();
    let subnet = json!({"VpcId": vpc, "CidrBlock": block});
    let subnet = rig.call(Api::Ec2, "CreateSubnet", &subnet)["subnet"]["subnetId"].clone();
    let group = json!({"VpcId": vpc, "GroupName": "api", "GroupDescription": "api"});
    let group = rig.call(Api::Ec2, "CreateSecurityGroup", &group)["groupId"].clone();
    json!({"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group]}})
}

/// The service gets another network, and so many tasks.
fn moved(rig: &Rig, network: &Value, count: u64) {
    let update = json!({"cluster": "mco", "service": "mco-api-test", "networkConfiguration": network, "desiredCount": count});
    rig.call(Api::Ecs, "UpdateService", &update);
    rig.world.lock().unwrap().advance(900);
}

/// The ids of the network that the service has.
fn placed(rig: &Rig) -> (Value, Value) {
    let service =
        rig.call(Api::Ecs, "DescribeServices", &json!({"cluster": "mco", "services": ["mco-api-test"]}));
    let network = service["services"][0]["networkConfiguration"]["awsvpcConfiguration"].clone();
    (network["subnets"][0].clone(), network["securityGroups"][0].clone())
}

fn balanced(rig: &Rig) -> Value {
    let elb = |operation: &str, input: &Value| rig.call(Api::Elb, operation, input);
    let balancer = elb("CreateLoadBalancer", &json!({"Name": "mco", "Subnets": ["subnet-1", "subnet-2"]}));
    let group =
        json!({"Name": "api", "TargetType": "ip", "Protocol": "HTTP", "Port": 8080, "VpcId": "vpc-1"});
    let group = elb("CreateTargetGroup", &group)["TargetGroups"][0]["TargetGroupArn"].clone();
    let listener = json!({
        "LoadBalancerArn": balancer["LoadBalancers"][0]["LoadBalancerArn"],
        "Protocol": "HTTP",
        "Port": 80,
        "DefaultActions": [{"Type": "forward", "TargetGroupArn": group}],
    });
    elb("CreateListener", &listener);
    group
}

pub fn deny(rig: &Rig, operation: &str) {
    let fault = Fault::Deny { operation: operation.to_owned(), times: 99 };
    let cloud = || rig.cloud.lock().unwrap();
    let worlds = ["eu-west-2", "us-east-1"].map(|region| cloud().world(ACCOUNT, region).unwrap());
    for world in worlds {
        world.lock().unwrap().inject(fault.clone());
    }
}

/// Everything that was checked, each as `Check Result`, and how the command ended.
pub fn verified(rig: &Rig) -> (Vec<String>, Option<i32>) {
    let output = rig.trueup(&["verify", "-o", "json"]);
    let said = String::from_utf8_lossy(&output.stderr);
    let all: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let checks = all["applications"][0]["checks"].as_array().map(|checks| checks.iter());
    let checks = checks.unwrap_or_else(|| unreachable!("nothing was verified: {said}"));
    let told =
        |check: &Value| format!("{} {}", check["check"].as_str().unwrap(), check["result"].as_str().unwrap());
    (checks.map(told).collect(), output.status.code())
}

#[test]
fn what_a_deployment_needs_is_there() {
    let rig = rig();
    let writes = rig.writes();
    let (checks, code) = verified(&rig);
    let expected = [
        "Credentials",
        "Service",
        "Decision",
        "Image",
        "EnvironmentTag",
        "Lifecycle",
        "TaskDefinition",
        "Role",
        "Role",
        "PassRole",
        "PassRole",
        "Permission",
        "Permission",
        "Permission",
        "Secret",
        "Parameter",
        "LogGroup",
        "Subnet",
        "SecurityGroup",
        "TargetGroup",
        "CircuitBreaker",
        "Alarm",
        "Percentages",
        "Quota",
    ];
    let passed = expected.map(|check| match check {
        "Lifecycle" => "LifecyclePolicy Passed".to_owned(),
        other => format!("{other} Passed"),
    });
    assert_eq!(checks, passed);
    assert_eq!(code, Some(0));
    assert_eq!(rig.writes(), writes, "nothing is written");
    let text = rig.expect(&["verify"], 0);
    assert!(text.starts_with("test/api: 24 passed\n"), "{text}");
    assert!(text.contains("✓ pass role        task to ecs-tasks.amazonaws.com: allowed by identity policies; SCPs and boundaries not seen"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn each_thing_that_is_missing_fails_by_itself() {
    type Change = fn(&Rig);
    let cases: [(Change, &str, i32); 29] = [
        (
            |rig| _ = rig.call(Api::Secrets, "DeleteSecret", &json!({"SecretId": "mco/db"})),
            "Secret Failed",
            3,
        ),
        (
            |rig| _ = rig.call(Api::Parameters, "DeleteParameter", &json!({"Name": "/mco/level"})),
            "Parameter Failed",
            3,
        ),
        (
            |rig| _ = rig.call(Api::Logs, "DeleteLogGroup", &json!({"logGroupName": "/mco/api"})),
            "LogGroup Failed",
            3,
        ),
        (|rig| permit(rig, &["ssm:GetParameters", "logs:*"]), "Permission Failed", 3),
        (|rig| permit(rig, &["secretsmanager:*", "ssm:*", "logs:PutLogEvents"]), "Permission Failed", 3),
        (|rig| _ = iam(rig, "DeleteRole", &json!({"RoleName": "task"})), "Role Failed", 3),
        (
            |rig| {
                iam(rig, "DeleteRole", &json!({"RoleName": "task"}));
                let trust = trust("lambda.amazonaws.com");
                iam(rig, "CreateRole", &json!({"RoleName": "task", "AssumeRolePolicyDocument": trust}));
            },
            "Role Failed",
            3,
        ),
        (
            |rig| {
                let statement = json!({"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*",
                    "Condition": {"StringEquals": {"iam:PassedToService": "ecs.amazonaws.com"}}});
                let document = json!({"Statement": [statement]}).to_string();
                let policy =
                    json!({"UserName": "simulator", "PolicyName": "pass", "PolicyDocument": document});
                iam(rig, "PutUserPolicy", &policy);
            },
            "PassRole Failed",
            3,
        ),
        (
            |rig| {
                let rule = json!({"rulePriority": 1, "action": {"type": "expire"},
                    "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1}});
                let policy = json!({"rules": [rule]}).to_string();
                rig.build("bbbbbbb");
                rig.world.lock().unwrap().advance(60);
                rig.build("ccccccc");
                let put = json!({"repositoryName": "mco/api", "lifecyclePolicyText": policy});
                rig.call(Api::Ecr, "PutLifecyclePolicy", &put);
            },
            "LifecyclePolicy Failed",
            3,
        ),
        (
            |rig| {
                let put = json!({"repositoryName": "mco/api", "imageTagMutability": "IMMUTABLE"});
                rig.call(Api::Ecr, "PutImageTagMutability", &put);
            },
            "EnvironmentTag Failed",
            3,
        ),
        (|rig| rig.declare("ddddddd"), "Image Failed", 3),
        (
            |rig| {
                let none = json!({"deploymentCircuitBreaker": {"enable": false, "rollback": false},
                    "alarms": {"alarmNames": [], "enable": false, "rollback": false}});
                let update =
                    json!({"cluster": "mco", "service": "mco-api-test", "deploymentConfiguration": none});
                rig.call(Api::Ecs, "UpdateService", &update);
            },
            "CircuitBreaker Risk",
            0,
        ),
        (
            |rig| {
                // Two of two must run, and there is room for two.
                let narrow = json!({"minimumHealthyPercent": 75, "maximumPercent": 120});
                let update =
                    json!({"cluster": "mco", "service": "mco-api-test", "deploymentConfiguration": narrow});
                rig.call(Api::Ecs, "UpdateService", &update);
            },
            "Percentages Failed",
            3,
        ),
        (|rig| rig.replace("task.json", "8080", "9090"), "TargetGroup Failed", 3),
        (
            |rig| {
                rig.write("api.yaml", APPLICATION);
                rig.replace("test.yaml", ACCOUNT, "210987654321");
            },
            "Credentials Failed",
            3,
        ),
        (|rig| deny(rig, "GetRole"), "Role Unseen", 0),
        (|rig| deny(rig, "SimulatePrincipalPolicy"), "PassRole Unseen", 0),
        (|rig| deny(rig, "DescribeSecret"), "Secret Unseen", 0),
        (|rig| alarm(rig, "ALARM"), "Alarm Risk", 0),
        (|rig| alarm(rig, "INSUFFICIENT_DATA"), "Alarm Passed", 0),
        (
            |rig| _ = rig.call(Api::CloudWatch, "DeleteAlarms", &json!({"AlarmNames": ["errors"]})),
            "Alarm Risk",
            0,
        ),
        (|rig| deny(rig, "DescribeAlarms"), "Alarm Unseen", 0),
        (
            |rig| _ = rig.call(Api::Ec2, "DeleteSubnet", &json!({"SubnetId": placed(rig).0})),
            "Subnet Failed",
            3,
        ),
        (
            |rig| _ = rig.call(Api::Ec2, "DeleteSecurityGroup", &json!({"GroupId": placed(rig).1})),
            "SecurityGroup Failed",
            3,
        ),
        (
            |rig| {
                let (own, mut other) = (placed(rig).0, network(rig, "10.0.0.0/24"));
                other["awsvpcConfiguration"]["subnets"] = json!([own]);
                moved(rig, &other, 2);
            },
            "SecurityGroup Failed",
            3,
        ),
        (
            |rig| {
                let (own, mut other) = (placed(rig).0, network(rig, "10.0.0.0/24"));
                let both = json!([own, other["awsvpcConfiguration"]["subnets"][0]]);
                other["awsvpcConfiguration"]["subnets"] = both;
                moved(rig, &other, 2);
            },
            "Subnet Failed",
            3,
        ),
        (|rig| moved(rig, &network(rig, "10.0.1.0/28"), 12), "Subnet Risk", 0),
        (|rig| deny(rig, "DescribeSubnets"), "Subnet Unseen", 0),
        (|rig| rig.replace("task.json", "awsvpc", "bridge"), "TargetGroup Failed", 3),
    ];
    for (number, (change, expected, code)) in cases.into_iter().enumerate() {
        let rig = rig();
        change(&rig);
        let (checks, ended) = verified(&rig);
        assert!(
            checks.iter().any(|check| check == expected),
            "{number}: {expected} is not among {checks:#?}"
        );
        assert_eq!(ended, Some(code), "{number}: {expected} {checks:#?}");
    }
}

#[test]
fn what_is_not_needed_is_not_asked_for() {
    let rig = rig();
    rig.call(Api::Logs, "DeleteLogGroup", &json!({"logGroupName": "/mco/api"}));
    rig.replace("task.json", "\"awslogs-group\"", "\"awslogs-create-group\":\"true\",\"awslogs-group\"");
    let (checks, code) = verified(&rig);
    assert!(
        checks.contains(&"LogGroup Passed".to_owned()) && code == Some(0),
        "the first task makes it: {checks:#?}"
    );
    // Where trueup only looks it passes no role.
    rig.replace("test.yaml", "  cluster: mco", "  mode: observe\n  cluster: mco");
    let (checks, _) = verified(&rig);
    assert!(!checks.iter().any(|check| check.starts_with("PassRole")), "{checks:#?}");
    assert!(checks.contains(&"Role Passed".to_owned()), "{checks:#?}");
}

#[test]
fn trouble_comes_first_with_what_to_do() {
    let rig = rig();
    rig.call(Api::Logs, "DeleteLogGroup", &json!({"logGroupName": "/mco/api"}));
    deny(&rig, "DescribeSecret");
    let text = rig.expect(&["verify"], 3);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "test/api: 1 failed, 1 could not be looked at, 22 passed", "{text}");
    assert_eq!(lines[1], "  ✗ log group        /mco/api is not there");
    let hint = "    hint             create it, or let ECS do it: awslogs-create-group:";
    assert!(lines[2].starts_with(hint), "{text}");
    assert!(
        lines[3]
            .starts_with("  ? secret           arn:aws:secretsmanager:eu-west-2:123456789012:secret:mco/db-"),
        "{text}"
    );
    assert!(lines[3].contains("not allowed"), "{text}");
}

/// The function that the strategy of the service calls, and what its role may do.
fn hooked(rig: &Rig, role: &str, allowed: &str) {
    let made = json!({"FunctionName": "smoke", "Role": "arn:aws:iam::123456789012:role/lambda", "Handler": "index.handler",
        "Runtime": "python3.13", "Code": {"ZipFile": ""}});
    rig.call(Api::Lambda, "CreateFunction", &made);
    let trust = trust("ecs.amazonaws.com");
    iam(rig, "CreateRole", &json!({"RoleName": role, "AssumeRolePolicyDocument": trust}));
    let statement = json!({"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": allowed});
    let document = json!({"Statement": [statement]}).to_string();
    iam(rig, "PutRolePolicy", &json!({"RoleName": role, "PolicyName": "call", "PolicyDocument": document}));
}

const SMOKE: &str = "arn:aws:lambda:eu-west-2:123456789012:function:smoke";

#[test]
fn a_hook_needs_its_function_and_a_role_that_may_call_it() {
    let declared = |rig: &Rig| {
        let hook = "{lambda: \"smoke:live\", role: hooks, at: [postScaleUp]}";
        rig.write(
            "api.yaml",
            &format!(
                "{APPLICATION}  taskDefinition: task.json\n  strategy: {{blueGreen: {{hooks: [{hook}]}}}}\n"
            ),
        );
        rig.commit("a hook");
    };
    let found = |rig: &Rig| {
        let (checks, _) = verified(rig);
        let hook: Vec<String> = checks.iter().filter(|check| check.starts_with("Hook")).cloned().collect();
        let refused = checks.iter().filter(|check| *check == "Permission Failed").count();
        (hook.join(", "), refused)
    };
    let rig = rig();
    declared(&rig);
    assert_eq!(found(&rig), ("Hook Failed".to_owned(), 1), "neither the function nor the role is there");
    hooked(&rig, "hooks", &format!("{SMOKE}:*"));
    assert_eq!(found(&rig), ("Hook Passed".to_owned(), 0));
    let none = json!({"FunctionName": "smoke", "ReservedConcurrentExecutions": 0});
    rig.call(Api::Lambda, "PutFunctionConcurrency", &none);
    assert_eq!(found(&rig), ("Hook Failed".to_owned(), 0), "it may never run");
    deny(&rig, "GetFunctionConcurrency");
    assert_eq!(found(&rig), ("Hook Unseen".to_owned(), 0));
    let rig = self::rig();
    declared(&rig);
    hooked(&rig, "hooks", SMOKE);
    assert_eq!(found(&rig), ("Hook Passed".to_owned(), 1), "what is called is the alias");
}

#[test]
fn a_role_is_known_by_its_whole_arn_and_a_bare_name_is_not_looked_at() {
    let rig = rig();
    rig.replace("task.json", "arn:aws:iam::123456789012:role/task", "task");
    let (checks, code) = verified(&rig);
    assert!(checks.contains(&"Role Unseen".to_owned()) && code == Some(0), "{checks:#?}");
    // The same name in another folder is another role.
    let rig = self::rig();
    iam(&rig, "DeleteRole", &json!({"RoleName": "task"}));
    let trust = trust("ecs-tasks.amazonaws.com");
    iam(&rig, "CreateRole", &json!({"RoleName": "task", "Path": "/mco/", "AssumeRolePolicyDocument": trust}));
    let (checks, code) = verified(&rig);
    assert!(checks.contains(&"Role Failed".to_owned()) && code == Some(3), "{checks:#?}");
    rig.replace("task.json", "role/task", "role/mco/task");
    let (checks, _) = verified(&rig);
    assert!(!checks.iter().any(|check| check == "Role Failed"), "{checks:#?}");
}

#[test]
fn a_parameter_is_found_by_its_name_and_its_arn_with_and_without_a_slash() {
    let rig = rig();
    for name in ["plain", "/slashed", "/mco/deep"] {
        rig.call(
            Api::Parameters,
            "PutParameter",
            &json!({"Name": name, "Value": "hunter2", "Type": "String"}),
        );
    }
    let mut before = "/mco/level".to_owned();
    let mut found = |named: &str| {
        rig.replace("task.json", &format!("\"{before}\""), &format!("\"{named}\""));
        before = named.to_owned();
        let (checks, _) = verified(&rig);
        checks.into_iter().find(|check| check.starts_with("Parameter")).unwrap_or_default()
    };
    let arn = |name: &str| format!("arn:aws:ssm:eu-west-2:{ACCOUNT}:parameter/{name}");
    for named in ["plain", "/slashed", "/mco/deep", &arn("plain"), &arn("slashed"), &arn("mco/deep")] {
        assert_eq!(found(named), "Parameter Passed", "{named}");
    }
    for named in ["none", "mco/deep", &arn("none")] {
        assert_eq!(found(named), "Parameter Failed", "{named}");
    }
}
