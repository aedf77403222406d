"""The table of known shapes says what the parser says."""

from __future__ import annotations

import pytest

from glancetrace.decode import decode
from glancetrace.sql.known import known_frame, known_shape, shape_from_row
from glancetrace.sql.parser import StatementParser
from glancetrace.sql.shape import read_shape
from tests.support.known_shapes import collect_shapes
from tests.support.samples import capture_path


@pytest.mark.parametrize("name", ["article", "article-old", "openstack-cli"])
def test_every_known_shape_is_what_the_parser_reads(name: str) -> None:
    shapes, frames = collect_shapes([capture_path(name)])
    assert len(shapes) > 20
    for shape in shapes:
        assert known_shape(shape.digest, shape.text) == shape
        for frame, kinds in frames.get(shape.digest, ()):
            assert known_frame(frame) == (shape, kinds)
    assert sum(map(len, frames.values())) > 20


def test_a_digest_with_another_text_is_not_known() -> None:
    shape = collect_shapes([capture_path("article")])[0][0]
    assert known_shape(shape.digest, shape.text + " ") is None


def test_unknown_statements_are_parsed() -> None:
    shape = StatementParser().parse("SELECT colour FROM crayons WHERE crayons.id = 7").shape
    assert known_shape(shape.digest, shape.text) is None
    assert shape.tables == ("crayons",)
    assert shape_from_row(
        {name: getattr(shape, name) for name in ("digest", "text", "operation", "schemas", "tables")}
        | {"assignments": [], "predicates": [], "limit": None, "parsed": True}
    ).tables == ("crayons",)


def test_what_is_known_gives_the_same_statements() -> None:
    """Literals in their places, with and without the table."""
    fast, exact = StatementParser(), StatementParser(read=read_shape)
    for command, _connection in decode(capture_path("article-old")).commands:
        if command.sql is not None:
            assert fast.parse(command.sql) == exact.parse(command.sql)
