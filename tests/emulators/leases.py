"""Two replicas of trueup that divide their work by leases in a DynamoDB table of moto.

    python leases.py PATH/TO/trueup
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boto3

from clients import REGION, Stage
from server import free_port, start

TABLE = "trueup-leases"
PATIENCE = 120


def until(what, reached):
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.05)


class Replica:
    """A controller; its log is kept."""

    def __init__(self, stage, name, log):
        self.log = log
        settings = {
            "HOSTNAME": name,
            "TRUEUP_LEASE": "dynamodb",
            "TRUEUP_LEASE_TABLE": TABLE,
            "TRUEUP_LEASE_DURATION": "15s",
        }
        command = [stage.trueup, "run", "--log-format", "json", "--repo", str(stage.folder)]
        self.process = subprocess.Popen(command, env={**stage.settings, **settings}, stderr=log.open("w"))

    def events(self, name):
        """What it said so far; the last line may be half written."""
        whole = self.log.read_text().rpartition("\n")[0].splitlines()
        fields = [json.loads(line)["fields"] for line in whole]
        return [one for one in fields if one.get("event") == name]

    def end(self, how):
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)


def table(dynamodb, key):
    dynamodb.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
        KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
    )


def holder(dynamodb):
    items = dynamodb.scan(TableName=TABLE, ConsistentRead=True)["Items"]
    assert len(items) <= 1, items
    return items[0].get("holder", {}).get("S", "").split("_")[0] if items else ""


def wrong_tables(stage, dynamodb, log):
    """A table that is missing is told, and nothing is held by a table with another key; then it goes on by itself."""
    replica = Replica(stage, "first", log)
    until("a missing table", lambda: replica.events("lease.unusable"))
    missing = replica.events("lease.unusable")[0]
    assert f"not found: the DynamoDB table {TABLE}" in missing["message"], missing
    table(dynamodb, "name")
    time.sleep(2)
    assert not replica.events("lease.held")
    dynamodb.delete_table(TableName=TABLE)
    table(dynamodb, "lease")
    until("the lease", lambda: holder(dynamodb) == "first")
    assert replica.events("lease.usable")
    return replica


def one_after_the_other(stage, dynamodb, folder, first):
    """A killed holder is followed after its duration, a stopped one at once; nobody who stands by takes anything."""
    second = Replica(stage, "second", folder / "second.log")
    time.sleep(2)
    assert holder(dynamodb) == "first" and not second.events("lease.held")
    first.end(signal.SIGKILL)
    until("a take-over", lambda: holder(dynamodb) == "second")
    third = Replica(stage, "third", folder / "third.log")
    time.sleep(1)
    assert second.end(signal.SIGTERM) == 0
    assert holder(dynamodb) != "second"
    until("another", lambda: holder(dynamodb) == "third")
    assert third.end(signal.SIGTERM) == 0
    assert holder(dynamodb) == ""


def main():
    trueup = str(Path(sys.argv[1]).resolve())
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    moto = start("moto_server", ["-H", "127.0.0.1", "-p", str(port)], {}, f"{address}/moto-api/data.json")
    try:
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as logs:
            stage, logs = Stage(trueup, address, Path(folder)), Path(logs)
            dynamodb = boto3.client(
                "dynamodb", endpoint_url=address, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x"
            )
            subprocess.run(["git", "init", "-q", "-b", "main", str(stage.folder)], check=True)
            stage.declare("aaaaaaa")
            first = wrong_tables(stage, dynamodb, logs / "first.log")
            print("leases: wrong_tables ok")
            one_after_the_other(stage, dynamodb, logs, first)
            print("leases: one_after_the_other ok")
    finally:
        moto.kill()
        moto.wait()


if __name__ == "__main__":
    main()
