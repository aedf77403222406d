"""The table of known shapes says what the parser says."""

from __future__ import annotations

import pytest

from glancetrace.sql.known import known_shape, shape_from_row
from glancetrace.sql.parser import StatementParser
from tests.support.known_shapes import collect_shapes
from tests.support.samples import capture_path


@pytest.mark.parametrize("name", ["article", "article-old", "openstack-cli"])
def test_every_known_shape_is_what_the_parser_reads(name: str) -> None:
    shapes = collect_shapes([capture_path(name)])
    assert len(shapes) > 20
    for shape in shapes:
        assert known_shape(shape.digest, shape.text) == shape


def test_a_digest_with_another_text_is_not_known() -> None:
    shape = collect_shapes([capture_path("article")])[0]
    assert known_shape(shape.digest, shape.text + " ") is None


def test_unknown_statements_are_parsed() -> None:
    shape = StatementParser().parse("SELECT colour FROM crayons WHERE crayons.id = 7").shape
    assert known_shape(shape.digest, shape.text) is None
    assert shape.tables == ("crayons",)
    assert shape_from_row(
        {name: getattr(shape, name) for name in ("digest", "text", "operation", "schemas", "tables")}
        | {"assignments": [], "predicates": [], "limit": None, "parsed": True}
    ).tables == ("crayons",)
