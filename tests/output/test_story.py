from __future__ import annotations

from glancetrace.output.gist import describe_result, describe_statement
from glancetrace.output.story import tell_story
from tests.support.handmade import PASSWORD, TOKEN, handmade_trace


def test_the_story_is_in_order_of_time() -> None:
    trace = handmade_trace()
    lines = tell_story(trace, trace.tables.images[0])
    assert [line.ts for line in lines] == sorted(line.ts for line in lines)
    assert [(line.kind, line.call_id, line.statement_id) for line in lines] == [
        ("call", 2, None),
        ("sql", 2, 1),
        ("status", 2, 1),
        ("call", 3, None),
        ("sql", 3, 2),
        ("sql", 3, 3),
        ("status", 3, 2),
        ("sql", 3, 4),
        ("status", 3, 4),
        ("location", 3, 4),
    ]


def test_what_the_lines_say() -> None:
    trace = handmade_trace()
    text = [line.text for line in tell_story(trace, trace.tables.images[0])]
    assert text[0] == "#2 201 image-create: POST /v2/images (req-2)"
    assert text[4].startswith("#3 1 changed: UPDATE images SET status='saving' WHERE images.id='7b1a2c3d-")
    assert text[5] == "#3 COMMIT"
    assert text[6] == "queued → saving"


def test_without_sql() -> None:
    trace = handmade_trace()
    kinds = [line.kind for line in tell_story(trace, trace.tables.images[0], with_sql=False)]
    assert kinds == ["call", "status", "call", "status", "status", "location"]


def test_an_unanswered_call_has_failed_and_hides_its_token() -> None:
    trace = handmade_trace()
    line = tell_story(trace, trace.tables.images[1])[0]
    assert line.failed
    assert line.text.startswith("#4 no response image-upload: PUT ")
    assert TOKEN not in line.text


def test_uncertain_and_illegal_changes_say_so() -> None:
    trace = handmade_trace()
    change = trace.tables.images[0].transitions[1]
    change.certainty, change.legal, change.source = "inferred", False, "api"
    (line,) = [line for line in tell_story(trace, trace.tables.images[0]) if line.status == "saving"]
    assert line.text == "queued → saving (inferred, not a legal change, seen in a response only)"


def test_a_gist_hides_secrets_before_it_is_shortened() -> None:
    trace = handmade_trace()
    gist = describe_statement(trace.tables.statements[5], trace.redactor)
    assert gist == "UPDATE password SET password='<redacted>'"
    revealed = handmade_trace(reveal=True)
    assert PASSWORD in describe_statement(revealed.tables.statements[5], revealed.redactor)


def test_results() -> None:
    results = [describe_result(statement) for statement in handmade_trace().tables.statements]
    assert results == ["1 changed", "1 changed", "OK", "1 changed", "1 row", "1 changed"]
