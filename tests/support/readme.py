"""The code blocks of the README, and how to bring its output up to date: `python -m tests.support.readme`."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

__all__ = ["README", "ROOT", "blocks", "first_output"]

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(language: str) -> list[str]:
    """Contents of the fenced blocks of one language, in order."""
    return [text for name, text in _BLOCK.findall(README.read_text(encoding="utf-8")) if name == language]


def first_output() -> str:
    """What the first command of the README prints, with this interpreter instead of a new environment."""
    command = shlex.split(blocks("sh")[0].rpartition("&&")[2])
    assert Path(command[0]).name == "glancetrace"
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "FORCE_COLOR")}
    environment["PYTHONUTF8"] = "1"
    done = subprocess.run(
        [sys.executable, "-m", *[Path(command[0]).name, *command[1:]]],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode()


def main() -> None:
    """Put the present output into the README."""
    text = README.read_text(encoding="utf-8")
    README.write_text(
        text.replace(f"```text\n{blocks('text')[0]}```", f"```text\n{first_output()}```"), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
