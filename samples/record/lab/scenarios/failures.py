"""What goes wrong or looks odd, case by case; each case is labelled, and noted with what was observed."""

import random
import time
from collections.abc import Callable

import requests

from lab.mirror import mirror
from lab.scenarios import refusals, uploads
from lab.scenarios.imports import ask, glance_direct, settle, web_download
from lab.scenarios.uploads import DATA, Outcome
from lab.session import Lab, Strand


def run(lab: Lab) -> None:
    strand = Strand(lab)
    with mirror(random.Random(lab.seed).randbytes(120_000)) as url:
        for case in (*uploads.CASES, *refusals.CASES, *import_cases(url)):
            record(lab, strand, case)


def record(lab: Lab, strand: Strand, case: Callable[[Strand], Outcome]) -> None:
    start = time.time_ns()
    image: str | None = None
    with lab.calls.labelled(case.__name__, "failures"):
        try:
            image, observed = case(strand)
        except (requests.RequestException, OSError) as error:
            observed = [type(error).__name__]
            strand.reconnect()
    row = {"kind": "case", "case": case.__name__, "image_id": image, "observed": observed}
    lab.calls.add({**row, "start_ns": start, "end_ns": time.time_ns()})


def import_cases(url: str) -> list[Callable[[Strand], Outcome]]:
    """Imports that work, work in part, or do not."""

    def imported(name: str, stores: list[str], **more: object) -> Callable[[Strand], Outcome]:
        def case(strand: Strand) -> Outcome:
            image = strand.create(name)
            path = f"/v2/images/{image}/stage"
            staged = strand.call("PUT", path, data=DATA * 5, content_type="application/octet-stream").status_code
            asked = ask(strand, image, {"method": {"name": "glance-direct"}, "stores": stores, **more})
            return image, [staged, asked, settle(strand, image, 8).get("status")]

        case.__name__ = name
        return case

    def glance_direct_plain(strand: Strand) -> Outcome:
        image = strand.create("glance-direct")
        return image, [glance_direct(strand, image, url, DATA), settle(strand, image).get("status")]

    def web_download_ok(strand: Strand) -> Outcome:
        image = strand.create("web-download")
        return image, [web_download(strand, image, url, b""), settle(strand, image).get("status")]

    def web_download_404(strand: Strand) -> Outcome:
        image = strand.create("web-download-404")
        return image, [web_download(strand, image, f"{url}/missing", b""), settle(strand, image).get("status")]

    return [
        glance_direct_plain,
        imported("glance_direct_two_stores", ["fast", "slow"]),
        imported("import_partial_stores", ["fast", "tiny"], all_stores_must_succeed=False),
        imported("glance_direct_into_full_store", ["tiny"]),
        web_download_ok,
        web_download_404,
    ]
