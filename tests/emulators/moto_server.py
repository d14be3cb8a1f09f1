"""trueup on moto, whose CodeDeploy knows the errors for missing things, and whose deployments stay `Created` for ever.

    python moto_server.py PATH/TO/trueup
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from clients import ACCOUNT, REGION, REGISTRY, Stage
from server import free_port, start

CLUSTER = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/mco"
NIGHTLY = """apiVersion: trueup.dev/v1
kind: Application
metadata: {name: nightly}
spec:
  repository: mco/api
  strategy: {schedule: {rules: [nightly], schedules: [jobs/nightly]}}
"""


def world(stage):
    """A service whose primary task set is behind a load balancer. Its CodeDeploy application is still missing."""
    stage.ecs.create_cluster(clusterName="mco")
    stage.ecr.create_repository(repositoryName="mco/api")
    stage.build("aaaaaaa")
    definition = stage.ecs.register_task_definition(**stage.task_definition("aaaaaaa"))
    arn = definition["taskDefinition"]["taskDefinitionArn"]
    named = {"cluster": "mco", "service": "mco-api"}
    controller = {"type": "CODE_DEPLOY"}
    stage.ecs.create_service(
        cluster="mco", serviceName="mco-api", taskDefinition=arn, desiredCount=2, deploymentController=controller
    )
    group = f"arn:aws:elasticloadbalancing:{REGION}:123456789012:targetgroup/api-1/1"
    balancers = [{"targetGroupArn": group, "containerName": "api", "containerPort": 8080}]
    made = stage.ecs.create_task_set(**named, taskDefinition=arn, loadBalancers=balancers)["taskSet"]
    stage.ecs.update_service_primary_task_set(**named, primaryTaskSet=made["taskSetArn"])
    subprocess.run(["git", "init", "-q", "-b", "main", str(stage.folder)], check=True)


def missing(stage):
    """CodeDeploy's own errors for what is missing, before anything is written."""
    stage.build("bbbbbbb")
    stage.declare("aaaaaaa")
    stage.declare("bbbbbbb")
    assert stage.status()["waiting"]["reason"] == "GroupMissing", stage.status()
    stage.deploy.create_application(applicationName="API", computePlatform="ECS")
    assert stage.status()["waiting"]["reason"] == "GroupMissing", stage.status()
    assert len(stage.ecs.list_task_definitions()["taskDefinitionArns"]) == 1


def stays_created(stage):
    """A deployment that never goes on is followed, and never started again."""
    pair = {"targetGroups": [{"name": "api-1"}, {"name": "api-2"}], "prodTrafficRoute": {"listenerArns": ["listener"]}}
    stage.deploy.create_deployment_group(
        applicationName="API",
        deploymentGroupName="API-test",
        serviceRoleArn="arn:aws:iam::123456789012:role/codedeploy",
        ecsServices=[{"clusterName": "mco", "serviceName": "mco-api"}],
        loadBalancerInfo={"targetGroupPairInfoList": [pair]},
    )
    for _ in range(2):
        stage.reconcile(timeout=12, code=4)
        deployments = stage.deploy.list_deployments(applicationName="API", deploymentGroupName="API-test")["deployments"]
        assert len(deployments) == 1, deployments
    last = stage.status()["lastDeployment"]
    assert (last["id"], last["phase"], last["startedBy"]) == (deployments[0], "Pending", "trueup"), last


def verified(stage):
    """What stands around a service, by other answers than the simulated AWS's. moto simulates no policies."""
    trust = {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = stage.iam.create_role(
        RoleName="execution", Path="/mco/", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]["Arn"]
    secret = stage.secrets.create_secret(Name="mco/db", SecretString="canary")["ARN"]
    stage.parameters.put_parameter(Name="/mco/level", Value="canary", Type="String")
    stage.logs.create_log_group(logGroupName="/mco/api-old")
    stage.logs.create_log_group(logGroupName="/mco/api")
    options = {"awslogs-group": "/mco/api", "awslogs-region": REGION, "awslogs-stream-prefix": "ecs"}
    container = {
        "name": "api",
        "image": "<IMAGE>",
        "memory": 512,
        "secrets": [{"name": "DB", "valueFrom": f"{secret}:password::"}, {"name": "LEVEL", "valueFrom": "/mco/level"}],
        "logConfiguration": {"logDriver": "awslogs", "options": options},
    }
    definition = {"family": "mco-api", "executionRoleArn": role, "containerDefinitions": [container]}
    (stage.folder / "task.json").write_text(json.dumps(definition))
    stage.declare("bbbbbbb", task_definition="task.json")
    wanted = ("Role", "Secret", "Parameter", "LogGroup")
    found = lambda: {check["check"]: (check["result"], check["message"]) for check in stage.verify() if check["check"] in wanted}
    assert {name: result for name, (result, _) in found().items()} == dict.fromkeys(wanted, "Passed"), stage.verify()
    stage.iam.delete_role(RoleName="execution")
    stage.secrets.delete_secret(SecretId="mco/db")
    stage.parameters.delete_parameter(Name="/mco/level")
    stage.logs.delete_log_group(logGroupName="/mco/api")
    assert {name: result for name, (result, _) in found().items()} == dict.fromkeys(wanted, "Failed"), found()


def told(stage):
    """A queue that is subscribed to a topic, and one that a rule of the default bus leads to, get what trueup tells."""
    topic = stage.sns.create_topic(Name="alerts")["TopicArn"]
    queues = [stage.sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("topic", "bus", "other")]
    arns = [stage.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"] for url in queues]
    wanted = {"FilterPolicy": json.dumps({"event": ["test"]})}
    stage.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arns[0], Attributes=wanted)
    unwanted = {"FilterPolicy": json.dumps({"event": ["deployment.failed"]})}
    stage.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arns[2], Attributes=unwanted)
    stage.events.put_rule(Name="alerts", EventPattern=json.dumps({"source": ["trueup"], "detail-type": ["test"]}))
    stage.events.put_targets(Rule="alerts", Targets=[{"Id": "queue", "Arn": arns[1]}])
    sinks = {"topic": {"kind": "sns", "topic": topic}, "bus": {"kind": "eventBridge", "bus": "default"}}
    stage.settings["TRUEUP_SINKS"] = json.dumps(sinks)
    said = stage.run("notify", "--test")
    assert said.splitlines() == ["topic: delivered", "bus: delivered"], said
    got = [[json.loads(one["Body"]) for one in stage.sqs.receive_message(QueueUrl=url).get("Messages", [])] for url in queues]
    assert [len(messages) for messages in got] == [1, 1, 0], got
    notified, event = got[0][0], got[1][0]
    assert notified["Subject"].startswith("trueup: ") and notified["MessageAttributes"]["severity"]["Value"] == "information", notified
    assert json.loads(notified["Message"])["event"] == "test", notified
    assert (event["source"], event["detail-type"], event["detail"]["event"]) == ("trueup", "test", "test"), event
    stage.sns.delete_topic(TopicArn=topic)
    assert "topic: not found: NotFound" in stage.run("notify", "--test", code=1)


