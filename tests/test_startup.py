"""What a start costs: the command line prints its help without the libraries that take long to import."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("lz4", "pandas", "plotly", "pyarrow", "scapy", "sqlglot", "zstandard")


def imported_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after `code`."""
    report = "\nimport sys\nprint('\\n'.join({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "code",
    [
        "from glancetrace.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass",
        "import glancetrace",
    ],
    ids=["help", "import"],
)
def test_a_start_imports_nothing_heavy(code: str) -> None:
    assert imported_by(code).isdisjoint(HEAVY)


def test_help_names_the_commands() -> None:
    done = subprocess.run([sys.executable, "-m", "glancetrace", "--help"], capture_output=True, text=True, check=True)
    assert "analyze" in done.stdout
