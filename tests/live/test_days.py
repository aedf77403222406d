"""A watch that goes on for days: what it holds follows what is open, and silence is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from glancetrace.capture.formats import read_format
from glancetrace.capture.source import open_source
from glancetrace.live import images as images_module
from glancetrace.live import streams as streams_module
from glancetrace.live.watcher import Watcher, WatchOptions
from tests.support.conversation import Conversation, Http, Mysql
from tests.support.deployments import Glance, Image

CLIENT, API, DATABASE = "192.0.2.1", ("192.0.2.20", 9292), ("192.0.2.30", 3306)
MINUTE = 60_000_000_000


def watch(conversation: Conversation, path: Path) -> tuple[Watcher, list[Any]]:
    """What a watcher has told and holds after the last packet, before it is finished; a few packets at a time."""
    rows: list[Any] = []
    watcher = Watcher(WatchOptions(), rows.append)
    reader, source = read_format(open_source(str(conversation.write(path))), 500)
    for block in reader:
        watcher.take(block)
    source.close()
    return watcher, rows


def test_connections_that_ended_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls and transactions on 30 connections of each kind, closed, reset, or just silent."""
    monkeypatch.setattr(streams_module, "_EPOCH_PACKETS", 50)
    conversation = Conversation()
    for number in range(30):
        http, mysql = (Http(conversation.connect(CLIENT, API)), Mysql(conversation.connect(CLIENT, DATABASE)))
        mysql.login("glance", "glance")
        mysql.write(f"UPDATE images SET status='saving' WHERE images.id = '{number:036d}' AND images.status = 'queued'")
        http.ask("PUT", f"/v2/images/{number:036d}/file", body=b"image data")
        if number % 3 == 0:
            mysql.write("COMMIT")
            http.answer("204 No Content")
        for session in (http.session, mysql.legs[0]):
            if number % 3 < 2:
                (session.close if number % 2 else session.reset)()
    # Those that are silent are given up; the packets make epochs pass.
    conversation.wait(3 * 3600)
    later = Http(conversation.connect(CLIENT, API))
    for _ in range(40):
        later.ask("GET", "/v2/images")
        later.answer("200 OK", {"images": []})
    watcher, _rows = watch(conversation, tmp_path / "closed.pcap")
    assert watcher.streams.connection_count == 61
    assert watcher.streams.open_count == 1
    assert watcher.transactions.held == 0
    assert not watcher.streams.uploads
    assert not watcher.streams._reassembler.connections


def test_issues_are_counted_over_all_connections(tmp_path: Path) -> None:
    conversation = Conversation()
    for _ in range(50):
        session = conversation.connect(CLIENT, API)
        session.send(b"this is no HTTP\r\n\r\n")
        session.close()
    watcher, rows = watch(conversation, tmp_path / "odd.pcap")
    assert [(row["kind"], row["severity"]) for row in rows if "http-malformed" in row["message"]] == [
        ("issue", "warning")
    ]
    assert [(row.kind, row.connection_id) for row in watcher.issues.rows()] == [("http-malformed", None)]


def test_images_are_forgotten_in_the_order_of_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images_module, "_KNOWN", 10)
    conversation = Conversation()
    mysql = Mysql(conversation.connect(CLIENT, DATABASE))
    mysql.login("glance", "glance")
    for number in range(50):
        values = f"'{number:08d}-0000-4000-8000-000000000000', 'image-{number}', 'saving'"
        mysql.write(f"INSERT INTO images (id, name, status) VALUES ({values})")
        mysql.write("COMMIT")
    watcher, rows = watch(conversation, tmp_path / "many.pcap")
    assert [row["image_name"] for row in rows if row["kind"] == "status"] == [f"image-{n}" for n in range(50)]
    assert len(watcher.images) == 10
    assert watcher.images.statuses() == {"saving": 10}


def saving(conversation: Conversation) -> tuple[Glance, Image]:
    """An upload that has begun."""
    glance, image = Glance(conversation), Image()
    glance.create(image)
    glance.begin_saving(image)
    return glance, image


def test_an_image_that_nobody_works_on_is_told_once(tmp_path: Path) -> None:
    conversation = Conversation()
    saving(conversation)
    for _ in range(3):
        conversation.wait(45)
        conversation.connect("192.0.2.7", API).close()
    _watcher, rows = watch(conversation, tmp_path / "stuck.pcap")
    stuck = [row for row in rows if row["rule"] == "image-stuck"]
    assert [row["message"] for row in stuck] == ["is saving, and nothing was heard of it for 90 s"]
    assert (stuck[0]["image_name"], stuck[0]["severity"]) == ("overcloud-full", "error")


