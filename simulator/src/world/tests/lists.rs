//! Lists, pages, batches and tags.

use serde_json::{Value, json};

use super::super::{Api, World};
use super::{LISTED, SETTLED, laid_over, world, world_with_service};

/// All items, and how many pages they took.
fn paged(world: &mut World, api: Api, operation: &str, input: &Value, key: &str) -> (Vec<Value>, usize) {
    let (mut all, mut pages, mut token) = (Vec::new(), 0, Value::Null);
    loop {
        let mut asked = input.clone();
        if !token.is_null() {
            asked["nextToken"] = token;
        }
        let answer = world.call(api, operation, &asked).unwrap();
        all.extend(answer[key].as_array().unwrap().clone());
        pages += 1;
        token = answer["nextToken"].clone();
        if token.is_null() {
            return (all, pages);
        }
    }
}

#[test]
fn lists_come_in_pages_of_the_documented_size() {
    let mut world = world_with_service(&json!({"desiredCount": 101}));
    for number in 0..11 {
        let service = json!({"cluster": "mco", "serviceName": format!("s{number}"), "taskDefinition": "mco-api", "desiredCount": 0});
        world.ecs_call("CreateService", &service);
    }
    for _ in 0..20 {
        world.update(&json!({"forceNewDeployment": true}));
        world.advance(SETTLED);
    }
    let of = |operation: &str, more: &Value, key: &str, world: &mut World| {
        let (all, pages) =
            paged(world, Api::Ecs, operation, &laid_over(json!({"cluster": "mco"}), more), key);
        (all.len(), pages)
    };
    assert_eq!(of("ListServices", &json!({}), "serviceArns", &mut world), (12, 2));
    assert_eq!(of("ListServices", &json!({"maxResults": 100}), "serviceArns", &mut world), (12, 1));
    assert_eq!(of("ListTasks", &json!({}), "taskArns", &mut world), (101, 2));
    let service = json!({"service": "api"});
    assert_eq!(of("ListServiceDeployments", &service, "serviceDeployments", &mut world), (21, 2));
    for input in [json!({"maxResults": 101}), json!({"maxResults": 0}), json!({"nextToken": "x"})] {
        let input = laid_over(json!({"cluster": "mco"}), &input);
        assert_eq!(world.refused(Api::Ecs, "ListServices", &input), "InvalidParameterException");
    }
}

#[test]
fn neither_ids_nor_lists_tell_which_came_first() {
    let mut world = world_with_service(&json!({"desiredCount": 20}));
    for number in 0..9 {
        let service = json!({"cluster": "mco", "serviceName": format!("s{number}"), "taskDefinition": "mco-api", "desiredCount": 0});
        world.ecs_call("CreateService", &service);
    }
    let mut names: Vec<Vec<String>> = Vec::new();
    for _ in 0..20 {
        world.update(&json!({"forceNewDeployment": true}));
        world.advance(SETTLED);
        let (service, newest) = (world.service(), world.newest());
        let arns = [
            &service["deployments"][0]["id"],
            &newest["serviceDeploymentArn"],
            &newest["targetServiceRevision"]["arn"],
        ];
        names.push(arns.map(|arn| arn.as_str().unwrap().rsplit('/').next().unwrap().to_owned()).to_vec());
    }
    for (index, length) in [(0, 19), (1, 21)] {
        let column: Vec<&String> = names.iter().map(|row| &row[index]).collect();
        assert!(column.iter().all(|name| name.len() == length) && !column.is_sorted(), "{column:?}");
    }
    assert!(
        names.iter().all(|row| row[0] == row[2] && row[0] != row[1]),
        "a revision and its deployment are related"
    );
    for (operation, key) in [("ListTasks", "taskArns"), ("ListServices", "serviceArns")] {
        let listed = world.ecs_call(operation, &json!({"cluster": "mco"}));
        let arns: Vec<&str> =
            listed[key].as_array().unwrap().iter().map(|arn| arn.as_str().unwrap()).collect();
        assert!(!arns.is_sorted(), "{arns:?}");
    }
}

