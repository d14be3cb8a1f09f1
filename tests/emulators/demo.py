"""The demo played by a reader: commits in its repository, changes by hand, and every scene asserted through boto3.

    python demo.py PATH/TO/trueup
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import boto3

REGION = "eu-west-2"
# Seconds after which a scene has not come out as told. A scene takes some seconds.
PATIENCE = 180


class Demo:
    def __init__(self, endpoint, folder):
        client = lambda name: boto3.client(
            name, endpoint_url=endpoint, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x"
        )
        self.ecs, self.ecr, self.deploy, self.folder = client("ecs"), client("ecr"), client("codedeploy"), folder
        self.settings = {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}

    def declare(self, environment, application, commit):
        path = self.folder / "environments" / f"{environment}.yaml"
        text, times = re.subn(rf"({application}: {{ commit: )\w+", rf"\g<1>{commit}", path.read_text())
        assert times == 1, path
        path.write_text(text)
        named = ["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qam", f"{application} {commit}"]
        subprocess.run(["git", *named], cwd=self.folder, check=True)

    def digest(self, application, tag):
        ids = [{"imageTag": tag}]
        return self.ecr.describe_images(repositoryName=f"mco/{application}", imageIds=ids)["imageDetails"][0]["imageDigest"]

    def running(self, application, environment):
        arns = self.ecs.list_tasks(cluster="mco", serviceName=f"mco-{application}-{environment}")["taskArns"]
        tasks = self.ecs.describe_tasks(cluster="mco", tasks=arns)["tasks"] if arns else []
        return {task["containers"][0].get("imageDigest") for task in tasks}

    def until(self, what, reached):
        deadline = time.monotonic() + PATIENCE
        while not reached():
            assert time.monotonic() < deadline, f"{what} did not come about"
            time.sleep(0.2)

    def lands(self, application, environment, commit):
        """The commit alone runs, and the environment's tag is on it."""
        wanted = self.digest(application, commit)
        told = lambda: self.running(application, environment) == {wanted} and self.digest(application, environment) == wanted
        self.until(f"{commit} of {application} in {environment}", told)

    def approve(self, target):
        """As the demo's own words tell a reader, whenever somebody is waited for."""
        asked = lambda: subprocess.run([Path(sys.argv[1]).resolve(), "approve", target], cwd=self.folder, env={**os.environ, **self.settings}, capture_output=True)
        self.until(f"the pause of {target}", lambda: asked().returncode == 0)

    def statuses(self):
        listed = self.ecs.list_service_deployments(cluster="mco", service="mco-api-test")["serviceDeployments"]
        return [one["status"] for one in listed]


def scenes(demo):
    demo.declare("test", "api", "8c1f0aa")
    demo.lands("api", "test", "8c1f0aa")
    yield "a commit lands"
    demo.declare("test", "shop", "8c1f0aa")
    demo.lands("shop", "test", "8c1f0aa")
    deployments = demo.deploy.list_deployments()["deployments"]
    assert [demo.deploy.get_deployment(deploymentId=one)["deploymentInfo"]["status"] for one in deployments] == ["Succeeded"]
    yield "blue/green"
    demo.declare("test", "api", "bad0bad")
    demo.until("the rollback", lambda: demo.statuses()[0] == "ROLLBACK_SUCCESSFUL")
    demo.lands("api", "test", "8c1f0aa")
    seen = len(demo.statuses())
    yield "a bad commit"
    demo.declare("staging", "api", "8c1f0aa")
    demo.lands("api", "staging", "8c1f0aa")
    assert len(demo.statuses()) == seen, "the bad commit was tried again"
    yield "promotion"
    demo.declare("test", "api", "8c1f0aa")
    demo.lands("api", "test", "8c1f0aa")
    demo.ecs.update_service(cluster="mco", service="mco-api-test", taskDefinition="mco-api-test:1")
    demo.until("the drift", lambda: demo.digest("api", "3f2c1ab") in demo.running("api", "test"))
    demo.lands("api", "test", "8c1f0aa")
    yield "drift, healed"
    demo.declare("test", "web", "8c1f0aa")
    demo.approve("test/web")
    demo.lands("web", "test", "8c1f0aa")
    yield "a canary, approved"
    demo.declare("test", "migrate", "bad0bad")
    demo.declare("test", "web", "bad0bad")
    failed = lambda: demo.ecs.list_tasks(cluster="mco", family="mco-migrate", desiredStatus="STOPPED")["taskArns"]
    demo.until("the failure of the migration", failed)
    assert demo.running("web", "test") == {demo.digest("web", "8c1f0aa")}
    yield "a migration that fails"


def main():
    process = subprocess.Popen([sys.argv[1], "demo"], stdout=subprocess.PIPE, text=True)
    try:
        said = ""
        while not (found := re.search(r"cd (\S+)\n.*AWS_ENDPOINT_URL=(\S+)", said)):
            line = process.stdout.readline()
            assert line, said
            said += line
        folder, endpoint = found.groups()
        for scene in scenes(Demo(endpoint, Path(folder))):
            print(f"demo: {scene} ok")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, process.returncode
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
