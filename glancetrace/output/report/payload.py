"""The rows that the page's script draws, packed: a result document into a small JSON object.

Packing is what keeps a page of 10 000 calls small and quick to open. Tables are columns; every text is a number of one
list of texts; times are nanoseconds since the first packet; a statement is the number of its shape, which is the text
between its literals, and its literals. `assets/model.js` is the other half: it names the fields in the same order.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from glancetrace.output.report.bounds import Bounds, choose_calls, choose_statements
from glancetrace.output.report.visible import visible

__all__ = ["dump_payload", "nanoseconds", "pack"]

Row = Mapping[str, Any]

_LITERAL = re.compile(r"('(?:[^'\\]|\\.|'')*'|\b\d+(?:\.\d+)?\b)", re.DOTALL)
_CUT = " … (cut)"
_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


@lru_cache(maxsize=4096)
def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(f"{text}+00:00").timestamp())


def nanoseconds(time: str | None) -> int | None:
    """Nanoseconds since the epoch of a time of the document (RFC 3339, UTC, nine digits)."""
    if time is None:
        return None
    return _seconds(time[:19]) * 1_000_000_000 + int(time[20:29])


class _Packer:
    """Numbers of texts, shapes and links; times from `base` (ns) on."""

    def __init__(self, base: int, bounds: Bounds) -> None:
        self.base = base
        self.bounds = bounds
        self.texts: dict[str, int] = {}
        self.shapes: dict[tuple[int, ...], int] = {}
        self.links: dict[tuple[Any, ...], int] = {}
        self._seen: dict[str, int] = {}

    def _number(self, text: str) -> int:
        number = self._seen.get(text)
        if number is None:
            number = self._seen[text] = self.texts.setdefault(visible(text), len(self.texts))
        return number

    def text(self, text: str | None) -> int | None:
        """Number of a text."""
        return None if text is None else self._number(text)

    def time(self, time: str | None) -> int | None:
        """Nanoseconds since `base`."""
        absolute = nanoseconds(time)
        return None if absolute is None else absolute - self.base

    def sql(self, sql: str | None) -> tuple[int | None, list[int]]:
        """Number of the shape, and the numbers of the literals that stand between its parts."""
        if sql is None:
            return None, []
        if len(sql) > self.bounds.sql_chars:
            sql = sql[: self.bounds.sql_chars] + _CUT
        parts = [self._number(part) for part in _LITERAL.split(sql)]
        return self.shapes.setdefault(tuple(parts[::2]), len(self.shapes)), parts[1::2]

    def link(self, link: Row) -> int:
        """Number of what a link says beside its two ends, which statements of a unit share."""
        said = (
            self.text(link["class"]),
            self.text(link["relation"]),
            link["score"],
            tuple(map(self._number, link["evidence"])),
            tuple((row["call_id"], self._number(row["reason"])) for row in link["rejected"]),
            link["group_id"],
            tuple(link["candidates"]),
        )
        return self.links.setdefault(said, len(self.links))

    def call(self, call: Row, statements: int) -> list[Any]:
        """One call with the count of its statements; its hops only where it has more than one."""
        hops = [
            [self.text(h["client"]), self.text(h["server"]), self.time(h["ts"]), h["dur"], h["first_frame"],
             h["last_frame"]] for h in call["hops"]
        ] if len(call["hops"]) > 1 else 0  # fmt: skip
        flags = call["tls"] + 2 * call["complete"] + 4 * (call["source"] == "log")
        return [
            call["id"], self.text(call["service"]), self.text(call["method"]), self.text(call["target"]),
            self.text(call["operation"]), self.text(call["image_id"]), call["status_code"],
            self.text(call["request_id"]), self.time(call["ts"]), self.time(call["request_end_ts"]),
            self.time(call["response_ts"]), call["dur"], call["request_body_bytes"], call["response_body_bytes"],
            self.text(call["client"]), self.text(call["server"]), call["connection_id"], flags, call["uncertainty"],
            self.text(call["certainty"]), call["parent_id"], hops, call["first_frame"], call["last_frame"],
            call["request_frame"], call["response_frame"], statements,
        ]  # fmt: skip

    def statement(self, row: Row, link: Row | None) -> list[Any]:
        """One statement with the call that it is linked to."""
        shape, literals = self.sql(row["sql"])
        error = row["error"]
        said = None if error is None else f"{error['code']} ({error['sqlstate'] or '-'}): {error['message']}"
        return [
            row["id"], None if link is None else link["call_id"], None if link is None else self.link(link),
            self.text(row["service"]), self.text(row["kind"]), self.text(row["operation"]), shape, literals,
            self.time(row["ts"]), row["dur"], row["returned_rows"], row["affected_rows"], self.text(said),
            self.text(row["outcome"]), row["commit_frame"], row["unit_id"], row["connection_id"],
            row["mysql_thread_id"], row["first_frame"], row["last_frame"],
            [self.text(image_id) for image_id in row["image_ids"]],
        ]  # fmt: skip

    def image(self, image: Row) -> list[Any]:
        """One image with its status changes, intervals and events."""
        wire = image["wire_checksum"]
        hashes = None if wire is None else [
            [self.text(name), self.text(value)] for name, value in wire.items() if isinstance(value, str)
        ]  # fmt: skip
        return [
            self.text(image["id"]), self.text(image["name"]), self.text(image["status"]), image["size"],
            self.text(image["checksum"]), self.text(image["os_hash_algo"]), self.text(image["os_hash_value"]), hashes,
            None if wire is None else wire["complete"], image["existed_before"],
            self.text(image["first_status_certainty"]),
            [[self.text(t["from"]), self.text(t["to"]), self.time(t["ts"]), self.text(t["source"]),
              self.text(t["certainty"]), t["legal"], t["statement_id"], t["call_id"], t["frame"], t["commit_frame"]]
             for t in image["transitions"]],
            [[self.text(i["status"]), self.time(i["ts"]), i["dur"]] for i in image["intervals"]],
            [[self.text(e["kind"]), self.time(e["ts"]), self.text(e["summary"]), e["statement_id"], e["call_id"],
              e["frame"], e["dur"]] for e in image["events"][: self.bounds.events]],
        ]  # fmt: skip


def _names(files: Sequence[Row]) -> list[str]:
    """Names of files without their folders, which are nobody's business, unless only those tell them apart."""
    whole = [visible(file["name"]) for file in files]
    base = [os.path.basename(name) for name in whole]
    return base if len(set(base)) == len(base) else whole


