"""Sanitised captures: no secret is left, nothing else has changed, Wireshark and analyze read them as before."""

from __future__ import annotations

import base64
import gzip
import json
import re
import struct
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import zstandard
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from glancetrace.cli import cli
from glancetrace.document import render_document
from glancetrace.edit.sanitize.decrypted import decrypt
from glancetrace.edit.sanitize.passes import Sanitised, sanitize
from glancetrace.edit.sanitize.pseudonyms import Pseudonyms
from glancetrace.errors import UsageError
from glancetrace.issues import IssueLog
from glancetrace.options import Options
from glancetrace.pipeline import analyze
from tests.support import mysql_wire as wire
from tests.support.capture_files import Packet as Captured
from tests.support.capture_files import block, enhanced, interface, options, pcap, read, secrets, section
from tests.support.conversation import Conversation, Http, Mysql
from tests.support.samples import CAPTURES, keylog_path
from tests.support.tcp_streams import http_streams

KEY = bytes(32)
SAMPLES = [
    "article",
    "article-tls12",
    "connector-misc-commands",
    "connector-pure-prepared",
    "mariadb-cli-compress",
    "pymysql-basic",
]
TOKEN = "gAAAAABrAJ0kq5yF3mBzVt8wXc1LrPnHsDgEoUiYaT4vKb7Z2eQjMfNhCxWl6RdSuGp9AoIyTkVb3Z5e"
OTHER_TOKEN = TOKEN[:14] + TOKEN[14:][::-1]
UUID_TOKEN = "3f9c2b7a81e04d5f9b6e0c1d2a3b4c5d"
PASSWORD = 'S3cr"et\\pä ss'
PLAIN_PASSWORD = "Wint3rIsComing"
HASH = "$2b$12$Zp0oSeJd7JmY1q6f8Lk2vOe5uR3tXw9yBa4CdEfGhIjKlMnOpQrSt"
COOKIE = "c2Vzc2lvbi1pZC0xMjM0NQ"
LOCATION = "swift+https://svc:L0cationPass@auth.example:5000/v3/glance/abc"


def unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".zst":
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return data


def run(*args: object) -> Result:
    return CliRunner().invoke(cli, ["sanitize", *map(str, args)], catch_exceptions=False, standalone_mode=False)


def story(path: Path) -> dict[str, Any]:
    """What analyze says, secrets shown, without the name of the file."""
    document = render_document(analyze([str(path)], Options(reveal=True)))
    for file in document["capture"]["files"]:
        del file["name"]
    return document


def calls_of(path: Path) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = story(path)["api_calls"]
    return calls


