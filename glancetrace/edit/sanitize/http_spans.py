"""HTTP/1.x: which bytes of a stream are messages, and where secrets stand in them.

`HttpDecoder` says what is a head and what a body, so what it skips is not kept. A head is kept with its secrets
replaced: headers, the query and the path of the target. A body of text (JSON, forms, HTML) is held until its end, then
its secrets are replaced behind its chunks and its content coding; bodies of images and other binary data are kept as
they pass. Of a text body with bytes missing only what stands before the first gap is kept.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from glancetrace.edit.sanitize.chunked import ChunkLines, Seams, data_pieces, replace_in_pieces
from glancetrace.edit.sanitize.gzipped import resqueeze
from glancetrace.edit.sanitize.images import ImageBody
from glancetrace.edit.sanitize.known import Find, KnownSecrets
from glancetrace.edit.sanitize.loose import LOOSE_HINTS, find_loosely
from glancetrace.edit.sanitize.plan import BLANK, ConnectionPlan, PlacedRun, StreamPlan
from glancetrace.edit.sanitize.spans import Span, find_at_end, find_in_json, find_in_text
from glancetrace.http.body import BodyReader, ChunkedReader, CloseReader
from glancetrace.http.content import content_codings
from glancetrace.http.decoder import HttpDecoder, _Side
from glancetrace.http.exchange import BodyPlan, Head, HttpExchange
from glancetrace.issues import IssueLog
from glancetrace.net.run import FROM_CLIENT, Run
from glancetrace.redact import HINTS, SECRET_HEADERS, is_secret_name

__all__ = ["HttpSpans", "find_in_head"]

TEXT_LIMIT = 16 << 20
"""Bytes of a text body that are held; of a longer one the rest is blanked."""

_BINARY = ("application/octet-stream", "image/", "video/", "audio/", "application/x-tar", "application/x-qemu")
_COOKIES = frozenset({"cookie", "set-cookie"})
_COOKIE_ATTRIBUTES = frozenset({"path", "domain", "expires", "max-age", "samesite", "version", "comment"})
_FIELD = re.compile(r"(?:^|\n)([^\s:]+)[ \t]*:[ \t]*([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)")
_KEY_HEADER = re.compile(r"[\w\-]+-key(?:-[0-9])?")
"""`X-Account-Meta-Temp-URL-Key-2`, `X-Amz-Server-Side-Encryption-Customer-Key`."""
_KEPT_SECRET = re.compile(r"/v1/secrets(?:/[0-9a-f\-]+/payload)?/?(?:\?|\Z)|/v1/secrets/[0-9a-f\-]+\Z")
"""Barbican: the body of a call is a secret, or holds one."""
_PAIR = re.compile(r"([^=;\s]+)=([^;\s]*)")
_PATH_TOKEN = re.compile(r"/v[23][.0-9]*/(?:auth/)?tokens/([^/?\s]+)")
_QUERY_SECRET = re.compile(
    r"[?&;][\w.\-]*(?:signature|token|secret|password|_sig|-credential)=([^&\s;\"']+)", re.IGNORECASE
)
_SHORTEST_UTF16 = 8
_FORM_PAIR = re.compile(r"(?:^|&)([^=&]+)=([^&]*)")
_HINTS = (*(hint.encode() for hint in HINTS), *LOOSE_HINTS)


def _no_row(_exchange: HttpExchange) -> None:
    """Exchanges are of no interest here."""


def _is_binary(request: Head, response: Head | None) -> bool:
    """The body holds no text: that of the request if `response` is None, else of that response."""
    media = (request if response is None else response).get("content-type").lower().strip()
    is_data = request.target.partition("?")[0].endswith(("/file", "/stage")) and (
        response is None or response.status_code in (200, 206)
    )
    return media.startswith(_BINARY) or (is_data and "json" not in media)


def find_in_head(text: str) -> Iterator[Span]:
    """Secrets in a head: start line and header fields."""
    yield from (span for span in find_in_text(text) if span.kind != "header")
    start_line = text[: text.find("\n")]
    for match in _QUERY_SECRET.finditer(text):
        yield Span(*match.span(1), "query", "url")
    for match in _PATH_TOKEN.finditer(start_line):
        yield Span(*match.span(1), "token", "url")
    for match in _FIELD.finditer(text):
        name = match[1].lower()
        begin, end = match.span(2)
        while end > begin and text[end - 1] in " \t":
            end -= 1
        if name in _COOKIES:
            for pair in _PAIR.finditer(text, begin, end):
                if pair[1].lower() not in _COOKIE_ATTRIBUTES:
                    yield Span(*pair.span(2), "cookie", "plain")
        elif name in SECRET_HEADERS or is_secret_name(name) or _KEY_HEADER.fullmatch(name):
            yield Span(begin, end, "header", "plain")


def _find_in_whole(text: str) -> Iterator[Span]:
    yield from find_in_json(text, whole=True)
    yield from find_loosely(text)


def _find_in_cut(text: str) -> Iterator[Span]:
    yield from find_in_json(text, whole=False)
    yield from find_loosely(text)
    yield from find_at_end(text)


@dataclass(slots=True)
class _Text:
    """A text body as it stands in the stream, chunk lines and all; None where none is held."""

    start: int
    codings: list[str]
    is_form: bool
    raw: bytearray = field(default_factory=bytearray)
    broken: bool = False


class HttpSpans(HttpDecoder):
    """Plans one connection; fed with placed runs."""

    def __init__(self, plan: ConnectionPlan, known: KnownSecrets) -> None:
        super().__init__(plan.connection, _no_row, IssueLog(), self._plan_of)
        self._images: list[ImageBody | None] = [None, None]
        self._plan = plan
        self._known = known
        self._heads = (bytearray(), bytearray())
        self._junk = [0, 0]
        self._texts: list[_Text | None] = [None, None]
        self._binary = [False, False]
        self._lines = [ChunkLines(), ChunkLines()]
        self._seams = [Seams(), Seams()]

    def close(self, ts: int, frame: int, how: str) -> None:
        """The connection is over: bodies that have not ended are what there is of them."""
        for side in self._sides:
            self._release(side)
        for direction in (0, 1):
            body = self._sides[direction].body
            self._end_text(direction, complete=False)
            self._end_image(direction, body, complete=how == "fin" and isinstance(body, CloseReader))
        super().close(ts, frame, how)

    def _advance(self, side: _Side, run: Run) -> None:
        assert isinstance(run, PlacedRun)
        stream = self._plan.streams[run.direction]
        pos = 0
        size = len(run.data)
        while pos < size and not self._tunnel:
            begin = pos
            if side.body is not None:
                pos = self._take_body(side, side.body, stream, run, pos)
                continue
            reader = side.reader
            skipped = reader.skipped
            pos = reader.pull(run, pos)
            self._take_head(side, stream, run, begin, pos, reader.skipped - skipped)
            if reader.head is not None:
                if run.direction == FROM_CLIENT:
                    self._begin_request(side, reader.head)
                else:
                    self._begin_response(side, reader.head)
                self._open_text(side, run.direction, reader.head, run.start + pos)
            elif run.direction != FROM_CLIENT and not reader.in_step:
                self._pairing.doubt_responses()
        if pos < size:
            self._known.tally.blanked["http-tunnel"] += size - pos

    def _take_head(self, side: _Side, stream: StreamPlan, run: PlacedRun, begin: int, pos: int, skipped: int) -> None:
        """Bytes went to the head reader; when a head ended with them it is kept."""
        pending = self._heads[run.direction]
        pending += run.data[begin:pos]
        self._junk[run.direction] += skipped
        if side.reader.head is None and side.reader.pending:
            return
        end = run.start + pos
        # What was skipped stands before the head.
        junk = bytes(pending[: self._junk[run.direction]] if side.reader.head is not None else pending)
        head = pending[len(junk) :].decode("latin-1")
        if junk.strip(b"\r\n"):
            self._known.tally.blanked["http-not-understood"] += len(junk)
        else:
            stream.keep(end - len(pending), end - len(head))
        stream.keep(end - len(head), end)
        if head:
            self._known.replace(stream, end - len(head), head, [*find_in_head(head), *self._known.beyond(head)])
        pending.clear()
        self._junk[run.direction] = 0

    def _open_text(self, side: _Side, direction: int, head: Head, start: int) -> None:
        """A head has ended: hold the body that follows if it is text."""
        self._texts[direction] = self._images[direction] = None
        if side.body is None:
            return
        media = head.get("content-type").lower().strip()
        request = side.exchange.row.request if side.exchange is not None else head
        kept_secret = _KEPT_SECRET.search(request.target) is not None
        self._binary[direction] = not kept_secret and _is_binary(request, None if direction == FROM_CLIENT else head)
        if not self._binary[direction]:
            self._texts[direction] = text = _Text(start, content_codings(head), "form-urlencoded" in media)
            text.broken = kept_secret
        elif self._known.images is not None:
            self._images[direction] = self._known.images.begin(self._plan.streams[direction])

    def _take_body(self, side: _Side, body: BodyReader, stream: StreamPlan, run: PlacedRun, pos: int) -> int:
        begin = pos
        pos = body.feed(run, pos)
        direction = run.direction
        if isinstance(body, ChunkedReader):
            self._lines[direction].add(run.data, run.start, begin, pos, body.ranges)
            if self._binary[direction] and self._known.images is None:
                for content, pieces in self._seams[direction].add(run.data, run.start, body.ranges):
                    self._known.defer(len(content), _searching(stream, pieces, content))
        text = self._texts[direction]
        if text is None:
            if self._binary[direction] and not body.malformed:
                stream.keep_image(run.start + begin, run.start + pos)
                image = self._images[direction]
                if image is not None:
                    for first, last in body.ranges:
                        image.add(run.start + first, run.start + last)
        elif not text.broken:
            text.raw += run.data[begin:pos]
            text.broken = len(text.raw) > TEXT_LIMIT
            if text.broken:
                self._known.tally.blanked["http-long-text"] += len(text.raw)
        elif len(text.raw) <= TEXT_LIMIT:
            self._known.tally.blanked["http-kept-secret"] += pos - begin
        if body.done or body.lost:
            self._end_text(direction, complete=body.done, chunked=isinstance(body, ChunkedReader))
            self._end_image(direction, body, complete=body.done)
            self._end_body(side, body)
        return pos

    def _end_lines(self, direction: int) -> None:
        """Replace secrets in the lines of a chunked body."""
        lines, self._lines[direction] = self._lines[direction], ChunkLines()
        self._seams[direction] = Seams()
        if lines.pieces:
            stream = self._plan.streams[direction]
            for at, data in (*lines.extensions(), *self._known.edits(lines.text, find_in_head(lines.text))):
                lines.replace(stream, at, data)

    def _end_image(self, direction: int, body: BodyReader | None, *, complete: bool) -> None:
        image, self._images[direction] = self._images[direction], None
        if image is not None and body is not None and complete and not body.body.missing:
            image.hasher = body.body.hasher

    def _plan_of(self, request: Head, response: Head | None) -> BodyPlan:
        """Image data is hashed where its hashes are to be replaced."""
        images = self._known.images
        return BodyPlan(hasher=images.new_hasher if images is not None and _is_binary(request, response) else None)

    def _skip(self, side: _Side, count: int) -> None:
        direction = self._sides.index(side)
        self._release(side)
        self._end_text(direction, complete=False, chunked=isinstance(side.body, ChunkedReader))
        self._heads[direction].clear()
        self._junk[direction] = 0
        super()._skip(side, count)

    def _drop_bodiless_orphan(self) -> None:
        super()._drop_bodiless_orphan()
        if self._sides[1].body is None:
            self._texts[1] = None

    def _end_text(self, direction: int, *, complete: bool, chunked: bool | None = None) -> None:
        """Replace secrets in the text body that is held, and in the lines of a chunked one."""
        self._end_lines(direction)
        text, self._texts[direction] = self._texts[direction], None
        if text is None or text.broken or not text.raw:
            return
        if chunked is None:
            chunked = isinstance(self._sides[direction].body, ChunkedReader)
        stream = self._plan.streams[direction]
        raw = bytes(text.raw)
        stream.keep(text.start, text.start + len(raw))
        pieces = list(data_pieces(raw)) if chunked else [(0, len(raw))]
        content = b"".join([raw[begin:end] for begin, end in pieces])
        edits = self._edits(content, text, complete=complete) if not text.codings else []
        for at, data in edits:
            replace_in_pieces(stream, text.start, pieces, at, data)
        if text.codings:
            self._defer_decoded(stream, text, pieces, content, complete=complete)
        elif len(pieces) > 1:
            self._known.defer(len(content), lambda find: self._search(stream, text.start, pieces, content, find))

    def _search(
        self, stream: StreamPlan, start: int, pieces: list[tuple[int, int]], content: bytes, find: Find | None
    ) -> None:
        """Replace secrets that stand across chunks; where they cannot be looked for, everything."""
        for at, data in find(content) if find is not None else [(0, BLANK * len(content))]:
            replace_in_pieces(stream, start, pieces, at, data)

    def _edits(self, content: bytes, text: _Text, *, complete: bool) -> list[tuple[int, bytes]]:
        """Replacements in a body; of UTF-16 that half is looked at that is not zero (RFC 2781)."""
        for half in (0, 1):
            if len(content) >= _SHORTEST_UTF16 and content[1 - half :: 2].count(0) * 4 > len(content):
                found = self._plain_edits(content[half::2], text, complete=complete)
                return [(2 * (at + n) + half, data[n : n + 1]) for at, data in found for n in range(len(data))]
        return self._plain_edits(content, text, complete=complete)

    def _plain_edits(self, content: bytes, text: _Text, *, complete: bool) -> list[tuple[int, bytes]]:
        if not self._known.goes_beyond and not any(hint in content for hint in _HINTS):
            return []
        plain = content.decode("latin-1")
        spans = list(self._known.found(_find_in_whole if complete else _find_in_cut, plain))
        if text.is_form:
            spans += [Span(*m.span(2), "form", "url") for m in _FORM_PAIR.finditer(plain) if is_secret_name(m[1])]
        return list(self._known.edits(plain, [*spans, *self._known.beyond(plain)]))

    def _defer_decoded(
        self, stream: StreamPlan, text: _Text, pieces: list[tuple[int, int]], content: bytes, *, complete: bool
    ) -> None:
        """The same of a compressed body, compressed again to the same length once all secrets are known."""
        plain = self._inflate(text, content, complete=complete)
        found = [] if plain is None else self._edits(plain, text, complete=complete)

        def finish(find: Find | None) -> None:
            new = None
            if plain is not None and find is not None:
                changed = bytearray(plain)
                for at, data in (*find(plain), *found):
                    changed[at : at + len(data)] = data
                if changed == plain:
                    return
                gzip = text.codings[0] != "deflate"
                new = resqueeze(plain, bytes(changed), len(content), gzip=gzip) if complete else None
            if new is None:
                self._known.tally.blanked["http-content-coding"] += len(content)
            replace_in_pieces(stream, text.start, pieces, 0, bytes(len(content)) if new is None else new)

        self._known.defer(len(content) + len(plain or b""), finish)

    @staticmethod
    def _inflate(text: _Text, content: bytes, *, complete: bool) -> bytes | None:
        if text.codings not in (["gzip"], ["x-gzip"], ["deflate"]):
            return None
        try:
            inflater = zlib.decompressobj(32 + zlib.MAX_WBITS)
            plain = inflater.decompress(content, TEXT_LIMIT)
        except zlib.error:
            return None
        whole = not inflater.unconsumed_tail and (inflater.eof or not complete) and not inflater.unused_data
        return plain if whole else None


def _searching(stream: StreamPlan, pieces: list[tuple[int, int]], content: bytes) -> Callable[[Find | None], None]:
    """What replaces secrets in bytes of image data that stand in these pieces of a stream."""

    def finish(find: Find | None) -> None:
        for at, data in find(content) if find is not None else ():
            replace_in_pieces(stream, 0, pieces, at, data)

    return finish
