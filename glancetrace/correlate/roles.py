"""Who sees deleted images: administrators do, nobody else does.

What Glance reads of an image by its id has the condition `images.deleted = false` unless the context of the request may
see deleted images, and that is the context of an administrator (`_image_get` in `glance/db/sqlalchemy/api.py`,
`can_see_deleted` in `glance/context.py`). So of the reads of one token, or of all tokens with the same roles, all have
the condition or none has. Which, is learnt from the units that only one call can have run; measured on eight
recordings, 4,700 calls with 141 tokens, it was so without exception. Imports are left out, for their tasks act as
administrators at times.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from glancetrace.correlate.candidates import Candidates
from glancetrace.correlate.facts import CallFacts, UnitFacts
from glancetrace.glance.grammar import ANY
from glancetrace.sql.statement import Shape

__all__ = ["Roles", "learn_roles"]

_ENOUGH = 2
"""Reads that must say of a token what its caller sees."""
_ENOUGH_OF_ROLE = 5
"""Reads that must say so of all tokens with the same roles."""

_MOST = 50
"""Reads of a token that are looked at; more would not tell more."""

_Caller = str | tuple[str, ...]
"""A token, or the names of the roles that Keystone told of it."""


class Roles:
    """Whether callers see deleted images, as far as that is known."""

    def __init__(self, roles_of: Mapping[str, tuple[str, ...]]) -> None:
        self._roles_of = roles_of
        self._sees: dict[_Caller, bool] = {}
        self._shapes: dict[int, bool | None] = {}

    def learn(self, certain: Iterable[tuple[CallFacts, UnitFacts]]) -> None:
        """Only these calls can have run these units."""
        seen: dict[_Caller, Counter[bool]] = defaultdict(Counter)
        for call, unit in certain:
            token = call.call.token
            if not token or seen[token].total() >= _MOST or not _acts_for_caller(call):
                continue
            read = self._read(unit)
            if read is not None:
                seen[token][read] += 1
                roles = self._roles_of.get(token)
                if roles:
                    seen[roles][read] += 1
        for caller, reads in seen.items():
            enough = _ENOUGH if isinstance(caller, str) else _ENOUGH_OF_ROLE
            if len(reads) == 1 and reads.total() >= enough:
                (self._sees[caller],) = reads

    def part(self, candidates: Candidates) -> Candidates:
        """The candidates without calls whose callers see other images; all of them if that would leave none."""
        read = self._read(candidates.unit) if self._sees else None
        if read is None:
            return candidates
        left = [call for call in candidates.calls if self._of(call) in (None, read)]
        if not left or len(left) == len(candidates.calls):
            return candidates
        reason = "its caller does not see deleted images" if read else "its caller sees deleted images, too"
        against = [(call.call.id, reason) for call in candidates.calls if call not in left]
        return candidates.without(left, against)

    def _of(self, call: CallFacts) -> bool | None:
        """Whether a call sees deleted images; None if that is not known."""
        token = call.call.token
        if not token or not _acts_for_caller(call):
            return None
        sees = self._sees.get(token)
        return sees if sees is not None else self._sees.get(self._roles_of.get(token, ()))

    def _read(self, unit: UnitFacts) -> bool | None:
        """Whether a unit reads an image by its id even if that is deleted; None if it reads none, or both ways."""
        found: set[bool] = set()
        for statement in unit.unit.statements if unit.images else ():
            if statement.operation == "SELECT" and statement.parsed is not None:
                # Shapes live as long as their statements, so their identity is a key.
                shape = statement.parsed.shape
                if id(shape) not in self._shapes:
                    self._shapes[id(shape)] = _sees_deleted(shape)
                sees = self._shapes[id(shape)]
                if sees is not None:
                    found.add(sees)
        return found.pop() if len(found) == 1 else None


def learn_roles(roles_of: Mapping[str, tuple[str, ...]], certain: Iterable[tuple[CallFacts, UnitFacts]]) -> Roles:
    """What callers see.

    Args:
        roles_of: token -> names of its roles, from Keystone's answers.
        certain: calls with units that only they can have run.
    """
    roles = Roles(roles_of)
    roles.learn(certain)
    return roles


def _acts_for_caller(call: CallFacts) -> bool:
    """All that it reads it reads in the context of its caller."""
    return call.sql.scope != ANY and not call.sql.goes_on


def _sees_deleted(shape: Shape) -> bool | None:
    """What a SELECT tells: it reads an image by its id with its properties, whether deleted or not."""
    of_images = [p for p in shape.predicates if p.table == "images" and p.conjunct]
    if "image_properties" not in shape.tables or not any(p.column == "id" and p.operator == "=" for p in of_images):
        return None
    return not any(p.column == "deleted" for p in of_images)
