"""The notebooks, and how to bring their outputs up to date: `python -m tests.support.notebooks`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

__all__ = ["NOTEBOOKS", "ROOT", "open_kernel", "run"]

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@contextmanager
def open_kernel() -> Iterator[KernelManager]:
    """A kernel of the Python that runs this, in the notebooks' folder."""
    kernel = KernelManager(kernel_name="python3")
    kernel.start_kernel(
        cwd=str(NOTEBOOKS[0].parent),
        env={**os.environ, "PYTHONPATH": str(ROOT), "PLOTLY_RENDERER": "plotly_mimetype"},
    )
    try:
        yield kernel
    finally:
        kernel.shutdown_kernel(now=True)


def run(path: Path, kernel: KernelManager) -> nbformat.NotebookNode:
    """The notebook with fresh outputs; of what it does in the kernel only imported modules are left.

    Plots are kept as data, without the program that draws them. What a progress bar leaves behind is taken out, so that
    the outputs do not depend on how fast the machine was.
    """
    notebook = nbformat.read(path, as_version=4)
    blank = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("%reset -f")])
    for cells in (notebook, blank):
        client = NotebookClient(cells, km=kernel, timeout=300)
        try:
            client.execute()
        finally:
            client.kc.stop_channels()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("data", {}).get("text/plain") != ""]
    notebook.metadata.language_info = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"}
    return notebook


def main() -> None:
    """Run all of them and write them back."""
    for path in NOTEBOOKS:
        with open_kernel() as kernel:
            nbformat.write(run(path, kernel), path)


if __name__ == "__main__":
    main()
