"""The usual case, fast: a run that is one whole request, and a run that is the whole response to it.

Nothing here knows more than `requests`, `results` and `pipeline`; it takes the plain forms (COM_QUERY and COM_PING; one
OK packet, one text result set) with index arithmetic and gives up, without having changed anything, on everything else.
"""

from __future__ import annotations

from struct import Struct

from glancetrace.mysql.command import ColumnPolicy, MysqlCommand, Value
from glancetrace.mysql.constants import MAX_PACKET_LEN, Command
from glancetrace.mysql.pipeline import Pipeline
from glancetrace.mysql.results import MAX_ROWS_KEPT
from glancetrace.mysql.resultset import DefinitionsCache
from glancetrace.mysql.session_state import parse_ok
from glancetrace.net.run import Run

__all__ = ["take_whole_request", "take_whole_response"]

_SPECIAL = 0x4008
"""SERVER_MORE_RESULTS_EXISTS, SERVER_SESSION_STATE_CHANGED."""

_unpack_start = Struct("<IB").unpack_from
"""Length and sequence id as one number, first byte of the payload."""

_unpack_ok = Struct("<IBBBH2x").unpack
"""The same of the shortest OK packet, affected rows, last insert id, status flags; no warnings are looked at."""

_OK_SIZE = 11
_OK_HEADER = 1 << 24 | _OK_SIZE - 4

_QUERY = int(Command.COM_QUERY)
_PING = int(Command.COM_PING)


def take_whole_request(run: Run, pipeline: Pipeline, definitions: DefinitionsCache) -> bool:
    """Take a run that is one COM_QUERY or COM_PING, while nothing waits; false when it is anything else."""
    data = run.data
    size = len(data)
    if size < 5 or pipeline.head is not None:
        return False
    header, code = _unpack_start(data)
    # The sequence id is the highest byte of the header: one comparison finds the length right and the id 0.
    if header != size - 4 or size > MAX_PACKET_LEN:
        return False
    sql: str | None
    if code == _QUERY and size > 5 and data[5] > 0x20:
        name = "COM_QUERY"
        sql = definitions.texts.get(data) or definitions.text(data, 5)
    elif code == _PING and size == 5:
        name, sql = "COM_PING", None
    else:
        return False
    session = pipeline.session
    pipeline.ordinal += 1
    ts, frames = run.ts, run.frames
    command = MysqlCommand(session, pipeline.ordinal, name, sql, session.schema, ts[0], frames[0], ts[-1], frames[-1])
    command.status_before = pipeline.status_flags
    pipeline.head = command
    pipeline.code = code
    pipeline.sequence = 1
    return True


def take_whole_response(run: Run, pipeline: Pipeline, policy: ColumnPolicy, definitions: DefinitionsCache) -> bool:
    """Take a run that is the whole response to the only command; false when it is anything else."""
    head = pipeline.head
    code = pipeline.code
    if head is None or (code != _QUERY and code != _PING) or pipeline.sequence != 1 or pipeline.waiting:
        return False
    data = run.data
    size = len(data)
    if size == _OK_SIZE:
        header, first, affected, insert_id, status_flags = _unpack_ok(data)
        if header != _OK_HEADER or first or affected >= 0xFB or insert_id >= 0xFB or status_flags & _SPECIAL:
            return False
        head.affected_rows = affected
        head.last_insert_id = insert_id
    else:
        status_flags = _read_response(data, size, code, head, policy, definitions)
        if status_flags < 0:
            return False
    ts = run.ts
    head.response_ts = ts[0]
    head.response_end_ts = ts[-1]
    head.response_frame = run.frames[-1]
    head.status_flags = status_flags
    head.complete = not head.cut
    sql = head.sql
    if sql and sql[0] in "uU":
        pipeline.settle(head, None, None)
    pipeline.status_flags = status_flags
    pipeline.head = None
    pipeline.emit(head)
    return True


def _read_response(
    data: bytes, size: int, code: int, command: MysqlCommand, policy: ColumnPolicy, definitions: DefinitionsCache
) -> int:
    """Read the response in `data` into `command`; returns the status flags, -1 when this is not the usual case."""
    if size < _OK_SIZE or data[3] != 1 or size > MAX_PACKET_LEN:
        return -1
    first = data[4]
    if first == 0:
        if size != (data[0] | data[1] << 8) + 4 or data[2]:
            return -1
        ok = parse_ok(data, 4, size)
        if ok is None or ok.status_flags & _SPECIAL:
            return -1
        command.affected_rows = ok.affected_rows
        command.last_insert_id = ok.last_insert_id
        return ok.status_flags
    if code != _QUERY or first >= 0xFB or data[0] > 2 or data[1] or data[2]:
        return -1
    return _read_result_set(data, size, command, policy, definitions)


def _read_result_set(
    data: bytes, size: int, command: MysqlCommand, policy: ColumnPolicy, definitions: DefinitionsCache
) -> int:
    wanted = policy(command.sql, command.schema) if command.sql is not None else None
    block = definitions.find(data, wanted)
    if block is None:
        return -1
    pos = len(block.block)
    sequence = block.count + 2
    last = size - 9
    if pos > last:
        return -1
    if data[pos + 4] == 0xFE and data[pos] == 5 and not data[pos + 1] and not data[pos + 2]:
        if data[pos + 7] & 0x40 or pos + 9 > last:
            return -1
        pos += 9
        sequence += 1
    before = sequence
    plan = block.plan
    rows: list[tuple[Value, ...]] | None = None
    if plan is None:
        while data[pos + 4] < 0xFE:
            if data[pos + 3] != sequence & 0xFF:
                return -1
            pos += 4 + (data[pos] | data[pos + 1] << 8 | data[pos + 2] << 16)
            sequence += 1
            if pos > last:
                return -1
    else:
        rows = []
        indexes = plan.indexes
        while data[pos + 4] < 0xFE:
            end = pos + 4 + (data[pos] | data[pos + 1] << 8 | data[pos + 2] << 16)
            if end > last or data[pos + 3] != sequence & 0xFF:
                return -1
            row = definitions.row(data[pos + 4 : end], indexes)
            if row is None:
                return -1
            rows.append(row)
            pos = end
            sequence += 1
    count = sequence - before
    status_flags = _end_of_rows(data, pos, size, sequence & 0xFF)
    if status_flags < 0 or (plan is not None and count > MAX_ROWS_KEPT):
        return -1
    command.returned_rows = count
    if plan is not None:
        command.columns = plan.names
        command.rows = rows
        command.rows_complete = True
    return status_flags


def _end_of_rows(data: bytes, pos: int, size: int, sequence: int) -> int:
    """Status flags of the EOF packet, or OK packet in its place, at `pos`, with which `data` ends; else -1."""
    length = size - pos - 4
    if data[pos + 4] != 0xFE or data[pos + 3] != sequence or data[pos] | data[pos + 1] << 8 != length or data[pos + 2]:
        return -1
    if length != 5 and (length != 7 or data[pos + 5] or data[pos + 6]):
        return -1
    status_flags = data[pos + 7] | data[pos + 8] << 8
    return -1 if status_flags & _SPECIAL else status_flags
