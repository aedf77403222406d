"""The page: template, style, script and data put into one file, and what the browser is told to allow.

The policy (https://www.w3.org/TR/CSP3/) allows one style and one script, by the SHA-256 of their text, and nothing
from anywhere: no connection, no frame, no form, no plug-in. `require-trusted-types-for` has browsers that know it
refuse to parse any text as HTML. The hashes are of what is written here, so equal results give equal bytes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from glancetrace.output.report.bounds import DEFAULT_BOUNDS, Bounds
from glancetrace.output.report.payload import dump_payload, pack
from glancetrace.output.report.summary import Guide, summarise
from glancetrace.output.report.visible import visible

__all__ = ["Guide", "render_html"]

SCRIPTS = (
    "model", "format", "dom", "sql", "axis", "bars", "grid", "wireshark", "theme", "images", "calls", "cursor", "lanes",
    "story", "detail", "activity", "main",
)  # fmt: skip
"""Parts of the script, in the order in which they use each other."""


def _asset(name: str) -> str:
    return files("glancetrace.output.report").joinpath("assets", name).read_text(encoding="utf-8")


def _script() -> str:
    """All parts in one function, so that no name of theirs is a global one."""
    parts = "\n".join(_asset(f"{name}.js").rstrip() for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}\n}})();'


def _hash(text: str) -> str:
    """A source expression of the policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _policy(style: str, script: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hash(script)}",
            f"style-src {_hash(style)}",
            "img-src data:",  # the icon of the tab
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def render_html(
    document: Mapping[str, Any],
    guides: Mapping[str, Guide],
    *,
    title: str | None = None,
    version: str = "",
    revealed: bool | None = False,
    bounds: Bounds = DEFAULT_BOUNDS,
) -> str:
    """The page of a result document (schema glancetrace/1).

    Args:
        document: what `glancetrace.document.render_document` gives, or the JSON of `analyze --format json`.
        guides: rule of a finding -> what it means.
        title: heading of the page; else the names of the files.
        version: of glancetrace, which the page names.
        revealed: secrets were not replaced; the page says so, and also that it is not known (None).
        bounds: how many rows are put into the page.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    # The assets are our own text, the payload has no character that HTML gives a meaning to; all else is escaped, and
    # what is invisible in it is written out.
    style, script = _asset("report.css").strip(), _script()
    environment = Environment(
        autoescape=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    summary = summarise(document, guides)
    names = ", ".join(summary["files"][:3]) + (" …" if len(summary["files"]) > 3 else "")
    page: str = environment.from_string(_asset("report.html.j2")).render(
        title=title or names or "Capture",
        version=version,
        revealed=revealed,
        policy=_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        payload=Markup(dump_payload(pack(document, bounds))),
        **summary,
    )
    return page + "\n"
