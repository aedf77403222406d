"""The head of an HTTP/1.x message: start line and header fields (RFC 9112, sections 2 to 5).

A head is bytes up to and including the first empty line. Lines end in CRLF or, leniently, in LF alone (section 2.2);
a line that begins with space or tab continues the field before it (obs-fold, section 5.2). Whether a line can stand in
a head is decided here and nowhere else, so that a head read in one piece and one read line by line are judged alike.

Two degrees of strictness: in step with the stream any upper-case token is a method; while searching for the next
message among bytes that may be anything, only methods that are in use count.
"""

from __future__ import annotations

import re
from functools import lru_cache

from glancetrace.http.exchange import Head

__all__ = [
    "METHODS",
    "is_field_line",
    "looks_like_http",
    "may_start_request",
    "may_start_response",
    "parse_head",
    "parse_start_line",
]

METHODS = frozenset(
    b"GET HEAD POST PUT DELETE PATCH OPTIONS TRACE CONNECT COPY MOVE PROPFIND PROPPATCH MKCOL LOCK UNLOCK".split()
)
"""Methods that a search for the next request believes."""

_METHOD_PREFIXES = frozenset(method[:length] for method in METHODS for length in range(1, len(method) + 1))
_LONGEST_METHOD = max(map(len, METHODS))
_VERSION = b"HTTP/1."
_BLANK = " \t"

_REQUEST_LINE = re.compile(r"([A-Z][A-Z-]{0,31}) ([^\x00-\x20\x7f]+) HTTP/(1\.[0-9])")
_STATUS_LINE = re.compile(r"HTTP/(1\.[0-9]) ([1-9][0-9][0-9])(?: ([^\x00]*))?")
_METHOD_TOKEN = re.compile(rb"[A-Z][A-Z-]{0,31}(?: |\Z)")
_FIELD_NAME = re.compile(r"[^\x00-\x20:\x7f][^\x00-\x1f:\x7f]*")

_LONGEST_KEPT = 512
"""Characters of field lines that are remembered, at most."""

_RECOGNISABLE = 24
"""So many bytes of a request line are enough to call it HTTP, even if its end is not there yet."""
_TARGET_SO_FAR = re.compile(rb"[A-Z]+ (?:/|https?://|\*)[^\x00-\x20\x7f]*")


def may_start_request(begin: bytes, known_only: bool) -> bool:
    """Whether a request line can begin with these bytes, of which more may follow."""
    if not known_only:
        return _METHOD_TOKEN.match(begin[:33]) is not None
    space = begin.find(b" ", 0, _LONGEST_METHOD + 1)
    return (begin[:space] in METHODS) if space >= 0 else (begin in _METHOD_PREFIXES)


def may_start_response(begin: bytes) -> bool:
    """Whether a status line can begin with these bytes, of which more may follow."""
    return begin.startswith(_VERSION) if len(begin) >= len(_VERSION) else _VERSION.startswith(begin)


def parse_start_line(line: str, request: bool, known_only: bool) -> Head | None:
    """The head that a start line (without its line end) begins, without fields; None when it is no start line."""
    if request:
        match = _REQUEST_LINE.fullmatch(line)
        if match is None:
            return None
        method, target, version = match.groups()
        if known_only and method.encode("latin-1") not in METHODS:
            return None
        return Head(method=method, target=target, version=version)
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        return None
    version, code, reason = match.groups()
    return Head(version=version, status_code=int(code), reason=reason or "")


def is_field_line(line: str, first: bool) -> bool:
    """Whether a line can stand behind the start line; `first`: right behind it, where there is nothing to continue."""
    if "\0" in line:
        return False
    if line[0] in _BLANK:
        return not first
    name, colon, _ = line.partition(":")
    return bool(colon and _field_name(name))


@lru_cache(maxsize=1024)
def _field_name(name: str) -> str:
    """A field's name in lower case, empty where it is none; wider than the RFC's token, but without control characters.

    Names recur in every message.
    """
    return name.rstrip(" ").lower() if _FIELD_NAME.fullmatch(name) else ""


@lru_cache(maxsize=2048)
def _field(line: str) -> tuple[str, str] | None:
    """Name and value of a field line, None when it is none. Most lines recur in message after message."""
    name, colon, value = line.partition(":")
    name = _field_name(name)
    return (name, value.strip(_BLANK)) if colon and name else None


def _unfold(lines: list[str]) -> list[str]:
    """Join continued fields; what continues no field is left as it is, and is no field."""
    unfolded = lines[:1]
    for line in lines[1:]:
        if line[:1] in (" ", "\t") and len(unfolded) > 1 and ":" in unfolded[-1]:
            unfolded[-1] = f"{unfolded[-1]} {line.strip(_BLANK)}".rstrip(_BLANK)
        else:
            unfolded.append(line)
    return unfolded


def parse_head(data: bytes, request: bool, known_only: bool) -> Head | None:
    """A complete head, from its first byte to its empty line; None when one of its lines cannot stand there."""
    lines = data.decode("latin-1").replace("\r\n", "\n").split("\n")
    if b"\n " in data or b"\n\t" in data:
        lines = _unfold(lines)
    head = parse_start_line(lines[0], request, known_only)
    if head is None or b"\0" in data:
        return None
    fields: list[tuple[str, str]] = []
    for line in lines[1:]:
        if not line:
            break
        field = _field(line) if len(line) <= _LONGEST_KEPT else _field.__wrapped__(line)
        if field is None:
            return None
        fields.append(field)
    head.headers = tuple(fields)
    return head


def _is_request(data: bytes) -> bool | None:
    if not may_start_request(data, known_only=True):
        return False
    line, end, _ = data.partition(b"\n")
    if end:
        return parse_start_line(line.rstrip(b"\r").decode("latin-1"), request=True, known_only=True) is not None
    target = _TARGET_SO_FAR.match(data)
    if target is None:
        return None if len(data) <= _LONGEST_METHOD + len(" https://") and b" /" not in data else False
    if target.end() == len(data):
        return True if len(data) >= _RECOGNISABLE else None
    rest = data[target.end() :].rstrip(b"\r")
    return None if b" HTTP/1.0".startswith(rest) or b" HTTP/1.1".startswith(rest) else False


def _is_response(data: bytes) -> bool | None:
    if not may_start_response(data):
        return False
    line, end, _ = data.partition(b"\n")
    if end:
        return parse_start_line(line.rstrip(b"\r").decode("latin-1"), request=False, known_only=True) is not None
    code = data[len(_VERSION) : len(_VERSION) + 5]
    if len(code) < 5:
        return None
    return code[:1].isdigit() and code[1:2] == b" " and code[2:].isdigit()


def looks_like_http(client_bytes: bytes, server_bytes: bytes) -> bool | None:
    """Whether a connection speaks HTTP/1.x, judged by the first bytes of each direction.

    True needs a start line of one side, or at least 24 bytes of one that go on like one; None means that more bytes are
    needed; False that neither side begins like HTTP.
    """
    verdicts = (
        _is_request(client_bytes) if client_bytes else None,
        _is_response(server_bytes) if server_bytes else None,
    )
    if True in verdicts:
        return True
    return None if None in verdicts else False
