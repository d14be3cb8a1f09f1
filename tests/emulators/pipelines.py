"""The pipelines of examples/ci, played, and the actions and templates that they are made of: each `run` and `script` by bash, in checkouts
as deep as they ask for, with the variables that GitHub and GitLab set, against the simulator, a git remote, and hosts that keep comments as
GitHub and GitLab document it. docker, aws, apk and gh only record.

    python pipelines.py PATH/TO/trueup
"""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template

import yaml

from clients import Stage

ROOT = Path(__file__).parents[2]
CI = ROOT / "examples/ci"
# What the pipelines name and a reader pins; what runs is of this checkout.
ACTION = re.compile(r"trueup-dev/trueup/actions/(\w+)@0{40}")
TEMPLATE = re.compile(r"https://raw\.githubusercontent\.com/trueup-dev/trueup/0{40}/(templates/\w+\.yml)")
# Seconds after which a job hangs. None takes a tenth of it.
PATIENCE = 240
# Commits in the infrastructure repository since the last deployment: more than GitLab fetches unless told otherwise.
HISTORY = 30
GITLAB_DEPTH = 20
DECLARED = """apiVersion: trueup.dev/v1
kind: Application
metadata: {name: api}
spec:
  repository: mco/api
  service: mco-api-{environment}
---
apiVersion: trueup.dev/v1
kind: Environment
metadata: {name: test}
spec:
  account: "123456789012"
  region: eu-west-2
  cluster: mco
  policy: { steady: 0s }
  applications:
    api: { commit: "aaaaaaa" }
"""
PROGRAMS = ("docker", "aws", "apk", "gh")
STAND_IN = """#!/bin/sh
echo "$(basename "$0") $*" >>"$RECORD"
case "$(basename "$0") $1 $2" in
"docker create "*) echo container ;;
"docker cp container:/usr/local/bin/trueup") cp "$PROGRAM" "$3" ;;
"docker login "* ) cat >>"$RECORD" ;;
"aws ecr get-login-password") echo password ;;
esac
"""


def git(folder, *arguments):
    named = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-C", str(folder)]
    return subprocess.run([*named, *arguments], check=True, capture_output=True, text=True).stdout.strip()


class Host(BaseHTTPRequestHandler):
    """The comments on pull request 7 of GitHub, and the notes on merge request 3 of GitLab, for whoever has the token of the job."""

    protocol_version = "HTTP/1.1"
    comments, tokens = [], {"Bearer of the job": 41898282, "of the project": 99}
    paths = r"/repos/mco/infrastructure/issues/7/comments|/api/v4/projects/5/merge_requests/3/notes"
    single = r"(?:/repos/mco/infrastructure/issues/comments|/api/v4/projects/5/merge_requests/3/notes)/(\d+)"

    def log_message(self, *_):
        pass

    def handle_one(self):
        text = self.rfile.read(int(self.headers.get("content-length", 0)))
        body = json.loads(text) if text else {}
        author = self.tokens.get(self.headers.get("authorization") or self.headers.get("private-token"))
        path, _, query = self.path.partition("?")
        if author is None:
            return self.answer(401, {"message": "401 Unauthorized"})
        if self.command == "POST" and path == "/graphql" and "viewer" in body["query"]:
            return self.answer(200, {"data": {"viewer": {"databaseId": author}}})
        if self.command == "GET" and path == "/api/v4/user":
            return self.answer(200, {"id": author})
        if self.command == "GET" and re.fullmatch(self.paths, path):
            assert "per_page=100" in query and "page=1" in query, query
            return self.answer(200, self.comments)
        if self.command == "POST" and re.fullmatch(self.paths, path):
            made = {"id": len(self.comments) + 1, "user": {"id": author}, "author": {"id": author}, "body": body["body"]}
            self.comments.append(made)
            return self.answer(201, made)
        changed = re.fullmatch(self.single, path)
        if self.command == ("PUT" if "/api/v4/" in path else "PATCH") and changed:
            self.comments[int(changed[1]) - 1]["body"] = body["body"]
            return self.answer(200, {})
        return self.answer(404, {"message": "Not Found"})

    do_GET = do_POST = do_PATCH = do_PUT = handle_one

    def answer(self, status, said):
        text = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    @classmethod
    def told(cls, author):
        """The texts of one author since the last time; there is one at most."""
        texts = [one["body"] for one in cls.comments if one["user"]["id"] == author]
        assert len(texts) <= 1, texts
        return texts[0] if texts else ""


