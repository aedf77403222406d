"""The program that asks tshark: how it ends."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from pyshark.capture.capture import TSharkCrashException

from glancetrace.verify import dissect


@pytest.mark.parametrize(("code", "end"), [(255, ["end"]), (2, ["error", "TShark (pid 7) crashed (retcode: 2). x"])])
def test_a_process_that_is_done_before_it_is_killed_did_not_crash(
    code: int, end: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def messages(**_: Any) -> Iterator[list[Any]]:
        yield ["command", "a:1", "b:2", 3, "3", ""]
        raise TSharkCrashException(f"TShark (pid 7) crashed (retcode: {code}).\nx")

    monkeypatch.setattr(dissect, "read_messages", messages)
    monkeypatch.setattr(sys, "argv", ["dissect", "{}"])
    dissect.main()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [["command", "a:1", "b:2", 3, "3", ""], end]
