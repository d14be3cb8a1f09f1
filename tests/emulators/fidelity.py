"""Every answer of the simulator against botocore's own models of the services: members, types, enumerations, required
members, and error codes that the operation declares. Every operation that docs/simulator.md lists is called, well and
badly.

    python fidelity.py PATH/TO/trueup
"""

import datetime
import hashlib
import io
import json
import re
import subprocess
import sys
import tempfile
import urllib.request
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import boto3
from botocore.exceptions import ClientError
from botocore.parsers import RpcV2CBORParser
from clients import ACCOUNT, REGION, REGISTRY, Stage

DOCUMENT = Path(__file__).parents[2] / "docs" / "simulator.md"
# Errors that any operation may answer (AWS: "Common errors" of each API), and the simulator's own for what it has not.
COMMON = {"UnsupportedOperation", "ValidationError"}
# What these answer to what they cannot read, which their models do not declare: clients are seen to get it, and moto answers it.
UNDECLARED = {"events": {"ValidationException"}, "ssm": {"ValidationException"}}
# What the faults of the simulator answer, by protocol.
REFUSALS = {
    "json": {"ThrottlingException", "AccessDeniedException", "ExpiredTokenException"},
    "rest-json": {"ThrottlingException", "AccessDeniedException", "ExpiredTokenException"},
    "query": {"Throttling", "AccessDenied", "ExpiredToken"},
    "ec2": {"RequestLimitExceeded", "UnauthorizedOperation", "ExpiredToken"},
    "smithy-rpc-v2-cbor": {"Throttling", "AccessDenied", "ExpiredToken"},
}


class Checker:
    """Walks each raw answer along the shape that botocore has for it."""

    def __init__(self):
        self.problems, self.seen, self.refused = Counter(), set(), set()

    def watch(self, client):
        client.meta.events.register("before-parse.*.*", self.answer)

    def answer(self, operation_model, response_dict, customized_response_dict=None, **_):
        name = operation_model.name
        self.seen.add(name)
        protocol = operation_model.service_model.resolved_protocol
        body = response_dict["body"]
        if response_dict["status_code"] >= 300:
            return self.error(operation_model, protocol, body)
        if protocol == "query":
            root = ElementTree.fromstring(body)
            result = root.find(f"{{*}}{name}Result")
            if operation_model.output_shape is not None:
                self.element(result, operation_model.output_shape, name)
        elif protocol == "ec2":
            if operation_model.output_shape is not None:
                self.element(ElementTree.fromstring(body), operation_model.output_shape, name)
        else:
            value = self.read(protocol, body) if body else {}
            if operation_model.output_shape is not None:
                self.value(value, operation_model.output_shape, name)

    def error(self, operation_model, protocol, body):
        name = operation_model.name
        self.refused.add(name)
        if protocol == "ec2":
            # Its model declares no errors: the codes are those of its "Error codes" page.
            return
        if protocol == "query":
            code = ElementTree.fromstring(body).find(".//{*}Code").text
        else:
            code = self.read(protocol, body)["__type"].split("#")[-1]
        declared = {shape.error_code if hasattr(shape, "error_code") else shape.name for shape in operation_model.error_shapes}
        declared |= {shape.name for shape in operation_model.error_shapes} | COMMON | REFUSALS[protocol]
        declared |= UNDECLARED.get(operation_model.service_model.service_name, set())
        if code not in declared and code.removesuffix("Exception") not in declared:
            self.problems[f"{name}: error {code} is not declared"] += 1

    def read(self, protocol, body):
        if protocol == "smithy-rpc-v2-cbor":
            return RpcV2CBORParser().parse_data_item(io.BufferedReader(io.BytesIO(body)))
        return json.loads(body)

    def value(self, value, shape, path):
        kinds = {
            "structure": dict, "map": dict, "list": list, "string": str, "boolean": bool, "blob": str,
            "integer": int, "long": int, "float": (int, float), "double": (int, float), "timestamp": (int, float, datetime.datetime),
        }  # fmt: skip
        kind = shape.type_name
        if not isinstance(value, kinds[kind]) or (kind in ("integer", "long") and isinstance(value, bool)):
            self.problems[f"{path}: {type(value).__name__} instead of {kind}"] += 1
        elif kind == "structure":
            for key, member in value.items():
                if key in shape.members:
                    self.value(member, shape.members[key], f"{path}.{key}")
                else:
                    self.problems[f"{path}: unknown member {key}"] += 1
            for key in set(shape.required_members) - set(value):
                self.problems[f"{path}: {key} is missing"] += 1
        elif kind == "list":
            for item in value:
                self.value(item, shape.member, f"{path}[]")
        elif kind == "map":
            for item in value.values():
                self.value(item, shape.value, f"{path}.*")
        elif kind == "string" and shape.enum and value not in shape.enum:
            self.problems[f"{path}: {value!r} is none of {shape.enum}"] += 1

    def element(self, element, shape, path):
        children = [] if element is None else list(element)
        name = lambda child: child.tag.split("}")[-1]
        if shape.type_name == "structure":
            # EC2 calls members otherwise on the wire.
            members = {**shape.members, **{member.serialization.get("name", key): member for key, member in shape.members.items()}}
            for child in children:
                if name(child) in members:
                    self.element(child, members[name(child)], f"{path}.{name(child)}")
                elif name(child) != "requestId":
                    self.problems[f"{path}: unknown member {name(child)}"] += 1
        elif shape.type_name == "list":
            for child in children:
                if name(child) != shape.member.serialization.get("name", "member"):
                    self.problems[f"{path}: {name(child)} instead of member"] += 1
                self.element(child, shape.member, f"{path}[]")
        elif shape.type_name in ("integer", "long") and not (element.text or "").isdigit():
            self.problems[f"{path}: {element.text!r} is no number"] += 1
        elif shape.type_name == "string" and shape.enum and (element.text or "") not in shape.enum:
            self.problems[f"{path}: {element.text!r} is none of {shape.enum}"] += 1


def sessions(endpoint, sts, checker):
    """A role of another account, and whose the credentials of its session are."""
    spoke = "210987654321"
    role = {"kind": "createRole", "account": spoke, "name": "trueup", "trusts": ACCOUNT, "externalId": "mco"}
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/_simulator/hand", json.dumps(role).encode()))
    named = {"RoleArn": f"arn:aws:iam::{spoke}:role/trueup", "RoleSessionName": "trueup"}
    refused(sts.assume_role, **named, ExternalId="other")
    refused(sts.assume_role, **named, ExternalId="mco", DurationSeconds=3601)
    assumed = sts.assume_role(**named, ExternalId="mco")
    given = assumed["Credentials"]
    keys = {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }
    inside = boto3.client("sts", endpoint_url=endpoint, region_name=REGION, **keys)
    checker.watch(inside)
    identity = inside.get_caller_identity()
    assert (identity["Account"], identity["Arn"]) == (spoke, assumed["AssumedRoleUser"]["Arn"]), identity
    assert identity["UserId"] == assumed["AssumedRoleUser"]["AssumedRoleId"], identity


