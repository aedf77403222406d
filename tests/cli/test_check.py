"""`check` and `rules` from the command line: what they read, what they write, how they end."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from glancetrace.check.gate.rules import ALL_RULES
from glancetrace.cli import cli
from glancetrace.errors import InputError, UsageError
from glancetrace.output.json import dump_document
from tests.support.results import document_of
from tests.support.samples import capture_path
from tests.support.traces import analysed

ARTICLE = str(capture_path("article"))
FAILURES = str(capture_path("failures"))


def run(*args: str) -> Result:
    return CliRunner().invoke(cli, [*args, *(["--no-progress"] if args[0] == "check" else [])],
                              catch_exceptions=False, standalone_mode=False)  # fmt: skip


def code(*args: str) -> Any:
    """What `main` exits with: a command's value, 0 for none."""
    return run(*args).return_value or 0


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("result") / "result.json"
    path.write_bytes(dump_document(document_of("article")))
    return path


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("failures") / "failures.json"
    path.write_bytes(dump_document(document_of("failures")))
    return str(path)


@pytest.fixture(scope="module")
def rules(result: Path) -> Path:
    path = result.with_name("article.glancetrace.toml")
    assert code("check", "--init", str(result), "-o", str(path)) == 0
    return path


def test_exit_codes(rules: Path, result: Path, failures: str) -> None:
    assert code("check", str(result)) == 0
    assert code("check", failures) == 1
    assert code("check", str(capture_path("article-tls13"))) == 3
    assert code("check", "--rules", str(rules), str(result)) == 0
    assert code("check", "--rules", str(rules), failures) == 1


def test_init_says_what_it_ignores(rules: Path, failures: str, tmp_path: Path) -> None:
    assert "[ignore]" not in rules.read_text()
    path = tmp_path / "failures.glancetrace.toml"
    done = run("check", "--init", failures, "-o", str(path))
    assert "this capture fails by image-stuck (1); [ignore] lets that pass" in done.stderr
    text = path.read_text()
    assert text.index("# WARNING: the capture has findings that fail") < text.index("[ignore]\nimage-stuck = ")


def test_init_writes_down_the_keys_that_it_was_read_with(tmp_path: Path) -> None:
    capture = capture_path("article-tls13")
    path = tmp_path / "tls.glancetrace.toml"
    keys = str(capture.with_name("article-tls13.keylog"))
    assert code("check", "--init", str(capture), "--keylog", keys, "--port", "glance=9999", "-o", str(path)) == 0
    assert code("check", "--rules", str(path)) == 0
    assert 'port = "glance=9999"' in path.read_text()


def test_a_file_that_ends_in_a_packet_does_not_pass(tmp_path: Path) -> None:
    whole = gzip.decompress(capture_path("article").read_bytes())
    cut, rules = tmp_path / "cut.pcap", tmp_path / "rules.toml"
    cut.write_bytes(whole[:-40])
    done = run("check", str(cut))
    assert done.return_value == 3
    assert "not whole (capture-cut-short)" in done.stdout
    assert code("diff", ARTICLE, str(cut), "--no-progress") == 3
    rules.write_text('[capture]\nmax_loss = "0.1 %"\n')
    assert code("check", "--rules", str(rules), str(cut)) == 0


def test_a_rules_file_may_name_its_capture(rules: Path) -> None:
    assert "article.pcap.gz" in rules.read_text()
    done = run("check", "--rules", str(rules))
    assert done.return_value == 0
    assert "0 failed, 0 cannot be judged" in done.stdout


def test_a_result_may_be_compressed(result: Path) -> None:
    packed = result.with_suffix(".json.gz")
    packed.write_bytes(gzip.compress(result.read_bytes()))
    assert run("check", str(packed)).stdout == run("check", str(result)).stdout
    packed.write_bytes(gzip.compress(result.read_bytes())[:-4000])
    with pytest.raises(InputError, match="ends too early or is damaged"):
        run("check", str(packed))


@pytest.mark.parametrize(
    ("content", "words"),
    [('{"schema": ', "is no JSON"), ('{"schema": "other/1"}', "no result of schema"),
     ('{"schema": "glancetrace/1", "capture": {}}', "lacks connections")],
)  # fmt: skip
def test_what_is_no_result_is_told(content: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(content)
    with pytest.raises(InputError, match=words):
        run("check", str(path))


@pytest.mark.parametrize("form", ["json", "junit", "sarif", "github", "text"])
def test_formats(form: str, result: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    assert code("check", str(result), "--format", form, "-o", str(out)) == 0
    assert out.stat().st_size > 30
    if form in ("json", "sarif"):
        json.loads(out.read_bytes())


def test_wrong_usage(rules: Path) -> None:
    for args in (("check",), ("check", "--init", "--rules", str(rules), ARTICLE)):
        with pytest.raises(UsageError):
            run(*args)
    with pytest.raises(UsageError, match="did you mean image-stuck"):
        run("rules", "image-stuk")


def test_rules_are_listed_and_explained() -> None:
    listed = run("rules").stdout.splitlines()
    assert [line.split()[0] for line in listed] == [rule.number for rule in ALL_RULES.values()]
    for key in ("GT006", "success-not-committed"):
        text = run("rules", key).stdout
        assert ALL_RULES["success-not-committed"].title in text
        assert "What to do" in text
    assert len(json.loads(run("rules", "--format", "json").stdout)) == len(ALL_RULES)


def test_no_secret_reaches_a_verdict() -> None:
    text = run("check", FAILURES, "--format", "json").stdout
    assert "gAAAA" not in text
    assert "labadminpass" not in text


def test_a_saved_trace_is_judged_like_its_capture(result: Path, rules: Path, tmp_path: Path) -> None:
    analysed("article").save(tmp_path / "saved")
    for args in ((), ("--rules", str(rules))):
        saved = run("check", str(tmp_path / "saved"), *args)
        assert saved.stdout == run("check", str(result), *args).stdout
        assert saved.return_value == 0
    assert code("diff", str(tmp_path / "saved"), str(result), "--no-progress") == 0
