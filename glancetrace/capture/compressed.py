"""Compressed captures: gzip, zstd, xz and lz4, told by their first bytes, never by their name.

RFC 1952, RFC 8878, the xz and lz4 frame formats; streams of several members or frames, as `cat a.gz b.gz` makes them.
Decompression runs in a thread of its own, some pieces ahead of the reader; what is read does not depend on its timing.
A stream that ends too early, or is broken, gives everything before that place. What one call returns is bounded, so
that a decompression bomb is only a long stream.
"""

from __future__ import annotations

import lzma
import queue
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from glancetrace.capture.source import ByteSource, RawSource
from glancetrace.errors import InputError

__all__ = ["decompressed"]

_PIECE = 1 << 20
_PIECES_AHEAD = 8
_INPUT = 128 << 10
# zstd cannot bound its output, but 4 KiB of it never become more than 128 MiB.
_ZSTD_INPUT = 4 << 10


class _Decoder(Protocol):
    """Decompresses one member or frame. `rest` is input behind its end."""

    @property
    def ended(self) -> bool: ...

    @property
    def wants_input(self) -> bool: ...

    @property
    def rest(self) -> bytes: ...

    def take(self, data: bytes) -> bytes: ...


class _Gzip:
    """zlib hands unused input back."""

    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(wbits=31)

    @property
    def ended(self) -> bool:
        return self._decoder.eof

    @property
    def wants_input(self) -> bool:
        return not self._decoder.unconsumed_tail

    @property
    def rest(self) -> bytes:
        return self._decoder.unused_data

    def take(self, data: bytes) -> bytes:
        return self._decoder.decompress(self._decoder.unconsumed_tail + data, _PIECE)


class _Xz:
    """lzma keeps unused input."""

    def __init__(self) -> None:
        self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ)

    @property
    def ended(self) -> bool:
        return self._decoder.eof

    @property
    def wants_input(self) -> bool:
        return self._decoder.needs_input

    @property
    def rest(self) -> bytes:
        return self._decoder.unused_data

    def take(self, data: bytes) -> bytes:
        return self._decoder.decompress(data, _PIECE)


class _Lz4:
    """Works as lzma does."""

    def __init__(self) -> None:
        import lz4.frame

        self._decoder = lz4.frame.LZ4FrameDecompressor()

    @property
    def ended(self) -> bool:
        return bool(self._decoder.eof)

    @property
    def wants_input(self) -> bool:
        return bool(self._decoder.needs_input)

    @property
    def rest(self) -> bytes:
        return bytes(self._decoder.unused_data or b"")

    def take(self, data: bytes) -> bytes:
        return bytes(self._decoder.decompress(data, max_length=_PIECE))


class _Zstd:
    """zstd gives all output of its input at once."""

    def __init__(self) -> None:
        import zstandard

        self._decoder = zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()

    wants_input = True

    @property
    def ended(self) -> bool:
        return self._decoder.eof

    @property
    def rest(self) -> bytes:
        return self._decoder.unused_data

    def take(self, data: bytes) -> bytes:
        return self._decoder.decompress(data) if data else b""


@dataclass(frozen=True, slots=True)
class _Codec:
    """A compression format: how members begin, and how much input a decoder gets at a time."""

    name: str
    magic: bytes
    new_decoder: Callable[[], _Decoder]
    input_size: int


_CODECS = (
    _Codec("gzip", b"\x1f\x8b", _Gzip, _INPUT),
    _Codec("zstd", b"\x28\xb5\x2f\xfd", _Zstd, _ZSTD_INPUT),
    _Codec("xz", b"\xfd7zXZ\x00", _Xz, _INPUT),
    _Codec("lz4", b"\x04\x22\x4d\x18", _Lz4, _INPUT),
)
_LONGEST_MAGIC = max(len(codec.magic) for codec in _CODECS)


def _broken_stream_errors() -> tuple[type[Exception], ...]:
    import zstandard

    return zlib.error, lzma.LZMAError, zstandard.ZstdError, RuntimeError


