"""Whatever was said on whichever connection: changes stand in the order in which they became true, and at that moment.

An image is in one status at a time, so its intervals meet and never overlap; what an answer shows late changes nothing.
"""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.scene import IMAGE, Played, Scene, Session, ms, update

INSERT = f"INSERT INTO images (id, name, status) VALUES ('{IMAGE}', 'overcloud-full', 'queued')"
STATUSES = ("queued", "saving", "active", "deactivated", "importing", "deleted")

statuses = st.sampled_from(STATUSES)
Step = tuple[int, float, float, str | None, str, str]
steps: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(
        st.integers(0, 2),  # the session
        st.floats(0.01, 30).map(lambda gap: round(gap, 3)),  # ms since the step before of any session
        st.floats(0.01, 30).map(lambda lasts: round(lasts, 3)),
        st.none() | statuses,  # the guard; without one a read, or an UPDATE of any status
        statuses,
        st.sampled_from(["read", "write", "write", "write", "rolled back", "no COMMIT", "view"]),
    ),
    max_size=12,
)


def play(story: list[Step], *, created: bool) -> Played:
    """Steps on three sessions that may overlap; a session waits for its own last step."""
    scene = Scene()
    sessions: list[Session] = [scene.session() for _ in range(3)]
    free = [0.0] * len(sessions)
    now = 1.0
    if created:
        sessions[0].write(0.1, INSERT)
        free[0] = now = 10.0
    for which, gap, lasts, guard, status, what in story:
        now += gap
        at = max(now, free[which])
        session = sessions[which]
        if what == "view":
            shown = {"id": IMAGE, "status": status, "name": "overcloud-full"}
            scene.call("image-show", 200, at, at + lasts, connection_id=200 + len(scene.calls), response_json=shown)
            continue
        if what == "read":
            session.read(at, status, lasts)
            free[which] = at + lasts + 2
            continue
        session.run(update(guard, status), at, lasts)
        if what != "no COMMIT":
            session.run("COMMIT" if what == "write" else "ROLLBACK", at + lasts + 0.1, 0.1)
        free[which] = at + lasts + 1
    return scene.play()


OPEN_WRITE_OF_WHAT_IT_WAS: list[Step] = [
    (0, 1.0, 1.0, None, "queued", "read"),
    (1, 1.0, 2.0, None, "queued", "no COMMIT"),
    (0, 1.0, 1.0, None, "queued", "read"),
    (0, 1.0, 1.0, None, "saving", "write"),
]


@given(steps, st.booleans())
@example(OPEN_WRITE_OF_WHAT_IT_WAS, False)
@example([(0, 1.0, 3.0, None, "queued", "read"), (1, 1.0, 1.0, None, "saving", "read")], False)
def test_intervals_meet_and_never_overlap(story: list[Step], created: bool) -> None:
    for image in play(story, created=created).images:
        for before, after in pairwise(image.intervals):
            assert before.dur is not None
            assert before.dur >= 0
            assert before.ts + before.dur == after.ts
        assert all(interval.dur is None for interval in image.intervals[-1:])
        assert [t.ts for t in image.transitions] == sorted(t.ts for t in image.transitions)
        for one, other in pairwise(image.transitions):
            assert one.to_status == other.from_status


@given(steps)
def test_a_change_has_the_moment_of_its_commit(story: list[Step]) -> None:
    played = play(story, created=True)
    statements = {statement.id: statement for statement in played.statements}
    for image in played.images:
        for change in image.transitions:
            if change.statement_id is not None and change.certainty == "observed":
                statement = statements[change.statement_id]
                assert statement.outcome == "committed"
                assert change.ts == statement.commit_ts


@given(st.permutations(range(6)), st.lists(st.integers(1, 50), min_size=6, max_size=6))
def test_order_across_connections_is_that_of_the_commits_to_the_microsecond(
    order: list[int], gaps_us: list[int]
) -> None:
    """Statements were sent in any order, their COMMITs a few microseconds apart tell which change came first."""
    scene = Scene()
    chain = [*STATUSES, "killed"]
    sessions = [scene.session() for _ in range(6)]
    for position, number in enumerate(order):
        sessions[number].run(update(chain[number], chain[number + 1]), 1 + position / 1000, 0.0005)
    at = 10.0
    moments = []
    for number in range(6):
        at += gaps_us[number] / 1000
        sessions[number].run("COMMIT", at - 1, 1)
        moments.append(ms(at))
    image = scene.play().image
    assert [(t.from_status, t.to_status) for t in image.transitions] == list(pairwise(chain))
    assert [t.ts for t in image.transitions] == moments


@given(st.floats(0, 22), st.floats(0.5, 40))
def test_answer_that_shows_what_its_read_saw_is_no_change(begin: float, lasts: float) -> None:
    """A call that began before the COMMIT may show the status before it, long after: a race, nothing else."""
    scene = Scene()
    scene.session().write(0, INSERT)
    scene.session().write(20, update("queued", "saving"))
    shown = {"id": IMAGE, "status": "queued", "name": "overcloud-full"}
    scene.call("image-show", 200, begin, 22 + lasts, connection_id=101, response_json=shown)
    image = scene.play().image
    assert [(t.from_status, t.to_status, t.legal) for t in image.transitions] == [
        (None, "queued", True),
        ("queued", "saving", True),
    ]
