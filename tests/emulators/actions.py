"""The actions, the templates for GitLab and the pipelines of examples/ci, run step by step as their hosts' runners do: on the simulated AWS, with a git
repository that has a remote, and a host that takes comments. In the place of what only a hosted runner has (checkout, credentials, docker, `gh`) stands what
it would leave behind.

    python actions.py PATH/TO/trueup
"""

import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import threading
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

from clients import Stage
from install import infrastructure

ROOT = Path(__file__).parents[2]
PATIENCE = 300
OURS = "trueup-dev/trueup/actions/"
NAMED = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.com", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.com"}
STAND_INS = {
    "aws": "echo password",
    "docker": 'case "$1" in login) cat >>"$RECORD" ;; create) echo c0ffee ;; cp) cp "$PROGRAM" "$3" ;; esac',
    "gh": "",
    "apk": "",
}


class Failed(Exception):
    pass


class Host(BaseHTTPRequestHandler):
    """Comments of GitHub and notes of GitLab, as far as `plan --comment` asks for them."""

    comments = []

    def say(self, said, status=200):
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        return json.loads(self.rfile.read(int(self.headers["content-length"])))

    def do_GET(self):
        listed = [{"id": place, "user": {"id": 1}, "author": {"id": 1}, "body": text, "system": False} for place, text in enumerate(self.comments)]
        self.say({"id": 1} if self.path.endswith("/user") else listed)

    def do_POST(self):
        body = self.body()
        if self.path.endswith("/graphql"):
            return self.say({"data": {"viewer": {"databaseId": 1}}})
        assert "7" in self.path.split("/"), self.path
        self.comments.append(body["body"])
        self.say({"id": len(self.comments) - 1}, 201)

    def do_PATCH(self):
        self.comments[int(self.path.rpartition("/")[2])] = self.body()["body"]
        self.say({})

    do_PUT = do_PATCH

    def log_message(self, *_):
        pass


def value(expression, contexts):
    """Of an expression of a workflow: a path into the contexts, or the comparison of two."""
    if " == " in expression:
        return len({value(side, contexts) for side in expression.split(" == ")}) == 1
    found = contexts
    for part in expression.split("."):
        found = found.get(part, "")
    return found


def filled(text, contexts):
    return re.sub(r"\$\{\{ (.+?) \}\}", lambda found: str(value(found[1], contexts)), str(text))


