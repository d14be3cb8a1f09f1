"""The ways of three people, each command as they type it: somebody who comes from two pipelines, somebody on call, and somebody who compares.
What is printed is read, and the commands are counted.

    python ways.py PATH/TO/trueup
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from clients import Stage
from from_codepipeline import KEPT, account, pipelines

# Commands until the first promotion of somebody who has two pipelines, and of somebody on call from the alert to the mending.
MOST_TO_MIGRATE, MOST_ON_CALL = 10, 2
# Seconds after which a command hangs. None takes a tenth of it.
PATIENCE = 300
APPLICATION = """apiVersion: trueup.dev/v1
kind: Application
metadata: {name: api}
spec: {repository: mco/api, service: mco-api}
"""
ENVIRONMENT = """apiVersion: trueup.dev/v1
kind: Environment
metadata: {name: test}
spec:
  account: "123456789012"
  region: eu-west-2
  cluster: mco
  applications:
    api: { commit: "%s" }
"""
# No emulator knows this call of CodePipeline.
STOP = 'aws codepipeline disable-stage-transition --pipeline-name %s --stage-name Deploy --transition-type Inbound --reason "trueup deploys"'


class Person:
    def __init__(self, stage, home, folder):
        programs = home / "programs"
        programs.mkdir()
        (programs / "trueup").symlink_to(stage.trueup)
        (programs / "aws").write_text(f'#!/bin/sh -e\necho "$*" >>{home}/record\n')
        (programs / "aws").chmod(0o755)
        named = {f"GIT_{who}_{what}": "t@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        self.settings = {**stage.settings, **named, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "TRUEUP_CACHE": str(home / "cache")}
        self.folder, self.typed = folder, []

    def types(self, command, code=0):
        """What it prints, messages included."""
        self.typed.append(command)
        return self.run(command, code)

    def run(self, command, code=0):
        """The same behind the scenes."""
        whole = {"cwd": self.folder, "env": self.settings, "text": True, "timeout": PATIENCE}
        done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **whole)
        assert done.returncode == code, f"{command} ended with {done.returncode}\n{done.stdout}"
        return done.stdout


def reads(said, *words):
    """All of these stand in it, in this order."""
    rest = said
    for word in words:
        _, found, rest = rest.partition(word)
        assert found, f"`{word}` is not, or not in its place, in\n{said}"


def comes_from_two_pipelines(stage, home):
    account(stage)
    pipelines(stage)
    for name, document in KEPT.items():
        (stage.folder / name).parent.mkdir(exist_ok=True)
        (stage.folder / name).write_text(json.dumps(document))
    person = Person(stage, home, home)
    said = person.types(f"trueup import infrastructure --from-codepipeline worker-test --from-codepipeline api-test --files {stage.folder}")
    reads(said, "test/worker")
    person.types("git -C infrastructure init -qb main")
    person.types("git -C infrastructure add --all")
    person.types('git -C infrastructure commit -qm "as it runs"')
    reads(person.types("trueup plan --repo infrastructure"), "nothing to do")
    for name in ("worker-test", "api-test"):
        person.types(STOP % name)
    reads(person.types("trueup promote test/worker --commit 8c1f0aa --repo infrastructure"), "8c1f0aa")
    reads(person.types("trueup reconcile --repo infrastructure"), "register a task definition for 8c1f0aa", "deploy mco-worker:2 to mco-worker")
    reads(person.types("trueup status --repo infrastructure"), "2 applications: 2 Healthy", "test", "api", "3f2c1ab", "worker", "8c1f0aa")
    (task,) = stage.ecs.list_tasks(cluster="mco", serviceName="mco-worker")["taskArns"]
    (task,) = stage.ecs.describe_tasks(cluster="mco", tasks=[task])["tasks"]
    (built,) = stage.ecr.describe_images(repositoryName="mco/worker", imageIds=[{"imageTag": "8c1f0aa"}])["imageDetails"]
    assert task["containers"][0]["imageDigest"] == built["imageDigest"], task
    assert len(person.typed) <= MOST_TO_MIGRATE, person.typed
    return len(person.typed)


def service(stage):
    """A service that runs 3f2c1ab, as somebody's tools have made it, and a repository without a commit."""
    stage.ecs.create_cluster(clusterName="mco")
    stage.ecr.create_repository(repositoryName="mco/api")
    stage.build("3f2c1ab")
    stage.ecs.register_task_definition(**stage.task_definition("3f2c1ab"))
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    stage.ecs.create_service(cluster="mco", serviceName="mco-api", taskDefinition="mco-api", desiredCount=2, deploymentConfiguration=breaker)
    stage.control("advance", {"seconds": 600})
    subprocess.run(["git", "init", "-q", "-b", "main", str(stage.folder)], check=True)


