"""Deployments as the recorded samples do not have them, played by a model of Glance.

`Glance` says what a real Glance says for a create, an upload and a show: the HTTP messages and the SQL texts are those
of the recorded captures (Glance 33: statements, COMMIT, ROLLBACK), with other ids, sizes and hashes. `GlanceV1` is the
API of Icehouse to Mitaka, whose database belongs to a registry behind it.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tests.support.conversation import Conversation, Endpoint, Http, Mysql

__all__ = ["CLIENT", "CONTROLLER", "DATABASE", "IMAGE_ID", "OWNER", "Glance", "GlanceV1", "Image", "image_data"]

CLIENT = "192.0.2.10"
CONTROLLER = "192.0.2.20"
DATABASE: Endpoint = ("192.0.2.30", 3306)
IMAGE_ID = "5fe95869-1c0b-4d60-9411-7ab6fec37ea8"
OWNER = "e6499f47484f45538d61b37b7d4a386c"
_NOW = "2020-02-18 04:49:55.993652"

_FIELDS = (
    "id", "name", "disk_format", "container_format", "size", "virtual_size", "status", "visibility", "checksum",
    "os_hash_algo", "os_hash_value", "min_disk", "min_ram", "owner", "protected", "os_hidden", "created_at",
    "updated_at", "deleted_at", "deleted",
)  # fmt: skip
_PARTS = ("id", "image_id", "name", "value", "created_at", "updated_at", "deleted_at", "deleted")
_LOCATION_PARTS = (
    "id",
    "image_id",
    "value",
    "meta_data",
    "status",
    "created_at",
    "updated_at",
    "deleted_at",
    "deleted",
)


def image_data(size: int, *, without: bytes = b"") -> bytes:
    """Random bytes, the same every time; none of the bytes in `without`."""
    return random.Random(size).randbytes(size * 2).translate(None, without)[:size]


@dataclass(slots=True)
class Image:
    """A row of the table images."""

    id: str = IMAGE_ID
    name: str = "overcloud-full"
    status: str = "queued"
    size: int | None = None
    checksum: str | None = None
    sha512: str | None = None
    disk_format: str = "raw"

    def value(self, column: str) -> Any:
        """Value of a column."""
        known = {
            "id": self.id, "name": self.name, "disk_format": self.disk_format, "container_format": "bare",
            "size": self.size, "status": self.status, "visibility": "private", "checksum": self.checksum,
            "os_hash_algo": "sha512" if self.sha512 else None, "os_hash_value": self.sha512, "min_disk": 0,
            "min_ram": 0, "owner": OWNER, "protected": 0, "os_hidden": 0, "created_at": _NOW, "updated_at": _NOW,
            "deleted": 0,
        }  # fmt: skip
        return known.get(column)

    def document(self) -> dict[str, Any]:
        """The image as API v2 shows it."""
        columns = [c for c in _FIELDS if c not in ("deleted", "deleted_at")]
        return {c: self.value(c) for c in columns} | {"protected": False, "os_hidden": False, "tags": []}

    def document_v1(self) -> dict[str, Any]:
        """The image as API v1 and the registry show it."""
        columns = ("id", "name", "status", "size", "checksum", "disk_format", "container_format", "owner", "min_disk")
        return {"image": {c: self.value(c) for c in columns} | {"is_public": True, "deleted": False, "properties": {}}}


def literal(value: Any) -> str:
    """A value as PyMySQL writes it into the text."""
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


class Database:
    """Glance's statements on one MySQL session."""

    def __init__(self, mysql: Mysql, *, autocommit: bool = False) -> None:
        self.mysql = mysql
        self.autocommit = autocommit

    def commit(self) -> None:
        """COMMIT, and the pool's ROLLBACK on return."""
        if not self.autocommit:
            self.mysql.write("COMMIT")
        self.release()

    def release(self) -> None:
        """The pool's ROLLBACK on return."""
        if not self.autocommit:
            self.mysql.write("ROLLBACK")

    def select(self, image: Image | None, asked: str) -> None:
        """The big SELECT of one image."""
        labels = [(f"images.{c}", f"images_{c}") for c in _FIELDS]
        labels += [(f"image_properties_1.{c}", f"image_properties_1_{c}") for c in _PARTS]
        labels += [(f"image_locations_1.{c}", f"image_locations_1_{c}") for c in _LOCATION_PARTS]
        columns = ", ".join(f"{column} AS {label}" for column, label in labels)
        sql = (
            f"SELECT {columns} \nFROM images LEFT OUTER JOIN image_properties AS image_properties_1 ON images.id = "
            "image_properties_1.image_id LEFT OUTER JOIN image_locations AS image_locations_1 ON images.id = "
            f"image_locations_1.image_id \nWHERE images.id = {literal(asked)}"
        )
        empty = [None] * (len(_PARTS) + len(_LOCATION_PARTS))
        rows = [] if image is None else [[*(image.value(c) for c in _FIELDS), *empty]]
        self.mysql.read(sql, [label for _, label in labels], rows)

    def get(self, image: Image) -> None:
        """What every call about an image begins with: the image, then its tags."""
        self.select(image, image.id)
        self.release()
        sql = (
            "SELECT image_tags.value AS image_tags_value \nFROM image_tags \n"
            f"WHERE image_tags.image_id = '{image.id}' AND image_tags.deleted = false"
        )
        self.mysql.read(sql, ["image_tags_value"], [])
        self.release()

    def insert(self, image: Image) -> None:
        """A new image."""
        values = ", ".join(literal(image.value(c)) for c in _FIELDS)
        self.mysql.write(f"INSERT INTO images ({', '.join(_FIELDS)}) VALUES ({values})")
        self.commit()

    def update_text(self, image: Image, status_from: str) -> str:
        """The UPDATE of a save."""
        columns = [c for c in _FIELDS if c not in ("created_at", "deleted_at", "deleted")]
        values = ", ".join(f"{c}={literal(image.value(c))}" for c in columns)
        return f"UPDATE images SET {values} WHERE images.id = '{image.id}' AND images.status = '{status_from}'"

    def save(
        self, image: Image, status_from: str, *, affected: int = 1, deadlocks: int = 0, location: str = ""
    ) -> None:
        """A save that changes the status: what the API calls v2 do; each deadlock repeats the whole unit."""
        before = replace(image, status=status_from)
        for attempt in range(deadlocks + 1):
            self.select(before, image.id)
            sql = f"SELECT images.id \nFROM images \nWHERE images.id = '{image.id}' AND images.status = '{status_from}'"
            self.mysql.read(sql, ["id"], [[image.id]] * affected)
            if attempt < deadlocks:
                message = "Deadlock found when trying to get lock; try restarting transaction"
                self.mysql.fail(self.update_text(image, status_from), 1213, "40001", message)
                self.release()
                self.mysql.legs[0].conversation.wait(0.5)
        self.mysql.write(self.update_text(image, status_from), affected)
        if location:
            self.mysql.write(
                "INSERT INTO image_locations (created_at, updated_at, deleted_at, deleted, image_id, value, meta_data, "
                f"status) VALUES ('{_NOW}', '{_NOW}', NULL, 0, '{image.id}', '{location}', '{{}}', 'active')"
            )
        if affected:
            self.commit()
        else:
            self.release()


