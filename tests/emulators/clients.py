"""AWS's own clients, unmodified, deploy by CodeDeploy on trueup's simulator, well and badly; trueup understands it.

boto3 speaks CBOR to CodeDeploy, its waiter and `aws ecs deploy` follow a deployment to its end, and botocore's models
parse every answer.

    python clients.py PATH/TO/trueup
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import boto3
from botocore.exceptions import ClientError, WaiterError

ACCOUNT, REGION = "123456789012", "eu-west-2"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/mco/api"
APPLICATION = """apiVersion: trueup.dev/v1
kind: Application
metadata: {name: api}
spec:
  repository: mco/api
  service: mco-api
  strategy: {codeDeploy: {application: API, deploymentGroup: API-test}}
"""
ENVIRONMENT = """apiVersion: trueup.dev/v1
kind: Environment
metadata: {name: test}
spec:
  account: "123456789012"
  cluster: mco
  policy: { steady: 0s }
  applications:
    api: { commit: %s }
"""


class Stage:
    def __init__(self, trueup, endpoint, folder):
        self.trueup, self.endpoint, self.folder = trueup, endpoint, folder
        client = lambda name: boto3.client(
            name, endpoint_url=endpoint, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x"
        )
        self.ecs, self.ecr, self.elb, self.deploy = client("ecs"), client("ecr"), client("elbv2"), client("codedeploy")
        self.tagging, self.scaling = client("resourcegroupstaggingapi"), client("application-autoscaling")
        self.logs = client("logs")
        self.iam, self.secrets, self.parameters = client("iam"), client("secretsmanager"), client("ssm")
        self.alarms, self.functions = client("cloudwatch"), client("lambda")
        self.pipelines, self.ec2 = client("codepipeline"), client("ec2")
        self.events, self.scheduler = client("events"), client("scheduler")
        self.sns, self.sqs = client("sns"), client("sqs")
        self.settings = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        }

    def control(self, path, body):
        request = urllib.request.Request(f"{self.endpoint}/_simulator/{path}", json.dumps(body).encode(), method="POST")
        urllib.request.urlopen(request).read()

    def build(self, commit, repository="mco/api", tag=None):
        media_type = "application/vnd.oci.image.manifest.v1+json"
        config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": commit, "size": 1}
        manifest = json.dumps({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": []})
        self.ecr.put_image(repositoryName=repository, imageManifest=manifest, imageTag=tag or commit)
        return "sha256:" + hashlib.sha256(manifest.encode()).hexdigest()

    def task_definition(self, commit):
        container = {"name": "api", "image": f"{REGISTRY}:{commit}", "memory": 128, "portMappings": [{"containerPort": 8080}]}
        return {"family": "mco-api", "containerDefinitions": [container]}

    def world(self, group="API-test", commit="aaaaaaa", task_definition=None):
        """A service behind a load balancer, its CodeDeploy application and group. The task definition may be made of the image's digest."""
        self.ecs.create_cluster(clusterName="mco")
        self.ecr.create_repository(repositoryName="mco/api")
        digest = self.build(commit)
        balancer = self.elb.create_load_balancer(Name="mco")["LoadBalancers"][0]["LoadBalancerArn"]
        groups = [
            self.elb.create_target_group(Name=name, Protocol="HTTP", Port=8080, TargetType="ip")["TargetGroups"][0]["TargetGroupArn"]
            for name in ("api-1", "api-2")
        ]
        forward = [{"Type": "forward", "TargetGroupArn": groups[0]}]
        listener = self.elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=forward)
        listener = listener["Listeners"][0]["ListenerArn"]
        definition = task_definition(digest) if task_definition else self.task_definition(commit)
        self.ecs.register_task_definition(**definition)
        self.ecs.create_service(
            cluster="mco",
            serviceName="mco-api",
            taskDefinition="mco-api",
            desiredCount=2,
            deploymentController={"type": "CODE_DEPLOY"},
            loadBalancers=[{"targetGroupArn": groups[0], "containerName": "api", "containerPort": 8080}],
        )
        self.control("advance", {"seconds": 60})
        self.deploy.create_application(applicationName="API", computePlatform="ECS")
        self.deploy.create_deployment_group(
            applicationName="API",
            deploymentGroupName=group,
            serviceRoleArn=f"arn:aws:iam::{ACCOUNT}:role/codedeploy",
            ecsServices=[{"clusterName": "mco", "serviceName": "mco-api"}],
            deploymentStyle={"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
            blueGreenDeploymentConfiguration={
                "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT", "waitTimeInMinutes": 0},
                "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 5},
            },
            autoRollbackConfiguration={"enabled": True, "events": ["DEPLOYMENT_FAILURE"]},
            loadBalancerInfo={
                "targetGroupPairInfoList": [
                    {"targetGroups": [{"name": "api-1"}, {"name": "api-2"}], "prodTrafficRoute": {"listenerArns": [listener]}}
                ]
            },
        )
        self.listener = listener
        subprocess.run(["git", "init", "-q", "-b", "main", str(self.folder)], check=True)

    def declare(self, commit, task_definition=None, name="api", application=APPLICATION):
        own = f"  taskDefinition: {task_definition}\n" if task_definition else ""
        (self.folder / f"{name}.yaml").write_text(application + own)
        (self.folder / "test.yaml").write_text(ENVIRONMENT.replace("api:", f"{name}:") % commit)
        subprocess.run(["git", "add", "-A"], cwd=self.folder, check=True)
        named = ["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-q", "--allow-empty", "-m", commit]
        subprocess.run(["git", *named], cwd=self.folder, check=True)

    def run(self, *arguments, code=0):
        command = [self.trueup, *arguments, "--repo", str(self.folder)]
        done = subprocess.run(command, env=self.settings, capture_output=True, text=True)
        assert code in (None, done.returncode), f"{arguments} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def status(self):
        return json.loads(self.run("status", "-o", "json"))["applications"][0]

    def verify(self):
        """Each check, whatever it has come to."""
        return json.loads(self.run("verify", "-o", "json", code=None))["applications"][0]["checks"]

    def reconcile(self, timeout, code):
        return self.run("reconcile", "--timeout", str(timeout), code=code)

    def app_spec(self, arn, hooks=()):
        properties = {"TaskDefinition": arn, "LoadBalancerInfo": {"ContainerName": "api", "ContainerPort": 8080}}
        service = {"Type": "AWS::ECS::Service", "Properties": properties}
        return json.dumps({"version": 0.0, "Resources": [{"TargetService": service}], "Hooks": list(hooks)})

    def create(self, commit, hooks=()):
        """A deployment by boto3; its id."""
        arn = self.ecs.register_task_definition(**self.task_definition(commit))["taskDefinition"]["taskDefinitionArn"]
        content = self.app_spec(arn, hooks)
        return self.deploy.create_deployment(
            applicationName="API",
            deploymentGroupName="API-test",
            revision={"revisionType": "AppSpecContent", "appSpecContent": {"content": content}},
        )["deploymentId"]

    def wait(self, deployment):
        waiter = self.deploy.get_waiter("deployment_successful")
        waiter.wait(deploymentId=deployment, WaiterConfig={"Delay": 1, "MaxAttempts": 120})

    def aws_ecs_deploy(self, commit, hooks=()):
        (self.folder / "taskdef.json").write_text(json.dumps(self.task_definition(commit)))
        (self.folder / "appspec.json").write_text(self.app_spec("<TASK_DEFINITION>", hooks))
        command = [
            Path(sys.executable).with_name("aws"), "ecs", "deploy", "--cluster", "mco", "--service", "mco-api",
            "--task-definition", str(self.folder / "taskdef.json"),
            "--codedeploy-appspec", str(self.folder / "appspec.json"),
            "--codedeploy-application", "API", "--codedeploy-deployment-group", "API-test",
        ]  # fmt: skip
        return subprocess.run(command, env=self.settings, capture_output=True, text=True)


