"""Settings of the whole test run."""

from __future__ import annotations

import gc
import os

import pytest
from hypothesis import settings

from tests.support.openssl import Certificate, make_certificate

settings.register_profile("project", deadline=None, derandomize=True, database=None)
settings.load_profile("project")

# Results of a million rows live as long as a test does; looking for cycles among them takes a fifth of the run.
gc.set_threshold(500_000, 20, 20)

# Output must not depend on who runs the tests, and where.
for name in ("COLUMNS", "FORCE_COLOR", "LINES", "NO_COLOR", "PY_COLORS", "SSLKEYLOGFILE", "TZ"):
    os.environ.pop(name, None)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Certificate]:
    """Certificates of servers, by kind of key."""
    folder = tmp_path_factory.mktemp("certificates")
    return {kind: make_certificate(folder, kind) for kind in ("rsa", "ecdsa")}
