"""Names of the MySQL and MariaDB client/server protocol: commands, capabilities, status flags, field types.

Sources: MySQL Server documentation, `enum_server_command`, "Capabilities Flags", `SERVER_STATUS_flags_enum`,
`enum_field_types` (dev.mysql.com/doc/dev/mysql-server/latest/); MariaDB, "Connection" (extended capabilities), "Result
Set Packets" and "COM_STMT_BULK_EXECUTE" (mariadb.com/docs/server/reference/clientserver-protocol/).
The spelling is that of the specifications, so that a name can be looked up there.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

__all__ = [
    "COMMAND_NAMES",
    "MAX_PACKET_LEN",
    "Capability",
    "Command",
    "ExecuteFlag",
    "FieldType",
    "ServerStatus",
    "SessionTrack",
]

MAX_PACKET_LEN = 0xFFFFFF
"""Largest payload of one packet; a payload of exactly this length goes on in the next packet."""


class Command(IntEnum):
    """First byte of a request."""

    COM_QUIT = 0x01
    COM_INIT_DB = 0x02
    COM_QUERY = 0x03
    COM_FIELD_LIST = 0x04
    COM_CREATE_DB = 0x05
    COM_DROP_DB = 0x06
    COM_REFRESH = 0x07
    COM_SHUTDOWN = 0x08
    COM_STATISTICS = 0x09
    COM_PROCESS_INFO = 0x0A
    COM_PROCESS_KILL = 0x0C
    COM_DEBUG = 0x0D
    COM_PING = 0x0E
    COM_CHANGE_USER = 0x11
    COM_BINLOG_DUMP = 0x12
    COM_TABLE_DUMP = 0x13
    COM_REGISTER_SLAVE = 0x15
    COM_STMT_PREPARE = 0x16
    COM_STMT_EXECUTE = 0x17
    COM_STMT_SEND_LONG_DATA = 0x18
    COM_STMT_CLOSE = 0x19
    COM_STMT_RESET = 0x1A
    COM_SET_OPTION = 0x1B
    COM_STMT_FETCH = 0x1C
    COM_BINLOG_DUMP_GTID = 0x1E
    COM_RESET_CONNECTION = 0x1F
    COM_STMT_BULK_EXECUTE = 0xFA


COMMAND_NAMES: dict[int, str] = {int(command): command.name for command in Command}


class Capability(IntFlag):
    """Capabilities of client and server; MariaDB's extended ones are shifted left by 32."""

    CLIENT_LONG_PASSWORD = 1
    CLIENT_CONNECT_WITH_DB = 1 << 3
    CLIENT_COMPRESS = 1 << 5
    CLIENT_PROTOCOL_41 = 1 << 9
    CLIENT_SSL = 1 << 11
    CLIENT_SECURE_CONNECTION = 1 << 15
    CLIENT_PLUGIN_AUTH = 1 << 19
    CLIENT_CONNECT_ATTRS = 1 << 20
    CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA = 1 << 21
    CLIENT_SESSION_TRACK = 1 << 23
    CLIENT_DEPRECATE_EOF = 1 << 24
    CLIENT_OPTIONAL_RESULTSET_METADATA = 1 << 25
    CLIENT_ZSTD_COMPRESSION_ALGORITHM = 1 << 26
    CLIENT_QUERY_ATTRIBUTES = 1 << 27
    MARIADB_CLIENT_PROGRESS = 1 << 32
    MARIADB_CLIENT_STMT_BULK_OPERATIONS = 1 << 34
    MARIADB_CLIENT_EXTENDED_METADATA = 1 << 35
    MARIADB_CLIENT_CACHE_METADATA = 1 << 36


class ServerStatus(IntFlag):
    """Status flags of OK and EOF packets."""

    SERVER_STATUS_IN_TRANS = 0x0001
    SERVER_STATUS_AUTOCOMMIT = 0x0002
    SERVER_MORE_RESULTS_EXISTS = 0x0008
    SERVER_STATUS_CURSOR_EXISTS = 0x0040
    SERVER_SESSION_STATE_CHANGED = 0x4000


class SessionTrack(IntEnum):
    """Kinds of session state changes in an OK packet."""

    SESSION_TRACK_SYSTEM_VARIABLES = 0
    SESSION_TRACK_SCHEMA = 1


class ExecuteFlag(IntFlag):
    """Flags of COM_STMT_EXECUTE."""

    PARAMETER_COUNT_AVAILABLE = 0x08


class FieldType(IntEnum):
    """Types of columns and parameters."""

    MYSQL_TYPE_DECIMAL = 0
    MYSQL_TYPE_TINY = 1
    MYSQL_TYPE_SHORT = 2
    MYSQL_TYPE_LONG = 3
    MYSQL_TYPE_FLOAT = 4
    MYSQL_TYPE_DOUBLE = 5
    MYSQL_TYPE_NULL = 6
    MYSQL_TYPE_TIMESTAMP = 7
    MYSQL_TYPE_LONGLONG = 8
    MYSQL_TYPE_INT24 = 9
    MYSQL_TYPE_DATE = 10
    MYSQL_TYPE_TIME = 11
    MYSQL_TYPE_DATETIME = 12
    MYSQL_TYPE_YEAR = 13
    MYSQL_TYPE_NEWDATE = 14
    MYSQL_TYPE_VARCHAR = 15
    MYSQL_TYPE_BIT = 16
    MYSQL_TYPE_JSON = 245
    MYSQL_TYPE_NEWDECIMAL = 246
    MYSQL_TYPE_ENUM = 247
    MYSQL_TYPE_SET = 248
    MYSQL_TYPE_TINY_BLOB = 249
    MYSQL_TYPE_MEDIUM_BLOB = 250
    MYSQL_TYPE_LONG_BLOB = 251
    MYSQL_TYPE_BLOB = 252
    MYSQL_TYPE_VAR_STRING = 253
    MYSQL_TYPE_STRING = 254
    MYSQL_TYPE_GEOMETRY = 255
