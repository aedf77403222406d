"""`python -m glancetrace`, and what the `glancetrace` command starts."""

from __future__ import annotations

import gc
import os

__all__ = ["run"]

_INTERRUPTED = 130


def run() -> None:
    """Run the command line; Ctrl-C ends it cleanly from the first moment on, while modules are still being loaded."""
    gc.disable()  # modules are not garbage, and there are many of them
    try:
        from glancetrace.cli import run_process

        run_process()
    except KeyboardInterrupt:
        os._exit(_INTERRUPTED)


if __name__ == "__main__":
    run()
