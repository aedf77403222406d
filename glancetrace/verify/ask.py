"""What tshark sees in captures: starts `glancetrace.verify.dissect` and reads its lines as they come.

tshark is told which ports speak what (as the trace found it), to put segments in order, and where the secrets are.
Image data of many MiB would take it hours to reassemble: its time grows with the square of the body, and all of it
would pass as hex digits. Where there is such a body, or much of them, tshark reads the capture once more for HTTP
alone, without putting segments (of TLS: records) together: messages are dissected in the frame where their head begins
then.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

from glancetrace.edit.extract import check_repeatable, extract
from glancetrace.edit.selection import PacketSelection
from glancetrace.errors import InputError
from glancetrace.mysql.constants import COMMAND_NAMES
from glancetrace.trace import Trace
from glancetrace.verify import dissect
from glancetrace.verify.messages import COMMAND, REQUEST, RESPONSE, Message

__all__ = ["LARGE_BODY", "Question", "as_one_file", "ask", "check_tools", "has_large_bodies", "questions_of"]

LARGE_BODY = 2 << 20
MUCH_DATA = 8 << 20
"""Bytes of a body, and of all together, from which on bodies are not reassembled."""
_READ_BY_TSHARK = tuple(map(bytes.fromhex, ("d4c3b2a1", "a1b2c3d4", "4d3cb2a1", "a1b23c4d", "0a0d0d0a", "1f8b")))
"""How files begin that every tshark reads: pcap, pcapng, gzip."""


@dataclass(frozen=True, slots=True)
class Question:
    """How tshark is asked once: for which messages, criterion -> protocol, preferences."""

    decode_as: Mapping[str, str]
    preferences: Sequence[tuple[str, str]] = ()
    filter: str = "http.request or http.response or mysql.command"


def check_tools() -> None:
    """tshark and pyshark are there.

    Raises:
        InputError: one of them is missing.
    """
    if shutil.which("tshark") is None:
        raise InputError("tshark is not installed", action="install it: apt-get install tshark")
    try:
        import pyshark  # noqa: F401 - whether it is there, before an hour of reading
    except ImportError:
        action = "install it: pip install pyshark"
        raise InputError("the Python package pyshark is not installed", action=action) from None


def questions_of(
    trace: Trace, ports: Mapping[int, str], keylogs: Sequence[str] = (), rsa_keys: Sequence[str] = ()
) -> list[Question]:
    """What to ask tshark about the captures of a trace; one question, unless there are large bodies.

    Args:
        ports: port -> service, as they were read with. keylogs, rsa_keys: file names; one key log at the most.
    """
    spoken = {port: "mysql" if service == "mysql" else "http" for port, service in ports.items()}
    for row in trace.tables.connections:
        port = row.connection.server[1]
        if row.tls is not None and row.protocol != "mysql":  # MySQL upgrades to TLS, and its dissector follows
            spoken[port] = "tls"
        elif row.protocol in ("http", "mysql") and spoken.get(port) != "tls":
            spoken[port] = row.protocol
    secrets = [("tls.keylog_file", os.path.abspath(path)) for path in keylogs]
    secrets += [("uat:rsa_keys", f'"{os.path.abspath(path)}",""') for path in rsa_keys]
    whole = [_IN_ORDER, *secrets]
    if not has_large_bodies(trace):
        return [Question(_decode_as(spoken), whole)]
    questions = [Question(_decode_as(spoken, only="mysql"), whole, "mysql.command")]
    heads = "http.request or http.response"
    if "http" in spoken.values():
        questions.append(Question(_decode_as(spoken, only="http"), [("tcp.desegment_tcp_streams", "FALSE")], heads))
    if "tls" in spoken.values():
        apart = ("tls.desegment_ssl_application_data", "FALSE")
        inside = {f"tls.port=={port}": "http" for port, name in sorted(spoken.items()) if name == "tls"}
        questions.append(Question(_decode_as(spoken, only="tls") | inside, [*whole, apart], heads))
    return questions


_IN_ORDER = ("tcp.reassemble_out_of_order", "TRUE")


def has_large_bodies(trace: Trace) -> bool:
    """tshark cannot put the bodies of the calls together in time."""
    calls = trace.tables.calls
    bodies = [size or 0 for call in calls for size in (call.request_body_bytes, call.response_body_bytes)]
    return max(bodies, default=0) >= LARGE_BODY or sum(bodies) >= MUCH_DATA


def _decode_as(spoken: Mapping[int, str], only: str = "") -> dict[str, str]:
    """Criterion -> protocol; ports of which nothing is wanted carry data."""
    return {f"tcp.port=={port}": name if only in ("", name) else "data" for port, name in sorted(spoken.items())}


@contextmanager
def as_one_file(paths: Sequence[str], trace: Trace, keylogs: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """A file with all packets of the captures, and at most one key log: what tshark can read.

    What it can read as it is it gets as it is; else a copy that nobody else may read, for as long as it is needed.

    Raises:
        UsageError: the captures cannot be read twice, or need different file headers.
    """
    check_repeatable(paths, trace.capture)
    names = [file.name for file in trace.capture.files]
    with TemporaryDirectory(prefix="glancetrace-") as folder:
        (path, *others) = names
        if others or not _is_read_by_tshark(path):
            path = os.path.join(folder, "capture")
            extract(names, path, None, selection=PacketSelection())
        if len(keylogs) > 1:
            joined = os.path.join(folder, "keys")
            with open(joined, "wb") as file:
                for name in keylogs:
                    with open(name, "rb") as source:
                        shutil.copyfileobj(source, file)
                    file.write(b"\n")
            keylogs = [joined]
        yield path, list(keylogs)


def _is_read_by_tshark(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(4).startswith(_READ_BY_TSHARK)


def ask(path: str, question: Question) -> Iterator[Message]:
    """Messages as tshark sees them, interim responses left out (they are no rows of a result).

    Raises:
        InputError: tshark could not read the capture.
    """
    request = {
        "path": path,
        "filter": question.filter,
        "decode_as": question.decode_as,
        "preferences": question.preferences,
    }
    command = [sys.executable, "-P", dissect.__file__, json.dumps(request)]  # modules beside it are none of its own
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                row = json.loads(line)
                if row[0] == "end":
                    return
                if row[0] == "error":
                    raise InputError(f"tshark gave up: {row[1]}", where=path, action="see what tshark -r says")
                message = _message(row)
                if message is not None:
                    yield message
        finally:
            process.kill()
    raise InputError("tshark gave no answer", where=path, action="see what tshark -r says")


def _message(row: list[Any]) -> Message | None:
    kind, source, destination, frame, what, text = row
    data = bytes.fromhex(text)
    if kind == RESPONSE:
        if int(what) < 200:
            return None
        return Message(RESPONSE, destination, source, frame, what, first_frame=frame, last_frame=frame)
    ends = source, destination
    if kind == REQUEST:
        return Message(REQUEST, *ends, frame, what, data.decode("latin-1"), first_frame=frame, last_frame=frame)
    name = COMMAND_NAMES.get(int(what), f"command {what}")
    return Message(COMMAND, *ends, frame, name, data.decode("utf-8", "replace"), first_frame=frame, last_frame=frame)
