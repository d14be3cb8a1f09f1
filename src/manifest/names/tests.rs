//! Each pattern by what it takes and what it refuses, to the last letter of its bounds.

use super::*;

/// What each kind may be, and what looks like it and is not.
#[test]
fn every_kind_of_name_is_what_aws_lets_it_be() {
    let role = "arn:aws:iam::123456789012:role/";
    let group = "arn:aws:elasticloadbalancing:eu-west-2:123456789012:targetgroup/api/73e2d6bc24d8a067";
    let listener = "arn:aws:elasticloadbalancing:eu-west-2:123456789012:listener/app/mco/50dc6c495c0c9188/f2f7dc8efc522ab2";
    let rule = &format!("{}/9683b2d02a6cabee", listener.replace(":listener/", ":listener-rule/"));
    let long = |count: usize| "a".repeat(count);
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    let other_digest = |letter: &str| format!("sha256:{}", letter.repeat(64));
    let all: &[(&[NameKind], &[&str], &[&str])] = &[
        (
            &[NameKind::Account],
            &["123456789012"],
            &["", "12345678901", "1234567890123", "12345678901a", "*", "１２３４５６７８９０１２"],
        ),
        (
            &[NameKind::Region],
            &[
                "eu-west-2",
                "us-gov-west-1",
                "ap-southeast-3",
                "us-isob-east-1",
                "eusc-de-east-1",
                "il-central-1",
                "us-east-10",
                "us-iso-gov-east-1",
                &format!("{}-{}-1", long(11), long(11)),
            ],
            &[
                "",
                "*",
                "evil.com/#",
                "eu-west",
                "eu-west-2.evil",
                "EU-WEST-2",
                "eu-west-2 ",
                "-west-2",
                "eu--2",
                "eu-west-222",
                "a-b-1",
                "eu-west-2\n",
                "eu-west-",
                "eu1-west-2",
                "eu-2",
                "us-aa-bb-cc-dd-1",
                &format!("{}-{}-1", long(11), long(12)),
            ],
        ),
        (
            &[
                NameKind::Cluster,
                NameKind::Service,
                NameKind::Family,
                NameKind::Container,
                NameKind::CapacityProvider,
            ],
            &["a", "mco-api_2", "_x", "2048", &long(255)],
            &[
                "",
                "*",
                "-rf",
                "--",
                "a b",
                "a/b",
                "a.b",
                "a:1",
                "a~b",
                "ü",
                "a\u{202e}b",
                "a\n",
                "${x}",
                "arn:aws:ecs:eu-west-2:123456789012:cluster/mco",
                "mco-{env}",
                &long(256),
            ],
        ),
        (
            &[NameKind::Repository],
            &["mco/api", "a1", "a.b", "a__b", "a---b/c_d", &long(256)],
            &[
                "",
                "a",
                "*",
                "Mco/api",
                "mco//api",
                "/api",
                "api/",
                "a..b",
                "a___b",
                "a._b",
                "a-.b",
                "-a",
                "a-",
                "a:b",
                "123456789012.dkr.ecr.eu-west-2.amazonaws.com/mco/api",
                "../api",
                &long(257),
            ],
        ),
        (
            &[NameKind::Tag],
            &["test", "_x", "v1.10.20", "A-b", &long(128)],
            &["", ".a", "-a", "a:b", "a/b", "a b", "a~b", "*", "ü", &long(129)],
        ),
        (
            &[NameKind::Digest],
            &[&digest],
            &[
                "",
                "sha256:",
                "sha256:a",
                &digest[7..],
                &format!("{digest}0"),
                &other_digest("A"),
                &other_digest("g"),
            ],
        ),
        (
            &[NameKind::RoleArn],
            &[
                &format!("{role}api"),
                &format!("{role}teams/a/api"),
                "arn:aws-us-gov:iam::123456789012:role/a+=,.@-_",
                &format!("{role}{}", long(64)),
                &format!("{role}a_+=,.@-b/a"),
                &format!("{role}{}/a", long(512)),
                &format!("{role}{}/{}/{}", long(300), long(210), long(64)),
            ],
            &[
                "",
                "*",
                role,
                "arn:aws:iam::*:role/*",
                &format!("{role}*"),
                &format!("{role}a?"),
                &format!("{role}${{aws:username}}"),
                "arn:aws:iam::123456789012:user/a",
                "arn:aws:iam::123456789012:root",
                "arn:aws:sts::123456789012:assumed-role/a/b",
                &format!("{role}/a"),
                &format!("{role}a/"),
                &format!("{role}a//b"),
                &format!("{role}{}", long(65)),
                "arn:aws:iam:eu-west-2:123456789012:role/a",
                "arn:*:iam::123456789012:role/a",
                "arn:aws-:iam::123456789012:role/a",
                "arn:aws-US:iam::123456789012:role/a",
                "arm:aws:iam::123456789012:role/a",
                "arn:aws:ecs::123456789012:role/a",
                "arn:aws:iam::12345678901:role/a",
                &format!("{role}a~b/a"),
                &format!("{role}{}/a", long(513)),
                &format!("{role}{}/{}/{}", long(300), long(211), long(64)),
                "a/b",
            ],
        ),
        (
            &[NameKind::Role],
            &["ecsTaskExecutionRole", &format!("{role}api")],
            &["", "a/b", "*", "a?", "a~b", &format!("{role}*")],
        ),
        (
            &[NameKind::CodeDeployApplication, NameKind::CodeDeployGroup, NameKind::CodeDeployConfiguration],
            &["API", "DgpECS-mco-api", "CodeDeployDefault.ECSAllAtOnce", "a+=,@._-", &long(100)],
            &["", "*", "a b", "a/b", "a:b", "a~b", "-a", &long(101)],
        ),
        (
            &[NameKind::TargetGroup],
            &["mco-api-1", &long(32)],
            &["", "-a", "a-", "a_b", "a~b", "*", group, &long(33)],
        ),
        (
            &[NameKind::TargetGroupArn],
            &[
                group,
                &group.replace("/api/", "/mco-api/"),
                &group.replace("/api/", &format!("/{}/", long(64))),
            ],
            &[
                "",
                "api",
                &group.replace("/api/", "/a~b/"),
                &group.replace("/api/", &format!("/{}/", long(65))),
                &group.replace("/api/", "/"),
                &group.replace("elasticloadbalancing", "ecs"),
                &group.replace("123456789012", "1"),
                listener,
                &format!("{group}/x"),
                &group.replace("api", "*"),
                &group.replace("eu-west-2", ""),
            ],
        ),
        (
            &[NameKind::ListenerArn],
            &[listener, &listener.replace("/app/", "/net/")],
            &["", "l", group, rule, &listener.replace("mco", "*"), &format!("{listener}\n")],
        ),
        (&[NameKind::ListenerRuleArn], &[rule, listener], &["", group, &format!("{rule}/x")]),
        (
            &[NameKind::RegistryArn],
            &["arn:aws:servicediscovery:eu-west-2:123456789012:service/srv-utcrh6wavdkggqtk"],
            &[
                "",
                "x",
                "srv-utcrh6wavdkggqtk",
                "arn:aws:servicediscovery:eu-west2:123456789012:service/srv-a",
                "arn:aws:servicediscovery:eu-west-2:123456789012:namespace/ns-a",
                "arn:aws:servicediscovery:eu-west-2:123456789012:service/",
                group,
            ],
        ),
        (
            &[NameKind::Alarm],
            &["errors of the API, 5 %", &"ü".repeat(255)],
            &["", "a\u{7}", "a\nb", &long(256)],
        ),
        (
            &[NameKind::Function],
            &[
                "CheckTraffic_2",
                "check-prod-1",
                "check:live",
                "check:$LATEST",
                "function:check",
                "123456789012:function:check",
                "eu-west-2:123456789012:function:check:3",
                "arn:aws:lambda:eu-west-2:123456789012:function:check",
                "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:check:live",
                &long(64),
            ],
            &[
                "",
                "a b",
                "check!",
                "a:b:c",
                "check:",
                "scripts/check.sh",
                "https://example.com/check",
                "arn:aws:lambda:eu-west-2:123456789012:check",
                "arn:aws:lambda:eu-west-2::function:check",
                "arn:aws:lambda:123456789012:function:check",
                "arn:aws:lambda:eu-west-2:123456789012:layer:check",
                "arn:aws:lambda:eu-west-2:123456789012:function:*",
                "arn:aws:states:eu-west-2:123456789012:function:check",
                "arn:aws:iam::123456789012:role/check",
                "arn:aws:lambda:x:y:function:check",
                "x:function:check",
                &long(257),
            ],
        ),
        (
            &[NameKind::Image],
            &["nginx", "public.ecr.aws/x/y:1.2", "r/a@sha256:00", "localhost:5000/a-b_c#d", &long(1024)],
            &["", "a b", "<REPO>", "a$x", "a~b", "a{b}", &long(1025)],
        ),
        (
            &[NameKind::LogGroup],
            &["/ecs/api", "a.b#c_d-e", &long(512)],
            &["", "a b", "[x]", "@a@", "a:b", "a~b", &long(513)],
        ),
        (
            &[NameKind::ParameterOrSecret],
            &[
                "/mco/api/a.b-c_d",
                "KEY",
                "arn:aws:secretsmanager:eu-west-2:1:secret:a-AbCdEf:user name::",
                &long(2048),
            ],
            &[
                "",
                "< KEY >",
                "a b",
                "a~b",
                "arn a",
                "[[KEY]]",
                &long(2049),
                "arn:aws:secretmanager:eu-west-2:123456789012:secret:a-AbCdEf",
                "arn:aws:secretsmanager:eu-west2:123456789012:secret:a-AbCdEf",
                "arn:aws:ssm::123456789012:parameter/a",
                "arn:aws:ssm",
            ],
        ),
        (
            &[NameKind::FileSystem],
            &[
                "fs-12345678",
                "fs-0123456789abcdef0",
                &format!("fs-{}", long(40)),
                "arn:aws:elasticfilesystem:eu-west-2:1:file-system/fs-12345678",
            ],
            &[
                "",
                "fs-",
                "fs-1234567",
                "12345678",
                "fs-xyzxyzxy",
                "file-system/fs-12345678",
                "@FS@",
                &format!("fs-{}", long(41)),
            ],
        ),
        (
            &[NameKind::TagKey],
            &["cost center", "a:b/c=d+e-f@g_h.i", "Köln", &"ü".repeat(128)],
            &["", "a*", "a\nb", "a;b", &long(129)],
        ),
        (&[NameKind::TagValue], &["", "42", &long(256)], &["*", "{}", &long(257)]),
    ];
    for (kinds, good, bad) in all {
        for kind in *kinds {
            for name in *good {
                assert!(kind.allows(name), "{kind:?} {name:?}");
            }
            for name in *bad {
                assert!(!kind.allows(name), "{kind:?} {name:?}");
            }
        }
    }
}

