"""Several processes decode a capture: the result is that of one, to the byte, whatever becomes of the others."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glancetrace import decode_shares, workers
from glancetrace.capture.index import PacketIndex
from glancetrace.capture.inputs import open_captures
from glancetrace.capture.sample import sample
from glancetrace.edit.split import split_by_count
from glancetrace.issues import IssueLog
from glancetrace.mysql.command import MysqlCommand, MysqlSession
from glancetrace.net.reassemble import TcpReassembler
from glancetrace.net.run import Connection
from glancetrace.net.share import Share, share_out
from glancetrace.output.json import render_json
from glancetrace.packing import Rows
from glancetrace.pipeline import Options, analyze
from glancetrace.spill import commands as spilling
from glancetrace.statements import ServiceVotes
from tests.support.samples import capture_path

SQL = frozenset({3306})
SESSION = MysqlSession(1)
CONNECTION = Connection(1, ("192.0.2.1", 40000), ("192.0.2.2", 3306), False, 0, 1)
ROOT = Path(__file__).parents[2]


def document(path: Path, **options: int) -> bytes:
    """The whole result as JSON."""
    return b"".join(render_json(analyze(path, Options(**options))))


@pytest.fixture(autouse=True)
def _small_captures_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_shares, "_WORTH_SHARING", 0)


@pytest.mark.parametrize(
    "name",
    [
        "article",
        "article-allports",
        "article-proxied-foreign",
        "article-tls13",
        "concurrent-old-8",
        "failures",
        "openstack-cli",
        "connector-pure-prepared",
        "mariadb-cli-compress",
        "pymysql-tls13",
    ],
)
def test_jobs_give_the_same_document(name: str) -> None:
    path = capture_path(name)
    alone = document(path)
    assert document(path, jobs=2) == alone
    assert document(path, jobs=3, block_size=1 << 15) == alone
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)  # no process is left behind


def test_two_processes_are_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[int]] = []
    join = decode_shares.join_rows

    def spy(shares: list[Rows], issues: IssueLog) -> Rows:
        seen.append([len(rows.commands) for rows in shares])
        return join(shares, issues)

    monkeypatch.setattr(decode_shares, "join_rows", spy)
    analyze(capture_path("concurrent-old-8"), Options(jobs=3))
    assert len(seen) == 1
    assert len(seen[0]) == 3
    assert min(seen[0][:2]) > 500


def _raise(*_args: object) -> None:
    raise MemoryError


def test_a_failing_process_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    path = capture_path("article")
    alone = document(path)
    monkeypatch.setattr(workers, "pack_rows", _raise)
    assert document(path, jobs=2) == alone


@pytest.mark.parametrize("block_size", [1 << 14, 1 << 22])
@pytest.mark.parametrize("worker", [1, 2])
def test_a_process_that_takes_no_packets_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, worker: int, block_size: int
) -> None:
    path = capture_path("article")
    alone = document(path)
    take = TcpReassembler._take_flows

    def fail_in_one(self: TcpReassembler, *args: Any) -> None:
        if self._share is not None and self._share.worker == worker:
            raise MemoryError
        take(self, *args)

    monkeypatch.setattr(TcpReassembler, "_take_flows", fail_in_one)
    assert document(path, jobs=3, block_size=block_size) == alone


def test_what_only_the_first_process_can_decode_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP on a connection that has a port of MySQL's at one end."""
    path = capture_path("article")
    alone = document(path)
    monkeypatch.setattr(Share, "owner", lambda self, key: self.count - 1)
    assert document(path, jobs=2) == alone


def test_the_reader_tells_how_far_it_has_come() -> None:
    path = capture_path("article")
    told: list[tuple[int, int | None]] = []
    analyze(path, Options(jobs=2, block_size=1 << 14, progress=lambda *position: told.append(position)))
    assert told == sorted(told)
    assert {total for _, total in told} == {path.stat().st_size}


def test_packets_that_cannot_be_dealt_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    path = capture_path("article")
    alone = document(path)

    def full(*_args: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwritev", full)
    assert document(path, jobs=2) == alone


def test_pieces_of_a_ring(tmp_path: Path) -> None:
    whole = capture_path("article-old")
    split_by_count([str(whole)], str(tmp_path / "piece.pcap"), 1000)
    pieces = sorted(tmp_path.glob("piece*"))
    assert len(pieces) == 4
    one = b"".join(render_json(analyze(pieces, Options())))
    assert b"".join(render_json(analyze(pieces, Options(jobs=2)))) == one


def test_image_data_are_left_to_one_process() -> None:
    reader = open_captures([str(capture_path("failures"))], IssueLog(), block_size=1 << 20)
    index = PacketIndex(IssueLog())
    blocks = [index.index(block) for block in reader]
    assert len(share_out(blocks, SQL, 2)) == 2
    assert share_out(blocks, frozenset({1}), 2) == []
    assert share_out(blocks, SQL, 1) == []
    assert share_out([], SQL, 2) == []


def test_a_sample_comes_from_all_over_a_file(tmp_path: Path) -> None:
    plain = tmp_path / "failures.pcap"
    plain.write_bytes(gzip.decompress(capture_path("failures").read_bytes()))
    reader = open_captures([str(plain)], IssueLog())
    times = np.concatenate([block.ts for block in reader])
    taken = np.concatenate([block.ts for block in sample(str(plain))])
    assert len(taken) < len(times) / 5
    assert np.isin(taken, times).mean() > 0.99
    quarters = np.histogram(taken, bins=np.quantile(times, [0, 0.25, 0.5, 0.75, 1]))[0]
    assert quarters.min() > 0
    assert sum(map(len, sample(str(capture_path("article"))))) > 100


def test_shares_that_are_not_quite_equal_are_no_reason_to_spill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spilling, "WHOLE", 100)
    for count, spilled in ((54, False), (56, True)):
        for spill in spilling.Spill(ServiceVotes()).share_out([0.5, 0.5]):
            commands = [(_command(number), CONNECTION) for number in range(count)]
            spill.look(commands)
            assert (spill.spooled is not None) == spilled
            assert len(commands) == count


def _command(number: int) -> MysqlCommand:
    return MysqlCommand(SESSION, number, "COM_PING", None, None, number, number, number, number)


def test_without_a_process_to_be_had_one_does_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    path = capture_path("article")
    alone = document(path)

    def refuse() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    assert document(path, jobs=3) == alone


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_no_process_outlives_the_one_that_started_it(how: signal.Signals) -> None:
    """The worker waits for ever; its parent is ended from outside."""
    code = (
        "import signal\n"
        "from glancetrace.forking import fork\n"
        "worker = fork(lambda channel: signal.pause())\n"
        "print(worker.pid, flush=True)\n"
        "worker.receive()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        process.send_signal(how)
        assert process.stdout.read() == b""  # nobody holds it open
    for _ in range(100_000):
        if _is_gone(worker):
            break
    assert _is_gone(worker)


def _is_gone(pid: int) -> bool:
    """There is no such process, or nothing but its exit code."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True
