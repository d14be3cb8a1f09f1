//! What AWS always refuses, rule by rule.

use super::*;
use serde_json::json;

fn fargate(fields: &Value) -> Value {
    let mut input = json!({
        "family": "f", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256",
        "memory": "512", "executionRoleArn": "r", "containerDefinitions": [{"name": "a", "image": "i"}],
    });
    crate::documents::overlay::merge_patch(&mut input, fields);
    input
}

fn with(container: &Value) -> Value {
    let mut own = json!({"name": "a", "image": "i", "memory": 128});
    crate::documents::overlay::merge_patch(&mut own, container);
    json!({"family": "f", "containerDefinitions": [own, {"name": "b", "image": "i", "memory": 64}]})
}

fn said(input: &Value) -> Vec<String> {
    let replaced = BTreeSet::from(["ours"]);
    of(input, &replaced)
        .into_iter()
        .map(|complaint| format!("{}: {}", complaint.path, complaint.message))
        .collect()
}

#[test]
fn what_aws_takes_is_not_complained_about() {
    for input in [
        fargate(&json!({})),
        fargate(&json!({"cpu": "1 vCPU", "memory": "2 GB"})),
        fargate(&json!({"cpu": ".25 vCPU", "memory": "0.5GB", "ephemeralStorage": {"sizeInGiB": 21}})),
        fargate(&json!({"cpu": "8192", "memory": "20480"})),
        fargate(&json!({"cpu": "32768", "memory": "249856"})),
        fargate(&json!({"cpu": 256, "memory": 512})),
        fargate(&json!({"ipcMode": "", "placementConstraints": [], "containerDefinitions": [
            {"name": "a", "image": "i", "links": [], "privileged": false, "dnsServers": null}]})),
        fargate(&json!({"executionRoleArn": null})),
        with(&json!({"mountPoints": [], "dependsOn": [{"containerName": "b", "condition": "START"}]})),
        with(&json!({"name": "ours", "image": null})),
        json!({"family": "f", "volumes": [{"name": "v"}], "networkMode": "bridge", "containerDefinitions": [
            {"name": "a", "image": "i", "memory": 64, "memoryReservation": 32, "links": ["x"],
             "mountPoints": [{"sourceVolume": "v"}], "portMappings": [{"containerPort": 80, "hostPort": 81}],
             "dependsOn": [{"containerName": "once", "condition": "SUCCESS"}, {"containerName": "c", "condition": "HEALTHY"}]},
            {"name": "once", "image": "i", "memory": 64, "essential": false},
            {"name": "c", "image": "i", "memory": 64, "healthCheck": {"command": ["CMD", "x"]}, "volumesFrom": [{"sourceContainer": "a"}]}]}),
    ] {
        assert_eq!(said(&input), Vec::<String>::new(), "{input}");
    }
}

