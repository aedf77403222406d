"""What is fast is a short cut and nothing else: every sample gives the same result without it, to the byte.

Without the short cuts every packet goes through reordering, every request and response through the packet layer of
MySQL, and the text of every statement (of the smaller captures) is cut into tokens.
"""

from __future__ import annotations

from functools import partial

import pytest

from glancetrace import decode_part
from glancetrace.mysql import decoder
from glancetrace.net.reassemble import TcpReassembler
from glancetrace.output.json import render_json
from glancetrace.pipeline import analyze
from glancetrace.sql.parser import StatementParser
from tests.support.samples import CAPTURES, keylog_path
from tests.support.traces import analysed

_SMALL = 150_000
"""Captures up to so many compressed bytes are read without any short cut; tokens of 20,000 statements take too long."""


@pytest.mark.parametrize("name", sorted(CAPTURES))
def test_without_short_cuts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = b"".join(render_json(analysed(name, keys=True)))
    path = CAPTURES[name]
    monkeypatch.setattr(decode_part, "TcpReassembler", partial(TcpReassembler, fast=False))
    monkeypatch.setattr(decoder, "take_whole_request", lambda *_: False)
    monkeypatch.setattr(decoder, "take_whole_response", lambda *_: False)
    if path.stat().st_size < _SMALL:
        monkeypatch.setattr(StatementParser, "parse", lambda self, sql, params=None: self._parse_exact(sql, params))
    assert b"".join(render_json(analyze(path, keylog=keylog_path(name)))) == fast
