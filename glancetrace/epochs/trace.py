"""A result whose tables of statements, links and stories lie on disk: a `Trace` that reads what it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from glancetrace.correlate.link import Link
from glancetrace.epochs.run import Attributed
from glancetrace.redact import Redactor
from glancetrace.trace import CaptureSummary, Tables, Trace

__all__ = ["SpilledTrace"]


class SpilledTrace(Trace):
    """Everything that was found in a capture that has more statements than memory should hold.

    Its rows are the same as those of `Trace`, but each time they are asked for they are read anew. A DataFrame of all
    of them is made in memory. `explain` tells the evidence of a link, but not the weights of a joint solution.
    """

    def __init__(self, capture: CaptureSummary, tables: Tables, redactor: Redactor, attributed: Attributed) -> None:
        super().__init__(capture, tables, redactor)
        self._attributed = attributed

    @property
    def counted(self) -> Mapping[tuple[str, str], Sequence[int]]:
        """See `Trace`."""
        return self._attributed.counted

    @cached_property
    def link_of(self) -> Mapping[int, Link]:
        """See `Trace`."""
        return self._attributed.links.by_statement()

    @cached_property
    def _statements_by_call(self) -> Mapping[int, Sequence[int]]:
        return self._attributed.links.statements_by_call()
