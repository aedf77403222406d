"""Responses without requests: one call a request id, bounded by what was answered before it on its connection."""

from __future__ import annotations

from glancetrace.correlate.hidden import Half
from glancetrace.glance.call import ApiCall
from glancetrace.http.exchange import Body, Head, HttpExchange
from glancetrace.join.halves import find_halves
from glancetrace.net.run import Connection, Endpoint
from tests.support.scene import IMAGE, START, Scene

PORTS = {9292: "glance", 13292: "glance"}
FIRST_TS = START - 5
SHOWN = b'{"id": "%s", "disk_format": "qcow2"}' % IMAGE.encode()


def connection(number: int, port: int) -> Connection:
    server: Endpoint = ("192.0.2.20", port)
    return Connection(number, ("192.0.2.10", 50_000 + number), server, True, START, 1)


def answer(
    number: int, ordinal: int, ts: int, request_id: str = "", body: bytes = b"", kind: str = "application/json"
) -> HttpExchange:
    """A response whose request was lost."""
    headers = (("content-type", kind), ("x-openstack-request-id", request_id))
    exchange = HttpExchange(number, ordinal, Head(), START + ts, 1, Body(complete=True))
    exchange.response = Head(status_code=200, headers=headers)
    exchange.response_ts = exchange.response_end_ts = START + ts
    exchange.response_body = Body(content=body, complete=True)
    return exchange


def halves(*pairs: tuple[HttpExchange, Connection], calls: tuple[ApiCall, ...] = ()) -> list[Half]:
    return find_halves(pairs, calls, PORTS, FIRST_TS)


def test_legs_of_one_call_are_one_and_the_inner_one_counts() -> None:
    outer, inner = connection(1, 13292), connection(2, 9292)
    found = halves(
        (answer(1, 1, 100, "req-1", SHOWN), outer),
        (answer(2, 1, 50, "req-0"), inner),
        (answer(2, 2, 90, "req-1"), inner),
    )
    assert found == [
        Half("glance", FIRST_TS, START + 50, 2),
        Half("glance", START + 50, START + 90, 2, frozenset([IMAGE])),
    ]


def test_a_call_that_another_leg_shows_whole_is_none() -> None:
    scene = Scene()
    call = scene.call("image-show", 200, 0, 1, request_id="req-1")
    assert halves((answer(1, 1, 100, "req-1"), connection(1, 13292)), calls=(call,)) == []


def test_answers_without_an_id_are_calls_of_their_own() -> None:
    one, other = connection(1, 13292), connection(2, 9292)
    assert len(halves((answer(1, 1, 100), one), (answer(2, 1, 90), other))) == 2


def test_only_what_shows_an_image_names_it() -> None:
    own = connection(1, 9292)
    for body, kind in (
        (SHOWN, "application/octet-stream"),
        (SHOWN[:-1], "application/json"),
        (b"[1]", "application/json"),
        (b'{"id": "task"}', "application/json"),
        (b'{"id": 5, "disk_format": "raw"}', "application/json"),
    ):
        assert halves((answer(1, 1, 100, "req-1", body, kind), own))[0].images == frozenset()
