"""Pieces that are whole: a capture cut by connection, service, image or call instead of by count or time.

By connection and by service every packet goes to one piece, and what is no TCP to a piece "other". By image and by call
packets go where they show something: to several pieces (a list of images), or to none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from glancetrace.capture.blocks import Int64Array, PacketBlock
from glancetrace.capture.inputs import open_captures
from glancetrace.edit.flows import FlowRows, Pair
from glancetrace.edit.naming import label_path
from glancetrace.edit.parts import Part, PartFinder
from glancetrace.edit.piece_file import check_pieces
from glancetrace.edit.pieces import PieceWriter, SplitPiece
from glancetrace.edit.selection import PacketSelection, in_frames
from glancetrace.errors import UsageError
from glancetrace.issues import IssueLog
from glancetrace.net.run import Endpoint, render_endpoint
from glancetrace.trace import Trace

__all__ = [
    "ByLabel",
    "ByPart",
    "Grouping",
    "by_connection",
    "by_service",
    "parts_of_calls",
    "parts_of_images",
    "split_by",
]

Grouping = Callable[[PacketBlock], Iterator[tuple[str, Int64Array]]]
"""Labels of pieces and the rows of a block (ascending) that go there; called for one block after the other."""

_OTHER = "other"


class ByLabel:
    """Every connection has a label, and its packets go to the piece of that label.

    Args:
        label: label of a connection by its endpoints and its number, in order of first packets, from 1.
    """

    def __init__(self, label: Callable[[Pair, int], str]) -> None:
        self._flows = FlowRows()
        self._label = label
        self._labels: dict[Pair, str] = {}

    def __call__(self, block: PacketBlock) -> Iterator[tuple[str, Int64Array]]:
        """See `Grouping`."""
        found, rest = self._flows.of(block)
        by_label: dict[str, list[Int64Array]] = defaultdict(list)
        for pair, rows in found:
            label = self._labels.get(pair)
            if label is None:
                label = self._labels[pair] = self._label(pair, len(self._labels) + 1)
            by_label[label].append(rows)
        if len(rest):
            by_label[_OTHER].append(rest)
        for label, parts in by_label.items():
            yield label, np.sort(np.concatenate(parts))


def _server(pair: Pair, ports: Mapping[int, str]) -> Endpoint:
    """The side with the known port, else the one with the lower."""
    one, other = pair
    if (one[1] in ports) != (other[1] in ports):
        return one if one[1] in ports else other
    return min(pair, key=lambda end: end[1])


def by_connection(ports: Mapping[int, str]) -> Grouping:
    """A piece per pair of endpoints: `00012_127.0.0.1-50698_127.0.0.20-13292`, the client first."""

    def label(pair: Pair, number: int) -> str:
        server = _server(pair, ports)
        client = pair[1] if pair[0] == server else pair[0]
        return f"{number:05d}_{render_endpoint(client)}_{render_endpoint(server)}"

    return ByLabel(label)


def by_service(ports: Mapping[int, str]) -> Grouping:
    """A piece per service: what its port is known for."""
    return ByLabel(lambda pair, _number: ports.get(_server(pair, ports)[1], _OTHER))


class ByPart:
    """Packets go to the pieces whose parts they belong to."""

    def __init__(self, parts: Mapping[str, Part]) -> None:
        self._flows = FlowRows()
        self._wanted: dict[Pair, list[tuple[str, Part]]] = defaultdict(list)
        for label, part in parts.items():
            for pair in part:
                self._wanted[pair].append((label, part))

    def __call__(self, block: PacketBlock) -> Iterator[tuple[str, Int64Array]]:
        """See `Grouping`."""
        by_label: dict[str, list[Int64Array]] = defaultdict(list)
        for pair, rows in self._flows.of(block)[0]:
            numbers = block.first_frame + rows
            for label, part in self._wanted.get(pair, ()):
                chosen = rows[in_frames(part[pair], numbers)]
                if len(chosen):
                    by_label[label].append(chosen)
        for label, found in by_label.items():
            yield label, np.sort(np.concatenate(found))


def parts_of_images(trace: Trace, finder: PartFinder) -> dict[str, Part]:
    """Label -> part of every image: its id, and its name where it has one."""
    return {
        f"{image.id}_{image.name}" if image.name else image.id: finder.of_image(image.id, image.call_ids)
        for image in trace.tables.images
    }


def parts_of_calls(trace: Trace, finder: PartFinder) -> dict[str, Part]:
    """Label -> part of every call that is not made in the course of another: number and operation."""
    return {
        f"{call.id:05d}_{call.operation}": finder.of_calls([call.id])
        for call in trace.tables.calls
        if call.parent_id is None
    }


def split_by(
    paths: Sequence[str],
    output: str,
    grouping: Grouping,
    *,
    selection: PacketSelection,
    progress: Callable[[int, int | None], None] | None = None,
) -> list[SplitPiece]:
    """Write the packets of captures to a piece per label; the label stands in its name.

    Raises:
        UsageError: a piece would overwrite an input or cannot be opened, or captures need different file headers.
        InputError: an input cannot be read. GlancetraceError: a piece cannot be written.
    """
    check_pieces(output)
    with open_captures(paths, IssueLog()) as captures:
        captures.progress = progress
        with PieceWriter([file.name for file in captures.files]) as writer:
            for block, reader in captures.records():
                wanted = selection.rows(block)
                for label, rows in grouping(block):
                    chosen = rows if len(wanted) == len(block) else np.intersect1d(rows, wanted, assume_unique=True)
                    if not len(chosen):
                        continue
                    path = label_path(output, label)
                    if not writer.can_continue(path, reader.preamble):
                        raise UsageError("the captures need different file headers", action="take one at a time")
                    writer.write(path, block, reader, chosen)
    return writer.pieces
