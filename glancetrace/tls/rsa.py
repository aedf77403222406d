"""Private RSA keys of servers: they open the premaster secret of TLS 1.2 with RSA key exchange (RFC 5246, 7.4.7.1).

A wrong key gives random bytes rather than an error, so that a server tells an attacker nothing (RFC 5246, 7.4.7.1):
what is opened must begin with the version that the client offered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from glancetrace.errors import InputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

__all__ = ["RsaKeys", "read_rsa_key"]

_PREMASTER_LEN = 48
_ACTION = "give the server's private key as PEM"

Passphrase = Callable[[str], str | None]
"""Asked with the name of a file whose key is encrypted."""


class RsaKeys:
    """Keys of the servers in a capture."""

    def __init__(self, keys: Iterable[RSAPrivateKey]) -> None:
        self._keys = list(keys)

    def __repr__(self) -> str:
        return f"<{len(self._keys)} RSA keys>"

    def decrypt_premaster(self, encrypted: bytes, version: int) -> bytes | None:
        """The premaster secret; None when it was not encrypted for any of the keys."""
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

        for key in self._keys:
            if key.key_size != 8 * len(encrypted):
                continue
            try:
                opened = key.decrypt(encrypted, PKCS1v15())
            except ValueError:
                continue
            if len(opened) == _PREMASTER_LEN and opened[:2] == version.to_bytes(2, "big"):
                return opened
        return None


def read_rsa_key(path: str, passphrase: Passphrase | None = None) -> RSAPrivateKey:
    """The key in a PEM file (PKCS #1 or PKCS #8).

    Raises:
        InputError: the file cannot be read, holds no RSA key, or the passphrase does not fit.
    """
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        with open(path, "rb") as file:
            pem = file.read(1 << 20)
    except OSError as error:
        what = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise InputError(what, where=path, action=_ACTION) from None
    secret: str | None = None
    if b"ENCRYPTED" in pem:
        secret = passphrase(path) if passphrase is not None else None
        if not secret:
            raise InputError("the key is encrypted", where=path, action="give its passphrase") from None
    try:
        key = load_pem_private_key(pem, secret.encode() if secret else None)
    except (ValueError, TypeError):
        what = "the passphrase does not open the key" if secret else "is no private key in PEM"
        raise InputError(what, where=path, action="try again" if secret else _ACTION) from None
    if not isinstance(key, RSAPrivateKey):
        raise InputError("is no RSA key", where=path, action="record a key log instead (SSLKEYLOGFILE)")
    return key
