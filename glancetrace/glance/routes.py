"""Method and target of a request -> service, route and operation.

The routes are a table (`templates`); operations have the names of the OpenStack client. A path may have a prefix, as
deployments under uWSGI have it (`/image/v2/images`), and Glance's v2 any minor version (`/v2.9/images`).

The port says which service is meant; where it does not, a prefix does, else the first service whose route fits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import parse_qsl, unquote

from glancetrace.glance.ports import DEFAULT_PORTS
from glancetrace.glance.templates import TEMPLATES

__all__ = ["DEFAULT_PORTS", "RouteMatch", "match_route"]

_GLANCE_MINORS = frozenset({"v2", *(f"v2.{minor}" for minor in range(19))})
_PREFIX_SERVICES = {"image": "glance", "identity": "keystone", "object-store": "swift", "identity_admin": "keystone"}
_FOREIGN_PREFIXES = frozenset(
    {"compute", "network", "networking", "volume", "placement", "orchestration", "heat-api", "baremetal", "metadata"}
)
_MAX_PREFIX = 4
_MAX_TARGET = 16_384


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """What a request asks for.

    Attributes:
        service: "keystone", "glance", "registry" or "swift".
        route: the template, None for a path that the service does not have.
        route_prefix: what stands before the route ("" or "/image").
        operation: the OpenStack client's word, "unknown" for a path or method that the service does not have.
        params: template parameter -> value, percent-decoded.
        query: name -> last value, decoded.
    """

    service: str
    route: str | None
    route_prefix: str
    operation: str
    params: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Node:
    """A path segment in the tree of templates; `rest` takes all further segments (Swift's object names)."""

    literals: dict[str, _Node] = field(default_factory=dict)
    parameter: tuple[str, _Node] | None = None
    rest: tuple[str, _Node] | None = None
    template: str | None = None
    operations: dict[str, str] = field(default_factory=dict)


@lru_cache(maxsize=1)
def _trees() -> dict[str, _Node]:
    trees: dict[str, _Node] = {}
    for service, methods, template, operation in TEMPLATES:
        node = trees.setdefault(service, _Node())
        for segment in template.split("/")[1:]:
            if not segment:
                continue
            if segment.startswith("{*"):
                node.rest = node.rest or (segment[2:-1], _Node())
                node = node.rest[1]
            elif segment.startswith("{"):
                node.parameter = node.parameter or (segment[1:-1], _Node())
                node = node.parameter[1]
            else:
                node = node.literals.setdefault(segment, _Node())
        node.template = template.replace("{*", "{")
        node.operations.update(dict.fromkeys(methods.split("|"), operation))
    return trees


def match_route(method: str, target: str, service_hint: str | None = None) -> RouteMatch | None:
    """The route of a request; None if it is no request to one of the services. Any text is accepted.

    Args:
        method: as sent.
        target: request target: a path with its query, or an absolute URI.
        service_hint: service that the port belongs to; its unknown paths are matched as operation "unknown".
    """
    path, _, query_text = target[:_MAX_TARGET].partition("?")
    if "://" in path[:16]:
        path = "/" + path.split("://", 1)[1].partition("/")[2]
    segments = [segment for segment in path.split("/") if segment]
    for service, start in _candidates(segments, service_hint):
        found = _match(service, segments[start:])
        if found is None:
            continue
        node, params = found
        if not _is_sure(node, params, segments, start, service_hint):
            continue
        return RouteMatch(
            service=service,
            route=node.template,
            route_prefix="".join("/" + segment for segment in segments[:start]),
            operation=node.operations.get(method.upper(), "unknown"),
            params=params,
            query=_query(query_text),
        )
    if service_hint is None:
        return None
    return RouteMatch(service_hint, None, "", "unknown", {}, _query(query_text))


def _candidates(segments: list[str], hint: str | None) -> Iterator[tuple[str, int]]:
    """(service, count of prefix segments) in the order in which they are tried."""
    first = segments[0].lower() if segments else ""
    if first in _FOREIGN_PREFIXES:
        return
    services = (hint,) if hint is not None else ("glance", "keystone", "swift")
    if first in _PREFIX_SERVICES and hint in (None, _PREFIX_SERVICES[first]):
        yield _PREFIX_SERVICES[first], 1
    for start in range(min(len(segments), _MAX_PREFIX) + 1):
        for service in services:
            yield service, start


def _is_sure(node: _Node, params: dict[str, str], segments: list[str], start: int, hint: str | None) -> bool:
    """A short path (`/`, `/v3`, `/info`) or a Swift path of any account needs the port or the prefix to say so."""
    if params.get("account", "AUTH_").startswith("AUTH_") and (node.template or "").count("/") > 1:
        return True
    return (start == 0 and hint is not None) or (start == 1 and segments[0].lower() in _PREFIX_SERVICES)


def _match(service: str, segments: list[str]) -> tuple[_Node, dict[str, str]] | None:
    tree = _trees().get(service)
    if tree is None:
        return None
    if service == "glance" and segments and segments[0] in _GLANCE_MINORS:
        segments = ["v2", *segments[1:]]
    return _descend(tree, [unquote(segment) if "%" in segment else segment for segment in segments])


def _descend(node: _Node, segments: list[str]) -> tuple[_Node, dict[str, str]] | None:
    if not segments:
        return (node, {}) if node.template is not None else None
    literal = node.literals.get(segments[0])
    if literal is not None:
        found = _descend(literal, segments[1:])
        if found is not None:
            return found
    if node.parameter is not None:
        name, child = node.parameter
        found = _descend(child, segments[1:])
        if found is not None:
            return found[0], {name: segments[0], **found[1]}
    if node.rest is not None:
        name, child = node.rest
        return child, {name: "/".join(segments)}
    return None


def _query(text: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=256))
    except ValueError:
        return {}
