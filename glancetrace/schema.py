"""The tables of a result: every column with its type, unit and meaning.

This is the one description that the result document, the DataFrames, the CSV output and the documentation are made
from. Types: "int", "str", "bool", "float", "ts" (ns since the epoch, UTC; RFC 3339 with nanoseconds in JSON), "dur"
(integer ns), "endpoint" (`address:port`, `[v6]:port`), "list", "object". Every column may be null where a thing is not
known, except ids. Names and meanings are those of schema `glancetrace/1`; columns may be added, these stay.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CAPTURE", "OF_IMAGES", "SCHEMA", "TABLES", "Column"]

SCHEMA = "glancetrace/1"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `values` lists the possible ones where they are few."""

    name: str
    type: str
    doc: str
    values: tuple[str, ...] = ()


CAPTURE: tuple[Column, ...] = (
    Column("files", "list", "the input files in their order: name, first_frame (frame of its first packet), packets"),
    Column("packets", "int", "packets that were read"),
    Column("bytes", "int", "captured bytes of the packets"),
    Column("first_ts", "ts", "earliest packet"),
    Column("last_ts", "ts", "latest packet"),
    Column("link_types", "list", "LINKTYPE_ values of its interfaces (1 is Ethernet)"),
    Column("connections", "int", "TCP connections of interest"),
    Column("glance_eras", "list", "per Glance host the era of its release, told by its SQL: host, era, releases"),
    Column("api_logs", "list", "logs read with --api-log: name, format, calls, used (calls of the capture's time), "
           "offset (ns to add to the log's clock, read as UTC; null: not known), uncertainty (ns either way)"),
    Column("accounting", "object",
           "where everything went; packets = packets_decoded + packets_ignored (ignored_reasons says why) + "
           "packets_malformed, stream_bytes = stream_bytes_decoded + stream_bytes_skipped + stream_bytes_missing"),
)  # fmt: skip
"""The fields of `capture`, the only part of a result that is not a table."""

