//! Services: creating, changing, deleting, and what is refused.

use serde_json::{Value, json};

use super::super::{Api, World};
use super::{SETTLED, balanced, laid_over, world, world_with_service};

const AWSVPC: &str = "awsvpc";

fn network() -> Value {
    json!({"awsvpcConfiguration": {"subnets": ["subnet-1"]}})
}

fn create(world: &mut World, more: &Value) -> Result<Value, String> {
    let service =
        json!({"cluster": "mco", "serviceName": "api", "taskDefinition": "mco-api", "desiredCount": 2});
    let answer = world.call(Api::Ecs, "CreateService", &laid_over(service, more));
    answer.map(|answer| answer["service"].clone()).map_err(|error| error.message)
}

fn register_awsvpc(world: &mut World) {
    let input = json!({"family": AWSVPC, "networkMode": "awsvpc", "cpu": "256", "memory": "512",
        "containerDefinitions": [{"name": "api", "image": "b", "portMappings": [{"containerPort": 8080}]}]});
    world.ecs_call("RegisterTaskDefinition", &input);
}

#[test]
fn a_new_service_has_the_defaults_of_aws() {
    let created = create(&mut world(), &json!({})).unwrap();
    let configuration = json!({"maximumPercent": 200, "minimumHealthyPercent": 100,
        "deploymentCircuitBreaker": {"enable": false, "rollback": false}, "strategy": "ROLLING",
        "bakeTimeInMinutes": 0});
    assert_eq!(created["deploymentConfiguration"], configuration);
    assert_eq!(created["deploymentController"], json!({"type": "ECS"}));
    let members =
        ["status", "schedulingStrategy", "launchType", "propagateTags", "availabilityZoneRebalancing"];
    let described = members.map(|member| created[member].as_str().unwrap());
    assert_eq!(described, ["ACTIVE", "REPLICA", "EC2", "NONE", "ENABLED"]);
}

#[test]
fn what_aws_fills_in_on_fargate_and_behind_a_load_balancer_is_there() {
    let mut world = world();
    register_awsvpc(&mut world);
    let balancers = json!([{"targetGroupArn": "tg", "containerName": "api", "containerPort": 8080}]);
    let fargate =
        json!({"taskDefinition": AWSVPC, "networkConfiguration": network(), "loadBalancers": balancers});
    let of =
        |service: &Value, member: &str| (service[member].clone(), service["deployments"][0][member].clone());
    let launched =
        create(&mut world, &laid_over(fargate.clone(), &json!({"launchType": "FARGATE"}))).unwrap();
    assert_eq!(of(&launched, "platformVersion"), (json!("LATEST"), json!("1.4.0")));
    assert_eq!(of(&launched, "platformFamily"), (json!("Linux"), json!("Linux")));
    assert_eq!(launched["healthCheckGracePeriodSeconds"], 0);
    assert!(launched["roleArn"].as_str().unwrap().ends_with("/AWSServiceRoleForECS"));
    let strategy = json!([{"capacityProvider": "FARGATE_SPOT", "weight": 1, "base": 0}]);
    let provided =
        json!({"serviceName": "spot", "capacityProviderStrategy": strategy, "platformVersion": "1.3.0"});
    let provided = create(&mut world, &laid_over(fargate, &provided)).unwrap();
    assert_eq!(of(&provided, "platformVersion"), (json!("1.3.0"), json!("1.3.0")));
    assert_eq!(of(&provided, "capacityProviderStrategy"), (strategy.clone(), strategy));
    // Elsewhere there is none of it.
    let plain = create(&mut world, &json!({"serviceName": "plain"})).unwrap();
    for member in [
        "platformVersion",
        "platformFamily",
        "roleArn",
        "healthCheckGracePeriodSeconds",
        "capacityProviderStrategy",
    ] {
        assert_eq!(of(&plain, member), (Value::Null, Value::Null), "{member}");
    }
}

