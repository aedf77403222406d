"""Responses of the other forms: prepared statements, lists of fields, plain text, authentication.

MySQL Server documentation, "COM_STMT_PREPARE Response" (page_protocol_com_stmt_prepare.html), "COM_FIELD_LIST
Response", "COM_STATISTICS", "Authentication After COM_CHANGE_USER Command".
"""

from __future__ import annotations

from glancetrace.mysql.command import ColumnPolicy, MysqlCommand
from glancetrace.mysql.commands import ResponseForm
from glancetrace.mysql.prepared import Prepared
from glancetrace.mysql.response import ResponseReader, is_eof
from glancetrace.mysql.results import FetchReader, ResultReader
from glancetrace.mysql.resultset import Column, parse_column

__all__ = ["make_reader"]

_PREPARE_OK_LEN = 12


class PrepareReader(ResponseReader):
    """COM_STMT_PREPARE_OK, definitions of the parameters, definitions of the columns, each list with an EOF packet
    unless CLIENT_DEPRECATE_EOF is set."""

    __slots__ = ("_columns", "_left", "_left_columns", "_listed", "_of_columns")

    def __init__(
        self, command: MysqlCommand, prepared: Prepared | None, sequence: int | None, deprecate_eof: bool | None
    ) -> None:
        super().__init__(command, prepared, sequence, deprecate_eof)
        self._columns: list[Column] = []
        self._left = 0
        self._left_columns = 0
        self._of_columns = False
        self._listed = False
        """A list is complete but for its EOF packet."""

    def _take_packet(self, data: bytes, start: int, end: int, first: int) -> bool:
        if not self._begun:
            return self._take_prepare_ok(data, start, end, first)
        if self._listed:
            self.deprecate_eof = not is_eof(first, end - start)
            self.perhaps_done = False
            self._next_list()
            if not self.deprecate_eof:
                self.command.status_flags = data[start + 3] | data[start + 4] << 8
                return True
        return not self._done and self._take_definition(data, start, end)

    def _take_prepare_ok(self, data: bytes, start: int, end: int, first: int) -> bool:
        """Header 0, int<4> statement id, int<2> columns, int<2> parameters, filler, int<2> warnings, perhaps a flag
        that says whether definitions follow (CLIENT_OPTIONAL_RESULTSET_METADATA)."""
        if first != 0 or end - start < _PREPARE_OK_LEN:
            return False
        statement_id = int.from_bytes(data[start + 1 : start + 5], "little")
        column_count = data[start + 5] | data[start + 6] << 8
        param_count = data[start + 7] | data[start + 8] << 8
        self.prepared = Prepared(statement_id, self.command.sql or "", param_count)
        if end - start == _PREPARE_OK_LEN or data[start + _PREPARE_OK_LEN]:
            self._left, self._left_columns = param_count, column_count
        if not self._left:
            self._next_list()
        return True

    def _next_list(self) -> None:
        """Go on to the columns' definitions, or to the end."""
        self._listed = False
        self._of_columns = True
        self._left, self._left_columns = self._left_columns, 0
        self._done = not self._left

    def _take_definition(self, data: bytes, start: int, end: int) -> bool:
        column = parse_column(data, start, end)
        if column is None or self.prepared is None:
            return False
        if self._of_columns:
            self._columns.append(column)
        self._left -= 1
        if self._left:
            return True
        self.prepared.columns = tuple(self._columns)
        self._listed = True
        self.perhaps_done = self.deprecate_eof is None and not self._left_columns
        if self.deprecate_eof:
            self._next_list()
        return True


class FieldListReader(ResponseReader):
    """Column definitions up to EOF or OK."""

    __slots__ = ()

    def _take_packet(self, data: bytes, start: int, end: int, first: int) -> bool:
        if first == 0xFE:
            return self._take_end_of_rows(data, start, end)
        return parse_column(data, start, end) is not None


class TextReader(ResponseReader):
    """One packet of text."""

    __slots__ = ()

    def _take_packet(self, data: bytes, start: int, end: int, first: int) -> bool:
        self._done = True
        return True


class AuthenticationReader(ResponseReader):
    """Authentication packets, which go both ways, up to OK."""

    __slots__ = ()

    def _take_packet(self, data: bytes, start: int, end: int, first: int) -> bool:
        if first == 0:
            return self._take_ok(data, start, end, of_rows=False)
        self.sequence = None
        self.takes_client_data = True
        return True


def make_reader(
    form: ResponseForm,
    command: MysqlCommand,
    prepared: Prepared | None,
    sequence: int | None,
    deprecate_eof: bool | None,
    policy: ColumnPolicy,
) -> ResponseReader:
    """Reader for the response of `command`, which has the form `form`; see `ResponseReader` for the arguments."""
    if form is ResponseForm.PREPARE:
        return PrepareReader(command, prepared, sequence, deprecate_eof)
    if form is ResponseForm.FIELDS:
        return FieldListReader(command, prepared, sequence, deprecate_eof)
    if form is ResponseForm.STRING:
        return TextReader(command, prepared, sequence, deprecate_eof)
    if form is ResponseForm.AUTHENTICATION:
        return AuthenticationReader(command, prepared, sequence, deprecate_eof)
    if form is ResponseForm.ROWS:
        return FetchReader(command, prepared, sequence, deprecate_eof, policy)
    return ResultReader(command, prepared, sequence, deprecate_eof, policy, binary=form is ResponseForm.BINARY)
