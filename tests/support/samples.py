"""Where the sample captures are, by name."""

from __future__ import annotations

from pathlib import Path

__all__ = ["CAPTURES", "SAMPLES", "TRUTHS", "capture_path", "keylog_path"]

SAMPLES = Path(__file__).resolve().parents[2] / "samples"

CAPTURES = {path.name.split(".")[0]: path for path in sorted(SAMPLES.glob("*/*.pcap.*"))}
"""Name of a capture, without its endings -> path; names are unique over all folders."""

TRUTHS = {path.parent.name: path.parent for path in sorted(SAMPLES.glob("*/final_db.json*"))}
"""Name of a folder whose captures have a ground truth -> path."""


def keylog_path(name: str) -> Path | None:
    """Path of the key log of a capture; None where it has none."""
    path = CAPTURES[name].with_name(f"{name}.keylog")
    return path if path.exists() else None


def capture_path(name: str) -> Path:
    """Path of a capture: `capture_path("article")`, `capture_path("article-allports")`."""
    return CAPTURES[name]