def tshark(path: Path, condition: str, *more: str) -> list[str]:
    # With bad checksums, which only the sources have, packets are not put together.
    checks = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"] if "checksum" in condition else []
    command = ["tshark", "-n", "-r", str(path), *checks, *more, "-Y", condition, "-T", "fields", "-e", "frame.number"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def known_secrets(data: bytes) -> set[bytes]:
    """The secrets of the samples, found in the bytes of the file: tokens, password hashes, the lab's password."""
    found = set(re.findall(rb"gAAAA[A-Za-z0-9_\-]{60,}", data)) | set(
        re.findall(rb"\$2b\$12\$[A-Za-z0-9./]{20,}", data)
    )
    return found | {word for word in (b"labadminpass", b"labadmin:") if word in data}


@dataclass(frozen=True)
class Seen:
    """What tshark sees: scrambles and the answers to them, frames that are malformed, and such with bad checksums."""

    authentication: set[str]
    malformed: list[str]
    bad: list[str]


def dissected(path: Path, *, checks: bool) -> Seen:
    """`checks`: with checksums looked at; those of the sources are bad, and then packets are not put together."""
    fields = ("mysql.salt", "mysql.salt2", "mysql.passwd", "_ws.malformed", "tcp.checksum.status", "ip.checksum.status")
    wanted = [word for field in ("frame.number", *fields) for word in ("-e", field)]
    options = [f"{layer}.check_checksum:{str(checks).upper()}" for layer in ("tcp", "ip")]
    shown = "mysql.salt or mysql.passwd or _ws.malformed or tcp.checksum.status==0 or ip.checksum.status==0"
    command = ["tshark", "-n", "-r", str(path), "-o", options[0], "-o", options[1], "-Y", shown, "-T", "fields"]
    said = subprocess.run([*command, *wanted], capture_output=True, text=True, check=True).stdout
    rows = [line.split("\t") for line in said.splitlines()]
    words = {cell for row in rows for cell in row[1:4] if len(cell) >= 8}
    bad = [row[0] for row in rows if "0" in (row[5].split(",") + row[6].split(","))]
    return Seen(words, [row[0] for row in rows if row[4]], bad)


@dataclass(frozen=True)
class Clean:
    """A sample that was sanitised."""

    path: Path
    done: Sanitised


@pytest.fixture(scope="module")
def clean_samples(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Clean]:
    """Samples by name, each sanitised once."""
    folder = tmp_path_factory.mktemp("clean")

    @cache
    def clean_sample(name: str) -> Clean:
        path = folder / f"{name}.pcap"
        return Clean(path, sanitize([str(CAPTURES[name])], str(path), KEY))

    return clean_sample


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_keeps_its_story_and_none_of_its_secrets(name: str, clean_samples: Callable[[str], Clean]) -> None:
    source, clean, done = CAPTURES[name], clean_samples(name).path, clean_samples(name).done
    assert story(clean) == story(source)
    data, before = clean.read_bytes(), unpacked(source)
    secrets_before = known_secrets(before)
    assert secrets_before or done.known.binary
    assert not [secret for secret in secrets_before if secret in data]
    seen, seen_before = dissected(clean, checks=True), dissected(source, checks=False)
    assert not seen_before.authentication & seen.authentication
    assert len(seen_before.authentication) == len(seen.authentication)
    assert seen.malformed == seen_before.malformed
    assert seen.bad == []
    columns = [(row[0], row[1], len(row[3])) for row in read([source]).rows]
    assert [(row[0], row[1], len(row[3])) for row in read([clean]).rows] == columns


@pytest.mark.parametrize("name", ["article", "openstack-cli"])
def test_streams_hold_no_secret_across_packets(
    name: str, clean_samples: Callable[[str], Clean], tmp_path: Path
) -> None:
    clean = clean_samples(name).path
    packed = tmp_path / "clean.pcap.gz"
    packed.write_bytes(gzip.compress(clean.read_bytes(), 1))
    ports = (13000, 13292, 9292, 5000)
    before = b"\n".join(data for stream in http_streams(CAPTURES[name], ports) for data in bytes_of(stream))
    after = b"\n".join(data for stream in http_streams(packed, ports) for data in bytes_of(stream))
    assert known_secrets(before)
    assert not [secret for secret in known_secrets(before) if secret in after]
    assert len(before) == len(after)


def bytes_of(stream: Any) -> list[bytes]:
    return [b"".join(run.data for run in stream.runs if run.direction == direction) for direction in (0, 1)]


def zoo() -> Conversation:
    """A conversation with a secret in every place that is known to hold one."""
    talk = Conversation()
    http = Http(talk.connect("10.0.0.9", ("10.0.0.1", 13000)))
    auth = {"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "bo", "password": PASSWORD}}}}}
    cookies = [
        ("Cookie", f"sid={COOKIE}; theme=dark"),
        ("Authorization", "Basic " + basic()),
        ("X-Trace-HMAC", "ab" * 20),
        ("X-Api-Key", "k3yOfTheApi99"),
    ]
    http.ask("POST", "/v3/auth/tokens", cookies, auth)
    answer = {"token": {"user": {"name": "bo"}, "methods": ["password"]}}
    http.answer("201 Created", answer, [("X-Subject-Token", TOKEN), ("Set-Cookie", f"sid={COOKIE}; Path=/; HttpOnly")])
    http.ask("GET", f"/v2.0/tokens/{UUID_TOKEN}?signature=deadbeefcafe1234", [("X-Auth-Token", TOKEN)])
    http.answer("200 OK", {"access": {"token": {"id": UUID_TOKEN, "expires": "2030-01-01"}}})
    image = Http(talk.connect("10.0.0.9", ("10.0.0.1", 13292)))
    image.begin_upload("PATCH", "/v2/images/x", [("X-Auth-Token", UUID_TOKEN), ("Content-Type", "application/json")])
    body = json.dumps([{"op": "add", "path": "/os_password", "value": PLAIN_PASSWORD}, {"url": LOCATION}]).encode()
    for begin in range(0, len(body), 7):
        image.chunk(body[begin : begin + 7])
    image.chunk(b"")
    packed = gzip.compress(json.dumps({"os_password": PLAIN_PASSWORD, "filler": "abc" * 40}).encode())
    image.answer("200 OK", packed, [("Content-Encoding", "gzip"), ("Content-Type", "application/json")])
    image.ask("GET", "/v2/images", [("X-Service-Token", "Bearer " + OTHER_TOKEN)])
    image.answer("404 Not Found", f"no {OTHER_TOKEN} here, nor {PLAIN_PASSWORD.encode().hex()}".encode())
    database = Mysql(talk.connect("10.0.0.1", ("10.0.0.2", 3306)))
    database.login("glance", "glance")
    speak(database.legs[0])
    return talk


def basic() -> str:
    return base64.b64encode(f"bo:{PLAIN_PASSWORD}".encode()).decode()


def speak(leg: Any) -> None:
    """Statements and rows with secrets, text and binary."""
    quoted = PASSWORD.replace("\\", "\\\\").replace('"', '\\"')
    leg.send(
        wire.query(f"INSERT INTO credential (id, encrypted_blob, key_hash) VALUES ('c1', '{TOKEN}', '{'0a' * 20}')")
    )
    leg.reply(wire.packet(1, wire.ok(1)))
    leg.send(wire.query(f"UPDATE user SET password='{quoted}' WHERE id = 'u1'"))
    leg.reply(wire.packet(1, wire.err(1064, f"near 'password={PLAIN_PASSWORD}'")))
    leg.send(wire.query("SELECT password.password_hash, image_locations.value FROM x"))
    columns = [wire.column("password_hash"), wire.column("value")]
    rows = [wire.text_row(HASH, LOCATION), wire.text_row("0f" * 20, None)]
    leg.reply(wire.packets(1, [b"\x02", *columns, wire.eof(), *rows, wire.eof()]))
    leg.send(wire.packet(0, b"\x16UPDATE user SET password = ?, name = ? WHERE id = ?"))
    parts = [b"\x00" + struct.pack("<IHHBH", 7, 0, 3, 0, 0), *[wire.column("?")] * 3, wire.eof()]
    leg.reply(wire.packets(1, parts))
    values = b"".join(wire.lenenc(value.encode()) for value in ("pAr4meterSecret", "bo", "u1"))
    leg.send(wire.packet(0, b"\x17" + struct.pack("<IBI", 7, 0, 1) + b"\x00\x01" + b"\xfd\x00" * 3 + values))
    leg.reply(wire.packet(1, wire.ok(1)))


ZOO_SECRETS = (
    TOKEN,
    OTHER_TOKEN,
    UUID_TOKEN,
    PLAIN_PASSWORD,
    json.dumps(PASSWORD)[1:-1],
    PASSWORD.replace("\\", "\\\\").replace('"', '\\"'),
    HASH,
    COOKIE,
    "L0cationPass",
    "deadbeefcafe1234",
    "0a" * 20,
    "0f" * 20,
    "ab" * 20,
    "pAr4meterSecret",
    "k3yOfTheApi99",
    basic(),
    PLAIN_PASSWORD.encode().hex(),
)


def texts_of(path: Path) -> bytes:
    """Both directions of all connections put together, and the packets as they are; gzip undone."""
    streams: dict[tuple[str, int, int], dict[int, bytes]] = {}
    for row in read([path]).rows:
        packet = Ether(row[3])
        if TCP in packet:
            data = bytes(packet[TCP].payload)[: packet[IP].len - packet[IP].ihl * 4 - packet[TCP].dataofs * 4]
            key = (packet[IP].src, packet[TCP].sport, packet[TCP].dport)
            if data:
                streams.setdefault(key, {}).setdefault(packet[TCP].seq, data)
    joined = b"\n".join(b"".join(data for _, data in sorted(pieces.items())) for pieces in streams.values())
    at = joined.find(b"\x1f\x8b\x08")
    inflated = b"" if at < 0 else gunzip(joined[at:])
    return joined + path.read_bytes() + inflated


def gunzip(data: bytes) -> bytes:
    import zlib

    return zlib.decompressobj(31).decompress(data)


def test_every_place_that_holds_secrets(tmp_path: Path) -> None:
    source, clean = zoo().write(tmp_path / "zoo.pcap"), tmp_path / "clean.pcap"
    before = texts_of(source)
    assert all(secret.encode() in before for secret in ZOO_SECRETS)
    result = run(source, "-o", clean, "--key", "k", "--verify")
    assert result.return_value == 0, result.output
    after = texts_of(clean)
    assert [secret for secret in ZOO_SECRETS if secret.encode() in after] == []
    assert not [secret for secret in ZOO_SECRETS if secret in result.output]
    assert tshark(clean, "_ws.malformed or tcp.checksum.status==0 or ip.checksum.status==0") == []
    assert not [kept for kept in (b"theme=", b"Path=/; HttpOnly", b"'c1'", b"auth.example") if kept not in after]
    calls = story(clean)["api_calls"]
    assert [(call["operation"], call["status_code"]) for call in calls] == [
        (call["operation"], call["status_code"]) for call in story(source)["api_calls"]
    ]


def test_equal_secrets_stay_equal_and_json_stays_json(tmp_path: Path) -> None:
    source, clean = zoo().write(tmp_path / "zoo.pcap"), tmp_path / "clean.pcap"
    sanitize([str(source)], str(clean), KEY)
    after = texts_of(clean)
    subject = re.search(rb"X-Subject-Token: (\S+)", after)
    asked = re.search(rb"X-Auth-Token: (gAAAA\S+)", after)
    assert subject is not None
    assert asked is not None
    assert subject[1] == asked[1]
    assert len(subject[1]) == len(TOKEN)
    assert f"'{subject[1].decode()}'".encode() in after
    body = re.search(rb'\{"auth": .*?\}\}\}\}\}', after)
    assert body is not None
    password = json.loads(body[0])["auth"]["identity"]["password"]["user"]["password"]
    assert len(password) == len(PASSWORD)
    assert password != PASSWORD
    encoded = re.search(rb"Basic (\S+)", after)
    assert encoded is not None
    assert base64.b64decode(encoded[1]).startswith(b"bo:")
    assert Pseudonyms(KEY).of(PLAIN_PASSWORD).encode() == base64.b64decode(encoded[1])[3:]


def test_the_key_makes_the_pseudonyms(tmp_path: Path) -> None:
    source = zoo().write(tmp_path / "zoo.pcap")
    (tmp_path / "key").write_bytes(b"some key")
    outputs = []
    for number, key in enumerate(["some key", str(tmp_path / "key"), "another", None, None]):
        clean = tmp_path / f"{number}.pcap"
        assert run(source, "-o", clean, *(() if key is None else ("--key", key))).return_value == 0
        outputs.append(clean.read_bytes())
    assert outputs[0] == outputs[1]
    assert len(set(outputs)) == 4


def test_blocks_and_memory_change_nothing(clean_samples: Callable[[str], Clean], tmp_path: Path) -> None:
    source = str(CAPTURES["article"])
    written = [clean_samples("article").path.read_bytes()]
    for number, (block_size, kept) in enumerate([(70_000, 192 << 20), (4 << 20, 1000)]):
        clean = tmp_path / f"{number}.pcap"
        sanitize([source], str(clean), KEY, Options(block_size=block_size), kept_bytes=kept)
        written.append(clean.read_bytes())
    assert written[0] == written[1] == written[2]


def test_sanitising_again_changes_secrets_only(tmp_path: Path) -> None:
    once, twice = tmp_path / "1.pcap", tmp_path / "2.pcap"
    source = zoo().write(tmp_path / "zoo.pcap")
    first = sanitize([str(source)], str(once), KEY)
    second = sanitize([str(once)], str(twice), KEY)
    assert second.tally.blanked == first.tally.blanked
    assert first.tally.replaced.keys() >= second.tally.replaced.keys()
    assert story(twice)["capture"] == story(once)["capture"]


@pytest.mark.parametrize("name", ["article-tls12", "article-tls13", "cli-tls13-logs"])
def test_tls_is_written_as_plain_with_the_same_frames(name: str, tmp_path: Path) -> None:
    source, clean, keylog = CAPTURES[name], tmp_path / "clean.pcap", keylog_path(name)
    result = run(source, "--decrypt", "--keylog", keylog, "-o", clean, "--verify")
    assert result.return_value == 0, result.output
    assert "TLS connections written as plain ones" in result.output
    trace = analyze(source, keylog=keylog)
    before, after = render_document(trace), story(clean)
    for document in (before, after):
        for call in document["api_calls"]:
            assert call.pop("tls") == (document is before and call["server"].endswith(("13000", "13292")))
    for table in ("api_calls", "statements", "links", "images", "findings", "issues"):
        assert after[table] == before[table], table
    assert [frame for frame, *_ in read([clean]).rows] == [frame for frame, *_ in read([source]).rows]
    speaking = ["-d", "tcp.port==13000,http", "-d", "tcp.port==13292,http"]
    odd = "_ws.malformed or tcp.checksum.status==0 or tcp.analysis.lost_segment or tcp.analysis.ack_lost_segment"
    assert tshark(clean, odd, *speaking) == []
    assert tshark(clean, "http.request and tcp.port==13292", *speaking)
    data = clean.read_bytes()
    assert known_secrets(data)
    decrypt([str(source)], str(tmp_path / "plain"), Options(keylogs=(str(keylog),)), IssueLog())
    plain = known_secrets((tmp_path / "plain").read_bytes())
    assert plain >= known_secrets(unpacked(source))
    assert [secret for secret in plain if secret.startswith(b"gAAAA")]
    assert not plain & known_secrets(data)


def test_keys_need_decrypt(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="keys are of use with --decrypt only"):
        run(CAPTURES["article-tls13"], "--keylog", keylog_path("article-tls13"), "-o", tmp_path / "x.pcap")


ZOO = zoo()
Disturbance = tuple[str, int, int]


def disturbed(packets: Sequence[tuple[int, Any]], plan: Sequence[Disturbance]) -> list[Captured]:
    """Packets repeated, repeated with other bytes, cut, moved or lost."""
    rows = [Captured(ts, bytes(packet)) for ts, packet in packets]
    for what, at, other in plan:
        at %= len(rows)
        one = rows[at]
        if what == "lost":
            del rows[at]
        elif what == "moved":
            rows.insert((at + other % 5) % len(rows), rows.pop(at))
        elif what == "cut":
            rows[at] = Captured(one.ts, one.data[: max(60, len(one.data) - other)], one.wire_len)
        elif what == "repeated":
            rows.insert((at + 1 + other % 20) % (len(rows) + 1), one)
        else:
            packet = Ether(one.data)
            if TCP in packet and Raw in packet and len(packet[Raw].load) > 4:
                packet[Raw].load = TOKEN.encode()[: len(packet[Raw].load)].ljust(len(packet[Raw].load), b"!")
                rows.insert(at + 1 + other % 3, Captured(one.ts, bytes(packet)))
    return rows


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["lost", "moved", "cut", "repeated", "contradicted"]),
            st.integers(0, 10_000),
            st.integers(0, 600),
        ),
        max_size=12,
    )
)
def test_no_secret_gets_through_whatever_happens_to_packets(
    tmp_path_factory: pytest.TempPathFactory, plan: list[Disturbance]
) -> None:
    folder = tmp_path_factory.mktemp("disturbed")
    source, clean = folder / "a.pcap", folder / "b.pcap"
    source.write_bytes(pcap(disturbed(ZOO.packets, plan), nanoseconds=True))
    sanitize([str(source)], str(clean), KEY)
    data = clean.read_bytes()
    assert [secret for secret in ZOO_SECRETS if secret.encode() in data] == []
    assert [row[0] for row in read([clean]).rows] == [row[0] for row in read([source]).rows]
    assert [row[4] for row in read([clean]).rows] == [row[4] for row in read([source]).rows]


