"""The same packets, whatever file they come in and however it is cut into blocks."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glancetrace.errors import InputError
from tests.support import capture_files as cf

PROFILE = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

packet_lists = st.lists(
    st.builds(
        lambda step, data, extra: (step, data, extra),
        st.integers(-3_000, 2_000_000),
        st.binary(max_size=200),
        st.integers(0, 1500),
    ),
    max_size=25,
).map(
    lambda rows: [
        cf.Packet(
            (cf.START * 1_000_000 + 5_000_000 + sum(row[0] for row in rows[: n + 1])) * 1000, data, len(data) + extra
        )
        for n, (_, data, extra) in enumerate(rows)
    ]
)


def rows_of(packets: list[cf.Packet], link_type: int = 1) -> list[tuple[int, int, int, bytes, int]]:
    return [(n + 1, p.ts, link_type, p.data, p.wire_len) for n, p in enumerate(packets)]


@PROFILE
@given(packet_lists, st.sampled_from("<>"), st.booleans(), st.integers(1, 400))
def test_pcap_gives_its_packets_for_any_block_size(
    tmp_path: Path, packets: list[cf.Packet], order: str, nanoseconds: bool, block_size: int
) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(cf.pcap(packets, order, nanoseconds=nanoseconds))
    result = cf.read([path], block_size)
    assert result.rows == rows_of(packets)
    assert set(result.issues) <= {"time-backwards"} | ({"capture-empty"} if not packets else set())
    assert result.reader.files[0].packets == result.reader.packets == len(packets)
    assert result.reader.bytes == sum(len(packet.data) for packet in packets)


@PROFILE
@given(packet_lists, st.sampled_from("<>"), st.integers(1, 400))
def test_pcapng_gives_the_same_rows(tmp_path: Path, packets: list[cf.Packet], order: str, block_size: int) -> None:
    path = tmp_path / "a.pcapng"
    path.write_bytes(cf.pcapng(packets, order))
    assert cf.read([path], block_size).rows == rows_of(packets)


@PROFILE
@given(packet_lists, st.sampled_from(sorted(cf.COMPRESSIONS)), st.integers(1, 4000))
def test_compression_changes_nothing(tmp_path: Path, packets: list[cf.Packet], name: str, block_size: int) -> None:
    path = tmp_path / "named.pcap"
    path.write_bytes(cf.COMPRESSIONS[name](cf.pcap(packets)))
    result = cf.read([path], block_size)
    assert result.rows == rows_of(packets)
    assert result.reader.bytes == sum(len(packet.data) for packet in packets)


@pytest.mark.parametrize("compression", [None, *sorted(cf.COMPRESSIONS)])
@pytest.mark.parametrize("wrap", [cf.pcap, cf.pcapng])
def test_standard_input_gives_the_same_rows(compression: str | None, wrap: object) -> None:
    packets = [cf.Packet((cf.START + n) * 1_000_000_000, bytes([n % 256]) * n) for n in range(1500)]
    data = wrap(packets)  # type: ignore[operator]
    if compression is not None:
        data = cf.COMPRESSIONS[compression](data)
    code = (
        "from tests.support.capture_files import read\n"
        "for size in (100_000,):\n"
        "    result = read(['-'], size)\n"
        "    print(len(result.rows), hash(tuple(result.rows)), result.issues, result.reader.bytes)"
    )
    environment = {"PYTHONPATH": ".", "PYTHONHASHSEED": "0"}
    root = Path(__file__).parents[2]
    piped = subprocess.run(
        [sys.executable, "-c", code], input=data, capture_output=True, check=True, cwd=root, env=environment
    )
    expected_code = (
        "from tests.support.capture_files import Packet, START\n"
        "rows = [(n + 1, (START + n) * 1_000_000_000, 1, bytes([n % 256]) * n, n) for n in range(1500)]\n"
        f"print(len(rows), hash(tuple(rows)), {{}}, {sum(len(packet.data) for packet in packets)})"
    )
    expected = subprocess.run(
        [sys.executable, "-c", expected_code], capture_output=True, check=True, cwd=root, env=environment
    )
    assert piped.stdout == expected.stdout


@PROFILE
@given(packet_lists, st.data())
def test_a_prefix_gives_a_prefix(tmp_path: Path, packets: list[cf.Packet], data: st.DataObject) -> None:
    for wrap, shortest in ((cf.pcap, 24), (cf.pcapng, 28)):
        whole = wrap(packets)
        cut = data.draw(st.integers(shortest, len(whole)))
        path = tmp_path / "cut"
        path.write_bytes(whole[:cut])
        result = cf.read([path], data.draw(st.sampled_from([1, 100, 10_000])))
        assert result.rows == rows_of(packets)[: len(result.rows)]
        assert "capture-damaged" not in result.issues
        if cut == len(whole):
            assert len(result.rows) == len(packets)
            assert "capture-cut-short" not in result.issues
        elif len(result.rows) < len(packets) and wrap is cf.pcap:
            ends = len(cf.pcap(packets[: len(result.rows)])) == cut
            assert ("capture-cut-short" in result.issues) != ends


@PROFILE
@given(packet_lists, st.sampled_from(sorted(cf.COMPRESSIONS)), st.data())
def test_a_prefix_of_a_compressed_capture_gives_a_prefix(
    tmp_path: Path, packets: list[cf.Packet], name: str, data: st.DataObject
) -> None:
    whole = cf.COMPRESSIONS[name](cf.pcap(packets))
    cut = data.draw(st.integers(len(whole) // 2, len(whole) - 1))
    path = tmp_path / "cut"
    path.write_bytes(whole[:cut])
    try:
        result = cf.read([path], 50)
    except InputError:  # nothing decompressed up to there
        return
    assert result.rows == rows_of(packets)[: len(result.rows)]
    assert result.issues.get("capture-cut-short") == 1


@PROFILE
@given(packet_lists, st.binary(min_size=1, max_size=3000), st.integers(1, 5000))
def test_a_valid_start_and_junk_raises_nothing(
    tmp_path: Path, packets: list[cf.Packet], junk: bytes, block_size: int
) -> None:
    for wrap in (cf.pcap, cf.pcapng):
        path = tmp_path / "junk"
        path.write_bytes(wrap(packets) + junk)
        result = cf.read([path], block_size)
        assert result.rows[: len(packets)] == rows_of(packets)
        assert result.rows == cf.read([path], 1 << 20).rows
        if len(junk) >= 12 and len(result.rows) == len(packets):
            assert result.issues.keys() & {"capture-damaged", "capture-cut-short", "capture-block-unknown"}


@PROFILE
@given(
    packet_lists.filter(len), st.sampled_from(["gz", "zst", "xz", "lz4"]), st.binary(min_size=1, max_size=60), st.data()
)
def test_a_broken_compressed_stream_raises_nothing(
    tmp_path: Path, packets: list[cf.Packet], name: str, junk: bytes, data: st.DataObject
) -> None:
    whole = cf.COMPRESSIONS[name](cf.pcap(packets * 40))
    place = data.draw(st.integers(6, len(whole)))
    path = tmp_path / "broken"
    path.write_bytes(whole[:place] + junk + whole[place + len(junk) :])
    with suppress(InputError):
        assert cf.index([path], 1000) == cf.index([path])
