"""What the page says before any script runs: counts, findings with their rules, quality of the capture.

Plain data from a result document, for the template to write down.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glancetrace.output.places import Places
from glancetrace.output.report.payload import nanoseconds
from glancetrace.output.report.visible import visible
from glancetrace.output.summary import STATUS_ORDER, quantile, sort_statuses
from glancetrace.output.units import format_bytes, format_duration, plural
from glancetrace.trace import CapturedFile

__all__ = ["Guide", "summarise"]

Row = Mapping[str, Any]

_SEVERITIES = ("error", "warning", "info")
_SERVICES = ("glance", "registry", "keystone", "swift")
_MOST_FINDINGS = 40
_MOST_IMAGES = 1_000
_MOST_FRAMES = 6


@dataclass(frozen=True, slots=True)
class Guide:
    """What a rule of the findings means, and what to do about it."""

    title: str
    meaning: str
    remedy: str


def _clock(time: str | None) -> str:
    """`19:25:51.708631` of a time of the document."""
    return "-" if time is None else time[11:26]


def _sentences(guide: Guide) -> Guide:
    """Its texts as sentences."""

    def sentence(text: str) -> str:
        return f"{text[:1].upper()}{text[1:]}."

    return Guide(guide.title, sentence(guide.meaning), sentence(guide.remedy))


def _findings(document: Row, guides: Mapping[str, Guide], places: Places) -> list[dict[str, Any]]:
    """Findings by rule, the worst first."""
    names = {image["id"]: image["name"] or image["id"] for image in document["images"]}
    groups: dict[str, list[Row]] = {}
    for finding in document["findings"]:
        groups.setdefault(finding["rule"], []).append(finding)

    def worst(rule: str) -> int:
        return min(_SEVERITIES.index(finding["severity"]) for finding in groups[rule])

    rows = []
    for rule in sorted(groups, key=lambda name: (worst(name), -len(groups[name]), name)):
        found = sorted(groups[rule], key=lambda finding: finding["ts"])
        rows.append(
            {
                "rule": rule,
                "severity": _SEVERITIES[worst(rule)],
                "guide": _sentences(guides[rule]) if rule in guides else None,
                "count": len(found),
                "more": max(0, len(found) - _MOST_FINDINGS),
                "found": [
                    {
                        "message": finding["message"],
                        "time": _clock(finding["ts"]),
                        "frames": places.several(finding["frames"], _MOST_FRAMES) if finding["frames"] else "",
                        "all_frames": ",".join(map(str, finding["frames"][:500])),
                        "image_id": visible(finding["image_id"] or ""),
                        "image": names.get(finding["image_id"] or "", ""),
                        "call_id": finding["call_id"],
                    }
                    for finding in found[:_MOST_FINDINGS]
                ],
            }
        )
    return rows


def _issues(document: Row, places: Places) -> list[dict[str, Any]]:
    """Issues by kind over all connections, the worst first."""
    kinds: dict[str, dict[str, Any]] = {}
    for issue in document["issues"]:
        row = kinds.setdefault(issue["kind"], {**issue, "count": 0, "connections": 0, "where": None})
        row["count"] += issue["count"]
        row["connections"] += issue["connection_id"] is not None
        row["where"] = row["where"] or issue["where"]
        frames = [frame for frame in (row["first_frame"], issue["first_frame"]) if frame is not None]
        row["first_frame"] = min(frames, default=None)
    for row in kinds.values():
        row["place"] = places.frame(row["first_frame"]) if row["first_frame"] else None
    return sorted(kinds.values(), key=lambda row: (_SEVERITIES.index(row["severity"]), row["kind"]))


def _operations(document: Row) -> list[dict[str, Any]]:
    """Calls by operation: how many, how long, how much SQL."""
    linked = Counter(link["call_id"] for link in document["links"])
    groups: dict[tuple[str, str], list[Row]] = {}
    for call in document["api_calls"]:
        groups.setdefault((call["service"], call["operation"]), []).append(call)
    order = {name: index for index, name in enumerate(_SERVICES)}
    rows = []
    for (service, operation), calls in sorted(groups.items(), key=lambda item: order.get(item[0][0], len(order))):
        durations = sorted(call["dur"] for call in calls if call["dur"] is not None)
        rows.append(
            {
                "service": service,
                "operation": operation,
                "calls": f"{len(calls):,}",
                "errors": sum((call["status_code"] or 0) >= 400 for call in calls),
                "unanswered": sum(call["status_code"] is None for call in calls),
                "p50": format_duration(quantile(durations, 0.5)),
                "p95": format_duration(quantile(durations, 0.95)),
                "sql": f"{sum(linked[call['id']] for call in calls) / len(calls):.1f}",
            }
        )
    return rows


def _parts(counts: Mapping[str, int], order: Sequence[str]) -> list[dict[str, Any]]:
    """Parts of a whole for a bar: name, count, where it begins and how wide it is (of 1000)."""
    total = sum(counts.values())
    parts, at = [], 0.0
    for name in order:
        width = 1000 * counts[name] / total if total else 0.0
        parts.append({"name": name, "count": f"{counts[name]:,}", "x": f"{at:.2f}", "width": f"{width:.2f}"})
        at += width
    return [part for part in parts if part["count"] != "0"]


def _attribution(document: Row) -> list[dict[str, Any]]:
    """Of each service's statements: how many, of what kind, how sure their calls are."""
    classes = {link["statement_id"]: link["class"] for link in document["links"]}
    services: dict[str, Counter[str]] = {}
    for statement in document["statements"]:
        kind = classes.get(statement["id"]) or statement["kind"]
        services.setdefault(statement["service"], Counter())[kind] += 1
    order = ("exact", "certain", "inferred", "twin", "request", "background", "ping", "setup", "health", "unattributed")
    rows = []
    for service, counts in sorted(services.items(), key=lambda item: (item[0] != "glance", -item[1].total())):
        known = [name for name in order if counts[name]] + sorted(set(counts) - set(order))
        rows.append({"service": service, "count": f"{counts.total():,}", "parts": _parts(counts, known)})
    return rows


