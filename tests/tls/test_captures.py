"""Whole captures with TLS: wherever the secrets come from, whatever is missing, on whatever port."""

from __future__ import annotations

import json
import os
import random
import re
import threading
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import zstandard
from scapy.layers.inet import TCP

from glancetrace.decode import decode
from glancetrace.document import render_document
from glancetrace.net.run import Run
from glancetrace.options import Options
from glancetrace.pipeline import analyze
from glancetrace.trace import ConnectionRow, Trace
from tests.mysql.test_variants import sessions_of
from tests.support.api_logs import log_path, public_capture
from tests.support.capture_files import Packet, enhanced, interface, read, secrets, section
from tests.support.conversation import Conversation, Session
from tests.support.openssl import Certificate, Setup, TlsTalk, make_certificate
from tests.support.samples import CAPTURES, keylog_path

ARTICLE = CAPTURES["article-tls13"]
LOG = keylog_path("article-tls13")
assert LOG is not None
CLIENT_SSL = 0x800
GLANCE = 1
"""Which of the connections in the key log is the one to Glance."""
RANDOM = re.compile(r"^[A-Z_0-9]+ ([0-9a-f]{64}) ", re.MULTILINE)


def calls_of(trace: Trace) -> list[tuple[Any, ...]]:
    return [(c.method, c.target, c.status_code, c.ts, c.first_frame, c.last_frame, c.tls) for c in trace.tables.calls]


def tls_rows(trace: Trace) -> list[ConnectionRow]:
    return [row for row in trace.tables.connections if row.tls is not None]


@cache
def told() -> list[tuple[Any, ...]]:
    """What the article's capture tells with its key log."""
    return calls_of(analyze(ARTICLE, keylog=LOG))


@cache
def blocks() -> list[bytes]:
    """Its packets, each in a pcapng block."""
    return [enhanced(Packet(ts, data, size)) for _, ts, _, data, size in read([ARTICLE]).rows]


def balanced(trace: Trace) -> bool:
    sums = trace.capture.accounting
    parts = sums.stream_bytes_decoded + sums.stream_bytes_skipped + sums.stream_bytes_missing
    return parts == sums.stream_bytes and min(sums.stream_bytes_decoded, sums.stream_bytes_skipped) >= 0


class TestSecretsInTheCapture:
    @pytest.mark.parametrize("place", ["before the interface", "before the packets", "among them", "behind them"])
    def test_anywhere(self, place: str, tmp_path: Path) -> None:
        packets = blocks()
        at = {"before the interface": 1, "before the packets": 2, "among them": 1500, "behind them": len(packets) + 2}
        parts = [section(), interface(), *packets]
        parts.insert(at[place], secrets(LOG.read_bytes()))
        path = tmp_path / "capture.pcapng"
        path.write_bytes(b"".join(parts))
        assert calls_of(analyze(path)) == told()
        packed = tmp_path / "capture.pcapng.zst"
        packed.write_bytes(zstandard.compress(path.read_bytes()))
        assert calls_of(analyze(packed)) == told()

    @pytest.mark.parametrize("last", [False, True])
    def test_from_a_pipe(self, last: bool, tmp_path: Path) -> None:
        parts = [section(), interface(), *blocks()]
        parts.insert(len(parts) if last else 2, secrets(LOG.read_bytes()))
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_bytes, args=(b"".join(parts),))
        writer.start()
        trace = analyze(pipe)
        writer.join()
        assert calls_of(trace) == told()

    def test_secrets_of_other_protocols_are_of_no_use(self, tmp_path: Path) -> None:
        path = tmp_path / "capture.pcapng"
        path.write_bytes(b"".join([section(), interface(), secrets(b"ssh", kind=0x5353484B), *blocks()]))
        trace = analyze(path)
        assert trace.tables.calls == []
        assert {row.tls.reason for row in tls_rows(trace) if row.tls} == {"no secrets given"}


