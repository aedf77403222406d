"""Older and other deployments: the story is right and the findings are raised."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from glancetrace.glance.call import ApiCall
from glancetrace.pipeline import analyze
from glancetrace.timeline.image import ImageStory
from glancetrace.trace import Trace
from tests.support.conversation import Conversation, Http, Mysql
from tests.support.deployments import CLIENT, CONTROLLER, DATABASE, IMAGE_ID, Glance, GlanceV1, Image, image_data

Play = Callable[[Conversation], Trace]

UPLOADED = [(None, "queued"), ("queued", "saving"), ("saving", "active")]


@pytest.fixture
def analysed(tmp_path: Path) -> Play:
    def play(conversation: Conversation) -> Trace:
        return analyze(conversation.write(tmp_path / "capture.pcap"))

    return play


def only_image(trace: Trace) -> ImageStory:
    (image,) = trace.tables.images
    assert image.id == IMAGE_ID
    return image


def changes(image: ImageStory) -> list[tuple[str | None, str]]:
    return [(t.from_status, t.to_status) for t in image.transitions]


def rules(trace: Trace) -> set[str]:
    return {finding.rule for finding in trace.tables.findings}


def calls(trace: Trace, operation: str, service: str = "glance") -> list[ApiCall]:
    return [c for c in trace.tables.calls if (c.service, c.operation) == (service, operation)]


def cause(trace: Trace, call_id: int | None) -> ApiCall:
    """The outermost call around a call."""
    by_id = {call.id: call for call in trace.tables.calls}
    assert call_id is not None
    call = by_id[call_id]
    while call.parent_id is not None:
        call = by_id[call.parent_id]
    return call


def assert_uploaded(trace: Trace) -> ImageStory:
    """One image went its way by one create and one upload, committed, and every statement has its call."""
    image = only_image(trace)
    assert changes(image) == UPLOADED
    assert all(t.legal and t.certainty == "observed" and t.source in ("sql", "both") for t in image.transitions)
    assert image.status == "active"
    operations = [cause(trace, t.call_id).operation for t in image.transitions]
    assert operations == ["image-create", "image-upload", "image-upload"]
    statements = {s.id: s for s in trace.tables.statements}
    assert [statements[t.statement_id or 0].operation for t in image.transitions] == ["INSERT", "UPDATE", "UPDATE"]
    assert [i.status for i in image.intervals] == ["queued", "saving", "active"]
    assert image.intervals[-1].dur is None
    linked = {link.statement_id for link in trace.tables.links}
    work = [s for s in trace.tables.statements if s.service == "glance" and s.kind == "request"]
    assert work
    assert all(s.id in linked for s in work if s.operation in ("SELECT", "INSERT", "UPDATE"))
    return image


def test_without_keystone(analysed: Play) -> None:
    conversation = Conversation()
    glance = Glance(conversation)
    image = Image()
    glance.lookup(image.name)
    glance.create(image)
    data = image_data(200_000)
    glance.upload(image, data)
    glance.show(image)
    trace = analysed(conversation)
    story = assert_uploaded(trace)
    assert story.name == "overcloud-full"
    assert story.size == 200_000
    assert story.wire_complete
    assert story.wire_checksum is not None
    assert story.wire_checksum["md5"] == image.checksum
    assert story.wire_checksum["sha512"] == image.sha512
    assert not calls(trace, "token-issue", "keystone")
    assert rules(trace) == {"lookup-not-found"}


def test_autocommit(analysed: Play) -> None:
    conversation = Conversation()
    glance = Glance(conversation, autocommit=True)
    image = Image()
    glance.create(image)
    glance.upload(image, image_data(10_000))
    trace = analysed(conversation)
    story = assert_uploaded(trace)
    assert not any(s.operation == "COMMIT" for s in trace.tables.statements)
    for transition in story.transitions:
        assert transition.commit_frame == transition.frame


def test_v1_through_a_registry(analysed: Play) -> None:
    conversation = Conversation()
    image = Image()
    data = image_data(150_000)
    GlanceV1(conversation).create_with_data(image, data)
    trace = analysed(conversation)
    story = only_image(trace)
    assert changes(story) == UPLOADED
    assert all(t.legal and t.certainty == "observed" for t in story.transitions)
    assert story.status == "active"
    assert story.size == len(data)
    assert story.checksum == image.checksum
    assert story.wire_checksum is not None
    assert story.wire_checksum["md5"] == image.checksum
    (post,) = calls(trace, "image-create")
    assert post.route == "/v1/images"
    assert [cause(trace, t.call_id) for t in story.transitions] == [post] * 3
    nested = [c for c in trace.tables.calls if c.service == "registry"]
    assert [c.method for c in nested] == ["POST", "PUT", "PUT", "PUT"]
    assert all(c.parent_id == post.id for c in nested)
    assert [t.call_id for t in story.transitions] == [nested[0].id, nested[1].id, nested[3].id]
    assert not rules(trace) & {"upload-size-differs", "upload-hash-differs", "status-illegal", "image-stuck"}


def test_base64_upload(analysed: Play) -> None:
    conversation = Conversation()
    glance = Glance(conversation, agent="curl/7.61.1")
    image = Image()
    glance.create(image)
    glance.upload(image, base64.encodebytes(image_data(30_000)), [("Content-Transfer-Encoding", "base64")])
    trace = analysed(conversation)
    assert_uploaded(trace)
    (finding,) = [f for f in trace.tables.findings if f.rule == "upload-base64"]
    (upload,) = calls(trace, "image-upload")
    assert (finding.image_id, finding.call_id) == (IMAGE_ID, upload.id)
    assert upload.first_frame in finding.frames


def put_with_length(glance: Glance, image: Image, data: bytes, content_type: str) -> None:
    """PUT as curl does it: one body with its length."""
    headers = [*glance.headers, ("Accept", "*/*"), ("Content-Type", content_type)]
    glance.http.ask("PUT", f"/v2/images/{image.id}/file", headers, data)
    glance.database.get(image)
    image.status = "saving"
    glance.database.save(image, "queued")
    glance.record(image, data)
    glance.finish_saving(image)


def test_newlines_stripped_by_curl(analysed: Play) -> None:
    conversation = Conversation()
    glance = Glance(conversation, agent="curl/7.61.1")
    image = Image()
    glance.create(image)
    put_with_length(glance, image, image_data(30_000, without=b"\r\n\0"), "application/octet-stream")
    trace = analysed(conversation)
    assert_uploaded(trace)
    (finding,) = [f for f in trace.tables.findings if f.rule == "upload-newlines-stripped"]
    assert finding.image_id == IMAGE_ID
    assert "curl/7.61.1" in finding.message


@pytest.mark.parametrize(
    ("agent", "data"),
    [
        ("curl/7.61.1", image_data(30_000)),
        ("curl/7.61.1", bytes(30_000)),
        ("python-glanceclient", image_data(30_000, without=b"\r\n\0")),
    ],
    ids=["curl -T", "zeros", "another client"],
)
def test_uploads_that_lost_nothing(analysed: Play, agent: str, data: bytes) -> None:
    conversation = Conversation()
    glance = Glance(conversation, agent=agent)
    image = Image()
    glance.create(image)
    put_with_length(glance, image, data, "application/octet-stream")
    assert rules(analysed(conversation)) == set()


def test_form_upload_is_refused(analysed: Play) -> None:
    conversation = Conversation()
    glance = Glance(conversation, agent="curl/7.61.1")
    image = Image()
    glance.create(image)
    headers = [*glance.headers, ("Content-Type", "application/x-www-form-urlencoded")]
    glance.http.ask("PUT", f"/v2/images/{image.id}/file", headers, image_data(5_000, without=b"\r\n\0"))
    glance.http.answer("415 Unsupported Media Type", b"<html></html>")
    trace = analysed(conversation)
    assert only_image(trace).status == "queued"
    (finding,) = [f for f in trace.tables.findings if f.rule == "upload-newlines-stripped"]
    assert "refused with 415" in finding.message
    assert "client-error" in rules(trace)


def test_update_by_hand(analysed: Play) -> None:
    conversation = Conversation()
    glance = Glance(conversation)
    image = Image()
    glance.create(image)
    glance.upload(image, image_data(10_000))
    root = Mysql(conversation.connect(CONTROLLER, DATABASE), autocommit=True, thread_id=77)
    root.login("root")
    conversation.wait(5)
    root.write(f"update glance.images set is_public=1 where id='{IMAGE_ID}'")
    conversation.wait(1)
    glance.show(image)
    trace = analysed(conversation)
    assert_uploaded(trace)
    (finding,) = [f for f in trace.tables.findings if f.rule == "image-changed-outside"]
    statement = next(s for s in trace.tables.statements if s.id == finding.statement_id)
    assert statement.command.sql == f"update glance.images set is_public=1 where id='{IMAGE_ID}'"
    assert finding.image_id == IMAGE_ID
    assert statement.command.first_frame in finding.frames
    assert "root" in finding.message
    assert "is_public" in finding.message
    assert statement.id not in {link.statement_id for link in trace.tables.links}


def test_status_by_hand(analysed: Play) -> None:
    conversation = Conversation()
    glance = Glance(conversation)
    image = Image()
    glance.create(image)
    root = Mysql(conversation.connect(CONTROLLER, DATABASE), autocommit=True, thread_id=77)
    root.login("root", "glance")
    conversation.wait(5)
    root.write(f"update images set status='killed' where id='{IMAGE_ID}'")
    trace = analysed(conversation)
    story = only_image(trace)
    assert changes(story) == [(None, "queued"), ("queued", "killed")]
    assert story.transitions[-1].call_id is None
    assert not story.transitions[-1].legal
    assert {"image-changed-outside", "status-illegal"} <= rules(trace)


def test_prefix_routes(analysed: Play) -> None:
    conversation = Conversation()
    keystone = Http(conversation.connect(CLIENT, (CONTROLLER, 80)))
    auth = {"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "admin", "password": "x"}}}}}
    token = "gAAAAABeS2" + "q" * 90
    keystone.ask("POST", "/identity/v3/auth/tokens", [("User-Agent", "openstacksdk")], auth)
    keystone.answer("201 Created", {"token": {"methods": ["password"]}}, [("X-Subject-Token", token)])
    glance = Glance(conversation, api=(CONTROLLER, 80), prefix="/image", token=token)
    image = Image()
    glance.create(image)
    glance.upload(image, image_data(10_000))
    trace = analysed(conversation)
    assert_uploaded(trace)
    (issue,) = calls(trace, "token-issue", "keystone")
    assert (issue.route, issue.route_prefix) == ("/v3/auth/tokens", "/identity")
    (upload,) = calls(trace, "image-upload")
    assert (upload.route, upload.route_prefix) == ("/v2/images/{image_id}/file", "/image")


def test_swift_as_backend(analysed: Play) -> None:
    conversation = Conversation()
    glance = Glance(conversation)
    swift = Http(conversation.connect(CONTROLLER, (CONTROLLER, 8080)))
    image = Image()
    data = image_data(100_000)
    glance.create(image)
    glance.begin_saving(image)
    path = f"/v1/AUTH_{'a' * 32}/glance/{IMAGE_ID}"
    swift.begin_upload("PUT", path, [("X-Auth-Token", "gAAAAABeS2" + "s" * 90)])
    for begin in range(0, len(data), 50_000):
        glance.http.chunk(data[begin : begin + 50_000])
        swift.chunk(data[begin : begin + 50_000])
    glance.http.chunk(b"")
    swift.chunk(b"")
    swift.answer("201 Created", None, [("X-Trans-Id", "tx0000000000000000000001")])
    glance.record(image, data)
    glance.finish_saving(image, location=f"swift+config://ref1/glance/{IMAGE_ID}")
    trace = analysed(conversation)
    story = assert_uploaded(trace)
    (put,) = [c for c in trace.tables.calls if c.service == "swift"]
    (upload,) = calls(trace, "image-upload")
    assert put.parent_id == upload.id
    assert put.request_body_bytes == len(data)
    assert story.wire_checksum is not None
    assert story.wire_checksum["md5"] == image.checksum
    assert rules(trace) == set()


def test_mysql_behind_a_proxy(analysed: Play) -> None:
    conversation = Conversation()
    outer = conversation.connect(CONTROLLER, (CONTROLLER, 3306))
    inner = conversation.connect(CONTROLLER, DATABASE)
    glance = Glance(conversation, mysql=Mysql(outer, inner))
    image = Image()
    glance.create(image)
    glance.upload(image, image_data(10_000))
    trace = analysed(conversation)
    assert_uploaded(trace)
    inserts = [s for s in trace.tables.statements if (s.command.sql or "").startswith("INSERT INTO images ")]
    assert len(inserts) == 1
    assert [hop.server for hop in inserts[0].hops] == [(CONTROLLER, 3306), DATABASE]
    assert all(len(s.hops) == 2 for s in trace.tables.statements)
