"""The first reading as a whole, by one process or by several, each with its share of the connections.

All of them read all packets and take their connections out of them, as `analyze` does. A secret of one connection may
stand in another, so a helping process tells what it has learned, is told what all have learned, and only then tells
what is to become of its connections; afterwards it looks for the secrets in them while the first one writes
(`sweeping`).
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from glancetrace.decode_shares import shares_of
from glancetrace.edit.sanitize.copies import Copies
from glancetrace.edit.sanitize.known import DEFERRED_LIMIT, KnownSecrets
from glancetrace.edit.sanitize.learn import KeptRuns, Learner
from glancetrace.edit.sanitize.offsets import Sequences
from glancetrace.edit.sanitize.plan import ConnectionPlan
from glancetrace.edit.sanitize.reading import Reading
from glancetrace.edit.sanitize.sweep import Finding, Sweeper, sweep
from glancetrace.forking import Channel, Child, fork
from glancetrace.issues import IssueLog
from glancetrace.net.grouping import FlowKey
from glancetrace.net.share import Share
from glancetrace.options import Options
from glancetrace.streams import Stage

__all__ = ["Learned", "Source", "learn", "learn_shares", "send_findings", "settle"]


@dataclass(frozen=True, slots=True)
class Source:
    """What is read, and how. `beside`: another process sweeps while this one writes."""

    paths: list[str]
    options: Options
    stage: Stage
    kept_bytes: int
    beside: bool

    @property
    def parts(self) -> int:
        """Readings that this process does, one after the other."""
        return 2 if self.beside else 3

    def reading(self, part: int, issues: IssueLog | None = None, share: Share | None = None) -> Reading:
        """Read it once more, the part `part` of all; issues are counted where that is asked for."""
        issues = IssueLog() if issues is None else issues
        return Reading(self.paths, issues, self.options, self.stage, (part, self.parts), share)

    def silent(self) -> Source:
        """The same without progress."""
        return replace(self, options=replace(self.options, progress=None))

    def shares(self) -> Sequence[Share]:
        """How the connections are shared out; none where one process does it all."""
        return shares_of(self.paths, self.options, deals=False)


@dataclass(slots=True)
class Learned:
    """What a reading has told of its connections.

    Attributes:
        opened: first frames of the connections between two endpoints, ascending.
        kept: what need not be read again. share: whose connections these are; None: all of them.
        sweeper: looks for secrets in them, once all are known. child: the process that sweeps already.
    """

    plans: list[ConnectionPlan]
    opened: dict[FlowKey, list[int]]
    kept: KeptRuns
    share: Share | None
    sweeper: Sweeper | None = None
    child: Child | None = None

    def sweep(self, source: Source) -> Iterable[list[Finding]]:
        """Look for the secrets, block by block."""
        assert self.sweeper is not None
        return sweep(self.sweeper, self.kept, lambda: source.reading(1, share=self.share))

    def close(self) -> None:
        """Let the process go."""
        if self.child is not None:
            self.child.close()


def learn(reading: Reading, source: Source, known: KnownSecrets, share: Share | None) -> Learned:
    """Decode the connections of a share, or all, learn their secrets and plan what may stay."""
    kept = KeptRuns(source.kept_bytes)
    learner = Learner(source.stage, known, kept)
    opened: dict[FlowKey, list[int]] = {}
    sequences = Sequences()
    copies = Copies(opened)
    reassembler = reading.reassembler(learner.consumer, opened)
    reassembler.copies = copies
    for _, segments in reading.blocks():
        sequences.add(segments)
        reassembler.push(segments)
        kept.end_block()
    reassembler.finish()
    sequences.finish()
    for plan in learner.plans:
        for stream in plan.streams:
            plan.trusted &= sequences.anchor(stream)
            stream.settle()
    copies.finish(learner.plans)
    return Learned(learner.plans, opened, kept, share)


def settle(plans: Sequence[ConnectionPlan], known: KnownSecrets) -> Sweeper:
    """All secrets are known: finish what waited for that; what looks for them in the streams of the plans."""
    sweeper = Sweeper(plans, known)
    for finish in known.deferred:
        finish(sweeper.find)
    known.deferred.clear()
    for plan in plans:
        for stream in plan.streams:
            stream.settle()
    return sweeper


def learn_shares(
    source: Source, reading: Reading, known: KnownSecrets, shares: Sequence[Share]
) -> list[Learned] | None:
    """Learn with a process per share, this one being the first; None where they do not come to one result."""
    source = replace(source, kept_bytes=source.kept_bytes // len(shares))
    children: list[Child] = []
    try:
        for share in shares[1:]:
            children.append(fork(_Helper(source.silent(), known, share).work))
        first = learn(reading, source, known, shares[0])
        learned = _join(first, reading.reader.packets, known, shares, children)
        if learned is not None:
            children = []
        return learned
    except OSError:  # no process to be had, or one has ended
        return None
    finally:
        for child in children:
            child.close()


def _join(
    first: Learned, packets: int, known: KnownSecrets, shares: Sequence[Share], children: Sequence[Child]
) -> list[Learned] | None:
    """What all have learned; each hears of the secrets of the others."""
    waiting = known.deferred_bytes
    for child in children:
        data = child.receive()
        if data is None:
            return None
        their_packets, told = pickle.loads(data)
        waiting += known.join(told)
        if their_packets != packets:  # the file is still growing
            return None
    if waiting > DEFERRED_LIMIT:  # one process would have finished some of it without the secrets
        return None
    everything = pickle.dumps(known.told())
    for child in children:
        child.send(everything)
    first.sweeper = settle(first.plans, known)
    learned = [first]
    for share, child in zip(shares[1:], children, strict=True):
        data = child.receive()
        if data is None:
            return None
        plans, opened, tally = pickle.loads(data)
        known.tally.join(tally)
        kept = KeptRuns(0)
        kept.overflown = True
        learned.append(Learned(plans, opened, kept, share, Sweeper(plans, known), child))
    return learned


@dataclass(frozen=True, slots=True)
class _Helper:
    """What another process does; it has a copy of everything."""

    source: Source
    known: KnownSecrets
    share: Share

    def work(self, channel: Channel) -> None:
        """Learn, tell, be told, tell the plans, and sweep."""
        reading = self.source.reading(0, share=self.share)
        learned = learn(reading, self.source, self.known, self.share)
        channel.send(pickle.dumps((reading.reader.packets, self.known.told())))
        everything = channel.receive()
        if everything is not None:
            self.known.join(pickle.loads(everything))
            learned.sweeper = settle(learned.plans, self.known)
            channel.send(pickle.dumps((learned.plans, learned.opened, self.known.tally)))
            send_findings(channel, learned.sweep(self.source))


def send_findings(channel: Channel, swept: Iterable[list[Finding]]) -> None:
    """Tell the first process what a sweep finds, block by block, and when it has ended."""
    for findings in swept:
        channel.send(pickle.dumps(findings))
    channel.send(b"")
