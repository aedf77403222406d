"""HTTP/1.x on one connection: runs of both directions in, `HttpExchange` rows out (RFC 9110, RFC 9112).

Each direction alternates between a head (`reader`) and a body (`body`); `pairing` says which response answers which
request. The decoder only watches: it trusts no length, goes on after missing or malformed bytes, and a row never says
`complete` unless every byte of both messages was seen and no loss leaves their pairing in doubt.
"""

from __future__ import annotations

from collections.abc import Callable

from glancetrace.http.body import BodyReader, CloseReader, open_body
from glancetrace.http.exchange import BodyPolicy, Head, HttpExchange
from glancetrace.http.framing import Framing, FramingKind, request_framing, response_framing
from glancetrace.http.head import looks_like_http, may_start_request
from glancetrace.http.pairing import OpenExchange, Pairing
from glancetrace.http.reader import HeadReader
from glancetrace.http.span import Span
from glancetrace.issues import IssueLog
from glancetrace.net.run import FROM_CLIENT, FROM_SERVER, Connection, Run

__all__ = ["HttpDecoder", "looks_like_http"]

_ENDS = {"fin": "closed", "rst": "reset", "end": "capture-end", "reused": "closed"}


class _Side:
    """One direction: its head reader, the body that is passing, and the exchange that this message belongs to.

    `head_span`: when and where the head was seen. `held`: first bytes after a final response that came instead of
    "100 Continue", until it is clear whether they are the body or the next request. `last_turn`: when it last spoke.
    """

    __slots__ = ("body", "exchange", "head_span", "held", "last_turn", "reader")

    def __init__(self, direction: int, *, in_step: bool) -> None:
        self.reader = HeadReader(direction, in_step=in_step)
        self.body: BodyReader | None = None
        self.exchange: OpenExchange | None = None
        self.head_span = Span()
        self.held: list[Run] = []
        self.last_turn = 0


