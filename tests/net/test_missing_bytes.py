"""Bytes that come late, twice, cut, or never."""

from __future__ import annotations

import pytest

from glancetrace.net.flow import TAIL_LEN
from glancetrace.net.reorder import GIVE_UP_NS, GIVE_UP_PACKETS, MAX_WAITING_BYTES
from glancetrace.net.run import FROM_CLIENT, FROM_SERVER
from tests.support.tcp_packets import ACK, FIN, RST, SYN, Packet, from_client, from_server, reassemble

HANDSHAKE = [from_client(9, 0, flags=SYN), from_server(99, 10, flags=SYN | ACK), from_client(10, 100)]

both_ways = pytest.mark.parametrize("fast", [True, False])


def _data(packets: list[Packet], *, fast: bool = True) -> list[tuple[bytes, int]]:
    return [(s.data, s.gap) for s in reassemble(packets, fast=fast).only().segments]


def test_a_response_captured_before_its_request_comes_after_it() -> None:
    packets = [*HANDSHAKE, from_server(100, 13, b"answer", ts=2), from_client(10, 100, b"ask", ts=1)]
    packets += [from_client(13, 106, b"next", ts=3)]
    assert _data(packets) == [(b"ask", 0), (b"answer", 0), (b"next", 0)]


def test_all_waits_for_the_hole_and_then_comes_in_order_of_acknowledgment() -> None:
    packets = [
        *HANDSHAKE,
        from_client(13, 100, b"B"),
        from_server(100, 14, b"reply to B"),
        from_client(14, 110, b"C"),
        from_client(10, 100, b"aaa"),
    ]
    assert _data(packets) == [(b"aaa", 0), (b"B", 0), (b"reply to B", 0), (b"C", 0)]


@both_ways
def test_packets_seen_twice_change_nothing(fast: bool) -> None:
    once = [
        *HANDSHAKE,
        from_client(10, 100, b"ask"),
        from_server(100, 13, b"answer"),
        from_client(13, 106, flags=FIN | ACK),
    ]
    result = reassemble([packet for packet in once for _ in (0, 1)], fast=fast)
    assert [s.data for s in result.only().segments] == [b"ask", b"answer"]
    assert result.kinds() == {}
    assert result.tcp.accounting.duplicate_bytes == 9


@both_ways
@pytest.mark.parametrize("probe", [b"", b"\0"])
def test_keep_alives_are_no_data(probe: bytes, fast: bool) -> None:
    packets = [*HANDSHAKE, from_client(10, 100, b"ask"), from_client(12, 100, probe), from_server(100, 13)]
    packets += [from_client(12, 100, probe), from_client(13, 100, b"more")]
    result = reassemble(packets, fast=fast)
    assert result.only().stream(FROM_CLIENT) == [b"askmore"]
    assert result.kinds() == {}


def test_a_zero_window_probe_is_data_and_its_repetition_is_not() -> None:
    packets = [
        *HANDSHAKE,
        from_client(10, 100, b"a"),
        from_server(100, 10),
        from_client(10, 100, b"ask"),
        from_server(100, 13),
    ]
    assert reassemble(packets).only().stream(FROM_CLIENT) == [b"ask"]


@pytest.mark.parametrize(
    ("again", "differs"),
    [
        ((10, b"abcd"), False),
        ((10, b"abXd"), True),
        ((12, b"cdef"), False),
        ((12, b"cXef"), True),
        ((8, b"..ab"), False),
    ],
)
def test_the_first_copy_wins(again: tuple[int, bytes], differs: bool) -> None:
    packets = [*HANDSHAKE, from_client(10, 100, b"abcd"), from_client(again[0], 100, again[1])]
    for cuts in ((), (4,)):
        result = reassemble(packets, cuts=cuts)
        (stream,) = result.only().stream(FROM_CLIENT)
        assert stream in (b"abcd", b"abcdef")
        assert result.kinds() == ({"tcp-overlap-differs": 1} if differs else {})


