"""Every notebook runs from beginning to end, and what is committed of its outputs is small and free of paths."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOST_BYTES = 60_000


def run(path: Path) -> nbformat.NotebookNode:
    """The notebook with fresh outputs, run in its own folder by the Python that runs the tests."""
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources)
    client.execute(env={**os.environ, "PYTHONPATH": str(ROOT)})
    return notebook


def texts(notebook: nbformat.NotebookNode) -> list[str]:
    """All that the cells put out, one text per cell that puts out something."""
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    return ["".join(json.dumps(o.get("data", o.get("text", ""))) for o in cell) for cell in outputs if cell]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_outputs(path: Path) -> None:
    assert path.stat().st_size < MOST_BYTES
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert all(cell.outputs for cell in notebook.cells if cell.cell_type == "code")
    shown = "".join(texts(notebook))
    for unwanted in ("Traceback", "gAAAA", "/home/", "/root", "plotly"):
        assert unwanted not in shown


def test_article_upload() -> None:
    (path,) = [path for path in NOTEBOOKS if path.stem == "article_upload"]
    shown = texts(run(path))
    everything = "".join(shown)
    for name in ("overcloud-full-vmlinuz", "overcloud-full-initrd", "overcloud-full"):
        assert name in everything
    assert any("<svg" in text and "saving" in text for text in shown)
    assert any("[True, True, True]" in text for text in shown)
    assert any("image-upload" in text and "observed" in text for text in shown)
    assert len(shown) == len(texts(nbformat.read(path, as_version=4)))
