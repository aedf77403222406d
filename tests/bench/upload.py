"""`python -m tests.bench.upload BYTES [FILE]`: a valid capture of one upload of any size.

The sample capture of the article is played again, with its last upload replaced by a body of the wanted size: head,
SQL up to `saving`, the body in chunks of 64 KiB, then the SQL up to `active` with the size and the checksums of the new
body. So the story is real, and the hashes on the wire must equal the recorded ones. Without FILE the capture goes to
standard output as fast as it is read; what was written is told on standard error, as JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from tests.bench.packets import PacketWriter
from tests.bench.recorded import Endpoint, Message, read_messages
from tests.support.samples import capture_path

__all__ = ["Upload", "write_upload"]

CHUNK = 65536
_CHUNKS = 256
_MYSQL_PORT = 3306
_PUT = re.compile(rb"PUT /v2/images/([0-9a-f-]{36})/file HTTP/1\.1\r\n.*?\r\n\r\n", re.DOTALL)


@dataclass(frozen=True)
class Upload:
    """What was written: the image, its body, and the capture around it."""

    image_id: str
    size: int
    md5: str
    sha512: str
    packets: int
    capture_bytes: int


class Writer(Protocol):
    """What messages are written with: `PacketWriter`, or one that encrypts them first."""

    ts: int
    packets: int
    octets: int

    def send(self, message: Message) -> None:
        """Write one message."""

    def send_bulk(self, source: Endpoint, destination: Endpoint, stream: bytes) -> int:
        """Write the start of `stream`; returns how much of it."""


def write_upload(out: BinaryIO, size: int, make_writer: Callable[[BinaryIO], Writer] = PacketWriter) -> Upload:
    """Write a capture whose last upload has `size` bytes (at least 1)."""
    messages = read_messages(capture_path("article"))
    head_at, image_id = _find_upload(messages)
    active_at = _find_save(messages, head_at, image_id)
    put = messages[head_at]
    writer = make_writer(out)
    for position, message in enumerate(messages[:active_at]):
        if position == head_at:
            match = _PUT.search(message.data)
            assert match is not None
            message = replace(message, data=message.data[: match.end()])
        writer.send(message)
    hashes = (hashlib.md5(), hashlib.sha512())
    tail = b""
    for piece in _framed_body(size, hashes):
        stream = tail + piece
        tail = stream[writer.send_bulk(put.source, put.destination, stream) :]
    for rest in (tail, b"0\r\n\r\n"):
        writer.send(Message(0, put.source, put.destination, rest))
    md5, sha512 = (digest.hexdigest() for digest in hashes)
    delay = writer.ts - messages[active_at].ts
    swap = _Swap(_recorded_body(messages[active_at:], image_id), (size, md5, sha512))
    for message in messages[active_at:]:
        writer.send(replace(swap.apply(message), ts=message.ts + delay + 10**6))
    return Upload(image_id, size, md5, sha512, writer.packets, writer.octets)


def _find_upload(messages: list[Message]) -> tuple[int, str]:
    """Position of the last PUT of image data, and its image."""
    for position in range(len(messages) - 1, -1, -1):
        match = _PUT.match(messages[position].data)
        if match:
            return position, match[1].decode()
    raise LookupError("no upload in the sample")


def _find_save(messages: list[Message], head_at: int, image_id: str) -> int:
    """Position of the ping that opens the unit of work which makes the image active."""
    wanted = f"WHERE images.id = '{image_id}' AND images.status = 'saving'".encode()
    ping = head_at
    for position in range(head_at, len(messages)):
        if messages[position].data == b"\x01\0\0\0\x0e":
            ping = position
        if wanted in messages[position].data:
            return ping
    raise LookupError("the upload of the sample was never saved")


def _recorded_body(messages: list[Message], image_id: str) -> tuple[int, str, str]:
    """Size, md5 and sha512 that the sample's database recorded."""
    pattern = rb"UPDATE images SET id='%b'.* size=(\d+),.* checksum='(\w+)'.* os_hash_value='(\w+)'"
    for message in messages:
        match = re.search(pattern % image_id.encode(), message.data)
        if match:
            return int(match[1]), match[2].decode(), match[3].decode()
    raise LookupError("no size in the sample")


