"""Joining in the middle, missing bytes, foreign bytes: what follows decodes again; nothing is complete wrongly."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace.http.reader import HEAD_LIMIT
from tests.support.http_streams import C, Decoded, S, Segment, decode, digest_of, merged, without

MODEST = settings(max_examples=150, deadline=None, derandomize=True)


def _request(number: int, body: bytes = b"", chunked: bool = False) -> bytes:
    return _message(f"PUT /{number} HTTP/1.1\r\nHost: a", body, chunked)


def _response(number: int, body: bytes = b"", chunked: bool = False) -> bytes:
    return _message(f"HTTP/1.1 200 OK\r\nX-To: /{number}", body, chunked)


def _message(start: str, body: bytes, chunked: bool) -> bytes:
    if not chunked:
        return f"{start}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[at : at + 7]), body[at : at + 7]) for at in range(0, len(body), 7))
    return f"{start}\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + chunks + b"0\r\n\r\n"


def _story(decoded: Decoded) -> list[tuple[str, str, bool, str]]:
    """Target, what the response says it answers, complete, end."""
    return [
        (row.request.target, row.response.get("x-to") if row.response else "", row.complete, row.end)
        for row in decoded.rows
    ]


def test_joined_in_the_middle_of_a_response() -> None:
    segments = [S(b'": 1}\nHTTP/1.1 is text'), C(_request(1)), S(_response(1))]
    assert _story(decode(merged(segments), joined=True)) == [("/1", "/1", True, "")]


def test_joined_in_the_middle_of_an_upload() -> None:
    rest = bytes(range(256)) * 9 + b"0\r\n\r\n"
    segments = [C(rest), S(_response(0)), C(_request(1)), S(_response(1))]
    decoded = decode(merged(segments), joined=True)
    assert _story(decoded) == [("", "/0", False, ""), ("/1", "/1", True, "")]
    assert decoded.issues == {"http-response-unmatched": 1}
    assert decoded.skipped == (len(rest), 0)


def test_a_start_line_inside_a_body_is_not_believed() -> None:
    rest = b"x GET /a HTTP/1.1\r\nHost: b\r\n\r\nxHTTP/1.1 200 OK\r\n\r\n GET / HTTP/1.1\r\n\r\n"
    assert decode(merged([C(rest), S(rest)]), joined=True).rows == []


def test_an_orphan_that_answered_head_does_not_swallow_the_next_response() -> None:
    segments = [S("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"), C(_request(1)), S(_response(1))]
    assert _story(decode(merged(segments), joined=True))[1:] == [("/1", "/1", True, "")]


def test_a_gap_inside_a_body_of_known_length_only_advances_it() -> None:
    segments = [
        C(_request(1, bytes(90))[:-60]),
        C(bytes(20)),
        C(bytes(40)),
        S(_response(1)),
        C(_request(2)),
        S(_response(2)),
    ]
    decoded = decode(without(segments, {1}))
    assert _story(decoded) == [("/1", "/1", False, "gap"), ("/2", "/2", True, "")]
    body = decoded.rows[0].request_body
    assert (body.byte_count, body.missing, body.hasher, body.complete) == (70, 20, None, False)
    assert (body.content, body.content_truncated) == (bytes(30), True)
    assert (decoded.rows[0].request_frame, decoded.issues) == (3, {"http-body-incomplete": 1})


def test_a_gap_inside_a_chunk_keeps_step() -> None:
    segments = [
        C("PUT /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n0123"),
        C("4567"),
        C(b"x" * 24 + b"\r\n0\r\n\r\n"),
        S(_response(1)),
    ]
    decoded = decode(without(segments, {1}))
    assert _story(decoded) == [("/1", "/1", False, "gap")]
    assert (decoded.rows[0].request_body.byte_count, decoded.rows[0].request_body.missing) == (28, 4)


def test_a_gap_over_chunk_framing_ends_the_message_and_the_next_is_found() -> None:
    first = _request(1, bytes(70), chunked=True)
    segments = [C(first[:80]), C(first[80:100]), C(first[100:]), S(_response(1)), C(_request(2)), S(_response(2))]
    assert _story(decode(without(segments, {1}))) == [("/1", "/1", False, "gap"), ("/2", "/2", True, "")]


@pytest.mark.parametrize("lost", [{1}, {1, 2}])
def test_a_lost_response_is_not_taken_from_the_next_request(lost: set[int]) -> None:
    response = _response(1, b"12345")
    segments = [C(_request(1)), S(response[:30]), S(response[30:]), C(_request(2)), S(_response(2))]
    decoded = decode(without(segments, lost))
    assert _story(decoded)[0] == ("/1", "", False, "gap")
    assert _story(decoded)[1][:2] == ("/2", "/2")


def test_a_lost_request_leaves_its_response_alone() -> None:
    segments = [C(_request(1)), S(_response(1)), C(_request(2)), S(_response(2)), C(_request(3)), S(_response(3))]
    assert _story(decode(without(segments, {2}))) == [
        ("/1", "/1", True, ""),
        ("", "/2", False, ""),
        ("/3", "/3", True, ""),
    ]


def test_a_gap_that_ends_the_stream() -> None:
    segments = [C(_request(1)), S(_response(1, bytes(50))[:-20]), S(bytes(20))]
    decoded = decode(without(segments, {2}), close="fin")
    assert _story(decoded) == [("/1", "/1", False, "gap")]


def test_a_close_delimited_body_with_a_gap_is_not_complete() -> None:
    segments = [C(_request(1)), S("HTTP/1.0 200 OK\r\n\r\nab"), S("cd"), S("ef")]
    row = decode(without(segments, {2}), close="fin").rows[0]
    assert (row.complete, row.response_body.byte_count, row.response_body.missing) == (False, 4, 2)


def test_a_head_without_end_is_skipped() -> None:
    huge = b"GET /1 HTTP/1.1\r\n" + b"X-A: " + b"a" * HEAD_LIMIT + b"\r\n\r\n"
    segments = [C(huge), S(_response(1)), C(_request(2)), S(_response(2))]
    decoded = decode(merged(segments))
    assert decoded.issues == {"http-head-too-large": 1, "http-response-unmatched": 1}
    assert _story(decoded) == [("", "/1", False, ""), ("/2", "/2", True, "")]


@pytest.mark.parametrize(
    "junk",
    [b"\x16\x03\x01\x02\x00\x01", b"get / HTTP/1.1\r\n\r\n", b"GET /\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
)
def test_the_wrong_protocol_is_one_issue_and_no_rows(junk: bytes) -> None:
    decoded = decode(merged([C(junk * 50), S(b"J\0\0\0\n11.4.2-MariaDB\0" * 50), C(junk), S(junk)]))
    assert decoded.rows == []
    assert decoded.issues == {"http-malformed": 1}


def test_malformed_bytes_between_messages_are_skipped() -> None:
    segments = [C(_request(1)), S(_response(1)), C(b"\0\1\2 junk"), C(_request(2)), S(_response(2))]
    decoded = decode(merged([*segments, C(_request(3)), S(_response(3))]))
    assert _story(decoded) == [("/1", "/1", True, ""), ("", "/2", False, ""), ("/3", "/3", True, "")]
    assert decoded.issues == {"http-malformed": 1, "http-response-unmatched": 1}


@st.composite
def conversations(draw: st.DrawFn, most: int) -> tuple[list[Segment], dict[str, tuple[bytes, bytes]], list[int]]:
    """Segments, the bodies of each target, and the segment each request begins with; `most` requests are pipelined."""
    segments: list[Segment] = []
    bodies: dict[str, tuple[bytes, bytes]] = {}
    begins: list[int] = []
    number = 0
    for _ in range(draw(st.integers(2, 5))):
        responses = []
        for _ in range(draw(st.integers(1, most))):
            number += 1
            sent, received = draw(st.binary(max_size=40)), draw(st.binary(max_size=40))
            bodies[f"/{number}"] = sent, received
            begins.append(len(segments))
            segments += _segments(draw, C, _request(number, sent, draw(st.booleans())))
            responses.append(_response(number, received, draw(st.booleans())))
        for response in responses:
            segments += _segments(draw, S, response)
    return segments, bodies, begins


def _segments(draw: st.DrawFn, say: Callable[[bytes], Segment], data: bytes) -> list[Segment]:
    cuts = sorted(draw(st.sets(st.integers(1, len(data) - 1), max_size=2)))
    return [say(data[begin:end]) for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def _check_complete_rows(decoded: Decoded, bodies: dict[str, tuple[bytes, bytes]]) -> None:
    for row in decoded.rows:
        if row.complete:
            assert row.response is not None
            assert row.response.get("x-to") == row.request.target
            for body, truth in zip((row.request_body, row.response_body), bodies[row.request.target], strict=True):
                assert body.hasher is not None
                assert body.hasher.hexdigests() == digest_of(truth)


@MODEST
@given(conversations(most=1), st.data())
def test_losses_never_make_a_wrong_row_complete_and_end(
    conversation: tuple[list[Segment], dict[str, tuple[bytes, bytes]], list[int]], data: st.DataObject
) -> None:
    segments, bodies, begins = conversation
    lost = data.draw(st.sets(st.integers(0, len(segments) - 1), min_size=1, max_size=4))
    decoded = decode(without(segments, lost))
    _check_complete_rows(decoded, bodies)
    untouched = [f"/{number}" for number, begin in enumerate(begins, 1) if begin > max(lost)]
    complete = {row.request.target for row in decoded.rows if row.complete}
    assert complete.issuperset(untouched[1:])


@MODEST
@given(conversations(most=3), st.data())
def test_one_loss_never_makes_a_wrong_row_complete_on_a_pipelined_connection(
    conversation: tuple[list[Segment], dict[str, tuple[bytes, bytes]], list[int]], data: st.DataObject
) -> None:
    segments, bodies, _ = conversation
    lost = data.draw(st.integers(0, len(segments) - 1))
    _check_complete_rows(decode(without(segments, {lost})), bodies)


def test_a_long_body_in_single_bytes() -> None:
    body = random.Random(1).randbytes(50_000)
    request = _request(1, body)
    row = decode(without([C(request[at : at + 1]) for at in range(len(request))], set())).rows[0]
    assert row.request_body.hasher is not None
    assert row.request_body.hasher.hexdigests() == digest_of(body)
