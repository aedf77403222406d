"""Shapes of statements that Glance and Keystone are known to send, so that they need not be parsed again on every run.

`known_shapes.json` holds what the parser said of them, by digest; it is made from the recorded samples
(`python -m tests.support.known_shapes`) and a test holds every entry against the parser. With each shape stand the
frames of its texts, which are the texts without strings and numbers. It saves time only: a statement that is not in it
is parsed.
"""

from __future__ import annotations

import os.path
from functools import cache
from typing import Any

import orjson

from glancetrace.sql.statement import Assignment, Predicate, Shape

__all__ = ["KNOWN_SHAPES", "known_frame", "known_shape", "shape_from_row"]

KNOWN_SHAPES = "known_shapes.json"


@cache
def _rows() -> dict[str, dict[str, Any]]:
    # The file lies beside this module; importlib.resources would cost more time than reading it.
    with open(os.path.join(os.path.dirname(__file__), KNOWN_SHAPES), "rb") as file:
        return {row["digest"]: row for row in orjson.loads(file.read())}


def known_shape(digest: str, text: str) -> Shape | None:
    """Shape of a statement with this digest and normalised text; None if it is not a known one."""
    row = _rows().get(digest)
    return shape_from_row(row) if row is not None and row["text"] == text else None


@cache
def _frames() -> dict[str, tuple[dict[str, Any], str]]:
    return {frame: (row, kinds) for row in _rows().values() for frame, kinds in row.get("frames", ())}


def known_frame(frame: str) -> tuple[Shape, str] | None:
    """Shape and kinds of literals (see `glancetrace.sql.parser`) of texts with this frame; None if it is not known."""
    known = _frames().get(frame)
    return (shape_from_row(known[0]), known[1]) if known is not None else None


def shape_from_row(row: dict[str, Any]) -> Shape:
    """A `Shape` from its JSON form, which is that of its fields."""
    return Shape(
        digest=row["digest"],
        text=row["text"],
        operation=row["operation"],
        tables=tuple(row["tables"]),
        schemas=tuple(row["schemas"]),
        assignments=tuple(Assignment(**a) for a in row["assignments"]),
        predicates=tuple(Predicate(**{**p, "slots": tuple(p["slots"])}) for p in row["predicates"]),
        limit=row["limit"],
        parsed=row["parsed"],
    )
