"""Packets missing from recorded sessions: a command keeps its own answer, or has none; it never gets another's."""

from __future__ import annotations

import random
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from glancetrace.decode import decode
from tests.support.degrade import read_records
from tests.support.samples import capture_path

_SQL_PORT = 3306
_RECORD = 16
_ETHERNET = 14
_ANSWER = ("returned_rows", "affected_rows", "last_insert_id", "status_flags", "error", "rows")

Losses = Callable[[random.Random, int], Sequence[int]]


class Answered(NamedTuple):
    """A command, whether it and its answer are whole, and the answer: where it ends in its stream, what it says."""

    sql: str | None
    complete: bool
    ends: tuple[int, ...] | None
    says: tuple[Any, ...]


def one_by_one(share: float) -> Losses:
    """A share of the packets, here and there."""
    return lambda choice, count: [at for at in range(count) if choice.random() >= share]


def in_bursts(choice: random.Random, count: int) -> list[int]:
    """Up to forty packets in a row."""
    kept: list[int] = []
    at = 0
    while at < count:
        whole = choice.randrange(1, 400)
        kept += range(at, min(at + whole, count))
        at += whole + choice.choice((2, 3, 5, 10, 40))
    return kept


def out_of_order(choice: random.Random, count: int) -> list[int]:
    """Some packets, and some of the others captured behind later ones."""
    kept = one_by_one(0.05)(choice, count)
    return sorted(kept, key=lambda at: at + choice.choice((0, 0, 0, 0, 0, 0, 1.5, 3.5, 8)))


def place_of(record: bytes) -> tuple[int, int, int, int]:
    """Ports and sequence number of a packet, and its length, which say what it holds even when it is sent again."""
    at = _RECORD + _ETHERNET
    return *struct.unpack_from(">HHI", record, at + (record[at] & 15) * 4), len(record)


@cache
def recorded(name: str) -> tuple[bytes, list[bytes]]:
    """What a sample holds of MySQL: file header and records."""
    header, records = read_records(capture_path(name))
    return header, [record for record in records if _SQL_PORT in place_of(record)[:2]]


def answers(name: str, kept: Sequence[int], folder: Path) -> dict[tuple[int, int], Answered]:
    """Packet of a request and place in it -> the command, decoded from the packets `kept`."""
    header, records = recorded(name)
    capture = folder / "kept.pcap"
    capture.write_bytes(header + b"".join(records[at] for at in kept))
    found: dict[tuple[int, int], Answered] = {}
    places: Counter[int] = Counter()
    for command, _ in decode(capture).commands:
        first = kept[command.first_frame - 1]
        last = command.response_frame
        ends = None if last is None else place_of(records[kept[last - 1]])
        says = tuple(getattr(command, field) for field in _ANSWER)
        found[first, places[first]] = Answered(command.sql, command.complete, ends, says)
        places[first] += 1
    return found


@cache
def whole(name: str, folder: Path) -> dict[tuple[int, int], Answered]:
    return answers(name, range(len(recorded(name)[1])), folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("losses")


@pytest.mark.parametrize(
    ("name", "seeds"), [("article", range(6)), ("failures", range(1)), ("concurrent-16", range(1))]
)
@pytest.mark.parametrize(
    ("losses", "known"),
    [
        pytest.param(one_by_one(0.005), 0.97, id="0.5 %"),
        pytest.param(one_by_one(0.02), 0.92, id="2 %"),
        pytest.param(one_by_one(0.3), 0.35, id="30 %"),
        pytest.param(in_bursts, 0.85, id="bursts"),
        pytest.param(out_of_order, 0.8, id="out of order"),
    ],
)
def test_a_command_keeps_its_answer_or_has_none(
    name: str, seeds: range, losses: Losses, known: float, folder: Path
) -> None:
    exact = whole(name, folder)
    for seed in seeds:
        kept = losses(random.Random(seed), len(recorded(name)[1]))
        found = answers(name, kept, folder)
        for key, command in found.items():
            if command.complete:
                assert command == exact[key]
            elif key in exact:
                assert all(
                    claimed is None or claimed == true or field in ("returned_rows", "rows")
                    for field, claimed, true in zip(_ANSWER, command.says, exact[key].says, strict=True)
                )
        assert sum(command.complete for command in found.values()) >= known * len(exact)
