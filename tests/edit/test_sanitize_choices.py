"""What sanitising can do beyond secrets: names, addresses and image data become others, and the story stays."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from glancetrace.document import render_document
from glancetrace.edit.sanitize.addresses import Addresses
from glancetrace.edit.sanitize.passes import Choices, sanitize
from glancetrace.edit.sanitize.pseudonyms import Pseudonyms
from glancetrace.edit.sanitize.verify import verify
from glancetrace.errors import UsageError
from glancetrace.options import Options
from glancetrace.pipeline import analyze
from tests.edit.test_sanitize import KEY, TOKEN, run, story, texts_of, tshark
from tests.support import mysql_wire as wire
from tests.support.capture_files import Packet as Captured
from tests.support.capture_files import pcap, read
from tests.support.conversation import Conversation, Http, Mysql
from tests.support.samples import CAPTURES

ADDRESSES = Addresses(Pseudonyms(KEY))
IMAGE = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(320))
OTHER_IMAGE = IMAGE[::-1]
IMAGE_ID = "3d2f0b1c-5a64-4a8e-9d3e-0c6f7b8a9e10"


def cloud(image: bytes = IMAGE, recorded: bytes = IMAGE, *, whole: bool = True) -> Conversation:
    """An upload by somebody, from somewhere, as HTTP and MySQL see it."""
    talk = Conversation()
    http = Http(talk.connect("198.51.100.23", ("10.1.2.3", 13292)))
    forwarded = [
        ("X-Auth-Token", TOKEN),
        ("X-Forwarded-For", "203.0.113.77, 198.51.100.23"),
        ("X-Project-Name", "acme"),
    ]
    http.ask("POST", "/v2/images", forwarded, {"name": "acme-payroll", "disk_format": "raw"})
    url = "http://controller-7.acme.example:9292/v2"
    answer = {"id": IMAGE_ID, "name": "acme-payroll", "status": "queued", "url": url, "host": "10.1.2.3"}
    http.answer("201 Created", answer, [("Location", f"{url}/images/{IMAGE_ID}")])
    http.begin_upload("PUT", f"/v2/images/{IMAGE_ID}/file", [("Content-Type", "application/octet-stream")])
    for begin in range(0, len(image) if whole else 4000, 1000):
        http.chunk(image[begin : begin + 1000])
    if whole:
        http.chunk(b"")
        http.answer("204 No Content")
    checksum, value = hashlib.md5(recorded).hexdigest(), hashlib.sha512(recorded).hexdigest()
    database = Mysql(talk.connect("10.1.2.3", ("10.1.2.4", 3306)))
    database.login("glance", "glance")
    leg = database.legs[0]
    leg.send(wire.query(f"INSERT INTO images (id, name, status) VALUES ('{IMAGE_ID}', 'acme-payroll', 'queued')"))
    leg.reply(wire.packet(1, wire.ok(1)))
    hashes = f"checksum='{checksum}', os_hash_value='{value}'"
    for assigned, status in (("status='saving'", "queued"), (f"status='active', {hashes}", "saving")):
        where = f"WHERE images.id = '{IMAGE_ID}' AND images.status = '{status}'"
        leg.send(wire.query(f"UPDATE images SET {assigned} {where}"))
        leg.reply(wire.packet(1, wire.ok(1)))
    leg.send(wire.query("SELECT image_locations.value FROM image_locations"))
    rows = [wire.text_row("10.1.2.3", "x" * 50), wire.text_row("http://10.1.2.9/v1", "2001:db8:5::7f")]
    columns = [wire.column("value"), wire.column("meta_data")]
    leg.reply(wire.packets(1, [b"\x02", *columns, wire.eof(), *rows, wire.eof()]))
    show = {"name": "acme-payroll", "checksum": checksum, "os_hash_value": value, "os_hash_algo": "sha512"}
    http.ask("GET", "/v2/images?name=in:acme-payroll&limit=5", forwarded)
    http.answer("200 OK", {"images": [show]}, [("Content-MD5", checksum)])
    return talk


def cleaned(source: Path, choices: Choices) -> Path:
    clean = source.with_name("clean.pcap")
    done = sanitize([str(source)], str(clean), KEY, choices=choices)
    assert verify([str(clean)], done.known) == []
    assert tshark(clean, "_ws.malformed or tcp.checksum.status==0 or ip.checksum.status==0") == []
    return clean


def test_names_become_others_wherever_they_stand(tmp_path: Path) -> None:
    source = cloud().write(tmp_path / "a.pcap")
    clean = cleaned(source, Choices(names=True))
    before, after = texts_of(source), texts_of(clean)
    for name in (b"acme-payroll", b"controller-7", b"acme"):
        assert name in before
        assert not re.search(rb"(?<![\w])%s(?!\w)" % name, after)
    names = set(re.findall(rb'"name": "([^"]+)"|name=in:([^& ]+)', after))
    assert len({one or other for one, other in names}) == 1
    made = next(one or other for one, other in names)
    assert len(made) == len("acme-payroll")
    assert b"'" + made + b"', 'queued'" in after
    documents = [story(path) for path in (source, clean)]
    assert [(c["operation"], c["status_code"]) for c in documents[1]["api_calls"]] == [
        (c["operation"], c["status_code"]) for c in documents[0]["api_calls"]
    ]
    assert [image["name"] for image in documents[1]["images"]] == [made.decode()]


def test_common_names_stay_and_names_are_whole_words(tmp_path: Path) -> None:
    talk = Conversation()
    http = Http(talk.connect("10.0.0.9", ("10.0.0.1", 13000)))
    body = {"user": {"name": "admin"}, "project": {"name": "plum"}, "note": "plumage plum_x", "plum": "the plum"}
    http.ask("POST", "/v3/users", [], body)
    http.answer("201 Created", {})
    after = texts_of(cleaned(talk.write(tmp_path / "a.pcap"), Choices(names=True)))
    kept = json.loads(re.search(rb'\{"user".*?\}\}?, "note.*?\}', after)[0])  # type: ignore[index]
    assert kept["user"] == {"name": "admin"}
    assert kept["note"] == "plumage plum_x"
    assert kept["plum"] == "the " + kept["project"]["name"] != "the plum"


def test_addresses_become_others_in_headers_and_text(tmp_path: Path) -> None:
    source = cloud().write(tmp_path / "a.pcap")
    clean = cleaned(source, Choices(addresses=True))
    after = texts_of(clean)
    for address in ("198.51.100.23", "203.0.113.77", "10.1.2.3", "10.1.2.9", "10.1.2.4"):
        assert not re.search(rf"(?<!\d){re.escape(address)}(?!\d)".encode(), after)
        assert IPv4Address(address).packed not in clean.read_bytes()
        if address != "10.1.2.4":
            assert ADDRESSES.text(address).encode() in after
    assert b"2001:db8:5::7f" not in after
    assert ADDRESSES.text("2001:db8:5::7f").encode() in after
    assert ADDRESSES.text("10.1.2.3").rsplit(".", 1)[0] == ADDRESSES.text("10.1.2.4").rsplit(".", 1)[0]

    def renamed(document: Any) -> Any:
        if isinstance(document, dict):
            return {key: renamed(value) for key, value in document.items()}
        if isinstance(document, list):
            return [renamed(value) for value in document]
        if isinstance(document, str):
            for begin, end in reversed(list(ADDRESSES.find(document))):
                document = document[:begin] + ADDRESSES.text(document[begin:end]) + document[end:]
        return document

    assert story(clean) == renamed(story(source))


def test_addresses_of_every_header(tmp_path: Path) -> None:
    mac, other = "52:54:00:aa:bb:01", "52:54:00:aa:bb:02"
    ether = Ether(src=mac, dst=other)
    packets = [
        ether / ARP(hwsrc=mac, psrc="192.0.2.5", hwdst=other, pdst="192.0.2.6"),
        ether / IPv6(src="2001:db8::5", dst="2001:db8::6") / TCP(sport=4000, dport=9292, flags="PA") / Raw(b"GET"),
        ether / IP(src="192.0.2.5", dst="192.0.2.6", options=b"\x07\x07\x04" + bytes([192, 0, 2, 5])) / TCP(dport=81),
        Raw(struct.pack("!HHIHBB", 0x0800, 0, 1, 1, 0, 6) + bytes.fromhex("525400aabb010000")),
    ]
    rows = [Captured(10**18 + number, bytes(packet)) for number, packet in enumerate(packets)]
    source, clean = tmp_path / "a.pcap", tmp_path / "b.pcap"
    source.write_bytes(pcap(rows))
    sanitize([str(source)], str(clean), KEY, choices=Choices(addresses=True))
    data = clean.read_bytes()
    for packed in (
        bytes.fromhex("525400aabb01"), IPv4Address("192.0.2.5").packed, IPv4Address("192.0.2.6").packed,
        IPv6Address("2001:db8::5").packed, IPv6Address("2001:db8::6").packed,
    ):  # fmt: skip
        assert packed in source.read_bytes()
        if packed[:2] != b"\x52\x54":
            assert packed not in data
    frames = [Ether(row[3]) for row in read([clean]).rows]
    assert frames[0][ARP].psrc == frames[2][IP].src == ADDRESSES.text("192.0.2.5")
    assert frames[0].src == frames[0][ARP].hwsrc == frames[1].src == ADDRESSES.text(mac)
    assert frames[1][IPv6].src == ADDRESSES.text("2001:db8::5")
    assert tshark(clean, "tcp.checksum.status==0 or ip.checksum.status==0") == []


@settings(max_examples=60)
@given(st.integers(0, (1 << 128) - 1), st.integers(0, 127), st.booleans())
def test_an_address_has_the_length_of_the_one_before_and_networks_stay(number: int, shift: int, small: bool) -> None:
    six = number >> shift if small else number >> shift << shift
    text = str(IPv6Address(six))
    assert ADDRESSES.text(text) == str(IPv6Address(ADDRESSES.v6(six)))
    assert len(ADDRESSES.text(text)) == len(text)
    four, neighbour = number & 0xFFFFFFFF, number & 0xFFFFFF00 | shift
    assert len(ADDRESSES.text(str(IPv4Address(four)))) == len(str(IPv4Address(four)))
    assert ADDRESSES.v4(four) >> 8 == ADDRESSES.v4(neighbour) >> 8
    assert (ADDRESSES.v4(four) == ADDRESSES.v4(neighbour)) == (four == neighbour)


def matches(document: dict[str, Any]) -> list[bool]:
    return [
        image["wire_checksum"] is not None
        and image["wire_checksum"].get("md5") == image["checksum"]
        and image["wire_checksum"].get("sha512") == image["os_hash_value"]
        for image in document["images"]
    ]


@pytest.mark.parametrize(
    ("image", "recorded", "whole"),
    [(IMAGE, IMAGE, True), (IMAGE, OTHER_IMAGE, True), (IMAGE, IMAGE, False)],
    ids=["matches", "differs", "incomplete"],
)
def test_image_data_becomes_zeros_and_hashes_match_as_before(
    image: bytes, recorded: bytes, whole: bool, tmp_path: Path
) -> None:
    source = cloud(image, recorded, whole=whole).write(tmp_path / "a.pcap")
    clean = cleaned(source, Choices(image_bodies=True))
    before, after = story(source), story(clean)
    assert matches(before) == matches(after) == [image is recorded and whole]
    assert [finding["rule"] for finding in after["findings"]] == [finding["rule"] for finding in before["findings"]]
    assert IMAGE[40:60] not in clean.read_bytes()
    assert hashlib.md5(image).hexdigest().encode() not in texts_of(clean) or not whole
    assert len(clean.read_bytes()) == len(source.read_bytes())


def test_a_sample_with_everything_replaced_tells_its_story(tmp_path: Path) -> None:
    source, clean = CAPTURES["article"], tmp_path / "clean.pcap"
    sanitize([str(source)], str(clean), KEY, choices=EVERYTHING)
    before, after = (
        render_document(analyze([str(source)], Options())),
        render_document(analyze([str(clean)], Options())),
    )
    for table in ("links", "issues", "capture"):
        for document in (before, after):
            for file in document["capture"]["files"]:
                file.pop("name", None)
        assert after[table] == before[table], table
    assert matches(after) == matches(before) == [True] * len(before["images"])
    for key in ("transitions", "intervals", "status", "size", "id"):
        assert [image[key] for image in after["images"]] == [image[key] for image in before["images"]]
    assert [statement["digest"] for statement in after["statements"]] == [s["digest"] for s in before["statements"]]


def test_addresses_inside_what_nobody_decodes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="packets that nobody decodes hold addresses"):
        run(cloud().write(tmp_path / "a.pcap"), "-o", tmp_path / "b.pcap", "--addresses", "--keep-other")


@pytest.mark.parametrize("text", [True, False], ids=["text", "binary"])
def test_addresses_that_a_proxy_and_a_refusal_tell(text: bool, tmp_path: Path) -> None:
    talk = Conversation()
    addresses = IPv4Address("203.0.113.9"), IPv4Address("203.0.113.10")
    packed = b"".join(address.packed for address in addresses)
    binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack("!H", 12) + packed + b"\x10\x92\x0c\xea"
    session = talk.connect("10.1.2.8", ("10.1.2.4", 3306))
    session.send(b"PROXY TCP4 203.0.113.9 203.0.113.10 4242 3306\r\n" if text else binary)
    session.reply(wire.packet(0, b"\xff\x6a\x04Host '203.0.113.9' is not allowed to connect to this server"))
    after = texts_of(cleaned(talk.write(tmp_path / "a.pcap"), Choices(addresses=True)))
    assert b"203.0.113.9" not in after
    assert packed not in after
    made = [ADDRESSES.v4(int(address)) for address in addresses]
    assert b"Host '%s' is" % str(IPv4Address(made[0])).encode() in after
    spelled = " ".join(str(IPv4Address(one)) for one in made).encode()
    assert (spelled if text else struct.pack("!II", *made)) in after


EVERYTHING = Choices(image_bodies=True, names=True, addresses=True)


def test_blocks_and_memory_change_nothing(tmp_path: Path) -> None:
    source, written = str(CAPTURES["article"]), []
    for number, (block_size, kept) in enumerate([(4 << 20, 192 << 20), (70_000, 192 << 20), (4 << 20, 1000)]):
        clean = tmp_path / f"{number}.pcap"
        sanitize([source], str(clean), KEY, Options(block_size=block_size), choices=EVERYTHING, kept_bytes=kept)
        written.append(clean.read_bytes())
    assert written[0] == written[1] == written[2]


def test_lost_packets_leave_the_story(tmp_path: Path) -> None:
    rows = read([CAPTURES["article"]]).rows
    kept = [Captured(row[1], row[3], row[4]) for number, row in enumerate(rows) if number % 211 != 17]
    source, clean = tmp_path / "a.pcap", tmp_path / "b.pcap"
    source.write_bytes(pcap(kept, nanoseconds=True))
    done = sanitize([str(source)], str(clean), KEY)
    assert story(clean) == story(source)
    assert done.tally.blanked["mysql-not-understood"] > 0


CLOUD = cloud()


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1 << 30), st.sampled_from([0, 1, 10, 34, 58, 92, 251, 255])), max_size=40))
def test_any_bytes_are_sanitised_without_an_error(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("hostile")
    changed = [bytearray(bytes(packet)) for _, packet in CLOUD.packets]
    places = [(number, at) for number, data in enumerate(changed) for at in range(len(data))]
    for place, byte in changes:
        number, at = places[place % len(places)]
        changed[number][at] = byte
    rows = [Captured(ts, bytes(data)) for (ts, _), data in zip(CLOUD.packets, changed, strict=True)]
    source, clean = folder / "a.pcap", folder / "b.pcap"
    source.write_bytes(pcap(rows, nanoseconds=True))
    sanitize([str(source)], str(clean), KEY, choices=EVERYTHING)
    assert [row[4] for row in read([clean]).rows] == [len(row.data) for row in rows]
