"""Many clients at once, on images of their own, on each other's, and on three hot ones.

Each client is a thread with one keep-alive connection and a random generator of its own, seeded by the scenario's
seed and its number. What a call finds depends on what the others did before, so refusals (403, 404, 409) belong to it.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator

import requests

from lab.services import PROJECTS
from lab.session import Lab, Strand

USERS = ("admin", *PROJECTS)
HOT = 3
LISTS = (
    "limit=5",
    "limit=20&sort_key=name&sort_dir=asc",
    "status=active&limit=10",
    "tag=t1&visibility=shared",
    "visibility=public",
    "name={name}",
)
PATCH_TYPE = "application/openstack-images-v2.1-json-patch"


def run(lab: Lab) -> None:
    crowd = Crowd(lab)
    with lab.calls.labelled("hot", "hot"):
        owner = Strand(lab)
        crowd.tokens = {"admin": owner.token, **{user: lab.token(user, owner.api) for user in PROJECTS}}
        for number in range(HOT):
            image = owner.create(f"hot-{number}", visibility="public")
            owner.upload(image, random.Random(number).randbytes(40_000))
            crowd.hot.append(image)
    clients = [Client(crowd, number) for number in range(lab.clients)]
    threads = [threading.Thread(target=client.run) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Crowd:
    """What the clients share: tokens, images, the end."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.hot: list[str] = []
        self.images: list[str] = []
        self.tokens: dict[str, str] = {}
        self.lock = threading.Lock()
        self.end = 0.0
        self.ready = threading.Barrier(lab.clients, action=self.begin)

    def begin(self) -> None:
        self.end = time.monotonic() + self.lab.seconds


class Client:
    """One client: calls chosen by weight until the time is up."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        self.crowd, self.number = crowd, number
        self.random = random.Random(crowd.lab.seed * 1000 + number)
        self.user = USERS[number % len(USERS)]
        self.client = f"c{number:02d}"
        self.own: list[str] = []
        self.made = 0
        self.choices: list[tuple[Callable[[], object], int]] = [
            (self.create, 10),
            (self.create_and_upload, 14),
            (self.upload, 8),
            (self.show, 14),
            (self.list, 12),
            (self.schema, 2),
            (self.patch, 12),
            (self.deactivate, 5),
            (self.reactivate, 5),
            (self.tag, 6),
            (self.untag, 3),
            (self.add_member, 4),
            (self.list_members, 3),
            (self.delete, 4),
            (self.download, 5),
        ]

    def run(self) -> None:
        lab = self.crowd.lab
        with lab.calls.labelled("start", self.client):
            self.strand = Strand(lab, self.user, self.token())
        self.crowd.ready.wait()
        step = 0
        while time.monotonic() < self.crowd.end:
            step += 1
            ((action, _),) = self.random.choices(self.choices, [weight for _, weight in self.choices])
            with lab.calls.labelled(f"{action.__name__} #{step}", self.client):
                try:
                    action()
                except requests.RequestException:
                    self.strand.reconnect()  # HAProxy found the service's connection closed
            if self.random.random() < 0.3:
                time.sleep(self.random.random() * 0.05)

    def token(self) -> str | None:
        """Some clients of a user share a token; the others log in for one of their own."""
        own_token = self.number // len(USERS) % 4 == 1
        return None if own_token else self.crowd.tokens[self.user]

    def image(self) -> str:
        """An image to work on: a hot one, one of one's own, anyone's."""
        crowd = self.crowd
        if self.random.random() < crowd.lab.hot:
            return self.random.choice(crowd.hot)
        with crowd.lock:
            others = list(crowd.images)
        if self.own and self.random.random() < 0.7:
            return self.random.choice(self.own)
        return self.random.choice(others) if others else self.create()

    def name(self) -> str:
        return f"img-c{self.number:02d}-{self.made}"

    def create(self) -> str:
        self.made += 1
        fields: dict[str, object] = {"visibility": self.random.choice(("private", "shared", "shared"))}
        if self.user == "admin" and self.random.random() < 0.3:
            fields["visibility"] = "public"
        if self.random.random() < 0.4:
            fields["tags"] = [f"t{self.random.randrange(9)}"]
        if self.random.random() < 0.4:
            fields[f"prop{self.random.randrange(5)}"] = str(self.random.randrange(100))
        image = self.strand.create(self.name(), **fields)
        if image:
            self.own.append(image)
            with self.crowd.lock:
                self.crowd.images.append(image)
        return image or self.random.choice(self.crowd.hot)

    def create_and_upload(self) -> None:
        self.strand.upload(self.create(), self.data())

    def upload(self) -> None:
        self.strand.upload(self.image(), self.data())

    def data(self) -> bytes | Iterator[bytes]:
        """With a length, or in pieces, which makes an upload chunked."""
        data = self.random.randbytes(self.random.choice((1_000, 20_000, 60_000, 150_000, 400_000)))
        if self.random.random() < 0.5:
            return data
        return (data[at : at + 16_384] for at in range(0, len(data), 16_384))

    def show(self) -> None:
        self.strand.call("GET", f"/v2/images/{self.image()}")

    def list(self) -> None:
        self.strand.call("GET", "/v2/images?" + self.random.choice(LISTS).format(name=self.name()))

    def schema(self) -> None:
        self.strand.call("GET", "/v2/schemas/image")

    def patch(self) -> None:
        image, value = self.image(), str(self.random.randrange(1000))
        changes = self.random.choice(
            (
                [{"op": "replace", "path": "/name", "value": f"renamed-{value}"}],
                [{"op": "add", "path": f"/prop{self.random.randrange(5)}", "value": value}],
                [{"op": "replace", "path": "/min_ram", "value": int(value)}],
                [{"op": "remove", "path": f"/prop{self.random.randrange(5)}"}],
                [{"op": "add", "path": "/prop1", "value": value}, {"op": "replace", "path": "/min_disk", "value": 1}],
            )
        )
        self.strand.call("PATCH", f"/v2/images/{image}", json_body=changes, content_type=PATCH_TYPE)

    def deactivate(self) -> None:
        self.strand.call("POST", f"/v2/images/{self.image()}/actions/deactivate")

    def reactivate(self) -> None:
        self.strand.call("POST", f"/v2/images/{self.image()}/actions/reactivate")

    def tag(self) -> None:
        self.strand.call("PUT", f"/v2/images/{self.image()}/tags/t{self.random.randrange(9)}")

    def untag(self) -> None:
        self.strand.call("DELETE", f"/v2/images/{self.image()}/tags/t{self.random.randrange(9)}")

    def add_member(self) -> None:
        member = {"member": self.random.choice(PROJECTS)}
        self.strand.call("POST", f"/v2/images/{self.image()}/members", json_body=member)

    def list_members(self) -> None:
        self.strand.call("GET", f"/v2/images/{self.image()}/members")

    def delete(self) -> None:
        image = self.random.choice(self.own) if self.own else None
        if image:
            self.own.remove(image)
            self.strand.call("DELETE", f"/v2/images/{image}")

    def download(self) -> None:
        self.strand.call("GET", f"/v2/images/{self.image()}/file")
