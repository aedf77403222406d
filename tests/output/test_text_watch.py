"""Rows of a watch as lines: one each, harmless on a terminal, provisional, with the date where it is another."""

from __future__ import annotations

from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

from glancetrace.live.notice import Notice
from glancetrace.output.paint import Painter
from glancetrace.output.text_watch import WatchText
from glancetrace.redact import Redactor
from tests.support.handmade import CIRROS, HOSTILE_NAME, PASSWORD, START, TOKEN

DAY = 86_400_000_000_000
CALL: dict[str, Any] = {
    "service": "glance", "operation": "image-update", "method": "PATCH", "target": f"/v2/images/x?token={TOKEN}",
    "status_code": 409, "request_id": None, "dur": 12_300_000, "waited": 12_000_000, "request_body_bytes": 10,
    "response_body_bytes": 0,
}  # fmt: skip
CHANGE = {"from": "queued", "to": "saving", "certainty": "observed", "legal": True, "source": "sql"}


def lines(*notices: Notice, text: WatchText | None = None) -> list[str]:
    text = text or WatchText(Painter(color=False), zone=UTC, relative=False)
    return [line for notice in notices for line in text.render(notice.row(Redactor(b"key")))]


def change(ts: int, name: str = "cirros", **other: Any) -> Notice:
    return Notice("status", ts, None, None, CIRROS, name, (12, 15), {**CHANGE, **other})


def test_a_change() -> None:
    assert lines(change(START)) == [
        "2020-02-18 UTC",
        "~ 04:49:55.993652  status   cirros 7b1a2c3d  queued → saving  (frames 12, 15)",
    ]
    inferred = change(START, source="api", certainty="inferred", **{"from": None, "to": "queued"})
    assert lines(inferred)[1].endswith("(new) → queued (inferred, by a response)  (frames 12, 15)")


def test_every_day_has_its_date() -> None:
    told = lines(change(START), change(START + 1), change(START + DAY), change(START + 3 * DAY))
    assert [line for line in told if line[0] != "~"] == ["2020-02-18 UTC", "2020-02-19 UTC", "2020-02-21 UTC"]
    assert len(told) == 7


def test_time_zone_and_relative_times() -> None:
    berlin = WatchText(Painter(color=False), zone=ZoneInfo("Europe/Berlin"), relative=False)
    assert lines(change(START), text=berlin)[1].startswith("~ 05:49:55.993652  ")
    relative = WatchText(Painter(color=False), zone=UTC, relative=True)
    assert lines(change(START), change(START + 1_500_000_000), text=relative)[2].startswith("~ +1.500000  ")


def test_hostile_text_stays_text() -> None:
    notice = Notice(
        "finding", START, "sql-error", f"\x1b[2J{HOSTILE_NAME} password = '{PASSWORD}'", CIRROS, HOSTILE_NAME
    )
    told = lines(notice, change(START, HOSTILE_NAME), Notice("call", START, "client-error", None, None, None, (), CALL))
    for line in told:
        assert line.isprintable()
        assert PASSWORD not in line
        assert TOKEN not in line
    assert len(told) == 4


def test_colours_change_nothing_else() -> None:
    import click

    notices = (change(START), Notice("call", START, "client-error", None, CIRROS, "cirros", (1, 2), CALL))
    coloured = lines(*notices, text=WatchText(Painter(color=True), zone=UTC, relative=False))
    assert [click.unstyle(line) for line in coloured] == lines(*notices)
    assert coloured != lines(*notices)
