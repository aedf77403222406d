"""Secrets of TLS in a capture: embed those that it needs, or take all of them out.

The output is a pcapng file that every reader takes: section header, interfaces, then the secrets (a Decryption Secrets
Block, https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html, 4.7), then the packets. A pcapng input keeps
all its other blocks as they are; of a pcap the packets, their times in the resolution that it has, and its link type.
A copy is complete or not there, and compressed if its name asks for it; what an input lacks that is cut short is
counted as an issue.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from glancetrace.capture.formats import read_format
from glancetrace.capture.inputs import BLOCK_SIZE, open_captures
from glancetrace.capture.pcap import PCAP_MAGICS
from glancetrace.capture.pcapng import PCAPNG_MAGIC
from glancetrace.capture.pcapng_blocks import (
    DECRYPTION_SECRETS,
    ENHANCED_PACKET,
    PACKET,
    SECTION_HEADER,
    SIMPLE_PACKET,
    parse_secrets,
    parse_section_order,
)
from glancetrace.capture.source import ByteSource, open_source
from glancetrace.decode import decode
from glancetrace.edit.pcapng_blocks import enhanced_packets, interface_block, secrets_block, section_header
from glancetrace.edit.piece_file import check_output
from glancetrace.errors import GlancetraceError, InputError, UsageError
from glancetrace.issues import IssueLog
from glancetrace.options import Options
from glancetrace.outfile import PartFile, compressed, is_one_of
from glancetrace.tls.secrets import TLS_KEY_LOG

__all__ = ["Embedded", "discard_secrets", "embed_secrets", "read_blocks"]

_PACKETS = (ENHANCED_PACKET, PACKET, SIMPLE_PACKET)
_LONGEST_BLOCK = 64 << 20


@dataclass(frozen=True, slots=True)
class Embedded:
    """What was embedded: `lines` of a key log for `connections`; of so many the capture needs some."""

    lines: int
    connections: int
    needing: int


def embed_secrets(path: str, output: str, options: Options, issues: IssueLog) -> Embedded:
    """Write a copy of a capture with the secrets that it needs: of those given, and of those that it has.

    Args:
        path: the capture, also compressed. output: the pcapng file to write. options: `keylogs` and `ports`.
        issues: gets what is wrong with the file.

    Raises:
        UsageError: the output would overwrite an input, or cannot be opened. InputError: an input cannot be read, or
            not to its end. GlancetraceError: the output cannot be written.
    """
    _check(path, output, options.keylogs)
    secrets = decode(path, options).secrets
    lines = secrets.needed_lines()
    _write(path, output, "".join(f"{line}\n" for line in lines).encode(), issues, discard=False)
    return Embedded(len(lines), secrets.known_clients, secrets.seen_clients)


def discard_secrets(path: str, output: str, issues: IssueLog) -> int:
    """Write a copy of a capture without its secrets blocks; returns how many there were. Raises as `embed_secrets`."""
    _check(path, output, ())
    return _write(path, output, b"", issues, discard=True)


def _check(path: str, output: str, keylogs: Sequence[str | os.PathLike[str]]) -> None:
    if "-" in (path, output):
        raise UsageError("a capture is read twice and written to a file", action="name files instead of -")
    if is_one_of(output, [path, *(os.fspath(name) for name in keylogs)]):
        raise UsageError("the output would overwrite the input", where=output, action="choose another name")
    check_output(output, [])


def _write(path: str, output: str, keylog: bytes, issues: IssueLog, *, discard: bool) -> int:
    """Copy a capture; returns the number of secrets blocks that were left out."""
    reader, source = read_format(open_source(path), BLOCK_SIZE)
    source.close()
    left_out: list[bytes] = []
    if reader.format == "pcapng":
        pieces = _copy_blocks(read_blocks(path, issues), keylog, discard, left_out)
    else:
        pieces = _convert(path, keylog, issues)
    part = PartFile(output)
    try:
        with part.open() as file, compressed(file, output) as stream:
            for piece in pieces:
                stream.write(piece)
        part.keep()
    except OSError as error:
        what = f"cannot be written: {error.strerror}"
        raise GlancetraceError(what, where=output, action="make room, or choose another directory") from None
    finally:
        part.discard()
    return len(left_out)


def _convert(path: str, keylog: bytes, issues: IssueLog) -> Iterator[bytes]:
    """A pcap as pcapng."""
    with open_captures([path], issues) as captures:
        preamble = captures.readers[0].preamble
        order, ns_per_tick, _ = PCAP_MAGICS[preamble[:4]]
        snaplen, network = struct.unpack_from(order + "II", preamble, 16)
        yield section_header()
        yield interface_block(network & 0xFFFF, snaplen, 9 if ns_per_tick == 1 else 6)
        if keylog:
            yield secrets_block("<", TLS_KEY_LOG, keylog)
        for block in captures:
            yield from enhanced_packets(block, ns_per_tick)


def _copy_blocks(
    blocks: Iterable[tuple[str, int, bytes]], keylog: bytes, discard: bool, left_out: list[bytes]
) -> Iterator[bytes]:
    """The blocks of a pcapng file, with the secrets behind the first interfaces."""
    held: list[bytes] = []
    embedded = False
    order = "<"
    for order, kind, block in blocks:
        if kind == DECRYPTION_SECRETS:
            secrets = parse_secrets(block, order)
            if discard or secrets is None or secrets[0] == TLS_KEY_LOG:
                left_out.append(block)
                continue
            if not embedded:
                held.append(block)
                continue
        if not embedded and kind in _PACKETS:
            embedded = True
            yield from _embed(order, keylog, held)
        yield _unbounded(order, block) if kind == SECTION_HEADER else block
    if not embedded:
        yield from _embed(order, keylog, held)


def _embed(order: str, keylog: bytes, others: Iterable[bytes]) -> Iterator[bytes]:
    """Secrets blocks: the key log, and those of other protocols that stood before the interfaces."""
    if keylog:
        yield secrets_block(order, TLS_KEY_LOG, keylog)
    yield from others


def _unbounded(order: str, block: bytes) -> bytes:
    """A section header without the length of the section, which is another one now."""
    return block[:16] + struct.pack(order + "q", -1) + block[24:]


def read_blocks(path: str, issues: IssueLog) -> Iterator[tuple[str, int, bytes]]:
    """Byte order, type and bytes of every block of a pcapng file; a block that is cut short is left out and counted.

    Raises:
        InputError: no block can look like this.
    """
    raw = open_source(path)
    source: ByteSource = raw
    if parse_section_order(raw.peek(12), 0) is None:
        from glancetrace.capture.compressed import decompressed

        source = decompressed(raw)
    try:
        data, position, base, order = source.read_on(b"", BLOCK_SIZE), 0, 0, "<"
        while True:
            head = data[position : position + 12]
            if len(head) == 12:
                if head[:4] == PCAPNG_MAGIC:
                    order = parse_section_order(head, 0) or ""
                kind, total = struct.unpack_from((order or "<") + "II", head)
                if not order or total < 12 or total % 4 or total > _LONGEST_BLOCK:
                    where = f"{path}: offset {base + position}"
                    action = "copy the file again, or take what can be read with 'glancetrace split'"
                    raise InputError("no pcapng block can look like this", where=where, action=action)
                if position + total <= len(data):
                    yield order, kind, data[position : position + total]
                    position += total
                    continue
            if source.ended:
                if source.damaged:
                    issues.count("capture-damaged")
                elif position < len(data) or source.cut_short:
                    issues.count("capture-cut-short")
                return
            base += position
            data, position = source.read_on(data[position:], BLOCK_SIZE), 0
    finally:
        source.close()
