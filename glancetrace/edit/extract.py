"""Takes the packets that show something out of captures, into one small capture.

The packets keep their bytes, format and times, so they open in Wireshark as the capture itself does; their frame
numbers are those of the small file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from glancetrace.capture.blocks import Int64Array, PacketBlock
from glancetrace.capture.inputs import open_captures
from glancetrace.edit.flows import FlowRows
from glancetrace.edit.parts import Part
from glancetrace.edit.pieces import PieceWriter, SplitPiece
from glancetrace.edit.selection import PacketSelection, in_frames
from glancetrace.errors import UsageError
from glancetrace.issues import IssueLog
from glancetrace.trace import CaptureSummary

__all__ = ["check_repeatable", "extract"]


def check_repeatable(paths: Sequence[str], capture: CaptureSummary | None = None) -> None:
    """Captures can be read a second time, and have the same frame numbers then.

    Raises:
        UsageError: standard input is among them, or captures of the same time that were merged.
    """
    if "-" in paths:
        raise UsageError("standard input can be read only once", action="write it to a file first")
    following = 1
    for file in capture.files if capture is not None else ():
        if file.first_frame != following:
            raise UsageError("captures of the same time cannot be cut together", action="merge them with mergecap")
        following += file.packets


def extract(
    paths: Sequence[str],
    output: str,
    part: Part | None,
    *,
    selection: PacketSelection,
    progress: Callable[[int, int | None], None] | None = None,
) -> SplitPiece:
    """Write the packets of a part to one file.

    Args:
        paths: the captures that the part was found in.
        output: the file, compressed if its name ends as `outfile.COMPRESSIONS`; "-" for standard output.
        part: what is wanted; None: all packets that are selected.
        selection: what of it is wanted.
        progress: called with the bytes read and the total.

    Raises:
        UsageError: the output is an input or cannot be opened, or the captures need different file headers.
        InputError: an input cannot be read. GlancetraceError: the output cannot be written. ReaderGone: nobody
            reads the pipe any more.
    """
    flows = FlowRows()
    with open_captures(paths, IssueLog()) as captures:
        captures.progress = progress
        with PieceWriter([file.name for file in captures.files]) as writer:
            for block, reader in captures.records():
                rows = selection.rows(block)
                if part is not None:
                    rows = np.intersect1d(rows, _rows_of(part, block, flows), assume_unique=True)
                if not len(rows):
                    continue
                if not writer.can_continue(output, reader.preamble):
                    raise UsageError(
                        "the packets need different file headers", action="take them from one capture at a time"
                    )
                writer.write(output, block, reader, rows)
            if not writer.pieces:
                writer.write_empty(output, captures.readers[0])
    return writer.pieces[0]


def _rows_of(part: Part, block: PacketBlock, flows: FlowRows) -> Int64Array:
    """Rows of a block that belong to a part, ascending."""
    found = []
    for pair, rows in flows.of(block)[0]:
        frames = part.get(pair)
        if frames:
            found.append(rows[in_frames(frames, block.first_frame + rows)])
    return np.sort(np.concatenate(found)) if found else np.empty(0, np.int64)
