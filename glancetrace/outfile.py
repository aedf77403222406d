"""Where a file is written: never onto one that is read, and under another name until it is complete."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable

__all__ = ["is_one_of", "part_of", "takes_one_writing"]


def is_one_of(path: str, names: Iterable[str]) -> bool:
    """Whether a path is one of these files, by whatever name, links included; names may be patterns."""
    if not os.path.exists(path):
        return False
    for name in names:
        is_pattern = glob.has_magic(name) and not os.path.lexists(name)
        for one in glob.glob(name, recursive=True) if is_pattern else [name]:
            if os.path.exists(one) and os.path.samefile(path, one):
                return True
    return False


def part_of(path: str) -> str:
    """The name beside a path under which its file is written, until it is complete and moved there."""
    return os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.{os.getpid()}.part")


def takes_one_writing(path: str) -> bool:
    """A pipe or a device stands there: what was written cannot be taken back, nor read again."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
