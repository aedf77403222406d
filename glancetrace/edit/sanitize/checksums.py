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
_PLAIN_LEN, _IPV4_CHECKSUM = 20, 10
"""Bytes of an IPv4 header without options, and where in it the checksum stands."""


def words_sum(buffer: _Bytes, begin: Int64Array, end: Int64Array) -> Int64Array:
    """Sum of the 16-bit big-endian words of ranges of at least four bytes each; an odd last byte is padded with zero.

    It is taken over 32-bit words, since 2^16 is 1 modulo 2^16 - 1.
    """
    total = np.zeros(len(begin), np.int64)
    whole_end = end - ((end - begin) & 3)
    for phase in range(4):
        rows = np.flatnonzero(begin & 3 == phase)
        if not len(rows):
            continue
        count = (len(buffer) - phase) // 4
        words = np.frombuffer(buffer, np.uint32, count, phase)
        bounds = np.empty(2 * len(rows), np.int64)
        bounds[0::2] = (begin[rows] - phase) // 4
        bounds[1::2] = (whole_end[rows] - phase) // 4
        if bounds[-1] >= count:
            bounds = bounds[:-1]
        total[rows] = np.add.reduceat(words, bounds, dtype=np.uint64)[0::2].astype(np.int64)
    total = _fold(total)
    if _SWAPPED:
        total = (total >> 8) | ((total & 0xFF) << 8)
    for left, shift in ((1, 8), (2, 0), (3, 8)):
        rows = np.flatnonzero(end - whole_end >= left)
        total[rows] += buffer[whole_end[rows] + left - 1].astype(np.int64) << shift
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
    plain = header_len == _PLAIN_LEN
    _fill_plain(buffer, ip[plain])
    ip, header_len = ip[~plain], header_len[~plain]
    if len(ip):
        buffer[ip + _IPV4_CHECKSUM] = buffer[ip + _IPV4_CHECKSUM + 1] = 0
        _store(buffer, ip + _IPV4_CHECKSUM, words_sum(buffer, ip, ip + header_len))


def _fill_plain(buffer: _Bytes, ip: Int64Array) -> None:
    """The same of headers without options, nearly all of them: a word of all headers at a time."""
    if not len(ip):
        return
    words = np.ndarray((len(buffer) - 1,), ">u2", buffer, 0, (1,))
    total = np.zeros(len(ip), np.int64)
    for at in range(0, _PLAIN_LEN, 2):
        if at != _IPV4_CHECKSUM:
            total += words[ip + at]
    _store(buffer, ip + _IPV4_CHECKSUM, total)


def fill_tcp_checksums(buffer: _Bytes, tcp: Int64Array, end: Int64Array, addresses: Int64Array) -> None:
    """Write the checksums of segments from `tcp` to `end`; `addresses`: sums of the words of both addresses."""
    if not len(tcp):
        return
    buffer[tcp + 16] = buffer[tcp + 17] = 0
    length = end - tcp
    _store(buffer, tcp + 16, words_sum(buffer, tcp, end) + addresses + _PROTOCOL_TCP + length)
