"""Walking from many places at once finds the records that the loop finds, whatever the bytes are."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace.capture.walk import RecordWalk

START = 1_700_000_000


def one_by_one(data: bytes, position: int, order: str, header_len: int) -> tuple[list[int], int]:
    starts = []
    while position + header_len <= len(data):
        starts.append(position)
        position += header_len + int.from_bytes(data[position + 8 : position + 12], {"<": "little", ">": "big"}[order])
    return starts, position


def records(choice: random.Random, order: str, header_len: int, sizes: list[int], per_second: int) -> bytes:
    """Records whose payload is full of what looks like the beginning of one."""
    parts = []
    for number in range(choice.randrange(2500)):
        size = choice.choice(sizes)
        seconds = START + number // per_second
        decoy = struct.pack(f"{order}I", seconds + choice.randrange(2))
        payload = choice.randbytes(size % 7) + decoy * (size // 4 + 1) if choice.random() < 0.3 else bytes(size)
        parts.append(struct.pack(f"{order}IIII", seconds, number, size, size) + bytes(header_len - 16) + payload[:size])
    return b"".join(parts)


@pytest.mark.parametrize(("order", "header_len"), [("<", 16), (">", 16), ("<", 24)])
@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.integers(0, 2**32),
    st.lists(st.sampled_from((0, 11, 66, 300, 1514)), min_size=1, max_size=4),
    st.sampled_from((1, 50, 700, 10**6)),
    st.integers(0, 3),
)
def test_the_records_are_those_of_the_loop(
    order: str, header_len: int, seed: int, sizes: list[int], per_second: int, damages: int
) -> None:
    choice = random.Random(seed)
    data = bytearray(choice.randbytes(24) + records(choice, order, header_len, sizes, per_second))
    for _ in range(damages):
        at = choice.randrange(len(data))
        data[at : at + 4] = choice.randbytes(4)
    walk = RecordWalk(order, header_len)
    for end in (len(data), len(data) // 2, max(24, len(data) - 5)):
        block = bytes(data[:end])
        starts, position = walk.walk(block, 24)
        assert (starts.tolist(), position) == one_by_one(block, 24, order, header_len)


def test_guesses_are_right_where_times_are_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else walking from many places would cost and gain nothing."""
    looped = 0
    loop = RecordWalk._loop

    def counting(self: RecordWalk, data: bytes, position: int, stop: int, most: int) -> tuple[list[int], int]:
        nonlocal looped
        starts, position = loop(self, data, position, stop, most)
        looped += len(starts)
        return starts, position

    monkeypatch.setattr(RecordWalk, "_loop", counting)
    data = b"".join(
        struct.pack("<IIII", START + number // 5000, number, size, size) + bytes(size)
        for number, size in enumerate([1514, 1514, 66] * 10_000)
    )
    starts, _ = RecordWalk("<", 16).walk(data, 0)
    assert len(starts) == 30_000
    assert looped < 1000
