use serde_json::{Value, json};

use super::*;
use crate::faults::Fault;

const HUB: &str = "123456789012";
const SPOKE: &str = "210987654321";
const HERE: &str = "eu-west-2";

fn cloud() -> Cloud {
    let mut cloud = Cloud::around(Arc::new(Mutex::new(World::new(HUB, HERE))));
    cloud.create_role(Role::new(SPOKE, "trueup", HUB));
    cloud
}

fn role(name: &str) -> String {
    format!("arn:aws:iam::{SPOKE}:role/{name}")
}

/// Somebody of the hub.
fn hub(region: &str) -> Signature {
    Signature { access_key: "AKIA".to_owned(), token: None, region: region.to_owned() }
}

fn assume(cloud: &mut Cloud, by: &Signature, more: &Value) -> Answer {
    let mut input = json!({"RoleArn": role("trueup"), "RoleSessionName": "trueup"});
    for (key, value) in more.as_object().unwrap() {
        input[key] = value.clone();
    }
    cloud.call(Some(by), Api::Sts, "AssumeRole", &input)
}

fn session(cloud: &mut Cloud, region: &str) -> Signature {
    signature(&assume(cloud, &hub(HERE), &json!({})).unwrap(), region)
}

fn signature(assumed: &Value, region: &str) -> Signature {
    let part = |key: &str| assumed["Credentials"][key].as_str().unwrap().to_owned();
    Signature {
        access_key: part("AccessKeyId"),
        token: Some(part("SessionToken")),
        region: region.to_owned(),
    }
}

fn clusters(cloud: &mut Cloud, by: &Signature) -> usize {
    let listed = cloud.call(Some(by), Api::Ecs, "ListClusters", &json!({})).unwrap();
    listed["clusterArns"].as_array().unwrap().len()
}

fn code(answer: Answer) -> String {
    answer.unwrap_err().code
}

#[test]
fn each_account_and_region_is_apart() {
    let mut cloud = cloud();
    let places = [
        hub(HERE),
        hub("us-east-1"),
        session(&mut cloud, HERE),
        session(&mut cloud, "us-east-1"),
        Signature { access_key: "333333333333".to_owned(), ..hub(HERE) },
    ];
    for (place, expected) in places.iter().zip(1_usize..) {
        for number in 0..expected {
            let name = json!({"clusterName": format!("cluster-{number}")});
            cloud.call(Some(place), Api::Ecs, "CreateCluster", &name).unwrap();
        }
    }
    for (place, expected) in places.iter().zip(1_usize..) {
        assert_eq!(clusters(&mut cloud, place), expected, "{place:?}");
    }
    // Who does not sign is in the first account and region.
    let listed = cloud.call(None, Api::Ecs, "ListClusters", &json!({})).unwrap();
    assert_eq!(listed["clusterArns"], json!([format!("arn:aws:ecs:{HERE}:{HUB}:cluster/cluster-0")]));
}

#[test]
fn whoever_has_assumed_a_role_is_told_so() {
    let mut cloud = cloud();
    cloud.create_role(Role::new(SPOKE, "ops/deployer", HUB));
    let assumed = assume(&mut cloud, &hub(HERE), &json!({"RoleArn": role("ops/deployer")})).unwrap();
    let arn = format!("arn:aws:sts::{SPOKE}:assumed-role/deployer/trueup");
    assert_eq!(assumed["AssumedRoleUser"]["Arn"], arn);
    assert_eq!(assumed["Credentials"]["Expiration"].as_str().unwrap().get(..17), Some("2026-01-01T01:00:"));
    let by = signature(&assumed, "us-east-1");
    let identity = cloud.call(Some(&by), Api::Sts, "GetCallerIdentity", &json!({})).unwrap();
    assert_eq!((&identity["Account"], &identity["Arn"]), (&json!(SPOKE), &json!(arn)));
    assert_eq!(identity["UserId"], assumed["AssumedRoleUser"]["AssumedRoleId"]);
    let world = cloud.world(SPOKE, "us-east-1").unwrap();
    locked(&world).inject(Fault::Deny { operation: "*".to_owned(), times: 1 });
    let denied = cloud.call(Some(&by), Api::Ecs, "ListClusters", &json!({})).unwrap_err();
    assert!(denied.message.starts_with(&format!("User: {arn} is not authorized")), "{}", denied.message);
}

