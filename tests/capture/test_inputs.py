"""Several captures as one input, and inputs that are none."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glancetrace.capture.inputs import open_captures
from glancetrace.errors import InputError
from glancetrace.issues import IssueLog
from tests.support import capture_files as cf

SECOND = 1_000_000_000
TS = cf.START * SECOND


def write(path: Path, times: list[int], tag: str = "") -> Path:
    """A capture with a packet at each time (ms after the start), whose bytes say which it is."""
    path.write_bytes(cf.pcap([cf.Packet(TS + ms * 1_000_000, f"{tag}{n}".encode()) for n, ms in enumerate(times)]))
    return path


def tags(found: cf.Read) -> list[str]:
    return [row[3].decode() for row in found.rows]


def files(found: cf.Read) -> list[tuple[str, int, int]]:
    return [(Path(file.name).name, file.first_frame, file.packets) for file in found.reader.files]


def test_files_are_sorted_by_time_and_frames_go_on(tmp_path: Path) -> None:
    write(tmp_path / "b", [0, 10], "b")
    write(tmp_path / "a", [2000, 2010, 2020], "a")
    (tmp_path / "empty").write_bytes(cf.pcap([]))
    found = cf.read([tmp_path / "empty", tmp_path / "a", tmp_path / "b"])
    assert tags(found) == ["b0", "b1", "a0", "a1", "a2"]
    assert files(found) == [("b", 1, 2), ("a", 3, 3), ("empty", 6, 0)]
    assert [row[0] for row in found.rows] == [1, 2, 3, 4, 5]
    assert found.reader.first_ts == TS
    assert found.reader.last_ts == TS + 2_020_000_000


@pytest.mark.parametrize("block_size", [1, 60, 10_000])
def test_neighbours_that_overlap_by_less_than_a_second_are_not_interleaved(tmp_path: Path, block_size: int) -> None:
    write(tmp_path / "a", [0, 500, 1499], "a")
    write(tmp_path / "b", [500, 600, 3000], "b")
    found = cf.read([tmp_path / "a", tmp_path / "b"], block_size)
    assert tags(found) == ["a0", "a1", "a2", "b0", "b1", "b2"]
    assert found.issues == {"time-backwards": 2}


@pytest.mark.parametrize("block_size", [1, 60, 10_000])
def test_captures_of_the_same_time_are_merged(tmp_path: Path, block_size: int) -> None:
    write(tmp_path / "a", [0, 500, 700, 650, 1500], "a")
    write(tmp_path / "b", [500, 600, 3000], "b")
    found = cf.read([tmp_path / "b", tmp_path / "a"], block_size)
    assert tags(found) == ["a0", "a1", "b0", "b1", "a2", "a3", "a4", "b2"]
    assert files(found) == [("a", 1, 5), ("b", 3, 3)]
    assert found.issues == {"time-backwards": 1}


def reference_order(captures: list[list[int]]) -> list[tuple[int, int]]:
    """(capture, row) in the order of decision 5, the slow way: groups of the same time, each merged by time."""
    captures_with_numbers = sorted(enumerate(captures), key=lambda item: item[1][0])
    ordered: list[tuple[int, int, int]] = []
    for rank, (_, times) in enumerate(captures_with_numbers):
        mine = [(ms, rank, row) for row, ms in enumerate(times)]
        before = [entry for entry in ordered if entry[0] < times[0]]
        late = ordered[len(before) :]
        if late and max(late)[0] - times[0] >= 1000:
            late = sorted(late + mine, key=lambda entry: (entry[0], entry[1]))
        else:
            late = late + mine
        ordered = before + late
    return [(captures_with_numbers[rank][0], row) for _, rank, row in ordered]


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(st.integers(0, 4000), min_size=1, max_size=12).map(sorted), min_size=2, max_size=2),
    st.integers(1, 300),
)
def test_two_captures_against_a_naive_model(tmp_path: Path, captures: list[list[int]], block_size: int) -> None:
    paths = [write(tmp_path / f"{number}", times, f"{number}:") for number, times in enumerate(captures)]
    assert tags(cf.read(paths, block_size)) == [f"{number}:{row}" for number, row in reference_order(captures)]


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(st.integers(0, 6000), min_size=1, max_size=8), min_size=2, max_size=6),
    st.integers(1, 300),
)
def test_any_captures_lose_nothing_and_do_not_depend_on_blocks(
    tmp_path: Path, captures: list[list[int]], block_size: int
) -> None:
    paths = [write(tmp_path / f"{number}", times, f"{number}:") for number, times in enumerate(captures)]
    found = cf.read(paths, block_size)
    assert found.rows == cf.read(paths).rows
    for number, times in enumerate(captures):
        mine = [tag for tag in tags(found) if tag.startswith(f"{number}:")]
        assert mine == [f"{number}:{row}" for row in range(len(times))]


def test_pieces_of_a_capture_give_the_whole(tmp_path: Path) -> None:
    times = [0, 5, 3, 900, 950, 940, 2500, 2400, 2600]
    whole = cf.read([write(tmp_path / "whole", times)])
    packets = [cf.Packet(row[1], row[3]) for row in whole.rows]
    for start in range(0, len(packets), 2):
        (tmp_path / f"piece{start:02d}.pcap").write_bytes(cf.pcap(packets[start : start + 2]))
    pieces = cf.read([f"{tmp_path}/piece*.pcap"])
    assert pieces.rows == whole.rows
    assert pieces.issues == whole.issues


def test_a_pattern_sorts_numbers_as_numbers_and_takes_a_file_once(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        write(tmp_path / f"ring.pcap{number}", [0], f"{number}")
    found = cf.read([f"{tmp_path}/ring.pcap*", tmp_path / "ring.pcap2", f"{tmp_path}/./ring.pcap1"])
    assert tags(found) == ["10", "20", "100"]


def test_frames_of_issues_are_those_of_the_whole_input(tmp_path: Path) -> None:
    first = write(tmp_path / "a", [0, 1])
    first.write_bytes(first.read_bytes()[:-1])
    write(tmp_path / "b", [5000, 5001, 5002])
    second = tmp_path / "b"
    second.write_bytes(second.read_bytes() + b"\1")
    issues = IssueLog()
    assert sum(len(block) for block in open_captures([str(first), str(second)], issues)) == 4
    (issue,) = issues.rows()
    assert (issue.kind, issue.count, issue.first_frame) == ("capture-cut-short", 2, 1)


def test_progress_ends_with_all_bytes(tmp_path: Path) -> None:
    paths = [write(tmp_path / name, [0, 1, 2]) for name in "ab"]
    reader = open_captures([str(path) for path in paths], IssueLog(), block_size=50)
    seen: list[tuple[int, int | None]] = []
    reader.progress = lambda done, total: seen.append((done, total))
    for _ in reader:
        pass
    size = sum(path.stat().st_size for path in paths)
    assert seen == sorted(seen)
    assert seen[-1] == (size, size)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"hello, this is text\n", "is no capture"),
        (b"\x1f\x8b", "is empty"),
        (b"\xd4\xc3\xb2\xa1\x02", "ends inside the file header"),
        (b"\x0a\x0d\x0d\x0a\x1c", "ends inside the section header"),
        (b"snoop\0\0\0\0\0\0\2", "another format"),
    ],
)
def test_files_that_are_no_captures(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        open_captures([str(path)], IssueLog())
    message = str(caught.value)
    assert what in message
    assert str(path) in message
    assert ";" in message
    assert "\n" not in message


def test_paths_that_cannot_be_opened(tmp_path: Path) -> None:
    for path, what in (
        (tmp_path / "missing.pcap", "no such file"),
        (tmp_path, "is a directory"),
        (f"{tmp_path}/*.pcap", "no file matches"),
        ("a\0b", "not a possible file name"),
    ):
        with pytest.raises(InputError, match=what):
            open_captures([str(path)], IssueLog())
    with pytest.raises(InputError, match="no capture is given"):
        open_captures([], IssueLog())


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a", [0])

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # root may read everything
    with pytest.raises(InputError, match="no permission"):
        open_captures([str(path)], IssueLog())


def test_a_header_without_packets_is_read_and_told(tmp_path: Path) -> None:
    for name, data in (("a", cf.pcap([])), ("b", cf.section()), ("c", cf.section() + cf.interface())):
        (tmp_path / name).write_bytes(data)
        found = cf.read([tmp_path / name])
        assert found.rows == []
        assert found.issues == {"capture-empty": 1}
        assert found.reader.first_ts is None


@pytest.mark.parametrize(("stdin", "what"), [("/dev/null", "is empty"), ("closed", "is closed"), ("tty", "a terminal")])
def test_standard_input_that_is_no_capture(stdin: str, what: str) -> None:
    code = (
        "import sys\n"
        "from glancetrace.capture.inputs import open_captures\n"
        "from glancetrace.errors import InputError\n"
        "from glancetrace.issues import IssueLog\n"
        "try:\n"
        "    open_captures(['-'], IssueLog())\n"
        "except InputError as error:\n"
        "    print(error)\n"
    )
    command = [sys.executable, "-c", code]
    root = Path(__file__).parents[2]
    if stdin == "tty":
        controller, terminal = pty.openpty()
        result = subprocess.run(command, stdin=terminal, capture_output=True, text=True, cwd=root, check=True)
        os.close(controller)
        os.close(terminal)
    elif stdin == "closed":
        shell = ["sh", "-c", 'exec "$@" <&-', "sh", *command]
        result = subprocess.run(shell, capture_output=True, text=True, cwd=root, check=True)
    else:
        with open(stdin, "rb") as file:
            result = subprocess.run(command, stdin=file, capture_output=True, text=True, cwd=root, check=True)
    assert what in result.stdout
    assert result.stdout.count("\n") == 1


def test_a_named_pipe_among_files(tmp_path: Path) -> None:
    later = write(tmp_path / "later", [4000, 4001], "later")
    write(tmp_path / "first", [0, 1, 2], "first")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["sh", "-c", f"cat '{tmp_path}/first' > '{pipe}'"]):
        found = cf.read([later, pipe])
    assert tags(found) == ["first0", "first1", "first2", "later0", "later1"]
    assert found.reader.bytes == sum(len(data) for _frame, _ts, _link, data, _len in found.rows)
