"""The compressed protocol: a layer of its own below packets, which do not keep to its frames.

MySQL Server documentation, "Compressed Packet" (page_protocol_basic_compression_packet.html): int<3> length, int<1>
compressed sequence id, int<3> length before compression (0: the payload is not compressed), payload. The payload is
deflated (zlib) or a Zstandard frame (CLIENT_ZSTD_COMPRESSION_ALGORITHM), which its first bytes tell apart, so a session
that began before the capture is recognised too. The sequence ids of both directions count on together and start at 0
with each command; a frame that breaks the count shows that bytes are missing.

The packets inside are handed on as runs: their first bytes have the place of the frame's first byte, the last one that
of the frame's last byte. Their own sequence ids are not reliable (servers copy the frames' ids into them).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

from glancetrace.mysql.commands import is_request
from glancetrace.mysql.packets import Channel
from glancetrace.net.run import FROM_CLIENT, Run

__all__ = ["FRAME_HEADER_LEN", "CompressedLayer", "is_compressed_request"]

FRAME_HEADER_LEN = 7
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_UNKNOWN_GAP = 1 << 40


def _algorithm(data: bytes, pos: int) -> str:
    """`zlib` or "zstd" by the first bytes of a compressed payload, empty when it is neither."""
    if data[pos : pos + 4] == _ZSTD_MAGIC:
        return "zstd"
    if data[pos] & 0x0F == 8 and (data[pos] << 8 | data[pos + 1]) % 31 == 0:
        return "zlib"
    return ""


def is_compressed_request(data: bytes) -> bool | None:
    """A frame that can hold a request begins here; None when more bytes are needed."""
    if len(data) < 4:
        return None
    if data[3]:
        return False
    length = int.from_bytes(data[:3], "little")
    if len(data) < min(FRAME_HEADER_LEN + length, 14):
        return None
    plain_len = int.from_bytes(data[4:7], "little")
    if length < 5:
        return False
    if plain_len:
        return plain_len > length and bool(_algorithm(data, FRAME_HEADER_LEN))
    return is_request(data, FRAME_HEADER_LEN) and int.from_bytes(data[7:10], "little") + 4 <= length


class CompressedLayer:
    """Frames of both directions of one session, from the first command on.

    `count` is called with an issue's kind and a frame; `algorithm` becomes "zlib" or "zstd" when one is seen.
    """

    __slots__ = ("_channels", "_count", "_sequence", "_synced", "_unsure", "algorithm")

    def __init__(self, count: Callable[[str, int], None]) -> None:
        self.algorithm = ""
        self._count = count
        self._channels = (Channel(), Channel())
        self._synced = [True, True]
        self._sequence = 0
        self._unsure = False
        """Framing was lost and is taken up again: what follows may be no frame."""

    def push(self, run: Run, turn: bool) -> list[Run]:
        """Runs of packets that the bytes of `run` complete; `turn`: the other direction spoke before."""
        channel = self._channels[run.direction]
        runs: list[Run] = []
        if run.gap or (turn and not self._synced[run.direction]):
            channel.clear()
            self._synced[run.direction] = True
            self._unsure = True
        if run.gap:
            runs.append(_gap(run.direction))
        if not self._synced[run.direction] or not run.data or not channel.push(run):
            return runs
        while channel.available >= FRAME_HEADER_LEN:
            data, pos = channel.data, channel.pos
            length = int.from_bytes(data[pos : pos + 3], "little")
            sequence = data[pos + 3]
            if not length or (sequence != self._sequence and (sequence or run.direction != FROM_CLIENT)):
                if not self._unsure:
                    self._count("mysql-malformed", channel.place(pos)[1])
                    runs.append(_gap(run.direction))
                self._synced[run.direction] = False
                channel.clear()
                return runs
            if channel.available < FRAME_HEADER_LEN + length:
                channel.need = FRAME_HEADER_LEN + length
                return runs
            self._sequence = sequence + 1 & 0xFF
            self._unsure = False
            plain = self._plain(data[pos : pos + FRAME_HEADER_LEN + length], channel.place(pos)[1])
            first = channel.place(pos)
            channel.consume(FRAME_HEADER_LEN + length)
            runs.append(_run(run.direction, plain, first, channel.last_place()))
        channel.need = FRAME_HEADER_LEN
        return runs

    def _plain(self, frame: bytes, number: int) -> bytes:
        """What a frame holds; empty when it cannot be decompressed."""
        plain_len = int.from_bytes(frame[4:7], "little")
        payload = frame[FRAME_HEADER_LEN:]
        if not plain_len:
            return payload
        algorithm = _algorithm(frame, FRAME_HEADER_LEN) if len(payload) > 4 else ""
        plain = _DECOMPRESSORS[algorithm](payload, plain_len) if algorithm else b""
        if len(plain) != plain_len:
            self._count("mysql-compression-undecodable", number)
            return b""
        self.algorithm = algorithm
        return plain


def _gap(direction: int) -> Run:
    return Run(direction, b"", [0], [0], [0], _UNKNOWN_GAP)


def _run(direction: int, plain: bytes, first: tuple[int, int], last: tuple[int, int]) -> Run:
    if not plain:
        return _gap(direction)
    if len(plain) == 1 or first == last:
        return Run(direction, plain, [0], [last[0]], [last[1]])
    return Run(direction, plain, [0, len(plain) - 1], [first[0], last[0]], [first[1], last[1]])


def _inflate(payload: bytes, plain_len: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(payload, plain_len)
    except zlib.error:
        return b""


def _unzstd(payload: bytes, plain_len: int) -> bytes:
    import zstandard

    try:
        return zstandard.ZstdDecompressor().stream_reader(payload).read(plain_len + 1)
    except zstandard.ZstdError:
        return b""


_DECOMPRESSORS: dict[str, Callable[[bytes, int], bytes]] = {"zlib": _inflate, "zstd": _unzstd}