class _Decompressor:
    """Turns a compressed source into pieces; says afterwards whether it was cut short or damaged."""

    def __init__(self, raw: RawSource, codec: _Codec) -> None:
        self._raw = raw
        self._codec = codec
        self.cut_short = False
        self.damaged = False

    def pieces(self) -> Iterator[bytes]:
        """The decompressed bytes, at most `_PIECE` at a time."""
        data: bytes | None = b""
        while data is not None:
            decoder = self._codec.new_decoder()
            try:
                yield from self._member(decoder, data)
            except _broken_stream_errors():
                self.damaged = True
                return
            if not decoder.ended:
                self.cut_short = True
                return
            data = self._next_member(decoder.rest)

    def _member(self, decoder: _Decoder, data: bytes) -> Iterator[bytes]:
        gathered: list[bytes] = []
        gathered_len = 0
        while not decoder.ended:
            if not data and decoder.wants_input:
                data = self._raw.read_on(b"", self._codec.input_size)
                at_end = not data
            else:
                at_end = False
            piece = decoder.take(data)
            data = b""
            gathered.append(piece)
            gathered_len += len(piece)
            if gathered_len >= _PIECE or (at_end and not piece):
                yield from _cut(b"".join(gathered))
                gathered, gathered_len = [], 0
            if at_end and not piece:
                return
        yield from _cut(b"".join(gathered))

    def _next_member(self, rest: bytes) -> bytes | None:
        """The start of the next member; None at the end. Zeros between members are padding."""
        while True:
            rest = rest.lstrip(b"\0")
            if len(rest) >= _LONGEST_MAGIC:
                break
            more = self._raw.read_on(b"", self._codec.input_size)
            if not more:
                break
            rest += more
        if rest.startswith(self._codec.magic):
            return rest
        self.damaged = bool(rest)
        return None


def _cut(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE] if len(data) > _PIECE else data


class DecompressedSource:
    """A `ByteSource` over what a compressed input holds."""

    def __init__(self, raw: RawSource, codec: _Codec) -> None:
        self.name = raw.name
        self.compression = codec.name
        self.ended = False
        self._raw = raw
        self._decompressor = _Decompressor(raw, codec)
        self._ahead = b""
        self._queue: queue.Queue[bytes | InputError | None] = queue.Queue(_PIECES_AHEAD)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{codec.name} of a capture", daemon=True)
        self._thread.start()

    @property
    def cut_short(self) -> bool:
        """See `ByteSource`; final once the source has ended."""
        return self._decompressor.cut_short

    @property
    def damaged(self) -> bool:
        """See `ByteSource`; final once the source has ended."""
        return self._decompressor.damaged

    def _run(self) -> None:
        try:
            for piece in self._decompressor.pieces():
                if not self._hand_over(piece):
                    return
            self._hand_over(None)
        except InputError as error:
            self._hand_over(error)

    def _hand_over(self, item: bytes | InputError | None) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def read_on(self, carry: bytes, size: int) -> bytes:
        """See `ByteSource`."""
        parts = [carry]
        while size > 0 and not self.ended:
            if not self._ahead:
                item = self._queue.get()
                if item is None:
                    self.ended = True
                    break
                if isinstance(item, InputError):
                    raise item
                self._ahead = item
            parts.append(self._ahead[:size])
            self._ahead = self._ahead[size:]
            size -= len(parts[-1])
        return b"".join(parts)

    def continue_from(self, data: bytes, position: int, size: int) -> tuple[bytes, int]:
        """See `ByteSource`."""
        return self.read_on(data[position:], size), 0

    def bytes_read(self) -> int:
        """See `ByteSource`."""
        return self._raw.bytes_read()

    def close(self) -> None:
        """See `ByteSource`."""
        self._stop.set()
        self._thread.join()
        self._raw.close()


def decompressed(raw: RawSource) -> ByteSource:
    """`raw` itself, or what it holds if it is compressed."""
    start = raw.peek(_LONGEST_MAGIC)
    for codec in _CODECS:
        if start.startswith(codec.magic):
            return DecompressedSource(raw, codec)
    return raw