class TestKeyLogs:
    def test_several_with_repeated_lines(self, tmp_path: Path) -> None:
        lines = LOG.read_text().splitlines(keepends=True)
        first, second = tmp_path / "first", tmp_path / "second"
        first.write_text("".join(lines[:9]))
        second.write_text("# comment\n\n" + "".join(lines[5:]))
        trace = analyze(ARTICLE, keylog=[first, second])
        assert calls_of(trace) == told()

    def test_that_grows_while_it_is_read(self, tmp_path: Path) -> None:
        log = tmp_path / "keys"
        log.write_text("")
        trace = analyze(ARTICLE, Options(progress=lambda *_: log.write_bytes(LOG.read_bytes()) and None), keylog=log)
        assert calls_of(trace) == told()

    def test_unreadable_lines_are_counted_and_not_shown(self, tmp_path: Path) -> None:
        log = tmp_path / "keys"
        log.write_text(LOG.read_text() + "CLIENT_RANDOM 00ff secret\nnonsense deadbeef\n")
        trace = analyze(ARTICLE, keylog=log)
        assert calls_of(trace) == told()
        (issue,) = [issue for issue in trace.tables.issues if issue.kind == "keylog-line-unreadable"]
        lines = LOG.read_text().count("\n")
        assert (issue.count, issue.where) == (2, f"{log}, line {lines + 1}")
        assert "deadbeef" not in json.dumps(render_document(trace))


def test_one_connection_without_secret_does_not_spoil_the_other(tmp_path: Path) -> None:
    glance = list(dict.fromkeys(RANDOM.findall(LOG.read_text())))[GLANCE]
    log = tmp_path / "keys"
    log.write_text("".join(line for line in LOG.read_text().splitlines(keepends=True) if glance in line))
    trace = analyze(ARTICLE, keylog=log)
    assert calls_of(trace) == [call for call in told() if call[1].startswith("/v2")]
    reasons = [(row.connection.server[1], row.protocol, row.tls.reason) for row in tls_rows(trace) if row.tls]
    assert reasons == [(13000, "tls", "no secret for this client random"), (13292, "http", None)]
    assert [i.kind for i in trace.tables.issues if i.kind.startswith("tls")] == ["tls-secret-unknown"]
    assert balanced(trace)


def test_without_secrets_times_and_sizes_are_told() -> None:
    trace = analyze(ARTICLE)
    plain = analyze(ARTICLE, keylog=LOG)
    for row, known in zip(tls_rows(trace), tls_rows(plain), strict=True):
        assert row.tls is not None
        assert known.tls is not None
        assert (row.protocol, row.tls.decrypted, row.tls.reason) == ("tls", False, "no secrets given")
        assert (row.tls.version, row.tls.suite) == ("TLS 1.3", "TLS_AES_256_GCM_SHA384")
        # In TLS 1.3 the encrypted part of the handshake cannot be told from application data.
        for seen, said in zip(row.tls.application_bytes, known.tls.application_bytes, strict=True):
            assert said <= seen < said + 5000
        assert sum(burst.bytes for burst in row.tls.bursts) == sum(row.tls.application_bytes)
        assert all(a.last_ts <= b.first_ts for a, b in zip(row.tls.bursts, row.tls.bursts[1:], strict=False))
    assert balanced(trace)
    assert balanced(plain)


@pytest.mark.parametrize("name", ["pymysql-tls12", "pymysql-tls13"])
def test_mysql(name: str) -> None:
    path = CAPTURES[name]
    trace = analyze(path, keylog=keylog_path(name))
    texts = [s.command.sql for s in trace.tables.statements]
    logged = path.with_name(f"{name}.truth.jsonl").read_text().splitlines()
    wanted = [sql for sql in (json.loads(line).get("sql") for line in logged) if sql]
    assert wanted
    assert [sql for sql in wanted if sql not in texts] == []
    assert trace.tables.issues == []
    (row,) = trace.tables.connections
    assert row.tls is not None
    assert (row.protocol, row.tls.decrypted, row.tls.reason) == ("mysql", True, None)
    assert row.session is not None
    assert row.session.user
    assert balanced(trace)
    assert trace.capture.accounting.stream_bytes_skipped == 0


def test_processes_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glancetrace.decode_shares._WORTH_SHARING", 0)
    one, two = (render_document(analyze(ARTICLE, Options(jobs=jobs), keylog=LOG)) for jobs in (1, 2))
    assert one == two
    assert one["api_calls"]


