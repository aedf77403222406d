"""Whether `glancetrace diff` takes chance for a regression, and whether it finds a SELECT that was added.

`python -m tests.bench.diff [-v] [--all] FOLDER...`: the folders hold recordings of one scenario, one each, as
`samples/record/record` writes them. Every recording is compared with every other one: no regression is wanted. Then a
SELECT is put into the packets of the newer one, after the last SELECT of each of Glance's calls: of a shape that the
recording does not have, and once more the one that the call has just run. Both are wanted as regressions in every pair.
Last, the calls of one operation take three times as long, which may drown in the differences of load.
`--all` does the same to the calls of one operation after the other. Without folders, samples of the article.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

from glancetrace.check.diff.compare import compare
from glancetrace.check.diff.profile import Profile, build_profile
from glancetrace.document import render_document
from glancetrace.pipeline import analyze
from glancetrace.rfc3339 import nanoseconds
from glancetrace.verdict import Change
from tests.support.doctor import Addition, Doctored, ok_packet, query
from tests.support.samples import capture_path

__all__ = ["report"]

_SCRIPTED = ("article", "article-tls12", "article-proxied-foreign")
_NEW = "SELECT image_members.id FROM image_members WHERE image_members.member = 'x'"
_ALL = "every operation"
_SLOWED = "image-show"

Document = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a call's SELECT may be added: the operation, the response after which, µs until the next command."""

    operation: str
    frame: int
    sql: str
    room: int


def places(document: Document) -> list[Place]:
    """One for each call of Glance that ran a SELECT: after its last one."""
    operations = {call["id"]: call["operation"] for call in document["api_calls"] if call["service"] == "glance"}
    follows: dict[int, int] = {}
    latest: dict[int, Document] = {}
    for statement in document["statements"]:
        before = latest.get(statement["connection_id"])
        if before is not None and before["dur"] is not None:
            begun, now = (nanoseconds(one["ts"]) or 0 for one in (before, statement))
            follows[before["id"]] = (now - begun - before["dur"]) // 1000
        latest[statement["connection_id"]] = statement
    statements = {statement["id"]: statement for statement in document["statements"]}
    last: dict[int, Place] = {}
    for link in document["links"]:
        statement = statements[link["statement_id"]]
        known = statement["operation"] == "SELECT" and statement["response_frame"] and statement["id"] in follows
        if link["relation"] == "in_request" and link["call_id"] in operations and known:
            frame, room = statement["response_frame"], follows[statement["id"]]
            last[link["call_id"]] = Place(operations[link["call_id"]], frame, statement["sql"], room)
    return list(last.values())


def with_selects(capture: Path, chosen: Iterable[Place], sql: str | None, to: Path) -> Path:
    """The capture with a SELECT more at each place: this one, or (None) the one before it once more."""
    doctored = Doctored(capture)
    doctored.add([
        Addition(place.frame, query(sql or place.sql), ok_packet(), place.room) for place in chosen
    ])  # fmt: skip
    return doctored.write(to)


@dataclass
class Recording:
    """One recording of the scenario: its profile, those with SELECTs added, by (where, which), and a slower one."""

    name: str
    profile: Profile
    added: dict[tuple[str, str], Profile]
    slow: Profile


def read_recording(name: str, capture: Path, *, each: bool) -> Recording:
    """A recording and all that is put into it; `each`: into the calls of single operations, too."""
    document = render_document(analyze(str(capture)))
    profile = build_profile(document)
    found = places(document)
    operations = sorted({place.operation for place in found}) if each else []
    added = {}
    with tempfile.TemporaryDirectory() as folder:
        for where in (_ALL, *operations):
            chosen = [place for place in found if where in (_ALL, place.operation)]
            for which, sql in (("new", _NEW), ("once more", None)):
                path = with_selects(capture, chosen, sql, Path(folder) / "more.pcap")
                added[where, which] = build_profile(render_document(analyze(str(path))))
    for call in document["api_calls"]:
        if call["operation"] == _SLOWED and call["dur"] is not None:
            call["dur"] *= 3
    slow = build_profile(document)
    return Recording(name, profile, added, slow)


def is_found(changes: Sequence[Change], where: str) -> bool:
    """A regression of statements says so."""
    told = [
        c.subject.split()[0] for c in changes if c.regression and c.part == "statements" and "(glance)" in c.subject
    ]
    return bool(told) if where == _ALL else where in told


def report(recordings: Sequence[Recording], *, verbose: bool = False) -> None:
    """Compare all pairs and print what was said."""
    false: list[str] = []
    tried: Counter[tuple[str, str]] = Counter()
    found: Counter[tuple[str, str]] = Counter()
    calls: Counter[str] = Counter()
    slower = 0
    pairs = list(permutations(recordings, 2))
    for base, new in pairs:
        told = [change for change in compare(base.profile, new.profile).changes if change.regression]
        false += [f"{base.name} -> {new.name}: {c.part} {c.subject} {c.before} -> {c.after} {c.what}" for c in told]
        changes = compare(base.profile, new.slow).changes
        slower += any(c.regression and c.part == "time" and c.subject.startswith(_SLOWED) for c in changes)
        for key, profile in new.added.items():
            if key[0] != _ALL and ("glance", key[0]) not in base.profile.operations:
                continue
            tried[key] += 1
            if is_found(compare(base.profile, profile).changes, key[0]):
                found[key] += 1
            elif verbose:
                print(f"not found: {base.name} -> {new.name} {key}")
    for recording in recordings:
        for (_, operation), profile in recording.profile.operations.items():
            calls[operation] += profile.calls
    failed = {line.split(":")[0] for line in false}
    print(f"{len(pairs)} pairs of {len(recordings)} recordings, {len(failed)} with regressions")
    for line in false:
        print(f"  {line}")
    for key in tried:
        many = "" if key[0] == _ALL else f", {calls[key[0]] / len(recordings):.1f} calls a recording"
        print(f"  a SELECT in {key[0]}, {key[1]}: found in {found[key]} of {tried[key]}{many}")
    print(f"  {_SLOWED} three times as slow: found in {slower} of {len(pairs)}")


def captures(folders: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """(name, capture) of each folder."""
    for folder in folders:
        yield folder.name, sorted(folder.glob("*.pcap*"))[0]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.diff", description=__doc__)
    parser.add_argument("folders", type=Path, nargs="*", help="recordings of one scenario")
    parser.add_argument("--all", action="store_true", help="add SELECTs to single operations, too")
    parser.add_argument("-v", "--verbose", action="store_true", help="name the pairs in which nothing was found")
    arguments = parser.parse_args()
    chosen = list(captures(arguments.folders)) or [(name, capture_path(name)) for name in _SCRIPTED]
    report([read_recording(name, capture, each=arguments.all) for name, capture in chosen], verbose=arguments.verbose)


if __name__ == "__main__":
    main()
