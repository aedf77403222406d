"""Writes that name a row by its number belong to the image whose row it is."""

from __future__ import annotations

from glancetrace.correlate.link import CERTAIN
from glancetrace.correlate.rowids import images_of_rows
from tests.support.scene import IMAGE, OTHER, Scene, Session

LOCATIONS = (
    "SELECT images.id AS images_id, image_locations_1.id AS image_locations_1_id, image_locations_1.image_id AS "
    "image_locations_1_image_id FROM images LEFT OUTER JOIN image_locations AS image_locations_1 ON images.id = "
    "image_locations_1.image_id WHERE images.id = '{}'"
)
COLUMNS = ("images_id", "image_locations_1_id", "image_locations_1_image_id")


def read(database: Session, at: float, image: str, number: str) -> None:
    database.run(LOCATIONS.format(image), at, rows=[(image, number, image)], columns=COLUMNS)
    database.run("ROLLBACK", at + 1.5)


def write(database: Session, at: float, number: str) -> None:
    database.write(at, f"UPDATE image_locations SET status='deleted' WHERE image_locations.id = {number}")


def test_two_deletes_at_a_time_are_told_apart_by_the_numbers_of_their_locations() -> None:
    scene = Scene()
    for number, image in enumerate((IMAGE, OTHER)):
        scene.call("image-delete", 204, number, 100, method="DELETE", connection_id=100 + number, image_id=image)
    one, other = scene.session(), scene.session()
    read(one, 10, IMAGE, "105")
    read(other, 11, OTHER, "106")
    write(one, 20, "106")
    write(other, 21, "105")
    played = scene.play()
    statements = {statement.id: statement for statement in played.statements}
    writes = {
        (statements[link.statement_id].command.sql or "")[-3:]: (link.call_id, link.link_class)
        for link in played.links
        if statements[link.statement_id].operation == "UPDATE"
    }
    assert writes == {"106": (2, CERTAIN), "105": (1, CERTAIN)}


def test_a_number_of_two_images_tells_nothing() -> None:
    scene = Scene()
    database = scene.session()
    read(database, 10, IMAGE, "105")
    read(database, 20, OTHER, "105")
    read(database, 30, OTHER, "106")
    write(database, 40, "105")
    write(database, 50, "106")
    statements, _ = scene.units()
    assert images_of_rows(statements) == {("glance", "image_locations", "106"): OTHER}


def test_rows_are_looked_up_only_where_a_write_asks() -> None:
    scene = Scene()
    read(scene.session(), 10, IMAGE, "105")
    statements, _ = scene.units()
    assert images_of_rows(statements) == {}
