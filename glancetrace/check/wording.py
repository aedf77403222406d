"""How findings write numbers: durations, byte counts, shares, counted nouns."""

from __future__ import annotations

__all__ = ["byte_text", "count_text", "duration_text", "share_text"]


def duration_text(ns: int) -> str:
    """`0.25 ms`, `12.5 ms`, `3.20 s`, `125 s`."""
    if ns < 1_000_000_000:
        return f"{ns / 1e6:.3g} ms" if ns < 100_000_000 else f"{ns / 1e6:.0f} ms"
    return f"{ns / 1e9:.2f} s" if ns < 100_000_000_000 else f"{ns / 1e9:.0f} s"


def byte_text(count: int) -> str:
    """`140,000 bytes`."""
    return "1 byte" if count == 1 else f"{count:,} bytes"


def count_text(count: int, noun: str, plural: str = "") -> str:
    """`1 statement`, `12 statements`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {plural or noun + 's'}"


def share_text(part: int, whole: int) -> str:
    """`97 %`."""
    return f"{100 * part / whole:.0f} %" if whole else "0 %"
