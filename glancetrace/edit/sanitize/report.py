"""What `sanitize` did, as plain data and as text: counts by kind, never a secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from glancetrace.edit.sanitize.passes import Sanitised
from glancetrace.edit.sanitize.verify import Remainder

__all__ = ["render_report", "render_text"]

_BLANKED = {
    "http-content-coding": "bytes of compressed bodies whose secrets did not fit, or that could not be decoded",
    "http-kept-secret": "bytes of bodies that are the secrets of a key manager",
    "http-long-text": "bytes of text bodies that are too long to be looked through",
    "http-not-understood": "bytes that are no HTTP, or follow missing ones",
    "http-tunnel": "bytes behind CONNECT or a change of protocol",
    "mysql-compressed": "bytes of compressed MySQL frames whose secrets did not fit, or that could not be decoded",
    "mysql-not-understood": "bytes that are no MySQL packets, or follow missing ones, or are sent files",
    "other-packets-cut": "packets that are not TCP, cut behind their headers",
    "tcp-packets-cut": "TCP packets of connections that nobody decodes, cut behind their headers",
}
"""Kinds of what was blanked or cut, with their units."""


def render_report(done: Sanitised, remainders: Sequence[Remainder] | None) -> dict[str, Any]:
    """The report as a document; `remainders` is None where nobody looked."""
    return {
        "schema": "glancetrace-sanitize/1",
        "output": done.path,
        "packets": done.packets,
        "connections": done.connections,
        "decrypted": done.decrypted,
        "secrets": len(done.known.seen),
        "secrets_replaced_in_place_only": done.known.unsearched,
        "tls_secrets_dropped": done.tls_secrets,
        "replaced": _sorted(done.tally.replaced),
        "blanked": _sorted(done.tally.blanked),
        "remaining": None
        if remainders is None
        else [{"kind": one.kind, "frame": one.frame, "where": one.where} for one in remainders],
    }


def render_text(report: Mapping[str, Any]) -> list[str]:
    """The report in lines."""
    replaced = ", ".join(f"{count} {kind}" for kind, count in report["replaced"].items()) or "nothing"
    protocols = ", ".join(f"{count} {protocol}" for protocol, count in report["connections"].items()) or "none"
    lines = [
        f"{report['packets']} packets; connections: {protocols}",
        f"{report['secrets']} secrets; replaced: {replaced}",
    ]
    lines += [f"{count} {_BLANKED[kind]}" for kind, count in report["blanked"].items()]
    if report["secrets_replaced_in_place_only"]:
        lines.append(
            f"{report['secrets_replaced_in_place_only']} secrets are too short or too common a word "
            "to be looked for outside their places"
        )
    if report["tls_secrets_dropped"]:
        lines.append(f"{report['tls_secrets_dropped']} blocks of TLS secrets dropped")
    if report["decrypted"]:
        lines.append(f"{report['decrypted']} TLS connections written as plain ones")
    if report["connections"].get("tls"):
        lines.append("TLS stays encrypted: whoever has its key log can read it, so keep that back, or use --decrypt")
    remaining = report["remaining"]
    if remaining is not None:
        lines += [f"still there: {one['kind']} in frame {one['frame']}, {one['where']}" for one in remaining[:20]]
        lines.append(f"verified: {len(remaining)} secrets remain" if remaining else "verified: no secret remains")
    return lines


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return {kind: count for kind, count in sorted(counts.items()) if count}
