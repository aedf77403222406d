"""The Trace Event Format's JSON object form as a JSON schema, for the phases that glancetrace writes.

Written from "Trace Event Format" (Google): complete (X), flow (s, f), counter (C) and metadata (M) events.
"""

from __future__ import annotations

from typing import Any

__all__ = ["TRACE_EVENTS"]

Schema = dict[str, Any]

NUMBER: Schema = {"type": "integer", "minimum": 0}
NAME: Schema = {"type": "string", "minLength": 1}


def event(phase: Schema, **more: Schema) -> Schema:
    required: Schema = {"ph": phase, "name": NAME, "pid": NUMBER, "tid": NUMBER, **more}
    return {
        "type": "object",
        "properties": {**required, "bp": {"const": "e"}, "cat": NAME},
        "additionalProperties": False,
        "required": list(required),
    }


TIME: Schema = {"type": "number", "minimum": 0}
OBJECT: Schema = {"type": "object"}
EVENTS = [
    event({"const": "X"}, ts=TIME, dur=TIME, cat=NAME, args=OBJECT),
    event({"enum": ["s", "f"]}, ts=TIME, id=NUMBER, cat=NAME),
    event({"const": "C"}, ts=TIME, args={"type": "object", "additionalProperties": {"type": "number"}}),
    event({"const": "M"}, args=OBJECT),
]

TRACE_EVENTS: Schema = {
    "type": "object",
    "properties": {
        "traceEvents": {"type": "array", "items": {"oneOf": EVENTS}},
        "displayTimeUnit": {"enum": ["ms", "ns"]},
        "otherData": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "additionalProperties": False,
    "required": ["traceEvents"],
}
