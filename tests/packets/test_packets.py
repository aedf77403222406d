"""Packets behind a claim: those that tshark shows for the same frames, and clear words where there are none."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glancetrace as gt
from glancetrace import packets as module
from glancetrace.errors import UsageError
from glancetrace.jupyter.throughput import find_stalls
from glancetrace.packets import Segments, _sent, read_segments, spans_of
from tests.support.samples import capture_path
from tests.support.traces import analysed


@pytest.fixture(scope="module")
def trace() -> gt.Trace:
    return analysed("failures")


def test_packets_of_a_call(trace: gt.Trace) -> None:
    call = trace.call(93)
    packets = trace.packets(call)
    assert int(packets[0].time * 1_000_000_000) == call.row["ts"]
    assert bytes(packets[0]["TCP"].payload).startswith(b"PUT /v2/images/")
    ports = {port for packet in packets for port in (packet["TCP"].sport, packet["TCP"].dport)}
    assert {13292, 3306} <= ports
    texts = b"".join(bytes(packet["TCP"].payload) for packet in packets if packet["TCP"].dport == 3306)
    assert b"UPDATE images SET" in texts


def test_tokens_in_packets_are_kept(trace: gt.Trace) -> None:
    """Who asks for packets gets them as they were; everything else is redacted."""
    raw = b"".join(bytes(packet) for packet in trace.call(93).packets())
    assert b"gAAAA" in raw
    assert "gAAAA" not in trace.call(93)._repr_html_()


def test_packets_of_a_statement_are_question_and_answer(trace: gt.Trace) -> None:
    statement = trace.statement(2258)
    packets = statement.packets()
    assert statement.sql is not None
    assert b"SELECT images.id" in bytes(packets[0])
    assert {packet["TCP"].dport for packet in packets} >= {3306}
    assert len(packets) <= statement.row["last_frame"] - statement.row["first_frame"] + 1


def test_an_image_has_the_packets_of_its_calls(trace: gt.Trace) -> None:
    image = trace.image("upload-twice-racing")
    assert len(image.packets()) > len(trace.call(93).packets())
    assert {span.first for span in spans_of(trace.call(93))} <= {span.first for span in spans_of(image)}


def test_a_loaded_trace_finds_the_capture_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(capture_path("article"), tmp_path / "here.pcap.gz")
    monkeypatch.chdir(tmp_path)
    trace = gt.analyze("here.pcap.gz")
    trace.save("saved")
    loaded = gt.load("saved")
    expected = [bytes(packet) for packet in trace.call(3).packets()]
    assert [bytes(packet) for packet in loaded.call(3).packets()] == expected
    Path("here.pcap.gz").unlink()
    with pytest.raises(UsageError, match=r"here.pcap.gz: the capture is not where it was; put it back"):
        loaded.call(3).packets()
    shutil.copy(capture_path("openstack-cli"), tmp_path / "here.pcap.gz")
    with pytest.raises(UsageError, match="not the one that was analysed"):
        loaded.call(3).packets()


def test_standard_input_and_merged_captures(tmp_path: Path) -> None:
    trace = gt.analyze([capture_path("article"), capture_path("article-allports")])
    with pytest.raises(UsageError, match="merged by time"):
        trace.call(1).packets()
    trace.capture.files[0].name = "-"
    with pytest.raises(UsageError, match="standard input can be read only once"):
        trace.call(1).packets()


def test_too_many_packets(trace: gt.Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 10)
    with pytest.raises(UsageError, match="more than 10 packets; use 'glancetrace extract'"):
        trace.call(93).packets()


def test_scapy_is_not_there(trace: gt.Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "scapy.config", None)
    with pytest.raises(UsageError, match=r"scapy is not installed; pip install 'glancetrace\[notebook\]'"):
        trace.call(93).packets()


def test_times_and_sizes_of_an_upload(trace: gt.Trace) -> None:
    """The slow client of the sample sends 20 000 bytes every 150 ms."""
    segments = read_segments(trace.call(93))
    assert segments.ts[0] == trace.call(93).row["ts"]
    assert segments.ts[-1] == trace.call(93).row["request_end_ts"]
    assert 200_000 < segments.end[-1] < 201_500
    stalls = find_stalls(segments)
    assert len(stalls) == 9
    assert all(140_000_000 < end - begin < 170_000_000 for begin, end in stalls)


@given(st.lists(st.integers(1, 70_000), min_size=1, max_size=40), st.integers(0, 2**32 - 1), st.data())
def test_bytes_sent_survive_wrapping_and_retransmission(sizes: list[int], first: int, data: st.DataObject) -> None:
    ends = np.cumsum(sizes)
    again = data.draw(st.lists(st.integers(0, len(sizes) - 1), max_size=5))
    order = sorted([*range(len(sizes)), *again])
    seen = [(first + int(ends[i])) % 2**32 for i in order]
    sent = _sent(np.array(seen, np.int64), np.array([sizes[i] for i in order], np.int64))
    assert sent.tolist() == [int(ends[i]) for i in order]


def test_nothing_sent_has_no_stall() -> None:
    empty = np.empty(0, np.int64)
    assert find_stalls(Segments(empty, empty, empty)) == []
