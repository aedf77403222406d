"""Calls made in the course of other calls."""

from __future__ import annotations

from tests.support.scene import IMAGE, OTHER, Scene


def test_validation_has_the_caller_s_token_as_its_subject() -> None:
    scene = Scene()
    scene.call("image-list", 200, 0, 30, token="one", connection_id=1)
    scene.call("image-list", 200, 1, 20, token="two", connection_id=2)
    scene.call("token-validate", 200, 2, 5, service="keystone", subject_token="one", connection_id=3)
    scene.call("token-validate", 200, 6, 9, service="keystone", subject_token="else", connection_id=3)
    calls = scene.play().calls
    assert [call.parent_id for call in calls] == [None, None, 1, None]


def test_validation_belongs_to_the_call_that_is_open() -> None:
    scene = Scene()
    scene.call("image-list", 200, 0, 10, token="one")
    scene.call("token-validate", 200, 22, 25, service="keystone", subject_token="one", connection_id=3)
    scene.call("image-list", 200, 20, 30, token="one")
    calls = scene.play().calls
    assert [call.parent_id for call in calls] == [None, None, 2]


def test_registry_request_about_an_image() -> None:
    scene = Scene()
    scene.call("image-upload", 200, 0, 50, method="PUT", connection_id=1)
    scene.call("image-upload", 200, 1, 50, method="PUT", image_id=OTHER, connection_id=2)
    scene.call("image-show", 200, 2, 50, connection_id=3)
    put = scene.call("image-update", 200, 3, 5, service="registry", method="PUT", connection_id=4)
    get = scene.call("image-show", 200, 6, 8, service="registry", connection_id=4)
    scene.play()
    assert (put.parent_id, get.parent_id) == (1, 3)


def test_swift_object_names_the_image_in_its_path() -> None:
    scene = Scene()
    scene.call("image-upload", 200, 0, 50, method="PUT", connection_id=1)
    target = f"/v1/AUTH_glance/glance/{IMAGE}-00001"
    scene.call("object-put", 201, 1, 5, service="swift", method="PUT", target=target, connection_id=2)
    plain = scene.call("object-put", 201, 6, 8, service="swift", method="PUT", target="/v1/AUTH_glance/glance/x",
                       image_id=None, connection_id=2)  # fmt: skip
    assert [call.parent_id for call in scene.play().calls] == [None, 1, 1]
    assert plain.parent_id == 1


def test_nested_call_of_an_unfinished_one() -> None:
    scene = Scene()
    scene.call("image-upload", None, 0, None, method="PUT", connection_id=1)
    nested = scene.call("image-update", 200, 3, 5, service="registry", method="PUT", connection_id=4)
    scene.play()
    assert nested.parent_id == 1
