"""Which host's database connections a server's calls can use."""

from __future__ import annotations

import pytest

from glancetrace.correlate.hosts import learn_hosts
from glancetrace.correlate.link import CERTAIN
from glancetrace.net.run import Endpoint
from tests.support.scene import Scene, select

FIRST, SECOND, PROXY = ("192.0.2.21", 9292), ("192.0.2.22", 9292), ("192.0.2.29", 13292)
HERE, THERE = "198.51.100.21", "198.51.100.22"


def test_addresses_that_are_the_same_speak_for_themselves() -> None:
    hosts = learn_hosts([(FIRST, FIRST[0]), (SECOND, SECOND[0])])
    assert hosts
    assert hosts.apart(FIRST, SECOND[0])
    assert not hosts.apart(FIRST, FIRST[0])


def test_a_network_of_its_own_is_learnt() -> None:
    assert not learn_hosts([(FIRST, HERE)] * 4 + [(SECOND, THERE)] * 4)
    hosts = learn_hosts([(FIRST, HERE)] * 5 + [(SECOND, THERE)] * 5)
    assert hosts.apart(FIRST, THERE)
    assert hosts.apart(SECOND, HERE)
    assert not hosts.apart(SECOND, THERE)


def test_a_proxy_before_the_hosts_tells_nothing() -> None:
    hosts = learn_hosts([(PROXY, HERE), (PROXY, THERE)] * 20 + [(FIRST, HERE)] * 9 + [(SECOND, THERE)] * 9)
    assert not hosts.apart(PROXY, HERE)
    assert not hosts.apart(PROXY, THERE)
    assert hosts.apart(FIRST, THERE)


def test_an_address_that_no_known_host_has_can_be_anybody_s() -> None:
    hosts = learn_hosts([(FIRST, HERE)] * 9 + [(SECOND, THERE)] * 9)
    assert not hosts.apart(FIRST, "198.51.100.23")


def test_two_servers_of_one_host_are_one() -> None:
    internal = (FIRST[0], 9293)
    assert not learn_hosts([(FIRST, HERE)] * 9 + [(internal, HERE)] * 9)


@pytest.mark.parametrize("share", [0.9, 0.5])
def test_who_has_connections_elsewhere_too_is_not_bound(share: float) -> None:
    mostly = round(100 * share)
    hosts = learn_hosts([(FIRST, HERE)] * mostly + [(FIRST, THERE)] * (100 - mostly) + [(SECOND, THERE)] * 9)
    assert not hosts.apart(FIRST, THERE)


def shown(scene: Scene, server: Endpoint, begin: float, reads_at: float) -> None:
    """A call that one host serves, and its statement."""
    number = len(scene.calls)
    scene.call("image-show", 200, begin, begin + 50, server=server, connection_id=100 + number, request_id=f"{number}")
    scene.session(client=server[0]).run(select(), reads_at)


def test_calls_about_one_image_on_two_hosts_are_told_apart() -> None:
    scene = Scene()
    for number in range(3):
        shown(scene, FIRST, 200 * number, 200 * number + 10)
        shown(scene, SECOND, 200 * number + 100, 200 * number + 110)
    shown(scene, FIRST, 1000, 1015)
    shown(scene, SECOND, 1001, 1010)
    played = scene.play()
    server_of = {call.id: call.server[0] for call in played.calls}
    statements = {statement.id: statement for statement in played.statements}
    assert len(played.links) == len(played.statements) == 8
    for link in played.links:
        assert link.link_class == CERTAIN
        assert server_of[link.call_id] == statements[link.statement_id].connection.client[0]
    assert [(link.call_id, link.rejected) for link in played.links[-2:]] == [
        (8, [(7, "was served on another host")]),
        (7, [(8, "was served on another host")]),
    ]


def test_work_of_a_host_whose_calls_are_not_in_the_capture_is_nobody_s() -> None:
    scene = Scene()
    for number in range(4):
        shown(scene, FIRST, 200 * number, 200 * number + 10)
        shown(scene, SECOND, 200 * number + 100, 200 * number + 110)
    scene.call("image-show", 200, 1000, 1100, server=FIRST, connection_id=300)
    scene.session(client=SECOND[0]).run(select(), 1010)
    played = scene.play()
    assert {link.statement_id for link in played.links} == set(range(1, 9))
    assert played.statements[-1].kind == "unattributed"
