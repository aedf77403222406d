"""Errors that end a command: what happened, where, and what to do about it.

Everything that is wrong *inside* a capture is an issue (see `glancetrace.issues`), never an exception: decoders go on.
A `GlancetraceError` means that there is nothing to go on with; the command line prints it as one line and exits with
`exit_code`.
"""

from __future__ import annotations

__all__ = ["GlancetraceError", "InputError", "ReaderGone", "UsageError"]


class GlancetraceError(Exception):
    """Base of all errors that glancetrace raises on purpose.

    Args:
        what: what happened, without a full stop.
        where: file, frame and byte offset, as far as known; empty when there is no place.
        action: what the user can do about it.
    """

    exit_code = 3

    def __init__(self, what: str, *, where: str = "", action: str = "") -> None:
        self.what = what
        self.where = where
        self.action = action
        super().__init__(str(self))

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f"; {self.action}" if self.action else ""
        return f"{place}{self.what}{advice}"


class InputError(GlancetraceError):
    """The input cannot be read or judged (exit code 3)."""


class UsageError(GlancetraceError):
    """The call itself is wrong: an option, a name, a filter (exit code 2)."""

    exit_code = 2


class ReaderGone(Exception):
    """Nobody reads the output any more (`| head`): there is nothing left to do, and nothing to complain about."""
