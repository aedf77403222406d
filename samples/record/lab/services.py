"""Keystone and Glance: configuration, schemas, accounts, processes."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from lab import database, place
from lab.processes import LabError, http_status, run, start, stop, wait_for, write

if TYPE_CHECKING:
    from lab.session import Lab

HOOKS = Path(__file__).resolve().parent.parent / "services"
DOMAIN = {"id": "default"}
BOOTSTRAP = (
    f"bootstrap --bootstrap-password {place.ADMIN_PASSWORD} --bootstrap-region-id lab"
    f" --bootstrap-internal-url http://{place.SERVICES}:{place.KEYSTONE}/v3 --bootstrap-public-url {{public}}/v3"
)
PROJECTS = ("alpha", "beta", "gamma")  # each with a member of the same name

KEYSTONE_CONF = """\
[DEFAULT]
public_endpoint = {public}
log_file = {log}/keystone-oslo.log
[database]
connection = {url}
[identity]
password_hash_rounds = 4
[token]
provider = fernet
[fernet_tokens]
key_repository = {etc}/keystone/fernet
[credential]
key_repository = {etc}/keystone/credential
"""

GLANCE_CONF = """\
[DEFAULT]
bind_host = {address}
bind_port = {port}
workers = {workers}
log_file = {log}/glance-oslo.log
worker_self_reference_url = http://{address}:{port}
enabled_backends = fast:file,slow:file,tiny:file
enabled_import_methods = [glance-direct,web-download,copy-image]
show_multiple_locations = true
node_staging_uri = file://{root}/staging
[glance_store]
default_backend = fast
[fast]
filesystem_store_datadir = {root}/store/fast
[slow]
filesystem_store_datadir = {root}/store/slow
[tiny]
filesystem_store_datadir = {root}/store/tiny
[os_glance_staging_store]
filesystem_store_datadir = {root}/staging
[os_glance_tasks_store]
filesystem_store_datadir = {root}/tasks
[database]
connection = {url}
[keystone_authtoken]
www_authenticate_uri = http://{address}:{keystone}
auth_url = http://{address}:{keystone}
auth_type = password
project_domain_id = default
user_domain_id = default
project_name = service
username = glance
password = {password}
[paste_deploy]
flavor = keystone
config_file = {etc}/glance/glance-api-paste.ini
[oslo_policy]
policy_file = {etc}/glance/policy.yaml
"""

GLANCE_IMPORT_CONF = f"""\
[import_filtering_opts]
allowed_schemes = [http]
allowed_ports = [80,443,{place.MIRROR_PORT}]
allowed_hosts = [{place.MIRROR}]
[taskflow_executor]
conversion_format =
"""


@dataclass(frozen=True)
class Deployment:
    """How the services are deployed: Glance's era, workers and threads of each, where they find the database."""

    python: Path  # of Keystone and the clients
    glance_python: Path
    era: int
    workers: int
    threads: int
    database: str
    public: str  # Keystone's public URL

    @property
    def schema(self) -> str:
        return {1: "glanceold", 2: "glance", 3: "glance"}[self.era]


def configure(deployment: Deployment) -> None:
    """Writes the configuration files."""
    common = {"log": place.LOG, "etc": place.ETC, "root": place.ROOT}
    keystone = KEYSTONE_CONF.format(
        public=deployment.public, url=database.url("keystone", deployment.database), **common
    )
    glance = GLANCE_CONF.format(
        address=place.SERVICES,
        port=place.GLANCE,
        keystone=place.KEYSTONE,
        workers=deployment.workers,
        password=place.SERVICE_PASSWORD,
        url=database.url(deployment.schema, deployment.database),
        **common,
    )
    write(place.ETC / "keystone/keystone.conf", keystone)
    write(place.ETC / "glance/glance-api.conf", glance)
    write(place.ETC / "glance/glance-image-import.conf", GLANCE_IMPORT_CONF)
    write(place.ETC / "glance/policy.yaml", "{}\n")
    shutil.copy(deployment.glance_python.parent.parent / "etc/glance/glance-api-paste.ini", place.ETC / "glance")


def prepare(deployment: Deployment) -> None:
    """Creates the schemas, the change log and the first accounts; takes longer than all the rest."""
    database.create_schema("keystone")
    database.create_schema(deployment.schema)
    for order in (
        "db_sync",
        "fernet_setup --keystone-user root --keystone-group root",
        "credential_setup --keystone-user root --keystone-group root",
        BOOTSTRAP.format(public=deployment.public),
    ):
        manage = [str(deployment.python.parent / "keystone-manage"), "--config-dir", str(place.ETC / "keystone")]
        run("keystone-manage", [*manage, *order.split()])
    manage = [str(deployment.glance_python.parent / "glance-manage"), "--config-dir", str(place.ETC / "glance")]
    run("glance-manage", [*manage, "db_sync"])
    database.log_changes(deployment.schema)
    keystone = launch_keystone(deployment)
    create_accounts(deployment.public)
    stop(keystone)