@pytest.mark.parametrize("cuts", [(), (5,), (4, 5, 6), range(50)])
def test_copies_are_compared_across_segments_runs_and_blocks(cuts: tuple[int, ...]) -> None:
    stream = bytes(range(200))
    packets = [*HANDSHAKE, *(from_client(10 + n, 100, stream[n : n + 10]) for n in range(0, 200, 10))]
    packets.insert(12, from_server(100, 10, b"between"))
    kinds = [
        reassemble([*packets, from_client(15, 107, copy)], cuts=cuts).kinds()
        for copy in (stream[5:150], stream[5:149] + b"?")
    ]
    assert kinds == [{}, {"tcp-overlap-differs": 1}]


@both_ways
def test_copies_are_compared_as_far_back_as_is_remembered(fast: bool) -> None:
    stream = bytes(n % 251 for n in range(3 * TAIL_LEN))
    sent = [from_client(10 + n, 100, stream[n : n + 700]) for n in range(0, len(stream), 700)]
    back = len(stream) - TAIL_LEN
    for start, differs in ((back, True), (back - 1, False)):
        wrong = from_client(10 + start, 100, b"\xff" + stream[start + 1 : start + 90])
        kinds = reassemble([*HANDSHAKE, *sent, wrong], fast=fast).kinds()
        assert kinds == ({"tcp-overlap-differs": 1} if differs else {})


def test_the_first_copy_wins_among_those_that_wait() -> None:
    packets = [*HANDSHAKE, from_client(14, 100, b"EF"), from_client(12, 100, b"cdefgh"), from_client(10, 100, b"ab")]
    result = reassemble(packets)
    assert result.only().stream(FROM_CLIENT) == [b"abcdEFgh"]
    assert result.kinds() == {"tcp-overlap-differs": 1}


@both_ways
def test_numbers_wrap_around(fast: bool) -> None:
    start = 2**32 - 1000
    packets = [from_client(start - 1, 0, flags=SYN), from_server(99, start, flags=SYN | ACK)]
    sizes = 100
    packets += [from_client(start + n * sizes, 100, bytes([n]) * sizes) for n in range(30)]
    packets[5], packets[14] = packets[14], packets[5]
    for cuts in ((), (6, 12, 13)):
        result = reassemble(packets, cuts=cuts, fast=fast)
        assert result.only().stream(FROM_CLIENT) == [b"".join(bytes([n]) * sizes for n in range(30))]
        assert result.kinds() == {}


@both_ways
def test_a_stream_longer_than_the_sequence_space(fast: bool) -> None:
    step = 1 << 28
    packets = [*HANDSHAKE]
    packets += [from_client(10 + n * step, 100, b"data")._replace(wire_len=step) for n in range(40)]
    stream = reassemble(packets, fast=fast).only().stream(FROM_CLIENT)
    assert stream == [part for _ in range(40) for part in (b"data", step - 4)]


def test_what_the_peer_acknowledged_is_given_up_after_some_packets() -> None:
    lost = [*HANDSHAKE, from_server(100, 13, b"answer")]
    few = [from_client(13, 106) for _ in range(GIVE_UP_PACKETS - 1)]
    late = from_client(10, 100, b"ask")
    assert _data([*lost, *few, late]) == [(b"ask", 0), (b"answer", 0)]
    result = reassemble([*lost, *few, from_client(13, 106), late, from_client(13, 106, b"next")])
    assert [(s.data, s.gap) for s in result.only().segments] == [(b"answer", 0), (b"next", 3)]
    assert result.kinds() == {"tcp-gap": 1}
    assert result.only().connection.bytes_missing == [3, 0]
    assert result.tcp.accounting.duplicate_bytes == 3


@pytest.mark.parametrize("elsewhere", [True, False])
def test_what_the_peer_acknowledged_is_given_up_when_time_passed(elsewhere: bool) -> None:
    lost = [*HANDSHAKE, from_server(100, 13, b"answer", ts=1_000)]
    due = from_client(13, 106, ts=1_000 + GIVE_UP_NS)
    if elsewhere:
        due = due._replace(source=("192.0.2.77", 5), target=("192.0.2.78", 6))
    packets = [*lost, due, from_client(10, 100, b"ask"), from_client(13, 106, b"next")]
    for cuts in ((), (4,), (5,), range(7)):
        segments = reassemble(packets, cuts=cuts).only().segments
        assert [(s.data, s.gap) for s in segments] == [(b"answer", 0), (b"next", 3)]
    soon = [*lost, due._replace(ts=GIVE_UP_NS), from_client(10, 100, b"ask"), from_client(13, 106, b"next")]
    assert _data(soon) == [(b"ask", 0), (b"answer", 0), (b"next", 0)]


