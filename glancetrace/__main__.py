"""`python -m glancetrace`, and what the `glancetrace` command starts."""

from __future__ import annotations

import gc
import os
import sys

__all__ = ["run"]

_INTERRUPTED = 130
_SWITCH_INTERVAL = 0.0002
"""s: a thread that has hashed a piece waits no longer for the interpreter lock before it takes the next one."""


def run() -> None:
    """Run the command line; Ctrl-C ends it cleanly from the first moment on, while modules are still being loaded."""
    gc.disable()  # modules are not garbage, and there are many of them
    sys.setswitchinterval(_SWITCH_INTERVAL)
    # NumPy's linear algebra, which nothing here uses, has threads that spin for a while when they are started.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from glancetrace.cli import run_process

        run_process()
    except KeyboardInterrupt:
        os._exit(_INTERRUPTED)


if __name__ == "__main__":
    run()
