"""Text from a capture as a page may show it: what is invisible is written out.

A terminal drops control characters (`glancetrace.output.clean`); here they stand as `\\x1b` or `\\u202e`, so that a
reader sees what somebody put into a name. Line breaks and tabs stay, since HTML shows them as spaces.
"""

from __future__ import annotations

import re

__all__ = ["visible"]

# C0 but for tab and line feed, DEL, C1, soft hyphen, bidirectional and format controls, line and paragraph separators,
# surrogates, byte order mark, interlinear annotation, tag characters.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def visible(text: str) -> str:
    """`text` with what nobody would see written as escapes."""
    return text if text.isascii() and text.isprintable() else _INVISIBLE.sub(_escape, text)
