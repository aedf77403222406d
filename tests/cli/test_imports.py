"""What a command loads: libraries that take long to import only where they are needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.samples import capture_path

REPORT = "import sys; print(' '.join({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"


def loaded_by(*args: str) -> set[str]:
    code = f"from glancetrace.cli import main\ntry: main({args!r})\nexcept SystemExit: pass\n{REPORT}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("args", [("--help",), ("--version",), ("analyze", "--help"), ("sql", "--help")])
def test_help_needs_click_only(args: tuple[str, ...]) -> None:
    assert loaded_by(*args).isdisjoint({"numpy", "orjson", "rich", "pandas", "pyarrow", "sqlglot", "dpkt"})


@pytest.mark.parametrize("form", ["text", "json"])
def test_analyze_needs_no_tables(form: str) -> None:
    loaded = loaded_by("analyze", str(capture_path("article")), "--format", form)
    assert loaded.isdisjoint({"pandas", "pyarrow", "scapy", "pyshark", "plotly"})
    assert form == "text" or "rich" not in loaded
