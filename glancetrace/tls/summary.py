"""What is known of a TLS connection whether or not it can be decrypted, and why it could not be."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

__all__ = ["Burst", "Reason", "TlsSummary"]


class Reason(Enum):
    """Why a connection, or the rest of it, is not decrypted: how it is told, and the issue that it is counted as."""

    NO_SECRETS = ("no secrets given", "tls-not-decrypted")
    NO_SECRET = ("no secret for this client random", "tls-secret-unknown")
    NO_HANDSHAKE = ("handshake not captured", "tls-handshake-missing")
    UNSUPPORTED = ("unsupported suite", "tls-suite-unsupported")
    PACKET_LOST = ("packet lost", "tls-packet-lost")
    WRONG_KEY = ("wrong key", "tls-wrong-key")

    def __init__(self, text: str, issue: str) -> None:
        self.text = text
        self.issue = issue

    @classmethod
    def of_text(cls, text: str) -> Reason:
        """The reason that is told so."""
        return next(reason for reason in cls if reason.text == text)


@dataclass(slots=True)
class Burst:
    """Application data that one side sent before the other spoke again.

    Attributes:
        direction: `FROM_CLIENT` or `FROM_SERVER`. bytes: of content, as far as the suite tells, else of records.
        first_ts, last_ts: ns, when the first and the last of its records were complete; first_frame, last_frame.
    """

    direction: int
    bytes: int
    first_ts: int
    last_ts: int
    first_frame: int
    last_frame: int


@dataclass(slots=True)
class TlsSummary:
    """One TLS connection.

    Attributes:
        version, suite: as negotiated, "TLS 1.3", IANA's name; None when the ServerHello was not seen.
        sni: host name that the client asked for. alpn: protocol that was agreed on, as far as it can be seen.
        decrypted: its content is (but for a reason) known. reason: why it is not, or not to the end; None else.
        application_bytes: by direction (client, server). Without keys, those of TLS 1.3 include the handshake's
            encrypted part, and padding counts.
        bursts: application data that was not decrypted, in order.
    """

    version: str | None = None
    suite: str | None = None
    sni: str | None = None
    alpn: str | None = None
    decrypted: bool = False
    reason: str | None = None
    application_bytes: list[int] = field(default_factory=lambda: [0, 0])
    bursts: list[Burst] = field(default_factory=list)

    def add_burst(self, direction: int, size: int, ts: int, frame: int) -> None:
        """Count a record that is not decrypted."""
        self.application_bytes[direction] += size
        last = self.bursts[-1] if self.bursts else None
        if last is not None and last.direction == direction:
            last.bytes += size
            last.last_ts, last.last_frame = ts, frame
        else:
            self.bursts.append(Burst(direction, size, ts, ts, frame, frame))

    def as_row(self) -> dict[str, object]:
        """As it stands in the result document."""
        return {
            "version": self.version,
            "suite": self.suite,
            "sni": self.sni,
            "alpn": self.alpn,
            "decrypted": self.decrypted,
            "reason": self.reason,
        }
