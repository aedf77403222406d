"""oslo.log files of services: the requests that they tell of, with the request id of the context.

A line is `date pid LEVEL logger [context] message` (oslo.log's logging_context_format_string); the context begins with
the request id, since 2023 with a global one before it (`[None req-...`). Messages that are requests:

    eventlet.wsgi.server     client - - [20/Nov/2026 19:28:43] "GET /v2/images HTTP/1.1" 200 5117 0.123456
    the same, custom format  client "GET /v2/images HTTP/1.1" status: 200 len: 5117 time: 0.1234567
    keystone.common.wsgi     GET http://controller:5000/v3/auth/tokens                        (when it came; no answer)
    keystone ... req_logging REQUEST_METHOD: `GET`, SCRIPT_NAME: `...`, PATH_INFO: `/v3/auth/tokens`  (three lines)
"""

from __future__ import annotations

import re

from glancetrace.logs.call import LoggedCall
from glancetrace.logs.times import MILLISECOND, SECOND, parse_iso

__all__ = ["OsloReader", "looks_like_oslo", "split_prefix"]

_PREFIX = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.,]\d{3,6})\s+(?:(?P<pid>\d+)\s+)?"
    r"(?:DEBUG|INFO|AUDIT|WARNING|ERROR|CRITICAL|TRACE)\s+(?P<logger>[\w.:-]+)\s+(?:\[(?P<context>[^\]]*)\]\s?)?"
)
_REQUEST_ID = re.compile(r"req-[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_WSGI = re.compile(
    r"(?P<client>[0-9A-Fa-f.:,]{2,256})?\s*(?:- - \[[^\]]{1,40}\] )?"
    r"\"(?P<method>[A-Z]{1,16}) (?P<target>\S+)(?: HTTP/\d\.\d)?\" "
    r"(?:status: )?(?P<status>\d{3})\s+(?:len: )?(?P<bytes>\d{1,18}) (?:time: )?(?P<seconds>\d{1,6}\.\d{1,9})"
)
_CAME = re.compile(
    r"(?P<method>GET|HEAD|POST|PUT|PATCH|DELETE) https?://(?P<host>[^/\s:]+|\[[^\]]+\])(?::(?P<port>\d+))?(?P<target>/\S*)?$"
)
_PART = re.compile(r"(REQUEST_METHOD|SCRIPT_NAME|PATH_INFO): `([^`]*)`")
_MANY = 1024
"""Requests whose lines may be open at a time."""


def split_prefix(line: str) -> tuple[int | None, str, str, str, str]:
    """(time, pid, logger, context, message) of a line; without the prefix (None, "", "", "", line)."""
    match = _PREFIX.search(line, 0, 4096)
    if match is None:
        return None, "", "", "", line
    return parse_iso(match["date"]), match["pid"] or "", match["logger"], match["context"] or "", line[match.end() :]


def looks_like_oslo(line: str) -> bool:
    """A line of a service's log: it has oslo.log's prefix."""
    return _PREFIX.search(line, 0, 4096) is not None


def _service(logger: str) -> str | None:
    name = logger.partition(".")[0]
    return name if name in ("glance", "keystone") else None


class OsloReader:
    """Reads one file; Keystone's request takes three lines, so the reader keeps what it waits for."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], dict[str, str]] = {}

    def read(self, number: int, line: str) -> LoggedCall | None:
        """The call of a line; None where there is none."""
        ts, pid, logger, context, message = split_prefix(line)
        if ts is None:
            return None
        found = _REQUEST_ID.search(context)
        request_id = found[0] if found is not None else None
        match = _WSGI.match(message)
        if match is not None:
            took = round(float(match["seconds"]) * SECOND)
            client = (match["client"] or "").partition(",")[0]
            return LoggedCall(
                method=match["method"],
                target=match["target"],
                line=number,
                status_code=int(match["status"]),
                request_id=request_id,
                begin=ts - took,
                end=ts,
                resolution=2 * MILLISECOND,
                client=(client, 0) if client else None,
                response_message_bytes=int(match["bytes"]),
                service=_service(logger),
            )
        came = _CAME.match(message.strip())
        if came is not None and logger.startswith("keystone"):
            return self._came(number, ts, came["method"], came["target"] or "/", request_id)
        part = _PART.search(message)
        if part is not None and "req_logging" in logger:
            return self._part(number, ts, (pid, context), part[1], part[2], request_id)
        return None

    @staticmethod
    def _came(number: int, ts: int, method: str, target: str, request_id: str | None) -> LoggedCall:
        return LoggedCall(method, target, number, request_id=request_id, begin=ts, service="keystone")

    def _part(
        self, number: int, ts: int, key: tuple[str, str], name: str, value: str, request_id: str | None
    ) -> LoggedCall | None:
        """Keystone's three lines; PATH_INFO is the last."""
        if name == "REQUEST_METHOD":
            if len(self._open) >= _MANY:
                self._open.clear()
            self._open[key] = {}
        parts = self._open.get(key)
        if parts is None:
            return None
        parts[name] = value
        if name != "PATH_INFO":
            return None
        del self._open[key]
        target = parts.get("SCRIPT_NAME", "") + value
        return self._came(number, ts, parts["REQUEST_METHOD"].upper(), target or "/", request_id)
