"""Callers who see deleted images, and callers who do not, are told apart by what their calls read."""

from __future__ import annotations

from glancetrace.correlate.link import CERTAIN, INFERRED, Link
from tests.support.scene import IMAGE, Scene

ANY = (
    "SELECT images.id AS images_id, image_properties_1.id AS image_properties_1_id FROM images LEFT OUTER JOIN "
    "image_properties AS image_properties_1 ON images.id = image_properties_1.image_id "
    f"WHERE images.id = '{IMAGE}'"
)
LIVING = f"{ANY} AND images.deleted = false"


def shown(scene: Scene, token: str, begin: float, sql: str, operation: str = "image-show") -> None:
    """A call alone, and what it reads."""
    scene.call(operation, 200, begin, begin + 50, token=token, request_id=f"r{begin}")
    scene.session().texts(begin + 10, sql, "ROLLBACK")


def validated(scene: Scene, token: str, *roles: str) -> None:
    """Keystone told the roles of a token."""
    scene.call("token-validate", 200, 0, 1, service="keystone", image_id=None, subject_token=token, roles=roles)


def contended(scene: Scene, first: str, second: str, sql: str, operation: str = "image-download") -> Link:
    """The link of what is read while calls with two tokens are open, the first of them an image-show."""
    scene.call("image-show", 200, 5000, 5090, token=first, request_id="first", connection_id=201)
    scene.call(operation, 200, 5001, 5091, token=second, request_id="second", connection_id=202)
    scene.session().texts(5040, sql, "ROLLBACK")
    played = scene.play()
    (link,) = (found for found in played.links if played.statements[found.statement_id - 1].command.ts > 0 and
               found.statement_id == max(s.id for s in played.statements if s.command.sql == sql))  # fmt: skip
    return link


def call_of(scene: Scene, link: Link) -> str | None:
    return next(call.request_id for call in scene.calls if call.id == link.call_id)


def taught() -> Scene:
    scene = Scene()
    for begin in (0, 100):
        shown(scene, "admin", begin, ANY)
        shown(scene, "member", begin + 1000, LIVING)
    return scene


def test_reads_of_administrators_and_of_others() -> None:
    for sql, caller, reason in (
        (ANY, "first", "its caller does not see deleted images"),
        (LIVING, "second", "its caller sees deleted images, too"),
    ):
        scene = taught()
        link = contended(scene, "admin", "member", sql)
        assert (call_of(scene, link), link.link_class) == (caller, CERTAIN)
        assert [text for _, text in link.rejected] == [reason]


def test_one_read_tells_nothing_of_a_token() -> None:
    scene = Scene()
    shown(scene, "admin", 0, ANY)
    shown(scene, "member", 1000, LIVING)
    assert contended(scene, "admin", "member", LIVING).link_class == INFERRED


def test_roles_that_keystone_told_speak_for_new_tokens() -> None:
    scene = Scene()
    for number in range(5):
        shown(scene, f"a{number}", 100 * number, ANY)
        validated(scene, f"a{number}", "admin", "member")
        shown(scene, f"m{number}", 1000 + 100 * number, LIVING)
        validated(scene, f"m{number}", "member")
    validated(scene, "new", "member", "admin")
    validated(scene, "other", "member")
    link = contended(scene, "new", "other", LIVING)
    assert (call_of(scene, link), link.link_class) == ("second", CERTAIN)


def test_who_reads_both_ways_is_not_ruled_out() -> None:
    scene = taught()
    shown(scene, "admin", 200, LIVING)
    assert contended(scene, "admin", "member", ANY).link_class == CERTAIN
    scene = taught()
    shown(scene, "admin", 200, LIVING)
    assert contended(scene, "admin", "member", LIVING).link_class == INFERRED


def test_imports_act_as_administrators_at_times() -> None:
    scene = taught()
    assert contended(scene, "admin", "member", ANY, "image-import").link_class == INFERRED
