"""The pytest plugin in pytest runs of its own."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import glancetrace.assertions
import glancetrace.pipeline
import glancetrace.saved
import glancetrace.views  # noqa: F401 - pytester unloads what its runs import, and numpy cannot be loaded twice
from tests.support.readme import blocks
from tests.support.samples import CAPTURES, capture_path, keylog_path

pytest_plugins = ["pytester"]

NAME = "glancetrace"
INSTALLED = any(point.name == NAME for point in entry_points(group="pytest11"))
PLUGIN = () if INSTALLED else ("-p", "glancetrace.pytest_plugin")
"""In an environment with glancetrace the entry point loads it."""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    """Run pytest over a test file and what lies beside it: the article capture, plain and over TLS."""
    for name in ("CI", "BUILD_NUMBER"):  # with one of these pytest does not cut the lines of its summary
        monkeypatch.delenv(name, raising=False)
    for name in ("article", "article-tls13"):
        path = capture_path(name)
        (pytester.path / path.name).symlink_to(path)
        if keylog := keylog_path(name):
            (pytester.path / keylog.name).symlink_to(keylog)

    def run(code: str = "", *args: str) -> pytest.RunResult:
        if code:
            pytester.makepyfile(test_capture=code)
        return pytester.runpytest_inprocess(*PLUGIN, "-p", "no:cacheprovider", "-q", *args)

    return run


def text_of(result: pytest.RunResult) -> str:
    return "\n".join(result.outlines + result.errlines)


def test_fixtures_and_assertions_that_hold(run) -> None:
    result = run(
        """
        import pytest

        def test_by_name(glancetrace):
            trace = glancetrace("article.pcap.gz")
            assert glancetrace("article.pcap.gz").document is trace.document
            image = trace.image("overcloud-full")
            assert image.states == ["queued", "saving", "active"]
            image.assert_states("queued", "saving", "active")
            image.assert_passed("queued", "active")
            image.assert_never("killed", "deleted")
            image.assert_time(saving="30s")
            trace.assert_calls("image-upload", 3)
            trace.assert_statements("image-upload", 32)
            trace.assert_duration("image-*", "5s", p95="5s")
            assert len(image.transitions) == 3
            assert len(trace.images) == 3

        @pytest.mark.capture("article-tls13.pcap.zst", keylog="article-tls13.keylog")
        class TestEncrypted:
            def test_findings(self, trace):
                trace.assert_no_findings(severity="error")
                trace.assert_no_findings(severity="info", ignore=["lookup-not-found"])

            def test_same(self, trace, glancetrace):
                again = glancetrace("article-tls13.pcap.zst", keylog="article-tls13.keylog")
                assert again.document is trace.document
        """,
        "--strict-markers",
    )
    result.assert_outcomes(passed=3)


def test_the_example_of_the_readme(run, pytester: pytest.Pytester) -> None:
    (code,) = [block for block in blocks("python") if "def test_" in block]
    (pytester.path / "good.pcapng").symlink_to(capture_path("article"))
    run(code, "--update-captures").assert_outcomes(passed=1)
    run(code).assert_outcomes(passed=1)


def test_failures_are_readable(run) -> None:
    result = run(
        """
        import pytest
        pytestmark = pytest.mark.capture("article.pcap.gz")

        def test_states(trace):
            trace.image("overcloud-full").assert_states("queued", "active")

        def test_calls(trace):
            trace.assert_calls("image-delete", 1)

        def test_no_image(trace):
            trace.image("other")
        """
    )
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        [
            "*AssertionError: GT102 expected-statuses: image overcloud-full",
            "*(773aa24b-*): failed: queued > saving >",
            "*active: expected queued > active",
            "*Wireshark: frame.number in {2045,*",
            "*glancetrace: article.pcap.gz*",
            "image overcloud-full (*)",
            "  active, 2026-11-20, UTC",
            "*queued -> saving  frame 2632, image-upload (call *)",
            "*GT104 expected-calls: calls of image-delete: failed: 0",
            "*seen, expected 1",
            "*0 images 'other' in article.pcap.gz; there are:",
        ]
    )
    assert "overcloud-full-initrd (" not in text_of(result).split("glancetrace: article.pcap.gz")[1].split("====")[0]
    assert "judge_images" not in text_of(result)
    report = text_of(result).split("warnings summary")[0].splitlines()
    assert [line for line in report if len(line) > 80] == []


def test_misspelt_words_do_not_pass(run) -> None:
    result = run(
        """
        import pytest

        @pytest.mark.capture("article.pcap.gz")
        def test_words(trace):
            for check in (
                lambda: trace.image("overcloud-full").assert_never("kiled"),
                lambda: trace.image("overcloud-full").assert_time(savin="1s"),
                lambda: trace.assert_calls("image-delte", 0),
            ):
                with pytest.raises(ValueError, match="no status of an image: |did you mean image-delete"):
                    check()
        """
    )
    result.assert_outcomes(passed=1)


def test_hostile_names_do_not_reach_the_terminal(run, pytester: pytest.Pytester) -> None:
    from glancetrace.document import render_document
    from glancetrace.output.json import dump_document
    from glancetrace.pipeline import analyze

    document = render_document(analyze(CAPTURES["article"]))
    document["images"][0]["name"] = "\x1b[31mevil\x1b]0;title\x07\u202e"
    (pytester.path / "result.json").write_bytes(dump_document(document))
    result = run(
        """
        def test_it(glancetrace):
            trace = glancetrace("result.json")
            trace.image(trace.document["images"][0]["id"]).assert_states("queued")
        """
    )
    result.assert_outcomes(failed=1)
    text = text_of(result)
    assert "image evil (" in text
    for hidden in ("\x1b[31m", "\x1b]0;", "\u202e"):
        assert hidden not in text


def test_what_is_not_visible_fails(run) -> None:
    result = run(
        """
        import pytest

        @pytest.mark.capture("article-tls13.pcap.zst")
        def test_calls(trace):
            trace.assert_no_findings(severity="error")
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*cannot be judged: nothing found, but 29", "*requests are encrypted*"])


