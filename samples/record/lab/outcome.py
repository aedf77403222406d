"""The files beside a capture: from what services, proxy, database and clients noted, one consistent ground truth.

Only what began while the capture ran is kept. A client's call is tied to the request a service saw through HAProxy's
log: calls of a client's port stand there in order, and so do the requests of a port towards the service.
"""

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from lab import database, place
from lab.calls import write_lines
from lab.proxy import Forwarded

Row = dict[str, Any]


def read_journals(start_ns: int, end_ns: int) -> tuple[list[Row], list[Row]]:
    """(requests, SQL and pool traffic) of all service processes between two times, in order of their start."""
    rows = []
    for path in place.TRUTH.glob("*.jsonl"):
        rows += [json.loads(line) for line in path.read_text().splitlines()]
    rows = sorted((row for row in rows if start_ns <= row["start_ns"] <= end_ns), key=lambda row: row["start_ns"])
    requests = [row for row in rows if row["kind"] == "wsgi"]
    ids = {row["wsgi"]: row.get("request_id") for row in requests}
    work = [row for row in rows if row["kind"] != "wsgi"]
    for row in work:
        if "wsgi" in row:
            row.update(request_id=ids.get(row["wsgi"]), relation="in_request")
        elif "origin" in row:
            row.update(request_id=ids.get(row["origin"]), relation="background_of_request")
        else:
            row["relation"] = "none"
    return requests, work


def tie(calls: list[Row], forwarded: list[Forwarded], requests: list[Row]) -> None:
    """Gives each call the `wsgi` id of the request it became, where it became one."""
    seen: dict[int, list[Row]] = defaultdict(list)
    for row in requests:
        if "xff" in row:
            seen[int(row["peer_port"])].append(row)
    became: dict[int, list[tuple[Forwarded, Row]]] = defaultdict(list)
    for line in forwarded:
        found = take(seen[line.service_port], line.method, line.target)
        if found:
            became[line.client_port].append((line, found))
    for call in sorted(calls, key=lambda call: call["start_ns"]):
        pairs = became.get(call.get("local_port") or 0, [])
        target = call["url"].split("/", 3)[-1]
        for position, (line, row) in enumerate(pairs):
            if line.method == call["method"] and line.target.split("/", 3 if "://" in line.target else 1)[-1] == target:
                call["wsgi"] = row["wsgi"]
                del pairs[: position + 1]
                break


def take(rows: list[Row], method: str, target: str) -> Row | None:
    """The first of one connection's requests that is `method target`; those before it are not in the proxy's log."""
    path = unquote(target.split("?", 1)[0], errors="replace")
    for position, row in enumerate(rows):
        if row["method"] == method and row["path"].encode("latin1", "replace").decode("utf8", "replace") == path:
            del rows[: position + 1]
            return row
    return None


def timeline() -> list[Row]:
    """The change log; of an UPDATE only what it changed."""
    with database.session("change_log") as cursor:
        cursor.execute("SELECT * FROM changes ORDER BY id")
        found = cursor.fetchall()
    rows = []
    for row in found:
        old, new = (json.loads(row[key]) if row[key] else {} for key in ("old_row", "new_row"))
        row["ts"] = row["ts"].isoformat(timespec="microseconds") + "Z"
        del row["old_row"], row["new_row"]
        if row["op"] == "UPDATE":
            changed = {name: [old[name], new[name]] for name in new if old[name] != new[name]}
            row["changed"] = {} if set(changed) <= database.UNREMARKABLE else changed
        else:
            row.update(old_row=old or None, new_row=new or None)
        rows.append(row)
    return rows


def count_sql(work: list[Row]) -> Row:
    counts = {}
    for service in ("keystone", "glance"):
        sent = [row for row in work if row["kind"] == "sql" and row["service"] == service]
        relations = Counter(row["relation"] for row in sent)
        counts[service] = {
            "total": len(sent),
            "in_request": relations["in_request"],
            "background_of_request": relations["background_of_request"],
            "outside": relations["none"],
            "errors": sum("error" in row for row in sent),
            "connections": len({row["client_port"] for row in sent}),
            "verbs": dict(Counter((row["sql"].split(None, 1) or [row["cmd"]])[0].upper() for row in sent)),
        }
    return counts


def count_statuses(images: list[Row], changes: list[Row]) -> Row:
    chains: dict[str, list[str]] = defaultdict(list)
    for row in changes:
        if row["tbl"] == "images" and row["op"] == "INSERT":
            chains[row["image_id"]].append(row["new_row"]["status"])
        elif row["tbl"] == "images" and "status" in row.get("changed", {}):
            chains[row["image_id"]].append(row["changed"]["status"][1])
    final = Counter(row["status"] + ("+deleted" if row["deleted"] else "") for row in images)
    return {"final_image_status": dict(final), "status_chains": dict(Counter(">".join(c) for c in chains.values()))}


def write_outcome(
    folder: Path, schema: str, calls: list[Row], forwarded: list[Forwarded], images: list[Row], summary: Row
) -> Row:
    """Writes all files beside the capture into `folder` and returns the summary, which is one of them."""
    requests, work = read_journals(summary["start_ns"], summary["end_ns"])
    made = [row for row in calls if row["kind"] == "api"]
    tie(made, forwarded, requests)
    changes, final = timeline(), database.final_rows(schema)
    glance = [row for row in made if f":{place.GLANCE_PUBLIC}/" in row["url"]]
    summary.update(
        api_calls_tied_to_wsgi=sum("wsgi" in row for row in made),
        api_calls=len(made),
        api_calls_glance=len(glance),
        api_calls_keystone=len(made) - len(glance),
        wsgi_requests=dict(Counter(row["service"] for row in requests)),
        sql_commands=count_sql(work),
        **count_statuses(final["images"], changes),
    )
    write_lines(folder / "api.jsonl", sorted(calls, key=lambda call: call["start_ns"]))
    write_lines(folder / "wsgi.jsonl", requests)
    write_lines(folder / "sql.jsonl", work)
    write_lines(folder / "db_timeline.jsonl", changes)
    for name, content in (("final_db", final), ("final_api", images), ("summary", summary)):
        (folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    return summary
