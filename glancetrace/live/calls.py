"""Which API calls are worth a line: uploads, what was refused or failed, what was slow, what broke off.

Slow is what the client waited for after its request was sent, so that a large upload is not slow for being large.
"""

from __future__ import annotations

from typing import Any

from glancetrace.glance.bodies import is_image_data
from glancetrace.glance.call import ApiCall
from glancetrace.glance.identifier import is_image_id
from glancetrace.http.exchange import HttpExchange
from glancetrace.live.images import Images
from glancetrace.live.notice import Notice

__all__ = ["end_of", "notice_of", "waited"]

_TOLD = frozenset({"image-upload", "image-stage", "image-import"})
_BROKEN_OFF = {"reset": "was reset", "closed": "was closed"}


def waited(call: ApiCall) -> int | None:
    """ns from the end of the request to the first byte of the response; None where one was not seen."""
    if call.request_end_ts is None or call.response_ts is None:
        return None
    return max(0, call.response_ts - call.request_end_ts)


def end_of(call: ApiCall) -> int:
    """When it was over, ns: the last byte of the response, else the end of its connection or of what was seen."""
    exchange = call.exchange
    if call.dur is not None:
        return call.ts + call.dur
    ends = [call.ts, call.request_end_ts, call.response_ts, exchange.end_ts if exchange is not None else None]
    return max(ts for ts in ends if ts is not None)


def notice_of(call: ApiCall, images: Images, slower_than: int) -> Notice | None:
    """The line about a call, None if it is not worth one; `slower_than`: ns that count as slow."""
    exchange = call.exchange
    broken = _broken_off(call, exchange) if exchange is not None else None
    name = call.image_name or images.name_of(call.image_id)
    frames = tuple(sorted({call.first_frame, call.last_frame}))
    if broken is not None:
        rule, message = broken
        return Notice("finding", end_of(call), rule, message, call.image_id, name, frames, _columns(call))
    rule_or_none = _rule(call, slower_than)
    if call.status_code is None or (rule_or_none is None and call.operation not in _TOLD):
        return None
    return Notice("call", end_of(call), rule_or_none, None, call.image_id, name, frames, _columns(call))


def _rule(call: ApiCall, slower_than: int) -> str | None:
    status = call.status_code or 0
    if status >= 500:
        return "server-error"
    if status >= 400:
        asked = call.path_ids.get("image_id", "")
        by_name = status == 404 and call.operation == "image-show" and asked and not is_image_id(asked)
        return "lookup-not-found" if by_name else "client-error"
    return "call-slow" if (waited(call) or 0) > slower_than else None


def _broken_off(call: ApiCall, exchange: HttpExchange) -> tuple[str, str] | None:
    """The rule and what to say of a call whose connection ended too early; not where the capture is what ended."""
    how = _BROKEN_OFF.get(exchange.end)
    if how is None:
        return None
    is_upload = is_image_data(exchange.request, None)
    body = exchange.request_body if is_upload else exchange.response_body
    is_download = call.operation == "image-download" and call.status_code in (200, 206)
    if (is_upload or is_download) and not body.complete and not body.missing and (call.status_code or 0) < 400:
        announced = f" of {body.expected:,}" if body.expected is not None else ""
        rule = "upload-aborted" if is_upload else "download-aborted"
        return rule, f"{call.operation}: the connection {how} after {body.byte_count:,}{announced} bytes"
    if call.status_code is None:
        return "response-missing", f"{call.service} gave no response to {call.operation}: the connection {how}"
    return None


def _columns(call: ApiCall) -> dict[str, Any]:
    return {
        "service": call.service,
        "operation": call.operation,
        "method": call.method,
        "target": call.target,
        "status_code": call.status_code,
        "request_id": call.request_id,
        "dur": call.dur,
        "waited": waited(call),
        "request_body_bytes": call.request_body_bytes,
        "response_body_bytes": call.response_body_bytes,
    }
