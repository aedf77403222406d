"""How long a message body is (RFC 9112, section 6.3), as a passive reader sees it.

Where the RFC tells a recipient to refuse a message, a bystander can only say that the end of the body is not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from glancetrace.http.exchange import Head

__all__ = ["Framing", "FramingKind", "request_framing", "response_framing"]


class FramingKind(Enum):
    """What ends a body."""

    NONE = "there is no body"
    LENGTH = "Content-Length bytes have passed"
    CHUNKED = "the last chunk and its trailers"
    CLOSE = "the end of the connection"
    TUNNEL = "no HTTP follows on this connection"
    INVALID = "not known: the head contradicts itself"


@dataclass(frozen=True, slots=True)
class Framing:
    """`length`: announced bytes where `kind` is LENGTH."""

    kind: FramingKind
    length: int = 0


_NONE = Framing(FramingKind.NONE)
_CHUNKED = Framing(FramingKind.CHUNKED)
_CLOSE = Framing(FramingKind.CLOSE)
_TUNNEL = Framing(FramingKind.TUNNEL)
_INVALID = Framing(FramingKind.INVALID)
_LONGEST_NUMBER = 18


def _announced(head: Head) -> tuple[str, list[str]]:
    """The last transfer coding (empty when there is none) and all values of Content-Length."""
    coding = ""
    lengths: list[str] = []
    for name, value in head.headers:
        if name == "content-length":
            lengths += [number.strip(" \t") for number in value.split(",")]
        elif name == "transfer-encoding" and value:
            coding = value.rsplit(",", 1)[-1].strip(" \t").lower()
    return coding, lengths


def _length_framing(lengths: list[str]) -> Framing:
    number = lengths[0]
    if (
        not (number.isascii() and number.isdigit())
        or len(number) > _LONGEST_NUMBER
        or lengths.count(number) != len(lengths)
    ):
        return _INVALID
    return Framing(FramingKind.LENGTH, int(number))


def request_framing(head: Head) -> Framing:
    """Framing of a request's body: without any announcement there is none."""
    coding, lengths = _announced(head)
    if coding:
        return _CHUNKED if coding == "chunked" else _INVALID
    return _length_framing(lengths) if lengths else _NONE


def response_framing(head: Head, method: str) -> Framing:
    """Framing of the body of a response to a request with `method` (empty when the request was not seen)."""
    code = head.status_code
    if code == 101 or (method == "CONNECT" and 200 <= code < 300):
        return _TUNNEL
    if code < 200 or code in (204, 304) or method == "HEAD":
        return _NONE
    coding, lengths = _announced(head)
    if coding:
        return _CHUNKED if coding == "chunked" else _CLOSE
    return _length_framing(lengths) if lengths else _CLOSE