#[test]
fn creating_the_same_again_answers_the_service_and_another_of_its_name_is_refused() {
    let mut world = world_with_service(&json!({}));
    assert_eq!(create(&mut world, &json!({})).unwrap()["runningCount"], 2);
    assert_eq!(
        create(&mut world, &json!({"desiredCount": 3})),
        Err("Creation of service was not idempotent.".to_owned())
    );
}

#[test]
fn a_wrong_cluster_is_an_error_and_a_wrong_service_a_failure() {
    let mut world = world();
    let elsewhere = json!({"cluster": "other", "services": ["api"]});
    assert_eq!(world.refused(Api::Ecs, "DescribeServices", &elsewhere), "ClusterNotFoundException");
    let described = world.ecs_call("DescribeServices", &json!({"cluster": "mco", "services": ["api"]}));
    assert_eq!(described["services"], json!([]));
    assert_eq!(described["failures"][0]["reason"], "MISSING");
    let update = json!({"cluster": "mco", "service": "api"});
    assert_eq!(world.refused(Api::Ecs, "UpdateService", &update), "ServiceNotFoundException");
    let clusters = world.ecs_call("DescribeClusters", &json!({"clusters": ["mco", "other"]}));
    assert_eq!(clusters["clusters"][0]["status"], "ACTIVE");
    assert_eq!(clusters["failures"][0]["reason"], "MISSING");
}

#[test]
fn only_what_is_said_to_trigger_a_deployment_starts_one() {
    let cases = [
        (json!({"taskDefinition": "mco-api:1"}), false),
        (json!({"desiredCount": 3}), false),
        (json!({"deploymentConfiguration": {"maximumPercent": 150}}), false),
        (json!({"enableExecuteCommand": true, "propagateTags": "SERVICE"}), false),
        (json!({"healthCheckGracePeriodSeconds": 10}), false),
        (json!({"volumeConfigurations": Value::Null}), false),
        (json!({"forceNewDeployment": true}), true),
        (json!({"platformVersion": "LATEST"}), true),
        (json!({"loadBalancers": []}), true),
        (json!({"volumeConfigurations": [{"name": "v"}]}), true),
    ];
    for (change, starts) in cases {
        let mut world = world_with_service(&json!({}));
        let before = world.service()["deployments"][0]["id"].clone();
        let after = world.update(&change)["deployments"][0]["id"].clone();
        assert_eq!(before != after, starts, "{change}");
    }
}

#[test]
fn what_is_omitted_keeps_its_value() {
    let mut world = world_with_service(&json!({"healthCheckGracePeriodSeconds": 7}));
    let updated = world.update(&json!({"deploymentConfiguration": {"minimumHealthyPercent": 50}}));
    assert_eq!(updated["deploymentConfiguration"]["maximumPercent"], 200);
    assert_eq!(updated["deploymentConfiguration"]["minimumHealthyPercent"], 50);
    assert_eq!((&updated["healthCheckGracePeriodSeconds"], &updated["desiredCount"]), (&json!(7), &json!(2)));
}

#[test]
fn a_network_is_given_exactly_where_the_task_definition_needs_one() {
    let mut world = world();
    register_awsvpc(&mut world);
    let cases = [
        (json!({"taskDefinition": AWSVPC}), "Network Configuration must be provided"),
        (json!({"networkConfiguration": network()}), "Network Configuration is not valid"),
        (json!({"launchType": "FARGATE"}), "does not support launch_type FARGATE"),
    ];
    for (more, part) in cases {
        let said = create(&mut world, &more).unwrap_err();
        assert!(said.contains(part), "{said}");
    }
    let fargate =
        json!({"taskDefinition": AWSVPC, "launchType": "FARGATE", "networkConfiguration": network()});
    let created = create(&mut world, &fargate).unwrap();
    let described = &created["networkConfiguration"]["awsvpcConfiguration"];
    assert_eq!(described["assignPublicIp"], "DISABLED");
}

