"""Sanitises a capture in three readings: learn, sweep, write.

The first decodes every connection of interest, learns secrets and plans what may stay (`learn`); the second looks for
the secrets everywhere else, and for packets that carry the same bytes (`sweep`); the third writes the packets by the
plans (`rewrite`). Every reading indexes and reassembles alike, so a connection, a direction and an offset mean the
same in each. Memory follows connections and secrets, and a few bytes per packet.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from glancetrace.capture.blocks import PacketBlock
from glancetrace.capture.index import PacketIndex
from glancetrace.capture.inputs import CaptureReader, open_captures
from glancetrace.capture.segments import SegmentBlock
from glancetrace.decode import Options, read_secrets
from glancetrace.edit.extract import check_repeatable
from glancetrace.edit.sanitize.container import CaptureWriter
from glancetrace.edit.sanitize.decrypt import Decrypter, PlainWriter
from glancetrace.edit.sanitize.known import KnownSecrets
from glancetrace.edit.sanitize.learn import KeptRuns, Learner
from glancetrace.edit.sanitize.offsets import Offsets, OpeningReassembler, Sequences
from glancetrace.edit.sanitize.plan import ConnectionPlan, Tally
from glancetrace.edit.sanitize.pseudonyms import Pseudonyms
from glancetrace.edit.sanitize.rewrite import Rewriter
from glancetrace.edit.sanitize.sweep import CopyFinder, Sweeper
from glancetrace.http.hashing import HashPool
from glancetrace.issues import IssueLog
from glancetrace.net.grouping import FlowKey
from glancetrace.net.verdict import ConsumerFactory
from glancetrace.streams import Stage
from glancetrace.tls.secrets import SecretStore

__all__ = ["Sanitised", "decrypt", "sanitize"]

KEPT_BYTES = 192 << 20

_NANOSECOND_MAGICS = (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d")


@dataclass(slots=True)
class Sanitised:
    """What was done. `known` holds the secrets, for `verify`; they never leave it."""

    path: str
    packets: int
    connections: dict[str, int]
    tally: Tally
    known: KnownSecrets = field(repr=False)
    tls_secrets: int = 0


class _Reading:
    """One reading of the captures."""

    def __init__(self, paths: list[str], issues: IssueLog, options: Options, stage: Stage, part: int) -> None:
        self.reader: CaptureReader = open_captures(paths, issues, block_size=options.block_size)
        self._issues = issues
        self._options = options
        self._stage = stage
        if options.progress is not None:
            progress = options.progress
            self.reader.progress = lambda done, total: progress(
                done + part * (total or 0), None if total is None else 3 * total
            )

    def blocks(self) -> Iterator[tuple[PacketBlock, SegmentBlock]]:
        """Blocks of packets with their segments."""
        index = PacketIndex(self._issues)
        for block in self.reader:
            yield block, index.index(block)
        index.finish()

    def reassembler(self, consumer: ConsumerFactory, opened: dict[FlowKey, list[int]]) -> OpeningReassembler:
        """What puts the segments together."""
        reassembler = OpeningReassembler(
            consumer, IssueLog(), server_ports=frozenset(self._options.ports), judge=self._stage.judge
        )
        reassembler.opened = opened
        return reassembler


def sanitize(
    paths: list[str],
    output: str,
    key: bytes,
    options: Options | None = None,
    issues: IssueLog | None = None,
    *,
    keep_other: bool = False,
    kept_bytes: int = KEPT_BYTES,
) -> Sanitised:
    """Write captures without their secrets to one file.

    Args:
        paths: files and patterns; compressed ones too.
        output: pcapng if its name ends so or an input is pcapng, else pcap.
        key: the key of the pseudonyms.
        options: ports, block size and progress.
        issues: where damage of the input is counted.
        keep_other: leave packets as they are that nobody decodes.
        kept_bytes: memory for streams, so that those of a small capture need not be read a second time.

    Raises:
        UsageError: standard input, or the output is an input. InputError: an input cannot be read.
        GlancetraceError: the output cannot be written.
    """
    check_repeatable(paths)
    options = options or Options()
    issues = issues if issues is not None else IssueLog()
    tally = Tally()
    known = KnownSecrets(Pseudonyms(key), tally)
    with _stage(options) as stage:
        reading = _Reading(paths, issues, options, stage, 0)
        kept = KeptRuns(kept_bytes)
        plans, opened = _learn(reading, stage, known, kept)
        second = _Reading(paths, IssueLog(), options, stage, 1)
        _sweep(second, plans, opened, known, kept)
        del kept
        third = _Reading(paths, IssueLog(), options, stage, 2)
        _write(third, reading.reader, output, plans, opened, tally, keep_other=keep_other)
    counts: dict[str, int] = {}
    for plan in plans:
        name = plan.protocol if plan.trusted else "not-trusted"
        counts[name] = counts.get(name, 0) + 1
    return Sanitised(
        output, reading.reader.packets, dict(sorted(counts.items())), tally, known, len(reading.reader.secrets)
    )


def decrypt(paths: list[str], output: str, options: Options) -> int:
    """Write captures with the TLS connections in plain that the secrets of the options decrypt; their number.

    Everything is in the output, passwords and tokens too: it is what `sanitize` reads.

    Raises:
        UsageError: standard input. InputError: an input or a key log cannot be read.
        GlancetraceError: the output cannot be written.
    """
    check_repeatable(paths)
    with HashPool() as pool:
        reader = open_captures(paths, IssueLog(), block_size=options.block_size)
        stage = Stage(options.ports, (), IssueLog(), pool, read_secrets(reader, options, IssueLog()))
        decrypter = Decrypter(stage)
        opened: dict[FlowKey, list[int]] = {}
        sequences = Sequences()
        reading = _Reading(paths, IssueLog(), options, stage, 0)
        reassembler = reading.reassembler(decrypter.consumer, opened)
        for _, segments in reading.blocks():
            sequences.add(segments)
            reassembler.push(segments)
        reassembler.finish()
        sequences.finish()
        for collector in decrypter.collectors:
            for stream in collector.plan.streams:
                collector.sound &= sequences.anchor(stream)
        plans = [collector.plan for collector in decrypter.collectors]
        plain = PlainWriter(decrypter.collectors, Offsets(plans, opened))
        second = _Reading(paths, IssueLog(), options, stage, 1)
        inputs = [file.name for file in reader.files]
        with CaptureWriter(output, inputs, reading.reader.link_types, pcapng=True, nanoseconds=True) as writer:
            for block, segments in second.blocks():
                written = plain.write(block, segments)
                writer.write(written, np.frombuffer(written.data, np.uint8), written.cap_len)
    return plain.connections


@contextmanager
def _stage(options: Options) -> Iterator[Stage]:
    with HashPool() as pool:
        yield Stage(options.ports, (), IssueLog(), pool, SecretStore(IssueLog(), [], None))


def _learn(
    reading: _Reading, stage: Stage, known: KnownSecrets, kept: KeptRuns
) -> tuple[list[ConnectionPlan], dict[FlowKey, list[int]]]:
    learner = Learner(stage, known, kept)
    opened: dict[FlowKey, list[int]] = {}
    sequences = Sequences()
    reassembler = reading.reassembler(learner.consumer, opened)
    for _, segments in reading.blocks():
        sequences.add(segments)
        kept.add_segments(segments)
        reassembler.push(segments)
    reassembler.finish()
    sequences.finish()
    for plan in learner.plans:
        for stream in plan.streams:
            plan.trusted &= sequences.anchor(stream)
            stream.settle()
    return learner.plans, opened


def _sweep(
    reading: _Reading,
    plans: list[ConnectionPlan],
    opened: dict[FlowKey, list[int]],
    known: KnownSecrets,
    kept: KeptRuns,
) -> None:
    sweeper = Sweeper(plans, known)
    copies = CopyFinder(Offsets(plans, opened))
    if not kept.overflown:
        sweeper.search(kept)
        for segments in kept.segments:
            copies.take(segments)
    else:
        reassembler = reading.reassembler(sweeper.consumer, {})
        for _, segments in reading.blocks():
            copies.take(segments)
            reassembler.push(segments)
        reassembler.finish()
    copies.finish(plans)
    for plan in plans:
        for stream in plan.streams:
            stream.settle()


def _write(
    reading: _Reading,
    first: CaptureReader,
    output: str,
    plans: list[ConnectionPlan],
    opened: dict[FlowKey, list[int]],
    tally: Tally,
    *,
    keep_other: bool,
) -> None:
    rewriter = Rewriter(Offsets(plans, opened), tally, keep_other=keep_other)
    formats = {file.format for file in first.files}
    pcapng = output.endswith(".pcapng") or formats != {"pcap"} or len(first.link_types) > 1
    nanoseconds = any(one.preamble[:4] in _NANOSECOND_MAGICS for one in first.readers)
    inputs = [file.name for file in first.files]
    with CaptureWriter(output, inputs, first.link_types, pcapng=pcapng, nanoseconds=nanoseconds) as writer:
        for block, segments in reading.blocks():
            buffer, cap_len = rewriter.rewrite(block, segments)
            writer.write(block, buffer, cap_len)
