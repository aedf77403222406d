"""How right attribution is, on captures whose truth is known: `python -m tests.bench.attribution [FOLDER ...]`.

A FOLDER holds captures with their truth, or folders that do; without one, the samples are judged. One line per capture,
counted as `tests.support.evaluate` says: statements, precision, recall, exact calls, precision up to twins, right and
all links by class and (of inferred ones) by score, asynchronous work, background work adopted, statements whose call is
wrong and those of them that calls only exchanged (same text, same process), changes of status whose call is right,
intervals that overlap, changes called illegal, seconds of processor time per 100 000 statements of the attribution
alone; then Keystone's statements, precision, recall, precision up to twins, links by class and score: of calls that a
client made, for its record does not tell whose validations are whose. `--losses` judges each capture with
packets missing as well (see `tests.support.degrade`), `--json` prints the figures as JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import glancetrace.stages
from glancetrace.document import render_document
from glancetrace.pipeline import analyze
from glancetrace.trace import Trace
from tests.support.degrade import LOSSES, degrade
from tests.support.evaluate import Figures, judge
from tests.support.samples import SAMPLES
from tests.support.truth import Truth, read_truth

__all__ = ["analyze_timed", "judge_capture", "judged", "report"]

_COLUMNS = (
    "capture                         statements  prec.    recall   exact    twins    timelines   causes   s/100k  links"
)


def judged(folders: Iterable[Path]) -> Iterator[tuple[str, Path, Truth]]:
    """(name, capture, truth) of all captures in these folders and in theirs; the name says the folder if it differs."""
    for folder in folders:
        for place in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
            if not any(place.glob("final_db.json*")) or not any(place.glob("wsgi.jsonl*")):
                continue
            truth = read_truth(place)
            for capture in sorted(place.glob("*.pcap*")):
                name = capture.name.split(".")[0]
                yield name if name == place.name else f"{place.name}/{name}", capture, truth


def analyze_timed(capture: Path) -> tuple[Trace, float]:
    """A capture's trace, and the seconds of processor time that attribution took."""
    stages: Any = glancetrace.stages
    original = stages.attribute
    seconds = []

    def timed(*arguments: Any) -> Any:
        started = time.process_time()
        links = original(*arguments)
        seconds.append(time.process_time() - started)
        return links

    stages.attribute = timed
    try:
        return analyze(str(capture)), sum(seconds)
    finally:
        stages.attribute = original


def judge_capture(capture: Path, truth: Truth, *, lossy: bool = False) -> Figures:
    """Figures of one capture, with the time that attribution took."""
    trace, seconds = analyze_timed(capture)
    document = json.loads(json.dumps(render_document(trace)))
    figures = judge(truth, document, lossy=lossy)
    figures["seconds_per_100k"] = round(seconds * 1e5 / max(1, len(document["statements"])), 3)
    return figures


def _line(name: str, figures: Figures) -> str:
    shares = [figures.get(f"glance_{key}") for key in ("precision", "recall", "exact_calls", "precision_up_to_twins")]
    shown = "  ".join("   -   " if share is None else f"{share:.5f}" for share in shares)
    told = f"{figures.get('timelines_right', 0)}/{figures.get('timelines_truth', 0)}"
    causes = f"{figures['causes_right']}/{figures['causes_truth']}"
    links = " ".join(f"{kind} {count}" for kind, count in sorted(figures.get("glance_by_class", {}).items()))
    scores = " ".join(f">={floor} {count}" for floor, count in figures.get("glance_by_score", {}).items())
    later = f"{figures.get('glance_async_right', 0)}/{figures.get('glance_async_truth', 0)}"
    keystone = [figures.get(f"keystone_{key}") for key in ("precision", "recall", "precision_up_to_twins")]
    told_apart = " ".join("-" if share is None else f"{share:.5f}" for share in keystone)
    of_keystone = " ".join(f"{kind} {count}" for kind, count in sorted(figures.get("keystone_by_class", {}).items()))
    sure = " ".join(f">={floor} {count}" for floor, count in figures.get("keystone_by_score", {}).items())
    return (
        f"{name:32.32}{figures.get('glance_n', 0):>9,}  {shown}  {told:>9}  {causes:>7}  "
        f"{figures['seconds_per_100k']:>6.2f}  {links}; async {later}; "
        f"adopted {figures.get('glance_background_adopted', 0)}; "
        f"wrong {figures.get('glance_wrong', 0)}, exchanged {figures.get('glance_exchanged', 0)}; "
        f"overlaps {figures['intervals_overlapping']}; illegal {figures['illegal']}; scores {scores}; "
        f"keystone {figures.get('keystone_n', 0):,} {told_apart} {of_keystone}; scores {sure}"
    )


def report(folders: Iterable[Path], *, losses: bool = False, as_json: bool = False) -> None:
    """Print the figures of all captures in these folders."""
    rows: dict[str, Figures] = {}
    if not as_json:
        print(_COLUMNS)
    for name, capture, truth in judged(folders):
        rows[name] = judge_capture(capture, truth)
        if not as_json:
            print(_line(name, rows[name]), flush=True)
        for loss in LOSSES if losses else ():
            with tempfile.TemporaryDirectory() as place:
                degraded = degrade(capture, loss, Path(place) / "degraded.pcap")
                key = f"{name}, {loss}"
                rows[key] = judge_capture(degraded, truth, lossy=True)
            if not as_json:
                print(_line(key, rows[key]), flush=True)
    if as_json:
        print(json.dumps(rows))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.attribution", description=__doc__)
    parser.add_argument("folders", type=Path, nargs="*", default=[SAMPLES], help="folders with captures and truth")
    parser.add_argument("--losses", action="store_true", help="judge them with packets missing, too")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    report(options.folders, losses=options.losses, as_json=options.json)


if __name__ == "__main__":
    main()
