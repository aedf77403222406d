"""The clients' own log: every HTTP call any library of this process makes through requests, and calls made by hand.

A call is known by the client's port and its order on that connection, which is how a capture shows it.
"""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from urllib3.connection import HTTPConnection

BODY_KEPT = 4096


class CallLog:
    """Rows of api.jsonl, collected from all threads; `labelled` names what a thread is doing."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.open = False  # calls that prepare the scenario are not part of it
        self.thread = threading.local()

    @contextmanager
    def labelled(self, label: str | None, client: str | None = None) -> Iterator[None]:
        before = self.label, self.client
        self.thread.label, self.thread.client = label, client or before[1]
        try:
            yield
        finally:
            self.thread.label, self.thread.client = before

    @property
    def label(self) -> str | None:
        return getattr(self.thread, "label", None)

    @property
    def client(self) -> str | None:
        return getattr(self.thread, "client", None)

    def add(self, row: dict[str, Any]) -> None:
        if self.open:
            self.rows.append(row)

    def begin(self, method: str, url: str, headers: Mapping[str, str | bytes], body: object) -> dict[str, Any]:
        """The row of a call that begins now."""
        row: dict[str, Any] = {
            "kind": "api",
            "method": method,
            "url": url,
            "label": self.label,
            "client": self.client,
            "start_ns": time.time_ns(),
            "req_content_length": text(headers.get("Content-Length")),
            "req_te": text(headers.get("Transfer-Encoding")),
            "req_content_type": text(headers.get("Content-Type")),
        }
        shown = "json" in (row["req_content_type"] or "") and "/auth/" not in url
        if shown and isinstance(body, (str, bytes)) and 0 < len(body) <= BODY_KEPT:
            row["req_body"] = text(body)
        return row

    def watch(self) -> None:
        """Logs what requests sends from now on, in this process."""
        send, connect, request = requests.Session.send, HTTPConnection._new_conn, HTTPConnection.request
        thread = self.thread

        def recorded_connect(connection: Any) -> Any:
            sock = connect(connection)
            connection.lab_port = sock.getsockname()[1]
            return sock

        def recorded_request(connection: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return request(connection, *args, **kwargs)
            finally:
                thread.port = getattr(connection, "lab_port", None)

        def recorded_send(session: Any, prepared: Any, **kwargs: Any) -> Any:
            row = self.begin(prepared.method, prepared.url, prepared.headers, prepared.body)
            thread.port = None
            try:
                response = send(session, prepared, **kwargs)
            except requests.RequestException as error:
                row.update(end_ns=time.time_ns(), error=type(error).__name__, local_port=thread.port)
                self.add(row)
                raise
            row.update(
                end_ns=time.time_ns(),
                status=response.status_code,
                local_port=thread.port,
                request_id=response.headers.get("x-openstack-request-id"),
                resp_content_length=response.headers.get("Content-Length"),
            )
            self.add(row)
            return response

        HTTPConnection._new_conn = recorded_connect
        HTTPConnection.request = recorded_request
        requests.Session.send = recorded_send


def text(value: str | bytes | None) -> str | None:
    """Libraries give headers and bodies either way."""
    return value.decode("utf8", "replace") if isinstance(value, bytes) else value


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")
