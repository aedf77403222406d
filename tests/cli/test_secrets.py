"""No output of any command holds a secret of the capture, unless `--reveal` asks for it."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner

from glancetrace.cli import cli
from tests.support.samples import capture_path

PASSWORDS = ("labadminpass", "labdemopass")
FERNET = re.compile(r"gAAAA[A-Za-z0-9_-]{20}")
COMMANDS: dict[str, list[str]] = {
    "analyze": [],
    "analyze-json": ["--format", "json"],
    "analyze-jsonl": ["--format", "jsonl"],
    "analyze-csv": ["--format", "csv", "--table", "statements"],
    "timeline": [],
    "timeline-jsonl": ["--format", "jsonl"],
    "calls": [],
    "calls-csv": ["--format", "csv"],
    "sql": [],
    "sql-full": ["--full"],
    "info": [],
    "info-json": ["--format", "json"],
    "watch": [],
    "watch-jsonl": ["--format", "jsonl"],
}
SEARCHES = ("labadminpass", "admin", "gAAAA", "x-.*-token", "password")


def output(*args: str) -> str:
    return CliRunner().invoke(cli, args, catch_exceptions=False).output


def assert_no_secret(text: str) -> None:
    assert not [password for password in PASSWORDS if password in text]
    assert not FERNET.search(text)


@pytest.mark.parametrize("sample", ["article", "openstack-cli", "article-old"])
@pytest.mark.parametrize("name", COMMANDS)
def test_commands(name: str, sample: str) -> None:
    assert_no_secret(output(name.partition("-")[0], str(capture_path(sample)), *COMMANDS[name]))


@pytest.mark.parametrize("form", ["text", "json"])
def test_explanations(form: str) -> None:
    assert_no_secret(output("explain", "--call", "2", str(capture_path("article")), "--format", form))


@pytest.mark.parametrize("form", ["text", "json", "csv"])
@pytest.mark.parametrize("text", SEARCHES)
def test_searching_for_a_secret(text: str, form: str) -> None:
    found = output("search", "--regex", text, str(capture_path("article")), "--format", form)
    assert found.count("\n") > 1 or form == "json"
    assert_no_secret(found)


def test_reveal() -> None:
    article = str(capture_path("article"))
    assert "labadminpass" in output("search", "labadminpass", article, "--reveal")
    assert FERNET.search(output("search", "x-auth-token", article, "--reveal"))
