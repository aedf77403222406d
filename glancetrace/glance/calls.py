"""An HTTP exchange -> an `ApiCall`: which service was asked for what, about which image, by whom.

Everything is read from the exchange itself: method and target (`routes`), headers (request ids, tokens, v1's
`x-image-meta-*`), and the JSON bodies that the body policy kept (`bodies`). Nothing is guessed: an image id is one that
the path, the answer or the service's headers name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from glancetrace.glance.bodies import is_image_data, make_body_policy
from glancetrace.glance.call import ApiCall, Hop, LegMessages
from glancetrace.glance.identifier import is_image_id
from glancetrace.glance.ports import FOREIGN_PORTS
from glancetrace.glance.routes import RouteMatch, match_route
from glancetrace.http.exchange import Body, Head, HttpExchange
from glancetrace.issues import IssueLog
from glancetrace.net.run import Connection

__all__ = ["call_from_exchange", "call_from_heads", "make_body_policy"]

_EMPTY = Head()
_REQUEST_ID_HEADERS = ("x-openstack-request-id", "x-compute-request-id", "x-trans-id")
_ABOUT_ONE_IMAGE = frozenset({"image-create", "image-show", "image-update", "image-upload"})


def call_from_exchange(
    exchange: HttpExchange,
    connection: Connection,
    ports: Mapping[int, str],
    issues: IssueLog | None = None,
    *,
    tls: bool = False,
) -> ApiCall | None:
    """The API call that an exchange is; None if it is none (another service, or the request was not seen).

    Args:
        exchange: request and response, bodies as `bodies.make_body_policy` asked for them.
        connection: where it was seen; its server's port tells the service.
        ports: port -> service, see `ports`.
        issues: counts JSON bodies that cannot be read.
        tls: the connection was encrypted.
    """
    request = exchange.request
    port = connection.server[1]
    hint = ports.get(port)
    if not request.method or hint == "mysql" or (hint is None and port in FOREIGN_PORTS):
        return None
    match = match_route(request.method, request.target, hint)
    if match is None:
        return None
    response = exchange.response or _EMPTY
    call = _bare_call(exchange, connection, match, response, tls)
    call.request_json = _json(exchange.request_body, request, exchange, issues)
    call.response_json = _json(exchange.response_body, response, exchange, issues)
    _take_image(call, match, request, response)
    _take_identity(call, request, response)
    _take_image_data(call, exchange)
    call.hops = [_hop(call, exchange)]
    return call


def call_from_heads(
    exchange: HttpExchange, connection: Connection, service: str | None, request_json: Any, response_json: Any
) -> ApiCall | None:
    """The call that somebody tells of: heads as far as told, bodies already parsed; None if it is of no known service.

    Args:
        exchange: heads and times; it becomes no evidence of the call, for nobody saw it.
        connection: ends and id as far as known.
        service: whose call it is, None if only the path can tell.
    """
    request, response = exchange.request, exchange.response or _EMPTY
    match = match_route(request.method, request.target, service)
    if match is None:
        return None
    call = _bare_call(exchange, connection, match, response, False)
    call.request_json, call.response_json = request_json, response_json
    _take_image(call, match, request, response)
    _take_identity(call, request, response)
    call.exchange = None
    return call


def _bare_call(exchange: HttpExchange, connection: Connection, match: RouteMatch, response: Head, tls: bool) -> ApiCall:
    request = exchange.request
    ids = [head.get(name) for head in (response, request) for name in _REQUEST_ID_HEADERS]
    end = exchange.response_end_ts
    operation = match.operation
    if operation == "image-update" and "/v1/" in (match.route or "") and is_image_data(request, None):
        operation = "image-upload"
    return ApiCall(
        service=match.service,
        method=request.method,
        target=request.target,
        route=match.route,
        route_prefix=match.route_prefix,
        operation=operation,
        status_code=exchange.response.status_code if exchange.response is not None else None,
        request_id=next((value for value in ids if value), None),
        ts=exchange.ts,
        first_frame=exchange.first_frame,
        last_frame=exchange.last_frame,
        client=connection.client,
        server=connection.server,
        connection_id=connection.id,
        exchange=exchange,
        request_end_ts=exchange.request_end_ts,
        response_ts=exchange.response_ts,
        dur=None if end is None else max(0, end - exchange.ts),
        request_body_bytes=exchange.request_body.byte_count,
        response_body_bytes=exchange.response_body.byte_count,
        tls=tls,
        complete=exchange.complete,
        request_frame=exchange.request_frame,
        response_frame=exchange.response_frame,
        path_ids=match.params,
        query=match.query,
        token=request.get("x-auth-token") or request.get("x-storage-token") or None,
    )


def _hop(call: ApiCall, exchange: HttpExchange) -> Hop:
    """The window of the service's work begins when it can begin: after a JSON body, but at once before image data."""
    head_end, body_end = exchange.head_end_ts, exchange.request_end_ts
    begin = (head_end or body_end) if is_image_data(exchange.request, None) else (body_end or head_end)
    if begin is None:
        begin = exchange.ts
    return Hop(
        client=call.client,
        server=call.server,
        connection_id=call.connection_id,
        ts=call.ts,
        dur=call.dur,
        first_frame=call.first_frame,
        last_frame=call.last_frame,
        window=(begin, exchange.end_ts if exchange.response_ts is None else exchange.response_ts),
        messages=LegMessages(
            call.method,
            call.target,
            exchange.request_frame,
            exchange.request_body.complete,
            call.status_code,
            exchange.response_first_frame,
            exchange.response_frame,
            exchange.response_body.complete,
        ),
    )


