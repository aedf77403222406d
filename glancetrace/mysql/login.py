"""The connection phase as a state machine: greeting, response, authentication, until commands may come.

MySQL Server documentation, "Connection Phase" (page_protocol_connection_phase.html): the server greets, the client
answers (or asks for TLS first), packets of the authentication method go both ways, OK or ERR ends it. Only user, schema
and capabilities are kept.
"""

from __future__ import annotations

from enum import Enum, auto

from glancetrace.mysql.command import MysqlSession
from glancetrace.mysql.handshake import is_ssl_request, parse_greeting, parse_handshake_response, proxy_header_len
from glancetrace.mysql.packets import HEADER_LEN, Channel
from glancetrace.mysql.recognise import is_foreign_hello, is_greeting, is_refusal, is_tls_record
from glancetrace.mysql.session_state import parse_ok, tracked_schema

__all__ = ["ConnectionPhase", "LoginOutcome"]

_HELLO_LEN = 6


class LoginOutcome(Enum):
    """What reading came to."""

    MORE = auto()
    COMMANDS = auto()
    """Logged in."""
    JOINED = auto()
    """The session's start is not in the capture; the bytes are not consumed."""
    TLS = auto()
    """The client asked for TLS; what follows is not consumed."""
    ENCRYPTED = auto()
    """A session that began before the capture and speaks TLS."""
    REFUSED = auto()
    """The server sent ERR, or the other protocol of a MySQL server is spoken: nothing will come."""
    FOREIGN = auto()
    """This is not MySQL."""


class ConnectionPhase:
    """Reads the connection phase into `session`.

    Attributes:
        status_flags: of the OK packet that ended it, None before.
    """

    __slots__ = ("_answered", "_greeted", "_joined", "_server_capabilities", "_session", "status_flags")

    def __init__(self, session: MysqlSession, joined: bool) -> None:
        self.status_flags: int | None = None
        self._session = session
        self._joined = joined
        self._greeted = False
        self._answered = False
        self._server_capabilities: int | None = None

    def read_client(self, channel: Channel) -> LoginOutcome:
        """Consume the client's packets."""
        while channel.available:
            if not self._greeted:
                outcome = self._begin_with_client(channel)
                if outcome is not None:
                    return outcome
                continue
            payload = _pull_packet(channel)
            if payload is None:
                return LoginOutcome.MORE
            if self._answered:
                continue
            if is_ssl_request(payload):
                return LoginOutcome.TLS
            if not self._answer(payload):
                return LoginOutcome.JOINED if self._server_capabilities is not None else LoginOutcome.FOREIGN
        return LoginOutcome.MORE

    def read_server(self, channel: Channel) -> LoginOutcome:
        """Consume the server's packets."""
        while channel.available:
            if not self._greeted:
                held = channel.take()
                if len(held) < _HELLO_LEN:
                    channel.need = _HELLO_LEN
                    return LoginOutcome.MORE
                if not is_greeting(held):
                    return self._no_greeting(held)
            payload = _pull_packet(channel)
            if payload is None:
                return LoginOutcome.MORE
            if not self._greeted:
                if not self._greet(payload):
                    return LoginOutcome.FOREIGN
            elif payload[:1] == b"\xff":
                return LoginOutcome.REFUSED
            elif payload[:1] == b"\x00" and self._answered:
                self._end(payload)
                return LoginOutcome.COMMANDS
        return LoginOutcome.MORE

    def _begin_with_client(self, channel: Channel) -> LoginOutcome | None:
        """The client speaks first: a PROXY header, the answer to a lost greeting, a joined session, or no MySQL."""
        held = channel.take()
        header_len = proxy_header_len(held)
        if header_len is None or (not header_len and len(held) < _HELLO_LEN and not self._joined):
            channel.need = len(held) + 1
            return LoginOutcome.MORE
        if header_len:
            if len(held) < header_len:
                channel.need = header_len
                return LoginOutcome.MORE
            channel.consume(header_len)
            return None
        if self._joined:
            if len(held) < 3:
                channel.need = 3
                return LoginOutcome.MORE
            return LoginOutcome.ENCRYPTED if is_tls_record(held) else LoginOutcome.JOINED
        if held[3] == 1 and not held[2]:
            self._greeted = True
            return None
        return LoginOutcome.REFUSED if is_foreign_hello(held) else LoginOutcome.FOREIGN

    def _no_greeting(self, held: bytes) -> LoginOutcome:
        if is_refusal(held) or is_foreign_hello(held):
            return LoginOutcome.REFUSED
        if not self._joined:
            return LoginOutcome.FOREIGN
        return LoginOutcome.ENCRYPTED if is_tls_record(held) else LoginOutcome.JOINED

    def _greet(self, payload: bytes) -> bool:
        greeting = parse_greeting(payload)
        if greeting is None:
            return False
        self._greeted = True
        self._server_capabilities = greeting.capabilities
        session = self._session
        session.server_version = greeting.server_version
        session.thread_id = greeting.thread_id
        session.scramble = greeting.scramble
        return True

    def _answer(self, payload: bytes) -> bool:
        """The handshake response; without a greeting the client's own capabilities count as the server's."""
        offered = self._server_capabilities
        login = parse_handshake_response(payload, int.from_bytes(payload[:4], "little") if offered is None else offered)
        if login is None:
            return False
        self._answered = True
        session = self._session
        session.user, session.schema, session.capabilities = login.user, login.schema, login.capabilities
        return True

    def _end(self, payload: bytes) -> None:
        ok = parse_ok(payload, 0, len(payload))
        if ok is None:
            return
        self.status_flags = ok.status_flags
        schema = tracked_schema(payload, ok, len(payload))
        if schema is not None:
            self._session.schema = schema


def _pull_packet(channel: Channel) -> bytes | None:
    """Payload of the next packet, None when it is not there yet."""
    if channel.available < HEADER_LEN:
        channel.need = HEADER_LEN
        return None
    data, pos = channel.data, channel.pos
    length = int.from_bytes(data[pos : pos + 3], "little")
    if channel.available < HEADER_LEN + length:
        channel.need = HEADER_LEN + length
        return None
    channel.consume(HEADER_LEN + length)
    channel.need = HEADER_LEN
    return data[pos + HEADER_LEN : pos + HEADER_LEN + length]
