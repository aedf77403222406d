"""Every way in which an HTTP/1.x message can be framed, one conversation each."""

from __future__ import annotations

import gzip
import zlib

import pytest

from glancetrace.http.exchange import BodyPlan, HttpExchange
from tests.support.http_streams import C, S, Segment, decode, digest_of, keep_and_hash, merged

GET = "GET /v2/images HTTP/1.1\r\nHost: glance\r\n\r\n"
NO_CONTENT = "HTTP/1.1 204 No Content\r\n\r\n"


def _only(segments: list[Segment], close: str = "end", keep: int = 4096) -> HttpExchange:
    rows = decode(merged(segments), close=close, policy=keep_and_hash(keep)).rows
    assert len(rows) == 1
    return rows[0]


def _request_body(head: str, body: bytes) -> HttpExchange:
    return _only([C(f"PUT /file HTTP/1.1\r\nHost: a\r\n{head}\r\n"), C(body), S(NO_CONTENT)])


def _response(text: bytes | str, request: str = GET, close: str = "end") -> HttpExchange:
    return _only([C(request), S(text)], close)


def test_start_line_headers_and_times_of_a_plain_exchange() -> None:
    row = _only([C(GET[:20]), C(GET[20:]), S("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-A:  b \r\n\r\nab"), S("cd")])
    assert (row.request.method, row.request.target, row.request.version) == ("GET", "/v2/images", "1.1")
    assert row.request.headers == (("host", "glance"),)
    assert row.response is not None
    assert (row.response.status_code, row.response.reason, row.response.get("x-a")) == (200, "OK", "b")
    assert (row.ts, row.first_frame, row.head_end_ts, row.request_end_ts, row.request_frame) == (0, 1, 1000, 1000, 2)
    assert (row.response_ts, row.response_first_frame, row.response_end_ts) == (2000, 3, 3000)
    assert (row.response_frame, row.last_frame, row.complete, row.end) == (4, 4, True, "")
    assert (row.response_body.first_ts, row.response_body.last_ts, row.response_body.longest_pause) == (
        2000,
        3000,
        1000,
    )


@pytest.mark.parametrize(
    "lengths", ["Content-Length: 5\r\n", "Content-Length: 5\r\nContent-Length: 5\r\n", "Content-Length: 5, 5\r\n"]
)
def test_content_length(lengths: str) -> None:
    row = _request_body(lengths, b"hello")
    assert (row.request_body.expected, row.request_body.byte_count, row.request_body.content) == (5, 5, b"hello")
    assert row.complete


@pytest.mark.parametrize(
    "body",
    [
        b"5\r\nhello\r\n0\r\n\r\n",
        b"5;name=value\r\nhello\r\n0;last\r\n\r\n",
        b"0002 \r\nhe\r\n3\r\nllo\r\n000\r\n\r\n",
        b"2\r\nhe\r\n3\r\nllo\r\n0\r\nChecksum: 1\r\nOther: 2\r\n\r\n",
        b"5\nhello\n0\n\n",
    ],
)
def test_chunked(body: bytes) -> None:
    row = _request_body("Transfer-Encoding: chunked\r\n", body)
    assert (row.request_body.expected, row.request_body.byte_count, row.request_body.content) == (None, 5, b"hello")
    assert row.request_body.hasher is not None
    assert row.request_body.hasher.hexdigests() == digest_of(b"hello")
    assert row.complete


def test_chunked_wins_over_content_length() -> None:
    row = _request_body("Content-Length: 99\r\nTransfer-Encoding: gzip, Chunked\r\n", b"1\r\nx\r\n0\r\n\r\n")
    assert (row.request_body.byte_count, row.complete) == (1, True)


