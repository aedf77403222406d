"""Text from a capture is hostile: what may reach a terminal.

An image name may hold escape sequences that move the cursor, retitle the window or hide text, or Unicode controls that
turn the order of characters around (CVE-2021-42574). `clean` removes what is no visible text; every captured string
that is printed for people goes through it. White space of any kind becomes a single space: a row stays one line.
"""

from __future__ import annotations

import re

__all__ = ["clean", "escape_json_controls"]

# C0, DEL and C1 controls, soft hyphen, bidirectional and other format controls, line and paragraph separators,
# variation selectors' tag characters, surrogates, byte order mark, interlinear annotation.
_INVISIBLE = (
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ud800-\udfff\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f"
)
# An escape sequence goes as a whole (ECMA-48, 5.4): CSI with its parameters, OSC and other strings up to their end.
_SEQUENCE = (
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
_REMOVED = re.compile(rf"{_SEQUENCE}|[{_INVISIBLE}]")
_SPACE = re.compile(r"[\s\u2028\u2029]+")
_CONTROLS = re.compile(r"[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """`text` as it may be printed: one line, without control characters and escape sequences."""
    if text.isascii() and text.isprintable():
        return (text if "  " not in text else _SPACE.sub(" ", text)).strip()
    return _SPACE.sub(" ", _REMOVED.sub("", text)).strip()


def escape_json_controls(text: str) -> str:
    """A JSON text that means the same, with the controls escaped that JSON itself allows unescaped."""
    return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