#[test]
fn what_aws_always_refuses_is_told_with_its_field() {
    let depends = |condition: &str| json!({"dependsOn": [{"containerName": "b", "condition": condition}]});
    for (input, expected) in [
        (json!({"family": "f"}), "containerDefinitions: there is no container"),
        (
            fargate(&json!({"containerDefinitions": vec![json!({"name": "a", "image": "i"}); 11]})),
            "containerDefinitions: more than 10 containers",
        ),
        (
            fargate(&json!({"containerDefinitions": [{"name": "a", "image": "i", "essential": false}]})),
            "containerDefinitions: no container is essential",
        ),
        (with(&json!({"name": "b"})), "containerDefinitions[1].name: two containers are named `b`"),
        (with(&json!({"name": null})), "containerDefinitions[0].name: the container has no name"),
        (with(&json!({"image": null})), "containerDefinitions[0].image: container `a` has no image"),
        (
            with(&json!({"image": "__ACCOUNT__.dkr.ecr.eu-west-2.amazonaws.com/x:1"})),
            "containerDefinitions[0].image: `__ACCOUNT__` is no account: a registry of ECR begins with twelve digits",
        ),
        (
            with(&json!({"memory": null})),
            "containerDefinitions[0]: container `a` has no memory, and the task has none",
        ),
        (
            with(&json!({"memoryReservation": 256})),
            "containerDefinitions[0].memory: `memory` is less than `memoryReservation`",
        ),
        (
            with(&json!({"mountPoints": [{"sourceVolume": "v"}]})),
            "containerDefinitions[0].mountPoints[0].sourceVolume: no volume is named `v`",
        ),
        (
            with(&json!({"volumesFrom": [{"sourceContainer": "v"}]})),
            "containerDefinitions[0].volumesFrom[0].sourceContainer: no container is named `v`",
        ),
        (
            with(&json!({"dependsOn": [{"containerName": "v", "condition": "START"}]})),
            "containerDefinitions[0].dependsOn[0].containerName: no container is named `v`",
        ),
        (
            with(&json!({"dependsOn": [{"containerName": "a", "condition": "START"}]})),
            "containerDefinitions[0].dependsOn[0].condition: container `a` depends on itself",
        ),
        (
            with(&depends("HEALTHY")),
            "containerDefinitions[0].dependsOn[0].condition: container `b` never gets HEALTHY: it has no `healthCheck`",
        ),
        (
            with(&depends("SUCCESS")),
            "containerDefinitions[0].dependsOn[0].condition: container `b` is essential: its end ends the task",
        ),
        (
            with(&depends("healthy")),
            "containerDefinitions[0].dependsOn[0].condition: `healthy` is none of START, COMPLETE, SUCCESS, HEALTHY",
        ),
        (
            with(&json!({"secrets": [{"name": "A", "valueFrom": "b"}]})),
            "containerDefinitions[0].secrets: `executionRoleArn` is missing, which secrets need",
        ),
        (
            with(&json!({"healthCheck": {"interval": 10}})),
            "containerDefinitions[0].healthCheck: `command` is missing",
        ),
        (
            with(&json!({"healthCheck": {"command": ["CMD", "x"], "interval": 1}})),
            "containerDefinitions[0].healthCheck.interval: `interval` is 5 to 300",
        ),
        (fargate(&json!({"networkMode": null})), "networkMode: Fargate needs networkMode awsvpc"),
        (fargate(&json!({"networkMode": "bridge"})), "networkMode: Fargate needs networkMode awsvpc"),
        (
            fargate(&json!({"requiresCompatibilities": ["FARGATE", "Ec2"]})),
            "requiresCompatibilities[1]: `Ec2` is none of EC2, FARGATE, EXTERNAL, MANAGED_INSTANCES",
        ),
        (fargate(&json!({"cpu": null})), "cpu: Fargate needs `cpu` of the task"),
        (fargate(&json!({"cpu": "much"})), "cpu: expected CPU units or vCPU"),
        (fargate(&json!({"cpu": "300"})), "cpu: Fargate has no cpu 300"),
        (fargate(&json!({"memory": "4096"})), "memory: Fargate has no memory 4096 beside cpu 256"),
        (
            fargate(&json!({"cpu": "8192", "memory": "17408"})),
            "memory: Fargate has no memory 17408 beside cpu 8192",
        ),
        (
            fargate(&json!({"ephemeralStorage": {"sizeInGiB": 20}})),
            "ephemeralStorage.sizeInGiB: Fargate has 21 to 200 GiB of ephemeral storage",
        ),
        (fargate(&json!({"ipcMode": "task"})), "ipcMode: Fargate does not take `ipcMode`"),
        (
            fargate(&json!({"containerDefinitions": [{"name": "a", "image": "i", "links": ["b"]}]})),
            "containerDefinitions[0].links: Fargate does not take `links`",
        ),
        (
            fargate(
                &json!({"containerDefinitions": [{"name": "a", "image": "i", "resourceRequirements": [{"type": "GPU", "value": "1"}]}]}),
            ),
            "containerDefinitions[0].resourceRequirements[0]: Fargate has no GPU",
        ),
        (
            fargate(
                &json!({"containerDefinitions": [{"name": "a", "image": "i", "portMappings": [{"containerPort": 80, "hostPort": 81}]}]}),
            ),
            "containerDefinitions[0].portMappings[0].hostPort: with networkMode awsvpc the host's port is the container's",
        ),
        (
            fargate(&json!({"executionRoleArn": "", "containerDefinitions": [{"name": "ours"}]})),
            "executionRoleArn: `executionRoleArn` is missing, which images of ECR need",
        ),
        (
            fargate(
                &json!({"executionRoleArn": null, "containerDefinitions": [{"name": "a", "image": "1.dkr.ecr.x/y"}]}),
            ),
            "executionRoleArn: `executionRoleArn` is missing, which images of ECR need",
        ),
        (
            fargate(
                &json!({"executionRoleArn": null, "containerDefinitions": [{"name": "a", "image": "i", "logConfiguration": {"logDriver": "awslogs"}}]}),
            ),
            "executionRoleArn: `executionRoleArn` is missing, which the logs of Fargate tasks need",
        ),
    ] {
        let said = said(&input);
        assert!(said.iter().any(|said| said == expected), "{expected}: {said:#?}");
    }
}

