"""Stage A: captures become exchanges, commands and connections.

In one process (`glancetrace.decode_part`) or in several (`glancetrace.decode_shares`), with the same result: rows in no
particular order across connections, which `glancetrace.pipeline` orders, gives ids and makes sense of.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from glancetrace.capture.inputs import open_captures
from glancetrace.decode_part import decode_part, push_all, read_secrets, summary_of
from glancetrace.decode_shares import decode_shares, shares_of
from glancetrace.errors import UsageError
from glancetrace.http.exchange import HttpExchange
from glancetrace.http.hashing import HashPool
from glancetrace.issues import IssueLog
from glancetrace.mysql.command import MysqlCommand
from glancetrace.net.run import Connection
from glancetrace.options import Options, Paths, as_list
from glancetrace.packing import Rows
from glancetrace.spill.commands import Spill, SpooledCommands
from glancetrace.tls.secrets import SecretStore
from glancetrace.trace import Accounting, CaptureSummary, ConnectionRow

__all__ = ["Decoded", "decode"]


@dataclass(slots=True)
class Decoded:
    """What stage A gives: rows of all connections, and what became of every packet and byte.

    Where there are too many commands for memory, all of them are in `spooled`.
    """

    capture: CaptureSummary
    issues: IssueLog
    exchanges: list[tuple[HttpExchange, Connection]]
    commands: list[tuple[MysqlCommand, Connection]]
    connections: list[ConnectionRow]
    secrets: SecretStore
    spooled: SpooledCommands | None = None


def decode(
    paths: Paths, options: Options | None = None, pool: HashPool | None = None, spill: Spill | None = None
) -> Decoded:
    """Read captures and decode what is in them.

    Args:
        paths: file names, globs, "-" for standard input.
        options: see `Options`.
        pool: where bodies are hashed, if that is to go on after decoding; else it ends here, and digests that are asked
            for later are made then.
        spill: where commands go when there are too many for memory; else memory is all there is.

    Raises:
        InputError: a capture cannot be read. UsageError: no path, or an unknown hash.
    """
    options = options or Options()
    names = as_list(paths)
    if not names:
        raise UsageError("no capture given", action="name a file, or - for standard input")
    shares = shares_of(names, options)
    done = decode_shares(names, options, shares, pool, spill) if len(shares) > 1 else None
    rows, issues, secrets = done or _decode_alone(names, options, pool, None if spill is None else spill.anew())
    assert rows.capture is not None
    _account(rows.capture, rows)
    return Decoded(rows.capture, issues, rows.exchanges, rows.commands, rows.connections, secrets, rows.spooled)


def _decode_alone(
    names: list[str], options: Options, pool: HashPool | None, spill: Spill | None
) -> tuple[Rows, IssueLog, SecretStore]:
    issues = IssueLog()
    reader = open_captures(names, issues, block_size=options.block_size, mapped=True)
    reader.progress = options.progress
    secrets = read_secrets(reader, options, issues)
    accounting = Accounting()
    push = partial(push_all, reader, accounting, issues)
    rows = decode_part(push, issues, options, secrets, pool, spill=spill)
    rows.capture = summary_of(reader, accounting)
    return rows, issues, secrets


def _account(capture: CaptureSummary, rows: Rows) -> None:
    """Say what became of the streams."""
    totals, accounting = rows.accounting, capture.accounting
    capture.connections = totals.connections
    accounting.stream_bytes_decoded = totals.decoded_bytes - rows.skipped
    accounting.stream_bytes_skipped = totals.skipped_bytes + rows.skipped
    accounting.stream_bytes_missing = totals.missing_bytes
    accounting.stream_bytes = totals.decoded_bytes + totals.skipped_bytes + totals.missing_bytes
