"""A verdict as SARIF 2.1.0 (OASIS), which GitHub code scanning and IDEs read.

Passed checks are results of kind `pass`; what cannot be judged is of kind `open` ("the tool concluded that there was
insufficient information to decide"), 3.27.9. The artifact is the line of the rules file, else the capture.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from glancetrace.output.clean import clean
from glancetrace.verdict import CANNOT_JUDGE, FAILED, PASSED, Outcome, Rule, Verdict

__all__ = ["sarif_document"]

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_KINDS = {FAILED: "fail", CANNOT_JUDGE: "open", PASSED: "pass"}
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def _descriptor(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.number,
        "name": "".join(part.capitalize() for part in rule.name.split("-")),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.meaning},
        "help": {"text": rule.remedy},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
    }


def _uri(path: str) -> str:
    return quote(PurePath(clean(path) or "-").as_posix(), safe="/~")


def _location(outcome: Outcome, verdict: Verdict) -> dict[str, Any]:
    if outcome.line is not None and verdict.rules_file is not None:
        place: dict[str, Any] = {
            "artifactLocation": {"uri": _uri(verdict.rules_file)}, "region": {"startLine": outcome.line}
        }  # fmt: skip
    else:
        place = {"artifactLocation": {"uri": _uri(verdict.files.names[0] if verdict.files.names else "-")}}
    location: dict[str, Any] = {"physicalLocation": place}
    if outcome.image_id:
        location["logicalLocations"] = [{"name": clean(outcome.image_id), "kind": "resource"}]
    return location


def _result(outcome: Outcome, rule: Rule, index: int, verdict: Verdict) -> dict[str, Any]:
    text = clean(f"{outcome.subject}: {outcome.message}{verdict.files.text(outcome.frames)}")
    print_of = hashlib.sha256(f"{rule.number} {outcome.subject}".encode("utf-8", "replace")).hexdigest()[:32]
    return {
        "ruleId": rule.number,
        "ruleIndex": index,
        "kind": _KINDS[outcome.verdict],
        "level": _LEVELS[rule.severity] if outcome.verdict == FAILED else "none",
        "message": {"text": text},
        "locations": [_location(outcome, verdict)],
        "partialFingerprints": {"glancetraceSubject/v1": print_of},
        "properties": {"frames": list(outcome.frames), "wireshark": verdict.files.filter(outcome.frames)},
    }


def sarif_document(verdict: Verdict, rules: Mapping[str, Rule], version: str) -> dict[str, Any]:
    """The whole log; `rules` explain the outcomes by name, and are all listed; `version` is that of glancetrace."""
    positions = {name: index for index, name in enumerate(rules)}
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "glancetrace",
                        "semanticVersion": version,
                        "rules": [_descriptor(rule) for rule in rules.values()],
                    }
                },
                "results": [
                    _result(outcome, rules[outcome.rule], positions[outcome.rule], verdict)
                    for outcome in verdict.outcomes
                ],
            }
        ],
    }
