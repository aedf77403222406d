"""The usual case, fast: a run that is one whole request, and a run that is the whole response to it.

Nothing here knows more than `requests`, `results` and `pipeline`; it takes the plain forms (COM_QUERY and COM_PING; one
OK packet, one text result set) with index arithmetic and gives up, without having changed anything, on everything else.
"""

from __future__ import annotations

from glancetrace.mysql.command import ColumnPolicy, MysqlCommand, Value
from glancetrace.mysql.constants import MAX_PACKET_LEN, Command
from glancetrace.mysql.pipeline import Pipeline
from glancetrace.mysql.results import MAX_ROWS_KEPT
from glancetrace.mysql.resultset import DefinitionsCache, text_row
from glancetrace.mysql.session_state import parse_ok
from glancetrace.net.run import Run

__all__ = ["take_whole_request", "take_whole_response"]

_SPECIAL = 0x4008
"""SERVER_MORE_RESULTS_EXISTS, SERVER_SESSION_STATE_CHANGED."""

_QUERY = int(Command.COM_QUERY)
_PING = int(Command.COM_PING)


def take_whole_request(run: Run, pipeline: Pipeline) -> bool:
    """Take a run that is one COM_QUERY or COM_PING, while nothing waits; false when it is anything else."""
    data = run.data
    size = len(data)
    if (
        size < 5
        or pipeline.head is not None
        or data[3]
        or (data[0] | data[1] << 8 | data[2] << 16) != size - 4
        or size > MAX_PACKET_LEN
    ):
        return False
    code = data[4]
    sql: str | None
    if code == _QUERY and size > 5 and data[5] > 0x20:
        name, sql = "COM_QUERY", data[5:].decode("utf-8", "replace")
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
    if head is None or (code != _QUERY and code != _PING) or pipeline.waiting or pipeline.sequence != 1:
        return False
    status_flags = _read_response(run.data, code, head, policy, definitions)
    if status_flags < 0:
        return False
    head.response_ts = run.ts[0]
    head.response_end_ts = run.ts[-1]
    head.response_frame = run.frames[-1]
    head.status_flags = status_flags
    head.complete = not head.cut
    if head.sql and head.sql[0] in "uU":
        pipeline.settle(head, None, None)
    pipeline.status_flags = status_flags
    pipeline.head = None
    pipeline.emit(head)
    return True


def _read_response(
    data: bytes, code: int, command: MysqlCommand, policy: ColumnPolicy, definitions: DefinitionsCache
) -> int:
    """Read the response in `data` into `command`; returns the status flags, -1 when this is not the usual case."""
    size = len(data)
    if size < 9 or data[3] != 1 or size > MAX_PACKET_LEN:
        return -1
    first = data[4]
    if first == 0:
        if size != (data[0] | data[1] << 8) + 4 or data[2]:
            return -1
        if data[5] < 0xFB and data[6] < 0xFB:
            affected, insert_id, status_flags = data[5], data[6], data[7] | data[8] << 8
        else:
            ok = parse_ok(data, 4, size)
            if ok is None:
                return -1
            affected, insert_id, status_flags, _ = ok
        if status_flags & _SPECIAL or size < 11:
            return -1
        command.affected_rows = affected
        command.last_insert_id = insert_id
        return status_flags
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
    count = 0
    plan = block.plan
    rows: list[tuple[Value, ...]] | None = None
    if plan is None:
        while data[pos + 4] < 0xFE:
            pos += 4 + (data[pos] | data[pos + 1] << 8 | data[pos + 2] << 16)
            count += 1
            if pos > last:
                return -1
    else:
        rows = []
        indexes = plan.indexes
        while data[pos + 4] < 0xFE:
            end = pos + 4 + (data[pos] | data[pos + 1] << 8 | data[pos + 2] << 16)
            if end > last:
                return -1
            row = text_row(data, pos + 4, end, indexes)
            if row is None:
                return -1
            rows.append(row)
            pos = end
            count += 1
    status_flags = _end_of_rows(data, pos, size, sequence + count & 0xFF)
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