def _columns(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    """Rows as columns."""
    return [list(column) for column in zip(*rows, strict=True)]


def pack(document: Row, bounds: Bounds) -> dict[str, Any]:
    """What the script needs of a result document."""
    capture = document["capture"]
    images = document["images"][: bounds.images]
    calls = choose_calls(document["api_calls"], images, bounds.calls)
    linked = {link["statement_id"]: link for link in document["links"]}
    counts = Counter(link["call_id"] for link in document["links"])
    shown_calls = {call["id"] for call in calls}
    shown_images = {image["id"] for image in images}
    statements = choose_statements(document["statements"], linked, shown_calls, shown_images, bounds.statements)
    times = [call["ts"] for call in calls] + [i["ts"] for image in images for i in image["intervals"]]
    first = capture["first_ts"] or min(times, default=None)
    base = nanoseconds(first) or 0
    packer = _Packer(base, bounds)
    tables = {
        "images": _columns(map(packer.image, images)),
        "calls": _columns(packer.call(call, counts[call["id"]]) for call in calls),
        "statements": _columns(packer.statement(row, linked.get(row["id"])) for row in statements),
    }
    return {
        "base": divmod(base, 1_000_000_000),
        "end": packer.time(capture["last_ts"] or max(times, default=None)) or 0,
        "files": [
            [name, file["first_frame"], file["packets"]]
            for name, file in zip(_names(capture["files"]), capture["files"], strict=True)
        ],
        **tables,
        "links": list(packer.links),
        "shapes": list(packer.shapes),
        "texts": list(packer.texts),
        "totals": {
            "images": len(document["images"]),
            "calls": len(document["api_calls"]),
            "statements": len(document["statements"]),
        },
    }


def dump_payload(payload: Row) -> str:
    """JSON that may stand in a script element: nothing in it ends the element or a line."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).translate(_ESCAPES)
