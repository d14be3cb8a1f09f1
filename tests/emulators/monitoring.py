"""The dashboard and the alert rules of manifests/monitoring before Prometheus itself: promtool reads and tests the rules, and a server scrapes
controllers in a world where everything has happened that they are about. Each metric that they name is there, and each panel shows something.

    python monitoring.py PATH/TO/trueup
"""

import json
import math
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

from clients import Stage
from server import free_port

ROOT = Path(__file__).parents[2]
RULES = ROOT / "manifests/monitoring/rules.yaml"
TOOLS = ROOT / ".tools/prometheus/bin"
PATIENCE = 120
# What Grafana fills in, as the shortest that Prometheus may be asked in this world.
FILLED_IN = {"$__rate_interval": "1m", "$__range": "1h", "$environment": ".*"}
# Those that are about what is so here, and need no time to be so.
ACTIVE = {
    "TrueupDeploymentFailed",
    "TrueupHeld",
    "TrueupAwaitingApproval",
    "TrueupDrifted",
    "TrueupStalled",
    "TrueupLeaseStoreUnusable",
    "TrueupAlertsUndelivered",
    "TrueupAlertsWaiting",
}
APPLICATION = """apiVersion: trueup.dev/v1
kind: Application
metadata: {name: %(name)s}
spec: {repository: mco/api, service: mco-%(name)s}
---
"""
ENVIRONMENT = """apiVersion: trueup.dev/v1
kind: Environment
metadata: {name: test}
spec: {cluster: mco, environmentTag: test, policy: {steady: 0s}, applications: {%s}}
"""
PAUSE = {"targetType": "PAUSE", "lifecycleStages": ["POST_SCALE_UP"], "timeoutConfiguration": {"timeoutInMinutes": 14400, "action": "ROLLBACK"}}


def until(what, reached):
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.1)


def until_there(what, wanted, known):
    """Until all of these are known."""
    deadline = time.monotonic() + PATIENCE
    while missing := wanted - known():
        assert time.monotonic() < deadline, f"{what} are not there: {missing}"
        time.sleep(0.1)


