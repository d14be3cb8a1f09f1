"""What a release is made of, for this machine: the archive, its checksums and SBOM, as `scripts/release` makes them, and `install.sh` against a
place where releases are, good and bad.

    python release.py PATH/TO/trueup
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import tomllib
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).parents[2]
TARGET = "x86_64-unknown-linux-gnu"
ARCHIVE = f"trueup-{TARGET}.tar.gz"


def release(folder, *arguments, code=0):
    settings = {**os.environ, "DIST": str(folder)}
    done = subprocess.run([ROOT / "scripts/release", *arguments], env=settings, capture_output=True, text=True)
    assert done.returncode == code, f"{arguments}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def serve(folder):
    """The files of one release, as the newest and by its tag; the server, and its address."""

    class Releases(SimpleHTTPRequestHandler):
        def translate_path(self, path):
            place, _, name = path.rpartition("/")
            return str(folder / (name if place in ("/latest/download", "/download/v0.1.0") else "nothing"))

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
        assert "trueup 0.1.0 is in" in install(home, address)
        program = home / ".local/bin/trueup"
        assert subprocess.run([program, "--version"], capture_output=True, text=True).stdout == "trueup 0.1.0\n"
        # By its tag, over one that is there.
        install(home, address, TRUEUP_VERSION="v0.1.0")
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
    """Valid by CycloneDX's schema, the same when it is made again, and each crate of it is one that Cargo.lock knows; how many."""
    release(folder, "sbom", TARGET)
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
        program = home / "trueup"
        subprocess.run(["strip", "-o", program, trueup], check=True)
        folder, again = home / "dist", home / "again"
        for place in (folder, again):
            release(place, "archive", TARGET, str(program))
            release(place, "checksums")
        assert (folder / ARCHIVE).read_bytes() == (again / ARCHIVE).read_bytes(), "an archive that is made again is another one"
        release(folder, "check", TARGET)
        listed = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True, text=True)
        assert (listed.returncode, listed.stdout) == (0, f"{ARCHIVE}: OK\n"), listed
        shutil.copy(ROOT / "README.md", again / ARCHIVE)
        assert "SHA256SUMS has" in release(again, "check", TARGET, code=1)
        assert "the tag is v9.9.9, the workspace is" in release(folder, "version", "v9.9.9", code=1)
        installs(folder, home)
        crates = sbom(folder)
    print(f"release: the archive and its sums, install.sh, and an SBOM of {crates} crates")


if __name__ == "__main__":
    main()
