"""Secrets where nobody expects them: each place is a capture of its own, and nothing of the secret may be left."""

# ruff: noqa: E501 - tables of places, one a line

from __future__ import annotations

import base64
import gzip
import json
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.l2 import Ether
from scapy.packet import Padding

from glancetrace.edit.sanitize.passes import Choices, sanitize
from glancetrace.edit.sanitize.verify import verify
from tests.edit.test_sanitize import KEY, TOKEN, UUID_TOKEN, texts_of
from tests.support import mysql_wire as wire
from tests.support.capture_files import Packet as Captured
from tests.support.capture_files import block, enhanced, interface, options, pcap, section
from tests.support.conversation import Conversation, Http, Mysql, Session

SECRET = "Tr0ub4dor-3xyz"
"""A password that shows by its place alone."""
SHOUT = "Grüße+4/Köln?~"
"""A password that is spelled in many ways."""
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x0800)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def _http(*parts: bytes | tuple[bytes, ...]) -> Callable[[Conversation], None]:
    """What client and server say in turns; a tuple: in so many segments."""

    def speak(talk: Conversation) -> None:
        session = talk.connect("10.0.0.9", ("10.0.0.1", 9292))
        _say(session, *parts)

    return speak


def _say(session: Session, *parts: bytes | tuple[bytes, ...]) -> None:
    for number, part in enumerate(parts):
        for piece in part if isinstance(part, tuple) else (part,):
            (session.reply if number % 2 else session.send)(piece)


def _ask(head: str, body: bytes = b"") -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{head}\r\nHost: controller\r\n{length}\r\n".encode() + body


def _answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def _sql(*parts: bytes, login: bool = True) -> Callable[[Conversation], None]:
    def speak(talk: Conversation) -> None:
        session = talk.connect("10.0.0.1", ("10.0.0.2", 3306), seen=login)
        if login:
            Mysql(session).login("glance", "glance")
        _say(session, *parts)

    return speak


def _compressed(*parts: bytes) -> Callable[[Conversation], None]:
    def speak(talk: Conversation) -> None:
        session = talk.connect("10.0.0.1", ("10.0.0.2", 3306))
        for direction, data in wire.login(0x20):
            (session.reply if direction else session.send)(data)
        for number, part in enumerate(parts):
            (session.reply if number % 2 else session.send)(wire.compressed(number % 2, part))

    return speak


GET = "GET /v2/images HTTP/1.1"
POST = "POST /v3/users HTTP/1.1"
JSON = "Content-Type: application/json"
DONE = wire.packet(1, wire.ok(1))
URL = f"mysql+pymysql://glance:{SECRET}@10.0.0.2/glance"
PAIR = f'{{"os_password": "{SECRET}"}}'