#[test]
fn an_arn_of_elsewhere_is_nothing_here() {
    let mut world = world_with_service(&json!({}));
    let (service, task) = (world.service(), world.tasks("RUNNING").remove(0));
    let arns = [&service["clusterArn"], &service["serviceArn"], &task["taskArn"], &service["taskDefinition"]];
    let [cluster, service, task, definition] = arns.map(|arn| arn.as_str().unwrap().to_owned());
    let calls = |from: &str, to: &str| {
        let of = |arn: &str| arn.replacen(from, to, 1);
        [
            ("DescribeServices", json!({"cluster": of(&cluster), "services": ["api"]})),
            ("DescribeServices", json!({"cluster": "mco", "services": [of(&service)]})),
            ("UpdateService", json!({"cluster": "mco", "service": of(&service)})),
            ("ListServiceDeployments", json!({"cluster": "mco", "service": of(&service)})),
            ("ListTasks", json!({"cluster": "mco", "serviceName": of(&service)})),
            ("DescribeTasks", json!({"cluster": "mco", "tasks": [of(&task)]})),
            ("StopTask", json!({"cluster": "mco", "task": of(&task)})),
            ("DescribeTaskDefinition", json!({"taskDefinition": of(&definition)})),
            ("UpdateService", json!({"cluster": "mco", "service": "api", "taskDefinition": of(&definition)})),
            ("DeregisterTaskDefinition", json!({"taskDefinition": of(&definition)})),
        ]
    };
    for (operation, input) in
        calls("eu-west-2", "eu-west-1").into_iter().chain(calls("123456789012", "210987654321"))
    {
        let code = world.refused(Api::Ecs, operation, &input);
        let known = ["ClusterNotFoundException", "InvalidParameterException", "ClientException"];
        assert!(known.contains(&code.as_str()), "{operation} {code}");
    }
    let other = json!({"cluster": "mco", "services": [service.replacen("/mco/", "/other/", 1)]});
    let code = world.refused(Api::Ecs, "DescribeServices", &other);
    assert_eq!(code, "InvalidParameterException", "an ARN of another cluster");
    let foreign = cluster.replacen("eu-west-2", "eu-west-1", 1);
    let described = world.ecs_call("DescribeClusters", &json!({"clusters": [foreign, cluster]}));
    assert_eq!(
        (described["failures"][0]["arn"].clone(), &described["clusters"][0]["clusterName"]),
        (json!(foreign), &json!("mco"))
    );
    for (operation, input) in calls("x", "x") {
        world.ecs_call(operation, &input);
    }
}

#[test]
fn arns_have_the_partition_of_their_region() {
    for (region, partition) in
        [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("eu-west-2", "aws")]
    {
        let mut world = World::new("123456789012", region);
        let made = world.ecs_call("CreateCluster", &json!({"clusterName": "mco"}));
        assert_eq!(
            made["cluster"]["clusterArn"],
            format!("arn:{partition}:ecs:{region}:123456789012:cluster/mco")
        );
        let identity = world.call(Api::Sts, "GetCallerIdentity", &json!({})).unwrap();
        assert!(identity["Arn"].as_str().unwrap().starts_with(&format!("arn:{partition}:iam::")));
    }
}

#[test]
fn batches_have_the_documented_size() {
    let mut world = world();
    let names = |count: usize| (0..count).map(|number| number.to_string()).collect::<Vec<_>>();
    for (operation, key, most) in [
        ("DescribeServices", "services", 10),
        ("DescribeTasks", "tasks", 100),
        ("DescribeServiceDeployments", "serviceDeploymentArns", 20),
        ("DescribeServiceRevisions", "serviceRevisionArns", 20),
    ] {
        let answer = world.ecs_call(operation, &json!({"cluster": "mco", key: names(most)}));
        assert_eq!(answer["failures"].as_array().unwrap().len(), most);
        for count in [0, most + 1] {
            let code = world.refused(Api::Ecs, operation, &json!({"cluster": "mco", key: names(count)}));
            assert_eq!(code, "InvalidParameterException", "{operation} {count}");
        }
    }
}

