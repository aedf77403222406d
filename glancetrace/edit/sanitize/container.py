"""Writes sanitised packets: pcap for pcap, pcapng for pcapng, and nothing in it but packets.

Comments, host names, interface names, statistics, secrets and unknown blocks of a pcapng file may name anything and are
left out: a section, an interface per link type (times in ns) and Enhanced Packet Blocks remain
(https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html, 4). Record headers are written anew. A thread writes,
while the next packets are made ready.

A file lies beside its place under another name until it is complete: what is written may have to be written again
before it is free of secrets, and nothing is left of what was broken off.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from queue import Queue
from threading import Thread
from types import TracebackType
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from glancetrace.capture.blocks import Int64Array, PacketBlock
from glancetrace.capture.pcapng_blocks import ENHANCED_PACKET
from glancetrace.edit.pcapng_blocks import interface_block, section_header
from glancetrace.errors import GlancetraceError, UsageError
from glancetrace.outfile import PartFile, compressed, compression_of, is_one_of, takes_one_writing

__all__ = ["CaptureWriter"]

_RECORD_LEN = 16
_SNAPLEN = 262_144
_MICROSECONDS = 0xA1B2C3D4
_NANOSECONDS = 0xA1B23C4D
_WAITING = 2
"""Blocks that wait to be written, at most."""

_VOID = b""
"""In place of packets: what was written before goes."""

_Data = bytes | memoryview


class CaptureWriter:
    """Writes one file, compressed if its name asks for it; a context manager.

    Args:
        inputs: paths that must not be overwritten.
        pcapng: write pcapng; pcap holds one link type. nanoseconds: resolution of a pcap file.

    Attributes:
        takes_one_writing: it is a pipe or a device, where nothing can be written again.

    Raises:
        UsageError: the output is an input. GlancetraceError: it cannot be written, told at once or later.
    """

    def __init__(
        self, path: str, inputs: Sequence[str], link_types: Sequence[int], *, pcapng: bool, nanoseconds: bool
    ) -> None:
        if is_one_of(path, inputs):
            raise UsageError("the output would overwrite the input", where=path, action="choose another name")
        self._path = path
        self._part = PartFile(path)
        self.takes_one_writing = takes_one_writing(path)
        self._pcapng = pcapng
        self._unit = 1 if nanoseconds else 1000
        self._interfaces = {link_type: number for number, link_type in enumerate(link_types)}
        if pcapng:
            self._head = section_header() + b"".join(interface_block(one, _SNAPLEN, 9) for one in link_types)
        else:
            magic = _NANOSECONDS if nanoseconds else _MICROSECONDS
            link_type = link_types[0] if link_types else 1
            self._head = struct.pack("<IHHiIII", magic, 2, 4, 0, 0, _SNAPLEN, link_type)
        self._error: OSError | None = None
        self._queue: Queue[_Data | None] = Queue(_WAITING)
        self._thread = Thread(target=self._write_all, name="sanitised packets", daemon=True)

    def restart(self) -> None:
        """Begin again: what was written is void."""
        self._write(_VOID)
        self._write(self._head)

    def write(self, block: PacketBlock, buffer: npt.NDArray[np.uint8], cap_len: Int64Array) -> None:
        """The packets of a block with the bytes of `buffer` in place of its own, as much of each as `cap_len` says.

        Nobody may change the buffer afterwards.
        """
        if self._pcapng:
            self._write(self._blocks(block, buffer, cap_len))
        else:
            self._write(self._records(block, buffer, cap_len))

    def _records(self, block: PacketBlock, buffer: npt.NDArray[np.uint8], cap_len: Int64Array) -> _Data:
        head = np.empty((len(block), 4), "<u4")
        seconds, nanoseconds = np.divmod(block.ts, 1_000_000_000)
        head[:, 0], head[:, 1] = seconds, nanoseconds // self._unit
        head[:, 2], head[:, 3] = cap_len, block.orig_len
        heads = head.view(np.uint8).reshape(len(block), _RECORD_LEN)
        begin = block.offset - _RECORD_LEN
        end = block.offset + block.cap_len
        if begin[0] < 0 or (begin[1:] != end[:-1]).any():
            data = buffer.tobytes()
            spans = zip(block.offset.tolist(), cap_len.tolist(), heads, strict=True)
            return b"".join([one.tobytes() + data[at : at + length] for at, length, one in spans])
        buffer[begin[:, None] + np.arange(_RECORD_LEN)] = heads
        start, stop = int(begin[0]), int(end[-1])
        cut = np.flatnonzero(cap_len < block.cap_len)
        if not len(cut):
            return buffer[start:stop].data
        marks = np.zeros(stop - start + 1, np.int8)
        marks[block.offset[cut] + cap_len[cut] - start] += 1
        np.subtract.at(marks, end[cut] - start, 1)
        kept = np.cumsum(marks[:-1], dtype=np.int8) == 0
        return bytes(buffer[start:stop][kept].tobytes())

    def _blocks(self, block: PacketBlock, buffer: npt.NDArray[np.uint8], cap_len: Int64Array) -> bytes:
        data = buffer.tobytes()
        head, tail = struct.Struct("<IIIIIII"), struct.Struct("<I")
        pieces: list[bytes] = []
        columns = (block.offset, cap_len, block.orig_len, block.ts, block.link_type)
        for offset, length, orig_len, ts, link_type in zip(*(column.tolist() for column in columns), strict=True):
            padding = -length % 4
            total = 32 + length + padding
            ticks = ts & (1 << 64) - 1
            number = self._interfaces[link_type]
            pieces.append(head.pack(ENHANCED_PACKET, total, number, ticks >> 32, ticks & 0xFFFFFFFF, length, orig_len))
            pieces.append(data[offset : offset + length] + bytes(padding))
            pieces.append(tail.pack(total))
        return b"".join(pieces)

    def _write(self, data: _Data) -> None:
        self._queue.put(data)
        self._check()

    def _write_all(self) -> None:
        try:
            self._write_to(compressed(self._file, self._path))
        except OSError as error:
            self._error = error
            while self._queue.get() is not None:  # whoever puts something there must not wait for ever
                pass

    def _write_to(self, stream: BinaryIO) -> None:
        while (data := self._queue.get()) is not None:
            if data is _VOID:
                stream = self._void(stream)
            rest = memoryview(data)
            while rest:
                rest = rest[stream.write(rest) :]
        if stream is not self._file:
            stream.close()

    def _void(self, stream: BinaryIO) -> BinaryIO:
        if stream is not self._file:
            stream.close()  # else its end would come behind what follows
        self._file.seek(0)
        self._file.truncate(0)
        return compressed(self._file, self._path)

    def _check(self) -> None:
        if self._error is not None:
            raise self._failed(self._error) from None

    def _failed(self, error: OSError) -> GlancetraceError:
        what = f"cannot be written: {error.strerror}"
        return GlancetraceError(what, where=self._path, action="make room, or choose another directory")

    def __enter__(self) -> CaptureWriter:
        try:
            # Whoever compresses leaves it to the file to write all of what comes out.
            self._file = self._part.open(-1 if compression_of(self._path) else 0)
        except OSError as error:
            raise self._failed(error) from None
        self._thread.start()
        self._queue.put(self._head)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is not None and self.takes_one_writing:
                return  # nobody may ever read the rest, which the thread would wait for
            self._queue.put(None)
            self._thread.join()
            self._file.close()
            if kind is None:
                self._check()
                self._part.keep()
        except OSError as failure:
            raise self._failed(failure) from None
        finally:
            self._part.discard()
