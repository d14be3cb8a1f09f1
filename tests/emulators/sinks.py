"""What trueup sends to chats and webhooks, before receivers that know the documented forms: Slack's by Slack's own SDK, Teams' by the schema of
Adaptive Cards. The receivers are busy, slow and in trouble at first, as the real ones are at times.

    python sinks.py PATH/TO/trueup
"""

import hashlib
import hmac
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path

import jsonschema
from slack_sdk.models.blocks import Block

from clients import Stage

PATIENCE = 120
SECRET = "hunter2"
CARDS = json.loads(files("adaptive_cards").joinpath("schemas/schema-1.4.json").read_text())


def known_to_slack(body):
    """As Slack documents a message: its own models keep every member, and find nothing wrong."""
    assert set(body) == {"text", "blocks"} and len(body["text"]) < 4000 and len(body["blocks"]) <= 50, body
    for block in body["blocks"]:
        parsed = Block.parse(block)
        parsed.validate_json()
        assert parsed.to_dict() == block, (parsed.to_dict(), block)
    return body["text"]


def known_to_teams(body):
    assert body["type"] == "message" and len(json.dumps(body, ensure_ascii=False).encode()) <= 28 * 1024
    (attachment,) = body["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive", attachment
    # Teams' own member of a card, which no schema of cards has ("Cards reference": full width).
    card = dict(attachment["content"])
    assert card.pop("msteams") == {"width": "Full"}
    best = jsonschema.exceptions.best_match(jsonschema.Draft6Validator(CARDS).iter_errors(card))
    assert best is None, best.message
    return "".join(run["text"] for run in attachment["content"]["body"][0]["inlines"])


def signed(headers, text):
    expected = hmac.new(SECRET.encode(), f"{headers['x-trueup-timestamp']}.{text}".encode(), hashlib.sha256).hexdigest()
    assert headers["x-trueup-signature"] == f"sha256={expected}"


class Receiver(BaseHTTPRequestHandler):
    """Its first answers are those of a bad day: then it takes what has the documented form, and says what is wrong otherwise."""

    protocol_version = "HTTP/1.1"
    lock, taken, tries, last = threading.Lock(), {}, {}, {}
    # Between two messages, or tries of one, that reached Slack: it documents one a second for each webhook ("Rate limits").
    gaps = []
    troubles = {"slack": [(429, {"Retry-After": "1"}), (500, {})], "teams": [(503, {}), (429, {})], "webhook": [(502, {})]}

    def log_message(self, *_):
        pass

    def do_POST(self):
        text = self.rfile.read(int(self.headers["content-length"])).decode()
        kind = self.path.split("/")[1]
        with self.lock:
            number = self.tries[kind] = self.tries.get(kind, 0) + 1
            now = time.monotonic()
            if kind == "slack" and number > 1:
                self.gaps.append(now - self.last[kind])
            self.last[kind] = now
        troubles = self.troubles.get(kind, [])
        if kind == "gone":
            return self.answer(404, "no_service")
        if number <= len(troubles):
            return self.answer(troubles[number - 1][0], "later", troubles[number - 1][1])
        try:
            assert self.headers["content-type"] == "application/json"
            body = json.loads(text)
            said = {"slack": known_to_slack, "teams": known_to_teams}.get(kind, lambda body: body["summary"])(body)
            if kind == "webhook":
                signed(self.headers, text)
        except Exception as error:
            print(f"sinks: {kind} does not know this: {error}\n{text}", file=sys.stderr)
            return self.answer(400, "invalid_payload")
        with self.lock:
            self.taken.setdefault(kind, []).append((said, body))
        self.answer(202 if kind == "teams" else 200, "ok")

    def answer(self, status, text, headers={}):
        self.send_response(status)
        for name, value in {"content-length": str(len(text)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())


FILES = """apiVersion: trueup.dev/v1
kind: Application
metadata: {name: api}
spec: {repository: mco/api, service: mco-api}
---
apiVersion: trueup.dev/v1
kind: Environment
metadata: {name: test}
spec: {cluster: mco, policy: {steady: 10s}, applications: {api: {commit: %s}}}
"""


class World(Stage):
    """A rolling service with a circuit breaker, all on commit aaaaaaa."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.ecs.create_cluster(clusterName="mco")
        self.ecr.create_repository(repositoryName="mco/api")
        self.build("aaaaaaa")
        self.ecs.register_task_definition(**self.task_definition("aaaaaaa"))
        breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
        self.ecs.create_service(
            cluster="mco", serviceName="mco-api", taskDefinition="mco-api", desiredCount=2, deploymentConfiguration=breaker
        )
        self.control("advance", {"seconds": 600})
        subprocess.run(["git", "init", "-q", "-b", "main", str(self.folder)], check=True)

    def declare(self, commit):
        (self.folder / "trueup.yaml").write_text(FILES % commit)
        subprocess.run(["git", "add", "-A"], cwd=self.folder, check=True)
        named = ["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", commit]
        subprocess.run(["git", *named], cwd=self.folder, check=True)


def settings(address):
    secrets = {f"{name.upper()}_URL": f"{address}/{name}/{SECRET}" for name in ("slack", "teams", "gone")}
    sinks = {
        "chat": {"kind": "slack", "urlVariable": "SLACK_URL", "logs": True, "severity": "warning"},
        "team": {"kind": "teams", "urlVariable": "TEAMS_URL", "events": ["deployment.*"]},
        "audit": {"kind": "webhook", "url": f"{address}/webhook", "secretVariable": "KEY"},
        "left": {"kind": "slack", "urlVariable": "GONE_URL"},
    }
    return {**secrets, "KEY": SECRET, "TRUEUP_SINKS": json.dumps(sinks)}


def until(what, reached):
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < deadline, f"{what} did not come about: {Receiver.taken}"
        time.sleep(0.05)


def a_failure_arrives_everywhere(stage, log):
    """A commit that crashes, told once to each sink that takes it, in the order in which it happened."""
    stage.declare("aaaaaaa")
    command = [stage.trueup, "run", "--repo", str(stage.folder)]
    controller = subprocess.Popen(command, env=stage.settings, stderr=log.open("w"))
    try:
        until("a look", lambda: "source.changed" in log.read_text())
        digest = stage.build("bbbbbbb")
        stage.control("fault", {"kind": "crash", "digest": digest, "exitCode": 137})
        stage.control("fault", {"kind": "says", "digest": digest, "text": "java.lang.OutOfMemoryError: Java heap space"})
        stage.declare("bbbbbbb")
        told = lambda kind: [said for said, _ in Receiver.taken.get(kind, [])]
        for kind, word in [("slack", "on hold"), ("teams", "rolled back"), ("webhook", "on hold")]:
            until(f"{word} at {kind}", lambda: any(word in said for said in told(kind)))
    finally:
        controller.send_signal(signal.SIGTERM)
        assert controller.wait(PATIENCE) == 0
    mark, error = "! ", "✗ "
    failed = "test/api: bbbbbbb failed and was rolled back"
    assert told("slack")[0] == error + failed and told("slack")[1].startswith(mark + "test/api: bbbbbbb is on hold"), told("slack")
    assert told("teams")[-1] == error + failed and "started" in told("teams")[0], told("teams")
    for kind, all_said in [(kind, told(kind)) for kind in ("slack", "teams", "webhook")]:
        assert len(all_said) == len(set(all_said)), f"{kind} was told something twice: {all_said}"
    shown = json.dumps(Receiver.taken)
    assert "exited with 137" in shown and SECRET not in shown
    assert "alert.refused" in log.read_text() and "no_service" in log.read_text() and SECRET not in log.read_text()


def slack_is_never_sent_faster_than_it_documents():
    """From one that has arrived whole to the next."""
    assert len(Receiver.gaps) >= 3 and min(Receiver.gaps) >= 1, Receiver.gaps


def a_test_says_what_each_answers(stage):
    said = stage.run("notify", "--test", "chat", "team", "audit")
    assert sorted(said.splitlines()) == ["audit: delivered", "chat: delivered", "team: delivered"], said
    said = stage.run("notify", "--test", code=1)
    assert "left: 404 Not Found: no_service" in said.splitlines(), said


def main():
    trueup = str(Path(sys.argv[1]).resolve())
    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    command = [trueup, "simulator", "--listen", "127.0.0.1:0", "--speed", "30"]
    simulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as logs:
            stage = World(trueup, simulator.stdout.readline().strip(), Path(folder))
            stage.settings.update(settings(f"http://127.0.0.1:{receiver.server_port}"))
            a_failure_arrives_everywhere(stage, Path(logs) / "log")
            print("sinks: a_failure_arrives_everywhere ok")
            slack_is_never_sent_faster_than_it_documents()
            print("sinks: slack_is_never_sent_faster_than_it_documents ok")
            a_test_says_what_each_answers(stage)
            print("sinks: a_test_says_what_each_answers ok")
    finally:
        simulator.kill()
        simulator.wait()


if __name__ == "__main__":
    main()
