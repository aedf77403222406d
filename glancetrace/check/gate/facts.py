"""A result document with its cross references, made once per check; everything that judges looks things up here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from glancetrace.check.gate.hidden import Hidden, find_hidden
from glancetrace.sql.parser import StatementParser
from glancetrace.sql.statement import Shape

__all__ = ["Facts", "frames_of"]

Row = dict[str, Any]
_MOST_FRAMES = 20


def frames_of(*frames: int | Sequence[int] | None) -> list[int]:
    """Frames as proof: ascending, each once, at most 20, without those that are not known."""
    found: set[int] = set()
    for entry in frames:
        found.update([entry] if isinstance(entry, int) else entry or ())
    return sorted(found - {0})[:_MOST_FRAMES]


class Facts:
    """Rows of the document by what they belong to."""

    def __init__(self, document: Row) -> None:
        self.document = document
        self.capture: Row = document["capture"]
        self.calls: list[Row] = document["api_calls"]
        self.statements: list[Row] = document["statements"]
        self.images: list[Row] = document["images"]
        self.findings: list[Row] = document["findings"]
        self._parser = StatementParser()
        self._shapes: dict[str, Shape] = {}

    @cached_property
    def hidden(self) -> Hidden:
        """What the capture cannot show."""
        return find_hidden(self.document)

    @cached_property
    def call_of(self) -> dict[int, Row]:
        """Call id -> call."""
        return {call["id"]: call for call in self.calls}

    @cached_property
    def links_of_call(self) -> dict[int, list[Row]]:
        """Call id -> links of the statements that it ran before its response."""
        found: dict[int, list[Row]] = defaultdict(list)
        for link in self.document["links"]:
            if link["relation"] == "in_request":
                found[link["call_id"]].append(link)
        return found

    @cached_property
    def call_of_statement(self) -> dict[int, int]:
        """Statement id -> call id."""
        return {link["statement_id"]: link["call_id"] for link in self.document["links"]}

    @cached_property
    def statement_of(self) -> dict[int, Row]:
        """Statement id -> statement."""
        return {statement["id"]: statement for statement in self.statements}

    @cached_property
    def unlinked(self) -> int:
        """Statements of Glance that some call ran, and nobody knows which."""
        return sum(s["kind"] == "unattributed" and s["service"] == "glance" for s in self.statements)

    def running(self, image_id: str) -> bool:
        """The capture ends while work on an image goes on."""
        return any(f["rule"] == "upload-running" and f["image_id"] == image_id for f in self.findings)

    def shape(self, statement: Row) -> Shape | None:
        """What a statement's text says, without its literals; each digest is read once."""
        digest, text = statement["digest"], statement["sql"]
        if digest is None or text is None:
            return None
        if digest not in self._shapes:
            self._shapes[digest] = self._parser.parse(text).shape
        return self._shapes[digest]

    def outer(self, calls: Iterable[Row]) -> list[Row]:
        """Calls whose answer concerns somebody: not those within a call that went well all the same."""
        kept = []
        for call in calls:
            parent = self.call_of.get(call["parent_id"] or 0)
            if parent is None or (parent["status_code"] or 500) >= 400:
                kept.append(call)
        return kept
