"""Captures in tests: fixtures `glancetrace`, `trace` and `capture_snapshot`, and rules files as tests.

    def test_upload(glancetrace):
        trace = glancetrace("upload.pcap", keylog="keys.txt")
        trace.image("overcloud-full").assert_states("queued", "saving", "active")

    @pytest.mark.capture("upload.pcap")
    def test_nothing_is_wrong(trace):
        trace.assert_no_findings(severity="error")

    @pytest.mark.capture("upload.pcap")
    def test_is_as_it_was(trace, capture_snapshot):
        assert trace == capture_snapshot        # --update-captures writes it

Files named `*.glancetrace.toml` (see `glancetrace check --init`) that name their capture are collected, a test for each
expectation. Paths are relative to the test file, else to the root directory. Every process reads a capture once.

Nothing of glancetrace is imported until a test asks for it: in other test runs this plugin costs next to nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from glancetrace.assertions import CheckedTrace
    from glancetrace.check.gate.expectations import Expectations
    from glancetrace.verdict import Files, Outcome

__all__: list[str] = []

_SUFFIX = ".glancetrace.toml"
_SOURCES = ("keylog", "rsa_key", "api_log")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds --update-captures."""
    parser.getgroup("glancetrace").addoption(
        "--update-captures", action="store_true", help="Write golden results of captures (capture_snapshot) anew."
    )


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known."""
    config.addinivalue_line(
        "markers", "capture(path, keylog=, rsa_key=, api_log=, port=, max_loss=): the capture of fixture trace."
    )


def _resolve(path: str | os.PathLike[str], request: pytest.FixtureRequest) -> str:
    """A path beside the test file, else below the root directory."""
    folders = (request.path.parent, request.config.rootpath)
    for folder in folders:
        if (folder / path).exists():
            return str(folder / path)
    return pytest.fail(f"no capture {os.fspath(path)!r} in {' or '.join(map(str, folders))}", pytrace=False)


@pytest.fixture(scope="session")
def _read_captures() -> dict[tuple[Any, ...], Any]:
    """What was read in this process: arguments -> (document, result)."""
    return {}


@pytest.fixture
def glancetrace(
    request: pytest.FixtureRequest, _read_captures: dict[tuple[Any, ...], Any]
) -> Callable[..., CheckedTrace]:
    """Reads a capture, a JSON result or a saved trace: `glancetrace(path, keylog=, rsa_key=, api_log=, port=)`.

    `max_loss` is the share of the capture that may be missing for assertions to pass all the same.
    """

    def read(path: str | os.PathLike[str], *, max_loss: float = 0, **sources: Any) -> CheckedTrace:
        from glancetrace.assertions import CheckedTrace
        from glancetrace.errors import GlancetraceError

        name = _resolve(path, request)
        given = {
            key: tuple(_resolve(one, request) if key in _SOURCES else one for one in _several(value))
            for key, value in sources.items()
        }
        known = (name, *sorted(given.items()))
        if known not in _read_captures:
            try:
                _read_captures[known] = _read([name], **given)
            except GlancetraceError as error:
                pytest.fail(str(error), pytrace=False)
        document, result = _read_captures[known]
        trace = CheckedTrace(os.fspath(path), document, result, max_loss)
        request.node.stash.setdefault(_TRACES, []).append(trace)
        return trace

    return read


_TRACES = pytest.StashKey[list[Any]]()


def _several(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _read(
    paths: list[str],
    keylog: Iterable[str] = (),
    rsa_key: Iterable[str] = (),
    api_log: Iterable[str] = (),
    port: Iterable[str] = (),
) -> tuple[dict[str, Any], Any]:
    """Document and result of captures, or of a result that was written before."""
    from glancetrace.earlier import is_earlier, read_earlier

    if is_earlier(paths):
        earlier = read_earlier(paths[0])
        return earlier.document(), earlier
    from glancetrace.document import render_document
    from glancetrace.glance.ports import parse_ports
    from glancetrace.pipeline import Options, analyze

    options = Options(ports=parse_ports(port), keylogs=tuple(keylog), rsa_keys=tuple(rsa_key), api_logs=tuple(api_log))
    trace = analyze(paths, options)
    return render_document(trace), trace


@pytest.fixture
def trace(request: pytest.FixtureRequest, glancetrace: Callable[..., CheckedTrace]) -> CheckedTrace:
    """The capture of the test's marker: `@pytest.mark.capture("upload.pcap", keylog="keys.txt")`."""
    marker = request.node.get_closest_marker("capture")
    if marker is None or len(marker.args) != 1:
        pytest.fail('fixture trace needs a marker: @pytest.mark.capture("upload.pcap")', pytrace=False)
    return glancetrace(marker.args[0], **marker.kwargs)


