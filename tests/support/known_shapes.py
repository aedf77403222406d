"""Makes `glancetrace/sql/known_shapes.json` from the samples: `python -m tests.support.known_shapes`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import orjson

from glancetrace.decode import decode
from glancetrace.sql import known, parser
from glancetrace.sql.shape import PARSED_OPERATIONS, read_shape
from glancetrace.sql.statement import Shape
from glancetrace.sql.template import Template
from tests.support.samples import TRUTHS

__all__ = ["Frames", "collect_shapes", "main"]

Frames = dict[str, list[tuple[str, str]]]
"""Digest -> frames of the texts of that shape, each with the kinds of its literals."""


def collect_shapes(captures: list[Path]) -> tuple[list[Shape], Frames]:
    """Shapes of all statements of Glance and Keystone in these captures, as the parser reads them, and their frames."""
    found: dict[str, Shape] = {}

    def note(template: Template) -> Shape:
        shape = read_shape(template)
        if template.operation in PARSED_OPERATIONS and shape.tables:
            found[shape.digest] = shape
        return shape

    recorder = parser.StatementParser(read=note)
    for capture in captures:
        for command, _connection in decode(capture).commands:
            if command.command == "COM_QUERY" and command.sql is not None and command.schema in (None, *_OWN_SCHEMAS):
                recorder.parse(command.sql)
    frames: Frames = {}
    for frame, kinds, shape in recorder.frames():
        if shape is found.get(shape.digest):  # not one with lists of its own lengths
            frames.setdefault(shape.digest, []).append((frame, kinds))
    return [found[digest] for digest in sorted(found)], {digest: sorted(rows) for digest, rows in frames.items()}


_OWN_SCHEMAS = ("glance", "glanceold", "keystone")


def main() -> None:
    """Write the file anew."""
    captures = [path for folder in TRUTHS.values() for path in sorted(folder.glob("*.pcap.*"))]
    shapes, frames = collect_shapes([path for path in captures if "foreign" not in path.name])
    rows = [{**asdict(shape), "frames": frames.get(shape.digest, [])} for shape in shapes]
    target = Path(known.__file__).with_name(known.KNOWN_SHAPES)
    target.write_bytes(b"[\n" + b",\n".join(orjson.dumps(row) for row in rows) + b"\n]\n")
    print(f"{len(rows)} shapes, {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
