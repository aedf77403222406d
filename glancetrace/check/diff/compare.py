"""Two profiles compared: what changed, and which changes are regressions.

A change is a regression only where chance does not explain it. Counts of statements: either every call on each side has
the same count and the two differ (a scripted scenario; three calls a side), or all calls agree but for SELECTs that
were added to each (`glancetrace.check.diff.scripted`), or a rank test says so after correction for the many tests
(Bonferroni). Durations: a rank test, a least effect, and a least change of the median beyond what all operations have
in common: another host or its load slows everything, and says nothing about one of them. What differs in calls too few
for any test is told as unclear.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from glancetrace.check.diff.noise import compare_ranks, fisher_greater, median
from glancetrace.check.diff.profile import Operation, Profile
from glancetrace.check.diff.scripted import added_selects, agree, is_script
from glancetrace.check.wording import duration_text
from glancetrace.verdict import CANNOT_JUDGE, FAILED, PASSED, Change, Comparison

__all__ = ["Thresholds", "compare"]

_ALPHA = 0.01
_SCRIPTED = 3
"""Calls a side from which on equal counts are taken for a rule of the scenario."""
_EFFECT = 0.33
_NOTEWORTHY = 1.5
"""Factor of all durations from which on it is told."""
_UNCLEAR = "too few calls to judge"
_SETBACKS = frozenset({("saving", "queued"), ("uploading", "queued"), ("importing", "queued")})

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What is let pass.

    `slower`: share by which the median of an operation may grow beyond the others'; `delay`: ns that it must grow at
    least; `overall`: share by which everything may, None: by any. `statements`: per call and shape, on average.
    `findings`: of one rule of severity error, more than before. `failures`: calls with 5xx or no response of one
    operation, more than before.
    """

    slower: float = 0.5
    delay: int = 10_000_000
    overall: float | None = None
    statements: float = 0.2
    findings: int = 0
    failures: int = 0


def compare(base: Profile, new: Profile, thresholds: Thresholds | None = None) -> Comparison:
    """All changes from `base` to `new`, regressions first."""
    limits = thresholds or Thresholds()
    changes = [
        *_calls(base, new, limits),
        *_statements(base, new, limits),
        *_durations(base, new, limits),
        *_images(base, new),
        *_findings(base, new, limits),
    ]
    changes.sort(key=lambda change: not change.regression)
    unsure = [f"{name}: {profile.unsure}" for name, profile in (("base", base), ("new", new)) if profile.unsure]
    if not base.operations and not base.ways:
        unsure.append("base: nothing that could be compared")
    verdict = FAILED if any(change.regression for change in changes) else CANNOT_JUDGE if unsure else PASSED
    return Comparison(base.name, new.name, verdict, changes, unsure, new.files)


def _shared(base: Profile, new: Profile) -> Iterator[tuple[Key, Operation, Operation]]:
    for key, operation in base.operations.items():
        if key in new.operations:
            yield key, operation, new.operations[key]


def _name(key: Key) -> str:
    return f"{key[1]} ({key[0]})"


def _calls(base: Profile, new: Profile, limits: Thresholds) -> Iterator[Change]:
    """Operations that came or went, how often they were called, and how they were answered."""
    empty = Operation()
    for key in sorted(base.operations.keys() | new.operations.keys()):
        before, after = base.operations.get(key, empty), new.operations.get(key, empty)
        if before.calls != after.calls:
            kind = "new" if not before.calls else "gone" if not after.calls else "calls"
            yield Change("calls", _name(key), kind, str(before.calls), str(after.calls), "calls")
        if not before.calls or not after.calls:
            continue
        for status in sorted(before.statuses.keys() | after.statuses.keys()):
            was, is_now = before.statuses[status], after.statuses[status]
            if was == is_now or (status != "none" and status < "400"):
                continue
            # A connection that a busy proxy lost is nothing yet; one 5xx where there was none is.
            fresh = status.startswith("5") and not was
            surely = fisher_greater(was, before.calls, is_now, after.calls) < _ALPHA / 10
            regression = (fresh or surely) and is_now - was > limits.failures
            yield Change(
                "answers", _name(key), status, f"{was} of {before.calls}", f"{is_now} of {after.calls}",
                "answered with this status" if status != "none" else "without a response", regression,
            )  # fmt: skip


