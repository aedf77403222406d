"""The protection of one direction: opens its records, under the keys in use or those that may follow.

Nothing is kept of the order of keys but what authenticates: a record that does not open under the keys in use may be
the first under the next ones, and after missing bytes under a later sequence number. So ChangeCipherSpec, Finished and
KeyUpdate need not be seen. A record that opens under none is not told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from glancetrace.tls.constants import HEADER_LEN, LONGEST_RECORD
from glancetrace.tls.epochs import Epoch, following_epochs
from glancetrace.tls.handshake import Handshake
from glancetrace.tls.records import Record
from glancetrace.tls.secrets import SecretStore

if TYPE_CHECKING:
    from glancetrace.tls.ciphers import Opened

__all__ = ["Protection"]

_MOST_TRIALS = 1 << 18
"""Trials without success, at most."""
_LONGEST_SEARCH = 1 << 15
"""Sequence numbers that are tried under one key, at most."""


class Protection:
    """Keys and sequence numbers of one direction.

    Attributes:
        epoch: keys in use, None before there are any. seq: sequence number of the next record under them.
        moved: the record opened last was found by trial: it is not the one that was expected.
        lost_content: about so many bytes of application data were lost before it.
    """

    __slots__ = ("_direction", "_following", "_following_key", "_handshake", "_secrets", "_trials", "epoch",
                 "lost_content", "moved", "seq")  # fmt: skip

    def __init__(self, direction: int, handshake: Handshake, secrets: SecretStore) -> None:
        self._direction = direction
        self._handshake = handshake
        self._secrets = secrets
        self._following: list[Epoch] = []
        self._following_key: tuple[Epoch | None, int, int] = (None, -1, -1)
        self._trials = 0
        self.epoch: Epoch | None = None
        self.seq = 0
        self.moved = False
        self.lost_content = 0

    @property
    def exhausted(self) -> bool:
        """Enough was tried."""
        return self._trials >= _MOST_TRIALS

    @property
    def is_early(self) -> bool:
        """The keys in use are those of early data."""
        return self.epoch is not None and self.epoch.is_early

    def open(self, record: Record, lost: int) -> Opened | None:
        """Content of a record, before which `lost` bytes of the wire are missing since the last one."""
        epoch = self.epoch
        if epoch is not None:
            opened = epoch.cipher.open(self.seq, record.content_type, record.version, record.body)
            if opened is not None:
                self.seq += 1
                self._trials = 0
                self.moved = lost > 0
                self.lost_content = 0
                return opened
        fewest, most = self._lost_records(lost)
        if epoch is not None and lost:
            opened = self._try(epoch, record, range(self.seq + max(fewest, 1), self.seq + most + 1), lost)
            if opened is not None:
                return opened
        for following in self.following():
            opened = self._try(following, record, range(most + 1), lost)
            if opened is not None:
                return opened
        return None

    def knows_keys(self) -> bool:
        """Whether the keys of application data are known: a record that does not open is itself at fault."""
        epoch = self.epoch
        if self._handshake.is_tls13:
            return (epoch is not None and epoch.is_traffic) or any(e.is_traffic for e in self.following())
        return (epoch is not None and epoch.of == self._handshake.ordinal) or bool(self.following())

    def following(self) -> list[Epoch]:
        """Keys that may follow those in use; made once for what is known."""
        key = (self.epoch, self._handshake.ordinal, self._secrets.generation)
        if self._following_key != key:
            self._following = following_epochs(self._handshake, self._secrets, self._direction, self.epoch)
            self._following_key = (self.epoch, self._handshake.ordinal, self._secrets.generation)
        return self._following

    def _try(self, epoch: Epoch, record: Record, numbers: range, lost: int) -> Opened | None:
        """Open a record under one of these sequence numbers, and go on behind it."""
        for seq in numbers:
            if self.exhausted:
                return None
            self._trials += 1
            opened = epoch.cipher.open(seq, record.content_type, record.version, record.body)
            if opened is not None:
                self.lost_content = self._content_of(lost, epoch, seq)
                if epoch is not self.epoch and self._handshake.client is not None:
                    self._secrets.prefer(self._handshake.client.random, epoch.secret)
                self.epoch, self.seq = epoch, seq + 1
                self._trials = 0
                self.moved = True
                return opened
        return None

    def _lost_records(self, lost: int) -> tuple[int, int]:
        """How many records `lost` bytes can have been: the fewest, the most."""
        if not lost:
            return 0, 0
        suite = self._handshake.suite
        shortest = HEADER_LEN + (suite.expansion if suite is not None else 0)
        return lost // (HEADER_LEN + LONGEST_RECORD), min(lost // shortest, _LONGEST_SEARCH)

    def _content_of(self, lost: int, epoch: Epoch, seq: int) -> int:
        """How many bytes of application data `lost` bytes of the wire held; those of a handshake are none."""
        changed = epoch is not self.epoch
        records = seq if changed else seq - self.seq
        finished = changed and not self._handshake.is_tls13
        suite = self._handshake.suite
        if not lost or not epoch.is_traffic or records <= finished or suite is None:
            return 0
        return max(1, lost - records * (HEADER_LEN + suite.expansion))
