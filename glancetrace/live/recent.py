"""The same thing seen on two legs: behind a proxy every call and every statement passes twice, milliseconds apart.

`Recent` remembers what was seen lately, and on which server's leg. A second sight on another server is the other leg;
on the same server it is a new event. Memory is bounded by a span of capture time and by a count.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from glancetrace.net.run import Endpoint

__all__ = ["Recent"]

_SPAN = 1_000_000_000
_COUNT = 8192


class Recent:
    """What was seen during the last second of capture time."""

    def __init__(self) -> None:
        self._seen: OrderedDict[Hashable, tuple[int, Endpoint]] = OrderedDict()

    def is_other_leg(self, key: Hashable, ts: int, server: Endpoint) -> bool:
        """Whether `key` was seen within a second before `ts` (ns) on another server; if not, it is remembered."""
        known = self._seen.get(key)
        if known is not None and abs(ts - known[0]) <= _SPAN and known[1] != server:
            return True
        self._seen[key] = ts, server
        self._seen.move_to_end(key)
        while len(self._seen) > _COUNT:
            self._seen.popitem(last=False)
        return False
