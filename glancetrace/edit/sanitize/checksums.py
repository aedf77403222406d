"""Checksums of IPv4 and TCP headers, for all packets of a block at once (RFC 1071, RFC 9293, 3.1).

Sums of 16-bit words are taken over views of the buffer in the byte order of the machine, which RFC 1071 (2, B) allows,
one view for packets that begin at even places and one for those at odd ones.
"""

from __future__ import annotations

import sys

import numpy as np
import numpy.typing as npt

from glancetrace.capture.blocks import Int64Array

__all__ = ["fill_ipv4_checksums", "fill_tcp_checksums", "words_sum"]

_Bytes = npt.NDArray[np.uint8]
_SWAPPED = sys.byteorder == "little"
_PROTOCOL_TCP = 6


def words_sum(buffer: _Bytes, begin: Int64Array, end: Int64Array) -> Int64Array:
    """Sum of the 16-bit big-endian words of ranges of at least two bytes each; an odd last byte is padded with zero."""
    total = np.zeros(len(begin), np.int64)
    odd = (end - begin) & 1 == 1
    whole_end = end - odd
    for parity in (0, 1):
        rows = np.flatnonzero(begin & 1 == parity)
        if not len(rows):
            continue
        count = (len(buffer) - parity) // 2
        words = np.frombuffer(buffer, np.uint16, count, parity)
        bounds = np.empty(2 * len(rows), np.int64)
        bounds[0::2] = (begin[rows] - parity) // 2
        bounds[1::2] = (whole_end[rows] - parity) // 2
        beyond = bounds[-1] >= count
        if beyond:
            bounds = bounds[:-1]
        sums = np.add.reduceat(words, bounds, dtype=np.int64)[0::2]
        total[rows] = sums
    total = _fold(total)
    if _SWAPPED:
        total = (total >> 8) | ((total & 0xFF) << 8)
    total[odd] += buffer[whole_end[odd]].astype(np.int64) << 8
    return total


def _fold(total: Int64Array) -> Int64Array:
    while (total > 0xFFFF).any():
        total = (total >> 16) + (total & 0xFFFF)
    return total


def _store(buffer: _Bytes, at: Int64Array, total: Int64Array) -> None:
    checksum = ~_fold(total) & 0xFFFF
    buffer[at] = checksum >> 8
    buffer[at + 1] = checksum & 0xFF


def fill_ipv4_checksums(buffer: _Bytes, ip: Int64Array, header_len: Int64Array) -> None:
    """Write the header checksums of IPv4 packets at `ip`."""
    if not len(ip):
        return
    buffer[ip + 10] = buffer[ip + 11] = 0
    _store(buffer, ip + 10, words_sum(buffer, ip, ip + header_len))


def fill_tcp_checksums(buffer: _Bytes, tcp: Int64Array, end: Int64Array, addresses: Int64Array) -> None:
    """Write the checksums of segments from `tcp` to `end`; `addresses`: sums of the words of both addresses."""
    if not len(tcp):
        return
    buffer[tcp + 16] = buffer[tcp + 17] = 0
    length = end - tcp
    _store(buffer, tcp + 16, words_sum(buffer, tcp, end) + addresses + _PROTOCOL_TCP + length)
