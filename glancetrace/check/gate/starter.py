"""A first rules file from a good capture, for a person to edit: what was seen, with tolerances.

Everything that is written has been judged against the capture itself; what the capture does not pass, or cannot show,
is left out with a comment that says why.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from glancetrace.check.gate.calls import judge_calls, judge_errors, statement_counts
from glancetrace.check.gate.expectations import Expectations, Source
from glancetrace.check.gate.facts import Facts
from glancetrace.check.gate.images import judge_images
from glancetrace.check.gate.reading import parse_rules
from glancetrace.check.gate.sql import judge_sql
from glancetrace.check.gate.times import p95
from glancetrace.check.rules import RULES
from glancetrace.verdict import PASSED, Outcome

__all__ = ["render_starter", "would_fail"]

Judge = Callable[[Facts, Expectations], Iterator[Outcome]]
Row = dict[str, Any]

_MOST_IMAGES = 40
_SLOWER = 5
_SLOWER_P95 = 3
_SHORTEST = 1_000_000_000
"""ns: no bound is below it. On a busy host everything may take so long; `diff` sees changes of milliseconds."""

_BAD = ("killed", "deleted", "pending_delete")


def render_starter(document: Row, folder: str = "", source: Source | None = None) -> Iterator[str]:
    """Lines of the file; paths are relative to `folder`. `source`: what the capture was read with."""
    facts = Facts(document)
    names = [file["name"] for file in document["capture"]["files"]]
    yield "# Rules for `glancetrace check --rules THIS_FILE [CAPTURE]`, made from a capture by `check --init`."
    yield "# Edit it: names are patterns (* and ?), tolerances are guesses, and what does not matter may go."
    yield ""
    yield 'fail_on = "error"  # or "warning", "info": findings from which on the check fails; see `glancetrace rules`'
    yield ""
    yield "[capture]"
    if names and "-" not in names:
        relative = [os.path.relpath(name, folder or ".") for name in names]
        yield f"files = {_list(relative)}  # relative to this file; read when no CAPTURE is given"
        yield from _source(source or Source(), folder)
    yield f'max_loss = "{_loss(facts)}"  # of the stream bytes; with more a capture cannot be judged'
    yield ""
    yield from _ignored(facts)
    yield from _images(facts)
    yield from _calls(facts)
    yield from _errors(facts)
    yield from _sql(facts)


def _source(source: Source, folder: str) -> Iterator[str]:
    for key, paths in (("keylog", source.keylogs), ("rsa_key", source.rsa_keys), ("api_log", source.api_logs)):
        if paths:
            yield f"{key} = {_list([os.path.relpath(path, folder or '.') for path in paths])}"
    if source.ports:
        yield f"port = {_list(source.ports)}"


def _loss(facts: Facts) -> str:
    loss = 100 * facts.hidden.loss
    return f"{loss * 1.5:.4f} %" if loss else "0 %"


def toml_text(text: str) -> str:
    """A TOML basic string; what cannot be seen is escaped (TOML 1.0, String)."""
    shown = []
    for character in text:
        if character in '"\\':
            shown.append(f"\\{character}")
        elif character.isprintable():
            shown.append(character)
        else:
            code = ord(character)
            shown.append("\ufffd" if 0xD800 <= code <= 0xDFFF else f"\\U{code:08X}")
    return f'"{"".join(shown)}"'


def _list(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(toml_text, texts))}]" if len(texts) != 1 else toml_text(texts[0])


def _pattern(name: str) -> str:
    """A name as a pattern that matches itself alone."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _up(ns: int) -> str:
    """A duration rounded up to two digits."""
    unit, name = (1_000_000_000, "s") if ns >= 1_000_000_000 else (1_000_000, "ms")
    value = -(-ns * 10 // unit) / 10
    return f"{value:.1f}{name}" if value < 10 and name == "s" else f"{-(-ns // unit)}{name}"


def _bound(ns: int, times: int) -> str:
    return _up(max(ns * times, _SHORTEST))


def _passes(facts: Facts, judge: Judge, lines: Sequence[str]) -> str:
    """Why the capture does not pass these lines; "" if it does."""
    rules = parse_rules("\n".join([f'[capture]\nmax_loss = "{_loss(facts)}"', *lines]), "rules")
    return next((outcome.message for outcome in judge(facts, rules) if outcome.verdict != PASSED), "")


def _kept(
    facts: Facts, judge: Judge, head: Sequence[str], keys: Sequence[tuple[str, str]], *, alone: bool = True
) -> Iterator[str]:
    """`head` and those keys that the capture passes, the others as comments; nothing if the head does not pass.

    `alone`: the head expects something by itself.
    """
    why = _passes(facts, judge, head) if alone else ""
    if why:
        yield f"# left out: {' '.join(head[1:])}: {why}"
        yield ""
        return
    reasons = [_passes(facts, judge, [*head, line]) for line, _ in keys]
    empty = not alone and all(reasons)
    yield from (f"# {line}" if empty else line for line in head)
    for (line, comment), why in zip(keys, reasons, strict=True):
        yield f"# {line}  # left out: {why}" if why else f"{line}{f'  # {comment}' if comment else ''}"
    yield ""


def would_fail(document: Row) -> Counter[str]:
    """Rule -> findings that fail without a rules file, and that the starter ignores."""
    return Counter(f["rule"] for f in document["findings"] if RULES[f["rule"]].severity == "error")


def _ignored(facts: Facts) -> Iterator[str]:
    """What fails in a capture that is called good is ignored, until a person has looked."""
    found = would_fail(facts.document)
    if found:
        yield "# WARNING: the capture has findings that fail. They are ignored here so that it passes its own rules:"
        yield "# look at each, and delete its line unless it belongs to the scenario; see `glancetrace rules RULE`."
        yield "[ignore]"
        for rule, count in sorted(found.items()):
            times = "once" if count == 1 else f"{count} times"
            yield f'{rule} = "found {times} in the capture that these rules come from: say why that is all right"'
        yield ""


def _images(facts: Facts) -> Iterator[str]:
    named: dict[str, list[Row]] = defaultdict(list)
    for image in facts.images:
        if image["name"]:
            named[image["name"]].append(image)
    if len(named) > _MOST_IMAGES:
        ways = Counter(tuple(i["status"] for i in image["intervals"]) for image in facts.images)
        yield f"# {len(facts.images)} images; their ways, and how many went them:"
        for way, count in ways.most_common(10):
            yield f"#   {count} x {' > '.join(way)}"
        wanted = f"count = {{ min = {max(1, len(facts.images) // 2)} }}"
        bad = [status for status in _BAD if not any(status in way for way in ways)]
        keys = [(f"forbidden = {_list(bad)}" if len(bad) != 1 else f'forbidden = ["{bad[0]}"]', "")] if bad else []
        yield from _kept(facts, judge_images, ["[[image]]", 'name = "*"', wanted], keys)
        return
    for name, images in named.items():
        yield from _kept(facts, judge_images, _image_head(name, images), list(_image_keys(images)))
    if named:
        yield "[images]"
        yield "unexpected = true  # false: an image that no [[image]] describes fails"
        yield ""


def _image_head(name: str, images: Sequence[Row]) -> list[str]:
    head = ["[[image]]", f"name = {toml_text(_pattern(name))}"]
    return [*head, f"count = {len(images)}"] if len(images) > 1 else head


def _image_keys(images: Sequence[Row]) -> Iterator[tuple[str, str]]:
    ways = {tuple(interval["status"] for interval in image["intervals"]) for image in images}
    if len(ways) == 1:
        (way,) = ways
        if way:
            yield f"statuses = [{', '.join(map(toml_text, way))}]", "exactly; or contains = [...] with others between"
    longest: dict[str, int] = {}
    for image in images:
        for interval in image["intervals"]:
            if interval["dur"] is not None:
                longest[interval["status"]] = max(longest.get(interval["status"], 0), interval["dur"])
    if longest:
        bounds = ", ".join(f'{status} = "{_bound(dur, _SLOWER)}"' for status, dur in longest.items())
        yield f"max_duration = {{ {bounds} }}", f"{_SLOWER} times what it was"


def _calls(facts: Facts) -> Iterator[str]:
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for call in facts.calls:
        if call["operation"] != "unknown":
            groups[call["service"], call["operation"]].append(call)
    for (service, operation), calls in sorted(groups.items()):
        head = ["[[call]]", f"operation = {toml_text(operation)}", f"service = {toml_text(service)}"]
        durations = [call["dur"] for call in calls if call["dur"] is not None]
        statements = [sum(statement_counts(call, facts)) for call in calls]
        keys = [(f"count = {{ min = {max(1, len(calls) // 2)}, max = {2 * len(calls)} }}", f"it was {len(calls)}")]
        if durations:
            longest = max(durations)
            keys.append((f'max_duration = "{_bound(longest, _SLOWER)}"', f"it was {_up(longest)}"))
        if len(durations) >= 20:
            usual = p95(durations)
            keys.append((f'p95_duration = "{_bound(usual, _SLOWER_P95)}"', f"it was {_up(usual)}"))
        if service == "glance" and any(statements):
            most = max(statements)
            keys.append((f"max_statements = {most + max(2, most // 5)}", f"it was {min(statements)} to {most}"))
        yield from _kept(facts, judge_calls, head, keys, alone=False)


def _errors(facts: Facts) -> Iterator[str]:
    seen: dict[str, list[str]] = defaultdict(list)
    for call in facts.outer(facts.calls):
        code = call["status_code"]
        status = "none" if code is None else str(code)
        if (code is None or code >= 400) and status not in seen[call["operation"]]:
            seen[call["operation"]].append(status)
    entries = [
        f"    {{ operation = {toml_text(operation)}, status = [{', '.join(toml_text(s) for s in sorted(statuses))}] }},"
        for operation, statuses in sorted(seen.items()) if statuses
    ]  # fmt: skip
    lines = ["[errors]  # every other answer of 4xx or 5xx fails, and none at all", "allow = [", *entries, "]"]
    why = _passes(facts, judge_errors, lines)
    yield from [f"# left out: [errors]: {why}"] if why else lines
    yield ""


def _sql(facts: Facts) -> Iterator[str]:
    keys = [
        ("full_scan = false", "a SELECT of images that names no indexed column fails"),
        ("outside_transaction = false", "an UPDATE under autocommit fails"),
    ]
    yield from _kept(facts, judge_sql, ["[sql]"], keys)
    yield "# [[sql.forbid]]"
    yield '# pattern = "^DELETE FROM images"  # a regular expression over the text without its literals; or digest'
    yield '# reason = "Glance deletes softly"'
