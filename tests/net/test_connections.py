"""Who is the client, where connections begin and end, and which are wanted."""

from __future__ import annotations

import pytest

from glancetrace.net.reorder import GIVE_UP_NS
from glancetrace.net.run import FROM_CLIENT, FROM_SERVER, Connection
from glancetrace.net.verdict import MAX_SEGMENTS, PREFIX_LEN, Verdict
from tests.support.tcp_packets import (
    ACK,
    CLIENT,
    FIN,
    RST,
    SERVER,
    SYN,
    Packet,
    Recorder,
    from_client,
    from_server,
    reassemble,
)

HANDSHAKE = [from_client(9, 0, flags=SYN), from_server(99, 10, flags=SYN | ACK), from_client(10, 100)]
OTHER = ("192.0.2.9", 40001)

both_ways = pytest.mark.parametrize("fast", [True, False])


def _moved(packets: list[Packet], client: tuple[str, int], server: tuple[str, int]) -> list[Packet]:
    ends = {CLIENT: client, SERVER: server}
    return [packet._replace(source=ends[packet.source], target=ends[packet.target]) for packet in packets]


@both_ways
def test_the_sender_of_the_syn_is_the_client(fast: bool) -> None:
    exchange = [*HANDSHAKE, from_client(10, 100, b"ask"), from_server(100, 13, b"answer")]
    packets = _moved(exchange, ("192.0.2.1", 3306), ("192.0.2.9", 3306))
    recorder = reassemble(packets, fast=fast).only()
    assert recorder.connection.client == ("192.0.2.1", 3306)
    assert not recorder.connection.started_before_capture
    assert [(s.direction, s.data) for s in recorder.segments] == [(FROM_CLIENT, b"ask"), (FROM_SERVER, b"answer")]


@both_ways
def test_a_captured_syn_ack_tells_roles_as_well(fast: bool) -> None:
    packets = [from_server(99, 10, flags=SYN | ACK), from_client(10, 100), from_client(10, 100, b"ask")]
    recorder = reassemble(_moved(packets, CLIENT, ("192.0.2.9", 50000)), fast=fast, judge=_want).only()
    assert recorder.connection.client == CLIENT
    assert recorder.stream(FROM_CLIENT) == [b"ask"]


def _want(_connection: Connection, _client: bytes, _server: bytes) -> Verdict:
    return Verdict.WANT


@both_ways
def test_mid_session_the_known_port_is_the_server(fast: bool) -> None:
    packets = _moved([from_client(10, 100, b"ask")], ("192.0.2.1", 1000), ("192.0.2.9", 3306))
    connection = reassemble(packets, fast=fast).only().connection
    assert connection.server == ("192.0.2.9", 3306)
    assert connection.started_before_capture


def test_mid_session_the_lower_port_is_the_server_where_none_is_known() -> None:
    packets = _moved([from_server(10, 100, b"answer")], ("192.0.2.1", 50000), ("192.0.2.9", 8774))
    assert reassemble(packets, judge=_want).only().connection.server == ("192.0.2.9", 8774)


@both_ways
def test_mid_session_the_first_acknowledgment_is_no_gap(fast: bool) -> None:
    packets = [from_client(500, 1000, b"ask"), from_server(1000, 503, b"answer"), from_client(503, 1006, b"more")]
    result = reassemble(packets, fast=fast)
    assert [s.data for s in result.only().segments] == [b"ask", b"answer", b"more"]
    assert result.kinds() == {}


def test_mid_session_bytes_before_the_first_one_are_no_gap() -> None:
    packets = [from_server(1000, 503, b"answer"), from_client(510, 1006, b"more"), from_server(1006, 514, b"!")]
    result = reassemble(packets)
    assert result.only().stream(FROM_CLIENT) == [b"more"]
    assert result.kinds() == {}


