"""How a capture is to be read: what stage A and all that builds on it is told."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from glancetrace.capture.inputs import BLOCK_SIZE
from glancetrace.glance.ports import DEFAULT_PORTS

if TYPE_CHECKING:
    from glancetrace.tls.rsa import Passphrase

__all__ = ["Options", "Paths", "as_list"]

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@dataclass(frozen=True, slots=True)
class Options:
    """How to read a capture.

    Attributes:
        ports: server port -> service (keystone, glance, registry, swift, mysql, http).
        hashes: names of further hashes of image data, beside md5 and sha512.
        reveal: show secrets.
        progress: called with bytes read so far and bytes in all (None when not known).
        api_logs: logs that tell of API calls beside the capture: file names, globs.
        block_size: bytes of capture that are read at a time. jobs: processes that decode, where it is worth while
            and the input are files; the others are forked. The result does not depend on either.
        keylogs: key log files (SSLKEYLOGFILE) to decrypt TLS with. rsa_keys: PEM files of servers' private RSA keys,
            for TLS 1.2 with RSA key exchange. passphrase: asked for that of an encrypted one, by its file name.
    """

    ports: Mapping[int, str] = field(default_factory=lambda: dict(DEFAULT_PORTS))
    hashes: tuple[str, ...] = ()
    reveal: bool = False
    api_logs: tuple[str, ...] = ()
    progress: Callable[[int, int | None], None] | None = None
    block_size: int = BLOCK_SIZE
    jobs: int = 1
    keylogs: tuple[str | os.PathLike[str], ...] = ()
    rsa_keys: tuple[str | os.PathLike[str], ...] = ()
    passphrase: Passphrase | None = field(default=None, repr=False)


def as_list(paths: Paths) -> list[str]:
    """One path or several, as strings."""
    if isinstance(paths, str | os.PathLike):
        return [os.fspath(paths)]
    return [os.fspath(path) for path in paths]