@pytest.mark.parametrize("segment", [5, 64])
def test_secrets_cut_anywhere_into_segments(segment: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.conversation.SEGMENT", segment)
    source, clean = zoo().write(tmp_path / "zoo.pcap"), tmp_path / "clean.pcap"
    monkeypatch.undo()
    sanitize([str(source)], str(clean), KEY)
    whole = tmp_path / "whole.pcap"
    sanitize([str(zoo().write(tmp_path / "z.pcap"))], str(whole), KEY)
    cut, uncut = texts_of(clean), texts_of(whole)
    assert [secret for secret in ZOO_SECRETS if secret.encode() in cut] == []
    assert cut[:2000] == uncut[:2000]


def test_copies_of_a_segment_become_the_same_bytes(tmp_path: Path) -> None:
    rows = [Captured(ts, bytes(packet)) for ts, packet in ZOO.packets]
    carrying = [number for number, row in enumerate(rows) if TOKEN.encode() in row.data]
    again = [*rows]
    for number in reversed(carrying):
        again.insert(number + 3, rows[number])
    source, clean = tmp_path / "a.pcap", tmp_path / "b.pcap"
    source.write_bytes(pcap(again, nanoseconds=True))
    sanitize([str(source)], str(clean), KEY)
    before = [row[3] for row in read([source]).rows]
    after = [row[3] for row in read([clean]).rows]
    assert len(carrying) >= 3
    for number in range(len(before)):
        twins = [other for other in range(len(before)) if before[other] == before[number]]
        assert len({after[twin] for twin in twins}) == 1


def test_what_nobody_decodes_is_cut_behind_its_headers(tmp_path: Path) -> None:
    ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    strange = ether / IP(src="10.0.0.1", dst="10.0.0.3") / TCP(sport=5555, dport=11211, flags="PA", seq=7, ack=9)
    packets = [
        ether / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=514, dport=514) / Raw(b"<13>password=hunter2secret"),
        strange / Raw(b"set session hunter2secret"),
        ether / Raw(b"hunter2secret of another protocol"),
    ]
    rows = [Captured(10**18 + number, bytes(packet)) for number, packet in enumerate(packets)]
    source, clean, kept = tmp_path / "a.pcap", tmp_path / "b.pcap", tmp_path / "c.pcap"
    source.write_bytes(pcap(rows))
    report = tmp_path / "report.json"
    assert run(source, "-o", clean, "--report", report).return_value == 0
    assert b"hunter2secret" not in clean.read_bytes()
    assert [row[4] for row in read([clean]).rows] == [len(row.data) for row in rows]
    assert json.loads(report.read_text())["blanked"] == {"other-packets-cut": 2, "tcp-packets-cut": 1}
    assert tshark(clean, "_ws.malformed") == []
    assert run(source, "-o", kept, "--keep-other").return_value == 0
    assert kept.read_bytes().count(b"hunter2secret") == 3


