"""Cases of calls that are refused, odd, or in each other's way. Each gives (image, what was observed)."""

import threading
from typing import Any

from lab.scenarios.concurrent import PATCH_TYPE
from lab.scenarios.uploads import DATA, Outcome, status
from lab.session import Strand

ODD_NAMES = (
    "<script>alert(1)</script>",
    "\x1b[31mred\x1b[0m",
    "quo\"te's and `ticks`",
    "semi;colon -- comment /* */",
    "back\\slash %s %d {}",
    "tab\tand\nnewline",
    "ünïcödé 中文",
    "\u202eright to left",
    "n" * 255,
    " ",
    "../../etc/passwd",
    "\U0001f4be",
    "n" * 256,
)


def codes(strand: Strand, *calls: tuple[str, str]) -> list[int]:
    return [strand.call(method, path).status_code for method, path in calls]


def patch(strand: Strand, image: str, op: str, path: str, value: object = None) -> int:
    change = {"op": op, "path": path} | ({} if op == "remove" else {"value": value})
    return int(strand.call("PATCH", f"/v2/images/{image}", json_body=[change], content_type=PATCH_TYPE).status_code)


def delete_twice_and_patch_after(strand: Strand) -> Outcome:
    image = strand.create("delete-twice")
    gone = codes(strand, ("DELETE", f"/v2/images/{image}"), ("DELETE", f"/v2/images/{image}"))
    return image, [*gone, patch(strand, image, "replace", "/name", "late")]


def patch_conflicts(strand: Strand) -> Outcome:
    image = strand.create("patch-conflicts")
    attempts = (
        ("remove", "/not_there", None),
        ("replace", "/not_there", "x"),
        ("replace", "/status", "active"),
        ("replace", "/checksum", "0"),
        ("remove", "/name", None),
        ("add", "/id", "x"),
        ("replace", "/min_ram", -1),
        ("replace", "/visibility", "everyone"),
        ("replace", "/size", 7),
    )
    return image, [[patch(strand, image, *attempt) for attempt in attempts]]


def concurrent_patch_same_image(strand: Strand) -> Outcome:
    image = strand.create("patched-at-once")
    seen: list[int] = []
    label, client = strand.lab.calls.label, strand.lab.calls.client

    def change(number: int) -> None:
        with strand.lab.calls.labelled(label, client):
            seen.append(patch(Strand(strand.lab, token=strand.token), image, "add", f"/p{number % 2}", str(number)))

    threads = [threading.Thread(target=change, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return image, [seen]


def create_invalid(strand: Strand) -> Outcome:
    """The last one asks for an id that is taken: SQL error 1062."""
    image = strand.create("taken-id")
    attempts: tuple[dict[str, object], ...] = (
        {"name": "x", "disk_format": "floppy"},
        {"name": "x", "min_ram": "much"},
        {"name": "x", "visibility": "everyone"},
        {"name": "x", "disk_format": "raw", "container_format": "bare", "id": image},
    )
    return image, [strand.call("POST", "/v2/images", json_body=attempt).status_code for attempt in attempts]


def protected(strand: Strand) -> Outcome:
    image = strand.create("protected", protected=True)
    refused = strand.call("DELETE", f"/v2/images/{image}").status_code
    released = patch(strand, image, "replace", "/protected", False)
    return image, [refused, released, strand.call("DELETE", f"/v2/images/{image}").status_code]


def deactivate_reactivate(strand: Strand) -> Outcome:
    image = strand.create("deactivated", visibility="public")
    strand.upload(image, DATA)
    off = strand.call("POST", f"/v2/images/{image}/actions/deactivate").status_code
    between = status(strand, image)
    member = Strand(strand.lab, "alpha")
    read = member.call("GET", f"/v2/images/{image}/file").status_code
    on = strand.call("POST", f"/v2/images/{image}/actions/reactivate").status_code
    return image, [off, between, read, on, status(strand, image)]


def import_without_stage(strand: Strand) -> Outcome:
    image = strand.create("import-unstaged")
    ways: tuple[dict[str, object], ...] = ({"name": "glance-direct"}, {"name": "telepathy"})
    answers = [strand.call("POST", f"/v2/images/{image}/import", json_body={"method": way}).status_code for way in ways]
    return image, [*answers, status(strand, image)]


def os_hidden(strand: Strand) -> Outcome:
    image = strand.create("hidden", os_hidden=True)
    codes(strand, ("GET", "/v2/images?limit=5"), ("GET", "/v2/images?os_hidden=true"))
    return image, [patch(strand, image, "replace", "/os_hidden", False)]


def odd_names(strand: Strand) -> Outcome:
    answers = [
        strand.call("POST", "/v2/images", json_body={"name": name, "disk_format": "raw", "container_format": "bare"})
        for name in ODD_NAMES
    ]
    return None, [[answer.status_code for answer in answers]]


def auth_errors(strand: Strand) -> Outcome:
    broken = Strand(strand.lab, token="gAAAAAnotatoken")
    seen: list[Any] = codes(broken, ("GET", "/v2/images"), ("POST", "/v2/images"))
    return None, [*seen, strand.api.get(f"{strand.lab.glance}/v2/images").status_code]


def other_tenant(strand: Strand) -> Outcome:
    image = Strand(strand.lab, "alpha").create("alphas-own")
    other = Strand(strand.lab, "beta")
    seen: list[Any] = codes(other, ("GET", f"/v2/images/{image}"), ("DELETE", f"/v2/images/{image}"))
    return image, [*seen, patch(other, image, "replace", "/name", "mine")]


def misc_urls(strand: Strand) -> Outcome:
    paths = (
        "/",
        "/versions",
        "/v1/images",
        "/v2/nothing",
        "/v2/info/import",
        "/v2/info/stores",
        "/v2/schemas/members",
        "/v2/images?limit=-1",
        "/v2/images?sort_key=nothing",
        "/v2/images?marker=00000000-0000-0000-0000-000000000000",
        "/v2/images/%2e%2e/x",
        "/v2/tasks",
        "/healthcheck",
    )
    seen = codes(strand, *(("GET", path) for path in paths))
    return None, [seen, *codes(strand, ("PUT", "/v2/images"), ("HEAD", "/v2/images"))]


CASES = (
    delete_twice_and_patch_after,
    patch_conflicts,
    concurrent_patch_same_image,
    create_invalid,
    protected,
    deactivate_reactivate,
    import_without_stage,
    os_hidden,
    odd_names,
    auth_errors,
    other_tenant,
    misc_urls,
)
