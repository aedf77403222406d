"""IP reassembly: fragments become datagrams.

RFC 791, 3.2 and RFC 8200, 4.5. House rules: the first copy of a byte wins; a datagram whose first fragment is older
than 30 s is given up, as hosts do, so that a reused identification does not mix two datagrams; memory is bounded, the
oldest goes first. Fragments that repeat parts of a finished datagram (`tcpdump -i any` sees packets twice) are dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from glancetrace.issues import IssueLog

__all__ = ["FragmentKey", "FragmentTable", "fits_datagram"]

FragmentKey = tuple[bytes, bytes, int, int]
"""Source, destination, identification, protocol (0 for IPv6)."""

_TIMEOUT = 30_000_000_000
_MAX_BYTES = 16 << 20
_MAX_DATAGRAMS = 4096
_MAX_DATAGRAM_LEN = 65535


@dataclass(slots=True)
class _Datagram:
    """Pieces by offset. `total` is known once the last fragment is there; `done`: handed out, kept to know repeats."""

    first_ts: int
    first_frame: int
    pieces: dict[int, bytes] = field(default_factory=dict)
    held: int = 0
    fragment_count: int = 0
    total: int | None = None
    done: bool = False

    def join(self) -> bytes | None:
        """The payload, if no byte of it is missing."""
        if self.total is None or self.held < self.total:
            return None
        parts: list[bytes] = []
        reached = 0
        for offset, piece in sorted(self.pieces.items()):
            if offset > reached:
                return None
            if offset + len(piece) > reached:
                parts.append(piece[reached - offset :])
                reached = offset + len(piece)
        return b"".join(parts)[: self.total] if reached >= self.total else None


class FragmentTable:
    """Datagrams in the making, of one IP version."""

    def __init__(self, issues: IssueLog) -> None:
        self._issues = issues
        self._datagrams: dict[FragmentKey, _Datagram] = {}
        self._held = 0

    def add(self, key: FragmentKey, offset: int, data: bytes, wire_len: int, more: bool, ts: int, frame: int) -> bytes:
        """Take one fragment; the datagram's payload if it completes it, else nothing.

        `data` is what was captured of `wire_len` bytes at `offset`; a fragment that was cut never completes a datagram.
        """
        self._expire(ts)
        datagram = self._datagrams.get(key)
        if datagram is not None and datagram.done:
            if offset:
                return b""
            self._drop(key)
            datagram = None
        if datagram is None:
            datagram = self._datagrams[key] = _Datagram(ts, frame)
        datagram.fragment_count += 1
        if not more and datagram.total is None:
            datagram.total = offset + wire_len
        known = datagram.pieces.get(offset)
        if known is None or len(known) < len(data):
            added = len(data) - len(known or b"")
            datagram.pieces[offset] = (known or b"") + data[len(known or b"") :]
            datagram.held += added
            self._held += added
        payload = datagram.join()
        if payload is None:
            return b""
        self._held -= datagram.held
        datagram.pieces.clear()
        datagram.held = 0
        datagram.done = True
        return payload

    def finish(self) -> None:
        """Count what stayed incomplete."""
        for key in list(self._datagrams):
            self._drop(key)

    def _expire(self, ts: int) -> None:
        while self._datagrams:
            key, oldest = next(iter(self._datagrams.items()))
            if ts - oldest.first_ts <= _TIMEOUT and self._held <= _MAX_BYTES and len(self._datagrams) < _MAX_DATAGRAMS:
                return
            self._drop(key)

    def _drop(self, key: FragmentKey) -> None:
        datagram = self._datagrams.pop(key)
        self._held -= datagram.held
        if not datagram.done:
            self._issues.count("fragment-incomplete", frame=datagram.first_frame, times=datagram.fragment_count)


def fits_datagram(offset: int, wire_len: int) -> bool:
    """Whether a fragment lies inside the longest possible datagram."""
    return wire_len > 0 and offset + wire_len <= _MAX_DATAGRAM_LEN
