"""Whose rows a write names by number: `UPDATE image_locations ... WHERE image_locations.id = 105` is about one image.

Glance writes properties, locations, tags and members by their own ids, which it has read before, together with the id
of the image that they belong to. Numbers are given out once per table and schema; one that has been seen with two
images (two databases whose schemas have one name) tells nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from glancetrace.glance.statement import SqlStatement

__all__ = ["RowImages", "images_of_rows"]

RowImages = dict[tuple[str | None, str, str], str]
"""(schema, table, id of the row) -> id of the image that it belongs to."""

_TABLES = ("image_properties", "image_locations", "image_tags", "image_members")


def images_of_rows(statements: Iterable[SqlStatement]) -> RowImages:
    """Images of the rows that writes name by nothing but their number, as rows that were read tell them."""
    statements = list(statements)
    wanted = {
        (statement.schema, change.table, change.row_id)
        for statement in statements
        if statement.changes
        for change in statement.changes
        if change.image_id is None and change.row_id is not None and change.table in _TABLES
    }
    if not wanted:
        return {}
    seen: dict[tuple[str | None, str, str], set[str]] = {}
    # Columns live as long as their commands, and equal ones are mostly one object.
    places: dict[int, list[tuple[str, int, int]]] = {}
    for statement in statements:
        command = statement.command
        columns = command.columns
        if not command.rows or columns is None:
            continue
        if id(columns) not in places:
            places[id(columns)] = _places(columns)
        for table, row_at, image_at in places[id(columns)]:
            for row in command.rows:
                key = (statement.schema, table, str(row[row_at]))
                if key in wanted and row[image_at] is not None:
                    seen.setdefault(key, set()).add(str(row[image_at]))
    return {key: images.pop() for key, images in seen.items() if len(images) == 1}


def _places(columns: tuple[str, ...]) -> list[tuple[str, int, int]]:
    """(table, column of the row's id, of its image's) as SQLAlchemy labels them: `image_locations_1_image_id`."""
    found = []
    for table in _TABLES:
        for label in (f"{table}_1", table):
            if f"{label}_id" in columns and f"{label}_image_id" in columns:
                found.append((table, columns.index(f"{label}_id"), columns.index(f"{label}_image_id")))
                break
    return found