def refused(call, **arguments):
    """A call that must be refused; its code is checked by the hook."""
    try:
        call(**arguments)
    except ClientError:
        return
    raise SystemExit(f"{call.__name__} with {arguments} was not refused")


def images(stage):
    ecr = stage.ecr
    named = {"repositoryName": "mco/api"}
    ecr.get_authorization_token()
    ecr.describe_repositories(repositoryNames=["mco/api"])
    refused(ecr.describe_repositories, repositoryNames=["nope"])
    refused(ecr.create_repository, **named)
    ecr.create_repository(
        repositoryName="mco/other",
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "test*"}],
    )
    ecr.put_image_tag_mutability(repositoryName="mco/other", imageTagMutability="MUTABLE")
    refused(ecr.put_image_tag_mutability, repositoryName="nope", imageTagMutability="MUTABLE")
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}]}
    refused(ecr.get_repository_policy, **named)
    refused(ecr.delete_repository_policy, **named)
    refused(ecr.set_repository_policy, **named, policyText="{}")
    ecr.set_repository_policy(**named, policyText=json.dumps(policy))
    ecr.get_repository_policy(**named)
    ecr.delete_repository_policy(**named)
    layer = b"a layer"
    digest = "sha256:" + hashlib.sha256(layer).hexdigest()
    upload = ecr.initiate_layer_upload(**named)["uploadId"]
    refused(ecr.initiate_layer_upload, repositoryName="nope")
    ecr.upload_layer_part(**named, uploadId=upload, partFirstByte=0, partLastByte=len(layer) - 1, layerPartBlob=layer)
    refused(ecr.upload_layer_part, **named, uploadId="nope", partFirstByte=0, partLastByte=1, layerPartBlob=b"ab")
    ecr.complete_layer_upload(**named, uploadId=upload, layerDigests=[digest])
    refused(ecr.complete_layer_upload, **named, uploadId="nope", layerDigests=[digest])
    ecr.batch_check_layer_availability(**named, layerDigests=[digest, "sha256:" + "0" * 64])
    blob = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": len(layer)}
    media_type = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": media_type, "config": blob, "layers": [blob]}
    ecr.put_image(**named, imageManifest=json.dumps(manifest), imageTag="layered")
    url = ecr.get_download_url_for_layer(**named, layerDigest=digest)["downloadUrl"]
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == layer, url
    refused(ecr.get_download_url_for_layer, **named, layerDigest="sha256:" + "0" * 64)
    stage.build("0000001")
    refused(stage.build, commit="0000001")
    ecr.list_images(**named)
    for operation in ("describe_images", "list_images"):
        pages = list(ecr.get_paginator(operation).paginate(**named, PaginationConfig={"PageSize": 1}))
        assert len(pages) >= 2, operation
    ecr.describe_images(**named)
    refused(ecr.describe_images, **named, imageIds=[{"imageTag": "nope"}])
    ecr.batch_get_image(**named, imageIds=[{"imageTag": "0000001"}, {"imageTag": "nope"}])
    stored = ecr.describe_images(**named, imageIds=[{"imageTag": "0000001"}])["imageDetails"][0]["imageDigest"]
    archive = {"imageId": {"imageDigest": stored}, "targetStorageClass": "ARCHIVE"}
    ecr.update_image_storage_class(**named, **archive)
    ecr.describe_images(**named, filter={"imageStatus": "ARCHIVED"})
    ecr.batch_delete_image(**named, imageIds=[{"imageDigest": stored}, {"imageTag": "nope"}])
    refused(ecr.delete_repository, **named)
    ecr.delete_repository(repositoryName="mco/other")


def rolling(stage):
    ecs = stage.ecs
    here = {"cluster": "mco"}
    named = {**here, "service": "rolling"}
    ecs.create_cluster(clusterName="spare")
    ecs.describe_clusters(clusters=["mco", "nope"], include=["TAGS", "SETTINGS", "STATISTICS", "ATTACHMENTS", "CONFIGURATIONS"])
    ecs.list_clusters()
    ecs.delete_cluster(cluster="spare")
    refused(ecs.delete_cluster, cluster="nope")
    definition = stage.task_definition("aaaaaaa")
    first = ecs.register_task_definition(**{**definition, "family": "rolling"}, tags=[{"key": "a", "value": "b"}])
    first = first["taskDefinition"]["taskDefinitionArn"]
    second = ecs.register_task_definition(**{**definition, "family": "rolling"})["taskDefinition"]["taskDefinitionArn"]
    refused(ecs.register_task_definition, family="x", containerDefinitions=[])
    ecs.describe_task_definition(taskDefinition=first, include=["TAGS"])
    refused(ecs.describe_task_definition, taskDefinition="nope")
    ecs.list_task_definitions(familyPrefix="rolling", sort="DESC")
    ecs.list_task_definition_families()
    ecs.tag_resource(resourceArn=first, tags=[{"key": "c", "value": "d"}])
    ecs.list_tags_for_resource(resourceArn=first)
    ecs.untag_resource(resourceArn=first, tagKeys=["c"])
    refused(ecs.tag_resource, resourceArn="nope", tags=[])
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    ecs.create_service(**here, serviceName="rolling", taskDefinition=first, desiredCount=2, deploymentConfiguration=breaker)
    refused(ecs.create_service, **here, serviceName="rolling", taskDefinition=first, desiredCount=3)
    stage.control("advance", {"seconds": 60})
    ecs.describe_services(**here, services=["rolling", "nope"], include=["TAGS"])
    refused(ecs.describe_services, cluster="nope", services=["rolling"])
    ecs.list_services(**here)
    ecs.update_service(**named, taskDefinition=second)
    refused(ecs.update_service, **here, service="nope", desiredCount=1)
    # A new service deployment is listed a moment after the write.
    stage.control("advance", {"seconds": 5})
    deployments = ecs.list_service_deployments(**named)["serviceDeployments"]
    described = ecs.describe_service_deployments(serviceDeploymentArns=[deployments[0]["serviceDeploymentArn"]])
    ecs.stop_service_deployment(serviceDeploymentArn=deployments[0]["serviceDeploymentArn"])
    refused(ecs.stop_service_deployment, serviceDeploymentArn=deployments[1]["serviceDeploymentArn"])
    stage.control("advance", {"seconds": 60})
    ecs.describe_service_deployments(serviceDeploymentArns=[deployments[0]["serviceDeploymentArn"]])
    revision = described["serviceDeployments"][0]["targetServiceRevision"]["arn"]
    ecs.describe_service_revisions(serviceRevisionArns=[revision])
    tasks = ecs.list_tasks(**here, serviceName="rolling")["taskArns"]
    soon = {"Delay": 1, "MaxAttempts": 2}
    ecs.get_waiter("services_stable").wait(**here, services=["rolling"], WaiterConfig=soon)
    ecs.get_waiter("tasks_running").wait(**here, tasks=tasks, WaiterConfig=soon)
    for operation in ("list_clusters", "list_services", "list_tasks", "list_task_definitions", "list_task_definition_families"):
        given = here if operation in ("list_services", "list_tasks") else {}
        pages = list(ecs.get_paginator(operation).paginate(**given, PaginationConfig={"PageSize": 1}))
        assert len(pages) >= (2 if operation in ("list_services", "list_tasks", "list_task_definitions") else 1), operation
    ecs.describe_tasks(**here, tasks=[*tasks, "nope"], include=["TAGS"])
    ecs.stop_task(**here, task=tasks[0], reason="a test")
    refused(ecs.stop_task, **here, task="nope")
    stage.control("advance", {"seconds": 10})
    ecs.get_waiter("tasks_stopped").wait(**here, tasks=tasks[:1], WaiterConfig=soon)
    refused(ecs.delete_service, **named)
    ecs.delete_service(**named, force=True)
    stage.control("advance", {"seconds": 30})
    ecs.get_waiter("services_inactive").wait(**here, services=["rolling"], WaiterConfig=soon)
    ecs.deregister_task_definition(taskDefinition=second)
    ecs.delete_task_definitions(taskDefinitions=[second])
    refused(ecs.deregister_task_definition, taskDefinition="nope:1")


