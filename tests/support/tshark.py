"""What tshark sees in a capture: HTTP messages and MySQL commands, each with the frame of its last byte.

tshark is the outside judge of the decoders. It is told to reassemble segments that come out of order, and which ports
of these captures carry HTTP. Rows are as tshark reports them; what it gets wrong is listed by the tests that compare.
"""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["COMMANDS", "HTTP_PORTS", "Command", "Request", "Response", "Seen", "ask_tshark"]

HTTP_PORTS = (13000, 13292, 9292, 5000)
TLS_PORTS = (13000, 13292)

COMMANDS = {
    1: "COM_QUIT",
    2: "COM_INIT_DB",
    3: "COM_QUERY",
    4: "COM_FIELD_LIST",
    9: "COM_STATISTICS",
    14: "COM_PING",
    17: "COM_CHANGE_USER",
    22: "COM_STMT_PREPARE",
    23: "COM_STMT_EXECUTE",
    24: "COM_STMT_SEND_LONG_DATA",
    25: "COM_STMT_CLOSE",
    26: "COM_STMT_RESET",
    28: "COM_STMT_FETCH",
    31: "COM_RESET_CONNECTION",
}
"""Command byte -> name: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase.html."""

_FIELDS = (
    "frame.number",
    "ip.src",
    "tcp.srcport",
    "ip.dst",
    "tcp.dstport",
    "http.request.method",
    "http.request.uri",
    "http.response.code",
    "mysql.command",
    "mysql.query",
)


class Request(NamedTuple):
    """An HTTP request; `frame` is that of its last byte."""

    client: str
    server: str
    frame: int
    method: str
    target: str


class Response(NamedTuple):
    """An HTTP response, interim ones included; `frame` is that of its last byte."""

    client: str
    server: str
    frame: int
    status_code: int


class Command(NamedTuple):
    """A MySQL command; `text` is "" where it has none, `frame` is that of its last byte."""

    client: str
    server: str
    frame: int
    command: str
    text: str


class Seen(NamedTuple):
    """Everything in one capture, in the order of frames."""

    requests: list[Request]
    responses: list[Response]
    commands: list[Command]


@cache
def ask_tshark(capture: Path, keylog: Path | None = None) -> Seen:
    """Run tshark over a capture; compressed ones are read as they are. With a key log the public ports speak TLS."""
    spoken = {port: "tls" if keylog and port in TLS_PORTS else "http" for port in HTTP_PORTS}
    decode_as = [word for port, protocol in spoken.items() for word in ("-d", f"tcp.port=={port},{protocol}")]
    if keylog is not None:
        decode_as += ["-o", f"tls.keylog_file:{keylog}"]
    fields = [word for name in _FIELDS for word in ("-e", name)]
    reading = ["tshark", "-n", "-r", str(capture), "-o", "tcp.reassemble_out_of_order:TRUE", *decode_as]
    writing = ["-Y", "http.request or http.response or mysql.command", "-T", "json", *fields]
    done = subprocess.run([*reading, *writing], capture_output=True, check=True)
    seen = Seen([], [], [])
    for packet in json.loads(done.stdout):
        _read_packet(packet["_source"]["layers"], seen)
    return seen


def _read_packet(layers: dict[str, list[Any]], seen: Seen) -> None:
    """Add what one frame completes; a pipelined frame completes several messages."""
    frame = int(layers["frame.number"][0])
    source = f"{layers['ip.src'][0]}:{layers['tcp.srcport'][0]}"
    destination = f"{layers['ip.dst'][0]}:{layers['tcp.dstport'][0]}"
    methods = layers.get("http.request.method", [])
    for method, target in zip(methods, layers.get("http.request.uri", []), strict=True):
        seen.requests.append(Request(source, destination, frame, method, target))
    for code in layers.get("http.response.code", []):
        seen.responses.append(Response(destination, source, frame, int(code)))
    texts = iter(layers.get("mysql.query", []))
    for code in layers.get("mysql.command", []):
        name = COMMANDS.get(int(code), f"command {code}")
        text = next(texts, "") if name in ("COM_QUERY", "COM_STMT_PREPARE") else ""
        seen.commands.append(Command(source, destination, frame, name, text))
