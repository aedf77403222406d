"""Holds a result document against what was true: calls, statements, attribution, timelines, final statuses, hashes.

Attribution is counted over the statements of a service with COMMIT and ROLLBACK, without pings and connection set-up;
work of background tasks (`async`) is counted apart. Precision "up to twins" forgives a statement that went to another
call of the same method, URL and status that overlaps in time: no observer could tell the two apart. A wrong statement
is "exchanged" if the call that got it lost one of the same text, of the same process.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.support.align import Command, align
from tests.support.truth import Row, Truth, parse_time, read_truth, request_path, status_changes

__all__ = ["Figures", "evaluate", "judge", "owners_of"]

Figures = dict[str, Any]
Document = Mapping[str, Any]

_SETUP = re.compile(r"^\s*(SET |SHOW VARIABLES|SELECT VERSION|SELECT DATABASE|SELECT @@|SELECT 1\s*$)", re.IGNORECASE)
_SCORES = (0.0, 0.5, 0.7, 0.9, 0.99)
"""Lower bounds of the scores that are counted together; a link to twins is right if one of them it is."""
_CALL_WINDOW = 2_000_000_000
_LOSSY_WINDOW = 100_000_000
_EXAMPLES = 3


def evaluate(folder: Path, document: Document) -> Figures:
    """Figures of a result document about the capture of `folder`, by name."""
    return judge(read_truth(folder), document)


def judge(truth: Truth, document: Document, *, lossy: bool = False) -> Figures:
    """As `evaluate`, of truth that is read already.

    Args:
        truth: what was true. document: the result.
        lossy: packets are missing, so a call may be missing, and its neighbour must not be taken for it.
    """
    figures: Figures = {}
    matched = _match_calls(truth, document, figures, lossy)
    owners = _match_statements(truth, document, figures)
    links: dict[int, Row] = {}
    for link in document["links"]:
        links.setdefault(link["statement_id"], link)
    attribution = _Attribution(document, matched)
    for service in ("glance", "keystone"):
        attribution.count(service, owners, links, figures)
    attribution.count_causes(owners, figures)
    foreign = [row for row in document["statements"] if row.get("service") not in ("glance", "keystone", None)]
    figures["foreign_statements"] = len(foreign)
    figures["foreign_linked"] = sum(row["id"] in links for row in foreign)
    _judge_images(truth, document, figures)
    return figures


def owners_of(truth: Truth, document: Document) -> dict[int, Row]:
    """Id of a statement of the document -> the record of the command in the services' own log."""
    return _match_statements(truth, document, {})


def _port(endpoint: str) -> int:
    return int(endpoint.rsplit(":", 1)[1]) if endpoint else 0


def _match_calls(truth: Truth, document: Document, figures: Figures, lossy: bool = False) -> dict[int, Row]:
    """Id of an outermost call of the document -> the client's own record of it."""
    seen: dict[int, list[Row]] = defaultdict(list)
    for call in document["api_calls"]:
        if call.get("parent_id") is None:
            seen[_port(call["client"])].append(call)
    made: dict[int, list[Row]] = defaultdict(list)
    for call in truth.calls:
        if call.get("local_port"):
            made[call["local_port"]].append(call)
    matched: dict[int, Row] = {}
    wrong = []
    right = 0
    for port, calls in made.items():
        left = sorted(seen.get(port, []), key=lambda c: (parse_time(c["ts"]), c["first_frame"] or 0))
        for record in sorted(calls, key=lambda c: int(c["start_ns"])):
            call = _nearest_call(record, left, lossy)
            if call is None:
                wrong.append((record["method"], request_path(record["url"]), "missing"))
                continue
            left.remove(call)
            matched[call["id"]] = record
            if record.get("status") in (None, call["status_code"]):
                right += 1
            else:
                difference = f"status {call['status_code']} for {record['status']}"
                wrong.append((record["method"], request_path(record["url"]), difference))
    figures["calls_right"] = right
    figures["calls_truth"] = sum(map(len, made.values()))
    if wrong:
        figures["calls_wrong_examples"] = wrong[:_EXAMPLES]
    return matched


