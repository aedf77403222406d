"""What a start costs: the command line prints its help without the libraries that take long to import."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.samples import capture_path, keylog_path

HEAVY = (
    "cryptography",
    "duckdb",
    "jinja2",
    "lz4",
    "pandas",
    "plotly",
    "pyarrow",
    "pyshark",
    "scapy",
    "sqlglot",
    "zstandard",
)


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
        "import glancetrace as gt; gt.analyze; gt.Trace; gt.open",
    ],
    ids=["help", "import", "names"],
)
def test_a_start_imports_nothing_heavy(code: str) -> None:
    assert imported_by(code).isdisjoint(HEAVY)


def test_help_names_the_commands() -> None:
    done = subprocess.run([sys.executable, "-m", "glancetrace", "--help"], capture_output=True, text=True, check=True)
    assert "analyze" in done.stdout


def test_cryptography_is_loaded_only_to_decrypt() -> None:
    """A capture without secrets does without it, encrypted or not."""
    capture = str(capture_path("article-tls13"))
    program = (
        "import sys; from glancetrace.pipeline import analyze; "
        f"analyze({capture!r}); assert 'cryptography' not in sys.modules; "
        f"analyze({capture!r}, keylog={str(keylog_path('article-tls13'))!r}); assert 'cryptography' in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
