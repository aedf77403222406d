from __future__ import annotations

import csv
import io
import json

import pytest

from glancetrace.document import BUILDERS, RowBuilder, render_document
from glancetrace.output.csv import neutralise, render_csv
from glancetrace.output.json import dump_document, render_json, render_jsonl
from glancetrace.schema import TABLES
from tests.support.handmade import HOSTILE_NAME, handmade_trace


def test_json_is_the_document_and_a_newline() -> None:
    trace = handmade_trace()
    rendered = b"".join(render_json(trace))
    assert rendered.endswith(b"}\n")
    assert rendered.count(b"\n") == 1
    assert json.loads(rendered) == json.loads(json.dumps(render_document(trace)))


def test_jsonl_names_the_table_of_each_row() -> None:
    trace = handmade_trace()
    rows = [json.loads(line) for line in render_jsonl(trace)]
    assert [row["table"] for row in rows[:3]] == ["capture", "connections", "connections"]
    assert {row["table"] for row in rows} == {"capture", *render_document(trace)} - {"schema"}
    assert [row["id"] for row in rows if row["table"] == "api_calls"] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("value", ["lone \ud800 surrogate", 1 << 70])
def test_what_orjson_refuses_is_still_json(value: str | int) -> None:
    assert json.loads(dump_document({"value": value})) == {"value": value}


@pytest.mark.parametrize("table", TABLES)
def test_csv_has_the_columns_of_the_schema(table: str) -> None:
    names = [column.name for column in TABLES[table]]
    text = "".join(render_csv(names, BUILDERS[table](RowBuilder(handmade_trace()))))
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == names
    assert {len(row) for row in rows} == {len(names)}
    assert len(rows) - 1 == len(list(BUILDERS[table](RowBuilder(handmade_trace()))))


@pytest.mark.parametrize(
    ("hostile", "safe"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("  =1", "'  =1"),
        ("\x00=1", "'=1"),
        ("\uff1d1", "'\uff1d1"),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_formulas_are_neutralised(hostile: str, safe: str) -> None:
    assert neutralise(hostile) == safe


def test_csv_of_a_hostile_name() -> None:
    names = ["name", "size", "events"]
    text = "".join(render_csv(names, BUILDERS["images"](RowBuilder(handmade_trace()))))
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows[2][0] == "[31m=evil\nname"  # begins with a bracket: no formula
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\x1b" in HOSTILE_NAME
    assert rows[1][1] == "1000000"
    assert json.loads(rows[1][2])[0]["kind"] == "location"
