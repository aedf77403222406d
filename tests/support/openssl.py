"""TLS conversations made by OpenSSL itself, without sockets: both peers in this process, their bytes on memory BIOs.

The functions of libssl are called directly (ctypes), because Python's ssl module reaches neither all suites of TLS 1.3
nor key updates, renegotiation, padding and early data. https://docs.openssl.org/3.0/man3/ describes each of them.

Everything is written down as it passes: `flights` (direction and bytes of the wire), `said` (plaintext by direction)
and `keylog` (lines as SSLKEYLOGFILE has them).
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from glancetrace.net.run import FROM_CLIENT, FROM_SERVER

__all__ = ["Certificate", "Setup", "TlsTalk", "make_certificate"]

_P, _I, _L, _S, _Z = ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p, ctypes.c_size_t
_U64 = ctypes.c_uint64

_MIN_PROTO, _MAX_PROTO, _GROUPS, _HOST_NAME, _DH_AUTO = 123, 124, 92, 55, 118
_VERIFY_PEER = 1
_WANT_READ = 2
_EARLY_SUCCESS, _EARLY_FINISH = 1, 2
_MOST_ROUNDS = 10
NO_EXTENDED_MASTER_SECRET = 1 << 0
ALLOW_CLIENT_RENEGOTIATION = 1 << 8
NO_TICKET = 1 << 14
NO_ENCRYPT_THEN_MAC = 1 << 19
_KEYLOG_CALLBACK = ctypes.CFUNCTYPE(None, _P, _S)
_VERIFY_CALLBACK = ctypes.CFUNCTYPE(_I, _I, _P)
_ALPN_CALLBACK = ctypes.CFUNCTYPE(_I, _P, ctypes.POINTER(_P), ctypes.POINTER(ctypes.c_ubyte), _P, ctypes.c_uint, _P)

VERSIONS = {"TLS 1.0": 0x0301, "TLS 1.1": 0x0302, "TLS 1.2": 0x0303, "TLS 1.3": 0x0304}

_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "TLS_method": (_P, []),
    "SSL_CTX_new": (_P, [_P]),
    "SSL_CTX_ctrl": (_L, [_P, _I, _L, _P]),
    "SSL_CTX_set_options": (_U64, [_P, _U64]),
    "SSL_CTX_set_cipher_list": (_I, [_P, _S]),
    "SSL_CTX_set_ciphersuites": (_I, [_P, _S]),
    "SSL_CTX_use_certificate_file": (_I, [_P, _S, _I]),
    "SSL_CTX_use_PrivateKey_file": (_I, [_P, _S, _I]),
    "SSL_CTX_set_keylog_callback": (None, [_P, _KEYLOG_CALLBACK]),
    "SSL_CTX_set_verify": (None, [_P, _I, _VERIFY_CALLBACK]),
    "SSL_CTX_set_session_id_context": (_I, [_P, _S, ctypes.c_uint]),
    "SSL_CTX_set_alpn_protos": (_I, [_P, _S, ctypes.c_uint]),
    "SSL_CTX_set_alpn_select_cb": (None, [_P, _ALPN_CALLBACK, _P]),
    "SSL_CTX_set_block_padding": (_I, [_P, _Z]),
    "SSL_CTX_set_max_early_data": (_I, [_P, ctypes.c_uint32]),
    "SSL_new": (_P, [_P]),
    "SSL_set_bio": (None, [_P, _P, _P]),
    "SSL_set_connect_state": (None, [_P]),
    "SSL_set_accept_state": (None, [_P]),
    "SSL_ctrl": (_L, [_P, _I, _L, _P]),
    "SSL_do_handshake": (_I, [_P]),
    "SSL_read": (_I, [_P, _P, _I]),
    "SSL_write": (_I, [_P, _S, _I]),
    "SSL_get_error": (_I, [_P, _I]),
    "SSL_shutdown": (_I, [_P]),
    "SSL_key_update": (_I, [_P, _I]),
    "SSL_renegotiate": (_I, [_P]),
    "SSL_get1_session": (_P, [_P]),
    "SSL_set_session": (_I, [_P, _P]),
    "SSL_session_reused": (_I, [_P]),
    "SSL_write_early_data": (_I, [_P, _S, _Z, ctypes.POINTER(_Z)]),
    "SSL_read_early_data": (_I, [_P, _P, _Z, ctypes.POINTER(_Z)]),
    "SSL_get_early_data_status": (_I, [_P]),
}


@cache
def _libraries() -> tuple[ctypes.CDLL, ctypes.CDLL]:
    ssl, crypto = ctypes.CDLL("libssl.so.3"), ctypes.CDLL("libcrypto.so.3")
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(ssl, name)
        function.restype, function.argtypes = result, arguments
    for name, result, arguments in (
        ("BIO_s_mem", _P, []),
        ("BIO_new", _P, [_P]),
        ("BIO_read", _I, [_P, _P, _I]),
        ("BIO_write", _I, [_P, _S, _I]),
        ("BIO_ctrl_pending", _Z, [_P]),
        ("ERR_clear_error", None, []),
        ("ERR_get_error", ctypes.c_ulong, []),
        ("ERR_reason_error_string", _S, [ctypes.c_ulong]),
    ):
        function = getattr(crypto, name)
        function.restype, function.argtypes = result, arguments
    return ssl, crypto


@dataclass(frozen=True)
class Certificate:
    """A certificate and its private key, in one PEM file."""

    path: Path

    @property
    def name(self) -> bytes:
        """The path as libssl wants it."""
        return str(self.path).encode()


def make_certificate(folder: Path, kind: str) -> Certificate:
    """A self-signed certificate: `kind` is rsa or ecdsa."""
    key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "glance.example")])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=36500))
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{kind}.pem"
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(pem + certificate.public_bytes(Encoding.PEM))
    return Certificate(path)


@dataclass
class Setup:
    """How both peers are set up: OpenSSL's names. `groups`: of both; a HelloRetryRequest comes where they differ."""

    certificate: Certificate
    version: str = "TLS 1.3"
    suite: str = "TLS_AES_256_GCM_SHA384"
    options: int = 0
    groups: tuple[str, str] = ("", "")
    client_certificate: bool = False
    padding: int = 0
    early_data: int = 0
    alpn: bytes = b""