def _statements(base: Profile, new: Profile, limits: Thresholds) -> Iterator[Change]:
    """SQL per call, shape by shape, and in sum; calls that were answered alike are compared."""
    kinds = {**base.kinds, **new.kinds}
    shared = [
        (key, status, before.statements[status], after.statements[status], after.frames)
        for key, before, after in _shared(base, new)
        for status in sorted(before.statements.keys() & after.statements.keys())
    ]
    tests = 1 + sum(len({d for counts in (*was, *is_now) for d in counts}) for _, _, was, is_now, _ in shared)
    yield from _without_statements(base, new)
    # What the base does not show would seem to be added.
    script = base.whole and is_script([(was, is_now) for key, _, was, is_now, _ in shared if _reads(key)], kinds)
    for key, status, was, is_now, frames in shared:
        name = f"{_name(key)} {status}"
        added = added_selects(was, is_now, kinds) if script and _reads(key) else {}
        told = failed = False
        for digest in sorted({digest for counts in (*was, *is_now) for digest in counts} - {""}):
            change = _shape_change(name, digest, was, is_now, tests, surely=digest in added)
            if change is None:
                continue
            if digest in added:
                worse = added[digest] > limits.statements
            else:
                # A shape that takes the place of another one of its kind (as an admin's of a member's) is no more SQL.
                alike = [d for d, kind in kinds.items() if kind == kinds[digest]]
                worse = change.kind in ("new", "more") and _grown(was, is_now, alike, tests) > limits.statements
            told = True
            failed = failed or worse
            text = new.texts.get(digest) or base.texts.get(digest, "")
            frame = frames.get(digest, 0)
            yield replace(change, what=f"{digest} {text}", regression=worse, frames=[frame] if frame else [])
        change = None if failed else _shape_change(name, "", was, is_now, tests)
        if change is not None:
            yield replace(change, regression=_grown(was, is_now, [""], tests) > limits.statements)
        elif not told and not agree(was, is_now) and _too_few(was, is_now, tests):
            what = f"all statements; {_UNCLEAR} ({len(was)} and {len(is_now)})"
            yield Change("statements", name, "unclear", _sums(was), _sums(is_now), what)


Counts = Sequence[Counter[str]]


def _reads(key: Key) -> bool:
    """What an operation reads is the same each time: no cache decides it."""
    return key[0] != "keystone"


def _without_statements(base: Profile, new: Profile) -> Iterator[Change]:
    """Calls whose statements are not surely known on one side only."""
    for key, before, after in _shared(base, new):
        for status in sorted((before.statements.keys() ^ after.statements.keys()) & before.statuses.keys()):
            if status in after.statuses:
                was, is_now = (_sums(side[status]) if status in side else "not known"
                               for side in (before.statements, after.statements))  # fmt: skip
                what = "all statements; on one side it is not sure which are a call's"
                yield Change("statements", f"{_name(key)} {status}", "unclear", was, is_now, what)


def _shape_change(
    name: str, digest: str, base: Counts, new: Counts, tests: int, *, surely: bool = False
) -> Change | None:
    was, is_now = [counts[digest] for counts in base], [counts[digest] for counts in new]
    direction = 1 if surely else _differ(was, is_now, tests)
    if not direction:
        return None
    kind = "more" if direction > 0 else "fewer"
    kind = "new" if not any(was) else "gone" if not any(is_now) else kind
    return Change("statements", name, kind, _per_call(was), _per_call(is_now), "all statements")


def _grown(base: Counts, new: Counts, digests: Sequence[str], tests: int) -> float:
    """Statements of these shapes that a call runs more, on average; 0 if that may be chance."""
    was = [sum(counts[digest] for digest in digests) for counts in base]
    is_now = [sum(counts[digest] for digest in digests) for counts in new]
    return _mean(is_now) - _mean(was) if _differ(was, is_now, tests) > 0 else 0.0


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values)


def _per_call(values: Sequence[int]) -> str:
    return f"{_mean(values):.3g} per call"


def _sums(calls: Counts) -> str:
    return _per_call([counts[""] for counts in calls])


def _differ(base: Sequence[int], new: Sequence[int], tests: int) -> int:
    """1 where `new` is greater beyond chance, -1 where it is smaller, 0 else."""
    if min(base) == max(base) and min(new) == max(new):
        few = min(len(base), len(new)) < _SCRIPTED
        return 0 if few or base[0] == new[0] else (1 if new[0] > base[0] else -1)
    for first, second, direction in ((base, new, 1), (new, base, -1)):
        shift = compare_ranks(first, second)
        if shift is not None and shift[0] < _ALPHA / tests:
            return direction
    return 0


def _too_few(base: Sequence[object], new: Sequence[object], tests: int) -> bool:
    """No rank test could tell, however much they differ."""
    shift = compare_ranks(range(len(base)), range(len(base), len(base) + len(new)))
    return shift is None or shift[0] >= _ALPHA / max(1, tests)


