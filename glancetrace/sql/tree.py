"""sqlglot's syntax tree -> tables, assignments and predicates of a `Shape`.

Names are resolved the way SQL does it: through aliases (`image_properties AS image_properties_1`) and through derived
tables (`FROM (SELECT images.id AS images_id ...) AS a WHERE a.images_id = ...` is a predicate on `images.id`).

A predicate is a *conjunct* when it holds for every row of the result: it stands in the AND-ed part of WHERE, of an
inner join's ON, of a derived table in FROM, or in all branches of a UNION.

This module imports sqlglot (about 0.1 s): only `shape` imports it, when the first statement needs it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from glancetrace.sql.statement import Assignment, Literal, Predicate, Shape

__all__ = ["TreeReader", "parse_tree"]

logging.getLogger("sqlglot").addHandler(logging.NullHandler())

_STATEMENTS = (exp.Select, exp.SetOperation, exp.Subquery, exp.Insert, exp.Update, exp.Delete)
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_NEGATED = {"=": "!=", "!=": "=", "<": ">=", "<=": ">", ">": "<=", ">=": "<", "IN": "NOT IN", "IS": "IS NOT",
            "LIKE": "NOT LIKE"}  # fmt: skip
_OPERATORS: dict[type, str] = {
    exp.EQ: "=", exp.NullSafeEQ: "=", exp.NEQ: "!=", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
    exp.Like: "LIKE", exp.Is: "IS", exp.In: "IN",
}  # fmt: skip


def parse_tree(text: str) -> exp.Expression | None:
    """The syntax tree of one statement; None when it is none that reads or writes tables, or cannot be read."""
    try:
        tree = sqlglot.parse_one(text, dialect="mysql")
    except (SqlglotError, RecursionError, ValueError, TypeError, AttributeError, LookupError):
        # Text that is no SQL makes sqlglot raise nearly anything; what it cannot read is not known, and counted.
        return None
    if not isinstance(tree, _STATEMENTS) or (isinstance(tree, exp.Update) and not tree.expressions):
        return None
    return tree


@dataclass(slots=True)
class _Scope:
    """Names that a SELECT (or UPDATE, DELETE) can use: alias -> real table name, or the derived table's query."""

    tables: dict[str, str] = field(default_factory=dict)
    derived: dict[str, exp.Expression] = field(default_factory=dict)
    parent: _Scope | None = None