def test_pcapng_keeps_packets_and_nothing_else(tmp_path: Path) -> None:
    rows = [Captured(ts, bytes(packet)) for ts, packet in ZOO.packets]
    names = block(4, struct.pack("<HH", 1, 14) + b"\x0a\0\0\1secrethost\0" + bytes(6))
    parts = [
        section(),
        interface(),
        secrets(b"CLIENT_RANDOM 00 11\n"),
        names,
        block(5, bytes(12) + options([(1, b"by Bo")])),
    ]
    source, clean = tmp_path / "a.pcapng", tmp_path / "b.pcapng"
    source.write_bytes(b"".join([*parts, *(enhanced(row) for row in rows)]))
    result = run(source, "-o", clean, "--verify")
    assert result.return_value == 0
    assert "1 blocks of TLS secrets dropped" in result.output
    data = clean.read_bytes()
    assert not [word for word in (b"secrethost", b"by Bo", b"CLIENT_RANDOM", TOKEN.encode()) if word in data]
    assert len(read([clean]).rows) == len(rows)
    assert tshark(clean, "_ws.malformed or tcp.checksum.status==0") == []
    kept = [(call["operation"], call["status_code"], call["ts"], call["response_frame"]) for call in calls_of(source)]
    assert [(c["operation"], c["status_code"], c["ts"], c["response_frame"]) for c in calls_of(clean)] == kept


