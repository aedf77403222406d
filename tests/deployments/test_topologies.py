"""Recorded loads as other deployments would have shown them: several proxies, hosts, databases, eras.

What was true stays true, so attribution must be as right as it is for the capture as it was recorded.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from glancetrace.document import render_document
from glancetrace.pipeline import analyze
from tests.support.evaluate import Figures, judge
from tests.support.rewrite import Endpoint, Segment, read_segments, rewrite, seen_twice, write_segments
from tests.support.samples import TRUTHS, capture_path
from tests.support.truth import parse_time, processes, read_truth, render_time

VIP, GLANCE, MYSQL, KEYSTONE_VIP, KEYSTONE = 13292, 9292, 3306, 13000, 5000
LOAD = "failures"
BUSY = "concurrent-16"

FRONT_PROXY: Endpoint = ("192.0.2.9", 443)
DATABASE_VIP: Endpoint = ("192.0.2.40", MYSQL)

Deployment = Callable[[list[Segment], str], list[Segment]]


def several_proxies(segments: list[Segment], _name: str) -> list[Segment]:
    """Three HAProxies; a client has one of them, and each has its own connections to Glance."""
    segments = rewrite(segments, VIP, lambda one: (one.client, (f"192.0.2.{20 + one.client[1] % 3}", VIP)))
    return rewrite(
        segments, GLANCE, lambda one: ((f"192.0.2.{20 + one.client[1] % 3}", one.client[1]), ("127.0.0.19", GLANCE))
    )


def proxy_before_the_proxy(segments: list[Segment], _name: str) -> list[Segment]:
    """Three legs: client, load balancer, HAProxy, Glance."""
    return seen_twice(segments, VIP, lambda client: (("192.0.2.1", client[1]), FRONT_PROXY))


def host_of_each_process(segments: list[Segment], name: str, database_network: str = "10.0.0") -> list[Segment]:
    """Every worker process of Glance is a host of its own."""
    by_port = processes(TRUTHS[name])

    def number(one: Segment) -> int:
        return 10 + by_port.get(one.client[1], 90)

    segments = rewrite(segments, GLANCE, lambda one: (one.client, (f"10.0.0.{number(one)}", GLANCE)))
    return rewrite(
        segments, MYSQL, lambda one: ((f"{database_network}.{number(one)}", one.client[1]), ("127.0.0.30", MYSQL))
    )


def hosts_with_a_database_network(segments: list[Segment], name: str) -> list[Segment]:
    """The same, and they talk to the database from other addresses than they serve on."""
    return host_of_each_process(segments, name, "172.16.0")


def replicas(segments: list[Segment], _name: str) -> list[Segment]:
    """Three database servers; a request's statements go to all of them."""
    return rewrite(segments, MYSQL, lambda one: (one.client, (f"127.0.0.{30 + one.client[1] % 3}", MYSQL)))


def behind_a_proxy(segments: list[Segment], node: Callable[[Segment], Endpoint]) -> list[Segment]:
    """Every statement twice; the leg behind the proxy lies 20 us within the one before it."""
    found: list[Segment] = []
    for one in segments:
        if not one.of(MYSQL):
            found.append(one)
            continue
        inner = one.between(("127.0.0.20", one.client[1]), node(one))
        found += [one.between(one.client, DATABASE_VIP), inner.later(20_000 if one.source == one.client else -20_000)]
    return found


def database_proxy(segments: list[Segment], _name: str) -> list[Segment]:
    """One database behind a TCP proxy."""
    return behind_a_proxy(segments, lambda one: ("127.0.0.30", MYSQL))


def galera(segments: list[Segment], _name: str) -> list[Segment]:
    """Three Galera nodes behind it."""
    return behind_a_proxy(segments, one_of_three)


def one_of_three(one: Segment) -> Endpoint:
    return f"127.0.0.{30 + one.client[1] % 3}", MYSQL


def figures_of(document: dict[str, Any], name: str, *, lossy: bool = False) -> Figures:
    return judge(read_truth(TRUTHS[name]), document, lossy=lossy)


def told(segments: list[Segment], tmp_path: Path) -> dict[str, Any]:
    return render_document(analyze(write_segments(segments, tmp_path / "capture.pcap")))


@cache
def recorded(name: str) -> Figures:
    """Figures of the capture as it was recorded."""
    return figures_of(render_document(analyze(capture_path(name))), name)


SAME = (
    "calls_right",
    "statements_matched",
    "statements_surplus",
    "glance_precision",
    "glance_recall",
    "glance_exact_calls",
    "glance_async_right",
    "glance_background_adopted",
    "timelines_right",
    "causes_right",
    "intervals_overlapping",
    "illegal",
)


