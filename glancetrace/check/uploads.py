"""Image data on the wire: what was sent against what Glance recorded, and transfers that broke or paused.

curl's `-d @FILE` takes CR, LF and (since 8.x) NUL bytes out of the file (curl manual, "-d, --data"). The form content
type gives curl's -d and --data-binary away; with another content type it shows in the data themselves, as random bytes
without a single CR or LF: of 4 KiB of anything but text or zeros less than one in 10**13 has none.
"""

from __future__ import annotations

from collections.abc import Iterator

from glancetrace.check.evidence import Evidence, call_text, found, image_text, is_upload
from glancetrace.check.wording import byte_text, duration_text
from glancetrace.glance.call import ApiCall
from glancetrace.http.exchange import Body, HttpExchange
from glancetrace.timeline.image import ImageStory
from glancetrace.trace import Finding

__all__ = ["PAUSE", "find_aborted", "find_altered", "find_encodings", "find_pauses"]

PAUSE = 1_000_000_000
"""ns without a byte of the body from which on a pause is told."""

_MIN_RANDOM = 4096
_BROKEN_OFF = frozenset({"reset", "closed"})
_FORM = "application/x-www-form-urlencoded"


def find_altered(evidence: Evidence) -> Iterator[Finding]:
    """Uploads whose hash or size on the wire is not what Glance recorded, or not what the client announced."""
    for image in evidence.tables.images:
        calls = [c for c in evidence.uploads.get(image.id, ()) if 200 <= (c.status_code or 0) < 300]
        if not calls or any(map(_in_doubt, calls)):
            continue
        call = calls[-1]
        yield from _announced(call, image)
        if image.wire_checksum is None or not image.wire_complete:
            continue
        for algorithm, recorded in (("md5", image.checksum), (image.os_hash_algo, image.os_hash_value)):
            seen = image.wire_checksum.get(algorithm or "")
            if seen and recorded and seen.lower() != recorded.lower():
                message = f"{image_text(image)}: {algorithm} of the uploaded data is {seen}, Glance recorded {recorded}"
                yield _of_upload("upload-hash-differs", message, call, image)
        # The data may be known from an inner leg, while bytes of the outermost one, which are counted, are missing.
        counted = call.exchange is not None and call.exchange.request_body.complete
        if counted and image.size is not None and image.wire_bytes is not None and image.size != image.wire_bytes:
            message = f"{image_text(image)}: {byte_text(image.wire_bytes)} passed, Glance recorded {image.size:,}"
            yield _of_upload("upload-size-differs", message, call, image)


def _in_doubt(call: ApiCall) -> bool:
    """Its response may be that of a call which the capture lost, and so may the success be."""
    return call.exchange is not None and call.exchange.end == "gap"


def _announced(call: ApiCall, image: ImageStory) -> Iterator[Finding]:
    """v1 and newer v2 clients announce the size of the data in a header."""
    if call.exchange is None or not call.exchange.request_body.complete:
        return
    request = call.exchange.request
    announced = request.get("x-image-meta-size") or request.get("x-openstack-image-size")
    if announced.isascii() and announced.isdigit() and int(announced) != call.request_body_bytes:
        message = (
            f"{image_text(image)}: {byte_text(int(announced))} were announced, {call.request_body_bytes:,} passed in "
            f"the upload"
        )
        yield _of_upload("upload-size-differs", message, call, image)


def _of_upload(rule: str, message: str, call: ApiCall, image: ImageStory) -> Finding:
    frames = [call.request_frame, call.response_frame]
    return found(rule, message, call.response_ts or call.ts, image_id=image.id, call_id=call.id, frames=frames)


def _uploads(evidence: Evidence) -> Iterator[tuple[ApiCall, HttpExchange]]:
    for call in evidence.tables.calls:
        if call.service == "glance" and call.exchange is not None and is_upload(call):
            yield call, call.exchange


def find_encodings(evidence: Evidence) -> Iterator[Finding]:
    """Uploads of something else than the file: base64 text, or the file without its line breaks."""
    for call, exchange in _uploads(evidence):
        request = exchange.request
        image = evidence.images.get(call.image_id or "")
        name = image_text(image) if image else call_text(call)
        taken = "" if (call.status_code or 0) < 300 else f" (refused with {call.status_code})"
        sent = byte_text(call.request_body_bytes or 0)
        if request.get("content-transfer-encoding").lower() == "base64":
            message = f"{name}: {sent} of base64 text were sent, and Glance stores them as they are{taken}"
            yield _sent_as("upload-base64", message, call)
        if request.get("content-type").lower().startswith(_FORM):
            message = f"{name}: {sent} were sent as a form, as curl -d @FILE does, which strips line breaks{taken}"
            yield _sent_as("upload-newlines-stripped", message, call)
        elif _lacks_line_breaks(call, exchange):
            message = (
                f"{name}: {sent} without a single line break were sent by {request.get('user-agent')}, as "
                f"curl -d @FILE does, which strips them{taken}"
            )
            yield _sent_as("upload-newlines-stripped", message, call)


def _sent_as(rule: str, message: str, call: ApiCall) -> Finding:
    frames = [call.first_frame, call.request_frame]
    return found(rule, message, call.ts, image_id=call.image_id, call_id=call.id, frames=frames)


def _lacks_line_breaks(call: ApiCall, exchange: HttpExchange) -> bool:
    """curl sent the data, and nothing that `-d` takes out is in them."""
    if not exchange.request.get("user-agent").startswith("curl/") or (call.request_body_bytes or 0) < _MIN_RANDOM:
        return False
    return call.upload_complete and call.upload_hasher is not None and call.upload_hasher.unbroken


def find_aborted(evidence: Evidence) -> Iterator[Finding]:
    """Uploads and downloads whose connection ended before the data did."""
    for call in evidence.tables.calls:
        exchange = call.exchange
        if call.service != "glance" or exchange is None or exchange.end not in _BROKEN_OFF:
            continue
        if is_upload(call):
            body, rule = exchange.request_body, "upload-aborted"
        elif call.operation == "image-download" and call.status_code in (200, 206):
            body, rule = exchange.response_body, "download-aborted"
        else:
            continue
        if body.complete or body.missing or (rule == "upload-aborted" and (call.status_code or 0) >= 400):
            continue
        image = evidence.images.get(call.image_id or "")
        announced = f" of {body.expected:,}" if body.expected is not None else ""
        how = "was reset" if exchange.end == "reset" else "was closed"
        yield found(
            rule,
            f"{image_text(image) if image else call_text(call)}: the connection {how} after "
            f"{byte_text(body.byte_count)}{announced}",
            body.last_ts or call.ts,
            image_id=call.image_id,
            call_id=call.id,
            frames=[call.first_frame, call.last_frame],
        )


def find_pauses(evidence: Evidence) -> Iterator[Finding]:
    """Transfers of image data that stood still for `PAUSE` or longer."""
    for call in evidence.tables.calls:
        exchange = call.exchange
        if call.service != "glance" or exchange is None:
            continue
        body: Body
        if is_upload(call):
            body, what = exchange.request_body, "upload"
        elif call.operation == "image-download":
            body, what = exchange.response_body, "download"
        else:
            continue
        if body.longest_pause < PAUSE:
            continue
        image = evidence.images.get(call.image_id or "")
        yield found(
            "transfer-paused",
            f"{image_text(image) if image else call_text(call)}: the {what} stood still for "
            f"{duration_text(body.longest_pause)}",
            body.first_ts or call.ts,
            image_id=call.image_id,
            call_id=call.id,
            frames=[call.first_frame, call.last_frame],
        )
