"""One process's part of stage A: packets become exchanges, commands and connections, of all connections or of a share.

Reading, indexing, reassembly and decoding, connection by connection. What comes out are plain rows in no particular
order across connections.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from glancetrace.capture.index import PacketIndex
from glancetrace.capture.inputs import CaptureReader
from glancetrace.http.hashing import HashPool
from glancetrace.issues import IssueLog
from glancetrace.net.reassemble import Deal, TcpReassembler
from glancetrace.net.share import Share
from glancetrace.options import Options
from glancetrace.packing import Commands, Rows
from glancetrace.spill.commands import Spill
from glancetrace.streams import Stage
from glancetrace.tls.secrets import SecretStore
from glancetrace.trace import Accounting, CapturedFile, CaptureSummary

__all__ = ["decode_part", "no_collection", "push_all", "read_secrets", "summary_of"]


def decode_part(
    push: Callable[[TcpReassembler, Callable[[], None]], None],
    issues: IssueLog,
    options: Options,
    secrets: SecretStore,
    pool: HashPool | None = None,
    share: Share | None = None,
    spill: Spill | None = None,
    give: Callable[[Commands], None] | None = None,
    deal: Deal | None = None,
) -> Rows:
    """Decode the connections of a share, or all of them.

    `push` is given what takes the packets, and what is to be called between blocks; `give`, or `spill` where there is
    none, is then offered the commands, and takes them when it likes. `deal`: see `TcpReassembler`.
    """
    if give is None and spill is not None:
        give = spill.look
    with no_collection(), HashPool() if pool is None else nullcontext(pool) as hashes:
        stage = Stage(options.ports, options.hashes, issues, hashes, secrets)
        reassembler = TcpReassembler(
            stage.consumer, issues, server_ports=frozenset(options.ports), judge=stage.judge, share=share, deal=deal
        )

        def look() -> None:
            if secrets.waiting_bytes:
                secrets.refresh()
            if give is not None:
                give(stage.commands)

        push(reassembler, look)
        reassembler.finish()
    connections = [stage.decoders[c].row for c in reassembler.connections if c in stage.decoders]
    skipped = sum(decoder.bytes_skipped for decoder in stage.decoders.values())
    told = [] if share is None else issues.rows()
    rows = Rows(
        reassembler.accounting,
        reassembler.first_frames,
        told,
        stage.exchanges,
        stage.commands,
        connections,
        skipped,
    )
    if spill is not None:  # the last commands go where the others went
        spill.look(rows.commands, last=True)
        rows.spooled = spill.spooled
    return rows


def summary_of(reader: CaptureReader, accounting: Accounting) -> CaptureSummary:
    """What was read; what becomes of the streams is not known yet."""
    return CaptureSummary(
        files=[CapturedFile(f.name, f.first_frame, f.packets) for f in reader.files],
        packets=reader.packets,
        bytes=reader.bytes,
        first_ts=reader.first_ts,
        last_ts=reader.last_ts,
        link_types=sorted(reader.link_types),
        connections=0,
        accounting=accounting,
    )


def read_secrets(reader: CaptureReader, options: Options, issues: IssueLog) -> SecretStore:
    """The secrets that were given, and those that the capture brings."""
    keys = None
    if options.rsa_keys:
        from glancetrace.tls.rsa import RsaKeys, read_rsa_key

        keys = RsaKeys([read_rsa_key(os.fspath(path), options.passphrase) for path in options.rsa_keys])
    secrets = SecretStore(issues, [os.fspath(path) for path in options.keylogs], keys)
    secrets.ask(reader.read_secrets, once=True)
    if reader.can_bring_secrets:
        secrets.ask(lambda: reader.secrets, once=False)
    return secrets


@contextmanager
def no_collection() -> Iterator[None]:
    """Rows hold no cycles, so the cyclic collector would only walk over ever more of them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def push_all(
    reader: CaptureReader,
    accounting: Accounting,
    issues: IssueLog,
    reassembler: TcpReassembler,
    look: Callable[[], None],
) -> None:
    """Push every block through index and reassembler; `look` is called between blocks."""
    index = PacketIndex(issues)
    for block in reader:
        segments = index.index(block)
        for reason, count in segments.ignored.items():
            accounting.ignored_reasons[reason] = accounting.ignored_reasons.get(reason, 0) + count
        accounting.packets_malformed += segments.malformed
        reassembler.push(segments)
        look()
    index.finish()
    accounting.packets_ignored = sum(accounting.ignored_reasons.values())
    accounting.packets_decoded = reader.packets - accounting.packets_ignored - accounting.packets_malformed
