"""What botocore's model of ECS requires is asked for by `trueup lint`: a task definition and settings of a service that lack one member,
once for each structure and member.

    python required.py PATH/TO/trueup
"""

import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import botocore.session

MODEL = botocore.session.get_session().get_service_model("ecs")
# Newer than the SDK that trueup is built with: a warning says so, and it is sent as written.
NEWER = ("trustedExecutionConfiguration",)
# Members of UpdateService that no repository may own: they are refused whatever they hold.
NOT_OWNED = ("deploymentController", "gatewayConnectors", "monitoring", "vpcLatticeConfigurations")
# The only structure outside of a list that the live service does not complete.
WHOLE = "deploymentConfiguration.alarms"


def minimal(shape, without=None, more=None):
    """A value with all that is required, but for one member; `more`: with another one besides."""
    match shape.type_name:
        case "structure":
            value = {name: minimal(shape.members[name]) for name in shape.required_members if name != without}
            return {**value, **(more or {})}
        case "list":
            return [more if more is not None else minimal(shape.member)]
        case "map":
            return {}
        case "boolean":
            return True
        case "string":
            return shape.enum[0] if shape.enum else "x"
        case _:
            return 1


def lacking(shape, seen=()):
    """Values of a shape, each lacking one required member somewhere: what lacks it, and the member."""
    if shape.type_name == "list":
        for value, path, member in lacking(shape.member, seen):
            yield [value], f"[0]{path}", member
    if shape.type_name != "structure" or shape.name in seen:
        return
    if shape.required_members:
        for member in shape.required_members:
            yield minimal(shape, without=member), "", member
    for name, inner in shape.members.items():
        for value, path, member in lacking(inner, (*seen, shape.name)):
            yield minimal(shape, more={name: value}), f".{name}{path}", member


def lint(trueup, task_definition, settings):
    """The findings that are errors: field and message."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "taskdef.json").write_text(json.dumps(task_definition))
        spec = {"repository": "mco/api", "service": "api", "taskDefinition": "taskdef.json"}
        if settings:
            spec["serviceSettings"] = settings
        application = {"apiVersion": "trueup.dev/v1", "kind": "Application", "metadata": {"name": "api"}, "spec": spec}
        inside = {"cluster": "mco", "applications": {"api": {"commit": "3f2c1ab"}}}
        environment = {"apiVersion": "trueup.dev/v1", "kind": "Environment", "metadata": {"name": "test"}, "spec": inside}
        for name, document in (("application", application), ("environment", environment)):
            (Path(folder) / f"{name}.yaml").write_text(json.dumps(document))
        subprocess.run(["git", "init", "-q", folder], check=True)
        said = subprocess.run(
            [trueup, "--log-format", "json", "lint", "--repo", folder], capture_output=True, text=True, check=False
        )
        lines = (said.stdout + said.stderr).splitlines()
        return [line for line in lines if "error" in line.lower()]


def cases():
    container = {"name": "api", "image": "<IMAGE_NAME>", "memory": 64}
    definition = {"family": "api", "containerDefinitions": [container], "executionRoleArn": "ecsTaskExecutionRole"}
    registration = MODEL.operation_model("RegisterTaskDefinition").input_shape
    of_container = registration.members["containerDefinitions"].member
    for name, shape in registration.members.items():
        if name not in ("containerDefinitions", *NEWER):
            for value, path, member in lacking(shape):
                yield f"{name}{path}", member, {**definition, name: value}, None
    for name, shape in of_container.members.items():
        for value, path, member in lacking(shape):
            containers = [{**container, name: value}]
            yield f"containerDefinitions[0].{name}{path}", member, {**definition, "containerDefinitions": containers}, None
    for name, shape in MODEL.operation_model("UpdateService").input_shape.members.items():
        if name not in NOT_OWNED:
            for value, path, member in lacking(shape):
                if "[" in path or f"{name}{path}" == WHOLE:
                    yield f"{name}{path}", member, definition, {name: value}


def main():
    trueup = str(Path(sys.argv[1]).resolve())
    every = list(cases())
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda one: lint(trueup, one[2], one[3]), every))
    missed = [
        f"{path}: {member}: {lines}"
        for (path, member, _, _), lines in zip(every, said, strict=True)
        if not any(member in line for line in lines)
    ]
    assert len(every) > 40, len(every)
    assert not missed, "\n".join(missed)
    print(f"required: {len(every)} members of AWS's model are missed where they are missing")


if __name__ == "__main__":
    main()
