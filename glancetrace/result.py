"""What a result offers to Python, whether it was just analysed or is read from disk: `Trace` and `SavedTrace` are both.

Everything here is made of the rows of the result document, so that it holds no secret and is the same for both. Tables
are DataFrames, made when they are first asked for.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from glancetrace.schema import TABLES

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    from scapy.plist import PacketList

    from glancetrace.explain import Explanation
    from glancetrace.views import CallView, ImageView, StatementView

__all__ = ["Result", "Row", "Shown"]

Row = dict[str, Any]


class Shown(ABC):
    """What shows itself in a notebook: as HTML, and as a line of text where there is no HTML."""

    @abstractmethod
    def _repr_html_(self) -> str:
        """The card."""

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """What Jupyter asks for; only what it wants is made."""
        forms = {"text/plain": self.__repr__, "text/html": self._repr_html_}
        wanted = [mime for mime in forms if (not include or mime in include) and mime not in (exclude or ())]
        return {mime: forms[mime]() for mime in wanted}


class Result(Shown):
    """A result with its tables; see `glancetrace.schema` for their columns."""

    @abstractmethod
    def capture_row(self, *, raw_times: bool = False) -> Row:
        """What was read, with the fields of `glancetrace.schema.CAPTURE`."""

    @abstractmethod
    def rows(self, table: str, *, raw_times: bool = False) -> Iterator[Row]:
        """Rows of a table of `glancetrace.schema.TABLES`; times are RFC 3339, or integer ns if `raw_times`.

        Raises:
            KeyError: there is no such table.
        """

    @abstractmethod
    def row(self, table: str, number: int) -> Row | None:
        """The row of `api_calls` or `statements` with that id, with times in ns; None if there is none."""

    @abstractmethod
    def count(self, table: str) -> int:
        """Rows of a table.

        Raises:
            KeyError: there is no such table.
        """

    @abstractmethod
    def explain(
        self, *, statement: int | None = None, call: int | None = None, frame: int | None = None
    ) -> Explanation:
        """Why statements were linked as they were: those of one unit of work, of a call, or in a frame.

        Raises:
            UsageError: not exactly one of the three is given, there is no such row, or the trace is a saved one.
        """

    def __repr__(self) -> str:
        from glancetrace.jupyter.cards import trace_line

        return trace_line(self)

    def _repr_html_(self) -> str:
        from glancetrace.jupyter.cards import trace_card

        return trace_card(self)

    def rows_of(self, table: str, numbers: Iterable[int]) -> Iterator[Row]:
        """Rows of `api_calls` or `statements` by their ids, with times in ns; ids that there are not are left out."""
        return (row for number in numbers if (row := self.row(table, int(number))) is not None)

    def document(self) -> Row:
        """The whole result as plain data: the document of `glancetrace analyze --format json`."""
        from glancetrace.document import DOCUMENT_TABLES
        from glancetrace.schema import SCHEMA

        document: Row = {"schema": SCHEMA, "capture": self.capture_row()}
        for table in DOCUMENT_TABLES:
            lists = [column.name for column in TABLES[table] if column.type == "list"]
            rows = document[table] = list(self.rows(table))
            for row in rows:
                for name in lists:  # tuples are lists in JSON
                    row[name] = list(row[name])
        return document

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Write the result to a directory, a Parquet file per table, for `glancetrace.load` and other tools.

        What is written is what the tables show: secrets are replaced, unless `reveal` was asked for. An earlier result
        there is replaced.

        Raises:
            GlancetraceError: it cannot be written.
        """
        from glancetrace.saved import save

        save(self, directory)

    def image(self, name_or_id: str) -> ImageView:
        """One image, by its id, its name, or the first digits of its id.

        Raises:
            UsageError: there is none, or more than one.
        """
        from glancetrace.views import find_image

        return find_image(self, name_or_id)

    def call(self, number: int) -> CallView:
        """One API call, by its id.

        Raises:
            UsageError: there is none.
        """
        from glancetrace.views import find_call

        return find_call(self, number)

    def statement(self, number: int) -> StatementView:
        """One SQL statement, by its id.

        Raises:
            UsageError: there is none.
        """
        from glancetrace.views import find_statement

        return find_statement(self, number)

    def packets(self, what: CallView | ImageView | StatementView) -> PacketList:
        """The packets of a call (with its statements and nested calls), a statement or an image, for scapy.

        They are read again from the capture, and keep their bytes: passwords and tokens in them are not redacted, and
        what was encrypted stays so (`glancetrace extract` brings the handshakes along, for Wireshark to decrypt it).

        Raises:
            UsageError: scapy is not installed (extra `notebook`), the capture is gone, was read from a pipe or merged,
                there are too many packets, or `what` is none of these. InputError: it cannot be read.
        """
        from glancetrace.packets import read_packets

        return read_packets(what)

    def plot(self) -> go.Figure:
        """State timeline of all images: a lane each, coloured by status, calls and SQL on hover.

        Raises:
            UsageError: plotly is not installed (extra `notebook`), as for all plots.
        """
        from glancetrace.jupyter.states import plot_states

        return plot_states(self)

    def plot_latency(self) -> go.Figure:
        """Time per call by operation, and its share of SQL."""
        from glancetrace.jupyter.operations import plot_latency

        return plot_latency(self)

    def plot_statements(self) -> go.Figure:
        """SQL statements per call by operation."""
        from glancetrace.jupyter.operations import plot_statements

        return plot_statements(self)

    def plot_concurrency(self) -> go.Figure:
        """Calls and statements that are under way at the same time."""
        from glancetrace.jupyter.load import plot_concurrency

        return plot_concurrency(self)

    def frame(self, table: str) -> pd.DataFrame:
        """A table of `glancetrace.schema.TABLES` as a DataFrame (UTC datetimes, timedeltas, categoricals).

        Raises:
            UsageError: there is no such table.
        """
        from glancetrace.errors import UsageError
        from glancetrace.frames import build_frame

        if table not in TABLES:
            raise UsageError(f"there is no table {table!r}", action=f"one of {', '.join(TABLES)}")
        return build_frame(table, self.rows(table, raw_times=True))

    @cached_property
    def calls(self) -> pd.DataFrame:
        """API calls."""
        return self.frame("api_calls")

    @cached_property
    def statements(self) -> pd.DataFrame:
        """SQL statements."""
        return self.frame("statements")

    @cached_property
    def links(self) -> pd.DataFrame:
        """Statement -> call."""
        return self.frame("links")

    @cached_property
    def images(self) -> pd.DataFrame:
        """Images."""
        return self.frame("images")

    @cached_property
    def transitions(self) -> pd.DataFrame:
        """Status changes of all images."""
        return self.frame("transitions")

    @cached_property
    def intervals(self) -> pd.DataFrame:
        """Time of each image in each status."""
        return self.frame("intervals")

    @cached_property
    def events(self) -> pd.DataFrame:
        """What else happened to images."""
        return self.frame("events")

    @cached_property
    def connections(self) -> pd.DataFrame:
        """Connections of interest."""
        return self.frame("connections")

    @cached_property
    def findings(self) -> pd.DataFrame:
        """Findings."""
        return self.frame("findings")

    @cached_property
    def issues(self) -> pd.DataFrame:
        """What is wrong with the capture."""
        return self.frame("issues")
