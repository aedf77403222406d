"""One image, one call, one statement of a result: what belongs to it, picked from the tables.

A view holds the row and finds everything else when it is asked for. `Result.image`, `.call` and `.statement` make them.
"""

from __future__ import annotations

import operator
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from glancetrace.errors import UsageError
from glancetrace.frames import typed
from glancetrace.result import Result, Row, Shown

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from scapy.plist import PacketList

    from glancetrace.explain import Explanation

__all__ = ["CallView", "ImageView", "StatementView", "find_call", "find_image", "find_statement"]

_PREFIX_LEN = 4
_LISTED = 8

_TIMELINE = {
    "ts": "ts",
    "what": "str",
    "detail": "str",
    "dur": "dur",
    "call_id": "int",
    "statement_id": "int",
    "frame": "int",
}
"""Columns of `ImageView.timeline`, and their types as in `glancetrace.schema`."""


class ImageView(Shown):
    """One image; `row` is its row of the result, with times in ns."""

    def __init__(self, result: Result, row: Row) -> None:
        self.result = result
        self.row = row
        self.id: str = row["id"]
        self.name: str | None = row["name"]
        self.status: str | None = row["status"]
        self.size: int | None = row["size"]
        self.checksum: str | None = row["checksum"]

    def __repr__(self) -> str:
        return f"<image {self.id} {self.name!r}, {self.status or 'status unknown'}>"

    def _repr_html_(self) -> str:
        from glancetrace.jupyter.cards import image_card

        return image_card(self)

    def _of_image(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame[(frame["image_id"] == self.id).fillna(value=False)]

    @cached_property
    def transitions(self) -> pd.DataFrame:
        """Its status changes."""
        return self._of_image(self.result.transitions)

    @cached_property
    def intervals(self) -> pd.DataFrame:
        """The time it spent in each status."""
        return self._of_image(self.result.intervals)

    @cached_property
    def events(self) -> pd.DataFrame:
        """What else happened to it."""
        return self._of_image(self.result.events)

    @cached_property
    def findings(self) -> pd.DataFrame:
        """What a person should know about it."""
        return self._of_image(self.result.findings)

    @cached_property
    def calls(self) -> pd.DataFrame:
        """API calls about it, lookups by its name included."""
        caused = {row["call_id"] for table in ("transitions", "events") for row in self.row[table]}
        calls = self.result.calls
        return calls[(calls["image_id"] == self.id).fillna(value=False) | calls.index.isin(caused)]

    @cached_property
    def statements(self) -> pd.DataFrame:
        """SQL statements that its calls ran, or that name it."""
        links = self.result.links
        own = links.loc[links["call_id"].isin(self.calls.index), "statement_id"]
        statements = self.result.statements
        named = [self.id in ids for ids in statements["image_ids"]]
        return statements[statements.index.isin(own) | named]

    @cached_property
    def timeline(self) -> pd.DataFrame:
        """All that happened to it, in order of time: status changes, calls, other events.

        Columns: ts, what (a status, an operation, a kind of event), detail, dur, call_id, statement_id, frame.
        """
        rows = [
            (t["ts"], t["to"], f"from {t['from'] or 'nothing'}, {t['certainty']}", None, t["call_id"],
             t["statement_id"], t["frame"])
            for t in self.row["transitions"]
        ]  # fmt: skip
        rows += [
            (e["ts"], e["kind"], e["summary"], e["dur"], e["call_id"], e["statement_id"], e["frame"])
            for e in self.row["events"]
        ]
        rows += [
            (c["ts"], c["operation"], f"{c['method']} {c['status_code'] or 'no response'}", c["dur"], c["id"], None,
             c["first_frame"])
            for c in self.result.rows_of("api_calls", self.calls.index)
        ]  # fmt: skip
        rows.sort(key=lambda row: (row[0], row[6] or 0))
        columns = zip(*rows, strict=True) if rows else [()] * len(_TIMELINE)
        named = zip(_TIMELINE.items(), columns, strict=True)
        return pd.DataFrame({name: typed(kind, list(values)) for (name, kind), values in named})

    def plot(self) -> go.Figure:
        """Its lanes: client, API, database; see `glancetrace.jupyter.lanes`.

        Raises:
            UsageError: plotly is not installed.
        """
        from glancetrace.jupyter.lanes import plot_lanes

        return plot_lanes(self.result, self)

    def packets(self) -> PacketList:
        """See `Result.packets`."""
        return self.result.packets(self)


class CallView(Shown):
    """One API call; `row` is its row of the result, with times in ns."""

    def __init__(self, result: Result, row: Row) -> None:
        self.result = result
        self.row = row
        self.id: int = row["id"]
        self.service: str = row["service"]
        self.method: str = row["method"]
        self.target: str = row["target"]
        self.operation: str = row["operation"]
        self.status_code: int | None = row["status_code"]
        self.image_id: str | None = row["image_id"]
        self.ts = pd.Timestamp(row["ts"], tz="UTC")
        self.dur = None if row["dur"] is None else pd.Timedelta(row["dur"], "ns")

    def __repr__(self) -> str:
        return f"<call {self.id} {self.operation}, {self.status_code or 'no response'}>"

    def _repr_html_(self) -> str:
        from glancetrace.jupyter.cards import call_card

        return call_card(self)

    @cached_property
    def links(self) -> pd.DataFrame:
        """Its statements' links: how sure they are, and why."""
        links = self.result.links
        return links[links["call_id"] == self.id]

    @cached_property
    def statements(self) -> pd.DataFrame:
        """SQL statements that it ran."""
        statements = self.result.statements
        return statements[statements.index.isin(self.links["statement_id"])]

    @cached_property
    def nested(self) -> pd.DataFrame:
        """Calls that were made in its course (token validation, registry, Swift)."""
        calls = self.result.calls
        return calls[(calls["parent_id"] == self.id).fillna(value=False)]

    def plot(self) -> go.Figure:
        """Its lanes: client, API, database; see `glancetrace.jupyter.lanes`.

        Raises:
            UsageError: plotly is not installed.
        """
        from glancetrace.jupyter.lanes import plot_lanes

        return plot_lanes(self.result, self)

    def plot_throughput(self) -> go.Figure:
        """What its client sent over time, with stalls; see `glancetrace.jupyter.throughput`.

        Raises:
            UsageError: plotly is not installed, or the capture cannot be read again. InputError: it cannot be read.
        """
        from glancetrace.jupyter.throughput import plot_throughput

        return plot_throughput(self)

    def packets(self) -> PacketList:
        """See `Result.packets`."""
        return self.result.packets(self)

    def explain(self) -> Explanation:
        """See `Result.explain`."""
        return self.result.explain(call=self.id)


class StatementView:
    """One SQL statement; `row` is its row of the result, with times in ns."""

    def __init__(self, result: Result, row: Row) -> None:
        self.result = result
        self.row = row
        self.id: int = row["id"]
        self.sql: str | None = row["sql"]
        self.operation: str | None = row["operation"]

    def __repr__(self) -> str:
        return f"<statement {self.id} {' '.join((self.sql or self.row['command']).split())[:80]}>"

    @cached_property
    def call(self) -> CallView | None:
        """The call that ran it, None where none is known."""
        links = self.result.links
        own = links.loc[links["statement_id"] == self.id, "call_id"]
        return self.result.call(int(own.iloc[0])) if len(own) else None

    def packets(self) -> PacketList:
        """See `Result.packets`."""
        return self.result.packets(self)

    def explain(self) -> Explanation:
        """See `Result.explain`."""
        return self.result.explain(statement=self.id)


def find_image(result: Result, wanted: str) -> ImageView:
    """The image of that id or name, else the one whose id begins so (at least four digits).

    Raises:
        UsageError: there is none, or more than one.
    """
    rows = list(result.rows("images", raw_times=True))
    found = [row for row in rows if row["id"] == wanted] or [row for row in rows if row["name"] == wanted]
    if not found and len(wanted) >= _PREFIX_LEN:
        found = [row for row in rows if row["id"].startswith(wanted.lower())]
    if len(found) == 1:
        return ImageView(result, found[0])
    if found:
        raise UsageError(f"{len(found)} images match {wanted!r}", action=f"take an id: {_listed(found)}")
    raise UsageError(f"there is no image {wanted!r}", action=f"images: {_listed(rows)}" if rows else "there are none")


def _listed(rows: list[Row]) -> str:
    more = f" and {len(rows) - _LISTED} more" if len(rows) > _LISTED else ""
    return ", ".join(f"{row['id']} ({row['name']!r})" for row in rows[:_LISTED]) + more


def find_call(result: Result, number: int) -> CallView:
    """The call of that id.

    Raises:
        UsageError: there is none.
    """
    return CallView(result, _row(result, "api_calls", "call", number))


def find_statement(result: Result, number: int) -> StatementView:
    """The statement of that id.

    Raises:
        UsageError: there is none.
    """
    return StatementView(result, _row(result, "statements", "statement", number))


def _row(result: Result, table: str, what: str, number: int) -> Row:
    try:
        row = result.row(table, operator.index(number))
    except TypeError:
        raise UsageError(f"{number!r} is no id of a {what}", action="ids are integers: see the table's index") from None
    if row is None:
        last = result.count(table)
        raise UsageError(f"there is no {what} {number}", action=f"there are 1 to {last}" if last else "there are none")
    return row
