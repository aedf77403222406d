"""Records a capture of a real Keystone and Glance at work, with the ground truth of what happened. See README.md.

Runs twice: outside, for options and virtual environments, with nothing but the standard library; then, in namespaces
of its own and with the clients' libraries, as `lab.recording`.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from lab import environments, place

SCENARIOS = ("article", "concurrent", "failures", "import")
INSIDE = "GLANCE_LAB_INSIDE"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="record", description=__doc__.splitlines()[0])
    parser.add_argument("scenario", choices=SCENARIOS, help="what the clients do")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder to write to")
    parser.add_argument("--name", help="name of the capture file [the scenario's]")
    parser.add_argument("--era", type=int, choices=(1, 2, 3), default=3, help="Glance 26, 30 or 33 [%(default)s]")
    parser.add_argument("--tls", choices=("1.2", "1.3"), help="TLS towards the clients, with keylog.txt")
    parser.add_argument("--ports", help="ports to capture, by commas [13000,13292,3306,9292,5000]")
    parser.add_argument("--mysql-proxy", action="store_true", help="HAProxy before MariaDB, both legs captured")
    parser.add_argument("--foreign", action="store_true", help="schemas nova and neutron are worked on too")
    parser.add_argument("--workers", type=int, default=2, help="processes of each service [%(default)s]")
    parser.add_argument("--threads", type=int, default=4, help="threads of each process under gunicorn [%(default)s]")
    parser.add_argument("--cold", action="store_true", help="no requests before the capture: it has logins to MariaDB")
    parser.add_argument("--clients", type=int, help="concurrent, import: clients [16, 4]")
    parser.add_argument("--hot", type=float, default=0.2, help="concurrent: share of calls on 3 images [%(default)s]")
    parser.add_argument("--seconds", type=float, default=10, help="concurrent: how long [%(default)s]")
    parser.add_argument("--seed", type=int, default=1, help="of the clients' choices [%(default)s]")
    parser.add_argument("--keep-logs", action="store_true", help="keep the services' logs, in DIR/logs")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "glancetrace-record"
    parser.add_argument("--cache", type=Path, default=cache, metavar="DIR", help="virtual environments [%(default)s]")
    chosen = parser.parse_args()
    chosen.output, chosen.cache = chosen.output.resolve(), chosen.cache.resolve()
    try:
        chosen.ports = [int(port) for port in chosen.ports.split(",")] if chosen.ports else list(place.ALL_PORTS)
    except ValueError:
        parser.error(f"--ports {chosen.ports}: numbers and commas, as in 13000,13292,3306")
    if chosen.tls and chosen.scenario == "failures":
        parser.error("failures breaks off TCP connections by hand: record it without --tls")
    for path in (chosen.output, chosen.cache, Path(__file__).resolve()):
        if path.is_relative_to(place.MOUNT):
            parser.error(f"{path}: the lab covers {place.MOUNT} with its own files; use another folder")
    if os.geteuid():
        parser.error("needs root, for namespaces and tcpdump")
    return chosen


def main() -> int:
    chosen = options()
    try:
        python = environments.python(chosen.cache, 3)
        glance_python = environments.python(chosen.cache, chosen.era)
    except subprocess.CalledProcessError as error:
        print(f"record: cannot install the services: {' '.join(error.cmd[:5])} ... failed", file=sys.stderr)
        return 1
    if INSIDE not in os.environ:
        return place.enter([str(python), *sys.argv], {INSIDE: "1"})
    from lab.recording import record  # needs libraries of the virtual environment

    return record(chosen, python, glance_python)


if __name__ == "__main__":
    sys.exit(main())
