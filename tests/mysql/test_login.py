"""The start of a session: who, where, with what; PROXY headers, TLS, authentication, and that no secret is kept."""

from __future__ import annotations

from itertools import repeat

import pytest

from glancetrace.mysql.handshake import parse_greeting, parse_handshake_response, proxy_header_len
from tests.support.mysql_wire import (
    CLIENT,
    LOGIN,
    SERVER,
    Script,
    capabilities,
    cut_runs,
    decode,
    err,
    greeting,
    handshake_response,
    login,
    new_decoder,
    ok,
    packet,
    query,
    rows_of,
    runs,
)

SECRET = b"\xde\xad\xbe\xefpassword-hash!!!"
PING: Script = [(CLIENT, packet(0, b"\x0e")), (SERVER, packet(1, ok()))]
SSL = 1 << 11


def test_the_greeting() -> None:
    parsed = parse_greeting(greeting(capabilities(), version="5.5.5-10.11.6-MariaDB"))
    assert parsed is not None
    assert (parsed.server_version, parsed.thread_id, parsed.status_flags) == ("5.5.5-10.11.6-MariaDB", 77, 2)
    assert parsed.scramble == b"scramblemoresecretly"
    assert parsed.capabilities == capabilities()
    mariadb = parse_greeting(greeting(capabilities() & ~1, extended=0x1C))
    assert mariadb is not None
    assert mariadb.capabilities >> 32 == 0x1C
    for end in range(len(greeting(capabilities())) - 1):
        parse_greeting(greeting(capabilities())[:end])
    assert parse_greeting(b"\x09old") is None


def test_the_handshake_response() -> None:
    payload = handshake_response(capabilities(), "glance", "images", secret=SECRET)
    parsed = parse_handshake_response(payload, capabilities())
    assert parsed is not None
    assert (parsed.user, parsed.schema) == ("glance", "images")
    long = handshake_response(capabilities(), secret=b"s" * 300)
    assert parse_handshake_response(long, capabilities()) is not None
    one_byte = capabilities() & ~0x200000
    payload = handshake_response(one_byte, secret=SECRET)
    parsed = parse_handshake_response(payload, one_byte)
    assert parsed is not None
    assert parsed.schema == "glance"
    for end in range(len(payload)):
        parse_handshake_response(payload[:end], one_byte)
    assert parse_handshake_response(b"\x05\xa2" + bytes(30), one_byte) is None


def test_a_session_knows_its_start() -> None:
    rows, issues, decoder = decode([*LOGIN, *PING])
    session = decoder.session
    assert (session.user, session.schema, session.thread_id) == ("glance", "glance", 77)
    assert (session.server_version, session.scramble) == ("8.0.36", b"scramblemoresecretly")
    assert session.capabilities == capabilities()
    assert rows[0].session is session
    assert rows[0].status_before == 2
    assert not issues.rows()


def test_authentication_goes_on_until_ok_and_nothing_of_it_is_kept() -> None:
    script: Script = [
        LOGIN[0],
        (CLIENT, packet(1, handshake_response(capabilities(), secret=SECRET))),
        (SERVER, packet(2, b"\xfecaching_sha2_password\0" + SECRET + b"\0")),
        (CLIENT, packet(3, SECRET)),
        (SERVER, packet(4, b"\x01\x04")),
        (CLIENT, packet(5, b"\x02")),
        (SERVER, packet(6, b"\x01-----BEGIN PUBLIC KEY-----")),
        (CLIENT, packet(7, SECRET * 12)),
        (SERVER, packet(8, ok())),
        *PING,
    ]
    for entries in (runs(script), list(cut_runs(runs(script), repeat(1)))):
        rows, issues, decoder = decode(entries)
        assert [(r.command, r.complete) for r in rows] == [("COM_PING", True)]
        assert not issues.rows()
        assert repr(SECRET)[2:-1] not in repr(rows_of(rows)) + repr(decoder.session)


@pytest.mark.parametrize(
    "script",
    [
        [*LOGIN[:2], (SERVER, packet(2, err(1045, "Access denied for user", "28000")))],
        [(SERVER, packet(0, b"\xff\x10\x04Too many connections"))],
        [LOGIN[0]],
        [LOGIN[0], (CLIENT, packet(1, handshake_response(capabilities(), "haproxy", "")) + packet(0, b"\x01"))],
        [*LOGIN, (CLIENT, packet(0, b"\x01"))],
    ],
    ids=["denied", "refused", "greeting only", "mysql-check", "login and quit"],
)
def test_sessions_that_come_to_nothing_are_no_issue(script: Script) -> None:
    rows, issues, _ = decode(script)
    assert {r.command for r in rows} <= {"COM_QUIT"}
    assert not issues.rows()


