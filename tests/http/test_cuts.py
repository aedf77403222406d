"""Rows depend on the bytes alone, not on their cut into runs, and a prefix of a conversation gives a prefix of them."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.http_streams import C, S, Segment, cut_at, decode, merged, plain, single_bytes

MODEST = settings(max_examples=60, deadline=None, derandomize=True)

BODIES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.", b"\r\n\n\r\n", b"{}\n"]),
)
CLOSES = st.sampled_from(["fin", "rst", "end"])
PLACES = st.lists(st.integers(0, 1500), max_size=25)


@st.composite
def messages(draw: st.DrawFn, start: str) -> bytes:
    """A message that begins with the start line, framed in any way that does not need the end of the connection."""
    body = draw(BODIES)
    eol = draw(st.sampled_from(["\r\n", "\n"]))
    fields = draw(st.sampled_from(["Host: a", "Host: a{eol} b", "Host: a{eol}Expect: 100-continue"])).format(eol=eol)
    if draw(st.booleans()):
        return f"{start}{eol}{fields}{eol}Content-Length: {len(body)}{eol}{eol}".encode() + body
    chunks = b""
    while body:
        size = draw(st.integers(1, len(body)))
        chunks += b"%x%s\r\n%s\r\n" % (size, draw(st.sampled_from([b"", b";a=b"])), body[:size])
        body = body[size:]
    trailer = draw(st.sampled_from([b"", b"T: 1\r\n"]))
    return (
        f"{start}{eol}{fields}{eol}Transfer-Encoding: chunked{eol}{eol}".encode()
        + chunks
        + b"0\r\n"
        + trailer
        + b"\r\n"
    )


@st.composite
def conversations(draw: st.DrawFn, junk: bool = False) -> list[Segment]:
    """Exchanges in segments of any size; with `junk`, some segments are something else."""
    segments: list[Segment] = []
    for number in range(draw(st.integers(1, 4))):
        method = draw(st.sampled_from(["GET", "PUT", "POST"]))
        interim = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n"]))
        request = draw(messages(f"{method} /{number} HTTP/1.1"))
        response = interim + draw(messages("HTTP/1.1 200 OK"))
        for say, data in ((C, request), (S, response)):
            cuts = sorted(draw(st.sets(st.integers(1, len(data) - 1), max_size=3)))
            parts = [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
            segments += [say(part) for part in parts]
    if junk:
        for place in draw(st.lists(st.integers(0, len(segments) - 1), max_size=3)):
            segments[place] = (segments[place][0], draw(st.binary(min_size=1, max_size=20)))
    return segments


@MODEST
@given(conversations(junk=True), PLACES, CLOSES, st.booleans())
def test_the_cut_into_runs_does_not_matter(
    segments: list[Segment], places: list[int], close: str, joined: bool
) -> None:
    whole = decode(merged(segments), close=close, joined=joined)
    for runs in (single_bytes(segments), cut_at(places)(segments)):
        other = decode(runs, close=close, joined=joined)
        assert [plain(row) for row in other.rows] == [plain(row) for row in whole.rows]
        assert (other.issues, other.skipped) == (whole.issues, whole.skipped)


@MODEST
@given(conversations())
def test_every_exchange_of_a_clean_conversation_is_complete(segments: list[Segment]) -> None:
    decoded = decode(merged(segments))
    assert [row.request.target for row in decoded.rows] == [f"/{n}" for n in range(len(decoded.rows))]
    assert all(row.complete for row in decoded.rows)
    assert (decoded.issues, decoded.skipped) == ({}, (0, 0))


@MODEST
@given(conversations(), st.data())
def test_a_prefix_gives_a_prefix(segments: list[Segment], data: st.DataObject) -> None:
    whole = decode(merged(segments)).rows
    runs = single_bytes(segments)
    rows = decode(runs[: data.draw(st.integers(0, len(runs)))]).rows
    complete = [plain(row) for row in rows if row.complete]
    assert complete == [plain(row) for row in whole[: len(complete)]]
    assert len(rows) - len(complete) <= 1
    for row in rows[len(complete) :]:
        assert (row.end, row.request.target) == ("capture-end", whole[len(complete)].request.target)


@MODEST
@given(conversations(), st.lists(st.tuples(st.integers(0, 1), st.binary(min_size=1, max_size=80)), max_size=6))
def test_junk_after_a_valid_start_takes_nothing_back(segments: list[Segment], junk: Sequence[Segment]) -> None:
    clean = decode(merged(segments)).rows
    rows = decode(merged([*segments, *junk])).rows
    assert [plain(row) for row in rows[: len(clean)]] == [plain(row) for row in clean]


@MODEST
@given(st.lists(st.tuples(st.integers(0, 1), st.binary(max_size=200)), max_size=8), CLOSES, st.booleans())
def test_random_bytes_give_no_rows(segments: list[Segment], close: str, joined: bool) -> None:
    decoded = decode(merged(segments), close=close, joined=joined)
    assert decoded.rows == []
    assert decoded.issues in ({}, {"http-malformed": 1})
    assert sum(decoded.skipped) <= sum(len(data) for _, data in segments)
