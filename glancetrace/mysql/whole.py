"""The usual case, fast: a run that holds one whole response.

Nothing here knows more than `glancetrace.mysql.response`; it reads the plain forms (one OK packet; one text result set)
with index arithmetic and gives up, without having changed anything, on everything else.
"""

from __future__ import annotations

from glancetrace.mysql.command import ColumnPolicy, MysqlCommand, Value
from glancetrace.mysql.constants import Command
from glancetrace.mysql.resultset import DefinitionsCache, text_row
from glancetrace.mysql.session_state import parse_ok

__all__ = ["read_whole"]

_SPECIAL = 0x4008
"""SERVER_MORE_RESULTS_EXISTS, SERVER_SESSION_STATE_CHANGED."""

_MAX_LEN = 0xFFFFFF


def read_whole(
    data: bytes, code: int, command: MysqlCommand, policy: ColumnPolicy, definitions: DefinitionsCache
) -> int:
    """Read the response in `data` into `command`; returns the status flags, -1 when this is not the usual case."""
    size = len(data)
    if size < 9 or data[3] != 1 or size > _MAX_LEN:
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
    if code != Command.COM_QUERY or first >= 0xFB or data[0] != 1 or data[1] or data[2]:
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
    length = data[pos] | data[pos + 1] << 8 | data[pos + 2] << 16
    if data[pos + 4] != 0xFE or pos + 4 + length != size or data[pos + 3] != sequence + count & 0xFF:
        return -1
    if length == 5 or (length == 7 and not data[pos + 5] and not data[pos + 6]):
        status_flags = data[pos + 7] | data[pos + 8] << 8
    else:
        return -1
    if status_flags & _SPECIAL:
        return -1
    command.returned_rows = count
    if plan is not None:
        command.columns = plan.names
        command.rows = rows
        command.rows_complete = True
    return status_flags