def test_last_chunk_and_trailers_belong_to_the_request() -> None:
    head = "PUT /file HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    row = _only([C(head), C("1\r\nx\r\n"), C("0\r\n"), C("T: 1\r\n"), C("\r\n"), S(NO_CONTENT)])
    assert (row.request_end_ts, row.request_frame) == (4000, 5)


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", "200 OK"), ("GET", "204 No Content"), ("GET", "304 Not Modified")]
)
def test_responses_that_announce_a_body_and_have_none(method: str, status: str) -> None:
    second = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    first = f"HTTP/1.1 {status}\r\nContent-Length: 10\r\n\r\n"
    request = GET.replace("GET", method)
    rows = decode(merged([C(request), S(first), C(GET), S(second)])).rows
    assert [row.complete for row in rows] == [True, True]
    assert rows[0].response_body.byte_count == 0


@pytest.mark.parametrize(
    ("close", "complete", "end"), [("fin", True, ""), ("rst", False, "reset"), ("end", False, "capture-end")]
)
def test_close_delimited_response(close: str, complete: bool, end: str) -> None:
    row = _response("HTTP/1.0 200 OK\r\n\r\nall of it", GET.replace("1.1", "1.0"), close)
    assert (row.response_body.content, row.response_body.expected) == (b"all of it", None)
    assert (row.complete, row.response_body.complete, row.end) == (complete, complete, end)


def test_interim_responses_come_before_the_final_one() -> None:
    head = "PUT /file HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    row = _only([C(head), S("HTTP/1.1 100 Continue\r\n\r\n"), C("ab"), S("HTTP/1.1 102 Wait\r\n\r\n"), S(NO_CONTENT)])
    assert (row.interim, row.response_ts, row.complete) == ((100, 102), 4000, True)


@pytest.mark.parametrize("body_follows", [True, False])
def test_refusal_instead_of_100_continue(body_follows: bool) -> None:
    head = "PUT /file HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 20\r\n\r\n"
    refusal = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
    body = [C("GEnerally the body"), C("!!")] if body_follows else []
    rows = decode(merged([C(head), S(refusal), *body, C(GET[:2]), C(GET[2:]), S(NO_CONTENT)])).rows
    assert [row.request.method for row in rows] == ["PUT", "GET"]
    assert [row.complete for row in rows] == [body_follows, True]
    assert rows[0].request_body.byte_count == (20 if body_follows else 0)


def test_upload_goes_on_after_an_early_response() -> None:
    early = "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    head = "PUT /file HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n"
    row = _only([C(head), C("abc"), S(early), C("def")])
    assert (row.complete, row.request_frame, row.response_frame, row.last_frame) == (True, 4, 3, 4)


@pytest.mark.parametrize(("close", "end"), [("rst", "reset"), ("fin", "closed"), ("reused", "closed")])
def test_upload_cut_after_an_early_response(close: str, end: str) -> None:
    early = "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    row = _only([C("PUT /file HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n"), C("abc"), S(early)], close)
    assert (row.complete, row.end, row.request_body.byte_count) == (False, end, 3)
    assert (row.request_end_ts, row.request_frame, row.response_frame) == (1000, 2, 3)


def test_aborted_upload_counts_an_issue_and_an_unfinished_one_does_not() -> None:
    segments = [C("PUT /file HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc")]
    assert decode(merged(segments), close="rst").issues == {"http-body-incomplete": 1}
    assert decode(merged(segments), close="end").issues == {}


def test_pipelined_requests_and_responses() -> None:
    requests = "".join(f"GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n" for n in range(3))
    responses = "".join(f"HTTP/1.1 20{n} OK\r\nContent-Length: 1\r\n\r\n{n}" for n in range(3))
    rows = decode(merged([C(requests), S(responses)])).rows
    assert [(row.request.target, row.response and row.response.status_code) for row in rows] == [
        ("/0", 200),
        ("/1", 201),
        ("/2", 202),
    ]
    assert all(row.complete for row in rows)