class HttpDecoder:
    """Decodes one connection.

    Args:
        connection: whose bytes these are.
        emit: gets every exchange once, when it is over; at the latest from `close`.
        issues: where everything odd is counted.
        body_policy: asked once per body what to do with it.
    """

    def __init__(
        self,
        connection: Connection,
        emit: Callable[[HttpExchange], None],
        issues: IssueLog,
        body_policy: BodyPolicy,
    ) -> None:
        self._connection = connection
        self._emit = emit
        self._issues = issues
        self._body_policy = body_policy
        in_step = not connection.started_before_capture
        self._sides = (_Side(FROM_CLIENT, in_step=in_step), _Side(FROM_SERVER, in_step=in_step))
        self._pairing = Pairing()
        self._open: dict[int, OpenExchange] = {}
        self._ordinal = 0
        self._speaker = FROM_CLIENT
        self._turn = 1
        self._tunnel = False
        self._in_trouble = False
        self._tunnelled = [0, 0]

    @property
    def bytes_skipped(self) -> tuple[int, int]:
        """Bytes that are part of no message, by direction (client, server)."""
        client, server = self._sides
        return client.reader.skipped + self._tunnelled[0], server.reader.skipped + self._tunnelled[1]

    def feed(self, run: Run) -> None:
        """The next run, in the order of the wire."""
        side = self._sides[run.direction]
        if self._tunnel:
            self._tunnelled[run.direction] += len(run.data)
            return
        turned = run.direction != self._speaker
        if turned:
            self._speaker = run.direction
            self._turn += 1
        if run.gap:
            self._skip(side, run.gap)
        if turned:
            side.reader.turn()
        if run.direction == FROM_CLIENT and (side.held or self._awaits_decision(side)):
            self._hold(side, run)
        else:
            self._advance(side, run)
        side.last_turn = self._turn

    def close(self, ts: int, frame: int, how: str) -> None:
        """The connection is over: "fin", "rst", "end" (of the capture) or "reused" (its ports begin another one).

        `ts` and `frame` are those of the packet that ended it; a row has only what was seen of its own bytes.
        """
        for side in self._sides:
            self._release(side)
            if how == "fin" and isinstance(side.body, CloseReader):
                side.body.done = True
                self._end_body(side, side.body)
            elif side.body is not None:
                self._break_off(side, side.body, seen_to_end=how != "end")
        for exchange in list(self._open.values()):
            exchange.row.end_ts = ts if how != "end" else None
            self._finish(exchange, exchange.lost or _ENDS[how])
        self._pairing = Pairing()

    def _advance(self, side: _Side, run: Run) -> None:
        pos = 0
        size = len(run.data)
        while pos < size:
            if self._tunnel:
                self._tunnelled[run.direction] += size - pos
                return
            if side.body is not None:
                pos = side.body.feed(run, pos)
                if side.body.done or side.body.lost:
                    self._end_body(side, side.body)
                continue
            reader = side.reader
            pos = reader.pull(run, pos)
            if reader.head is not None:
                self._in_trouble = False
                if run.direction == FROM_CLIENT:
                    self._begin_request(side, reader.head)
                else:
                    self._begin_response(side, reader.head)
            else:
                if reader.trouble:
                    self._count_trouble(reader.trouble, run.at(min(pos, size - 1))[1])
                if run.direction == FROM_SERVER and not reader.in_step:
                    self._pairing.doubt_responses()

    def _begin_request(self, side: _Side, head: Head) -> None:
        span = side.head_span = side.reader.span
        self._drop_bodiless_orphan()
        exchange = self._open_exchange(head, span)
        exchange.row.head_end_ts = span.last_ts
        side.exchange = exchange
        for answered in self._pairing.begin_request(exchange):
            self._abandon(answered)
        self._begin_body(side, exchange, request_framing(head), head, None)

    def _begin_response(self, side: _Side, head: Head) -> None:
        span = side.head_span = side.reader.span
        if head.status_code < 200 and head.status_code != 101:
            waiting = self._pairing.begin_interim()
            if waiting is not None:
                waiting.row.interim += (head.status_code,)
                waiting.row.last_frame = max(waiting.row.last_frame, span.last_frame)
            return
        exchange = self._pairing.begin_response()
        if exchange is None:
            self._count("http-response-unmatched", span.first_frame)
            exchange = self._open_exchange(Head(), span)
            exchange.matched = False
            exchange.request_over = True
        row = exchange.row
        row.response = head
        row.response_ts = span.first_ts
        row.response_first_frame = span.first_frame
        row.last_frame = max(row.last_frame, span.last_frame)
        side.exchange = exchange
        framing = response_framing(head, row.request.method)
        self._tunnel = framing.kind is FramingKind.TUNNEL
        self._begin_body(side, exchange, framing, head, head)

    def _open_exchange(self, request: Head, span: Span) -> OpenExchange:
        self._ordinal += 1
        row = HttpExchange(
            self._connection.id,
            self._ordinal,
            request,
            span.first_ts or 0,
            span.first_frame,
            last_frame=span.last_frame,
        )
        exchange = self._open[self._ordinal] = OpenExchange(row)
        return exchange

    def _begin_body(
        self, side: _Side, exchange: OpenExchange, framing: Framing, head: Head, response: Head | None
    ) -> None:
        """A head is complete; what follows is its body, or the next message."""
        row = exchange.row
        body = row.request_body if response is None else row.response_body
        if framing.kind in (FramingKind.NONE, FramingKind.TUNNEL):
            body.complete = True
            self._end_message(side, exchange, side.head_span)
        elif framing.kind is FramingKind.INVALID:
            exchange.lost = "malformed"
            self._count_trouble("http-malformed", side.head_span.first_frame)
            self._end_message(side, exchange, side.head_span)
            side.reader.lose_step()
        else:
            plan = self._body_policy(row.request, response)
            side.body = open_body(framing, body, plan, head)
            if side.body is not None and side.body.done:
                self._end_body(side, side.body)

    def _end_body(self, side: _Side, reader: BodyReader) -> None:
        """The body has ended, or its end cannot be found."""
        exchange = side.exchange
        side.body = None
        if exchange is None:
            return
        self._write_body(reader, exchange)
        if reader.lost:
            exchange.lost = "malformed" if reader.malformed else "gap"
        if reader.malformed:
            self._count_trouble("http-malformed", reader.span.last_frame)
        self._end_message(side, exchange, reader.span)
        if reader.malformed:
            side.reader.lose_step()
        elif reader.lost:
            self._lose_step(side, in_body=True)

    def _break_off(self, side: _Side, reader: BodyReader, *, seen_to_end: bool) -> None:
        """The connection is over before the body is; `seen_to_end`: the capture went on, so no more of it was sent."""
        exchange = side.exchange
        side.body = None
        if exchange is None:
            return
        row = exchange.row
        last_frame = max(row.last_frame, reader.span.last_frame)
        if seen_to_end:
            self._write_body(reader, exchange)
            self._write_end(side, exchange, reader.span)
        else:
            reader.finish()
        row.last_frame = last_frame

    def _write_body(self, reader: BodyReader, exchange: OpenExchange) -> None:
        frame = max(exchange.row.last_frame, reader.span.last_frame)
        if not reader.finish():
            self._count("http-content-undecodable", frame)
        if not reader.body.complete:
            self._count("http-body-incomplete", frame)

    def _write_end(self, side: _Side, exchange: OpenExchange, span: Span) -> None:
        """A message is over: its last bytes are those of `span`, or of the head when the body was empty."""
        row = exchange.row
        end_ts = max(side.head_span.last_ts, span.last_ts)
        end_frame = max(side.head_span.last_frame, span.last_frame)
        row.last_frame = max(row.last_frame, end_frame)
        if side is self._sides[FROM_CLIENT]:
            row.request_end_ts, row.request_frame = end_ts, end_frame
        else:
            row.response_end_ts, row.response_frame = end_ts, end_frame

    def _end_message(self, side: _Side, exchange: OpenExchange, span: Span) -> None:
        self._write_end(side, exchange, span)
        if side is self._sides[FROM_CLIENT]:
            exchange.request_over = True
        else:
            exchange.response_over = True
            self._pairing.end_response(exchange)
        self._settle(exchange)

    def _settle(self, exchange: OpenExchange) -> None:
        if exchange.request_over and exchange.response_over:
            row = exchange.row
            missing = exchange.doubtful or row.request_body.missing or row.response_body.missing
            self._finish(exchange, exchange.lost or ("gap" if missing else ""))

    def _finish(self, exchange: OpenExchange, end: str) -> None:
        row = exchange.row
        if self._open.pop(row.ordinal, None) is None:
            return
        row.complete = (
            not end
            and exchange.matched
            and row.response is not None
            and row.request_body.complete
            and row.response_body.complete
        )
        row.doubtful = exchange.doubtful or not exchange.matched
        row.end = end
        self._emit(row)

    def _abandon(self, exchange: OpenExchange) -> None:
        """The response of an exchange is among missing bytes."""
        exchange.lost = exchange.lost or "gap"
        exchange.response_over = True
        self._settle(exchange)

    def _drop_bodiless_orphan(self) -> None:
        """A response whose request is not in the capture may have answered HEAD: then no body follows its length.

        That is so when the next request begins before any byte of the body.
        """
        side = self._sides[FROM_SERVER]
        body, exchange = side.body, side.exchange
        if body is None or exchange is None or exchange.matched or body.span.first_ts is not None or body.body.missing:
            return
        side.body = None
        self._end_message(side, exchange, side.head_span)

    def _skip(self, side: _Side, count: int) -> None:
        """`count` bytes of a direction are missing."""
        self._release(side)
        if side.body is not None:
            count = side.body.skip(count)
            if side.body.done or side.body.lost:
                self._end_body(side, side.body)
            if not count:
                return
        self._lose_step(side)

    def _lose_step(self, side: _Side, *, in_body: bool = False) -> None:
        """Bytes are missing where a message may have begun."""
        begun = side.reader.pending
        side.reader.lose_step()
        if side is self._sides[FROM_CLIENT]:
            same_message = in_body and side.last_turn == self._turn
            self._pairing.lose_requests(self._turn, begun, same_message)
            return
        for answered in self._pairing.lose_responses():
            self._abandon(answered)

    def _awaits_decision(self, side: _Side) -> bool:
        """Whether the next bytes may not be the body: the server has refused it, which the client was waiting for."""
        if side.body is None or side.exchange is None or side.body.span.first_ts is not None:
            return False
        row = side.exchange.row
        return row.response is not None and not row.interim and bool(row.request.get("expect"))

    def _hold(self, side: _Side, run: Run) -> None:
        """RFC 9110, section 10.1.1: such a client may send the body nevertheless, or its next request instead."""
        side.held.append(run)
        begin = b"".join(held.data[:16] for held in side.held)[:16]
        if not may_start_request(begin, known_only=True):
            self._release(side)
        elif b" " in begin and side.exchange is not None:
            side.body = None
            self._end_message(side, side.exchange, side.head_span)
            self._release(side)

    def _release(self, side: _Side) -> None:
        held, side.held = side.held, []
        for run in held:
            self._advance(side, run)

    def _count_trouble(self, kind: str, frame: int) -> None:
        """Count what put a direction out of step, once until a message is read again."""
        if not self._in_trouble:
            self._count(kind, frame)
        self._in_trouble = True

    def _count(self, kind: str, frame: int) -> None:
        self._issues.count(kind, frame=frame, connection_id=self._connection.id)
