"""Imports by several clients at once: glance-direct, web-download, copy-image. Their SQL runs on after the 202.

Each client stages or creates an image, asks for the import, and then looks at the image until it has settled.
"""

import random
import threading
import time

from lab.mirror import mirror
from lab.session import Lab, Strand

ROUNDS = 3
UNSETTLED = ("pending", "processing")  # of tasks
COPY_TO = "slow"


def run(lab: Lab) -> None:
    with mirror(random.Random(lab.seed).randbytes(120_000)) as url:
        threads = [threading.Thread(target=client, args=(lab, number, url)) for number in range(lab.clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def client(lab: Lab, number: int, url: str) -> None:
    chance = random.Random(lab.seed * 1000 + number)
    name = f"c{number:02d}"
    with lab.calls.labelled("start", name):
        strand = Strand(lab)
    ways = (glance_direct, web_download, copy_image)
    for round_ in range(ROUNDS):
        for way in chance.sample(ways, len(ways)):
            with lab.calls.labelled(f"{way.__name__} #{round_}", name):
                image = strand.create(f"{way.__name__}-{name}-{round_}")
                way(strand, image, url, chance.randbytes(chance.choice((10_000, 80_000, 300_000))))
                settle(strand, image)


def glance_direct(strand: Strand, image: str, url: str, data: bytes) -> int:
    strand.call("PUT", f"/v2/images/{image}/stage", data=data, content_type="application/octet-stream")
    return ask(strand, image, {"method": {"name": "glance-direct"}})


def web_download(strand: Strand, image: str, url: str, data: bytes) -> int:
    return ask(strand, image, {"method": {"name": "web-download", "uri": f"{url}/{image}"}})


def copy_image(strand: Strand, image: str, url: str, data: bytes) -> int:
    """Uploads to the default store, then copies to another; the image stays active meanwhile."""
    strand.upload(image, data)
    return ask(strand, image, {"method": {"name": "copy-image"}, "stores": [COPY_TO]})


def ask(strand: Strand, image: str, wanted: dict[str, object]) -> int:
    return int(strand.call("POST", f"/v2/images/{image}/import", json_body=wanted).status_code)


def settle(strand: Strand, image: str, seconds: float = 20) -> dict[str, object]:
    """The image once its tasks are over, or as it is after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        shown = strand.call("GET", f"/v2/images/{image}").json()
        tasks = strand.call("GET", f"/v2/images/{image}/tasks").json().get("tasks", [])
        if time.monotonic() > deadline or not any(task["status"] in UNSETTLED for task in tasks):
            return dict(strand.call("GET", f"/v2/images/{image}").json() if tasks else shown)
        time.sleep(0.2)
