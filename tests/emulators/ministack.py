"""A promotion on ministack, an emulator of AWS that nobody here wrote.

It knows nothing of trueup's simulator, so a misunderstanding that both of ours share shows here. Its deployments are
over at once and its service deployments are empty: what is checked is that trueup's calls are understood by somebody
else, and that its answers are understood by trueup.

    python ministack.py PATH/TO/trueup
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import boto3

from server import free_port, start

ACCOUNT, REGION = "123456789012", "eu-west-2"
APPLICATION = """apiVersion: trueup.dev/v1
kind: Application
metadata: {name: api}
spec:
  repository: mco/api
  service: mco-api
"""
ENVIRONMENT = """apiVersion: trueup.dev/v1
kind: Environment
metadata: {{name: test}}
spec:
  account: "%s"
  region: %s
  cluster: mco
  policy: {{ steady: 0s }}
  applications:
    api: {{ commit: "{commit}" }}
""" % (ACCOUNT, REGION)


class Stage:
    def __init__(self, trueup, endpoint, folder):
        self.trueup, self.endpoint, self.folder = trueup, endpoint, folder
        client = lambda name: boto3.client(
            name, endpoint_url=endpoint, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x"
        )
        self.ecs, self.ecr = client("ecs"), client("ecr")

    def build(self, commit):
        """Pushes an image; its digest, computed here from the bytes."""
        layer = commit.encode()
        digest = "sha256:" + hashlib.sha256(layer).hexdigest()
        upload = self.ecr.initiate_layer_upload(repositoryName="mco/api")["uploadId"]
        self.ecr.upload_layer_part(
            repositoryName="mco/api", uploadId=upload, partFirstByte=0, partLastByte=len(layer) - 1, layerPartBlob=layer
        )
        self.ecr.complete_layer_upload(repositoryName="mco/api", uploadId=upload, layerDigests=[digest])
        blob = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": len(layer)}
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {**blob, "mediaType": "application/vnd.oci.image.config.v1+json"},
                "layers": [blob],
            }
        )
        self.ecr.put_image(repositoryName="mco/api", imageManifest=manifest, imageTag=commit)
        return "sha256:" + hashlib.sha256(manifest.encode()).hexdigest()

    def declare(self, commit):
        (self.folder / "api.yaml").write_text(APPLICATION)
        (self.folder / "test.yaml").write_text(ENVIRONMENT.format(commit=commit))
        self.git("add", "-A")
        self.git("-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", commit)

    def git(self, *arguments):
        subprocess.run(["git", *arguments], cwd=self.folder, check=True)

    def run(self, *arguments, code=0):
        settings = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_REGION": REGION,
        }
        command = [self.trueup, *arguments, "--repo", str(self.folder)]
        done = subprocess.run(command, env=settings, capture_output=True, text=True)
        assert done.returncode == code, f"{arguments} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def status(self):
        return json.loads(self.run("status", "-o", "json"))["applications"][0]

    def tag(self, name):
        return self.ecr.describe_images(repositoryName="mco/api", imageIds=[{"imageTag": name}])["imageDetails"][0]["imageDigest"]

    def live(self):
        service = self.ecs.describe_services(cluster="mco", services=["mco-api"])["services"][0]
        definition = self.ecs.describe_task_definition(taskDefinition=service["taskDefinition"], include=["TAGS"])
        return definition["taskDefinition"], {tag["key"]: tag["value"] for tag in definition["tags"]}


def promotion(stage):
    stage.ecs.create_cluster(clusterName="mco")
    stage.ecr.create_repository(repositoryName="mco/api")
    stage.build("aaaaaaa")
    registry = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/mco/api"
    containers = [{"name": "api", "image": f"{registry}:aaaaaaa", "memory": 128, "essential": True}]
    stage.ecs.register_task_definition(family="mco-api", containerDefinitions=containers)
    stage.ecs.create_service(cluster="mco", serviceName="mco-api", taskDefinition="mco-api", desiredCount=1)
    subprocess.run(["git", "init", "-q", "-b", "main", str(stage.folder)], check=True)

    digest = stage.build("bbbbbbb")
    stage.declare("aaaaaaa")
    stage.declare("bbbbbbb")
    assert "bbbbbbb" in stage.run("plan", code=2)
    stage.run("reconcile", "--timeout", "180")
    definition, tags = stage.live()
    assert definition["containerDefinitions"][0]["image"] == f"{registry}@{digest}", definition
    assert definition["revision"] == 2, definition["revision"]
    assert (tags["trueup:environment"], tags["trueup:application"], tags["trueup:commit"]) == ("test", "api", "bbbbbbb")
    assert stage.tag("test") == digest
    status = stage.status()
    assert status["deployed"]["taskDefinition"] == "mco-api:2", status
    assert status["tagged"]["commit"] == "bbbbbbb", status

    stage.run("reconcile", "--timeout", "60")
    assert stage.live()[0]["revision"] == 2, "what is settled is not registered again"


def main():
    trueup = str(Path(sys.argv[1]).resolve())
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    settings = {"GATEWAY_PORT": str(port), "MINISTACK_ACCOUNT_ID": ACCOUNT}
    process = start("ministack", [], settings, f"{address}/_ministack/health")
    try:
        with tempfile.TemporaryDirectory() as folder:
            promotion(Stage(trueup, address, Path(folder)))
    finally:
        process.terminate()
        process.wait()
    print("ministack: a promotion, end to end: ok")


main()
