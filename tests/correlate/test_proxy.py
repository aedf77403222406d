"""Both legs of a proxied database connection are one connection; two clients with equal texts are two."""

from __future__ import annotations

from tests.support.scene import DATABASE, IMAGE, OTHER, Played, Scene, Session, select, update

VIP = ("192.0.2.29", 3306)
TEXTS = (select(), update("queued", "saving"), select(OTHER), update("saving", "active"), "COMMIT", "ROLLBACK")


def play(scene: Scene, legs: list[tuple[Session, float]], *, lost: dict[int, set[int]] | None = None) -> Played:
    for number, text in enumerate(TEXTS):
        for index, (session, delay) in enumerate(legs):
            if number not in (lost or {}).get(index, set()):
                session.run(text, 5 * number + delay)
    return scene.play()


def legs(scene: Scene, *, scramble: bytes | None = None) -> list[tuple[Session, float]]:
    known = "glance" if scramble else None
    return [
        (scene.session(server=VIP, scramble=scramble, user=known, schema=known), 0.0),
        (scene.session(client=VIP[0], server=DATABASE, scramble=scramble, user=known, schema=known), 0.2),
    ]


def assert_folded(played: Played, *, both: int = len(TEXTS)) -> None:
    assert {s.connection.server for s in played.statements} == {VIP}
    assert len(played.statements) == len(TEXTS)
    hops = [[hop.server for hop in s.hops] for s in played.statements if s.hops]
    assert hops == [[VIP, DATABASE]] * both


def test_with_the_greeting_in_the_capture() -> None:
    scene = Scene()
    assert_folded(play(scene, legs(scene, scramble=b"nonce")))


def test_mid_session_by_the_texts() -> None:
    scene = Scene()
    assert_folded(play(scene, legs(scene)))


def test_packets_lost_on_the_inner_leg() -> None:
    scene = Scene()
    assert_folded(play(scene, legs(scene), lost={1: {2}}), both=len(TEXTS) - 1)


def test_two_clients_that_say_the_same_are_two() -> None:
    scene = Scene()
    sessions = [(scene.session(), 0.0), (scene.session(client="192.0.2.21"), 0.2)]
    played = play(scene, sessions)
    assert len(played.statements) == 2 * len(TEXTS)
    assert not any(statement.hops for statement in played.statements)


def test_two_clients_of_two_servers_with_few_equal_texts_are_two() -> None:
    scene = Scene()
    first, second = scene.session(), scene.session(server=VIP, client="192.0.2.21")
    first.texts(0, select(), "ROLLBACK", update("queued", "saving"), "COMMIT")
    second.texts(0.2, select(), "ROLLBACK", update("queued", "saving", OTHER), "COMMIT")
    assert len(scene.play().statements) == 8


def test_three_legs_with_the_greeting() -> None:
    scene = Scene()
    middle = ("192.0.2.28", 3306)
    three = [
        (scene.session(server=VIP, scramble=b"n"), 0.0),
        (scene.session(server=middle, scramble=b"n"), 0.1),
        (scene.session(server=DATABASE, scramble=b"n"), 0.2),
    ]
    played = play(scene, three)
    assert len(played.statements) == len(TEXTS)
    assert {tuple(hop.server for hop in s.hops) for s in played.statements} == {(VIP, middle, DATABASE)}


def test_image_changes_once() -> None:
    scene = Scene()
    played = play(scene, legs(scene, scramble=b"nonce"))
    (image,) = played.images
    assert image.id == IMAGE
    assert [t.to_status for t in image.transitions] == ["saving", "active"]
