"""Times as logs write them -> nanoseconds of the log's clock, read as UTC where the text has no zone.

Formats: oslo.log (`2026-11-20 19:28:43.723`), Apache's %t (`20/Nov/2026:19:28:43 +0000`), HAProxy's %tr
(`20/Nov/2026:19:28:43.268`), ctime (`Fri Nov 20 19:28:43 2026`, uWSGI), eventlet (`20/Nov/2026 19:28:43`) and HTTP's
Date (RFC 9110, section 5.6.7: `Fri, 20 Nov 2026 19:28:43 GMT`).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

__all__ = ["MILLISECOND", "SECOND", "parse_common", "parse_ctime", "parse_http_date", "parse_iso"]

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?")
_COMMON = re.compile(r"(\d\d)/(\w{3})/(\d{4})[: ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?: ([+-])(\d\d):?(\d\d))?")
_CTIME = re.compile(r"\w{3} (\w{3}) +(\d\d?) (\d\d):(\d\d):(\d\d) (\d{4})")
_HTTP_DATE = re.compile(r"\w{3}, (\d\d) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT")


def _nanoseconds(
    year: str, month: int, day: str, hour: str, minute: str, second: str, fraction: str | None
) -> int | None:
    try:
        # A leap second is the end of its minute.
        moment = datetime(int(year), month, int(day), int(hour), int(minute), min(int(second), 59), tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp()) * SECOND + int((fraction or "").ljust(9, "0") or 0)


def parse_iso(text: str) -> int | None:
    """`2026-11-20 19:28:43.723`, ns; None if it is none."""
    match = _ISO.match(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction = match.groups()
    return _nanoseconds(year, int(month), day, hour, minute, second, fraction)


def parse_common(text: str) -> int | None:
    """`20/Nov/2026:19:28:43.268`, also with a zone, which is taken off; ns; None if it is none."""
    match = _COMMON.match(text)
    if match is None or match[2] not in _MONTHS:
        return None
    ts = _nanoseconds(match[3], _MONTHS[match[2]], match[1], match[4], match[5], match[6], match[7])
    if ts is None or match[8] is None:
        return ts
    shift = (int(match[9]) * 3600 + int(match[10]) * 60) * SECOND
    return ts - shift if match[8] == "+" else ts + shift


def parse_ctime(text: str) -> int | None:
    """`Fri Nov 20 19:28:43 2026`, ns; None if it is none."""
    match = _CTIME.match(text)
    if match is None or match[1] not in _MONTHS:
        return None
    return _nanoseconds(match[6], _MONTHS[match[1]], match[2], match[3], match[4], match[5], None)


def parse_http_date(text: str) -> int | None:
    """`Fri, 20 Nov 2026 19:28:43 GMT`, ns; None if it is none."""
    match = _HTTP_DATE.search(text)
    if match is None or match[2] not in _MONTHS:
        return None
    return _nanoseconds(match[3], _MONTHS[match[2]], match[1], match[4], match[5], match[6], None)