ALONE: dict[str, tuple[Callable[[Conversation], None], str]] = {
    "query": (_http(_ask(f"GET /v3/x?token={UUID_TOKEN}&a=b HTTP/1.1"), OK), UUID_TOKEN),
    "temp-url": (_http(_ask("GET /v1/AUTH_x/c/o?temp_url_sig=abcdef0123456789abcd&e=1 HTTP/1.1"), OK), "abcdef0123456789abcd"),
    "amz-signature": (_http(_ask("GET /b/o?X-Amz-Signature=abcdef0123456789abcd HTTP/1.1"), OK), "abcdef0123456789abcd"),
    "absolute-form": (_http(_ask(f"GET http://bo:{SECRET}@h/v2/images HTTP/1.1"), OK), SECRET),
    "location": (_http(_ask(GET), _answer(b"", f"Location: http://h/x?token={UUID_TOKEN}", status="302 Found")), UUID_TOKEN),
    "location-user": (_http(_ask(GET), _answer(b"", f"Location: http://bo:{SECRET}@h/", status="302 Found")), SECRET),
    "chunk-extension": (
        _http(_ask(f"{POST}\r\nTransfer-Encoding: chunked").replace(b"\r\n\r\n", b"\r\n\r\n2;token=%s\r\n{}\r\n0\r\n\r\n" % UUID_TOKEN.encode()), OK),
        UUID_TOKEN,
    ),
    "chunk-extension-fernet": (
        _http(_ask("PUT /v2/images/x/file HTTP/1.1\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked") + b"2;t=%s\r\n{}\r\n0\r\n\r\n" % TOKEN.encode(), OK),
        TOKEN,
    ),
    "trailer": (_http(_ask(f"{POST}\r\nTransfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\nX-Auth-Token: %s\r\n\r\n" % UUID_TOKEN.encode(), OK), UUID_TOKEN),
    "upload-trailer": (
        _http(_ask("PUT /v2/images/x/file HTTP/1.1\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\nX-Auth-Token: %s\r\n\r\n" % UUID_TOKEN.encode(), OK),
        UUID_TOKEN,
    ),
    "folded-header": (_http(_ask(f"{GET}\r\nX-Auth-Token:\r\n  {UUID_TOKEN}"), OK), UUID_TOKEN),
    "space-before-colon": (_http(_ask(f"{GET}\r\nX-Auth-Token : {UUID_TOKEN}"), OK), UUID_TOKEN),
    "bare-line-ends": (_http(_ask(f"{GET}\r\nX-Auth-Token: {UUID_TOKEN}").replace(b"\r\n", b"\n"), OK), UUID_TOKEN),
    "odd-case": (_http(_ask(f"{GET}\r\nx-AUTH-tOkEn:\t{UUID_TOKEN}\t"), OK), UUID_TOKEN),
    "http-1.0": (_http(_ask(GET.replace("1.1", "1.0")), f"HTTP/1.0 200 OK\r\n{JSON}\r\n\r\n{PAIR}".encode()), SECRET),
    "100-continue": (
        _http(_ask(f"{POST}\r\nExpect: 100-continue\r\n{JSON}\r\nContent-Length: {len(PAIR)}"), b"HTTP/1.1 100 Continue\r\n\r\n", PAIR.encode(), OK),
        SECRET,
    ),
    "error-message": (_http(_ask(GET), _answer(f'{{"error": {{"message": "Invalid token {TOKEN}"}}}}'.encode(), JSON)), TOKEN),
    "split-basic": (
        _http((f"{GET}\r\nAuthorization: Bas".encode(), b"ic " + base64.b64encode(f"bo:{SECRET}".encode())[:9], base64.b64encode(f"bo:{SECRET}".encode())[9:] + b"\r\n\r\n"), OK),
        base64.b64encode(f"bo:{SECRET}".encode()).decode(),
    ),
    "set-cookie": (_http(_ask(GET), _answer(b"", f"Set-Cookie: a=b, session=\"{UUID_TOKEN}\"; Path=/")), UUID_TOKEN),
    "other-header": (_http(_ask(f"{GET}\r\nX-OpenStack-Auth-Token: {UUID_TOKEN}"), OK), UUID_TOKEN),
    "url-in-json": (_http(_ask(GET), _answer(json.dumps({"connection": URL}).encode(), JSON)), SECRET),
    "escaped-url": (_http(_ask(GET), _answer(json.dumps({"c": URL}).replace("/", "\\/").encode(), JSON)), SECRET),
    "json-without-type": (_http(_ask(POST, PAIR.encode()), OK), SECRET),
    "nested-json": (_http(_ask(POST, json.dumps({"data": PAIR}).encode()), OK), SECRET),
    "utf-16": (_http(_ask(POST, PAIR.encode("utf-16")), OK), SECRET.encode("utf-16-le").decode("latin-1")),
    "escaped-json": (_http(_ask(POST, f'{{"password": "\\u0054{SECRET[1:]}"}}'.encode()), OK), SECRET[1:]),
    "escaped-key": (_http(_ask(POST, f'{{"pass\\u0077ord": "{SECRET}"}}'.encode()), OK), SECRET),
    "python-repr": (_http(_ask(GET), _answer(f"Bad: {{'password': '{SECRET}'}}".encode(), "Content-Type: text/plain")), SECRET),
    "ini": (_http(_ask(GET), _answer(f"[x]\npassword = {SECRET}\n".encode(), "Content-Type: text/plain")), SECRET),
    "yaml": (_http(_ask(GET), _answer(f"db:\n  password: {SECRET}\n".encode(), "Content-Type: text/yaml")), SECRET),
    "xml": (_http(_ask(GET), _answer(f"<user><password>{SECRET}</password></user>".encode(), "Content-Type: application/xml")), SECRET),
    "xml-attribute": (_http(_ask(GET), _answer(f'<user name="x" password="{SECRET}"/>'.encode(), "Content-Type: application/xml")), SECRET),
    "form": (_http(_ask(f"{POST}\r\nContent-Type: application/x-www-form-urlencoded", f"user=x&password={SECRET}".encode()), OK), SECRET),
    "form-without-type": (_http(_ask(POST, f"password={SECRET}&user=x".encode()), OK), SECRET),
    "multipart": (
        _http(_ask(f"{POST}\r\nContent-Type: multipart/form-data; boundary=q", f'--q\r\nContent-Disposition: form-data; name="password"\r\n\r\n{SECRET}\r\n--q--\r\n'.encode()), OK),
        SECRET,
    ),
    "admin-pass": (_http(_ask(GET), _answer(f'{{"server": {{"adminPass": "{SECRET}"}}}}'.encode(), JSON)), SECRET),
    "saml": (_http(_ask(f"{POST}\r\nContent-Type: application/x-www-form-urlencoded", f"SAMLResponse={UUID_TOKEN}&RelayState=x".encode()), OK), UUID_TOKEN),
    "user-data": (_http(_ask(POST, json.dumps({"server": {"user_data": UUID_TOKEN}}).encode()), OK), UUID_TOKEN),
    "temp-url-key": (_http(_ask(f"POST /v1/AUTH_x HTTP/1.1\r\nX-Account-Meta-Temp-URL-Key-2: {SECRET}"), OK), SECRET),
    "key-manager": (_http(_ask("GET /v1/secrets/0a-1b/payload HTTP/1.1"), _answer(SECRET.encode(), "Content-Type: application/octet-stream")), SECRET),
    "key-manager-store": (_http(_ask("POST /v1/secrets HTTP/1.1", json.dumps({"payload": SECRET}).encode()), OK), SECRET),
    "http-2": (_http(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0\0\x10\0\0\0\0\0\1" + SECRET.encode()), SECRET),
    "referer": (_http(_ask(f"{GET}\r\nReferer: http://h/x?a=1&access_token={UUID_TOKEN}"), OK), UUID_TOKEN),
    "connect-tunnel": (_http(_ask("CONNECT h:443 HTTP/1.1"), OK, f"password={SECRET}".encode()), SECRET),
    "websocket": (_http(_ask(f"{GET}\r\nUpgrade: websocket\r\nConnection: upgrade"), b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", PAIR.encode()), SECRET),
    "sql-url": (_sql(wire.query(f"INSERT INTO t (a) VALUES ('{URL}')"), DONE), SECRET),
    "sql-identified": (_sql(wire.query(f"CREATE USER 'x'@'%' IDENTIFIED BY '{SECRET}'"), DONE), SECRET),
    "sql-set-password": (_sql(wire.query(f"SET PASSWORD FOR 'x'@'%' = '{SECRET}'"), DONE), SECRET),
    "sql-set-password-own": (_sql(wire.query(f"SET PASSWORD = '{SECRET}'"), DONE), SECRET),
    "sql-master": (_sql(wire.query(f"CHANGE MASTER TO MASTER_HOST='h', MASTER_PASSWORD='{SECRET}'"), DONE), SECRET),
    "sql-hex": (_sql(wire.query(f"UPDATE user SET password=0x{SECRET.encode().hex()}"), DONE), SECRET.encode().hex()),
    "sql-x-hex": (_sql(wire.query(f"UPDATE user SET password=X'{SECRET.encode().hex()}'"), DONE), SECRET.encode().hex()),
    "sql-introducer": (_sql(wire.query(f"UPDATE user SET password = _binary'{SECRET}'"), DONE), SECRET),
    "sql-quoted-column": (_sql(wire.query(f"UPDATE user SET user.`password` = '{SECRET}'"), DONE), SECRET),
    "sql-variable": (_sql(wire.query(f"SET @password := '{SECRET}'"), DONE), SECRET),
    "sql-in": (_sql(wire.query(f"SELECT 1 FROM user WHERE password IN ('{SECRET}')"), DONE), SECRET),
    "sql-error": (_sql(wire.query("SELECT 1"), wire.packet(1, wire.err(1064, f"near 'password = '{SECRET}' WHERE'"))), SECRET),
    "sql-row-url": (_sql(wire.query("SELECT a"), wire.packets(1, wire.result_set(["a"], [wire.text_row(URL)]))), SECRET),
    "sql-local-file": (
        _sql(wire.query("LOAD DATA LOCAL INFILE 'x' INTO TABLE t"), wire.packet(1, b"\xfbx"), wire.packet(2, f"x,{SECRET}\n".encode()) + wire.packet(3, b""), wire.packet(4, wire.ok(1))),
        SECRET,
    ),
    "sql-change-user": (_sql(wire.packet(0, b"\x11root\0" + bytes([len(SECRET)]) + SECRET.encode() + b"db\0\x21\0mysql_clear_password\0"), wire.packet(1, wire.ok())), SECRET),
    "sql-long-data": (
        _sql(
            wire.packet(0, b"\x16UPDATE user SET password = ?"), wire.packets(1, wire.prepare_ok(7, 1, [])),
            wire.packet(0, b"\x18" + struct.pack("<IH", 7, 0) + SECRET.encode()) + wire.query("SELECT 1"), DONE,
        ),
        SECRET,
    ),
    "sql-prepared-before": (
        _sql(wire.query("SELECT 1"), DONE, wire.packet(0, b"\x17" + struct.pack("<IBI", 9, 0, 1) + b"\0\1\xfd\0" + wire.lenenc(URL.encode())), DONE, login=False),
        SECRET,
    ),
    "sql-joined-row": (_sql(b"\x20\0\0\x05" + wire.text_row(PAIR), b"", wire.query("SELECT 1"), DONE, login=False), SECRET),
    "compressed-sql": (_compressed(wire.query(f"UPDATE user SET password='{SECRET}'"), DONE), SECRET),
}  # fmt: skip
"""Where a secret stands, and what of it must be gone."""


def _login(talk: Conversation) -> None:
    """The secrets are known: an ordinary login says them."""
    http = Http(talk.connect("10.0.0.9", ("10.0.0.1", 13000)))
    for password in (SECRET, SHOUT):
        http.ask("POST", "/v3/auth/tokens", [("X-Auth-Token", UUID_TOKEN)], {"auth": {"password": password}})
        http.answer("201 Created", {}, [("X-Subject-Token", TOKEN)])


def _upload(data: bytes) -> bytes:
    return _ask("PUT /v2/images/x/file HTTP/1.1\r\nContent-Type: application/octet-stream", data)


UTF8 = SHOUT.encode().decode("latin-1")
KNOWN: dict[str, tuple[Callable[[Conversation], None], str]] = {
    "keystone-error": (_http(_ask(GET), _answer(f"No {UUID_TOKEN} here".encode(), "Content-Type: text/html")), UUID_TOKEN),
    "image-data": (_http((_upload(b"\0" * 1401 + TOKEN.encode() + b"\0" * 99),), OK), TOKEN),
    "image-data-password": (_http((_upload(bytes(range(200)) * 9 + SECRET.encode() + b"\0" * 9)[:1990], b"\0" * 1999), OK), SECRET),
    "user-and-password": (_http(_ask(POST, b"x" + base64.b64encode(f"bo:{SECRET}".encode())), OK), base64.b64encode(f"bo:{SECRET}".encode()).decode()[4:-4]),
    "user-and-password-2": (_http(_ask(POST, base64.b64encode(f"bob:{SECRET}!".encode())), OK), base64.b64encode(f"bob:{SECRET}".encode()).decode()[8:-4]),
    "hex-upper": (_http(_ask(POST, SECRET.encode().hex().upper().encode()), OK), SECRET.encode().hex().upper()),
    "percent": (_http(_ask(f"GET /x?q={quote(SHOUT, safe='')} HTTP/1.1"), OK), quote(SHOUT, safe="")),
    "percent-lower": (_http(_ask(f"GET /x?q={quote(SHOUT, safe='').lower().replace('g', 'G', 1).replace('k', 'K')} HTTP/1.1"), OK), "%c3%bc%c3%9fe%2b4"),
    "percent-slash": (_http(_ask(f"GET /x?q={quote(SHOUT)} HTTP/1.1"), OK), quote(SHOUT)),
    "utf-8": (_http(_ask(POST, f"say {SHOUT}".encode()), OK), UTF8),
    "json-escapes": (_http(_ask(POST, json.dumps({"x": SHOUT}).encode()), OK), json.dumps(SHOUT)[1:-1]),
    "json-raw": (_http(_ask(POST, json.dumps({"x": SHOUT}, ensure_ascii=False).encode()), OK), UTF8),
    "json-letter": (_http(_ask(POST, ('{"x": "' + "".join(f"\\u{ord(char):04x}" for char in SECRET) + '"}').encode()), OK), "".join(f"\\u{ord(char):04x}" for char in SECRET)),
    "sql-literal": (_sql(wire.query(f"SELECT '{SHOUT}'".encode()), DONE), UTF8),
    "utf-16-known": (_http(_ask(POST, SECRET.encode("utf-16-le")), OK), SECRET.encode("utf-16-le").decode("latin-1")),
    "gzip": (_http(_ask(GET), _answer(gzip.compress(json.dumps({"a": f"it is {SECRET}", "b": "abc" * 90}).encode()), "Content-Encoding: gzip")), SECRET),
    "deflate": (_http(_ask(GET), _answer(zlib.compress(b"it is %s" % SECRET.encode() + b"abc" * 90), "Content-Encoding: deflate")), SECRET),
    "compressed-row": (_compressed(wire.query("SELECT a"), wire.packets(1, wire.result_set(["a"], [wire.text_row(f"it is {SECRET}" + "abc" * 50)]))), SECRET),
    "across-chunks": (_http(_ask(f"{POST}\r\nTransfer-Encoding: chunked") + b"5\r\nit is\r\n6\r\n %s\r\n9\r\n%s\r\n0\r\n\r\n" % (SECRET[:5].encode(), SECRET[5:].encode()), OK), SECRET[5:]),
    "across-image-chunks": (
        _http(_ask("PUT /v2/images/x/file HTTP/1.1\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked") + b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (100 + 40, bytes(100) + TOKEN[:40].encode(), len(TOKEN) - 40, TOKEN[40:].encode()), OK),
        TOKEN[40:],
    ),
    "user-agent": (_http(_ask(f"{GET}\r\nUser-Agent: cli/{SECRET}"), OK), SECRET),
    "request-line": (_http(_ask(f"{UUID_TOKEN} /x HTTP/1.1"), OK), UUID_TOKEN),
    "mysql-user": (_sql(wire.query("SELECT 1"), DONE, wire.packet(0, b"\x02" + SECRET.encode()), DONE), SECRET),
}  # fmt: skip


def _inflated(data: bytes) -> bytes:
    """What compressed pieces of the data hold."""
    found = b""
    for mark, bits in ((b"\x1f\x8b\x08", 31), (b"\x78\x9c", 15), (b"\x78\xda", 15), (b"\x78\x01", 15)):
        at = data.find(mark)
        while at >= 0:
            with suppress(zlib.error):
                found += zlib.decompressobj(bits).decompress(data[at : at + 70_000])
            at = data.find(mark, at + 1)
    return found


def check(talk: Conversation, secret: str, folder: Path, **choices: bool) -> bytes:
    """Nothing of the secret is left; what is."""
    source, clean = talk.write(folder / "a.pcap"), folder / "b.pcap"
    wanted = secret.encode("latin-1")
    before = texts_of(source)
    assert wanted in before + _inflated(before)
    done = sanitize([str(source)], str(clean), KEY, choices=Choices(**choices))
    after = texts_of(clean)
    assert wanted not in after + _inflated(after)
    assert verify([str(clean)], done.known) == []
    return after


@pytest.mark.parametrize("place", ALONE)
def test_a_secret_that_stands_nowhere_else(place: str, tmp_path: Path) -> None:
    talk = Conversation()
    speak, secret = ALONE[place]
    speak(talk)
    check(talk, secret, tmp_path)


@pytest.mark.parametrize("place", KNOWN)
@pytest.mark.parametrize("first", [True, False], ids=["before", "behind"])
def test_a_secret_that_is_known(place: str, first: bool, tmp_path: Path) -> None:
    talk = Conversation()
    speak, secret = KNOWN[place]
    for one in (_login, speak) if first else (speak, _login):
        one(talk)
    check(talk, secret, tmp_path)


REQUEST = f"{GET}\r\nX-Auth-Token: {UUID_TOKEN}\r\nX-Padding: {'y' * 200}\r\n\r\n".encode()


def _segment(payload: bytes, seq: int = 1000, sport: int = 4000, dport: int = 9292, flags: str = "PA") -> Ether:
    return ETHER / IP(src="10.0.0.9", dst="10.0.0.1") / TCP(sport=sport, dport=dport, seq=seq, flags=flags) / payload


def _wide(packet: Ether) -> list[bytes]:
    return [bytes(packet)]


PACKETS: dict[str, Callable[[], list[bytes]]] = {
    "unknown-port": lambda: _wide(_segment(f"AUTH {UUID_TOKEN}\r\n".encode(), dport=6379)),
    "http-on-any-port": lambda: _wide(_segment(REQUEST, dport=6379)),
    "udp": lambda: _wide(ETHER / IP(src="10.0.0.1", dst="10.0.0.9") / UDP(dport=514) / f"token={UUID_TOKEN}".encode()),
    "icmp-error": lambda: _wide(
        ETHER
        / IP(src="10.0.0.1", dst="10.0.0.9")
        / ICMP(type=3, code=4)
        / IP(src="10.0.0.1", dst="10.0.0.9")
        / TCP(dport=9292)
        / REQUEST
    ),
    "fragments": lambda: [bytes(ETHER / part) for part in fragment(_segment(REQUEST)[IP], 120)],
    "lost-fragment": lambda: [bytes(ETHER / part) for part in fragment(_segment(REQUEST)[IP], 120)][:-1],
    "padding": lambda: _wide(_segment(b"") / Padding(UUID_TOKEN.encode())),
    "snaplen": lambda: [bytes(_segment(REQUEST))[:110]],
    "mid-session": lambda: _wide(_segment(REQUEST[20:])),
    "mid-token": lambda: _wide(_segment(REQUEST[REQUEST.index(UUID_TOKEN.encode()) :])),
    "data-in-syn": lambda: _wide(_segment(REQUEST, flags="S")),
    "behind-reset": lambda: [bytes(_segment(b"", flags="R")), bytes(_segment(REQUEST))],
    "other-cut": lambda: [bytes(_segment(REQUEST[:70])), bytes(_segment(REQUEST[30:], 1030)), bytes(_segment(REQUEST))],
    "out-of-order": lambda: [bytes(_segment(REQUEST[60:], 1060)), bytes(_segment(REQUEST[:60]))],
    "keep-alive": lambda: [
        bytes(_segment(REQUEST)),
        *(bytes(_segment(REQUEST[i : i + 1], 1000 + i)) for i in range(99)),
    ],
    "other-ethertype": lambda: _wide(
        Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x88B5) / UUID_TOKEN.encode()
    ),
    "vlan": lambda: [bytes(_segment(REQUEST))[:12] + b"\x81\0\0\7" + bytes(_segment(REQUEST))[12:]],
    "gre": lambda: _wide(ETHER / IP(proto=47) / (b"\0\0\x08\0" + bytes(_segment(REQUEST)[IP]))),
    "ipip": lambda: _wide(ETHER / IP(proto=4) / bytes(_segment(REQUEST)[IP])),
}


@pytest.mark.parametrize("container", ["pcap", "pcapng"])
@pytest.mark.parametrize("kind", PACKETS)
def test_secrets_in_packets_of_any_kind(kind: str, container: str, tmp_path: Path) -> None:
    rows = [Captured(10**18 + number, data) for number, data in enumerate(PACKETS[kind]())]
    source, clean = tmp_path / f"a.{container}", tmp_path / f"b.{container}"
    if container == "pcap":
        source.write_bytes(pcap(rows, nanoseconds=True))
    else:
        comment = options([(1, f"token={UUID_TOKEN}".encode())])
        names = block(4, struct.pack("<HH", 1, 38) + b"\x0a\0\0\1" + UUID_TOKEN.encode() + b"\0\0" + bytes(4))
        other = block(0xBAD, b"\0\0\0\1" + UUID_TOKEN.encode())
        packets = [block(6, enhanced(row)[8:-4] + comment) for row in rows]
        source.write_bytes(b"".join([section(), interface(), names, other, *packets]))
    sanitize([str(source)], str(clean), KEY)
    data = clean.read_bytes()
    whole = UUID_TOKEN.encode()
    assert whole[: 16 if kind == "snaplen" else 32] in source.read_bytes() or kind in (
        "fragments",
        "lost-fragment",
        "out-of-order",
    )
    for begin in range(len(whole) - 8):
        assert whole[begin : begin + 8] not in data
    assert len(data) > 50
