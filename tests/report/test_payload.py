"""What is put into the page: packed without loss, bounded, and harmless within a script element."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace.document import render_document
from glancetrace.output.report.bounds import DEFAULT_BOUNDS, Bounds, choose_calls, choose_statements
from glancetrace.output.report.payload import dump_payload, nanoseconds, pack
from glancetrace.output.report.visible import visible
from glancetrace.rfc3339 import rfc3339
from tests.support.documents import ATTACKS, hostile_document, many_calls
from tests.support.handmade import handmade_trace

CALL_ID, SHAPE, LITERALS = 1, 6, 7
"""Columns of packed statements."""


def sql_of(packed: dict[str, Any], index: int) -> str:
    """Text of a statement, put together again as assets/model.js does it."""
    parts = packed["shapes"][packed["statements"][SHAPE][index]]
    literals = packed["statements"][LITERALS][index]
    text: str = packed["texts"][parts[0]]
    for literal, part in zip(literals, parts[1:], strict=True):
        text += packed["texts"][literal] + packed["texts"][part]
    return text


@given(st.text(alphabet=st.sampled_from("'\\\"`-/*() \n0123456789.aAsélect\u2028"), max_size=60))
def test_any_statement_comes_out_as_it_went_in(sql: str) -> None:
    document = render_document(handmade_trace())
    document["statements"][0]["sql"] = sql
    assert sql_of(pack(document, DEFAULT_BOUNDS), 0) == visible(sql)


@given(st.text(st.characters(categories=("Cc", "Cf", "Cs", "Zl", "Zp", "L"))))
def test_no_control_is_left(text: str) -> None:
    shown = visible(text)
    assert {unicodedata.category(character) for character in shown} & {"Cc", "Cs", "Zl", "Zp"} <= {"Cc"}
    assert not set(shown) & set("\x00\x1b\x7f\x9b\u200b\u200e\u202a\u202e\u2066\u2069\ufeff")
    assert visible(shown) == shown


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1)), st.integers(0, 999))
def test_times_are_read_back(moment: datetime, nanosecond: int) -> None:
    ts = int(moment.replace(tzinfo=UTC).timestamp()) * 1_000_000_000 + nanosecond
    assert nanoseconds(rfc3339(ts)) == ts


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_payload_has_no_character_that_means_something_in_html(attack: str) -> None:
    text = dump_payload(pack(hostile_document(attack), DEFAULT_BOUNDS))
    assert not set(text) & set("<>&\u2028\u2029\r\n")
    assert visible(attack) in json.loads(text)["texts"]


def test_statements_of_no_call_are_left_out_unless_they_name_an_image() -> None:
    packed = pack(render_document(handmade_trace()), DEFAULT_BOUNDS)
    assert packed["statements"][CALL_ID] == [2, 3, 3, 3, 4]
    assert packed["totals"]["statements"] == 6


def test_every_call_keeps_equally_many_statements() -> None:
    document = many_calls(40, 10, statements_per_call=9)
    packed = pack(document, Bounds(statements=200))
    assert packed["statements"][CALL_ID] == [call for call in range(1, 41) for _ in range(5)]
    assert packed["calls"][-1] == [9] * 40


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(0, 4), st.integers(1, 150))
def test_bounds_hold(calls: int, per_call: int, most: int) -> None:
    document = many_calls(calls, 7, statements_per_call=per_call)
    shown = choose_calls(document["api_calls"], document["images"], most)
    links = {link["statement_id"]: link for link in document["links"]}
    kept = choose_statements(document["statements"], links, {call["id"] for call in shown}, set(), most)
    assert len(shown) == min(most, calls)
    assert len(kept) <= most
    assert [call["id"] for call in shown] == sorted(call["id"] for call in shown)
    assert [row["id"] for row in kept] == sorted(row["id"] for row in kept)


def test_failed_calls_come_first_where_there_are_too_many() -> None:
    document = many_calls(200, 10, statements_per_call=0)
    failed = [call["id"] for call in document["api_calls"] if call["status_code"] >= 400]
    shown = choose_calls(document["api_calls"], document["images"], len(failed))
    assert [call["id"] for call in shown] == failed
