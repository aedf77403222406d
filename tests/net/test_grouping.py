"""Packets of a block by flow."""

from __future__ import annotations

import numpy as np
import pytest

from glancetrace.net import grouping
from glancetrace.net.grouping import FlowGroups, group_flows
from tests.support.tcp_packets import ACK, Packet, block_of, reassemble

ENDS = [("192.0.2.1", 5000), ("192.0.2.1", 5001), ("192.0.2.2", 5000), ("::c000:201", 5000), ("2001:db8::1", 5000)]
PAIRS = [(a, b) for a in ENDS for b in ENDS if a != b and (":" in a[0]) == (":" in b[0])]
PACKETS = [Packet(a, b, 1 + n, 1, ACK, b"x") for n in range(3) for a, b in PAIRS]


KINDS = {
    "both": PACKETS,
    "IPv4": [packet for packet in PACKETS if ":" not in packet.source[0]],
    "IPv6": [packet for packet in PACKETS if ":" in packet.source[0]],
}


def _sets(groups: FlowGroups) -> dict[frozenset[tuple[tuple[int, ...], tuple[int, ...]]], list[int]]:
    stops = [*groups.starts[1:].tolist(), len(groups.rows)]
    return {
        frozenset({(key[0], *key[1:4]), (key[0], *key[4:])}): groups.rows[start:stop].tolist()
        for key, start, stop in zip(groups.keys, groups.starts.tolist(), stops, strict=True)
    }


def _expected(packets: list[Packet]) -> list[list[int]]:
    flows: dict[frozenset[tuple[str, int]], list[int]] = {}
    for row, packet in enumerate(packets):
        flows.setdefault(frozenset({packet.source, packet.target}), []).append(row)
    return sorted(flows.values())


@pytest.mark.parametrize("kind", KINDS)
def test_both_directions_are_one_flow_in_capture_order(kind: str) -> None:
    groups = group_flows(block_of(KINDS[kind]))
    assert sorted(_sets(groups).values()) == _expected(KINDS[kind])
    assert len(set(groups.keys)) == len(groups.keys)


@pytest.mark.parametrize("kind", KINDS)
def test_sides_are_those_of_the_key(kind: str) -> None:
    block = block_of(KINDS[kind])
    groups = group_flows(block)
    group = np.repeat(np.arange(len(groups.starts)), np.diff(groups.starts, append=len(groups.rows)))
    for row, number in zip(groups.rows.tolist(), group.tolist(), strict=True):
        side = int(groups.side[row])
        sender = groups.keys[number][1 + 3 * side : 4 + 3 * side]
        assert sender == (*block.src[row].tolist(), int(block.sport[row]))


@pytest.mark.parametrize("kind", KINDS)
def test_names_that_collide_are_told_apart(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    packets = KINDS[kind]
    honest = _sets(group_flows(block_of(packets)))

    def collide(address: np.ndarray, port: np.ndarray, version: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return np.full(len(port), 7, np.uint64)

    monkeypatch.setattr(grouping, "_mix_endpoint", collide)
    groups = group_flows(block_of(packets))
    assert _sets(groups) == honest
    result = reassemble(packets, server_ports=frozenset({5000}), cuts=range(0, len(packets), 7))
    assert sum(len(recorder.segments) for recorder in result.recorders) == len(packets)
