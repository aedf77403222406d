"""What readers hand on: blocks of packets as columns over one buffer.

A block is a few MiB of capture. Its columns say where each packet lies in the buffer; no object is made per packet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Int64Array", "PacketBlock"]

Int64Array = npt.NDArray[np.int64]


@dataclass(slots=True, eq=False, repr=False)
class PacketBlock:
    """Packets as they stand in a capture, one row each.

    Attributes:
        data: the buffer that the offsets point into.
        first_frame: frame number of row 0; rows are numbered on from it. 1-based, over the whole input.
        offset: int64[n], first byte of each packet in `data`.
        cap_len: int64[n], captured bytes. orig_len: int64[n], bytes on the wire.
        ts: int64[n], capture time, ns since the epoch, UTC.
        link_type: int64[n], LINKTYPE_ value of each packet (https://www.tcpdump.org/linktypes.html).
    """

    data: bytes
    first_frame: int
    offset: Int64Array
    cap_len: Int64Array
    orig_len: Int64Array
    ts: Int64Array
    link_type: Int64Array

    def __len__(self) -> int:
        return len(self.offset)