def _framed_body(size: int, hashes: tuple[hashlib._Hash, ...]) -> Iterator[bytes]:
    """The body with its chunk framing, some MiB at a time; its data go through `hashes`."""
    data = np.random.default_rng(1).integers(0, 256, (_CHUNKS, CHUNK), np.uint8)
    framed = np.empty((_CHUNKS, CHUNK + 9), np.uint8)
    framed[:, :7] = np.frombuffer(b"10000\r\n", np.uint8)
    framed[:, -2:] = np.frombuffer(b"\r\n", np.uint8)
    full, rest = divmod(size, CHUNK)
    with ThreadPoolExecutor(len(hashes)) as pool:
        for first in range(0, full, _CHUNKS):
            count = min(_CHUNKS, full - first)
            data[:count, :8] = np.arange(first, first + count, dtype="<u8").view(np.uint8).reshape(-1, 8)
            running = [pool.submit(digest.update, data[:count].data) for digest in hashes]
            framed[:count, 7:-2] = data[:count]
            yield framed[:count].tobytes()
            for update in running:
                update.result()
    if rest:
        last = data[-1, :rest].tobytes()
        for digest in hashes:
            digest.update(last)
        yield b"%x\r\n%b\r\n" % (rest, last)


class _Swap:
    """Puts another size and other checksums into recorded messages and mends the lengths around them."""

    def __init__(self, old: tuple[int, str, str], new: tuple[int, str, str]) -> None:
        old_size, new_size = str(old[0]).encode(), str(new[0]).encode()
        pairs = [
            (b" size=%b," % old_size, b" size=%b," % new_size),
            (b'"size": %b,' % old_size, b'"size": %b,' % new_size),
            (bytes([len(old_size)]) + old_size, bytes([len(new_size)]) + new_size),
        ]
        pairs += [(was.encode(), now.encode()) for was, now in zip(old[1:], new[1:], strict=True)]
        self._pairs = pairs

    def apply(self, message: Message) -> Message:
        """The message with the new values."""
        mysql = _MYSQL_PORT in (message.source[1], message.destination[1])
        data = self._mysql(message.data) if mysql else self._http(message.data)
        return replace(message, data=data)

    def _texts(self, data: bytes) -> bytes:
        for was, now in self._pairs:
            data = data.replace(was, now)
        return data

    def _mysql(self, data: bytes) -> bytes:
        packets = []
        position = 0
        while position < len(data):
            length = int.from_bytes(data[position : position + 3], "little")
            payload = self._texts(data[position + 4 : position + 4 + length])
            packets.append(len(payload).to_bytes(3, "little") + data[position + 3 : position + 4] + payload)
            position += 4 + length
        return b"".join(packets)

    def _http(self, data: bytes) -> bytes:
        head, blank, body = data.partition(b"\r\n\r\n")
        mended = self._texts(body)
        if len(mended) != len(body):
            length = b"\\g<1>%d" % len(mended)
            head = re.sub(rb"(?i)(\r\ncontent-length: )\d+", length, head)
        return head + blank + mended


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.upload", description=__doc__)
    parser.add_argument("size", type=int, help="bytes of the upload's body")
    parser.add_argument("file", type=Path, nargs="?", help="default: standard output")
    options = parser.parse_args()
    if options.file:
        with options.file.open("wb") as out:
            upload = write_upload(out, options.size)
    else:
        upload = write_upload(sys.stdout.buffer, options.size)
    print(json.dumps(asdict(upload)), file=sys.stderr)


if __name__ == "__main__":
    main()
