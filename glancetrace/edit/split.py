"""Cutting a capture into pieces, and taking packets out of it, as `editcap` does.

The pieces keep the format of the input (byte order, time resolution, interfaces) and its record bytes, and have the
names that editcap gives (see `naming`). Other pcapng blocks than `pieces` names (statistics, unknown ones) describe the
whole and are left out, as are damaged bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from glancetrace.capture.blocks import Int64Array
from glancetrace.capture.inputs import BLOCK_SIZE, open_captures
from glancetrace.edit.cutting import ByCount, Cut
from glancetrace.edit.naming import piece_path
from glancetrace.edit.piece_file import check_pieces
from glancetrace.edit.pieces import PieceWriter, SplitPiece
from glancetrace.edit.selection import PacketSelection
from glancetrace.errors import UsageError
from glancetrace.issues import IssueLog

__all__ = ["SplitPiece", "split", "split_by_count"]

EVERYTHING = PacketSelection()
_BLOCK_SIZE = 2 * BLOCK_SIZE
"""Little is done with a block here, so that what is done per block counts."""


def split(
    paths: Sequence[str],
    output: str,
    cut: Cut | None = None,
    *,
    selection: PacketSelection = EVERYTHING,
    utc: bool = False,
    issues: IssueLog | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> list[SplitPiece]:
    """Write the packets of captures to pieces.

    Several captures are taken in the order of their first packets, each as a whole; where one begins that needs another
    file header, a new piece begins too. Who wants to write to a capture meanwhile waits for a moment
    (`glancetrace.capture.mapped`).

    Args:
        paths: files, patterns, or "-" for standard input; compressed ones too.
        output: the name that the pieces' names are made from; without `cut` that of the only piece, or "-" for standard
            output. The pieces are compressed if it ends as `outfile.COMPRESSIONS`.
        cut: where a piece ends; None: nowhere.
        selection: the packets that are wanted.
        utc: times in the names are UTC, not local.
        issues: where damage of the input is counted.
        progress: called with the bytes read and the total (None for a pipe).

    Raises:
        UsageError: a piece would overwrite an input or cannot be opened, or what is wanted does not fit into one file.
        InputError: an input cannot be read.
        GlancetraceError: a piece cannot be written. ReaderGone: nobody reads the pipe any more.
    """
    if cut is not None:
        check_pieces(output)
    log = issues if issues is not None else IssueLog()
    with open_captures(paths, log, block_size=_BLOCK_SIZE, mapped=True) as captures:
        captures.progress = progress
        path: str | None = None
        ordinal = -1
        with PieceWriter([file.name for file in captures.files]) as writer:
            for block, reader in captures.records():
                rows = selection.rows(block)
                if cut is not None and block.first_frame == 1:
                    cut.begin(int(block.ts[0]))
                if not len(rows):
                    continue
                if not writer.can_continue(path, reader.preamble):
                    if cut is None:
                        raise UsageError(
                            "the captures need different file headers", action="cut them (-c), or take one at a time"
                        )
                    cut.restart()
                sizes = reader.ends[rows] - reader.starts[rows]
                ordinals = np.zeros(len(rows), np.int64)
                if cut is not None:
                    ordinals = cut.ordinals(block.first_frame + rows, block.ts[rows], sizes, len(reader.preamble))
                for number, part in _by_piece(ordinals):
                    if number != ordinal or path is None:
                        if path is not None:
                            writer.end(path)
                        first_ts = int(block.ts[rows[part.start]])
                        ordinal = number
                        path = output if cut is None else piece_path(output, number, first_ts, utc=utc)
                    writer.write(path, block, reader, rows[part])
            if path is None:
                writer.write_empty(output, captures.readers[0])
    return writer.pieces


def _by_piece(ordinals: Int64Array) -> list[tuple[int, slice]]:
    """Ordinal of each piece and the slice of the rows that go there."""
    breaks = [0, *(np.flatnonzero(np.diff(ordinals)) + 1).tolist(), len(ordinals)]
    return [(int(ordinals[start]), slice(start, stop)) for start, stop in pairwise(breaks)]


def split_by_count(
    paths: Sequence[str],
    output: str,
    packets_per_file: int,
    *,
    issues: IssueLog | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> list[SplitPiece]:
    """Write the packets of captures to pieces of `packets_per_file` packets; see `split`.

    Raises:
        UsageError: a count below one.
    """
    if packets_per_file < 1:
        raise UsageError("a piece needs at least one packet", action="give a count of 1 or more")
    return split(paths, output, ByCount(packets_per_file), issues=issues, progress=progress)
