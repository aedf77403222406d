"""SQL text -> `Statement`, fast: a service sends thousands of statements, but only some dozens of kinds.

Three levels, each a bounded cache in front of the next, so that the usual statement costs two splits and a look-up:

1. *code*: the text is split at its quotes; every second part is a literal, the others joined are the code. A code
   text that was seen before gives the shape, and the literals are at hand.
2. *numbers*: a code text that is new is split at its numbers, which are literals too; the rest may have been seen.
3. *tokens*: the exact lexer (`tokens`) and `template` give the digest; sqlglot reads each digest once (`shape`).

Splitting at quotes is only right for text whose code holds no quote in another guise. So level 3 is asked first about
every new code text, and its answer is kept only when both agree; code with comments, double quotes or quotes in names
goes to level 3 each time.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from glancetrace.sql.known import known_frame, known_shape
from glancetrace.sql.shape import read_shape
from glancetrace.sql.statement import Assignment, Literal, Predicate, Shape, Statement
from glancetrace.sql.template import Template, build_template
from glancetrace.sql.tokens import LITERALS, Token, number_value, tokenize, unescape

__all__ = ["StatementParser"]

Value = str | bytes | int | float | None
_Key = TypeVar("_Key")
_Item = TypeVar("_Item")

_STRINGS = re.compile(r"'((?:[^'\\]++|\\.|'')*+)'", re.DOTALL)
_NUMBERS = re.compile(r"(?<![\w$.`])([0-9]+(?:\.[0-9]+)?)(?![\w$.])")
_MAX_TEXT = 1 << 20
_MAX_KEY = 1 << 16
_CODE_COUNT = 8192
_DIGEST_COUNT = 2048


@dataclass(slots=True)
class _Plan:
    """How the literals of a code text become the slots of its shape.

    `kinds` has one letter per literal: s string, n number, - negative number, p param. `values` holds the numbers
    (None elsewhere) once they are known, `strings` and `params` the indexes of those; `simple`: all are strings.
    """

    shape: Shape
    kinds: str
    string_count: int
    values: list[Literal]
    strings: tuple[int, ...]
    params: tuple[int, ...]
    simple: bool


class StatementParser:
    """Parses statements; one instance per analysis, its caches are bounded.

    Args:
        read: gives the shape of a template, asked once per digest; None: what is known, else what sqlglot reads.
    """

    def __init__(self, read: Callable[[Template], Shape] | None = None) -> None:
        self._read = read or _known_or_read
        self._known = known_frame if read is None else _nothing_known
        self._plans: OrderedDict[str, _Plan | None] = OrderedDict()
        self._number_plans: OrderedDict[str, _Plan] = OrderedDict()
        self._digests: OrderedDict[str, Shape] = OrderedDict()
        self._variants: OrderedDict[tuple[object, ...], Shape] = OrderedDict()

    def parse(self, sql: str, params: tuple[Value, ...] | None = None) -> Statement:
        """The first statement in `sql`; `params` are the values of its `?`. Any text gives a statement."""
        if "\\" in sql:
            parts = _STRINGS.split(sql)
            escaped = True
        else:
            parts = sql.split("'")
            escaped = False
        code = "'".join(parts[::2])
        plan = self._plans.get(code)
        if plan is None:
            return self._parse_new(sql, parts, code, params)
        if len(parts) >> 1 != plan.string_count or not len(parts) & 1:
            return self._parse_exact(sql, params)
        if escaped:
            literals = [unescape(part) if "\\" in part or "''" in part else part for part in parts[1::2]]
            return _filled(plan, literals, params)
        if plan.simple:
            return Statement(plan.shape, tuple(parts[1::2]))
        return _filled(plan, parts[1::2], params)

    def _parse_new(self, sql: str, parts: list[str], code: str, params: tuple[Value, ...] | None) -> Statement:
        if len(sql) > _MAX_TEXT:
            return self._parse_exact(sql[: _MAX_KEY // 4], params, parsed=False)
        if code in self._plans or len(code) > _MAX_KEY or not len(parts) & 1 or "''" in code or "\0" in code:
            return self._parse_exact(sql, params)
        pieces = _NUMBERS.split(code)
        numbers = pieces[1::2]
        frame = "\0".join(pieces[::2])
        plan = self._number_plans.get(frame) or self._known_plan(frame)
        if plan is not None and plan.string_count == len(parts) >> 1 and plan.kinds.count("p") == len(plan.params):
            plan = _with_numbers(plan, numbers)
            _remember(self._plans, code, plan, _CODE_COUNT)
            return self.parse(sql, params)
        tokens, comment = tokenize(sql)
        shape = self._shape(build_template(tokens))
        plan = None if comment or _odd(code) else _plan(shape, tokens, len(parts) >> 1)
        _remember(self._plans, code, plan, _CODE_COUNT)
        if plan is not None and [t.text.lstrip("-") for t in tokens if t.kind == "number"] == numbers:
            _remember(self._number_plans, frame, plan, _DIGEST_COUNT)
        return Statement(shape, _literals(tokens, params), comment)

    def _known_plan(self, frame: str) -> _Plan | None:
        known = self._known(frame)
        if known is None:
            return None
        shape, kinds = known
        shape = self._digests.setdefault(shape.digest, shape)
        plan = _plan_of(shape, kinds, [None] * len(kinds))
        _remember(self._number_plans, frame, plan, _DIGEST_COUNT)
        return plan

    def frames(self) -> Iterator[tuple[str, str, Shape]]:
        """Frames of the texts parsed so far, with the kinds of their literals and their shape."""
        for frame, plan in self._number_plans.items():
            yield frame, plan.kinds, plan.shape

    def _parse_exact(self, sql: str, params: tuple[Value, ...] | None, *, parsed: bool = True) -> Statement:
        tokens, comment = tokenize(sql)
        template = build_template(tokens)
        if not parsed:
            return Statement(Shape(template.digest, template.text, template.operation, parsed=False), (), comment)
        return Statement(self._shape(template), _literals(tokens, params), comment)

    def _shape(self, template: Template) -> Shape:
        shape = self._digests.get(template.digest)
        if shape is None:
            shape = self._read(template)
            _remember(self._digests, template.digest, shape, _DIGEST_COUNT)
        else:
            self._digests.move_to_end(template.digest)
        if template.row_count == 1 and all(count == 1 for _, count in template.spans):
            return shape
        key = (template.digest, template.spans, template.row_count)
        variant = self._variants.get(key)
        if variant is None:
            variant = _expanded(shape, template)
            _remember(self._variants, key, variant, _DIGEST_COUNT)
        return variant


def _nothing_known(frame: str) -> None:
    """Every statement is parsed."""


def _known_or_read(template: Template) -> Shape:
    return known_shape(template.digest, template.text) or read_shape(template)


def _remember(cache: OrderedDict[_Key, _Item], key: _Key, item: _Item, bound: int) -> None:
    if len(cache) >= bound:
        cache.popitem(last=False)
    cache[key] = item


def _odd(code: str) -> bool:
    """The code may hold quotes that do not begin a literal."""
    if '"' in code or "/*" in code or "--" in code or "#" in code or ";" in code:
        return True
    return "`" in code and any(part.count("`") & 1 for part in code.split("'"))


def _plan(shape: Shape, tokens: list[Token], string_count: int) -> _Plan | None:
    """The plan of a statement whose text was split at quotes into `string_count` literals; None if it does not fit."""
    kinds = ""
    values: list[Literal] = []
    for token in tokens:
        if token.kind == "string":
            if not token.plain:
                return None
            kinds += "s"
            values.append(None)
        elif token.kind == "number":
            kinds += "-" if token.text[0] == "-" else "n"
            values.append(token.value)
        elif token.kind == "param":
            kinds += "p"
            values.append(None)
    if kinds.count("s") != string_count:
        return None
    return _plan_of(shape, kinds, values)


def _plan_of(shape: Shape, kinds: str, values: list[Literal]) -> _Plan:
    strings = tuple(index for index, kind in enumerate(kinds) if kind == "s")
    params = tuple(index for index, kind in enumerate(kinds) if kind == "p")
    return _Plan(shape, kinds, len(strings), values, strings, params, simple=len(strings) == len(kinds))


def _with_numbers(plan: _Plan, numbers: list[str]) -> _Plan:
    values = list(plan.values)
    source = iter(numbers)
    for index, kind in enumerate(plan.kinds):
        if kind == "n":
            values[index] = number_value(next(source))
        elif kind == "-":
            values[index] = number_value("-" + next(source))
    return replace(plan, values=values)


def _filled(plan: _Plan, strings: list[str], params: tuple[Value, ...] | None) -> Statement:
    values = plan.values.copy()
    for index, text in zip(plan.strings, strings, strict=True):
        values[index] = text
    if params is not None:
        for index, value in zip(plan.params, params, strict=False):
            values[index] = value
    return Statement(plan.shape, tuple(values))


def _literals(tokens: list[Token], params: tuple[Value, ...] | None) -> tuple[Literal, ...]:
    bound = iter(params or ())
    return tuple(next(bound, None) if t.kind == "param" else t.value for t in tokens if t.kind in LITERALS)


def _expanded(shape: Shape, template: Template) -> Shape:
    """`shape` with its places replaced by the literals that stand there in one statement."""
    spans = template.spans

    def slots(places: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(i for place in places for i in range(spans[place][0], spans[place][0] + spans[place][1]))

    assignments: list[Assignment] = []
    first, behind = template.row_places
    for row in range(template.row_count):
        for a in shape.assignments:
            in_row = a.slot is not None and first <= a.slot < behind
            shift = row * template.row_literals if in_row else 0
            slot = None if a.slot is None else spans[a.slot][0] + shift
            assignments.append(replace(a, slot=slot, row=row if template.row_count > 1 else a.row))
    predicates: tuple[Predicate, ...] = tuple(replace(p, slots=slots(p.slots)) for p in shape.predicates)
    limit = None if shape.limit is None else spans[shape.limit][0]
    return replace(shape, assignments=tuple(assignments), predicates=predicates, limit=limit)