def test_the_time_of_each_hole_runs_from_its_own_acknowledgment() -> None:
    packets = [*HANDSHAKE]
    for number in range(500):
        packets += [from_client(11 + 5 * number, 100, b"some"), from_server(100, 15 + 5 * number)]
    late = [from_client(10 + 5 * number, 100, b"!") for number in range(500)]
    connection = reassemble([*packets, *late]).only().connection
    assert 500 - GIVE_UP_PACKETS <= connection.bytes_missing[0] <= 500
    assert sum((connection.bytes_seen[0], connection.bytes_missing[0])) == 500 * 5


@pytest.mark.parametrize("elsewhere", [0, 1_000, 2_000, 3_000])
def test_a_stream_that_began_before_the_capture_has_no_gap_before_its_first_byte(elsewhere: int) -> None:
    """Whether another connection shows in between how late it is, or not."""
    packets = [from_server(100, 10), from_server(100, 20, ts=1_000), from_server(100, 30, ts=2_000)]
    packets.append(from_client(40, 100, b"some", ts=2_000))
    packets.append(Packet(("192.0.2.77", 5), ("192.0.2.78", 6), 1, 1, ACK, ts=elsewhere + GIVE_UP_NS))
    packets.append(from_client(44, 100, b"more", ts=4_000 + GIVE_UP_NS))
    for cuts in ((), (4,), (5,), range(6)):
        result = reassemble(packets, cuts=cuts)
        assert result.only().stream(FROM_CLIENT) == [b"somemore"]
        assert result.kinds() == {}


@both_ways
@pytest.mark.parametrize("cuts", [(), (3,), range(9)])
@pytest.mark.parametrize("start", [100, 2**31, 2**32 - 20])
@pytest.mark.parametrize("flags", [SYN, ACK])
def test_a_side_of_which_nothing_was_captured_is_missing_altogether(
    flags: int, start: int, cuts: tuple[int, ...], fast: bool
) -> None:
    packets = [from_client(9, start if flags & ACK else 0, flags=flags)]
    packets += [from_client(10 + 4 * n, (start + 7 * n) % 2**32, b"asks", ts=1_000 * n) for n in range(6)]
    result = reassemble(packets, cuts=cuts, fast=fast)
    assert result.only().stream(FROM_CLIENT) == [b"asks" * 6]
    assert result.only().connection.bytes_missing[FROM_SERVER] == 5 * 7
    assert result.kinds() == {"tcp-gap": 1}


@pytest.mark.parametrize("cuts", [(), (4,), range(7)])
def test_a_first_segment_that_comes_after_it_was_given_up_is_waited_on_anew(cuts: tuple[int, ...]) -> None:
    packets = [
        from_client(100, 7, b"ask"),
        from_client(103, 23, ts=1_000),
        from_client(103, 23, b"more", ts=1_000 + GIVE_UP_NS),
        from_server(7, 103, b"abc", ts=2_000 + GIVE_UP_NS),
        from_server(10, 103, b"defghijklmnop", ts=3_000 + GIVE_UP_NS),
        from_client(107, 23, b"next", ts=4_000 + GIVE_UP_NS),
        from_server(23, 111, b"end", ts=5_000 + GIVE_UP_NS),
    ]
    result = reassemble(packets, cuts=cuts)
    assert b"".join(result.only().stream(FROM_SERVER)) == b"abcdefghijklmnopend"
    assert result.kinds() == {}


