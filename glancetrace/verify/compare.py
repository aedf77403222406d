"""Holds what a trace says against what tshark sees, message by message.

Theirs come in order of frames and are let go at once. Of ours all are there, by connection and frame of the last byte.
A message of theirs takes ours with the same content in that frame; else one in that frame with another content (a
difference in what it says); else one of the same content that was under way in that frame (a difference of frames).
What is left over on either side in the end is paired where connection and content are the same; the rest is missing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from glancetrace.verify.known import Context, name_own, name_theirs, note_request
from glancetrace.verify.messages import COMMAND, REQUEST, RESPONSE, Message

__all__ = ["KINDS", "Comparison", "Difference", "compare"]

_LOOKED_BACK = 16
"""Messages of a connection that may be under way at once: pipelined requests."""

KINDS = {
    "only-tshark": "tshark sees it, the result lacks it",
    "only-glancetrace": "the result has it, tshark does not see it",
    "method": "another method",
    "target": "another target",
    "status": "another status code",
    "command": "another command",
    "text": "another text",
    "frame": "another frame",
}
"""Kind of a difference -> what it means."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the two differ: `ours` or `theirs` is None where one side lacks it; `reason` names a known difference."""

    kind: str
    ours: Message | None
    theirs: Message | None
    reason: str | None = None

    @property
    def frame(self) -> int:
        """Where to look."""
        message = self.theirs or self.ours
        return message.frame if message is not None else 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was compared, and what differs, in order of frames; `ours`, `theirs`: messages of each side by kind.

    `with_bodies`: tshark put bodies together, so that frames of HTTP messages could be compared.
    """

    ours: dict[str, int]
    theirs: dict[str, int]
    with_bodies: bool
    differences: list[Difference]

    @property
    def contradictions(self) -> list[Difference]:
        """Differences that nothing explains."""
        return [difference for difference in self.differences if difference.reason is None]


class _Ours:
    """Messages of the result, of which those that tshark shows are taken away one by one."""

    def __init__(self, messages: Iterable[Message]) -> None:
        self.counts = dict.fromkeys((REQUEST, RESPONSE, COMMAND), 0)
        self._by_frame: dict[tuple[str, str, str, int], list[Message]] = defaultdict(list)
        self._in_order: dict[tuple[str, str, str], list[Message]] = defaultdict(list)
        self._taken: set[int] = set()
        for message in messages:
            self.counts[message.kind] += 1
            self._by_frame[message.kind, message.client, message.server, message.frame].append(message)
            self._in_order[message.kind, message.client, message.server].append(message)
        for row in self._in_order.values():
            row.sort(key=lambda message: message.first_frame)

    def take(self, theirs: Message, *, any_frame: bool) -> tuple[Message | None, str | None]:
        """The message that this one is, and in what they differ; `any_frame`: every frame of it is as good."""
        here = [m for m in self._by_frame.get((theirs.kind, theirs.client, theirs.server, theirs.frame), ())
                if id(m) not in self._taken]  # fmt: skip
        found = next((message for message in here if message.content == theirs.content), None)
        kind = None
        if found is None:
            found = self._under_way(theirs)
            kind = None if any_frame else "frame"
        if found is None and here:
            found = here[0]
            kind = _what_differs(found, theirs)
        if found is not None:
            self._taken.add(id(found))
        return found, kind if found is not None else None

    def _under_way(self, theirs: Message) -> Message | None:
        row = self._in_order.get((theirs.kind, theirs.client, theirs.server), [])
        behind = bisect_right(row, theirs.frame, key=lambda message: message.first_frame)
        for message in reversed(row[max(0, behind - _LOOKED_BACK) : behind]):
            under_way = id(message) not in self._taken and theirs.frame <= message.last_frame
            if under_way and message.content == theirs.content:
                return message
        return None

    def rest(self) -> Iterator[Message]:
        """What was never taken."""
        for row in self._in_order.values():
            yield from (message for message in row if id(message) not in self._taken)


def compare(ours: Iterable[Message], theirs: Iterable[Message], context: Context) -> Comparison:
    """Every difference between the messages of a result and those that tshark sees (in order of frames)."""
    own = _Ours(ours)
    counts = dict.fromkeys((REQUEST, RESPONSE, COMMAND), 0)
    differences: list[Difference] = []
    unknown: list[tuple[Message, str | None]] = []
    for message in theirs:
        counts[message.kind] += 1
        any_frame = not context.with_bodies and message.kind != COMMAND
        found, kind = own.take(message, any_frame=any_frame)
        if found is None:
            unknown.append((message, name_theirs(message, context)))
        elif kind is not None:
            differences.append(Difference(kind, found, message, _reason_of_both(found, context)))
        note_request(message, context)
    differences += _pair_rest(list(own.rest()), unknown, context)
    differences.sort(key=lambda one: (one.frame, one.kind))
    return Comparison(own.counts, counts, context.with_bodies, differences)


def _what_differs(ours: Message, theirs: Message) -> str:
    if ours.what != theirs.what:
        return {REQUEST: "method", RESPONSE: "status", COMMAND: "command"}[ours.kind]
    return "text" if ours.kind == COMMAND else "target"


def _reason_of_both(ours: Message, context: Context) -> str | None:
    """Why both may have a message and tell it differently: a loss alone is no reason, for both saw it."""
    reason = name_own(ours, context)
    return None if reason == "bytes-missing" else reason


def _pair_rest(ours: list[Message], theirs: list[tuple[Message, str | None]], context: Context) -> Iterator[Difference]:
    """What is left over: the same thing in another frame, or missing on one side."""
    left: dict[tuple[str, ...], list[Message]] = defaultdict(list)
    for message in ours:
        left[message.kind, message.client, message.server, *message.content].append(message)
    for message, reason in theirs:
        same = left.get((message.kind, message.client, message.server, *message.content)) if reason is None else None
        if same:
            yield Difference("frame", same.pop(0), message)
        else:
            yield Difference("only-tshark", None, message, reason)
    for messages in left.values():
        for message in messages:
            yield Difference("only-glancetrace", message, None, name_own(message, context))
