"""Every sample gives the result that was read and found right when it was committed."""

from __future__ import annotations

import json

import pytest

from tests.support.golden import condense, golden_names, read_golden


@pytest.mark.parametrize("name", golden_names())
def test_result_is_the_golden_one(name: str) -> None:
    assert json.loads(json.dumps(condense(name))) == read_golden(name)
