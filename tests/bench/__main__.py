"""`python -m tests.bench [NAME ...]`: speed and memory, all figures in one go (about half an hour)."""

from __future__ import annotations

import argparse

from tests.bench import beside, files, memory, plugin, report, sanitize, speed, sql_memory, startup, tls_speed

_BENCHES = {
    "startup": startup.report,
    "plugin": plugin.report,
    "speed": speed.report,
    "files": files.report,
    "memory": memory.report,
    "sql_memory": sql_memory.report,
    "tls_speed": tls_speed.report,
    "report": report.report,
    "beside": beside.report,
    "sanitize": sanitize.report,
}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(_BENCHES))
    names = parser.parse_args().names or list(_BENCHES)
    unknown = sorted(set(names) - set(_BENCHES))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}")
    for name in names:
        _BENCHES[name]()


if __name__ == "__main__":
    main()
