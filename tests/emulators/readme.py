"""The README, followed word by word in an empty home folder: its demo, its two files, its commands, against the simulator
in the place of somebody's account.

    python readme.py PATH/TO/trueup   in this checkout, with the program that is built already
    python readme.py                  in a fresh clone, where the README's own commands build and install it
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from clients import REGION, Stage

ROOT = Path(__file__).parents[2]
# What runs this.
AROUND = "./test"
# What only a fresh clone needs, and what has its place where the program is there already: the demo without the tool
# chain's own home folder.
FRESH = {"cargo install --path . --locked": None, "./demo": "trueup demo --script"}
# As it is said, but for the profile: what the tests have built is not built again with optimisation.
UNOPTIMISED = {"cargo install --path . --locked": " --debug"}
# Seconds after which a command hangs. None takes a tenth of it.
PATIENCE = 3600
# What the README names and a reader has, and what this test has in its place.
PLACES = ("path/to/infrastructure", "https://github.com/mco/infrastructure")


def blocks(page):
    """Language and text of every block of code."""
    return re.findall(r"^```(\w*)\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S)


def run(command, settings, folder, codes=(0,), ends=True):
    """In the checkout; what it printed."""
    # `exec`, so that a stop reaches the program and not the shell around it.
    process = subprocess.Popen(
        f"exec {command}", shell=True, cwd=folder, env=settings, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
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
    with tempfile.TemporaryDirectory() as home:
        if len(sys.argv) > 1:
            trueup, checkout, settings = Path(sys.argv[1]).resolve(), ROOT, {}
        else:
            trueup, checkout, settings = fresh(Path(home))
        command = [str(trueup), "simulator", "--listen", "127.0.0.1:0", "--speed", "20"]
        simulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            endpoint = simulator.stdout.readline().strip()
            followed = follow(trueup, endpoint, Path(home), checkout, settings)
        finally:
            simulator.kill()
            simulator.wait()
        print(f"readme: {followed} commands, word by word, in {'this checkout' if checkout == ROOT else 'a fresh clone'}")


def fresh(home):
    """A clone in an empty home folder, in which the README's commands have brought the program; where that is."""
    checkout, own = home / "trueup", Path.home()
    subprocess.run(["git", "clone", "-q", str(ROOT), str(checkout)], check=True)
    # A reader has Rust. What is built is kept beside this checkout, so that nobody waits for it twice.
    settings = {
        "CARGO_HOME": os.environ.get("CARGO_HOME", str(own / ".cargo")),
        "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(own / ".rustup")),
        "CARGO_INSTALL_ROOT": str(home),
        "CARGO_TARGET_DIR": os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target")),
        **{name: value for name, value in os.environ.items() if name.startswith("CARGO_PROFILE_")},
    }
    around = {**settings, "HOME": str(home), "PATH": os.environ["PATH"]}
    written = [line.split("#")[0].strip() for language, text in blocks("README.md") if language == "sh" for line in text.splitlines()]
    for command in FRESH:
        assert command in written, f"the README does not say {command}"
        run(command + UNOPTIMISED.get(command, ""), around, checkout)
    return home / "bin" / "trueup", checkout, settings


def follow(trueup, endpoint, home, checkout, more):
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
    # It has run for a while: what was deployed a moment ago is followed until it is steady.
    stage.control("advance", {"seconds": 600})
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    settings = {**stage.settings, **more, "HOME": str(home), "PATH": f"{trueup.parent}{os.pathsep}{os.environ['PATH']}"}
    named = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.com", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.com"}
    settings.update(named)
    followed = len(FRESH) if checkout != ROOT else 0
    for language, text in blocks("README.md"):
        if language == "yaml":
            (folder / "trueup.yaml").write_text(text)
            subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
            subprocess.run(["git", "commit", "-qm", "two files"], cwd=folder, env=settings, check=True)
        for line in text.splitlines() if language == "sh" else ():
            command = line.split("#")[0].strip()
            for place in PLACES:
                command = command.replace(place, str(folder))
            if command == AROUND or command in FRESH and (checkout != ROOT or FRESH[command] is None):
                continue
            command = FRESH.get(command, command)
            codes = (0, 2) if " plan" in command else (0,)
            run(command, settings, checkout, codes, ends=" run " not in command)
            followed += 1
    assert REGION == "eu-west-2" and followed >= 6, followed
    # "Then `trueup run`, and promote": the sentence after the commands.
    run(f"trueup promote test/api --commit 8c1f0aa --repo {folder}", settings, checkout)
    run(f"trueup reconcile --timeout 200 --repo {folder}", settings, checkout)
    status = stage.status()
    assert (status["sync"], status["tagged"]["commit"]) == ("Synced", "8c1f0aa"), status
    return followed + 2


if __name__ == "__main__":
    main()