#[test]
fn a_load_balancer_needs_its_container_and_port() {
    let balancer = |name: &str, port: u64| json!({"loadBalancers": [{"targetGroupArn": "tg", "containerName": name, "containerPort": port}]});
    let said = create(&mut world(), &balancer("web", 8080)).unwrap_err();
    assert!(said.contains("does not exist in the task definition"), "{said}");
    let mut world = world();
    world.register("aaaaaaa");
    assert!(create(&mut world, &balancer("api", 81)).unwrap_err().contains("container port 81"));
    create(&mut world, &balancer("api", 8080)).unwrap();
}

#[test]
fn a_capacity_provider_strategy_takes_the_place_of_the_launch_type() {
    let strategy = json!({"capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT"}]});
    assert_eq!(create(&mut world(), &strategy).unwrap()["launchType"], Value::Null);
    create(&mut world(), &laid_over(strategy, &json!({"launchType": "EC2"}))).unwrap_err();
}

#[test]
fn another_capacity_provider_strategy_needs_force() {
    let strategy = |weight: u64| json!({"capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": weight}]});
    let mut world = world_with_service(&json!({}));
    let update = |more: &Value| laid_over(json!({"cluster": "mco", "service": "api"}), more);
    let forced = |weight: u64| laid_over(strategy(weight), &json!({"forceNewDeployment": true}));
    let refused = |world: &mut World, more: &Value| world.why_refused("UpdateService", &update(more));
    assert!(refused(&mut world, &strategy(1)).ends_with("you must force a new deployment."));
    let described = world.update(&forced(1))["capacityProviderStrategy"][0].clone();
    assert_eq!(described, json!({"capacityProvider": "FARGATE_SPOT", "weight": 1, "base": 0}));
    world.update(&strategy(1));
    assert!(refused(&mut world, &strategy(2)).ends_with("you must force a new deployment."));
    let none = json!({"capacityProviderStrategy": []});
    assert!(refused(&mut world, &none).ends_with("you must force a new deployment."));
    let emptied = world.update(&laid_over(none, &json!({"forceNewDeployment": true})));
    assert_eq!((&emptied["launchType"], &emptied["capacityProviderStrategy"]), (&json!("EC2"), &Value::Null));
}

#[test]
fn what_codedeploy_or_task_sets_decide_is_refused_even_unchanged() {
    for (controller, part) in [("CODE_DEPLOY", "Use AWS CodeDeploy"), ("EXTERNAL", "Use task sets")] {
        let controlled = json!({"deploymentController": {"type": controller}});
        let mut world = world_with_service(&laid_over(controlled, &balanced()));
        for change in [
            json!({"taskDefinition": "mco-api:1"}),
            json!({"forceNewDeployment": true}),
            json!({"networkConfiguration": network()}),
            json!({"loadBalancers": []}),
        ] {
            let said = world.why_refused(
                "UpdateService",
                &laid_over(json!({"cluster": "mco", "service": "api"}), &change),
            );
            assert!(said.starts_with("Unable to update") && said.contains(part), "{said}");
        }
        assert_eq!(world.update(&json!({"desiredCount": 3}))["desiredCount"], 3);
        assert_eq!(world.service()["deployments"], json!([]));
        assert_eq!(world.statuses(), Vec::<String>::new());
    }
}

#[test]
fn a_codedeploy_service_shows_its_task_set() {
    let code_deploy = json!({"deploymentController": {"type": "CODE_DEPLOY"}});
    let mut world = world_with_service(&laid_over(code_deploy, &balanced()));
    let set = world.service()["taskSets"][0].clone();
    assert_eq!((&set["status"], &set["stabilityStatus"]), (&json!("PRIMARY"), &json!("STEADY_STATE")));
    assert_eq!((&set["runningCount"], &set["computedDesiredCount"]), (&json!(2), &json!(2)));
}