class World(Stage):
    """Applications of one image: one that is deployed well and badly, one that another hand changes, one that waits for a word, one without
    a service."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.commits = dict.fromkeys(["api", "web", "gate", "lost"], "aaaaaaa")
        self.ecs.create_cluster(clusterName="mco")
        self.ecr.create_repository(repositoryName="mco/api")
        self.build("aaaaaaa")
        for name in ("api", "web", "gate"):
            self.ecs.register_task_definition(**{**self.task_definition("aaaaaaa"), "family": f"mco-{name}"})
            configuration = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
            if name == "gate":
                configuration = {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 1}
            self.ecs.create_service(
                cluster="mco", serviceName=f"mco-{name}", taskDefinition=f"mco-{name}", desiredCount=1, deploymentConfiguration=configuration
            )
        self.control("advance", {"seconds": 3600})
        self.ecs.update_service(cluster="mco", service="mco-gate", deploymentConfiguration={**configuration, "lifecycleHooks": [PAUSE]})
        subprocess.run(["git", "init", "-q", "-b", "main", str(self.folder)], check=True)
        self.declare()

    def declare(self, **commits):
        self.commits |= commits
        applications = ", ".join(f"{name}: {{commit: {commit}}}" for name, commit in self.commits.items())
        files = "".join(APPLICATION % {"name": name} for name in self.commits) + ENVIRONMENT % applications
        (self.folder / "trueup.yaml").write_text(files)
        subprocess.run(["git", "add", "-A"], cwd=self.folder, check=True)
        named = ["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "declare"]
        subprocess.run(["git", *named], cwd=self.folder, check=True)

    def controller(self, **more):
        """A controller that serves; where."""
        command = [self.trueup, "run", "--listen", "127.0.0.1:0", "--log-format", "json", "--repo", str(self.folder)]
        process = subprocess.Popen(command, env={**self.settings, **more}, stderr=subprocess.PIPE, text=True)
        heard = next(line for line in process.stderr if "http.listening" in line)
        threading.Thread(target=process.stderr.read, daemon=True).start()
        address = json.loads(heard)["fields"]["address"]
        until("readiness", lambda: fetch(f"http://{address}/readyz")[0] == 200)
        return process, address

    def live(self):
        """Everything that the metrics are about, one after the other."""
        for commit in ("bbbbbbb", "ccccccc"):
            self.build(commit)
            self.declare(api=commit, web=commit)
            until(commit, lambda: all(self.runs(name, commit) for name in ("api", "web")))
        self.control("fault", {"kind": "refuse", "operation": "RegisterTaskDefinition", "message": "not now"})
        digest = self.build("ddddddd")
        self.control("fault", {"kind": "crash", "digest": digest, "exitCode": 1})
        self.declare(api="ddddddd", gate="bbbbbbb")
        self.ecs.update_service(cluster="mco", service="mco-web", taskDefinition="mco-web:1")

    def runs(self, name, commit):
        [service] = self.ecs.describe_services(cluster="mco", services=[f"mco-{name}"])["services"]
        tags = self.ecs.describe_task_definition(taskDefinition=service["taskDefinition"], include=["TAGS"])["tags"]
        tags = {tag["key"]: tag["value"] for tag in tags}
        return tags.get("trueup:commit") == commit and tags.get("trueup:outcome", "").startswith("succeeded")


class Receiver(BaseHTTPRequestHandler):
    """Takes alerts for `good`, refuses them for `bad`, and never answers those for `ugly`."""

    ends = threading.Event()

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/ugly":
            self.ends.wait()
        self.send_response({"/good": 204, "/bad": 400}.get(self.path, 503))
        self.end_headers()


def fetch(address):
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return None, ""


class Prometheus:
    """A server that scrapes these addresses every second."""

    def __init__(self, folder, addresses):
        self.address = f"http://127.0.0.1:{free_port()}"
        targets = [{"targets": addresses}]
        settings = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(RULES)],
            "scrape_configs": [{"job_name": "trueup", "static_configs": targets}],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
        listen = self.address.removeprefix("http://")
        command = [TOOLS / "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", f"--web.listen-address={listen}"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until("Prometheus", lambda: fetch(f"{self.address}/-/ready")[0] == 200)

    def ask(self, path, **parameters):
        status, text = fetch(f"{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        assert status == 200, (path, parameters, text)
        return json.loads(text)["data"]

    def values(self, expression):
        return [float(one["value"][1]) for one in self.ask("query", query=expression)["result"]]


def filled_in(expression):
    for name, value in FILLED_IN.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


def panels():
    """The expressions of each panel of the dashboard, which has its places for them all."""
    dashboard = json.loads((ROOT / "manifests/monitoring/dashboard.json").read_text())
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    taken = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken and max(x for x, _ in cells) < 24, f"{panel['title']} lies over another one"
        taken |= cells
        targets = panel.get("targets", [])
        assert all(target["datasource"]["uid"] == "${datasource}" for target in targets), panel["title"]
        yield panel["title"], [target["expr"] for target in targets]


def promtool():
    tests = Path(__file__).with_name("rules.yaml")
    for command in (["check", "rules", "--lint-fatal", str(RULES)], ["test", "rules", str(tests)]):
        done = subprocess.run([TOOLS / "promtool", *command], capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stdout + done.stderr
    groups = yaml.safe_load(RULES.read_text())["groups"]
    rules = {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}
    tested = {case["alertname"] for test in yaml.safe_load(tests.read_text())["tests"] for case in test["alert_rule_test"]}
    assert tested == set(rules), f"rules without a test: {set(rules) ^ tested}"
    page = (ROOT / "docs/monitoring.md").read_text()
    assert re.findall(r"^\| `(Trueup\w+)` \|", page, re.M) == list(rules), "docs/monitoring.md has other rules"
    return rules


def is_shown(prometheus, expression):
    values = prometheus.values(filled_in(expression))
    return bool(values) and not all(map(math.isnan, values))


def before_prometheus(prometheus, rules):
    shown = [(title, expression) for title, expressions in panels() for expression in expressions]
    named = {name for expression in [*rules.values(), *(one for _, one in shown)] for name in re.findall(r"\btrueup_\w+", expression)}
    known = lambda: set(prometheus.ask("label/__name__/values"))
    until_there("metrics", named, known)
    for title, expression in shown:
        until(f"something to see in “{title}” by {expression}", lambda: is_shown(prometheus, expression))
    alerts = lambda: prometheus.ask("alerts")["alerts"]
    until_there("alerts", ACTIVE, lambda: {one["labels"]["alertname"] for one in alerts()})
    firing = {one["labels"]["alertname"] for one in alerts() if one["state"] == "firing"}
    assert firing <= ACTIVE, f"nothing gives a reason for {firing - ACTIVE}"
    health = [rule["health"] for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert health == ["ok"] * len(rules), health
    return len(named), len(shown)


def main():
    trueup = str(Path(sys.argv[1]).resolve())
    rules = promtool()
    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    receiver.daemon_threads = True
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    at = "http://127.0.0.1:%s" % receiver.server_address[1]
    sinks = {name: {"kind": "webhook", "url": f"{at}/{name}", "secretVariable": "KEY"} for name in ("good", "bad", "ugly")}
    nobody = {"TRUEUP_LEASE": "kubernetes", "TRUEUP_LEASE_SERVER": f"http://127.0.0.1:{free_port()}"}
    simulator = subprocess.Popen([trueup, "simulator", "--listen", "127.0.0.1:0", "--speed", "60"], stdout=subprocess.PIPE, text=True)
    processes = [simulator]
    try:
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as account:
            (Path(folder) / "infrastructure").mkdir()
            for name, text in {"token": "x", "namespace": "trueup"}.items():
                (Path(account) / name).write_text(text)
            world = World(trueup, simulator.stdout.readline().strip(), Path(folder) / "infrastructure")
            controller, first = world.controller(KEY="hunter2", TRUEUP_SINKS=json.dumps(sinks))
            processes.append(controller)
            # A replica whose store of leases is not there: it only looks.
            replica, second = world.controller(**nobody, TRUEUP_LEASE_SERVICE_ACCOUNT=account)
            processes.append(replica)
            prometheus = Prometheus(Path(folder), [first, second])
            processes.append(prometheus.process)
            until("a scrape", lambda: prometheus.values("sum(up)") == [2.0])
            world.live()
            metrics, shown = before_prometheus(prometheus, rules)
        print(f"monitoring: {len(rules)} rules and {shown} expressions of the dashboard by {metrics} metrics")
    finally:
        Receiver.ends.set()
        for process in reversed(processes):
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
