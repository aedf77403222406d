"""Whose Keystone's statements are: by whom they name, by the pool of their connection, step after step."""

from __future__ import annotations

from typing import Any

import pytest

from glancetrace.correlate.hidden import Half
from glancetrace.correlate.keystone.queues import tell_pools
from glancetrace.correlate.keystone.steps import KeystoneUnit, step_of
from glancetrace.correlate.link import CERTAIN, TWIN
from glancetrace.correlate.units import UnitOfWork
from tests.support.scene import Scene, Session, ms

ROOT = "<<keystone.domain.root>>"
PLAIN = "SELECT service.id FROM service WHERE service.enabled = true"


def token(who: str, *audits: str) -> dict[str, Any]:
    """What Keystone says of a token of `who`."""
    domain = {"id": "default", "name": "Default"}
    return {
        "token": {
            "user": {"id": f"user-{who}", "name": who, "domain": domain},
            "project": {"id": f"project-{who}", "name": who, "domain": domain},
            "roles": [{"id": "role-member", "name": "member"}],
            "audit_ids": list(audits) or [f"audit-{who}"],
        }
    }


def log_in(scene: Scene, who: str, begin: float, end: float, connection_id: int = 101) -> None:
    """A client logs in."""
    user = {"name": who, "domain": {"id": "default"}, "password": "secret"}
    scene.call(
        "token-issue", 201, begin, end, service="keystone", method="POST", target="/v3/auth/tokens", image_id=None,
        connection_id=connection_id, subject_token=f"token-{who}", response_json=token(who),
        request_json={"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}},
    )  # fmt: skip


def validate(scene: Scene, who: str, begin: float, end: float, connection_id: int, asks: str = "service") -> None:
    """A service asks about a token."""
    scene.call(
        "token-validate", 200, begin, end, service="keystone", target="/v3/auth/tokens", image_id=None,
        connection_id=connection_id, token=f"token-{asks}", subject_token=f"token-{who}", response_json=token(who),
    )  # fmt: skip


def keystone(scene: Scene) -> Session:
    return scene.session(user="keystone", schema="keystone")


def of_user(who: str) -> str:
    return f"SELECT user.id FROM user WHERE user.id = 'user-{who}'"


def check(who: str) -> str:
    """The check whether a token of `who` was revoked."""
    return (
        "SELECT revocation_event.id FROM revocation_event WHERE (revocation_event.user_id IS NULL OR "
        f"revocation_event.user_id = 'user-{who}') AND (revocation_event.audit_id IS NULL OR "
        f"revocation_event.audit_id = 'audit-{who}')"
    )


def test_whom_a_unit_names_tells_logins_apart() -> None:
    scene = Scene()
    log_in(scene, "alpha", 0, 100, 101)
    log_in(scene, "beta", 0, 100, 102)
    database = keystone(scene)
    for number, who in enumerate(("beta", "alpha")):
        database.texts(10 + 20 * number, of_user(who), "ROLLBACK")
    played = scene.play()
    found = [(link.call_id, link.link_class, link.evidence) for link in played.links[::2]]
    evidence = ("names whom it is about", "only call left")
    assert found == [(2, CERTAIN, evidence), (1, CERTAIN, evidence)]
    assert played.links[0].rejected == [(1, "is about another user, project, role or token")]


def test_names_of_who_logs_in_count_and_what_stands_for_nobody_does_not() -> None:
    scene = Scene()
    log_in(scene, "alpha", 0, 100, 101)
    log_in(scene, "beta", 0, 100, 102)
    text = f"SELECT project.id FROM project WHERE project.name = 'alpha' AND project.domain_id IN ('default', '{ROOT}')"
    keystone(scene).texts(10, text, "ROLLBACK")
    assert {(link.call_id, link.link_class) for link in scene.play().links} == {(1, CERTAIN)}


def put(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The body with another value at the place that names lead to; with "" at its end, for the body itself."""
    name, _, rest = path.partition(".")
    if not name:
        return value  # type: ignore[no-any-return]
    inner = body.get(name)
    return {**body, name: put(inner if isinstance(inner, dict) else {}, rest, value)}


ODD: list[Any] = [None, True, 7, 1.5, "", "text", [], [[]], [{}], [None], {}, {"id": {}}, {"id": [{}]}, [{"id": {}}]]
REQUEST_PLACES = [
    "", "auth", "auth.identity", "auth.identity.methods", "auth.identity.password", "auth.identity.password.user",
    "auth.identity.password.user.id", "auth.identity.password.user.name", "auth.identity.password.user.domain",
    "auth.identity.password.user.domain.id", "auth.identity.token", "auth.identity.token.id", "auth.scope",
    "auth.scope.id", "auth.scope.project", "auth.scope.project.id", "auth.scope.project.domain",
]  # fmt: skip
RESPONSE_PLACES = [
    "", "token", "token.user", "token.user.id", "token.user.domain", "token.user.domain.id", "token.project",
    "token.project.id", "token.domain", "token.domain.id", "token.roles", "token.audit_ids", "token.methods",
    "token.catalog", "access", "access.user", "access.user.id", "access.token", "access.token.tenant",
    "access.token.tenant.id", "access.token.audit_ids",
]  # fmt: skip


@pytest.mark.parametrize("methods", [["password"], ["token"]])
@pytest.mark.parametrize("place", REQUEST_PLACES)
def test_a_request_of_any_form_makes_nothing_certain_for_its_call(place: str, methods: list[str]) -> None:
    for odd in ODD:
        scene = Scene()
        log_in(scene, "alpha", 0, 100, 101)
        log_in(scene, "beta", 0, 100, 102)
        call = scene.calls[0]
        request = {"auth": {"identity": {**call.request_json["auth"]["identity"], "methods": methods}}}
        call.request_json = put(request, place, odd)
        keystone(scene).texts(10, check("beta"), "ROLLBACK")
        links = scene.play().links
        assert links, odd
        assert {link.call_id for link in links if link.link_class == CERTAIN} <= {2}, odd


@pytest.mark.parametrize("place", RESPONSE_PLACES)
def test_a_response_of_any_form_leaves_others_theirs(place: str) -> None:
    for odd in ODD:
        scene = Scene()
        log_in(scene, "alpha", 0, 100, 101)
        log_in(scene, "beta", 0, 100, 102)
        validate(scene, "alpha", 5, 100, 103, "beta")
        for call in (scene.calls[0], scene.calls[2]):
            call.response_json = put(call.response_json, place, odd)
        keystone(scene).texts(10, of_user("beta"), "ROLLBACK")
        links = scene.play().links
        assert links, odd
        assert {link.call_id for link in links} <= {2, 3}, odd


def test_a_token_that_is_no_text_is_no_token() -> None:
    """It stood among the tokens of a log-in, where only what can be looked up may stand."""
    scene = Scene()
    log_in(scene, "alpha", 0, 100, 101)
    log_in(scene, "beta", 0, 100, 102)
    scene.calls[0].request_json = {"auth": {"identity": {"methods": ["token"], "token": {"id": {}}}}}
    keystone(scene).texts(10, of_user("beta"), "ROLLBACK")
    assert {(link.call_id, link.link_class) for link in scene.play().links} == {(2, CERTAIN)}


def test_nobodys_user_is_of_no_call() -> None:
    scene = Scene()
    log_in(scene, "alpha", 0, 100)
    keystone(scene).texts(10, of_user("gamma"), "ROLLBACK")
    played = scene.play()
    assert played.links == []
    assert {statement.kind for statement in played.statements} == {"unattributed"}


def test_two_logins_of_one_user_are_twins() -> None:
    scene = Scene()
    log_in(scene, "alpha", 0, 100, 101)
    log_in(scene, "alpha", 1, 101, 102)
    for start in (10.0, 10.5):
        keystone(scene).texts(start, of_user("alpha"), "ROLLBACK")
    links = scene.play().links
    assert {link.call_id for link in links} == {1, 2}
    assert {(link.link_class, link.group_id, link.candidates) for link in links} == {(TWIN, 1, (1, 2))}


@pytest.mark.parametrize(("calls", "linked"), [(16, True), (17, False)])
def test_what_very_many_calls_can_have_run_is_left_out(calls: int, linked: bool) -> None:
    scene = Scene()
    for number in range(calls):
        log_in(scene, "alpha", number * 0.1, 100, 101 + number)
    keystone(scene).texts(10, of_user("alpha"), "ROLLBACK")
    played = scene.play()
    assert bool(played.links) is linked
    assert {statement.kind for statement in played.statements} == {"request" if linked else "unattributed"}


def test_one_call_is_not_given_two_units_that_ran_at_once() -> None:
    scene = Scene()
    log_in(scene, "alpha", 0, 100, 101)
    log_in(scene, "beta", 0, 100, 102)
    keystone(scene).texts(10, of_user("alpha"), "ROLLBACK")
    keystone(scene).texts(10.5, PLAIN, "ROLLBACK")
    link = scene.play().link(PLAIN)
    assert link is not None
    assert link.call_id == 2


def test_the_audit_id_tells_whose_token_is_validated_and_who_asks() -> None:
    scene = Scene()
    validate(scene, "alpha", 0, 100, 101, "one")
    validate(scene, "beta", 50, 200, 102, "other")
    database = keystone(scene)
    texts = (check("one"), 10.0), (check("alpha"), 60.0), (check("other"), 70.0), (check("beta"), 80.0)
    for text, at in texts:
        database.texts(at, text, "ROLLBACK")
    database.texts(120, check("other"), "ROLLBACK")
    links = [(link.call_id, link.link_class) for link in scene.play().links[::2]]
    assert links == [(1, CERTAIN), (1, CERTAIN), (2, CERTAIN), (2, CERTAIN), (2, CERTAIN)]


def test_a_call_that_was_not_seen_keeps_others_from_being_certain() -> None:
    scene = Scene()
    log_in(scene, "alpha", 0, 100)
    scene.call("image-show", 200, 0, 100, token="a token that nobody is seen to validate", connection_id=103)
    keystone(scene).texts(10, of_user("alpha"), "ROLLBACK")
    assert scene.play().links == []


@pytest.mark.parametrize(("missing", "score"), [(0, 1.0), (1, 0.5), (2, None)])
def test_calls_whose_requests_are_missing_may_have_run_it(missing: int, score: float | None) -> None:
    """Each as likely as the one that was seen, unless the unit names what no other call can."""
    scene = Scene()
    log_in(scene, "alpha", 0, 100)
    database = keystone(scene)
    database.texts(10, of_user("alpha"), "ROLLBACK")
    database.texts(50, check("alpha"), "ROLLBACK")
    halves = [Half("keystone", ms(0), ms(90), 110 + number) for number in range(missing)]
    played = scene.play(halves)
    link, named = played.link(of_user("alpha")), played.link(check("alpha"))
    assert (link and link.score) == score
    assert named is not None
    assert (named.link_class, named.score) == (CERTAIN, 1.0)


def _unit(connection_id: int, start: int) -> KeystoneUnit:
    nothing: frozenset[str] = frozenset()
    step = 1_000_000
    return KeystoneUnit(
        UnitOfWork(), start * step, start * step + 2 * step, connection_id, 0, nothing, nothing, nothing
    )


@pytest.mark.parametrize("stack", [False, True])
def test_pools_are_told_by_their_queues(stack: bool) -> None:
    """Connections 1 and 2 are taken in turn by one process, 3 and 4 by another that has less to do."""
    units = [_unit(1 + number % 2, 20 * number) for number in range(80)]
    units += [_unit(3 + number % 2, 70 * number + 5) for number in range(22)]
    if stack:  # the connection given back last is taken first
        units = [_unit(2 if number % 8 else 1, 20 * number) for number in range(200)]
    units.sort(key=lambda unit: unit.start)
    pools = tell_pools(units, [(1, 2)])
    if stack:
        assert pools.pool_of == {}
        return
    assert pools.pool_of == {1: 1, 2: 1, 3: 3, 4: 3}
    assert pools.apart(1, 4)
    assert not pools.apart(1, 2)
    assert not pools.apart(1, 99)


def test_steps_are_explained_by_their_tables() -> None:
    scene = Scene()
    keystone(scene).texts(10, of_user("alpha"), "ROLLBACK")
    statements, _ = scene.units()
    assert step_of(statements) == "user"
    assert step_of(statements[1:]) == "set-up"
