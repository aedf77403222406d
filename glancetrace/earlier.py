"""A result that was written before, from where somebody names it in place of captures.

A directory is a saved trace (`export --to parquet`, `Trace.save`); a file that begins as JSON does is what `analyze
--format json` wrote; all else are captures.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from glancetrace.errors import InputError

if TYPE_CHECKING:
    from glancetrace.result import Result

__all__ = ["is_earlier", "read_earlier"]


def is_earlier(paths: Sequence[str]) -> bool:
    """Whether this names a result and no captures."""
    from glancetrace.json_result import is_result

    return len(paths) == 1 and (os.path.isdir(paths[0]) or is_result(paths[0]))


def read_earlier(path: str) -> Result:
    """The result that `path` names.

    Raises:
        InputError: it is damaged, or the directory holds none.
    """
    if not os.path.isdir(path):
        from glancetrace.json_result import JsonResult, read_result

        return JsonResult(read_result(path), path)
    from glancetrace.saved import load

    if not os.path.exists(os.path.join(path, "capture.parquet")):
        raise InputError(
            "is a directory without a saved trace", where=path, action="name the captures in it: directory/*.pcap"
        )
    return load(path)
