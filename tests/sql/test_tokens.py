"""The exact lexer: literals as MySQL reads them, comments apart, and no text that makes it fail."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace.sql.tokens import LITERALS, tokenize


def literals(sql: str) -> list[object]:
    return [token.value for token in tokenize(sql)[0] if token.kind in LITERALS]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'plain'", "plain"),
        ("''", ""),
        ("'it''s'", "it's"),
        (r"'a\'b\\c\nd\0'", "a'b\\c\nd\0"),
        (r"'100\% \_ \q'", r"100\% \_ q"),
        ('"double ""quoted"" \'text\'"', "double \"quoted\" 'text'"),
        ("X'4142'", b"AB"),
        ("x'not hex'", "not hex"),
        ("0x4142", b"AB"),
        ("b'0100000101000010'", b"AB"),
        ("_binary'raw'", "raw"),
        ("_utf8mb4 'text'", "text"),
        ("N'national'", "national"),
        ("DATE '2026-11-20'", "2026-11-20"),
        ("TIMESTAMP'2026-11-20 19:27:00'", "2026-11-20 19:27:00"),
        ("42", 42),
        ("-42", -42),
        ("1.5", 1.5),
        (".5", 0.5),
        ("2.25e-3", 0.00225),
        ("9" * 400, "9" * 400),
    ],
)
def test_literal_after_an_operator(text: str, value: object) -> None:
    assert literals(f"UPDATE t SET a={text}") == [value]


def test_minus_between_operands_is_no_sign() -> None:
    assert literals("SELECT a-5, 7-2, (1)-3, -4 FROM t") == [5, 7, 2, 1, 3, -4]


def test_names_with_digits_and_quotes_hold_no_literals() -> None:
    assert literals("SELECT t1.c2, `it's 5`, @@v8 FROM anon_1 WHERE x1='y'") == ["y"]


def test_comments_are_kept_apart() -> None:
    tokens, comment = tokenize("/* req-1 'x */ SELECT 1 -- it's\n FROM t # 'end")
    assert [token.text for token in tokens] == ["SELECT", "1", "FROM", "t"]
    assert comment == "req-1 'x it's 'end"


def test_only_the_first_statement_is_read() -> None:
    assert [token.text for token in tokenize("SELECT 'a;b'; DROP TABLE t")[0]] == ["SELECT", "'a;b'"]


@pytest.mark.parametrize("sql", ["SELECT 'open", "SELECT 'open\\", 'SELECT "open', "SELECT `open", "/* open", "'\\"])
def test_text_without_its_end_is_read_to_the_end(sql: str) -> None:
    tokens, comment = tokenize(sql)
    assert sum(len(token.text) for token in tokens) + len(comment) <= len(sql)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.text(alphabet="'\"\\`-#/* ;?xX0123456789abe.,()=\n\0é", max_size=60))
def test_any_text_gives_tokens_that_cover_it(sql: str) -> None:
    tokens, _ = tokenize(sql)
    position = 0
    for token in tokens:
        pieces = [token.text] if token.text in sql else []
        for piece in pieces:
            found = sql.find(piece, position)
            assert found >= position or token.kind in LITERALS
            position = max(position, found)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.text(max_size=40))
def test_an_escaped_value_comes_back(value: str) -> None:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0").replace("\n", "\\n")
    assert literals(f"UPDATE t SET a='{escaped}'") == [value]
    doubled = value.replace("\\", "\\\\").replace("'", "''")
    assert literals(f"UPDATE t SET a='{doubled}'") == [value]
