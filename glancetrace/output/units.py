"""Numbers in people's units: durations, sizes, counts."""

from __future__ import annotations

__all__ = ["format_bytes", "format_count", "format_duration", "plural"]

_SMALL = ((1_000_000, 1_000, "µs"), (1_000_000_000, 1_000_000, "ms"))
_SECOND = 1_000_000_000
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def _three_digits(value: float) -> str:
    """`value` (below 1000) with three significant digits."""
    if value < 9.995:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def format_duration(dur: int | None) -> str:
    """Nanoseconds as `870 ns`, `1.23 ms`, `45.6 s`, `3 min 05 s`, `2 h 07 min`, `3 d 04 h`; `-` for an unknown one."""
    if dur is None:
        return "-"
    if dur < 0:
        return f"-{format_duration(-dur)}"
    if dur < 1_000:
        return f"{dur} ns"
    for bound, unit, name in _SMALL:
        if dur < bound * 0.9995:
            return f"{_three_digits(dur / unit)} {name}"
    if dur < 59_950_000_000:
        return f"{_three_digits(dur / _SECOND)} s"
    seconds = (dur + _SECOND // 2) // _SECOND
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    minutes = (seconds + 30) // 60
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = (minutes + 30) // 60
    return f"{hours // 24} d {hours % 24:02d} h"


def format_bytes(count: int | None) -> str:
    """Bytes as `870 B`, `1.23 KiB`, `45.6 GiB`; `-` for an unknown count."""
    if count is None:
        return "-"
    if count < 1024:
        return f"{count} B"
    value = float(count)
    for name in _SIZES[1:]:
        value /= 1024
        if value < 999.5 or name == _SIZES[-1]:
            return f"{_three_digits(value)} {name}"
    raise AssertionError("the last unit takes everything")


def format_count(count: int | None) -> str:
    """`12,345`; `-` for an unknown count."""
    return "-" if count is None else f"{count:,}"


def plural(count: int, one: str, many: str = "") -> str:
    """`1 call`, `2 calls`, `1,234 queries` (`many` where an s does not do)."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
