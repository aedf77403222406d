"""Sanitises a capture in three readings: learn, sweep, write.

The first decodes every connection of interest, learns secrets and plans what may stay (`learn`); the second looks for
the secrets everywhere else, and for packets that carry the same bytes (`sweep`); the third writes the packets by the
plans (`rewrite`). Every reading indexes and reassembles alike, so a connection, a direction and an offset mean the
same in each. Memory follows connections and secrets, and a few bytes per packet.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from glancetrace.capture.inputs import CaptureReader
from glancetrace.decode import Options
from glancetrace.edit.extract import check_repeatable
from glancetrace.edit.sanitize.addresses import Addresses
from glancetrace.edit.sanitize.images import ImageBodies
from glancetrace.edit.sanitize.known import KnownSecrets
from glancetrace.edit.sanitize.learn import KeptRuns, Learner
from glancetrace.edit.sanitize.offsets import Offsets, Sequences
from glancetrace.edit.sanitize.plan import ConnectionPlan, Tally
from glancetrace.edit.sanitize.pseudonyms import Pseudonyms
from glancetrace.edit.sanitize.reading import Reading, open_writer
from glancetrace.edit.sanitize.rewrite import Rewriter
from glancetrace.edit.sanitize.sweep import CopyFinder, Sweeper
from glancetrace.http.hashing import HashPool
from glancetrace.issues import IssueLog
from glancetrace.net.grouping import FlowKey
from glancetrace.streams import Stage
from glancetrace.tls.secrets import SecretStore

__all__ = ["Choices", "Sanitised", "sanitize"]

KEPT_BYTES = 192 << 20


@dataclass(frozen=True, slots=True)
class Choices:
    """What is done beyond secrets. `keep_other`: leave packets as they are that nobody decodes.

    `image_bodies`: image data becomes zeros, with hashes that match. `names`: of images, users, projects, domains and
    hosts. `addresses`: IP and MAC addresses, in headers and in text.
    """

    keep_other: bool = False
    image_bodies: bool = False
    names: bool = False
    addresses: bool = False


@dataclass(slots=True)
class Sanitised:
    """What was done. `known` holds the secrets, for `verify`; they never leave it."""

    path: str
    packets: int
    connections: dict[str, int]
    tally: Tally
    known: KnownSecrets = field(repr=False)
    tls_secrets: int = 0
    decrypted: int = 0


_SECRETS_ONLY = Choices()


def sanitize(
    paths: list[str],
    output: str,
    key: bytes,
    options: Options | None = None,
    issues: IssueLog | None = None,
    *,
    choices: Choices = _SECRETS_ONLY,
    kept_bytes: int = KEPT_BYTES,
) -> Sanitised:
    """Write captures without their secrets to one file.

    Args:
        paths: files and patterns; compressed ones too.
        output: pcapng if its name ends so or an input is pcapng, else pcap.
        key: the key of the pseudonyms.
        options: ports, block size and progress.
        issues: where damage of the input is counted.
        choices: what is done beyond secrets.
        kept_bytes: memory for streams, so that those of a small capture need not be read a second time.

    Raises:
        UsageError: standard input, or the output is an input. InputError: an input cannot be read.
        GlancetraceError: the output cannot be written.
    """
    check_repeatable(paths)
    options = options or Options()
    issues = issues if issues is not None else IssueLog()
    tally = Tally()
    pseudonyms = Pseudonyms(key)
    addresses = Addresses(pseudonyms) if choices.addresses else None
    with HashPool() as pool:
        stage = Stage(options.ports, (), IssueLog(), pool, SecretStore(IssueLog(), [], None))
        known = KnownSecrets(
            pseudonyms,
            tally,
            images=ImageBodies(pool) if choices.image_bodies else None,
            addresses=addresses,
            wants_names=choices.names,
        )
        reading = Reading(paths, issues, options, stage, 0)
        kept = KeptRuns(kept_bytes)
        plans, opened = _learn(reading, stage, known, kept)
        if known.images is not None:
            known.hashes = known.images.settle(pseudonyms)
        second = Reading(paths, IssueLog(), options, stage, 1)
        _sweep(second, plans, opened, known, kept)
        del kept
        third = Reading(paths, IssueLog(), options, stage, 2)
        _write(third, reading.reader, output, plans, opened, tally, choices, addresses)
    counts: dict[str, int] = {}
    for plan in plans:
        name = plan.protocol if plan.trusted else "not-trusted"
        counts[name] = counts.get(name, 0) + 1
    return Sanitised(
        output, reading.reader.packets, dict(sorted(counts.items())), tally, known, len(reading.reader.secrets)
    )


def _learn(
    reading: Reading, stage: Stage, known: KnownSecrets, kept: KeptRuns
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
    reading: Reading,
    plans: list[ConnectionPlan],
    opened: dict[FlowKey, list[int]],
    known: KnownSecrets,
    kept: KeptRuns,
) -> None:
    sweeper = Sweeper(plans, known)
    for finish in known.deferred:
        finish(sweeper.find)
    known.deferred.clear()
    for plan in plans:
        for stream in plan.streams:
            stream.settle()
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
    reading: Reading,
    first: CaptureReader,
    output: str,
    plans: list[ConnectionPlan],
    opened: dict[FlowKey, list[int]],
    tally: Tally,
    choices: Choices,
    addresses: Addresses | None,
) -> None:
    rewriter = Rewriter(Offsets(plans, opened), tally, addresses, keep_other=choices.keep_other)
    with open_writer(output, first) as writer:
        for block, segments in reading.blocks():
            buffer, cap_len = rewriter.rewrite(block, segments)
            writer.write(block, buffer, cap_len)
