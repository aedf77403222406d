"""What was true while a sample was recorded, from the files beside it (see samples/README.md).

`Truth` holds the rows as they stand in the files; `perfect_document` turns them into the result document that a perfect
glancetrace would write, which is how the judge itself is judged.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = [
    "Truth",
    "parse_time",
    "perfect_document",
    "processes",
    "read_truth",
    "render_time",
    "request_path",
    "status_changes",
]

Row = dict[str, Any]


@dataclass(frozen=True)
class Truth:
    """The rows of a folder: the client's calls, MySQL commands, row changes of the database, tables at the end."""

    calls: list[Row]
    commands: list[Row]
    row_changes: list[Row]
    final: dict[str, list[Row]]


def read_truth(folder: Path) -> Truth:
    """All truth of one samples folder; what has no file is empty."""
    calls = [row for row in _read_rows(folder / "api.jsonl") if row.get("kind") == "api"]
    _mend_requests(calls, _read_rows(folder / "wsgi.jsonl"))
    return Truth(
        calls=calls,
        commands=[row for row in _read_rows(folder / "sql.jsonl") if row.get("kind") == "sql"],
        row_changes=sorted(_read_rows(folder / "db_timeline.jsonl"), key=lambda row: int(row["id"])),
        final=json.loads(_read_text(folder / "final_db.json") or "{}"),
    )


def processes(folder: Path) -> dict[int, int]:
    """Client port of a connection to Glance, or from Glance to the database -> number of its worker process, from 0."""
    rows = [row for row in _read_rows(folder / "wsgi.jsonl") if row.get("peer_port") and row["service"] == "glance"]
    found = {int(row["peer_port"]): int(row["pid"]) for row in rows}
    rows = [row for row in _read_rows(folder / "sql.jsonl") if row.get("client_port") and row["service"] == "glance"]
    found |= {row["client_port"]: row["pid"] for row in rows}
    numbers = {pid: number for number, pid in enumerate(sorted(set(found.values())))}
    return {port: numbers[pid] for port, pid in found.items()}


def _mend_requests(calls: list[Row], requests: list[Row]) -> None:
    """Give a server-side request to the call that got its request id.

    A call whose response has no id (a 401) was joined with a request by time alone. In `mixed-64` that took the request
    of another call: the server's log has "201 Created" for it, and an id that the other call received. An id that a
    client sent on with its next call, as python-glanceclient does, says nothing.
    """
    by_id: dict[str, list[Row]] = defaultdict(list)
    for call in calls:
        by_id[call.get("request_id") or ""].append(call)
    holder = {call["wsgi"]: call for call in calls if call.get("wsgi")}
    for request in requests:
        wrong = holder.get(request["wsgi"])
        right = by_id.get(request.get("request_id") or "-", [])
        if wrong is None or len(right) != 1 or wrong is right[0] or wrong.get("request_id"):
            continue
        assert not request["status"].startswith(str(wrong["status"]))
        assert not right[0].get("wsgi")
        right[0]["wsgi"] = wrong.pop("wsgi")


def _read_text(path: Path) -> str:
    packed = path.with_name(path.name + ".gz")
    if packed.exists():
        return gzip.decompress(packed.read_bytes()).decode()
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _read_rows(path: Path) -> list[Row]:
    return [json.loads(line) for line in _read_text(path).split("\n") if line.strip()]


def request_path(url: str) -> str:
    """The request target of an absolute URL."""
    return re.sub(r"^https?://[^/]+", "", url) or "/"


def parse_time(text: str) -> int:
    """RFC 3339 with up to nine decimals and Z -> ns since the epoch."""
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(seconds + "+00:00").timestamp()) * 10**9 + int(fraction.ljust(9, "0") or 0)


def render_time(ts: int) -> str:
    """The inverse of `parse_time`."""
    return f"{datetime.fromtimestamp(ts // 10**9, UTC):%Y-%m-%dT%H:%M:%S}.{ts % 10**9:09d}Z"


def status_changes(truth: Truth) -> dict[str, list[tuple[str | None, str | None]]]:
    """Image id -> (from, to) of every committed status change, in order, by the database's own log."""
    changes: dict[str, list[tuple[str | None, str | None]]] = defaultdict(list)
    for row in truth.row_changes:
        if row["tbl"] != "images":
            continue
        if row["op"] == "UPDATE":
            old, new = (row.get("changed") or {}).get("status") or (None, None)
        else:
            old, new = ((row.get(key) or {}).get("status") for key in ("old_row", "new_row"))
        if old != new:
            changes[row["image_id"]].append((old, new))
    return dict(changes)


def perfect_document(truth: Truth) -> dict[str, Any]:
    """The parts of a result document that the judge looks at, made from the truth itself."""
    calls: list[Row] = []
    call_of: dict[str, int] = {}
    for row in sorted((c for c in truth.calls if c.get("local_port")), key=lambda c: int(c["start_ns"])):
        call_of[row.get("wsgi", "")] = len(calls) + 1
        calls.append(
            {
                "id": len(calls) + 1,
                "parent_id": None,
                "client": f"127.0.0.1:{row['local_port']}",
                "method": row["method"],
                "target": request_path(row["url"]),
                "status_code": row.get("status"),
                "ts": render_time(row["start_ns"]),
                "first_frame": 1,
            }
        )
    statements: list[Row] = []
    links: list[Row] = []
    ordinals: Counter[int] = Counter()
    for row in sorted(truth.commands, key=lambda c: int(c["start_ns"])):
        port = row["client_port"]
        ordinals[port] += 1
        statements.append(
            {
                "id": len(statements) + 1,
                "client": f"127.0.0.1:{port}",
                "ordinal": ordinals[port],
                "ts": render_time(row["start_ns"]),
                "sql": row["sql"],
                "command": "COM_PING" if row["cmd"] == "PING" else "COM_QUERY",
                "service": row.get("service"),
            }
        )
        call = call_of.get(row.get("wsgi") or row.get("origin") or "?")
        if call:
            links.append({"statement_id": len(statements), "call_id": call, "class": "certain", "score": 1.0})
    images = [
        {
            "id": image,
            "status": changes[-1][1],
            "transitions": [{"from": old, "to": new, "source": "sql", "legal": True} for old, new in changes],
        }
        for image, changes in status_changes(truth).items()
    ]
    return {"api_calls": calls, "statements": statements, "links": links, "images": images}
