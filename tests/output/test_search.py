from __future__ import annotations

import pytest

from glancetrace.http.exchange import Body
from glancetrace.output.gist import describe_statement
from glancetrace.output.search import excerpt_of, search_trace
from glancetrace.output.select import compile_pattern
from glancetrace.output.text_lists import render_statements
from glancetrace.sql.parser import StatementParser
from tests.support.handmade import CIRROS, PASSWORD, TOKEN, handmade_trace
from tests.support.pages import page_for


def hits(text: str, *, reveal: bool = False) -> list[tuple[str, int | None, int | None]]:
    found = search_trace(handmade_trace(reveal=reveal), compile_pattern(text, regex=False))
    return [(hit.where, hit.call_id, hit.statement_id) for hit in found]


def test_everything_is_searched() -> None:
    assert hits("nothing-here") == [("url", 5, None)]
    assert hits("application/JSON") == [("response header", n, None) for n in (1, 2, 3, 5)]
    assert hits('"cirros"') == [("request body", 2, None)]
    assert hits('"queued"') == [("response body", 2, None)]
    assert hits("INSERT INTO") == [("statement", 2, 1)]
    assert hits("not in the capture") == []


def test_hits_say_which_image() -> None:
    (hit,) = search_trace(handmade_trace(), compile_pattern("'saving'"))
    assert (hit.call_id, hit.statement_id, hit.image_ids) == (3, 2, (CIRROS,))


@pytest.mark.parametrize("secret", [PASSWORD, TOKEN, TOKEN[:9], PASSWORD[2:7]])
def test_a_secret_is_found_but_not_shown(secret: str) -> None:
    found = search_trace(handmade_trace(), compile_pattern(secret))
    assert found
    assert not any(PASSWORD in hit.excerpt or TOKEN in hit.excerpt for hit in found)
    revealed = search_trace(handmade_trace(reveal=True), compile_pattern(secret))
    assert all(secret in hit.excerpt for hit in revealed)


def test_a_secret_at_the_end_of_a_cut_body_is_not_shown() -> None:
    trace = handmade_trace()
    exchange = trace.tables.calls[0].exchange
    assert exchange is not None
    exchange.request_body = Body(content=f'{{"auth": {{"password": "{PASSWORD}'.encode(), content_truncated=True)
    (hit,) = [hit for hit in search_trace(trace, compile_pattern("auth\\b")) if hit.where == "request body"]
    assert "<redacted>" in hit.excerpt
    assert PASSWORD not in hit.excerpt


def test_excerpts_show_the_surroundings() -> None:
    assert excerpt_of("x" * 50 + "NEEDLE" + "y" * 1000, compile_pattern("needle")).startswith("…" + "x" * 16 + "NEEDLE")
    assert excerpt_of("all of it", compile_pattern("of")) == "all of it"
    assert excerpt_of("<redacted>", compile_pattern("secret")) == "<redacted>"


def test_a_parameter_is_found_and_its_statement_shown() -> None:
    for reveal, shown in ((False, "2 of UPDATE user SET x=? WHERE y=?"), (True, "bare secret")):
        trace = handmade_trace(reveal=reveal)
        command = trace.tables.statements[5].command
        command.sql, command.params = "UPDATE user SET x=? WHERE y=?", (7, b"bare secret")
        trace.tables.statements[5].parsed = StatementParser().parse(command.sql)
        (hit,) = search_trace(trace, compile_pattern("bare"))
        assert (hit.where, hit.excerpt) == ("parameter", shown)


def test_a_secret_by_its_column_is_not_shown() -> None:
    trace = handmade_trace()
    statement = trace.tables.statements[5]
    statement.command.sql = "INSERT INTO local_user (id, password) VALUES (1, 'hunter2')"
    statement.parsed = StatementParser().parse(statement.command.sql)
    (hit,) = search_trace(trace, compile_pattern("local_user"))
    assert hit.where == "statement"
    assert "hunter2" not in hit.excerpt
    assert "hunter2" not in "\n".join(render_statements(trace, [statement], page_for(trace, 200), whole=True))


def test_the_gist_of_a_property_with_a_secret() -> None:
    trace = handmade_trace()
    statement = trace.tables.statements[5]
    statement.command.sql = (
        "INSERT INTO image_properties (image_id, name, value) VALUES ('a', 'os_password', 'hunter2')"
    )
    statement.parsed = StatementParser().parse(statement.command.sql)
    gist = describe_statement(statement, trace.redactor)
    assert "os_password" in gist
    assert "hunter2" not in gist
    assert "hunter2" in describe_statement(statement, handmade_trace(reveal=True).redactor)
