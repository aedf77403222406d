"""Digests do not depend on pieces and threads, memory stays bounded, and errors come back."""

from __future__ import annotations

import hashlib
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace.http.hashing import HashPool

ALGORITHMS = ("md5", "sha512", "sha256")


def _expected(data: bytes) -> dict[str, str]:
    return {name: hashlib.new(name, data).hexdigest() for name in ALGORITHMS}


def _hash_threads() -> list[str]:
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("hash-"))


@pytest.mark.parametrize("piece", [7, 1000, 100_000, 300_000, 9_000_000])
@pytest.mark.parametrize("after", [False, True])
def test_digests_of_any_pieces_inside_and_after_the_context(piece: int, after: bool) -> None:
    data = bytes(range(251)) * (20_000 if piece > 100 else 20)
    data *= 4 if piece > 1_000_000 else 1
    with HashPool() as pool:
        hasher = pool.new(ALGORITHMS)
        for at in range(0, len(data), piece):
            hasher.update(data[at : at + piece])
        digests = None if after else hasher.hexdigests()
    assert (hasher.hexdigests() if after else digests) == _expected(data)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5_000_000)), max_size=8))
def test_bodies_that_pass_at_the_same_time(pieces: list[tuple[int, int]]) -> None:
    bodies = [b"", b"", b"", b""]
    with HashPool() as pool:
        hashers = [pool.new(ALGORITHMS) for _ in bodies]
        for which, size in pieces:
            piece = bytes([which + 1]) * size
            bodies[which] += piece
            hashers[which].update(piece)
            if size % 5 == 0:
                assert hashers[which].hexdigests() == _expected(bodies[which])
    assert [hasher.hexdigests() for hasher in hashers] == [_expected(body) for body in bodies]


@pytest.mark.parametrize("after", [False, True])
def test_bodies_that_go_on_alike_and_then_part(after: bool) -> None:
    start = bytes(range(256)) * 20_000
    ends = [b"", b"x", b"y", b"y" * 5_000_000, b"y" * 4_999_999 + b"z", b"y"]
    with HashPool() as pool:
        hashers = [pool.new(ALGORITHMS) for _ in ends]
        for hasher, end in zip(hashers, ends, strict=True):
            body = start + end
            for at in range(0, len(body), 700_000):
                hasher.update(body[at : at + 700_000])
        digests = [] if after else [hasher.hexdigests() for hasher in hashers]
    digests = digests or [hasher.hexdigests() for hasher in hashers]
    assert digests == [_expected(start + end) for end in ends]


def test_small_bodies_need_no_thread_and_threads_end_with_the_context() -> None:
    with HashPool() as pool:
        small = pool.new(ALGORITHMS)
        small.update(b"x" * 1000)
        assert small.hexdigests() == _expected(b"x" * 1000)
        assert _hash_threads() == []
        pool.new(["md5", "sha512"]).update(bytes(5_000_000))
        assert len(_hash_threads()) in (1, 2)
        assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("hash-"))
    assert _hash_threads() == []


def test_many_bodies_that_nobody_asks_for_hold_little() -> None:
    with HashPool() as pool:
        hashers = [pool.new(["md5"]) for _ in range(200)]
        for hasher in hashers:
            hasher.update(bytes(200_000))
        assert pool.collected <= 32 * 1024 * 1024
        expected = {"md5": hashlib.md5(bytes(200_000)).hexdigest()}
        assert all(hasher.hexdigests() == expected for hasher in hashers)


@pytest.mark.parametrize(("body", "unbroken"), [(b"", True), (b"abc", True), (b"a\nc", False), (b"a\0c", False)])
def test_a_hasher_knows_whether_there_were_line_breaks(body: bytes, unbroken: bool) -> None:
    with HashPool() as pool:
        hasher = pool.new(["md5"])
        for byte in body:
            hasher.update(bytes([byte]))
        assert hasher.unbroken is unbroken


def test_unknown_algorithms_are_refused() -> None:
    with HashPool() as pool, pytest.raises(ValueError, match="unsupported"):
        pool.new(["md5", "no-such-hash"])


class _Broken:
    def update(self, data: bytes) -> None:
        raise ValueError("broken hash")

    def copy(self) -> _Broken:
        return self

    def hexdigest(self) -> str:
        return ""


def _new_broken(name: str, **options: Any) -> _Broken:
    return _Broken()


def test_an_error_in_a_thread_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashlib, "new", _new_broken)
    with HashPool() as pool:
        hasher = pool.new(["md5"])
        hasher.update(bytes(5_000_000))
        with pytest.raises(ValueError, match="broken hash"):
            hasher.hexdigests()
    assert _hash_threads() == []


def test_an_interrupted_context_does_not_finish_hashing() -> None:
    def interrupted() -> None:
        with HashPool() as pool:
            for _ in range(20):
                pool.new(["md5"]).update(bytes(1_000_000))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert _hash_threads() == []
