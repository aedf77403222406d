"""Tells each image's story: status changes, the time in each status, and what else happened to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from glancetrace.correlate.link import Link
from glancetrace.glance.call import ApiCall
from glancetrace.glance.statement import SqlStatement
from glancetrace.timeline.chain import Chain, build_chain
from glancetrace.timeline.events import Lookups, call_events, lookups_of_calls, lookups_of_statements, write_events
from glancetrace.timeline.evidence import ImageEvidence, collect_evidence
from glancetrace.timeline.from_api import chain_from_api
from glancetrace.timeline.image import ImageStory, StatusInterval

__all__ = ["UPLOADS", "in_order", "sort_events", "tell_stories", "tell_story"]

UPLOADS = frozenset({"image-upload", "image-stage", "image-create"})
"""Operations that bring image data."""
_by_time = itemgetter(0, 1)
_FIELDS = ("name", "size", "checksum", "os_hash_algo", "os_hash_value", "owner")


def tell_stories(
    statements: Sequence[SqlStatement], calls: Sequence[ApiCall], link_of: Mapping[int, Link]
) -> list[ImageStory]:
    """Stories of all images, in the order in which they appear in the capture."""
    evidence_by_id = collect_evidence(statements, calls, link_of)
    lossy = any(any(connection.bytes_missing) for connection in {s.connection for s in statements})
    stories = [tell_story(evidence, lossy=lossy) for evidence in evidence_by_id.values() if evidence.is_image]
    lookups = Lookups()
    for story in stories:
        lookups.add_image(story)
    lookups.add(lookups_of_calls(calls))
    lookups.add(lookups_of_statements(statements, link_of))
    for story in stories:
        story.events += lookups.of(story.id)
    sort_events(stories)
    stories.sort(key=in_order)
    return stories


def in_order(story: ImageStory) -> tuple[int, int, str]:
    """Where a story stands among all: in the order in which images appear in the capture."""
    return story.first_ts, story.first_frame, story.id


def sort_events(stories: Iterable[ImageStory]) -> None:
    """Events in order of time."""
    for story in stories:
        story.events.sort(key=lambda event: (event.ts, event.statement_id or 0, event.call_id or 0))


def tell_story(evidence: ImageEvidence, *, lossy: bool) -> ImageStory:
    """The story of one image, but for lookups; `lossy`: statements may be missing in the capture."""
    chain = build_chain(evidence, lossy=lossy)
    if chain.status is None:
        chain = chain_from_api(evidence)
    transitions = chain.transitions
    story = ImageStory(
        id=evidence.id,
        status=chain.status,
        transitions=transitions,
        intervals=_intervals(chain),
        existed_before=not (transitions and transitions[0].from_status is None),
        first_status_certainty=chain.certainty or (transitions[0].certainty if transitions else None),
        call_ids=[call.id for call in evidence.calls],
    )
    # Each of them is in the order of the capture, but for writes that became true at their COMMIT.
    commands = [w.statement.command for w in evidence.writes] + [r.statement.command for r in evidence.reads[:1]]
    calls = evidence.calls[:1] + [v.call for v in evidence.views[:1]]
    seen = [(c.ts, c.first_frame) for c in commands] + [(c.ts, c.first_frame) for c in calls]
    story.first_ts, story.first_frame = min(seen)
    _fill_fields(story, evidence)
    _fill_wire(story, evidence.calls)
    story.events = write_events(evidence) + call_events(evidence.calls)
    return story


def _intervals(chain: Chain) -> list[StatusInterval]:
    """Time in each status; the last one is open."""
    starts = [] if chain.first_status is None else [(chain.first_status, chain.first_ts)]
    starts += [(t.to_status, t.ts) for t in chain.transitions]
    ends = [ts for _, ts in starts[1:]]
    intervals = [StatusInterval(status, ts, max(0, end - ts)) for (status, ts), end in zip(starts, ends, strict=False)]
    if starts:
        intervals.append(StatusInterval(*starts[-1], None))
    return intervals


def _fill_fields(story: ImageStory, evidence: ImageEvidence) -> None:
    """Last known values of the image's own fields; what was read or shown is as old as the reading's begin."""
    told: list[tuple[int, int, Mapping[str, Any]]] = [
        (w.ts, w.statement.id, w.change.values)
        for w in evidence.writes
        if w.change.table == "images" and w.statement.outcome == "committed" and w.statement.command.affected_rows != 0
    ]
    told += [(r.since, r.statement.id, r.values) for r in evidence.reads]
    told += [(v.since, 0, v.values) for v in evidence.views]
    told.sort(key=_by_time)
    for name in _FIELDS:
        # A value may become NULL again: a failed upload clears the size.
        value = next((values[name] for _ts, _order, values in reversed(told) if name in values), None)
        setattr(story, name, _fitting(name, value))
    if story.name is None:
        story.name = next((call.image_name for call in evidence.calls if call.image_name), None)


def _fitting(name: str, value: Any) -> str | int | None:
    """`value` if it has the type that Glance's own values have: what a capture holds may be anything."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    wanted = int if name == "size" else str
    return value if type(value) is wanted else None


def _holed(call: ApiCall) -> bool:
    """Bytes of the exchange that the hashes were made from are missing, perhaps some of the body."""
    exchange = call.exchange
    return exchange is not None and exchange.end == "gap" and exchange.request_body.hasher is call.upload_hasher


def _fill_wire(story: ImageStory, calls: list[ApiCall]) -> None:
    """Hashes of the data as it passed, of the upload that made the image active."""
    activations = [t.ts for t in story.transitions if t.to_status == "active"]
    uploads = [
        call
        for call in calls
        if call.operation in UPLOADS
        and call.upload_hasher is not None
        and not _holed(call)
        and (call.status_code is None or 200 <= call.status_code < 300)
        and any(ts >= call.ts for ts in activations)
    ]
    if uploads:
        upload = uploads[-1]
        story.wire_bytes = upload.request_body_bytes
        story.wire_complete = upload.upload_complete
        if upload.upload_hasher is not None:
            story.wire_checksum = upload.upload_hasher.hexdigests()
