"""Golden results of the samples: what `analyze` says of them, condensed. `python -m tests.support.golden` writes them
anew; read the difference before committing it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from glancetrace.document import render_document
from glancetrace.pipeline import analyze
from tests.support.samples import CAPTURES

__all__ = ["GOLDEN", "condense", "golden_names", "read_golden"]

GOLDEN = Path(__file__).resolve().parents[1] / "pipeline" / "golden"


def golden_names() -> list[str]:
    """Names of the captures that have a golden result; the concurrent ones are judged by their truth alone."""
    return sorted(name for name in CAPTURES if not name.startswith(("concurrent", "hot", "mixed")))


def condense(name: str) -> dict[str, Any]:
    """The result of a sample: images and findings whole, calls and statements by their counts."""
    document = render_document(analyze(CAPTURES[name]))
    capture = document["capture"]
    capture["files"] = [{**file, "name": Path(file["name"]).name} for file in capture["files"]]
    assert capture.pop("api_logs") == []
    calls, statements, links = document["api_calls"], document["statements"], document["links"]
    return {
        "capture": capture,
        "connections": _counted(f"{c['protocol']} {c['server']}" for c in document["connections"]),
        "api_calls": _counted(f"{c['service']} {c['operation']} {c['status_code']}" for c in calls),
        "statements": _counted(f"{s['service']} {s['kind']} {s['outcome']} {s['operation']}" for s in statements),
        "links": _counted(f"{link['class']} {link['relation']}" for link in links),
        "images": document["images"],
        "findings": document["findings"],
        "issues": [{key: row[key] for key in ("kind", "count", "first_frame")} for row in document["issues"]],
    }


def _counted(keys: Any) -> dict[str, int]:
    return dict(sorted(Counter(keys).items()))


def read_golden(name: str) -> dict[str, Any]:
    """The golden result of a sample."""
    golden: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())
    return golden


def main() -> None:
    """Write all golden results anew."""
    GOLDEN.mkdir(exist_ok=True)
    for name in golden_names():
        (GOLDEN / f"{name}.json").write_text(json.dumps(condense(name), indent=1) + "\n")


if __name__ == "__main__":
    main()
