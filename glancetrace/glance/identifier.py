"""Ids of images and tasks: UUIDs in their canonical text form (RFC 9562, section 4)."""

from __future__ import annotations

import re

__all__ = ["is_image_id"]

_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")


def is_image_id(text: str) -> bool:
    """`text` has the form of an image's id; names and other words have not."""
    return len(text) == 36 and _UUID.fullmatch(text) is not None
