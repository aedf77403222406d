"""Cases of uploads and downloads: broken off, oddly framed, refused. Each gives (image, what was observed)."""

import threading
import time
from typing import Any

from lab.scenarios.imports import settle
from lab.session import Strand
from lab.wire import Wire, chunks

Outcome = tuple[str | None, list[Any]]
OCTETS = "application/octet-stream"
DATA = bytes(range(256)) * 400


def status(strand: Strand, image: str) -> Any:
    return strand.call("GET", f"/v2/images/{image}").json().get("status")


def wait_status(strand: Strand, image: str, wanted: str, seconds: float = 5) -> Any:
    """The status once it is `wanted`, or as it is after `seconds`."""
    deadline = time.monotonic() + seconds
    while (found := status(strand, image)) != wanted and time.monotonic() < deadline:
        time.sleep(0.3)
    return found


def begin_upload(strand: Strand, image: str, **headers: str) -> tuple[Wire, dict[str, Any]]:
    wire = Wire(strand)
    fields = {"Content-Type": OCTETS, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return wire, wire.begin("PUT", f"/v2/images/{image}/file", fields)


def broken_off(strand: Strand, name: str, close: str, chunked: bool) -> tuple[str, list[Any]]:
    image = strand.create(name)
    framing = {"Transfer_Encoding": "chunked"} if chunked else {"Content_Length": "1000000"}
    wire, row = begin_upload(strand, image, **framing)
    wire.send(chunks(DATA, 4096) if chunked else DATA)
    time.sleep(0.3)
    wire.end(row, close)
    return image, [wait_status(strand, image, "queued")]


def abort_content_length_rst(strand: Strand) -> Outcome:
    return broken_off(strand, "abort-cl-rst", "rst", chunked=False)


def abort_content_length_fin(strand: Strand) -> Outcome:
    return broken_off(strand, "abort-cl-fin", "fin", chunked=False)


def abort_chunked_rst(strand: Strand) -> Outcome:
    return broken_off(strand, "abort-chunked-rst", "rst", chunked=True)


def abort_then_retry_ok(strand: Strand) -> Outcome:
    image, seen = broken_off(strand, "abort-retry", "rst", chunked=False)
    return image, [*seen, strand.upload(image, DATA), status(strand, image)]


def chunked_odd_boundaries(strand: Strand) -> Outcome:
    image = strand.create("odd-boundaries")
    wire, row = begin_upload(strand, image, Transfer_Encoding="chunked")
    wire.send_in_pieces(chunks(DATA[:30_000], 1777) + b"0\r\n\r\n", [1, 2, 997, 3, 1460, 5])
    return image, [wire.end(row), status(strand, image)]


def chunk_extensions_and_trailers(strand: Strand) -> Outcome:
    image = strand.create("chunk-extensions")
    wire, row = begin_upload(strand, image, Transfer_Encoding="chunked", Trailer="X-Lab-Trailer")
    wire.send(chunks(DATA[:20_000], 4000, ';lab="a;b"') + b"0\r\nX-Lab-Trailer: end\r\n\r\n")
    return image, [wire.end(row), status(strand, image)]


def expect_100_continue(strand: Strand) -> Outcome:
    image = strand.create("expect-continue")
    wire, row = begin_upload(strand, image, Content_Length=str(len(DATA)), Expect="100-continue")
    wire.socket.settimeout(1)
    try:
        interim = wire.answer()[0]
    except TimeoutError:
        interim = None
    wire.socket.settimeout(30)
    wire.send(DATA)
    return image, [interim, wire.end(row), status(strand, image)]


def zero_byte_upload(strand: Strand) -> Outcome:
    image = strand.create("zero-bytes")
    return image, [strand.upload(image, b""), status(strand, image)]


def pipelined_requests(strand: Strand) -> Outcome:
    image = strand.create("pipelined")
    wire = Wire(strand)
    rows = [wire.begin("GET", path, {}) for path in (f"/v2/images/{image}", "/v2/schemas/image", "/v2/images?limit=1")]
    for row in rows:
        row["pipelined"] = True
    return image, [wire.end(row) for row in rows]


def store_full_413(strand: Strand) -> Outcome:
    image = strand.create("store-full")
    answer = strand.call(
        "PUT", f"/v2/images/{image}/file", data=DATA * 10, content_type=OCTETS, x_image_meta_store="tiny"
    )
    strand.reconnect()
    return image, [answer.status_code, status(strand, image)]


def upload_to_store(strand: Strand, name: str, store: str) -> Outcome:
    image = strand.create(name)
    answer = strand.call("PUT", f"/v2/images/{image}/file", data=DATA, content_type=OCTETS, x_image_meta_store=store)
    return image, [answer.status_code, status(strand, image)]


def unknown_store(strand: Strand) -> Outcome:
    return upload_to_store(strand, "unknown-store", "nowhere")


def second_store_upload(strand: Strand) -> Outcome:
    return upload_to_store(strand, "second-store", "slow")


def upload_to_deleted(strand: Strand) -> Outcome:
    image = strand.create("upload-to-deleted")
    strand.call("DELETE", f"/v2/images/{image}")
    refused = strand.upload(image, DATA)
    strand.reconnect()  # the service closes a connection whose body it did not read
    return image, [refused]


def upload_to_active(strand: Strand) -> Outcome:
    image = strand.create("upload-to-active")
    first, second = strand.upload(image, DATA), strand.upload(image, DATA)
    strand.reconnect()
    return image, [first, second, status(strand, image)]


def wrong_content_type(strand: Strand) -> Outcome:
    image = strand.create("wrong-type")
    answers = [
        strand.call("PUT", f"/v2/images/{image}/file", data=b"x", content_type=kind).status_code
        for kind in ("text/plain", "application/json")
    ]
    return image, [*answers, status(strand, image)]


def format_mismatch(strand: Strand) -> Outcome:
    image = strand.create("format-mismatch", disk_format="qcow2")
    return image, [strand.upload(image, DATA), status(strand, image)]


def slow_upload(strand: Strand, image: str) -> tuple[threading.Thread, list[Any]]:
    """An upload that takes about two seconds, under way; the list gets its status."""
    seen: list[Any] = []
    label, client = strand.lab.calls.label, strand.lab.calls.client

    def upload() -> None:
        with strand.lab.calls.labelled(label, client):
            wire, row = begin_upload(strand, image, Content_Length=str(len(DATA)))
            for at in range(0, len(DATA), len(DATA) // 20):
                wire.send(DATA[at : at + len(DATA) // 20])
                time.sleep(0.1)
            seen.append(wire.end(row))

    thread = threading.Thread(target=upload)
    thread.start()
    wait_status(strand, image, "saving")
    return thread, seen


def delete_while_saving(strand: Strand) -> Outcome:
    image = strand.create("delete-while-saving")
    thread, seen = slow_upload(strand, image)
    before = status(strand, image)
    deleted = strand.call("DELETE", f"/v2/images/{image}").status_code
    thread.join()
    return image, [before, deleted, *seen, strand.call("GET", f"/v2/images/{image}").status_code]


def second_upload_while_saving(strand: Strand) -> Outcome:
    image = strand.create("second-upload")
    thread, seen = slow_upload(strand, image)
    second = strand.upload(image, DATA)
    strand.reconnect()
    shown = strand.call("GET", f"/v2/images/{image}").status_code
    thread.join()
    return image, [second, shown, *seen, status(strand, image)]


def abort_download(strand: Strand) -> Outcome:
    image = strand.create("abort-download")
    strand.upload(image, DATA * 20)
    wire = Wire(strand)
    row = wire.begin("GET", f"/v2/images/{image}/file", {})
    wire.socket.recv(5000)
    wire.end(row, "rst")
    return image, []


def copied_and_taken_away(strand: Strand) -> Outcome:
    """copy-image to a second store, then the first copy deleted."""
    image = strand.create("copy-image")
    strand.upload(image, DATA)
    wanted = {"method": {"name": "copy-image"}, "stores": ["slow"]}
    asked = strand.call("POST", f"/v2/images/{image}/import", json_body=wanted).status_code
    stores = settle(strand, image).get("stores")
    taken = strand.call("DELETE", f"/v2/stores/fast/{image}").status_code
    return image, [asked, stores, taken, strand.call("GET", f"/v2/images/{image}").json().get("stores")]


CASES = (
    abort_content_length_rst,
    abort_content_length_fin,
    abort_chunked_rst,
    abort_then_retry_ok,
    chunked_odd_boundaries,
    chunk_extensions_and_trailers,
    expect_100_continue,
    zero_byte_upload,
    pipelined_requests,
    store_full_413,
    unknown_store,
    second_store_upload,
    upload_to_deleted,
    upload_to_active,
    wrong_content_type,
    format_mismatch,
    delete_while_saving,
    second_upload_while_saving,
    abort_download,
    copied_and_taken_away,
)
