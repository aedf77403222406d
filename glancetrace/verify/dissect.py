"""What tshark sees in a capture, as JSON lines: a program of its own, started by `glancetrace.verify.ask`.

pyshark brings its own event loop, which fails inside Jupyter's, so it has a process to itself, and packets are let go
as they come. The only argument is a JSON object: `path`, display `filter`, `decode_as` (criterion -> protocol) and
`preferences` (pairs).

A line is `[kind, source, destination, frame, what, text]`: kind "request" (what: method, text: target), "response"
(what: status code) or "command" (what: number of the MySQL command, text: SQL). Text is hex, byte by byte as it stands
in the capture: what tshark displays has characters replaced. The last line is `["end"]`, or `["error", message]`.

Imports nothing of glancetrace: it is run by its file name, wherever that is.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from typing import Any

_LAYERS = "ip ipv6 tcp http text mysql mysql.request"
"""Nodes of tshark's tree that are written; `text` is the one that start lines stand in."""

_UNKNOWN_CODE = "(retcode: 255)"
"""What asyncio says of a process that ended before its watcher looked: pyshark kills tshark when all is read, and the
attempt alone collects the code of one that is done. tshark itself ends with 0, 1 or 2."""


def main() -> None:
    """Write a line per message."""
    warnings.simplefilter("ignore")  # pyshark uses what asyncio would rather not have
    from pyshark.capture.capture import TSharkCrashException

    request = json.loads(sys.argv[1])
    try:
        for message in read_messages(**request):
            print(json.dumps(message))
    except TSharkCrashException as error:
        text = " ".join(str(error).split())
        print(json.dumps(["end"] if _UNKNOWN_CODE in text else ["error", text]))
    else:
        print(json.dumps(["end"]))
    sys.stdout.flush()


def read_messages(
    path: str, filter: str, decode_as: dict[str, str], preferences: list[list[str]]
) -> Iterator[list[Any]]:
    """Messages in the order in which tshark completes them."""
    import pyshark

    chosen = [word for name, value in preferences for word in ("-o", f"{name}:{value}")]
    capture = pyshark.FileCapture(
        path,
        keep_packets=False,
        display_filter=filter,
        decode_as=decode_as,
        custom_parameters=["-n", "-j", _LAYERS, *chosen],
    )
    try:
        for packet in capture:
            yield from _of_packet(packet)
    finally:
        capture.close()


def _of_packet(packet: Any) -> Iterator[list[Any]]:
    """The messages that a packet completes, several where they are pipelined."""
    network = [layer for layer in packet.layers if layer.layer_name in ("ip", "ipv6")][-1]
    version = network.layer_name
    source = f"{_join(network.get_field(f'{version}.src'))}:{packet.tcp.get_field('tcp.srcport')}"
    destination = f"{_join(network.get_field(f'{version}.dst'))}:{packet.tcp.get_field('tcp.dstport')}"
    place = (source, destination, int(packet.number))
    for layer in packet.layers:
        if layer.layer_name == "http":
            for method, target in zip(
                _all(layer, "http.request.method"), _all(layer, "http.request.uri"), strict=False
            ):
                yield ["request", *place, method.get_default_value(), target.raw_value or ""]
            for code in _all(layer, "http.response.code"):
                yield ["response", *place, code.get_default_value(), ""]
        elif layer.layer_name == "mysql":
            texts = iter(_all(layer, "mysql.query"))
            for code in _all(layer, "mysql.command"):
                text = next(texts, None)
                yield ["command", *place, code.get_default_value(), text.raw_value if text is not None else ""]


def _join(address: Any) -> str:
    text = str(address)
    return f"[{text}]" if ":" in text else text


def _all(layer: Any, name: str) -> list[Any]:
    """All fields of that name."""
    field = layer.get_field(name)
    return [] if field is None else list(field.all_fields)


if __name__ == "__main__":
    main()
