"""HAProxy in front of the services, with a log that says which of its connections served which request of which client.

That log is what ties a client's call to the request a service saw: the request id does not, it is missing when an
answer is, and clients send it again.
"""

import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

from lab import place
from lab.processes import listening, run, wait_for, write

CONFIGURATION = """\
global
    maxconn 2000
    log stdout format raw local0
defaults
    mode http
    timeout connect 5s
    timeout client 120s
    timeout server 120s
"""
SERVICE = """\
frontend {name}_public
    bind {proxy}:{public}{tls}
    option forwardfor
    log global
    log-format "%cp %bp %HM %HU"
    http-request set-header X-Forwarded-Proto {scheme}
    default_backend {name}
    http-reuse safe
backend {name}
    http-reuse safe
    option httpchk GET /healthcheck
    server {name} {services}:{port} check inter 5s rise 2
"""
MYSQL = """\
listen mysql
    mode tcp
    bind {proxy}:{mysql}
    server mysql {database}:{mysql}
"""


@dataclass(frozen=True)
class Forwarded:
    """A request as HAProxy logged it when it was over: the client's port, its own port towards the service."""

    client_port: int
    service_port: int
    method: str
    target: str


class Proxy:
    """A running HAProxy and what it logged. stdout is a pipe: HAProxy writes over a regular file from its start."""

    def __init__(self, configuration: Path, log: str) -> None:
        self.forwarded: list[Forwarded] = []
        with (place.LOG / f"{log}.log").open("ab") as errors:
            self.process = subprocess.Popen(
                ["haproxy", "-db", "-f", str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                errors="replace",
            )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            fields = line.rstrip("\n").split(" ", 3)
            if len(fields) == 4 and fields[0].isdigit() and fields[1].isdigit():
                self.forwarded.append(Forwarded(int(fields[0]), int(fields[1]), fields[2], fields[3]))


def launch(tls: str | None) -> Proxy:
    """HAProxy for both services, speaking TLS of the version `tls` ("1.2", "1.3") to the clients if there is one."""
    bind = ""
    if tls:
        bind = f" ssl crt {certificate()} ssl-min-ver TLSv{tls} ssl-max-ver TLSv{tls}"
    text = CONFIGURATION
    for name, public, port in (
        ("keystone", place.KEYSTONE_PUBLIC, place.KEYSTONE),
        ("glance", place.GLANCE_PUBLIC, place.GLANCE),
    ):
        text += SERVICE.format(
            name=name,
            public=public,
            port=port,
            tls=bind,
            proxy=place.PROXY,
            services=place.SERVICES,
            scheme="https" if tls else "http",
        )
    front = Proxy(write(place.ETC / "haproxy.cfg", text), "haproxy")
    wait_for("HAProxy", lambda: listening(place.PROXY, place.GLANCE_PUBLIC), 30, front.process)
    return front


def launch_mysql() -> None:
    """A TCP proxy before the database, as a virtual address of a cluster is."""
    text = CONFIGURATION + MYSQL.format(proxy=place.PROXY, database=place.DATABASE, mysql=place.MYSQL)
    process = Proxy(write(place.ETC / "haproxy-mysql.cfg", text), "haproxy-mysql").process
    wait_for("HAProxy for MySQL", lambda: listening(place.PROXY, place.MYSQL), 30, process)


def authority() -> Path:
    return place.ETC / "tls/ca.crt"


def certificate() -> Path:
    """A certificate for the proxy's address with its key, signed by an authority of the lab's own."""
    folder = place.ETC / "tls"
    folder.mkdir(exist_ok=True)
    pem = folder / "proxy.pem"
    new = "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN={name} -keyout {to}.key -out {to}.crt"
    signed = " -addext subjectAltName=IP:{name} -addext basicConstraints=critical,CA:FALSE -CA {ca}.crt -CAkey {ca}.key"
    authority, proxy = folder / "ca", folder / "proxy"
    run("openssl", new.format(name="lab-authority", to=authority).split())
    run("openssl", (new + signed).format(name=place.PROXY, to=proxy, ca=authority).split())
    pem.write_text((folder / "proxy.crt").read_text() + (folder / "proxy.key").read_text())
    return pem
