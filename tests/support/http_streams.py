"""HTTP connections written down as segments, and what the decoder makes of them however they are cut into runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from glancetrace.http.decoder import HttpDecoder
from glancetrace.http.exchange import Body, BodyHasher, BodyPlan, BodyPolicy, Head, HttpExchange
from glancetrace.issues import IssueLog
from glancetrace.net.run import FROM_CLIENT, FROM_SERVER, Connection, Run

__all__ = [
    "C",
    "Decoded",
    "S",
    "Segment",
    "cut_at",
    "decode",
    "digest_of",
    "keep_and_hash",
    "merged",
    "plain",
    "single_bytes",
    "without",
]

Segment = tuple[int, bytes]
"""Direction and payload. Segment number n (from 0) has frame n + 1 and was captured at n microseconds."""

Cut = Callable[[Sequence[Segment]], list[Run]]


def C(data: bytes | str) -> Segment:  # noqa: N802 - a script of segments reads like a dialogue
    """The client says."""
    return FROM_CLIENT, data.encode("latin-1") if isinstance(data, str) else data


def S(data: bytes | str) -> Segment:  # noqa: N802
    """The server says."""
    return FROM_SERVER, data.encode("latin-1") if isinstance(data, str) else data


class _Sha256:
    """Hashes inline."""

    def __init__(self) -> None:
        self.unbroken = True
        self._state = hashlib.sha256()

    def update(self, data: bytes) -> None:
        self._state.update(data)

    def flush(self) -> None:
        pass

    def hexdigests(self) -> dict[str, str]:
        return {"sha256": self._state.hexdigest()}


def digest_of(data: bytes) -> dict[str, str]:
    """What `keep_and_hash` makes of a body."""
    return {"sha256": hashlib.sha256(data).hexdigest()}


def keep_and_hash(keep: int = 4096) -> BodyPolicy:
    """A policy that keeps the first bytes of every body and hashes it."""

    def policy(request: Head, response: Head | None) -> BodyPlan:
        return BodyPlan(keep, _new_hasher)

    return policy


def _new_hasher() -> BodyHasher:
    return _Sha256()


@dataclass
class Decoded:
    """Rows and issues of one connection; `skipped` bytes by direction."""

    rows: list[HttpExchange] = field(default_factory=list)
    issues: dict[str, int] = field(default_factory=dict)
    skipped: tuple[int, int] = (0, 0)


def merged(segments: Sequence[Segment]) -> list[Run]:
    """As few runs as possible: one per turn of the conversation."""
    runs: list[Run] = []
    for number, (direction, data) in enumerate(segments):
        if runs and runs[-1].direction == direction:
            run = runs[-1]
            run.offsets.append(len(run.data))
            run.data += data
            run.ts.append(number * 1000)
            run.frames.append(number + 1)
        else:
            runs.append(Run(direction, data, [0], [number * 1000], [number + 1]))
    return runs


def single_bytes(segments: Sequence[Segment]) -> list[Run]:
    """One run per byte."""
    return [
        Run(direction, data[at : at + 1], [0], [number * 1000], [number + 1])
        for number, (direction, data) in enumerate(segments)
        for at in range(len(data))
    ]


def cut_at(places: Iterable[int]) -> Cut:
    """Runs that end after so many bytes (over both directions), at turns, and nowhere else."""
    wanted = sorted(set(places))

    def cut(segments: Sequence[Segment]) -> list[Run]:
        runs: list[Run] = []
        passed = 0
        for run in merged(segments):
            stops = [place - passed for place in wanted if passed < place < passed + len(run.data)]
            edges = [0, *stops, len(run.data)]
            runs += [part(run, begin, end) for begin, end in pairwise(edges)]
            passed += len(run.data)
        return runs

    return cut


def part(run: Run, begin: int, end: int) -> Run:
    """Some of a run's bytes as a run."""
    inside = [n for n, offset in enumerate(run.offsets) if begin < offset < end]
    ts, frame = run.at(begin)
    return Run(
        run.direction,
        run.data[begin:end],
        [0, *(run.offsets[n] - begin for n in inside)],
        [ts, *(run.ts[n] for n in inside)],
        [frame, *(run.frames[n] for n in inside)],
    )


def without(segments: Sequence[Segment], lost: set[int]) -> list[Run]:
    """One run per segment, some of them lost: the next of that direction says how many bytes are missing."""
    runs: list[Run] = []
    missing = [0, 0]
    for number, (direction, data) in enumerate(segments):
        if number in lost:
            missing[direction] += len(data)
            continue
        runs.append(Run(direction, data, [0], [number * 1000], [number + 1], missing[direction]))
        missing[direction] = 0
    for direction in (FROM_CLIENT, FROM_SERVER):
        if missing[direction]:
            runs.append(Run(direction, b"", [], [], [], missing[direction]))
    return runs


def decode(
    runs: Iterable[Run], *, close: str = "end", policy: BodyPolicy | None = None, joined: bool = False
) -> Decoded:
    """Decode runs of one connection; `joined`: without its beginning."""
    decoded = Decoded()
    log = IssueLog()
    connection = Connection(1, ("192.0.2.1", 40000), ("192.0.2.2", 9292), joined, 0, 1)
    decoder = HttpDecoder(connection, decoded.rows.append, log, policy or keep_and_hash())
    for run in runs:
        decoder.feed(run)
    decoder.close(10**9, 10**6, close)
    decoded.issues = {issue.kind: issue.count for issue in log.rows()}
    decoded.skipped = decoder.bytes_skipped
    return decoded


def plain(row: HttpExchange) -> dict[str, Any]:
    """A row that can be compared: digests in place of hashers."""
    hashers = [row.request_body.hasher, row.response_body.hasher]
    for body in (row.request_body, row.response_body):
        _without_hasher(body)
    values = asdict(row)
    row.request_body.hasher, row.response_body.hasher = hashers
    values["digests"] = [hasher and hasher.hexdigests() for hasher in hashers]
    return values


def _without_hasher(body: Body) -> None:
    body.hasher = None
