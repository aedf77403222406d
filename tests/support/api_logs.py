"""The logs recorded beside `cli-tls13-logs`, and that capture as a public network has it."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import zstandard

from tests.support.samples import SAMPLES, capture_path

__all__ = ["DATABASE", "FOLDER", "LOGS", "log_path", "log_text", "public_capture"]

FOLDER = SAMPLES / "cli-tls13-logs"

LOGS = ("openstack-debug.txt.gz", "openstack-debug.log.gz", "haproxy.log", "glance-access.log", "keystone-access.log",
        "glance.log", "keystone.log")  # fmt: skip

PUBLIC = frozenset({13000, 13292, 3306})
DATABASE = frozenset({3306})


def log_path(name: str) -> str:
    """Path of a log."""
    return str(FOLDER / name)


def log_text(name: str) -> str:
    """Text of a log."""
    data = (FOLDER / name).read_bytes()
    return (gzip.decompress(data) if name.endswith(".gz") else data).decode()


def public_capture(folder: Path, ports: frozenset[int] = PUBLIC) -> Path:
    """The capture without the plain hops behind the proxy, as `port 13000 or port 13292 or port 3306` records it.

    Or with other ports.
    """
    path = folder / "public.pcap"
    with capture_path("cli-tls13-logs").open("rb") as packed:
        data = zstandard.ZstdDecompressor().stream_reader(packed).read()
    kept = [data[:24]]
    at = 24
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at + 8)
        packet = data[at + 16 : at + 16 + length]
        header = 14 + 4 * (packet[14] & 15)
        if ports & set(struct.unpack_from(">HH", packet, header)):
            kept.append(data[at : at + 16 + length])
        at += 16 + length
    path.write_bytes(b"".join(kept))
    return path
