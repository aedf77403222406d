"""HAR 1.2 as JSON schemas, written from the specification (http://www.softwareishard.com/blog/har-12-spec/).

Fields that the specification marks optional are not required; names that begin with an underscore are anybody's.
"""

from __future__ import annotations

from typing import Any

__all__ = ["HAR"]

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
SIZE: Schema = {"type": "integer", "minimum": -1}
PHASE: Schema = {"anyOf": [{"type": "number", "minimum": 0}, {"const": -1}]}


def fields(required: Schema, optional: Schema) -> Schema:
    return {
        "type": "object",
        "properties": {**required, **optional, "comment": TEXT},
        "patternProperties": {"^_": {}},
        "additionalProperties": False,
        "required": list(required),
    }


PAIRS: Schema = {"type": "array", "items": fields({"name": TEXT, "value": TEXT}, {})}
COOKIES: Schema = {"type": "array", "items": fields({"name": TEXT, "value": TEXT}, {"path": TEXT, "domain": TEXT})}
POST_DATA = fields({"mimeType": TEXT, "params": {"type": "array"}, "text": TEXT}, {})
REQUEST = fields(
    {
        "method": {"type": "string", "minLength": 1},
        "url": {"type": "string", "pattern": r"^https?://[^/\s<>\"\\^`{|}]+[^\s<>\"\\^`{|}]*$"},
        "httpVersion": {"type": "string", "pattern": "^HTTP/"},
        "cookies": COOKIES,
        "headers": PAIRS,
        "queryString": PAIRS,
        "headersSize": SIZE,
        "bodySize": SIZE,
    },
    {"postData": POST_DATA},
)
CONTENT = fields(
    {"size": {"type": "integer", "minimum": 0}, "mimeType": TEXT},
    {"compression": {"type": "integer"}, "text": TEXT, "encoding": TEXT},
)
RESPONSE = fields(
    {
        "status": {"type": "integer", "minimum": 0, "maximum": 999},
        "statusText": TEXT,
        "httpVersion": TEXT,
        "cookies": COOKIES,
        "headers": PAIRS,
        "content": CONTENT,
        "redirectURL": TEXT,
        "headersSize": SIZE,
        "bodySize": SIZE,
    },
    {},
)
TIMINGS = fields(
    {name: {"type": "number", "minimum": 0} for name in ("send", "wait", "receive")},
    dict.fromkeys(("blocked", "dns", "connect", "ssl"), PHASE),
)
ENTRY = fields(
    {
        "startedDateTime": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d)$"},
        "time": {"type": "number", "minimum": 0},
        "request": REQUEST,
        "response": RESPONSE,
        "cache": {"type": "object"},
        "timings": TIMINGS,
    },
    {"pageref": TEXT, "serverIPAddress": TEXT, "connection": TEXT},
)
LOG = fields(
    {
        "version": {"const": "1.2"},
        "creator": fields({"name": TEXT, "version": TEXT}, {}),
        "entries": {"type": "array", "items": ENTRY},
    },
    {"browser": fields({"name": TEXT, "version": TEXT}, {}), "pages": {"type": "array"}},
)

HAR: Schema = fields({"log": LOG}, {})