def runs(stage):
    """Tasks that no service starts: tokens, conflicts, failures, and the waiter for their end."""
    ecs, here = stage.ecs, {"cluster": "mco"}
    ecs.register_task_definition(**{**stage.task_definition("aaaaaaa"), "family": "job"})
    asked = {**here, "taskDefinition": "job", "startedBy": "me", "clientToken": "one", "tags": [{"key": "a", "value": "b"}]}
    task = ecs.run_task(**asked)["tasks"][0]["taskArn"]
    assert ecs.run_task(**asked)["tasks"][0]["taskArn"] == task
    try:
        ecs.run_task(**{**asked, "startedBy": "you"})
        raise SystemExit("a token stands for two things")
    except ClientError as error:
        assert error.response["resourceIds"] == [task], error.response
    refused(ecs.run_task, cluster="nope", taskDefinition="job")
    refused(ecs.run_task, **here, taskDefinition="nope")
    stage.control("fault", {"kind": "noCapacity", "reason": "RESOURCE:CPU"})
    assert ecs.run_task(**here, taskDefinition="job")["failures"][0]["reason"] == "RESOURCE:CPU"
    stage.control("advance", {"seconds": 5})
    assert ecs.list_tasks(**here, startedBy="me", desiredStatus="RUNNING")["taskArns"] == [task]
    stage.control("advance", {"seconds": 60})
    ecs.get_waiter("tasks_stopped").wait(**here, tasks=[task], WaiterConfig={"Delay": 1, "MaxAttempts": 2})
    stopped = ecs.describe_tasks(**here, tasks=[task], include=["TAGS"])["tasks"][0]
    assert stopped["containers"][0]["exitCode"] == 0, stopped
    assert ecs.run_task(**asked)["tasks"] == [{"taskArn": task, "lastStatus": "STOPPED", "desiredStatus": "STOPPED"}]
    ecs.stop_task(**here, task=ecs.run_task(**here, taskDefinition="job")["tasks"][0]["taskArn"])


