"""`python -m tests.bench.tls_upload BYTES KEYLOG [FILE]`: the upload of `tests.bench.upload`, over TLS.

Keystone's and Glance's connections are encrypted by OpenSSL itself; the database's stay as they are. The key log that
opens them is written as the connections are made, as a client does.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import BinaryIO

from glancetrace.net.run import FROM_CLIENT, FROM_SERVER
from tests.bench.packets import PacketWriter
from tests.bench.recorded import Endpoint, Message
from tests.bench.upload import Upload, write_upload
from tests.support.openssl import Setup, TlsTalk, make_certificate

__all__ = ["write_tls_upload"]

_API_PORTS = (13000, 13292)


class _TlsWriter(PacketWriter):
    """Encrypts what is said on API connections; the handshake comes before the first message of each."""

    def __init__(self, out: BinaryIO, keylog: Path, setup: Setup) -> None:
        super().__init__(out)
        self._keylog = keylog
        self._setup = setup
        self._talks: dict[tuple[Endpoint, Endpoint], TlsTalk] = {}
        self._sealed = b""

    def send(self, message: Message) -> None:
        if not message.data or not {message.source[1], message.destination[1]} & set(_API_PORTS):
            super().send(message)
            return
        sealed = self._seal(message.source, message.destination, message.data)
        super().send(replace(message, data=self._sealed + sealed))
        self._sealed = b""

    def send_bulk(self, source: Endpoint, destination: Endpoint, stream: bytes) -> int:
        sealed = self._sealed + self._seal(source, destination, stream)
        self._sealed = sealed[super().send_bulk(source, destination, sealed) :]
        return len(stream)

    def _seal(self, source: Endpoint, destination: Endpoint, data: bytes) -> bytes:
        direction = FROM_CLIENT if destination[1] in _API_PORTS else FROM_SERVER
        client, server = (source, destination) if direction == FROM_CLIENT else (destination, source)
        talk = self._talks.get((client, server))
        if talk is None:
            talk = self._talks[client, server] = TlsTalk(self._setup).shake_hands()
            with self._keylog.open("a") as file:
                file.writelines(f"{line}\n" for line in talk.keylog)
            for side, flight in talk.flights:
                ends = (client, server) if side == FROM_CLIENT else (server, client)
                super().send(Message(self.ts, *ends, flight))
        return talk.seal(direction, data)


def write_tls_upload(out: BinaryIO, keylog: Path, size: int, suite: str = "TLS_AES_256_GCM_SHA384") -> Upload:
    """Write a capture whose last upload has `size` bytes, over TLS 1.3, and its key log."""
    keylog.write_text("")
    with tempfile.TemporaryDirectory() as folder:
        setup = Setup(make_certificate(Path(folder), "rsa"), suite=suite)
        return write_upload(out, size, lambda out: _TlsWriter(out, keylog, setup))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.tls_upload", description=__doc__)
    parser.add_argument("size", type=int, help="bytes of the upload's body")
    parser.add_argument("keylog", type=Path)
    parser.add_argument("file", type=Path, nargs="?", help="default: standard output")
    options = parser.parse_args()
    if options.file:
        with options.file.open("wb") as out:
            upload = write_tls_upload(out, options.keylog, options.size)
    else:
        upload = write_tls_upload(sys.stdout.buffer, options.keylog, options.size)
    print(json.dumps(asdict(upload)), file=sys.stderr)


if __name__ == "__main__":
    main()
