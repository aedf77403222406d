"""An API call as a log tells of it: what the line says, and how sure its times are.

Times are those of the clock that wrote the log, as integer nanoseconds of that clock read as UTC: whether it was UTC,
and how far it was off, is found out later by what log and capture both show (`glancetrace.join`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["ApiLog", "LoggedCall"]


@dataclass(slots=True, eq=False)
class LoggedCall:
    """One call of a log.

    Attributes:
        method, target: as the line has them; `target` is the path with its query. host, port: of the URL, where the log
            has URLs.
        status_code: None without a response. request_id: x-openstack-request-id.
        begin, end: first byte of the request and last of the response by the log's clock, ns; None where unknown.
        resolution: ns; a time means [time, time + resolution).
        within: `begin` and `end` are one moment of which only is known that the call was under way.
        client: address and port (0 where unknown) of who asked; None where unknown.
        request_bytes, response_bytes: bodies, None where unknown. response_message_bytes: with the head.
        head_counted: `response_bytes` may include the head (Apache's %O, which some distributions have for %b).
        request_headers, response_headers: lower-case names, as far as shown.
        request_json, response_json: parsed bodies, as far as shown.
        probe: a proxy's health check by its looks (HTTP/1.0, no user agent), so no client's request.
        service: "glance", "keystone" where the log itself says whose it is.
        line: where it begins in the file, from 1.
    """

    method: str
    target: str
    line: int
    host: str | None = None
    port: int | None = None
    status_code: int | None = None
    request_id: str | None = None
    begin: int | None = None
    end: int | None = None
    resolution: int = 1_000_000
    within: bool = False
    client: tuple[str, int] | None = None
    request_bytes: int | None = None
    response_bytes: int | None = None
    response_message_bytes: int | None = None
    head_counted: bool = False
    probe: bool = False
    request_headers: dict[str, str] = field(default_factory=dict)
    response_headers: dict[str, str] = field(default_factory=dict)
    request_json: Any = None
    response_json: Any = None
    service: str | None = None


@dataclass(slots=True, eq=False)
class ApiLog:
    """One log file.

    Attributes:
        name: as given. format: "openstack-debug", "oslo", "haproxy", "access" or "uwsgi"; "empty" without any line.
        zoned: its times carry their zone, so that only the clock itself can be off.
        ordered: its calls stand in the order in which they began, not in which they ended.
        calls: in the order of the file. unread: lines that make no sense, first_unread the first of them.
        repeated: calls that stood there before, first_repeated the line of the first of them.
        cut: a compressed file that ends in the middle.
    """

    name: str
    format: str
    zoned: bool
    ordered: bool
    calls: list[LoggedCall] = field(default_factory=list)
    unread: int = 0
    first_unread: int | None = None
    repeated: int = 0
    first_repeated: int | None = None
    cut: bool = False
