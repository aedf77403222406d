"""What the database refused, what was lost there, and who else writes to it."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from operator import attrgetter

from glancetrace.check.evidence import Evidence, call_text, found, image_text
from glancetrace.check.wording import count_text, duration_text
from glancetrace.glance.statement import SqlStatement
from glancetrace.sql.statement import Literal
from glancetrace.trace import Finding

__all__ = ["find_deadlocks", "find_lost_races", "find_outside_changes", "find_sql_errors"]

_DEADLOCK = 1213  # ER_LOCK_DEADLOCK; what Galera answers when certification fails, too
_RETRY_WITHIN = 30_000_000_000
_SERVER_STATUS_AUTOCOMMIT = 0x0002


def find_sql_errors(evidence: Evidence) -> Iterator[Finding]:
    """Errors of Glance's and Keystone's statements but for deadlocks, one finding per error and shape of statement."""
    groups: dict[tuple[str, int, str], list[SqlStatement]] = defaultdict(list)
    for statement in evidence.errors:
        error = statement.command.error
        if error is None or error.code == _DEADLOCK:
            continue
        shape = statement.parsed.shape.digest if statement.parsed is not None else statement.operation
        groups[statement.service, error.code, shape].append(statement)
    for (service, code, _), statements in groups.items():
        first = statements[0]
        text = first.command.error.message if first.command.error else ""
        times = "" if len(statements) == 1 else f", {count_text(len(statements), 'time')}"
        yield _about(
            evidence, "sql-error", f"{service}: {first.operation} failed with {code}{times}: {text}", statements
        )


def find_deadlocks(evidence: Evidence) -> Iterator[Finding]:
    """Deadlocks, and whether the same statement went through when it was tried again."""
    for statement in evidence.errors:
        if statement.command.error is None or statement.command.error.code != _DEADLOCK:
            continue
        retry = _retry_of(evidence, statement)
        if retry is None:
            message = f"{statement.service}: {statement.operation} ended in a deadlock and was not tried again"
            yield _about(evidence, "sql-deadlock", message, [statement])
            continue
        after = duration_text(retry.command.ts - statement.end_ts)
        again = "ended in a deadlock again" if retry.command.error is not None else "went through"
        message = f"{statement.service}: {statement.operation} ended in a deadlock; the retry after {after} {again}"
        yield _about(evidence, "sql-deadlock", message, [statement, retry])


def _retry_of(evidence: Evidence, failed: SqlStatement) -> SqlStatement | None:
    """The next statement of the same shape about the same images."""
    if failed.parsed is None:
        return None
    statements = evidence.tables.statements
    begin = bisect_left(statements, failed.end_ts, key=attrgetter("command.ts"))
    for number in range(begin, len(statements)):
        statement = statements[number]
        if statement.parsed is None or statement.id == failed.id:
            continue
        if statement.command.ts > failed.end_ts + _RETRY_WITHIN:
            return None
        same_shape = statement.parsed.shape.digest == failed.parsed.shape.digest
        if same_shape and statement.image_ids == failed.image_ids and statement.service == failed.service:
            return statement
    return None


def _about(evidence: Evidence, rule: str, message: str, statements: list[SqlStatement]) -> Finding:
    first = statements[0]
    link = evidence.link_of.get(first.id)
    return found(
        rule,
        message,
        first.end_ts,
        image_id=first.image_ids[0] if first.image_ids else None,
        call_id=link.call_id if link else None,
        statement_id=first.id,
        frames=[frame for s in statements for frame in (s.command.first_frame, s.command.response_frame)],
    )


def find_lost_races(evidence: Evidence) -> Iterator[Finding]:
    """UPDATEs of an image that expect a status and changed no row."""
    for statement in evidence.vain_writes:
        if statement.parsed is None:
            continue
        shape = statement.parsed.shape
        if shape.operation != "UPDATE" or "images" not in shape.tables or statement.service == "other":
            continue
        expected = statement.parsed.equal_to("images", "status")
        if not expected:
            continue
        image_id = statement.image_ids[0] if statement.image_ids else ""
        image = evidence.images.get(image_id)
        link = evidence.link_of.get(statement.id)
        call = evidence.calls.get(link.call_id) if link else None
        name = image_text(image) if image else image_id or "an image"
        writer = call_text(call) if call else "a statement"
        wanted = statement.parsed.assigned().get("status")
        yield found(
            "lost-race",
            f"{name} was no longer {_word(expected[0])} when {writer} set it to {_word(wanted)}",
            statement.end_ts,
            image_id=image_id or None,
            call_id=call.id if call else None,
            statement_id=statement.id,
            frames=[statement.command.first_frame, statement.command.response_frame],
        )


def _word(value: Literal) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def find_outside_changes(evidence: Evidence) -> Iterator[Finding]:
    """Writes to Glance's tables that no call caused and that another hand than Glance's made.

    What gives the other hand away: another MySQL user than the one that runs the calls' statements, or a schema named
    in the text (`glance.images`), which Glance never does. Work of Glance's own user without a call (tasks, scrubber,
    purge) is not told here.
    """
    ours = _Ours(evidence)
    for statement in evidence.loose_writes:
        if statement.parsed is None:
            continue
        shape = statement.parsed.shape
        named = next((schema for schema in shape.schemas if schema in ours.schemas), None)
        if named is None and (statement.schema or (shape.schemas and shape.schemas[0])) not in ours.schemas:
            continue
        user = statement.command.session.user
        signs = []
        if user is not None and user not in ours.users:
            signs.append(f"by MySQL user {user}")
        if named is not None:
            signs.append(f"with the schema named ({named}.{shape.tables[0]})")
        if not signs:
            continue
        if (statement.command.status_flags or 0) & _SERVER_STATUS_AUTOCOMMIT:
            signs.append("under autocommit")
        yield _outside(evidence, statement, ", ".join(signs))


def _outside(evidence: Evidence, statement: SqlStatement, signs: str) -> Finding:
    shape = statement.parsed.shape if statement.parsed is not None else None
    columns = sorted(statement.parsed.assigned()) if statement.parsed is not None else []
    image_id = statement.image_ids[0] if len(statement.image_ids) == 1 else None
    image = evidence.images.get(image_id or "")
    rows = statement.command.affected_rows
    changed = "rows changed: unknown" if rows is None else f"{count_text(rows, 'row')} changed"
    what = f" ({', '.join(columns)})" if columns else ""
    target = image_text(image) if image else (image_id or "images")
    return found(
        "image-changed-outside",
        f"{shape.operation if shape else statement.operation} of {shape.tables[0] if shape else '?'}{what} "
        f"{signs} changed {target} outside any API call; {changed}",
        statement.end_ts,
        image_id=image_id,
        statement_id=statement.id,
        frames=[statement.command.first_frame, statement.command.response_frame, statement.commit_frame],
    )


class _Ours:
    """Glance's own MySQL users and schemas: those of the statements that calls ran, else the most frequent user."""

    def __init__(self, evidence: Evidence) -> None:
        users: Counter[str | None] = Counter()
        linked: set[str | None] = set()
        self.schemas: set[str | None] = {"glance"}
        for (user, schema, is_linked), count in evidence.writers.items():
            users[user] += count
            if is_linked:
                linked.add(user)
                self.schemas.add(schema)
        self.users = linked or {user for user, _ in users.most_common(1)}
        self.schemas.discard(None)