class GitHub:
    """A job of GitHub Actions: what its steps leave behind for each other."""

    def __init__(self, world, contexts, event):
        self.world, self.contexts = world, {**contexts, "steps": {}, "env": {}}
        self.home = Path(tempfile.mkdtemp(dir=world.home))
        self.workspace, self.summary = self.home / "workspace", self.home / "summary"
        self.workspace.mkdir()
        self.summary.write_text("")
        self.path = os.environ["PATH"]
        self.settings = {**world.settings, **event, "HOME": str(self.home), "RUNNER_TEMP": str(self.home / "temp"), "GITHUB_STEP_SUMMARY": str(self.summary)}

    def job(self, job):
        """Whether it ran."""
        if "if" in job and not value(job["if"], self.contexts):
            return False
        self.contexts["env"] = {name: filled(text, self.contexts) for name, text in job.get("env", {}).items()}
        self.contexts["env"].update(self.world.places)
        for step in job["steps"]:
            self.step(step, {**self.settings, **self.contexts["env"]}, "bash -e {0}")
        return True

    def step(self, step, settings, shell):
        given = {name: filled(text, self.contexts) for name, text in step.get("with", {}).items()}
        if "run" in step:
            return self.run(step, settings, shell)
        used = step["uses"].partition("@")[0]
        if used.startswith(OURS):
            return self.action(used.removeprefix(OURS), given, settings)
        assert used in ("actions/checkout", "aws-actions/configure-aws-credentials"), used
        if used == "actions/checkout" and given.get("fetch-depth") == "0":
            self.world.clone(self.workspace)
        if used == "aws-actions/configure-aws-credentials":
            assert given["role-to-assume"] and given["aws-region"], given
            self.settings.update(self.world.credentials)

    def action(self, name, given, settings):
        action = yaml.safe_load((ROOT / "actions" / name / "action.yml").read_text())
        assert set(given) <= set(action["inputs"]), f"{name} has no {set(given) - set(action['inputs'])}"
        inputs = {}
        for key, told in action["inputs"].items():
            assert key in given or not told.get("required"), f"{name} needs {key}"
            inputs[key] = given.get(key, filled(told.get("default", ""), self.contexts))
        if name == "wait":
            self.world.reconcile()
        outer, self.contexts = self.contexts, {**self.contexts, "inputs": inputs, "steps": {}}
        for step in action["runs"]["steps"]:
            self.step(step, {**settings, "GITHUB_ACTION_PATH": str(ROOT / "actions" / name)}, None)
        outputs = {key: filled(told["value"], self.contexts) for key, told in action.get("outputs", {}).items()}
        self.contexts = outer
        return outputs

    def run(self, step, settings, shell):
        # A step of a composite action has to name its shell; https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax
        command = {"bash": "bash --noprofile --norc -eo pipefail {0}"}[step["shell"]] if shell is None else shell
        script, output, paths = (self.home / name for name in ("script", "output", "path"))
        assert "${{" not in step["run"], f"text of others would become part of the script: {step['run']}"
        script.write_text(step["run"])
        output.write_text("")
        paths.write_text("")
        own = {name: filled(text, self.contexts) for name, text in step.get("env", {}).items()}
        around = {**settings, **own, "PATH": self.path, "GITHUB_OUTPUT": str(output), "GITHUB_PATH": str(paths)}
        self.world.call(command.format(script).split(), self.workspace, around)
        told = dict(line.split("=", 1) for line in output.read_text().splitlines())
        self.contexts["steps"][step.get("id")] = {"outputs": told}
        for folder in paths.read_text().splitlines():
            self.path = f"{folder}{os.pathsep}{self.path}"


class World:
    """Somebody's account, the repository that declares it with a branch that promotes, and the programs of a hosted runner."""

    def __init__(self, trueup, endpoint, host, home):
        self.trueup, self.home, self.host = trueup, home, host
        self.stage = Stage(str(trueup), endpoint, home / "infrastructure")
        infrastructure(home, self.stage)
        self.remote = f"file://{home / 'remote.git'}"
        programs = home / "programs"
        programs.mkdir()
        for name, does in STAND_INS.items():
            (programs / name).write_text(f'#!/bin/sh -e\necho "{name} $*" >>"$RECORD"\n{does}\n')
            (programs / name).chmod(0o755)
        os.environ["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
        # What the pipelines name and a reader has.
        self.places = {"INFRASTRUCTURE": self.remote}
        self.record = home / "record"
        self.settings = {"RECORD": str(self.record), "PROGRAM": str(trueup), **NAMED}
        self.credentials = {name: text for name, text in self.stage.settings.items() if name.startswith("AWS_")}
        self.git("checkout", "-qb", "proposal")
        declared = home / "infrastructure" / "trueup.yaml"
        declared.write_text(declared.read_text().replace("3f2c1ab", "8c1f0aa"))
        self.git("commit", "-qam", "promote")
        self.git("push", "-q", "origin", "proposal")

    def git(self, *arguments):
        subprocess.run(["git", "-C", self.home / "infrastructure", *arguments], check=True, env={**os.environ, **NAMED})

    def clone(self, folder):
        subprocess.run(["git", "clone", "-q", "--branch", "proposal", self.remote, folder], check=True)

    def call(self, command, folder, settings):
        done = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, timeout=PATIENCE)
        if done.returncode != 0:
            raise Failed(f"{done.stdout}{done.stderr}")
        return done.stdout

    def reconcile(self):
        """What the controller does meanwhile."""
        command = [str(self.trueup), "reconcile", "--timeout", "200", "--repo", self.remote]
        self.call(command, self.home, {**self.stage.settings, "TRUEUP_CACHE": str(self.home / "cache")})


