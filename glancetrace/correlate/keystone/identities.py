"""Whom a call to Keystone is about: ids of users, projects, roles and tokens that its SQL can name.

Keystone says in its answers what a token is (`token`: user, project, roles, audit ids), and reads just these rows for
it: an issued token's own, a validated token's and, before that, those of the token of who asks. So a statement that
names another user, project, role or token is of another call. Fernet tokens are in no table, but the check for
revocations names the audit id, which no two tokens share.

The token of who asks may be older than the capture (Glance's own is). What it is then shows in the checks for
revocations of tokens that nobody else can have sent: of the tokens that ask, one has calls open at each of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from glancetrace.correlate.facts import CallFacts
from glancetrace.correlate.keystone.steps import KeystoneUnit
from glancetrace.glance.call import ApiCall

__all__ = ["Identities", "learn_identities"]

_METHODS = frozenset({"password", "token"})
"""Ways of logging in that read nothing of anybody else."""

Names = frozenset[str]


@dataclass(slots=True)
class Identities:
    """What calls can name: `of_call`: call id -> ids, and whether these are all, without an entry where it may be any;
    `known`: ids of all; `common`: those of domains and roles, which many share."""

    of_call: dict[int, tuple[Names, bool]] = field(default_factory=dict)
    known: Names = frozenset()
    common: Names = frozenset()

    def unlike(self, call: CallFacts, unit: KeystoneUnit) -> bool:
        """The unit names somebody whom the call cannot name."""
        own = self.of_call.get(call.call.id)
        if own is None or unit.names <= own[0]:
            return False
        names, whole = own
        return any(name in self.known or (whole and name not in unit.roles) for name in unit.names - names)


def learn_identities(calls: Sequence[CallFacts], units: Sequence[KeystoneUnit]) -> Identities:
    """Whom each call is about, from bodies; units tell who asks where that is not known."""
    of_token: dict[str, set[str]] = defaultdict(set)
    common: set[str] = set()
    for facts in calls:
        if facts.call.subject_token:
            of_token[facts.call.subject_token] |= _of_body(facts.call.response_json)
            common |= _common(facts.call.response_json)
    answered = {token: (frozenset(names), True) for token, names in of_token.items() if names}
    known = frozenset[str]().union(*(names for names, _ in answered.values()))
    unseen: dict[str, list[CallFacts]] = defaultdict(list)
    for facts in calls:
        token = facts.call.token
        if token and token not in answered:
            unseen[token].append(facts)
    learnt = _callers(unseen, units, known)
    known = known.union(*learnt.values())
    callers = answered | {token: (names | common, False) for token, names in learnt.items()}
    found = ((facts.call.id, _of_call(facts.call, callers)) for facts in calls)
    of_call = {call: names for call, names in found if names is not None}
    return Identities(of_call, known, frozenset(common))


def _of_call(call: ApiCall, of_token: Mapping[str, tuple[Names, bool]]) -> tuple[Names, bool] | None:
    """What a call can name, and whether that is all; None: anything."""
    own: set[str] = set()
    if call.operation == "token-issue":
        asked = _member(call.request_json, "auth")
        own = _of_body(call.response_json)
        methods = _member(asked, "identity", "methods")
        if not own or not isinstance(methods, list) or not _METHODS.issuperset(map(str, methods)):
            return None
        used = _member(asked, "identity", "token", "id")
        tokens = {call.token, used if isinstance(used, str) else None} - {None, ""}
        own.update(_asked(asked))
    elif call.operation == "token-validate":
        tokens = {call.token, call.subject_token}
    else:
        return None
    whole = True
    for token in tokens:
        names, all_of_it = of_token.get(str(token), (None, False))
        if names is None:
            return None
        own |= names
        whole = whole and all_of_it
    return frozenset(own), whole


def _callers(
    unseen: Mapping[str, Sequence[CallFacts]], units: Sequence[KeystoneUnit], known: Names
) -> dict[str, Names]:
    """Token -> what the checks for revocations say of it, for tokens of which no answer was seen."""
    checks: dict[str, list[KeystoneUnit]] = defaultdict(list)
    for unit in units if unseen else ():
        for audit_id in unit.audits - known:
            checks[audit_id].append(unit)
    possible: dict[str, list[tuple[bool, Names]]] = defaultdict(list)
    for found in checks.values():
        tokens = set(unseen)
        for unit in found:
            tokens = {token for token in tokens if any(_around(call, unit) for call in unseen[token])}
        names = frozenset().union(*(unit.names for unit in found))
        for token in tokens:
            possible[token].append((len(tokens) == 1, names))
    callers = {}
    for token, options in possible.items():
        sure = [names for alone, names in options if alone]
        callers[token] = frozenset().union(*(sure or [names for _, names in options]))
    return callers


def _around(call: CallFacts, unit: KeystoneUnit) -> bool:
    return call.earliest <= unit.start and unit.end <= call.latest


def _of_body(body: Any) -> set[str]:
    """Ids in what Keystone says of a token: version 3's `token`, version 2.0's `access`."""
    token, access = _member(body, "token"), _member(body, "access")
    found: list[Any] = []
    for who in ("user", "project"):
        found.append(_member(token, who, "id"))
    found += [_member(token, "domain", "id"), _member(access, "user", "id"), _member(access, "token", "tenant", "id")]
    for ids in (_member(token, "audit_ids"), _member(access, "token", "audit_ids")):
        found += ids if isinstance(ids, list) else []
    return {value for value in found if isinstance(value, str)} | _common(body)


def _common(body: Any) -> set[str]:
    """Ids that many tokens share: of domains and of roles."""
    token = _member(body, "token")
    found = [_member(token, who, "domain", "id") for who in ("user", "project")]
    roles = _member(token, "roles")
    found += [_member(role, "id") for role in roles] if isinstance(roles, list) else []
    return {value for value in found if isinstance(value, str)}


def _asked(asked: Any) -> Iterable[str]:
    """Ids and names of who logs in, and of what for; never the secret."""
    for place in (("identity", "password", "user"), ("scope", "project"), ("scope",)):
        for who in (_member(asked, *place), _member(asked, *place, "domain")):
            yield from (value for key in ("id", "name") if isinstance(value := _member(who, key), str))


def _member(body: Any, *path: str) -> Any:
    """Nested value of JSON objects, None where the way ends."""
    for name in path:
        body = body.get(name) if isinstance(body, dict) else None
    return body