def _accounting(accounting: Row) -> list[dict[str, Any]]:
    """Packets and bytes: what became of all of them."""
    packets = {name: accounting[f"packets_{name}"] for name in ("decoded", "ignored", "malformed")}
    streams = {name: accounting[f"stream_bytes_{name}"] for name in ("decoded", "skipped", "missing")}
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in accounting["ignored_reasons"].items())
    of_streams = _parts(streams, list(streams))
    for part in of_streams:
        part["count"] = format_bytes(streams[part["name"]])
    return [
        {
            "name": "Packets",
            "total": f"{sum(packets.values()):,}",
            "parts": _parts(packets, list(packets)),
            "note": f"ignored: {reasons}" if reasons else "",
        },
        {"name": "Bytes of TCP streams", "total": format_bytes(sum(streams.values())), "parts": of_streams, "note": ""},
    ]


def _images(document: Row) -> list[dict[str, Any]]:
    """A plain table of the images, for browsers without scripts."""
    last = nanoseconds(document["capture"]["last_ts"])
    rows = []
    for image in document["images"][:_MOST_IMAGES]:
        times = []
        for interval in image["intervals"]:
            dur, still = interval["dur"], ""
            if dur is None:
                start = nanoseconds(interval["ts"]) or 0
                dur, still = max(0, (last or start) - start), "+"
            times.append(f"{interval['status']} {format_duration(dur)}{still}")
        rows.append(
            {
                "id": image["id"],
                "name": image["name"] or "(no name)",
                "status": image["status"] or "-",
                "size": format_bytes(image["size"]),
                "story": " → ".join(times[:12]) + (" …" if len(times) > 12 else ""),
            }
        )
    return rows


