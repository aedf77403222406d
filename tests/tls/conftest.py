"""Certificates for the servers of the tests, made once."""

from __future__ import annotations

import pytest

from tests.support.openssl import Certificate, make_certificate


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Certificate]:
    """By kind of key."""
    folder = tmp_path_factory.mktemp("certificates")
    return {kind: make_certificate(folder, kind) for kind in ("rsa", "ecdsa")}