def workflow(name):
    """Its only job. YAML takes `on` for a truth value."""
    text = yaml.safe_load((ROOT / "examples/ci" / name).read_text())
    [job] = text["jobs"].values()
    return text[True], job


def pull_request(world):
    events, job = workflow("github-pull-request.yml")
    assert events == "pull_request", events
    event = {"GITHUB_BASE_REF": "main", "GITHUB_REPOSITORY": "mco/infrastructure", "GITHUB_REF": "refs/pull/7/merge", "GITHUB_API_URL": world.host}
    asked = lambda head: {"repository": "mco/infrastructure", "token": "ghs_x", "event": {"number": 7, "pull_request": {"head": {"repo": {"full_name": head}}}}}
    contexts = lambda head: {"github": asked(head), "vars": {"PLAN_ROLE": "arn:aws:iam::123456789012:role/plan"}, "secrets": {}}
    assert not GitHub(world, contexts("somebody/infrastructure"), event).job(job), "a fork gets a plan"
    for _ in range(2):
        run = GitHub(world, contexts("mco/infrastructure"), event)
        assert run.job(job)
        # One comment, which the second run updates.
        [comment] = Host.comments
        assert "| test/api | 3f2c1ab | 8c1f0aa |" in comment and run.summary.read_text() in comment, comment
    assert run.action("plan", {"comment": "false"}, {**run.settings, **event}) == {"code": "2"}
    # What is wrong in the files fails the job at once.
    (run.workspace / "trueup.yaml").write_text("kind: Application\napiVersion: trueup.dev/v1\n")
    fails(lambda: run.action("plan", {}, {**run.settings, **event}), "::error file=trueup.yaml,")


def fails(act, expected):
    try:
        act()
    except Failed as failed:
        assert expected in str(failed), failed
    else:
        raise AssertionError(f"it did not fail: {expected}")


def build(world):
    _, job = workflow("github-build.yml")
    contexts = {"github": {"sha": "8c1f0aa", "token": "ghs_x"}, "vars": {"BUILD_ROLE": "arn:aws:iam::123456789012:role/build"}, "secrets": {"INFRASTRUCTURE_TOKEN": "x"}}
    run = GitHub(world, contexts, {})
    assert run.job(job)
    recorded = world.record.read_text()
    for image in ("mco/api:8c1f0aa", "trueup:latest"):
        assert f"123456789012.dkr.ecr.eu-west-2.amazonaws.com/{image}" in recorded, recorded
    # What an input says is never a command.
    hostile = {"target": "test/api; touch pwned", "commit": "$(touch pwned)", "repo": world.remote, "token": "`touch pwned`"}
    fails(lambda: run.action("promote", hostile, run.settings), "touch pwned")
    assert not list(world.home.glob("**/pwned"))
    fails(lambda: run.action("wait", {"target": "test/api", "commit": "0000000", "repo": world.remote, "timeout": "1"}, run.settings), "")


def setup(world):
    """From a release, which `curl` finds at the tag that the checkout has."""
    name = "trueup-x86_64-unknown-linux-gnu"
    served = world.home / "served"
    served.mkdir()
    script = b'#!/bin/sh\necho "trueup of a release"\n'
    with tarfile.open(served / f"{name}.tar.gz", "w:gz") as archive:
        entry = tarfile.TarInfo(f"{name}/trueup")
        entry.size, entry.mode = len(script), 0o755
        archive.addfile(entry, io.BytesIO(script))
    digest = sha256((served / f"{name}.tar.gz").read_bytes()).hexdigest()
    (served / "SHA256SUMS").write_text(f"{digest}  {name}.tar.gz\n")
    curl = world.home / "programs/curl"
    curl.write_text(f'#!/bin/sh -e\necho "curl $*" >>"$RECORD"\nfor last; do :; done\ncp "{served}/${{last##*/}}" "${{14}}"\n')
    curl.chmod(0o755)
    run = GitHub(world, {"github": {"token": "ghs_x"}}, {})
    world.record.write_text("")
    run.action("setup", {}, run.settings)
    assert world.call([str(run.home / "temp/trueup/bin/trueup")], run.home, run.settings) == "trueup of a release\n"
    assert run.path.startswith(f"{run.home / 'temp/trueup/bin'}{os.pathsep}")
    recorded = world.record.read_text()
    version = subprocess.run([ROOT / "scripts/release", "version"], check=True, capture_output=True, text=True).stdout.strip()
    assert f" https://github.com/trueup-dev/trueup/releases/download/v{version}/{name}.tar.gz\n" in recorded, recorded
    assert f"gh attestation verify {name}.tar.gz --repo trueup-dev/trueup" in recorded, recorded
    run.action("setup", {"releases": "https://mirror.example.com", "version": "v0.0.9"}, run.settings)
    assert f" https://mirror.example.com/download/v0.0.9/{name}.tar.gz\n" in world.record.read_text()
    curl.unlink()


