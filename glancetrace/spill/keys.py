"""Keys of encrypted Parquet files, for pyarrow: each file has a random one, which is wrapped with a key in memory."""

from __future__ import annotations

import base64

import pyarrow.parquet.encryption as pe
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap

__all__ = ["to_decrypt", "to_encrypt"]

_NAME = "memory"
"""What files call the key that is not in them."""
_BITS = 256


class _Keeper(pe.KmsClient):  # type: ignore[misc]  # pyarrow has no types
    """What Parquet calls a key management service: it wraps keys of files (RFC 3394)."""

    def __init__(self, key: bytes) -> None:
        super().__init__()
        self._key = key

    def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> bytes:
        """A file's key as it stands in the file."""
        return base64.b64encode(aes_key_wrap(self._key, key_bytes))

    def unwrap_key(self, wrapped_key: bytes, master_key_identifier: str) -> bytes:
        """The inverse of `wrap_key`."""
        return aes_key_unwrap(self._key, base64.b64decode(wrapped_key))


def to_encrypt(key: bytes) -> pe.FileEncryptionProperties:
    """How pyarrow writes a file whose key is wrapped with this one: all of it is encrypted and authenticated."""
    how = pe.EncryptionConfiguration(
        _NAME,
        uniform_encryption=True,
        encryption_algorithm="AES_GCM_V1",
        plaintext_footer=False,
        double_wrapping=False,
        data_key_length_bits=_BITS,
    )
    return _factory(key).file_encryption_properties(pe.KmsConnectionConfig(), how)


def to_decrypt(key: bytes) -> pe.FileDecryptionProperties:
    """How pyarrow reads it."""
    return _factory(key).file_decryption_properties(pe.KmsConnectionConfig(), pe.DecryptionConfiguration())


def _factory(key: bytes) -> pe.CryptoFactory:
    return pe.CryptoFactory(lambda _: _Keeper(key))
