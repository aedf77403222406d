"""Rows of an image's story: its status changes, the time it spent in each status, and what else happened to it."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["ImageEvent", "ImageStory", "StatusInterval", "Transition"]

OBSERVED = "observed"
INFERRED = "inferred"
ASSUMED = "assumed"


@dataclass(slots=True)
class Transition:
    """A change of status. `from_status` is None for a creation.

    `ts` (ns) is the server's OK to the COMMIT, or to the statement under autocommit; for `source` "api" the first byte
    of the response that showed it. `frame` is the statement's (of the response for "api"), `commit_frame` the COMMIT's.
    `source`: "sql", "api" or "both". `certainty`: "observed", "inferred" or "assumed". `legal`: allowed by Glance's
    status table.
    """

    from_status: str | None
    to_status: str
    ts: int
    source: str
    certainty: str
    legal: bool
    statement_id: int | None
    call_id: int | None
    frame: int | None
    commit_frame: int | None


@dataclass(slots=True)
class StatusInterval:
    """Time in one status; `dur` (ns) is None for the last one, which is open."""

    status: str
    ts: int
    dur: int | None


@dataclass(slots=True)
class ImageEvent:
    """Something else that happened to an image.

    `kind`: property, tag, member, location, task, lookup, delete, lost-race, upload, download.
    `summary` says what, in a few words; `frame` proves it. `dur` (ns), `bytes` (of the data, at most) and
    `connection_id` are those of an upload that only an encrypted connection shows; its `certainty` is "inferred".
    """

    kind: str
    ts: int
    summary: str
    statement_id: int | None = None
    call_id: int | None = None
    frame: int | None = None
    dur: int | None = None
    bytes: int | None = None
    connection_id: int | None = None
    certainty: str = OBSERVED


@dataclass(slots=True)
class ImageStory:
    """One image.

    `name`, `size` (bytes), `checksum` (md5 that Glance recorded), `os_hash_algo`, `os_hash_value`: the last known
    values, None if unknown. `wire_checksum`: hash name -> hex digest of the data that passed in the upload, with
    `wire_bytes` their count and `wire_complete` whether all of them were seen; None without an upload on the wire.
    `existed_before`: no creation was seen. `first_status_certainty`: how the first status is known.
    """

    id: str
    name: str | None = None
    status: str | None = None
    size: int | None = None
    checksum: str | None = None
    os_hash_algo: str | None = None
    os_hash_value: str | None = None
    owner: str | None = None
    wire_checksum: dict[str, str] | None = None
    wire_bytes: int | None = None
    wire_complete: bool = False
    existed_before: bool = False
    first_status_certainty: str | None = None
    transitions: list[Transition] = field(default_factory=list)
    intervals: list[StatusInterval] = field(default_factory=list)
    events: list[ImageEvent] = field(default_factory=list)
    call_ids: list[int] = field(default_factory=list)
    first_ts: int = 0
    first_frame: int = 0