#[test]
fn a_wrong_name_is_repeated_safely_and_with_what_was_meant() {
    let said = |kind: NameKind, name: &str| {
        let (message, hint) = kind.complaint(name);
        format!("{message} | {hint}")
    };
    assert_eq!(
        said(NameKind::Account, "1\u{1b}[2J\u{202e}"),
        "`1\\u{1b}[2J\\u{202e}` cannot be an AWS account | twelve digits"
    );
    assert_eq!(
        said(NameKind::Service, "api-{env}"),
        format!("`api-{{env}}` cannot be an ECS service | only `{{environment}}` is replaced; {ECS}")
    );
    // What was meant, in front of what it may be.
    let meant = |kind: NameKind, name: &str| {
        let (_, hint) = kind.complaint(name);
        hint.strip_suffix(kind.rule().pattern).map(str::to_owned)
    };
    let registry = "write the repository's name alone; where its registry is goes under `registry`; ";
    for (kind, name, expected) in [
        (NameKind::Service, "a{b", "only `{environment}` is replaced; "),
        (NameKind::Service, "a}b", "only `{environment}` is replaced; "),
        (NameKind::Service, "a<b", "placeholders `<NAME>` are filled in files only; "),
        (NameKind::Service, "a>b", "placeholders `<NAME>` are filled in files only; "),
        (NameKind::Cluster, "arn:aws:ecs:x:y:cluster/a", "write the name alone, not the ARN; "),
        (NameKind::Role, "arn:aws:iam::1:role/a", ""),
        (NameKind::RoleArn, "arn:aws:iam::1:role/a", ""),
        (NameKind::TargetGroupArn, "arn:aws:ecs:x:y:cluster/a", ""),
        (NameKind::ListenerArn, "arn:aws:ecs:x:y:cluster/a", ""),
        (NameKind::ListenerRuleArn, "arn:aws:ecs:x:y:cluster/a", ""),
        (NameKind::Repository, "1.dkr.ecr.r.amazonaws.com/a", registry),
        (NameKind::Cluster, "1.dkr.ecr.r.amazonaws.com/a", ""),
        (NameKind::Repository, "A", ""),
        (NameKind::Tag, "test ", "there is white space around it; "),
    ] {
        assert_eq!(meant(kind, name).as_deref(), Some(expected), "{kind:?} {name}");
    }
    assert_eq!(repeated(&"a".repeat(80)), "a".repeat(80));
    assert_eq!(repeated(&"a".repeat(81)), format!("{}…", "a".repeat(80)));
    let long = said(NameKind::Tag, &"ab".repeat(10_000));
    assert!(long.starts_with(&format!("`{}…`", "ab".repeat(40))), "{long}");
}
