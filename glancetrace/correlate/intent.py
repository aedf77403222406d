"""What a unit of work was about to write: it commits, though it has only read.

Glance opens a session either to read or to write, and one to write is committed even if there was nothing to write: the
tags of an image are read again after each save, and mostly they are as they should be. Where a service ends by ROLLBACK
what it only reads (eras 1 and 3), a COMMIT tells that the call was about to write what it had read. Whether a service
does so tell its reads of images, which are never for writing; in era 2 all of them end with a COMMIT.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from glancetrace.correlate.facts import UnitFacts

__all__ = ["tell_intent"]

_ENOUGH = 10
"""Reads of images that must have shown how a service ends them."""
_SHARE = 0.01
"""Share of them that may end otherwise."""


def tell_intent(units: Sequence[UnitFacts]) -> None:
    """Fill `prepared` of units that commit what they only read."""
    reads: Counter[str] = Counter()
    committed: Counter[str] = Counter()
    prepared: list[tuple[UnitFacts, frozenset[str]]] = []
    for unit in units:
        tables, commits = _read_only(unit)
        if "images" in tables:
            reads[unit.client] += 1
            committed[unit.client] += commits
        elif tables and commits:
            prepared.append((unit, tables))
    for unit, tables in prepared:
        client = unit.client
        if reads[client] >= _ENOUGH and committed[client] <= _SHARE * reads[client]:
            unit.prepared = tables


def _read_only(unit: UnitFacts) -> tuple[frozenset[str], bool]:
    """The tables that a unit reads if it does nothing else, and whether it commits."""
    tables: set[str] = set()
    commits = False
    for statement in unit.unit.statements:
        operation = statement.operation
        if operation == "SELECT":
            if statement.parsed is not None:
                tables.update(statement.parsed.shape.tables[:1])
        elif operation == "COMMIT":
            commits = True
        elif statement.kind == "request" and operation != "ROLLBACK":
            return frozenset(), False
    return frozenset(tables), commits