def _nearest_call(record: Row, calls: list[Row], lossy: bool) -> Row | None:
    def distance(call: Row) -> int:
        return abs(parse_time(call["ts"]) - int(record["start_ns"]))

    window = _LOSSY_WINDOW if lossy else _CALL_WINDOW
    near = [call for call in calls if call["method"] == record["method"] and distance(call) < window]
    same = [call for call in near if call["target"] == request_path(record["url"])]
    if lossy:
        near = []
        same = [call for call in same if call["status_code"] in (None, record.get("status"))]
    return min(same or near, key=distance, default=None)


def _match_statements(truth: Truth, document: Document, figures: Figures) -> dict[int, Row]:
    """Id of a statement of the document -> the record of the command in the services' own log."""
    sent: dict[int, list[Row]] = defaultdict(list)
    for command in truth.commands:
        sent[command["client_port"]].append(command)
    seen: dict[int, list[Row]] = defaultdict(list)
    for row in document["statements"]:
        if row.get("command") != "COM_QUIT":
            seen[_port(row["client"])].append(row)
    owners: dict[int, Row] = {}
    surplus = 0
    for port, commands in sent.items():
        commands.sort(key=lambda c: int(c["start_ns"]))
        rows = sorted(seen.get(port, []), key=lambda row: (row["ordinal"], parse_time(row["ts"])))
        surplus += max(0, len(rows) - len(commands))
        pairs = align(
            [Command(c["start_ns"], c["cmd"] == "PING", c["sql"] or "") for c in commands],
            [Command(parse_time(row["ts"]), row["command"] == "COM_PING", row.get("sql") or "") for row in rows],
        )
        for i, j in pairs:
            owners[rows[j]["id"]] = commands[i]
    figures["statements_matched"] = len(owners)
    figures["statements_truth"] = len(truth.commands)
    figures["statements_surplus"] = surplus
    return owners


