"""A result as a folder of CSV files, one per table, named after it: RFC 4180, safe to open in a spreadsheet.

Cells are those of `analyze --format csv` (see `glancetrace.output.csv`): times are text with nanoseconds, lists and
objects JSON, what is not known is empty.
"""

from __future__ import annotations

import os

from glancetrace.output.csv import render_csv
from glancetrace.result import Result
from glancetrace.schema import TABLES

__all__ = ["write_csv_folder"]


def write_csv_folder(result: Result, folder: str) -> None:
    """Write `api_calls.csv` and the others into a folder that is there."""
    for table, columns in TABLES.items():
        with open(os.path.join(folder, f"{table}.csv"), "w", encoding="utf-8", newline="") as file:
            file.writelines(render_csv([column.name for column in columns], result.rows(table)))
