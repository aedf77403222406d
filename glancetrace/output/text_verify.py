"""What `glancetrace verify` tells, as rows and as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from glancetrace.output.clean import clean
from glancetrace.output.units import format_count, plural

__all__ = ["render_verdict"]

Row = Mapping[str, Any]

_SHOWN = 200
"""Characters of a text, and differences of a kind."""


def render_verdict(verdict: Row, kinds: Mapping[str, str], reasons: Mapping[str, str]) -> Iterator[str]:
    """Lines: what was compared, each contradiction, the differences that have a reason, counted.

    Args:
        verdict: see `glancetrace.cli.verify`. kinds, reasons: what kinds of differences and their reasons mean.
    """
    counts = (_count(kind, seen, verdict["glancetrace"][kind]) for kind, seen in verdict["tshark"].items())
    yield f"Compared with tshark: {', '.join(counts)}"
    if not verdict["with_bodies"]:
        yield "  bodies were not put together for tshark (too large): frames of HTTP messages are compared loosely"
    contradictions = [row for row in verdict["differences"] if row["reason"] is None]
    yield "No difference" if not contradictions else plural(len(contradictions), "difference")
    for row in contradictions[:_SHOWN]:
        yield from _difference(row, kinds)
    if len(contradictions) > _SHOWN:
        yield f"  and {len(contradictions) - _SHOWN} more; see --format json"
    known = Counter(row["reason"] for row in verdict["differences"] if row["reason"] is not None)
    if known:
        yield "Known differences, which are no fault"
    for reason, count in sorted(known.items()):
        frames = ", ".join(str(row["frame"]) for row in verdict["differences"] if row["reason"] == reason)
        shown = frames if len(frames) < _SHOWN else f"{frames[:_SHOWN].rpartition(',')[0]}, ..."
        yield f"  {reason}: {format_count(count)} (frames {shown}): {reasons[reason]}"


def _count(kind: str, seen: int, own: int) -> str:
    return f"{format_count(seen)} {kind}s" + (f" (glancetrace: {format_count(own)})" if own != seen else "")


def _difference(row: Row, kinds: Mapping[str, str]) -> Iterator[str]:
    of = next((f", {name} {row[f'{name}_id']}" for name in ("call", "statement") if row[f"{name}_id"]), "")
    yield f"  frame {row['frame']}: {row['message']} {row['client']} > {row['server']}{of}: {kinds[row['kind']]}"
    for side in ("tshark", "glancetrace"):
        told = row[side]
        if told is not None:
            text = clean(" ".join(filter(None, (told["what"], told["text"]))))
            shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
            yield f"    {side}: frame {told['frame']}: {shown}"