class _Attribution:
    """Compares the call that a statement was linked to with the call that ran it."""

    def __init__(self, document: Document, matched: dict[int, Row]) -> None:
        self.document = document
        self.calls = {call["id"]: call for call in document["api_calls"]}
        self.matched = matched
        self.call_of = {record["wsgi"]: call for call, record in matched.items() if record.get("wsgi")}

    def root(self, call: int) -> int:
        """The outermost call that a nested one belongs to."""
        seen = set()
        while call in self.calls and self.calls[call].get("parent_id") is not None and call not in seen:
            seen.add(call)
            call = self.calls[call]["parent_id"]
        return call

    def twins(self, one: int, other: int) -> bool:
        """Same method, URL and status, overlapping in time, by the client's record."""
        a, b = self.matched.get(one), self.matched.get(other)
        if not a or not b or any(a.get(key) != b.get(key) for key in ("method", "url", "status")):
            return False
        return bool(a["start_ns"] <= b["end_ns"] and b["start_ns"] <= a["end_ns"])

    def count(self, service: str, owners: dict[int, Row], links: dict[int, Row], figures: Figures) -> None:
        """Add the figures of one service; none when it ran no statement for a call."""
        total: Counter[str] = Counter()
        wanted: dict[int, set[int]] = defaultdict(set)
        linked: dict[int, set[int]] = defaultdict(set)
        by_class: Counter[str] = Counter()
        right_by_class: Counter[str] = Counter()
        lost: Counter[tuple[int, str, int]] = Counter()
        got: Counter[tuple[int, str, int]] = Counter()
        scored: Counter[float] = Counter()
        right_scored: Counter[float] = Counter()
        for statement, record in owners.items():
            if record.get("service") != service or record["cmd"] == "PING" or _SETUP.match(record["sql"]):
                continue
            link = links.get(statement)
            call = self.root(link["call_id"]) if link else None
            ran_by = record.get("wsgi") or record.get("origin")
            owner = self.call_of.get(ran_by) if ran_by else None
            if ran_by and owner is None:
                continue  # a health check or a token validation: not a call that the client's log knows
            if owner is not None and call is not None and call != owner:
                lost[owner, record["sql"], record["pid"]] += 1
                got[call, record["sql"], record["pid"]] += 1
            if owner is None:
                total["adopted"] += call is not None
            elif not record.get("wsgi"):
                total["async"] += 1
                total["async_right"] += call == owner
            else:
                wanted[owner].add(statement)
                if call is not None:
                    linked[call].add(statement)
                total["right"] += call == owner
                total["linked"] += call is not None
                total["twin"] += call is not None and call != owner and self.twins(call, owner)
                if link:
                    by_class[link["class"]] += 1
                    right_by_class[link["class"]] += call == owner
                if link and link["class"] in ("inferred", "twin"):
                    of_group = owner in map(self.root, link.get("candidates") or ())
                    floor = max(bound for bound in _SCORES if bound <= link.get("score", 1.0))
                    scored[floor] += 1
                    right_scored[floor] += call == owner or of_group
        if not wanted:
            return
        statements = sum(map(len, wanted.values()))
        exact = sum(linked[call] == ids for call, ids in wanted.items())
        figures[f"{service}_precision"] = round(total["right"] / max(1, total["linked"]), 5)
        figures[f"{service}_recall"] = round(total["right"] / max(1, statements), 5)
        figures[f"{service}_precision_up_to_twins"] = round(
            (total["right"] + total["twin"]) / max(1, total["linked"]), 5
        )
        figures[f"{service}_exact_calls"] = round(exact / len(wanted), 5)
        figures[f"{service}_async_right"] = total["async_right"]
        figures[f"{service}_async_truth"] = total["async"]
        figures[f"{service}_background_adopted"] = total["adopted"]
        figures[f"{service}_wrong"] = got.total()
        figures[f"{service}_exchanged"] = (got & lost).total()
        figures[f"{service}_n"] = statements
        figures[f"{service}_by_score"] = {
            f"{floor:g}": f"{right_scored[floor]}/{scored[floor]}" for floor in sorted(scored)
        }
        figures[f"{service}_by_class"] = {name: f"{right_by_class[name]}/{n}" for name, n in by_class.items()}

    def count_causes(self, owners: dict[int, Row], figures: Figures) -> None:
        """Status changes whose call is the one that ran the statement, and intervals of an image that overlap."""
        right = of = overlaps = 0
        for image in self.document["images"]:
            for change in image["transitions"]:
                record = owners.get(change.get("statement_id") or 0, {})
                owner = self.call_of.get(record.get("wsgi") or record.get("origin") or "")
                if owner is not None:
                    of += 1
                    right += change.get("call_id") is not None and self.root(change["call_id"]) == owner
            spans = [(parse_time(row["ts"]), row["dur"]) for row in image.get("intervals", ())]
            overlaps += sum(dur is None or ts + dur > after for (ts, dur), (after, _) in pairwise(spans))
        figures["causes_right"], figures["causes_truth"], figures["intervals_overlapping"] = right, of, overlaps


def _judge_images(truth: Truth, document: Document, figures: Figures) -> None:
    """Timelines against the database's own log, final statuses and checksums against its tables."""
    true = {image: [to for _, to in changes] for image, changes in status_changes(truth).items()}
    images = {image["id"]: image for image in document["images"] if image.get("id")}
    told = {
        image: [t["to"] for t in row["transitions"] if t.get("source") in ("sql", "both")]
        for image, row in images.items()
    }
    if true:
        figures["timelines_right"] = sum(told.get(image) == statuses for image, statuses in true.items())
        figures["timelines_truth"] = len(true)
        figures["timelines_invented"] = sum(bool(statuses) and image not in true for image, statuses in told.items())
        wrong = [(image, statuses, told.get(image)) for image, statuses in true.items() if told.get(image) != statuses]
        if wrong:
            figures["timelines_wrong_examples"] = wrong[:_EXAMPLES]
    final = {row["id"]: row for row in truth.final.get("images", [])}
    if final:
        changed = [row for image, row in final.items() if image in true]
        figures["final_status_right"] = sum(images.get(row["id"], {}).get("status") == row["status"] for row in changed)
        figures["final_status_truth"] = len(changed)
    hashed = [image for image in images.values() if (image.get("wire_checksum") or {}).get("complete")]
    figures["wire_hashes"] = len(hashed)
    figures["wire_hash_right"] = sum(
        final.get(image["id"], {}).get("checksum") == image["wire_checksum"]["md5"] for image in hashed
    )
    figures["illegal"] = sum(not t.get("legal", True) for image in document["images"] for t in image["transitions"])
