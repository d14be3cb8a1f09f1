"""A release, made here as far as this machine can: the jobs of .github/workflows/release.yml for x86_64 Linux, step by step, in a clone that has a tag. docker
has the program that is built already, and `gh` is recorded. Then what it has made: the archive, the sums, the SBOMs, and `install.sh` against a place where
releases are, good and bad.

    python release.py PATH/TO/trueup
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import tomllib
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from pipelines import Runner, git

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
TAG = f"v{VERSION}"
TARGET = "x86_64-unknown-linux-gnu"
TARGETS = (TARGET, "aarch64-unknown-linux-gnu", "x86_64-apple-darwin", "aarch64-apple-darwin")
ARCHIVE = f"trueup-{TARGET}.tar.gz"


STAND_INS = {
    "docker": 'case "$1 $2 $3" in "build --target binary") mkdir -p "$5" && cp "$PROGRAM" "$5/trueup" ;; "buildx imagetools inspect") echo "sha256:$4" ;; esac',
    "gh": "",
}


class World:
    """A clone whose changelog and tag are those of a release, and the programs of a hosted runner."""

    def __init__(self, home, program):
        self.home, self.record, self.checkout = home, home / "record", home / "trueup"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(self.checkout)], check=True)
        changelog = self.checkout / "CHANGELOG.md"
        changelog.write_text(changelog.read_text().replace("## Unreleased", f"## {VERSION}"))
        git(self.checkout, "commit", "-q", "--allow-empty", "-am", VERSION)
        self.programs = home / "programs"
        self.programs.mkdir()
        for name, does in STAND_INS.items():
            (self.programs / name).write_text(f'#!/bin/sh -e\necho "{name} $*" >>"$RECORD"\n{does}\n')
            (self.programs / name).chmod(0o755)
        self.own = {"RECORD": str(self.record), "PROGRAM": str(program)}

    def settings(self, more):
        return {**os.environ, "PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}", **self.own, **more}

    def bash(self, script, settings, folder, *options):
        done = subprocess.run(["bash", "-e", *options, "-c", script], env=settings, cwd=folder, capture_output=True, text=True)
        return done.returncode, f"$ {script}\n{done.stdout}{done.stderr}"

    def release(self, *arguments, code=0, **settings):
        done = subprocess.run([self.checkout / "scripts/release", *arguments], env={**os.environ, **settings}, capture_output=True, text=True)
        assert done.returncode == code, f"{arguments}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr


def play(world, name):
    """A job of the workflow; where it has a matrix, the part for this machine. What jobs hand on stays in the clone."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
    job = workflow["jobs"][name]
    matrix = job.get("strategy", {}).get("matrix", {}).get("include", [{}])[0]
    assert matrix.get("target", TARGET) == TARGET, matrix
    known = {f"matrix.{key}": text for key, text in matrix.items()} | {"github.token": "ghs_x"}
    variables = {"GITHUB_REF_NAME": TAG, "GITHUB_ACTOR": "somebody"}
    variables |= {f"GITHUB_{what.upper()}": str(world.home / what) for what in ("path", "output")}
    job["env"] = {**workflow["env"], **job.get("env", {})}
    code, said = Runner(world, {"expressions": known, "variables": variables}, lambda depth: world.checkout).play(job)
    assert code == 0, said
    return said


def published(world):
    """What is pushed and published, and that nobody sees the release before it is whole."""
    for job in ("version", "linux", "sbom"):
        play(world, job)
    play(world, "publish")
    dist = world.checkout / "target/dist"
    recorded = world.record.read_text().splitlines()
    image = f"ghcr.io/trueup-dev/trueup:{TAG}"
    for expected in (f"docker push {image}-amd64", f"docker push {image}-ci-amd64", f"docker buildx imagetools create --tag {image} {image}-amd64 {image}-arm64"):
        assert expected in recorded, recorded
    drafted, undrafted = [line for line in recorded if line.startswith("gh ")]
    assert " --draft " in drafted and undrafted == f"gh release edit {TAG} --draft=false", recorded
    files = {path.name for path in dist.iterdir()}
    assert files == {ARCHIVE, "SHA256SUMS", "install.sh", *(f"trueup-{target}.cdx.json" for target in TARGETS)}, files
    assert all(f"target/dist/{name}" in drafted for name in files), drafted
    notes, commit = (world.checkout / "notes.md").read_text(), git(world.checkout, "rev-parse", "HEAD")
    assert "### Added" in notes and f"uses: trueup-dev/trueup/actions/setup@{commit} # {TAG}\n" in notes, notes
    return dist


