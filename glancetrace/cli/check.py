"""`glancetrace check` and `glancetrace rules`: a gate for CI, and what its rules mean."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

import click

from glancetrace.cli.layout import SectionedCommand
from glancetrace.cli.options import format_option, option, say
from glancetrace.cli.reading import Reading, takes_reading
from glancetrace.cli.results import read_result
from glancetrace.cli.showing import Showing, showing_by
from glancetrace.errors import UsageError

if TYPE_CHECKING:
    from glancetrace.check.gate.expectations import Source
    from glancetrace.output.target import Target
    from glancetrace.verdict import Verdict

__all__ = ["check", "rules"]


def with_source(reading: Reading, source: Source) -> Reading:
    """What a rules file says of reading its capture comes before what the command line adds."""
    return dataclasses.replace(
        reading,
        keylogs=(*source.keylogs, *reading.keylogs),
        rsa_keys=(*source.rsa_keys, *reading.rsa_keys),
        api_logs=(*source.api_logs, *reading.api_logs),
        ports=(*source.ports, *reading.ports),
    )


@click.command(
    cls=SectionedCommand,
    short_help="Pass or fail a capture by rules: a gate for CI.",
    examples=[
        ("glancetrace check capture.pcap", "the built-in rules; exit code 1 if one of severity error finds something"),
        ("glancetrace check --init good.pcap -o upload.glancetrace.toml", "rules from a good capture, to be edited"),
        ("glancetrace check --rules upload.glancetrace.toml capture.pcap", "judge another capture by them"),
        ("glancetrace check capture.pcap --format junit -o report.xml", "for Jenkins and GitLab"),
    ],
)
@click.argument("paths", metavar="[CAPTURE...]", nargs=-1)
@option("--rules", "rules_file", metavar="FILE", section="What", help="Expectations (TOML); --init writes a first one.")
@option("--init", "init", is_flag=True, section="What", help="Write a rules file that this capture passes.")
@format_option("text", "json", "junit", "sarif", "github")
@showing_by("output", "color", "wide")
@takes_reading
def check(
    paths: tuple[str, ...], rules_file: str | None, init: bool, form: str, showing: Showing, reading: Reading
) -> int:
    """Judge a capture, a result of analyze --format json or a saved trace by the built-in rules and those of a file.

    Exit codes: 0 passed, 1 failed, 3 cannot be judged, since the capture does not show what a rule needs to see.
    Without CAPTURE the one that the rules file names is read.
    """
    from glancetrace.check.gate.expectations import Expectations, Source
    from glancetrace.check.gate.judge import judge
    from glancetrace.check.gate.reading import parse_rules, read_rules
    from glancetrace.verdict import CANNOT_JUDGE

    if init and rules_file is not None:
        raise UsageError("--init and --rules exclude each other", action="leave one of them out")
    expectations = Expectations() if rules_file is None else read_rules(rules_file)
    if not paths:
        paths = expectations.source.files
        reading = with_source(reading, expectations.source)
    if not paths:
        raise UsageError("check needs a capture", action="name one, or let [capture] files of --rules do so")
    with showing.target([*paths, *([rules_file] if rules_file else [])]) as target:
        document = read_result(paths, reading).document()
        if init:
            from glancetrace.check.gate.starter import render_starter, would_fail

            folder = os.path.dirname(showing.output or "")
            source = Source((), reading.keylogs, reading.rsa_keys, reading.api_logs, reading.ports)
            lines = list(render_starter(document, folder, source))
            target.write_lines(lines)
            if ignored := would_fail(document):
                found = ", ".join(f"{rule} ({count})" for rule, count in sorted(ignored.items()))
                say(f"this capture fails by {found}; [ignore] lets that pass: look at each, is it a good capture?")
            verdict = judge(document, parse_rules("\n".join(lines), showing.output or "rules"))
            if verdict.exit_code:
                say(f"{verdict.count(CANNOT_JUDGE)} rules cannot be judged by this capture: is it a good one?")
            return 0
        verdict = judge(document, expectations)
        _write(verdict, form, showing, target)
    return verdict.exit_code


def _write(verdict: Verdict, form: str, showing: Showing, target: Target) -> None:
    from glancetrace.check.gate.rules import ALL_RULES

    if form == "json":
        from glancetrace.output.json import dump_document
        from glancetrace.output.verdict_json import verdict_document

        target.write_json(dump_document(verdict_document(verdict, ALL_RULES)))
    elif form == "sarif":
        from glancetrace import __version__
        from glancetrace.output.json import dump_document
        from glancetrace.output.sarif import sarif_document

        target.write_json(dump_document(sarif_document(verdict, ALL_RULES, __version__)))
    elif form == "junit":
        from glancetrace.output.junit import render_junit

        target.write(render_junit(verdict, ALL_RULES).encode("utf-8", "replace"))
    elif form == "github":
        from glancetrace.output.annotations import render_annotations

        target.write_lines(render_annotations(verdict, ALL_RULES))
    else:
        from glancetrace.output.verdict_text import render_verdict

        target.write_lines(render_verdict(verdict, ALL_RULES, showing.painter(target), showing.columns(target)))


@click.command(
    cls=SectionedCommand,
    short_help="What the rules of check mean.",
    examples=[
        ("glancetrace rules", "all of them, with number and severity"),
        ("glancetrace rules GT012", "one of them, explained"),
        ("glancetrace rules image-stuck", "the same by name"),
    ],
)
@click.argument("names", metavar="[RULE...]", nargs=-1)
@format_option("text", "json")
def rules(names: tuple[str, ...], form: str) -> None:
    """List the rules that check judges by, or explain some by number or name."""
    from glancetrace.check.gate.rules import ALL_RULES, find_rule
    from glancetrace.output.target import Target

    chosen = []
    for name in names:
        rule = find_rule(name)
        if rule is None:
            import difflib

            near = difflib.get_close_matches(name, ALL_RULES, 1)
            raise UsageError(
                f"no rule {name!r}", action=f"did you mean {near[0]}?" if near else "see glancetrace rules"
            )
        chosen.append(rule)
    with Target(None) as target:
        if form == "json":
            from glancetrace.output.json import dump_document

            listed = chosen or list(ALL_RULES.values())
            target.write_json(dump_document([dataclasses.asdict(rule) for rule in listed]))
            return
        from glancetrace.check.rules import RULES
        from glancetrace.output.verdict_text import render_rule, render_rules

        if not chosen:
            target.write_lines(render_rules(list(ALL_RULES.values())))
        for rule in chosen:
            how = "always looked for" if rule.name in RULES else "where a rules file asks for it (check --rules)"
            target.write_lines(render_rule(rule, how))
