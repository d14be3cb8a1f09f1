"""What must hold of the manifests as they are applied: of the Kubernetes resources after kustomize, of the CloudFormation
template, of the image, and that the three say the same. Writes a template of the IAM documents for cfn-lint to read.

    python manifests.py BASE.yaml OVERLAY.yaml REPLICAS.yaml IAM.json
"""

import json
import re
import sys
import tomllib
from pathlib import Path

import yaml
from cfnlint.decode.cfn_yaml import load

ROOT = Path(__file__).parents[1]
KINDS = ["Deployment", "Namespace", "Service", "ServiceAccount"]
# Of the Deployment's `spec`, by path.
ONE_AT_A_TIME = {"replicas": 1, "strategy.type": "Recreate", "template.spec.automountServiceAccountToken": False}
REPLICAS = {"replicas": 2, "strategy.type": "RollingUpdate", "template.spec.automountServiceAccountToken": True}
POD = {
    "securityContext.runAsNonRoot": True,
    "securityContext.runAsUser": 65532,
    "securityContext.fsGroup": 65532,
    "securityContext.seccompProfile.type": "RuntimeDefault",
    "hostNetwork": None,
    "hostPID": None,
    "hostIPC": None,
    "initContainers": None,
}
CONTAINER = {
    "securityContext.readOnlyRootFilesystem": True,
    "securityContext.allowPrivilegeEscalation": False,
    "securityContext.privileged": None,
    "securityContext.capabilities": {"drop": ["ALL"]},
    "livenessProbe.httpGet.path": "/livez",
    "readinessProbe.httpGet.path": "/readyz",
}
# Of the Service of the template, without and with leases.
SERVICE = {
    False: {"DesiredCount": 1, "DeploymentConfiguration.MaximumPercent": 100, "DeploymentConfiguration.MinimumHealthyPercent": 0},
    True: {"DesiredCount": 2, "DeploymentConfiguration.MaximumPercent": 150, "DeploymentConfiguration.MinimumHealthyPercent": 50},
}
LEASES = {"TRUEUP_LEASE", "TRUEUP_LEASE_TABLE"}


def at(node, path):
    for key in path.split("."):
        node = (node or {}).get(key)
    return node


def check(where, node, facts):
    for path, wanted in facts.items():
        found = at(node, path)
        assert found == wanted, f"{where}: {path} is {found!r}, not {wanted!r}"


def kubernetes(path, kinds, pace=ONE_AT_A_TIME):
    """The container of a build, which keeps every promise."""
    built = list(yaml.safe_load_all(path.read_text()))
    assert sorted(one["kind"] for one in built) == sorted(kinds), [one["kind"] for one in built]
    named = {one["kind"]: one for one in built}
    level = named["Namespace"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    assert level == "restricted", level
    spec = named["Deployment"]["spec"]
    check(path.name, spec, pace)
    check(path.name, spec["template"]["spec"], POD)
    [container] = spec["template"]["spec"]["containers"]
    check(path.name, container, CONTAINER)
    labels = spec["template"]["metadata"]["labels"].items()
    ports = {port["name"] for port in container["ports"]}
    assert named["Service"]["spec"]["selector"].items() <= labels, named["Service"]
    assert {port["targetPort"] for port in named["Service"]["spec"]["ports"]} <= ports, ports
    return container, spec["template"]["spec"]


def monitoring(container):
    """The port is there, and the rules are the same for the operator and without it."""
    monitor, rules = yaml.safe_load_all((ROOT / "examples/kubernetes-overlay/monitoring.yaml").read_text())
    ports = {port["name"] for port in container["ports"]}
    assert {end["port"] for end in monitor["spec"]["podMetricsEndpoints"]} <= ports, ports
    groups = yaml.safe_load((ROOT / "manifests/monitoring/rules.yaml").read_text())["groups"]
    assert rules["spec"]["groups"] == groups, "examples/kubernetes-overlay/monitoring.yaml has other rules than manifests/monitoring"


def replicas(path, kinds):
    """Two of them may do with leases what the three calls of trueup need, and nothing else."""
    container, _ = kubernetes(path, kinds, REPLICAS)
    assert {"name": "TRUEUP_LEASE", "value": "kubernetes"} in container["env"], container["env"]
    named = {one["kind"]: one for one in yaml.safe_load_all(path.read_text())}
    leases = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]}
    assert named["Role"]["rules"] == [leases], named["Role"]
    binding = named["RoleBinding"]
    assert binding["roleRef"]["name"] == named["Role"]["metadata"]["name"], binding
    [subject] = binding["subjects"]
    account = named["ServiceAccount"]["metadata"]
    assert (subject["name"], subject["namespace"]) == (account["name"], account["namespace"]), subject


def resolved(node, conditions):
    """A value of the template where these conditions hold."""
    if isinstance(node, dict):
        if list(node) == ["Fn::If"]:
            condition, then, otherwise = node["Fn::If"]
            return resolved(then if condition in conditions else otherwise, conditions)
        return {key: resolved(value, conditions) for key, value in node.items()}
    return [resolved(one, conditions) for one in node] if isinstance(node, list) else node


