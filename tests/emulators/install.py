"""docs/install.md, followed word by word: its commands in one shell, `aws` against an emulator of AWS, trueup against its simulator,
docker, kubectl and cargo recorded.

    python install.py PATH/TO/trueup
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import boto3

from clients import ACCOUNT, REGION, Stage
from readme import blocks
from server import free_port, start

ROOT = Path(__file__).parents[2]
# Seconds after which it hangs. It takes a tenth of it.
PATIENCE = 300
# What the page names and a reader has.
FILES = ("manifests", "examples")
STAND_INS = {
    "docker": 'if [ "$1" = login ]; then cat >>"$RECORD"; fi',
    # What is applied must be there.
    "kubectl": 'for argument; do case "$argument" in examples/*) test -f "$argument/kustomization.yaml" ;; esac; done',
    "cargo": "",
    "trueup": 'AWS_ENDPOINT_URL="$SIMULATOR" exec "$PROGRAM" "$@"',
}


def commands():
    """All blocks as one script. `plan` says with 2 that there are changes."""
    script = "\n".join(text for language, text in blocks("docs/install.md") if language == "sh")
    assert script.count("\n") > 15, script
    script = script.replace("path/to/infrastructure", "$HOME/infrastructure")
    return re.sub(r"^trueup plan$", "trueup plan || [ $? -eq 2 ]", script, flags=re.M)


def reader(home):
    """A checkout of trueup and programs on the path."""
    checkout, programs = home / "trueup", home / "programs"
    checkout.mkdir()
    programs.mkdir()
    for name in FILES:
        (checkout / name).symlink_to(ROOT / name)
    for name, does in STAND_INS.items():
        (programs / name).write_text(f'#!/bin/sh -e\necho "{name} $*" >>"$RECORD"\n{does}\n')
        (programs / name).chmod(0o755)
    (programs / "aws").symlink_to(ROOT / ".tools/clients/bin/aws")
    return checkout, programs


def infrastructure(home, stage):
    """Somebody's account and the README's two files, in a repository that has a remote."""
    stage.ecs.create_cluster(clusterName="mco")
    stage.ecr.create_repository(repositoryName="mco/api")
    stage.build("3f2c1ab")
    stage.build("8c1f0aa")
    stage.ecs.register_task_definition(**stage.task_definition("3f2c1ab"))
    stage.ecs.create_service(cluster="mco", serviceName="mco-api-test", taskDefinition="mco-api", desiredCount=1)
    stage.control("advance", {"seconds": 60})
    remote, folder = home / "remote.git", stage.folder
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(remote)], check=True)
    subprocess.run(["git", "clone", "-q", str(remote), str(folder)], check=True, stderr=subprocess.DEVNULL)
    (folder / "trueup.yaml").write_text("".join(text for language, text in blocks("README.md") if language == "yaml"))
    named = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for arguments in (["checkout", "-q", "-B", "main"], ["add", "-A"], ["commit", "-qm", "two files"], ["push", "-q", "origin", "main"]):
        subprocess.run([*named, *arguments], check=True)


def follow(trueup, simulator, emulator, home):
    stage = Stage(str(trueup), simulator, home / "infrastructure")
    infrastructure(home, stage)
    checkout, programs = reader(home)
    client = lambda name: boto3.client(
        name, endpoint_url=emulator, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x"
    )
    client("ecs").create_cluster(clusterName="tools")
    settings = {
        **stage.settings,
        "HOME": str(home),
        "PATH": os.pathsep.join((str(programs), os.environ["PATH"])),
        "AWS_ENDPOINT_URL": emulator,
        "AWS_PAGER": "",
        "TRUEUP_TOKEN": "secret",
        "SIMULATOR": simulator,
        "PROGRAM": str(trueup),
        "RECORD": str(home / "record"),
    }
    followed = subprocess.run(
        ["bash", "-ex", "-o", "pipefail", "-c", commands()],
        cwd=checkout, env=settings, capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert followed.returncode == 0, followed.stdout + followed.stderr
    recorded = (home / "record").read_text().splitlines()
    assert f"docker push {ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/trueup:latest" in recorded, recorded
    definition = client("ecs").describe_task_definition(taskDefinition="trueup")["taskDefinition"]
    [container] = definition["containerDefinitions"]
    # The last word of the page: it may write, and two of them agree on who does.
    assert (definition["revision"], container["command"]) == (3, ["run", "--log-format", "json"]), definition
    variables = {one["name"]: one["value"] for one in container["environment"]}
    assert variables["TRUEUP_LEASE"] == "dynamodb", variables
    assert {variables["TRUEUP_LEASE_TABLE"], "trueup-leases"} <= set(client("dynamodb").list_tables()["TableNames"])
    attached = client("iam").list_attached_role_policies(RoleName="trueup")["AttachedPolicies"]
    assert {one["PolicyName"] for one in attached} == {"trueup", "trueup-read-only"}, attached
    # And so it does.
    stage.reconcile(timeout=200, code=0)
    status = stage.status()
    assert (status["sync"], status["tagged"]["commit"]) == ("Synced", "8c1f0aa"), status
    return len(recorded)


def main():
    trueup = Path(sys.argv[1]).resolve()
    command = [str(trueup), "simulator", "--listen", "127.0.0.1:0", "--speed", "60"]
    simulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    emulator = None
    try:
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        settings = {"GATEWAY_PORT": str(port), "MINISTACK_ACCOUNT_ID": ACCOUNT}
        emulator = start("ministack", [], settings, f"{address}/_ministack/health")
        with tempfile.TemporaryDirectory() as home:
            follow(trueup, simulator.stdout.readline().strip(), address, Path(home))
        print("install: docs/install.md, word by word")
    finally:
        for process in (emulator, simulator):
            if process:
                process.kill()
                process.wait()


if __name__ == "__main__":
    main()