#[test]
fn a_daemon_has_no_count_and_neither_fargate_nor_another_controller() {
    let mut here = world();
    let daemon = json!({"cluster": "mco", "serviceName": "api", "taskDefinition": "mco-api", "schedulingStrategy": "DAEMON"});
    for more in [
        json!({"desiredCount": 1}),
        json!({"launchType": "FARGATE"}),
        json!({"deploymentController": {"type": "CODE_DEPLOY"}}),
    ] {
        let said = here.why_refused("CreateService", &laid_over(daemon.clone(), &more));
        assert!(said.contains("daemon scheduling strategy"), "{said}");
    }
    here.ecs_call("CreateService", &daemon);
    here.advance(SETTLED);
    let said =
        here.why_refused("UpdateService", &json!({"cluster": "mco", "service": "api", "desiredCount": 1}));
    assert!(said.contains("does not support a desired count"), "{said}");
    here.deploy("bbbbbbb");
    here.advance(2 * SETTLED);
    assert_eq!(here.deployments(), [("PRIMARY".to_owned(), "COMPLETED".to_owned(), 2)]);
}

#[test]
fn what_a_new_service_needs_is_asked_for() {
    let breaker = |more: &Value| {
        let breaker = laid_over(json!({"enable": true, "rollback": true}), more);
        json!({"deploymentConfiguration": {"deploymentCircuitBreaker": breaker}})
    };
    let threshold =
        |kind: &str, value: u64| breaker(&json!({"thresholdConfiguration": {"type": kind, "value": value}}));
    let code_deploy = json!({"deploymentController": {"type": "CODE_DEPLOY"}});
    let alarms = json!({"deploymentConfiguration": {"alarms": {"alarmNames": ["a"], "enable": true, "rollback": true}}});
    for (more, part) in [
        (code_deploy.clone(), "loadBalancers is required"),
        (json!({"desiredCount": Value::Null}), "desiredCount is required"),
        (
            laid_over(laid_over(code_deploy.clone(), &balanced()), &breaker(&json!({}))),
            "not supported with the CODE_DEPLOY",
        ),
        (laid_over(laid_over(code_deploy, &balanced()), &alarms), "not supported with the CODE_DEPLOY"),
        (threshold("BOUNDED_PERCENT", 101), "between 1 and 100 percent"),
        (threshold("UNBOUNDED_PERCENT", 0), "between 1 and 100 percent"),
        (threshold("COUNT", 0), "1 at least"),
    ] {
        let said = create(&mut world(), &more).unwrap_err();
        assert!(said.contains(part), "{more}: {said}");
    }
}

#[test]
fn percentages_that_would_always_block_are_refused() {
    let percent = json!({"deploymentConfiguration": {"maximumPercent": 100}});
    let said = create(&mut world(), &percent).unwrap_err();
    assert!(said.ends_with("cannot be 100 as this will block deployments"), "{said}");
    let mut world = world_with_service(&json!({}));
    world.why_refused("UpdateService", &laid_over(json!({"cluster": "mco", "service": "api"}), &percent));
    assert_eq!(world.service()["deploymentConfiguration"]["maximumPercent"], 200);
}

#[test]
fn a_network_that_is_sent_starts_a_deployment_also_unchanged() {
    let mut world = super::world();
    register_awsvpc(&mut world);
    let network = json!({"networkConfiguration": network()});
    world.begin(&laid_over(network.clone(), &json!({"taskDefinition": AWSVPC})));
    world.advance(SETTLED);
    let before = world.statuses().len();
    world.update(&json!({"desiredCount": 2}));
    world.advance(SETTLED);
    assert_eq!(world.statuses().len(), before);
    world.update(&network);
    world.advance(SETTLED);
    assert_eq!(world.statuses().len(), before + 1);
}

