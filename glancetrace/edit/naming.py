"""Names of the pieces of a split: those that editcap gives.

`<stem>_NNNNN_YYYYmmddHHMMSS<ext>`: the ordinal from 0, the time of the first packet, both before the last dot of the
name, and before the one before it where the last is that of compression (Wireshark, `editcap.c`,
`fileset_extract_prefix_suffix`). So do editcaps that compress (those with `--compress`); older ones write plain bytes
to `out.pcap_00000_....gz`.
"""

from __future__ import annotations

import os
import re
import time

from glancetrace.outfile import compression_of

__all__ = ["label_path", "piece_path"]

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_LABEL = 80


def _with_infix(output: str, infix: str) -> str:
    """`infix` before the extension of the name, if it has one: `.pcap`, `.pcap.gz`."""
    directory, name = os.path.split(output)
    compression = compression_of(name)
    stem, dot, extension = name.removesuffix(compression).rpartition(".")
    if not dot:
        stem, extension = extension, stem
    return os.path.join(directory, f"{stem}_{infix}{dot}{extension}{compression}")


def piece_path(output: str, ordinal: int, first_ts: int, *, utc: bool = False) -> str:
    """Path of a piece; `first_ts` in ns. The time is local as editcap's, so that it differs between hosts, or UTC."""
    zone = time.gmtime if utc else time.localtime
    return _with_infix(output, f"{ordinal:05d}_{time.strftime('%Y%m%d%H%M%S', zone(first_ts // 1_000_000_000))}")


def label_path(output: str, label: str) -> str:
    """Path of the piece of something that has a name; names in a capture may be anything, so it is cut down."""
    return _with_infix(output, _UNSAFE.sub("-", label)[:_LONGEST_LABEL].strip("-.") or "unnamed")