def replay_upgraded(runs: list[Run], session: Session, certificate: Certificate) -> TlsTalk:
    """Replay a recorded MySQL session with an upgrade to TLS at its login."""
    talk = TlsTalk(Setup(certificate)).shake_hands()
    greeting, login, ok, *rest = runs
    session.reply(greeting.data)
    head = (int.from_bytes(login.data[4:8], "little") | CLIENT_SSL).to_bytes(4, "little")
    session.send(b"\x20\0\0\x01" + head + login.data[8:36])
    for direction, data in talk.flights:
        (session.reply if direction else session.send)(data)
    session.send(talk.seal(0, login.data[:3] + b"\x02" + head + login.data[8:]))
    session.reply(talk.seal(1, ok.data[:3] + b"\x03" + ok.data[4:]))
    for run in rest:
        (session.reply if run.direction else session.send)(talk.seal(run.direction, run.data))
    session.close()
    return talk


@pytest.mark.parametrize("name", ["mariadb-cli-compress", "mariadb-cli"])
def test_mysql_upgrade_and_compression_inside(name: str, certificates: dict[str, Certificate], tmp_path: Path) -> None:
    conversation = Conversation()
    log = tmp_path / "keys"
    with log.open("w") as file:
        for recorded in sessions_of(name):
            session = conversation.connect("192.0.2.1", ("192.0.2.3", 3306))
            talk = replay_upgraded(recorded.runs, session, certificates["rsa"])
            file.writelines(f"{line}\n" for line in talk.keylog)
    encrypted = analyze(conversation.write(tmp_path / "c.pcap"), keylog=log).tables
    plain = analyze(CAPTURES[name]).tables
    told, known = (
        [
            (s.command.command, s.command.sql, s.command.returned_rows, s.command.affected_rows)
            for s in tables.statements
        ]
        for tables in (encrypted, plain)
    )
    assert told == known
    assert encrypted.issues == plain.issues == []
    sessions = [[row.session for row in tables.connections] for tables in (encrypted, plain)]
    assert [s and s.compressed for s in sessions[0]] == [s and s.compressed for s in sessions[1]]


def spoken(talk: TlsTalk, port: int, path: Path, *, shuffled: bool = False, skip: int = 0) -> Path:
    """A capture of what OpenSSL said; shuffled: segments overtake each other and some come twice."""
    conversation = Conversation()
    session = conversation.connect("192.0.2.1", ("192.0.2.2", port))
    for direction, data in talk.flights[skip:]:
        (session.reply if direction else session.send)(data)
    session.close()
    if shuffled:
        rng = random.Random(1)
        packets = [packet for _, packet in conversation.packets]
        for at in range(4, len(packets) - 5, 3):
            if packets[at][TCP].sport == packets[at + 1][TCP].sport:
                packets[at], packets[at + 1] = packets[at + 1], packets[at]
        packets = [copy for packet in packets for copy in [packet] * (1 + (rng.random() < 0.1))]
        times = accumulate([1000] * len(packets), initial=conversation.packets[0][0])
        conversation.packets = list(zip(times, packets, strict=False))
    return conversation.write(path)


ASK = b"GET /v2/images/7b1a2c3d-0000-4000-8000-000000000001 HTTP/1.1\r\nHost: g\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + bytes(60000)


def keys_of(talk: TlsTalk, folder: Path) -> Path:
    path = folder / "keys"
    path.write_text("".join(f"{line}\n" for line in talk.keylog))
    return path


@pytest.mark.parametrize("port", [13292, 443, 8443, 9999])
def test_ports_and_segments_out_of_order(port: int, certificates: dict[str, Certificate], tmp_path: Path) -> None:
    talk = TlsTalk(Setup(certificates["rsa"])).shake_hands().ask(ASK).answer(ANSWER).ask(ASK).answer(ANSWER).close()
    for shuffled in (False, True):
        capture = spoken(talk, port, tmp_path / f"{shuffled}.pcap", shuffled=shuffled)
        decoded = decode(capture, Options(keylogs=(keys_of(talk, tmp_path),)))
        exchanges = [exchange for exchange, _ in decoded.exchanges]
        assert [(e.response and e.response.status_code, e.complete) for e in exchanges] == [(200, True), (200, True)]
        (row,) = decoded.connections
        assert row.tls is not None
        assert row.tls.decrypted
        assert decoded.capture.accounting.stream_bytes_skipped == 0


