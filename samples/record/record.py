"""Records a capture of a real Keystone and Glance at work, with the ground truth of what happened. See README.md.

Three stages: options and virtual environments outside; then this script again, in namespaces of its own, builds the
lab; then a scenario runs while tcpdump does, and everything noted goes to files beside the capture.
"""

import argparse
import gzip
import hashlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.capture import Capture
    from lab.session import Lab

HERE = Path(__file__).resolve()
SCENARIOS = ("article", "concurrent", "failures", "import")
CLIENTS = {"concurrent": 16, "import": 4}  # unless said otherwise
INSIDE = "GLANCE_LAB_INSIDE"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="record", description=__doc__.splitlines()[0])
    parser.add_argument("scenario", choices=SCENARIOS, help="what the clients do")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="folder to write, made if missing"
    )
    parser.add_argument("--name", help="name of the capture file [the scenario's]")
    parser.add_argument("--era", type=int, choices=(1, 2, 3), default=3, help="Glance 26, 30 or 33 [%(default)s]")
    parser.add_argument("--tls", choices=("1.2", "1.3"), help="TLS towards the clients, with keylog.txt")
    parser.add_argument("--ports", help="ports to capture, by commas [13000,13292,3306,9292,5000]")
    parser.add_argument("--mysql-proxy", action="store_true", help="HAProxy before MariaDB, both legs captured")
    parser.add_argument(
        "--foreign", action="store_true", help="services with schemas nova and neutron use the server too"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes of each service [%(default)s]")
    parser.add_argument("--threads", type=int, default=4, help="threads of each process under gunicorn [%(default)s]")
    parser.add_argument(
        "--cold", action="store_true", help="no requests before the capture: logins to MariaDB are in it"
    )
    parser.add_argument("--clients", type=int, help="concurrent, import: clients [16, 4]")
    parser.add_argument(
        "--hot", type=float, default=0.2, help="concurrent: share of calls on three images [%(default)s]"
    )
    parser.add_argument("--seconds", type=float, default=10, help="concurrent: how long [%(default)s]")
    parser.add_argument("--seed", type=int, default=1, help="of the clients' choices [%(default)s]")
    parser.add_argument("--keep-logs", action="store_true", help="keep the services' logs, in DIR/logs")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "glancetrace-record"
    parser.add_argument("--cache", type=Path, default=cache, metavar="DIR", help="virtual environments [%(default)s]")
    return parser.parse_args()


def main() -> int:
    chosen = options()
    if os.geteuid():
        print("record: needs root, for namespaces and tcpdump", file=sys.stderr)
        return 2
    from lab.environments import environment
    from lab.place import enter

    python = environment(chosen.cache.resolve(), 3) / "bin/python"
    glance_python = environment(chosen.cache.resolve(), chosen.era) / "bin/python"
    if INSIDE not in os.environ:
        os.environ[INSIDE] = "1"
        enter(python, [str(HERE), *sys.argv[1:]])
    return record(chosen, python, glance_python)


def record(chosen: argparse.Namespace, python: Path, glance_python: Path) -> int:
    from lab import place
    from lab.processes import LabError

    output = chosen.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    place.furnish()
    status = 1
    try:
        build_and_record(chosen, python, glance_python, output)
        status = 0
    except LabError as error:
        print(f"record: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("record: interrupted", file=sys.stderr)
    finally:
        if status or chosen.keep_logs:
            place.keep_logs(output / "logs")
    return status


def build_and_record(chosen: argparse.Namespace, python: Path, glance_python: Path, output: Path) -> None:
    from lab import database, foreign, outcome, place, proxy, services
    from lab.calls import CallLog
    from lab.capture import Capture
    from lab.services import note
    from lab.session import Lab

    begun = time.monotonic()
    scheme = "https" if chosen.tls else "http"
    deployment = services.Deployment(
        python=python,
        glance_python=glance_python,
        era=chosen.era,
        workers=chosen.workers,
        threads=chosen.threads,
        database=place.PROXY if chosen.mysql_proxy else place.DATABASE,
        public=f"{scheme}://{place.PROXY}:{place.KEYSTONE_PUBLIC}",
    )
    database.launch()
    if chosen.mysql_proxy:
        proxy.launch_mysql()
    services.configure(deployment)
    services.launch_keystone(deployment)
    services.launch_glance(deployment)
    front = proxy.launch(chosen.tls)
    if chosen.tls:
        os.environ["REQUESTS_CA_BUNDLE"] = str(proxy.authority())
        os.environ["SSLKEYLOGFILE"] = str(output / "keylog.txt")
    calls = CallLog()
    calls.watch()
    clients = chosen.clients or CLIENTS.get(chosen.scenario, 1)
    lab = Lab(calls, scheme, chosen.seed, clients, chosen.hot, chosen.seconds)
    proxy.wait_until_up()
    if not chosen.cold:
        services.warm_up(lab, deployment)
    others = foreign.Foreign(deployment.database, deployment.schema) if chosen.foreign else None
    note(f"lab ready after {time.monotonic() - begun:.0f} s")

    name = chosen.name or chosen.scenario
    ports = [int(port) for port in chosen.ports.split(",")] if chosen.ports else list(place.ALL_PORTS)
    database.forget_changes()
    front.forwarded.clear()
    (output / "keylog.txt").unlink(missing_ok=True)
    capture = Capture(output / f"{name}.pcap", ports)
    summary = {"name": name, "start_ns": time.time_ns(), "db_connections_open_at_start": database.connections()}
    calls.open = True
    scenario(chosen.scenario)(lab)
    summary["client_end_ns"] = time.time_ns()
    calls.open = False
    time.sleep(2)  # what goes on after the last answer
    if others:
        others.stop()
    summary["end_ns"] = time.time_ns()
    counts = capture.stop()
    summary["tcpdump"] = {capture.path.name: counts}
    summary["pcaps"] = {capture.path.name: described(capture, counts)}
    images = services.all_images(lab)
    summary = outcome.write_outcome(output, deployment.schema, calls.rows, front.forwarded, images, summary)
    compress(output)
    note(f"{capture.path.name}: {counts}")
    note(json.dumps({key: summary[key] for key in ("api_calls", "api_calls_tied_to_wsgi", "final_image_status")}))


def scenario(name: str) -> "Callable[[Lab], None]":
    from lab.scenarios import article, concurrent, failures, imports

    return {"article": article, "concurrent": concurrent, "failures": failures, "import": imports}[name].run


def described(capture: "Capture", counts: str) -> dict[str, object]:
    data = capture.path.read_bytes()
    return {
        "filter": capture.filter,
        "bytes": len(data),
        "packets": int(counts.split(maxsplit=1)[0]),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def compress(folder: Path) -> None:
    """Captures and long lists are kept compressed, with no time stamp: the same content gives the same file."""
    for path in [*folder.glob("*.pcap"), *(p for p in folder.glob("*.json*") if p.stat().st_size > 60_000)]:
        with path.open("rb") as plain, gzip.GzipFile(f"{path}.gz", "wb", mtime=0) as packed:
            shutil.copyfileobj(plain, packed)
        path.unlink()


if __name__ == "__main__":
    sys.exit(main())
