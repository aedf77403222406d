"""Which response answers which request: by order (RFC 9112, section 9.3.2), and after a loss by causality.

Requests wait in the order in which they were sent and the next response answers the first of them. Missing bytes break
that order, and three observations mend it:

* Clients wait for a response before they send the next request; where bytes of the server are missing outside a body,
  every request but the last that waits then has its answer in the gap, and so has one that still waits when the next
  begins. (A pipelining client would be wronged by that; after a loss there is no way to tell.)
* A response that begins while nothing waits answers a request that is not in the capture.
* Where missing bytes may have hidden a request or a response, the pairing is the likely one and no more: such exchanges
  are never called complete.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from glancetrace.http.exchange import HttpExchange

__all__ = ["OpenExchange", "Pairing"]


@dataclass(slots=True, eq=False)
class OpenExchange:
    """An exchange that is not over. `lost` names what it lost ("gap", "malformed"), `doubtful`: pairing is a guess."""

    row: HttpExchange
    request_over: bool = False
    response_over: bool = False
    doubtful: bool = False
    matched: bool = True
    lost: str = ""


class Pairing:
    """The requests of one connection that wait for their responses."""

    __slots__ = (
        "_losses",
        "_lost_turn",
        "_maybe_lost",
        "_orphans",
        "_pipelined",
        "_response_lost",
        "_shaky",
        "waiting",
    )

    def __init__(self) -> None:
        self.waiting: deque[OpenExchange] = deque()
        self._losses = 0
        self._lost_turn = 0
        self._maybe_lost = False
        self._orphans = 0
        self._response_lost = False
        self._pipelined = False
        self._shaky = False

    def lose_requests(self, turn: int, begun: bool, same_message: bool) -> None:
        """Bytes of the client are missing outside a body: in this turn of the conversation a request was lost.

        `begun`: its first bytes were seen, so it is none that was lost before. `same_message`: the bytes may all be of
        the request that was being sent; they hid another one only if the client pipelines.
        """
        if same_message:
            self._maybe_lost = True
        elif begun or turn != self._lost_turn:
            self._losses += 1
            self._lost_turn = turn

    def lose_responses(self) -> list[OpenExchange]:
        """Bytes of the server are missing outside a body; returns the exchanges whose response was there."""
        self._response_lost = True
        answered = [self.waiting.popleft() for _ in range(len(self.waiting) - 1)]
        for exchange in self.waiting:
            exchange.doubtful = True
        return answered

    def begin_request(self, exchange: OpenExchange) -> list[OpenExchange]:
        """A request has begun; returns the exchanges that can no longer get a response."""
        answered: list[OpenExchange] = []
        if self.waiting and self._response_lost:
            answered = list(self.waiting)
            self.waiting.clear()
            self._shaky = self._pipelined
        elif self.waiting:
            self._pipelined = True
        else:
            self._shaky = False
        self._response_lost = False
        hidden = self._losses > self._orphans or (self._losses and self._pipelined)
        if hidden or (self._maybe_lost and self.waiting):
            self._shaky = True
        exchange.doubtful = self._shaky
        self._losses = self._lost_turn = self._orphans = 0
        self._maybe_lost = False
        self.waiting.append(exchange)
        return answered

    def begin_response(self) -> OpenExchange | None:
        """The exchange that a response belongs to; None when no request waits for one."""
        self._response_lost = False
        if self.waiting:
            return self.waiting[0]
        self._orphans += 1
        return None

    def begin_interim(self) -> OpenExchange | None:
        """The exchange that an interim response belongs to; its final response is still to come."""
        self._response_lost = False
        return self.waiting[0] if self.waiting else None

    def doubt_responses(self) -> None:
        """Bytes of the server were skipped: they may have been the response that is waited for."""
        if self.waiting:
            self._response_lost = True

    def end_response(self, exchange: OpenExchange) -> None:
        """The final response of an exchange is over, or lost."""
        if self.waiting and self.waiting[0] is exchange:
            self.waiting.popleft()