@both_ways
def test_both_fins_close(fast: bool) -> None:
    packets = [
        *HANDSHAKE,
        from_client(10, 100, b"ask", flags=ACK | FIN, ts=5),
        from_server(100, 14, b"answer", ts=6),
        from_server(106, 14, flags=ACK | FIN, ts=7),
        from_client(14, 107, ts=8),
    ]
    recorder = reassemble(packets, fast=fast).only()
    assert recorder.closed == (7, 6, "fin")
    assert recorder.connection.closed == "fin"
    assert recorder.connection.last_ts == 8
    assert [s.data for s in recorder.segments] == [b"ask", b"answer"]


def test_a_fin_before_missing_bytes_waits_for_them() -> None:
    packets = [*HANDSHAKE, from_client(13, 100, flags=ACK | FIN), from_client(10, 100, b"ask")]
    packets += [from_server(100, 14, flags=ACK | FIN), from_client(14, 101)]
    recorder = reassemble(packets).only()
    assert recorder.stream(FROM_CLIENT) == [b"ask"]
    assert recorder.closed == (0, 6, "fin")


@both_ways
def test_rst_closes(fast: bool) -> None:
    packets = [
        *HANDSHAKE,
        from_client(10, 100, b"ask", ts=3),
        from_client(13, 100, flags=RST, ts=4),
        from_server(100, 13, b"on its way", ts=5),
        from_server(110, 13, b"too late", ts=4 + GIVE_UP_NS),
        from_server(118, 13, b"too late", ts=5 + GIVE_UP_NS),
    ]
    for cuts in ((), (5,), range(8)):
        result = reassemble(packets, fast=fast, cuts=cuts)
        assert result.only().closed == (4, 5, "rst")
        assert [s.data for s in result.only().segments] == [b"ask", b"on its way", b"too late"]
        assert result.tcp.accounting.late_bytes == 8


@pytest.mark.parametrize("flags", [RST, RST | ACK])
def test_rst_captured_before_the_last_data(flags: int) -> None:
    packets = [*HANDSHAKE, from_client(13, 0, flags=flags, ts=4), from_client(10, 100, b"ask", ts=3)]
    for follows in ([], [from_client(7_000, 0, flags=SYN)]):
        recorder = reassemble([*packets, *follows]).recorders[0]
        assert recorder.stream(FROM_CLIENT) == [b"ask"]
        assert recorder.closed == (4, 4, "rst")


@both_ways
def test_open_connections_end_with_the_capture(fast: bool) -> None:
    packets = [*HANDSHAKE, from_client(10, 100, b"ask", ts=3), from_server(100, 13, ts=4)]
    recorder = reassemble(packets, fast=fast).only()
    assert recorder.closed == (4, 5, "end")
    assert recorder.connection.closed == ""


@pytest.mark.parametrize("closed", [True, False])
def test_another_syn_on_the_same_ports_is_another_connection(closed: bool) -> None:
    first = [*HANDSHAKE, from_client(10, 100, b"one")]
    fins = [from_client(13, 100, flags=FIN | ACK), from_server(100, 14, flags=FIN | ACK), from_client(14, 101)]
    again = [
        from_client(7_000, 0, flags=SYN),
        from_server(8_000, 7_001, flags=SYN | ACK),
        from_client(7_001, 8_001, b"two"),
    ]
    packets = [*first, *(fins if closed else []), *again]
    for cuts in ((), (4, 5), range(12)):
        result = reassemble(packets, cuts=cuts)
        one, two = result.recorders
        assert (one.connection.id, two.connection.id) == (1, 2)
        assert one.stream(FROM_CLIENT) == [b"one"]
        assert two.stream(FROM_CLIENT) == [b"two"]
        assert one.closed is not None
        assert one.closed[2] == ("fin" if closed else "reused")


def test_a_repeated_syn_is_the_same_connection() -> None:
    packets = [HANDSHAKE[0], HANDSHAKE[0], *HANDSHAKE[1:], from_client(10, 100, b"ask"), HANDSHAKE[0], HANDSHAKE[1]]
    assert reassemble(packets).only().stream(FROM_CLIENT) == [b"ask"]