def _durations(base: Profile, new: Profile, limits: Thresholds) -> Iterator[Change]:
    shared = list(_shared(base, new))
    common = _common_factor(shared)
    if common > _NOTEWORTHY or (limits.overall is not None and common > 1 + limits.overall):
        what = "times as long, by the median of all operations: another host or load, if it is no regression"
        worse = limits.overall is not None and common > 1 + limits.overall
        yield Change("time", "all operations", "slower", "1", f"{common:.2f}", what, worse)
    for key, before, after in shared:
        was, is_now = median(before.durations), median(after.durations)
        usual = was * max(1.0, common)
        slower = _is_slower(before.durations, after.durations, max(1.0, common), len(shared))
        faster = not slower and _is_slower(after.durations, before.durations, max(1.0, 1 / common), len(shared))
        beyond = is_now > usual * (1 + limits.slower) and is_now - usual > limits.delay
        if beyond and not slower and _too_few(before.durations, after.durations, len(shared)):
            what = f"median of the calls' durations; {_UNCLEAR} ({len(before.durations)} and {len(after.durations)})"
            yield Change("time", _name(key), "unclear", duration_text(round(was)), duration_text(round(is_now)), what)
        if not slower and not faster:
            continue
        if not beyond and not (faster and is_now * (1 + limits.slower) < was):
            continue
        frame = after.frames.get("", 0)
        yield Change(
            "time", _name(key), "slower" if slower else "faster", duration_text(round(was)),
            duration_text(round(is_now)), "median of the calls' durations", slower and beyond,
            [frame] if frame and slower else [],
        )  # fmt: skip


def _is_slower(base: Sequence[int], new: Sequence[int], common: float, tests: int) -> bool:
    """`new` is greater than `base` times what all have in common, beyond chance and by an effect that counts."""
    shift = compare_ranks([value * common for value in base], new)
    return shift is not None and shift[0] < _ALPHA / max(1, tests) and shift[1] > _EFFECT


def _common_factor(shared: Sequence[tuple[Key, Operation, Operation]]) -> float:
    """By how much the median of all operations changed: the middle of the operations' factors; 1 without any."""
    factors = sorted(
        median(after.durations) / median(before.durations)
        for _, before, after in shared
        if before.durations and after.durations and median(before.durations)
    )
    if len(factors) < 3:
        return 1.0
    middle = len(factors) // 2
    return factors[middle] if len(factors) % 2 else (factors[middle - 1] + factors[middle]) / 2


def _images(base: Profile, new: Profile) -> Iterator[Change]:
    """The ways that images went, and steps back or not allowed."""
    before, after = sum(base.ways.values()), sum(new.ways.values())
    for way in sorted(base.ways.keys() | new.ways.keys()):
        was, is_now = base.ways[way], new.ways[way]
        if bool(was) == bool(is_now) or not before or not after:
            continue
        # A script takes all its images one way: where all take another one, that is another story.
        scripted = not was and is_now == after and min(before, after) >= _SCRIPTED
        surely = not was and fisher_greater(was, before, is_now, after) < _ALPHA / 10
        kind = "gone" if was else "new"
        yield Change(
            "images", " > ".join(way) or "no status", kind, f"{was} of {before}", f"{is_now} of {after}",
            "images went this way", scripted or surely,
        )  # fmt: skip
    for step in sorted(new.steps.keys() - base.steps.keys()):
        from_status, to_status, legal = step
        bad = not legal or to_status == "killed" or (from_status, to_status) in _SETBACKS
        if bad:
            what = "a step back or a failure" if legal else "a status change that Glance does not allow"
            name = f"{from_status or 'nothing'} > {to_status}"
            yield Change("images", name, "new", "0", str(new.steps[step]), what, True)


def _findings(base: Profile, new: Profile, limits: Thresholds) -> Iterator[Change]:
    before, after = (sum(operation.calls for operation in side.operations.values()) for side in (base, new))
    for rule, severity in sorted(base.findings.keys() | new.findings.keys()):
        was, is_now = base.findings[rule, severity], new.findings[rule, severity]
        if was != is_now:
            # Something of a kind that was there before has to be more than chance; a first one is news.
            surely = fisher_greater(was, max(before, was), is_now, max(after, is_now)) < _ALPHA / 10
            regression = severity == "error" and (not was or surely) and is_now - was > limits.findings
            kind = "new" if not was else "gone" if not is_now else "more" if is_now > was else "fewer"
            yield Change("findings", rule, kind, str(was), str(is_now), f"findings of severity {severity}", regression)