def blue_green(stage):
    deploy = stage.deploy
    group = {"applicationName": "API", "deploymentGroupName": "API-test"}
    described = deploy.get_deployment_group(**group)["deploymentGroupInfo"]
    deploy.create_application(applicationName="spare", computePlatform="ECS")
    refused(deploy.create_application, applicationName="spare", computePlatform="ECS")
    deploy.get_application(applicationName="spare")
    refused(deploy.get_application, applicationName="nope")
    deploy.batch_get_applications(applicationNames=["API", "spare"])
    deploy.list_applications()
    deploy.delete_application(applicationName="spare")
    deploy.batch_get_deployment_groups(applicationName="API", deploymentGroupNames=["API-test"])
    deploy.list_deployment_groups(applicationName="API")
    deploy.update_deployment_group(applicationName="API", currentDeploymentGroupName="API-test", deploymentConfigName="CodeDeployDefault.ECSAllAtOnce")
    refused(deploy.get_deployment_group, applicationName="API", deploymentGroupName="nope")
    refused(deploy.create_deployment_group, **group, serviceRoleArn=described["serviceRoleArn"])
    linear = {"type": "TimeBasedLinear", "timeBasedLinear": {"linearPercentage": 50, "linearInterval": 1}}
    deploy.create_deployment_config(deploymentConfigName="spare", computePlatform="ECS", trafficRoutingConfig=linear)
    refused(deploy.create_deployment_config, deploymentConfigName="spare", computePlatform="ECS", trafficRoutingConfig=linear)
    deploy.get_deployment_config(deploymentConfigName="spare")
    deploy.get_deployment_config(deploymentConfigName="CodeDeployDefault.ECSCanary10Percent5Minutes")
    refused(deploy.get_deployment_config, deploymentConfigName="nope")
    deploy.list_deployment_configs()
    deploy.delete_deployment_config(deploymentConfigName="spare")
    revision = {"revisionType": "AppSpecContent", "appSpecContent": {"content": stage.app_spec("mco-api:1")}}
    deploy.register_application_revision(applicationName="API", revision=revision)
    deploy.list_application_revisions(applicationName="API")
    digest = hashlib.sha256(revision["appSpecContent"]["content"].encode()).hexdigest()
    named = {"revisionType": "AppSpecContent", "appSpecContent": {"sha256": digest}}
    deploy.get_application_revision(applicationName="API", revision=named)
    for breakage in ("garbage: [", "version: 0.0"):
        broken = {"revisionType": "AppSpecContent", "appSpecContent": {"content": breakage}}
        taken = deploy.create_deployment(**group, revision=broken)["deploymentId"]
        stage.control("advance", {"seconds": 10})
        error = deploy.get_deployment(deploymentId=taken)["deploymentInfo"]["errorInformation"]
        assert error["code"] == "INVALID_REVISION", error
    wrong = {"revisionType": "AppSpecContent", "appSpecContent": {"content": "version: 0.0", "sha256": "00"}}
    refused(deploy.create_deployment, **group, revision=wrong)
    refused(deploy.create_deployment, **group, revision=revision, fileExistsBehavior="MERGE")
    refused(deploy.create_deployment, **group, revision=revision, deploymentMode="RESTART")
    refused(deploy.list_deployments, nextToken="nope")
    refused(deploy.list_deployments, **group, includeOnlyStatuses=["Done"])
    refused(deploy.list_deployments, applicationName="API")
    refused(deploy.list_applications, nextToken="nope")
    refused(deploy.delete_deployment_config, deploymentConfigName="CodeDeployDefault.ECSAllAtOnce")
    refused(deploy.batch_get_deployments, deploymentIds=["nope"])
    stage.build("bbbbbbb")
    first = stage.create("bbbbbbb", [{"AfterInstall": "silent"}])
    refused(deploy.create_deployment, **group, revision=revision)
    refused(deploy.list_deployment_targets, deploymentId=first)
    for seconds in (10, 30, 30):
        stage.control("advance", {"seconds": seconds})
        deploy.get_deployment(deploymentId=first)
        deploy.get_deployment_target(deploymentId=first, targetId="mco:mco-api")
        stage.ecs.describe_services(cluster="mco", services=["mco-api"])
    deploy.batch_get_deployment_targets(deploymentId=first, targetIds=["mco:mco-api"])
    refused(deploy.batch_get_deployment_targets, deploymentId=first, targetIds=[])
    refused(deploy.batch_get_deployment_targets, deploymentId=first, targetIds=["mco:mco-api", "mco:other"])
    refused(deploy.get_deployment_target, deploymentId=first, targetId="mco:other")
    deploy.list_deployment_targets(deploymentId=first)
    refused(deploy.get_deployment_target, deploymentId=first, targetId="nope")
    hook = {"deploymentId": first, "lifecycleEventHookExecutionId": f"{first}:AfterInstall", "status": "Succeeded"}
    refused(deploy.put_lifecycle_event_hook_execution_status, **{**hook, "lifecycleEventHookExecutionId": "nope"})
    deploy.put_lifecycle_event_hook_execution_status(**hook)
    refused(deploy.put_lifecycle_event_hook_execution_status, **hook)
    stage.control("heal", {})
    stage.control("advance", {"seconds": 30})
    refused(deploy.continue_deployment, deploymentId=first, deploymentWaitType="READY_WAIT")
    deploy.continue_deployment(deploymentId=first, deploymentWaitType="TERMINATION_WAIT")
    stage.control("advance", {"seconds": 30})
    refused(deploy.stop_deployment, deploymentId=first)
    stage.build("ccccccc")
    second = stage.create("ccccccc")
    stage.control("advance", {"seconds": 60})
    deploy.stop_deployment(deploymentId=second, autoRollbackEnabled=True)
    stage.control("advance", {"seconds": 60})
    listed = deploy.list_deployments(**group, includeOnlyStatuses=["Succeeded", "Stopped"])["deployments"]
    assert len(listed) == 3, listed
    deploy.batch_get_deployments(deploymentIds=listed)
    deploy.get_deployment_group(**group)
    refused(stage.ecs.update_service, cluster="mco", service="mco-api", taskDefinition="mco-api:1")
    deploy.delete_deployment_group(**group)


def shifting(stage):
    """A canary with a pause, stopped and continued; the service of CodeDeploy moves to ECS first."""
    ecs, named = stage.ecs, {"cluster": "mco", "service": "mco-api"}
    balancer = ecs.describe_services(cluster="mco", services=["mco-api"])["services"][0]["loadBalancers"][0]
    groups = [group["TargetGroupArn"] for group in stage.elb.describe_target_groups()["TargetGroups"]]
    live = balancer["targetGroupArn"]
    weights = [{"TargetGroupArn": group, "Weight": 1 if group == live else 0} for group in groups]
    stage.elb.modify_listener(ListenerArn=stage.listener, DefaultActions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}])
    rule = [one for one in stage.elb.describe_rules(ListenerArn=stage.listener)["Rules"] if one["IsDefault"]][0]["RuleArn"]
    other = next(group for group in groups if group != live)
    role = f"arn:aws:iam::{ACCOUNT}:role/ecs"
    advanced = {"alternateTargetGroupArn": other, "productionListenerRule": rule, "roleArn": role}
    function = {"hookTargetArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:smoke", "roleArn": role, "lifecycleStages": ["POST_SCALE_UP"]}
    configuration = {
        "strategy": "CANARY",
        "canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 1},
        "bakeTimeInMinutes": 1,
        "lifecycleHooks": [function, {"targetType": "PAUSE", "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"]}],
    }
    refused(ecs.update_service, **named, deploymentConfiguration={"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 0.0}})
    ecs.update_service(
        **named,
        deploymentController={"type": "ECS"},
        deploymentConfiguration=configuration,
        loadBalancers=[{**balancer, "advancedConfiguration": advanced}],
    )

    def newest():
        arn = ecs.list_service_deployments(**named)["serviceDeployments"][0]["serviceDeploymentArn"]
        return ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0]

    for seconds in (5, 10, 30):
        stage.control("advance", {"seconds": seconds})
        found = newest()
        ecs.describe_services(cluster="mco", services=["mco-api"])
    assert found["lifecycleHookDetails"][0]["status"] == "AWAITING_ACTION", found
    pause = {"serviceDeploymentArn": found["serviceDeploymentArn"], "hookId": found["lifecycleHookDetails"][0]["hookId"]}
    refused(ecs.continue_service_deployment, **{**pause, "hookId": "nope"})
    ecs.continue_service_deployment(**pause)
    stage.control("advance", {"seconds": 30})
    assert newest()["targetServiceRevision"]["requestedProductionTrafficWeight"] == 10.0, newest()
    ecs.describe_service_revisions(serviceRevisionArns=[newest()["targetServiceRevision"]["arn"]])
    ecs.stop_service_deployment(serviceDeploymentArn=found["serviceDeploymentArn"])
    stage.control("advance", {"seconds": 120})
    assert newest()["status"] == "ROLLBACK_SUCCESSFUL", newest()
    refused(ecs.continue_service_deployment, **pause)


def balancing(stage):
    elb = stage.elb
    balancer = elb.describe_load_balancers(Names=["mco"])["LoadBalancers"][0]["LoadBalancerArn"]
    groups = [group["TargetGroupArn"] for group in elb.describe_target_groups()["TargetGroups"]]
    refused(elb.describe_target_groups, Names=["nope"])
    refused(elb.create_target_group, Name="api-1")
    refused(elb.create_load_balancer, Name="mco", Scheme="internal")
    refused(elb.describe_load_balancers, Names=["nope"])
    refused(elb.describe_listeners)
    refused(elb.describe_target_groups, LoadBalancerArn="nope")
    refused(elb.describe_target_health, TargetGroupArn="nope")
    elb.describe_target_groups(LoadBalancerArn=balancer)
    elb.get_waiter("load_balancer_exists").wait(LoadBalancerArns=[balancer], WaiterConfig={"Delay": 1, "MaxAttempts": 2})
    elb.get_waiter("load_balancer_available").wait(LoadBalancerArns=[balancer], WaiterConfig={"Delay": 1, "MaxAttempts": 2})
    elb.describe_target_health(TargetGroupArn=groups[0])
    elb.describe_target_health(TargetGroupArn=groups[0], Targets=[{"Id": "10.9.9.9", "Port": 80}])
    forward = [{"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": groups[0], "Weight": 1}]}}]
    listener = elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=81, DefaultActions=forward)["Listeners"][0]["ListenerArn"]
    same = elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=81, DefaultActions=forward)
    assert same["Listeners"][0]["ListenerArn"] == listener, same
    other = [{"Type": "forward", "TargetGroupArn": groups[1]}]
    refused(elb.create_listener, LoadBalancerArn=balancer, Protocol="HTTP", Port=81, DefaultActions=other)
    elb.describe_listeners(LoadBalancerArn=balancer)
    elb.modify_listener(ListenerArn=listener, DefaultActions=forward)
    refused(elb.modify_listener, ListenerArn="nope", DefaultActions=forward)
    conditions = [{"Field": "path-pattern", "Values": ["/x"]}]
    rule = elb.create_rule(ListenerArn=listener, Priority=7, Conditions=conditions, Actions=forward)["Rules"][0]["RuleArn"]
    refused(elb.create_rule, ListenerArn=listener, Priority=7, Conditions=conditions, Actions=forward)
    rules = elb.describe_rules(ListenerArn=listener)["Rules"]
    assert [told["Priority"] for told in rules] == ["7", "default"], rules
    refused(elb.describe_rules)
    refused(elb.describe_rules, ListenerArn="nope")
    refused(elb.modify_rule, RuleArn=rules[1]["RuleArn"], Actions=forward)
    elb.modify_rule(RuleArn=rule, Actions=forward)
    refused(elb.delete_target_group, TargetGroupArn=groups[0])
    elb.delete_listener(ListenerArn=listener)
    elb.delete_load_balancer(LoadBalancerArn=balancer)
    elb.delete_target_group(TargetGroupArn=groups[1])