class _Peer:
    """One `SSL` with its BIOs."""

    def __init__(self, context: int, *, server: bool) -> None:
        self._ssl, self._crypto = _libraries()
        self.handle = self._ssl.SSL_new(context)
        memory = self._crypto.BIO_s_mem()
        self._incoming, self._outgoing = self._crypto.BIO_new(memory), self._crypto.BIO_new(memory)
        self.early: bytes | None = None
        self._early_over = False
        self._ssl.SSL_set_bio(self.handle, self._incoming, self._outgoing)
        (self._ssl.SSL_set_accept_state if server else self._ssl.SSL_set_connect_state)(self.handle)

    def take(self) -> bytes:
        """What it wants to send."""
        size = self._crypto.BIO_ctrl_pending(self._outgoing)
        if not size:
            return b""
        buffer = ctypes.create_string_buffer(size)
        assert self._crypto.BIO_read(self._outgoing, buffer, size) == size
        return buffer.raw

    def give(self, data: bytes) -> None:
        """What it receives."""
        self._crypto.BIO_write(self._incoming, data, len(data))

    def _hear_early(self) -> bool:
        """Read 0-RTT data; true when there will be no more of them."""
        buffer = ctypes.create_string_buffer(1 << 15)
        result = _EARLY_SUCCESS
        while result == _EARLY_SUCCESS:
            count = _Z(0)
            result = self._ssl.SSL_read_early_data(self.handle, buffer, len(buffer), ctypes.byref(count))
            self.early = (self.early or b"") + buffer.raw[: count.value if result == _EARLY_SUCCESS else 0]
        return bool(result == _EARLY_FINISH)

    def handshake(self) -> bool:
        """Go on shaking hands; true when that is done."""
        self._crypto.ERR_clear_error()
        if self.early is not None and not self._early_over:
            self._early_over = self._hear_early()
            if not self._early_over:
                return False
        result = self._ssl.SSL_do_handshake(self.handle)
        if result != 1 and self._ssl.SSL_get_error(self.handle, result) != _WANT_READ:
            reason = self._crypto.ERR_reason_error_string(self._crypto.ERR_get_error())
            raise ConnectionError(f"the handshake failed: {reason}")
        return bool(result == 1)

    def read(self) -> bytes:
        """All plaintext that is there."""
        told = b""
        buffer = ctypes.create_string_buffer(1 << 15)
        while True:
            self._crypto.ERR_clear_error()
            size = self._ssl.SSL_read(self.handle, buffer, len(buffer))
            if size <= 0:
                return told
            told += buffer.raw[:size]