@pytest.mark.parametrize("port", [13292, 9999])
def test_the_server_s_rsa_key(port: int, certificates: dict[str, Certificate], tmp_path: Path) -> None:
    talk = TlsTalk(Setup(certificates["rsa"], "TLS 1.2", "AES128-GCM-SHA256")).shake_hands().ask(ASK).answer(ANSWER)
    trace = analyze(spoken(talk, port, tmp_path / "c.pcap"), rsa_key=certificates["rsa"].path)
    assert [(row.protocol, row.tls and row.tls.decrypted) for row in tls_rows(trace)] == [("http", True)]
    assert trace.tables.issues == []


def test_foreign_connections_on_other_ports_are_left_alone(
    certificates: dict[str, Certificate], tmp_path: Path
) -> None:
    talk = TlsTalk(Setup(certificates["rsa"])).shake_hands().ask(ASK).answer(ANSWER)
    decoded = decode(spoken(talk, 9999, tmp_path / "c.pcap"))
    assert (decoded.connections, decoded.issues.rows()) == ([], [])


def reason(capture: Path, **options: Any) -> tuple[str | None, list[str]]:
    decoded = decode(capture, Options(**options))
    (row,) = decoded.connections
    assert row.tls is not None
    return row.tls.reason, [issue.kind for issue in decoded.issues.rows() if issue.kind != "tcp-gap"]


