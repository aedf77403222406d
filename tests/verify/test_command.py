"""`glancetrace verify`: text, JSON, exit codes, and what is said where a tool is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import glancetrace.verify.verify
from glancetrace.cli import cli
from glancetrace.errors import InputError
from glancetrace.output.text_verify import render_verdict
from glancetrace.verify.compare import KINDS
from glancetrace.verify.known import REASONS
from glancetrace.verify.messages import own_messages
from tests.support.conversation import Conversation
from tests.support.openssl import Certificate, Setup, TlsTalk
from tests.support.samples import capture_path

LOGIN = capture_path("pymysql-multi")


def run(*args: str) -> Result:
    return CliRunner().invoke(cli, ["verify", *args], catch_exceptions=False, standalone_mode=False)


def test_nothing_differs() -> None:
    result = run(str(LOGIN))
    assert result.return_value == 0
    assert result.stdout.splitlines()[:2] == [
        "Compared with tshark: 0 requests, 0 responses, 20 commands (glancetrace: 15)",
        "No difference",
    ]
    assert "file-contents: 5 (frames 49, 62, 75, 88, 93): tshark takes" in result.stdout


def test_something_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As JSON, with the exit code of a comparison that found something."""

    def one_less(trace: Any) -> Any:
        return list(own_messages(trace))[:-1]

    monkeypatch.setattr(glancetrace.verify.verify, "own_messages", one_less)
    result = run(str(LOGIN), "--format", "json")
    verdict = json.loads(result.stdout)
    assert result.return_value == 1
    assert verdict["same"] is False
    (found,) = [row for row in verdict["differences"] if row["reason"] is None]
    assert (found["kind"], found["message"], found["glancetrace"]) == ("only-tshark", "command", None)
    assert found["tshark"]["what"].startswith("COM_")


def test_nothing_to_compare_is_said() -> None:
    """A connection that stays closed: that nothing differs would be no news."""
    result = run(str(capture_path("pymysql-tls13")))
    assert result.return_value == 0
    assert "nothing was compared" in result.stderr


def test_tls_with_the_server_s_rsa_key(certificates: dict[str, Certificate], tmp_path: Path) -> None:
    """Key exchange with RSA (RFC 5246, 7.4.7.1): both decrypt with the private key, which no key log is needed for."""
    talk = TlsTalk(Setup(certificates["rsa"], "TLS 1.2", "AES128-GCM-SHA256")).shake_hands()
    talk.ask(b"GET /v2/images/7b1a2c3d-0000-4000-8000-000000000001 HTTP/1.1\r\nHost: g\r\n\r\n")
    talk.answer(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}")
    conversation = Conversation()
    session = conversation.connect("192.0.2.1", ("192.0.2.2", 13292))
    for direction, data in talk.flights:
        (session.reply if direction else session.send)(data)
    capture = str(conversation.write(tmp_path / "c.pcap"))
    closed = run(capture)
    assert "nothing was compared" in closed.stderr
    result = run(capture, "--rsa-key", str(certificates["rsa"].path), "--format", "json")
    assert result.return_value == 0
    verdict = json.loads(result.stdout)
    assert verdict["differences"] == []
    assert verdict["tshark"] == verdict["glancetrace"] == {"request": 1, "response": 1, "command": 0}


def row(**fields: Any) -> dict[str, Any]:
    side = {"frame": 7, "what": "PUT", "text": "/v2/images/\x1b[31mx"}
    told = {"kind": "target", "reason": None, "frame": 7, "message": "request", "client": "a:1", "server": "b:2"}
    return {**told, "call_id": 3, "statement_id": None, "glancetrace": side, "tshark": {**side, "text": "/y"}, **fields}


def test_the_text_names_place_and_both_sides() -> None:
    counts = {"request": 1, "response": 0, "command": 0}
    verdict = {"tshark": counts, "glancetrace": counts, "with_bodies": False, "differences": [row()] * 250}
    lines = list(render_verdict(verdict, KINDS, REASONS))
    assert lines[1].startswith("  bodies were not put together")
    assert lines[2:6] == [
        "250 differences",
        "  frame 7: request a:1 > b:2, call 3: another target",
        "    tshark: frame 7: PUT /y",
        "    glancetrace: frame 7: PUT /v2/images/x",
    ]
    assert lines[-1] == "  and 50 more; see --format json"


def test_without_tshark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="tshark is not installed; install it: apt-get install tshark") as caught:
        run(str(LOGIN))
    assert caught.value.exit_code == 3


def test_without_pyshark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyshark", None)
    with pytest.raises(InputError, match="pip install pyshark"):
        run(str(LOGIN))


def test_it_works_inside_an_event_loop() -> None:
    """As Jupyter has one, in which pyshark itself fails."""
    program = (
        "import asyncio\n"
        "from glancetrace.pipeline import analyze\n"
        "from glancetrace.glance.ports import DEFAULT_PORTS\n"
        "from glancetrace.verify.verify import verify\n"
        "async def main():\n"
        f"    found = verify(analyze({str(LOGIN)!r}), [{str(LOGIN)!r}], DEFAULT_PORTS)\n"
        "    print(found.theirs['command'], len(found.contradictions))\n"
        "asyncio.run(main())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["20", "0"]


def test_secrets_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where every message differs."""
    monkeypatch.setattr(glancetrace.verify.verify, "own_messages", lambda trace: [])
    shown = run(str(capture_path("pymysql-basic")), "--format", "json").stdout
    assert "COM_QUERY" in shown
    assert "labadminpass" not in shown
