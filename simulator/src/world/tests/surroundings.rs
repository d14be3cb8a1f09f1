//! Roles and what they may do, secrets, parameters, log groups, lifecycle policies: what stands around services.

use serde_json::{Value, json};

use super::super::{Api, World};
use super::world;

fn decision(world: &mut World, principal: &str, action: &str, context: &[&str]) -> String {
    let entries = json!([{"ContextKeyName": "iam:PassedToService", "ContextKeyValues": context, "ContextKeyType": "string"}]);
    let input = json!({"PolicySourceArn": principal, "ActionNames": [action], "ResourceArns": ["arn:aws:iam::1:role/task"],
        "ContextEntries": entries});
    let answer = world.call(Api::Iam, "SimulatePrincipalPolicy", &input).unwrap();
    answer["EvaluationResults"][0]["EvalDecision"].as_str().unwrap().to_owned()
}

fn policy(statements: &Value) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

fn put(world: &mut World, name: &str, statement: &Value) {
    let input = json!({"RoleName": "execution", "PolicyName": name, "PolicyDocument": policy(statement)});
    world.call(Api::Iam, "PutRolePolicy", &input).unwrap();
}

#[test]
fn a_role_may_do_what_its_policies_allow_and_none_denies() {
    let mut world = world();
    let role = json!({"RoleName": "execution", "AssumeRolePolicyDocument": policy(&json!([]))});
    let role = world.call(Api::Iam, "CreateRole", &role).unwrap()["Role"]["Arn"].as_str().unwrap().to_owned();
    assert_eq!(decision(&mut world, &role, "iam:PassRole", &[]), "implicitDeny");
    put(
        &mut world,
        "some",
        &json!({"Effect": "Allow", "Action": ["iam:pass*"], "Resource": "arn:aws:iam::*:role/task",
        "Condition": {"StringLike": {"iam:PassedToService": "ecs*.amazonaws.com"}}}),
    );
    assert_eq!(decision(&mut world, &role, "iam:PassRole", &["ecs-tasks.amazonaws.com"]), "allowed");
    assert_eq!(decision(&mut world, &role, "iam:PassRole", &["lambda.amazonaws.com"]), "implicitDeny");
    assert_eq!(decision(&mut world, &role, "iam:PassRole", &[]), "implicitDeny");
    assert_eq!(decision(&mut world, &role, "iam:GetRole", &["ecs-tasks.amazonaws.com"]), "implicitDeny");
    put(&mut world, "none", &json!([{"Effect": "Deny", "Action": "*", "Resource": "*"}]));
    assert_eq!(decision(&mut world, &role, "iam:PassRole", &["ecs-tasks.amazonaws.com"]), "explicitDeny");
}

#[test]
fn the_user_may_do_everything_until_it_has_a_policy() {
    let mut world = world();
    let user = "arn:aws:iam::123456789012:user/simulator";
    assert_eq!(decision(&mut world, user, "iam:PassRole", &[]), "allowed");
    let document = policy(&json!([{"Effect": "Allow", "Action": "ecs:*", "Resource": "*"}]));
    let put = json!({"UserName": "simulator", "PolicyName": "ecs", "PolicyDocument": document});
    world.call(Api::Iam, "PutUserPolicy", &put).unwrap();
    assert_eq!(decision(&mut world, user, "iam:PassRole", &[]), "implicitDeny");
}

#[test]
fn a_secret_that_is_marked_for_deletion_is_told_until_it_is_gone() {
    let mut world = world();
    let call = |world: &mut World, operation: &str, input: &Value| world.call(Api::Secrets, operation, input);
    let arn = call(&mut world, "CreateSecret", &json!({"Name": "mco/db", "SecretString": "canary"})).unwrap()
        ["ARN"]
        .clone();
    let short = arn.as_str().unwrap().rsplit_once('-').unwrap().0.to_owned();
    for id in [json!("mco/db"), arn.clone(), json!(short)] {
        assert_eq!(call(&mut world, "DescribeSecret", &json!({"SecretId": id})).unwrap()["ARN"], arn);
    }
    call(&mut world, "DeleteSecret", &json!({"SecretId": "mco/db", "RecoveryWindowInDays": 7})).unwrap();
    assert!(
        call(&mut world, "DescribeSecret", &json!({"SecretId": "mco/db"})).unwrap()["DeletedDate"]
            .is_number()
    );
    world.advance(7 * 24 * 3600);
    let gone = call(&mut world, "DescribeSecret", &json!({"SecretId": "mco/db"})).unwrap_err();
    assert_eq!(gone.code, "ResourceNotFoundException");
}

