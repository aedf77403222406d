"""Output of `openstack --debug` and `glance --debug`, on a console or in a --log-file -> calls.

One request leaves several lines, of keystoneauth's session, of urllib3, or of glanceclient's own HTTP client:

    REQ: curl -g -i -X GET https://host:13292/v2/images -H "..." -d '...'          what was asked
    Making authentication request to https://host:13000/v3/auth/tokens             the same, for a token
    https://host:13292 "GET /v2/images HTTP/1.1" 200 1367                          the answer, and its length
    RESP: [200] content-length: 1367 date: ... x-openstack-request-id: req-...     the head, on one line
    RESP BODY: {...}
    GET call to image for https://host:13292/v2/images used request id req-...
    curl -g -i -X GET -H '...' http://host:9292/v2/images, then HTTP/1.1 200 OK and a header per line    (glanceclient)

Lines of several requests, threads or processes may be interleaved. A line belongs to the oldest request that it fits
and that has no such line yet: by URL where it has one, else by status and length. Lines of different processes are kept
apart where the log has process ids. A call begins with its first line, so a cut log gives the beginning of the calls.
"""

from __future__ import annotations

import re
import shlex
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import orjson

from glancetrace.logs.call import LoggedCall
from glancetrace.logs.oslo import split_prefix
from glancetrace.logs.times import MILLISECOND, SECOND, parse_http_date

__all__ = ["ConsoleReader", "looks_like_console"]

_CURL = re.compile(r"(?:REQ: )?curl -g -i\b")
_AUTH = re.compile(r"Making authentication request to (https?://\S+)")
_URLLIB = re.compile(r'(?:(https?://[^\s"/]+) )?"([A-Z]{1,16}) (\S+) HTTP/\d(?:\.\d)?" (\d{3}) (\d{1,18}|None)')
_RESPONSE = re.compile(r"RESP: \[(\d{3})\] ?(.*)", re.DOTALL)
_BODY = re.compile(r"RESP BODY: (.*)", re.DOTALL)
_USED_ID = re.compile(r"\b([A-Z]{3,7}) call to (?:\S+ for )?(https?://\S+) used request id (req-[0-9A-Za-z-]{8,64})")
_STATUS_LINE = re.compile(r"^HTTP/\d\.\d (\d{3})\b")
_HEADER_LINE = re.compile(r"^([A-Za-z][\w-]{1,60}): ?(.*)$")
_HEADER_NAME = re.compile(r"(?:^| )([A-Za-z][A-Za-z0-9_-]{1,60}): ?")
_URL = re.compile(r"https?://[^\s\"']+")
_METHOD = re.compile(r"-X ['\"]?([A-Z]{1,16})\b")
_MARK = re.compile(r"REQ: curl -g -i|RESP: \[\d{3}\]|RESP BODY: |Making authentication request to http")
_LONG = 1 << 16
"""A curl line of more characters is taken apart in the simple way."""

_MANY = 256
"""Requests of a process that may be under way at a time."""


def looks_like_console(line: str) -> bool:
    """A line that only a client's debug output has."""
    return _CURL.search(line) is not None or _RESPONSE.search(line) is not None or _USED_ID.search(line) is not None


@dataclass(slots=True, eq=False)
class _Open:
    """A request whose lines are still coming, by the kinds of lines that it has."""

    call: LoggedCall
    answered: bool = False
    has_head: bool = False
    has_body: bool = False
    has_id: bool = False


@dataclass(slots=True)
class _Process:
    """What one process has under way; `dumping`: glanceclient's response whose header lines are being read."""

    requests: list[_Open] = field(default_factory=list)
    dumping: _Open | None = None


