"""The README, followed word by word in an empty home folder: its demo, its two files, its commands, against the simulator
in the place of somebody's account.

    python readme.py PATH/TO/trueup
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from clients import REGION, Stage

ROOT = Path(__file__).parents[2]
# Seconds after which a command hangs. None takes a tenth of it.
PATIENCE = 240
# What the README names and a reader has, and what this test has in its place.
PLACES = ("path/to/infrastructure", "https://github.com/mco/infrastructure")


def blocks(page):
    """Language and text of every block of code."""
    return re.findall(r"^```(\w*)\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S)


def run(command, settings, folder, codes=(0,), ends=True):
    # `exec`, so that a stop reaches the program and not the shell around it.
    process = subprocess.Popen(
        f"exec {command}", shell=True, cwd=ROOT, env=settings, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if not ends:
        # A controller goes on; it must have read the repository and then heed a stop.
        for line in process.stdout:
            if "source.changed" in line:
                break
        process.terminate()
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode in codes, f"{command}\n{output}"
    return output


def main():
    trueup = Path(sys.argv[1]).resolve()
    command = [str(trueup), "simulator", "--listen", "127.0.0.1:0", "--speed", "20"]
    simulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        endpoint = simulator.stdout.readline().strip()
        with tempfile.TemporaryDirectory() as home:
            followed = follow(trueup, endpoint, Path(home))
        print(f"readme: {followed} commands, word by word")
    finally:
        simulator.kill()
        simulator.wait()


def follow(trueup, endpoint, home):
    """How many commands were run."""
    folder = home / "infrastructure"
    folder.mkdir()
    stage = Stage(str(trueup), endpoint, folder)
    # Somebody's account: the service and the repository that the README's two files name.
    stage.ecs.create_cluster(clusterName="mco")
    stage.ecr.create_repository(repositoryName="mco/api")
    stage.build("3f2c1ab")
    stage.build("8c1f0aa")
    definition = stage.task_definition("3f2c1ab")
    stage.ecs.register_task_definition(**definition)
    stage.ecs.create_service(cluster="mco", serviceName="mco-api-test", taskDefinition="mco-api", desiredCount=1)
    stage.control("advance", {"seconds": 60})
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    settings = {**stage.settings, "HOME": str(home), "PATH": f"{trueup.parent}{os.pathsep}{os.environ['PATH']}"}
    named = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.com", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.com"}
    settings.update(named)
    followed = 0
    for language, text in blocks("README.md"):
        if language == "yaml":
            (folder / "trueup.yaml").write_text(text)
            subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
            subprocess.run(["git", "commit", "-qm", "two files"], cwd=folder, env=settings, check=True)
        for line in text.splitlines() if language == "sh" else ():
            command = line.split("#")[0].strip()
            for place in PLACES:
                command = command.replace(place, str(folder))
            if command in ("./test", "cargo install --path . --locked"):
                continue  # this runs inside the one, and has the program that the other installs
            if command == "./demo":
                command = "trueup demo --script"  # what it runs, without the tool chain's own home folder
            codes = (0, 2) if " plan" in command else (0,)
            run(command, settings, folder, codes, ends=" run " not in command)
            followed += 1
    assert REGION == "eu-west-2" and followed >= 6, followed
    # "Then `trueup run`, and promote": the sentence after the commands.
    run(f"trueup promote test/api --commit 8c1f0aa --repo {folder}", settings, folder)
    run(f"trueup reconcile --timeout 200 --repo {folder}", settings, folder)
    status = stage.status()
    assert (status["sync"], status["tagged"]["commit"]) == ("Synced", "8c1f0aa"), status
    return followed + 2


if __name__ == "__main__":
    main()
