"""Which bodies are kept, which are hashed, which pass."""

from __future__ import annotations

import hashlib

import pytest

from glancetrace.glance.bodies import make_body_policy
from glancetrace.http.exchange import Head

IMAGE = "daa062e8-ea76-4c92-8360-bc7a3dabf789"
JSON = (("content-type", "application/json"),)
BINARY = (("content-type", "application/octet-stream"),)
HTML = (("content-type", "text/html; charset=UTF-8"),)


class Hasher:
    def __init__(self) -> None:
        self.sha = hashlib.sha256()

    def update(self, data: bytes) -> None:
        self.sha.update(data)

    def flush(self) -> None:
        pass

    def hexdigests(self) -> dict[str, str]:
        return {"sha256": self.sha.hexdigest()}


POLICY = make_body_policy(Hasher)


def judge(method: str, target: str, headers: tuple[tuple[str, str], ...] = (), response: Head | None = None) -> str:
    plan = POLICY(Head(method=method, target=target, headers=headers), response)
    if plan.hasher is not None:
        assert plan.keep == 0
        return "hash"
    return {0: "pass", 1 << 20: "keep", 8 << 20: "list"}.get(plan.keep, "error")


@pytest.mark.parametrize(
    ("method", "target", "headers", "expected"),
    [
        ("PUT", f"/v2/images/{IMAGE}/file", BINARY, "hash"),
        ("PUT", f"/image/v2.3/images/{IMAGE}/file?x=1", (), "hash"),
        ("PUT", f"/v2/images/{IMAGE}/stage", BINARY, "hash"),
        ("PUT", f"/v2/images/{IMAGE}/file", JSON, "hash"),
        ("POST", "/v1/images", BINARY, "hash"),
        ("PUT", f"/v1/images/{IMAGE}", BINARY, "hash"),
        ("PUT", "/v1/AUTH_x/glance/object", BINARY, "hash"),
        ("POST", "/v2/images", JSON, "keep"),
        ("POST", "/v3/auth/tokens", (("content-type", "application/x-www-form-urlencoded"),), "keep"),
        ("PATCH", f"/v2/images/{IMAGE}", (("content-type", "application/openstack-images-v2.1-json-patch"),), "keep"),
        ("PUT", f"/v2/images/{IMAGE}/members/m", JSON, "keep"),
        ("POST", "/upload.cgi", BINARY, "pass"),
        ("GET", "/v2/images", (), "pass"),
    ],
)
def test_request_bodies(method: str, target: str, headers: tuple[tuple[str, str], ...], expected: str) -> None:
    assert judge(method, target, headers) == expected


@pytest.mark.parametrize(
    ("method", "target", "status", "headers", "expected"),
    [
        ("GET", f"/v2/images/{IMAGE}/file", 200, BINARY, "hash"),
        ("GET", f"/v2/images/{IMAGE}/file", 206, BINARY, "pass"),
        ("GET", f"/v2/images/{IMAGE}/file", 404, HTML, "error"),
        ("GET", f"/v1/images/{IMAGE}", 200, BINARY, "hash"),
        ("GET", "/v1/images/detail", 200, JSON, "list"),
        ("GET", "/v1/AUTH_x/glance/object", 200, BINARY, "hash"),
        ("GET", "/v1/AUTH_x/glance", 200, JSON, "list"),
        ("GET", "/v2/images", 200, JSON, "list"),
        ("POST", "/v2/images", 201, JSON, "keep"),
        ("PUT", f"/v2/images/{IMAGE}/file", 409, HTML, "error"),
        ("GET", "/index.html", 200, HTML, "pass"),
    ],
)
def test_response_bodies(
    method: str, target: str, status: int, headers: tuple[tuple[str, str], ...], expected: str
) -> None:
    assert judge(method, target, response=Head(status_code=status, headers=headers)) == expected


def test_nothing_is_hashed_without_a_hasher() -> None:
    plan = make_body_policy(None)(Head(method="PUT", target=f"/v2/images/{IMAGE}/file"), None)
    assert (plan.keep, plan.hasher) == (0, None)
