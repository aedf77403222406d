"""Key logs and private keys on the command line: what is wrong is said in a line, and no key is ever shown."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from glancetrace.cli import cli, main
from glancetrace.decode import decode
from glancetrace.options import Options
from glancetrace.tls.decoder import TlsDecoder
from tests.cli.test_secrets import COMMANDS
from tests.support.openssl import Certificate, Setup, TlsTalk
from tests.support.samples import CAPTURES, keylog_path
from tests.support.tls_streams import connection, store_of

CAPTURE = str(CAPTURES["article-tls13"])
LOG = keylog_path("article-tls13")
assert LOG is not None
PEM = "-----BEGIN"


def fails(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str]:
    """Exit code of a command and the line that it says."""
    with pytest.raises(SystemExit) as stop:
        main(list(map(str, args)))
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert isinstance(stop.value.code, int)
    return stop.value.code, said.err


class TestBadFiles:
    def test_key_log_that_is_not_there(self, capsys: pytest.CaptureFixture[str]) -> None:
        code, line = fails(capsys, "analyze", CAPTURE, "--keylog", "nowhere.txt")
        assert (code, "nowhere.txt" in line, "no such file" in line) == (3, True, True)

    def test_key_log_that_is_none(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        path = tmp_path / "keys"
        path.write_bytes(b"\x00\x01nonsense\nmore nonsense\n")
        code, line = fails(capsys, "calls", CAPTURE, "--keylog", path)
        assert (code, "is no key log" in line, "nonsense" in line) == (3, True, False)

    def test_a_capture_is_no_key_log(self, capsys: pytest.CaptureFixture[str]) -> None:
        code, line = fails(capsys, "calls", CAPTURE, "--keylog", CAPTURE)
        assert (code, "is no key log" in line) == (3, True)

    @pytest.mark.parametrize("jobs", [1, 2])
    def test_a_pipe_is_read(self, jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """As a shell's process substitution gives it; only one process can read it."""
        monkeypatch.setattr("glancetrace.decode_shares._WORTH_SHARING", 1)
        reading, writing = os.pipe()
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(LOG.read_bytes())
        decoded = decode(CAPTURE, Options(keylogs=(f"/dev/fd/{reading}",), jobs=jobs))
        os.close(reading)
        assert [row.tls.reason for row in decoded.connections if row.tls] == [None, None]

    def test_directory(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        assert fails(capsys, "calls", CAPTURE, "--keylog", tmp_path)[0] == 3
        assert fails(capsys, "calls", CAPTURE, "--rsa-key", tmp_path)[0] == 3

    @pytest.mark.parametrize(
        "content", [b"", b"junk", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
    )
    def test_rsa_key_that_is_none(self, content: bytes, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        path = tmp_path / "key.pem"
        path.write_bytes(content)
        code, line = fails(capsys, "calls", CAPTURE, "--rsa-key", path)
        assert (code, "no private key" in line, PEM in line) == (3, True, False)

    def test_key_of_another_kind(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        path = tmp_path / "key.pem"
        key = ec.generate_private_key(ec.SECP256R1())
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        code, line = fails(capsys, "calls", CAPTURE, "--rsa-key", path)
        assert (code, "no RSA key" in line) == (3, True)


class TestPassphrase:
    @pytest.fixture
    def locked(self, tmp_path: Path) -> Path:
        path = tmp_path / "key.pem"
        key = rsa.generate_private_key(65537, 2048)
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"opensesame")))
        return path

    def test_is_asked_for_and_not_shown(self, locked: Path) -> None:
        result = CliRunner().invoke(cli, ["calls", CAPTURE, "--rsa-key", str(locked)], input="opensesame\n")
        assert result.exit_code == 0
        assert f"Passphrase of {locked}" in result.output
        assert "opensesame" not in result.output

    def test_that_is_wrong(self, locked: Path) -> None:
        result = CliRunner().invoke(cli, ["calls", CAPTURE, "--rsa-key", str(locked)], input="closesesame\n")
        assert "the passphrase does not open the key" in str(result.exception)
        assert "sesame" not in str(result.exception)

    def test_without_a_terminal(self, locked: Path) -> None:
        """Standard input is not asked: it may be the capture."""
        command = [sys.executable, "-m", "glancetrace", "calls", CAPTURE, "--rsa-key", str(locked)]
        done = subprocess.run(
            command, input="opensesame\n", capture_output=True, text=True, start_new_session=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
        assert "the key is encrypted" in done.stderr
        assert "on a terminal" in done.stderr
        assert "echoed" not in done.stderr


def secrets_in(log: Path) -> list[str]:
    """The secrets of a key log, in hexadecimal and as bytes are shown."""
    found = [line.split()[-1] for line in log.read_text().splitlines() if re.match("[A-Z]", line)]
    return [*found, *(repr(bytes.fromhex(secret))[2:-1][:40] for secret in found)]


@pytest.mark.parametrize("name", COMMANDS)
def test_no_output_holds_a_key(name: str) -> None:
    for sample in ("article-tls13", "pymysql-tls12"):
        log = keylog_path(sample)
        assert log is not None
        args = [name.partition("-")[0], str(CAPTURES[sample]), "--keylog", str(log), "--reveal", *COMMANDS[name]]
        output = CliRunner().invoke(cli, args, catch_exceptions=False).output
        assert not [secret for secret in secrets_in(log) if secret in output]


def test_no_representation_holds_a_key(certificates: dict[str, Certificate], tmp_path: Path) -> None:
    for setup in (("TLS 1.3",), ("TLS 1.2", "AES128-SHA")):
        talk = TlsTalk(Setup(certificates["rsa"], *setup)).shake_hands().ask(b"hello").answer(b"world")
        log = tmp_path / "keys"
        log.write_text("".join(f"{line}\n" for line in talk.keylog))
        store = store_of(talk.keylog)
        seen: list[object] = []
        decoder = TlsDecoder(connection(), store, store._issues, seen.append)
        from tests.support.http_streams import merged

        for run in merged(talk.flights):
            decoder.feed(run)
        keys = [(side.protection.epoch, side.protection.following()) for side in decoder._sides]
        hellos = (decoder._handshake.client, decoder._handshake.server)
        shown = repr([store, decoder, decoder.summary, keys, hellos])
        assert "Epoch" in shown
        assert not [secret for secret in secrets_in(log) if secret in shown]
    decoded = decode(CAPTURE, Options(keylogs=(LOG,)))
    assert not [secret for secret in secrets_in(LOG) if secret in repr(decoded.secrets)]