#[test]
fn a_role_is_assumed_by_those_that_it_trusts_with_its_external_id() {
    let mut cloud = cloud();
    cloud.create_role(Role {
        external_id: Some("mco/ecs".to_owned()),
        longest_session: 7200,
        ..Role::new(SPOKE, "guarded", HUB)
    });
    cloud.create_role(Role::new(HUB, "own", HUB));
    let other = Signature { access_key: "333333333333".to_owned(), ..hub(HERE) };
    let guarded = |more: Value| {
        let mut input = json!({"RoleArn": role("guarded")});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let long = "x".repeat(1300);
    for (by, more, expected) in [
        (hub(HERE), json!({}), None),
        (hub(HERE), json!({"ExternalId": "whatever"}), None),
        (hub(HERE), json!({"RoleArn": format!("arn:aws:iam::{HUB}:role/own")}), None),
        (hub(HERE), guarded(json!({"ExternalId": "mco/ecs", "DurationSeconds": "7200"})), None),
        (hub(HERE), guarded(json!({})), Some("AccessDenied")),
        (hub(HERE), guarded(json!({"ExternalId": "mco/ecS"})), Some("AccessDenied")),
        (hub(HERE), guarded(json!({"ExternalId": long})), Some("ValidationError")),
        (other, json!({}), Some("AccessDenied")),
        (hub(HERE), json!({"RoleArn": role("nobody")}), Some("AccessDenied")),
        (hub(HERE), json!({"RoleArn": role("path/trueup")}), Some("AccessDenied")),
        (hub(HERE), json!({"DurationSeconds": "899"}), Some("ValidationError")),
        (hub(HERE), json!({"DurationSeconds": "3601"}), Some("ValidationError")),
        (hub(HERE), json!({"RoleSessionName": "with space"}), Some("ValidationError")),
        (hub(HERE), json!({"RoleSessionName": null}), Some("ValidationError")),
    ] {
        let answer = assume(&mut cloud, &by, &more);
        assert_eq!(answer.as_ref().err().map(|error| error.code.as_str()), expected, "{more}: {answer:?}");
    }
    let denied = assume(&mut cloud, &hub(HERE), &guarded(json!({}))).unwrap_err();
    let who = format!("arn:aws:iam::{HUB}:user/simulator");
    let said =
        format!("User: {who} is not authorized to perform: sts:AssumeRole on resource: {}", role("guarded"));
    assert_eq!((denied.message, denied.status), (said, 403));
}

#[test]
fn a_session_assumes_a_role_that_trusts_its_own_for_an_hour_at_most() {
    let mut cloud = cloud();
    cloud.create_role(Role {
        longest_session: 43_200,
        trusts: vec![role("trueup")],
        ..Role::new("333333333333", "next", HUB)
    });
    let by = session(&mut cloud, HERE);
    let next =
        |seconds: &str| json!({"RoleArn": "arn:aws:iam::333333333333:role/next", "DurationSeconds": seconds});
    assert_eq!(code(assume(&mut cloud, &by, &next("3601"))), "ValidationError");
    assume(&mut cloud, &by, &next("3600")).unwrap();
    assert_eq!(code(assume(&mut cloud, &hub(HERE), &next("3600"))), "AccessDenied");
}

#[test]
fn credentials_of_a_session_are_good_until_they_expire_whatever_becomes_of_the_role() {
    let mut cloud = cloud();
    let by = session(&mut cloud, HERE);
    assert!(cloud.delete_role(SPOKE, "trueup"));
    assert!(!cloud.delete_role(SPOKE, "trueup"));
    cloud.advance(3599);
    assert_eq!(clusters(&mut cloud, &by), 0);
    assert_eq!(code(assume(&mut cloud, &hub(HERE), &json!({}))), "AccessDenied");
    cloud.advance(1);
    for (api, operation, expected) in
        [(Api::Ecs, "ListClusters", "ExpiredTokenException"), (Api::Sts, "GetCallerIdentity", "ExpiredToken")]
    {
        assert_eq!(code(cloud.call(Some(&by), api, operation, &json!({}))), expected);
    }
}

#[test]
fn credentials_that_nobody_handed_out_are_no_ones() {
    let mut cloud = cloud();
    let by = session(&mut cloud, HERE);
    for wrong in [
        Signature { token: None, ..by.clone() },
        Signature { token: Some("other".to_owned()), ..by.clone() },
        Signature { access_key: "ASIA9999999999999999".to_owned(), ..by },
    ] {
        let refused = cloud.call(Some(&wrong), Api::Ecs, "ListClusters", &json!({})).unwrap_err();
        assert_eq!((refused.code.as_str(), refused.status), ("UnrecognizedClientException", 400));
        let refused = cloud.call(Some(&wrong), Api::Sts, "GetCallerIdentity", &json!({})).unwrap_err();
        assert_eq!((refused.code.as_str(), refused.status), ("InvalidClientTokenId", 403));
    }
}

#[test]
fn a_region_that_an_account_has_not_enabled_knows_none_of_its_credentials() {
    let mut cloud = cloud();
    let by = session(&mut cloud, "eu-south-1");
    cloud.set_region(SPOKE, "eu-south-1", false);
    let list = |cloud: &mut Cloud, by: &Signature| cloud.call(Some(by), Api::Ecs, "ListClusters", &json!({}));
    assert_eq!(code(list(&mut cloud, &by)), "UnrecognizedClientException");
    assert!(list(&mut cloud, &hub("eu-south-1")).is_ok());
    // What counts is where the caller is at home, not the role.
    assert!(assume(&mut cloud, &hub("eu-south-1"), &json!({})).is_ok());
    cloud.set_region(HUB, "eu-south-1", false);
    let refused = assume(&mut cloud, &hub("eu-south-1"), &json!({})).unwrap_err();
    assert_eq!((refused.code.as_str(), refused.status), ("RegionDisabledException", 403));
    assert!(refused.message.contains(&format!("for account:{HUB}.")), "{}", refused.message);
    cloud.set_region(SPOKE, "eu-south-1", true);
    assert!(list(&mut cloud, &by).is_ok());
    for region in ["nowhere", "eu-west", "EU-WEST-2", "eu-west-2.evil", ""] {
        assert_eq!(code(list(&mut cloud, &hub(region))), "InvalidSignatureException", "{region}");
    }
}

#[test]
fn there_are_only_so_many_worlds() {
    let mut cloud = cloud();
    let made = (0..1000).filter(|number| cloud.world(&format!("{number:012}"), HERE).is_some()).count();
    assert_eq!(made, MOST_WORLDS - 1);
}

#[test]
fn rates_and_faults_are_those_of_one_account_and_region() {
    let mut cloud = cloud();
    cloud.set_rates(Rates::Published);
    let by = session(&mut cloud, HERE);
    let list = |cloud: &mut Cloud, by: &Signature| cloud.call(Some(by), Api::Ecs, "ListClusters", &json!({}));
    for _ in 0..50 {
        list(&mut cloud, &by).unwrap();
    }
    assert_eq!(code(list(&mut cloud, &by)), "ThrottlingException");
    for elsewhere in [hub(HERE), Signature { region: "us-east-1".to_owned(), ..by.clone() }] {
        list(&mut cloud, &elsewhere).unwrap();
    }
    cloud.advance(1);
    list(&mut cloud, &by).unwrap();
    let spoke = cloud.world(SPOKE, HERE).unwrap();
    locked(&spoke).inject(Fault::Deny { operation: "*".to_owned(), times: 1 });
    list(&mut cloud, &hub(HERE)).unwrap();
    assert_eq!(code(list(&mut cloud, &by)), "AccessDeniedException");
    // Calls of STS meet those of the caller.
    locked(&cloud.home()).inject(Fault::Throttle { operation: "AssumeRole".to_owned(), times: 1 });
    assert_eq!(code(assume(&mut cloud, &hub(HERE), &json!({}))), "Throttling");
    assert_eq!(locked(&cloud.home()).calls("AssumeRole"), 2);
}

#[test]
fn there_is_one_time_for_all() {
    let mut cloud = cloud();
    let spoke = cloud.world(SPOKE, HERE).unwrap();
    cloud.advance(100);
    let times = |cloud: &Cloud| (locked(&cloud.home()).now(), locked(&spoke).now());
    assert_eq!(times(&cloud).0, times(&cloud).1);
    locked(&cloud.home()).advance(7);
    cloud.call(None, Api::Ecs, "ListClusters", &json!({})).unwrap();
    assert_eq!(times(&cloud).0, times(&cloud).1);
}

/// Another account's repository `mco/api` in this region with one image; its digest.
fn shelve(cloud: &mut Cloud, by: &Signature) -> String {
    let mut ecr = |operation: &str, input: Value| cloud.call(Some(by), Api::Ecr, operation, &input).unwrap();
    ecr("CreateRepository", json!({"repositoryName": "mco/api"}));
    let manifest = json!({"schemaVersion": 2, "layers": []}).to_string();
    let put = ecr(
        "PutImage",
        json!({"repositoryName": "mco/api", "imageManifest": manifest, "imageTag": "aaaaaaa"}),
    );
    put["image"]["imageId"]["imageDigest"].as_str().unwrap().to_owned()
}

fn set_policy(cloud: &mut Cloud, by: &Signature, statements: &Value) -> Answer {
    let text = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    let input = json!({"repositoryName": "mco/api", "policyText": text});
    cloud.call(Some(by), Api::Ecr, "SetRepositoryPolicy", &input)
}

#[test]
fn a_repository_lets_another_account_do_what_its_policy_says() {
    let mut cloud = cloud();
    let spoke = session(&mut cloud, HERE);
    shelve(&mut cloud, &hub(HERE));
    let statement = |more: &Value| {
        let mut statement = json!({"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{SPOKE}:root")},
            "Action": ["ecr:BatchGetImage", "ecr:Describe*"]});
        for (key, value) in more.as_object().unwrap() {
            statement[key] = value.clone();
        }
        statement
    };
    let allow = statement(&json!({}));
    let deny = statement(&json!({"Effect": "Deny", "Principal": "*", "Action": "ecr:BatchGetImage"}));
    for (statements, expected) in [
        (json!([]), [false, false]),
        (json!([allow]), [true, true]),
        (allow.clone(), [true, true]),
        (json!([statement(&json!({"Principal": "*"}))]), [true, true]),
        (json!([statement(&json!({"Principal": {"AWS": SPOKE}}))]), [true, true]),
        (json!([statement(&json!({"Principal": {"AWS": role("trueup")}}))]), [true, true]),
        (json!([statement(&json!({"Principal": {"AWS": role("other")}}))]), [false, false]),
        (json!([statement(&json!({"Principal": {"AWS": "333333333333"}}))]), [false, false]),
        (json!([statement(&json!({"Principal": {"Service": "ecs.amazonaws.com"}}))]), [false, false]),
        (json!([statement(&json!({"Action": "ecr:BatchGetImage"}))]), [true, false]),
        (json!([statement(&json!({"Action": "ecr:*"}))]), [true, true]),
        (
            json!([statement(&json!({"Condition": {"Bool": {"aws:SecureTransport": "true"}}}))]),
            [false, false],
        ),
        (json!([allow, deny]), [false, true]),
    ] {
        set_policy(&mut cloud, &hub(HERE), &statements).unwrap();
        let of = |operation, more: Value| (operation, json!({"registryId": HUB}), more);
        let calls = [
            of("BatchGetImage", json!({"repositoryName": "mco/api", "imageIds": [{"imageTag": "aaaaaaa"}]})),
            of("DescribeRepositories", json!({"repositoryNames": ["mco/api"]})),
        ];
        let found = calls.map(|(operation, mut input, more)| {
            input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let answer = cloud.call(Some(&spoke), Api::Ecr, operation, &input);
            if let Err(error) = &answer {
                assert_eq!(error.code, "AccessDeniedException");
                let arn = format!("arn:aws:ecr:{HERE}:{HUB}:repository/mco/api");
                assert!(error.message.contains(&arn), "{}", error.message);
            }
            answer.is_ok()
        });
        assert_eq!(found, expected, "{statements}");
    }
    // Not even with a policy for all there is a list of everything.
    let all = cloud.call(Some(&spoke), Api::Ecr, "DescribeRepositories", &json!({"registryId": HUB}));
    assert_eq!(code(all), "AccessDeniedException");
}