def test_verify_finds_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glancetrace.edit.sanitize.plan.StreamPlan.edits_in", lambda *_: [])
    source = zoo().write(tmp_path / "zoo.pcap")
    result = run(source, "-o", tmp_path / "b.pcap", "--verify")
    assert result.return_value == 1
    assert "still there: " in result.output
    assert not [secret for secret in ZOO_SECRETS if secret in result.output]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["-", "-o", "x.pcap"], "standard input can be read only once"),
        (["{source}", "-o", "{source}"], "the output would overwrite the input"),
        (["{source}", "-o", "-"], "packets cannot go to standard output"),
    ],
)
def test_wrong_use(args: list[str], says: str, tmp_path: Path) -> None:
    source = zoo().write(tmp_path / "zoo.pcap")
    before = source.read_bytes()
    result = CliRunner().invoke(cli, ["sanitize", *(arg.format(source=source) for arg in args)])
    assert says in str(result.exception)
    assert source.read_bytes() == before


@settings(max_examples=40)
@given(st.text(min_size=1, max_size=60), st.sampled_from(["plain", "json", "sql"]))
def test_a_pseudonym_has_the_length_and_kind_of_its_secret(secret: str, spelling: str) -> None:
    raw = secret.encode("utf-8", "ignore").decode("latin-1")
    if spelling == "json":
        raw = json.dumps(secret)[1:-1]
    made = Pseudonyms(KEY).of(raw, spelling)
    assert len(made) == len(raw)
    assert [char for char in made if char in "\"'\\\n"] == [char for char in raw if char in "\"'\\\n"]
    if spelling == "json":
        assert len(json.loads(f'"{made}"')) == len(json.loads(f'"{raw}"'))


