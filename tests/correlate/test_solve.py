"""The joint solution is the best of all ways to share a component's units."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glancetrace.correlate import turns
from glancetrace.correlate.solve import Component, solve
from glancetrace.correlate.weighing import Joint
from tests.support.scene import IMAGE, Scene, select

TAGS = f"SELECT image_tags.value AS image_tags_value FROM image_tags WHERE image_tags.image_id = '{IMAGE}'"
TASK = f"INSERT INTO tasks (id, type, status, image_id) VALUES ('task-1', 'api_image_import', 'pending', '{IMAGE}')"


def joint_of(reads: list[tuple[int, bool]], shows: list[int]) -> Joint | None:
    """A client imports an image and others look at it: (when, of tags) reads, and when the others ask."""
    scene = Scene()
    scene.call("image-import", 202, 0, 10, method="POST")
    scene.session().texts(3, TASK, "COMMIT", "ROLLBACK")
    for number, begin in enumerate(shows):
        scene.call("image-show", 200, begin, begin + 80, connection_id=101 + number, target=f"/v2/images/{IMAGE}")
    for at, of_tags in reads:
        database = scene.session()
        database.run(TAGS if of_tags else select(), at, 0.5, rows=() if of_tags else [(IMAGE, "importing", "x", None)])
        database.texts(at + 1, "ROLLBACK", "ROLLBACK")
    scene.session().texts(400, "UPDATE tasks SET status='success' WHERE tasks.id = 'task-1'", "COMMIT", "ROLLBACK")
    return next((link.joint for link in scene.play().links if link.joint is not None), None)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(20, 150), st.booleans()), min_size=2, max_size=5),
    st.lists(st.integers(15, 60), min_size=1, max_size=2),
)
def test_no_other_way_is_better(reads: list[tuple[int, bool]], shows: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(turns, "_MOST", 0.0)  # which calls are open beside each other depends on their options
        joint = joint_of(reads, shows)
        if joint is None:
            return
        component, model = joint.component, joint.model
        best = solve(component, model)

        def worth(choice: tuple[int, ...]) -> float:
            return solve(Component(component.calls, component.units, [(call,) for call in choice]), model).worth

        assert worth(tuple(best.choice)) == pytest.approx(best.worth)
        assert max(map(worth, product(*component.options))) <= best.worth + 1e-6
