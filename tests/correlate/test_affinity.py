"""Connections that served the same calls end in the same process; a proxy's connections do not."""

from __future__ import annotations

from glancetrace.correlate.affinity import Use, learn_workers

SERVICE, PROXY = ("192.0.2.20", 9292), ("192.0.2.19", 13292)


def test_two_calls_join_connections_and_one_does_not() -> None:
    workers = learn_workers([Use(100, SERVICE, (1, 2)), Use(100, SERVICE, (1, 2)), Use(101, SERVICE, (2, 3))])
    assert workers.group_of[1] == workers.group_of[2] == workers.group_of[100]
    assert workers.group_of[3] != workers.group_of[1]


def test_joined_by_way_of_others() -> None:
    pairs = [(1, 2), (2, 3), (3, 4)] * 2
    workers = learn_workers([Use(100 + n, SERVICE, pair) for n, pair in enumerate(pairs)])
    assert len({workers.group_of[connection] for connection in (1, 2, 3, 4)}) == 1


def test_two_errors_among_many_calls_join_nothing() -> None:
    one, other = [Use(100, SERVICE, (1, 2))] * 50, [Use(101, SERVICE, (3, 4))] * 50
    workers = learn_workers([*one, *other, Use(100, SERVICE, (3, 1)), Use(101, SERVICE, (1, 3))])
    assert workers.group_of[1] != workers.group_of[3]
    assert workers.groups == 2
    assert workers.against(workers.group_of[1], workers.group_of[3]) < -5
    assert workers.against(workers.group_of[1], workers.group_of[2]) == 0


def test_connections_of_a_proxy_join_nothing() -> None:
    uses = [Use(100, PROXY, pair) for pair in [(1, 2), (3, 4)] * 10]
    workers = learn_workers(uses)
    assert 100 not in workers.group_of
    assert workers.group_of[1] != workers.group_of[3]


def test_nothing_to_learn_from() -> None:
    workers = learn_workers([])
    assert (workers.group_of, workers.groups, workers.surprise) == ({}, 1, 0)


def test_one_call_that_was_given_a_wrong_unit_does_not_make_two_processes_one() -> None:
    """Though its connections had served few calls, of which it was a fifth."""
    one = [Use(100, SERVICE, pair, certain=True) for pair in [(1, 2), (1, 2), (2, 5), (5, 6)] * 3]
    other = [Use(101, SERVICE, pair, certain=True) for pair in [(3, 4), (3, 4), (4, 7), (7, 8)] * 3]
    workers = learn_workers([*one, *other, Use(102, SERVICE, (6, 8), certain=True)])
    assert workers.group_of[1] == workers.group_of[6]
    assert workers.group_of[3] == workers.group_of[8]
    assert workers.group_of[1] != workers.group_of[3]


def test_a_connection_that_nothing_joined_to_the_database_is_of_no_process() -> None:
    uses = [Use(100, SERVICE, (1, 2), certain=True)] * 3 + [Use(101, SERVICE, (1, 2))]
    workers = learn_workers(uses)
    assert workers.group_of[100] == workers.group_of[1]
    assert 101 not in workers.group_of