class World:
    """An account with one service, an infrastructure repository, the repository of an application, and a runner."""

    def __init__(self, trueup, endpoint, home, host):
        self.trueup, self.home, self.host = trueup, home, host
        self.record = home / "record"
        self.infrastructure, self.application = home / "infrastructure.git", home / "api.git"
        self.work = home / "work"
        self.work.mkdir()
        self.stage = Stage(str(trueup), endpoint, self.work)
        self.account()
        for bare, file, text in ((self.infrastructure, "trueup.yaml", DECLARED), (self.application, "Dockerfile", "FROM scratch\n")):
            subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(bare)], check=True)
            self.change(bare, "main", lambda folder: (folder / file).write_text(text))
        self.programs = home / "programs"
        self.programs.mkdir()
        for name in PROGRAMS:
            (self.programs / name).write_text(STAND_IN)
            (self.programs / name).chmod(0o755)

    def account(self):
        self.stage.ecs.create_cluster(clusterName="mco")
        self.stage.ecr.create_repository(repositoryName="mco/api")
        self.stage.build("aaaaaaa")
        self.stage.ecs.register_task_definition(**self.stage.task_definition("aaaaaaa"))
        self.stage.ecs.create_service(
            cluster="mco",
            serviceName="mco-api-test",
            taskDefinition="mco-api",
            desiredCount=1,
            deploymentConfiguration={"deploymentCircuitBreaker": {"enable": True, "rollback": True}},
        )
        self.stage.control("advance", {"seconds": 60})

    def change(self, bare, branch, edit, commits=1):
        """Commits to a branch of a remote, made from main; the id of the last one."""
        folder = self.home / "change"
        git(self.home, "clone", "-q", str(bare), str(folder))
        git(folder, "checkout", "-q", "-B", branch)
        edit(folder)
        git(folder, "add", "-A")
        for number in range(commits):
            git(folder, "commit", "-q", "--allow-empty", "-m", f"change {number}")
        git(folder, "push", "-q", "--force", "origin", branch)
        commit = git(folder, "rev-parse", "HEAD")
        shutil.rmtree(folder)
        return commit

    def build(self):
        """A commit of the application; its image is there, as if the job's `docker push` had done it."""
        commit = self.change(self.application, "main", lambda folder: None)
        return commit, self.stage.build(commit)

    def checkout(self, bare, branch, depth):
        """What a runner makes before a job; depth 0 is everything. A job sees a commit, not a branch."""
        folder = self.home / "job"
        shutil.rmtree(folder, ignore_errors=True)
        depth = [f"--depth={depth}"] if depth else []
        git(self.home, "clone", "-q", *depth, "--branch", branch, f"file://{bare}", str(folder))
        git(folder, "checkout", "-q", "--detach")
        return folder

    def settings(self, more):
        """The environment of a job: nothing of this machine but the programs, and nobody's name."""
        path = os.pathsep.join((str(self.programs), os.environ["PATH"]))
        recorded = {"RECORD": str(self.record), "PROGRAM": str(self.trueup), "CI": "true"}
        return {**self.stage.settings, "HOME": str(self.home), "PATH": path, **recorded, **more}

    def bash(self, script, settings, folder, *options):
        """The output and the code of a script, with this test's places in it."""
        command = ["bash", "-e", *options, "-c", self.here(script)]
        settings = {name: self.here(value) for name, value in settings.items()}
        done = subprocess.run(command, env=settings, cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
        return done.returncode, f"$ {script}\n{done.stdout}{done.stderr}"

    def here(self, text):
        remote = re.sub(r"https://git(hub|lab)\.com/mco/infrastructure\.git", f"file://{self.infrastructure}", text)
        return remote.replace("/tmp/aws-token", str(self.home / "aws-token"))

    def recorded(self):
        """What the programs were told since the last time."""
        lines = self.record.read_text().splitlines() if self.record.exists() else []
        self.record.unlink(missing_ok=True)
        return lines

    def status(self):
        git(self.home, "clone", "-q", str(self.infrastructure), str(self.work / "now"))
        self.stage.folder = self.work / "now"
        status = self.stage.status()
        shutil.rmtree(self.stage.folder)
        return status


class Failed(Exception):
    """A step ended with this code."""


class Runner:
    """A job of GitHub Actions: what its steps leave behind for each other."""

    def __init__(self, world, given, checkout):
        self.world, self.checkout = world, checkout
        self.known, self.settings = given["expressions"], world.settings(given["variables"])
        self.folder, self.said = world.home, ""

    def filled(self, values):
        # An output that a step has not made is nothing.
        value = lambda found: str(self.known.get(found[1], "") if found[1].startswith("steps.") else self.known[found[1]])
        return {key: re.sub(r"\$\{\{ (.*?) \}\}", value, str(text)) for key, text in values.items()}

    def play(self, job):
        """The code of the step that failed, or 0, and all output."""
        environment = self.filled(job.get("env", {}))
        self.settings |= environment
        self.known = self.known | {f"env.{key}": text for key, text in environment.items()}
        try:
            for step in job["steps"]:
                self.step(step)
        except Failed as failed:
            return failed.args[0], self.said
        return 0, self.said

    def step(self, step):
        ours = ACTION.fullmatch(step.get("uses", ""))
        if ours:
            self.action(ours[1], self.filled(step.get("with", {})))
        elif step.get("uses", "").startswith("actions/checkout@"):
            self.folder = self.checkout(step.get("with", {}).get("fetch-depth", 1))
        elif "run" in step:
            self.run(step)

    def action(self, name, given):
        """Its outputs."""
        action = yaml.safe_load((ROOT / "actions" / name / "action.yml").read_text())
        assert set(given) <= set(action["inputs"]), f"{name} has no {set(given) - set(action['inputs'])}"
        missing = [key for key, told in action["inputs"].items() if told.get("required") and key not in given]
        assert not missing, f"{name} needs {missing}"
        defaults = {key: told.get("default", "") for key, told in action["inputs"].items() if key not in given}
        outer = self.known, self.settings
        self.known = self.known | {f"inputs.{key}": text for key, text in {**self.filled(defaults), **given}.items()}
        self.settings = {**self.settings, "GITHUB_ACTION_PATH": str(ROOT / "actions" / name)}
        for step in action["runs"]["steps"]:
            assert step["shell"] == "bash", step
            self.run(step, "-o", "pipefail")
        outputs = self.filled({key: told["value"] for key, told in action.get("outputs", {}).items()})
        path = self.settings["PATH"]
        self.known, self.settings = outer
        self.settings["PATH"] = path
        return outputs

    def run(self, step, *options):
        assert "${{" not in step["run"], f"what others say would become part of the script: {step['run']}"
        added, output = (Path(self.settings[name]) for name in ("GITHUB_PATH", "GITHUB_OUTPUT"))
        for file in (added, output):
            file.write_text("")
        code, said = self.world.bash(step["run"], {**self.settings, **self.filled(step.get("env", {}))}, self.folder, *options)
        self.said += said
        if code:
            raise Failed(code)
        self.settings["PATH"] = os.pathsep.join((*reversed(added.read_text().splitlines()), self.settings["PATH"]))
        for line in output.read_text().splitlines():
            key, _, text = line.partition("=")
            self.known = self.known | {f"steps.{step['id']}.outputs.{key}": text}


def github(world, name, job, given, checkout):
    """Plays a job of a workflow; the code of the step that failed, or 0, and all output."""
    job = yaml.safe_load((CI / name).read_text())["jobs"][job]
    return Runner(world, given, checkout).play(job)


def included(pipeline):
    """The jobs of our templates that a pipeline includes, with its inputs in their places."""
    jobs = {}
    for include in pipeline.get("include", ()):
        path = TEMPLATE.fullmatch(include["remote"])[1]
        head, body = (ROOT / path).read_text().split("\n---\n")
        inputs = {name: told.get("default") for name, told in yaml.safe_load(head)["spec"]["inputs"].items()}
        assert set(include["inputs"]) <= set(inputs), f"{path} has no {set(include['inputs']) - set(inputs)}"
        inputs.update(include["inputs"])
        assert None not in inputs.values(), f"{path} needs {inputs}"
        jobs |= yaml.safe_load(re.sub(r"\$\[\[ inputs\.(\w+) \]\]", lambda found: str(inputs[found[1]]), body))
    return jobs


def gitlab(world, name, job, given, checkout):
    """Plays a job of a GitLab pipeline; its code and its output."""
    pipeline = yaml.safe_load((CI / name).read_text())
    job = {**pipeline, **included(pipeline)}[job]
    variables = {**given, **{token: f"token for {job['id_tokens'][token]['aud']}" for token in job["id_tokens"]}}
    for key, value in job.get("variables", {}).items():
        variables[key] = Template(value).substitute(variables)
    folder = checkout(int(variables.get("GIT_DEPTH", GITLAB_DEPTH)))
    token = world.home / "aws-token"
    token.unlink(missing_ok=True)
    # The image of the job has the program.
    path = os.pathsep.join((str(world.trueup.parent), str(world.programs), os.environ["PATH"]))
    settings = world.settings({**variables, "PATH": path})
    code, said = world.bash("\n".join(job["script"]), settings, folder, "-o", "pipefail")
    assert token.read_text() == "token for https://gitlab.com", said
    for artifact in job.get("artifacts", {}).get("paths", ()):
        assert (folder / artifact).exists(), said
    return code, said


def on_github(world, commit=""):
    variables = {
        "GITHUB_SHA": commit,
        "GITHUB_REPOSITORY": "mco/infrastructure",
        "GITHUB_API_URL": world.host,
        "GITHUB_REF": "refs/pull/7/merge",
        "GITHUB_BASE_REF": "main",
        "GITHUB_PATH": str(world.home / "path"),
        "GITHUB_OUTPUT": str(world.home / "output"),
        "RUNNER_TEMP": str(world.home / "temp"),
        "GITHUB_STEP_SUMMARY": str(world.home / "summary"),
    }
    expressions = {
        "github.sha": commit,
        "github.event.number": "7",
        "github.token": "of the job",
        "secrets.INFRASTRUCTURE_TOKEN": "may write",
    }
    return {"variables": variables, "expressions": expressions}


def on_gitlab(world):
    return {
        "CI_API_V4_URL": f"{world.host}/api/v4",
        "CI_PROJECT_ID": "5",
        "CI_MERGE_REQUEST_IID": "3",
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        "GITLAB_TOKEN": "of the project",
    }


def a_build_on_github_promotes_and_waits(world):
    commit, digest = world.build()
    checkout = lambda depth: world.checkout(world.application, "main", depth)
    code, said = github(world, "github-build.yml", "deploy", on_github(world, commit), checkout)
    assert code == 0, said
    assert f"docker push 123456789012.dkr.ecr.eu-west-2.amazonaws.com/mco/api:{commit}" in world.recorded(), said
    runs(world, commit, digest)


def a_build_on_gitlab_promotes_and_waits(world):
    commit, digest = world.build()
    given = {"CI_COMMIT_SHA": commit}
    checkout = lambda depth: world.checkout(world.application, "main", depth)
    code, said = gitlab(world, "gitlab-build.yml", "build", given, checkout)
    assert code == 0, said
    registry = "123456789012.dkr.ecr.eu-west-2.amazonaws.com"
    recorded = world.recorded()
    assert {f"docker login --username AWS --password-stdin {registry}", "password"} <= set(recorded), recorded
    assert recorded[-1] == f"docker push {registry}/mco/api:{commit}", recorded
    code, said = gitlab(world, "gitlab-build.yml", "trueup deploy test/api", given, checkout)
    assert code == 0, said
    runs(world, commit, digest)


def a_commit_that_fails_fails_the_build(world):
    commit, digest = world.build()
    world.stage.control("fault", {"kind": "crash", "digest": digest, "exitCode": 1})
    checkout = lambda depth: world.checkout(world.application, "main", depth)
    code, said = github(world, "github-build.yml", "deploy", on_github(world, commit), checkout)
    assert code == 3, (code, said)
    world.stage.control("heal", {})
    world.recorded()


def runs(world, commit, digest):
    status = world.status()
    assert (status["declared"]["commit"], status["sync"], status["health"]) == (commit, "Synced", "Healthy"), status
    assert [run["digest"] for run in status["running"]] == [digest], status
    assert status["tagged"]["commit"] == commit, status


def proposed(world):
    """A branch that declares another commit, with a long history behind it."""
    main = git(world.infrastructure, "show", "main:trueup.yaml")
    declared = world.status()["declared"]["commit"]
    other = "aaaaaaa"
    assert declared in main and declared != other, main
    edit = lambda folder: (folder / "trueup.yaml").write_text(main.replace(declared, other))
    world.change(world.infrastructure, "proposal", edit, HISTORY)
    return lambda depth: world.checkout(world.infrastructure, "proposal", depth)


def a_pull_request_on_github_gets_one_comment(world):
    checkout, given = proposed(world), on_github(world)
    for _ in range(2):
        code, said = github(world, "github-pull-request.yml", "plan", given, checkout)
        assert code == 0, said
        comment = Host.told(41898282)
        assert comment.startswith("<!-- trueup:plan ") and "1 of 1 applications change: 1 deployment" in comment, comment
        assert "-> aaaaaaa" in comment and "cannot read" not in comment and "of origin/main" in comment, comment
        assert comment.endswith((world.home / "summary").read_text()), comment
        (world.home / "summary").unlink()


def a_merge_request_on_gitlab_gets_one_note(world):
    for _ in range(2):
        code, said = gitlab(world, "gitlab-merge-request.yml", "trueup plan", on_gitlab(world), proposed(world))
        assert code == 0, said
        plan = (world.home / "job/plan.md").read_text()
        assert "-> aaaaaaa" in plan and "cannot read" not in plan, plan
        assert Host.told(99).endswith(plan), Host.comments


def a_broken_file_fails_the_request(world):
    broken = lambda folder: (folder / "trueup.yaml").write_text(DECLARED.replace("cluster:", "clutser:"))
    world.change(world.infrastructure, "proposal", broken)
    checkout = lambda depth: world.checkout(world.infrastructure, "proposal", depth)
    jobs = (github, "github-pull-request.yml", "plan", on_github(world)), (gitlab, "gitlab-merge-request.yml", "trueup plan", on_gitlab(world))
    for play, name, job, given in jobs:
        try:
            code, said = play(world, name, job, given, checkout)
        except AssertionError as missing:  # the job ended before it made its file
            code, said = 1, str(missing)
        assert code == 1 and "clutser" in said, said
    world.recorded()


def what_cannot_be_read_fails_the_request(world):
    """The comment is made nevertheless: it says what cannot be read."""
    checkout, given = proposed(world), on_github(world)
    world.stage.control("fault", {"kind": "deny", "operation": "DescribeServices", "times": 1000})
    code, said = github(world, "github-pull-request.yml", "plan", given, checkout)
    assert code == 1, (code, said)
    assert "cannot read" in Host.told(41898282), said
    code, said = gitlab(world, "gitlab-merge-request.yml", "trueup plan", on_gitlab(world), checkout)
    assert code == 1 and "cannot read" in Host.told(99), (code, said)
    world.stage.control("heal", {})


def an_input_is_never_a_command(world):
    runner = Runner(world, on_github(world), None)
    runner.settings["PATH"] = os.pathsep.join((str(world.trueup.parent), runner.settings["PATH"]))
    hostile = {"target": "test/api; touch pwned", "commit": "$(touch pwned)", "repo": "`touch pwned`", "token": "'; touch pwned"}
    for name in ("promote", "wait"):
        try:
            runner.action(name, hostile)
        except Failed:
            continue
        raise AssertionError(f"{name} takes {hostile}")
    plan = {"targets": "$(touch pwned) *", "base": "; touch pwned", "comment": "false"}
    try:
        runner.action("plan", plan)
    except Failed as failed:
        assert failed.args == (1,), runner.said
    assert not list(world.home.glob("**/pwned"))


def a_plan_without_a_comment_tells_its_code(world):
    runner = Runner(world, on_github(world), None)
    runner.settings["PATH"] = os.pathsep.join((str(world.trueup.parent), runner.settings["PATH"]))
    runner.folder, before = proposed(world)(0), list(Host.comments)
    assert runner.action("plan", {"comment": "false", "targets": "test/*"}) == {"code": "2"}, runner.said
    assert Host.comments == before


def a_promotion_may_be_a_pull_request(world):
    """The program is recorded: tests of its own play it before a host that opens pull requests."""
    program = world.home / "recorded" / "trueup"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "trueup $*" >>"$RECORD"\necho https://github.com/mco/infrastructure/pull/9\n')
    program.chmod(0o755)
    runner = Runner(world, on_github(world, "aaaaaaa"), None)
    runner.settings["PATH"] = os.pathsep.join((str(program.parent), runner.settings["PATH"]))
    given = {"target": "test/api", "repo": "https://example.com/x.git", "token": "may write"}
    world.recorded()
    assert runner.action("promote", {**given, "pull-request": "true"}) == {"page": "https://github.com/mco/infrastructure/pull/9"}
    assert runner.action("promote", given) == {"page": ""}
    told = "trueup promote test/api --commit aaaaaaa {} --repo https://example.com/x.git"
    assert world.recorded() == [told.format("--pull-request"), told.format("--push")]


def a_release_is_set_up_where_its_sum_and_its_attestation_are_good(world):
    """By `curl` that has the files of one release, and `gh` that is asked about the archive."""
    name, served = "trueup-x86_64-unknown-linux-gnu", world.home / "served"
    served.mkdir()
    script = b'#!/bin/sh\necho "trueup of a release"\n'
    with tarfile.open(served / f"{name}.tar.gz", "w:gz") as archive:
        entry = tarfile.TarInfo(f"{name}/trueup")
        entry.size, entry.mode = len(script), 0o755
        archive.addfile(entry, io.BytesIO(script))
    digest = sha256((served / f"{name}.tar.gz").read_bytes()).hexdigest()
    (served / "SHA256SUMS").write_text(f"{digest}  {name}.tar.gz\n")
    curl = world.programs / "curl"
    curl.write_text(
        '#!/bin/sh -e\necho "curl $*" >>"$RECORD"\nfor last; do\n  case "$before" in --output) to=$last ;; esac\n  before=$last\ndone\n'
        f'cp "{served}/${{last##*/}}" "$to"\n'
    )
    curl.chmod(0o755)
    runner = Runner(world, on_github(world), None)
    try:
        world.recorded()
        runner.action("setup", {})
        version = subprocess.run([ROOT / "scripts/release", "version"], check=True, capture_output=True, text=True).stdout.strip()
        recorded = "\n".join(world.recorded())
        assert f" https://github.com/trueup-dev/trueup/releases/download/v{version}/{name}.tar.gz\n" in recorded, recorded
        assert f"gh attestation verify {name}.tar.gz --repo trueup-dev/trueup" in recorded, recorded
        assert world.bash("trueup", runner.settings, world.home)[1].endswith("trueup of a release\n")
        runner.action("setup", {"releases": "https://mirror.example.com", "version": "v0.0.9"})
        recorded = "\n".join(world.recorded())
        assert f" https://mirror.example.com/download/v0.0.9/{name}.tar.gz\n" in recorded and "gh " not in recorded, recorded
    finally:
        curl.unlink()


SCENES = (
    a_build_on_github_promotes_and_waits,
    a_build_on_gitlab_promotes_and_waits,
    a_pull_request_on_github_gets_one_comment,
    a_merge_request_on_gitlab_gets_one_note,
    a_broken_file_fails_the_request,
    what_cannot_be_read_fails_the_request,
    a_commit_that_fails_fails_the_build,
    a_plan_without_a_comment_tells_its_code,
    an_input_is_never_a_command,
    a_promotion_may_be_a_pull_request,
    a_release_is_set_up_where_its_sum_and_its_attestation_are_good,
)


def main():
    trueup = Path(sys.argv[1]).resolve()
    host = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    threading.Thread(target=host.serve_forever, daemon=True).start()
    command = [str(trueup), "simulator", "--listen", "127.0.0.1:0", "--speed", "60"]
    simulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    controller = None
    try:
        endpoint = simulator.stdout.readline().strip()
        with tempfile.TemporaryDirectory() as home:
            world = World(trueup, endpoint, Path(home), f"http://127.0.0.1:{host.server_port}")
            command = [str(trueup), "run", "--repo", str(world.infrastructure)]
            controller = subprocess.Popen(command, env=world.stage.settings, stderr=subprocess.DEVNULL)
            for scene in SCENES:
                scene(world)
                print(f"pipelines: {scene.__name__} ok")
    finally:
        for process in (controller, simulator):
            if process:
                process.kill()
                process.wait()


if __name__ == "__main__":
    main()
