"""Says what passed and cannot be read: requests on encrypted connections that no log and no plain hop shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from glancetrace.check.evidence import Evidence, found
from glancetrace.check.wording import count_text
from glancetrace.trace import Finding

__all__ = ["find_unread"]


def find_unread(evidence: Evidence) -> Iterator[Finding]:
    """Unread encrypted requests, in one finding for all."""
    unseen = evidence.tables.unseen
    if not unseen:
        return
    ports = Counter((one.service, one.row.connection.server[1]) for one in unseen)
    where = " and ".join(f"{count} to {service} on port {port}" for (service, port), count in sorted(ports.items()))
    calls = evidence.tables.calls
    beside = f"beside {count_text(len(calls), 'call')} that can be read, " if calls else ""
    yield found(
        "api-encrypted",
        f"{count_text(len(unseen), 'request')} {'is' if len(unseen) == 1 else 'are'} encrypted: {where}; "
        f"{beside}only times and sizes are known, and what the database did",
        unseen[0].exchange.ts,
        frames=[one.exchange.first_frame for one in unseen],
    )
