"""API calls as an HTTP archive, which browsers' developer tools and HTTP debuggers open.

Specification: HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/). Times are milliseconds; a phase that does not
apply or is not known is -1. `send` is the request, `wait` until the first byte of the response, `receive` the rest;
name lookup, connecting and TLS came before the call and are not its own.

Bodies: JSON up to a bound as a whole, secrets replaced; what is longer, cut or no JSON (image data) is left out with a
comment. Headers are those of the outermost hop; a call that only a log tells of has none. What HAR has no place for
stands in fields that begin with an underscore, as the specification wants it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote_plus

from glancetrace.document import RowBuilder
from glancetrace.glance.call import ApiCall
from glancetrace.http.exchange import Body, Head
from glancetrace.output.json import dump_document
from glancetrace.redact import Redactor
from glancetrace.rfc3339 import rfc3339
from glancetrace.trace import Trace

__all__ = ["render_har"]

Row = dict[str, Any]

_LONGEST_BODY = 64 << 10
_URL_SAFE = "%/:=&?~#+!$,;'@()*[]-._"
"""What may stand in a URL as it is (RFC 3986); the marks of a replaced secret and whatever a stranger sent may not."""


def render_har(trace: Trace, version: str = "") -> Iterator[bytes]:
    """The whole archive, in pieces; `version` is glancetrace's."""
    builder = RowBuilder(trace)
    creator = {"name": "glancetrace", "version": version}
    yield b'{"log":{"version":"1.2","creator":' + dump_document(creator).rstrip() + b',"entries":['
    separator = b""
    for call in trace.tables.calls:
        yield separator + dump_document(_entry(call, builder.call(call), trace.redactor)).rstrip()
        separator = b",\n"
    yield b"]}}\n"


def _entry(call: ApiCall, row: Row, redactor: Redactor) -> Row:
    exchange = call.exchange
    request = exchange.request if exchange is not None else Head(call.method, call.target)
    response = exchange.response if exchange is not None else None
    timings = _timings(call)
    address, _, port = (row["server"] or "").rpartition(":")
    entry = {
        "startedDateTime": rfc3339(call.ts),
        "time": sum(value for value in timings.values() if value >= 0),
        "request": _request(call, row, request, exchange.request_body if exchange is not None else Body(), redactor),
        "response": _response(
            call, response or Head(), exchange.response_body if exchange is not None else Body(), redactor
        ),
        "cache": {},
        "timings": timings,
        "connection": str(row["connection_id"] or port),
        **{f"_{name}": row[name] for name in _OWN},
    }
    if address:
        entry["serverIPAddress"] = address.strip("[]")
    if not call.complete:
        entry["comment"] = "not seen to its end"
    return entry


_OWN = ("id", "service", "operation", "image_id", "request_id", "parent_id", "source", "certainty", "complete",
        "first_frame", "last_frame")  # fmt: skip
"""Columns of `api_calls` that HAR has no field for."""


def _timings(call: ApiCall) -> dict[str, float]:
    """Phases in ms; the sum of those that are known is the time that the call took, as far as it was seen."""
    sent, answered = call.request_end_ts, call.response_ts
    end = call.ts + call.dur if call.dur is not None else None
    if sent is not None and answered is not None:
        sent = min(sent, answered)  # a server may answer before it has the whole body

    def phase(begin: int | None, until: int | None) -> float:
        return max(0, until - begin) / 1e6 if begin is not None and until is not None else -1

    return {
        "blocked": -1,
        "dns": -1,
        "connect": -1,
        "ssl": -1,
        "send": max(0, phase(call.ts, sent if sent is not None else answered)),
        "wait": max(0, phase(sent, answered)),
        "receive": max(0, phase(answered, end)),
    }


def _request(call: ApiCall, row: Row, head: Head, body: Body, redactor: Redactor) -> Row:
    target = redactor.text(call.target)
    host = redactor.text(head.get("host")) or row["server"] or "unknown"
    scheme = "https" if call.tls else "http"
    path, _, query = target.partition("?")
    request: Row = {
        "method": call.method,
        "url": target
        if "://" in target[:8]
        else f"{scheme}://{quote(host, safe='[]:')}{quote(path, safe=_URL_SAFE)}"
        + (f"?{quote(query, safe=_URL_SAFE)}" if query else ""),
        "httpVersion": f"HTTP/{head.version}",
        "cookies": [],
        "headers": _headers(head, redactor),
        "queryString": [_pair(part) for part in query.split("&") if part],
        "headersSize": -1,
        "bodySize": call.request_body_bytes if call.request_body_bytes is not None else -1,
    }
    if body.byte_count:
        request["postData"] = {"mimeType": head.get("content-type"), "params": [], **_content(body, redactor)}
    return request


def _pair(part: str) -> Row:
    name, _, value = part.partition("=")
    return {"name": unquote_plus(name), "value": unquote_plus(value)}


def _response(call: ApiCall, head: Head, body: Body, redactor: Redactor) -> Row:
    """The answer; status 0 where there was none, as browsers have it."""
    content: Row = {"size": body.byte_count, "mimeType": head.get("content-type")}
    if body.byte_count:
        content |= _content(body, redactor)
    return {
        "status": call.status_code or 0,
        "statusText": redactor.text(head.reason),
        "httpVersion": f"HTTP/{head.version}",
        "cookies": [],
        "headers": _headers(head, redactor),
        "content": content,
        "redirectURL": redactor.header("location", head.get("location")),
        "headersSize": -1,
        "bodySize": call.response_body_bytes if call.response_body_bytes is not None else -1,
    }


def _headers(head: Head, redactor: Redactor) -> list[Row]:
    return [{"name": name, "value": redactor.header(name, value)} for name, value in head.headers]


def _content(body: Body, redactor: Redactor) -> Row:
    """A body that may be shown, as a whole: half of it could end within a secret that nobody would recognise then."""
    content = body.content
    if content is None or body.content_truncated or body.missing or len(content) > _LONGEST_BODY:
        return {"text": "", "comment": f"{body.byte_count} bytes, left out"}
    if content.lstrip()[:1] not in (b"{", b"["):
        return {"text": "", "comment": f"{body.byte_count} bytes that are no JSON, left out"}
    return {"text": redactor.text(content.decode("utf-8", "replace"))}
