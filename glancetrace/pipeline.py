"""From captures to a `Trace`.

Stage A (`glancetrace.decode`) reads and decodes, stage B (`glancetrace.stages`) makes sense of its rows.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from glancetrace.decode import decode
from glancetrace.http.hashing import HashPool
from glancetrace.options import Options, Paths, as_list
from glancetrace.spill.commands import Spill
from glancetrace.statements import ServiceVotes

if TYPE_CHECKING:
    from glancetrace.logs.call import ApiLog
    from glancetrace.trace import Trace

__all__ = ["Options", "analyze"]


def analyze(
    paths: Paths,
    options: Options | None = None,
    *,
    keylog: Paths | None = None,
    rsa_key: Paths | None = None,
    api_log: Paths | None = None,
    progress: bool | None = None,
) -> Trace:
    """Read captures and say what happened in them.

    Where there are more commands than memory should hold (`glancetrace.spill.commands.WHOLE`), statements, links and
    stories lie on disk and are read when they are asked for: see `glancetrace.epochs.trace.SpilledTrace`.

    Args:
        paths: file names, globs, "-" for standard input; see `glancetrace.capture.inputs` for their order.
        options: see `Options`. keylog, rsa_key, api_log: short for its `keylogs`, `rsa_keys` and `api_logs`, which they
            are added to. progress: show a progress bar when it takes longer than a second; None: in a notebook.

    Raises:
        InputError: a capture, a key log, a key or a log cannot be read. UsageError: the call itself is wrong.
        GlancetraceError: there are too many commands for memory, and no room for a temporary file.
    """
    options = options or Options()
    options = replace(
        options,
        keylogs=(*options.keylogs, *as_list(keylog or ())),
        rsa_keys=(*options.rsa_keys, *as_list(rsa_key or ())),
        api_logs=(*options.api_logs, *as_list(api_log or ())),
    )
    with _progress(options, progress) as options:
        return _analyze(paths, options)


@contextmanager
def _progress(options: Options, wanted: bool | None) -> Iterator[Options]:
    """The options with the progress bar that fits where this runs, if one is wanted and none is given."""
    from glancetrace.output.notebook_bar import NotebookBar, in_notebook
    from glancetrace.output.progress import ProgressBar

    if options.progress is not None or wanted is False or not (wanted or in_notebook()):
        yield options
        return
    with NotebookBar() if in_notebook() else ProgressBar() as bar:
        yield replace(options, progress=bar)


def _analyze(paths: Paths, options: Options) -> Trace:
    logs = _read_logs(options)
    collecting = gc.isenabled()
    with HashPool() as pool:
        votes = ServiceVotes()
        # Logs are placed by the statements beside them, wherever those are.
        decoded = decode(paths, options, pool, None if logs else Spill(votes))
        # Not before: reading begins sooner, and what is read last is hashed meanwhile.
        from glancetrace.stages import make_trace

        gc.disable()
        try:
            return make_trace(decoded, options, logs, votes)
        finally:
            if collecting:
                gc.enable()


def _read_logs(options: Options) -> list[ApiLog]:
    """The logs that were given; without any, what reads them is not imported."""
    if not options.api_logs:
        return []
    from glancetrace.logs.read import read_logs

    return read_logs(options.api_logs)