def test_golden_results(run, pytester: pytest.Pytester) -> None:
    code = """
        import pytest

        @pytest.mark.capture("article.pcap.gz")
        def test_story(trace, capture_snapshot):
            assert trace == capture_snapshot
    """
    missing = run(code)
    missing.assert_outcomes(failed=1)
    missing.stdout.fnmatch_lines(["*is not there; pytest --update-captures writes it*"])
    run(code, "--update-captures").assert_outcomes(passed=1)
    (golden,) = (pytester.path / "captures.golden").iterdir()
    assert golden.name == "test_capture.test_story.json"
    run(code).assert_outcomes(passed=1)
    golden.write_text(golden.read_text().replace('"200": 9', '"200": 8'))
    changed = run(code)
    changed.assert_outcomes(failed=1)
    changed.stdout.fnmatch_lines(['*-  "glance image-show": {"200": 8*', '*+  "glance image-show": {"200": 9*'])


RULES = """
[capture]
files = "article.pcap.gz"
[[image]]
name = "overcloud-full"
statuses = ["queued", "saving", "active"]
[[call]]
operation = "image-upload"
count = {count}
"""


def test_rules_files_are_tests(run, pytester: pytest.Pytester) -> None:
    path = pytester.path / "upload.glancetrace.toml"
    path.write_text(RULES.replace("{count}", "3"))
    good = run("", "-rA")
    good.assert_outcomes(passed=4)
    for name in ("capture", "image overcloud-full", "calls of image-upload", "built-in rules"):
        assert f"PASSED {path.name}::{name}" in text_of(good)
    path.write_text(RULES.replace("{count}", "4"))
    bad = run()
    bad.assert_outcomes(passed=3, failed=1)
    bad.stdout.fnmatch_lines(
        ["GT104 expected-calls: calls of image-upload: failed: 3*", "*seen, expected 4*", "*frame.number in *"]
    )


def test_rules_files_that_are_wrong_are_errors(run, pytester: pytest.Pytester) -> None:
    path = pytester.path / "upload.glancetrace.toml"
    for text, words in (
        ("[[imag]]\nname = 'x'", "*line 1: imag: is not known; did you mean image*"),
        ("fail_on = 'error'", "*names no capture*"),
    ):
        path.write_text(text)
        result = run()
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines([words])
    path.write_text("[capture]\nfiles = 'none.pcap'")
    gone = run()
    gone.assert_outcomes(failed=2)
    gone.stdout.fnmatch_lines(["*none.pcap: no such file*"])


def test_wrong_use_is_told_in_a_line(run) -> None:
    result = run(
        """
        import pytest

        def test_unmarked(trace): pass
        def test_missing(glancetrace): glancetrace("none.pcap")
        def test_port(glancetrace): glancetrace("article.pcap.gz", port="x")
        @pytest.mark.capture("test_capture.py")
        def test_no_capture(trace): pass
        """
    )
    result.assert_outcomes(failed=2, errors=2)
    for words in ("fixture trace needs a marker", "no capture 'none.pcap' in ", "is not SERVICE=PORT",
                  "test_capture.py: "):  # fmt: skip
        assert words in text_of(result)


def test_with_xdist(run, pytester: pytest.Pytester) -> None:
    (pytester.path / "upload.glancetrace.toml").write_text(RULES.replace("{count}", "3"))
    code = """
        import pytest

        @pytest.mark.capture("article.pcap.gz")
        @pytest.mark.parametrize("n", range(3))
        def test_story(trace, capture_snapshot, n):
            assert trace == capture_snapshot
    """
    run(code, "-n", "2", "--update-captures").assert_outcomes(passed=7)
    assert len(list((pytester.path / "captures.golden").iterdir())) == 3
    run(code).assert_outcomes(passed=7)


def test_results_and_saved_traces_can_be_used(run, pytester: pytest.Pytester) -> None:
    from glancetrace.document import render_document
    from glancetrace.output.json import dump_document
    from glancetrace.pipeline import analyze

    trace = analyze(CAPTURES["article"])
    (pytester.path / "result.json").write_bytes(dump_document(render_document(trace)))
    trace.save(pytester.path / "saved")
    code = """
        import pytest

        @pytest.mark.parametrize("name", ["result.json", "saved"])
        def test_it(glancetrace, name):
            glancetrace(name).image("overcloud-full").assert_states("queued", "saving", "active")
    """
    run(code).assert_outcomes(passed=2)


def test_a_run_that_does_not_use_it_imports_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text("def test_nothing(): pass\n")
    program = (
        "import sys, pytest\n"
        f"code = pytest.main(['-q', '-p', 'no:cacheprovider', *{PLUGIN!r}, {str(tmp_path)!r}])\n"
        "heavy = {'numpy', 'pandas', 'orjson', 'click', 'sqlglot', 'dpkt', 'pyarrow'} & set(sys.modules)\n"
        "own = {name for name in sys.modules if name.startswith('glancetrace.')} - {'glancetrace.pytest_plugin'}\n"
        "sys.exit(f'{heavy} {own}' if heavy or own else int(code))\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