#[test]
fn a_repository_policy_is_set_told_and_deleted() {
    let mut cloud = cloud();
    shelve(&mut cloud, &hub(HERE));
    let named = json!({"repositoryName": "mco/api"});
    let ecr = |cloud: &mut Cloud, operation: &str| cloud.call(None, Api::Ecr, operation, &named);
    assert_eq!(code(ecr(&mut cloud, "GetRepositoryPolicy")), "RepositoryPolicyNotFoundException");
    for wrong in [json!("text"), json!([{}]), json!([{"Effect": "Maybe", "Principal": "*", "Action": "*"}])] {
        assert_eq!(code(set_policy(&mut cloud, &hub(HERE), &wrong)), "InvalidParameterException", "{wrong}");
    }
    let set = set_policy(&mut cloud, &hub(HERE), &json!([])).unwrap();
    assert_eq!(ecr(&mut cloud, "GetRepositoryPolicy").unwrap(), set);
    assert_eq!(ecr(&mut cloud, "DeleteRepositoryPolicy").unwrap(), set);
    assert_eq!(code(ecr(&mut cloud, "DeleteRepositoryPolicy")), "RepositoryPolicyNotFoundException");
}

#[test]
fn calls_of_a_registry_count_where_it_is() {
    let mut cloud = cloud();
    cloud.set_rates(Rates::Published);
    let spoke = session(&mut cloud, HERE);
    shelve(&mut cloud, &hub(HERE));
    let list = json!({"repositoryName": "mco/api"});
    while cloud.call(None, Api::Ecr, "DescribeImages", &list).is_ok() {}
    let of = json!({"repositoryName": "mco/api", "registryId": HUB});
    assert_eq!(code(cloud.call(Some(&spoke), Api::Ecr, "DescribeImages", &of)), "ThrottlingException");
    let own = json!({"repositoryName": "mco/api", "registryId": SPOKE});
    assert_eq!(
        code(cloud.call(Some(&spoke), Api::Ecr, "DescribeImages", &own)),
        "RepositoryNotFoundException"
    );
}

