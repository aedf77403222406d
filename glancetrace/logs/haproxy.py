"""HAProxy's HTTP log (`option httplog`, configuration manual, section 8.2.3), with or without syslog's prefix.

    client:port [date.ms] frontend backend/server TR/Tw/Tc/Tr/Ta status bytes - - flags conns queues {..} "request"

The date is when the request's first byte came (%tr); Ta is the time to the last byte of the response, -1 where there
was none, `+` before it with `option logasap`. Bytes are those sent to the client, head included.
"""

from __future__ import annotations

import re
from functools import lru_cache

from glancetrace.logs.call import LoggedCall
from glancetrace.logs.times import MILLISECOND, parse_common

__all__ = ["looks_like_haproxy", "parse_haproxy"]

_LINE = re.compile(
    r"(?P<client>[0-9A-Fa-f.:]{2,64}):(?P<port>\d{1,5}) \[(?P<date>\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d\.\d{3})\] "
    r"(?P<frontend>\S+) (?P<backend>[^/\s]+)/(?P<server>\S+) "
    r"(?P<timers>(?:-?\d{1,12}/){4})(?P<total>[-+]?\d{1,12}) (?P<status>-?\d{1,3}) \+?(?P<bytes>\d{1,18}) "
    r"\S+ \S+ \S{2,4} [\d/+]+ [\d/]+ (?:\{.*\} )?\"(?P<request>[^\"]*)\""
)
_REQUEST = re.compile(r"([A-Z]{1,16}) (\S+)(?: HTTP/\d(?:\.\d)?)?$")


def looks_like_haproxy(line: str) -> bool:
    """A line of this format."""
    return _LINE.search(line) is not None


_NAMES = (("glance_registry", "registry"), ("glance", "glance"), ("keystone", "keystone"))


@lru_cache(maxsize=256)
def _service(*names: str) -> str | None:
    """The service that a frontend or backend is named for."""
    return next((service for word, service in _NAMES for name in names if word in name.lower()), None)


def parse_haproxy(number: int, line: str) -> LoggedCall | None:
    """The call of a line; None where there is none (a bad request, other lines of HAProxy)."""
    match = _LINE.search(line)
    request = _REQUEST.match(match["request"]) if match is not None else None
    if match is None or request is None:
        return None
    begin = parse_common(match["date"])
    total = int(match["total"])
    status = int(match["status"])
    return LoggedCall(
        method=request[1],
        target=request[2],
        line=number,
        status_code=status if status >= 100 else None,
        begin=begin,
        end=begin + total * MILLISECOND if begin is not None and total >= 0 else None,
        resolution=2 * MILLISECOND,
        client=(match["client"].removeprefix("::ffff:"), int(match["port"])),
        service=_service(match["frontend"], match["backend"]),
        response_message_bytes=int(match["bytes"]) if status >= 100 and match["total"][0] != "+" else None,
    )