#[test]
fn revisions_are_listed_in_the_order_of_their_numbers_by_whole_family_and_status() {
    let mut world = world();
    for _ in 0..10 {
        world.register("aaaaaaa");
    }
    let container = json!([{"name": "a", "image": "b", "memory": 64}]);
    world.ecs_call(
        "RegisterTaskDefinition",
        &json!({"family": "mco-api-2", "containerDefinitions": container}),
    );
    let numbers = |world: &mut World, input: &Value| -> Vec<String> {
        let (arns, _) = paged(world, Api::Ecs, "ListTaskDefinitions", input, "taskDefinitionArns");
        arns.iter().map(|arn| arn.as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect()
    };
    let descending =
        numbers(&mut world, &json!({"familyPrefix": "mco-api", "sort": "DESC", "maxResults": 4}));
    assert_eq!(descending[..2], ["mco-api:11", "mco-api:10"]);
    assert_eq!(descending.len(), 11);
    world.ecs_call("DeregisterTaskDefinition", &json!({"taskDefinition": "mco-api:11"}));
    assert_eq!(numbers(&mut world, &json!({"status": "INACTIVE"})), ["mco-api:11"]);
    assert_eq!(numbers(&mut world, &json!({"familyPrefix": "mco-api"})).len(), 10);
    let families = world.ecs_call("ListTaskDefinitionFamilies", &json!({"familyPrefix": "mco"}));
    assert_eq!(families["families"], json!(["mco-api", "mco-api-2"]));
    let newest = world.ecs_call("DescribeTaskDefinition", &json!({"taskDefinition": "mco-api"}));
    assert_eq!(newest["taskDefinition"]["revision"], 10, "a bare family means its newest ACTIVE revision");
}

#[test]
fn tasks_and_services_are_listed_by_every_filter() {
    let mut world = world_with_service(&json!({}));
    let deployment = world.service()["deployments"][0]["id"].clone();
    for (filter, found) in [
        (json!({"serviceName": "api"}), 2),
        (json!({"family": "mco-api"}), 2),
        (json!({"family": "mco"}), 0),
        (json!({"startedBy": deployment}), 2),
        (json!({"startedBy": "other"}), 0),
        (json!({"desiredStatus": "PENDING"}), 0),
        (json!({"launchType": "EC2"}), 2),
        (json!({"launchType": "FARGATE"}), 0),
        (json!({"containerInstance": "i"}), 0),
    ] {
        let listed = world.ecs_call("ListTasks", &laid_over(json!({"cluster": "mco"}), &filter));
        assert_eq!(listed["taskArns"].as_array().unwrap().len(), found, "{filter}");
    }
    let both = json!({"cluster": "mco", "startedBy": "x", "family": "y"});
    assert_eq!(world.refused(Api::Ecs, "ListTasks", &both), "InvalidParameterException");
    for (filter, found) in [
        (json!({"launchType": "EC2"}), 1),
        (json!({"launchType": "FARGATE"}), 0),
        (json!({"resourceManagementType": "CUSTOMER"}), 1),
        (json!({"resourceManagementType": "ECS"}), 0),
        (json!({"schedulingStrategy": "DAEMON"}), 0),
    ] {
        let listed = world.ecs_call("ListServices", &laid_over(json!({"cluster": "mco"}), &filter));
        assert_eq!(listed["serviceArns"].as_array().unwrap().len(), found, "{filter}");
    }
    let wrong = json!({"cluster": "mco", "launchType": "MOON"});
    assert_eq!(world.refused(Api::Ecs, "ListServices", &wrong), "InvalidParameterException");
    let missing = json!({"cluster": "mco", "serviceName": "none"});
    assert_eq!(world.refused(Api::Ecs, "ListTasks", &missing), "ServiceNotFoundException");
}

#[test]
fn service_deployments_are_listed_by_status_and_time() {
    let mut world = world_with_service(&json!({}));
    let before = world.now();
    world.deploy("bbbbbbb");
    world.advance(LISTED);
    let count = |world: &mut World, filter: Value| {
        let input = laid_over(json!({"cluster": "mco", "service": "api"}), &filter);
        world.ecs_call("ListServiceDeployments", &input)["serviceDeployments"].as_array().unwrap().len()
    };
    assert_eq!(count(&mut world, json!({"status": ["SUCCESSFUL"]})), 1);
    assert_eq!(count(&mut world, json!({"status": ["IN_PROGRESS", "SUCCESSFUL"]})), 2);
    assert_eq!(count(&mut world, json!({"createdAt": {"before": before - 1}})), 1);
    assert_eq!(count(&mut world, json!({"createdAt": {"after": before - 1}})), 1);
}

#[test]
fn tags_are_added_changed_and_removed_on_every_kind_of_thing() {
    let mut world = world_with_service(&json!({}));
    let service = world.service();
    let definition = service["taskDefinition"].clone();
    for arn in [service["serviceArn"].clone(), service["clusterArn"].clone(), definition] {
        let tag = |world: &mut World, key: &str, value: &str| {
            let tags = json!([{"key": key, "value": value}]);
            world.ecs_call("TagResource", &json!({"resourceArn": arn, "tags": tags}));
        };
        tag(&mut world, "a", "1");
        tag(&mut world, "b", "1");
        tag(&mut world, "a", "2");
        world.ecs_call("UntagResource", &json!({"resourceArn": arn, "tagKeys": ["b", "none"]}));
        let listed = world.ecs_call("ListTagsForResource", &json!({"resourceArn": arn}));
        assert_eq!(listed["tags"], json!([{"key": "a", "value": "2"}]));
    }
    assert_eq!(world.service()["tags"], Value::Null, "only where they are asked for");
    let with = json!({"cluster": "mco", "services": ["api"], "include": ["TAGS"]});
    let described = world.ecs_call("DescribeServices", &with);
    assert_eq!(described["services"][0]["tags"], json!([{"key": "a", "value": "2"}]));
    assert_eq!(world.statuses().len(), 1, "a tag starts no deployment");
}

#[test]
fn tags_outside_of_the_bounds_are_refused() {
    let mut world = world();
    let arn = "arn:aws:ecs:eu-west-2:123456789012:cluster/mco";
    let mut many: Vec<Value> =
        (0..50).map(|number| json!({"key": number.to_string(), "value": ""})).collect();
    world.ecs_call("TagResource", &json!({"resourceArn": arn, "tags": many}));
    many.truncate(1);
    many[0]["key"] = json!("one more");
    for tags in [
        json!(many),
        json!([{"key": "aws:mine", "value": ""}]),
        json!([{"key": "", "value": ""}]),
        json!([{"key": "k".repeat(129), "value": ""}]),
        json!([{"key": "k", "value": "v".repeat(257)}]),
        json!([{"key": "k", "value": "é{}"}]),
    ] {
        let code = world.refused(Api::Ecs, "TagResource", &json!({"resourceArn": arn, "tags": tags}));
        assert_eq!(code, "InvalidParameterException", "{tags}");
    }
    let nothing = json!({"resourceArn": "arn:aws:ecs:eu-west-2:123456789012:service/mco/none"});
    assert_eq!(world.refused(Api::Ecs, "ListTagsForResource", &nothing), "InvalidParameterException");
}

#[test]
fn images_come_in_pages_and_not_with_ids() {
    let mut world = world();
    for number in 0..100 {
        world.push(&format!("t{number}"));
    }
    let repository = json!({"repositoryName": "mco/api"});
    for (operation, key) in [("DescribeImages", "imageDetails"), ("ListImages", "imageIds")] {
        let (all, pages) = paged(&mut world, Api::Ecr, operation, &repository, key);
        assert_eq!((all.len(), pages), (101, 2), "{operation}");
    }
    let ids = json!({"repositoryName": "mco/api", "imageIds": [{"imageTag": "t1"}], "maxResults": 1});
    assert_eq!(world.refused(Api::Ecr, "DescribeImages", &ids), "InvalidParameterException");
    let named = json!({"repositoryNames": ["mco/api"], "maxResults": 1});
    assert_eq!(world.refused(Api::Ecr, "DescribeRepositories", &named), "InvalidParameterException");
    let missing = json!({"repositoryNames": ["mco/api", "none"]});
    assert_eq!(world.refused(Api::Ecr, "DescribeRepositories", &missing), "RepositoryNotFoundException");
}

#[test]
fn an_operation_that_is_not_simulated_says_so() {
    let mut world = world();
    for (api, code) in [
        (Api::Ecs, "UnknownOperationException"),
        (Api::Ecr, "UnknownOperationException"),
        (Api::Sts, "InvalidAction"),
    ] {
        assert_eq!(world.refused(api, "Frobnicate", &json!({})), code);
    }
    let identity = world.call(Api::Sts, "GetCallerIdentity", &json!({})).unwrap();
    assert_eq!(identity["Account"], "123456789012");
}
