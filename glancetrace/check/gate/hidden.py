"""What a capture cannot show: calls that are encrypted, bytes that were lost, SQL that was not recorded.

Nothing found means that nothing was there only where nothing is hidden. `Hidden` has the reasons, per side: "calls"
(HTTP) and "sql" (Glance's database). A reason is the text that an outcome gives, with the frames that show it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["CALLS", "SQL", "UNCOUNTED_LOSSES", "Hidden", "Reason", "find_hidden", "loss_share", "undecrypted"]

CALLS, SQL = "calls", "sql"

UNCOUNTED_LOSSES = frozenset({"capture-cut-short", "capture-damaged"})
"""What is missing then was in no packet that could be counted."""
_LOSSES = frozenset({"tcp-gap", "tcp-buffer-exceeded", "tls-packet-lost", "packet-truncated"})
_TOLD = "tls-told-by-log"
_MYSQL_PORT = "3306"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is not visible; `lost`: for bytes that are missing, which a rules file may tolerate.

    `counted`: their share is known; else any share but 0 tolerates them.
    """

    text: str
    frames: tuple[int, ...] = ()
    lost: bool = False
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Hidden:
    """Reasons by side; none: everything of that side is visible."""

    reasons: dict[str, list[Reason]] = field(default_factory=dict)
    loss: float = 0.0

    def first(self, sides: Iterable[str], tolerated_loss: float = 0.0) -> Reason | None:
        """The first reason why one of `sides` is not wholly visible; losses up to the tolerated share are none."""
        for side in sides:
            for reason in self.reasons.get(side, ()):
                known = reason.counted or tolerated_loss > 0
                if not (reason.lost and known and self.loss <= tolerated_loss):
                    return reason
        return None


def loss_share(document: dict[str, Any]) -> float:
    """Share of the stream bytes that is missing."""
    accounting = document["capture"]["accounting"]
    missing, total = int(accounting["stream_bytes_missing"]), int(accounting["stream_bytes"])
    return missing / max(1, total)


def _is_mysql(connection: dict[str, Any]) -> bool:
    known = connection["protocol"] == "mysql" or connection["mysql_thread_id"] is not None
    return known or str(connection["server"]).rpartition(":")[2] == _MYSQL_PORT


def undecrypted(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Encrypted connections whose content nothing shows: neither keys nor a log."""
    told = {issue["connection_id"] for issue in document["issues"] if issue["kind"] == _TOLD}
    return [
        c for c in document["connections"] if c["tls"] is not None and not c["tls"]["decrypted"] and c["id"] not in told
    ]


def find_hidden(document: dict[str, Any]) -> Hidden:
    """What cannot be seen, and why."""
    reasons: dict[str, list[Reason]] = {CALLS: [], SQL: []}
    _encrypted(document, reasons)
    _cut(document, reasons)
    _lost(document, reasons)
    _not_recorded(document, reasons)
    return Hidden(reasons, loss_share(document))


def _encrypted(document: dict[str, Any], reasons: dict[str, list[Reason]]) -> None:
    closed = undecrypted(document)
    sql = [connection for connection in closed if _is_mysql(connection)]
    if sql:
        reasons[SQL].append(Reason(f"{len(sql)} connection(s) to the database are encrypted: {_why(sql)}"))
    for finding in document["findings"]:
        if finding["rule"] == "api-encrypted":
            reasons[CALLS].append(Reason(finding["message"].partition(";")[0], tuple(finding["frames"])))
            return
    calls = [connection for connection in closed if not _is_mysql(connection)]
    if calls and not document["api_calls"]:
        reasons[CALLS].append(Reason(f"{len(calls)} connection(s) are encrypted: {_why(calls)}"))


def _why(connections: list[dict[str, Any]]) -> str:
    return ", ".join(dict.fromkeys(str(c["tls"]["reason"]) for c in connections))


def _cut(document: dict[str, Any], reasons: dict[str, list[Reason]]) -> None:
    for issue in document["issues"]:
        if issue["kind"] in UNCOUNTED_LOSSES:
            frames = (issue["first_frame"],) if issue["first_frame"] else ()
            reason = Reason(f"a file is not whole ({issue['kind']})", frames, lost=True, counted=False)
            for side in (CALLS, SQL):
                reasons[side].append(reason)


def _lost(document: dict[str, Any], reasons: dict[str, list[Reason]]) -> None:
    """Losses of a connection hide its side; those that belong to no connection hide both."""
    statements = document["statements"]
    glance_sql = {s["connection_id"] for s in statements if s["service"] == "glance"}
    others_sql = {s["connection_id"] for s in statements} - glance_sql
    known = {connection["id"]: connection for connection in document["connections"]}
    frames: dict[str, list[int]] = {CALLS: [], SQL: []}
    for issue in document["issues"]:
        if issue["kind"] not in _LOSSES:
            continue
        connection = known.get(issue["connection_id"])
        place = [issue["first_frame"]] if issue["first_frame"] else [0]
        if connection is None:
            frames[CALLS] += place
            frames[SQL] += place
        elif not _is_mysql(connection):
            frames[CALLS] += place
        elif connection["id"] not in others_sql:
            frames[SQL] += place
    missing = document["capture"]["accounting"]["stream_bytes_missing"]
    for side, found in frames.items():
        if found:
            what = "HTTP" if side == CALLS else "the database"
            text = f"packets of {what} are missing ({missing:,} bytes of the capture)"
            reasons[side].append(Reason(text, tuple(sorted(set(found) - {0}))[:20], lost=True))


def _not_recorded(document: dict[str, Any], reasons: dict[str, list[Reason]]) -> None:
    if not reasons[CALLS] and not any(call["service"] in ("glance", "registry") for call in document["api_calls"]):
        reasons[CALLS].append(Reason("the capture shows no call to Glance at all"))
    if not reasons[SQL] and not any(s["service"] == "glance" for s in document["statements"]):
        reasons[SQL].append(Reason("the capture shows no SQL of Glance at all"))
