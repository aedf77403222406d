"""Where a watch gets its packets: a pipe, a finished file, one that grows, or a recorder of its own.

Each gives captures one after the other (a rotated file is a new capture) to one `Watcher`, whose state goes on: frames
are counted over all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from glancetrace.capture.formats import read_format
from glancetrace.capture.inputs import BLOCK_SIZE
from glancetrace.capture.pcap import PCAP_MAGICS
from glancetrace.capture.source import RawSource, open_source
from glancetrace.errors import InputError
from glancetrace.live.interrupt import Interrupt
from glancetrace.live.recorder import Recorder
from glancetrace.live.source import FollowedFile, LivePipe
from glancetrace.live.watcher import Watcher

__all__ = ["watch_file", "watch_follow", "watch_recorder"]

_PCAPNG = b"\x0a\x0d\x0d\x0a"
Say = Callable[[str], None]


def watch_file(path: str, watcher: Watcher, interrupt: Interrupt) -> None:
    """Watch standard input ("-"), a pipe or a finished file to its end, or until somebody wants it to end.

    Raises:
        InputError: it cannot be read, or is no capture.
    """
    raw = open_source(path)
    if not raw.is_file:
        raw = LivePipe(path, raw.descriptor, interrupt)
        interrupt.on_first = raw.wind_up
    _watch(raw, watcher, interrupt)


def watch_follow(path: str, watcher: Watcher, interrupt: Interrupt, say: Say) -> None:
    """Watch a file that grows, until somebody wants it to end; `say` tells when it is another one.

    Raises:
        InputError: it is not there, cannot be read, is no capture, or is compressed.
    """
    fate = "followed"
    while fate and not interrupt.asked:
        raw = open_source(path)
        if not raw.is_file:
            raw.close()
            raise InputError("is no file that could grow", where=path, action="leave --follow out")
        source = FollowedFile(path, raw.descriptor, interrupt)
        with suppress(KeyboardInterrupt):
            magic = source.peek(4)
            if len(magic) == 4 and magic not in PCAP_MAGICS and magic != _PCAPNG:
                raise InputError(
                    "is no capture that can be followed (pcap or pcapng, not compressed)",
                    where=path,
                    action="leave --follow out",
                )
        if source.fate:
            source.close()
        else:
            _watch(source, watcher, interrupt)
        fate = source.fate
        if fate and not interrupt.asked:
            say(f"{path}: was {fate}; going on with the file of that name")


def watch_recorder(name: str, recorder: Recorder, watcher: Watcher, interrupt: Interrupt) -> None:
    """Watch what a recorder records, until somebody wants it to end.

    Raises:
        InputError: it recorded nothing, and why.
    """
    interrupt.on_first = recorder.stop
    source = LivePipe(name, recorder.take_output(), interrupt)
    with suppress(KeyboardInterrupt):
        if not source.peek(4):
            source.close()
            recorder.complain()
    _watch(source, watcher, interrupt)


def _watch(raw: RawSource, watcher: Watcher, interrupt: Interrupt) -> None:
    """Give a watcher one capture."""
    try:
        reader, source = read_format(raw, BLOCK_SIZE)
        if isinstance(source, LivePipe | FollowedFile):  # not one that a thread reads from, to decompress it
            source.on_quiet = watcher.quiet
        for block in reader:
            watcher.take_side_news(reader)
            watcher.take(block)
            if interrupt.asked:
                break
        watcher.take_side_news(reader)
    except KeyboardInterrupt:
        if not interrupt.asked:
            raise
    finally:
        raw.close()
