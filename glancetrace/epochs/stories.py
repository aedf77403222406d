"""Stories of images from statements that do not fit into memory: evidence goes to disk, and is told part by part.

An image belongs to one part, by a hash of its id. Every unit of work that says something about an image goes, as a
whole, to the parts of all such images; at the end the evidence of one part at a time is collected as it would be from
the whole capture, and its images are told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from zlib import crc32

from glancetrace.correlate.link import Link
from glancetrace.correlate.units import UnitOfWork
from glancetrace.epochs.story_table import STORIES
from glancetrace.epochs.tables import SpooledLinks, StatementRows
from glancetrace.glance.call import ApiCall
from glancetrace.glance.statement import SqlStatement
from glancetrace.join.unseen import add_uploads
from glancetrace.net.run import Connection
from glancetrace.spill.merging import merge_blocks
from glancetrace.spill.parts import SpooledParts
from glancetrace.spill.rows import Groups, SpooledRows
from glancetrace.timeline.events import Lookups, NamedEvent, lookups_of_calls, lookups_of_statements
from glancetrace.timeline.evidence import EvidenceCollector
from glancetrace.timeline.image import ImageStory
from glancetrace.timeline.story import in_order, sort_events, tell_story
from glancetrace.trace import Unseen

__all__ = ["StoryTeller"]

PARTS = 32
_Said = tuple[SqlStatement, int]
"""A statement that says something about an image, and the first moment of its unit of work, ns."""

_STORY_ROWS = 128


class StoryTeller:
    """Collects what is said about images, and tells their stories.

    Args:
        calls: all calls, with ids. rows: how statements are rows.
    """

    def __init__(self, calls: Sequence[ApiCall], rows: StatementRows) -> None:
        self._calls = calls
        self._parts: SpooledParts[_Said] = SpooledParts(rows.said, PARTS)
        self._image_of_call = {call.id: call.image_id for call in calls if call.image_id}
        self._image_of_task: dict[str | None, str] = {}
        self._lookups: list[NamedEvent] = []

    def add(self, units: Iterable[UnitOfWork], link_of: Mapping[int, Link]) -> None:
        """Units of all services, with the links of their statements; only statements of Glance say anything."""
        own = {unit.statements[0].unit_id: [s for s in unit.statements if s.service == "glance"] for unit in units}
        statements = [statement for rows in own.values() for statement in rows]
        statements.sort(key=lambda statement: statement.id)
        collector = EvidenceCollector(self._image_of_call, self._image_of_task)
        collector.add_statements(statements, link_of)
        parts_of: dict[int | None, set[int]] = {}
        for image_id, evidence in collector.by_image.items():
            part = _part(image_id)
            said = [write.statement for write in evidence.writes] + [read.statement for read in evidence.reads]
            for statement in said:
                parts_of.setdefault(statement.unit_id, set()).add(part)
        said_in: dict[int, list[_Said]] = {}
        for unit_id, parts in parts_of.items():
            for part in sorted(parts):
                said_in.setdefault(part, []).extend(_telling(own[unit_id]))
        self._parts.extend(said_in)
        self._lookups += lookups_of_statements(statements, link_of)

    def tell(
        self, links: SpooledLinks, connections: Iterable[Connection], unseen: Sequence[Unseen]
    ) -> SpooledRows[ImageStory]:
        """The stories, in the order in which images appear.

        Args:
            links: all links. connections: those that ran statements of Glance. unseen: see `find_unseen`.
        """
        lossy = any(any(connection.bytes_missing) for connection in connections)
        lookups = Lookups()
        told = Groups(STORIES)
        blocks: list[tuple[Any, partial[list[ImageStory]]]] = []
        for own in self._tell_parts(links, lossy=lossy):
            own.sort(key=in_order)
            for start in range(0, len(own), _STORY_ROWS):
                some = own[start : start + _STORY_ROWS]
                blocks.append((in_order(some[0]), partial(told.read, told.append(some))))
            for story in own:
                lookups.add_image(story)
        lookups.add(lookups_of_calls(self._calls))
        lookups.add(sorted(self._lookups, key=lambda lookup: lookup[1].statement_id or 0))
        stories = SpooledRows(STORIES, _STORY_ROWS)
        for some in merge_blocks(blocks, in_order):
            for story in some:
                story.events += lookups.of(story.id)
            sort_events(some)
            add_uploads(some, unseen)
            stories.extend(some)
        stories.flush()
        return stories

    def _tell_parts(self, links: SpooledLinks, *, lossy: bool) -> Iterator[list[ImageStory]]:
        told = EvidenceCollector(self._image_of_call, {})
        told.add_calls(self._calls)
        of_calls: list[list[str]] = [[] for _ in range(PARTS)]
        for image_id in told.by_image:
            of_calls[_part(image_id)].append(image_id)
        callers = links.callers()
        for number in range(PARTS):
            said = sorted(self._parts.read(number), key=lambda row: row[0].id)
            collector = EvidenceCollector(self._image_of_call, {})
            for statement, since in said:
                collector.since[statement.unit_id] = since
            collector.add_statements((statement for statement, _ in said), callers)
            for image_id in of_calls[number]:
                evidence = collector.of(image_id)
                evidence.calls, evidence.views = told.by_image[image_id].calls, told.by_image[image_id].views
            yield [
                tell_story(evidence, lossy=lossy)
                for image_id, evidence in collector.by_image.items()
                if _part(image_id) == number and evidence.is_image
            ]


def _telling(unit: list[SqlStatement]) -> list[_Said]:
    """Statements of a unit that evidence is made of: those that write or return rows."""
    since = unit[0].command.ts
    return [(statement, since) for statement in unit if statement.changes or statement.command.rows]


def _part(image_id: str) -> int:
    return crc32(image_id.encode("utf-8", "replace")) % PARTS
