"""OK, EOF and ERR packets, and the session state changes that an OK packet carries.

MySQL Server documentation: "OK_Packet" (page_protocol_basic_ok_packet.html), "EOF_Packet", "ERR_Packet"; MariaDB:
"OK_Packet", whose session tracking and error 0xFFFF (progress report, "ERR_Packet") are understood too. All parsers
take a whole payload, `data[pos:end]`, and return None when it is not such a packet.
"""

from __future__ import annotations

from typing import NamedTuple

from glancetrace.mysql.command import MysqlError
from glancetrace.mysql.constants import ServerStatus, SessionTrack

__all__ = ["PROGRESS_REPORT", "OkPacket", "parse_err", "parse_ok", "pull_lenenc", "tracked_schema"]

PROGRESS_REPORT = 0xFFFF
"""Error code of MariaDB's progress report, which is no error and ends nothing."""

_STATE_CHANGED = int(ServerStatus.SERVER_SESSION_STATE_CHANGED)


class OkPacket(NamedTuple):
    """What an OK packet says; `info` is the offset of what follows the warnings count."""

    affected_rows: int
    last_insert_id: int
    status_flags: int
    info: int


def pull_lenenc(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """Length-encoded integer at `pos` and the offset behind it; (-1, pos) when it is NULL, cut or no such integer."""
    if pos >= end:
        return -1, pos
    first = data[pos]
    if first < 0xFB:
        return first, pos + 1
    width = {0xFC: 2, 0xFD: 3, 0xFE: 8}.get(first, 0)
    if not width or pos + 1 + width > end:
        return -1, pos
    return int.from_bytes(data[pos + 1 : pos + 1 + width], "little"), pos + 1 + width


def parse_ok(data: bytes, pos: int, end: int) -> OkPacket | None:
    """OK packet with header 0x00 or 0xFE (CLIENT_PROTOCOL_41)."""
    affected, pos = pull_lenenc(data, pos + 1, end)
    insert_id, pos = pull_lenenc(data, pos, end)
    if affected < 0 or insert_id < 0 or pos + 4 > end:
        return None
    return OkPacket(affected, insert_id, data[pos] | data[pos + 1] << 8, pos + 4)


def parse_err(data: bytes, pos: int, end: int) -> MysqlError | None:
    """ERR packet; without a SQL state ("#" and five characters) before the connection phase has ended."""
    if end - pos < 3:
        return None
    code = data[pos + 1] | data[pos + 2] << 8
    text = pos + 3
    sqlstate = ""
    if data[text : text + 1] == b"#" and end - text >= 6:
        sqlstate = data[text + 1 : text + 6].decode("ascii", "replace")
        text += 6
    return MysqlError(code, sqlstate, data[text:end].decode("utf-8", "replace"))


def tracked_schema(data: bytes, ok: OkPacket, end: int) -> str | None:
    """Schema that the session changed to (SESSION_TRACK_SCHEMA), None when the OK packet does not say."""
    if not ok.status_flags & _STATE_CHANGED:
        return None
    length, pos = pull_lenenc(data, ok.info, end)
    if length < 0:
        return None
    length, pos = pull_lenenc(data, pos + length, end)
    end = min(end, pos + length)
    while pos < end:
        kind = data[pos]
        length, pos = pull_lenenc(data, pos + 1, end)
        if length < 0:
            return None
        if kind == SessionTrack.SESSION_TRACK_SCHEMA:
            name_len, start = pull_lenenc(data, pos, end)
            return data[start : start + name_len].decode("utf-8", "replace") if name_len >= 0 else None
        pos += length
    return None
