"""Rows that the HTTP decoder writes: one `HttpExchange` per request, with its response if there is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Body", "BodyHasher", "BodyPlan", "BodyPolicy", "Head", "HttpExchange"]

Headers = tuple[tuple[str, str], ...]


class BodyHasher(Protocol):
    """Takes a body as it passes; digests are asked for once the capture is read.

    `unbroken`: no CR, LF or NUL byte was in it so far; those are what `curl -d @FILE` strips.
    """

    unbroken: bool

    def update(self, data: bytes) -> None:
        """Add the next bytes."""

    def flush(self) -> None:
        """Begin to hash what was collected: digests will be asked for."""

    def hexdigests(self) -> dict[str, str]:
        """Hash name -> lower-case hex digest of all bytes so far."""


@dataclass(frozen=True, slots=True)
class BodyPlan:
    """What to do with a body: keep its first `keep` bytes (after content decoding), and hash it as it passes."""

    keep: int = 0
    hasher: Callable[[], BodyHasher] | None = None


@dataclass(slots=True)
class Head:
    """Start line and headers of a message. `method` and `target` are empty in a response, `status_code` 0 in a request.

    Header names are lower case, values stripped, in wire order; text is latin-1 with control characters kept.
    """

    method: str = ""
    target: str = ""
    version: str = "1.1"
    status_code: int = 0
    reason: str = ""
    headers: Headers = ()

    def get(self, name: str, default: str = "") -> str:
        """Value of the first header `name` (lower case)."""
        for key, value in self.headers:
            if key == name:
                return value
        return default


BodyPolicy = Callable[[Head, Head | None], BodyPlan]
"""(request head, response head or None for the request's own body) -> what to do with that body."""


@dataclass(slots=True)
class Body:
    """A message body, without chunk framing.

    Attributes:
        byte_count: bytes seen (before content decoding). missing: bytes lost in the capture.
        expected: announced Content-Length; None when chunked or close-delimited.
        content: first bytes as the plan asked, content-decoded; None when nothing was asked for or it is undecodable.
        content_truncated: `content` is shorter than the body.
        hasher: None when not asked for, or when bytes are missing.
        complete: seen from its first byte to its last.
        first_ts, last_ts: ns, None without bytes.
        longest_pause: longest time between two pieces, ns.
    """

    byte_count: int = 0
    missing: int = 0
    expected: int | None = None
    content: bytes | None = None
    content_truncated: bool = False
    hasher: BodyHasher | None = None
    complete: bool = False
    first_ts: int | None = None
    last_ts: int | None = None
    longest_pause: int = 0


@dataclass(slots=True)
class HttpExchange:
    """A request and its response.

    Times are ns; `request_end_ts` and `request_frame` are those of the last byte of the request, body included;
    `response_ts` is the first byte of the final response (interim ones are in `interim`), `response_end_ts` and
    `response_frame` the last byte. What was not seen is None; `response` is None when there was none, `request` has an
    empty method when only the response was seen. `first_frame` and `last_frame` bound everything seen of the exchange.
    `complete`: both messages were seen to their end, no byte missing, and belong together; `doubtful`: a request or a
    response may be missing, so this response may be another request's. `end` says how the exchange
    ended when it is not complete: "reset", "closed", "gap", "malformed" (framing that makes no sense), "capture-end",
    else ""; `end_ts` is when its connection ended then, None while that is open.
    """

    connection_id: int
    ordinal: int
    request: Head
    ts: int
    first_frame: int
    request_body: Body = field(default_factory=Body)
    head_end_ts: int | None = None
    request_end_ts: int | None = None
    request_frame: int | None = None
    response: Head | None = None
    interim: tuple[int, ...] = ()
    response_ts: int | None = None
    response_first_frame: int | None = None
    response_body: Body = field(default_factory=Body)
    response_end_ts: int | None = None
    response_frame: int | None = None
    last_frame: int = 0
    complete: bool = False
    doubtful: bool = False
    end: str = ""
    end_ts: int | None = None
