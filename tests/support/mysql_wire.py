"""Writes the MySQL protocol by hand: packets, handshakes, results, and the runs in which a capture would hold them.

A script is a list of `(FROM_CLIENT | FROM_SERVER, bytes)`; `runs` gives every entry a time and a frame of its own.
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any

from glancetrace.issues import IssueLog
from glancetrace.mysql.command import ColumnPolicy, MysqlCommand
from glancetrace.mysql.decoder import MysqlDecoder
from glancetrace.mysql.resultset import DefinitionsCache
from glancetrace.net.run import FROM_CLIENT, FROM_SERVER, Connection, Run

__all__ = [
    "AUTOCOMMIT",
    "CLIENT",
    "LOGIN",
    "MORE_RESULTS",
    "SERVER",
    "Script",
    "capabilities",
    "column",
    "compressed",
    "cut_runs",
    "decode",
    "eof",
    "err",
    "execute",
    "greeting",
    "handshake_response",
    "lenenc",
    "login",
    "new_decoder",
    "ok",
    "packet",
    "packets",
    "prepare_ok",
    "query",
    "result_set",
    "rows_of",
    "runs",
    "text_row",
]

CLIENT, SERVER = FROM_CLIENT, FROM_SERVER
Script = list[tuple[int, bytes]]

AUTOCOMMIT = 2
MORE_RESULTS = 8

_BASE = 0x0200 | 0x8000 | 0x80000 | 0x200000 | 8 | 1
_START = 1_700_000_000_000_000_000


def capabilities(*extra: int) -> int:
    """CLIENT_PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH (with lenenc data), CONNECT_WITH_DB, and `extra`."""
    total = _BASE
    for flag in extra:
        total |= flag
    return total


def packet(sequence: int, payload: bytes) -> bytes:
    """One packet, or as many as a payload of 16 MiB and more takes."""
    parts = b""
    while len(payload) >= 0xFFFFFF:
        parts += b"\xff\xff\xff" + bytes([sequence & 0xFF]) + payload[:0xFFFFFF]
        payload, sequence = payload[0xFFFFFF:], sequence + 1
    return parts + len(payload).to_bytes(3, "little") + bytes([sequence & 0xFF]) + payload


def packets(sequence: int, payloads: Iterable[bytes]) -> bytes:
    """Packets with ascending sequence ids."""
    return b"".join(packet(sequence + index, payload) for index, payload in enumerate(payloads))


def lenenc(value: int | bytes | None) -> bytes:
    """Length-encoded integer or string; NULL for None."""
    if value is None:
        return b"\xfb"
    if isinstance(value, bytes):
        return lenenc(len(value)) + value
    if value < 0xFB:
        return bytes([value])
    if value < 1 << 16:
        return b"\xfc" + value.to_bytes(2, "little")
    if value < 1 << 24:
        return b"\xfd" + value.to_bytes(3, "little")
    return b"\xfe" + value.to_bytes(8, "little")


def query(sql: str | bytes, sequence: int = 0) -> bytes:
    """COM_QUERY."""
    return packet(sequence, b"\x03" + (sql.encode() if isinstance(sql, str) else sql))


def ok(affected: int = 0, status: int = AUTOCOMMIT, *, insert_id: int = 0, header: int = 0, tail: bytes = b"") -> bytes:
    """Payload of an OK packet."""
    return bytes([header]) + lenenc(affected) + lenenc(insert_id) + struct.pack("<HH", status, 0) + tail


def eof(status: int = AUTOCOMMIT) -> bytes:
    """Payload of an EOF packet."""
    return b"\xfe" + struct.pack("<HH", 0, status)


def err(code: int, message: str, sqlstate: str = "HY000") -> bytes:
    """Payload of an ERR packet."""
    return b"\xff" + struct.pack("<H", code) + b"#" + sqlstate.encode() + message.encode()


def column(name: str, field_type: int = 253, *, unsigned: bool = False, extended: bytes | None = None) -> bytes:
    """Payload of a column definition; `extended`: MariaDB's extended metadata."""
    raw = name.encode()
    head = b"".join(lenenc(part) for part in (b"def", b"glance", b"images", b"images", raw, raw))
    if extended is not None:
        head += lenenc(extended)
    return head + b"\x0c" + struct.pack("<HIBHBH", 33, 255, field_type, 0x20 if unsigned else 0, 0, 0)


def text_row(*values: str | bytes | None) -> bytes:
    """Payload of a row in text form."""
    return b"".join(lenenc(value.encode() if isinstance(value, str) else value) for value in values)


def result_set(
    names: Sequence[str | bytes],
    rows: Sequence[bytes],
    *,
    deprecate_eof: bool = False,
    status: int = AUTOCOMMIT,
    count: bytes | None = None,
    definitions: bool = True,
) -> list[bytes]:
    """Payloads of a result set; `names` may hold ready definitions, `count` a ready column count packet."""
    payloads = [lenenc(len(names)) if count is None else count]
    if definitions:
        payloads += [column(name) if isinstance(name, str) else name for name in names]
    if not deprecate_eof:
        payloads.append(eof(status))
    payloads += rows
    payloads.append(ok(status=status, header=0xFE) if deprecate_eof else eof(status))
    return payloads


def prepare_ok(statement_id: int, params: int, columns: Sequence[bytes], *, deprecate_eof: bool = False) -> list[bytes]:
    """Payloads of a response to COM_STMT_PREPARE."""
    payloads = [struct.pack("<BIHHBH", 0, statement_id, len(columns), params, 0, 0)]
    for definitions in ([column("?")] * params, list(columns)):
        payloads += definitions
        if definitions and not deprecate_eof:
            payloads.append(eof())
    return payloads


