"""What decoders are fed: runs of contiguous bytes of one direction of a connection.

A run ends where the direction changes, at a gap and at the edge of a block of packets, so the same stream may arrive
in many small runs or in few large ones: a decoder's rows must not depend on the cut. Runs of the two directions come
in the order in which the bytes were put on the wire: bytes that acknowledge others come after them.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

__all__ = ["FROM_CLIENT", "FROM_SERVER", "Connection", "Endpoint", "Run", "render_endpoint"]

FROM_CLIENT = 0
FROM_SERVER = 1

Endpoint = tuple[str, int]
"""Address in its usual notation and port."""


def render_endpoint(endpoint: Endpoint) -> str:
    """`address:port`, or `[address]:port` for IPv6."""
    address, port = endpoint
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@dataclass(slots=True)
class Run:
    """Contiguous bytes of one direction.

    Attributes:
        direction: `FROM_CLIENT` or `FROM_SERVER`.
        data: the bytes; empty only when the run reports a gap at the end of the stream.
        offsets: where each segment begins in `data`, ascending, first is 0.
        ts: capture time of each segment, ns since the epoch, UTC.
        frames: frame number of each segment (1-based position in the whole input).
        gap: bytes of this direction that are missing right before `data`; 0 when it follows on what came before.
    """

    direction: int
    data: bytes
    offsets: list[int]
    ts: list[int]
    frames: list[int]
    gap: int = 0

    def at(self, offset: int) -> tuple[int, int]:
        """Time (ns) and frame of the byte at `offset` of `data`."""
        index = bisect_right(self.offsets, offset) - 1
        return self.ts[index], self.frames[index]


@dataclass(slots=True, eq=False)
class Connection:
    """One TCP connection as seen in the capture.

    Attributes:
        id: in order of the first packet, from 1; final only when the capture is read to its end.
        client, server: the side that sent the SYN is the client; without a SYN the server is the side with the
            well-known or configured port, else what the content says.
        started_before_capture: no SYN was seen: the first bytes are from the middle of the stream.
        first_ts, last_ts: ns; first_frame: frame of the first packet.
        bytes_seen: payload bytes seen once, by direction (client, server).
        bytes_missing: payload bytes known to be missing, by direction.
        closed: how it ended: "fin", "rst", or "" while open.
    """

    id: int
    client: Endpoint
    server: Endpoint
    started_before_capture: bool
    first_ts: int
    first_frame: int
    last_ts: int = 0
    bytes_seen: list[int] = field(default_factory=lambda: [0, 0])
    bytes_missing: list[int] = field(default_factory=lambda: [0, 0])
    closed: str = ""