V2 = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12)


@pytest.mark.parametrize("header", [b"PROXY TCP4 10.0.0.1 10.0.0.2 40000 3306\r\n", b"PROXY UNKNOWN\r\n", V2])
def test_a_proxy_header_is_stepped_over(header: bytes) -> None:
    assert proxy_header_len(header + b"more") == len(header)
    script: Script = [(CLIENT, header), *LOGIN, *PING]
    for entries in (runs(script), list(cut_runs(runs(script), repeat(1)))):
        rows, issues, decoder = decode(entries)
        assert [r.command for r in rows] == ["COM_PING"]
        assert decoder.session.user == "glance"
        assert not issues.rows()


def test_other_bytes_are_no_proxy_header() -> None:
    assert proxy_header_len(packet(1, b"x" * 80)) == 0
    assert proxy_header_len(b"PROXY " + b"x" * 200) == 0
    assert proxy_header_len(b"PRO") is None


def test_tls_stops_decoding_until_decrypted_bytes_come() -> None:
    flags = capabilities(SSL)
    start: Script = [
        (SERVER, packet(0, greeting(flags))),
        (CLIENT, packet(1, handshake_response(flags)[:32]) + b"\x16\x03\x01\x00\x05hello"),
        (SERVER, b"\x16\x03\x03\x00\x05hello"),
        (CLIENT, b"\x17\x03\x03\x00\x20" + bytes(32)),
    ]
    rows, issues, decoder = decode(start)
    assert (rows, decoder.session.tls, decoder.awaits_tls) == ([], True, True)
    assert [(i.kind, i.count, i.first_frame) for i in issues.rows()] == [("tls-not-decrypted", 1, 2)]

    decrypted: Script = [
        (CLIENT, packet(2, handshake_response(flags))),
        (SERVER, packet(3, ok())),
        *PING,
        (CLIENT, query("COMMIT")),
        (SERVER, packet(1, ok())),
    ]
    for size in (1, 10_000):
        decoder, rows, _ = new_decoder()
        for run in runs(start):
            decoder.feed(run)
        for run in cut_runs(runs(decrypted), repeat(size)):
            decoder.feed_decrypted(run)
        assert [r.command for r in rows] == ["COM_PING", "COM_QUERY"]
        assert decoder.session.user == "glance"


def test_change_user_authenticates_again_and_resets() -> None:
    request = b"\x11keystone\0\x14" + SECRET[:20].ljust(20, b"x") + b"keystone\0\x21\x00mysql_native_password\0"
    script: Script = [
        *LOGIN,
        (CLIENT, packet(0, request)),
        (SERVER, packet(1, b"\xfemysql_native_password\0" + SECRET + b"\0")),
        (CLIENT, packet(2, SECRET)),
        (SERVER, packet(3, ok())),
        *PING,
        (CLIENT, packet(0, request.replace(b"keystone", b"nobody"))),
        (SERVER, packet(1, err(1045, "Access denied", "28000"))),
    ]
    for entries in (runs(script), list(cut_runs(runs(script), repeat(1)))):
        rows, issues, decoder = decode(entries)
        assert [(r.command, r.complete, r.schema) for r in rows] == [
            ("COM_CHANGE_USER", True, "glance"),
            ("COM_PING", True, "keystone"),
            ("COM_CHANGE_USER", True, "keystone"),
        ]
        assert decoder.session.user == "keystone"
        assert not issues.rows()
        assert repr(SECRET)[2:-1] not in repr(rows_of(rows))


def test_a_lost_greeting_still_gives_user_and_schema() -> None:
    script: Script = [*LOGIN[1:], *PING]
    rows, _, decoder = decode(script)
    assert [r.command for r in rows] == ["COM_PING"]
    assert (decoder.session.user, decoder.session.schema, decoder.session.thread_id) == ("glance", "glance", None)


def test_a_session_whose_start_is_seen_although_its_syn_is_not() -> None:
    rows, issues, decoder = decode([*LOGIN, *PING], joined=True)
    assert [r.command for r in rows] == ["COM_PING"]
    assert decoder.session.user == "glance"
    assert not issues.rows()


def test_mariadb_capabilities_are_above_bit_32() -> None:
    _, _, decoder = decode([*login(extended=0x1C), *PING])
    assert decoder.session.capabilities is not None
    assert decoder.session.capabilities >> 32 == 0x1C
