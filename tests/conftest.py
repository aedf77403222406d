"""Settings of the whole test run."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("project", deadline=None, derandomize=True, database=None)
settings.load_profile("project")

# Output must not depend on who runs the tests, and where.
for name in ("COLUMNS", "FORCE_COLOR", "LINES", "NO_COLOR", "PY_COLORS", "SSLKEYLOGFILE", "TZ"):
    os.environ.pop(name, None)
