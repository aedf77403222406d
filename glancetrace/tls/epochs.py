"""Which keys follow which: the epochs of one direction of a connection.

TLS 1.2: plaintext until ChangeCipherSpec, then keys from the master secret. TLS 1.3 (RFC 8446, section 7.1): early
data (client only), handshake, application data, and a generation more with every KeyUpdate. Secrets that are not known
are left out; what can be opened is opened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from glancetrace.net.run import FROM_CLIENT
from glancetrace.tls.handshake import Handshake
from glancetrace.tls.schedule import make_master_secret, next_traffic_secret, split_key_block, traffic_keys
from glancetrace.tls.secrets import EARLY, HANDSHAKE, MASTER, TRAFFIC, SecretStore
from glancetrace.tls.suites import Suite

if TYPE_CHECKING:
    from glancetrace.tls.ciphers import RecordCipher

__all__ = ["Epoch", "following_epochs"]

_EARLY_RANK, _HANDSHAKE_RANK, _TRAFFIC_RANK = 0, 1, 2


@dataclass(slots=True)
class Epoch:
    """Keys of one direction for a while; `rank` is its place in the order of epochs, `of` the handshake it is of."""

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
        found = secrets.find(label, client.random) if label and number > rank else None
        if found is not None:
            epochs.append(_epoch_13(suite, number, found))
    return epochs


def _epoch_13(suite: Suite, rank: int, secret: bytes) -> Epoch:
    from glancetrace.tls.ciphers import make_cipher

    return Epoch(rank, 0, make_cipher(suite, traffic_keys(suite, secret)), secret)


def _epochs_12(handshake: Handshake, secrets: SecretStore, direction: int, current: Epoch | None) -> list[Epoch]:
    client, server, suite = handshake.client, handshake.server, handshake.suite
    if client is None or server is None or suite is None or (current is not None and current.of == handshake.ordinal):
        return []
    master = find_master(handshake, secrets)
    if master is None:
        return []
    from glancetrace.tls.ciphers import make_cipher

    keys = split_key_block(server.version, suite, master, client.random, server.random)[direction]
    return [Epoch(_TRAFFIC_RANK, handshake.ordinal, make_cipher(suite, keys, etm=server.etm))]


def find_master(handshake: Handshake, secrets: SecretStore) -> bytes | None:
    """The master secret of TLS 1.2: logged, opened with an RSA key, or that of the session that is resumed."""
    client, server, suite = handshake.client, handshake.server, handshake.suite
    if client is None or server is None or suite is None:
        return None
    master = secrets.find(MASTER, client.random)
    if handshake.encrypted_premaster:
        secrets.note_premaster(handshake.encrypted_premaster)
    if master is None and handshake.encrypted_premaster:
        premaster = secrets.find_premaster(handshake.encrypted_premaster, client.version)
        if premaster is not None:
            randoms = client.random + server.random
            master = make_master_secret(server.version, suite.prf, premaster, randoms, handshake.session_hash)
    elif master is None:
        resumed = server.session_id if server.session_id == client.session_id else b""
        master = secrets.find_session(resumed, client.ticket)
    if master is not None:
        secrets.remember_session(server.session_id, master)
        secrets.remember_session(handshake.ticket, master)
    return master
