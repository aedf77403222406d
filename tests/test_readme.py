"""What the README says is so: its output, its Python, its commands, its links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from glancetrace.cli import cli
from tests.support.readme import README, ROOT, blocks, first_output


def test_the_output_shown_is_the_output() -> None:
    assert blocks("text")[0] == first_output(), "python -m tests.support.readme brings it up to date"


def test_python_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As printed, one block after the other, in a directory that holds nothing but the samples."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    names: dict[str, object] = {}
    for block in blocks("python"):
        exec(compile(block, str(README), "exec"), names)
    assert names["changes"] == ["queued", "saving", "active"] * 3


def test_every_command_is_named_and_every_named_command_exists() -> None:
    named = re.findall(r"^\| `glancetrace (\w+) ", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(named) == sorted(cli.commands)


@pytest.mark.parametrize(
    "document",
    [README, *sorted(ROOT.glob(".github/*.md")), *sorted(ROOT.glob("samples/**/*.md"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_links_lead_somewhere(document: object) -> None:
    path = ROOT / str(document)
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_the_gate_runs_the_command_of_the_readme() -> None:
    """`.ci/run` takes the line that ends in pytest from the README by this pattern."""
    pattern = re.compile(r"^apt-get .* && \.venv/bin/pytest", re.MULTILINE)
    assert len(pattern.findall(README.read_text(encoding="utf-8"))) == 1