def gitlab(world, example, variables):
    """The job that an example includes, its inputs in their places, run as a script."""
    [included] = yaml.safe_load((ROOT / "examples/ci" / example).read_text())["include"]
    path = re.fullmatch(r"https://raw\.githubusercontent\.com/trueup-dev/trueup/0{40}/(templates/\w+\.yml)", included["remote"])[1]
    head, body = (ROOT / path).read_text().split("\n---\n")
    inputs = {name: told.get("default") for name, told in yaml.safe_load(head)["spec"]["inputs"].items()}
    assert set(included["inputs"]) <= set(inputs), included
    inputs.update(included["inputs"])
    assert None not in inputs.values(), f"{example} gives no value: {inputs}"
    [(_, job)] = yaml.safe_load(re.sub(r"\$\[\[ inputs\.([\w-]+) \]\]", lambda found: str(inputs[found[1]]), body)).items()
    folder = Path(tempfile.mkdtemp(dir=world.home))
    world.clone(folder / "clone")
    # The role and its token are those of the simulated AWS.
    own = {name: text for name, text in job["variables"].items() if name not in ("AWS_ROLE_ARN", "TRUEUP_REPO")}
    own |= {"AWS_WEB_IDENTITY_TOKEN_FILE": str(folder / "token"), "AWS_TOKEN": "token", "HOME": str(folder)}
    path = f"{world.trueup.parent}{os.pathsep}{os.environ['PATH']}"
    settings = {**world.settings, **own, **world.credentials, **variables, "PATH": path, "TRUEUP_CACHE": str(folder / "cache")}
    script = folder / "script"
    script.write_text("\n".join(["set -eo pipefail", *job["script"]]))
    world.call(["bash", str(script)], folder / "clone", settings)
    return folder / "clone"


def merge_request(world):
    del Host.comments[:]
    variables = {"CI_PROJECT_ID": "5", "CI_MERGE_REQUEST_IID": "7", "CI_API_V4_URL": f"{world.host}/api/v4", "GITLAB_TOKEN": "glpat-x"}
    folder = gitlab(world, "gitlab-merge-request.yml", {**variables, "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"})
    [note] = Host.comments
    assert "| test/api | 3f2c1ab | 8c1f0aa |" in note and (folder / "plan.md").read_text() in note, note


def deploys_again(world):
    """The commit runs and is declared by now, so that nothing is left to do."""
    gitlab(world, "gitlab-build.yml", {"CI_COMMIT_SHA": "8c1f0aa", "TRUEUP_REPO": world.remote, "TRUEUP_TOKEN": "x"})


def main():
    trueup = Path(sys.argv[1]).resolve()
    command = [str(trueup), "simulator", "--listen", "127.0.0.1:0", "--speed", "60"]
    simulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with tempfile.TemporaryDirectory() as home:
            endpoint = simulator.stdout.readline().strip()
            world = World(trueup, endpoint, f"http://127.0.0.1:{server.server_address[1]}", Path(home))
            for part in (pull_request, merge_request, build, deploys_again, setup):
                part(world)
                print(f"actions: {part.__name__.replace('_', ' ')} ok")
    finally:
        simulator.kill()
        simulator.wait()
        server.shutdown()


if __name__ == "__main__":
    main()
