"""What OpenSSL says under every suite is decrypted, and told with the frames in which its records were complete."""

from __future__ import annotations

import pytest

from glancetrace.net.run import FROM_CLIENT, FROM_SERVER
from tests.support.http_streams import merged, single_bytes
from tests.support.openssl import (
    NO_ENCRYPT_THEN_MAC,
    NO_EXTENDED_MASTER_SECRET,
    Certificate,
    Setup,
    TlsTalk,
)
from tests.support.tls_streams import decrypt, segments_of, store_of

TLS_1_3 = (
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_CCM_SHA256",
    "TLS_AES_128_CCM_8_SHA256",
)
AEAD = {
    "AES128-GCM-SHA256": "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "AES256-GCM-SHA384": "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "DHE-RSA-AES128-GCM-SHA256": "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384": "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "AES128-CCM": "TLS_RSA_WITH_AES_128_CCM",
    "AES256-CCM8": "TLS_RSA_WITH_AES_256_CCM_8",
    "DHE-RSA-AES256-CCM": "TLS_DHE_RSA_WITH_AES_256_CCM",
    "DHE-RSA-AES128-CCM8": "TLS_DHE_RSA_WITH_AES_128_CCM_8",
    "ECDHE-ECDSA-AES128-CCM": "TLS_ECDHE_ECDSA_WITH_AES_128_CCM",
    "ECDHE-ECDSA-AES256-CCM8": "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8",
    "DHE-RSA-CHACHA20-POLY1305": "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "ECDHE-RSA-CHACHA20-POLY1305": "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305": "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
}
CBC = {
    "AES128-SHA": "TLS_RSA_WITH_AES_128_CBC_SHA",
    "AES256-SHA256": "TLS_RSA_WITH_AES_256_CBC_SHA256",
    "DHE-RSA-AES256-SHA": "TLS_DHE_RSA_WITH_AES_256_CBC_SHA",
    "ECDHE-RSA-AES128-SHA256": "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "ECDHE-RSA-AES256-SHA384": "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384",
    "ECDHE-ECDSA-AES256-SHA": "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
}
ASKED = b"GET /v2/images HTTP/1.1\r\nHost: glance.example\r\n\r\n"
ANSWERED = b"HTTP/1.1 200 OK\r\n\r\n" + bytes(range(256)) * 66


def converse(setup: Setup) -> TlsTalk:
    """A handshake, two questions and answers, the end."""
    talk = TlsTalk(setup).shake_hands()
    return talk.ask(ASKED).answer(ANSWERED).ask(ASKED * 2).answer(b"x").close()


def check(talk: TlsTalk, suite: str, version: str) -> None:
    """The decoder tells what was said, whole and byte by byte."""
    for runs in (merged(segments_of(talk.flights)), single_bytes(talk.flights)):
        told = decrypt(runs, store_of(talk.keylog))
        assert told.said == talk.said
        assert talk.said == [ASKED * 3, ANSWERED + b"x"]
        assert (told.summary.version, told.summary.suite) == (version, suite)
        assert (told.summary.sni, told.summary.decrypted, told.summary.reason) == ("glance.example", True, None)
        assert told.summary.application_bytes == [len(said) for said in talk.said]
        assert (told.issues, told.gaps, told.skipped) == ({}, [[], []], 0)


@pytest.mark.parametrize("padding", [0, 512])
@pytest.mark.parametrize("suite", TLS_1_3)
def test_tls_1_3(suite: str, padding: int, certificates: dict[str, Certificate]) -> None:
    check(converse(Setup(certificates["rsa"], "TLS 1.3", suite, padding=padding)), suite, "TLS 1.3")


@pytest.mark.parametrize("options", [0, NO_EXTENDED_MASTER_SECRET], ids=["ems", "no-ems"])
@pytest.mark.parametrize("suite", AEAD)
def test_tls_1_2_aead(suite: str, options: int, certificates: dict[str, Certificate]) -> None:
    certificate = certificates["ecdsa" if "ECDSA" in suite else "rsa"]
    check(converse(Setup(certificate, "TLS 1.2", suite, options)), AEAD[suite], "TLS 1.2")


@pytest.mark.parametrize("options", [0, NO_ENCRYPT_THEN_MAC], ids=["etm", "no-etm"])
@pytest.mark.parametrize("suite", CBC)
def test_tls_1_2_cbc(suite: str, options: int, certificates: dict[str, Certificate]) -> None:
    certificate = certificates["ecdsa" if "ECDSA" in suite else "rsa"]
    check(converse(Setup(certificate, "TLS 1.2", suite, options)), CBC[suite], "TLS 1.2")


@pytest.mark.parametrize("options", [0, NO_ENCRYPT_THEN_MAC], ids=["etm", "no-etm"])
@pytest.mark.parametrize("version", ["TLS 1.0", "TLS 1.1"])
def test_older_versions(version: str, options: int, certificates: dict[str, Certificate]) -> None:
    check(converse(Setup(certificates["rsa"], version, "AES128-SHA", options)), CBC["AES128-SHA"], version)


@pytest.mark.parametrize("version", ["TLS 1.2", "TLS 1.3"])
def test_each_byte_has_the_frame_in_which_its_record_was_complete(
    version: str, certificates: dict[str, Certificate]
) -> None:
    suite = {"TLS 1.2": "ECDHE-RSA-AES128-GCM-SHA256", "TLS 1.3": "TLS_AES_128_GCM_SHA256"}[version]
    talk = TlsTalk(Setup(certificates["rsa"], version, suite)).shake_hands()
    before = len(talk.flights)
    talk.answer(bytes(40_000))
    segments = segments_of(talk.flights)
    first = len(segments_of(talk.flights[:before]))
    told = decrypt(merged(segments), store_of(talk.keylog))
    framing = 5 + (24 if version == "TLS 1.2" else 17)
    ends = [16384 + framing, 2 * (16384 + framing), 40_000 + 3 * framing]
    frames = [first + -(-end // 1448) for end in ends]
    wanted = [frames[0]] * 16384 + [frames[1]] * 16384 + [frames[2]] * (40_000 - 32768)
    assert told.places(FROM_SERVER) == wanted
    assert told.places(FROM_CLIENT) == []