#[test]
fn parameters_are_found_by_their_names_page_by_page() {
    let mut world = world();
    for name in ["/mco/a", "/mco/b", "/other"] {
        world.call(Api::Parameters, "PutParameter", &json!({"Name": name, "Value": "canary"})).unwrap();
    }
    let mut names = |filter: &Value, token: &Value| {
        let input = json!({"ParameterFilters": [filter], "MaxResults": 1, "NextToken": token});
        let answer = world.call(Api::Parameters, "DescribeParameters", &input).unwrap();
        (answer["Parameters"][0]["Name"].clone(), answer["NextToken"].clone())
    };
    let below = json!({"Key": "Name", "Option": "BeginsWith", "Values": ["/mco/"]});
    let (first, token) = names(&below, &Value::Null);
    assert_eq!((first, names(&below, &token)), (json!("/mco/a"), (json!("/mco/b"), Value::Null)));
    let exactly = json!({"Key": "Name", "Values": ["/mco", "/other"]});
    assert_eq!(names(&exactly, &Value::Null), (json!("/other"), Value::Null));
}

#[test]
fn log_groups_are_told_in_the_order_of_their_names() {
    let mut world = world();
    for name in ["/mco/api-old", "/mco/api", "/mco/web"] {
        world.call(Api::Logs, "CreateLogGroup", &json!({"logGroupName": name})).unwrap();
    }
    let mut names = |token: &Value| {
        let input = json!({"logGroupNamePrefix": "/mco/api", "limit": 1, "nextToken": token});
        let answer = world.call(Api::Logs, "DescribeLogGroups", &input).unwrap();
        (answer["logGroups"][0]["logGroupName"].clone(), answer["nextToken"].clone())
    };
    let (first, token) = names(&Value::Null);
    assert_eq!((first, names(&token)), (json!("/mco/api"), (json!("/mco/api-old"), Value::Null)));
}

