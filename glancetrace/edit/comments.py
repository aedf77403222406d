"""A copy of captures, as pcapng, with comments on packets: what a person sees beside them in Wireshark.

Comments are options of Enhanced Packet Blocks (opt_comment, may be repeated:
https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html, 3.5.1 and 4.3). A pcapng input keeps all its blocks,
and the comments that it has; of a pcap the packets, their times in the resolution that it has, and its link type.
Several captures become sections of one file, in the order of their frames. Old packet blocks take no comments of this
kind and stay as they are.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator, Mapping, Sequence

from glancetrace.capture.formats import read_format
from glancetrace.capture.inputs import BLOCK_SIZE, open_captures
from glancetrace.capture.pcap import PCAP_MAGICS
from glancetrace.capture.pcapng_blocks import ENHANCED_PACKET, PACKET, SECTION_HEADER, SIMPLE_PACKET
from glancetrace.capture.source import open_source
from glancetrace.edit.pcapng_blocks import comment_options, enhanced_packets, interface_block, section_header
from glancetrace.edit.secrets import read_blocks
from glancetrace.issues import IssueLog

__all__ = ["Comments", "commented_captures"]

Comments = Mapping[int, Sequence[str]]
"""Frame of the whole input -> its comments, in order."""

_PACKETS = (ENHANCED_PACKET, PACKET, SIMPLE_PACKET)


def commented_captures(paths: Sequence[str], comments: Comments) -> Iterator[bytes]:
    """The bytes of a pcapng file with the packets of all captures.

    Args:
        paths: in the order of their frames (`capture.files` of the result), none of them standard input.
        comments: what is said of which frame.

    Raises:
        InputError: a capture cannot be read, or is damaged: its frames could not be told for sure.
    """
    frame = 1
    for path in paths:
        reader, source = read_format(open_source(path), BLOCK_SIZE)
        source.close()
        pieces = _commented_blocks if reader.format == "pcapng" else _converted
        frame = yield from pieces(path, frame, comments)


def _converted(path: str, frame: int, comments: Comments) -> Generator[bytes, None, int]:
    """A pcap whose first packet is that frame, as a section; returns the frame behind it."""
    with open_captures([path], IssueLog()) as captures:
        preamble = captures.readers[0].preamble
        order, ns_per_tick, _ = PCAP_MAGICS[preamble[:4]]
        snaplen, network = struct.unpack_from(order + "II", preamble, 16)
        yield section_header()
        yield interface_block(network & 0xFFFF, snaplen, 9 if ns_per_tick == 1 else 6)
        for block in captures:
            rows = {row: comments[frame + row] for row in range(len(block)) if frame + row in comments}
            yield from enhanced_packets(block, ns_per_tick, comments=rows)
            frame += len(block)
    return frame


def _commented_blocks(path: str, frame: int, comments: Comments) -> Generator[bytes, None, int]:
    """The blocks of a pcapng file whose first packet is that frame; returns the frame behind it."""
    for order, kind, block in read_blocks(path, IssueLog()):
        if kind == SECTION_HEADER:
            block = block[:16] + struct.pack(order + "q", -1) + block[24:]  # its length is another one now
        elif kind in _PACKETS:
            if kind == ENHANCED_PACKET and frame in comments:
                block = _with_comments(block, order, comments[frame])
            frame += 1
        yield block
    return frame


def _with_comments(block: bytes, order: str, comments: Sequence[str]) -> bytes:
    """An Enhanced Packet Block with options in front of those that it has."""
    (cap_len,) = struct.unpack_from(order + "I", block, 20)
    begin = 28 + cap_len + -cap_len % 4
    options = block[begin:-4] or bytes(4)
    body = block[8:begin] + comment_options(comments, order) + options
    total = 12 + len(body)
    return struct.pack(order + "II", ENHANCED_PACKET, total) + body + struct.pack(order + "I", total)
