"""Sanitises a capture in three readings: learn, sweep, write.

The first decodes every connection of interest, learns secrets, plans what may stay, and finds packets that carry the
same bytes (`learning`); the second looks for the secrets everywhere else (`sweep`); the third writes the packets by the
plans (`rewrite`). Every reading indexes and reassembles alike, so a connection, a direction and an offset mean the same
in each. Memory follows connections and secrets, and a few bytes per packet.

With two processes the first reading is shared, where there is MySQL enough to share, and the second runs beside the
third. What comes out does not depend on that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from glancetrace.capture.inputs import CaptureReader
from glancetrace.decode_part import no_collection
from glancetrace.decode_shares import is_worth_sharing
from glancetrace.edit.extract import check_repeatable
from glancetrace.edit.sanitize.addresses import Addresses
from glancetrace.edit.sanitize.container import CaptureWriter
from glancetrace.edit.sanitize.images import ImageBodies
from glancetrace.edit.sanitize.known import KnownSecrets
from glancetrace.edit.sanitize.learning import Learned, Source, learn, learn_shares, settle
from glancetrace.edit.sanitize.offsets import Offsets
from glancetrace.edit.sanitize.plan import Tally
from glancetrace.edit.sanitize.pseudonyms import Pseudonyms
from glancetrace.edit.sanitize.reading import Reading, open_writer
from glancetrace.edit.sanitize.rewrite import Rewriter
from glancetrace.edit.sanitize.sweeping import Sweep, start_sweep
from glancetrace.http.hashing import HashPool
from glancetrace.issues import IssueLog
from glancetrace.options import Options
from glancetrace.streams import Stage
from glancetrace.tls.secrets import SecretStore

__all__ = ["Choices", "Sanitised", "sanitize"]

KEPT_BYTES = 96 << 20


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
        options: ports, block size, progress and jobs.
        issues: where damage of the input is counted.
        choices: what is done beyond secrets.
        kept_bytes: memory for streams, so that those of a small capture need not be read a second time.

    Raises:
        UsageError: standard input, or the output is an input. InputError: an input cannot be read.
        GlancetraceError: the output cannot be written.
    """
    check_repeatable(paths)
    options = options or Options()
    pseudonyms = Pseudonyms(key)
    addresses = Addresses(pseudonyms) if choices.addresses else None
    with no_collection():
        with HashPool() as pool:
            stage = Stage(options.ports, (), IssueLog(), pool, SecretStore(IssueLog(), [], None))
            source = Source(paths, options, stage, kept_bytes, beside=is_worth_sharing(paths, options))

            def make_known() -> KnownSecrets:
                images = ImageBodies(pool) if choices.image_bodies else None
                return KnownSecrets(pseudonyms, Tally(), images=images, addresses=addresses, wants_names=choices.names)

            reading, known, learned = _learn(source, make_known, issues if issues is not None else IssueLog())
        _sweep_and_write(source, reading.reader, output, known.tally, learned, choices, addresses)
    counts: dict[str, int] = {}
    for plan in (plan for one in learned for plan in one.plans):
        name = plan.protocol if plan.trusted else "not-trusted"
        counts[name] = counts.get(name, 0) + 1
    reader = reading.reader
    return Sanitised(output, reader.packets, dict(sorted(counts.items())), known.tally, known, len(reader.secrets))


def _learn(
    source: Source, make_known: Callable[[], KnownSecrets], issues: IssueLog
) -> tuple[Reading, KnownSecrets, list[Learned]]:
    """The first reading, by several processes where that is worth it and goes well, else by this one."""
    shared_issues, known = IssueLog(), make_known()
    shares = source.shares() if known.images is None else ()
    if len(shares) > 1:
        reading = source.reading(0, shared_issues, shares[0])
        shared = learn_shares(source, reading, known, shares)
        if shared is not None:
            for issue in shared_issues.rows():
                issues.count(issue.kind, frame=issue.first_frame, connection_id=issue.connection_id, times=issue.count)
            return reading, known, shared
        known = make_known()
    reading = source.reading(0, issues)
    learned = learn(reading, source, known, None)
    if known.images is not None:
        known.hashes = known.images.settle(known.pseudonyms)
    learned.sweeper = settle(learned.plans, known)
    return reading, known, [learned]


def _sweep_and_write(
    source: Source,
    first: CaptureReader,
    output: str,
    tally: Tally,
    learned: list[Learned],
    choices: Choices,
    addresses: Addresses | None,
) -> None:
    """The second reading and the third; the third once more if the second was too late.

    A file is in its place only then. What goes to a pipe cannot be written again: there the second reading ends first.
    """
    plans = [plan for one in learned for plan in one.plans]
    opened = {key: frames for one in learned for key, frames in one.opened.items()}

    def write(reading: Reading, writer: CaptureWriter, sweeps: list[Sweep]) -> Tally:
        cut = Tally()
        rewriter = Rewriter(Offsets(plans, opened), cut, addresses, keep_other=choices.keep_other)
        for number, (block, segments) in enumerate(reading.blocks()):
            for sweep in sweeps:
                sweep.lead(number)
            buffer, cap_len = rewriter.rewrite(block, segments)
            writer.write(block, buffer, cap_len)
        return cut

    try:
        sweeps = [start_sweep(source, one) for one in learned]
        with open_writer(output, first) as writer:
            if writer.takes_one_writing:
                _finish(sweeps)
            cut = write(source.reading(source.parts - 1), writer, sweeps)
            _finish(sweeps)
            if any(sweep.late for sweep in sweeps):
                writer.restart()
                cut = write(source.silent().reading(0), writer, [])
        tally.join(cut)
    finally:
        for one in learned:
            one.close()


def _finish(sweeps: list[Sweep]) -> None:
    for sweep in sweeps:
        sweep.finish()
