"""Times as text and back: nanoseconds since the epoch, UTC, and RFC 3339 with nine decimals."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["nanoseconds", "rfc3339"]

_MANY = 4096
_seconds: dict[int, str] = {}


def rfc3339(ts: int | None) -> str | None:
    """Nanoseconds since the epoch as `2020-02-18T04:49:55.993652000Z` (RFC 3339)."""
    if ts is None:
        return None
    seconds, nanoseconds = divmod(ts, 1_000_000_000)
    return f"{_seconds.get(seconds) or _second(seconds)}.{nanoseconds:09d}Z"


def nanoseconds(text: str | None) -> int | None:
    """The way back from `rfc3339`; None for None."""
    if text is None:
        return None
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(f"{seconds}+00:00").timestamp()) * 1_000_000_000 + int(fraction.ljust(9, "0"))


def _second(seconds: int) -> str:
    """Seconds as text, kept for the next one of the same second."""
    if len(_seconds) > _MANY:
        _seconds.clear()
    text = _seconds[seconds] = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return text
