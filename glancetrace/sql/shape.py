"""A statement's template -> its `Shape`, read once per digest.

The tree is sqlglot's (`tree`), imported when the first statement needs it. Only statements that name tables and rows
are parsed; COMMIT, SET, SHOW and their like are known by their first word.
"""

from __future__ import annotations

from dataclasses import replace

from glancetrace.sql.statement import Shape
from glancetrace.sql.template import Template

__all__ = ["PARSED_OPERATIONS", "read_shape"]

PARSED_OPERATIONS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH"})
"""Operations that name tables, columns and rows."""

_MAX_SOURCE = 65_536


def read_shape(template: Template) -> Shape:
    """The shape of a template, its slots being *places* (see `template`); `parsed` is False if sqlglot gives up."""
    bare = Shape(template.digest, template.text, template.operation)
    if template.operation not in PARSED_OPERATIONS or _reads_no_table(template):
        return bare
    if len(template.source) > _MAX_SOURCE:
        return replace(bare, parsed=False)
    from glancetrace.sql.tree import TreeReader, parse_tree

    tree = parse_tree(_parser_text(template))
    return replace(bare, parsed=False) if tree is None else TreeReader(tree).shape(bare)


def _reads_no_table(template: Template) -> bool:
    """`SELECT 1`, `SELECT VERSION()`, `SELECT @@tx_isolation`."""
    return template.operation == "SELECT" and "FROM" not in template.source.upper()


def _parser_text(template: Template) -> str:
    """What the SQL parser is given: the outermost plain column list is left out, for it names nothing of interest."""
    source = template.source
    if template.operation == "REPLACE":
        return "INSERT" + source.lstrip("( ")[7:]
    if template.operation == "SELECT" and source[:7].upper() == "SELECT ":
        columns, found, rest = source.partition(" FROM ")
        if found and "(" not in columns and "'" not in columns:
            return "SELECT * FROM " + rest
    return source
