"""Stories of images as a table on disk: what their columns are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from decimal import Decimal
from operator import attrgetter
from typing import Any

import pyarrow as pa

from glancetrace.spill.columns import FLAG, NUMBER
from glancetrace.spill.rows import RowType
from glancetrace.timeline.image import ImageEvent, ImageStory, StatusInterval, Transition

__all__ = ["STORIES"]

_TEXT = pa.string()

_TRANSITION = pa.struct(
    [
        ("from_status", _TEXT),
        ("to_status", _TEXT),
        ("ts", NUMBER),
        ("source", _TEXT),
        ("certainty", _TEXT),
        ("legal", FLAG),
        ("statement_id", NUMBER),
        ("call_id", NUMBER),
        ("frame", NUMBER),
        ("commit_frame", NUMBER),
    ]
)
_INTERVAL = pa.struct([("status", _TEXT), ("ts", NUMBER), ("dur", NUMBER)])
_EVENT = pa.struct(
    [
        ("kind", _TEXT),
        ("ts", NUMBER),
        ("summary", _TEXT),
        ("statement_id", NUMBER),
        ("call_id", NUMBER),
        ("frame", NUMBER),
        ("dur", NUMBER),
        ("bytes", NUMBER),
        ("connection_id", NUMBER),
        ("certainty", _TEXT),
    ]
)
_SCHEMA = pa.schema(
    [
        ("id", _TEXT),
        ("name", _TEXT),
        ("status", _TEXT),
        ("size", pa.decimal128(38, 0)),
        ("checksum", _TEXT),
        ("os_hash_algo", _TEXT),
        ("os_hash_value", _TEXT),
        ("owner", _TEXT),
        ("wire_checksum", pa.map_(_TEXT, _TEXT)),
        ("wire_bytes", NUMBER),
        ("wire_complete", FLAG),
        ("existed_before", FLAG),
        ("first_status_certainty", _TEXT),
        ("transitions", pa.list_(_TRANSITION)),
        ("intervals", pa.list_(_INTERVAL)),
        ("events", pa.list_(_EVENT)),
        ("call_ids", pa.list_(NUMBER)),
        ("first_ts", NUMBER),
        ("first_frame", NUMBER),
    ]
)
"""The fields of `ImageStory`, in their order."""

_FIELDS = tuple(field.name for field in fields(ImageStory))
_VALUES = attrgetter(*_FIELDS)
_SIZE = _FIELDS.index("size")
_HASHES = _FIELDS.index("wire_checksum")
_ROWS = {"transitions": Transition, "intervals": StatusInterval, "events": ImageEvent}
_VALUES_OF = {name: attrgetter(*(field.name for field in fields(kind))) for name, kind in _ROWS.items()}


def _pack(stories: Sequence[ImageStory]) -> list[list[Any]]:
    columns = [list(column) for column in zip(*map(_VALUES, stories), strict=True)]
    columns[_SIZE] = [None if size is None else Decimal(size) for size in columns[_SIZE]]
    columns[_HASHES] = [hashes and list(hashes.items()) for hashes in columns[_HASHES]]
    for name, values in _VALUES_OF.items():
        place = _FIELDS.index(name)
        columns[place] = [list(map(values, rows)) for rows in columns[place]]
    return columns


def _unpack(columns: list[Sequence[Any]]) -> list[ImageStory]:
    columns[_SIZE] = [None if size is None else int(size) for size in columns[_SIZE]]
    columns[_HASHES] = [hashes and dict(hashes) for hashes in columns[_HASHES]]
    for name, kind in _ROWS.items():
        place = _FIELDS.index(name)
        columns[place] = [[kind(**row) for row in rows] for rows in columns[place]]
    return list(map(ImageStory, *columns))


STORIES = RowType(_SCHEMA, _pack, _unpack)
"""Stories as rows."""
