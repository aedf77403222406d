"""`glancetrace sanitize`: a capture without its secrets, to be shared or committed."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click

from glancetrace.cli.layout import SectionedCommand
from glancetrace.cli.options import captures, option, say, with_options
from glancetrace.cli.reading import DECRYPTING, JOBS, NO_PROGRESS, PORTS, Reading, ask_passphrase, warn_of_damage
from glancetrace.errors import UsageError

__all__ = ["sanitize"]


def _decrypting(command: Callable[..., Any]) -> Callable[..., Any]:
    return with_options(command, DECRYPTING)


@click.command(
    cls=SectionedCommand,
    short_help="A copy without secrets, to be shared.",
    examples=[
        ("glancetrace sanitize capture.pcap -o clean.pcap --verify", "replace secrets, then look for them"),
        ("glancetrace sanitize 'ring*.pcap' -o clean.pcap --key team.key", "the same pseudonyms every time"),
        ("glancetrace sanitize c.pcap --names --addresses --image-bodies -o clean.pcap", "whose it is goes, too"),
        ("glancetrace sanitize c.pcap --decrypt --keylog keys.txt -o clean.pcap", "TLS as plain HTTP, sanitised"),
    ],
)
@captures
@option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    help="The capture to write, compressed if it ends in .gz, .zst, .xz or .lz4.",
)
@option("--key", metavar="FILE|TEXT", help="Key of the pseudonyms; without it they differ from run to run.")
@option("--verify", "check", is_flag=True, help="Look for every secret in what was written; exit code 1 if one is.")
@option("--decrypt", is_flag=True, help="Write TLS connections that can be decrypted as plain ones, and sanitise them.")
@option("--keep-other", is_flag=True, help="Leave packets as they are that are neither HTTP nor MySQL.")
@option("--image-bodies", is_flag=True, help="Turn image data into zeros, and its recorded hashes into theirs.")
@option("--names", is_flag=True, help="Replace names of images, users, projects, domains and hosts.")
@option("--addresses", is_flag=True, help="Replace IP and MAC addresses; networks stay together.")
@option("--report", metavar="FILE", help="Write what was done to a JSON file, in place of text.")
@PORTS
@JOBS
@NO_PROGRESS
@_decrypting
def sanitize(
    paths: tuple[str, ...],
    output: str,
    key: str | None,
    check: bool,
    decrypt: bool,
    keep_other: bool,
    image_bodies: bool,
    names: bool,
    addresses: bool,
    report: str | None,
    ports: tuple[str, ...],
    jobs: int | None,
    no_progress: bool,
    keylogs: tuple[str, ...],
    rsa_keys: tuple[str, ...],
) -> int:
    """Write a copy of a capture in which every token, password, password hash and cookie is a pseudonym.

    Lengths, times, statuses, ids and frame numbers stay, checksums fit, and analyze tells the same story. Equal secrets
    become equal pseudonyms. What nobody decodes is blanked, or cut behind its headers. Names, addresses and image data
    stay unless --names, --addresses and --image-bodies are given, and TLS stays encrypted without --decrypt.
    """
    import orjson

    from glancetrace.edit.piece_file import check_output
    from glancetrace.edit.sanitize.decrypted import sanitize_decrypted
    from glancetrace.edit.sanitize.passes import Choices
    from glancetrace.edit.sanitize.passes import sanitize as sanitize_captures
    from glancetrace.edit.sanitize.pseudonyms import read_key
    from glancetrace.edit.sanitize.report import render_report, render_text
    from glancetrace.edit.sanitize.verify import verify
    from glancetrace.issues import IssueLog
    from glancetrace.options import Options
    from glancetrace.outfile import is_one_of, takes_one_writing
    from glancetrace.output.progress import ProgressBar
    from glancetrace.output.target import Target

    if output == "-":
        raise UsageError("packets cannot go to standard output", action="give a file name")
    if check and takes_one_writing(output):
        raise UsageError("what goes to a pipe cannot be read again", where=output, action="leave out --verify")
    if report is not None and os.path.realpath(report) == os.path.realpath(output):
        raise UsageError("the capture and the report need two files", where=report, action="choose another name")
    for file in (output, report):
        if file is not None and is_one_of(file, (*keylogs, *rsa_keys, key or "-")):
            raise UsageError("this would overwrite a key", where=file, action="choose another name")
    check_output(output, paths)
    told = None if report is None else Target(report, paths)
    if addresses and keep_other:
        raise UsageError("packets that nobody decodes hold addresses", action="give --addresses or --keep-other")
    if (keylogs or rsa_keys) and not decrypt:
        raise UsageError("keys are of use with --decrypt only", action="add --decrypt, or leave them out")
    issues = IssueLog()
    with ProgressBar(enabled=not no_progress) as bar:
        reading = Reading(ports, jobs=jobs)
        options = Options(
            ports=reading.port_map(),
            jobs=reading.job_count,
            progress=bar if bar.enabled else None,
            keylogs=keylogs,
            rsa_keys=rsa_keys,
            passphrase=ask_passphrase,
        )
        run = sanitize_decrypted if decrypt else sanitize_captures
        done = run(
            list(paths),
            output,
            read_key(key),
            options,
            issues,
            choices=Choices(keep_other=keep_other, image_bodies=image_bodies, names=names, addresses=addresses),
        )
    warn_of_damage(issue.kind for issue in issues.rows())
    remainders = verify([output], done.known) if check else None
    document = render_report(done, remainders)
    if told is None:
        for line in render_text(document):
            say(line)
    else:
        with told:
            told.write_json(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return 1 if remainders else 0
