"""Integers at arbitrary byte positions of a buffer, gathered as columns.

numpy can look at a buffer as if an integer began at every byte (a stride of one): indexing such a view with an array of
positions reads that field of all packets in one call. Positions behind the end read the last integer of the buffer
instead of failing: whoever asks has checked lengths, or masks the row afterwards.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from glancetrace.capture.blocks import Int64Array

__all__ = ["Columns"]

_LONGEST = 16


class Columns:
    """Views of `data`; `byteorder` is ">" (network order, the default) or "<"."""

    __slots__ = ("_data", "_order", "_views")

    def __init__(self, data: bytes, byteorder: str = ">") -> None:
        self._data = data if len(data) >= _LONGEST else data + bytes(_LONGEST)
        self._order = byteorder
        self._views: dict[int, npt.NDArray[np.unsignedinteger]] = {}

    def _gather(self, width: int, position: Int64Array) -> npt.NDArray[np.unsignedinteger]:
        view = self._views.get(width)
        if view is None:
            count = len(self._data) - width + 1
            view = np.ndarray((count,), f"{self._order}u{width}", self._data, 0, (1,))
            self._views[width] = view
        return view[np.minimum(position, len(view) - 1)]

    def u8(self, position: Int64Array) -> Int64Array:
        """int64[n]: the byte at each position."""
        return self._gather(1, position).astype(np.int64)

    def u16(self, position: Int64Array) -> Int64Array:
        """int64[n]: the 16-bit integer at each position."""
        return self._gather(2, position).astype(np.int64)

    def u32(self, position: Int64Array) -> Int64Array:
        """int64[n]: the 32-bit integer at each position."""
        return self._gather(4, position).astype(np.int64)

    def u32s(self, position: Int64Array, count: int) -> Int64Array:
        """int64[count, n]: so many 32-bit integers, at most four, in a row at each position."""
        size = 4 * count
        view = np.ndarray((len(self._data) - size + 1,), f"V{size}", self._data, 0, (1,))
        return view[np.minimum(position, len(view) - 1)].view(f"{self._order}u4").reshape(-1, count).T.astype(np.int64)

    def u64(self, position: Int64Array) -> npt.NDArray[np.uint64]:
        """uint64[n]: the 64-bit integer at each position."""
        return self._gather(8, position).astype(np.uint64)
