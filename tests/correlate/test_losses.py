"""Packets that are missing lower what is said of links, and never raise it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from glancetrace.document import render_document
from glancetrace.pipeline import analyze
from tests.support.degrade import LOSSES, degrade
from tests.support.evaluate import Figures, judge, owners_of
from tests.support.samples import TRUTHS, capture_path
from tests.support.truth import read_truth

NAME = "concurrent-old-8"
SURE = ("exact", "certain")

Classes = dict[tuple[int, int], str | None]


def judged(capture: Path, *, lossy: bool) -> tuple[Figures, Classes]:
    """Figures, and the class of every statement's link by its connection and place on it."""
    truth = read_truth(TRUTHS[NAME])
    document = render_document(analyze(capture))
    link_of = {link["statement_id"]: link["class"] for link in document["links"]}
    owners = owners_of(truth, document)
    classes = {
        (record["client_port"], record["n"]): link_of.get(statement)
        for statement, record in owners.items()
        if record["service"] == "glance"
    }
    return judge(truth, document, lossy=lossy), classes


@cache
def whole() -> Classes:
    return judged(capture_path(NAME), lossy=False)[1]


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_certainty_falls_and_stays_right(loss: str, tmp_path: Path) -> None:
    figures, classes = judged(degrade(capture_path(NAME), loss, tmp_path / "degraded.pcap"), lossy=True)
    right, of = map(int, figures["glance_by_class"]["certain"].split("/"))
    assert right == of > 500
    assert figures["glance_precision"] >= 0.98
    assert figures["glance_background_adopted"] == 0
    assert [key for key, kind in classes.items() if kind in SURE and whole().get(key) not in SURE] == []