class TlsTalk:
    """A conversation; `resume` is another one whose session the client offers.

    Attributes:
        flights: direction and bytes, as they went over the wire. said: what both sides said, in plaintext.
        keylog: lines. order: direction and plaintext of everything that was said, in order.
    """

    def __init__(self, setup: Setup, *, resume: TlsTalk | None = None) -> None:
        self._ssl, _ = _libraries()
        self._setup = setup
        self.flights: list[tuple[int, bytes]] = []
        self.said = [b"", b""]
        self.keylog: list[str] = []
        self._log = _KEYLOG_CALLBACK(lambda _, line: self.keylog.append(line.decode()))
        self._verify = _VERIFY_CALLBACK(lambda *_: 1)
        self._select = _ALPN_CALLBACK(self._choose_protocol)
        self._contexts = (
            resume._contexts
            if resume
            else (self._context(FROM_CLIENT, server=False), self._context(FROM_SERVER, server=True))
        )
        self._before = resume
        if resume is not None:
            self.keylog = resume.keylog
        self._peers = (_Peer(self._contexts[0], server=False), _Peer(self._contexts[1], server=True))
        client = self._peers[0].handle
        self._ssl.SSL_ctrl(client, _HOST_NAME, 0, ctypes.cast(ctypes.c_char_p(b"glance.example"), _P))
        if resume is not None:
            self._ssl.SSL_set_session(client, self._ssl.SSL_get1_session(resume._peers[0].handle))

    def _context(self, direction: int, *, server: bool) -> int:
        setup, ssl = self._setup, self._ssl
        context: int = ssl.SSL_CTX_new(ssl.TLS_method())
        for control in (_MIN_PROTO, _MAX_PROTO):
            ssl.SSL_CTX_ctrl(context, control, VERSIONS[setup.version], None)
        if setup.version == "TLS 1.3":
            assert ssl.SSL_CTX_set_ciphersuites(context, setup.suite.encode())
        else:
            assert ssl.SSL_CTX_set_cipher_list(context, f"{setup.suite}:@SECLEVEL=0".encode())
        ssl.SSL_CTX_set_options(context, setup.options)
        ssl.SSL_CTX_ctrl(context, _DH_AUTO, 1, None)
        if setup.groups[direction]:
            assert ssl.SSL_CTX_ctrl(context, _GROUPS, 0, ctypes.cast(_S(setup.groups[direction].encode()), _P))
        if server or setup.client_certificate:
            assert ssl.SSL_CTX_use_certificate_file(context, setup.certificate.name, 1)
            assert ssl.SSL_CTX_use_PrivateKey_file(context, setup.certificate.name, 1)
        if server:
            ssl.SSL_CTX_set_session_id_context(context, b"test", 4)
            ssl.SSL_CTX_set_max_early_data(context, setup.early_data)
            if setup.client_certificate:
                ssl.SSL_CTX_set_verify(context, _VERIFY_PEER, self._verify)
            if setup.alpn:
                ssl.SSL_CTX_set_alpn_select_cb(context, self._select, None)
        else:
            ssl.SSL_CTX_set_keylog_callback(context, self._log)
            if setup.alpn:
                protocols = bytes([len(setup.alpn)]) + setup.alpn
                ssl.SSL_CTX_set_alpn_protos(context, protocols, len(protocols))
        if setup.padding:
            ssl.SSL_CTX_set_block_padding(context, setup.padding)
        return context

    def _choose_protocol(self, _: Any, out: Any, out_len: Any, offered: Any, size: Any, __: Any) -> int:
        """The first protocol that the client offers."""
        out[0] = offered + 1
        out_len[0] = len(self._setup.alpn)
        return 0

    def _carry(self, direction: int) -> bool:
        """Bring what one side wants to send to the other."""
        data = self._peers[direction].take()
        if data:
            self.flights.append((direction, data))
            self._peers[1 - direction].give(data)
        return bool(data)

    def shake_hands(self) -> TlsTalk:
        """The handshake, and what the server sends right after it."""
        done = [False, False]
        for _ in range(_MOST_ROUNDS):
            for direction in (FROM_CLIENT, FROM_SERVER):
                done[direction] = self._peers[direction].handshake()
                self._carry(direction)
        assert all(done)
        self.said[FROM_CLIENT] += self._peers[FROM_SERVER].early or b""
        self._settle()
        return self

    def _settle(self) -> None:
        """Both sides read until nothing is under way."""
        moved = True
        while moved:
            moved = False
            for direction in (FROM_CLIENT, FROM_SERVER):
                moved = self._carry(direction) or moved
                self.said[direction] += self._peers[1 - direction].read()

    def say(self, direction: int, data: bytes) -> TlsTalk:
        """One side speaks, with one write."""
        assert self._ssl.SSL_write(self._peers[direction].handle, data, len(data)) == len(data)
        self._settle()
        return self

    def ask(self, data: bytes) -> TlsTalk:
        """The client speaks."""
        return self.say(FROM_CLIENT, data)

    def answer(self, data: bytes) -> TlsTalk:
        """The server speaks."""
        return self.say(FROM_SERVER, data)

    def seal(self, direction: int, data: bytes) -> bytes:
        """The records in which one side says something, without the other one listening."""
        assert self._ssl.SSL_write(self._peers[direction].handle, data, len(data)) == len(data)
        return self._peers[direction].take()

    def update_keys(self, direction: int, *, both: bool) -> TlsTalk:
        """KeyUpdate of TLS 1.3; `both`: the other side is asked to do the same. It is sent with what is said next."""
        assert self._ssl.SSL_key_update(self._peers[direction].handle, int(both))
        return self

    def renegotiate(self) -> TlsTalk:
        """A new handshake of TLS 1.2 inside the connection, asked for by the client."""
        assert self._ssl.SSL_renegotiate(self._peers[FROM_CLIENT].handle)
        for _ in range(4):
            for direction in (FROM_CLIENT, FROM_SERVER):
                self._peers[direction].handshake()
                self._carry(direction)
                self.said[direction] += self._peers[1 - direction].read()
        return self

    def ask_early(self, data: bytes, *, heard: bool = True) -> TlsTalk:
        """0-RTT data before the handshake; not `heard`: the server does not read them and so refuses them."""
        count = _Z(0)
        client, server = self._peers
        assert self._ssl.SSL_write_early_data(client.handle, data, len(data), ctypes.byref(count)) == 1
        server.early = b"" if heard else None
        self._carry(FROM_CLIENT)
        return self

    @property
    def resumed(self) -> bool:
        """The session of another connection goes on."""
        return bool(self._ssl.SSL_session_reused(self._peers[FROM_CLIENT].handle))

    def close(self) -> TlsTalk:
        """close_notify of both sides."""
        for direction in (FROM_CLIENT, FROM_SERVER):
            self._ssl.SSL_shutdown(self._peers[direction].handle)
            self._carry(direction)
        return self


def text_of(keylog: Sequence[str]) -> str:
    """The key log as a file has it."""
    return "".join(f"{line}\n" for line in keylog)
