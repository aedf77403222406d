"""Which keys follow which: the epochs of one direction of a connection.

TLS 1.2: plaintext until ChangeCipherSpec, then keys from the master secret. TLS 1.3 (RFC 8446, section 7.1): early
data (client only), handshake, application data, and a generation more with every KeyUpdate. Secrets that are not known
are left out, and where key logs disagree there is an epoch for each; what can be opened is opened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from glancetrace.net.run import FROM_CLIENT
from glancetrace.tls.handshake import Handshake
from glancetrace.tls.hello import ClientHello, ServerHello
from glancetrace.tls.schedule import make_master_secret, next_traffic_secret, split_key_block, traffic_keys
from glancetrace.tls.secrets import EARLY, HANDSHAKE, MASTER, TRAFFIC, SecretStore
from glancetrace.tls.suites import Suite

if TYPE_CHECKING:
    from glancetrace.tls.ciphers import RecordCipher

__all__ = ["Epoch", "following_epochs"]

_EARLY_RANK, _HANDSHAKE_RANK, _TRAFFIC_RANK = 0, 1, 2


@dataclass(slots=True)
class Epoch:
    """Keys of one direction for a while; `rank` is its place in the order of epochs, `of` the handshake it is of.

    `secret`: what they are made from, before TLS 1.3 the master secret.
    """

    rank: int
    of: int
    cipher: RecordCipher = field(repr=False)
    secret: bytes = field(repr=False, default=b"")

    @property
    def is_early(self) -> bool:
        """It protects early data."""
        return self.rank == _EARLY_RANK

    @property
    def is_traffic(self) -> bool:
        """It protects application data."""
        return self.rank >= _TRAFFIC_RANK


def following_epochs(handshake: Handshake, secrets: SecretStore, direction: int, current: Epoch | None) -> list[Epoch]:
    """Epochs that may follow the current one, the nearest first."""
    client, server, suite = handshake.client, handshake.server, handshake.suite
    if client is None or server is None or suite is None:
        return []
    if not handshake.is_tls13:
        return _epochs_12(handshake, secrets, direction, current)
    if current is not None and current.rank >= _TRAFFIC_RANK:
        secret = next_traffic_secret(suite, current.secret)
        return [_epoch_13(suite, current.rank + 1, secret)]
    rank = -1 if current is None else current.rank
    labels = (EARLY if direction == FROM_CLIENT and client.early_data else "", HANDSHAKE[direction], TRAFFIC[direction])
    epochs = []
    for number, label in enumerate(labels):
        if label and number > rank:
            epochs += [_epoch_13(suite, number, found) for found in secrets.find(label, client.random)]
    return epochs


def _epoch_13(suite: Suite, rank: int, secret: bytes) -> Epoch:
    from glancetrace.tls.ciphers import make_cipher

    return Epoch(rank, 0, make_cipher(suite, traffic_keys(suite, secret)), secret)


def _epochs_12(handshake: Handshake, secrets: SecretStore, direction: int, current: Epoch | None) -> list[Epoch]:
    client, server, suite = handshake.client, handshake.server, handshake.suite
    if client is None or server is None or suite is None or (current is not None and current.of == handshake.ordinal):
        return []
    epochs = []
    for master in _find_masters(handshake, secrets, client, server, suite):
        from glancetrace.tls.ciphers import make_cipher

        secrets.remember_session(server.session_id, master)
        secrets.remember_session(handshake.ticket, master)
        keys = split_key_block(server.version, suite, master, client.random, server.random)[direction]
        epochs.append(Epoch(_TRAFFIC_RANK, handshake.ordinal, make_cipher(suite, keys, etm=server.etm), master))
    return epochs


def _find_masters(
    handshake: Handshake, secrets: SecretStore, client: ClientHello, server: ServerHello, suite: Suite
) -> list[bytes]:
    """What may be the master secret: logged, opened with an RSA key, or that of the session that is resumed."""
    masters = list(secrets.find(MASTER, client.random))
    if handshake.encrypted_premaster:
        secrets.note_premaster(handshake.encrypted_premaster)
        randoms = client.random + server.random
        masters += [
            make_master_secret(server.version, suite.prf, premaster, randoms, handshake.session_hash)
            for premaster in secrets.find_premasters(handshake.encrypted_premaster, client.version)
        ]
    else:
        resumed = server.session_id if server.session_id == client.session_id else b""
        masters += secrets.find_session(resumed, client.ticket)
    return list(dict.fromkeys(masters))
