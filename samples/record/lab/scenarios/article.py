"""The walk of the article: kernel, ramdisk and image of an overcloud uploaded by the real python-glanceclient.

For each: look it up by its name, list, create, upload (chunked), show, set a property, show again.
"""

import io
import random
from contextlib import AbstractContextManager, suppress

import glanceclient
from glanceclient import exc
from keystoneauth1 import session
from keystoneauth1.identity.generic import Password

from lab import place
from lab.images import qcow2
from lab.session import Lab


def run(lab: Lab) -> None:
    with lab.calls.labelled("auth", "glanceclient"):
        login = Password(
            auth_url=lab.keystone,
            username="admin",
            password=place.ADMIN_PASSWORD,
            project_name="admin",
            user_domain_id="default",
            project_domain_id="default",
        )
        token = session.Session(login).get_token()
    client = glanceclient.Client("2", endpoint=lab.glance, token=token)
    sizes = {
        "overcloud-full-vmlinuz": ("aki", random.Random(lab.seed).randbytes(140_000)),
        "overcloud-full-initrd": ("ari", random.Random(lab.seed + 1).randbytes(200_010)),
        "overcloud-full": ("qcow2", qcow2(600_000, lab.seed + 2)),
    }
    ids: dict[str, str] = {}
    for name, (disk_format, data) in sizes.items():
        ids[name] = upload(lab, client, name, disk_format, data, ids)
    with lab.calls.labelled("final list", "glanceclient"):
        list(client.images.list(page_size=200))


def upload(lab: Lab, client: glanceclient.Client, name: str, disk_format: str, data: bytes, ids: dict[str, str]) -> str:
    """Creates and fills one image; the image proper names its kernel and ramdisk."""

    def labelled(what: str) -> AbstractContextManager[None]:
        return lab.calls.labelled(f"{what} {name}", "glanceclient")

    with labelled("get-by-name"), suppress(exc.HTTPNotFound):
        client.images.get(name)
    with labelled("list"):
        list(client.images.list(page_size=20, limit=20))
    parts = {}
    if disk_format == "qcow2":
        parts = {"kernel_id": ids["overcloud-full-vmlinuz"], "ramdisk_id": ids["overcloud-full-initrd"]}
    container_format = "bare" if disk_format == "qcow2" else disk_format
    with labelled("create"):
        image = client.images.create(
            name=name, disk_format=disk_format, container_format=container_format, visibility="public", **parts
        )
    with labelled("upload"):
        client.images.upload(image.id, io.BytesIO(data))
    with labelled("show"):
        client.images.get(image.id)
    with labelled("patch"):
        client.images.update(image.id, hw_architecture="x86_64")
    return str(image.id)
