"""What a command that shows a result is given: captures, or a result written before (`glancetrace.earlier`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from glancetrace.cli.reading import Reading
from glancetrace.errors import UsageError

if TYPE_CHECKING:
    from glancetrace.result import Result

__all__ = ["read_earlier", "read_result"]


def read_earlier(paths: Sequence[str], reading: Reading) -> Result | None:
    """The one result that was written before; None where captures are named.

    Raises:
        InputError: it is damaged, or the directory holds none. UsageError: secrets are asked for, which it lacks.
    """
    from glancetrace import earlier

    if not earlier.is_earlier(paths):
        return None
    if reading.reveal:
        raise UsageError("--reveal needs the capture", where=paths[0], action="name the capture instead")
    return earlier.read_earlier(paths[0])


def read_result(paths: Sequence[str], reading: Reading, *, warn: bool = True) -> Result:
    """The result of captures, or the one that was written before; `warn`: see `Reading.analyze`.

    Raises:
        InputError: something cannot be read. UsageError: see `read_earlier`.
    """
    earlier = read_earlier(paths, reading)
    return reading.analyze(paths, warn=warn) if earlier is None else earlier
