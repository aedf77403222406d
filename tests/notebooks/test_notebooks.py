"""Every notebook runs from beginning to end and says what is committed; its outputs are small and free of paths."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import KernelManager

from tests.support.notebooks import NOTEBOOKS, open_kernel, run

MOST_BYTES = 300_000


def printed(notebook: nbformat.NotebookNode) -> list[str]:
    """What each of its cells prints; a kernel sends it in pieces of any size."""
    return [
        "".join(o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stdout")
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def figures(notebook: nbformat.NotebookNode) -> list[str]:
    """Titles of its plots."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    plots = [output.data.get("application/vnd.plotly.v1+json") for output in outputs if "data" in output]
    return [plot["layout"]["title"]["text"] for plot in plots if plot is not None]


def kinds(cell: nbformat.NotebookNode) -> list[list[str]]:
    """In which forms a cell shows what is more than text that it prints."""
    return [sorted(output.data) for output in cell.outputs if "data" in output]


@pytest.fixture(scope="module")
def kernel() -> Iterator[KernelManager]:
    with open_kernel() as kernel:
        yield kernel


def test_there_are_four() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["article_upload", "many_clients", "slow_upload", "two_releases"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_outputs(path: Path) -> None:
    assert path.stat().st_size < MOST_BYTES
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert figures(notebook)
    shown = json.dumps([cell.outputs for cell in notebook.cells if cell.cell_type == "code"])
    for unwanted in ("Traceback", "stderr", "gAAAA", "/home/", "/root", "/tmp", "/work", "<script"):
        assert unwanted not in shown


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_and_says_what_is_committed(path: Path, kernel: KernelManager) -> None:
    committed, fresh = nbformat.read(path, as_version=4), run(path, kernel)
    assert printed(fresh) == printed(committed), "python -m tests.support.notebooks brings it up to date"
    assert figures(fresh) == figures(committed)
    for before, after in zip(committed.cells, fresh.cells, strict=True):
        if before.cell_type == "code":
            assert kinds(after) == kinds(before)