def test_silence_is_told_without_a_packet(tmp_path: Path) -> None:
    conversation = Conversation()
    saving(conversation)
    watcher, rows = watch(conversation, tmp_path / "quiet.pcap")
    watcher.quiet(59 * 1_000_000_000)
    assert not [row for row in rows if row["rule"]]
    watcher.quiet(MINUTE + 1)
    assert [row["rule"] for row in rows if row["rule"]] == ["image-stuck"]


def test_an_upload_whose_data_still_come_is_not_stuck(tmp_path: Path) -> None:
    conversation = Conversation()
    glance, image = saving(conversation)
    for _ in range(5):
        conversation.wait(40)
        glance.http.chunk(b"x" * 5000)
    glance.http.chunk(b"")
    glance.record(image, b"x" * 25_000)
    glance.finish_saving(image)
    _watcher, rows = watch(conversation, tmp_path / "slow.pcap")
    assert [row["to"] for row in rows if row["kind"] == "status"] == ["queued", "saving", "active"]
    assert not [row for row in rows if row["rule"]]


def test_a_deadlock_and_a_slow_answer(tmp_path: Path) -> None:
    conversation = Conversation()
    glance, image = saving(conversation)
    glance.http.chunk(b"")
    glance.record(image, b"")
    glance.finish_saving(image, deadlocks=3)
    _watcher, rows = watch(conversation, tmp_path / "deadlock.pcap")
    assert [row["rule"] for row in rows if row["rule"]] == ["sql-deadlock"] * 3 + ["call-slow"]
    assert [row["to"] for row in rows if row["kind"] == "status"] == ["queued", "saving", "active"]


def test_what_is_rolled_back_is_not_told(tmp_path: Path) -> None:
    conversation = Conversation()
    glance, image = Glance(conversation), Image()
    glance.create(image)
    glance.database.mysql.write(glance.database.update_text(Image(status="saving"), "queued"))
    glance.database.mysql.write("ROLLBACK")
    _watcher, rows = watch(conversation, tmp_path / "rolled-back.pcap")
    assert [row["to"] for row in rows if row["kind"] == "status"] == ["queued"]


def test_a_change_that_glance_does_not_allow(tmp_path: Path) -> None:
    conversation = Conversation()
    mysql = Mysql(conversation.connect(CLIENT, DATABASE), autocommit=True)
    mysql.login("root", "glance")
    image = Image()
    mysql.write(f"INSERT INTO images (id, name, status) VALUES ('{image.id}', 'overcloud-full', 'queued')")
    mysql.write(f"UPDATE images SET status='deactivated' WHERE id = '{image.id}'")
    _watcher, rows = watch(conversation, tmp_path / "illegal.pcap")
    assert [row["rule"] for row in rows] == [None, None, "status-illegal"]
    assert rows[2]["message"] == "went from queued to deactivated, which Glance does not allow"


def test_a_change_of_which_only_the_result_is_seen(tmp_path: Path) -> None:
    """A read shows another status; when no write has come a second later, the change is told as inferred."""
    conversation = Conversation()
    glance, image = Glance(conversation), Image()
    glance.create(image)
    conversation.wait(10)
    image.status = "active"
    glance.show(image)
    watcher, rows = watch(conversation, tmp_path / "missed.pcap")
    assert [row["to"] for row in rows if row["kind"] == "status"] == ["queued"]
    watcher.quiet(2_000_000_000)
    last = [row for row in rows if row["kind"] == "status"][-1]
    assert (last["from"], last["to"], last["certainty"], last["source"]) == ("queued", "active", "inferred", "sql")


def test_the_api_alone(tmp_path: Path) -> None:
    conversation = Conversation()
    http, image = Http(conversation.connect(CLIENT, API)), Image()
    http.ask("POST", "/v2/images", body={"name": image.name})
    http.answer("201 Created", image.document())
    conversation.wait(5)
    http.ask("PUT", f"/v2/images/{image.id}/file", body=b"data")
    http.answer("204 No Content")
    watcher, rows = watch(conversation, tmp_path / "api.pcap")
    watcher.finish()
    changes = [(row["from"], row["to"], row["certainty"], row["source"]) for row in rows if row["kind"] == "status"]
    assert changes == [(None, "queued", "inferred", "api"), ("queued", "active", "inferred", "api")]