def _connections(document: Row) -> dict[str, Any]:
    """Connections by protocol, and why encrypted ones stayed closed."""
    rows = document["connections"]
    closed = [row["tls"] for row in rows if row["tls"] and not row["tls"].get("decrypted")]
    reasons = Counter(tls["reason"] or "unknown" for tls in closed)
    protocols = Counter(row["protocol"] for row in rows)
    return {
        "protocols": ", ".join(f"{n:,} {name}" for name, n in protocols.most_common()),
        "decrypted": sum(bool(row["tls"] and row["tls"].get("decrypted")) for row in rows),
        "closed": len(closed),
        "reasons": [f"{reason} ({count:,})" if len(reasons) > 1 else reason for reason, count in reasons.most_common()],
    }


def _share(part: int, whole: int) -> str:
    """Percentage, rounded down: 100 % are all."""
    return f"{1000 * part // whole / 10:g} %" if whole else "-"


def _headline(document: Row) -> str:
    """The answer in a sentence or two."""
    images, calls = document["images"], document["api_calls"]
    if not images and not calls:
        return "The capture shows no image and no API call."
    failed = sum(call["status_code"] is None or call["status_code"] >= 400 for call in calls)
    serious = Counter(finding["severity"] for finding in document["findings"])
    text = f"{plural(len(images), 'image')} and {plural(len(calls), 'API call')}"
    if not calls:
        text = f"{plural(len(images), 'image')}, and no API call that could be read."
    else:
        text += f", {failed:,} of them refused or failed." if failed else ", all of them answered with success."
    if serious["error"]:
        return f"{text} {plural(serious['error'], 'finding')} to look into first."
    if serious["warning"]:
        return f"{text} {plural(serious['warning'], 'warning')}, nothing worse."
    return f"{text} {'No finding is more than a remark' if failed else 'Nothing went wrong that the capture shows'}."


def summarise(document: Row, guides: Mapping[str, Guide]) -> dict[str, Any]:
    """Everything that the template writes, by name."""
    capture = document["capture"]
    first, last = nanoseconds(capture["first_ts"]), nanoseconds(capture["last_ts"])
    places = Places([CapturedFile(file["name"], file["first_frame"], file["packets"]) for file in capture["files"]])
    statuses = Counter(image["status"] or "unknown" for image in document["images"])
    linked = {link["statement_id"] for link in document["links"]}
    own = [s for s in document["statements"] if s["service"] == "glance" and s["kind"] not in ("ping", "setup")]
    attributed = sum(statement["id"] in linked for statement in own)
    files = [os.path.basename(file["name"]) for file in capture["files"]]
    failed = sum((call["status_code"] or 0) >= 400 for call in document["api_calls"])
    unanswered = sum(call["status_code"] is None for call in document["api_calls"])
    severities = Counter(finding["severity"] for finding in document["findings"])
    return {
        "headline": _headline(document),
        "files": files,
        "first": capture["first_ts"],
        "date": (capture["first_ts"] or "")[:10],
        "clock": _clock(capture["first_ts"]),
        "length": format_duration(None if first is None or last is None else last - first),
        "packets": f"{capture['packets']:,}",
        "bytes": format_bytes(capture["bytes"]),
        "counts": {
            "images": f"{len(document['images']):,}",
            "calls": f"{len(document['api_calls']):,}",
            "failed": f"{failed:,}",
            "unanswered": f"{unanswered:,}",
            "statements": f"{len(document['statements']):,}",
            "attributed": _share(attributed, len(own)),
            "own": f"{len(own):,}",
            "findings": f"{len(document['findings']):,}",
        },
        "severities": [(name, severities[name]) for name in _SEVERITIES if severities[name]],
        "known_statuses": STATUS_ORDER,
        "statuses": _parts(statuses, sort_statuses(statuses)),
        "findings": _findings(document, guides, places),
        "issues": _issues(document, places),
        "operations": _operations(document),
        "accounting": _accounting(capture["accounting"]),
        "attribution": _attribution(document),
        "connections": _connections(document),
        "eras": [f"{row['releases']} at {row['host']}" for row in capture["glance_eras"]],
        "images": _images(document),
        "more_images": max(0, len(document["images"]) - _MOST_IMAGES),
    }
