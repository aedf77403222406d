"""What a statement says, once per shape: a `Shape` is the statement with its literals taken out, a `Statement` is a
shape and the literals of one execution."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Assignment", "Literal", "Predicate", "Shape", "Statement"]

Literal = str | int | float | bytes | None


@dataclass(frozen=True, slots=True)
class Assignment:
    """`column = value` of an UPDATE's SET or an INSERT's VALUES; `row` counts the rows of a multi-row INSERT.

    `slot` is the index of the literal in the statement's literals; None when the value is a constant (`constant`: NULL,
    true, DEFAULT ...) or an expression (`constant` None and `expression` True).
    """

    column: str
    slot: int | None
    constant: Literal = None
    expression: bool = False
    row: int = 0


@dataclass(frozen=True, slots=True)
class Predicate:
    """`table.column operator value` of a WHERE or JOIN condition that compares a column with literals.

    `table` is the real table's name, "" if unknown. `operator` is =, !=, <, <=, >, >=, IN, NOT IN, LIKE, IS, IS NOT.
    `slots` index the literals (several for IN); `constant` holds NULL/true/false when there is no slot.
    `conjunct`: it stands at the top level of the WHERE (AND-ed), so it holds for every row.
    """

    table: str
    column: str
    operator: str
    slots: tuple[int, ...]
    constant: Literal = None
    conjunct: bool = True


@dataclass(frozen=True, slots=True)
class Shape:
    """A statement without its literals.

    Attributes:
        digest: 16 hex digits, equal for statements that differ only in literals, white space and length of IN lists.
        text: the normalised text, literals as `?`.
        operation: SELECT, INSERT, UPDATE, DELETE, REPLACE, COMMIT, ROLLBACK, BEGIN, SET, SHOW, ... upper case.
        tables: real tables, in order of appearance, without schema.
        schemas: schemas named explicitly (`glance.images`).
        assignments, predicates: see there.
        limit: slot of the LIMIT literal, None without.
        parsed: False when only the first word is known.
    """

    digest: str
    text: str
    operation: str
    tables: tuple[str, ...] = ()
    schemas: tuple[str, ...] = ()
    assignments: tuple[Assignment, ...] = ()
    predicates: tuple[Predicate, ...] = ()
    limit: int | None = None
    parsed: bool = True

    def __hash__(self) -> int:
        """By digest: what is known of a shape is looked up for every statement."""
        return hash(self.digest)


@dataclass(slots=True)
class Statement:
    """A shape with the literals of one execution, in the order of the text.

    `comment` is the text of the statement's comments, which are no part of the shape (they may carry request ids).
    """

    shape: Shape
    literals: tuple[Literal, ...]
    comment: str = ""

    def assigned(self, row: int = 0) -> dict[str, Literal]:
        """Column -> value that the statement writes (expressions are left out)."""
        return {
            a.column: a.constant if a.slot is None else self.literals[a.slot]
            for a in self.shape.assignments
            if a.row == row and not a.expression
        }

    def equal_to(self, table: str, column: str) -> tuple[Literal, ...]:
        """Values that `table.column` must equal (= or IN), from conditions that hold for every row."""
        return tuple(
            self.literals[slot]
            for p in self.shape.predicates
            if p.conjunct and p.column == column and p.table == table and p.operator in ("=", "IN")
            for slot in p.slots
        )