class TreeReader:
    """Reads one tree; literals in it are numbers of places (see `template`)."""

    def __init__(self, tree: exp.Expression) -> None:
        self.tree = tree
        self.ctes: dict[str, exp.Expression] = {cte.alias: cte.this for cte in tree.find_all(exp.CTE)}
        self.scopes: dict[int, _Scope] = {}

    def shape(self, bare: Shape) -> Shape:
        """`bare` with everything the tree says."""
        tree = self.tree
        tables: dict[str, None] = {}
        schemas: dict[str, None] = {}
        for table in tree.find_all(exp.Table, bfs=False):
            if table.name and table.name not in self.ctes:
                tables[table.name] = None
                if table.db:
                    schemas[table.db] = None
        operation = bare.operation
        if operation == "WITH":
            operation = {exp.Insert: "INSERT", exp.Update: "UPDATE", exp.Delete: "DELETE"}.get(type(tree), "SELECT")
        return replace(
            bare,
            operation=operation,
            tables=tuple(tables),
            schemas=tuple(schemas),
            assignments=tuple(self._assignments()),
            predicates=tuple(dict.fromkeys(self._predicates(tree, None, True))),
            limit=self._limit(tree),
        )

    # Assignments

    def _assignments(self) -> Iterator[Assignment]:
        tree = self.tree
        if isinstance(tree, exp.Update):
            for item in tree.expressions:
                if isinstance(item, exp.EQ) and isinstance(item.this, exp.Column):
                    yield self._assignment(item.this.name, item.expression, 0)
        elif isinstance(tree, exp.Insert) and isinstance(tree.this, exp.Schema):
            names = [column.name for column in tree.this.expressions]
            values = tree.args.get("expression")
            rows = values.expressions if isinstance(values, exp.Values) else []
            for number, row in enumerate(rows):
                cells = row.expressions if isinstance(row, exp.Tuple) else [row]
                for name, value in zip(names, cells, strict=False):
                    yield self._assignment(name, value, number)

    def _assignment(self, column: str, value: exp.Expression, row: int) -> Assignment:
        found = self._literal(value)
        if found is None:
            return Assignment(column, None, expression=True, row=row)
        slot, constant = found
        return Assignment(column, slot, constant, row=row)

    def _literal(self, node: exp.Expression | None) -> tuple[int | None, Literal] | None:
        """(place, None) of a literal, (None, value) of a constant, None for anything else."""
        while isinstance(node, exp.Paren | exp.Collate):
            node = node.this
        if isinstance(node, exp.Literal):
            text = str(node.this)
            return (int(text), None) if text.isdecimal() else None
        if isinstance(node, exp.Null):
            return None, None
        if isinstance(node, exp.Boolean):
            return None, bool(node.this)
        return None

    # Names

    def _scope(self, query: exp.Expression, parent: _Scope | None) -> _Scope:
        known = self.scopes.get(id(query))
        if known is not None:
            return known
        scope = self.scopes[id(query)] = _Scope(parent=parent)
        for source in self._sources(query):
            if isinstance(source, exp.Table):
                cte = self.ctes.get(source.name) if not source.db else None
                if cte is None:
                    scope.tables[source.alias or source.name] = source.name
                else:
                    scope.derived[source.alias or source.name] = cte
            elif isinstance(source, exp.Subquery):
                scope.derived[source.alias] = source.this
        return scope

    def _sources(self, query: exp.Expression) -> Iterator[exp.Expression]:
        """Tables and derived tables of FROM and its joins, in order."""
        if isinstance(query, exp.Select):
            start = query.args.get("from_")
            if start is not None:
                yield from self._joined(start.this)
        elif query.this is not None and not isinstance(query.this, exp.Schema):
            yield from self._joined(query.this)
        for join in query.args.get("joins") or ():
            yield from self._joined(join.this)

    def _joined(self, source: exp.Expression) -> Iterator[exp.Expression]:
        if isinstance(source, exp.Paren):
            yield from self._joined(source.this)
            return
        yield source
        for join in source.args.get("joins") or ():
            yield from self._joined(join.this)

    def _resolve(self, qualifier: str, name: str, scope: _Scope | None, depth: int = 0) -> tuple[str, str]:
        """(real table, column) of a name; the table is "" when it cannot be told."""
        while scope is not None and depth < 32:
            if qualifier:
                if qualifier in scope.tables:
                    return scope.tables[qualifier], name
                if qualifier in scope.derived:
                    return self._resolve_derived(scope.derived[qualifier], name, depth)
            elif len(scope.tables) + len(scope.derived) == 1:
                if scope.tables:
                    return next(iter(scope.tables.values())), name
                return self._resolve_derived(next(iter(scope.derived.values())), name, depth)
            elif scope.tables or scope.derived:
                return "", name
            scope = scope.parent
        return "", name

    def _resolve_derived(self, query: exp.Expression, name: str, depth: int) -> tuple[str, str]:
        """The column behind the projection `name` of a derived table (of its first branch if it is a UNION)."""
        while isinstance(query, exp.SetOperation | exp.Subquery):
            query = query.this
        if not isinstance(query, exp.Select):
            return "", name
        inner = self._scope(query, None)
        for item in query.expressions:
            if item.alias_or_name == name:
                column = item.this if isinstance(item, exp.Alias) else item
                if isinstance(column, exp.Column):
                    return self._resolve(column.table, column.name, inner, depth + 1)
                return "", name
        starred = any(isinstance(item, exp.Star) for item in query.expressions)
        return self._resolve("", name, inner, depth + 1) if starred else ("", name)

    # Predicates

    def _predicates(self, query: exp.Expression, parent: _Scope | None, holds: bool) -> Iterator[Predicate]:
        if isinstance(query, exp.Subquery):
            yield from self._predicates(query.this, parent, holds)
            return
        if isinstance(query, exp.SetOperation):
            yield from self._union(query, parent, holds)
            return
        if isinstance(query, exp.Insert):
            source = query.args.get("expression")
            if isinstance(source, exp.Select | exp.SetOperation | exp.Subquery):
                yield from self._predicates(source, None, holds)
            return
        if not isinstance(query, exp.Select | exp.Update | exp.Delete):
            return
        scope = self._scope(query, parent)
        for cte in query.args["with_"].expressions if query.args.get("with_") else ():
            yield from self._predicates(cte.this, None, False)
        for source in self._sources(query):
            outer = isinstance(source.parent, exp.Join) and source.parent.side in ("LEFT", "FULL")
            if isinstance(source, exp.Subquery):
                yield from self._predicates(source.this, scope, holds and not outer)
            if isinstance(source.parent, exp.Join) and source.parent.args.get("on") is not None:
                inner = not source.parent.side
                yield from self._condition(source.parent.args["on"], scope, holds and inner)
        where = query.args.get("where")
        if where is not None:
            yield from self._condition(where.this, scope, holds)

    def _union(self, query: exp.Expression, parent: _Scope | None, holds: bool) -> Iterator[Predicate]:
        """A predicate on a column that all branches have (equal values or one of some) holds for every row."""
        branches: list[list[Predicate]] = []
        stack = [query]
        while stack:
            node = stack.pop()
            if isinstance(node, exp.SetOperation):
                stack.extend((node.args["expression"], node.this))
            elif isinstance(node, exp.Subquery):
                stack.append(node.this)
            else:
                branches.append(list(self._predicates(node, parent, holds)))
        keys = [{_union_key(p) for p in branch if p.conjunct} for branch in branches]
        shared = set.intersection(*keys) if keys else set()
        for branch in branches:
            for p in branch:
                yield p if not p.conjunct or _union_key(p) in shared else replace(p, conjunct=False)

    def _condition(self, node: exp.Expression, scope: _Scope, holds: bool) -> Iterator[Predicate]:
        """Predicates of a condition, in text order; `holds`: the condition is true for every row."""
        stack: list[tuple[exp.Expression, bool, bool]] = [(node, holds, False)]
        while stack:
            item, true, negated = stack.pop()
            if isinstance(item, exp.Paren):
                stack.append((item.this, true, negated))
            elif isinstance(item, exp.Not):
                stack.append((item.this, true, not negated))
            elif isinstance(item, exp.And | exp.Or | exp.Xor):
                both = true and isinstance(item, exp.And) != negated and not isinstance(item, exp.Xor)
                stack.append((item.expression, both, negated))
                stack.append((item.this, both, negated))
            elif isinstance(item, exp.Between):
                both = true and not negated
                for operator, bound in ((">=", item.args["low"]), ("<=", item.args["high"])):
                    yield from self._comparison(item.this, operator, bound, scope, both, negated)
            elif isinstance(item, exp.Exists):
                yield from self._predicates(item.this, scope, False)
            elif type(item) in _OPERATORS:
                yield from self._operator(item, scope, true, negated)

    def _operator(self, item: exp.Expression, scope: _Scope, holds: bool, negated: bool) -> Iterator[Predicate]:
        operator = _OPERATORS[type(item)]
        if item.args.get("negate"):
            negated = not negated
        if isinstance(item, exp.In):
            query = item.args.get("query")
            if query is not None:
                yield from self._predicates(query, scope, False)
                return
            places = [found[0] for found in map(self._literal, item.expressions) if found and found[0] is not None]
            column = self._column(item.this, scope)
            if column is not None and places and len(places) == len(item.expressions):
                yield Predicate(*column, "NOT IN" if negated else "IN", tuple(places), conjunct=holds)
            return
        yield from self._comparison(item.this, operator, item.expression, scope, holds, negated)

    def _comparison(
        self, left: exp.Expression, operator: str, right: exp.Expression, scope: _Scope, holds: bool, negated: bool
    ) -> Iterator[Predicate]:
        found, column = self._literal(right), self._column(left, scope)
        if found is None or column is None:
            found, column = self._literal(left), self._column(right, scope)
            operator = _MIRRORED.get(operator, operator)
            if found is None or column is None or operator == "LIKE":
                return
        if negated:
            operator = _NEGATED.get(operator, "")
            if not operator:
                return
        slot, constant = found
        yield Predicate(*column, operator, () if slot is None else (slot,), constant, holds)

    def _column(self, node: exp.Expression, scope: _Scope) -> tuple[str, str] | None:
        while isinstance(node, exp.Paren | exp.Collate | exp.Binary) and not isinstance(node, exp.Predicate):
            if isinstance(node, exp.Binary) and not isinstance(node, exp.Collate):
                return None
            node = node.this
        return self._resolve(node.table, node.name, scope) if isinstance(node, exp.Column) else None

    def _limit(self, query: exp.Expression | None) -> int | None:
        """Place of the LIMIT's literal: of the outermost query that has one, derived tables in FROM included."""
        while query is not None:
            limit = query.args.get("limit")
            if limit is not None:
                found = self._literal(limit.args.get("expression"))
                return found[0] if found else None
            if isinstance(query, exp.Subquery):
                query = query.this
            elif isinstance(query, exp.Select) and query.args.get("from_") is not None:
                query = query.args["from_"].this
            else:
                return None
        return None


def _union_key(p: Predicate) -> tuple[str, str, str, Literal]:
    values = p.slots if p.operator not in ("=", "IN") else ()
    operator = "=" if p.operator in ("=", "IN") and p.slots else p.operator
    return p.table, p.column, operator + repr(values), p.constant
