"""The formats by name, and what each is written by.

A text goes piece by piece to a file or to standard output; a file is left to a library, a folder is filled.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

from glancetrace.errors import UsageError
from glancetrace.outfile import compressed, compression_of
from glancetrace.output.export.place import new_file, new_folder
from glancetrace.output.export.rows import rows_of_result
from glancetrace.output.target import Target
from glancetrace.result import Result
from glancetrace.trace import Trace

__all__ = ["FORMATS", "export", "prepare"]

FORMATS = ("perfetto", "otlp", "har", "parquet", "csv", "sqlite", "duckdb", "wireshark")

_NEEDS_CAPTURE = {"har": "headers", "wireshark": "packets"}
"""What no table holds."""


def prepare(form: str, result: Result | None = None) -> None:
    """What can be wrong before an hour of reading.

    Args:
        result: what was read already, instead of captures.

    Raises:
        UsageError: a library that the format needs is missing, or the result lacks what the format tells.
    """
    if form == "duckdb":
        from glancetrace.output.export.duckdb_file import import_duckdb

        import_duckdb()
    if form in _NEEDS_CAPTURE and result is not None and not isinstance(result, Trace):
        raise UsageError(
            f"a result that was written before holds no {_NEEDS_CAPTURE[form]}",
            where=f"--to {form}",
            action="name the capture instead",
        )


def export(result: Result, form: str, output: str, inputs: Sequence[str], version: str = "") -> None:
    """Write a result in a format.

    Args:
        result: a trace; a saved one does for all formats but har and wireshark.
        form: one of `FORMATS`. output: file or folder; "-" is standard output, where the format is a text.
        inputs: the captures that it was made from; none of them is overwritten. version: of glancetrace.

    Raises:
        UsageError: the output cannot be made, or not from this result. GlancetraceError: it cannot be written.
    """
    prepare(form, result)
    if form in _TEXTS:
        with Target(output, inputs) as target:
            for piece in _TEXTS[form](result, version):
                target.write(piece)
    elif form in _FILES:
        with new_file(output, inputs) as path:
            _FILES[form](result, path)
    elif form == "wireshark" and output.removesuffix(compression_of(output)).endswith(".pcapng"):
        with new_file(output, inputs) as path:
            _write_commented(result, path, compression_of(output))
    else:
        with new_folder(output) as folder:
            _FOLDERS[form](result, folder)


def _perfetto(result: Result, _version: str) -> Iterator[bytes]:
    from glancetrace.output.export.perfetto import render_perfetto

    return render_perfetto(rows_of_result(result))


def _otlp(result: Result, version: str) -> Iterator[bytes]:
    from glancetrace.output.export.otlp import render_otlp

    return render_otlp(rows_of_result(result), version)


def _har(result: Result, version: str) -> Iterator[bytes]:
    from glancetrace.output.export.har import render_har

    assert isinstance(result, Trace)
    return render_har(result, version)


def _sqlite(result: Result, path: str) -> None:
    from glancetrace.output.export.sqlite import write_sqlite

    write_sqlite(rows_of_result(result), path)


def _duckdb(result: Result, path: str) -> None:
    from glancetrace.output.export.duckdb_file import write_duckdb

    write_duckdb(rows_of_result(result), path)


def _csv(result: Result, folder: str) -> None:
    from glancetrace.output.export.csv_folder import write_csv_folder

    write_csv_folder(result, folder)


def _parquet(result: Result, folder: str) -> None:
    result.save(folder)


def _wireshark(result: Result, folder: str) -> None:
    from glancetrace.output.export.wireshark import render_color_filters, render_display_filters

    _write_commented(result, os.path.join(folder, "capture.pcapng"))
    lines = {"dfilters": render_display_filters(rows_of_result(result)), "colorfilters": render_color_filters()}
    for name, found in lines.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8", newline="") as file:
            file.writelines(f"{line}\n" for line in found)


def _write_commented(result: Result, path: str, compression: str = "") -> None:
    from glancetrace.edit.comments import commented_captures
    from glancetrace.output.export.wireshark import comment_frames

    rows = rows_of_result(result)
    names = [file["name"] for file in rows.capture["files"]]
    with open(path, "wb") as file, compressed(file, compression) as stream:
        for piece in commented_captures(names, comment_frames(rows)):
            stream.write(piece)


_TEXTS: dict[str, Callable[[Result, str], Iterator[bytes]]] = {"perfetto": _perfetto, "otlp": _otlp, "har": _har}
_FILES: dict[str, Callable[[Result, str], None]] = {"sqlite": _sqlite, "duckdb": _duckdb}
_FOLDERS: dict[str, Callable[[Result, str], None]] = {"csv": _csv, "parquet": _parquet, "wireshark": _wireshark}