def tagging(stage):
    tags = [{"key": "team", "value": "a"}]
    for _ in range(3):
        stage.ecs.register_task_definition(**{**stage.task_definition("aaaaaaa"), "family": "tagged"}, tags=tags)
    stage.control("advance", {"seconds": 10})
    wanted = {"ResourceTypeFilters": ["ecs:task-definition"], "TagFilters": [{"Key": "team", "Values": ["a", "b"]}]}
    pages = list(stage.tagging.get_paginator("get_resources").paginate(**wanted, PaginationConfig={"PageSize": 2}))
    found = [one["ResourceARN"] for page in pages for one in page["ResourceTagMappingList"]]
    assert len(pages) >= 2 and len(found) == 3, pages
    by_arn = stage.tagging.get_resources(ResourceARNList=found[:1])["ResourceTagMappingList"]
    assert by_arn == [{"ResourceARN": found[0], "Tags": [{"Key": "team", "Value": "a"}]}], by_arn
    refused(stage.tagging.get_resources, ResourcesPerPage=101)
    refused(stage.tagging.get_resources, PaginationToken="nope")
    refused(stage.tagging.get_resources, TagFilters=[{"Key": "a", "Values": [str(n) for n in range(21)]}])


def scaling(stage):
    scaling, here = stage.scaling, {"cluster": "mco"}
    stage.ecs.create_service(**here, serviceName="scaled", taskDefinition="tagged", desiredCount=1)
    target = {"ServiceNamespace": "ecs", "ResourceId": "service/mco/scaled", "ScalableDimension": "ecs:service:DesiredCount"}
    refused(scaling.register_scalable_target, **target, MinCapacity=2)
    scaling.register_scalable_target(**target, MinCapacity=2, MaxCapacity=3)
    found = scaling.describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=["service/mco/scaled", "service/mco/nope"])
    assert [(one["MinCapacity"], one["MaxCapacity"]) for one in found["ScalableTargets"]] == [(2, 3)], found
    assert len(list(scaling.get_paginator("describe_scalable_targets").paginate(ServiceNamespace="ecs"))) == 1
    refused(scaling.describe_scalable_targets, ServiceNamespace="ecs", NextToken="nope")
    scaling.deregister_scalable_target(**target)
    refused(scaling.deregister_scalable_target, **target)
    stage.ecs.delete_service(**here, service="scaled", force=True)


def logs(stage):
    logs, here = stage.logs, {"logGroupName": "/mco/api", "logStreamName": "one"}
    refused(logs.create_log_stream, **here)
    logs.create_log_group(logGroupName="/mco/api")
    refused(logs.create_log_group, logGroupName="/mco/api")
    refused(logs.get_log_events, **here)
    logs.create_log_stream(**here)
    refused(logs.put_log_events, **here, logEvents=[{"timestamp": 2, "message": "b"}, {"timestamp": 1, "message": "a"}])
    logs.put_log_events(**here, logEvents=[{"timestamp": n, "message": str(n)} for n in range(1, 6)])
    newest = logs.get_log_events(**here, limit=2)
    assert [event["message"] for event in newest["events"]] == ["4", "5"], newest
    older = logs.get_log_events(**here, limit=2, nextToken=newest["nextBackwardToken"])
    assert [event["message"] for event in older["events"]] == ["2", "3"], older
    refused(logs.get_log_events, **here, nextToken="nope")
    logs.delete_log_group(logGroupName="/mco/api")
    refused(logs.delete_log_group, logGroupName="/mco/api")


