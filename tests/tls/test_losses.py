"""Records that are lost, cut and spoiled: what is told stands at its place, and nothing else is told."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace.net.run import FROM_CLIENT, FROM_SERVER
from tests.support.http_streams import cut_at, merged, without
from tests.support.openssl import Setup, TlsTalk, make_certificate
from tests.support.tls_streams import Told, decrypt, segments_of, store_of

KINDS = {
    "TLS 1.3": ("TLS 1.3", "TLS_AES_128_GCM_SHA256"),
    "TLS 1.2": ("TLS 1.2", "ECDHE-RSA-AES128-GCM-SHA256"),
    "TLS 1.2, ChaCha20": ("TLS 1.2", "ECDHE-RSA-CHACHA20-POLY1305"),
}
BODY = bytes(n * n % 251 for n in range(90_000))


@cache
def talk(kind: str) -> TlsTalk:
    """A long conversation with small and large records, and new keys on the way where there are any."""
    certificate = make_certificate(Path(mkdtemp()), "rsa")
    said = TlsTalk(Setup(certificate, *KINDS[kind])).shake_hands()
    said.ask(b"GET /1").answer(b"first" * 500).ask(b"GET /2").answer(BODY)
    if kind == "TLS 1.3":
        said.update_keys(FROM_SERVER, both=True)
    for number in range(20):
        said.ask(b"PING %d" % number).answer(b"PONG %d" % number)
    return said.ask(BODY[:30_000]).answer(b"done").close()


def after_handshake(said: TlsTalk) -> int:
    """Number of the first of the segments of 700 bytes that may be lost without losing the handshake."""
    return len(segments_of(said.flights[:8], 700))


def stands_at_its_place(told: Told, said: list[bytes]) -> bool:
    """What was told is what was said, but for gaps of exactly the bytes that are missing."""
    for direction in (FROM_CLIENT, FROM_SERVER):
        position = at = 0
        for offset, gap in [*told.gaps[direction], (len(told.said[direction]), 0)]:
            piece = told.said[direction][at:offset]
            if said[direction][position : position + len(piece)] != piece:
                return False
            position += len(piece) + gap
            at = offset
    return True


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25)
@given(data=st.data())
def test_cuts_do_not_matter(kind: str, data: st.DataObject) -> None:
    said = talk(kind)
    segments = segments_of(said.flights)
    total = sum(len(piece) for _, piece in segments)
    places = data.draw(st.lists(st.integers(0, total), max_size=40))
    told = decrypt(cut_at(places)(segments), store_of(said.keylog))
    whole = decrypt(merged(segments), store_of(said.keylog))
    assert told.said == whole.said == said.said
    assert [told.places(side) for side in (0, 1)] == [whole.places(side) for side in (0, 1)]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40)
@given(data=st.data())
def test_lost_segments_leave_gaps_of_their_size(kind: str, data: st.DataObject) -> None:
    said = talk(kind)
    segments = segments_of(said.flights, 700)
    begin = after_handshake(said)
    lost = data.draw(st.sets(st.integers(begin, len(segments) - 3), min_size=1, max_size=12))
    told = decrypt(without(segments, lost), store_of(said.keylog))
    assert stands_at_its_place(told, said.said)
    assert told.summary.decrypted
    assert sum(map(len, told.said)) >= sum(map(len, said.said)) - len(lost) * 3 * 16384


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40)
@given(data=st.data())
def test_a_spoiled_byte_is_never_told(kind: str, data: st.DataObject) -> None:
    said = talk(kind)
    segments = segments_of(said.flights, 700)
    begin = after_handshake(said)
    number = data.draw(st.integers(begin, len(segments) - 3))
    side, piece = segments[number]
    at = data.draw(st.integers(0, len(piece) - 1))
    spoiled = piece[:at] + bytes([piece[at] ^ data.draw(st.integers(1, 255))]) + piece[at + 1 :]
    told = decrypt(without([*segments[:number], (side, spoiled), *segments[number + 1 :]], set()),
                   store_of(said.keylog))  # fmt: skip
    assert stands_at_its_place(told, said.said)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60)
@given(data=st.data())
def test_a_spoiled_handshake_raises_nothing(kind: str, data: st.DataObject) -> None:
    said = talk(kind)
    segments = segments_of(said.flights, 700)[:40]
    number = data.draw(st.integers(0, 12))
    side, piece = segments[number]
    at = data.draw(st.integers(0, min(120, len(piece)) - 1))
    segments[number] = (side, piece[:at] + data.draw(st.binary(min_size=1, max_size=4)) + piece[at + 1 :])
    told = decrypt(without(segments, set()), store_of(said.keylog))
    for run in told.runs:
        assert run.data in said.said[run.direction]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40)
@given(data=st.data())
def test_anything_raises_nothing_and_is_not_told(kind: str, data: st.DataObject) -> None:
    said = talk(kind)
    segments = segments_of(said.flights, 700)[: data.draw(st.integers(0, 60))]
    junk = data.draw(st.lists(st.tuples(st.sampled_from([0, 1]), st.binary(min_size=1, max_size=300)), max_size=6))
    told = decrypt(without([*segments, *junk], data.draw(st.sets(st.integers(0, 60), max_size=3))),
                   store_of(said.keylog))  # fmt: skip
    for direction in (FROM_CLIENT, FROM_SERVER):
        for run in told.runs:
            if run.direction == direction:
                assert run.data in said.said[direction]


@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_end_is_a_gap(kind: str) -> None:
    said = talk(kind)
    segments = segments_of(said.flights)
    side = segments[-2][0]
    told = decrypt(without(segments, {len(segments) - 2, len(segments) - 1}), store_of(said.keylog))
    assert told.summary.reason is None
    assert sum(gap for _, gap in told.gaps[side]) > 0