class ConsoleReader:
    """Reads one file; `calls` grow as lines come."""

    def __init__(self) -> None:
        self.calls: list[LoggedCall] = []
        self._processes: dict[str, _Process] = {}

    def read(self, number: int, line: str) -> bool:
        """Take a line; False if it looks like one of a request and is not understood."""
        ts, pid, _logger, _context, message = split_prefix(line)
        if len(self._processes) >= _MANY and pid not in self._processes:
            self._processes.clear()
        process = self._processes.setdefault(pid, _Process())
        # Two writers may have shared a line.
        starts = [match.start() for match in _MARK.finditer(message)]
        pieces = [message[a:b] for a, b in zip([0, *starts], [*starts, len(message)], strict=True) if a < b]
        understood = [self._piece(process, number, ts, piece) for piece in pieces or [message]]
        return all(understood)

    def _piece(self, process: _Process, number: int, ts: int | None, text: str) -> bool:
        if _CURL.search(text, 0, 200) is not None:
            return self._request(process, number, ts, text)
        match = _AUTH.search(text)
        if match is not None:
            return self._open(process, number, ts, "POST", match[1]) is not None
        match = _RESPONSE.search(text)
        if match is not None:
            return self._head(process, ts, int(match[1]), _headers(match[2]))
        match = _BODY.search(text)
        if match is not None:
            return self._body(process, match[1])
        match = _USED_ID.search(text)
        if match is not None:
            return self._used_id(process, *match.groups())
        match = _URLLIB.search(text, 0, 20_000)
        if match is not None:
            return self._answered(process, number, ts, match)
        return self._other(process, ts, text)

    def _open(self, process: _Process, number: int, ts: int | None, method: str, url: str) -> _Open | None:
        place = _split_url(url)
        if place is None:
            return None
        host, port, target = place
        call = LoggedCall(method, target, number, host, port, begin=ts, resolution=MILLISECOND)
        self.calls.append(call)
        request = _Open(call)
        process.requests = [r for r in process.requests if not (r.has_body and r.has_id)][-_MANY:]
        process.requests.append(request)
        process.dumping = None
        return request

    def _request(self, process: _Process, number: int, ts: int | None, text: str) -> bool:
        method, url = _METHOD.search(text), _URL.search(text)
        request = self._open(process, number, ts, method[1], url[0]) if method and url else None
        if request is None:
            return False
        headers, data = _curl_options(text)
        request.call.request_headers = headers
        # What stands there for image data is the name of an object.
        if data is not None and data[:1] in ("{", "["):
            request.call.request_bytes = len(data.encode("utf-8", "replace"))
            request.call.request_json = _json(data)
        return True

    def _answered(self, process: _Process, number: int, ts: int | None, match: re.Match[str]) -> bool:
        """urllib3 says what was asked and answered; a request without a line of its own begins here."""
        base, method, target, status, length = match.groups()
        asked = (method, *(_split_url(base + target) or ("", 0, target))) if base else None
        fitting = [
            r
            for r in process.requests
            if not r.answered
            and (r.call.method, r.call.target) == (method, target)
            and (asked is None or (r.call.method, r.call.host, r.call.port, r.call.target) == asked)
        ]
        if fitting:
            request: _Open | None = fitting[0]
        else:
            request = self._open(process, number, None, method, f"{base or ''}{target}") if base else None
        if request is None:
            return True
        request.answered = True
        call = request.call
        call.status_code = int(status)
        call.end = ts
        if length.isdigit():
            call.response_bytes = int(length)
        return True

    def _head(self, process: _Process, ts: int | None, status: int, headers: dict[str, str]) -> bool:
        waiting = [r for r in process.requests if not r.has_head and r.call.status_code in (None, status)]
        # urllib3 has said it first; who has no such line was perhaps never answered.
        waiting = [r for r in waiting if r.answered] or waiting
        length = headers.get("content-length", "")
        exact = [r for r in waiting if length.isdigit() and r.call.response_bytes == int(length)]
        if not waiting:
            return False
        request = (exact or waiting)[0]
        request.has_head = True
        _take_head(request.call, status, headers, ts)
        return True

    def _body(self, process: _Process, text: str) -> bool:
        waiting = [r for r in process.requests if r.has_head and not r.has_body]
        size = len(text.encode("utf-8", "replace"))
        exact = [r for r in waiting if r.call.response_bytes == size]
        if not waiting:
            return False
        request = exact[0] if exact else waiting[-1]
        request.has_body = True
        request.call.response_json = _json(text)
        return True

    def _used_id(self, process: _Process, method: str, url: str, request_id: str) -> bool:
        place = _split_url(url)
        if place is None:
            return False
        for request in process.requests:
            call = request.call
            if request.has_id or (call.method, call.host, call.port, call.target) != (method, *place):
                continue
            if call.request_id in (None, request_id):
                call.request_id = request_id
                request.has_id = True
                return True
        return True  # a call whose other lines were not logged

    def _other(self, process: _Process, ts: int | None, text: str) -> bool:
        """Keystone's answer to a request for a token, and the lines of glanceclient's responses."""
        status = _STATUS_LINE.match(text)
        if status is not None:
            waiting = [r for r in process.requests if not r.has_head]
            process.dumping = waiting[0] if waiting else None
            if process.dumping is not None:
                process.dumping.has_head = True
                _take_head(process.dumping.call, int(status[1]), {}, ts)
            return True
        if text.startswith('{"token"'):
            tokens = [r for r in process.requests if r.call.target.endswith("/auth/tokens") and not r.has_body]
            if tokens:
                tokens[0].has_head = tokens[0].has_body = tokens[0].has_id = True
                tokens[0].call.response_json = _json(text)
            return True
        request = process.dumping
        if request is None:
            return True
        header = _HEADER_LINE.match(text)
        if header is not None and not request.has_body:
            _take_head(request.call, request.call.status_code or 0, {header[1].lower(): header[2]}, ts)
        elif text.startswith(("{", "[")):
            request.has_body = request.has_id = True
            request.call.response_json = _json(text)
            process.dumping = None
        return True


