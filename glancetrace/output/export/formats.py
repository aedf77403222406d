"""The formats by name, and what each is written by.

A text goes piece by piece to a file or to standard output; a file is left to a library, a folder is filled.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

from glancetrace.output.export.place import new_file, new_folder
from glancetrace.output.export.result import result_of_trace
from glancetrace.output.target import Target
from glancetrace.trace import Trace

__all__ = ["FORMATS", "export", "prepare"]

FORMATS = ("perfetto", "otlp", "har", "csv", "sqlite", "duckdb", "wireshark")


def prepare(form: str) -> None:
    """What can be wrong before an hour of reading.

    Raises:
        UsageError: a library that the format needs is missing.
    """
    if form == "duckdb":
        from glancetrace.output.export.duckdb_file import import_duckdb

        import_duckdb()


def export(trace: Trace, form: str, output: str, inputs: Sequence[str], version: str = "") -> None:
    """Write a trace in a format.

    Args:
        form: one of `FORMATS`. output: file or folder; "-" is standard output, where the format is a text.
        inputs: the captures that it was made from; none of them is overwritten. version: of glancetrace.

    Raises:
        UsageError: the output cannot be made. GlancetraceError: it cannot be written.
    """
    if form in _TEXTS:
        with Target(output, inputs) as target:
            for piece in _TEXTS[form](trace, version):
                target.write(piece)
    elif form in _FILES:
        with new_file(output, inputs) as path:
            _FILES[form](trace, path)
    elif form == "wireshark" and output.endswith(".pcapng"):
        with new_file(output, inputs) as path:
            _write_commented(trace, path, inputs)
    else:
        with new_folder(output) as folder:
            _FOLDERS[form](trace, folder, inputs)


def _perfetto(trace: Trace, _version: str) -> Iterator[bytes]:
    from glancetrace.output.export.perfetto import render_perfetto

    return render_perfetto(result_of_trace(trace))


def _otlp(trace: Trace, version: str) -> Iterator[bytes]:
    from glancetrace.output.export.otlp import render_otlp

    return render_otlp(result_of_trace(trace), version)


def _har(trace: Trace, version: str) -> Iterator[bytes]:
    from glancetrace.output.export.har import render_har

    return render_har(trace, version)


def _sqlite(trace: Trace, path: str) -> None:
    from glancetrace.output.export.sqlite import write_sqlite

    write_sqlite(result_of_trace(trace), path)


def _duckdb(trace: Trace, path: str) -> None:
    from glancetrace.output.export.duckdb_file import write_duckdb

    write_duckdb(result_of_trace(trace), path)


def _csv(trace: Trace, folder: str, _inputs: Sequence[str]) -> None:
    from glancetrace.output.export.csv_folder import write_csv_folder

    write_csv_folder(trace, folder)


def _wireshark(trace: Trace, folder: str, inputs: Sequence[str]) -> None:
    from glancetrace.output.export.wireshark import render_color_filters, render_display_filters

    _write_commented(trace, os.path.join(folder, "capture.pcapng"), inputs)
    lines = {"dfilters": render_display_filters(result_of_trace(trace)), "colorfilters": render_color_filters()}
    for name, found in lines.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8", newline="") as file:
            file.writelines(f"{line}\n" for line in found)


def _write_commented(trace: Trace, path: str, _inputs: Sequence[str]) -> None:
    from glancetrace.edit.comments import commented_captures
    from glancetrace.output.export.wireshark import comment_frames

    names = [file.name for file in trace.capture.files]
    with open(path, "wb") as file:
        file.writelines(commented_captures(names, comment_frames(result_of_trace(trace))))


_TEXTS: dict[str, Callable[[Trace, str], Iterator[bytes]]] = {"perfetto": _perfetto, "otlp": _otlp, "har": _har}
_FILES: dict[str, Callable[[Trace, str], None]] = {"sqlite": _sqlite, "duckdb": _duckdb}
_FOLDERS: dict[str, Callable[[Trace, str, Sequence[str]], None]] = {"csv": _csv, "wireshark": _wireshark}
