"""A statement in one short line: what a person needs of SQLAlchemy's two kilobytes."""

from __future__ import annotations

from glancetrace.glance.statement import SqlStatement
from glancetrace.redact import REDACTED, Redactor, is_secret_name
from glancetrace.sql.statement import Literal, Predicate, Statement

__all__ = ["describe_result", "describe_statement"]

_SHOWN = 6
_LONGEST = 60
_FIRST = ("status", "name", "value", "deleted")


def _literal(value: Literal) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"x'{value[:16].hex()}'"
    return f"'{value}'" if isinstance(value, str) else str(value)


def _pair(column: str, operator: str, value: str, redactor: Redactor) -> str:
    """`column=value`, redacted as a whole and shortened after that."""
    text = redactor.text(f"{column}{operator}{value}")
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _assignments(statement: Statement, redactor: Redactor) -> str:
    values = statement.assigned()
    if "value" in values and is_secret_name(str(values.get("name"))) and not redactor.reveal:
        values = {**values, "value": REDACTED}  # a property, which has its name in one column and its value in another
    names = [name for name in _FIRST if name in values] + [name for name in values if name not in _FIRST]
    pairs = [_pair(name, "=", _literal(values[name]), redactor) for name in names[:_SHOWN]]
    return ", ".join(pairs) + (", …" if len(names) > _SHOWN else "")


def _condition(predicate: Predicate, statement: Statement, redactor: Redactor) -> str:
    column = f"{predicate.table}.{predicate.column}" if predicate.table else predicate.column
    values = [_literal(statement.literals[slot]) for slot in predicate.slots[:3]]
    if not predicate.slots:
        values = [_literal(predicate.constant)]
    if len(predicate.slots) > 3:
        values.append("…")
    joined = values[0] if len(values) == 1 else f"({', '.join(values)})"
    operator = "=" if predicate.operator == "=" else f" {predicate.operator} "
    return _pair(column, operator, joined, redactor)


def describe_statement(statement: SqlStatement, redactor: Redactor) -> str:
    """`UPDATE images SET status='saving', … WHERE images.id='7b1a…'`, secrets replaced."""
    parsed = statement.parsed
    if parsed is None or not parsed.shape.tables:
        sql = statement.command.sql
        command = statement.command.command
        if sql is None:
            return command
        return redactor.text(sql if command == "COM_QUERY" else f"{command} {sql}")
    shape = parsed.shape
    text = f"{shape.operation} {', '.join(shape.tables)}"
    if shape.assignments:
        text += f" SET {_assignments(parsed, redactor)}"
    conditions = [_condition(p, parsed, redactor) for p in shape.predicates if p.conjunct and (p.slots or not p.table)]
    if conditions:
        text += f" WHERE {' AND '.join(conditions[:_SHOWN])}{' AND …' if len(conditions) > _SHOWN else ''}"
    return text


def describe_result(statement: SqlStatement) -> str:
    """`1 row`, `2 changed`, `error 1213`, `no response`."""
    command = statement.command
    if command.error is not None:
        return f"error {command.error.code}"
    if command.returned_rows is not None:
        return f"{command.returned_rows:,} {'row' if command.returned_rows == 1 else 'rows'}"
    if command.response_frame is None:
        return "no response"
    if command.affected_rows and statement.operation in ("INSERT", "UPDATE", "DELETE", "REPLACE"):
        return f"{command.affected_rows:,} changed"
    return "none changed" if statement.operation in ("UPDATE", "DELETE") else "OK"
