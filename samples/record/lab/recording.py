"""From an empty machine to a capture and its truth: the lab is built, warmed up, recorded at work, and written down.

Nothing is torn down: the process namespace ends with this process, and everything in it.
"""

import argparse
import gzip
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pymysql
import requests

from lab import database, environments, outcome, place, proxy, services
from lab.calls import CallLog
from lab.capture import Capture
from lab.foreign import Foreign
from lab.processes import LabError, stop
from lab.scenarios import article, concurrent, failures, imports
from lab.session import Lab

SCENARIOS: dict[str, Callable[[Lab], None]] = {
    "article": article.run,
    "concurrent": concurrent.run,
    "failures": failures.run,
    "import": imports.run,
}
CLIENTS = {"concurrent": 16, "import": 4}  # unless said otherwise
AFTERMATH = 2  # seconds that the capture goes on after the last answer
COMPRESSED_FROM = 60_000  # bytes


def record(chosen: argparse.Namespace, python: Path, glance_python: Path) -> int:
    """Records the chosen scenario; 0, or 1 after one line about what failed. The services' logs are kept then."""
    for wanted in (signal.SIGINT, signal.SIGTERM):
        signal.signal(wanted, signal.default_int_handler)
    chosen.output.mkdir(parents=True, exist_ok=True)
    place.furnish()
    failed: str | None = None
    try:
        build_and_record(chosen, python, glance_python)
    except (LabError, requests.RequestException, pymysql.MySQLError, subprocess.SubprocessError, OSError) as error:
        failed = str(error) or type(error).__name__
    except KeyboardInterrupt:
        failed = "interrupted"
    if failed or chosen.keep_logs:
        shutil.copytree(place.LOG, chosen.output / "logs", dirs_exist_ok=True)
    if failed:
        print(f"record: {failed}; the services' logs are in {chosen.output / 'logs'}", file=sys.stderr)
    return 1 if failed else 0


def build_and_record(chosen: argparse.Namespace, python: Path, glance_python: Path) -> None:
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
    front = build(deployment, chosen)
    calls = CallLog()
    calls.watch()
    clients = chosen.clients or CLIENTS.get(chosen.scenario, 1)
    lab = Lab(calls, scheme, chosen.seed, clients, chosen.hot, chosen.seconds)
    if not chosen.cold:
        services.warm_up(lab, deployment)
    foreign = Foreign(deployment.database, deployment.schema) if chosen.foreign else None
    tell(f"lab ready after {time.monotonic() - begun:.0f} s")

    name = chosen.name or chosen.scenario
    database.forget_changes()
    front.forwarded.clear()
    (chosen.output / "keylog.txt").unlink(missing_ok=True)
    capture = Capture(chosen.output / f"{name}.pcap", chosen.ports)
    summary: dict[str, Any] = {"name": name, "options": options(chosen), "start_ns": time.time_ns()}
    summary["db_connections_open_at_start"] = database.connections()
    calls.open = True
    SCENARIOS[chosen.scenario](lab)
    calls.open = False
    summary["client_end_ns"] = time.time_ns()
    time.sleep(AFTERMATH)
    if foreign:
        foreign.stop()
    summary["end_ns"] = time.time_ns()
    counts = capture.stop()
    summary["tcpdump"] = {capture.path.name: counts}
    summary["pcaps"] = {capture.path.name: describe(capture, counts)}
    images = services.all_images(lab)
    outcome.write_outcome(chosen.output, deployment.schema, calls.rows, front.forwarded, images, summary)
    compress(chosen.output)
    tell(f"{capture.path.name}: {counts}")
    tell(f"{summary['api_calls']} calls, {summary['api_calls_tied_to_wsgi']} of them seen by a service")


def build(deployment: services.Deployment, chosen: argparse.Namespace) -> proxy.Proxy:
    """Starts everything, the proxy last: its health checks must find the services at the first try."""
    services.configure(deployment)
    if chosen.mysql_proxy:
        proxy.launch_mysql()
    prepare(deployment, chosen.cache)
    database.launch()
    services.launch_keystone(deployment)
    services.launch_glance(deployment)
    front = proxy.launch(chosen.tls)
    if chosen.tls:
        os.environ["REQUESTS_CA_BUNDLE"] = str(proxy.authority())
        os.environ["SSLKEYLOGFILE"] = str(chosen.output / "keylog.txt")
    return front


def prepare(deployment: services.Deployment, cache: Path) -> None:
    """Makes the database with its accounts, and Keystone's keys; next time they come from an archive in the cache."""
    made_by = [Path(module.__file__ or "") for module in (services, database, place)]
    made_by.append(environments.VERSIONS / f"era{deployment.era}.txt")
    made_of = hashlib.sha256(b"".join(path.read_bytes() for path in made_by)).hexdigest()[:16]
    kind = f"prepared-era{deployment.era}-{deployment.public.split(':', 1)[0]}"  # the catalogue has public addresses
    archive = cache / f"{kind}-{made_of}.tar"
    if archive.exists():
        subprocess.run(["tar", "-xpf", str(archive), "-C", str(place.ROOT)], check=True)
        return
    database.create()
    server = database.launch()
    services.prepare(replace(deployment, workers=1))
    stop(server)
    unfinished = archive.with_suffix(f".{time.time_ns()}")
    parts = ["mysql", "etc/keystone/fernet", "etc/keystone/credential"]
    subprocess.run(["tar", "-cf", str(unfinished), "-C", str(place.ROOT), *parts], check=True)
    for outdated in cache.glob(f"{kind}-*.tar"):
        outdated.unlink()
    unfinished.rename(archive)


def options(chosen: argparse.Namespace) -> dict[str, Any]:
    """What was asked for, without what is the machine's own."""
    return {name: value for name, value in vars(chosen).items() if name not in ("output", "cache", "keep_logs")}


def describe(capture: Capture, counts: str) -> dict[str, object]:
    data = capture.path.read_bytes()
    return {
        "filter": capture.filter,
        "bytes": len(data),
        "packets": int(counts.split(maxsplit=1)[0]),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def compress(folder: Path) -> None:
    """Captures and long lists are kept compressed, with no time stamp: the same content gives the same file."""
    for path in [*folder.glob("*.pcap"), *folder.glob("*.json*")]:
        packed = path.with_name(path.name + ".gz")
        packed.unlink(missing_ok=True)  # of an earlier recording
        if path.suffix == ".gz" or (path.suffix != ".pcap" and path.stat().st_size < COMPRESSED_FROM):
            continue
        with path.open("rb") as plain, gzip.GzipFile(packed, "wb", mtime=0) as file:
            shutil.copyfileobj(plain, file)
        path.unlink()


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
