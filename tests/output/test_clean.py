from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glancetrace.output.clean import clean, escape_json_controls


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("plain name", "plain name"),
        ("  two   spaces ", "two spaces"),
        ("\x1b[2J\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]0;title\x1b\\after", "after"),
        ("\x9b31mred", "red"),
        ("one\r\ntwo\tthree\u2028four", "one two three four"),
        ("gnp\u202eexe.", "gnpexe."),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("nul\x00byte", "nulbyte"),
        ("lone\ud800surrogate", "lonesurrogate"),
        ("snow ☃ é 中文 👍", "snow ☃ é 中文 👍"),
    ],
)
def test_what_is_no_visible_text_is_removed(hostile: str, shown: str) -> None:
    assert clean(hostile) == shown


@given(st.text())
def test_clean_text_is_one_line_without_controls(text: str) -> None:
    shown = clean(text)
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
    assert clean(shown) == shown


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_escaped_json_means_the_same(text: str) -> None:
    encoded = json.dumps(text, ensure_ascii=False)
    escaped = escape_json_controls(encoded)
    assert json.loads(escaped) == text
    assert "\x9b" not in escaped
    assert "\u202e" not in escaped
