"""The second reading beside the last one: other processes look for the secrets and tell what they find, block by block.

The one that writes stays behind them: a block is written when the next one was swept, since a secret may go on in that.
What is found even later, because packets came late or were lost, may stand in what is written already; then all of it
is written again, with everything that was found.
"""

from __future__ import annotations

import pickle

from glancetrace.edit.sanitize.learning import Learned, Source, send_findings
from glancetrace.edit.sanitize.sweep import Finding
from glancetrace.forking import Child, fork

__all__ = ["Sweep", "start_sweep"]

_AHEAD = 2
"""A block may be written when so many are swept, itself counted."""


class Sweep:
    """A sweep that another process does, or that was done here.

    Attributes:
        late: something was found in what was written already.
    """

    def __init__(self, source: Source, learned: Learned) -> None:
        self._source = source
        self._learned = learned
        self._blocks = 0
        self.late = False

    def lead(self, block: int) -> None:
        """Wait until a block may be written; they are numbered from 0."""
        while self._learned.child is not None and self._blocks < block + _AHEAD:
            self._receive(self._learned.child)

    def finish(self) -> None:
        """Wait for the end."""
        while self._learned.child is not None:
            self._receive(self._learned.child)

    def _receive(self, child: Child) -> None:
        data = child.receive()
        if not data:
            child.close()
            self._learned.child = None
            if data is None:  # it was ended from outside: what it has told is true, the rest is looked for here
                self.alone(self._source.silent())
            return
        self._take(pickle.loads(data))
        self._blocks += 1

    def _take(self, findings: list[Finding]) -> None:
        assert self._learned.sweeper is not None
        for finding in findings:
            stream = self._learned.sweeper.take(finding)
            self.late |= finding.begin < stream.written

    def alone(self, source: Source) -> None:
        """Sweep here."""
        for findings in self._learned.sweep(source):
            self._take(findings)


def start_sweep(source: Source, learned: Learned) -> Sweep:
    """Have a sweep done beside what follows, where that is wanted and possible, or do it now."""
    sweep = Sweep(source, learned)
    if learned.child is None and source.beside:
        silent = source.silent()
        try:
            learned.child = fork(lambda channel: send_findings(channel, learned.sweep(silent)))
        except OSError:  # no process to be had
            source = silent
    if learned.child is None:
        sweep.alone(source)
    return sweep
