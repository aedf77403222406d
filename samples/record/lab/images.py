"""Image data to upload: Glance inspects it, so a qcow2 image has to begin like one."""

import random
import struct

VIRTUAL_SIZE = 8 << 30


def qcow2(size: int, seed: int) -> bytes:
    """`size` bytes with a valid version 2 header (docs/interop/qcow2.txt of QEMU), random after that."""
    header = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 16, VIRTUAL_SIZE, 0, 1, 65536, 131072, 1, 0, 0)
    header = header.ljust(512, b"\0")  # no features of version 3 by chance
    return header + random.Random(seed).randbytes(size - len(header))
