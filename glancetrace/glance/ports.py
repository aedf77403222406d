"""Which service listens where, until the user says otherwise with `--port`.

13000, 13292, ... are the public ports of TripleO's HAProxy, the others the services' own defaults.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from glancetrace.errors import UsageError

__all__ = ["DEFAULT_PORTS", "FOREIGN_PORTS", "SERVICES", "parse_ports"]

SERVICES = ("glance", "http", "keystone", "mysql", "registry", "swift")
"""What may be spoken on a port."""

DEFAULT_PORTS: Mapping[int, str] = {
    13000: "keystone",
    5000: "keystone",
    35357: "keystone",
    13292: "glance",
    9292: "glance",
    9191: "registry",
    13808: "swift",
    8080: "swift",
    3306: "mysql",
}
"""Port -> service; all but mysql speak HTTP."""

FOREIGN_PORTS = frozenset(
    {
        8774, 13774, 8775, 8776, 13776, 9696, 13696, 8778, 13778, 6385, 13385, 5050, 13050, 8004, 13004, 8000, 13005,
        9876, 13876, 8786, 13786, 9311, 13311, 8041, 13041, 8042, 13042, 9001,
    }
)  # fmt: skip
"""Ports of other OpenStack services; some of their paths look like Glance's (Nova's /v2.1/images)."""


def parse_ports(entries: Iterable[str]) -> dict[int, str]:
    """Port -> service: the defaults, and what was asked for (`glance=9393`).

    Raises:
        UsageError: an entry is not `service=port`.
    """
    ports = dict(DEFAULT_PORTS)
    for entry in entries:
        service, _, number = entry.partition("=")
        if service not in SERVICES or not number.isascii() or not number.isdigit() or not 0 < int(number) < 65536:
            known = ", ".join(SERVICES)
            raise UsageError(f"--port {entry!r} is not SERVICE=PORT", action=f"as in glance=9292; services: {known}")
        ports[int(number)] = service
    return ports
