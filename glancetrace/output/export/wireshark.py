"""A result for Wireshark: the capture with comments on its packets, and display filters and colours that go with them.

- the capture as pcapng, with packet comments (see `glancetrace.edit.comments`): calls where their requests and
  responses end, statements where they end, status changes at their COMMIT, findings at the frames that prove them.
  All begin with `glancetrace:`, and the filter `frame.comment contains "glancetrace: finding"` finds them.
- `dfilters`, `colorfilters`: files of a Wireshark profile (Wireshark User's Guide, appendix B.3): display filters by
  finding, image and call, some with the frame numbers of the original capture; colours for packets with comments.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from glancetrace.output.clean import clean
from glancetrace.output.export.rows import Rows

__all__ = ["comment_frames", "render_color_filters", "render_display_filters"]

_MARK = "glancetrace:"
_MOST_FRAMES = 500
"""Frame numbers in one display filter."""

_COLORS = (
    ("finding error", "65535,62451,62451", "42148,0,0"),
    ("finding warning", "65535,63222,54998", "31354,18504,0"),
    ("finding info", "61166,61166,65535", "8995,8995,37265"),
    ("image", "58853,65535,58853", "0,24415,0"),
    ("call", "59110,63222,65535", "4626,10023,11822"),
)
"""What a comment is about, background and foreground as Wireshark writes them."""


def comment_frames(result: Rows) -> dict[int, list[str]]:
    """Frame -> what is to be said of it."""
    comments: dict[int, list[str]] = defaultdict(list)

    def say(frame: int | None, text: str) -> None:
        if frame and f"{_MARK} {text}" not in comments[frame]:
            comments[frame].append(f"{_MARK} {text}")

    for finding in result.rows("findings"):
        for frame in finding["frames"]:
            say(frame, f"finding {finding['severity']} {finding['rule']}: {clean(finding['message'])}")
    names = {image["id"]: clean(image["name"] or "") for image in result.rows("images")}
    for change in result.rows("transitions"):
        name = f"{names.get(change['image_id']) or 'unnamed'} ({change['image_id']})"
        say(change["commit_frame"] or change["frame"], f"image {name}: {change['from'] or 'new'} -> {change['to']}")
    for call in result.rows("api_calls"):
        what = f"call {call['id']}, {call['operation']}"
        about = f" of image {call['image_id']}" if call["image_id"] else ""
        say(call["request_frame"] or call["first_frame"], f"{what}{about}: {call['method']} {clean(call['target'])}")
        if call["response_frame"]:
            say(call["response_frame"], f"{what}{about}: answered {call['status_code'] or 'without a status'}")
    links = {link["statement_id"]: (link["call_id"], link["class"]) for link in result.rows("links")}
    for statement in result.rows("statements"):
        link = links.get(statement["id"])
        if link is not None:
            say(statement["request_frame"], f"statement {statement['id']} of call {link[0]} ({link[1]})")
    return {frame: texts for frame, texts in comments.items() if texts}


def render_display_filters(result: Rows) -> Iterator[str]:
    """Lines of a `dfilters` file: a name in quotes, then the filter."""
    yield _filter("glancetrace: everything with a comment", f'frame.comment contains "{_MARK}"')
    for kind in ("finding", "image", "call", "statement"):
        yield _filter(f"glancetrace: each {kind}", f'frame.comment contains "{_MARK} {kind}"')
    frames: dict[str, list[int]] = defaultdict(list)
    for finding in result.rows("findings"):
        frames[finding["rule"]] += finding["frames"]
    for rule, numbers in sorted(frames.items()):
        if numbers:
            yield _filter(f"glancetrace: finding {rule} (by frame)", _in_frames(numbers))
    yield from _image_filters(result)


def _image_filters(result: Rows) -> Iterator[str]:
    """Per image its status changes, and the calls about it."""
    calls: dict[str, list[int]] = defaultdict(list)
    for call in result.rows("api_calls"):
        if call["image_id"]:
            calls[call["image_id"]] += [frame for frame in (call["request_frame"], call["response_frame"]) if frame]
    for image in result.rows("images"):
        name = clean(image["name"] or "") or "unnamed"
        changes = [change["commit_frame"] or change["frame"] for change in image["transitions"]]
        numbers = [*calls[image["id"]], *(frame for frame in changes if frame)]
        if numbers:
            yield _filter(f"glancetrace: image {name} {image['id']} (by frame)", _in_frames(numbers))


def _in_frames(frames: Iterable[int]) -> str:
    """Membership, as Wireshark's display filters have it; at most so many numbers."""
    numbers = sorted(set(frames))[:_MOST_FRAMES]
    return f"frame.number in {{{', '.join(map(str, numbers))}}}"


def _filter(name: str, expression: str) -> str:
    """A line; a name may hold no quotes and no backslash."""
    return f'"{name.translate(_UNQUOTED)}" {expression}'


_UNQUOTED = str.maketrans({'"': "'", "\\": "/"})


def render_color_filters() -> Iterator[str]:
    """Lines of a `colorfilters` file: name, filter, background, foreground; the first that fits wins."""
    for about, background, foreground in _COLORS:
        yield f'@glancetrace {about}@frame.comment contains "{_MARK} {about}"@[{background}][{foreground}]'