class _Snapshot:
    """The golden result of a test; equal to a trace that tells the same story."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, path: Path, *, update: bool) -> None:
        self.path = path
        self.update = update
        self.difference: list[str] = []

    def __repr__(self) -> str:
        return f"<golden result {self.path.name}>"

    def __eq__(self, other: object) -> bool:
        from glancetrace.check.gate.golden import render_golden

        document = getattr(other, "document", None)
        if not isinstance(document, dict):
            return NotImplemented
        text = render_golden(document)
        if self.update:
            self.path.parent.mkdir(exist_ok=True)
            part = self.path.with_name(f".{self.path.name}.{os.getpid()}")
            part.write_text(text, encoding="utf-8")
            part.replace(self.path)
            return True
        if not self.path.exists():
            self.difference = [f"{self.path} is not there; pytest --update-captures writes it"]
            return False
        golden = self.path.read_text(encoding="utf-8")
        if golden != text:
            import difflib

            lines = list(difflib.unified_diff(golden.splitlines(), text.splitlines(), lineterm="", n=0))[2:]
            changed = [line for line in lines if not line.startswith("@@")]
            self.difference = ["pytest --update-captures takes the capture's (+)", *changed]
        return golden == text


@pytest.fixture
def capture_snapshot(request: pytest.FixtureRequest) -> _Snapshot:
    """The golden result of this test, in `captures.golden` beside its file: `assert trace == capture_snapshot`."""
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in f"{request.path.stem}.{request.node.name}")
    path = request.path.parent / "captures.golden" / f"{name}.json"
    return _Snapshot(path, update=request.config.getoption("--update-captures"))


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """What differs from a golden result."""
    snapshot = left if isinstance(left, _Snapshot) else right
    if op == "==" and isinstance(snapshot, _Snapshot):
        return ["the capture tells another story than the golden result", *snapshot.difference]
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows the timelines of its images."""
    report = yield
    if report.failed and report.when == "call":
        for trace in item.stash.get(_TRACES, ()):
            report.sections.append((f"glancetrace: {trace.name}", "\n".join(trace.timeline())))
    return report


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.File | None:
    """Rules files are tests."""
    if file_path.name.endswith(_SUFFIX):
        return _RulesFile.from_parent(parent, path=file_path)
    return None


class _RulesFile(pytest.File):
    """A rules file; its capture is judged once, when the first of its tests runs."""

    outcomes: tuple[Outcome, ...] | None = None
    files: Files

    def collect(self) -> Iterator[pytest.Item]:
        """An item per expectation."""
        from glancetrace.check.gate.reading import read_rules
        from glancetrace.errors import GlancetraceError

        try:
            rules = read_rules(str(self.path))
        except GlancetraceError as error:
            raise self.CollectError(str(error)) from None
        if not rules.source.files:
            raise self.CollectError(f'{self.path}: names no capture; write files = "capture.pcap" in [capture]')
        names: set[str] = set()
        for name, line in _expectations(rules):
            name = name if name not in names else f"{name} (line {line})"
            names.add(name)
            yield _Expectation.from_parent(self, name=name, rules=rules, line=line)

    def judged(self, rules: Expectations) -> tuple[Outcome, ...]:
        """Outcomes of all checks."""
        if self.outcomes is None:
            from glancetrace.capture.inputs import expand
            from glancetrace.check.gate.judge import judge

            source = rules.source
            document, _ = _read(expand(source.files), source.keylogs, source.rsa_keys, source.api_logs, source.ports)
            verdict = judge(document, rules)
            self.outcomes, self.files = tuple(verdict.outcomes), verdict.files
        return self.outcomes


def _expectations(rules: Expectations) -> Iterator[tuple[str, int | None]]:
    """Name and line of everything that a rules file expects."""
    yield "capture", rules.quality.line
    for image in rules.images:
        yield image.subject, image.line
    if not rules.unexpected_images:
        yield "no other images", rules.images_line
    for call in rules.calls:
        yield call.subject, call.line
    if rules.errors_line is not None:
        yield "errors", rules.errors_line
    if rules.full_scan_line is not None:
        yield "no full scan of images", rules.full_scan_line
    if rules.autocommit_line is not None:
        yield "no UPDATE outside a transaction", rules.autocommit_line
    for forbidden in rules.forbidden_sql:
        yield f"forbidden SQL {forbidden.pattern.pattern if forbidden.pattern else forbidden.digest}", forbidden.line
    yield "built-in rules", None


class _Expectation(pytest.Item):
    """One expectation of a rules file."""

    def __init__(self, *, rules: Expectations, line: int | None, **fields: Any) -> None:
        super().__init__(**fields)
        self.rules = rules
        self.line = line

    def runtest(self) -> None:
        """Fails with the outcomes of its line that did not pass."""
        from glancetrace.assertions import describe
        from glancetrace.errors import GlancetraceError
        from glancetrace.verdict import PASSED

        assert isinstance(self.parent, _RulesFile)
        try:
            outcomes = self.parent.judged(self.rules)
        except GlancetraceError as error:
            pytest.fail(str(error), pytrace=False)
        bad = [outcome for outcome in outcomes if outcome.line == self.line and outcome.verdict != PASSED]
        if bad:
            pytest.fail(describe(bad, self.parent.files), pytrace=False)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it stands."""
        return self.path, None if self.line is None else self.line - 1, f"{self.path.name}: {self.name}"
