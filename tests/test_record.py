"""The recorder of samples/record: its README tells its options, and it says what is wrong before it builds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

RECORD = Path(__file__).parent.parent / "samples" / "record"


def record(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(RECORD / "record.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_readme_tells_every_option_and_scenario() -> None:
    readme = (RECORD / "README.md").read_text(encoding="utf-8")
    usage = record("--help")
    assert usage.returncode == 0
    assert set(re.findall(r"--[a-z][a-z-]*", usage.stdout)) - {"--help", "--output"} == set(
        re.findall(r"--[a-z][a-z-]*", readme)
    )
    scenarios = re.search(r"\{(article[^}]*)\}", usage.stdout)
    assert scenarios is not None
    assert sorted(re.findall(r"^\| `([a-z]+)` \|", readme, re.MULTILINE)) == sorted(scenarios[1].split(","))


def test_a_wrong_option_is_one_line_and_status_2(tmp_path: Path) -> None:
    for wrong, said in (
        (["article", "--ports", "http"], "--ports http: numbers and commas"),
        (["failures", "--tls", "1.3"], "without --tls"),
        (["article", "--cache", "/srv/cache"], "/srv/cache: the lab covers /srv"),
    ):
        answer = record(*wrong, "-o", str(tmp_path))
        assert answer.returncode == 2
        assert said in answer.stderr.splitlines()[-1]


def test_every_version_is_pinned() -> None:
    for path in (RECORD / "versions").iterdir():
        lines = path.read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.+!]*", line)] == []