def retargeted(stage):
    """A rule of EventBridge and a schedule of EventBridge Scheduler run what is declared, and all else of both stays."""
    container = {"name": "nightly", "image": f"{REGISTRY}:aaaaaaa", "memory": 64}
    old = stage.ecs.register_task_definition(family="nightly", containerDefinitions=[container])["taskDefinition"]["taskDefinitionArn"]
    network = {"Subnets": ["subnet-1"], "SecurityGroups": ["sg-1"], "AssignPublicIp": "DISABLED"}
    ecs = {"TaskDefinitionArn": old, "TaskCount": 2, "LaunchType": "FARGATE", "PlatformVersion": "1.4.0", "Group": "jobs"}
    ecs |= {"PropagateTags": "TASK_DEFINITION", "EnableECSManagedTags": True}
    target = {"Arn": CLUSTER, "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/events", "Input": json.dumps({"containerOverrides": [{"name": "nightly"}]})}
    target["RetryPolicy"] = {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 600}
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:letters"
    target["DeadLetterConfig"] = {"Arn": queue}
    of_rule = target | {"Id": "nightly", "EcsParameters": ecs | {"NetworkConfiguration": {"awsvpcConfiguration": network}}}
    stage.events.put_rule(Name="nightly", ScheduleExpression="rate(1 day)", Description="every night")
    stage.events.put_targets(Rule="nightly", Targets=[of_rule, {"Id": "other", "Arn": queue, "Input": "{}"}])
    stage.scheduler.create_schedule_group(Name="jobs")
    stage.scheduler.create_schedule(
        GroupName="jobs",
        Name="nightly",
        ScheduleExpression="cron(0 3 * * ? *)",
        ScheduleExpressionTimezone="Europe/London",
        Description="at three",
        FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15},
        Target=target | {"EcsParameters": ecs | {"NetworkConfiguration": {"awsvpcConfiguration": network}}},
    )

    def read():
        schedule = stage.scheduler.get_schedule(GroupName="jobs", Name="nightly")
        rule = stage.events.describe_rule(Name="nightly")
        for answer in (schedule, rule):
            answer.pop("ResponseMetadata")
        schedule.pop("LastModificationDate")
        targets = {one["Id"]: one for one in stage.events.list_targets_by_rule(Rule="nightly")["Targets"]}
        runs = [one["EcsParameters"].pop("TaskDefinitionArn") for one in (targets["nightly"], schedule["Target"])]
        return runs, (targets, rule, schedule)

    before, rest = read()
    assert before == [old, old], before
    (stage.folder / "nightly.json").write_text(json.dumps({"family": "nightly", "containerDefinitions": [container | {"image": "<IMAGE_NAME>"}]}))
    for commit in ("aaaaaaa", "bbbbbbb"):
        stage.declare(commit, task_definition="nightly.json", name="nightly", application=NIGHTLY)
    stage.reconcile(timeout=60, code=0)
    (of_rule, of_schedule), rest_after = read()
    assert rest_after == rest, (rest_after, rest)
    assert of_rule == of_schedule != old, (of_rule, of_schedule)
    container = stage.ecs.describe_task_definition(taskDefinition=of_rule)["taskDefinition"]["containerDefinitions"][0]
    images = stage.ecr.describe_images(repositoryName="mco/api", imageIds=[{"imageTag": "bbbbbbb"}])["imageDetails"]
    assert container["image"].endswith(images[0]["imageDigest"]), container


def main():
    trueup = str(Path(sys.argv[1]).resolve())
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    arguments = ["-H", "127.0.0.1", "-p", str(port)]
    moto = start("moto_server", arguments, {"MOTO_ECS_SERVICE_RUNNING": "2"}, f"{address}/moto-api/data.json")
    try:
        with tempfile.TemporaryDirectory() as folder:
            stage = Stage(trueup, address, Path(folder))
            world(stage)
            for scene in (missing, stays_created, verified, told, retargeted):
                scene(stage)
                print(f"moto: {scene.__name__} ok")
    finally:
        moto.kill()
        moto.wait()


if __name__ == "__main__":
    main()