#[test]
fn a_lifecycle_policy_is_held_against_its_syntax_and_no_image_expires() {
    let mut world = world();
    let rule = |priority: u64, selection: &Value| json!({"rulePriority": priority, "selection": selection, "action": {"type": "expire"}});
    let any = json!({"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1});
    let mut put = |rules: &Value| {
        let text = json!({"rules": rules}).to_string();
        world.call(
            Api::Ecr,
            "PutLifecyclePolicy",
            &json!({"repositoryName": "mco/api", "lifecyclePolicyText": text}),
        )
    };
    let prefixes = json!({"tagStatus": "tagged", "countType": "imageCountMoreThan", "countNumber": 1});
    for wrong in [
        json!([]),
        json!([rule(1, &any), rule(1, &any)]),
        json!([rule(1, &prefixes)]),
        json!([rule(0, &any)]),
    ] {
        assert_eq!(put(&wrong).unwrap_err().code, "InvalidParameterException", "{wrong}");
    }
    put(&json!([rule(1, &any)])).unwrap();
    world.push("bbbbbbb");
    world.advance(3 * 24 * 3600);
    let images = world.call(Api::Ecr, "DescribeImages", &json!({"repositoryName": "mco/api"})).unwrap();
    assert!(images["imageDetails"].as_array().unwrap().len() > 1);
}

#[test]
fn alarms_are_told_by_name_page_by_page_and_move_when_somebody_says_so() {
    let mut world = world();
    let put = |world: &mut World, name: &str| {
        let alarm = json!({"AlarmName": name, "MetricName": "Errors", "Namespace": "mco", "ComparisonOperator": "GreaterThanThreshold"});
        world.call(Api::CloudWatch, "PutMetricAlarm", &alarm).unwrap();
    };
    for name in ["errors", "latency"] {
        put(&mut world, name);
    }
    let set = |world: &mut World, name: &str, state: &str| {
        let input = json!({"AlarmName": name, "StateValue": state, "StateReason": "told"});
        world.call(Api::CloudWatch, "SetAlarmState", &input).map(drop).map_err(|error| error.code)
    };
    assert_eq!(set(&mut world, "errors", "ALARM"), Ok(()));
    assert_eq!(set(&mut world, "errors", "LOUD"), Err("ValidationError".to_owned()));
    assert_eq!(set(&mut world, "other", "OK"), Err("ResourceNotFound".to_owned()));
    // What is put again stays as it is.
    put(&mut world, "errors");
    let told = |world: &mut World, input: &Value| {
        let answer = world.call(Api::CloudWatch, "DescribeAlarms", input).unwrap();
        let alarms = answer["MetricAlarms"].as_array().unwrap().iter();
        let alarms = alarms.map(|one| format!("{} {}", one["AlarmName"], one["StateValue"]));
        (alarms.collect::<Vec<_>>().join(", ").replace('"', ""), answer["NextToken"].clone())
    };
    let both = ("errors ALARM, latency INSUFFICIENT_DATA".to_owned(), Value::Null);
    assert_eq!(told(&mut world, &json!({"AlarmNames": ["latency", "other", "errors"]})), both);
    let (first, token) = told(&mut world, &json!({"MaxRecords": 1}));
    assert_eq!(first, "errors ALARM");
    let rest = told(&mut world, &json!({"MaxRecords": 1, "NextToken": token}));
    assert_eq!(rest, ("latency INSUFFICIENT_DATA".to_owned(), Value::Null));
    assert_eq!(told(&mut world, &json!({"AlarmTypes": ["CompositeAlarm"]})).0, "");
    world.set_alarm("errors", false);
    assert_eq!(told(&mut world, &json!({"StateValue": "OK"})).0, "errors OK");
    let gone = |world: &mut World, names: Value| {
        world.call(Api::CloudWatch, "DeleteAlarms", &json!({"AlarmNames": names}))
    };
    assert_eq!(gone(&mut world, json!(["errors", "other"])).unwrap_err().code, "ResourceNotFound");
    gone(&mut world, json!(["errors"])).unwrap();
    assert_eq!(told(&mut world, &json!({})).0, "latency INSUFFICIENT_DATA");
}

#[test]
fn a_function_is_found_by_name_and_arn_and_may_run_as_often_as_is_reserved() {
    let mut world = world();
    let call = |world: &mut World, operation: &str, input: &Value| world.call(Api::Lambda, operation, input);
    let made = json!({"FunctionName": "smoke", "Role": "arn:aws:iam::123456789012:role/lambda"});
    let arn = call(&mut world, "CreateFunction", &made).unwrap()["FunctionArn"].clone();
    assert_eq!(call(&mut world, "CreateFunction", &made).unwrap_err().code, "ResourceConflictException");
    for name in [json!("smoke"), arn] {
        assert_eq!(call(&mut world, "GetFunctionConcurrency", &json!({"FunctionName": name})), Ok(json!({})));
    }
    let mut reserve = |number: u64| {
        let input = json!({"FunctionName": "smoke", "ReservedConcurrentExecutions": number});
        call(&mut world, "PutFunctionConcurrency", &input).map_err(|error| error.code)
    };
    assert_eq!(reserve(901), Err("InvalidParameterValueException".to_owned()));
    assert_eq!(reserve(0), Ok(json!({"ReservedConcurrentExecutions": 0})));
    let asked = json!({"FunctionName": "smoke"});
    assert_eq!(
        call(&mut world, "GetFunctionConcurrency", &asked).unwrap()["ReservedConcurrentExecutions"],
        0
    );
    call(&mut world, "DeleteFunction", &asked).unwrap();
    let gone = call(&mut world, "GetFunctionConcurrency", &asked).unwrap_err();
    assert_eq!((gone.code.as_str(), gone.status), ("ResourceNotFoundException", 404));
}

#[test]
fn a_pipeline_is_told_as_it_was_made_and_begins_with_a_source() {
    let mut world = world();
    let action = |category: &str, provider: &str| json!({"name": provider, "actionTypeId": {"category": category, "owner": "AWS", "provider": provider, "version": "1"}});
    let stage = |name: &str, actions: Value| json!({"name": name, "actions": actions});
    let mut create = |name: &str, stages: Value| {
        let declaration =
            json!({"name": name, "roleArn": "arn:aws:iam::123456789012:role/pipeline", "stages": stages});
        let made = world.call(Api::CodePipeline, "CreatePipeline", &json!({"pipeline": declaration}));
        made.map(|made| made["pipeline"].clone()).map_err(|error| error.code)
    };
    let (source, deploy) = (action("Source", "ECR"), action("Deploy", "ECS"));
    let good = json!([stage("Source", json!([source])), stage("Deploy", json!([deploy]))]);
    let made = create("api", good.clone()).unwrap();
    assert_eq!((&made["stages"], &made["version"]), (&good, &json!(1)));
    for (name, stages, code) in [
        ("api", good.clone(), "PipelineNameInUseException"),
        ("a b", good.clone(), "ValidationException"),
        ("one", json!([stage("Source", json!([source]))]), "InvalidStructureException"),
        (
            "late",
            json!([stage("Deploy", json!([deploy])), stage("Source", json!([source]))]),
            "InvalidStructureException",
        ),
        (
            "none",
            json!([stage("Source", json!([source])), stage("Deploy", json!([]))]),
            "InvalidStageDeclarationException",
        ),
        (
            "twice",
            json!([stage("Source", json!([source])), stage("Deploy", json!([deploy, deploy]))]),
            "InvalidActionDeclarationException",
        ),
    ] {
        assert_eq!(create(name, stages), Err(code.to_owned()), "{name}");
    }
    let get = |world: &mut World| world.call(Api::CodePipeline, "GetPipeline", &json!({"name": "api"}));
    let told = get(&mut world).unwrap();
    assert_eq!(told["pipeline"], made);
    assert_eq!(told["metadata"]["pipelineArn"], "arn:aws:codepipeline:eu-west-2:123456789012:api");
    world.call(Api::CodePipeline, "DeletePipeline", &json!({"name": "api"})).unwrap();
    assert_eq!(get(&mut world).unwrap_err().code, "PipelineNotFoundException");
}

#[test]
fn subnets_are_told_with_their_free_addresses_by_id_or_by_filter() {
    let mut world = world();
    let call = |world: &mut World, operation: &str, input: &Value| world.call(Api::Ec2, operation, input);
    let vpc =
        call(&mut world, "CreateVpc", &json!({"CidrBlock": "10.0.0.0/16"})).unwrap()["vpc"]["vpcId"].clone();
    let made = json!({"VpcId": vpc, "CidrBlock": "10.0.0.0/28"});
    let subnet = call(&mut world, "CreateSubnet", &made).unwrap()["subnet"].clone();
    assert_eq!((&subnet["availableIpAddressCount"], &subnet["vpcId"]), (&json!(11), &vpc));
    let wide = json!({"VpcId": vpc, "CidrBlock": "10.0.0.0/29"});
    assert_eq!(call(&mut world, "CreateSubnet", &wide).unwrap_err().code, "InvalidSubnet.Range");
    let id = subnet["subnetId"].clone();
    let by_id = call(&mut world, "DescribeSubnets", &json!({"SubnetId": [id, "subnet-none"]})).unwrap_err();
    assert_eq!(by_id.code, "InvalidSubnetID.NotFound", "one that is not there fails the call");
    let filter = json!({"Filter": [{"Name": "subnet-id", "Value": [id, "subnet-none"]}]});
    assert_eq!(call(&mut world, "DescribeSubnets", &filter).unwrap()["subnetSet"], json!([subnet]));
    let group = json!({"VpcId": vpc, "GroupName": "api", "GroupDescription": "api"});
    let id = call(&mut world, "CreateSecurityGroup", &group).unwrap()["groupId"].clone();
    assert_eq!(call(&mut world, "CreateSecurityGroup", &group).unwrap_err().code, "InvalidGroup.Duplicate");
    let filter = json!({"Filter": [{"Name": "group-id", "Value": [id, "sg-none"]}]});
    let told = call(&mut world, "DescribeSecurityGroups", &filter).unwrap()["securityGroupInfo"].clone();
    assert_eq!((told.as_array().unwrap().len(), &told[0]["vpcId"]), (1, &vpc));
    call(&mut world, "DeleteSecurityGroup", &json!({"GroupId": id})).unwrap();
    assert_eq!(
        call(&mut world, "DeleteSecurityGroup", &json!({"GroupId": id})).unwrap_err().code,
        "InvalidGroup.NotFound"
    );
}
