"""Two profiles compared: what changed, and which changes are regressions.

A change is a regression only where chance does not explain it. Counts of statements: either every call on each side has
the same count and the two differ (a scripted scenario; three calls a side), or all calls agree but for SELECTs that
were added to each (`glancetrace.check.diff.scripted`), or a rank test says so after correction for the many tests
(Bonferroni), or calls go a way that the base knows but for a SELECT on top (`glancetrace.check.diff.paths`). Durations
have rules of their own (`glancetrace.check.diff.durations`). A first 5xx, or a first step back of an image, is news,
unless calls raced for it (`glancetrace.check.diff.races`). What one side cannot show (SQL that is encrypted, how an
image began, how a call ended) is not new on the other. What differs in calls too few for any test is told as unclear.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from glancetrace.check.diff.durations import compare_durations
from glancetrace.check.diff.noise import ALPHA, TOO_FEW, compare_ranks, fisher_greater, greater_rarely, is_too_few
from glancetrace.check.diff.paths import extended_calls
from glancetrace.check.diff.profile import Key, Operation, Profile, Way, name_of, shared
from glancetrace.check.diff.scripted import added_selects, agree, is_script
from glancetrace.check.diff.thresholds import Thresholds
from glancetrace.verdict import CANNOT_JUDGE, FAILED, PASSED, Change, Comparison

__all__ = ["compare"]

_SCRIPTED = 3
"""Calls a side from which on equal counts are taken for a rule of the scenario."""
_SETBACKS = frozenset({("saving", "queued"), ("uploading", "queued"), ("importing", "queued")})


def compare(base: Profile, new: Profile, thresholds: Thresholds | None = None) -> Comparison:
    """All changes from `base` to `new`, regressions first."""
    limits = thresholds or Thresholds()
    changes = [
        *_calls(base, new, limits),
        # Of SQL that the base cannot show, any would seem to be new.
        *(_statements(base, new, limits) if base.counted else ()),
        *compare_durations(base, new, limits),
        *_images(base, new),
        *_findings(base, new, limits),
    ]
    changes.sort(key=lambda change: not change.regression)
    unsure = [f"{name}: {profile.unsure}" for name, profile in (("base", base), ("new", new)) if profile.unsure]
    if not base.operations and not base.ways:
        unsure.append("base: nothing that could be compared")
    verdict = FAILED if any(change.regression for change in changes) else CANNOT_JUDGE if unsure else PASSED
    return Comparison(base.name, new.name, verdict, changes, unsure, new.files)


def _calls(base: Profile, new: Profile, limits: Thresholds) -> Iterator[Change]:
    """Operations that came or went, how often they were called, and how they were answered."""
    empty = Operation()
    tests = sum(len(before.statuses.keys() | after.statuses.keys()) for _, before, after in shared(base, new))
    for key in sorted(base.operations.keys() | new.operations.keys()):
        before, after = base.operations.get(key, empty), new.operations.get(key, empty)
        if before.calls != after.calls:
            kind = "new" if not before.calls else "gone" if not after.calls else "calls"
            yield Change("calls", name_of(key), kind, str(before.calls), str(after.calls), "calls")
        if not before.calls or not after.calls:
            continue
        for status in sorted(before.statuses.keys() | after.statuses.keys()):
            was, is_now = before.statuses[status], after.statuses[status]
            if was == is_now or (status != "none" and status < "400"):
                continue
            # A connection that a busy proxy lost is nothing yet; one 5xx where there was none is.
            fresh = status.startswith("5") and not was and is_now > after.raced[status]
            (hits, of), (more, of_more) = _judged(before, status), _judged(after, status)
            surely = fisher_greater(hits, of, more, of_more) < ALPHA / tests
            regression = (fresh or surely) and more - hits > limits.failures
            yield Change(
                "answers", name_of(key), status, f"{was} of {before.calls}", f"{is_now} of {after.calls}",
                "answered with this status" if status != "none" else "without a response", regression,
            )  # fmt: skip


def _judged(operation: Operation, status: str) -> tuple[int, int]:
    """Calls with a status, of how many; what was still open when the capture ended is no call without a response."""
    unended = operation.unended if status == "none" else 0
    return operation.statuses[status] - unended, operation.calls - unended


def _statements(base: Profile, new: Profile, limits: Thresholds) -> Iterator[Change]:
    """SQL per call, shape by shape, and in sum; calls that were answered alike are compared."""
    kinds = {**base.kinds, **new.kinds}
    pairs = [
        (key, status, before.statements[status], after.statements[status], after.frames)
        for key, before, after in shared(base, new)
        for status in sorted(before.statements.keys() & after.statements.keys())
    ]
    count = 1 + sum(len({d for counts in (*was, *is_now) for d in counts}) for _, _, was, is_now, _ in pairs)
    yield from _without_statements(base, new)
    # What the base does not show would seem to be added.
    script = base.whole and is_script([(was, is_now) for key, _, was, is_now, _ in pairs if _reads(key)], kinds)
    tests = _Tests(count, script)
    told: set[Key] = set()
    for key, status, was, is_now, frames in pairs:
        added = added_selects(was, is_now, kinds) if script and _reads(key) else {}
        changes = list(_shapes(f"{name_of(key)} {status}", was, is_now, kinds, added, tests, limits))
        if any(change.regression for change in changes):
            told.add(key)
        for change in changes:
            digest = change.what.split()[0]
            text = new.texts.get(digest) or base.texts.get(digest)
            if text is not None:
                frame = frames.get(digest, 0)
                change = replace(change, what=f"{digest} {text}", frames=[frame] if frame else [])
            yield change
    if base.whole:
        yield from _paths(base, new, limits, told)


def _shapes(
    name: str,
    base: Counts,
    new: Counts,
    kinds: Mapping[str, str],
    added: Mapping[str, int],
    tests: _Tests,
    limits: Thresholds,
) -> Iterator[Change]:
    """What changed in calls that were answered alike: shapes, by digest, and if none of them is worse the sum."""
    told = failed = False
    for digest in sorted({digest for counts in (*base, *new) for digest in counts} - {""}):
        change = _shape_change(name, digest, base, new, tests, surely=digest in added)
        if change is None:
            continue
        if digest in added:
            worse = added[digest] > limits.statements
        else:
            # A shape that takes the place of another one of its kind (as an admin's of a member's) is no more SQL.
            alike = [d for d, kind in kinds.items() if kind == kinds[digest]]
            worse = change.kind in ("new", "more") and _grown(base, new, alike, tests) > limits.statements
        told, failed = True, failed or worse
        yield replace(change, what=digest, regression=worse)
    change = None if failed else _shape_change(name, "", base, new, tests)
    if change is not None:
        yield replace(change, regression=_grown(base, new, [""], tests) > limits.statements)
    elif not told and not agree(base, new) and is_too_few(len(base), len(new), tests.count):
        what = f"all statements; {TOO_FEW} ({len(base)} and {len(new)})"
        yield Change("statements", name, "unclear", _sums(base), _sums(new), what)


def _paths(base: Profile, new: Profile, limits: Thresholds, told: Set[Key]) -> Iterator[Change]:
    """Operations whose calls run a SELECT on top of what the base's calls run; not those that were `told`."""
    kinds = {**base.kinds, **new.kinds}
    both = [(key, before, after) for key, before, after in shared(base, new) if _reads(key)]
    for key, before, after in both:
        statuses = [
            (before.statements[status], after.statements[status])
            for status in sorted(before.statements.keys() & after.statements.keys())
        ]
        found = extended_calls(statuses, kinds)
        unknown = (found.added.keys() & found.always) - base.shapes
        fresh = bool(unknown) and found.calls >= _SCRIPTED and 2 * found.hits >= found.calls
        surely = fresh or found.chance < ALPHA / len(both)
        if key in told or not surely or found.added.total() <= limits.statements * found.calls:
            continue
        digest = max(sorted(found.added), key=lambda one: (one in unknown, found.added[one]))
        frame = after.frames.get(digest, 0)
        was, is_now = ([counts[digest] for pair in statuses for counts in pair[side]] for side in (0, 1))
        yield Change(
            "statements", name_of(key), "more" if any(was) else "new", _per_call(was), _per_call(is_now),
            f"{digest} {new.texts[digest]}", True, [frame] if frame else [],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Tests:
    """How many tests are made, and whether both sides are of one script."""

    count: int
    script: bool


Counts = Sequence[Counter[str]]


def _reads(key: Key) -> bool:
    """What an operation reads is the same each time: no cache decides it."""
    return key[0] != "keystone"


def _without_statements(base: Profile, new: Profile) -> Iterator[Change]:
    """Calls whose statements are not surely known on one side only."""
    for key, before, after in shared(base, new):
        for status in sorted((before.statements.keys() ^ after.statements.keys()) & before.statuses.keys()):
            if status in after.statuses:
                was, is_now = (_sums(side[status]) if status in side else "not known"
                               for side in (before.statements, after.statements))  # fmt: skip
                what = "all statements; on one side it is not sure which are a call's"
                yield Change("statements", f"{name_of(key)} {status}", "unclear", was, is_now, what)


def _shape_change(
    name: str, digest: str, base: Counts, new: Counts, tests: _Tests, *, surely: bool = False
) -> Change | None:
    was, is_now = [counts[digest] for counts in base], [counts[digest] for counts in new]
    direction = 1 if surely else _differ(was, is_now, tests)
    if not direction:
        return None
    kind = "more" if direction > 0 else "fewer"
    kind = "new" if not any(was) else "gone" if not any(is_now) else kind
    return Change("statements", name, kind, _per_call(was), _per_call(is_now), "all statements")


def _grown(base: Counts, new: Counts, digests: Sequence[str], tests: _Tests) -> float:
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


def _differ(base: Sequence[int], new: Sequence[int], tests: _Tests) -> int:
    """1 where `new` is greater beyond chance, -1 where it is smaller, 0 else."""
    if tests.script and min(base) == max(base) and min(new) == max(new):
        few = min(len(base), len(new)) < _SCRIPTED
        return 0 if few or base[0] == new[0] else (1 if new[0] > base[0] else -1)
    if min(base) == max(base) == min(new) == max(new):
        return 0
    for first, second, direction in ((base, new, 1), (new, base, -1)):
        if _chance(first, second) < ALPHA / tests.count:
            return direction
    return 0


def _chance(base: Sequence[int], new: Sequence[int]) -> float:
    """p that `new` is greater, or that it is so in all its values."""
    if max(base) < min(new):
        return fisher_greater(0, len(base), len(new), len(new))
    shift = compare_ranks(base, new)
    return 1.0 if shift is None else max(shift[0], greater_rarely(base, new))


def _images(base: Profile, new: Profile) -> Iterator[Change]:
    """The ways that images went, and steps back or not allowed."""
    before, after = sum(base.ways.values()), sum(new.ways.values())
    for way in sorted(base.ways.keys() | new.ways.keys()):
        was, is_now = base.ways[way], new.ways[way]
        if bool(was) == bool(is_now) or not before or not after:
            continue
        # A script takes all its images one way: where all take another one, that is another story.
        strange = 0 if was else is_now - _known_in_part(way, base, new)
        scripted = strange == after and min(before, after) >= _SCRIPTED
        surely = strange > 0 and fisher_greater(0, before, strange, after) < ALPHA / len(new.ways)
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
            fresh = new.steps[step] > new.raced_steps[step]
            yield Change("images", name, "new", "0", str(new.steps[step]), what, fresh)


def _known_in_part(way: Way, base: Profile, new: Profile) -> int:
    """Images of which `new` may show an end or a beginning of what others did in the base, or the base of theirs."""
    ends = any(other[-len(way) :] == way for other in base.ways)
    begins = any(other[: len(way)] == way for other in base.ways)
    if way and not base.ways - base.begun - base.running:  # nor does the base show a whole way
        ends_here = any(base.begun[other] and other and way[-len(other) :] == other for other in base.ways)
        begins_here = any(base.running[other] and way[: len(other)] == other for other in base.ways)
        if ends_here or begins_here:
            return new.ways[way]
    return max(new.begun[way] if ends else 0, new.running[way] if begins else 0)


def _findings(base: Profile, new: Profile, limits: Thresholds) -> Iterator[Change]:
    before, after = (sum(operation.calls for operation in side.operations.values()) for side in (base, new))
    tests = max(1, len(new.findings))
    # What the base's losses leave uncertain may be what is surely there in the new one.
    uncertain = sum(count for (rule, _), count in base.findings.items() if rule == "claim-uncertain")
    for rule, severity in sorted(base.findings.keys() | new.findings.keys()):
        was, is_now = base.findings[rule, severity], new.findings[rule, severity]
        if was != is_now:
            # Something of a kind that was there before has to be more than chance; a first one is news.
            surely = fisher_greater(was, max(before, was), is_now, max(after, is_now)) < ALPHA / tests
            fresh = not was and is_now > new.raced[rule, severity] + uncertain
            regression = severity == "error" and (fresh or surely) and is_now - was > limits.findings
            kind = "new" if not was else "gone" if not is_now else "more" if is_now > was else "fewer"
            yield Change("findings", rule, kind, str(was), str(is_now), f"findings of severity {severity}", regression)
