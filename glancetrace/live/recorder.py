"""Recording by those who can: dumpcap, else tcpdump, writing the capture into a pipe.

dumpcap opens the interface and gives its privileges up by itself; it also works for a user who is no more than a member
of its group. tcpdump, started by root, becomes another user with -Z once the interface is open. Neither is in the
terminal's group of processes, so that Ctrl-C reaches this program alone, which then tells the recorder to stop, and
still reads what that had not written out yet.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import suppress

from glancetrace.errors import InputError, UsageError

__all__ = ["Recorder", "capture_filter", "recorder_command"]

_PATIENCE = 5
_USERS = ("tcpdump", "nobody")


def capture_filter(ports: Iterable[int]) -> str:
    """The packets that matter, in the language of pcap-filter(7)."""
    return " or ".join(f"tcp port {port}" for port in sorted(set(ports)))


def recorder_command(interface: str, ports: Iterable[int], path: str | None = None) -> list[str]:
    """The command line that records an interface to its standard output.

    Args:
        interface: "eth0", "any", or a number, as the recorder knows it.
        path: where programs are looked for; None: where the user's are, and in sbin.

    Raises:
        UsageError: the interface is no name, or there is no recorder.
    """
    if not interface or interface.startswith("-"):
        raise UsageError(f"{interface!r} is no interface", action="see 'ip link', or use any")
    if path is None:
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    expression = capture_filter(ports)
    dumpcap = shutil.which("dumpcap", path=path)
    if dumpcap is not None:
        return [dumpcap, "-q", "-i", interface, "-s", "0", "-B", "64", "-f", expression, "-w", "-"]
    tcpdump = shutil.which("tcpdump", path=path)
    if tcpdump is None:
        raise UsageError("neither dumpcap nor tcpdump is there", action="install tcpdump, or pipe a capture into -")
    # Without --immediate-mode the kernel keeps packets back for up to a second.
    command = [tcpdump, "-i", interface, "-n", "-U", "--immediate-mode", "-s", "0", "-B", "65536", "-w", "-"]
    if os.geteuid() == 0:
        command += ["-Z", _unprivileged_user()]
    return [*command, expression]


def _unprivileged_user() -> str:
    for name in _USERS:
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    return "root"


class Recorder:
    """A recorder at work; a context manager that ends it.

    Raises:
        InputError: from `complain`, when it did not record at all.
    """

    def __init__(self, command: list[str]) -> None:
        self._name = os.path.basename(command[0])
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the recorder ends
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,
            )
        except OSError as error:
            self._errors.close()
            raise InputError(f"cannot be started: {error.strerror}", where=self._name) from None

    def take_output(self) -> int:
        """Descriptor that the capture comes from; the caller's from now on."""
        stream = self._process.stdout
        assert stream is not None
        descriptor = os.dup(stream.fileno())
        stream.close()
        return descriptor

    def stop(self) -> None:
        """Record no more, and write out what is left."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)

    def complain(self) -> None:
        """Raise what it said if it recorded nothing: no permission, no such interface."""
        self._process.wait()
        self._errors.seek(0)
        said = [line.strip() for line in self._errors.read().decode("utf-8", "replace").splitlines() if line.strip()]
        wrong = [line for line in said if not line.startswith(("tcpdump: listening", "Capturing on", "File:"))]
        what = wrong[0].removeprefix(f"{self._name}: ").rstrip(".") if wrong else "recorded nothing"
        raise InputError(what, where=self._name, action="be root or in its group, and name an interface of 'ip link'")

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_what: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()
