"""Result documents made up for pages: big ones, and one whose every text is hostile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import cycle
from typing import Any

from glancetrace.document import render_document
from glancetrace.rfc3339 import rfc3339
from glancetrace.schema import SCHEMA
from tests.support.handmade import handmade_trace

__all__ = ["ATTACKS", "hostile_document", "many_calls"]

_START = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()) * 1_000_000_000
_MS = 1_000_000
_STEPS = ("image-create", "image-upload", "image-show", "image-list", "image-update", "image-delete")
_COLUMNS = ", ".join(
    f"images.{name} AS images_{name}" for name in ("id", "name", "size", "status", "checksum", "owner")
)

ATTACKS = (
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked = 1">',
    "'><svg/onload=window.hacked=1>",
    "javascript:window.hacked=1",
    "<!--<script>",
    "]]></title><iframe srcdoc='<script>parent.hacked=1</script>'>",
    "{{ 7 * 7 }}${window.hacked=1}",
    "line\u2028separator\u2029name",
    "right\u202eto\u2066left\x1b[31m\x00",
    "lone \udc80 surrogate",
    "';alert(1)//",
)


def _uuid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-{number:012x}"


def many_calls(calls: int, images: int, statements_per_call: int) -> dict[str, Any]:
    """A document of so many calls, spread over images and 10 ms apart, each with its statements."""
    document = render_document(handmade_trace())
    template_call, template_sql = document["api_calls"][1], document["statements"][0]
    rows: dict[str, list[Any]] = {"api_calls": [], "statements": [], "links": [], "images": []}
    for number in range(1, calls + 1):
        image, step = number % images, number // images
        ts, frame = _START + number * 10 * _MS, number * 60
        rows["api_calls"].append(
            {
                **template_call, "id": number, "operation": _STEPS[step % len(_STEPS)], "image_id": _uuid(image),
                "target": f"/v2/images/{_uuid(image)}", "status_code": 409 if number % 37 == 0 else 200,
                "request_id": f"req-{number}", "ts": rfc3339(ts), "request_end_ts": rfc3339(ts + _MS),
                "response_ts": rfc3339(ts + 30 * _MS), "dur": 31 * _MS, "first_frame": frame, "last_frame": frame + 50,
                "request_frame": frame + 1, "response_frame": frame + 50, "hops": [],
            }
        )  # fmt: skip
        for k in range(statements_per_call):
            sql = (
                f"SELECT {_COLUMNS} \nFROM images \nWHERE images.id = '{_uuid(image)}' AND images.deleted = false"
                if k % 3 else f"UPDATE images SET updated_at='2026-11-20 12:00:{number % 60:02d}', status='active'"
                f" WHERE images.id = '{_uuid(image)}'"
            )  # fmt: skip
            key = len(rows["statements"]) + 1
            rows["statements"].append(
                {
                    **template_sql, "id": key, "sql": sql, "operation": sql[:6], "image_ids": [_uuid(image)],
                    "ts": rfc3339(ts + (2 + k) * _MS), "dur": _MS // 2, "unit_id": number, "first_frame": frame + k,
                    "last_frame": frame + k + 1,
                }
            )  # fmt: skip
            rows["links"].append(
                {"statement_id": key, "call_id": number, "class": "certain", "relation": "in_request", "score": 1.0,
                 "evidence": ["image id", "only call left"], "group_id": None, "candidates": [], "rejected": []}
            )  # fmt: skip
    for number in range(images):
        start = _START + (number + 1) * 10 * _MS
        times = [start + k * images * 10 * _MS for k in range(3)]
        statuses = ("queued", "saving", "active" if number % 5 else "deleted")
        rows["images"].append(
            {
                **document["images"][0], "id": _uuid(number), "name": f"image-{number}", "status": statuses[-1],
                "size": number * 1_000_003, "events": [],
                "transitions": [
                    {"from": old, "to": new, "ts": rfc3339(ts), "source": "sql", "certainty": "observed", "legal": True,
                     "statement_id": None, "call_id": None, "frame": 7, "commit_frame": 8}
                    for old, new, ts in zip((None, *statuses), statuses, times, strict=False)
                ],
                "intervals": [
                    {"status": status, "ts": rfc3339(ts), "dur": None if k == 2 else images * 10 * _MS}
                    for k, (status, ts) in enumerate(zip(statuses, times, strict=True))
                ],
            }
        )  # fmt: skip
    capture = {**document["capture"], "first_ts": rfc3339(_START), "last_ts": rfc3339(_START + (calls + 10) * 10 * _MS)}
    return {**document, "schema": SCHEMA, "capture": capture, **rows, "findings": [], "issues": []}


def _poison(value: Any, attacks: Iterator[str]) -> Any:
    """The same with the next attack instead of every text that is free; those that have a form (times) stay."""
    if isinstance(value, dict):
        return {key: item if key in _FORMS else _poison(item, attacks) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_poison(item, attacks) for item in value]
    return next(attacks) if isinstance(value, str) else value


_FORMS = {
    "schema", "ts", "first_ts", "last_ts", "request_end_ts", "response_ts", "severity", "rule", "kind", "service",
    "operation", "class", "relation", "digest",
}  # fmt: skip


def hostile_document(*attacks: str) -> dict[str, Any]:
    """The handmade result with every free text replaced by attacks in turn; images keep ids of their own."""
    document: dict[str, Any] = _poison(render_document(handmade_trace()), cycle(attacks))
    for number, image in enumerate(document["images"]):
        image["id"] = f"{image['id']}{number}"
    document["api_calls"][1]["image_id"] = document["images"][0]["id"]
    return document