/// One container `a`, with these members, of a task for EC2 or for Fargate; and what is said of it, if anything.
#[test]
fn what_aws_always_refuses_of_a_container_is_told_and_nothing_else() {
    let awslogs = |options: Value| json!({"logConfiguration": {"logDriver": "awslogs", "options": options}});
    let port = |mapping: Value| json!({"portMappings": [{"containerPort": 80}, mapping]});
    let file = |value: &str, kind: &str| json!({"environmentFiles": [{"value": value, "type": kind}]});
    let linux = |parameters: Value| json!({"linuxParameters": parameters});
    let both = [true, false];
    let (fargate_only, ec2_only) = (&both[..1], &both[1..]);
    for (launches, container, expected) in [
        (&both[..], json!({"cpu": 256, "memory": 512}), None),
        (&both, json!({"cpu": 512}), Some("cpu: `cpu` is 512, and the whole task has 256")),
        (&both, json!({"memory": 1024}), Some("memory: `memory` is 1024, and the whole task has 512")),
        (
            &both,
            json!({"memoryReservation": 1024}),
            Some("memoryReservation: `memoryReservation` is 1024, and the whole task has 512"),
        ),
        (&both, json!({"cpu": -1}), Some("cpu: `cpu` is less than nothing")),
        (&both, json!({"memory": 3}), Some("memory: `memory` is less than 4 MiB")),
        (&both, json!({"memory": 5}), Some("memory: `memory` is less than 6 MiB")),
        (&both, json!({"memory": 6}), None),
        (&both, port(json!({"containerPort": 443})), None),
        (&both, port(json!({"containerPort": 80, "protocol": "udp"})), None),
        (
            &both,
            port(json!({"containerPort": 80, "protocol": "tcp"})),
            Some("portMappings[1].containerPort: port 80 of tcp is mapped twice"),
        ),
        (
            &both,
            port(json!({"containerPort": 65536})),
            Some("portMappings[1].containerPort: 65536 is no port"),
        ),
        (&both, port(json!({"containerPort": -1})), Some("portMappings[1].containerPort: -1 is no port")),
        (
            &both,
            json!({"portMappings": [{"containerPort": 1, "name": "p"}, {"containerPort": 2, "name": "p"}]}),
            Some("portMappings[1].name: two ports are named `p`"),
        ),
        (
            &both,
            port(json!({"containerPort": 443, "protocol": "TCP"})),
            Some("portMappings[1].protocol: `TCP` is none of tcp, udp"),
        ),
        (&both, port(json!({"containerPortRange": "90-99"})), None),
        (
            &both,
            port(json!({"containerPort": 90, "containerPortRange": "90-99"})),
            Some("portMappings[1].containerPort: `containerPort` stands beside `containerPortRange`"),
        ),
        (&both, file("arn:aws:s3:::mco/api/test.env", "s3"), None),
        (&both, file("arn:aws-cn:s3:::mco/test.env", "s3"), None),
        (
            &both,
            file("s3://mco/test.env", "s3"),
            Some("environmentFiles[0].value: `value` is the ARN of an object in S3"),
        ),
        (
            &both,
            file("arn:aws:s3:::mco", "s3"),
            Some("environmentFiles[0].value: `value` is the ARN of an object in S3"),
        ),
        (
            &both,
            file("arn:aws:s3:eu-west-2:1:accesspoint/a/object/b", "s3"),
            Some("environmentFiles[0].value: `value` is the ARN of an object in S3"),
        ),
        (
            &both,
            file("arn:aws:s3:::mco/test.env", "S3"),
            Some("environmentFiles[0].type: `S3` is none of s3"),
        ),
        (
            &both,
            awslogs(json!({"awslogs-group": "g", "awslogs-region": "r", "awslogs-stream-prefix": "p"})),
            None,
        ),
        (ec2_only, awslogs(json!({"awslogs-group": "g", "awslogs-region": "r"})), None),
        (
            fargate_only,
            awslogs(json!({"awslogs-group": "g", "awslogs-region": "r"})),
            Some("logConfiguration.options: awslogs needs the options awslogs-stream-prefix"),
        ),
        (
            ec2_only,
            json!({"logConfiguration": {"logDriver": "awslogs"}}),
            Some("logConfiguration.options: awslogs needs the options awslogs-group, awslogs-region"),
        ),
        (ec2_only, json!({"logConfiguration": {"logDriver": "syslog"}}), None),
        (
            fargate_only,
            json!({"logConfiguration": {"logDriver": "syslog"}}),
            Some("logConfiguration.logDriver: Fargate has no log driver `syslog`"),
        ),
        (
            &both,
            json!({"logConfiguration": {"logDriver": "awsfirelens"}}),
            Some(
                "logConfiguration.logDriver: no container has a `firelensConfiguration`, which awsfirelens needs",
            ),
        ),
        (
            &both,
            json!({"firelensConfiguration": {"type": "fluentbit"}}),
            Some(
                "firelensConfiguration: no container has the log driver awsfirelens, so that there is nothing to route",
            ),
        ),
        (
            &both,
            json!({"environment": [{"name": "A", "value": "1"}], "secrets": [{"name": "A", "valueFrom": "x"}]}),
            Some("secrets[0].name: A is in `environment` and in `secrets`"),
        ),
        (
            &both,
            json!({"secrets": [{"name": "A", "valueFrom": "x"}, {"name": "A", "valueFrom": "x"}]}),
            Some("secrets[1].name: two secrets are named A"),
        ),
        (&both, json!({"healthCheck": {"command": ["CMD-SHELL", "x"]}}), None),
        (&both, json!({"healthCheck": {"command": ["NONE"]}}), None),
        (
            &both,
            json!({"healthCheck": {"command": ["curl", "x"]}}),
            Some("healthCheck.command[0]: the command of a health check begins with CMD or CMD-SHELL"),
        ),
        (ec2_only, json!({"stopTimeout": 121}), None),
        (&both, json!({"stopTimeout": 120}), None),
        (fargate_only, json!({"stopTimeout": 121}), Some("stopTimeout: Fargate waits 120 seconds at most")),
        (
            &both,
            linux(
                json!({"capabilities": {"add": ["SYS_PTRACE"], "drop": ["ALL"]}, "initProcessEnabled": true}),
            ),
            None,
        ),
        (ec2_only, linux(json!({"capabilities": {"add": ["NET_ADMIN"]}, "sharedMemorySize": 64})), None),
        (
            fargate_only,
            linux(json!({"capabilities": {"add": ["NET_ADMIN"]}})),
            Some("linuxParameters.capabilities.add[0]: Fargate gives no capability but SYS_PTRACE"),
        ),
        (
            fargate_only,
            linux(json!({"sharedMemorySize": 64})),
            Some("linuxParameters.sharedMemorySize: Fargate does not take `sharedMemorySize`"),
        ),
    ] {
        for is_fargate in launches {
            let mut own = json!({"name": "a", "image": "i"});
            crate::documents::overlay::merge_patch(&mut own, &container);
            let mut input = fargate(&json!({"containerDefinitions": [own]}));
            if !is_fargate {
                input["requiresCompatibilities"] = json!(["EC2"]);
            }
            let expected = expected.map(|expected| format!("containerDefinitions[0].{expected}"));
            assert_eq!(said(&input), expected.into_iter().collect::<Vec<_>>(), "{input}");
        }
    }
}

