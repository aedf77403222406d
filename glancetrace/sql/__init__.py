"""Statement text -> `Statement`: operation, tables, assigned columns, predicates, digest."""

from __future__ import annotations

from glancetrace.sql.parser import StatementParser
from glancetrace.sql.statement import Assignment, Literal, Predicate, Shape, Statement

__all__ = ["Assignment", "Literal", "Predicate", "Shape", "Statement", "StatementParser"]