#[test]
fn a_service_is_deleted_only_when_scaled_down_or_by_force_and_drains_first() {
    let mut world = world_with_service(&json!({}));
    let delete = json!({"cluster": "mco", "service": "api"});
    assert!(world.why_refused("DeleteService", &delete).contains("scaled above 0"));
    let deleted = world.ecs_call("DeleteService", &laid_over(delete.clone(), &json!({"force": true})));
    assert_eq!(deleted["service"]["status"], "DRAINING");
    let listed = world.ecs_call("ListServices", &json!({"cluster": "mco"}));
    assert_eq!(listed["serviceArns"], json!([]));
    assert_eq!(
        create(&mut world, &json!({})),
        Err("Unable to Start a service that is still Draining.".to_owned())
    );
    assert_eq!(world.refused(Api::Ecs, "UpdateService", &delete), "ServiceNotActiveException");
    let deployment = world.newest()["serviceDeploymentArn"].clone();
    world.advance(10);
    let gone = world.service();
    assert_eq!(gone["status"], "INACTIVE");
    assert!(gone["taskDefinition"].as_str().unwrap().ends_with(":1"), "{gone}");
    assert_eq!(world.statuses(), Vec::<String>::new(), "its deployments go with it");
    let described =
        world.ecs_call("DescribeServiceDeployments", &json!({"serviceDeploymentArns": [deployment]}));
    assert_eq!(described["failures"][0]["reason"], "MISSING");
    assert_eq!(world.refused(Api::Ecs, "UpdateService", &delete), "ServiceNotActiveException");
    create(&mut world, &json!({})).unwrap();
    assert_eq!(world.service()["status"], "ACTIVE");
}

#[test]
fn an_inactive_service_is_forgotten_after_a_while() {
    let mut world = world_with_service(&json!({}));
    world.ecs_call("DeleteService", &json!({"cluster": "mco", "service": "api", "force": true}));
    world.advance(10);
    assert_eq!(world.service()["status"], "INACTIVE");
    world.advance(3700);
    assert_eq!(world.service(), Value::Null);
}

#[test]
fn a_cluster_tells_of_its_settings_tags_and_statistics_only_when_asked() {
    let mut world = world_with_service(&json!({}));
    let tags = json!([{"key": "team", "value": "a"}]);
    let settings = json!([{"name": "containerInsights", "value": "enabled"}]);
    let strategy = json!([{"capacityProvider": "FARGATE", "weight": 1, "base": 0}]);
    let made = json!({"clusterName": "b", "tags": tags, "settings": settings, "capacityProviders": ["FARGATE"],
        "defaultCapacityProviderStrategy": strategy});
    let created = world.ecs_call("CreateCluster", &made)["cluster"].clone();
    assert_eq!((&created["tags"], &created["settings"]), (&tags, &settings));
    let mut described = |name: &str, include: Value| {
        let input = json!({"clusters": [name], "include": include});
        world.ecs_call("DescribeClusters", &input)["clusters"][0].clone()
    };
    let plain = described("b", json!([]));
    for key in ["tags", "settings", "statistics"] {
        assert_eq!(plain[key], json!([]), "{key}");
    }
    assert_eq!(plain["capacityProviders"], json!(["FARGATE"]));
    assert_eq!(plain["defaultCapacityProviderStrategy"], strategy);
    let all = described("mco", json!(["TAGS", "SETTINGS", "STATISTICS"]));
    let told = |name: &str, value: &str| {
        let wanted = json!({"name": name, "value": value});
        assert!(all["statistics"].as_array().unwrap().contains(&wanted), "{all}");
    };
    told("runningEC2TasksCount", "2");
    told("activeEC2ServiceCount", "1");
    told("runningFargateTasksCount", "0");
}

#[test]
fn a_cluster_with_services_is_not_deleted() {
    let mut world = world_with_service(&json!({}));
    let delete = json!({"cluster": "mco"});
    assert_eq!(world.refused(Api::Ecs, "DeleteCluster", &delete), "ClusterContainsServicesException");
    world.ecs_call("DeleteService", &json!({"cluster": "mco", "service": "api", "force": true}));
    assert_eq!(world.service()["status"], "DRAINING", "that does not count any more");
    let deleted = world.ecs_call("DeleteCluster", &delete);
    assert_eq!(deleted["cluster"]["status"], "INACTIVE");
    assert_eq!(world.refused(Api::Ecs, "ListServices", &delete), "ClusterNotFoundException");
}
