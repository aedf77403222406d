"""SQL as it may be shown: with its literals, or without them where one is a secret by its looks or by its column."""

from __future__ import annotations

from functools import lru_cache

from glancetrace.glance.statement import SqlStatement
from glancetrace.redact import Redactor, is_secret_name
from glancetrace.sql.statement import Shape

__all__ = ["shown_sql"]

_SHORTEST_SECRET = 16
"""A statement with less text (COMMIT, ROLLBACK) has no room for a secret."""


@lru_cache(maxsize=4096)
def _writes_secret(shape: Shape) -> bool:
    """A literal of such a statement is a secret by the column that it stands beside, whatever it looks like."""
    columns = [a.column for a in shape.assignments if a.slot is not None]
    columns += [p.column for p in shape.predicates if p.slots]
    return any(map(is_secret_name, columns))


def shown_sql(statement: SqlStatement, redactor: Redactor) -> str | None:
    """Text of a statement as it may be shown; without its literals where one of them is a secret."""
    text = statement.command.sql
    parsed = statement.parsed
    if text is None or len(text) < _SHORTEST_SECRET or redactor.reveal:
        return text
    if parsed is None or parsed.comment or not parsed.shape.parsed or not parsed.shape.tables:
        return redactor.text(text)
    if _writes_secret(parsed.shape):
        return parsed.shape.text
    return text if redactor.are_harmless(parsed.literals) else redactor.text(text)