def end(stage, commit, phase, by="other"):
    """What trueup says of the last deployment once all is at rest, and which commit it says runs."""
    stage.control("advance", {"seconds": 600})
    status = stage.status()
    last = status["lastDeployment"]
    assert (last["phase"], last["startedBy"]) == (phase, by), status
    assert [run["commits"] for run in status["running"]] == [[commit]], status
    return status


def boto3_deploys(stage):
    stage.build("bbbbbbb")
    deployment = stage.create("bbbbbbb")
    try:
        stage.create("bbbbbbb")
        raise SystemExit("a second deployment was accepted")
    except ClientError as error:
        assert error.response["Error"]["Code"] == "DeploymentLimitExceededException", error.response
        assert deployment in error.response["Error"]["Message"], error.response
    stage.wait(deployment)
    info = stage.deploy.get_deployment(deploymentId=deployment)["deploymentInfo"]
    assert info["createTime"].year >= 2026 and info["completeTime"] > info["createTime"], info
    target = stage.deploy.list_deployment_targets(deploymentId=deployment)["targetIds"][0]
    target = stage.deploy.get_deployment_target(deploymentId=deployment, targetId=target)["deploymentTarget"]["ecsTarget"]
    assert [event["status"] for event in target["lifecycleEvents"]] == ["Succeeded"] * len(target["lifecycleEvents"]), target
    forward = stage.elb.describe_listeners(ListenerArns=[stage.listener])["Listeners"][0]["DefaultActions"][0]["ForwardConfig"]
    assert sorted(group["Weight"] for group in forward["TargetGroups"]) == [0, 100], forward
    stage.declare("bbbbbbb")
    assert end(stage, "bbbbbbb", "Succeeded")["sync"] == "Synced"


