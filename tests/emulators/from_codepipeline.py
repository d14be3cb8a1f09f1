"""docs/from-codepipeline.md, followed: two services as two pipelines left them, the page's files beside theirs, and its commands in one shell. `aws codepipeline`
is recorded, since no emulator knows that call.

    python from_codepipeline.py PATH/TO/trueup
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from clients import ACCOUNT, REGION, REGISTRY, Stage
from readme import blocks

PAGE = "docs/from-codepipeline.md"
# Seconds after which it hangs. It takes a tenth of it.
PATIENCE = 600
WORKER = REGISTRY.replace("api", "worker")
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ecsTaskExecutionRole"
# As the pipelines had them.
IMAGE_DEFINITIONS = [{"name": "worker", "imageUri": f"{WORKER}:test"}]
TASK_DEFINITION = {
    "family": "mco-api",
    "executionRoleArn": ROLE,
    "containerDefinitions": [
        {"name": "api", "image": "<IMAGE_NAME>", "cpu": 0, "memory": 128, "essential": True, "portMappings": [{"containerPort": 8080}]}
    ],
}
PROPERTIES = {"TaskDefinition": "<TASK_DEFINITION>", "LoadBalancerInfo": {"ContainerName": "api", "ContainerPort": 8080}}
APP_SPEC = {"version": 0.0, "Resources": [{"TargetService": {"Type": "AWS::ECS::Service", "Properties": PROPERTIES}}]}
KEPT = {"worker/imagedefinitions.json": IMAGE_DEFINITIONS, "api/taskdef.json": TASK_DEFINITION, "api/appspec.json": APP_SPEC}


def account(stage):
    """What the pipelines deploy: 3f2c1ab runs, and the environment's tag is on 8c1f0aa, which they tried last."""
    stage.world(group="API", commit="3f2c1ab", task_definition=with_image(TASK_DEFINITION))
    stage.ecr.create_repository(repositoryName="mco/worker")
    stage.build("3f2c1ab", "mco/worker")
    for repository in ("mco/api", "mco/worker"):
        stage.build("8c1f0aa", repository)
        stage.build("8c1f0aa", repository, tag="test")
    container = {"name": "worker", "image": f"{WORKER}:3f2c1ab", "memory": 128}
    stage.ecs.register_task_definition(family="mco-worker", containerDefinitions=[container])
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    stage.ecs.create_service(cluster="mco", serviceName="mco-worker", taskDefinition="mco-worker", desiredCount=1, deploymentConfiguration=breaker)
    stage.control("advance", {"seconds": 600})


def pipelines(stage):
    """The two of the page: an image by its tag and the files from GitHub, then the deploy action with the paths of its files."""
    connection = {"ConnectionArn": "arn:aws:codeconnections:eu-west-2:123456789012:connection/1", "FullRepositoryId": "mco/infrastructure", "BranchName": "main"}
    ecs = {"ClusterName": "mco", "ServiceName": "mco-worker", "FileName": "worker/imagedefinitions.json"}
    paths = {"TaskDefinitionTemplatePath": "api/taskdef.json", "AppSpecTemplatePath": "api/appspec.json", "Image1ContainerName": "IMAGE_NAME"}
    code_deploy = {"ApplicationName": "API", "DeploymentGroupName": "API", **paths}
    action = lambda name, category, provider, configuration: {
        "name": name,
        "actionTypeId": {"category": category, "owner": "AWS", "provider": provider, "version": "1"},
        "configuration": configuration,
    }
    for application, provider, configuration in (("worker", "ECS", ecs), ("api", "CodeDeployToECS", code_deploy)):
        image = action("Image", "Source", "ECR", {"RepositoryName": f"mco/{application}", "ImageTag": "test"})
        files = action("Infrastructure", "Source", "CodeStarSourceConnection", connection)
        deploys = action("Deploy", "Deploy", provider, configuration)
        stages = [{"name": "Source", "actions": [image, files]}, {"name": "Deploy", "actions": [deploys]}]
        store = {"type": "S3", "location": "artifacts"}
        role = f"arn:aws:iam::{ACCOUNT}:role/pipeline"
        stage.pipelines.create_pipeline(pipeline={"name": f"{application}-test", "roleArn": role, "artifactStore": store, "stages": stages})


def with_image(definition):
    """As CodePipeline fills it: an ECR source names its image by digest."""
    return lambda digest: json.loads(json.dumps(definition).replace("<IMAGE_NAME>", f"{REGISTRY}@{digest}"))


