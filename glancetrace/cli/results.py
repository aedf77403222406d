"""What a command that shows a result is given: captures, or a result that was written before.

A directory is a saved trace (`export --to parquet`, `Trace.save`); a file that begins as JSON does is what `analyze
--format json` wrote; all else are captures.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from glancetrace.cli.options import Reading
from glancetrace.errors import InputError, UsageError

if TYPE_CHECKING:
    from glancetrace.result import Result

__all__ = ["read_earlier", "read_result"]


def read_earlier(paths: Sequence[str], reading: Reading) -> Result | None:
    """The one result that was written before; None where captures are named.

    Raises:
        InputError: it is damaged, or the directory holds none. UsageError: secrets are asked for, which it lacks.
    """
    from glancetrace.json_result import JsonResult, is_result
    from glancetrace.json_result import read_result as read_json

    if len(paths) != 1 or not (os.path.isdir(paths[0]) or is_result(paths[0])):
        return None
    (path,) = paths
    if reading.reveal:
        raise UsageError("--reveal needs the capture", where=path, action="name the capture instead")
    if not os.path.isdir(path):
        return JsonResult(read_json(path), path)
    from glancetrace.saved import load

    if not os.path.exists(os.path.join(path, "capture.parquet")):
        raise InputError(
            "is a directory without a saved trace", where=path, action="name the captures in it: directory/*.pcap"
        )
    return load(path)


def read_result(paths: Sequence[str], reading: Reading, *, warn: bool = True) -> Result:
    """The result of captures, or the one that was written before; `warn`: see `Reading.analyze`.

    Raises:
        InputError: something cannot be read. UsageError: see `read_earlier`.
    """
    earlier = read_earlier(paths, reading)
    return reading.analyze(paths, warn=warn) if earlier is None else earlier