def boto3_fails(stage):
    stage.build("ccccccc")
    stage.control("fault", {"kind": "hookFails", "function": "check"})
    deployment = stage.create("ccccccc", [{"AfterAllowTraffic": "check"}])
    try:
        stage.wait(deployment)
        raise SystemExit("the waiter took a failure for a success")
    except WaiterError as error:
        assert error.last_response["deploymentInfo"]["status"] == "Failed", error.last_response
    status = end(stage, "bbbbbbb", "RolledBack")
    assert status["sync"] == "Synced", status


def aws_ecs_deploy_deploys_and_fails(stage):
    stage.build("ddddddd")
    done = stage.aws_ecs_deploy("ddddddd")
    assert done.returncode == 0 and "Successfully deployed" in done.stdout, (done.stdout, done.stderr)
    stage.declare("ddddddd")
    assert end(stage, "ddddddd", "Succeeded")["sync"] == "Synced"
    stage.build("eeeeeee")
    done = stage.aws_ecs_deploy("eeeeeee", [{"AfterAllowTraffic": "check"}])
    assert done.returncode != 0, (done.stdout, done.stderr)
    end(stage, "ddddddd", "RolledBack")


def paginators(stage):
    names = {page for answer in stage.deploy.get_paginator("list_deployment_configs").paginate() for page in answer["deploymentConfigsList"]}
    assert "CodeDeployDefault.ECSCanary10Percent5Minutes" in names, names
    deployments = [d for page in stage.deploy.get_paginator("list_deployments").paginate() for d in page["deployments"]]
    assert len(deployments) == 6, "four that were asked for, two that undo: " + ", ".join(deployments)


def main():
    trueup = str(Path(sys.argv[1]).resolve())
    command = [trueup, "simulator", "--listen", "127.0.0.1:0", "--speed", "60"]
    simulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        endpoint = simulator.stdout.readline().strip()
        with tempfile.TemporaryDirectory() as folder:
            stage = Stage(trueup, endpoint, Path(folder))
            stage.world()
            for scene in (boto3_deploys, boto3_fails, aws_ecs_deploy_deploys_and_fails, paginators):
                scene(stage)
                print(f"clients: {scene.__name__} ok")
    finally:
        simulator.kill()
        simulator.wait()


if __name__ == "__main__":
    main()
