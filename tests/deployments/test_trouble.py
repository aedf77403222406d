"""Things that go wrong in a deployment, and what is said about them."""

from __future__ import annotations

from pathlib import Path

from glancetrace.pipeline import analyze
from glancetrace.trace import Finding, Trace
from tests.support.conversation import Conversation
from tests.support.deployments import IMAGE_ID, Glance, Image, image_data


def analysed(conversation: Conversation, tmp_path: Path) -> Trace:
    return analyze(conversation.write(tmp_path / "capture.pcap"))


def the(trace: Trace, rule: str) -> Finding:
    (finding,) = [f for f in trace.tables.findings if f.rule == rule]
    return finding


def rules(trace: Trace) -> set[str]:
    return {finding.rule for finding in trace.tables.findings}


def begun(conversation: Conversation) -> tuple[Glance, Image]:
    glance = Glance(conversation)
    image = Image()
    glance.create(image)
    return glance, image


def test_capture_ends_during_the_upload(tmp_path: Path) -> None:
    conversation = Conversation()
    glance, image = begun(conversation)
    glance.begin_saving(image)
    glance.http.chunk(image_data(20_000))
    trace = analysed(conversation, tmp_path)
    assert trace.tables.images[0].status == "saving"
    finding = the(trace, "upload-running")
    assert finding.severity == "info"
    assert "20,000 bytes" in finding.message
    assert "image-stuck" not in rules(trace)


def test_client_resets_and_the_image_stays_saving(tmp_path: Path) -> None:
    conversation = Conversation()
    glance, image = begun(conversation)
    glance.begin_saving(image)
    glance.http.chunk(image_data(20_000))
    glance.http.session.reset()
    conversation.wait(60)
    other = Glance(conversation)
    other.show(image)
    trace = analysed(conversation, tmp_path)
    stuck = the(trace, "image-stuck")
    assert stuck.image_id == IMAGE_ID
    transition = trace.tables.images[0].transitions[-1]
    assert {transition.frame, transition.commit_frame} == set(stuck.frames)
    assert "saving" in stuck.message
    aborted = the(trace, "upload-aborted")
    assert "20,000 bytes" in aborted.message
    assert the(trace, "response-missing").call_id == aborted.call_id


def test_pause_in_the_upload(tmp_path: Path) -> None:
    conversation = Conversation()
    glance, image = begun(conversation)
    data = image_data(40_000)
    glance.begin_saving(image)
    glance.http.chunk(data[:20_000])
    conversation.wait(3)
    glance.http.chunk(data[20_000:])
    glance.http.chunk(b"")
    glance.record(image, data)
    glance.finish_saving(image)
    trace = analysed(conversation, tmp_path)
    assert "3.00 s" in the(trace, "transfer-paused").message
    assert "(100 %) transfer of the body (40,000 bytes)" in the(trace, "transfer-long").message
    assert rules(trace) == {"transfer-paused", "transfer-long"}


def test_deadlock_is_named_as_a_retry(tmp_path: Path) -> None:
    conversation = Conversation()
    glance, image = begun(conversation)
    data = image_data(5_000)
    glance.begin_saving(image)
    glance.http.chunk(data)
    glance.http.chunk(b"")
    glance.record(image, data)
    glance.finish_saving(image, deadlocks=1)
    trace = analysed(conversation, tmp_path)
    finding = the(trace, "sql-deadlock")
    assert "went through" in finding.message
    assert len(finding.frames) == 4
    story = trace.tables.images[0]
    assert [t.to_status for t in story.transitions] == ["queued", "saving", "active"]
    assert rules(trace) == {"sql-deadlock"}


def test_lost_race(tmp_path: Path) -> None:
    conversation = Conversation()
    glance, image = begun(conversation)
    data = image_data(5_000)
    glance.begin_saving(image)
    glance.http.chunk(data)
    glance.http.chunk(b"")
    glance.record(image, data)
    image.status = "active"
    glance.database.save(image, "saving", affected=0)
    glance.http.answer("410 Gone", b"<html></html>")
    trace = analysed(conversation, tmp_path)
    finding = the(trace, "lost-race")
    assert "no longer saving" in finding.message
    assert [t.to_status for t in trace.tables.images[0].transitions] == ["queued", "saving"]
    assert "client-error" in rules(trace)


def test_recorded_hash_and_size_differ(tmp_path: Path) -> None:
    conversation = Conversation()
    glance, image = begun(conversation)
    glance.begin_saving(image)
    glance.http.chunk(image_data(5_000))
    glance.http.chunk(b"")
    glance.record(image, image_data(4_999))
    glance.finish_saving(image)
    trace = analysed(conversation, tmp_path)
    differing = [f.message for f in trace.tables.findings if f.rule == "upload-hash-differs"]
    assert len(differing) == 2
    assert any("md5" in message for message in differing)
    assert any("sha512" in message for message in differing)
    assert "5,000 bytes passed, Glance recorded 4,999" in the(trace, "upload-size-differs").message


def test_response_shows_a_status_that_was_never_committed(tmp_path: Path) -> None:
    conversation = Conversation()
    glance, image = begun(conversation)
    conversation.wait(1)
    glance.show(image, Image(status="active"))
    trace = analysed(conversation, tmp_path)
    finding = the(trace, "status-not-committed")
    assert finding.severity == "error"
    assert "active" in finding.message
    assert "queued" in finding.message


def test_success_whose_transaction_was_rolled_back(tmp_path: Path) -> None:
    conversation = Conversation()
    glance, image = begun(conversation)
    data = image_data(5_000)
    glance.begin_saving(image)
    glance.http.chunk(data)
    glance.http.chunk(b"")
    glance.record(image, data)
    image.status = "active"
    glance.database.mysql.write(glance.database.update_text(image, "saving"))
    glance.database.mysql.write("ROLLBACK")
    glance.http.answer("204 No Content")
    trace = analysed(conversation, tmp_path)
    assert [t.to_status for t in trace.tables.images[0].transitions if t.source != "api"] == ["queued", "saving"]
    assert the(trace, "success-not-committed").image_id == IMAGE_ID
