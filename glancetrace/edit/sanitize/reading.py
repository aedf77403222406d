"""One reading of captures, of which `sanitize` does several, all alike; and where the outcome is written."""

from __future__ import annotations

from collections.abc import Iterator

from glancetrace.capture.blocks import PacketBlock
from glancetrace.capture.index import PacketIndex
from glancetrace.capture.inputs import CaptureReader, open_captures
from glancetrace.capture.segments import SegmentBlock
from glancetrace.edit.sanitize.container import CaptureWriter
from glancetrace.edit.sanitize.offsets import OpeningReassembler
from glancetrace.issues import IssueLog
from glancetrace.net.grouping import FlowKey
from glancetrace.net.share import Share
from glancetrace.net.verdict import ConsumerFactory
from glancetrace.options import Options
from glancetrace.outfile import compression_of
from glancetrace.streams import Stage

__all__ = ["Reading", "open_writer"]

_NANOSECOND_MAGICS = (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d")


class Reading:
    """One reading of the captures: a `part` of so many, for the progress; what a share holds is reassembled."""

    def __init__(
        self,
        paths: list[str],
        issues: IssueLog,
        options: Options,
        stage: Stage,
        part: tuple[int, int],
        share: Share | None = None,
    ) -> None:
        self.reader: CaptureReader = open_captures(paths, issues, block_size=options.block_size)
        self._issues = issues
        self._options = options
        self._stage = stage
        self._share = share
        if options.progress is not None:
            progress = options.progress
            number, parts = part
            self.reader.progress = lambda done, total: progress(
                done + number * (total or 0), None if total is None else parts * total
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
            consumer,
            IssueLog(),
            server_ports=frozenset(self._options.ports),
            judge=self._stage.judge,
            share=self._share,
        )
        reassembler.opened = opened
        return reassembler


def open_writer(output: str, reader: CaptureReader) -> CaptureWriter:
    """What writes packets in the format that the captures had, once they were read."""
    formats = {file.format for file in reader.files}
    name = output.removesuffix(compression_of(output))
    pcapng = name.endswith(".pcapng") or formats != {"pcap"} or len(reader.link_types) > 1
    nanoseconds = any(one.preamble[:4] in _NANOSECOND_MAGICS for one in reader.readers)
    inputs = [file.name for file in reader.files]
    return CaptureWriter(output, inputs, reader.link_types, pcapng=pcapng, nanoseconds=nanoseconds)
