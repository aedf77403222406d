"""What counts as reading all images: no indexed column, or only in an OR that something else keeps open."""

from __future__ import annotations

import pytest

from glancetrace.check.gate.scan import reads_all_images
from glancetrace.sql.parser import StatementParser

JOINED = "FROM images LEFT OUTER JOIN image_tags ON images.id = image_tags.image_id WHERE images.deleted = 0"

MEMBERS = "FROM image_members JOIN images ON images.id = image_members.image_id WHERE image_members.image_id = 'x'"


@pytest.mark.parametrize(
    ("text", "scan"),
    [
        ("FROM images WHERE images.id = 'x'", False),
        ("FROM images WHERE images.name = 'x'", True),
        ("FROM images", True),
        (JOINED, True),
        (f"{JOINED} AND images.created_at > '2026-01-01'", False),
        ("FROM images WHERE images.id NOT IN ('x')", True),
        ("FROM images WHERE images.id = 'x' OR images.name = 'x'", True),
        ("FROM images WHERE images.name = 'x' OR images.id = 'x' OR images.id = 'y'", True),
        ("FROM images WHERE (images.id = 'x' OR images.name = 'x') AND images.owner = 'y'", False),
        ("FROM images WHERE images.status = 'a' AND (images.owner = 'x' OR images.visibility != 'public')", False),
        ("FROM images WHERE images.owner = 'x' AND images.name = 'y' OR images.checksum = 'z'", False),
        ("FROM images WHERE images.id = 'x' OR (images.id = 'y' AND (images.id = 'z' OR images.size = 1))", False),
        (f"{MEMBERS} AND (images.owner = 'x' OR image_members.member = 'y')", False),
        ("FROM image_tags WHERE image_tags.value = 'x'", False),
        ("FROM (SELECT images.id AS i FROM images WHERE images.owner = 'x' OR images.size > 5) AS a", True),
    ],
)
def test_reads_all_images(text: str, scan: bool) -> None:
    assert reads_all_images(StatementParser().parse(f"SELECT count(*) {text}").shape) is scan