def unhealthy(stage):
    """A target whose checks fail, at each moment of its life."""
    elb, ecs = stage.elb, stage.ecs
    balancer = elb.create_load_balancer(Name="sick", Subnets=["subnet-1", "subnet-2"])["LoadBalancers"][0]["LoadBalancerArn"]
    group = elb.create_target_group(Name="sick", Protocol="HTTP", Port=8080, VpcId="vpc-1", TargetType="ip")["TargetGroups"][0]["TargetGroupArn"]
    forward = [{"Type": "forward", "TargetGroupArn": group}]
    elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=forward)
    stage.control("fault", {"kind": "unhealthy", "digest": stage.build("sick")})
    definition = ecs.register_task_definition(**stage.task_definition("sick"))["taskDefinition"]["taskDefinitionArn"]
    balancers = [{"targetGroupArn": group, "containerName": "api", "containerPort": 8080}]
    ecs.create_service(cluster="mco", serviceName="sick", taskDefinition=definition, desiredCount=1, loadBalancers=balancers)
    told = set()
    for _ in range(40):
        stage.control("advance", {"seconds": 1})
        health = elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        told |= {(one["TargetHealth"]["State"], one["TargetHealth"]["Reason"]) for one in health}
    assert ("unhealthy", "Target.ResponseCodeMismatch") in told and len(told) == 3, told
    ecs.delete_service(cluster="mco", service="sick", force=True)
    stage.control("heal", {})


def schedules(stage):
    """Rules and schedules, whole and changed, and the tasks that they start."""
    events, scheduler, here = stage.events, stage.scheduler, {"cluster": "mco"}
    definition = {**stage.task_definition("aaaaaaa"), "family": "nightly"}
    runs = stage.ecs.register_task_definition(**definition)["taskDefinition"]["taskDefinitionArn"]
    cluster, role = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/mco", f"arn:aws:iam::{ACCOUNT}:role/events"
    target = {"Id": "one", "Arn": cluster, "RoleArn": role, "EcsParameters": {"TaskDefinitionArn": runs, "TaskCount": 1}}
    refused(events.put_targets, Rule="nightly", Targets=[target])
    refused(events.put_rule, Name="nightly")
    events.put_rule(Name="nightly", ScheduleExpression="rate(1 day)", Description="d")
    events.disable_rule(Name="nightly")
    events.enable_rule(Name="nightly")
    refused(events.enable_rule, Name="nope")
    refused(events.disable_rule, Name="nope")
    assert events.describe_rule(Name="nightly")["State"] == "ENABLED"
    refused(events.describe_rule, Name="nope")
    assert events.put_targets(Rule="nightly", Targets=[target])["FailedEntryCount"] == 0
    stage.control("fault", {"kind": "failEntries", "code": "InternalException", "message": "no"})
    assert events.put_targets(Rule="nightly", Targets=[target])["FailedEntries"][0]["TargetId"] == "one"
    for operation, key in (("list_rules", {}), ("list_targets_by_rule", {"Rule": "nightly"})):
        assert len(list(events.get_paginator(operation).paginate(**key, PaginationConfig={"PageSize": 1}))) == 1, operation
    refused(events.list_targets_by_rule, Rule="nope")
    schedule = {
        "Name": "nightly",
        "GroupName": "jobs",
        "ScheduleExpression": "cron(0 3 * * ? *)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {key: value for key, value in target.items() if key != "Id"},
    }
    refused(scheduler.create_schedule, **schedule)
    scheduler.create_schedule_group(Name="jobs")
    refused(scheduler.create_schedule_group, Name="jobs")
    scheduler.create_schedule(**schedule, StartDate="2026-02-01T00:00:00Z", EndDate="2027-02-01T00:00:00Z", Description="d")
    refused(scheduler.create_schedule, **schedule)
    named = {"Name": "nightly", "GroupName": "jobs"}
    whole = scheduler.get_schedule(**named)
    assert whole["Description"] == "d" and whole["StartDate"].year == 2026, whole
    refused(scheduler.get_schedule, Name="nightly")
    scheduler.update_schedule(**schedule)
    assert "Description" not in scheduler.get_schedule(**named)
    refused(scheduler.update_schedule, **{**schedule, "GroupName": "default"})
    for name, by in (("nightly", "events-rule/nightly"), ("jobs/nightly", "chronos-schedule/nightly")):
        stage.control("hand", {"kind": "fire", "name": name})
        stage.control("advance", {"seconds": 5})
        tasks = stage.ecs.list_tasks(**here, startedBy=by)["taskArns"]
        assert [task["taskDefinitionArn"] for task in stage.ecs.describe_tasks(**here, tasks=tasks)["tasks"]] == [runs], name
    scheduler.delete_schedule(**named)
    refused(scheduler.delete_schedule, **named)
    refused(events.delete_rule, Name="nightly")
    assert events.remove_targets(Rule="nightly", Ids=["one", "nope"])["FailedEntryCount"] == 1
    refused(events.remove_targets, Rule="nope", Ids=["one"])
    events.delete_rule(Name="nightly")


def refusals(stage):
    """Each protocol has its own words for a refusal, and botocore understands them."""
    for call, words in (
        (stage.ecs.list_clusters, ("ThrottlingException", "AccessDeniedException", "ExpiredTokenException")),
        (stage.deploy.list_applications, ("ThrottlingException", "AccessDeniedException", "ExpiredTokenException")),
        (stage.tagging.get_resources, ("ThrottledException", "AccessDeniedException", "ExpiredTokenException")),
        (stage.events.list_rules, ("ThrottlingException", "AccessDeniedException", "ExpiredTokenException")),
        (lambda: stage.scheduler.get_schedule(Name="x"), ("ThrottlingException", "AccessDeniedException", "ExpiredTokenException")),
        (stage.elb.describe_load_balancers, ("Throttling", "AccessDenied", "ExpiredToken")),
    ):
        for kind, code in zip(("throttle", "deny", "expiredToken"), words):
            # Throttling is tried again by botocore itself.
            stage.control("fault", {"kind": kind, "times": 10})
            try:
                call()
                raise SystemExit(f"{kind} did not reach {call}")
            except ClientError as error:
                assert error.response["Error"]["Code"] == code, error.response
                assert error.response["ResponseMetadata"]["RequestId"], error.response
            stage.control("heal", {})


