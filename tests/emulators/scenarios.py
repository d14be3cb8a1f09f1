"""The scenarios of `tests/scenarios` at an AWS that nobody here wrote, all at once, each with names of its own.

Their stage is set by boto3, trueup reaches it by the SDK, time is real. Without arguments they play at ministack, and what
each comes to is held against `scenarios.txt`: an emulator that mends something is noticed, and so is a scenario that no
longer plays.

    python scenarios.py           at ministack, against what is known
    python scenarios.py --write   at ministack; what is seen is what is known from now on
    python scenarios.py --here [NAME…]
                                  those with such a name, or all, at the endpoint of the AWS environment: another emulator, or an
                                  account to try things in; an hour, since everything takes as long as it says
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from server import free_port, start

ROOT = Path(__file__).parents[2]
KNOWN = Path(__file__).with_name("scenarios.txt")
# Nearly all of them wait.
AT_ONCE = 200
# At once, where what differed is played again.
FEW = 4
# Seconds after which a run at ministack hangs: it takes a fifth of it.
PATIENCE = 900


def binary():
    """The scenarios, built."""
    command = ["cargo", "test", "--locked", "--test", "scenarios", "--no-run", "--message-format", "json"]
    built = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    artifacts = [json.loads(line) for line in built.splitlines() if '"compiler-artifact"' in line]
    return next(one["executable"] for one in artifacts if one["target"]["name"] == "scenarios" and one["executable"])


def play(pace, environment, patience=None, names=(), at_once=AT_ONCE):
    """What each scenario comes to, and all that was printed."""
    settings = {
        **os.environ,
        **environment,
        "TRUEUP_SCENARIOS": pace,
        "TRUEUP_SCENARIOS_CLIENT": sys.executable,
        "RUST_BACKTRACE": "0",
    }
    command = [binary(), "--nocapture", "--test-threads", str(at_once), *names]
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    said = subprocess.run(command, cwd=ROOT, env=settings, text=True, timeout=patience, **both).stdout
    return outcomes(said), said


def play_at_ministack(names=(), at_once=AT_ONCE):
    port = free_port()
    settings = {"GATEWAY_PORT": str(port), "MINISTACK_ACCOUNT_ID": "123456789012"}
    process = start("ministack", [], settings, f"http://127.0.0.1:{port}/_ministack/health")
    try:
        environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_REGION": "eu-west-2",
            "AWS_DEFAULT_REGION": "eu-west-2",
        }
        return play("hurried", environment, PATIENCE, names, at_once)
    finally:
        process.kill()
        process.wait()


def outcomes(said):
    untold, found = {}, {}
    for what, name in re.findall(r"^untold: (\S+) (\S+)$", said, re.M):
        untold.setdefault(name, set()).add(what)
    panics = dict(re.findall(r"thread '(\S+)' \(\d+\) panicked at [^\n]*\n([^\n]*)", said))
    for name, result in re.findall(r"test (\S+) \.\.\. (ok|FAILED)$", said, re.M):
        message = panics.get(name, "")
        if result == "ok":
            found[name] = " ".join(["plays", *(f"but for {what}" for what in sorted(untold.get(name, ())))])
        elif message.startswith("needs: "):
            found[name] = message.replace(": ", " ").lower()
        else:
            found[name] = "differs"
    return found


def known():
    """Outcome and reason by scenario."""
    lines = [line for line in KNOWN.read_text().splitlines() if line and not line.startswith("#")]
    fields = [[field.strip() for field in line.split("|")] for line in lines]
    return {name: (outcome, reason) for outcome, name, reason in fields}


def table(seen, before):
    reason = lambda name, outcome: before.get(name, ("", ""))[1] if outcome == "differs" else ""
    lines = [f"{outcome:<24} | {name} | {reason(name, outcome)}".rstrip() for name, outcome in sorted(seen.items())]
    return "\n".join(lines) + "\n"


def problems(seen, before):
    for name in sorted(seen.keys() | before.keys()):
        was, now = before.get(name, ("not known", ""))[0], seen.get(name, "not played")
        if was != now:
            yield f"{name}: {was} before, {now} now"
    for name, (outcome, reason) in before.items():
        if outcome == "differs" and not reason:
            yield f"{name}: scenarios.txt does not say what differs"


def main():
    if "--here" in sys.argv:
        seen, said = play("account", {}, names=sys.argv[2:])
        print(said, table(seen, {}), sep="\n")
        return
    before = known()
    seen, said = play_at_ministack()
    if "--write" in sys.argv:
        head = [line for line in KNOWN.read_text().splitlines() if line.startswith("#")]
        KNOWN.write_text("\n".join(head) + "\n" + table(seen, before))
        print(said)
        return
    # Time is real here, and for two hundred at once on a busy machine an emulator may be slower than a scenario's patience. What a
    # few at once come to does not depend on that.
    doubtful = [name for name in sorted(seen.keys() & before.keys()) if seen[name] != before[name][0]]
    if doubtful:
        again, said_again = play_at_ministack(["--exact", *doubtful], FEW)
        seen, said = {**seen, **again}, said + said_again
        print("played again, a few at once:", *doubtful, file=sys.stderr)
    found = list(problems(seen, before))
    if found:
        print(said, *found, sep="\n", file=sys.stderr)
        raise SystemExit(1)
    plays = sum(outcome.startswith("plays") for outcome in seen.values())
    print(f"scenarios: {plays} of {len(seen)} play at ministack, the others as known")


if __name__ == "__main__":
    main()
