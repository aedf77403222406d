"""Which first bytes are HTTP."""

from __future__ import annotations

import random

import pytest

from glancetrace.http.decoder import looks_like_http

REQUEST = b"GET /v2/images?limit=20 HTTP/1.1\r\nHost: a\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"


@pytest.mark.parametrize(
    ("client", "server"),
    [
        (REQUEST, b""),
        (b"", RESPONSE),
        (REQUEST[:40], RESPONSE),
        (b"\0\1\2 middle of a body", RESPONSE),
        (REQUEST, b'": "middle of a body"}'),
        (b"GET / HTTP/1.0\n", b""),
        (b"PUT /v2/images/0123456789abcdef/file?x=" + b"y" * 25, b""),
        (b"CONNECT glance:9292 HTTP/1.1\r\n", b""),
        (b"OPTIONS * HTTP/1.1\r\n", b""),
    ],
)
def test_http(client: bytes, server: bytes) -> None:
    assert looks_like_http(client, server) is True


@pytest.mark.parametrize(
    ("client", "server"),
    [(b"", b""), (b"G", b""), (b"GET", b""), (b"GET /v2", b""), (b"", b"HTTP/1"), (b"GET / HTTP/1.", b"")],
)
def test_not_yet_decided(client: bytes, server: bytes) -> None:
    assert looks_like_http(client, server) is None


@pytest.mark.parametrize(
    ("client", "server"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", b"\x16\x03\x03"),
        (b"get / HTTP/1.1\r\n", b"x"),
        (b"GET /a b HTTP/1.1\r\n", b"x"),
        (b"GET / HTTP/2.0\r\n", b"x"),
        (b"PRI * HTTP/2.0\r\n\r\n", b"x"),
        (b"SSH-2.0-OpenSSH\r\n", b"SSH-2.0-OpenSSH\r\n"),
        (b"\x01\0\0\0\x0e", b"J\0\0\0\n11.4.2-MariaDB\0"),
        (b"x", b"HTTP/2 200\r\n"),
        (b"x", b"HTTP/1.1 OK\r\n\r\n"),
        (b"POST office hours are nine to five\r\n", b"x"),
        (b"GET key-that-is-no-target-at-all", b"x"),
    ],
)
def test_not_http(client: bytes, server: bytes) -> None:
    assert looks_like_http(client, server) is False


def test_random_bytes_are_never_http() -> None:
    generator = random.Random(7)
    for _ in range(2000):
        first, second = generator.randbytes(64), generator.randbytes(64)
        assert looks_like_http(first, second) is False


@pytest.mark.parametrize("length", range(1, len(REQUEST)))
def test_no_prefix_of_a_message_is_refused(length: int) -> None:
    assert looks_like_http(REQUEST[:length], b"") is not False
    assert looks_like_http(b"", RESPONSE[:length]) is not False
