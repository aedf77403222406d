"""The command line: `glancetrace COMMAND ...`.

Thin: options in, calls to the parts below, text out. What a run costs before its command starts is this package and
click: everything else is imported inside the commands.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress

import click

from glancetrace import __version__
from glancetrace.cli.analyze import analyze
from glancetrace.cli.check import check, rules
from glancetrace.cli.diff import diff
from glancetrace.cli.explain import explain
from glancetrace.cli.export import export
from glancetrace.cli.extract import extract
from glancetrace.cli.files import info, split
from glancetrace.cli.layout import SectionedGroup
from glancetrace.cli.lists import calls, sql
from glancetrace.cli.report import report
from glancetrace.cli.sanitize import sanitize
from glancetrace.cli.search import search
from glancetrace.cli.secrets import secrets
from glancetrace.cli.timeline import timeline
from glancetrace.cli.verify import verify
from glancetrace.cli.watch import watch
from glancetrace.errors import GlancetraceError, ReaderGone

__all__ = ["cli", "main", "run_process"]

_INTERRUPTED = 130
_READER_GONE = 141
_TERMINATED = 143
"""What a shell reports for a program that SIGPIPE, or SIGTERM, ended."""

_USAGE = 2
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_KEPT_BYTES = 32 << 20
_SWITCH_INTERVAL = 0.0002
"""s: a thread that has hashed a piece waits no longer for the interpreter lock before it takes the next one."""


@click.group(
    cls=SectionedGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 a comparison or check found something, 2 wrong usage, 3 unreadable input.",
)
@click.version_option(__version__, "-V", "--version", message="%(prog)s %(version)s")
def cli() -> None:
    """Says what happened to the Glance images, from a packet capture of an OpenStack controller.

    Start with: glancetrace analyze capture.pcap
    """


cli.add_section("What happened", [analyze, timeline, watch, report])
cli.add_section("A closer look", [calls, sql, search, explain])
cli.add_section("A gate for CI", [check, diff, rules])
cli.add_section("Other tools", [export, verify])
cli.add_section("Captures", [info, split, extract, secrets, sanitize])


def main(args: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code (see DESIGN: 0, 2, 3; 130 for Ctrl-C)."""
    sys.exit(_run(args, []))


def run_process() -> None:
    """`main` as a process of its own, which ends without taking its rows apart first.

    Half a million objects are of no use to anybody then, and neither looking for cycles among them nor freeing them one
    by one is: together that is a third of a run.
    """
    gc.disable()
    sys.setswitchinterval(_SWITCH_INTERVAL)
    # numpy starts a thread per core for linear algebra, which is not done here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Arrow's own allocator could not use what is freed and kept below.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    _keep_freed_memory()
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:  # not ignored by who started us
        signal.signal(signal.SIGTERM, _terminate)
    kept: list[object] = []
    code = _run(None, kept)
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:  # closed by who started us
                stream.flush()
        except OSError:
            code = code or _READER_GONE
    os._exit(code)


def _terminate(_number: int, _frame: object) -> None:
    """SIGTERM ends the process as Ctrl-C does: what is half-written is taken away."""
    raise SystemExit(_TERMINATED)


def _keep_freed_memory() -> None:
    """Have the C library keep what is freed: every block's columns would else be given back and asked for again.

    M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of mallopt(3); other C libraries than glibc are left as they are.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)


def _run(args: Sequence[str] | None, kept: list[object]) -> int:
    """Exit code of one command; `kept` holds its result until the process ends."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    try:
        result = cli.main(args, prog_name="glancetrace", standalone_mode=False, obj=kept)
        return result if isinstance(result, int) else 0
    except GlancetraceError as error:
        _complain(str(error))
        _drop_output()
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return _USAGE
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx is not None else "glancetrace"
        _complain(f"{error.format_message().rstrip('.')}; see '{command} --help'")
        return _USAGE
    except click.ClickException as error:
        _complain(error.format_message())
        return _USAGE
    except click.Abort:  # click has ended the line already
        return _INTERRUPTED
    except (ReaderGone, BrokenPipeError):
        _drop_output()
        return _READER_GONE
    except OSError as error:
        _complain(f"{error.filename or 'output'}: {error.strerror or error}")
        return GlancetraceError.exit_code


def _drop_output() -> None:
    """Nowhere to write to: what is still buffered would be complained about when Python shuts down."""
    if sys.__stdout__ is not None and sys.stdout is sys.__stdout__:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())


def _complain(message: str) -> None:
    from glancetrace.output.clean import clean

    click.echo(f"glancetrace: {clean(message)}", err=True)