def declare(stage, person, commit):
    (stage.folder / "api.yaml").write_text(APPLICATION)
    (stage.folder / "test.yaml").write_text(ENVIRONMENT % commit)
    person.run(f"git add --all && git commit -qm '{commit} to test'")


@contextmanager
def controller(stage):
    running = subprocess.Popen([stage.trueup, "run", "--repo", str(stage.folder)], env=stage.settings, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        running.kill()
        running.wait()


def promote_badly(stage, person):
    """Until it is held: whoever is on call comes later than that."""
    person.run("trueup promote test/api --commit bad0bad")
    person.run("trueup wait test/api --commit bad0bad", code=3)
    deadline = time.monotonic() + PATIENCE
    while (stage.status()["waiting"] or {}).get("reason") != "Held":
        assert time.monotonic() < deadline, stage.status()
        time.sleep(0.2)


def is_on_call(stage, home):
    service(stage)
    person = Person(stage, home, stage.folder)
    declare(stage, person, "3f2c1ab")
    digest = stage.build("bad0bad")
    stage.control("fault", {"kind": "crash", "digest": digest, "exitCode": 137, "afterSeconds": 3})
    with controller(stage):
        # Whoever is called looks, goes back to what ran well, and goes to bed.
        promote_badly(stage, person)
        reads(person.types("trueup status"), "1 on hold", "bad0bad   3f2c1ab 2/2", "test/api is on hold: bad0bad failed here", "cause", "container api exited with 137", "hint", "trueup retry test/api")
        reads(person.types("trueup rollback test/api"), "bad0bad", "3f2c1ab")
        person.run("trueup wait test/api --commit 3f2c1ab")
        reads(person.run("trueup status --exit-code"), "1 application: 1 Healthy")
        counted = len(person.typed)
        # What was to blame is outside: once that is mended, the same commit may be tried again.
        promote_badly(stage, person)
        person.typed.clear()
        stage.control("heal", {})
        said = person.types("trueup status")
        (retry,) = set(re.findall(r"`(trueup retry test/api)`", said))
        reads(person.types(retry), "bad0bad")
        person.run("trueup wait test/api --commit bad0bad")
        reads(person.run("trueup status --exit-code"), "1 application: 1 Healthy", "bad0bad")
    assert counted <= MOST_ON_CALL and len(person.typed) <= MOST_ON_CALL, person.typed
    return counted


def compares(stage, home):
    service(stage)
    stage.build("8c1f0aa")
    person = Person(stage, home, stage.folder)
    declare(stage, person, "3f2c1ab")
    reads(person.types("trueup plan"), "nothing to do")
    declare(stage, person, "8c1f0aa")
    reads(person.types("trueup plan", code=2), "test/api", "3f2c1ab -> 8c1f0aa", "containers[api].image", "1 deployment")
    person.types("trueup reconcile")
    reads(person.types("trueup plan"), "nothing to do")
    person.types("trueup status --exit-code")
    # Another hand, as in the console.
    stage.ecs.update_service(cluster="mco", service="mco-api", taskDefinition="mco-api:1")
    stage.control("advance", {"seconds": 600})
    reads(person.types("trueup status --exit-code", code=4), "8c1f0aa   3f2c1ab 2/2", "changed outside trueup", "containers[api].image", "policy.drift: heal")
    # As it says: whether git or the other hand is right is for the person to say.
    person.types("sed -i 's/^  cluster: mco/&\\n  policy: {drift: heal}/' test.yaml && git commit -qam 'git is right'")
    person.types("trueup reconcile")
    reads(person.types("trueup plan"), "nothing to do")
    reads(person.types("trueup status --exit-code"), "1 application: 1 Healthy", "8c1f0aa")
    return len(person.typed)


def main():
    trueup = str(Path(sys.argv[1]).resolve())
    for way in (comes_from_two_pipelines, is_on_call, compares):
        command = [trueup, "simulator", "--listen", "127.0.0.1:0", "--speed", "60"]
        simulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            with tempfile.TemporaryDirectory() as home:
                folder = Path(home) / "repository"
                folder.mkdir()
                count = way(Stage(trueup, simulator.stdout.readline().strip(), folder), Path(home))
                print(f"ways: who {way.__name__.replace('_', ' ')}: {count} commands")
        finally:
            simulator.kill()
            simulator.wait()


if __name__ == "__main__":
    main()
