"""Calls by hand, byte by byte: what no library sends, from broken uploads to pipelined requests.

Each is logged like any other call, with `raw` true and, when the client broke off, `close` how it did.
"""

import socket
import struct
import time
from typing import Any
from urllib.parse import urlsplit

from lab.session import Strand


class Wire:
    """One TCP connection to Glance's public port, with the token of `strand`."""

    def __init__(self, strand: Strand) -> None:
        self.strand, self.calls = strand, strand.lab.calls
        address = urlsplit(strand.lab.glance)
        assert address.hostname
        self.host = address.netloc
        self.socket = socket.create_connection((address.hostname, address.port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = self.socket.getsockname()[1]
        self.received = b""

    def begin(self, method: str, path: str, headers: dict[str, str]) -> dict[str, Any]:
        """Sends a request's head; gives its row, for `end`."""
        row = self.calls.begin(method, self.strand.lab.glance + path, headers, None)
        row.update(raw=True, local_port=self.port)
        lines = {"Host": self.host, "X-Auth-Token": self.strand.token, **headers}
        self.send(f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()) + "\r\n")
        return row

    def send(self, data: str | bytes) -> None:
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def send_in_pieces(self, data: bytes, sizes: list[int]) -> None:
        """Pieces of these sizes, over and over, each in a segment of its own."""
        position = turn = 0
        while position < len(data):
            size = sizes[turn % len(sizes)]
            self.send(data[position : position + size])
            position, turn = position + size, turn + 1
            time.sleep(0.001)

    def answer(self) -> tuple[int, dict[str, str]]:
        """Reads one response; (status, headers), status 0 if the server closed instead."""
        while b"\r\n\r\n" not in self.received:
            if not self.receive():
                return 0, {}
        head, self.received = self.received.split(b"\r\n\r\n", 1)
        lines = head.decode("latin1").split("\r\n")
        headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}
        length = int(headers.get("content-length", 0))
        while len(self.received) < length and self.receive():
            pass
        self.received = self.received[length:]
        return int(lines[0].split()[1]), headers

    def receive(self) -> bool:
        data = self.socket.recv(65536)
        self.received += data
        return bool(data)

    def end(self, row: dict[str, Any], close: str | None = None) -> int | None:
        """Finishes a call: reads its answer, or breaks off with `close` "rst" or "fin"; its status."""
        if close:
            self.close(close)
            row.update(end_ns=time.time_ns(), close=close)
        else:
            status, headers = self.answer()
            row.update(
                end_ns=time.time_ns(),
                status=status,
                request_id=headers.get("x-openstack-request-id"),
                resp_content_length=headers.get("content-length"),
            )
        self.calls.add(row)
        return row.get("status")

    def close(self, how: str = "fin") -> None:
        if how == "rst":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def chunks(data: bytes, size: int, extension: str = "") -> bytes:
    """`data` in chunked coding, without the last chunk."""
    pieces = (data[at : at + size] for at in range(0, len(data), size))
    return b"".join(b"%x%s\r\n%s\r\n" % (len(piece), extension.encode(), piece) for piece in pieces)
