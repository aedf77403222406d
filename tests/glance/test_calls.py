"""Exchanges become calls: ids, names, tokens, identities, windows."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
import pytest

from glancetrace.glance.call import ApiCall
from glancetrace.glance.calls import call_from_exchange
from glancetrace.glance.ports import DEFAULT_PORTS
from glancetrace.http.exchange import Body, Head, HttpExchange
from glancetrace.issues import IssueLog
from glancetrace.net.run import Connection

IMAGE = "daa062e8-ea76-4c92-8360-bc7a3dabf789"
OTHER = "b4fd358a-c90b-4c96-b129-1f6a3a853662"
JSON = {"content-type": "application/json"}


class Hasher:
    def update(self, data: bytes) -> None:
        raise AssertionError("the body has passed")

    def flush(self) -> None:
        pass

    def hexdigests(self) -> dict[str, str]:
        return {"md5": hashlib.md5(b"", usedforsecurity=False).hexdigest()}


def body(content: Any = None, **fields: Any) -> Body:
    if content is None:
        return Body(complete=True, **fields)
    data = content if isinstance(content, bytes) else orjson.dumps(content)
    return Body(byte_count=len(data), content=data, complete=True, **fields)


def exchange(
    method: str,
    target: str,
    headers: dict[str, str] | None = None,
    sent: Body | None = None,
    status: int | None = 200,
    answer_headers: dict[str, str] | None = None,
    answer: Body | None = None,
) -> HttpExchange:
    response = Head(status_code=status, headers=tuple((answer_headers or {}).items())) if status else None
    return HttpExchange(
        connection_id=7,
        ordinal=1,
        request=Head(method=method, target=target, headers=tuple((headers or {}).items())),
        ts=1000,
        first_frame=1,
        request_body=sent or body(),
        head_end_ts=1100,
        request_end_ts=1500,
        request_frame=2,
        response=response,
        response_ts=2000 if status else None,
        response_body=answer or body(),
        response_end_ts=2500 if status else None,
        response_frame=4 if status else None,
        last_frame=4,
        complete=status is not None,
    )


def call(port: int = 9292, issues: IssueLog | None = None, tls: bool = False, **fields: Any) -> ApiCall | None:
    connection = Connection(7, ("10.0.0.1", 40000), ("10.0.0.2", port), False, 1000, 1)
    return call_from_exchange(exchange(**fields), connection, DEFAULT_PORTS, issues, tls=tls)


def known(**fields: Any) -> ApiCall:
    found = call(**fields)
    assert found is not None
    return found


def test_an_upload() -> None:
    sent = Body(byte_count=100_000, complete=True, hasher=Hasher())
    found = known(
        method="PUT",
        target=f"/image/v2/images/{IMAGE}/file",
        headers={"x-auth-token": "secret", "content-type": "application/octet-stream"},
        sent=sent,
        status=204,
        answer_headers={"x-openstack-request-id": "req-1"},
        tls=True,
    )
    assert (found.service, found.operation, found.status_code) == ("glance", "image-upload", 204)
    assert (found.route, found.route_prefix) == ("/v2/images/{image_id}/file", "/image")
    assert (found.image_id, found.path_ids) == (IMAGE, {"image_id": IMAGE})
    assert (found.request_id, found.token, found.tls, found.complete) == ("req-1", "secret", True, True)
    assert (found.request_body_bytes, found.response_body_bytes) == (100_000, 0)
    assert (found.ts, found.request_end_ts, found.response_ts, found.dur) == (1000, 1500, 2000, 1500)
    assert (found.upload_hasher, found.upload_complete) == (sent.hasher, True)
    assert found.hops[0].window == (1100, 2000)
    assert (found.hops[0].client, found.hops[0].server) == (("10.0.0.1", 40000), ("10.0.0.2", 9292))


def test_an_upload_that_was_cut_off_has_no_hash() -> None:
    found = known(
        method="PUT", target=f"/v2/images/{IMAGE}/file", sent=Body(byte_count=5, hasher=Hasher()), status=None
    )
    assert (found.status_code, found.dur, found.response_ts, found.complete) == (None, None, None, False)
    assert (found.upload_hasher, found.upload_complete) == (None, False)
    assert found.hops[0].window == (1100, None)


def test_a_download_is_hashed_too() -> None:
    answer = Body(byte_count=9, complete=True, hasher=Hasher())
    found = known(method="GET", target=f"/v2/images/{IMAGE}/file", answer=answer)
    assert (found.operation, found.upload_hasher) == ("image-download", answer.hasher)
    refused = known(method="GET", target=f"/v2/images/{IMAGE}/file", status=404, answer=answer)
    assert refused.upload_hasher is None


def test_a_created_image_has_the_id_of_the_answer() -> None:
    found = known(
        method="POST",
        target="/v2/images",
        headers=JSON,
        sent=body({"name": "cirros"}),
        status=201,
        answer_headers=JSON,
        answer=body({"id": IMAGE, "name": "cirros", "status": "queued"}),
    )
    assert (found.operation, found.image_id, found.image_name) == ("image-create", IMAGE, "cirros")
    assert found.request_json == {"name": "cirros"}
    assert found.response_json["status"] == "queued"
    assert found.hops[0].window == (1500, 2000)


def test_a_refused_creation_creates_no_image() -> None:
    found = known(method="POST", target="/v2/images", headers=JSON, sent=body({"id": IMAGE, "name": "dup"}), status=409)
    assert (found.image_id, found.image_name, found.request_json["id"]) == (None, "dup", IMAGE)
    unanswered = known(method="POST", target="/v2/images", headers=JSON, sent=body({"id": IMAGE}), status=None)
    assert unanswered.image_id == IMAGE


def test_the_location_header_names_the_image_when_the_body_is_lost() -> None:
    found = known(
        method="POST", target="/v2/images", status=201, answer_headers={"location": f"http://h/v2/images/{OTHER}"}
    )
    assert found.image_id == OTHER


def test_a_lookup_by_name_is_about_no_image() -> None:
    found = known(method="GET", target="/v2/images/overcloud-full", status=404)
    assert (found.operation, found.image_id, found.image_name) == ("image-show", None, "overcloud-full")


def test_v1_create_and_upload_in_one() -> None:
    sent = Body(byte_count=9, complete=True, hasher=Hasher())
    found = known(
        method="POST",
        target="/v1/images",
        headers={"x-image-meta-name": "old", "content-type": "application/octet-stream", "x-auth-token": "t"},
        sent=sent,
        status=201,
        answer_headers=JSON,
        answer=body({"image": {"id": IMAGE, "name": "old", "status": "active"}}),
    )
    assert (found.operation, found.image_id, found.image_name) == ("image-create", IMAGE, "old")
    assert found.upload_hasher is sent.hasher
    empty = known(
        method="POST", target="/v1/images", headers={"content-type": "application/octet-stream"},
        sent=Body(complete=True, hasher=Hasher()), status=201,
    )  # fmt: skip
    assert empty.upload_hasher is None


def test_v1_answers_in_headers() -> None:
    found = known(
        method="HEAD", target=f"/v1/images/{IMAGE}", answer_headers={"x-image-meta-id": IMAGE, "x-image-meta-name": "n"}
    )
    assert (found.operation, found.image_id, found.image_name) == ("image-show", IMAGE, "n")
    put = known(
        method="PUT", target=f"/v1/images/{IMAGE}", headers={"content-type": "application/octet-stream"},
        sent=Body(byte_count=3, complete=True),
    )  # fmt: skip
    assert put.operation == "image-upload"
    assert known(method="PUT", target=f"/v1/images/{IMAGE}").operation == "image-update"


def test_a_registry_call_carries_who_asked() -> None:
    found = known(
        port=9191,
        method="PUT",
        target=f"/images/{IMAGE}",
        headers=JSON | {"x-tenant-id": "p", "x-user-id": "u", "x-roles": "admin, member"},
        sent=body({"image": {"status": "saving"}}),
    )
    assert (found.service, found.operation, found.image_id) == ("registry", "image-update", IMAGE)
    assert (found.project_id, found.user_id, found.roles) == ("p", "u", ("admin", "member"))


def test_swift_objects_are_named_after_images() -> None:
    sent = Body(byte_count=9, complete=True, hasher=Hasher())
    found = known(port=8080, method="PUT", target=f"/v1/AUTH_x/glance/{IMAGE}-00001", sent=sent, status=201)
    assert (found.service, found.operation, found.image_id) == ("swift", "object-create", IMAGE)
    assert found.upload_hasher is sent.hasher


TOKEN = {
    "token": {
        "user": {"id": "u1", "name": "admin"},
        "project": {"id": "p1", "name": "admin"},
        "roles": [{"id": "r", "name": "admin"}, {"id": "q", "name": "reader"}, {"bad": 1}],
    }
}


def test_a_token_that_is_issued() -> None:
    found = known(
        port=13000, method="POST", target="/v3/auth/tokens", headers=JSON, sent=body({"auth": {}}), status=201,
        answer_headers=JSON | {"x-subject-token": "new"}, answer=body(TOKEN),
    )  # fmt: skip
    assert (found.service, found.operation, found.token, found.subject_token) == (
        "keystone",
        "token-issue",
        None,
        "new",
    )
    assert (found.project_id, found.user_id, found.roles) == ("p1", "u1", ("admin", "reader"))


def test_a_token_that_is_validated() -> None:
    found = known(
        port=5000, method="GET", target="/v3/auth/tokens",
        headers={"x-auth-token": "service", "x-subject-token": "users"}, answer_headers=JSON, answer=body(TOKEN),
    )  # fmt: skip
    assert (found.operation, found.token, found.subject_token) == ("token-validate", "service", "users")
    assert found.project_id == "p1"


def test_tokens_of_version_two() -> None:
    access = {
        "access": {"token": {"id": "old", "tenant": {"id": "p2"}}, "user": {"id": "u2", "roles": [{"name": "m"}]}}
    }
    issued = known(
        port=5000, method="POST", target="/v2.0/tokens", headers=JSON, answer_headers=JSON, answer=body(access)
    )
    assert (issued.subject_token, issued.project_id, issued.user_id, issued.roles) == ("old", "p2", "u2", ("m",))
    checked = known(port=35357, method="GET", target="/v2.0/tokens/abc")
    assert (checked.operation, checked.subject_token) == ("token-validate", "abc")


@pytest.mark.parametrize(
    "answer",
    [[], "text", 5, {"token": []}, {"token": {"roles": "x", "user": 1}}, {"access": {"user": None}}, {"image": 7}],
)
def test_answers_of_any_form_are_accepted(answer: Any) -> None:
    for port, target in ((5000, "/v3/auth/tokens"), (9292, "/v2/images")):
        assert known(port=port, method="POST", target=target, status=201, answer_headers=JSON, answer=body(answer))


def test_bodies_that_cannot_be_read_are_counted() -> None:
    issues = IssueLog()
    found = known(issues=issues, method="GET", target="/v2/images", answer_headers=JSON, answer=body(b'{"images": ['))
    assert found.response_json is None
    cut = body({"images": []}, content_truncated=True)
    assert (
        known(issues=issues, method="GET", target="/v2/images", answer_headers=JSON, answer=cut).response_json is None
    )
    assert [(issue.kind, issue.count, issue.connection_id) for issue in issues.rows()] == [("json-body-unparsed", 2, 7)]


def test_an_error_page_is_no_json_and_no_issue() -> None:
    issues = IssueLog()
    page = body(b"<html>409 Conflict</html>")
    found = known(
        issues=issues, method="GET", target="/v2/images", status=409, answer_headers={"content-type": "text/html"},
        answer=page,
    )  # fmt: skip
    assert found.response_json is None
    assert issues.rows() == []


def test_the_request_id_of_the_answer_counts_first() -> None:
    sent = {"x-openstack-request-id": "req-sent"}
    assert known(method="GET", target="/v2/images", headers=sent, status=None).request_id == "req-sent"
    both = known(method="GET", target="/v2/images", headers=sent, answer_headers={"x-openstack-request-id": "req-got"})
    assert both.request_id == "req-got"
    assert known(method="GET", target="/v2/images").request_id is None


def test_what_is_no_call() -> None:
    assert call(port=3306, method="GET", target="/v2/images") is None
    assert call(port=8774, method="GET", target="/v2.1/images/detail") is None
    assert call(port=80, method="GET", target="/index.html") is None
    assert call(method="", target="") is None


def test_an_unknown_port_is_judged_by_the_path() -> None:
    found = known(port=443, method="GET", target="/image/v2/images")
    assert (found.service, found.operation, found.route_prefix) == ("glance", "image-list", "/image")


def test_an_unknown_path_on_a_known_port_is_a_call() -> None:
    found = known(method="GET", target="/v2/nope", status=404)
    assert (found.service, found.operation, found.route) == ("glance", "unknown", None)
