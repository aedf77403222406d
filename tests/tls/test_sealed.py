"""Exchanges on encrypted connections by the heads of their records, however the stream is cut."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace.net.run import FROM_CLIENT, FROM_SERVER, Run
from glancetrace.tls.sealed import SealedExchange, SealedReader

MS = 1_000_000


def record(kind: int, length: int) -> bytes:
    return bytes((kind, 3, 3)) + length.to_bytes(2, "big") + bytes(length)


Step = tuple[int, bytes]

HANDSHAKE_13: list[Step] = [
    (FROM_CLIENT, record(22, 512)),
    (
        FROM_SERVER,
        record(22, 122) + record(20, 1) + record(23, 23) + record(23, 1625) + record(23, 281) + record(23, 69),
    ),
    (FROM_CLIENT, record(20, 1) + record(23, 69)),
]
TICKETS: list[Step] = [(FROM_SERVER, record(23, 250)), (FROM_SERVER, record(23, 250))]
HANDSHAKE_12: list[Step] = [
    (FROM_CLIENT, record(22, 512)),
    (FROM_SERVER, record(22, 90) + record(22, 2000) + record(22, 4)),
    (FROM_CLIENT, record(22, 66) + record(20, 1) + record(22, 40)),
    (FROM_SERVER, record(20, 1) + record(22, 40)),
]
CALLS: list[Step] = [
    (FROM_CLIENT, record(23, 235)),
    (FROM_SERVER, record(23, 482)),
    (FROM_CLIENT, record(23, 563) + record(23, 16401) + record(23, 3000) + record(23, 22)),
    (FROM_SERVER, record(23, 205)),
]


def runs(steps: list[Step], size: int = 1 << 20) -> list[Run]:
    """Each step a millisecond after the one before, cut into segments of at most `size` bytes."""
    found = []
    frame = 0
    for number, (direction, data) in enumerate(steps):
        for at in range(0, len(data), size):
            frame += 1
            found.append(Run(direction, data[at : at + size], [0], [number * MS], [frame]))
    return found


def exchanges(found: list[Run]) -> list[SealedExchange]:
    reader = SealedReader()
    for run in found:
        reader.feed(run)
    return reader.exchanges


def facts(found: list[SealedExchange]) -> list[tuple[int | None, ...]]:
    return [(e.ts, e.request_end_ts, e.response_ts, e.end_ts, e.request_bytes, e.response_bytes) for e in found]


def test_tls_13_hides_its_handshake_in_application_data() -> None:
    assert facts(exchanges(runs(HANDSHAKE_13 + TICKETS + CALLS))) == [
        (5 * MS, 5 * MS, 6 * MS, 6 * MS, 218, 465),
        (7 * MS, 7 * MS, 8 * MS, 8 * MS, 546 + 16384 + 2983 + 5, 188),
    ]


def test_tickets_that_come_after_the_request() -> None:
    late = [*HANDSHAKE_13, CALLS[0], *TICKETS, *CALLS[1:]]
    assert facts(exchanges(runs(late)))[0] == (3 * MS, 3 * MS, 6 * MS, 6 * MS, 218, 465)


def test_an_alert_at_the_end_is_no_answer() -> None:
    closing = [(FROM_SERVER, record(23, 19)), (FROM_CLIENT, record(23, 19))]
    steps = HANDSHAKE_13 + TICKETS + CALLS
    assert facts(exchanges(runs(steps + closing))) == facts(exchanges(runs(steps)))


def test_tls_12_keeps_its_handshake_apart() -> None:
    found = exchanges(runs(HANDSHAKE_12 + CALLS))
    assert [(e.ts, e.response_ts) for e in found] == [(4 * MS, 5 * MS), (6 * MS, 7 * MS)]
    for exchange, payload in zip(found, (235 - 24, 563 + 16401 + 3000 + 22 - 4 * 24), strict=True):
        assert exchange.request_bytes - exchange.request_slack <= payload <= exchange.request_bytes


def test_an_interim_response_does_not_end_the_request() -> None:
    steps = [
        CALLS[0],
        (FROM_SERVER, record(23, 25 + 17)),
        (FROM_CLIENT, record(23, 9000)),
        (FROM_SERVER, record(23, 205)),
    ]
    (exchange,) = exchanges(runs(HANDSHAKE_13 + TICKETS + steps))
    assert exchange.request_bytes == 218 + 8983
    assert exchange.end_ts == 8 * MS


@given(st.integers(1, 2000), st.booleans())
@settings(max_examples=40, deadline=None)
def test_however_it_is_cut(size: int, newer: bool) -> None:
    steps = (HANDSHAKE_13 + TICKETS if newer else HANDSHAKE_12) + CALLS
    assert facts(exchanges(runs(steps, size))) == facts(exchanges(runs(steps)))


@given(st.lists(st.sampled_from([19, 30, 63, 64, 4000, 16401]), min_size=1, max_size=40), st.booleans())
@settings(max_examples=40, deadline=None)
def test_an_upload_in_one_large_run_or_in_segments(lengths: list[int], newer: bool) -> None:
    """Long records of a request are counted together where a run holds many."""
    upload = [(FROM_CLIENT, b"".join(record(23, n) for n in [300, *lengths, 16401, 16401])), CALLS[1]]
    steps = (HANDSHAKE_13 + TICKETS if newer else HANDSHAKE_12) + upload
    whole, cut = exchanges(runs(steps)), exchanges(runs(steps, 1448))
    assert facts(whole) == facts(cut)
    assert [e.request_slack for e in whole] == [e.request_slack for e in cut]
    assert [e.request_bytes - e.request_slack for e in whole] == [
        sum(max(0, n - (17 if newer else 48)) for n in [300, *lengths, 16401, 16401] if n != 19 or not newer)
    ]


@given(st.integers(0, 40), st.integers(1, 5000))
@settings(max_examples=80, deadline=None)
def test_lost_bytes_invent_no_exchange(lost: int, size: int) -> None:
    steps = HANDSHAKE_13 + TICKETS + CALLS
    kept = runs(steps, size)
    if lost < len(kept):
        gone = kept.pop(lost)
        later = next((run for run in kept[lost:] if run.direction == gone.direction), None)
        if later is not None:
            later.gap = len(gone.data)
    found = exchanges(kept)
    assert len(found) <= 3
    assert sum(e.request_bytes for e in found) <= sum(len(data) for side, data in steps if side == FROM_CLIENT)


@given(st.lists(st.tuples(st.sampled_from([0, 1]), st.binary(max_size=60)), max_size=20))
@settings(max_examples=80, deadline=None)
def test_junk(steps: list[Step]) -> None:
    exchanges(runs(HANDSHAKE_13 + steps + CALLS, 700))


def test_records_are_found_again_at_a_segment_wherever_runs_are_cut() -> None:
    """After bytes that are missing nothing tells where the next record begins."""
    start = runs([*HANDSHAKE_12, CALLS[0]])
    parts = [record(23, 3000)[1000:], record(23, 400), record(23, 300)]
    ts, frames = [20 * MS, 21 * MS, 22 * MS], [20, 21, 22]
    apart = [
        Run(FROM_SERVER, *row) for row in zip(parts, [[0]] * 3, [[t] for t in ts], [[f] for f in frames], strict=True)
    ]
    offsets = [0, len(parts[0]), len(parts[0]) + len(parts[1])]
    together = [Run(FROM_SERVER, b"".join(parts), offsets, ts, frames)]
    for answer in (apart, together):
        answer[0].gap = 1005
        (found,) = exchanges([*start, *answer])
        assert (found.response_ts, found.response_frame, found.response_bytes) == (21 * MS, 22, 700 - 2 * 16)
