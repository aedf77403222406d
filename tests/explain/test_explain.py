"""Every link can be asked why it is, and says what would make it surer."""

from __future__ import annotations

import json
from functools import cache

import pytest
from click.testing import CliRunner

import glancetrace
from glancetrace.cli import cli
from glancetrace.errors import UsageError
from glancetrace.trace import Trace
from tests.support.samples import capture_path


@cache
def trace(name: str) -> Trace:
    return glancetrace.analyze(capture_path(name))


def test_a_call_shows_its_units_in_order() -> None:
    article = trace("article")
    upload = next(call for call in article.tables.calls if call.operation == "image-upload")
    explanation = article.explain(call=upload.id)
    units = [unit for unit in explanation.units if unit.link_class == "certain"]
    kinds = units[-1].units
    assert [kind for kind in kinds if kind.startswith("save")] == ["save:queued>saving", "save:saving>active"]
    assert [unit.place for unit in units] == sorted(unit.place or 0 for unit in units)
    assert all(unit.call_id == upload.id for unit in units)
    assert explanation.to_be_sure == [] or any(unit.link_class == "inferred" for unit in explanation.units)


def test_a_statement_is_explained_with_its_unit() -> None:
    article = trace("article")
    link = next(link for link in article.tables.links if link.rejected or link.evidence)
    (unit,) = article.explain(statement=link.statement_id).units
    assert link.statement_id in unit.statement_ids
    assert (unit.call_id, unit.link_class, unit.score) == (link.call_id, link.link_class, link.score)
    assert [weight.name for weight in unit.evidence] == list(link.evidence)


def test_what_has_no_call_names_those_that_were_open() -> None:
    crowded = trace("mixed-64")
    linked = {link.statement_id for link in crowded.tables.links}
    unlinked = [s for s in crowded.tables.statements if s.kind == "unattributed" and s.id not in linked]
    (unit,) = crowded.explain(statement=unlinked[-1].id).units
    own = [crowded.tables.statements[number - 1] for number in unit.statement_ids]
    begin, end = own[0].command.ts, own[-1].end_ts
    assert len(unit.open_calls) > 16
    for number in unit.open_calls:
        call = crowded.tables.calls[number - 1]
        assert call.service == own[0].service == "keystone"
        assert call.ts <= begin
        assert call.dur is None or call.ts + call.dur >= end
    first = ", ".join(map(str, unit.open_calls[:8]))
    text = str(crowded.explain(statement=unlinked[-1].id))
    assert f"no call (unattributed); open while it ran: {first} and {len(unit.open_calls) - 8} more\n" in text


def test_joint_links_have_weights_and_alternatives() -> None:
    crowded = trace("concurrent-old-8")
    link = next(link for link in crowded.tables.links if link.joint is not None)
    explanation = crowded.explain(statement=link.statement_id)
    (unit,) = explanation.units
    weights = {weight.name: weight.weight for weight in unit.evidence if weight.weight is not None}
    assert {"order", "wait"} <= weights.keys()
    assert unit.place is not None
    assert 1 <= unit.place <= len(unit.units)
    others = {call for call, _ in unit.alternatives}
    assert link.call_id not in others
    assert 0 <= sum(p for _, p in unit.alternatives) < 1
    assert any("request ids" in wish for wish in explanation.to_be_sure)
    text = str(explanation)
    assert f"call {link.call_id}: {link.link_class}" in text
    assert all(reason in text for _, reason in link.rejected)


@pytest.mark.parametrize("table", ["statements", "calls"])
def test_a_frame_leads_to_what_it_is_of(table: str) -> None:
    article = trace("article")
    if table == "statements":
        row = next(s for s in article.tables.statements if s.image_ids)
        explanation = article.explain(frame=row.command.request_frame)
        assert row.id in explanation.units[0].statement_ids
    else:
        call = next(c for c in article.tables.calls if c.operation == "image-create")
        assert explanation_subject(article, call.request_frame) == f"call {call.id}"


def explanation_subject(of: Trace, frame: int | None) -> str:
    return of.explain(frame=frame).subject.partition(":")[0]


@pytest.mark.parametrize("wanted", [{}, {"call": 1, "frame": 2}, {"call": 999_999}, {"statement": 0}, {"frame": 10**9}])
def test_what_is_not_there_is_said(wanted: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        trace("article").explain(**wanted)


def test_command_line_says_it_as_text_and_json() -> None:
    path = str(capture_path("article"))
    text = CliRunner().invoke(cli, ["explain", path, "--call", "3", "--no-progress"])
    assert text.exit_code == 0
    assert "  for it: only call left" in text.output
    done = CliRunner().invoke(cli, ["explain", path, "--call", "3", "--format", "json", "--no-progress"])
    explanation = json.loads(done.output)["explanation"]
    assert {unit["call_id"] for unit in explanation["units"]} == {3}
    assert {"class", "evidence", "rejected", "alternatives", "units", "place"} <= explanation["units"][0].keys()


def test_no_secret_is_explained() -> None:
    article = trace("article")
    shown = "".join(json.dumps(article.explain(call=call.id).row()) for call in article.tables.calls)
    assert "gAAAA" not in shown
