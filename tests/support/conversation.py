"""Writes captures of conversations that never took place: TCP sessions with what HTTP and MySQL peers say.

A `Conversation` is a clock and a list of packets (scapy). Every message moves the clock on, so packets have distinct,
ascending times; `wait` lets more of it pass. Sequence numbers, acknowledgements and handshakes are those of real
sessions; a message that is longer than the segment size takes several packets.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import PcapWriter

__all__ = ["Conversation", "Endpoint", "Http", "Mysql", "Session"]

Endpoint = tuple[str, int]

SEGMENT = 1448
STEP = 100_000
"""ns from one packet to the next."""

_ETHERNET = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x0800)

AUTOCOMMIT = 0x0002
IN_TRANS = 0x0001


class Conversation:
    """Packets and a clock (ns since the epoch)."""

    def __init__(self, start: int = 1_582_001_395_000_000_000) -> None:
        self.now = start
        self.packets: list[Any] = []
        self._ports = 40_000

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += round(seconds * 1e9)

    def connect(self, client: str, server: Endpoint, *, seen: bool = True) -> Session:
        """Open a TCP session; not `seen`: it was opened before the capture began."""
        self._ports += 1
        session = Session(self, (client, self._ports), server)
        if seen:
            session.handshake()
        return session

    def add(self, packet: Any) -> None:
        """Put a packet on the wire now."""
        self.packets.append((self.now, packet))
        self.now += STEP

    def write(self, path: Path) -> Path:
        """Write all packets as a pcap with nanoseconds."""
        writer = PcapWriter(str(path), linktype=1, nano=True)
        writer.write_header(None)
        for ts, packet in self.packets:
            seconds, nanoseconds = divmod(ts, 1_000_000_000)
            writer.write_packet(bytes(packet), sec=seconds, usec=nanoseconds)
        writer.close()
        return path


class Session:
    """One TCP connection; `send` is the client's voice, `reply` the server's."""

    def __init__(self, conversation: Conversation, client: Endpoint, server: Endpoint) -> None:
        self.conversation = conversation
        self.ends = (client, server)
        self._next = [1_000_000, 2_000_000]

    def _packet(self, side: int, flags: str, data: bytes = b"") -> None:
        (source, source_port), (target, target_port) = self.ends[side], self.ends[1 - side]
        ip = IP(src=source, dst=target)
        tcp = TCP(sport=source_port, dport=target_port, flags=flags, seq=self._next[side], ack=self._next[1 - side])
        packet = _ETHERNET / ip / tcp
        self.conversation.add(packet / Raw(data) if data else packet)
        self._next[side] += len(data) + ("S" in flags) + ("F" in flags)

    def handshake(self) -> None:
        """SYN, SYN-ACK, ACK."""
        (source, source_port), (target, target_port) = self.ends
        syn = TCP(sport=source_port, dport=target_port, flags="S", seq=self._next[0], options=[("MSS", 1460)])
        self.conversation.add(_ETHERNET / IP(src=source, dst=target) / syn)
        self._next[0] += 1
        self._packet(1, "SA")
        self._packet(0, "A")

    def _say(self, side: int, data: bytes) -> None:
        for begin in range(0, len(data), SEGMENT):
            piece = data[begin : begin + SEGMENT]
            self._packet(side, "PA" if begin + SEGMENT >= len(data) else "A", piece)
        self._packet(1 - side, "A")

    def send(self, data: bytes) -> None:
        """Bytes from the client."""
        self._say(0, data)

    def reply(self, data: bytes) -> None:
        """Bytes from the server."""
        self._say(1, data)

    def close(self) -> None:
        """The client ends the session."""
        self._packet(0, "FA")
        self._packet(1, "FA")
        self._packet(0, "A")

    def reset(self) -> None:
        """The client resets the session."""
        self._packet(0, "R")


class Http:
    """Requests and responses on a session."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def ask(self, method: str, target: str, headers: Sequence[tuple[str, str]] = (), body: Any = None) -> None:
        """A request: with a JSON body (dict), with bytes (Content-Length), or without a body."""
        host, port = self.session.ends[1]
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}:{port}", *(f"{k}: {v}" for k, v in headers)]
        data = b""
        if isinstance(body, dict):
            data = json.dumps(body).encode()
            lines.append("Content-Type: application/json")
        elif body is not None:
            data = body
        if body is not None:
            lines.append(f"Content-Length: {len(data)}")
        self.session.send("\r\n".join([*lines, "", ""]).encode() + data)

    def begin_upload(self, method: str, target: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Head of a request whose body comes in chunks."""
        host, port = self.session.ends[1]
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}:{port}", *(f"{k}: {v}" for k, v in headers)]
        self.session.send("\r\n".join([*lines, "Transfer-Encoding: chunked", "", ""]).encode())

    def chunk(self, data: bytes) -> None:
        """One chunk of the body; an empty one ends it."""
        self.session.send(b"%x\r\n%s\r\n" % (len(data), data))

    def answer(self, status: str, body: Any = None, headers: Sequence[tuple[str, str]] = ()) -> None:
        """The response: `status` is code and reason, the body JSON (dict) or bytes."""
        data = json.dumps(body).encode() if isinstance(body, dict) else body or b""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(data)}"]
        if isinstance(body, dict):
            lines.append("Content-Type: application/json")
        self.session.reply("\r\n".join([*lines, *(f"{k}: {v}" for k, v in headers), "", ""]).encode() + data)


def _lenenc(text: str | None) -> bytes:
    if text is None:
        return b"\xfb"
    data = text.encode()
    return (bytes([len(data)]) if len(data) < 251 else b"\xfc" + struct.pack("<H", len(data))) + data


class Mysql:
    """Commands and responses of a MySQL session, on one leg or on both legs of a TCP proxy (outermost first)."""

    def __init__(self, *legs: Session, autocommit: bool = False, thread_id: int = 42) -> None:
        self.legs = legs
        self.thread_id = thread_id
        self.flags = AUTOCOMMIT if autocommit else 0

    def _send(self, payload: bytes, sequence: int = 0) -> None:
        packet = struct.pack("<I", len(payload))[:3] + bytes([sequence]) + payload
        for leg in self.legs:
            leg.send(packet)

    def _reply(self, payloads: Sequence[bytes], sequence: int = 1) -> None:
        packets = b"".join(
            struct.pack("<I", len(payload))[:3] + bytes([(sequence + number) % 256]) + payload
            for number, payload in enumerate(payloads)
        )
        for leg in reversed(self.legs):
            leg.reply(packets)

    def _ok(self, affected: int = 0) -> bytes:
        return b"\x00" + bytes([affected, 0]) + struct.pack("<HH", self.flags, 0)

    def login(self, user: str, schema: str | None = None) -> None:
        """Greeting, HandshakeResponse41 with mysql_native_password, OK."""
        capabilities = 0x1 | 0x2 | 0x4 | 0x200 | 0x2000 | 0x8000 | 0x10000 | 0x20000 | 0x80000 | (0x8 if schema else 0)
        scramble = bytes(33 + (self.thread_id + n) % 90 for n in range(20))
        offered = 0x81FFF7FE
        greeting = b"\x0a" + b"5.5.5-10.3.17-MariaDB\0" + struct.pack("<I", self.thread_id) + scramble[:8] + b"\0"
        greeting += struct.pack("<HBHHB", offered & 0xFFFF, 33, AUTOCOMMIT, offered >> 16, 21) + bytes(10)
        self._reply([greeting + scramble[8:] + b"\0mysql_native_password\0"], sequence=0)
        response = struct.pack("<IIB", capabilities, 1 << 24, 33) + bytes(23) + user.encode() + b"\0"
        response += b"\x14" + bytes(range(100, 120)) + (schema.encode() + b"\0" if schema else b"")
        self._send(response + b"mysql_native_password\0", sequence=1)
        flags, self.flags = self.flags, AUTOCOMMIT
        self._reply([self._ok()], sequence=2)
        self.flags = flags
        if not flags & AUTOCOMMIT:
            self.write("SET AUTOCOMMIT = 0", 0)

    def ping(self) -> None:
        """COM_PING."""
        self._send(b"\x0e")
        self._reply([self._ok()])

    def write(self, sql: str, affected: int = 1) -> None:
        """COM_QUERY answered with OK; statements that write open a transaction, COMMIT and ROLLBACK end it."""
        word = sql.split(None, 1)[0].upper()
        if word in ("COMMIT", "ROLLBACK"):
            self.flags &= ~IN_TRANS
            affected = 0
        elif word != "SET" and not self.flags & AUTOCOMMIT:
            self.flags |= IN_TRANS
        self._send(b"\x03" + sql.encode())
        self._reply([self._ok(affected)])

    def read(self, sql: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """COM_QUERY answered with a result set of text values."""
        if not self.flags & AUTOCOMMIT:
            self.flags |= IN_TRANS
        end = b"\xfe" + struct.pack("<HH", 0, self.flags)
        definitions = [
            _lenenc("def") + _lenenc("glance") + _lenenc("images") * 2 + _lenenc(name) * 2
            + b"\x0c" + struct.pack("<HIBHB", 33, 765, 0xFD, 0, 0) + b"\0\0"
            for name in columns
        ]  # fmt: skip
        data = [b"".join(_lenenc(None if value is None else str(value)) for value in row) for row in rows]
        self._send(b"\x03" + sql.encode())
        self._reply([bytes([len(columns)]), *definitions, end, *data, end])

    def fail(self, sql: str, code: int, sqlstate: str, message: str) -> None:
        """COM_QUERY answered with an error; a deadlock ends the transaction."""
        if code == 1213:
            self.flags &= ~IN_TRANS
        self._send(b"\x03" + sql.encode())
        self._reply([b"\xff" + struct.pack("<H", code) + b"#" + sqlstate.encode() + message.encode()])
