"""The secrets of a capture: each is learned where a decoder found it, and looked for everywhere afterwards.

A secret that is short, or a word that captures of OpenStack are full of, is replaced only where it stands as a secret:
a password `keystone` must not take the name of the service with it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator

from glancetrace.edit.sanitize.addresses import Addresses
from glancetrace.edit.sanitize.encodings import spellings, url_spellings
from glancetrace.edit.sanitize.images import ImageBodies
from glancetrace.edit.sanitize.mysql_blocks import LONGEST_HINT, is_hinted
from glancetrace.edit.sanitize.names import find_labels, find_names, is_common
from glancetrace.edit.sanitize.plan import StreamPlan, Tally
from glancetrace.edit.sanitize.pseudonyms import Pseudonyms, unescape
from glancetrace.edit.sanitize.spans import Span

__all__ = ["DEFERRED_LIMIT", "HASH", "NAME", "SHORTEST", "Find", "KnownSecrets"]

SHORTEST = 8
"""Characters of a secret that is looked for outside its place."""

Find = Callable[[bytes], Iterable[tuple[int, bytes]]]
"""Finds the secrets in bytes: where each stands, and what it becomes."""
DEFERRED_LIMIT = 256 << 20
"""Bytes that wait until all secrets are known: compressed ones, and those of chunked texts."""
Secrets = tuple[dict[str, str], set[bytes], set[str], int]
HASH, NAME = "image-hash", "name"
_LONGEST_BEGINNING, _MOST_BEGINNINGS = 8192, 2000
"""Bytes of the beginning of a statement that is remembered, and how many are."""
_LONGEST_FOUND, _MOST_FOUND = 64 << 10, 256
"""Characters of a text that is remembered with what was found in it, and how many are."""
_SHORTEST_NAME = 4
"""Characters of a name that is looked for outside its place."""

_WORDS = (
    "openstack keystone glance-api glanceclient python-glanceclient keystoneauth1 keystonemiddleware application/json "
    "overcloud undercloud password passwords credential credentials authorization x-auth-token x-subject-token "
    "x-service-token x-openstack-request-id content-type content-length transfer-encoding user-agent accept-encoding "
    "connection keep-alive text/html utf8mb4_general_ci caching_sha2_password mysql_native_password sha256_password "
    "information_schema image_properties image_locations image_members image_tags container_format disk_format "
    "os_hash_algo os_hash_value visibility virtual_size created_at updated_at deleted_at pending_delete deactivated "
    "importing uploading localhost filesystem administrator project_domain_name user_domain_name service_catalog "
    "endpoints interface region regionone identity baremetal cinderv3 overcloud-full controller compute"
)
"""Not replaced where they only happen to stand."""


class KnownSecrets:
    """Secrets and their pseudonyms.

    Attributes:
        seen: latin-1 secrets as they are, not as they are spelled, with their kinds. binary: authentication data.
        images: image data that is to be zeroed; None: it stays. hashes: those of image data, and what they become.
        addresses: makes addresses of addresses; None: they stay. wants_names: names are replaced; names: those seen.
        deferred: what is finished when all secrets are known; deferred_bytes: what waits for it.
    """

    def __init__(
        self,
        pseudonyms: Pseudonyms,
        tally: Tally,
        *,
        images: ImageBodies | None = None,
        addresses: Addresses | None = None,
        wants_names: bool = False,
    ) -> None:
        self.pseudonyms = pseudonyms
        self.tally = tally
        self.seen: dict[str, str] = {}
        self.binary: set[bytes] = set()
        self.hashes: dict[str, str] = {}
        self.images = images
        self.addresses = addresses
        self.wants_names = wants_names
        self.names: set[str] = set()
        self.deferred: list[Callable[[Find | None], None]] = []
        self.deferred_bytes = 0
        self._plain_beginnings: set[bytes] = set()
        self._found: dict[tuple[Callable[[str], Iterable[Span]], str], list[Span]] = {}

    def learn(self, raw: str, kind: str, spelling: str) -> str:
        """Note a secret; its pseudonym in the same spelling."""
        if kind == "address":
            return self.addresses.text(raw) if self.addresses is not None else raw
        value = unescape(raw, spelling)
        if kind == "name":
            self.names.add(value)
            return self.name(raw, spelling)
        scheme, space, rest = value.partition(" ")
        if space and scheme.isalnum() and kind == "header":
            self._see(rest.strip(), kind)
            if scheme.lower() == "basic":
                self._learn_basic(rest.strip())
        else:
            self._see(value, kind)
        return self.pseudonyms.of(raw, spelling)

    def _learn_basic(self, encoded: str) -> None:
        try:
            plain = base64.b64decode(encoded, validate=True).decode("latin-1")
        except ValueError:
            return
        password = plain.partition(":")[2]
        if password:
            self._see(password, "basic")

    def _see(self, value: str, kind: str) -> None:
        """Of several kinds the first in the alphabet counts: which was seen first depends on who reads what."""
        self.seen[value] = min(kind, self.seen.get(value, kind))

    def told(self) -> Secrets:
        """What was learned, for another process."""
        return self.seen, self.binary, self.names, self.deferred_bytes

    def join(self, told: Secrets) -> int:
        """Take what another process has learned; how many bytes wait there."""
        seen, binary, names, deferred_bytes = told
        for value, kind in seen.items():
            self._see(value, kind)
        self.binary |= binary
        self.names |= names
        return deferred_bytes

    def defer(self, size: int, finish: Callable[[Find | None], None]) -> None:
        """Have something finished when all secrets are known; at once, and without them, when it takes too much."""
        self.deferred_bytes += size
        if self.deferred_bytes > DEFERRED_LIMIT:
            finish(None)
        else:
            self.deferred.append(finish)

    def name(self, raw: str, spelling: str = "plain") -> str:
        """What a name becomes; labels of a host's name each on their own."""
        if is_common(raw):
            return raw
        made = list(raw)
        for begin, end in find_labels(raw):
            made[begin:end] = self.pseudonyms.of(raw[begin:end], spelling)
        return "".join(made)

    def beyond(self, text: str) -> list[Span]:
        """Names and addresses in a text, where those are to be replaced."""
        spans: list[Span] = []
        if self.addresses is not None:
            spans += [Span(begin, end, "address", "address") for begin, end in self.addresses.find(text)]
        if self.wants_names:
            spans += find_names(text)
        return spans

    def is_hinted(self, data: bytes) -> bool:
        """Something that is to be replaced may be in these bytes."""
        return self.goes_beyond or is_hinted(data)

    def is_request_hinted(self, payload: bytes) -> bool:
        """The same of a statement: nearly all begin, up to their first literal, as one that was looked at before."""
        literal = payload.find(b"'")
        begin = payload if literal < 0 else payload[:literal]
        if begin in self._plain_beginnings and not self.goes_beyond:
            return literal >= 0 and is_hinted(payload[max(literal - LONGEST_HINT, 0) :])
        if self.is_hinted(payload):
            return True
        if len(begin) <= _LONGEST_BEGINNING and len(self._plain_beginnings) < _MOST_BEGINNINGS:
            self._plain_beginnings.add(begin)
        return False

    def found(self, find: Callable[[str], Iterable[Span]], text: str) -> list[Span]:
        """What is found in a text, for texts that come again: on the next hop, or with the next call."""
        spans = self._found.get((find, text))
        if spans is None:
            spans = list(find(text))
            if len(text) <= _LONGEST_FOUND:
                if len(self._found) >= _MOST_FOUND:
                    self._found.clear()
                self._found[find, text] = spans
        return spans

    @property
    def goes_beyond(self) -> bool:
        """More than secrets is replaced."""
        return self.addresses is not None or self.wants_names

    def edits(self, text: str, spans: Iterable[Span]) -> Iterator[tuple[int, bytes]]:
        """Replacements in a text; of secrets that overlap the widest counts, and one in another's place once."""
        behind = 0
        for span in sorted(spans, key=lambda one: (one.begin, -one.end)):
            raw = text[span.begin : span.end]
            pseudonym = self.learn(raw, span.kind, span.spelling)
            if span.begin < behind:
                if span.end > behind:
                    yield behind, pseudonym[behind - span.begin :].encode("latin-1")
                    behind = span.end
                continue
            if pseudonym != raw:
                self.tally.replaced[span.kind] += 1
            yield span.begin, pseudonym.encode("latin-1")
            behind = span.end

    def replace(self, stream: StreamPlan, start: int, text: str, spans: Iterable[Span]) -> None:
        """Replace secrets in a text that stands at `start` of a stream."""
        for begin, data in self.edits(text, spans):
            stream.replace(start + begin, data)

    def conceal(self, stream: StreamPlan, start: int, raw: bytes, kind: str) -> None:
        """Replace authentication data; those that are text are a secret like others."""
        if not raw.strip(b"\0"):
            return
        self.tally.replaced[kind] += 1
        self.binary.add(raw)
        stream.replace(start, self.pseudonyms.opaque(raw))

    def conceal_ranges(self, stream: StreamPlan, at: int, payload: bytes, ranges: list[tuple[int, int]]) -> None:
        """Replace the authentication data in ranges of a MySQL packet whose payload stands at `at`."""
        for begin, end in ranges:
            self.conceal(stream, at + begin, payload[begin:end], "mysql-authentication")

    def patterns(self) -> dict[bytes, tuple[bytes, str]]:
        """What to look for everywhere, and what it becomes: secrets as they are, and encoded."""
        found: dict[bytes, tuple[bytes, str]] = {}
        texts: list[tuple[str, str, str, Callable[[bytes], Iterator[bytes]]]] = [
            (value, self.pseudonyms.of(value), kind, spellings)
            for value, kind in sorted(self.seen.items())
            if len(value) >= SHORTEST and value.lower() not in _WORDS
        ]
        texts += [
            (name, self.name(name), NAME, url_spellings) for name in sorted(self.names) if len(name) >= _SHORTEST_NAME
        ]
        for value, made, kind, spell in texts:
            if value == made:
                continue
            old, new = value.encode("latin-1", "replace"), made.encode("latin-1", "replace")
            for one, other in zip(spell(old), spell(new), strict=True):
                if one and len(one) == len(other) and one != other:
                    found.setdefault(one, (other, kind))
        found |= {old.encode(): (new.encode(), HASH) for old, new in self.hashes.items()}
        return found

    @property
    def unsearched(self) -> int:
        """Secrets that are too short or too common to be looked for outside their places."""
        return sum(len(value) < SHORTEST or value.lower() in _WORDS for value in self.seen)
