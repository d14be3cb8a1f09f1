"""Records at a real account what AWS does in six courses of a deployment that its documents leave open: docs/record-aws.md.

    python record.py --account 123456789012 [--region eu-west-2] [--name NAME] [--dry-run] [--out FOLDER]

Everything is made for it, tagged, and removed at the end, also where something fails. What is there already is not touched.
"""

import argparse
import json
import re
import signal
import sys
import time
from datetime import datetime
from pathlib import Path

import boto3
import botocore
from account import TAG, Account, Refused
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from courses import COURSES, TOKEN, Play, Token
from tracks import token_tracks, tracks_of

# The account in every recording, whosever it was.
ANYBODY = "123456789012"


class RealTime:
    # Seconds between two samples. AWS is asked seven times for each.
    interval = 5
    now = staticmethod(time.time)
    wait = staticmethod(time.sleep)

    @staticmethod
    def say(text):
        print(text, flush=True)


def arguments(given):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--account", required=True, help="the account that it may act in; the credentials must be of it")
    parser.add_argument("--region", help="of the AWS environment, otherwise")
    parser.add_argument("--name", default="trueup-recording", help="of all that is made")
    parser.add_argument("--network", help="ID of a VPC; otherwise the default one")
    parser.add_argument("--subnets", default="", help="two of that VPC with a way to the internet")
    parser.add_argument("--security-group", help="of tasks and load balancer; otherwise one is made")
    parser.add_argument("--role", help="ARN of an infrastructure role of ECS for load balancers; otherwise one is made")
    parser.add_argument("--out", type=Path, default=Path("recording"), help="the folder for what is recorded; it must not be there")
    parser.add_argument("--dry-run", action="store_true", help="says what it would make, and looks whether the names are free")
    asked = parser.parse_args(given)
    if not re.fullmatch(r"[0-9]{12}", asked.account):
        parser.error("--account is twelve digits")
    if not re.fullmatch(r"[a-z][a-z0-9-]{2,23}", asked.name):
        parser.error("--name has small letters, digits and hyphens, 24 at most: a target group is called by it")
    if len({bool(asked.network), bool(asked.subnets), bool(asked.security_group)}) > 1:
        parser.error("--network, --subnets and --security-group belong together")
    return asked


def check_account(clients, account):
    """Before anything else: whose credentials these are."""
    found = clients("sts").get_caller_identity()["Account"]
    if found != account:
        raise Refused(f"the credentials are of account {found}, and --account says {account}")


def written(folder, name, about, tracks, raw):
    """Two files: the form against which the simulator is checked, and everything that AWS said, for people."""
    told = {"course": name, **about, "tracks": tracks}
    (folder / f"{name}.json").write_text(as_text(told, about["account"]))
    lines = (json.dumps(one, default=plain) for one in raw)
    (folder / f"{name}.raw.jsonl").write_text("\n".join(lines).replace(about["account"], ANYBODY) + "\n")


def as_text(told, account):
    """A line for each step, so that a difference is one."""
    head = {key: value for key, value in told.items() if key not in ("tracks", "account")}
    tracks = ",\n".join(
        f' {{"of": {json.dumps(track["of"])}, "steps": [\n  ' + ",\n  ".join(json.dumps(step) for step in track["steps"]) + "]}"
        for track in told["tracks"]
    )
    text = json.dumps(head)[:-1] + f', "tracks": [\n{tracks}\n]}}\n'
    return text.replace(account, ANYBODY)


def plain(value):
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(f"{type(value).__name__} is no JSON")


def record(account, pace, folder, about):
    """All six, the last one beside the others."""
    token = Token(account, pace)
    token.look()
    for course in COURSES:
        pace.say(f"course: {course.told}")
        play = Play(account, pace, course).to_the_end(between=token.look)
        written(folder, course.name, about, tracks_of(play.samples), [*play.calls, *play.samples])
        for call in play.calls:
            if "refused" in call["answered"]:
                pace.say(f"  refused: {call['operation']}: {call['answered']['Error']}")
    name, told = TOKEN
    pace.say(f"course: {told}")
    while (due := token.due()) is not None:
        pace.wait(due)
        token.look()
    written(folder, name, about, token_tracks(token.calls), token.calls)


def main(given, pace=RealTime, made_from="AWS", settings=None):
    asked = arguments(given)
    session = boto3.Session(region_name=asked.region)
    if not session.region_name:
        raise Refused("no region: --region, or AWS_REGION")
    known = {}

    def clients(name):
        if name not in known:
            known[name] = session.client(name, config=Config(retries={"mode": "standard", "max_attempts": 8}), **(settings or {}))
        return known[name]

    check_account(clients, asked.account)
    subnets = [subnet for subnet in asked.subnets.split(",") if subnet]
    account = Account(clients, pace, asked.name, asked.network, subnets, asked.security_group, asked.role)
    account.refuse_what_is_there()
    if asked.dry_run:
        pace.say(f"in account {asked.account}, {session.region_name}, with the tag {TAG}={asked.name}:")
        for what, *_ in account.plan():
            pace.say(f"  {what}")
        pace.say("recorded, an hour and a quarter, less than a dollar:")
        for told in [*(course.told for course in COURSES), TOKEN[1]]:
            pace.say(f"  {told}")
        pace.say("nothing was made")
        return
    asked.out.mkdir(parents=True)
    about = {"madeFrom": made_from, "at": datetime.fromtimestamp(pace.now()).date().isoformat(), "region": session.region_name,
             "interval": pace.interval, "botocore": botocore.__version__, "account": asked.account}  # fmt: skip
    try:
        account.furnish()
        record(account, pace, asked.out, about)
    finally:
        left = account.remove()
        for one in left:
            pace.say(f"NOT REMOVED: {one}")
    if left:
        raise Refused(f"remove by hand what has the tag {TAG}={asked.name}")
    pace.say(f"recorded in {asked.out}")


if __name__ == "__main__":
    # Ends as Ctrl-C does: what was made is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main(sys.argv[1:])
    except (Refused, ClientError, BotoCoreError, TimeoutError, FileExistsError) as error:
        raise SystemExit(f"error: {error}")