class Glance:
    """API v2 with its database."""

    def __init__(
        self,
        conversation: Conversation,
        *,
        api: Endpoint = (CONTROLLER, 9292),
        prefix: str = "",
        token: str = "",
        autocommit: bool = False,
        mysql: Mysql | None = None,
        agent: str = "python-glanceclient",
    ) -> None:
        self.conversation = conversation
        self.prefix = prefix
        self.headers = [("User-Agent", agent), *([("X-Auth-Token", token)] if token else [])]
        self.http = Http(conversation.connect(CLIENT, api))
        if mysql is None:
            mysql = Mysql(conversation.connect(CONTROLLER, DATABASE), autocommit=autocommit)
        mysql.login("glance", "glance")
        self.database = Database(mysql, autocommit=autocommit)
        self._requests = 0

    def _request_id(self) -> list[tuple[str, str]]:
        self._requests += 1
        return [("x-openstack-request-id", f"req-00000000-0000-4000-8000-{self._requests:012d}")]

    def lookup(self, name: str) -> None:
        """GET by name: not found."""
        self.http.ask("GET", f"{self.prefix}/v2/images/{name}", self.headers)
        self.database.select(None, name)
        self.database.release()
        self.http.answer("404 Not Found", b"<html>No image found</html>", self._request_id())

    def create(self, image: Image) -> None:
        """POST /v2/images."""
        body = {"name": image.name, "disk_format": image.disk_format, "container_format": "bare"}
        self.http.ask("POST", f"{self.prefix}/v2/images", self.headers, body)
        self.database.insert(image)
        self.database.get(image)
        self.http.answer("201 Created", image.document(), self._request_id())

    def begin_saving(self, image: Image, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Head of PUT .../file (chunked), and the change to saving."""
        headers = [*self.headers, ("Content-Type", "application/octet-stream"), *headers]
        self.http.begin_upload("PUT", f"{self.prefix}/v2/images/{image.id}/file", headers)
        self.database.get(image)
        image.status = "saving"
        self.database.save(image, "queued")

    def record(self, image: Image, data: bytes) -> None:
        """What Glance will write down about these data."""
        image.size = len(data)
        image.checksum = hashlib.md5(data, usedforsecurity=False).hexdigest()
        image.sha512 = hashlib.sha512(data).hexdigest()

    def finish_saving(self, image: Image, *, deadlocks: int = 0, location: str = "") -> None:
        """The change to active, and the answer."""
        image.status = "active"
        location = location or f"file:///var/lib/glance/images/{image.id}"
        self.database.save(image, "saving", deadlocks=deadlocks, location=location)
        self.http.answer("204 No Content", None, self._request_id())

    def upload(self, image: Image, data: bytes, headers: Sequence[tuple[str, str]] = ()) -> None:
        """PUT .../file with chunks of 64 KiB; the image is active in the end."""
        self.begin_saving(image, headers)
        for begin in range(0, len(data), 65_536):
            self.http.chunk(data[begin : begin + 65_536])
        self.http.chunk(b"")
        self.record(image, data)
        self.finish_saving(image)

    def show(self, image: Image, shown: Image | None = None) -> None:
        """GET /v2/images/{id}; `shown` is what the answer says if that differs from the database."""
        self.http.ask("GET", f"{self.prefix}/v2/images/{image.id}", self.headers)
        self.database.get(image)
        self.http.answer("200 OK", (shown or image).document(), self._request_id())


class GlanceV1:
    """API v1 in front of a registry: one POST creates the image and takes its data."""

    def __init__(self, conversation: Conversation) -> None:
        self.http = Http(conversation.connect(CLIENT, (CONTROLLER, 9292)))
        self.registry = Http(conversation.connect(CONTROLLER, (CONTROLLER, 9191)))
        mysql = Mysql(conversation.connect(CONTROLLER, DATABASE))
        mysql.login("glance", "glance")
        self.mysql = mysql
        self.database = Database(mysql)

    def _registry_update(self, image: Image, status_from: str, body: dict[str, Any], columns: Sequence[str]) -> None:
        headers = [("X-Glance-Registry-Purge-Props", "false")]
        self.registry.ask("PUT", f"/images/{image.id}", headers, {"image": body, "from_state": status_from})
        where = f"WHERE images.id = '{image.id}' AND images.status = '{status_from}'"
        self.mysql.read(f"SELECT images.id AS images_id \nFROM images \n{where}", ["images_id"], [[image.id]])
        values = ", ".join(f"{c}={literal(image.value(c))}" for c in columns)
        self.mysql.write(f"UPDATE images SET updated_at='{_NOW}', {values} {where}")
        self.database.commit()
        self.registry.answer("200 OK", image.document_v1())

    def create_with_data(self, image: Image, data: bytes) -> None:
        """POST /v1/images with x-image-meta headers and the data as body."""
        headers = [
            ("User-Agent", "python-glanceclient"),
            ("Content-Type", "application/octet-stream"),
            ("x-image-meta-name", image.name),
            ("x-image-meta-disk_format", image.disk_format),
            ("x-image-meta-container_format", "bare"),
            ("x-image-meta-is_public", "True"),
            ("x-image-meta-size", str(len(data))),
        ]
        self.http.begin_upload("POST", "/v1/images", headers)
        self.registry.ask("POST", "/images", [], {"image": {"name": image.name, "status": "queued"}})
        columns = ["created_at", "updated_at", "deleted", "id", "name", "disk_format", "container_format", "size"]
        columns += ["status", "checksum", "min_disk", "min_ram", "owner", "protected"]
        values = ", ".join(literal(image.value(c)) for c in columns)
        self.mysql.write(f"INSERT INTO images ({', '.join(columns)}, is_public) VALUES ({values}, 1)")
        self.database.commit()
        self.registry.answer("200 OK", image.document_v1())
        image.status = "saving"
        self._registry_update(image, "queued", {"status": "saving"}, ["status"])
        for begin in range(0, len(data), 65_536):
            self.http.chunk(data[begin : begin + 65_536])
        self.http.chunk(b"")
        image.size = len(data)
        image.checksum = hashlib.md5(data, usedforsecurity=False).hexdigest()
        body = {"checksum": image.checksum, "size": image.size}
        self._registry_update(image, "saving", body, ["size", "checksum"])
        image.status = "active"
        location = f"file:///var/lib/glance/images/{image.id}"
        body = {"status": "active", "location_data": [{"url": location, "metadata": {}, "status": "active"}]}
        self._registry_update(image, "saving", body, ["status"])
        self.http.answer("201 Created", image.document_v1(), [("Etag", image.checksum)])