class TestReasons:
    def talk(self, certificates: dict[str, Certificate], *setup: str) -> TlsTalk:
        return TlsTalk(Setup(certificates["rsa"], *setup)).shake_hands().ask(ASK).answer(ANSWER).ask(ASK)

    def test_handshake_not_captured(self, certificates: dict[str, Certificate], tmp_path: Path) -> None:
        talk = self.talk(certificates)
        conversation = Conversation()
        session = conversation.connect("192.0.2.1", ("192.0.2.2", 13292), seen=False)
        for direction, data in talk.flights[4:]:
            (session.reply if direction else session.send)(data)
        capture = conversation.write(tmp_path / "c.pcap")
        found = reason(capture, keylogs=(keys_of(talk, tmp_path),))
        assert found == ("handshake not captured", ["tls-handshake-missing"])

    def test_unsupported_suite(self, certificates: dict[str, Certificate], tmp_path: Path) -> None:
        talk = self.talk(certificates, "TLS 1.2", "ECDHE-RSA-CAMELLIA128-SHA256")
        found = reason(spoken(talk, 13292, tmp_path / "c.pcap"), keylogs=(keys_of(talk, tmp_path),))
        assert found == ("unsupported suite", ["tls-suite-unsupported"])

    @pytest.mark.parametrize("setup", [(), ("TLS 1.2", "AES128-SHA"), ("TLS 1.2", "ECDHE-RSA-AES128-GCM-SHA256")])
    def test_wrong_key(self, setup: tuple[str, ...], certificates: dict[str, Certificate], tmp_path: Path) -> None:
        talk = self.talk(certificates, *setup)
        log = tmp_path / "wrong"
        log.write_text("".join(f"{line[:-6]}{'0' * 6}\n" for line in talk.keylog))
        found = reason(spoken(talk, 13292, tmp_path / "c.pcap"), keylogs=(log,))
        assert found == ("wrong key", ["tls-wrong-key"])

    @pytest.mark.parametrize("setup", [(), ("TLS 1.2", "AES128-SHA"), ("TLS 1.2", "ECDHE-RSA-AES128-GCM-SHA256")])
    def test_key_logs_that_disagree(
        self, setup: tuple[str, ...], certificates: dict[str, Certificate], tmp_path: Path
    ) -> None:
        talk = self.talk(certificates, *setup)
        right, wrong = keys_of(talk, tmp_path), tmp_path / "wrong"
        wrong.write_text("".join(f"{line[:-6]}{'0' * 6}\n" for line in talk.keylog))
        capture = spoken(talk, 13292, tmp_path / "c.pcap")
        for logs in ((wrong, right), (right, wrong), (wrong, wrong, right)):
            decoded = decode(capture, Options(keylogs=logs))
            (row,) = decoded.connections
            assert row.tls is not None
            assert (row.tls.decrypted, row.tls.reason, decoded.issues.rows()) == (True, None, [])
            needed = {line for line in decoded.secrets.needed_lines() if not line.startswith("RSA ")}
            assert needed == {line for line in talk.keylog if re.match("CLIENT_RANDOM|.*_TRAFFIC_SECRET", line)}

    def test_no_more_than_some_are_tried(self, certificates: dict[str, Certificate], tmp_path: Path) -> None:
        """A hostile file cannot have thousands tried; what is left out is counted."""
        talk = self.talk(certificates, "TLS 1.2", "ECDHE-RSA-AES128-GCM-SHA256")
        (line,) = (line for line in talk.keylog if line.startswith("CLIENT_RANDOM"))
        log = tmp_path / "many"
        log.write_text("".join(f"{line[:-6]}{number:06x}\n" for number in range(20)))
        found = reason(spoken(talk, 13292, tmp_path / "c.pcap"), keylogs=(log,))
        assert found == ("wrong key", ["keylog-line-unreadable", "tls-wrong-key"])

    def test_a_key_log_that_disagrees_with_the_capture_s_secrets(self, tmp_path: Path) -> None:
        wrong = tmp_path / "wrong"
        wrong.write_text(re.sub("[0-9a-f]{6}$", "000000", LOG.read_text(), flags=re.MULTILINE))
        path = tmp_path / "capture.pcapng"
        path.write_bytes(b"".join([section(), interface(), *blocks(), secrets(LOG.read_bytes())]))
        assert calls_of(analyze(path, keylog=wrong)) == told()

    def test_another_server_s_rsa_key(self, certificates: dict[str, Certificate], tmp_path: Path) -> None:
        talk = self.talk(certificates, "TLS 1.2", "AES128-SHA")
        (tmp_path / "other").mkdir()
        other = make_certificate(tmp_path / "other", "rsa")
        found = reason(spoken(talk, 13292, tmp_path / "c.pcap"), rsa_keys=(other.path,))
        assert found == ("wrong key", ["tls-wrong-key"])

    def test_packet_lost(self, certificates: dict[str, Certificate], tmp_path: Path) -> None:
        talk = self.talk(certificates)
        conversation = Conversation()
        session = conversation.connect("192.0.2.1", ("192.0.2.2", 13292))
        for number, (direction, data) in enumerate(talk.flights):
            (session.reply if direction else session.send)(data)
            if number == 1:  # the ServerHello, which the client acknowledges
                conversation.packets = [p for p in conversation.packets if len(p[1]) < 1000]
        capture = conversation.write(tmp_path / "c.pcap")
        found = reason(capture, keylogs=(keys_of(talk, tmp_path),))
        assert found == ("packet lost", ["tls-packet-lost"])

    def test_another_client_s_key_log(self, certificates: dict[str, Certificate], tmp_path: Path) -> None:
        talk = self.talk(certificates)
        found = reason(spoken(talk, 13292, tmp_path / "c.pcap"), keylogs=(LOG,))
        assert found == ("no secret for this client random", ["tls-secret-unknown"])

    def test_http_2_is_named(self, certificates: dict[str, Certificate], tmp_path: Path) -> None:
        talk = TlsTalk(Setup(certificates["rsa"], alpn=b"h2")).shake_hands().ask(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        decoded = decode(spoken(talk, 13292, tmp_path / "c.pcap"), Options(keylogs=(keys_of(talk, tmp_path),)))
        assert [issue.kind for issue in decoded.issues.rows()] == ["http2-not-decoded"]
        (row,) = decoded.connections
        assert row.tls is not None
        assert (row.protocol, row.tls.alpn, row.tls.decrypted) == ("tls", "h2", True)


def test_blocks_of_the_capture_do_not_matter(tmp_path: Path) -> None:
    small = analyze(ARTICLE, Options(block_size=5000), keylog=LOG)
    assert calls_of(small) == told()


def test_no_log_is_advised_where_one_tells_all(tmp_path: Path) -> None:
    """A log that tells some calls leaves the other connections as they were."""
    capture = public_capture(tmp_path)
    kinds = {}
    for names in ((), ("keystone-access.log",), ("haproxy.log",)):
        trace = analyze(capture, api_log=[log_path(name) for name in names])
        port = {row.connection.id: row.connection.server[1] for row in tls_rows(trace)}
        kinds[names] = {(i.kind, port[i.connection_id]) for i in trace.tables.issues if i.connection_id in port}
    assert kinds[()] == {("tls-not-decrypted", 13000), ("tls-not-decrypted", 13292)}
    assert kinds["keystone-access.log",] == {("tls-told-by-log", 13000), ("tls-not-decrypted", 13292)}
    assert kinds["haproxy.log",] == {("tls-told-by-log", 13000), ("tls-told-by-log", 13292)}
