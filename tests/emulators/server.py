"""An emulator of AWS as a process of its own."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(name, arguments, settings, health):
    """Starts a program of this Python's environment and waits until the address answers."""
    command = [Path(sys.executable).with_name(name), *arguments]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env={**os.environ, **settings}, **quiet)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(health, timeout=1).read()
            return process
        except OSError:
            if process.poll() is not None:
                raise SystemExit(f"{name} ended with {process.returncode}")
            time.sleep(0.1)
    process.kill()
    raise SystemExit(f"{name} does not answer")
