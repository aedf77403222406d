"""Hostile logs: whatever is in them, there is a result or one clear line, and no secret of theirs comes out."""

from __future__ import annotations

import gzip
import json
import re
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glancetrace.cli import cli, main
from glancetrace.errors import InputError
from glancetrace.logs.lines import LONGEST
from glancetrace.logs.read import read_log
from tests.support.api_logs import LOGS, log_path, log_text, public_capture

SECRETS = ("s3cr3t-of-mine", "gAAAAABedGhpcyBpcyBhIGZha2UgdG9rZW4gZm9yIGEgdGVzdA", "{SHA256}cae53a3544193b5e1ee8")


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(public_capture(tmp_path_factory.mktemp("public")))


@given(st.sampled_from(LOGS[:5]), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_logs(tmp_path: Path, name: str, data: st.DataObject) -> None:
    content = bytearray(log_text(name).encode())
    for _ in range(data.draw(st.integers(1, 12))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 60))] = data.draw(st.binary(max_size=20))
    path = tmp_path / "log"
    path.write_bytes(bytes(content))
    with suppress(InputError):
        assert all(call.line >= 1 and call.method and call.target for call in read_log(str(path)).calls)


@pytest.mark.parametrize("name", LOGS[2:5])
def test_the_beginning_of_a_log_gives_the_beginning_of_its_calls(tmp_path: Path, name: str) -> None:
    lines = log_text(name).splitlines(keepends=True)
    whole = [(c.line, c.method, c.target, c.status_code, c.begin) for c in read_log(log_path(name)).calls]
    path = tmp_path / "log"
    for count in range(1, len(lines) + 1):
        path.write_text("".join(lines[:count]))
        part = [(c.line, c.method, c.target, c.status_code, c.begin) for c in read_log(str(path)).calls]
        assert part == whole[: len(part)]


def test_a_compressed_log_that_ends_in_the_middle(capture: str, tmp_path: Path) -> None:
    packed = gzip.compress(log_text("openstack-debug.log.gz").encode())
    path = tmp_path / "log.gz"
    path.write_bytes(packed[: len(packed) // 2])
    done = CliRunner().invoke(cli, ["analyze", capture, "--api-log", str(path), "--format", "json"])
    found = json.loads(done.output)
    assert 0 < len(found["api_calls"]) < 12
    assert [(i["kind"], i["where"]) for i in found["issues"] if "log" in i["kind"]] == [("log-cut-short", str(path))]


def test_huge_lines_and_control_characters(capture: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    lines = log_text("haproxy.log").splitlines()
    huge = lines[5].replace("/file HTTP", "/file?x=" + "y" * (LONGEST + 5) + " HTTP")
    hostile = lines[5].replace("/file HTTP", "/file?\x1b]0;owned\x07\x1b[31m HTTP")
    path.write_text("\n".join([*lines, huge, hostile, "a" * 300_000, "\x00\x1b" * 10_000]) + "\n")
    done = CliRunner().invoke(
        cli, ["calls", capture, "--api-log", str(path), "--color", "always"], catch_exceptions=False
    )
    assert done.exit_code == 0
    assert "\x1b]" not in done.output
    assert "\x07" not in done.output
    assert done.output.count("image-upload") >= 2


@pytest.mark.parametrize("content", [b"no log\n", b"\x1f\x8b\x08\x00junk"])
def test_no_log_is_one_line_and_exit_code_3(
    capture: str, tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log"
    path.write_bytes(content)
    with pytest.raises(SystemExit) as stopped:
        main(["analyze", capture, "--api-log", str(path)])
    out, error = capsys.readouterr()
    assert (stopped.value.code, out, error.count("\n")) == (3, "", 1)
    assert str(path) in error
    assert ("copy the file again" if content.startswith(b"\x1f") else "openstack --debug") in error


def secretive(folder: Path) -> Path:
    """The client's log with every secret that a careless client writes."""
    text = log_text("openstack-debug.log.gz")
    text = re.sub(r"\{SHA256\}[0-9a-f]{64}", SECRETS[1], text, count=2)
    text = text.replace("/v2/images?name=", f"/v2/images?token={SECRETS[1]}&password={SECRETS[0]}&name=")
    text = text.replace(
        "Making authentication request to https://127.0.0.20:13000/v3/auth/tokens",
        'REQ: curl -g -i -X POST https://127.0.0.20:13000/v3/auth/tokens -d \'{"auth": {"identity": {"password": '
        f'{{"user": {{"name": "admin", "password": "{SECRETS[0]}"}}}}}}}}}}\'',
    )
    path = folder / "debug.log"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "command",
    [
        ["analyze"],
        ["analyze", "--format", "json"],
        ["timeline"],
        ["calls", "--wide"],
        ["calls", "--format", "csv"],
        ["search", "--regex", "token|password|s3cr3t|gAAAA"],
    ],
    ids=" ".join,
)
def test_secrets_of_a_log_never_come_out(capture: str, tmp_path: Path, command: list[str]) -> None:
    args = [*command, capture, "--api-log", str(secretive(tmp_path))]
    done = CliRunner().invoke(cli, args, catch_exceptions=False)
    assert done.exit_code == 0
    assert len(done.output) > 300
    assert not [secret for secret in SECRETS if secret in done.output]