def test_what_nobody_acknowledged_is_waited_for() -> None:
    packets = [*HANDSHAKE]
    packets += [from_client(13 + n, 100, b"x", ts=n * GIVE_UP_NS) for n in range(2 * GIVE_UP_PACKETS)]
    packets += [from_client(10, 100, b"ask")]
    assert reassemble(packets).only().stream(FROM_CLIENT) == [b"ask" + b"x" * 2 * GIVE_UP_PACKETS]


def test_what_nobody_acknowledged_is_given_up_when_too_much_waits() -> None:
    size = 60_000
    count = MAX_WAITING_BYTES // size + 1
    packets = [*HANDSHAKE, *(from_client(13 + n * size, 100, bytes(size)) for n in range(count))]
    for cuts in ((), (20, 40)):
        result = reassemble(packets, cuts=cuts)
        assert result.only().stream(FROM_CLIENT) == [3, bytes(count * size)]
        assert result.kinds() == {"tcp-gap": 1, "tcp-buffer-exceeded": 1}


def test_one_direction_alone_is_decoded() -> None:
    packets = [from_server(100 + 7 * n, 10 + 3 * n, b"answers", ts=n * GIVE_UP_NS) for n in range(20)]
    assert reassemble(packets).only().stream(FROM_SERVER) == [b"answers" * 20]


def test_a_hole_of_one_direction_alone_is_given_up() -> None:
    packets = [from_server(100, 10, b"a"), *(from_server(105 + n, 10, b"b") for n in range(GIVE_UP_PACKETS + 1))]
    recorder = reassemble([*packets, from_server(101, 10, b"late")]).only()
    assert recorder.stream(FROM_SERVER) == [b"a", 4, b"b" * (GIVE_UP_PACKETS + 1)]


@pytest.mark.parametrize(("flags", "how"), [(RST, "rst"), (ACK, "end")])
def test_the_end_gives_up_what_is_missing(flags: int, how: str) -> None:
    packets = [*HANDSHAKE, from_client(13, 100, b"more"), from_client(17, 100, flags=flags)]
    result = reassemble(packets)
    assert result.only().stream(FROM_CLIENT) == [3, b"more"]
    assert result.only().closed == (0, 5, how)


def test_a_gap_at_the_end_is_told_without_data() -> None:
    packets = [*HANDSHAKE, from_client(10, 100, b"ask", ts=1), from_client(20, 100, flags=FIN | ACK, ts=2)]
    (_, last) = reassemble(packets).only().segments
    assert last == (FROM_CLIENT, b"", 2, 5, 7)


def test_a_lost_fin_is_no_missing_byte() -> None:
    packets = [*HANDSHAKE, from_client(10, 100, b"ask"), from_server(100, 14, flags=FIN | ACK)]
    result = reassemble(packets)
    assert result.only().stream(FROM_CLIENT) == [b"ask"]
    assert result.kinds() == {}


@both_ways
def test_truncated_packets_leave_gaps_of_known_length(fast: bool) -> None:
    cut = from_client(10, 100, b"begin")._replace(wire_len=100)
    all_cut = from_client(110, 100, b"")._replace(wire_len=50)
    packets = [*HANDSHAKE, cut, all_cut, from_client(160, 100, b"next"), from_server(100, 164, b"answer")]
    for cuts in ((), (4,), (5,), (6,)):
        recorder = reassemble(packets, fast=fast, cuts=cuts).only()
        assert recorder.stream(FROM_CLIENT) == [b"begin", 145, b"next"]
        assert recorder.stream(FROM_SERVER) == [b"answer"]


def test_acknowledgments_that_make_no_sense_hold_nothing_up() -> None:
    packets = [*HANDSHAKE, from_client(10, 100 + 2**31 - 1, b"ask"), from_client(13, 100, b"more")]
    result = reassemble(packets)
    assert result.only().stream(FROM_CLIENT) == [b"askmore"]
    assert result.kinds() == {}


def test_a_retransmission_with_a_newer_acknowledgment_does_not_lock_up() -> None:
    packets = [*HANDSHAKE, from_server(100, 13, b"answer"), from_client(10, 106, b"ask"), from_client(13, 106, b"next")]
    assert _data(packets) == [(b"ask", 0), (b"answer", 0), (b"next", 0)]
