"""Everything that a handshake can do, by OpenSSL: retries, resumption, early data, new keys, clients' certificates."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from glancetrace.net.run import FROM_CLIENT, FROM_SERVER
from glancetrace.tls.rsa import RsaKeys
from tests.support.http_streams import merged, single_bytes
from tests.support.openssl import (
    ALLOW_CLIENT_RENEGOTIATION,
    NO_EXTENDED_MASTER_SECRET,
    NO_TICKET,
    Certificate,
    Setup,
    TlsTalk,
)
from tests.support.tls_streams import Told, decrypt, segments_of, store_of

Certificates = dict[str, Certificate]


def check(talk: TlsTalk, keylog: list[str] | None = None) -> Told:
    """What was said is told, whole and byte by byte."""
    known = talk.keylog if keylog is None else keylog
    for runs in (single_bytes(talk.flights), merged(segments_of(talk.flights))):
        told = decrypt(runs, store_of(known))
        assert told.said == talk.said
        assert all(talk.said)
        assert (told.issues, told.gaps, told.skipped) == ({}, [[], []], 0)
        assert told.summary.decrypted
    return told


def rsa_keys(certificate: Certificate) -> RsaKeys:
    key = load_pem_private_key(certificate.path.read_bytes(), None)
    assert isinstance(key, RSAPrivateKey)
    return RsaKeys([key])


class TestTls13:
    def test_hello_retry_request(self, certificates: Certificates) -> None:
        setup = Setup(certificates["rsa"], groups=("X25519:P-384", "P-384"))
        talk = TlsTalk(setup).shake_hands().ask(b"hello").answer(b"world")
        assert len([flight for flight in talk.flights if flight[0] == FROM_CLIENT]) == 4
        check(talk)

    def test_psk_resumption(self, certificates: Certificates) -> None:
        setup = Setup(certificates["rsa"])
        first = TlsTalk(setup).shake_hands().ask(b"one").answer(b"two").close()
        again = TlsTalk(setup, resume=first).shake_hands().ask(b"three").answer(b"four")
        assert again.resumed
        check(again)

    def test_key_updates(self, certificates: Certificates) -> None:
        talk = TlsTalk(Setup(certificates["rsa"])).shake_hands().ask(b"a").answer(b"b")
        talk.update_keys(FROM_CLIENT, both=True).ask(b"c").answer(b"d")
        talk.update_keys(FROM_SERVER, both=False).answer(b"e").update_keys(FROM_SERVER, both=False).answer(b"f")
        check(talk.ask(b"g").answer(b"h"))
        assert talk.said == [b"acg", b"bdefh"]

    def test_client_certificate(self, certificates: Certificates) -> None:
        setup = Setup(certificates["rsa"], client_certificate=True)
        check(TlsTalk(setup).shake_hands().ask(b"hello").answer(b"world"))

    def test_alpn_is_told(self, certificates: Certificates) -> None:
        talk = TlsTalk(Setup(certificates["rsa"], alpn=b"http/1.1")).shake_hands().ask(b"hello").answer(b"world")
        assert check(talk).summary.alpn == "http/1.1"

    @pytest.mark.parametrize("suite", ["TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"])
    def test_early_data(self, suite: str, certificates: Certificates) -> None:
        setup = Setup(certificates["rsa"], suite=suite, early_data=16384)
        first = TlsTalk(setup).shake_hands().ask(b"one").answer(b"two").close()
        early = TlsTalk(setup, resume=first).ask_early(b"PUT /early").shake_hands().ask(b" and late").answer(b"ok")
        assert any(line.startswith("CLIENT_EARLY_TRAFFIC_SECRET") for line in early.keylog)
        assert check(early).said == [b"PUT /early and late", b"ok"]

    def test_early_data_that_were_refused_are_not_told(self, certificates: Certificates) -> None:
        setup = Setup(certificates["rsa"], early_data=16384)
        first = TlsTalk(setup).shake_hands().ask(b"one").answer(b"two").close()
        early = TlsTalk(setup, resume=first).ask_early(b"PUT /early", heard=False).shake_hands()
        early.ask(b"PUT /late").answer(b"ok")
        told = decrypt(merged(segments_of(early.flights)), store_of(early.keylog))
        assert told.said == early.said == [b"PUT /late", b"ok"]
        assert told.gaps == [[], []]
        assert told.skipped == 5 + 17 + len(b"PUT /early")


class TestTls12:
    def test_resumption_by_id(self, certificates: Certificates) -> None:
        setup = Setup(certificates["rsa"], "TLS 1.2", "ECDHE-RSA-AES128-GCM-SHA256", NO_TICKET)
        first = TlsTalk(setup).shake_hands().ask(b"one").answer(b"two").close()
        again = TlsTalk(setup, resume=first).shake_hands().ask(b"three").answer(b"four")
        assert again.resumed
        check(again)

    def test_renegotiation(self, certificates: Certificates) -> None:
        setup = Setup(certificates["rsa"], "TLS 1.2", "ECDHE-RSA-AES128-GCM-SHA256", ALLOW_CLIENT_RENEGOTIATION)
        talk = TlsTalk(setup).shake_hands().ask(b"one").answer(b"two").renegotiate().ask(b"three").answer(b"four")
        assert len({line.split()[1] for line in talk.keylog}) == 2
        check(talk)

    def test_client_certificate(self, certificates: Certificates) -> None:
        setup = Setup(certificates["rsa"], "TLS 1.2", "AES256-GCM-SHA384", client_certificate=True)
        check(TlsTalk(setup).shake_hands().ask(b"hello").answer(b"world"))

    def test_alpn_is_told(self, certificates: Certificates) -> None:
        talk = TlsTalk(Setup(certificates["rsa"], "TLS 1.2", "AES128-SHA", alpn=b"h2")).shake_hands()
        assert check(talk.ask(b"hello").answer(b"world")).summary.alpn == "h2"


@pytest.mark.parametrize("ems", [0, NO_EXTENDED_MASTER_SECRET], ids=["ems", "no-ems"])
class TestRsaKey:
    @pytest.mark.parametrize("suite", ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES256-SHA", "AES128-CCM8"])
    def test_the_server_s_key_is_enough(self, suite: str, ems: int, certificates: Certificates) -> None:
        talk = TlsTalk(Setup(certificates["rsa"], "TLS 1.2", suite, ems)).shake_hands().ask(b"hello").answer(b"world")
        for runs in (merged(segments_of(talk.flights)), single_bytes(talk.flights)):
            told = decrypt(runs, store_of(rsa=rsa_keys(certificates["rsa"])))
            assert told.said == talk.said == [b"hello", b"world"]
            assert told.issues == {}

    @pytest.mark.parametrize("tickets", [0, NO_TICKET], ids=["by-ticket", "by-id"])
    def test_sessions_that_are_resumed(self, tickets: int, ems: int, certificates: Certificates) -> None:
        setup = Setup(certificates["rsa"], "TLS 1.2", "AES128-GCM-SHA256", ems | tickets)
        first = TlsTalk(setup).shake_hands().ask(b"one").answer(b"two").close()
        again = TlsTalk(setup, resume=first).shake_hands().ask(b"three").answer(b"four")
        assert again.resumed
        store = store_of(rsa=rsa_keys(certificates["rsa"]))
        assert decrypt(merged(first.flights), store).said == [b"one", b"two"]
        assert decrypt(merged(again.flights), store).said == [b"three", b"four"]
        alone = decrypt(merged(again.flights), store_of(rsa=rsa_keys(certificates["rsa"])))
        assert alone.said == [b"", b""]
        assert alone.issues == {"tls-secret-unknown": 1}

    def test_another_key_does_not_open_it(self, ems: int, certificates: Certificates) -> None:
        from cryptography.hazmat.primitives.asymmetric import rsa

        talk = TlsTalk(Setup(certificates["rsa"], "TLS 1.2", "AES128-GCM-SHA256", ems)).shake_hands().ask(b"hello")
        told = decrypt(merged(talk.flights), store_of(rsa=RsaKeys([rsa.generate_private_key(65537, 2048)])))
        assert told.said == [b"", b""]
        assert told.issues == {"tls-wrong-key": 1}
