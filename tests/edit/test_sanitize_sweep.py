"""What is found where no rule expects it does not depend on how the streams are cut into blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace.edit.sanitize.passes import Choices, sanitize
from glancetrace.edit.sanitize.report import render_report
from glancetrace.edit.sanitize.text_finder import TextFinder
from glancetrace.options import Options
from tests.support.conversation import Conversation, Http

KEY = bytes(32)
INNER, OUTER = "pLq7Zx9Rt2", "mysql+pymysql://glance:pLq7Zx9Rt2@db"
NAME = "acmepay"
MARKS = (OUTER, INNER, "zx9Rt2-nothing", f" {NAME} ", f" {NAME}s ", f"x{NAME} ", f'"{NAME}": ', f'"{NAME}", ', "70")


def conversation(words: list[str], cut: int) -> Conversation:
    """Secrets in their places; then words in image data, in segments of `cut` bytes."""
    made = Conversation()
    client = Http(made.connect("10.0.0.5", ("10.0.0.1", 9292)))
    for password in (INNER, OUTER):
        client.ask("POST", "/v3/auth/tokens", [], {"password": password, "user": {"name": NAME, "password": password}})
        client.answer("201 Created", {"token": {}})
    data = "".join(words).encode()
    upload = made.connect("10.0.0.6", ("10.0.0.1", 9292))
    head = "PUT /v2/images/9a4f2c1e-6a71-4c5e-9d0a-0f3b7a1c2d3e/file HTTP/1.1\r\nContent-Length: {}\r\n\r\n"
    upload.send(head.format(len(data)).encode())
    for begin in range(0, len(data), cut):
        upload.send(data[begin : begin + cut])
        made.connect("10.0.0.7", ("10.0.0.1", 9292)).send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    return made


def outcome(source: Path, clean: Path, block_size: int, kept_bytes: int) -> tuple[bytes, dict[str, Any]]:
    options, choices = Options(jobs=1, block_size=block_size), Choices(names=True)
    done = sanitize([str(source)], str(clean), KEY, options, choices=choices, kept_bytes=kept_bytes)
    return clean.read_bytes(), render_report(done, None)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.sampled_from(MARKS), min_size=1, max_size=12), st.integers(5, 40))
def test_blocks_do_not_matter(tmp_path_factory: pytest.TempPathFactory, words: list[str], cut: int) -> None:
    folder = tmp_path_factory.mktemp("sweep")
    source = conversation(words, cut).write(folder / "a.pcap")
    whole = outcome(source, folder / "b.pcap", 4 << 20, 1 << 20)
    for kept_bytes in (1 << 20, 0):
        assert outcome(source, folder / "b.pcap", 300, kept_bytes) == whole
    assert INNER.encode() not in whole[0]


@pytest.mark.parametrize("more", [0, 100])
def test_all_texts_at_a_place_are_found(more: int) -> None:
    texts = [b"acme", b"acme-payroll", b"acme-payments", *(b"%06d--" % number for number in range(more))]
    assert sorted(TextFinder(texts).find(b"x acme-pay acme-payroll")) == [(2, b"acme"), (11, b"acme"), (11, texts[1])]