def _json(body: Body, head: Head, exchange: HttpExchange, issues: IssueLog | None) -> Any:
    """The parsed body; None if there is none, or it is not JSON, or cannot be read (which is counted)."""
    content = body.content
    if not content:
        return None
    declared = "json" in head.get("content-type")
    if not declared and content.lstrip()[:1] not in (b"{", b"["):
        return None
    if not body.content_truncated and not body.missing:
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError:
            pass
    if declared and issues is not None:
        issues.count("json-body-unparsed", frame=exchange.first_frame, connection_id=exchange.connection_id)
    return None


def _member(body: Any, *path: str) -> Any:
    """Nested value of JSON objects, None where the way ends."""
    for name in path:
        body = body.get(name) if isinstance(body, dict) else None
    return body


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _image_id(*values: Any) -> str | None:
    return next((value for value in values if isinstance(value, str) and is_image_id(value)), None)


def _take_image(call: ApiCall, match: RouteMatch, request: Head, response: Head) -> None:
    """Image id and name, from the path, v1's headers and the bodies."""
    answer, question = call.response_json, call.request_json
    if isinstance(answer, dict) and isinstance(answer.get("image"), dict):
        answer = answer["image"]
    if isinstance(question, dict) and isinstance(question.get("image"), dict):
        question = question["image"]
    named = match.params.get("image_id")
    ids: list[Any] = [named]
    if call.service == "swift":
        ids.append(match.params.get("object", "").rpartition("/")[2][:36])
    if call.operation == "image-create" and (call.status_code is None or call.status_code < 400):
        location = response.get("location").rpartition("/")[2]
        ids += [_member(answer, "id"), response.get("x-image-meta-id"), location]
        ids += [_member(question, "id"), request.get("x-image-meta-id")]
    call.image_id = _image_id(*ids)
    if call.operation not in _ABOUT_ONE_IMAGE and call.operation != "image-download":
        return
    names = [_member(answer, "name"), response.get("x-image-meta-name"), request.get("x-image-meta-name")]
    names.append(_member(question, "name"))
    if named and call.image_id is None:
        names.append(named)
    call.image_name = next(filter(None, map(_string, names)), None)


def _take_identity(call: ApiCall, request: Head, response: Head) -> None:
    """Tokens, and the project, user and roles that Keystone or a context header names."""
    if call.service == "keystone":
        call.subject_token = request.get("x-subject-token") or call.path_ids.get("token_id") or None
        if call.operation == "token-issue":
            call.subject_token = response.get("x-subject-token") or None
        _take_token(call)
        return
    call.user_id = request.get("x-user-id") or None
    call.project_id = request.get("x-project-id") or request.get("x-tenant-id") or None
    call.roles = tuple(role.strip() for role in request.get("x-roles").split(",") if role.strip())
    if call.operation == "token-issue":
        call.subject_token = response.get("x-auth-token") or None


def _take_token(call: ApiCall) -> None:
    """What Keystone's answer says about a token: v3's `token`, v2.0's `access`."""
    token = _member(call.response_json, "token")
    roles = _member(token, "roles")
    if isinstance(token, dict):
        call.project_id = _string(_member(token, "project", "id"))
        call.user_id = _string(_member(token, "user", "id"))
    else:
        access = _member(call.response_json, "access")
        roles = _member(access, "user", "roles")
        call.project_id = _string(_member(access, "token", "tenant", "id"))
        call.user_id = _string(_member(access, "user", "id"))
        call.subject_token = call.subject_token or _string(_member(access, "token", "id"))
    if isinstance(roles, list):
        call.roles = tuple(name for name in (_string(_member(role, "name")) for role in roles) if name)


def _take_image_data(call: ApiCall, exchange: HttpExchange) -> None:
    """Hashes of the image data that went up, or else came down, if all of it was seen."""
    request, response = exchange.request, exchange.response
    if is_image_data(request, None):
        body = exchange.request_body
        if call.operation == "image-create" and not body.byte_count:
            return
    elif response is not None and response.status_code == 200 and is_image_data(request, response):
        body = exchange.response_body
    else:
        return
    call.upload_complete = body.complete and not body.missing
    call.upload_hasher = body.hasher if call.upload_complete else None