#[test]
fn a_task_pulls_from_another_account_by_its_policy_and_from_another_region_of_its_own() {
    let mut cloud = cloud();
    let spoke = session(&mut cloud, HERE);
    let there = Signature { region: "us-east-1".to_owned(), ..spoke.clone() };
    shelve(&mut cloud, &hub(HERE));
    shelve(&mut cloud, &there);
    let pull = json!({"Effect": "Allow", "Principal": {"AWS": SPOKE},
        "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]});
    let half = json!({"Effect": "Allow", "Principal": {"AWS": SPOKE}, "Action": "ecr:BatchGetImage"});
    let ecs = |cloud: &mut Cloud, operation: &str, input: Value| {
        cloud.call(Some(&spoke), Api::Ecs, operation, &input).unwrap()
    };
    ecs(&mut cloud, "CreateCluster", json!({"clusterName": "mco"}));
    let images = [format!("{HUB}.dkr.ecr.{HERE}"), format!("{SPOKE}.dkr.ecr.us-east-1")];
    for (number, (image, statements, runs)) in [
        (&images[0], json!([]), 0),
        (&images[0], json!([half]), 0),
        (&images[0], json!([pull]), 1),
        (&images[1], json!([]), 1),
    ]
    .into_iter()
    .enumerate()
    {
        set_policy(&mut cloud, &hub(HERE), &statements).unwrap();
        let name = format!("service-{number}");
        let image = format!("{image}.amazonaws.com/mco/api:aaaaaaa");
        let containers = json!([{"name": "api", "image": image, "memory": 64}]);
        ecs(
            &mut cloud,
            "RegisterTaskDefinition",
            json!({"family": name, "containerDefinitions": containers}),
        );
        let service =
            json!({"cluster": "mco", "serviceName": name, "taskDefinition": name, "desiredCount": 1});
        ecs(&mut cloud, "CreateService", service);
        cloud.advance(60);
        let described = ecs(&mut cloud, "DescribeServices", json!({"cluster": "mco", "services": [name]}));
        assert_eq!(described["services"][0]["runningCount"], runs, "{image} {statements}");
    }
}