def refused(world):
    """What is not as a release has to be."""
    assert f"the tag is v9.9.9, the workspace is {VERSION}" in world.release("version", "v9.9.9", code=1)
    changelog = world.checkout / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace(f"## {VERSION}", "## Unreleased"))
    assert "rename `## Unreleased`" in world.release("version", TAG, code=1)
    manifest = world.checkout / "simulator/Cargo.toml"
    manifest.write_text(manifest.read_text().replace("version.workspace = true", 'version = "9.9.9"', 1))
    assert "simulator/Cargo.toml has a version of its own" in world.release("version", code=1)


def serve(folder):
    """The files of one release, as the newest and by its tag; the server, and its address."""

    class Releases(SimpleHTTPRequestHandler):
        def translate_path(self, path):
            place, _, name = path.rpartition("/")
            return str(folder / (name if place in ("/latest/download", f"/download/{TAG}") else "nothing"))

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Releases)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_address[1]}"


def install(home, address, code=0, path=os.environ["PATH"], **settings):
    around = {"HOME": str(home), "PATH": path, "TRUEUP_RELEASES": address, **settings}
    done = subprocess.run(["sh", ROOT / "install.sh"], env=around, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done.stderr


def stand_in(home, name, script):
    """A folder for the front of the path."""
    folder = home / f"with-{name}"
    folder.mkdir()
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def installs(folder, home):
    server, address = serve(folder)
    try:
        assert f"trueup {VERSION} is in" in install(home, address)
        program = home / ".local/bin/trueup"
        assert subprocess.run([program, "--version"], capture_output=True, text=True).stdout == f"trueup {VERSION}\n"
        # By its tag, over one that is there.
        install(home, address, TRUEUP_VERSION=TAG)
        assert "cannot get" in install(home, address, code=1, TRUEUP_VERSION="v0.9.9")
        of_another = stand_in(home, "uname", "if [ $1 = -m ]; then echo riscv64; else echo Linux; fi")
        assert "no release is built for riscv64\n  hint  cargo install --git" in install(home, address, code=1, path=of_another)
        # One that our workflow has not attested is not put anywhere; `gh` is asked about the very file.
        doubtful = stand_in(home, "gh", f'[ "$1 $2 $3" = "attestation verify {ARCHIVE}" ] && exit 1')
        program.unlink()
        assert "has not attested" in install(home, address, code=1, path=doubtful, TRUEUP_VERIFY="1")
        with open(folder / ARCHIVE, "ab") as archive:
            archive.write(b"x")
        assert "is not what SHA256SUMS of the release says" in install(home, address, code=1)
        assert not program.exists()
    finally:
        server.shutdown()


def sbom(folder):
    """Valid by CycloneDX's schema, and each crate of it is one that Cargo.lock knows; how many."""
    text = (folder / f"trueup-{TARGET}.cdx.json").read_text()
    wrong = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
    assert wrong is None, wrong
    document = json.loads(text)
    locked = {(one["name"], one["version"]): one.get("checksum") for one in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]}
    told = {}
    for one in document["components"]:
        assert [hash["content"] for hash in one.get("hashes", [])] == [sum for sum in [locked[one["name"], one["version"]]] if sum], one
        told.setdefault(one["name"], []).append(one["bom-ref"])
    # What the program is for, the C code in it, and none of what only tests, other systems or no feature asks for.
    assert {"trueup-simulator", "aws-sdk-ecs", "libgit2-sys", "aws-lc-sys", "inotify"} <= set(told), sorted(told)
    assert not {"ring", "openssl-sys", "windows-sys", "fsevent-sys", "criterion"} & set(told)
    reached, below = set(), {one["ref"]: one["dependsOn"] for one in document["dependencies"]}
    ahead = [document["metadata"]["component"]["bom-ref"]]
    while ahead:
        reference = ahead.pop()
        if reference not in reached:
            reached.add(reference)
            ahead += below[reference]
    assert reached == {one["bom-ref"] for one in document["components"]} | {document["metadata"]["component"]["bom-ref"]}
    assert str(ROOT) not in text
    return len(reached)


def main():
    trueup = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as home:
        home = Path(home)
        # As a release has it: without the symbols, which are nine tenths of it.
        program = home / "built"
        subprocess.run(["strip", "-o", program, trueup], check=True)
        world = World(home, program)
        dist = published(world)
        listed = subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=dist, capture_output=True, text=True)
        assert listed.returncode == 0, listed
        world.release("archive", TARGET, str(program), DIST=str(home / "again"))
        assert (dist / ARCHIVE).read_bytes() == (home / "again" / ARCHIVE).read_bytes(), "an archive that is made again is another one"
        crates = sbom(dist)
        installs(dist, home)
        assert "SHA256SUMS has" in world.release("check", TARGET, code=1)
        refused(world)
    print(f"release: the workflow's jobs for {TARGET}, the archive and its sums, install.sh, and SBOMs, here of {crates} crates")


if __name__ == "__main__":
    main()
