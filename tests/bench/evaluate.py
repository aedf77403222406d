"""`python -m tests.bench.evaluate TRUTH_FOLDER [RESULT.json]`: a result document held against what was true.

Prints one line per figure of `tests.support.evaluate`. Without a document, a perfect one made from the truth is judged:
every figure must then be perfect. `--json` prints one JSON object instead.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tests.support.evaluate import judge
from tests.support.truth import perfect_document, read_truth


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.evaluate", description=__doc__)
    parser.add_argument("truth", type=Path, help="folder of a sample")
    parser.add_argument("document", type=Path, nargs="?", help="result of `glancetrace analyze --format json`")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    truth = read_truth(options.truth)
    document = json.loads(options.document.read_bytes()) if options.document else perfect_document(truth)
    figures = judge(truth, document)
    if options.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
