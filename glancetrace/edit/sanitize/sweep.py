"""The second reading: every secret that was learned is looked for in every stream, whole and encoded.

A secret may stand where no rule expects one, before it was learned, or across packets. Searching is done on the runs of
the reassembled streams, with the end of the run before. Ciphertext is left out, and long image data, which is most of
a capture with uploads, is searched for secrets as they are and not for their encodings.

What is replaced does not depend on how the streams are cut: of secrets that lie in each other the widest counts, and
whether a name stands alone is decided when the bytes behind it are there.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from glancetrace.edit.sanitize.known import HASH, NAME, KnownSecrets
from glancetrace.edit.sanitize.learn import KeptRun, KeptRuns
from glancetrace.edit.sanitize.plan import ConnectionPlan, StreamPlan
from glancetrace.edit.sanitize.reading import Reading
from glancetrace.edit.sanitize.text_finder import CONTEXT_LEN, TextFinder, may_go_on, stands_alone
from glancetrace.net.run import Connection, Run

__all__ = ["Finding", "Sweeper", "sweep"]

_SEARCHED_LEN = 1 << 20


class Finding(NamedTuple):
    """A secret at an offset of a stream: first frame of its connection, direction, offset, the secret."""

    first_frame: int
    direction: int
    begin: int
    text: bytes


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
        tail_len = self._sweeper.finder.longest + CONTEXT_LEN
        seen = -1
        if start == self._ends[direction]:
            tail = self._tails[direction]
            start -= len(tail)
            data = tail + data
            # What begins there was decided before, when it was known what stands in front of it.
            seen = 0 if len(tail) == tail_len else -1
        else:
            self._decide(direction)
        for at, text in self._found(stream, start, data):
            if at > seen and not (self._sweeper.is_name(text) and may_go_on(data, at, text)):
                self._replace(direction, start, data, at, text)
        self._ends[direction] = start + len(data)
        self._tails[direction] = data[-tail_len:]

    def _found(self, stream: StreamPlan, start: int, data: bytes) -> list[tuple[int, bytes]]:
        """In the order of their places, the longest first."""
        sweeper = self._sweeper
        in_image = stream.is_long_image(start, start + len(data))
        finder = sweeper.plain_finder if in_image else sweeper.finder
        return sorted(
            (
                (at, text)
                for at, text in finder.find(data)
                if in_image or sweeper.is_plain(text) or not stream.is_long_image(start + at, start + at + len(text))
            ),
            key=lambda one: (one[0], -len(one[1])),
        )

    def _replace(self, direction: int, start: int, data: bytes, at: int, text: bytes) -> None:
        if self._sweeper.is_wanted(data, at, text):
            self._sweeper.replace(self._plan, direction, start + at, text)

    def _decide(self, direction: int) -> None:
        """Nothing follows what was searched last: decide what waited for it."""
        data, self._tails[direction] = self._tails[direction], b""
        start = self._ends[direction] - len(data)
        for at, text in self._found(self._plan.streams[direction], start, data):
            if self._sweeper.is_name(text) and may_go_on(data, at, text):
                self._replace(direction, start, data, at, text)

    def finish(self) -> None:
        """All was searched."""
        for direction in (0, 1):
            self._decide(direction)

    def close(self, ts: int, frame: int, how: str) -> None:
        """The connection is over."""
        self.finish()


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
        self._replaced: dict[tuple[int, int], dict[tuple[int, int], tuple[bytes, str]]] = defaultdict(dict)
        self.findings: list[Finding] = []
        self.finder = TextFinder(list(self._found))
        self.plain_finder = TextFinder([text for text in self._found if self.is_plain(text)])

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
        behind = -1
        for at, text in sorted(self.finder.find(data), key=lambda one: (one[0], -len(one[1]))):
            if at > behind and self.is_wanted(data, at, text):
                behind = at
                replacement, kind = self._found[text]
                self._known.tally.replaced[f"elsewhere-{kind}"] += 1
                yield at, replacement

    def is_wanted(self, data: bytes, at: int, text: bytes) -> bool:
        """What stands there is to be replaced; names only where they stand alone."""
        return not self.is_name(text) or stands_alone(data, at, text)

    def is_name(self, text: bytes) -> bool:
        """It counts only where it stands alone."""
        return self._found[text][1] == NAME

    def is_plain(self, text: bytes) -> bool:
        """A secret as it is, in no encoding."""
        return text.decode("latin-1") in self._known.seen

    def finish(self) -> None:
        """All runs that were kept were searched."""
        for search in self._searches.values():
            search.finish()

    def replace(self, plan: ConnectionPlan, direction: int, begin: int, text: bytes) -> None:
        """A secret stands at `begin` of a stream."""
        stream = plan.streams[direction]
        replacement, kind = self._found[text]
        place = (plan.connection.first_frame, direction)
        self._drop_within(stream, self._replaced[place], begin, begin + len(text))
        if _is_replaced(stream, begin, len(text)) or (stream.zeroed and stream.is_image(begin, begin + len(text))):
            return
        stream.replace(begin, replacement)
        stream.settle()
        kind = kind if kind in (HASH, NAME) else f"elsewhere-{kind}"
        self._replaced[place][begin, len(text)] = replacement, kind
        self._known.tally.replaced[kind] += 1
        self.findings.append(Finding(plan.connection.first_frame, direction, begin, text))

    def _drop_within(
        self, stream: StreamPlan, replaced: dict[tuple[int, int], tuple[bytes, str]], begin: int, end: int
    ) -> None:
        """What lies in a wider one and was found before that was whole is not replaced on its own."""
        for at, data in stream.edits_in(begin, end):
            place = (at, len(data))
            if begin <= at and at + len(data) <= end and len(data) < end - begin and place in replaced:
                replacement, kind = replaced[place]
                if replacement == data:
                    del replaced[place]
                    stream.edits.remove((at, data))
                    self._known.tally.replaced[kind] -= 1
                    self._known.tally.replaced += Counter()

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
        sweeper.finish()
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
