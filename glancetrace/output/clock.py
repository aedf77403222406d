"""Times for people: in a time zone, or relative to the start of the capture; and the way back, for filters."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

from glancetrace.duration import parse_duration
from glancetrace.errors import UsageError

__all__ = ["Clock", "parse_duration", "parse_zone"]

_SECOND = 1_000_000_000
_FRACTION = re.compile(r"(:\d\d)[.,](\d+)")


def parse_zone(name: str) -> tzinfo | None:
    """Time zone by its IANA name; "UTC"; "local" is the system's (None).

    Raises:
        UsageError: there is no such zone.
    """
    if name.upper() == "UTC":
        return UTC
    if name.lower() == "local":
        return None
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # no such name, a name that is a folder, a name that is a path
        raise UsageError(f"no time zone {name!r}", action="use a name such as Europe/Berlin, UTC or local") from None


class Clock:
    """Formats times of one capture, and parses times that a user gives for it.

    Args:
        first_ts, last_ts: of the capture, ns; None without packets.
        zone: None is the system's.
        relative: show seconds since `first_ts`.
    """

    def __init__(
        self, first_ts: int | None, last_ts: int | None, *, zone: tzinfo | None = UTC, relative: bool = False
    ) -> None:
        self.first_ts = first_ts or 0
        self.zone = zone
        self.relative = relative
        self._unit = 1 if self.first_ts % 1000 or (last_ts or 0) % 1000 else 1000
        self._digits = 9 if self._unit == 1 else 6
        self._seconds: dict[int, str] = {}
        last = self.first_ts if last_ts is None else last_ts
        self._dated = self._local(self.first_ts).date() != self._local(last).date()

    def _local(self, ts: int) -> datetime:
        return datetime.fromtimestamp(ts // _SECOND, UTC).astimezone(self.zone)

    def show(self, ts: int | None) -> str:
        """A time of day (with the date where the capture has several), or `+1.234567` when relative."""
        if ts is None:
            return "-"
        if self.relative:
            past = abs(ts - self.first_ts)
            sign = "-" if ts < self.first_ts else "+"
            return f"{sign}{past // _SECOND}.{past % _SECOND // self._unit:0{self._digits}d}"
        seconds, rest = divmod(ts, _SECOND)
        text = self._seconds.get(seconds)
        if text is None:
            layout = "%Y-%m-%d %H:%M:%S" if self._dated else "%H:%M:%S"
            text = self._seconds[seconds] = self._local(ts).strftime(layout)
        return f"{text}.{rest // self._unit:0{self._digits}d}"

    def date(self, ts: int) -> str:
        """Date, time and zone: `2020-02-18 04:49:55.993652 UTC`."""
        local = self._local(ts)
        fraction = f"{ts % _SECOND // self._unit:0{self._digits}d}"
        return f"{local:%Y-%m-%d %H:%M:%S}.{fraction} {local.tzname() or ''}".rstrip()

    def parse(self, text: str) -> int:
        """Time as a user gives it, ns: RFC 3339, a time of the capture's first day, or `+1.5s` after its start.

        Raises:
            UsageError: it is none of these.
        """
        text = text.strip()
        if text.startswith("+"):
            return self.first_ts + parse_duration(text[1:])
        fraction = _FRACTION.search(text)
        nanoseconds = int(fraction[2][:9].ljust(9, "0")) if fraction else 0
        plain = _FRACTION.sub(r"\1", text)
        try:
            if re.match(r"\d{1,2}:", plain):
                plain = f"{self._local(self.first_ts):%Y-%m-%d}T{plain}"
            moment = datetime.fromisoformat(plain)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=self.zone) if self.zone is not None else moment.astimezone()
            return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1) * _SECOND + nanoseconds
        except (ValueError, OverflowError):
            raise UsageError(
                f"{text!r} is no time", action="write it as 2020-02-18T04:49:55Z, 04:49:55.5 or +1.5s (after the start)"
            ) from None