def execute(
    statement_id: int, types: Sequence[tuple[int, int]] | None, values: Sequence[bytes | None], flags: int = 0
) -> bytes:
    """COM_STMT_EXECUTE. `types`: (type, flag byte), None for those bound before; `values`: None is NULL."""
    head = struct.pack("<BIBI", 0x17, statement_id, flags, 1)
    if not values:
        return packet(0, head)
    nulls = bytearray((len(values) + 7) // 8)
    for index, value in enumerate(values):
        if value is None:
            nulls[index >> 3] |= 1 << (index & 7)
    bound = b"\x00" if types is None else b"\x01" + b"".join(bytes(pair) for pair in types)
    return packet(0, head + bytes(nulls) + bound + b"".join(value for value in values if value is not None))


def greeting(server_capabilities: int, *, version: str = "8.0.36", extended: int = 0) -> bytes:
    """Payload of a HandshakeV10."""
    return (
        b"\x0a"
        + version.encode()
        + b"\0"
        + struct.pack("<I", 77)
        + b"scramble\0"
        + struct.pack("<HBHHB", server_capabilities & 0xFFFF, 45, AUTOCOMMIT, server_capabilities >> 16, 21)
        + bytes(6)
        + struct.pack("<I", extended)
        + b"moresecretly\0mysql_native_password\0"
    )


def handshake_response(
    client_capabilities: int,
    user: str = "glance",
    schema: str = "glance",
    *,
    secret: bytes = b"s" * 20,
    extended: int = 0,
) -> bytes:
    """Payload of a HandshakeResponse41."""
    return (
        struct.pack("<IIB", client_capabilities, 1 << 24, 45)
        + bytes(19)
        + struct.pack("<I", extended)
        + user.encode()
        + b"\0"
        + lenenc(secret)
        + schema.encode()
        + b"\0mysql_native_password\0"
    )


def login(*extra: int, extended: int = 0, version: str = "8.0.36") -> Script:
    """A session's start: greeting, response, OK. With `extended` the server is a MariaDB."""
    flags = capabilities(*extra) & ~(1 if extended else 0)
    return [
        (SERVER, packet(0, greeting(flags, extended=extended, version=version))),
        (CLIENT, packet(1, handshake_response(flags, extended=extended))),
        (SERVER, packet(2, ok())),
    ]


LOGIN = login()


def compressed(sequence: int, plain: bytes, algorithm: str = "zlib") -> bytes:
    """A frame of the compressed protocol; `algorithm` "" leaves the payload as it is."""
    if not algorithm:
        return len(plain).to_bytes(3, "little") + bytes([sequence]) + bytes(3) + plain
    if algorithm == "zstd":
        import zstandard

        payload = zstandard.ZstdCompressor().compress(plain)
    else:
        payload = zlib.compress(plain)
    return len(payload).to_bytes(3, "little") + bytes([sequence]) + len(plain).to_bytes(3, "little") + payload


def runs(script: Iterable[tuple[int, bytes]], gaps: dict[int, int] | None = None) -> list[Run]:
    """Runs of a script, a frame and a microsecond each; `gaps`: index of an entry -> bytes missing before it."""
    return [
        Run(direction, data, [0], [_START + index * 1000], [index + 1], (gaps or {}).get(index, 0))
        for index, (direction, data) in enumerate(script)
    ]


def cut_runs(whole: Iterable[Run], sizes: Iterator[int]) -> Iterator[Run]:
    """The same bytes in runs of other sizes."""
    for run in whole:
        start = 0
        while True:
            end = min(len(run.data), start + next(sizes))
            first = bisect_right(run.offsets, start) - 1
            last = max(bisect_left(run.offsets, end), first + 1)
            places = slice(first, last)
            offsets = [max(0, offset - start) for offset in run.offsets[places]]
            gap = 0 if start else run.gap
            yield Run(run.direction, run.data[start:end], offsets, run.ts[places], run.frames[places], gap)
            start = end
            if start >= len(run.data):
                break


def new_decoder(
    *,
    wanted: ColumnPolicy | frozenset[str] | None = None,
    joined: bool = False,
    definitions: DefinitionsCache | None = None,
) -> tuple[MysqlDecoder, list[MysqlCommand], IssueLog]:
    """A decoder, and where its rows and issues will be."""
    rows: list[MysqlCommand] = []
    issues = IssueLog()
    connection = Connection(5, ("10.0.0.1", 40000), ("10.0.0.2", 3306), joined, _START, 1)
    policy = wanted if callable(wanted) else (lambda sql, schema: wanted)
    return MysqlDecoder(connection, rows.append, issues, policy, definitions or DefinitionsCache()), rows, issues


def decode(
    script: Iterable[tuple[int, bytes] | Run],
    *,
    wanted: ColumnPolicy | frozenset[str] | None = None,
    joined: bool = False,
    gaps: dict[int, int] | None = None,
    definitions: DefinitionsCache | None = None,
) -> tuple[list[MysqlCommand], IssueLog, MysqlDecoder]:
    """Decode a script, or runs, to the end: rows, issues and the decoder."""
    entries = list(script)
    decoder, rows, issues = new_decoder(wanted=wanted, joined=joined, definitions=definitions)
    for run in [e for e in entries if isinstance(e, Run)] or runs([e for e in entries if isinstance(e, tuple)], gaps):
        decoder.feed(run)
    decoder.close(_START, len(entries), "fin")
    return rows, issues, decoder


def rows_of(commands: Iterable[MysqlCommand]) -> list[dict[str, Any]]:
    """Rows as plain values that can be compared."""
    names = [field.name for field in fields(MysqlCommand) if field.name != "session"]
    return [{name: getattr(command, name) for name in names} for command in commands]