TABLES: dict[str, tuple[Column, ...]] = {
    "connections": (
        Column("id", "int", "number of the connection, in order of its first packet in the capture"),
        Column("protocol", "str", "what it speaks", ("http", "mysql", "tls", "unknown")),
        Column("client", "endpoint", "side that opened it"),
        Column("server", "endpoint", "side that listened"),
        Column("user", "str", "MySQL user, from the handshake"),
        Column("schema", "str", "MySQL default schema, from the handshake or a later USE"),
        Column("mysql_thread_id", "int", "MySQL thread id, from the greeting"),
        Column("started_before_capture", "bool", "its SYN is not in the capture"),
        Column("bytes", "int", "payload bytes of both directions, retransmissions counted once"),
        Column("tls", "object", "version, suite, sni, alpn, decrypted, reason; null without TLS"),
    ),
    "api_calls": (
        Column("id", "int", "number of the call, in order of its first byte"),
        Column("service", "str", "service that was called", ("keystone", "glance", "swift", "registry")),
        Column("method", "str", "HTTP method"),
        Column("target", "str", "request target as sent"),
        Column("route", "str", "route template, null for an unknown route"),
        Column("route_prefix", "str", "path before the route, as uWSGI deployments have it (/image)"),
        Column("operation", "str", "what the call does, in the OpenStack client's words (image-upload)"),
        Column("image_id", "str", "image that the call is about"),
        Column("status_code", "int", "HTTP status code, null without a response"),
        Column("request_id", "str", "x-openstack-request-id"),
        Column("ts", "ts", "first byte of the request"),
        Column("request_end_ts", "ts", "last byte of the request, body included"),
        Column("response_ts", "ts", "first byte of the response"),
        Column("dur", "dur", "from `ts` to the last byte of the response"),
        Column("request_body_bytes", "int", "bytes of the request's body as sent, without chunk framing"),
        Column("response_body_bytes", "int", "bytes of the response's body as sent, without chunk framing"),
        Column("client", "endpoint", "who called (outermost hop); port 0 where a log names the address alone"),
        Column("server", "endpoint", "who was called (outermost hop)"),
        Column("connection_id", "int", "connection of the outermost hop; null where only a log shows it"),
        Column("tls", "bool", "the outermost hop was encrypted"),
        Column("complete", "bool", "request and response were seen to their last byte; of a log: it has the answer"),
        Column("source", "str", "where the call is known from", ("capture", "log")),
        Column("uncertainty", "dur", "how far the times may be off either way; 0 for those of packets"),
        Column(
            "certainty",
            "str",
            "how sure: read off the wire; of a log, and its packets found; of a log alone, or "
            "the best of several encrypted requests",
            ("observed", "inferred", "assumed"),
        ),
        Column("parent_id", "int", "call in whose course this one was made (token validation, registry, Swift)"),
        Column(
            "hops", "list", "legs of the call from the outside in: client, server, ts, dur, first_frame, last_frame"
        ),
        Column("first_frame", "int", "first frame of the call, all hops; null where only a log shows it"),
        Column("last_frame", "int", "last frame of the call, all hops"),
        Column("request_frame", "int", "frame of the request's last byte (outermost hop)"),
        Column("response_frame", "int", "frame of the response's last byte (outermost hop)"),
    ),
    "statements": (
        Column("id", "int", "number of the statement, in order of its first byte"),
        Column("service", "str", "whose statement it is", ("glance", "keystone", "other")),
        Column("schema", "str", "default schema when it ran"),
        Column("connection_id", "int", "connection that it ran on"),
        Column("mysql_thread_id", "int", "MySQL thread id of that connection"),
        Column("ordinal", "int", "position among the commands of its connection, from 1, as seen"),
        Column("unit_id", "int", "unit of work: one checkout of the connection from the pool"),
        Column("outcome", "str", "what became of its transaction", ("committed", "rolled_back", "unknown")),
        Column("commit_frame", "int", "frame of the COMMIT (of the statement itself under autocommit)"),
        Column(
            "kind",
            "str",
            "what it is for",
            ("request", "ping", "setup", "health", "background", "unattributed"),
        ),
        Column("command", "str", "protocol command (COM_QUERY)"),
        Column("operation", "str", "first word of the SQL: SELECT, UPDATE, COMMIT ..."),
        Column("tables", "list", "tables that the statement names"),
        Column("sql", "str", "text, secrets replaced"),
        Column("digest", "str", "16 hex digits, equal for statements that differ in literals only"),
        Column("image_ids", "list", "images that the text names"),
        Column("ts", "ts", "first byte of the command"),
        Column("dur", "dur", "from `ts` to the last byte of the response"),
        Column("returned_rows", "int", "rows of the result set"),
        Column("affected_rows", "int", "rows changed, from the server's OK"),
        Column("error", "object", "code, sqlstate, message; null without an error"),
        Column("client", "endpoint", "who sent it (outermost leg of a proxy)"),
        Column("server", "endpoint", "database server (outermost leg of a proxy)"),
        Column("hops", "list", "legs of a proxied statement from the outside in"),
        Column("first_frame", "int", "frame of the command's first byte"),
        Column("last_frame", "int", "frame of the response's last byte, of the command's without a response"),
        Column("request_frame", "int", "frame of the command's last byte"),
        Column("response_frame", "int", "frame of the response's last byte"),
    ),
    "links": (
        Column("statement_id", "int", "statement"),
        Column("call_id", "int", "call that ran it"),
        Column("class", "str", "kind of certainty", ("exact", "certain", "inferred", "twin")),
        Column("relation", "str", "while the call was open, or after it", ("in_request", "async")),
        Column("score", "float", "how sure, 0..1"),
        Column("evidence", "list", "what speaks for the link"),
        Column("group_id", "int", "group of twins"),
        Column("candidates", "list", "call ids of a twin's group"),
        Column("rejected", "list", "calls that were considered: call_id, reason"),
    ),
    "images": (
        Column("id", "str", "image id"),
        Column("name", "str", "last known name"),
        Column("status", "str", "status at the end of the capture"),
        Column("size", "int", "bytes that Glance recorded"),
        Column("checksum", "str", "md5 that Glance recorded"),
        Column("os_hash_algo", "str", "algorithm of os_hash_value"),
        Column("os_hash_value", "str", "hash that Glance recorded"),
        Column("wire_checksum", "object", "hashes of the data as it passed, and `complete`; null without an upload"),
        Column("existed_before", "bool", "the image is older than the capture"),
        Column("first_status_certainty", "str", "how the first status is known", ("observed", "inferred", "assumed")),
        Column("transitions", "list", "see table transitions"),
        Column("intervals", "list", "see table intervals"),
        Column("events", "list", "see table events"),
    ),
    "transitions": (
        Column("image_id", "str", "image that it belongs to"),
        Column("from", "str", "status before; null for a creation"),
        Column("to", "str", "status after"),
        Column("ts", "ts", "when it became true: the server's OK to the COMMIT"),
        Column("source", "str", "what shows it", ("sql", "api", "both")),
        Column("certainty", "str", "how sure", ("observed", "inferred", "assumed")),
        Column("legal", "bool", "Glance's status table allows it"),
        Column("statement_id", "int", "statement that wrote it"),
        Column("call_id", "int", "call that caused it"),
        Column("frame", "int", "frame of the statement (of the response for source api)"),
        Column("commit_frame", "int", "frame of the COMMIT"),
    ),
    "intervals": (
        Column("image_id", "str", "image that it belongs to"),
        Column("status", "str", "status"),
        Column("ts", "ts", "since when"),
        Column("dur", "dur", "how long; null for the last, open one"),
    ),
    "events": (
        Column("image_id", "str", "image that it belongs to"),
        Column(
            "kind",
            "str",
            "what happened",
            ("property", "tag", "member", "location", "task", "lookup", "delete", "lost-race", "upload", "download"),
        ),
        Column("ts", "ts", "when it happened"),
        Column("summary", "str", "what, in a few words"),
        Column("statement_id", "int", "statement that wrote it"),
        Column("call_id", "int", "call that caused it"),
        Column("frame", "int", "frame that proves it"),
        Column("dur", "dur", "how long an upload took that only an encrypted connection shows; else null"),
        Column("bytes", "int", "bytes of such an upload, at most"),
        Column("connection_id", "int", "connection of such an upload"),
        Column("certainty", "str", "how sure", ("observed", "inferred", "assumed")),
    ),
    "findings": (
        Column("rule", "str", "name of the rule"),
        Column("severity", "str", "how bad", ("info", "warning", "error")),
        Column("message", "str", "what was found"),
        Column("image_id", "str", "image concerned"),
        Column("call_id", "int", "call concerned"),
        Column("statement_id", "int", "statement concerned"),
        Column("ts", "ts", "when it happened"),
        Column("frames", "list", "frames that prove it"),
    ),
    "issues": (
        Column("kind", "str", "what is wrong with the capture"),
        Column("severity", "str", "how bad for the result", ("info", "warning", "error")),
        Column("count", "int", "how often"),
        Column("meaning", "str", "what it means for the result"),
        Column("remedy", "str", "what to do about it"),
        Column("first_frame", "int", "first frame concerned"),
        Column("connection_id", "int", "connection concerned; null for the capture as a whole"),
        Column("where", "str", "first place in another file: a key log or an API log, and its line"),
    ),
}

OF_IMAGES = ("transitions", "intervals", "events")
"""Tables whose rows stand within those of images in the result document."""
