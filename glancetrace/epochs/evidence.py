"""What the rules look things up in, of a result whose tables lie on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from glancetrace.check.evidence import Evidence, Writer
from glancetrace.correlate.link import Link
from glancetrace.epochs.tables import SpooledLinks
from glancetrace.glance.statement import SqlStatement
from glancetrace.net.run import Connection
from glancetrace.timeline.image import ImageStory
from glancetrace.trace import CaptureSummary, Tables

__all__ = ["SpilledEvidence"]


class SpilledEvidence(Evidence):
    """Reads what is asked for.

    Args:
        tables, capture: see `Evidence`. links: the table of links. errors, vain_writes, loose_writes, writers: see
            `Evidence`. connections: those that ran statements of Glance. signs: image id -> end of the last statement
            that names it, ns.
    """

    def __init__(
        self,
        tables: Tables,
        capture: CaptureSummary,
        links: SpooledLinks,
        errors: Sequence[SqlStatement],
        vain_writes: Sequence[SqlStatement],
        loose_writes: Sequence[SqlStatement],
        writers: Counter[Writer],
        connections: Iterable[Connection],
        signs: Mapping[str, int],
    ) -> None:
        super().__init__(tables, capture)
        self._links = links
        self._errors = errors
        self._vain_writes = vain_writes
        self._loose_writes = loose_writes
        self._writers = writers
        self._glance_connections = connections
        self._signs = signs

    @cached_property
    def images(self) -> Mapping[str, ImageStory]:
        """See `Evidence`."""
        return _ByKey({image.id: place for place, image in enumerate(self.tables.images)}, self.tables.images)

    @cached_property
    def errors(self) -> Sequence[SqlStatement]:
        """See `Evidence`."""
        return self._errors

    @cached_property
    def vain_writes(self) -> Sequence[SqlStatement]:
        """See `Evidence`."""
        return self._vain_writes

    @cached_property
    def loose_writes(self) -> Sequence[SqlStatement]:
        """See `Evidence`."""
        return self._loose_writes

    @cached_property
    def writers(self) -> Counter[Writer]:
        """See `Evidence`."""
        return self._writers

    @cached_property
    def link_of(self) -> Mapping[int, Link]:
        """See `Evidence`."""
        return self._links.by_statement()

    @cached_property
    def ran_by(self) -> Mapping[int, list[SqlStatement]]:
        """See `Evidence`."""
        return _RanBy(self._links.statements_by_call(in_request=True), self.tables.statements)

    @cached_property
    def glance_connections(self) -> Iterable[Connection]:
        """See `Evidence`."""
        return self._glance_connections

    def last_sign(self, image_id: str) -> int:
        """See `Evidence`."""
        return self._signs.get(image_id, 0)


class _ByKey(Mapping[str, ImageStory]):
    def __init__(self, places: Mapping[str, int], rows: Sequence[ImageStory]) -> None:
        self._places = places
        self._rows = rows

    def __getitem__(self, key: str) -> ImageStory:
        return self._rows[self._places[key]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class _RanBy(Mapping[int, list[SqlStatement]]):
    def __init__(self, places: Mapping[int, Sequence[int]], rows: Sequence[SqlStatement]) -> None:
        self._places = places
        self._rows = rows

    def __getitem__(self, call_id: int) -> list[SqlStatement]:
        return [self._rows[place] for place in self._places[call_id]]

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
