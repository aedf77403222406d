"""Starting the lab's processes, and waiting until they answer."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lab import place


class LabError(Exception):
    """The lab could not be built or used; the text says which part of it."""


def start(name: str, command: list[str], env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Starts a process whose output goes to the log `name`."""
    with (place.LOG / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **(env or {})}
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a process in good order."""
    process.terminate()
    process.wait(60)


def run(name: str, command: list[str], env: Mapping[str, str] | None = None) -> None:
    """Runs a command to its end; `LabError` with its last line if it fails."""
    status = start(name, command, env).wait()
    if status:
        last = (place.LOG / f"{name}.log").read_text(errors="replace").strip().splitlines()[-1:]
        raise LabError(f"{name} ended with status {status}: {' '.join(last)}")


def wait_for(
    what: str, ready: Callable[[], bool], seconds: float, process: subprocess.Popen[Any] | None = None
) -> None:
    """Returns once `ready()`; `LabError` after `seconds`, or when `process` ends before."""
    deadline = time.monotonic() + seconds
    while not ready():
        if process and process.poll() is not None:
            raise LabError(f"{what}: ended with status {process.returncode}")
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not ready after {seconds:.0f} s")
        time.sleep(0.1)


def listening(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address, port)) == 0


def http_status(address: str, port: int, path: str) -> int | None:
    """The status that a server answers a GET with; None when it does not answer in time."""
    with socket.socket() as probe:
        probe.settimeout(5)
        try:
            probe.connect((address, port))
            probe.sendall(f"GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
            answer = probe.recv(64)
        except OSError:
            return None
    return int(answer.split()[1]) if answer.startswith(b"HTTP/1") else None


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
