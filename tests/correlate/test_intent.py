"""What commits though it has only read was about to write, where reads end with a ROLLBACK."""

from __future__ import annotations

from glancetrace.correlate.link import CERTAIN, INFERRED, Link
from glancetrace.glance.sequences import base_of, kind_of_unit
from tests.support.scene import IMAGE, Scene, select

TAGS = f"SELECT image_tags.value AS image_tags_value FROM image_tags WHERE image_tags.image_id = '{IMAGE}'"


def scene_of(*read_ends: str, reads: int = 10) -> Scene:
    """Calls that read an image, one after another; each checkout ends so."""
    scene = Scene()
    for number in range(reads):
        scene.call("image-show", 200, 100 * number, 100 * number + 50, request_id=f"r{number}")
        scene.session().texts(100 * number + 10, select(), *read_ends)
    return scene


def contended(scene: Scene, *texts: str) -> tuple[str | None, Link]:
    """Who ran a checkout while a call that reads and one that saves are open."""
    scene.call("image-show", 200, 5000, 5090, request_id="shows", connection_id=201)
    scene.call("image-update", 200, 5001, 5091, request_id="saves", connection_id=202, method="PATCH")
    scene.session().texts(5040, *texts)
    played = scene.play()
    link = played.link(texts[0])
    assert link is not None
    return next(call.request_id for call in scene.calls if call.id == link.call_id), link


def test_a_commit_is_of_who_saves() -> None:
    caller, link = contended(scene_of("ROLLBACK", "ROLLBACK"), TAGS, "COMMIT", "ROLLBACK")
    assert (caller, link.link_class) == ("saves", CERTAIN)
    assert [text for _, text in link.rejected] == ["image-show does not commit what it reads of image_tags"]


def test_without_a_commit_anybody_can_have_read() -> None:
    assert contended(scene_of("ROLLBACK", "ROLLBACK"), TAGS, "ROLLBACK", "ROLLBACK")[1].link_class == INFERRED


def test_a_service_that_commits_its_reads_tells_nothing() -> None:
    assert contended(scene_of("COMMIT", "ROLLBACK"), TAGS, "COMMIT", "ROLLBACK")[1].link_class == INFERRED


def test_few_reads_tell_nothing() -> None:
    few = scene_of("ROLLBACK", "ROLLBACK", reads=9)
    assert contended(few, TAGS, "COMMIT", "ROLLBACK")[1].link_class == INFERRED


def test_kind_of_what_was_about_to_write() -> None:
    kinds = []
    for texts in (
        (TAGS, "COMMIT", "ROLLBACK"),
        (TAGS, "ROLLBACK"),
        ("INSERT INTO image_tags (value) VALUES ('x')", "COMMIT"),
        (TAGS, TAGS, "ROLLBACK"),
    ):
        scene = Scene()
        scene.session().texts(0, *texts)
        kinds.append(kind_of_unit(scene.units()[0], reads_list=False))
    assert kinds == ["tags!", "tags", "tags*", "tags"]
    assert {base_of(kind) for kind in kinds} == {"tags"}


def test_kind_of_what_reads_an_image_once_or_twice() -> None:
    kinds = []
    image = "SELECT images.id FROM images WHERE images.id = 'x'"
    for texts in ((image, "ROLLBACK"), (image, image, "ROLLBACK"), (image, image, "COMMIT", "ROLLBACK")):
        scene = Scene()
        scene.session().texts(0, *texts)
        kinds.append(kind_of_unit(scene.units()[0], reads_list=False))
    assert kinds == ["img0", "img0&", "img0&!"]
    assert {base_of(kind) for kind in kinds} == {"img"}