def test_lenient_line_ends_empty_lines_and_continued_fields() -> None:
    row = _only([C("\r\n\r\nGET /x HTTP/1.1\nHost: a\nX-Long: one\n\ttwo\n \n\n"), S("HTTP/1.1 204\r\n\r\n")])
    assert (row.request.headers, row.ts, row.complete) == ((("host", "a"), ("x-long", "one two")), 0, True)


@pytest.mark.parametrize("status", ["101 Switching Protocols", "200 Connection established"])
def test_tunnels_end_decoding(status: str) -> None:
    request = GET if status.startswith("101") else "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"
    decoded = decode(merged([C(request), S(f"HTTP/1.1 {status}\r\n\r\n{GET}"), C(GET)]))
    assert [row.complete for row in decoded.rows] == [True]
    assert decoded.skipped == (len(GET), len(GET))


RAW_DEFLATE = zlib.compressobj(wbits=-15)
TEXT = b'{"images": []}' * 20


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(TEXT, mtime=0)),
        ("x-gzip", gzip.compress(TEXT, mtime=0)),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", RAW_DEFLATE.compress(TEXT) + RAW_DEFLATE.flush()),
        ("identity", TEXT),
    ],
)
@pytest.mark.parametrize("keep", [10, len(TEXT) - 1, len(TEXT), 4096])
def test_content_codings_are_undone_up_to_the_bound(coding: str, packed: bytes, keep: int) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
    row = _only([C(GET), S(head + packed)], keep=keep)
    body = row.response_body
    assert (body.content, body.content_truncated) == (TEXT[:keep], keep < len(TEXT))
    assert (body.byte_count, body.hasher and body.hasher.hexdigests()) == (len(packed), digest_of(packed))


@pytest.mark.parametrize("coding", ["gzip", "br", "gzip, gzip"])
def test_undecodable_content_is_an_issue(coding: str) -> None:
    decoded = decode(
        merged([C(GET), S(f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: 4\r\n\r\nabcd")])
    )
    assert decoded.rows[0].response_body.content is None
    assert decoded.rows[0].complete
    assert decoded.issues == {"http-content-undecodable": 1}


def test_a_compression_bomb_is_not_unpacked() -> None:
    packed = gzip.compress(bytes(30_000_000))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
    body = _only([C(GET), S(head + packed)], keep=1000).response_body
    assert (body.content, body.content_truncated) == (bytes(1000), True)


def test_no_plan_keeps_and_hashes_nothing() -> None:
    segments = [C("PUT /file HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"), S(NO_CONTENT)]
    body = decode(merged(segments), policy=lambda request, response: BodyPlan()).rows[0].request_body
    assert (body.byte_count, body.content, body.hasher, body.complete) == (3, None, None, True)


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 5x\r\n",
        "Transfer-Encoding: gzip\r\n",
    ],
)
def test_contradictory_framing_is_malformed_and_the_next_request_is_found(framing: str) -> None:
    segments = [C(f"PUT /file HTTP/1.1\r\n{framing}\r\nhello"), S(NO_CONTENT), C(GET), S(NO_CONTENT)]
    decoded = decode(merged(segments))
    assert [(row.request.method, row.complete, row.end) for row in decoded.rows] == [
        ("PUT", False, "malformed"),
        ("GET", True, ""),
    ]
    assert decoded.issues["http-malformed"] == 1


@pytest.mark.parametrize(
    "chunks", [b"zz\r\nabc\r\n", b"3\r\nabcdef\r\n0\r\n\r\n", b"-3\r\nabc\r\n", b"0x3\r\nabc\r\n", b"\r\n"]
)
def test_broken_chunks_are_malformed_and_the_next_request_is_found(chunks: bytes) -> None:
    head = b"PUT /file HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    decoded = decode(merged([C(head + chunks), S(NO_CONTENT), C(GET), S(NO_CONTENT)]))
    assert [(row.request.method, row.end) for row in decoded.rows] == [("PUT", "malformed"), ("GET", "")]
    assert decoded.issues["http-malformed"] == 1
