"""What to do with the body of an API message: keep it, hash it, or let it pass.

JSON of the API is kept up to a bound; image data is hashed as it passes and never kept: uploads and downloads of Glance
v2 (`PUT|GET .../file`, `PUT .../stage`) and v1 (bodies beside `x-image-meta-*` headers), and Swift's objects. Error
pages are kept up to a small bound, for they say why. Everything else passes.
"""

from __future__ import annotations

from collections.abc import Callable

from glancetrace.http.exchange import BodyHasher, BodyPlan, BodyPolicy, Head

__all__ = ["is_image_data", "make_body_policy"]

_JSON_BYTES = 1 << 20
_LIST_BYTES = 8 << 20
_ERROR_BYTES = 16 << 10
_API_MARKS = ("/v2", "/v3", "/v1/images", "/v1/shared-images", "/images", "/rpc", "/versions", "/v1/AUTH_")


def _path(request: Head) -> str:
    return request.target.partition("?")[0].rstrip("/")


def _is_v1_image(path: str) -> bool:
    _, found, rest = path.partition("/v1/images/")
    return bool(found) and "/" not in rest and rest != "detail"


def _is_swift_object(path: str) -> bool:
    _, found, rest = path.partition("/v1/AUTH_")
    return bool(found) and rest.count("/") >= 2


def is_image_data(request: Head, response: Head | None) -> bool:
    """The body is image data: of the request if `response` is None, else of that response."""
    path, method = _path(request), request.method
    if response is None:
        if method == "PUT":
            if path.endswith(("/file", "/stage")) and "/images/" in path:
                return True
            if _is_swift_object(path):
                return True
        if method in ("POST", "PUT") and "/v1/images" in path and (_is_v1_image(path) or path.endswith("/images")):
            return "octet-stream" in request.get("content-type")
        return False
    if method != "GET" or response.status_code not in (200, 206):
        return False
    if path.endswith("/file") and "/images/" in path:
        return True
    if _is_v1_image(path):
        return "json" not in response.get("content-type")
    return _is_swift_object(path)


def make_body_policy(new_hasher: Callable[[], BodyHasher] | None) -> BodyPolicy:
    """A policy for the HTTP decoder.

    Args:
        new_hasher: makes the hasher for a body of image data; None: nothing is hashed.
    """
    nothing = BodyPlan()
    hashed = BodyPlan(hasher=new_hasher)
    json_body, list_body, error_body = BodyPlan(_JSON_BYTES), BodyPlan(_LIST_BYTES), BodyPlan(_ERROR_BYTES)

    def body_policy(request: Head, response: Head | None) -> BodyPlan:
        if is_image_data(request, response):
            partial = response is not None and response.status_code == 206
            return nothing if partial else hashed
        content_type = (request if response is None else response).get("content-type")
        if "json" in content_type:
            return list_body if response is not None and request.method == "GET" else json_body
        if not any(mark in request.target for mark in _API_MARKS):
            return nothing
        if response is None:
            return json_body if request.method in ("POST", "PATCH", "PUT") else nothing
        return error_body if response.status_code >= 400 else nothing

    return body_policy