def assert_as_right(figures: Figures, name: str) -> None:
    known = recorded(name)
    assert {key: figures[key] for key in SAME} == {key: known[key] for key in SAME}
    right, of = map(int, figures["glance_by_class"]["certain"].split("/"))
    assert right == of > 0


@pytest.mark.parametrize(
    "deployment",
    [
        several_proxies,
        proxy_before_the_proxy,
        hosts_with_a_database_network,
        replicas,
        database_proxy,
        galera,
    ],
)
def test_attribution_is_as_right_as_where_it_was_recorded(deployment: Deployment, tmp_path: Path) -> None:
    segments = deployment(read_segments(capture_path(LOAD)), LOAD)
    assert_as_right(figures_of(told(segments, tmp_path), LOAD), LOAD)


def test_hosts_that_are_told_apart_leave_less_to_infer(tmp_path: Path) -> None:
    figures = figures_of(told(host_of_each_process(read_segments(capture_path(LOAD)), LOAD), tmp_path), LOAD)
    assert_as_right(figures, LOAD)
    certain, before = (int(known["glance_by_class"]["certain"].split("/")[0]) for known in (figures, recorded(LOAD)))
    assert certain > before


def site(segments: list[Segment], number: int) -> list[Segment]:
    """All of a capture on a site of its own, but for the database."""
    network = f"10.0.{number}"
    hosts = {VIP: (1, 20), KEYSTONE_VIP: (1, 20), GLANCE: (20, 19), KEYSTONE: (20, 19)}
    for port, (client, server) in hosts.items():
        segments = [
            one.between((f"{network}.{client}", one.client[1]), (f"{network}.{server}", port)) if one.of(port) else one
            for one in segments
        ]
    return rewrite(segments, MYSQL, lambda one: ((f"{network}.19", one.client[1]), ("127.0.0.30", MYSQL)))


def of_site(document: dict[str, Any], number: int, earlier: int = 0) -> dict[str, Any]:
    """The rows of one site, `earlier` ns before."""
    rows = dict(document)
    for table in ("api_calls", "statements"):
        rows[table] = [
            row | {"ts": render_time(parse_time(row["ts"]) - earlier)}
            for row in document[table]
            if row["client"].startswith(f"10.0.{number}.")
        ]
    return rows


def test_two_eras_on_two_hosts(tmp_path: Path) -> None:
    older = "concurrent-old-8"
    ours, theirs = read_segments(capture_path(BUSY)), read_segments(capture_path(older))
    by = ours[0].ts - theirs[0].ts + 500_000_000
    both = site(ours, 0) + [one.later(by) for one in site(theirs, 1)]
    trace = analyze(write_segments(both, tmp_path / "capture.pcap"))
    assert trace.capture.glance_eras == {"10.0.0.19": 3, "10.0.1.19": 1}
    document = render_document(trace)
    assert_as_right(figures_of(of_site(document, 0), BUSY), BUSY)
    assert_as_right(figures_of(of_site(document, 1, by), older), older)


def test_the_same_images_on_two_hosts_at_the_same_time(tmp_path: Path) -> None:
    """Every call once more on another host, 7 ms later: only the hosts tell them apart."""
    segments = read_segments(capture_path(BUSY))
    again = [
        Segment(one.ts + 7_000_000, one.source, one.destination, one.frame.replace(b"req-", b"rfq-"))
        for one in site(segments, 1)
    ]
    figures = figures_of(of_site(told(site(segments, 0) + again, tmp_path), 0), BUSY)
    changes = ("timelines_right", "illegal")  # one database would not have gone through every change twice
    known = recorded(BUSY)
    assert {key: figures[key] for key in SAME if key not in changes} == {
        key: known[key] for key in SAME if key not in changes
    }


def sealed(one: Segment, source: random.Random) -> Segment:
    """The same packet with a TLS record of its length."""
    tcp = 14 + 4 * (one.frame[14] & 15)
    start = tcp + 4 * (one.frame[tcp + 12] >> 4)
    end = 14 + int.from_bytes(one.frame[16:18], "big")
    length = end - start - 5
    if length < 1:
        return one
    record = struct.pack(">BHH", 23, 0x303, length) + source.randbytes(length)
    return Segment(one.ts, one.source, one.destination, one.frame[:start] + record + one.frame[end:])


def test_a_third_of_the_clients_encrypted(tmp_path: Path) -> None:
    source = random.Random(1)
    segments = [
        sealed(one, source) if one.of(VIP) and one.client[1] % 3 == 0 else one
        for one in read_segments(capture_path(BUSY))
        if not one.of(GLANCE)
    ]
    figures = figures_of(told(segments, tmp_path), BUSY, lossy=True)
    assert 200 < figures["calls_right"] < 400
    right, of = map(int, figures["glance_by_class"]["certain"].split("/"))
    assert right == of > 1000
    assert figures["glance_precision"] >= 0.995
    assert figures["glance_background_adopted"] == 0
