"""An API call: one request to Keystone, Glance, Swift or the registry, seen on one or several hops."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from glancetrace.http.exchange import BodyHasher, HttpExchange
from glancetrace.net.run import Endpoint

__all__ = ["ApiCall", "Hop", "LegMessages"]


@dataclass(frozen=True, slots=True)
class LegMessages:
    """What stood on the wire of one leg: its own method, target and status, frames of last bytes, what is whole.

    Frames and status are None where the message was not seen to its end, or not at all.
    """

    method: str
    target: str
    request_frame: int | None
    request_complete: bool
    status_code: int | None
    response_first_frame: int | None
    response_frame: int | None
    response_complete: bool


@dataclass(slots=True)
class Hop:
    """One leg of a call: who asked whom, and when (`ts`, `dur` ns; `dur` None without a response)."""

    client: Endpoint
    server: Endpoint
    connection_id: int
    ts: int
    dur: int | None
    first_frame: int
    last_frame: int
    window: tuple[int, int | None] = (0, None)
    """[end of the request's head (of its body where the body is JSON), first byte of the response], ns.

    Without a response it ends with the connection, None while that is open.
    """
    messages: LegMessages | None = None
    """None for a leg that only a log, or an encrypted connection, shows."""


@dataclass(slots=True, eq=False)
class ApiCall:
    """One call. The fields up to `hops` are those of the result document (see `schema`); the rest is evidence.

    `id` and `parent_id` are given once all calls are known. `token` is the secret that stands in the request and is
    used to join validations with calls; it never leaves the process. `request_json`, `response_json` are parsed bodies
    (None when there is none, or it is not JSON or not complete). A call that only a log tells of (`source` "log") has
    frames 0 unless its packets are known, and times that may be off by `uncertainty` (ns) either way; its `certainty`
    is "inferred" if its packets were found beyond doubt, else "assumed".
    """

    service: str
    method: str
    target: str
    route: str | None
    route_prefix: str
    operation: str
    status_code: int | None
    request_id: str | None
    ts: int
    first_frame: int
    last_frame: int
    client: Endpoint
    server: Endpoint
    connection_id: int
    exchange: HttpExchange | None = None
    id: int = 0
    parent_id: int | None = None
    image_id: str | None = None
    request_end_ts: int | None = None
    response_ts: int | None = None
    dur: int | None = None
    request_body_bytes: int | None = 0
    response_body_bytes: int | None = 0
    tls: bool = False
    complete: bool = False
    source: str = "capture"
    uncertainty: int = 0
    certainty: str = "observed"
    request_frame: int | None = None
    response_frame: int | None = None
    hops: list[Hop] = field(default_factory=list)
    path_ids: dict[str, str] = field(default_factory=dict)
    """Template parameter -> value, percent-decoded: {"image_id": ..., "member_id": ...}."""
    query: dict[str, str] = field(default_factory=dict)
    image_name: str | None = None
    token: str | None = None
    subject_token: str | None = None
    project_id: str | None = None
    user_id: str | None = None
    roles: tuple[str, ...] = ()
    request_json: Any = None
    response_json: Any = None
    upload_hasher: BodyHasher | None = None
    """Hashes of the image data that passed in this call, and None when there were none or not all were seen."""
    upload_complete: bool = False

    @property
    def succeeded(self) -> bool:
        """Its own response was seen for certain, and said success."""
        if self.exchange is not None and self.exchange.doubtful:
            return False
        return self.status_code is not None and 200 <= self.status_code < 300
