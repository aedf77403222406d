"""Access logs: Common and Combined Log Format (Apache, nginx, gunicorn), and uWSGI's own request line.

    host ident user [day/Mon/year:hh:mm:ss zone] "request" status bytes "referer" "user agent"
    [pid: 1|app: 0|req: 1/1] host () {60 vars in 9 bytes} [ctime] GET / => generated 1 bytes in 4 msecs (HTTP/1.1 200)

Apache writes when a request came, gunicorn when it was answered, both in whole seconds: so the time is a moment of the
call, not an end of it. uWSGI writes when it came and how long it took; its time has no zone.
"""

from __future__ import annotations

import re

from glancetrace.logs.call import LoggedCall
from glancetrace.logs.times import MILLISECOND, SECOND, parse_common, parse_ctime

__all__ = ["looks_like_access", "looks_like_uwsgi", "parse_access", "parse_uwsgi"]

_ACCESS = re.compile(
    r"(?P<client>[0-9A-Fa-f.:]{2,64}|-) \S+ (?:\S+|\"[^\"]*\") "
    r"\[(?P<date>\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d(?:\.\d{1,9})? [+-]\d{4})\] "
    r"\"(?P<method>[A-Z]{1,16}) (?P<target>\S+)(?: HTTP/(?P<version>\d(?:\.\d)?))?\" (?P<status>\d{3}) "
    r"(?P<bytes>\d{1,18}|-)(?=\s|$)(?: \"[^\"]*\" \"(?P<agent>[^\"]*))?"
)
_UWSGI = re.compile(
    r"\[pid: \d+\|app: -?\w+\|req: [-\d/]+\] (?P<client>\S*) \([^)]*\) \{\d+ vars in \d+ bytes\} "
    r"\[(?P<date>[^\]]{24})\] (?P<method>[A-Z]{1,16}) (?P<target>\S+) => "
    r"generated (?P<bytes>\d{1,18}) bytes in (?P<dur>\d{1,12}) (?P<unit>[mu])\w*secs "
    r"\(HTTP/\d(?:\.\d)? (?P<status>\d{3})\)"
)
_UNITS = {"m": MILLISECOND, "u": 1000}


def looks_like_access(line: str) -> bool:
    """A line of Common or Combined Log Format."""
    return _ACCESS.search(line) is not None


def looks_like_uwsgi(line: str) -> bool:
    """uWSGI's request line."""
    return _UWSGI.search(line) is not None


def parse_access(number: int, line: str) -> LoggedCall | None:
    """The call of a line; None where there is none."""
    match = _ACCESS.search(line)
    if match is None:
        return None
    ts = parse_common(match["date"])
    return LoggedCall(
        method=match["method"],
        target=match["target"],
        line=number,
        status_code=int(match["status"]),
        begin=ts,
        end=ts,
        resolution=SECOND,
        within=True,
        client=None if match["client"] == "-" else (match["client"].removeprefix("::ffff:"), 0),
        response_bytes=0 if match["bytes"] == "-" else int(match["bytes"]),
        head_counted=True,
        probe=match["version"] == "1.0" and match["agent"] == "-",
    )


def parse_uwsgi(number: int, line: str) -> LoggedCall | None:
    """The call of a line; None where there is none."""
    match = _UWSGI.search(line)
    if match is None:
        return None
    begin = parse_ctime(match["date"])
    return LoggedCall(
        method=match["method"],
        target=match["target"],
        line=number,
        status_code=int(match["status"]),
        begin=begin,
        end=None if begin is None else begin + int(match["dur"]) * _UNITS[match["unit"]],
        resolution=SECOND,
        client=(match["client"], 0) if match["client"] else None,
        response_bytes=int(match["bytes"]),
    )