def _split_url(url: str) -> tuple[str | None, int | None, str] | None:
    """Host, port, and path with query of a URL; None if it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None
    return parts.hostname, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _take_head(call: LoggedCall, status: int, headers: dict[str, str], ts: int | None) -> None:
    """What a response's head says; its Date is all that a console without times has."""
    call.status_code = status
    call.response_headers = {**call.response_headers, **headers}
    call.request_id = headers.get("x-openstack-request-id") or call.request_id
    length = headers.get("content-length", "")
    if length.isdigit() and call.method != "HEAD":
        call.response_bytes = int(length)
    if ts is not None:
        call.end = call.end or ts
    elif call.begin is None and "date" in headers:
        date = parse_http_date(headers["date"])
        if date is not None:
            call.begin = call.end = date
            call.resolution, call.within = SECOND, True


def _headers(text: str) -> dict[str, str]:
    """`name: value name: value ...`: keystoneauth puts them on one line; a value may hold blanks and colons."""
    headers: dict[str, str] = {}
    marks = list(_HEADER_NAME.finditer(text))
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        end = following.start() if following is not None else len(text)
        headers.setdefault(mark[1].lower(), text[mark.end() : end].strip())
    return headers


def _curl_options(text: str) -> tuple[dict[str, str], str | None]:
    """Headers (-H) and data (-d) of a curl line, in whichever way it is quoted."""
    words: list[str] = []
    if len(text) <= _LONG:
        with suppress(ValueError):  # an apostrophe in the data
            words = shlex.split(text)
    if not words:
        words = re.findall(r"-H ['\"]?[^'\"]*['\"]?|-d '.*'", text)
        words = [part for word in words for part in (word[:2], word[3:].strip("'\""))]
    headers: dict[str, str] = {}
    data = None
    for word, value in pairwise(words):
        if word == "-H" and ":" in value:
            name, _, content = value.partition(":")
            headers[name.strip().lower()] = content.strip()
        elif word == "-d":
            data = value
    return headers, data


def _json(text: str) -> Any:
    """The parsed text, None where it is no JSON object or list."""
    text = text.strip()
    if text[:1] not in ("{", "["):
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
