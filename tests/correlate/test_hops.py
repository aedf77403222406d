"""Legs of a call become one call; legs of two calls do not."""

from __future__ import annotations

from typing import Any

from glancetrace.glance.call import ApiCall
from tests.support.scene import Scene

CLIENT, OTHER_CLIENT = ("192.0.2.10", 50_000), ("192.0.2.11", 50_001)
PROXY, SECOND, GLANCE = ("192.0.2.2", 13292), ("192.0.2.3", 13292), ("192.0.2.20", 9292)
INSIDE, DEEPER = ("192.0.2.2", 39_000), ("192.0.2.3", 39_500)


class Legs(Scene):
    def leg(self, level: int, status: int | None, begin: float, end: float | None, **fields: Any) -> ApiCall:
        client = [CLIENT, INSIDE, DEEPER][level]
        server = fields.pop("server", [PROXY, GLANCE, GLANCE][level])
        client = fields.pop("client", client)
        number = fields.pop("connection", 100 + level)
        return self.call("image-show", status, begin, end, client=client, server=server, connection_id=number, **fields)

    def pair(self, begin: float, request_id: str | None = "req-1", status: int = 200, **fields: Any) -> None:
        self.leg(0, status, begin, begin + 10, request_id=request_id, **fields)
        self.leg(1, status, begin + 1, begin + 9, request_id=request_id, **fields)

    def hops(self) -> list[list[int]]:
        return [[hop.connection_id for hop in call.hops] for call in self.play().calls]


def test_two_legs_by_request_id() -> None:
    scene = Legs()
    scene.pair(0)
    (call,) = scene.play().calls
    assert [hop.server for hop in call.hops] == [PROXY, GLANCE]
    assert (call.client, call.server) == (CLIENT, PROXY)
    assert (call.first_frame, call.last_frame) == (1, 4)


def test_two_legs_without_request_id() -> None:
    scene = Legs()
    scene.pair(0, None)
    assert scene.hops() == [[100, 101]]


def test_three_levels() -> None:
    scene = Legs()
    scene.leg(0, 200, 0, 10, request_id="r")
    scene.leg(1, 200, 1, 9, request_id="r", server=SECOND)
    scene.leg(2, 200, 2, 8, request_id="r")
    assert scene.hops() == [[100, 101, 102]]


def test_request_id_used_again_on_the_next_call() -> None:
    scene = Legs()
    scene.pair(0)
    scene.pair(20)
    assert scene.hops() == [[100, 101], [100, 101]]


def test_calls_at_the_same_time_are_told_apart_by_id() -> None:
    scene = Legs()
    scene.leg(0, 200, 0, 20, request_id="a")
    scene.leg(0, 200, 1, 19, request_id="b", client=OTHER_CLIENT, connection=110)
    scene.leg(1, 200, 2, 15, request_id="b", connection=111)
    scene.leg(1, 200, 3, 18, request_id="a", connection=112)
    assert scene.hops() == [[100, 112], [110, 111]]


def test_another_status_is_another_call() -> None:
    scene = Legs()
    scene.leg(0, 200, 0, 10)
    scene.leg(1, 404, 1, 9)
    assert scene.hops() == [[100], [101]]


def test_another_token_is_another_call() -> None:
    scene = Legs()
    scene.leg(0, 200, 0, 10, token="a")
    scene.leg(1, 200, 1, 9, token="b")
    assert scene.hops() == [[100], [101]]


def test_response_that_never_reached_the_client() -> None:
    scene = Legs()
    scene.leg(0, None, 0, None)
    scene.leg(1, 200, 1, 9, request_id="r", response_json={"id": "x"})
    (call,) = scene.play().calls
    assert (call.status_code, call.request_id, call.response_json) == (200, "r", {"id": "x"})
    assert call.response_ts is None


def test_response_of_the_proxy_itself() -> None:
    scene = Legs()
    scene.leg(0, 504, 0, 50)
    scene.leg(1, None, 1, 49, broken="closed")
    (call,) = scene.play().calls
    assert call.status_code == 504
    assert len(call.hops) == 2


def test_aborted_leg_does_not_swallow_the_retry() -> None:
    scene = Legs()
    scene.pair(0)
    scene.leg(0, None, 20, 30, broken="reset", connection=120)
    scene.leg(0, 200, 40, 50, connection=121, request_id="r")
    scene.leg(1, 200, 41, 49, connection=122, request_id="r")
    assert scene.hops() == [[100, 101], [120], [121, 122]]


def test_aborted_leg_keeps_its_inner_one() -> None:
    scene = Legs()
    scene.pair(0)
    scene.leg(0, None, 20, 30, broken="reset", connection=120)
    scene.leg(1, None, 21, 31, broken="closed", connection=121)
    scene.pair(40)
    assert scene.hops() == [[100, 101], [120, 121], [100, 101]]


def test_prefix_that_the_proxy_takes_off() -> None:
    scene = Legs()
    scene.leg(0, 200, 0, 10, target="/image/v2/images", route_prefix="/image")
    scene.leg(1, 200, 1, 9, target="/v2/images")
    (call,) = scene.play().calls
    assert (call.target, len(call.hops)) == ("/image/v2/images", 2)


def test_hash_of_the_data_comes_from_the_leg_that_has_it() -> None:
    scene = Legs()
    scene.leg(0, 204, 0, 10, request_body_bytes=50)
    scene.leg(1, 204, 1, 9, upload_complete=True, request_body_bytes=100)
    (call,) = scene.play().calls
    assert (call.upload_complete, call.request_body_bytes) == (True, 100)


def test_calls_without_a_proxy_stay_apart() -> None:
    scene = Legs()
    scene.leg(0, 200, 0, 10, server=GLANCE)
    scene.leg(0, 200, 1, 9, server=GLANCE, client=OTHER_CLIENT, connection=110)
    assert scene.hops() == [[100], [110]]


def test_packets_a_little_out_of_order() -> None:
    scene = Legs()
    scene.leg(0, 200, 0, 10)
    scene.leg(1, 200, 0.1, 10.5)
    assert scene.hops() == [[100, 101]]
