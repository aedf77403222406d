"""Everything that can be wrong with a capture, in one registry.

A decoder that has to skip, guess or give up counts an issue of a named kind and goes on. Kinds are listed in `KINDS`,
each with what it means for the result and what the user can do about it; a kind that is not listed cannot be counted.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

__all__ = ["KINDS", "SEVERITIES", "Issue", "IssueKind", "IssueLog"]

SEVERITIES = ("info", "warning", "error")


@dataclass(frozen=True, slots=True)
class IssueKind:
    """One thing that can be wrong: `severity` is info, warning or error; `meaning` and `remedy` are for people."""

    kind: str
    severity: str
    meaning: str
    remedy: str


KINDS: dict[str, IssueKind] = {
    kind.kind: kind
    for kind in (
        IssueKind(
            "capture-cut-short",
            "warning",
            "the file ends in the middle of a packet; everything before it was read",
            "stop tcpdump with Ctrl-C (SIGINT) and use -U, or copy the file again",
        ),
        IssueKind(
            "capture-empty",
            "warning",
            "there is no packet in the capture",
            "look at tcpdump's filter and interface; a short recording without -U may be lost in its buffer",
        ),
        IssueKind(
            "capture-damaged",
            "error",
            "a packet header in the file makes no sense; reading went on at the next one that does, or stopped there",
            "copy the file again in binary mode, or record again",
        ),
        IssueKind(
            "capture-block-unknown",
            "info",
            "pcapng blocks of a type that is not known were skipped",
            "nothing: they carry no packets",
        ),
        IssueKind(
            "link-type-unsupported",
            "warning",
            "packets of a link type that is not decoded were ignored",
            "record on an Ethernet, loopback or 'any' interface",
        ),
        IssueKind(
            "packet-truncated",
            "warning",
            "packets are shorter in the capture than on the wire (snaplen); the rest of their bytes is missing",
            "record with tcpdump -s0",
        ),
        IssueKind(
            "packet-malformed",
            "warning",
            "packets whose headers contradict themselves were left out",
            "see the frame in Wireshark",
        ),
        IssueKind(
            "fragment-incomplete",
            "warning",
            "IP fragments whose datagram is not complete in the capture were left out",
            "record without a port filter, which hides all fragments but the first",
        ),
        IssueKind(
            "time-backwards",
            "info",
            "packets stand in the file before others that are older; streams were put in order by sequence number",
            "nothing: durations of a few microseconds may come out as zero",
        ),
        IssueKind(
            "time-missing",
            "warning",
            "packets have no time (Simple Packet Blocks) and were given that of the one before; durations mean nothing",
            "record with tcpdump, or with another tool that writes Enhanced Packet Blocks",
        ),
        IssueKind(
            "tcp-gap",
            "warning",
            "bytes of a TCP stream are not in the capture, though the receiver acknowledged them",
            "record with a larger buffer (tcpdump -B 65536) and look for 'dropped by kernel'",
        ),
        IssueKind(
            "tcp-overlap-differs",
            "warning",
            "the same bytes of a TCP stream were sent twice with different content; the first copy was used",
            "see the frame in Wireshark: a broken sender, or two connections mixed by a reused port",
        ),
        IssueKind(
            "tcp-buffer-exceeded",
            "warning",
            "too many bytes waited for a missing packet; the missing bytes were given up",
            "record with a larger buffer (tcpdump -B 65536)",
        ),
        IssueKind(
            "protocol-unknown",
            "info",
            "a connection on a port of interest speaks none of the protocols that are decoded",
            "name the port's protocol with --port, or leave the port out of the capture",
        ),
        IssueKind(
            "tls-not-decrypted",
            "warning",
            "a connection is encrypted and no secrets were given; what passes on it is not visible",
            "give a key log (--keylog, SSLKEYLOGFILE for the client) or a log of the calls (--api-log), or record "
            "the plain hop: ports 9292 and 5000",
        ),
        IssueKind(
            "tls-told-by-log",
            "info",
            "a connection is encrypted and no secrets were given; a log (--api-log) tells of the calls on it",
            "nothing, unless headers and bodies matter: they need a key log (--keylog, SSLKEYLOGFILE for the client)",
        ),
        IssueKind(
            "tls-secret-unknown",
            "warning",
            "a connection is encrypted, and no secret that was given is of its client random",
            "record the key log of this client, from before it connects; --rsa-key serves TLS 1.2 with RSA alone",
        ),
        IssueKind(
            "tls-handshake-missing",
            "warning",
            "an encrypted connection began before the capture: without its handshake no secret can be found for it",
            "start the capture first, then the client or the service",
        ),
        IssueKind(
            "tls-suite-unsupported",
            "warning",
            "a connection is encrypted with a suite that is not decrypted",
            "allow AES-GCM, AES-CCM, AES-CBC or ChaCha20-Poly1305 on one of the two sides",
        ),
        IssueKind(
            "tls-packet-lost",
            "warning",
            "too many bytes of an encrypted connection are missing to decrypt it, or the rest of it",
            "record with a larger buffer (tcpdump -B 65536) and look for 'dropped by kernel'",
        ),
        IssueKind(
            "tls-wrong-key",
            "warning",
            "a secret for the client random of a connection was given, or an RSA key, but it does not open its records",
            "give the key log or the private key that was in use while the capture was recorded",
        ),
        IssueKind(
            "http2-not-decoded",
            "warning",
            "an encrypted connection speaks HTTP/2, which is not decoded",
            "have the client or the proxy speak HTTP/1.1 (alpn http/1.1)",
        ),
        IssueKind(
            "keylog-line-unreadable",
            "warning",
            "a line of a key log cannot be read, or is one too many for its connection, and was left out",
            "look at that line; a secret may be cut short",
        ),
        IssueKind(
            "http-malformed",
            "warning",
            "bytes that are no HTTP message were skipped up to the next message",
            "see the frame in Wireshark",
        ),
        IssueKind(
            "http-head-too-large",
            "warning",
            "an HTTP head is longer than any server accepts; it was skipped",
            "see the frame in Wireshark",
        ),
        IssueKind(
            "http-body-incomplete",
            "warning",
            "an HTTP body ended before its announced length",
            "look at the end of the connection: an aborted transfer, or lost packets",
        ),
        IssueKind(
            "http-response-unmatched",
            "info",
            "a response whose request is not in the capture",
            "start the capture before the calls",
        ),
        IssueKind(
            "http-content-undecodable",
            "warning",
            "a compressed body could not be decompressed, or is larger than the bound",
            "see the frame in Wireshark",
        ),
        IssueKind(
            "mysql-malformed",
            "warning",
            "bytes that are no MySQL packet were skipped up to the next command",
            "see the frame in Wireshark",
        ),
        IssueKind(
            "mysql-resynchronised",
            "info",
            "a MySQL session was joined in the middle, or after missing bytes; commands before that are not known",
            "start the capture before the service, or ignore: new commands decode fully",
        ),
        IssueKind(
            "mysql-response-missing",
            "warning",
            "a MySQL command whose response is not in the capture: its outcome is not known",
            "record with a larger buffer (tcpdump -B 65536)",
        ),
        IssueKind(
            "mysql-statement-unknown",
            "warning",
            "a prepared statement was executed whose text is not in the capture",
            "start the capture before the service",
        ),
        IssueKind(
            "mysql-compression-undecodable",
            "warning",
            "a compressed MySQL packet could not be decompressed",
            "see the frame in Wireshark",
        ),
        IssueKind(
            "sql-unit-cut",
            "info",
            "a transaction was open for so long, in a capture larger than memory, that its end was not waited for",
            "nothing, unless its statements change images; a shorter part of the capture tells what became of it",
        ),
        IssueKind(
            "sql-unparsed",
            "info",
            "a statement that the SQL parser does not understand; only its first word is known",
            "nothing, unless it changes images",
        ),
        IssueKind(
            "json-body-unparsed",
            "info",
            "a JSON body is cut short, too large or broken; what it says is not known",
            "nothing, unless the call is in question",
        ),
        IssueKind(
            "log-line-unread",
            "info",
            "lines of an API log that make no sense were left out",
            "nothing, if they are no calls; the place is that of the first",
        ),
        IssueKind(
            "log-call-repeated",
            "info",
            "calls stand twice in one API log; each was taken once",
            "nothing: the same lines were joined twice into the file; the place is that of the first",
        ),
        IssueKind(
            "log-cut-short",
            "warning",
            "a compressed API log ends in the middle; what stands before it was read",
            "copy the file again",
        ),
        IssueKind(
            "log-without-calls",
            "warning",
            "an API log shows no call: services log requests only by eventlet.wsgi, or in their web server's log",
            "give the access log of the service, HAProxy's HTTP log, or the client's --debug output",
        ),
        IssueKind(
            "log-clock-unknown",
            "warning",
            "nothing in the capture tells for sure how far the clock of an API log is off: its calls were left out, or "
            "(if no call of their services was captured) placed as if it were right, and UTC",
            "give a log of the time of the capture, or capture the API ports too",
        ),
    )
}


@dataclass(slots=True)
class Issue:
    """A kind counted at one place: per connection, or for the whole capture where `connection_id` is None.

    `where`: the first place in another file than the capture, as in "keys.txt, line 3".
    """

    kind: str
    count: int
    first_frame: int | None
    connection_id: int | None
    where: str | None = None


class IssueLog:
    """Counts issues per kind and connection and remembers the first frame of each."""

    __slots__ = ("_issues",)

    def __init__(self) -> None:
        self._issues: dict[tuple[str, int | None], Issue] = {}

    def count(
        self,
        kind: str,
        *,
        frame: int | None = None,
        connection_id: int | None = None,
        times: int = 1,
        where: str | None = None,
    ) -> None:
        """Add `times` to the issue `kind`; an unknown kind is a programming error (KeyError)."""
        key = (KINDS[kind].kind, connection_id)
        issue = self._issues.get(key)
        if issue is None:
            self._issues[key] = Issue(kind, times, frame, connection_id, where)
            return
        issue.count += times
        if frame is not None and (issue.first_frame is None or frame < issue.first_frame):
            issue.first_frame = frame

    def settle(self, kind: str, as_kind: str, connections: Collection[int]) -> None:
        """What was counted as one kind on these connections turned out to be another."""
        for connection_id in connections:
            issue = self._issues.pop((kind, connection_id), None)
            if issue is not None:
                issue.kind = KINDS[as_kind].kind
                self._issues[issue.kind, connection_id] = issue

    def rows(self) -> list[Issue]:
        """All issues, by severity (errors first), then kind, connection."""
        order = {severity: rank for rank, severity in enumerate(reversed(SEVERITIES))}
        return sorted(
            self._issues.values(), key=lambda i: (order[KINDS[i.kind].severity], i.kind, i.connection_id or 0)
        )
