"""The second reading: every secret that was learned is looked for in every stream, whole and encoded.

A secret may stand where no rule expects one, before it was learned, or across packets. Searching is done on the runs of
the reassembled streams, with the end of the run before. Ciphertext is left out, and image data, which is most of a
capture with uploads, is searched for secrets as they are and not for their encodings.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from glancetrace.edit.sanitize.known import HASH, NAME, KnownSecrets
from glancetrace.edit.sanitize.learn import KeptRun, KeptRuns
from glancetrace.edit.sanitize.plan import ConnectionPlan, StreamPlan
from glancetrace.edit.sanitize.reading import Reading
from glancetrace.net.run import Connection, Run

__all__ = ["Finding", "Sweeper", "TextFinder", "stands_alone", "sweep"]

_PREFIX_LEN = 6
_MOST_PREFIXES = 64
_SEARCHED_LEN = 1 << 20


class Finding(NamedTuple):
    """A secret at an offset of a stream: first frame of its connection, direction, offset, the secret."""

    first_frame: int
    direction: int
    begin: int
    text: bytes


class TextFinder:
    """Finds any of many texts.

    Attributes:
        longest: bytes of the longest.
    """

    def __init__(self, texts: list[bytes]) -> None:
        self.longest = max(map(len, texts), default=0)
        groups: dict[bytes, list[bytes]] = defaultdict(list)
        for text in sorted(texts, key=len, reverse=True):
            groups[text[:_PREFIX_LEN]].append(text)
        # The more of them a group has in common, the faster it is looked for.
        self._by_prefix = {_common_prefix(group): group for group in groups.values()}
        self._pattern: re.Pattern[bytes] | None = None
        if len(self._by_prefix) > _MOST_PREFIXES:
            self._pattern = re.compile(b"|".join(map(re.escape, self._by_prefix)))

    def find(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Where which text stands; of several that begin at the same place the longest."""
        if self._pattern is not None:
            at = 0
            while (match := self._pattern.search(data, at)) is not None:
                at = match.start()
                yield from self._at(data, at, self._by_prefix[match[0]])
                at += 1
            return
        for prefix, texts in self._by_prefix.items():
            at = data.find(prefix)
            while at >= 0:
                yield from self._at(data, at, texts)
                at = data.find(prefix, at + 1)

    def _at(self, data: bytes, at: int, texts: list[bytes]) -> Iterator[tuple[int, bytes]]:
        for text in texts:
            if data.startswith(text, at):
                yield at, text
                return


def _common_prefix(texts: list[bytes]) -> bytes:
    first, last = min(texts), max(texts)
    same = [one == other for one, other in zip(first, last, strict=False)]
    return first[: same.index(False) if False in same else len(same)]


def stands_alone(data: bytes, at: int, name: bytes) -> bool:
    """A name stands there as a whole word, or as a value behind its length, and not as a key of JSON."""
    before, behind = data[max(at - 1, 0) : at], data[at + len(name) : at + len(name) + 3]
    if behind[:1] == b'"' and behind[1:].lstrip().startswith(b":"):
        return False
    return before == bytes([min(len(name), 255)]) or not (_in_word(before) or _in_word(behind[:1]))


def _in_word(byte: bytes) -> bool:
    return byte.isalnum() or byte == b"_"


class StreamSearch:
    """Searches the runs of one connection."""

    def __init__(self, plan: ConnectionPlan, sweeper: Sweeper) -> None:
        self._plan = plan
        self._sweeper = sweeper
        self._ends = [0, 0]
        self._tails = [b"", b""]

    def feed(self, run: Run) -> None:
        """The next run."""
        self.search(run.direction, self._ends[run.direction] + run.gap, run.data)

    def search(self, direction: int, start: int, data: bytes) -> None:
        """Bytes that stand at `start` of a stream."""
        stream = self._plan.streams[direction]
        longest = self._sweeper.finder.longest
        if start == self._ends[direction]:
            tail = self._tails[direction]
            start -= len(tail)
            data = tail + data
        in_image = stream.is_image(start, start + len(data))
        finder = self._sweeper.plain_finder if in_image else self._sweeper.finder
        # In the order of their places, however the stream is cut.
        for at, text in sorted(finder.find(data)):
            if self._sweeper.is_wanted(data, at, text):
                self._sweeper.replace(self._plan, direction, start + at, text)
        self._ends[direction] = start + len(data)
        self._tails[direction] = data[1 - longest :] if longest > 1 else b""

    def close(self, ts: int, frame: int, how: str) -> None:
        """Nothing is held."""


