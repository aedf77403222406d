"""Outputs that are files of a library, or folders: they appear when they are complete, or not at all.

What is being written lies beside its place under another name, as `glancetrace.output.target` does it for streams.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from glancetrace.errors import GlancetraceError, UsageError
from glancetrace.outfile import is_one_of, part_of

__all__ = ["new_file", "new_folder"]


@contextmanager
def new_folder(path: str) -> Iterator[str]:
    """A folder to be filled, which stands at `path` at the end; an empty one may stand there already.

    Raises:
        UsageError: something stands there already, or it cannot be made. GlancetraceError: it cannot be written.
    """
    real = _real(path)
    if os.path.lexists(real) and not (os.path.isdir(real) and not os.listdir(real)):
        raise UsageError("exists already", where=path, action="choose another folder for -o")
    part = part_of(real)
    try:
        os.mkdir(part)
    except OSError as error:
        raise _refused(path, error) from None
    try:
        yield part
        os.replace(part, real)
    except OSError as error:
        raise _unwritten(path, error) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def new_file(path: str, inputs: Sequence[str]) -> Iterator[str]:
    """A name for a file that a library writes, which stands at `path` at the end, in place of what stood there.

    Raises:
        UsageError: it is one of the `inputs`, or no file can be made there. GlancetraceError: it cannot be written.
    """
    real = _real(path)
    if is_one_of(real, inputs):
        raise UsageError("is the capture itself", where=path, action="choose another name for the output")
    if os.path.lexists(real) and not os.path.isfile(real):
        raise UsageError("is no file", where=path, action="choose another name for the output")
    part = part_of(real)
    try:
        with open(part, "xb"):
            pass
        os.unlink(part)
    except OSError as error:
        raise _refused(path, error) from None
    try:
        yield part
        os.replace(part, real)
    except OSError as error:
        raise _unwritten(path, error) from None
    finally:
        if os.path.exists(part):
            os.unlink(part)


def _real(path: str) -> str:
    if path == "-":
        raise UsageError("this format cannot go to standard output", action="give a name with -o")
    return os.path.realpath(path)


def _refused(path: str, error: OSError) -> UsageError:
    return UsageError(f"cannot be written: {error.strerror}", where=path, action="choose another place for -o")


def _unwritten(path: str, error: OSError) -> GlancetraceError:
    return GlancetraceError(f"cannot be written: {error.strerror}", where=path, action="make room, or use -o")
