"""`glancetrace watch`: what happens, as it happens."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from glancetrace.cli.layout import SectionedCommand
from glancetrace.cli.options import format_option, option, say, with_options
from glancetrace.cli.reading import DECRYPTING, Reading, ask_passphrase
from glancetrace.cli.showing import Showing, showing_by
from glancetrace.errors import InputError, UsageError

if TYPE_CHECKING:
    from glancetrace.live.interrupt import Interrupt
    from glancetrace.live.watcher import Watcher
    from glancetrace.output.target import Target

__all__ = ["watch"]


@click.command(
    cls=SectionedCommand,
    short_help="What happens, as it happens.",
    examples=[
        ("tcpdump -i any -U --immediate-mode -s0 -w - port 9292 or port 3306 | glancetrace watch -", "from a pipe"),
        ("glancetrace watch -i any", "recorded by dumpcap or tcpdump, with the filter that fits"),
        ("glancetrace watch --follow ring.pcap", "a file that tcpdump -U is writing"),
        ("glancetrace watch --format jsonl - | jq 'select(.rule)'", "findings, for a program"),
    ],
)
@click.argument("path", metavar="[CAPTURE]", required=False)
@option("-i", "--interface", metavar="NAME", section="Reading", help="Record this interface: eth0, any.")
@option("--follow", is_flag=True, section="Reading", help="The file is still being written: go on as it grows.")
@option(
    "--port",
    "ports",
    multiple=True,
    metavar="SERVICE=PORT",
    section="Reading",
    help="What is spoken on a port, as in glance=9393; may be repeated.",
)
@functools.partial(with_options, options=DECRYPTING)
@option("--reveal", is_flag=True, section="Reading", help="Show passwords and tokens: do not share such output.")
@option(
    "--slower-than",
    default="1s",
    show_default=True,
    metavar="DURATION",
    section="Filters",
    help="Tell calls that were answered later than this.",
)
@option(
    "--stuck-after",
    default="60s",
    show_default=True,
    metavar="DURATION",
    section="Filters",
    help="Tell images that are half-way and silent for so long.",
)
@format_option("text", "jsonl")
@showing_by("color", "zone", "relative")
def watch(
    path: str | None,
    interface: str | None,
    follow: bool,
    ports: tuple[str, ...],
    keylogs: tuple[str, ...],
    rsa_keys: tuple[str, ...],
    reveal: bool,
    slower_than: str,
    stuck_after: str,
    form: str,
    showing: Showing,
) -> None:
    """Tell status changes, calls of interest and findings as they happen, and a summary at the end.

    CAPTURE is a file, or - for standard input. Ctrl-C ends it with the summary. Lines are provisional (~): what comes
    later, and 'glancetrace analyze', may know better.
    """
    from glancetrace.live.interrupt import Interrupt
    from glancetrace.live.watcher import Watcher, WatchOptions
    from glancetrace.output.clock import parse_duration

    _check(path, interface, follow)
    options = WatchOptions(
        ports=Reading(ports).port_map(),
        reveal=reveal,
        slower_than=parse_duration(slower_than),
        stuck_after=parse_duration(stuck_after),
        keylogs=keylogs,
        rsa_keys=rsa_keys,
        passphrase=ask_passphrase,
    )
    gc.enable()  # a run that lasts for days cannot leave cycles to its end
    interrupt = Interrupt()
    with showing.target(()) as target, interrupt.by_signals():
        watcher = Watcher(options, _teller(form, showing, target))
        try:
            _watch(path, interface, follow, options.ports, watcher, interrupt)
        except InputError:
            if watcher.packets:  # it went on for days, and what came next is no capture: that is no reason to forget
                watcher.finish()
            raise
        watcher.finish()


def _check(path: str | None, interface: str | None, follow: bool) -> None:
    if (path is None) == (interface is None):
        raise UsageError("give either a capture or an interface", action="as in: watch -, or: watch -i any")
    if follow and path in (None, "-"):
        raise UsageError("only a file can be followed", action="leave --follow out: a pipe is read as it comes")


def _watch(
    path: str | None, interface: str | None, follow: bool, ports: Any, watcher: Watcher, interrupt: Interrupt
) -> None:
    from glancetrace.live.watching import watch_file, watch_follow, watch_recorder

    if interface is not None:
        from glancetrace.live.recorder import Recorder, recorder_command

        with Recorder(recorder_command(interface, ports)) as recorder:
            watch_recorder(interface, recorder, watcher, interrupt)
    elif follow:
        watch_follow(path or "", watcher, interrupt, say)
    else:
        watch_file(path or "", watcher, interrupt)


def _teller(form: str, showing: Showing, target: Target) -> Callable[[dict[str, Any]], None]:
    """What writes a row, at once."""
    if form == "jsonl":
        from glancetrace.output.json import dump_document
        from glancetrace.rfc3339 import rfc3339

        def tell_json(row: dict[str, Any]) -> None:
            times: dict[str, Any] = {name: rfc3339(row[name]) for name in ("ts", "first_ts", "last_ts") if name in row}
            target.write_json(dump_document({**row, **times}))
            target.flush()

        return tell_json

    text = showing.watch_text(target)

    def tell(row: dict[str, Any]) -> None:
        target.write_lines(text.render(row))
        target.flush()

    return tell
