"""A fault-injecting proxy that nobody here wrote, between trueup and the simulator: throttling, answers that are lost
after their effect, resets, latency. A worker that ECS deploys and an API that CodeDeploy deploys are promoted through it
by one commit, and AWS was made to start one deployment of each.

    python proxy.py PATH/TO/trueup
"""

import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from clients import Stage
from server import free_port, start

WORKER = """apiVersion: trueup.dev/v1
kind: Application
metadata: {name: worker}
spec: {repository: mco/api, environmentTag: worker, service: worker, strategy: rolling}
"""
WRITES = ["RegisterTaskDefinition", "UpdateService", "CreateDeployment", "PutImage"]


def rules():
    """Each write is throttled once, then meets a reset, then takes effect and loses its answer."""
    for operation in WRITES:
        lost = {"response": {"abort_frac": 0.3}, "times": 1}
        for fault in ({"error": {"code": "ThrottlingException"}, "times": 1}, {"reset": True, "times": 1}, lost):
            yield {"service": "*", "operation": operation, **fault}
    yield {"service": "ecs", "operation": "DescribeServices", "latency": {"min": 50, "max": 300}}
    yield {"service": "ecr", "operation": "DescribeImages", "error": {"code": "ServerException", "status": 500}, "times": 2}


def main():
    trueup = str(Path(sys.argv[1]).resolve())
    command = [trueup, "simulator", "--listen", "127.0.0.1:0", "--speed", "20"]
    simulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    proxy = None
    try:
        upstream = simulator.stdout.readline().strip()
        with tempfile.TemporaryDirectory() as folder:
            stage, port = Stage(trueup, upstream, Path(folder)), free_port()
            stage.world()
            worker = {**stage.task_definition("aaaaaaa"), "family": "worker"}
            stage.ecs.register_task_definition(**worker)
            breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
            stage.ecs.create_service(
                cluster="mco", serviceName="worker", taskDefinition="worker", desiredCount=2, deploymentConfiguration=breaker
            )
            stage.control("advance", {"seconds": 60})
            digest = stage.build("bbbbbbb")
            (stage.folder / "worker.yaml").write_text(WORKER)
            # What runs is declared before what is to run.
            for commit in ("aaaaaaa", "bbbbbbb"):
                stage.declare(commit)
                declared = (stage.folder / "test.yaml").read_text() + f"    worker: {{ commit: {commit} }}\n"
                (stage.folder / "test.yaml").write_text(declared)
                subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qam", "worker"], cwd=folder, check=True)
            configuration = stage.folder / ".rules.yml"
            configuration.write_text(json.dumps({"rules": list(rules())}))
            address = f"http://127.0.0.1:{port}"
            arguments = ["--upstream", upstream, "--port", str(port), "--config", str(configuration)]
            proxy = start("microburst", arguments, {}, f"{address}/_microburst/health")
            stage.settings["AWS_ENDPOINT_URL"] = address
            stage.reconcile(timeout=400, code=0)
            fired = json.loads(urllib.request.urlopen(f"{address}/_microburst/fired?limit=1000").read())
            met = {(one["operation"], one["action"].split(":")[0]) for one in fired}
            for operation in WRITES:
                kinds = {action for met_by, action in met if met_by == operation}
                assert len(kinds) >= 3, f"{operation} met {kinds} only"
            started = stage.ecs.list_service_deployments(cluster="mco", service="worker")["serviceDeployments"]
            assert len(started) == 2, f"of its creation and of the promotion: {len(started)}"
            deployments = stage.deploy.list_deployments()["deployments"]
            assert len(deployments) == 1, deployments
            for tag in ("test", "worker"):
                found = stage.ecr.describe_images(repositoryName="mco/api", imageIds=[{"imageTag": tag}])["imageDetails"][0]
                assert found["imageDigest"] == digest, f"{tag} is on {found}"
            for service in ("mco-api", "worker"):
                arns = stage.ecs.list_tasks(cluster="mco", serviceName=service)["taskArns"]
                tasks = stage.ecs.describe_tasks(cluster="mco", tasks=arns)["tasks"]
                assert {task["containers"][0]["imageDigest"] for task in tasks} == {digest}, tasks
            print(f"proxy: {len(fired)} faults met, one deployment of each")
    finally:
        for process in filter(None, (proxy, simulator)):
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