def _is_replaced(stream: StreamPlan, begin: int, length: int) -> bool:
    """An edit, or several that touch, replace all of the range already, or it is not kept at all."""
    at = begin
    for first, data in stream.edits_in(begin, begin + length):
        if first > at:
            return False
        at = max(at, first + len(data))
    return at >= begin + length or stream.blanks_in(begin, begin + length) == [(begin, begin + length)]


class Sweeper:
    """Looks for the secrets in the connections that have a plan; makes the consumers of a second reading.

    Attributes:
        finder: finds the secrets and their encodings. plain_finder: finds the secrets as they are, for image data.
        findings: what was replaced and not told yet.
    """

    def __init__(self, plans: Iterable[ConnectionPlan], known: KnownSecrets) -> None:
        self._plans = {plan.connection.first_frame: plan for plan in plans if plan.decoded and plan.protocol != "tls"}
        self._known = known
        self._found = known.patterns()
        self._searches: dict[int, StreamSearch] = {}
        self.findings: list[Finding] = []
        self.finder = TextFinder(list(self._found))
        self.plain_finder = TextFinder([text for text in self._found if text.decode("latin-1") in known.seen])

    def consumer(self, connection: Connection) -> StreamSearch | None:
        """What searches a connection."""
        plan = self._plans.get(connection.first_frame)
        return None if plan is None else StreamSearch(plan, self)

    def search(self, runs: Iterable[KeptRun]) -> None:
        """Search runs that were kept; those of a stream that follow on each other are searched as one."""
        pieces: dict[tuple[int, int], list[tuple[int, bytes]]] = defaultdict(list)
        for plan, direction, start, data in runs:
            pieces[plan.connection.first_frame, direction].append((start, data))
        for (first_frame, direction), found in pieces.items():
            search = self._searches.get(first_frame)
            if search is None:
                if first_frame not in self._plans:
                    continue
                search = self._searches[first_frame] = StreamSearch(self._plans[first_frame], self)
            for start, data in _joined(found):
                search.search(direction, start, data)

    def tell(self) -> list[Finding]:
        """What was replaced since this was asked."""
        findings, self.findings = self.findings, []
        return findings

    def find(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Secrets in bytes that stand in no stream as they are: where, and what they become."""
        for at, text in self.finder.find(data):
            if self.is_wanted(data, at, text):
                replacement, kind = self._found[text]
                self._known.tally.replaced[f"elsewhere-{kind}"] += 1
                yield at, replacement

    def is_wanted(self, data: bytes, at: int, text: bytes) -> bool:
        """What stands there is to be replaced; names only where they stand alone."""
        return self._found[text][1] != NAME or stands_alone(data, at, text)

    def replace(self, plan: ConnectionPlan, direction: int, begin: int, text: bytes) -> None:
        """A secret stands at `begin` of a stream."""
        stream = plan.streams[direction]
        if _is_replaced(stream, begin, len(text)) or (stream.zeroed and stream.is_image(begin, begin + len(text))):
            return
        replacement, kind = self._found[text]
        stream.replace(begin, replacement)
        stream.settle()
        self._known.tally.replaced[kind if kind in (HASH, NAME) else f"elsewhere-{kind}"] += 1
        self.findings.append(Finding(plan.connection.first_frame, direction, begin, text))

    def take(self, finding: Finding) -> StreamPlan:
        """Replace what another sweeper with the same secrets has found; the stream that it stands in."""
        plan = self._plans[finding.first_frame]
        self.replace(plan, *finding[1:])
        return plan.streams[finding.direction]


def sweep(sweeper: Sweeper, kept: KeptRuns, reading: Callable[[], Reading]) -> Iterator[list[Finding]]:
    """Search all streams: what was kept of them, or what a reading gives; after every block what was found in it.

    Once more at the end, since what waits for missing packets is searched then.
    """
    if not kept.overflown:
        begin = 0
        for end in kept.blocks:
            sweeper.search(kept.runs[begin:end])
            begin = end
            yield sweeper.tell()
        sweeper.search(kept.runs[begin:])
    else:
        again = reading()
        reassembler = again.reassembler(sweeper.consumer, {})
        for _, segments in again.blocks():
            reassembler.push(segments)
            yield sweeper.tell()
        reassembler.finish()
    yield sweeper.tell()


def _joined(runs: list[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """Runs that follow on each other as one, up to a size."""
    at, size, pieces = 0, 0, list[bytes]()
    for start, data in runs:
        if pieces and (start != at + size or size > _SEARCHED_LEN):
            yield at, b"".join(pieces)
            pieces, size = [], 0
        if not pieces:
            at = start
        pieces.append(data)
        size += len(data)
    if pieces:
        yield at, b"".join(pieces)