def files(folder):
    """Those of the pipelines, and those of the page, each where its first line says."""
    shown = [text for language, text in blocks(PAGE) if not language]
    written = {name: json.dumps(document, indent=2) for name, document in KEPT.items()}
    for language, text in blocks(PAGE):
        named = re.match(r"# (\S+\.yaml)\n", text)
        if language == "yaml" and named:
            written[named[1]] = text
    assert len(written) == 6, list(written)
    for name, text in written.items():
        assert all(part in shown[0] for part in name.split("/")), f"the page does not show {name}"
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def repository(home, folder):
    remote = home / "remote.git"
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run([*git, "init", "-q", "--bare", "-b", "main", str(remote)], check=True)
    for arguments in (["checkout", "-q", "-B", "main"], ["remote", "add", "origin", str(remote)], ["add", "-A"], ["commit", "-qm", "as it runs"], ["push", "-q", "origin", "main"]):
        subprocess.run([*git, "-C", str(folder), *arguments], check=True)
    return remote


def follow(trueup, endpoint, home):
    stage = Stage(str(trueup), endpoint, home / "infrastructure")
    stage.folder.mkdir()
    account(stage)
    pipelines(stage)
    files(stage.folder)
    remote = repository(home, stage.folder)
    scripts = [text for language, text in blocks(PAGE) if language == "sh"]
    assert len(scripts) == 4, scripts
    programs = home / "programs"
    programs.mkdir()
    (programs / "trueup").symlink_to(trueup)
    (programs / "aws").write_text(f'#!/bin/sh -e\necho "$*" >>{home}/record\n')
    (programs / "aws").chmod(0o755)
    named = {f"GIT_{who}_{what}": "t@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    settings = {**stage.settings, **named, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "TRUEUP_CACHE": str(home / "cache")}
    shell = lambda script: subprocess.run(["bash", "-ex", "-c", script], cwd=stage.folder, env=settings, capture_output=True, text=True, timeout=PATIENCE)
    write, look, stop, promote = scripts
    written = shell(write)
    assert written.returncode == 0, written.stdout + written.stderr
    imported = home / "written"
    subprocess.run(["git", "init", "-q", str(imported)], check=True)
    # What is written plans nothing, and has the same two in the same environment.
    planned = json.loads(subprocess.run([trueup, "plan", "-o", "json", "--repo", imported], env=settings, check=True, capture_output=True, text=True).stdout)
    targets = {(one["environment"], one["application"]) for one in planned["plans"]}
    assert targets == {("test", "api"), ("test", "worker")}, written.stdout
    assert (imported / "applications/api.appspec.json").read_text() == (stage.folder / "api/appspec.json").read_text()
    looked = shell(look)
    # `plan` ends with 0: the tag is another one than what runs, and even so nothing would change.
    assert looked.returncode == 0, looked.stdout + looked.stderr
    assert shell(stop).returncode == 0
    stopped = re.findall(r"--pipeline-name (\S+) --stage-name Deploy", (home / "record").read_text())
    assert stopped == re.findall(r"^\| `([\w-]+-test)` \|", (Path(__file__).parents[2] / PAGE).read_text(), re.M), stopped
    controller = subprocess.Popen([str(trueup), "run", "--repo", str(remote)], env=stage.settings, stderr=subprocess.DEVNULL)
    try:
        done = shell(promote)
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        controller.kill()
        controller.wait()
    for application in json.loads(stage.run("status", "-o", "json"))["applications"]:
        assert (application["sync"], application["tagged"]["commit"]) == ("Synced", "8c1f0aa"), application
    # By CodeDeploy, as before.
    (deployment,) = stage.deploy.list_deployments(applicationName="API", deploymentGroupName="API")["deployments"]
    assert stage.deploy.get_deployment(deploymentId=deployment)["deploymentInfo"]["status"] == "Succeeded"
    return sum(script.count("\n") for script in scripts)


def main():
    trueup = Path(sys.argv[1]).resolve()
    command = [str(trueup), "simulator", "--listen", "127.0.0.1:0", "--speed", "60"]
    simulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        with tempfile.TemporaryDirectory() as home:
            lines = follow(trueup, simulator.stdout.readline().strip(), Path(home))
        print(f"from_codepipeline: {lines} lines of {PAGE}, and its files, in {REGION}")
    finally:
        simulator.kill()
        simulator.wait()


if __name__ == "__main__":
    main()
