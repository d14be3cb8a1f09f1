"""The recordings of `tests/recordings` against trueup's simulator: the same six courses are played at it, by the script that records them at AWS.

    python recordings.py PATH/TO/trueup             holds what is recorded against what the simulator does
    python recordings.py PATH/TO/trueup --write     records the simulator, where no recording of AWS is
"""

import copy
import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

RECORDINGS = Path(__file__).parents[1] / "recordings"
sys.path.insert(0, str(RECORDINGS))

import boto3
from account import Account, Refused
from botocore.exceptions import ClientError
from moto import mock_aws
from record import main as record
from tracks import differences

ACCOUNT, REGION = "123456789012", "eu-west-2"
# EC2 and IAM are not simulated: what is of them is named.
NAMED = ["--network", "vpc-1", "--subnets", "subnet-1,subnet-2", "--security-group", "sg-1", "--role", f"arn:aws:iam::{ACCOUNT}:role/ecs"]
SIMULATOR = "trueup's simulator"


class SimulatedTime:
    """Time passes only where somebody waits, so nothing is missed between two samples."""

    interval = 1

    def __init__(self, endpoint):
        self.endpoint, self.said = endpoint, []
        self.time = self.asked("state")["now"]

    def asked(self, path, body=None):
        request = urllib.request.Request(f"{self.endpoint}/_simulator/{path}", json.dumps(body).encode() if body else None)
        return json.loads(urllib.request.urlopen(request).read() or "null")

    def now(self):
        return self.time

    def wait(self, seconds):
        if seconds:
            self.time = self.asked("advance", {"seconds": round(seconds)})["now"]

    def say(self, text):
        self.said.append(text)


class Simulator:
    """A simulator of its own, and the script at it."""

    def __init__(self, trueup):
        command = [trueup, "simulator", "--listen", "127.0.0.1:0", "--speed", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.endpoint = self.process.stdout.readline().strip()
        self.settings = {"endpoint_url": self.endpoint, "aws_access_key_id": "x", "aws_secret_access_key": "x"}
        self.pace = SimulatedTime(self.endpoint)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def client(self, name):
        return boto3.client(name, region_name=REGION, **self.settings)

    def record(self, *more, account=ACCOUNT):
        asked = ["--account", account, "--region", REGION, *NAMED, *more]
        record(asked, pace=self.pace, made_from=SIMULATOR, settings=self.settings)

    def holds(self):
        """What is there of anything that a recording makes."""
        ecs, elb = self.client("ecs"), self.client("elbv2")
        return (
            ecs.list_clusters()["clusterArns"]
            + ecs.list_task_definitions()["taskDefinitionArns"]
            + [one["LoadBalancerName"] for one in elb.describe_load_balancers()["LoadBalancers"]]
            + [one["TargetGroupName"] for one in elb.describe_target_groups()["TargetGroups"]]
        )

    def writes(self):
        reads = ("Describe", "List", "Get")
        return {name: times for name, times in self.pace.asked("state")["calls"].items() if not name.startswith(reads)}


def is_refused(call, *arguments, **named):
    try:
        call(*arguments, **named)
    except (Refused, ClientError, SystemExit) as error:
        return str(error)
    raise SystemExit(f"not refused: {arguments} {named}")


def recordings(folder):
    return {told["course"]: told for path in sorted(folder.glob("*.json")) for told in [json.loads(path.read_text())]}


def altered(recording):
    """The same with one stage that AWS does not know, or one answer."""
    other = copy.deepcopy(recording)
    steps = other["tracks"][0]["steps"]
    step = steps[len(steps) // 2]
    step["stage" if "stage" in step else "tasks"] = "ELSEWHERE"
    return other


def thinned(recording, interval):
    """The same as somebody sees it who looks so seldom."""
    tracks = [{**track, "steps": [step for step in track["steps"] if step.get("seconds", interval) >= interval]} for track in recording["tracks"]]
    return {**recording, "tracks": tracks, "interval": interval}


def check(recorded, simulated):
    assert recorded.keys() == simulated.keys(), f"recorded: {sorted(recorded)}, played: {sorted(simulated)}"
    problems = {}
    for course, recording in recorded.items():
        told = lambda recording: list(differences(recording["tracks"], simulated[course]["tracks"], recording["interval"]))
        found = told(recording)
        assert told(altered(recording)), f"{course}: an altered stage passes"
        assert found or not told(thinned(recording, 5)), f"{course}: what is over between two samples may be missing"
        problems |= {course: found} if found else {}
    for course, found in problems.items():
        print(*(f"recordings: {course}: {problem}" for problem in found), sep="\n", file=sys.stderr)
    assert not problems, f"the simulator does not do what is recorded: {sorted(problems)}"


def the_script_is_careful(trueup):
    """It acts in no other account, writes nothing in a dry run, touches nothing that is there, and leaves nothing behind where it fails."""
    with Simulator(trueup) as simulator, tempfile.TemporaryDirectory() as home:
        out = Path(home) / "out"
        assert "credentials are of" in is_refused(simulator.record, "--out", str(out), account="210987654321")
        simulator.record("--out", str(out), "--dry-run")
        assert not simulator.writes() and not out.exists(), simulator.writes()
        simulator.client("ecs").create_cluster(clusterName="mine")
        assert "there already: cluster mine" in is_refused(simulator.record, "--out", str(out), "--name", "mine")
        for operation in ("CreateListener", "CreateService", "UpdateService"):
            simulator.pace.asked("fault", {"kind": "deny", "operation": operation, "times": 1})
            assert operation in is_refused(simulator.record, "--out", str(out.with_name(operation))), operation
            assert simulator.holds() == [f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/mine"], simulator.holds()


@mock_aws(config={"iam": {"load_aws_managed_policies": True}})
def what_the_simulator_has_not_is_made_and_removed():
    """Role, security group and network, at an emulator by others."""
    class Pace:
        now, wait, say = staticmethod(lambda: 0), staticmethod(lambda _: None), staticmethod(lambda _: None)

    clients = lambda name: boto3.client(name, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x")
    account = Account(clients, Pace, "trueup-recording")
    account.refuse_what_is_there()
    account.find_network()
    for what, look, make, remove in account.plan():
        if what.split()[0] in ("security", "role", "target", "load"):
            account.made.append((what, remove))
            make()
            assert look(), what
    assert "role trueup-recording" in is_refused(Account(clients, Pace, "trueup-recording").refuse_what_is_there)
    assert account.remove() == [], "something is left"
    Account(clients, Pace, "trueup-recording").refuse_what_is_there()


def main():
    trueup = str(Path(sys.argv[1]).resolve())
    with Simulator(trueup) as simulator, tempfile.TemporaryDirectory() as home:
        simulator.record("--out", str(Path(home) / "played"))
        assert simulator.holds() == [], simulator.holds()
        simulated = recordings(Path(home) / "played")
        if "--write" in sys.argv:
            present = recordings(RECORDINGS)
            for course in simulated:
                if present.get(course, {"madeFrom": SIMULATOR})["madeFrom"] == SIMULATOR:
                    (RECORDINGS / f"{course}.json").write_bytes((Path(home) / "played" / f"{course}.json").read_bytes())
            return
        check(recordings(RECORDINGS), simulated)
    the_script_is_careful(trueup)
    what_the_simulator_has_not_is_made_and_removed()
    print(f"recordings: {len(simulated)} courses as recorded, and an altered one is noticed")


if __name__ == "__main__":
    main()
