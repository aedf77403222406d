"""Whether the WHERE of a SELECT lets an index of the table images narrow down what is read.

Indexed columns: `glance/db/sqlalchemy/models.py`, `Image.__table_args__`. `deleted` and `os_hidden` have an index too,
but two values: reading by them is reading half of the table. Of an OR every branch has to name an indexed column; one
that does not makes the database read everything all the same. Glance's own "whose images" (`owner = ? OR visibility !=
?`) names one in each. A statement that starts from one image's members, tags or properties finds the image by its key.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from glancetrace.sql.statement import Shape

if TYPE_CHECKING:
    from sqlglot import exp

__all__ = ["reads_all_images"]

_INDEXED = frozenset({"id", "owner", "visibility", "checksum", "os_hash_value", "created_at", "updated_at"})
_POSITIVE = frozenset({"=", "<", "<=", ">", ">=", "IN", "LIKE"})


def reads_all_images(shape: Shape) -> bool:
    """A SELECT of images that no index narrows down; False where that cannot be told."""
    if shape.operation != "SELECT" or "images" not in shape.tables or not shape.parsed:
        return False
    narrow = [
        p for p in shape.predicates if p.column in _INDEXED and p.operator in _POSITIVE and p.table in ("images", "")
    ]
    of_one = any(p.column == "image_id" and p.operator in ("=", "IN") and p.conjunct for p in shape.predicates)
    if of_one or any(p.conjunct for p in narrow):
        return False
    return not narrow or _only_in_broad_or(shape.text)


@cache
def _only_in_broad_or(text: str) -> bool:
    """Every indexed column that is compared stands in an OR with a branch that names none."""
    from sqlglot import exp

    from glancetrace.sql.tree import parse_tree

    tree = parse_tree(text)
    if tree is None:
        return False
    compared = [column for column in tree.find_all(exp.Column) if _is_indexed(column)]
    return bool(compared) and not any(all(map(_branches_indexed, _ors_around(column))) for column in compared)


def _is_indexed(column: exp.Column) -> bool:
    """It is an indexed column that is compared with something else than columns, as in a join."""
    from sqlglot import exp

    if column.name not in _INDEXED:
        return False
    comparison = column.find_ancestor(exp.Predicate)
    where = column.find_ancestor(exp.Where, exp.Select)
    return comparison is not None and isinstance(where, exp.Where) and len(list(comparison.find_all(exp.Column))) == 1


def _ors_around(column: exp.Column) -> list[exp.Or]:
    """The ORs that a column stands in, up to its WHERE."""
    from sqlglot import exp

    found: list[exp.Or] = []
    node = column.parent
    while node is not None and not isinstance(node, exp.Where):
        if isinstance(node, exp.Or):
            found.append(node)
        node = node.parent
    return found


def _branches_indexed(item: exp.Or) -> bool:
    from sqlglot import exp

    return all(any(map(_is_indexed, branch.find_all(exp.Column))) for branch in item.flatten())
