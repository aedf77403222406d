"""Which bytes are MySQL: for connections on ports that nobody named, and for those that began before the capture.

MySQL Server documentation: Protocol::HandshakeV10, "Command Phase". X Protocol (port 33060) and TLS records are told
apart because they share the first bytes' form.
"""

from __future__ import annotations

from glancetrace.mysql.commands import PLAUSIBLE_LEN, is_request
from glancetrace.mysql.compressed import is_compressed_request
from glancetrace.mysql.constants import Command

__all__ = ["is_foreign_hello", "is_greeting", "is_refusal", "is_tls_record", "looks_like_mysql"]

_PROTOCOL_VERSION = 10
_X_NOTICE = b"\x05\x00\x00\x00\x0b\x08\x05\x1a\x00"
_X_CAPABILITIES_GET = b"\x01\x00\x00\x00\x01"


def is_greeting(data: bytes) -> bool:
    """`data` begins with a HandshakeV10 packet; looks at 6 bytes."""
    return len(data) >= 6 and data[1:5] == b"\x00\x00\x00\x0a" and data[0] > 40 and 0x30 <= data[5] <= 0x39


def is_refusal(data: bytes) -> bool:
    """`data` begins with the ERR packet of a server that refuses the connection (1040, 1129, 1130)."""
    return len(data) >= 6 and data[1:5] == b"\x00\x00\x00\xff"


def is_tls_record(data: bytes) -> bool:
    """`data` begins with a TLS record header."""
    return len(data) >= 3 and 0x14 <= data[0] <= 0x18 and data[1] == 3 and data[2] <= 4


def is_foreign_hello(data: bytes) -> bool:
    """`data` is how X Protocol begins, on either side; it is expected beside MySQL and no cause for alarm."""
    if data.startswith((_X_NOTICE, _X_CAPABILITIES_GET)):
        return True
    return len(data) >= 6 and data[1:4] == b"\x00\x00\x00" and data[4] == 2 and data[5] == 0x0A


def looks_like_mysql(client_bytes: bytes, server_bytes: bytes) -> bool | None:
    """Whether a connection speaks MySQL, judged by the first bytes seen of each direction; None: more are needed.

    A greeting is enough; so is a request in the middle of a session with a response (sequence id 1) to it.
    """
    if is_greeting(server_bytes):
        return True
    if server_bytes and len(server_bytes) < 6 and not client_bytes:
        return None
    if not client_bytes or len(client_bytes) < 5 or (len(client_bytes) < PLAUSIBLE_LEN and client_bytes[0] > 2):
        return None if not client_bytes or client_bytes[2:4] in (b"", b"\0", b"\0\0") else False
    if is_request(client_bytes, 0):
        if client_bytes[4] == Command.COM_QUERY and not client_bytes[5:7].isascii():
            return False
    elif not is_compressed_request(client_bytes):
        return False
    if len(server_bytes) < 4:
        return None
    return server_bytes[3] == 1