def surroundings(stage):
    """Roles and what they may do, secrets, parameters and lifecycle policies."""
    iam, secrets, parameters, ecr = stage.iam, stage.secrets, stage.parameters, stage.ecr
    policy = lambda **statement: json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    trust = policy(Effect="Allow", Principal={"Service": "ecs-tasks.amazonaws.com"}, Action="sts:AssumeRole")
    refused(iam.get_role, RoleName="execution")
    refused(iam.create_role, RoleName="execution", AssumeRolePolicyDocument="no policy")
    role = iam.create_role(RoleName="execution", Path="/mco/", AssumeRolePolicyDocument=trust)["Role"]
    refused(iam.create_role, RoleName="execution", AssumeRolePolicyDocument=trust)
    assert iam.get_role(RoleName="execution")["Role"]["AssumeRolePolicyDocument"] == json.loads(trust), "decoded by boto3"
    assert role["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/mco/execution", role
    reads = policy(Effect="Allow", Action="secretsmanager:Get*", Resource="*")
    refused(iam.put_role_policy, RoleName="other", PolicyName="reads", PolicyDocument=reads)
    iam.put_role_policy(RoleName="execution", PolicyName="reads", PolicyDocument=reads)
    refused(iam.put_user_policy, UserName="other", PolicyName="reads", PolicyDocument=reads)
    asked = {"PolicySourceArn": role["Arn"], "ActionNames": ["secretsmanager:GetSecretValue", "ssm:GetParameters"]}
    results = iam.simulate_principal_policy(**asked)["EvaluationResults"]
    assert [result["EvalDecision"] for result in results] == ["allowed", "implicitDeny"], results
    refused(iam.simulate_principal_policy, **{**asked, "PolicySourceArn": role["Arn"] + "s"})
    refused(iam.delete_role, RoleName="execution")
    iam.delete_role_policy(RoleName="execution", PolicyName="reads")
    refused(iam.delete_role_policy, RoleName="execution", PolicyName="reads")
    iam.delete_role(RoleName="execution")
    iam.put_user_policy(UserName="simulator", PolicyName="all", PolicyDocument=policy(Effect="Allow", Action="*", Resource="*"))

    refused(secrets.describe_secret, SecretId="mco/db")
    secret = secrets.create_secret(Name="mco/db", SecretString="canary")
    refused(secrets.create_secret, Name="mco/db", SecretString="canary")
    for name in ("mco/db", secret["ARN"]):
        assert secrets.describe_secret(SecretId=name)["ARN"] == secret["ARN"]
    refused(secrets.delete_secret, SecretId="mco/db", RecoveryWindowInDays=3)
    secrets.delete_secret(SecretId="mco/db")
    assert secrets.describe_secret(SecretId="mco/db")["DeletedDate"]

    refused(parameters.put_parameter, Name="mco/level", Value="canary", Type="String")
    for name in ("/mco/level", "/mco/other"):
        parameters.put_parameter(Name=name, Value="canary", Type="SecureString")
    refused(parameters.put_parameter, Name="/mco/level", Value="canary", Type="String")
    named = lambda option, *values: [{"Key": "Name", "Option": option, "Values": list(values)}]
    found = parameters.describe_parameters(ParameterFilters=named("BeginsWith", "/mco"), MaxResults=1)
    assert len(found["Parameters"]) == 1 and found["NextToken"], found
    assert not parameters.describe_parameters(ParameterFilters=named("Equals", "/mco"))["Parameters"]
    refused(parameters.describe_parameters, ParameterFilters=[{"Key": "Nothing", "Values": ["x"]}])
    parameters.delete_parameter(Name="/mco/level")
    refused(parameters.delete_parameter, Name="/mco/level")

    selection = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 14}
    rules = json.dumps({"rules": [{"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}]})
    here = {"repositoryName": "mco/api"}
    refused(ecr.get_lifecycle_policy, **here)
    refused(ecr.put_lifecycle_policy, **here, lifecyclePolicyText=json.dumps({"rules": [], "about": "x" * 100}))
    ecr.put_lifecycle_policy(**here, lifecyclePolicyText=rules)
    assert ecr.get_lifecycle_policy(**here)["lifecyclePolicyText"] == rules
    ecr.delete_lifecycle_policy(**here)
    refused(ecr.delete_lifecycle_policy, **here)

    for name in ("/mco/b", "/mco/a"):
        stage.logs.create_log_group(logGroupName=name)
    first = stage.logs.describe_log_groups(logGroupNamePrefix="/mco/", limit=1)
    assert [group["logGroupName"] for group in first["logGroups"]] == ["/mco/a"], first
    rest = stage.logs.describe_log_groups(logGroupNamePrefix="/mco/", nextToken=first["nextToken"])
    assert [group["logGroupName"] for group in rest["logGroups"]][0] == "/mco/b", rest


def guards(stage):
    """Alarms that stop deployments, and functions that hooks call."""
    alarms, functions = stage.alarms, stage.functions
    measured = {"MetricName": "Errors", "Namespace": "mco", "ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1, "Period": 60}
    for name in ("errors", "latency"):
        alarms.put_metric_alarm(AlarmName=name, Threshold=1.0, Statistic="Sum", **measured)
    alarms.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="told")
    refused(alarms.set_alarm_state, AlarmName="other", StateValue="OK", StateReason="told")
    kinds = {"AlarmNames": ["errors", "latency", "other"], "AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}
    told = alarms.describe_alarms(**kinds)
    assert [(one["AlarmName"], one["StateValue"]) for one in told["MetricAlarms"]] == [("errors", "ALARM"), ("latency", "INSUFFICIENT_DATA")], told
    assert told["MetricAlarms"][0]["StateUpdatedTimestamp"].year >= 2026, told
    first = alarms.describe_alarms(MaxRecords=1)
    assert alarms.describe_alarms(MaxRecords=1, NextToken=first["NextToken"])["MetricAlarms"][0]["AlarmName"] == "latency"
    refused(alarms.describe_alarms, NextToken="other")
    refused(alarms.delete_alarms, AlarmNames=["errors", "other"])
    alarms.delete_alarms(AlarmNames=["errors", "latency"])
    assert not alarms.describe_alarms()["MetricAlarms"]

    made = {"FunctionName": "smoke", "Role": f"arn:aws:iam::{ACCOUNT}:role/lambda", "Runtime": "python3.13", "Handler": "index.handler"}
    refused(functions.get_function_concurrency, FunctionName="smoke")
    arn = functions.create_function(**made, Code={"ZipFile": b""})["FunctionArn"]
    refused(functions.create_function, **made, Code={"ZipFile": b""})
    assert "ReservedConcurrentExecutions" not in functions.get_function_concurrency(FunctionName=arn)
    refused(functions.put_function_concurrency, FunctionName="smoke", ReservedConcurrentExecutions=901)
    functions.put_function_concurrency(FunctionName="smoke", ReservedConcurrentExecutions=0)
    assert functions.get_function_concurrency(FunctionName="smoke")["ReservedConcurrentExecutions"] == 0
    functions.delete_function(FunctionName="smoke")
    refused(functions.delete_function, FunctionName="smoke")


def networks(stage):
    """Where tasks may run."""
    vpc = stage.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    refused(stage.ec2.create_vpc, CidrBlock="10.0.0.0/8")
    subnet = stage.ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/28")["Subnet"]["SubnetId"]
    refused(stage.ec2.create_subnet, VpcId="vpc-none", CidrBlock="10.0.0.0/28")
    group = stage.ec2.create_security_group(VpcId=vpc, GroupName="api", Description="api")["GroupId"]
    refused(stage.ec2.create_security_group, VpcId=vpc, GroupName="api", Description="api")
    named = lambda name, *values: [{"Name": name, "Values": list(values)}]
    told = stage.ec2.describe_subnets(Filters=named("subnet-id", subnet, "subnet-none"))["Subnets"]
    assert [(one["VpcId"], one["AvailableIpAddressCount"]) for one in told] == [(vpc, 11)], told
    refused(stage.ec2.describe_subnets, SubnetIds=["subnet-none"])
    told = stage.ec2.describe_security_groups(Filters=named("group-id", group, "sg-none"))["SecurityGroups"]
    assert [one["VpcId"] for one in told] == [vpc], told
    refused(stage.ec2.describe_security_groups, GroupIds=["sg-none"])
    stage.ec2.delete_subnet(SubnetId=subnet)
    refused(stage.ec2.delete_subnet, SubnetId=subnet)
    stage.ec2.delete_security_group(GroupId=group)
    refused(stage.ec2.delete_security_group, GroupId=group)


def pipelines(stage):
    """A pipeline is told as it was made."""
    kind = lambda category, provider: {"category": category, "owner": "AWS", "provider": provider, "version": "1"}
    source = {"name": "Image", "actionTypeId": kind("Source", "ECR"), "configuration": {"RepositoryName": "mco/api"}, "outputArtifacts": [{"name": "image"}]}
    where = {"ClusterName": "mco", "ServiceName": "mco-api"}
    deploy = {"name": "Api", "actionTypeId": kind("Deploy", "ECS"), "configuration": where, "inputArtifacts": [{"name": "image"}], "runOrder": 1}
    stages = [{"name": "Source", "actions": [source]}, {"name": "Deploy", "actions": [deploy]}]
    role, store = f"arn:aws:iam::{ACCOUNT}:role/pipeline", {"type": "S3", "location": "artifacts"}
    declaration = {"name": "api", "roleArn": role, "artifactStore": store, "stages": stages}
    refused(stage.pipelines.get_pipeline, name="api")
    stage.pipelines.create_pipeline(pipeline=declaration)
    refused(stage.pipelines.create_pipeline, pipeline=declaration)
    refused(stage.pipelines.create_pipeline, pipeline={**declaration, "name": "other", "stages": stages[::-1]})
    told = stage.pipelines.get_pipeline(name="api")
    assert told["pipeline"]["stages"] == stages and told["metadata"]["created"].year >= 2026, told
    stage.pipelines.delete_pipeline(name="api")


def alerts(stage):
    """A topic and a bus as receivers: what they take, and what they refuse."""
    topic = stage.sns.create_topic(Name="alerts")["TopicArn"]
    refused(stage.sns.create_topic, Name="no name")
    named = {"event": {"DataType": "String", "StringValue": "test"}}
    assert stage.sns.publish(TopicArn=topic, Message="m", Subject="s", MessageAttributes=named)["MessageId"]
    refused(stage.sns.publish, TopicArn=topic, Message="{}", MessageStructure="json")
    refused(stage.sns.publish, TopicArn=topic, Message="m", Subject="x" * 100)
    refused(stage.sns.publish, TopicArn=topic, Message="m" * (256 * 1024 + 1))
    stage.sns.delete_topic(TopicArn=topic)
    refused(stage.sns.publish, TopicArn=topic, Message="m")
    entry = {"Source": "trueup", "DetailType": "test", "Detail": "{}", "EventBusName": "default"}
    answer = stage.events.put_events(Entries=[entry, {**entry, "Detail": "no"}, {**entry, "Source": "aws.ecs"}])
    assert answer["FailedEntryCount"] == 2 and "EventId" in answer["Entries"][0], answer
    assert [one.get("ErrorCode") for one in answer["Entries"][1:]] == ["MalformedDetail", "NotAuthorizedForSourceException"], answer
    refused(stage.events.put_events, Entries=[entry] * 11)


def documented():
    """The operations in the first column of the document's table."""
    table = DOCUMENT.read_text().split("## Operations", 1)[1].split("\n## ", 1)[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| ") and "**" not in line]
    return {name for row in rows for name in re.findall(r"\b[A-Z][a-z]+(?:[A-Z][A-Za-z]+)+\b", row)}


def main():
    trueup = str(Path(sys.argv[1]).resolve())
    command = [trueup, "simulator", "--listen", "127.0.0.1:0", "--speed", "0"]
    simulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        endpoint = simulator.stdout.readline().strip()
        with tempfile.TemporaryDirectory() as folder:
            stage, checker = Stage(trueup, endpoint, Path(folder)), Checker()
            sts = boto3.client("sts", endpoint_url=endpoint, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x")
            spoken = (stage.ecs, stage.ecr, stage.elb, stage.deploy, stage.tagging, stage.scaling, stage.logs, stage.events, stage.scheduler, stage.iam,
                      stage.secrets, stage.parameters, stage.alarms, stage.functions, stage.pipelines, stage.ec2, stage.sns, sts)
            for client in spoken:
                checker.watch(client)
            protocol = stage.deploy.meta.service_model.metadata["protocol"]
            assert protocol == "json", f"raw answers are read as JSON, and this boto3 speaks {protocol} to CodeDeploy"
            assert sts.get_caller_identity()["Account"] == ACCOUNT and REGISTRY.startswith(ACCOUNT)
            sessions(endpoint, sts, checker)
            stage.world()
            stage.control("fault", {"kind": "hookSilent", "function": "silent"})
            for scene in (images, rolling, runs, blue_green, shifting, balancing, unhealthy, logs, surroundings, guards, pipelines, networks, tagging, scaling, schedules, alerts, refusals):
                scene(stage)
        for problem, times in sorted(checker.problems.items()):
            print(f"fidelity: {problem} ({times} x)", file=sys.stderr)
        uncalled = documented() - checker.seen
        assert not uncalled, f"documented and never called: {sorted(uncalled)}"
        assert not checker.problems, "answers that botocore's models do not know"
        print(f"fidelity: {len(checker.seen)} operations, {len(checker.refused)} of them refused too, as botocore models them")
    finally:
        simulator.kill()
        simulator.wait()


if __name__ == "__main__":
    main()
