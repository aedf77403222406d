"""Reading options: which captures, ports, keys and logs are read, and how."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from glancetrace.cli.options import Callback, option, say, with_options
from glancetrace.cores import usable_cores
from glancetrace.errors import InputError, UsageError

if TYPE_CHECKING:
    from glancetrace.conversations import QuickLook
    from glancetrace.trace import Trace

__all__ = [
    "DECRYPTING",
    "JOBS",
    "NO_PROGRESS",
    "PORTS",
    "Reading",
    "takes_look",
    "takes_reading",
    "warn_of_damage",
]

SERVICES = ("glance", "http", "keystone", "mysql", "registry", "swift")


@dataclass(frozen=True, slots=True)
class Reading:
    """How captures are read: ports (`glance=9292`), hash names, secrets shown, progress, jobs, keys, API logs."""

    ports: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()
    reveal: bool = False
    progress: bool = True
    jobs: int | None = None
    keylogs: tuple[str, ...] = ()
    rsa_keys: tuple[str, ...] = ()
    api_logs: tuple[str, ...] = ()

    def port_map(self) -> dict[int, str]:
        """Port -> service: the defaults, and what was asked for.

        Raises:
            UsageError: an entry is not `service=port`.
        """
        from glancetrace.glance.ports import parse_ports

        return parse_ports(self.ports)

    @property
    def job_count(self) -> int:
        """Processes that decode: as many as were asked for, else two where there are two cores."""
        return self.jobs or min(2, usable_cores())

    def analyze(self, paths: Sequence[str], *, warn: bool = True) -> Trace:
        """The trace of captures, with a progress bar where somebody waits; `warn`: tell of damage on standard error."""
        from glancetrace.output.progress import ProgressBar
        from glancetrace.pipeline import Options, analyze

        hashes = self._known_hashes()
        with ProgressBar(enabled=self.progress) as bar:
            options = Options(
                ports=self.port_map(),
                hashes=hashes,
                reveal=self.reveal,
                api_logs=self.api_logs,
                progress=bar if bar.enabled else None,
                jobs=self.job_count,
                keylogs=self.keylogs,
                rsa_keys=self.rsa_keys,
                passphrase=ask_passphrase,
            )
            trace = analyze(list(paths), options)
        if warn:
            warn_of_damage(issue.kind for issue in trace.tables.issues)
        kept = click.get_current_context().obj
        if isinstance(kept, list):
            kept.append(trace)
        return trace

    def _known_hashes(self) -> tuple[str, ...]:
        """Names as hashlib has them; functions of variable length (shake_128) give no digest of their own."""
        import hashlib

        names = tuple(name.lower() for name in self.hashes)
        for name in names:
            known = hashlib.algorithms_available
            if name not in known or not hashlib.new(name, usedforsecurity=False).digest_size:
                usable = sorted(known - {"shake_128", "shake_256"})
                raise UsageError(f"--hash {name!r} is not known", action=f"one of {', '.join(usable)}")
        return names

    def look(self, paths: Sequence[str]) -> QuickLook:
        """The quick look at captures."""
        from glancetrace.conversations import look
        from glancetrace.output.progress import ProgressBar

        with ProgressBar(enabled=self.progress) as bar:
            return look(paths, self.port_map(), progress=bar if bar.enabled else None)


DECRYPTING = (
    option(
        "--keylog",
        "keylogs",
        multiple=True,
        metavar="FILE",
        section="Reading",
        help="Decrypt TLS with this key log (SSLKEYLOGFILE); may be repeated.",
    ),
    option(
        "--rsa-key",
        "rsa_keys",
        multiple=True,
        metavar="FILE",
        section="Reading",
        help="Decrypt TLS 1.2 with RSA key exchange with this private key (PEM); may be repeated.",
    ),
)

JOBS = option(
    "--jobs",
    type=click.IntRange(1, 64),
    metavar="N",
    section="Reading",
    help="Decode in so many processes; else in two where there are two cores and it is worth while.",
)

PORTS = option(
    "--port",
    "ports",
    multiple=True,
    metavar="SERVICE=PORT",
    section="Reading",
    help=f"What is spoken on a port ({', '.join(SERVICES)}); may be repeated.",
)
NO_PROGRESS = option("--no-progress", is_flag=True, section="Reading", help="No progress bar.")

_READING = (
    PORTS,
    option(
        "--hash",
        "hashes",
        multiple=True,
        metavar="NAME",
        section="Reading",
        help="Hash uploads with this algorithm too (sha256, ...); may be repeated.",
    ),
    JOBS,
    option(
        "--api-log",
        "api_logs",
        multiple=True,
        metavar="FILE",
        section="Reading",
        help="Take API calls from a log too: openstack --debug, HAProxy, access or oslo.log; may be repeated, globs.",
    ),
    NO_PROGRESS,
    option("--reveal", is_flag=True, section="Reading", help="Show passwords and tokens: do not share such output."),
)


def takes_reading(command: Callback) -> Callback:
    """Gives a command the reading options, as one `reading`."""

    @functools.wraps(command)
    def collected(
        *,
        ports: tuple[str, ...],
        hashes: tuple[str, ...],
        jobs: int | None,
        api_logs: tuple[str, ...],
        no_progress: bool,
        reveal: bool,
        keylogs: tuple[str, ...],
        rsa_keys: tuple[str, ...],
        **rest: Any,
    ) -> Any:
        known = Reading(ports, hashes, reveal, not no_progress, jobs, keylogs, rsa_keys, api_logs)
        return command(reading=known, **rest)

    return with_options(collected, (*_READING[:2], *DECRYPTING, *_READING[2:]))


def takes_look(command: Callback) -> Callback:
    """Gives a command that decodes nothing the reading options that matter then, as one `reading`."""

    @functools.wraps(command)
    def collected(*, ports: tuple[str, ...], no_progress: bool, **rest: Any) -> Any:
        return command(reading=Reading(ports, progress=not no_progress), **rest)

    return with_options(collected, (PORTS, NO_PROGRESS))


def warn_of_damage(kinds: Iterable[str]) -> None:
    """One line for those who see a part of the result only, or none of its issues; `kinds` of issues."""
    damage = [kind for kind in kinds if kind in _DAMAGE]
    if damage:
        say(f"the capture is not whole ({', '.join(dict.fromkeys(damage))}); see 'glancetrace info'")


_DAMAGE = ("capture-cut-short", "capture-damaged", "capture-empty")


def ask_passphrase(path: str) -> str:
    """Ask for the passphrase of a private key; nothing of it is shown.

    Raises:
        InputError: there is no terminal; standard input may be a capture.
    """
    import getpass
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return str(click.prompt(f"Passphrase of {path}", hide_input=True, err=True))
        except getpass.GetPassWarning:
            action = "give its passphrase on a terminal"
            raise InputError("the key is encrypted", where=path, action=action) from None
