"""Which host a call was served on, and from which address that host talks to the database.

Several hosts run Glance beside one database, and a unit of work that came from one of them belongs to no call that
another one served. Whose address is whose is learnt from the units that only one call can have run, for hosts often
talk to their database over a network of its own; where both addresses are the same that speaks for itself. An endpoint
whose calls use the database from several addresses is a proxy before the hosts and tells nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from glancetrace.net.run import Endpoint

__all__ = ["Hosts", "learn_hosts"]

_ENOUGH = 5
"""Units that must say where a server's host has its database connections."""
_SHARE = 0.95
"""Share of a server's units that must agree."""
_SHARE_OF_OWN = 0.75
"""The same where they came from the server's own address."""


class Hosts:
    """Server of calls -> address from which its host talks to the database."""

    def __init__(self, home_of: dict[Endpoint, str]) -> None:
        self._home_of = home_of
        self._homes = frozenset(home_of.values())

    def __bool__(self) -> bool:
        """Hosts can be told apart."""
        return len(self._homes) > 1

    def apart(self, server: Endpoint, client: str) -> bool:
        """The host behind `server` is known, and another known host has the database connection from `client`."""
        home = self._home_of.get(server)
        return home is not None and home != client and client in self._homes


def learn_hosts(uses: Iterable[tuple[Endpoint, str]]) -> Hosts:
    """Hosts, from units of work whose call is known.

    Args:
        uses: for each unit the server of its call's innermost leg and the address of the client of its connection.
    """
    counts: dict[Endpoint, Counter[str]] = defaultdict(Counter)
    for server, client in uses:
        counts[server][client] += 1
    home_of: dict[Endpoint, str] = {}
    for server, clients in counts.items():
        own = server[0]
        if clients[own] >= _SHARE_OF_OWN * clients.total():
            home_of[server] = own
            continue
        ((client, count),) = clients.most_common(1)
        if count >= _ENOUGH and count >= _SHARE * clients.total():
            home_of[server] = client
    return Hosts(home_of)
