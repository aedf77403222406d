"""Looks for every secret that was seen in what was written: in the bytes of the file and in its streams.

It trusts none of the readings before: the output is read as any capture, every TCP connection of it is put together,
whatever it speaks, and each secret is looked for as it is, in base64, percent-encoded and in hex, and authentication
data as they are. What is found is told by place and kind, never by content.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from glancetrace.capture.index import PacketIndex
from glancetrace.capture.inputs import open_captures
from glancetrace.edit.sanitize.known import HASH, NAME, KnownSecrets
from glancetrace.edit.sanitize.text_finder import TextFinder, stands_alone
from glancetrace.issues import IssueLog
from glancetrace.net.reassemble import TcpReassembler
from glancetrace.net.run import Connection, Run, render_endpoint
from glancetrace.net.verdict import Verdict

__all__ = ["Remainder", "verify"]

_SHORTEST_BINARY = 16


@dataclass(frozen=True, slots=True)
class Remainder:
    """A secret of this kind is still in a frame, as part of a packet or of the stream between two endpoints."""

    kind: str
    frame: int
    where: str


class _Search:
    """Searches both directions of a connection."""

    def __init__(
        self, connection: Connection, finder: TextFinder, kinds: dict[bytes, str], found: list[Remainder]
    ) -> None:
        self._where = f"{render_endpoint(connection.client)} and {render_endpoint(connection.server)}"
        self._finder = finder
        self._kinds = kinds
        self._found = found
        self._tails = [b"", b""]

    def feed(self, run: Run) -> None:
        """The next run."""
        tail = b"" if run.gap else self._tails[run.direction]
        data = tail + run.data
        for at, text in self._finder.find(data):
            if at + len(text) > len(tail) and _counts(data, at, text, self._kinds):
                frame = run.at(max(at - len(tail), 0))[1]
                self._found.append(Remainder(self._kinds[text], frame, self._where))
        self._tails[run.direction] = data[1 - self._finder.longest :] if self._finder.longest > 1 else b""

    def close(self, ts: int, frame: int, how: str) -> None:
        """Nothing is held."""


def _counts(data: bytes, at: int, text: bytes, kinds: dict[bytes, str]) -> bool:
    """It is a secret, or a name that stands alone."""
    return kinds[text] != NAME or stands_alone(data, at, text)


def verify(paths: Sequence[str], known: KnownSecrets) -> list[Remainder]:
    """Secrets that are still in captures, by frame.

    Raises:
        InputError: a capture cannot be read.
    """
    kinds = {text: kind for text, (_, kind) in known.patterns().items() if kind != HASH}
    kinds |= {raw: "mysql-authentication" for raw in known.binary if len(raw) >= _SHORTEST_BINARY}
    finder = TextFinder(list(kinds))
    found: list[Remainder] = []
    if not kinds:
        return found
    issues = IssueLog()
    reassembler = TcpReassembler(
        lambda connection: _Search(connection, finder, kinds, found),
        issues,
        judge=lambda _connection, _client, _server: Verdict.WANT,
    )
    index = PacketIndex(issues)
    with open_captures(paths, issues) as reader:
        for block in reader:
            for at, text in finder.find(block.data):
                if not _counts(block.data, at, text, kinds):
                    continue
                row = max(int((block.offset <= at).sum()) - 1, 0)
                found.append(Remainder(kinds[text], block.first_frame + row, "a packet"))
            reassembler.push(index.index(block))
    reassembler.finish()
    return sorted(set(found), key=lambda one: (one.frame, one.kind, one.where))
