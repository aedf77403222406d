"""IP and MAC addresses become others: the same ones everywhere, of the same length in text, prefixes kept.

As in Crypto-PAn (Xu, Fan, Ammar and Moon, "Prefix-Preserving IP Address Anonymization", 2002) what a part of an address
becomes depends on the parts before it and a key, so addresses of one network stay in one network. The parts here are
the octets of IPv4 and the 16-bit groups of IPv6, not bits, and each becomes one with as many digits: the address in a
URL or a row has the length that it had. Networks that do not end at a part are not kept.

Which kind an address is stays: private networks keep their prefix (RFC 1918), link-local, loopback, multicast and
unspecified ones stay what they are; of a MAC address its two lowest bits in the first byte (IEEE 802).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv6Address

from glancetrace.edit.sanitize.pseudonyms import Pseudonyms

__all__ = ["Addresses"]

_ADDRESS = re.compile(
    r"(?<![\w.:-])(?:[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}(?![\w:-])"
    r"|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:(?<=:)(?:[0-9]{1,3}\.){3}[0-9]{1,3})?(?![\w:])"
    r")|(?<![0-9.])(?<![A-Za-z_][0-9])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9]|\.[0-9])"
)
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}")
_HINT = re.compile(r"[0-9]\.[0-9]{1,3}\.[0-9]|[0-9A-Fa-f:]:[0-9A-Fa-f:]")
_PROXY_V2 = b"\r\n\r\n\x00\r\nQUIT\n"
_V4_MAPPED = 0xFFFF << 32
_ROUNDS = 4


class Addresses:
    """Makes addresses of addresses."""

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self._pseudonyms = pseudonyms
        self._known: dict[tuple[bytes, int, int, int], int] = {}

    def v4(self, address: int) -> int:
        """What an IPv4 address becomes."""
        octets = address.to_bytes(4, "big")
        kept = _kept_octets(octets)
        made = bytearray(octets[:kept])
        for octet in octets[kept:]:
            low, high = (0, 9) if octet < 10 else (10, 99) if octet < 100 else (100, 255)
            made.append(self._part(b"4" + octets[: len(made)], octet, low, high))
        return int.from_bytes(made, "big")

    def v6(self, address: int) -> int:
        """What an IPv6 address becomes."""
        if address >> 32 << 32 == _V4_MAPPED:
            return _V4_MAPPED | self.v4(address & 0xFFFFFFFF)
        groups = [address >> shift & 0xFFFF for shift in range(112, -16, -16)]
        multicast = groups[0] >> 8 == 0xFF
        if address <= 1 or (multicast and not any(groups[1:7])):
            return address
        made = 0
        prefix = b"6"
        for number, group in enumerate(groups):
            stays = not group or (number == 0 and (multicast or group & 0xFFC0 == 0xFE80))
            low, high = _group_range(group, unique_local=number == 0 and group >> 9 == 0xFC >> 1)
            made = made << 16 | (group if stays else self._part(prefix, group, low, high))
            prefix += group.to_bytes(2, "big")
        return made

    def mac(self, address: bytes) -> bytes:
        """What a MAC address becomes; broadcast and most multicast stay."""
        kept = 2 if address[:2] == b"\x33\x33" else 6 if address[0] & 1 or not any(address) else 0
        made = bytearray(address[:kept])
        for byte in address[kept:]:
            prefix = b"m" + address[: len(made)]
            if made:
                made.append(self._part(prefix, byte, 0, 255))
            else:
                made.append(self._part(prefix, byte >> 2, 0, 63) << 2 | byte & 3)
        return bytes(made)

    def text(self, text: str) -> str:
        """What an address that is written so becomes, with the same number of characters; itself if it is none."""
        if _MAC.fullmatch(text):
            made = self.mac(bytes.fromhex(text.replace(text[2], ""))).hex(text[2])
            return made.upper() if text.upper() == text and text.lower() != text else made
        head, colon, quad = text.rpartition(":")
        if "." in quad:
            octets = [int(octet) for octet in quad.split(".")]
            if max(octets) > 255:
                return text
            new = self.v4(int.from_bytes(bytes(octets), "big")).to_bytes(4, "big")
            parts = [str(octet).zfill(len(old)) for octet, old in zip(new, quad.split("."), strict=True)]
            return head + colon + ".".join(parts)
        try:
            address = self.v6(int(IPv6Address(text)))
        except ValueError:
            return text
        return _spell(text, [f"{address >> shift & 0xFFFF:x}" for shift in range(112, -16, -16)])

    def proxy_header(self, header: bytes) -> bytes:
        """The same of a header of the PROXY protocol, as text or in binary form (version 2: 2.2)."""
        if not header.startswith(_PROXY_V2):
            text = header.decode("latin-1")
            made = list(text)
            for begin, end in self.find(text):
                made[begin:end] = self.text(text[begin:end])
            return "".join(made).encode("latin-1")
        length, made_of = {1: (4, self.v4), 2: (16, self.v6)}.get(header[13] >> 4, (0, self.v4))
        if not length or len(header) < 16 + 2 * length:
            return header[:16] + bytes(len(header) - 16)
        old = [header[at : at + length] for at in (16, 16 + length)]
        new = b"".join(made_of(int.from_bytes(one, "big")).to_bytes(length, "big") for one in old)
        rest = header[16 + 2 * length :]
        return header[:16] + new + rest[:4] + bytes(len(rest) - min(4, len(rest)))

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Where addresses stand in a text."""
        if _HINT.search(text):
            for match in _ADDRESS.finditer(text):
                if match[0].strip(":"):
                    yield match.span()

    def _part(self, prefix: bytes, part: int, low: int, high: int) -> int:
        """A part between `low` and `high` becomes another one between them: a permutation for each prefix."""
        key = (prefix, part, low, high)
        made = self._known.get(key)
        if made is None:
            made = part - low
            half = ((high - low).bit_length() + 1) // 2
            while True:  # a Feistel network, walked until it is back in the range
                left, right = made >> half, made & (1 << half) - 1
                for number in range(_ROUNDS):
                    mixed = self._pseudonyms.digest(prefix + b"%d %d %d" % (low, number, right))[0]
                    left, right = right, left ^ mixed & (1 << half) - 1
                made = left << half | right
                if made <= high - low:
                    break
            made = self._known[key] = made + low
        return made


def _kept_octets(octets: bytes) -> int:
    first, second = octets[0], octets[1]
    if first in (0, 127) or first >= 224:
        return 4
    if (first, second) in ((192, 168), (169, 254)) or (first == 172 and 16 <= second < 32):
        return 2
    return 1 if first == 10 else 0


def _group_range(group: int, *, unique_local: bool) -> tuple[int, int]:
    """Groups with as many digits; unique local addresses (fc00::/7, RFC 4193) stay such."""
    if unique_local:
        return group & 0xFF00, group | 0xFF
    digits = max(1, (group.bit_length() + 3) // 4)
    return 1 << 4 * (digits - 1), (1 << 4 * digits) - 1


def _spell(text: str, groups: list[str]) -> str:
    """Groups as they are written in `text`: case, leading zeros and what is left out."""
    written = text.split(":")
    places = list(range(len(written)))
    if "::" in text:
        before = text[: text.index("::")].split(":")
        left = 0 if before == [""] else len(before)
        places = [number if number < left else number + 8 - len(written) for number in places]
    spelled: list[str] = []
    for place, old in zip(places, written, strict=True):
        new = groups[place].zfill(len(old)) if old else ""
        spelled.append(new.upper() if old.upper() == old and old.lower() != old else new)
    return ":".join(spelled)