def template():
    read = load(str(ROOT / "manifests/ecs/trueup.yaml"))
    for has_leases, facts in SERVICE.items():
        conditions = set(read["Conditions"]) - (set() if has_leases else {"HasLeases"})
        resources = resolved(read["Resources"], conditions)
        check("trueup.yaml", resources["Service"]["Properties"], facts)
        [container] = resources["TaskDefinition"]["Properties"]["ContainerDefinitions"]
        variables = {one["Name"] for one in container["Environment"] if "Name" in one}
        assert (variables & LEASES == LEASES) == has_leases, variables
        allowed = [json.dumps(one) for one in resources["TaskRole"]["Properties"]["Policies"]]
        assert any("dynamodb:PutItem" in one for one in allowed) == has_leases, allowed
    return container


def as_kubernetes_says(container, pod):
    return {
        "user": pod["securityContext"]["runAsUser"],
        "read-only root": container["securityContext"]["readOnlyRootFilesystem"],
        "dropped": container["securityContext"]["capabilities"]["drop"],
        "program": container["command"],
        "arguments": container["args"],
        "variables": {one["name"] for one in container["env"]},
        "settings": {one["name"]: one["value"] for one in container["env"] if one["name"] in ("TRUEUP_LISTEN", "TRUEUP_CACHE")},
        "ports": [port["containerPort"] for port in container["ports"]],
        "mounts": [mount["mountPath"] for mount in container["volumeMounts"]],
        "seconds to stop": pod["terminationGracePeriodSeconds"],
        "seconds between checks": container["livenessProbe"]["periodSeconds"],
    }


def as_ecs_says(container):
    settings = {one["Name"]: one["Value"] for one in container["Environment"]}
    return {
        "user": int(container["User"]),
        "read-only root": container["ReadonlyRootFilesystem"],
        "dropped": container["LinuxParameters"]["Capabilities"]["Drop"],
        "program": container["EntryPoint"],
        "arguments": container["Command"],
        "variables": {*settings} - LEASES | {*(one["Name"] for one in container["Secrets"])} | {"AWS_REGION"},
        "settings": {name: settings[name] for name in ("TRUEUP_LISTEN", "TRUEUP_CACHE")},
        "ports": [port["ContainerPort"] for port in container["PortMappings"]],
        "mounts": [mount["ContainerPath"] for mount in container["MountPoints"]],
        "seconds to stop": container["StopTimeout"],
        "seconds between checks": container["HealthCheck"]["Interval"],
    }


def image(container, pod):
    """The last stage of the Dockerfile, and what its first one builds with and from."""
    text = (ROOT / "Dockerfile").read_text()
    said = lambda pattern: re.findall(pattern, text, re.M)
    user = pod["securityContext"]["runAsUser"]
    assert said(r"^USER (\S+)$") == [f"{user}:{user}"], "USER"
    assert [json.loads(one) for one in said(r"^ENTRYPOINT (.*)$")] == [container["command"]], "ENTRYPOINT"
    [cache] = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert [json.loads(one) for one in said(r"^VOLUME (.*)$")] == [[cache]], "VOLUME"
    owned = said(r"^COPY --from=build --chown=(\S+) \S+ (\S+)$")
    assert owned == [(f"{user}:{user}", cache)], "a volume takes its owner from the image"
    copied = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    members = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["members"]
    assert copied == {"Cargo.toml", "Cargo.lock", "src", *members}, copied
    [channel] = re.findall(r'^channel = "([\d.]+)"$', (ROOT / "rust-toolchain.toml").read_text(), re.M)
    [version] = said(r"^FROM rust:([\d.]+)-")
    assert f"{channel}.".startswith(f"{version}."), f"the image is built with Rust {version}, everything else with {channel}"


def iam():
    """A template with every IAM document of the manifests, so that cfn-lint looks at actions, principals and conditions."""
    resources = {}
    for path in sorted((ROOT / "manifests/iam").glob("*.json")):
        name, document = "".join(part.title() for part in path.stem.split("-")), json.loads(path.read_text())
        if path.stem.startswith("trust-"):
            resources[name] = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": document}}
        else:
            resources[name] = {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": document}}
    assert len(resources) == 11, list(resources)
    return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}


def main():
    base, overlay, doubled, documents = map(Path, sys.argv[1:])
    container, pod = kubernetes(base, KINDS)
    applied, applied_pod = kubernetes(overlay, [*KINDS, "NetworkPolicy"])
    replicas(doubled, [*KINDS, "NetworkPolicy", "Role", "RoleBinding"])
    assert re.search(r"@sha256:[0-9a-f]{64}$", applied["image"]), applied["image"]
    assert container["args"] == ["run", "--log-format", "json"], container["args"]
    monitoring(container)
    image(container, pod)
    ours, theirs = as_kubernetes_says(applied, applied_pod), as_ecs_says(template())
    for what, said in ours.items():
        assert said == theirs[what], f"{what}: {said} in Kubernetes, {theirs[what]} on ECS"
    documents.write_text(json.dumps(iam()))


if __name__ == "__main__":
    main()