#[test]
fn what_does_not_come_together_is_told_once() {
    let container = |name: &str, more: Value| {
        let mut own = json!({"name": name, "image": "i", "memory": 64});
        crate::documents::overlay::merge_patch(&mut own, &more);
        own
    };
    let after = |name: &str, other: &str| {
        container(name, json!({"dependsOn": [{"containerName": other, "condition": "START"}]}))
    };
    let router = json!({"firelensConfiguration": {"type": "fluentbit"}});
    let routed = json!({"logConfiguration": {"logDriver": "awsfirelens"}});
    let containers = |all: Vec<Value>| json!({"family": "f", "containerDefinitions": all});
    for (input, expected) in [
        (containers(vec![after("a", "b"), after("b", "c"), container("c", json!({}))]), None),
        (
            containers(vec![after("x", "a"), after("a", "b"), after("b", "c"), after("c", "a")]),
            Some("containerDefinitions[1].dependsOn: the containers a, b, c wait for each other"),
        ),
        (containers(vec![container("a", router.clone()), container("b", routed.clone())]), None),
        (
            containers(vec![
                container("a", router.clone()),
                container("b", routed.clone()),
                container("c", router.clone()),
            ]),
            Some("containerDefinitions[2].firelensConfiguration: a second container routes logs"),
        ),
        (
            json!({"family": "f", "cpu": "256", "containerDefinitions": [
                container("a", json!({"cpu": 200})), container("b", json!({"cpu": 57}))]}),
            Some("cpu: the containers have cpu 257 together, and the task 256"),
        ),
        (
            json!({"family": "f", "proxyConfiguration": {"containerName": "envoy"}, "containerDefinitions": [
                container("a", json!({}))]}),
            Some("proxyConfiguration.containerName: no container is named `envoy`"),
        ),
        (
            json!({"family": "f", "volumes": [{"name": "v"}, {"name": "v"}], "containerDefinitions": [
                container("a", json!({}))]}),
            Some("volumes[1].name: two volumes are named `v`"),
        ),
        (
            fargate(&json!({"volumes": [{"name": "v", "host": {"sourcePath": "/x"}}]})),
            Some("volumes[0].host.sourcePath: Fargate has no folders of a host"),
        ),
        (fargate(&json!({"volumes": [{"name": "v", "host": {}}]})), None),
        (
            fargate(&json!({"volumes": [{"name": "v", "dockerVolumeConfiguration": {"scope": "task"}}]})),
            Some("volumes[0].dockerVolumeConfiguration: Fargate has no volumes of Docker"),
        ),
        (
            fargate(&json!({"executionRoleArn": null, "containerDefinitions": [
                {"name": "ours"},
                {"name": "a", "image": "i", "secrets": [{"name": "A", "valueFrom": "b"}]},
                {"name": "b", "image": "i", "secrets": [{"name": "A", "valueFrom": "b"}]}]})),
            Some("containerDefinitions[1].secrets: `executionRoleArn` is missing, which secrets need"),
        ),
        (
            fargate(&json!({"runtimePlatform": {"cpuArchitecture": "arm64"}})),
            Some("runtimePlatform.cpuArchitecture: `arm64` is none of X86_64, ARM64"),
        ),
        (
            fargate(&json!({"runtimePlatform": {"operatingSystemFamily": "linux"}})),
            Some(
                "runtimePlatform.operatingSystemFamily: `linux` is none of LINUX, WINDOWS_SERVER_2004_CORE, WINDOWS_SERVER_2016_FULL, WINDOWS_SERVER_2019_CORE, WINDOWS_SERVER_2019_FULL, WINDOWS_SERVER_2022_CORE, WINDOWS_SERVER_2022_FULL, WINDOWS_SERVER_2025_CORE, WINDOWS_SERVER_2025_FULL, WINDOWS_SERVER_20H2_CORE",
            ),
        ),
    ] {
        assert_eq!(said(&input), expected.map(str::to_owned).into_iter().collect::<Vec<_>>(), "{input}");
    }
}