def launch_keystone(deployment: Deployment) -> subprocess.Popen[bytes]:
    return gunicorn(deployment, "keystone", place.KEYSTONE, "keystone_app:application")


def launch_glance(deployment: Deployment) -> None:
    if deployment.era == 3:
        gunicorn(deployment, "glance", place.GLANCE, "glance_app:application")
        return
    command = [
        str(deployment.glance_python),
        str(HOOKS / "glance_eventlet.py"),
        "--config-dir",
        str(place.ETC / "glance"),
    ]
    process = start("glance", command, environment())
    wait_for("Glance", lambda: http_status(place.SERVICES, place.GLANCE, "/healthcheck") == 200, 90, process)


def gunicorn(deployment: Deployment, name: str, port: int, application: str) -> subprocess.Popen[bytes]:
    options = (
        f"--bind {place.SERVICES}:{port} --no-control-socket --worker-class gthread --workers {deployment.workers}"
        f" --threads {deployment.threads} --timeout 120 --keep-alive 60 --access-logfile {place.LOG}/{name}-access.log"
    )
    process = start(
        name,
        [str(deployment.python), "-m", "gunicorn", "--pythonpath", str(HOOKS), *options.split(), application],
        environment(),
    )
    wait_for(name, lambda: http_status(place.SERVICES, port, "/healthcheck") == 200, 90, process)
    return process


def environment() -> dict[str, str]:
    return {
        "LAB_TRUTH": str(place.TRUTH),
        "OS_KEYSTONE_CONFIG_DIR": str(place.ETC / "keystone"),
        "OS_GLANCE_CONFIG_DIR": str(place.ETC / "glance"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(HOOKS),
        "HOME": str(place.ROOT),
        "PATH": os.environ["PATH"],
    }


def create_accounts(public: str) -> None:
    """Glance's service account, the catalogue, and three projects with a member each."""
    api = requests.Session()
    base = f"http://{place.SERVICES}:{place.KEYSTONE}/v3"

    def post(kind: str, **fields: object) -> str:
        answer = api.post(f"{base}/{kind}s", json={kind: fields})
        if answer.status_code != 201:
            raise LabError(f"Keystone does not create a {kind}: {answer.status_code} {answer.text}")
        return str(answer.json()[kind]["id"])

    answer = api.post(f"{base}/auth/tokens", json=credentials("admin", "admin", place.ADMIN_PASSWORD))
    if answer.status_code != 201:
        raise LabError(f"Keystone refuses its administrator: {answer.status_code} {answer.text}")
    api.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]
    roles = {role["name"]: role["id"] for role in api.get(f"{base}/roles").json()["roles"]}

    def assign(name: str, password: str, project: str, role: str) -> None:
        user = post("user", name=name, password=password, domain_id="default")
        api.put(f"{base}/projects/{project}/users/{user}/roles/{roles[role]}").raise_for_status()

    assign("glance", place.SERVICE_PASSWORD, post("project", name="service", domain_id="default"), "admin")
    for name in PROJECTS:
        assign(name, place.USER_PASSWORD, post("project", name=name, domain_id="default"), "member")
    image = post("service", name="glance", type="image")
    scheme = public.split(":", 1)[0]
    post("endpoint", service_id=image, interface="public", url=f"{scheme}://{place.PROXY}:{place.GLANCE_PUBLIC}")


def warm_up(lab: "Lab", deployment: Deployment) -> None:
    """Makes every process of the services open its connections to the database, as they are on a controller in use."""
    token = lab.token()
    for _ in range(4 * deployment.workers):
        requests.get(f"{lab.glance}/v2/images?limit=1", headers={"X-Auth-Token": token}).raise_for_status()
        lab.token()


def all_images(lab: "Lab") -> list[dict[str, Any]]:
    """All images as the API lists them to the administrator."""
    headers = {"X-Auth-Token": lab.token()}
    images: list[dict[str, Any]] = []
    for hidden in ("false", "true"):
        following = f"/v2/images?limit=500&os_hidden={hidden}"
        while following:
            page = requests.get(lab.glance + following, headers=headers).json()
            images += page["images"]
            following = page.get("next")
    return images


def credentials(user: str, project: str, password: str) -> dict[str, object]:
    """The body of POST /v3/auth/tokens."""
    identity = {"methods": ["password"], "password": {"user": {"name": user, "domain": DOMAIN, "password": password}}}
    return {"auth": {"identity": identity, "scope": {"project": {"name": project, "domain": DOMAIN}}}}
