"""`glancetrace secrets`: secrets of TLS in captures."""

from __future__ import annotations

import click

from glancetrace.cli.layout import SectionedCommand
from glancetrace.cli.options import option, say
from glancetrace.cli.reading import warn_of_damage
from glancetrace.errors import UsageError

__all__ = ["secrets"]


@click.command(
    cls=SectionedCommand,
    short_help="Embed the TLS secrets that a capture needs.",
    examples=[
        ("glancetrace secrets c.pcap --keylog keys.txt -o c.pcapng", "a capture that decrypts by itself"),
        ("glancetrace secrets c.pcapng --discard -o plain.pcapng", "without any secrets, to be given away"),
    ],
)
@click.argument("path", metavar="CAPTURE")
@option("--keylog", "keylogs", multiple=True, metavar="FILE", help="Key log (SSLKEYLOGFILE); may be repeated.")
@option("--discard", is_flag=True, help="Take the secrets out instead.")
@option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    help="The pcapng file to write, compressed if it ends in .gz, .zst, .xz or .lz4.",
)
def secrets(path: str, keylogs: tuple[str, ...], discard: bool, output: str) -> None:
    """Write a copy of a capture with the secrets of the TLS connections that are in it, and no others.

    Everybody who has the copy can read these connections, here and in Wireshark, without the key log.
    """
    from glancetrace.issues import IssueLog
    from glancetrace.output.units import plural

    issues = IssueLog()
    if discard == bool(keylogs):
        raise UsageError("either --keylog FILE or --discard", action="see 'glancetrace secrets --help'")
    if discard:
        from glancetrace.edit.secrets import discard_secrets

        count = discard_secrets(path, output, issues)
        warn_of_damage(issue.kind for issue in issues.rows())
        say(f"{plural(count, 'secrets block')} left out; passwords and tokens in the packets are kept")
        return
    from glancetrace.edit.secrets import embed_secrets
    from glancetrace.options import Options

    embedded = embed_secrets(path, output, Options(keylogs=keylogs), issues)
    warn_of_damage(issue.kind for issue in issues.rows())
    if not embedded.lines:
        say(f"none of the secrets fits: the copy has none; the capture has "
            f"{plural(embedded.needing, 'TLS connection')} with a handshake")  # fmt: skip
        return
    say(f"secrets of {embedded.connections} of {plural(embedded.needing, 'TLS connection')} embedded; "
        "whoever has the file can read them")  # fmt: skip
