"""Requests become routes: every documented path, prefixes, odd targets."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace.glance.routes import DEFAULT_PORTS, match_route
from glancetrace.glance.templates import TEMPLATES

IMAGE = "daa062e8-ea76-4c92-8360-bc7a3dabf789"


@pytest.mark.parametrize(("service", "methods", "template", "operation"), TEMPLATES)
def test_every_route_is_found_on_its_port(service: str, methods: str, template: str, operation: str) -> None:
    route = template.replace("{*", "{")
    target = template.replace("{image_id}", IMAGE).replace("{*", "").replace("{", "").replace("}", "")
    for method in methods.split("|"):
        match = match_route(method, target, service)
        assert match is not None
        assert (match.service, match.route, match.operation, match.route_prefix) == (service, route, operation, "")


@pytest.mark.parametrize(
    ("method", "target", "service", "operation", "route", "prefix"),
    [
        ("GET", f"/v2/images/{IMAGE}", "glance", "image-show", "/v2/images/{image_id}", ""),
        ("GET", f"/v2.18/images/{IMAGE}/", "glance", "image-show", "/v2/images/{image_id}", ""),
        ("PUT", f"/image/v2/images/{IMAGE}/file", "glance", "image-upload", "/v2/images/{image_id}/file", "/image"),
        ("PUT", f"/a/b/v2.0/images/{IMAGE}/stage", "glance", "image-stage", "/v2/images/{image_id}/stage", "/a/b"),
        ("GET", "//v2//images//", "glance", "image-list", "/v2/images", ""),
        ("GET", "http://10.0.0.1:9292/v2/images?limit=2", "glance", "image-list", "/v2/images", ""),
        ("POST", "/v3/auth/tokens", "keystone", "token-issue", "/v3/auth/tokens", ""),
        ("POST", "/identity/v3/auth/tokens", "keystone", "token-issue", "/v3/auth/tokens", "/identity"),
        ("GET", "/identity/v3/", "keystone", "version-show", "/v3", "/identity"),
        ("GET", "/image", "glance", "version-list", "/", "/image"),
        ("POST", "/v2.0/tokens", "keystone", "token-issue", "/v2.0/tokens", ""),
        ("POST", "/v1/images", "glance", "image-create", "/v1/images", ""),
        ("PUT", "/v1/AUTH_a/c/o", "swift", "object-create", "/v1/{account}/{container}/{object}", ""),
    ],
)
def test_without_a_known_port_the_path_decides(
    method: str, target: str, service: str, operation: str, route: str, prefix: str
) -> None:
    match = match_route(method, target, None)
    assert match is not None
    assert (match.service, match.operation, match.route, match.route_prefix) == (service, operation, route, prefix)


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/v2",
        "/v3",
        "/healthcheck",
        "/info",
        "/index.html",
        "/compute/v2.1/images",
        "/v1/abc/c/o",
        "*",
        "",
        "/v3/abc/volumes",
    ],
)
def test_without_a_known_port_other_paths_are_no_call(target: str) -> None:
    assert match_route("GET", target, None) is None


def test_unknown_paths_and_methods_of_a_known_service() -> None:
    nowhere = match_route("GET", "/v2/nope?x=1", "glance")
    assert nowhere is not None
    assert (nowhere.service, nowhere.route, nowhere.operation, nowhere.query) == ("glance", None, "unknown", {"x": "1"})
    head = match_route("HEAD", "/v2/images", "glance")
    assert head is not None
    assert (head.route, head.operation) == ("/v2/images", "unknown")


def test_parameters_are_decoded() -> None:
    match = match_route("PUT", f"/v2/images/{IMAGE}/tags/a%2Fb%20%C3%BC", "glance")
    assert match is not None
    assert match.params == {"image_id": IMAGE, "tag": "a/b ü"}
    listed = match_route("GET", "/v2/images?name=in%3A%22a+b%22&limit=&limit=5&flag", "glance")
    assert listed is not None
    assert listed.query == {"name": 'in:"a b"', "limit": "5", "flag": ""}
    swift = match_route("GET", "/v1/AUTH_a/glance/x/y%2Fz", "swift")
    assert swift is not None
    assert swift.params == {"account": "AUTH_a", "container": "glance", "object": "x/y/z"}


def test_the_registry_has_its_routes_with_and_without_version() -> None:
    for target in (f"/images/{IMAGE}", f"/v1/images/{IMAGE}"):
        match = match_route("GET", target, "registry")
        assert match is not None
        assert (match.service, match.operation, match.params) == ("registry", "image-show", {"image_id": IMAGE})


def test_ports() -> None:
    assert {DEFAULT_PORTS[port] for port in (13000, 5000, 35357)} == {"keystone"}
    assert {DEFAULT_PORTS[port] for port in (13292, 9292)} == {"glance"}
    assert (DEFAULT_PORTS[9191], DEFAULT_PORTS[8080], DEFAULT_PORTS[3306]) == ("registry", "swift", "mysql")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.text(alphabet="/v23.imagesfl%2Ff?&=:*#@\\ \0é{}", max_size=60),
    st.sampled_from([None, "glance", "keystone", "swift", "registry", "other"]),
)
def test_any_target_is_accepted(target: str, hint: str | None) -> None:
    match = match_route("GET", target, hint)
    assert match is not None or hint is None
    if match is not None and match.route is not None:
        assert match.service == hint or hint is None