def test_a_syn_captured_after_the_first_data_is_the_same_connection() -> None:
    packets = [from_client(10, 100, b"ask"), HANDSHAKE[1], HANDSHAKE[0], from_server(100, 13, b"answer")]
    recorder = reassemble(packets).only()
    assert [s.data for s in recorder.segments] == [b"ask", b"answer"]


def test_numbers_no_window_reaches_are_another_connection() -> None:
    packets = [*HANDSHAKE, from_client(10, 100, b"one"), from_client(2**31, 2**31 + 5, b"two")]
    assert [r.stream(FROM_CLIENT) for r in reassemble(packets).recorders] == [[b"one"], [b"two"]]


@both_ways
def test_data_with_the_syn(fast: bool) -> None:
    packets = [
        from_client(9, 0, b"early", flags=SYN),
        from_server(99, 15, flags=SYN | ACK),
        from_client(15, 100, b"late"),
    ]
    assert reassemble(packets, fast=fast).only().stream(FROM_CLIENT) == [b"earlylate"]


@both_ways
def test_numbers_follow_the_first_packet_over_all_connections(fast: bool) -> None:
    stray = [Packet(CLIENT, ("192.0.2.7", 22 + n), 1, 1, ACK, b"x") for n in range(2)]
    third = _moved(HANDSHAKE, OTHER, SERVER)
    packets = [stray[0], HANDSHAKE[0], stray[1], *third, *HANDSHAKE[1:], from_client(10, 100, b"ask")]
    for cuts in ((), (1, 2, 3), range(9)):
        result = reassemble(packets, fast=fast, cuts=cuts)
        assert [(c.id, c.client) for c in result.tcp.connections] == [(2, CLIENT), (4, OTHER)]
        assert result.tcp.accounting.connections == 4
        assert result.tcp.accounting.skipped_bytes == 2


@both_ways
def test_ipv6(fast: bool) -> None:
    client, server = ("2001:db8::1", 40000), ("2001:db8::c0:2", 3306)
    packets = _moved([*HANDSHAKE, from_client(10, 100, b"ask")], client, server)
    connection = reassemble(packets, fast=fast).only().connection
    assert (connection.client, connection.server) == (client, server)


def test_nobody_wants_what_the_factory_declines() -> None:
    def decline(_connection: Connection) -> Recorder | None:
        return None

    result = reassemble([*HANDSHAKE, from_client(10, 100, b"ask")], make=decline)
    assert result.recorders == []
    assert result.tcp.accounting.skipped_bytes == 3


