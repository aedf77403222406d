"""A statement's template -> its `Shape`, read once per digest.

The tree is sqlglot's (`tree`), imported when the first statement needs it. Only statements that name tables and rows
are parsed; COMMIT, SET, SHOW and their like are known by their first word.
"""

from __future__ import annotations

import re
from dataclasses import replace

from glancetrace.sql.statement import Shape
from glancetrace.sql.template import Template

__all__ = ["PARSED_OPERATIONS", "read_shape"]

PARSED_OPERATIONS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH"})
"""Operations that name tables, columns and rows."""

_MAX_SOURCE = 65_536
_LABELLED = re.compile(r"(?:(?<=, )|(?<=SELECT ))([a-z]\w*\.\w+) AS (\w+)(?=, | FROM )")
_UNUSED = re.compile(r"\b1(?:, 1)+\b(?!['.])")
_WORD = re.compile(r"\w+")


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
    """What the SQL parser is given: without the labelled columns that nothing refers to, which are most of the text."""
    source = template.source
    if template.operation == "REPLACE":
        return "INSERT" + source.lstrip("( ")[7:]
    if template.operation != "SELECT":
        return source
    columns, found, rest = source.partition(" FROM ")
    if found and columns.isascii() and "(" not in columns and "'" not in columns:
        source = "SELECT * FROM " + rest
    return _without_unused(source) if " AS " in source else source


def _without_unused(source: str) -> str:
    """`source` with `1` for each `table.column AS label` whose label no other part uses.

    The labels that are used are the words that stand outside of such columns, and those in columns that are used.
    """
    columns: dict[str, set[str]] = {}
    for match in _LABELLED.finditer(source):
        columns.setdefault(match[2], set()).add(match[1].partition(".")[2])
    if not columns:
        return source
    reached = set(_WORD.findall(_LABELLED.sub("", source))) & columns.keys()
    used: set[str] = set()
    while reached:
        used |= reached
        reached = set().union(*(columns[label] for label in reached)) & (columns.keys() - used)
    shortened = _LABELLED.sub(lambda match: match[0] if match[2] in used else "1", source)
    return _UNUSED.sub("1", shortened)