@pytest.mark.parametrize(
    ("secret", "shape"),
    [
        (TOKEN, r"gAAAA[A-Za-z0-9_\-]+"),
        (UUID_TOKEN, r"[0-9a-f]{32}"),
        (HASH, r"\$2b\$12\$[A-Za-z0-9./]{53}"),
        ("Bearer xyzdef123", r"Bearer [a-z]{6}[0-9]{3}"),
        ("eyJhbGciOiJ.eyJzdWIi.c2ln", r"[A-Za-z0-9]{11}\.[A-Za-z0-9]{8}\.[a-z0-9]{4}"),
    ],
)
def test_the_kind_of_a_secret_still_shows(secret: str, shape: str) -> None:
    made = Pseudonyms(KEY).of(secret)
    assert re.fullmatch(shape, made)
    assert made != secret
    assert Pseudonyms(bytes(31)).of(secret) != made


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 1 << 30), st.sampled_from([0, 1, 2, 3, 92, 117, 251, 252, 254, 255])), max_size=60
    )
)
def test_any_bytes_are_sanitised_without_an_error(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("hostile")
    carrying = [(ts, bytes(packet)) for ts, packet in ZOO.packets]
    places = [(number, at) for number, (_, data) in enumerate(carrying) for at in range(54, len(data))]
    changed = [bytearray(data) for _, data in carrying]
    for place, byte in changes:
        number, at = places[place % len(places)]
        changed[number][at] = byte
    rows = [Captured(ts, bytes(data)) for (ts, _), data in zip(carrying, changed, strict=True)]
    source, clean = folder / "a.pcap", folder / "b.pcap"
    source.write_bytes(pcap(rows, nanoseconds=True))
    sanitize([str(source)], str(clean), KEY)
    assert [row[4] for row in read([clean]).rows] == [len(row.data) for row in rows]
