"""`glancetrace timeline`: the events of an image, one per line."""

from __future__ import annotations

from typing import Any

import click

from glancetrace.cli.layout import SectionedCommand
from glancetrace.cli.options import captures, format_option, option, say
from glancetrace.cli.reading import Reading, takes_reading
from glancetrace.cli.showing import Showing, takes_showing

__all__ = ["timeline"]


@click.command(
    cls=SectionedCommand,
    short_help="The story of each image, line by line.",
    examples=[
        ("glancetrace timeline capture.pcap", "every image"),
        ("glancetrace timeline --image cirros capture.pcap", "one image, by name, id or the first digits of its id"),
        ("glancetrace timeline --image 7b1a2c3d --no-sql --relative c.pcap", "its calls and statuses, from the start"),
    ],
)
@captures
@option("--image", "wanted", multiple=True, metavar="NAME|ID", section="Filters", help="Only this image; repeatable.")
@option("--no-sql", is_flag=True, section="Filters", help="Leave the SQL out.")
@format_option("text", "json", "jsonl", "csv")
@takes_showing
@takes_reading
def timeline(
    paths: tuple[str, ...], wanted: tuple[str, ...], no_sql: bool, form: str, showing: Showing, reading: Reading
) -> None:
    """Tell the story of images line by line: calls, their SQL, status changes, frames."""
    from glancetrace.output.select import find_images

    with showing.target(paths) as target:
        trace = reading.analyze(paths)
        chosen = {image.id: image for name in wanted for image in find_images(trace, name)}
        images = list(chosen.values()) if wanted else trace.tables.images
        if not images:
            say("there is no image in the capture")
        if form == "text":
            from glancetrace.output.text_timeline import render_stories

            page = showing.page(trace.capture, trace.redactor, target)
            target.write_lines(render_stories(trace, images, page, with_sql=not no_sql))
            return
        from glancetrace.output.rows import write_rows
        from glancetrace.output.story import StoryLine, tell_story
        from glancetrace.rfc3339 import rfc3339

        def row(line: StoryLine) -> dict[str, Any]:
            return {
                "image_id": line.image_id,
                "ts": rfc3339(line.ts),
                "dur": line.dur,
                "kind": line.kind,
                "text": line.text,
                "status": line.status,
                "call_id": line.call_id,
                "statement_id": line.statement_id,
                "first_frame": line.first_frame,
                "last_frame": line.last_frame,
            }

        lines = (line for image in images for line in tell_story(trace, image, with_sql=not no_sql))
        write_rows(target, form, "timeline", map(row, lines))
