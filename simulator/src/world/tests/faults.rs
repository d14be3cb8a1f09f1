//! Faults: what a call sees, and whether it had an effect.

use serde_json::json;

use super::super::{Api, World};
use super::world;
use crate::faults::{Fault, ReadKind};

fn register(world: &mut World) -> Result<(), (String, u16)> {
    let input =
        json!({"family": "other", "containerDefinitions": [{"name": "a", "image": "b", "memory": 64}]});
    let answer = world.call(Api::Ecs, "RegisterTaskDefinition", &input);
    answer.map(|_| ()).map_err(|error| (error.code, error.status))
}

fn revisions(world: &mut World) -> usize {
    let list = world.ecs_call("ListTaskDefinitions", &json!({"familyPrefix": "other"}));
    list["taskDefinitionArns"].as_array().unwrap().len()
}

fn operation() -> String {
    "RegisterTaskDefinition".to_owned()
}

#[test]
fn a_refusal_meets_so_many_calls_and_none_of_them_has_an_effect() {
    let refusals = [
        (Fault::Throttle { operation: operation(), times: 2 }, "ThrottlingException", 400),
        (Fault::ServerError { operation: operation(), times: 2 }, "ServerException", 500),
        (Fault::Deny { operation: operation(), times: 2 }, "AccessDeniedException", 400),
        (Fault::ExpiredToken { times: 2 }, "ExpiredTokenException", 400),
    ];
    for (fault, code, status) in refusals {
        let mut world = world();
        world.inject(fault);
        for _ in 0..2 {
            assert_eq!(register(&mut world), Err((code.to_owned(), status)));
        }
        assert_eq!(revisions(&mut world), 0, "{code}");
        assert_eq!(register(&mut world), Ok(()), "{code}");
    }
}

#[test]
fn every_api_refuses_in_its_own_words() {
    let json = |server| {
        [
            ("ThrottlingException", 400),
            (server, 500),
            ("AccessDeniedException", 400),
            ("ExpiredTokenException", 400),
        ]
    };
    let query = [("Throttling", 400), ("InternalFailure", 500), ("AccessDenied", 403), ("ExpiredToken", 403)];
    for (api, operation, expected) in [
        (Api::Ecs, "ListClusters", json("ServerException")),
        (Api::Ecr, "DescribeRepositories", json("ServerException")),
        (Api::CodeDeploy, "ListApplications", json("InternalFailure")),
        (
            Api::Tagging,
            "GetResources",
            [
                ("ThrottledException", 400),
                ("InternalServiceException", 500),
                ("AccessDeniedException", 400),
                ("ExpiredTokenException", 400),
            ],
        ),
        (Api::Elb, "DescribeLoadBalancers", query),
        (Api::Sts, "GetCallerIdentity", query),
    ] {
        let mut world = world();
        for fault in [
            Fault::Throttle { operation: operation.to_owned(), times: 1 },
            Fault::ServerError { operation: operation.to_owned(), times: 1 },
            Fault::Deny { operation: operation.to_owned(), times: 1 },
            Fault::ExpiredToken { times: 1 },
        ] {
            world.inject(fault);
        }
        let told = expected.map(|_| {
            let error = world.call(api, operation, &json!({})).unwrap_err();
            (error.code, error.status)
        });
        assert_eq!(told, expected.map(|(code, status)| (code.to_owned(), status)), "{operation}");
        world.call(api, operation, &json!({})).unwrap();
    }
}

#[test]
fn a_denial_names_who_what_and_where() {
    let mut world = world();
    let mut told = |api, operation: &str, input: &serde_json::Value| {
        world.inject(Fault::Deny { operation: operation.to_owned(), times: 1 });
        world.call(api, operation, input).unwrap_err().message
    };
    let update = told(Api::Ecs, "UpdateService", &json!({"cluster": "mco", "service": "api"}));
    assert_eq!(
        update,
        "User: arn:aws:iam::123456789012:user/simulator is not authorized to perform: ecs:UpdateService on resource: arn:aws:ecs:eu-west-2:123456789012:service/mco/api because no identity-based policy allows the ecs:UpdateService action"
    );
    let group = json!({"applicationName": "API", "deploymentGroupName": "test"});
    let create = told(Api::CodeDeploy, "CreateDeployment", &group);
    assert!(
        create.contains("on resource: arn:aws:codedeploy:eu-west-2:123456789012:deploymentgroup:API/test "),
        "{create}"
    );
    let list = told(Api::Ecs, "ListClusters", &json!({}));
    assert!(list.contains("ecs:ListClusters on resource: * because"), "{list}");
}

#[test]
fn a_lost_answer_has_its_effect_and_a_lost_request_has_none() {
    let lost = Err(("SimulatedLostAnswer".to_owned(), 400));
    let faults = [
        (Fault::LoseAnswer { operation: operation() }, 1),
        (Fault::LoseRequest { operation: operation() }, 0),
    ];
    for (fault, effects) in faults {
        let mut world = world();
        world.inject(fault);
        assert_eq!(register(&mut world), lost);
        assert_eq!(revisions(&mut world), effects);
        assert_eq!(register(&mut world), Ok(()), "the next one goes through");
    }
}

#[test]
fn a_refused_call_does_not_use_up_the_loss_of_an_answer() {
    let mut world = world();
    world.inject(Fault::LoseAnswer { operation: operation() });
    world.inject(Fault::Throttle { operation: operation(), times: 1 });
    assert_eq!(register(&mut world).unwrap_err().0, "ThrottlingException");
    assert_eq!(register(&mut world).unwrap_err().0, "SimulatedLostAnswer");
    assert_eq!(revisions(&mut world), 1);
}

#[test]
fn a_star_means_any_operation_and_another_name_none() {
    let mut world = world();
    world.inject(Fault::Throttle { operation: "UpdateService".to_owned(), times: 1 });
    assert_eq!(register(&mut world), Ok(()));
    world.inject(Fault::LoseRequest { operation: "*".to_owned() });
    assert_eq!(register(&mut world).unwrap_err().0, "SimulatedLostAnswer");
}

#[test]
fn a_stale_kind_shows_the_past_until_its_time_has_passed_and_other_kinds_the_present() {
    let mut world = world();
    world.inject(Fault::Stale { kind: ReadKind::TaskDefinitionList, seconds: 30 });
    register(&mut world).unwrap();
    assert_eq!(revisions(&mut world), 0);
    let described = world.ecs_call("DescribeTaskDefinition", &json!({"taskDefinition": "other"}));
    assert_eq!(described["taskDefinition"]["revision"], 1);
    world.advance(29);
    assert_eq!(revisions(&mut world), 0);
    world.advance(1);
    assert_eq!(revisions(&mut world), 1);
}

#[test]
fn healing_removes_every_fault() {
    let mut world = world();
    world.inject(Fault::Stale { kind: ReadKind::TaskDefinitionList, seconds: 3600 });
    world.inject(Fault::Deny { operation: "*".to_owned(), times: 9 });
    world.heal();
    assert_eq!(register(&mut world), Ok(()));
    assert_eq!(revisions(&mut world), 1);
}

#[test]
fn a_forked_world_goes_its_own_way() {
    let mut world = world();
    let mut fork = world.clone();
    register(&mut fork).unwrap();
    assert_eq!((revisions(&mut world), revisions(&mut fork)), (0, 1));
}