/// What AWS has had no others of in years is an error; what may be new is told.
#[test]
fn a_word_that_aws_does_not_have_is_an_error() {
    let of_a = |container: Value| {
        let mut own = json!({"name": "a", "image": "i", "memory": 64});
        crate::documents::overlay::merge_patch(&mut own, &container);
        json!({"family": "f", "networkMode": "bridge", "containerDefinitions": [own, {"name": "b", "image": "i", "memory": 64}]})
    };
    let of_the_task = |fields: Value| {
        let mut input = of_a(json!({}));
        crate::documents::overlay::merge_patch(&mut input, &fields);
        input
    };
    let port = |fields: Value| {
        let mut mapping = json!({"containerPort": 80});
        crate::documents::overlay::merge_patch(&mut mapping, &fields);
        of_a(json!({"portMappings": [mapping]}))
    };
    let efs = |efs: Value| of_the_task(json!({"volumes": [{"name": "v", "efsVolumeConfiguration": efs}]}));
    let limit = |name: &str| of_a(json!({"ulimits": [{"name": name, "softLimit": 1, "hardLimit": 1}]}));
    let restart =
        |period: i64| of_a(json!({"restartPolicy": {"enabled": true, "restartAttemptPeriod": period}}));
    let first = "containerDefinitions[0]";
    for (wrong, field, right) in [
        (
            of_a(json!({"logConfiguration": {"logDriver": "cloudwatch"}})),
            format!("{first}.logConfiguration.logDriver"),
            of_a(json!({"logConfiguration": {"logDriver": "journald"}})),
        ),
        (
            of_a(json!({"dependsOn": [{"containerName": "b", "condition": "RUNNING"}]})),
            format!("{first}.dependsOn[0].condition"),
            of_a(json!({"dependsOn": [{"containerName": "b", "condition": "START"}]})),
        ),
        (
            port(json!({"protocol": "sctp"})),
            format!("{first}.portMappings[0].protocol"),
            port(json!({"protocol": "udp"})),
        ),
        (
            port(json!({"appProtocol": "https"})),
            format!("{first}.portMappings[0].appProtocol"),
            port(json!({"appProtocol": "grpc"})),
        ),
        (
            port(json!({"name": "Web"})),
            format!("{first}.portMappings[0].name"),
            port(json!({"name": "0_web-1"})),
        ),
        (
            port(json!({"name": "-web"})),
            format!("{first}.portMappings[0].name"),
            port(json!({"name": "w".repeat(64)})),
        ),
        (
            port(json!({"name": "w".repeat(65)})),
            format!("{first}.portMappings[0].name"),
            port(json!({"name": ""})),
        ),
        (
            of_the_task(json!({"pidMode": "none"})),
            "pidMode".to_owned(),
            of_the_task(json!({"pidMode": "task"})),
        ),
        (
            of_the_task(json!({"ipcMode": "shared"})),
            "ipcMode".to_owned(),
            of_the_task(json!({"ipcMode": "none"})),
        ),
        (
            of_the_task(json!({"placementConstraints": [{"type": "distinctInstance"}]})),
            "placementConstraints[0].type".to_owned(),
            of_the_task(json!({"placementConstraints": [{"type": "memberOf", "expression": "x"}]})),
        ),
        (
            of_a(json!({"resourceRequirements": [{"type": "gpu", "value": "1"}]})),
            format!("{first}.resourceRequirements[0].type"),
            of_a(json!({"resourceRequirements": [{"type": "NeuronDevice", "value": "1"}]})),
        ),
        (
            of_a(
                json!({"firelensConfiguration": {"type": "vector"}, "logConfiguration": {"logDriver": "awsfirelens"}}),
            ),
            format!("{first}.firelensConfiguration.type"),
            of_a(
                json!({"firelensConfiguration": {"type": "fluentd"}, "logConfiguration": {"logDriver": "awsfirelens"}}),
            ),
        ),
        (
            of_a(json!({"versionConsistency": "on"})),
            format!("{first}.versionConsistency"),
            of_a(json!({"versionConsistency": "disabled"})),
        ),
        (limit("open-files"), format!("{first}.ulimits[0].name"), limit("nofile")),
        (restart(59), format!("{first}.restartPolicy.restartAttemptPeriod"), restart(60)),
        (restart(1801), format!("{first}.restartPolicy.restartAttemptPeriod"), restart(1800)),
        (
            fargate(&json!({"containerDefinitions": [{"name": "a", "image": "i", "hostname": "h"}]})),
            format!("{first}.hostname"),
            of_a(json!({"hostname": "h"})),
        ),
        (
            efs(json!({"fileSystemId": "fs", "authorizationConfig": {"iam": "ENABLED"}})),
            "volumes[0].efsVolumeConfiguration.authorizationConfig.iam".to_owned(),
            efs(
                json!({"fileSystemId": "fs", "transitEncryption": "ENABLED", "authorizationConfig": {"iam": "ENABLED"}}),
            ),
        ),
        (
            efs(
                json!({"fileSystemId": "fs", "transitEncryption": "DISABLED", "authorizationConfig": {"iam": "ENABLED"}}),
            ),
            "volumes[0].efsVolumeConfiguration.authorizationConfig.iam".to_owned(),
            efs(json!({"fileSystemId": "fs", "authorizationConfig": {"iam": "DISABLED"}})),
        ),
        (
            efs(json!({"fileSystemId": "fs", "transitEncryption": "on"})),
            "volumes[0].efsVolumeConfiguration.transitEncryption".to_owned(),
            efs(json!({"fileSystemId": "fs", "transitEncryption": "DISABLED"})),
        ),
        (
            of_the_task(json!({"tags": [{"key": "team", "value": "a"}, {"key": "team", "value": "b"}]})),
            "tags[1].key".to_owned(),
            of_the_task(json!({"tags": [{"key": "team", "value": "a"}, {"key": "Team", "value": "a"}]})),
        ),
    ] {
        let found: Vec<(Severity, String)> = of(&wrong, &BTreeSet::new())
            .into_iter()
            .map(|complaint| (complaint.severity, complaint.path))
            .collect();
        assert_eq!(found, [(Severity::Error, field)], "{wrong}");
        assert_eq!(said(&right), Vec::<String>::new());
    }
    let new = of_a(json!({"resourceRequirements": [{"type": "TPU", "value": "1"}]}));
    let severities: Vec<Severity> =
        of(&new, &BTreeSet::new()).into_iter().map(|complaint| complaint.severity).collect();
    assert_eq!(severities, [Severity::Warning]);
}
