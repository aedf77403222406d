"""Several processes sanitise a capture: the outcome is that of one, to the byte, whatever becomes of the others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from glancetrace import decode_shares
from glancetrace.edit.sanitize import learning, passes, sweeping
from glancetrace.edit.sanitize.passes import Choices, sanitize
from glancetrace.edit.sanitize.report import render_report
from glancetrace.edit.sanitize.verify import verify
from glancetrace.issues import IssueLog
from glancetrace.options import Options
from tests.support.samples import CAPTURES

KEY = bytes(32)
EVERYTHING = Choices(image_bodies=True, names=True, addresses=True)
NAMES = Choices(names=True, addresses=True)


@pytest.fixture(autouse=True)
def _small_captures_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_shares, "_WORTH_SHARING", 0)


def outcome(source: Path, clean: Path, jobs: int, **how: Any) -> tuple[bytes, dict[str, Any], list[Any]]:
    """The bytes that were written, what the report says, and what was wrong with the capture."""
    issues = IssueLog()
    options = Options(jobs=jobs, block_size=how.pop("block_size", 4 << 20))
    done = sanitize([str(source)], str(clean), KEY, options, issues, **how)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)  # no process is left behind
    assert verify([str(clean)], done.known) == []
    return clean.read_bytes(), render_report(done, None), issues.rows()


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("article", NAMES),
        ("article-proxied-foreign", Choices()),
        ("article-tls12", Choices(keep_other=True)),
        ("concurrent-old-8", Choices()),
        ("mariadb-cli-compress", Choices()),
        ("article-old", EVERYTHING),
    ],
)
def test_jobs_give_the_same_bytes_and_the_same_report(name: str, choices: Choices, tmp_path: Path) -> None:
    source, clean = CAPTURES[name], tmp_path / "clean.pcap"
    alone = outcome(source, clean, 1, choices=choices)
    assert outcome(source, clean, 2, choices=choices) == alone
    assert outcome(source, clean, 3, choices=choices, block_size=1 << 17, kept_bytes=1000) == alone


def test_two_processes_learn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plans: list[int] = []
    learn_shares = passes.learn_shares

    def spy(*args: Any) -> list[learning.Learned] | None:
        learned = learn_shares(*args)
        assert learned is not None
        plans.extend(len(one.plans) for one in learned)
        return learned

    monkeypatch.setattr(passes, "learn_shares", spy)
    outcome(CAPTURES["concurrent-old-8"], tmp_path / "clean.pcap", 2)
    assert len(plans) == 2
    assert min(plans) > 5


def _fail(*_args: object) -> None:
    raise MemoryError


@pytest.mark.parametrize(
    ("module", "function"),
    [(learning, "send_findings"), (sweeping, "send_findings"), (learning._Helper, "work"), (learning, "settle")],
)
def test_a_process_that_fails_changes_nothing(
    module: Any, function: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source, clean = CAPTURES["article"], tmp_path / "clean.pcap"
    alone = outcome(source, clean, 1)
    here, works = os.getpid(), getattr(module, function)
    monkeypatch.setattr(module, function, lambda *args: _fail() if os.getpid() != here else works(*args))
    assert outcome(source, clean, 2) == alone


def test_a_file_that_grows_is_read_by_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source, clean = CAPTURES["article"], tmp_path / "clean.pcap"
    alone = outcome(source, clean, 1)
    join = learning._join
    monkeypatch.setattr(learning, "_join", lambda first, packets, *rest: join(first, packets - 1, *rest))
    assert outcome(source, clean, 2) == alone


def test_without_a_process_to_be_had_one_does_it_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source, clean = CAPTURES["article"], tmp_path / "clean.pcap"
    alone = outcome(source, clean, 1)

    def refuse() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    assert outcome(source, clean, 2) == alone