class CountingJudge:
    """Wants what says GET, or answers with it; asks on below `enough` bytes."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, _connection: Connection, client: bytes, server: bytes) -> Verdict:
        self.asked += 1
        assert max(len(client), len(server)) <= PREFIX_LEN
        if client.startswith(b"GET "):
            return Verdict.WANT
        if server.startswith(b"GET "):
            return Verdict.WANT_SWAPPED
        return Verdict.SKIP if client.startswith(b"SSH-") else Verdict.MORE


UNKNOWN_PORTS = frozenset({1})


@both_ways
def test_a_judged_connection_is_decoded_from_its_first_byte(fast: bool) -> None:
    packets = [
        *HANDSHAKE,
        from_client(10, 100, b"G", ts=1),
        from_client(11, 100, b"ET /", ts=2),
        from_server(100, 15, b"200", ts=3),
    ]
    for cuts in ((), (4,), (3, 4, 5)):
        judge = CountingJudge()
        result = reassemble(packets, fast=fast, cuts=cuts, server_ports=UNKNOWN_PORTS, judge=judge)
        assert [(s.data, s.ts) for s in result.only().segments] == [(b"G", 1), (b"ET /", 2), (b"200", 3)]
        assert judge.asked == 2


@both_ways
def test_a_judge_may_find_that_the_roles_are_the_other_way_round(fast: bool) -> None:
    packets = [
        from_client(10, 100, b"hello"),
        from_server(100, 15, b"GET /"),
        from_client(15, 105, b"200"),
        from_server(105, 18, b"GET /2"),
    ]
    for cuts in ((), (1, 2, 3)):
        recorder = reassemble(packets, fast=fast, cuts=cuts, server_ports=UNKNOWN_PORTS, judge=CountingJudge()).only()
        assert recorder.connection.client == SERVER
        assert recorder.stream(FROM_CLIENT) == [b"GET /GET /2"]
        assert recorder.stream(FROM_SERVER) == [b"hello200"]
        assert recorder.connection.bytes_seen == [11, 8]


@both_ways
def test_what_nobody_wants_is_judged_once(fast: bool) -> None:
    packets = [*HANDSHAKE, from_client(10, 100, b"SSH-2.0")]
    packets += [from_client(17 + 9 * n, 100, b"encrypted") for n in range(30)]
    judge = CountingJudge()
    for cuts in ((), (5, 9)):
        result = reassemble(packets, fast=fast, cuts=cuts, server_ports=UNKNOWN_PORTS, judge=judge)
        assert result.recorders == []
        assert result.tcp.accounting.skipped_bytes == 7 + 30 * 9
    assert judge.asked == 2


@both_ways
def test_a_judge_that_cannot_decide_is_not_asked_for_ever(fast: bool) -> None:
    packets = [*HANDSHAKE, *(from_client(10 + n, 100, b"?") for n in range(50))]
    judge = CountingJudge()
    result = reassemble(packets, fast=fast, cuts=(20,), server_ports=UNKNOWN_PORTS, judge=judge)
    assert result.recorders == []
    assert judge.asked == MAX_SEGMENTS


@both_ways
def test_ports_of_an_unwanted_connection_may_be_used_by_a_wanted_one(fast: bool) -> None:
    unwanted = [*HANDSHAKE, from_client(10, 100, b"SSH-2.0"), HANDSHAKE[0]]
    wanted = [
        from_client(7_000, 0, flags=SYN),
        from_server(8_000, 7_001, flags=SYN | ACK),
        from_client(7_001, 8_001, b"GET /"),
    ]
    for cuts in ((), (4,), (4, 5, 6, 7)):
        packets = [*unwanted, *wanted]
        result = reassemble(packets, fast=fast, cuts=cuts, server_ports=UNKNOWN_PORTS, judge=CountingJudge())
        assert result.only().connection.id == 2
        assert result.only().stream(FROM_CLIENT) == [b"GET /"]


def test_issues_of_unwanted_connections_are_not_counted() -> None:
    def after_all(_connection: Connection, client: bytes, _server: bytes) -> Verdict:
        return Verdict.WANT if client.endswith(b"!") else Verdict.MORE

    lossy = [*HANDSHAKE, from_client(10, 100, b"ab"), from_client(10, 100, b"xy")]
    result = reassemble(lossy, server_ports=UNKNOWN_PORTS, judge=after_all)
    assert result.kinds() == {}
    result = reassemble([*lossy, from_client(12, 100, b"!")], server_ports=UNKNOWN_PORTS, judge=after_all)
    assert result.kinds() == {"tcp-overlap-differs": 1}


@both_ways
def test_what_is_over_or_unwanted_and_silent_is_forgotten(fast: bool) -> None:
    scan = [Packet(("192.0.2.7", 1000 + n), SERVER, 5, 0, SYN) for n in range(100)]
    unwanted = [packet._replace(target=("192.0.2.9", 22)) for packet in scan]
    short = [*HANDSHAKE, from_client(10, 100, flags=FIN | ACK), from_server(100, 11, flags=FIN | ACK)]
    packets = [*short, *unwanted, *scan, *[from_client(10, 100)._replace(source=OTHER)] * 25]
    for cuts in ((), (7, 50, 121)):
        result = reassemble(packets, fast=fast, cuts=cuts, epoch_packets=10)
        assert len(result.tcp._flows) == 101
        assert len(result.tcp.connections) == 102
