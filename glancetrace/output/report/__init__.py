"""The result as one HTML file that needs nothing else: no network, no server, no font, no library.

`render_html` turns a result document into the page. What everybody can read without a script (summary, findings,
quality of the capture, a table of the images) is written as HTML by a template; the rest (timelines, calls, SQL) stands
in the file as JSON and is drawn by a script. The page allows itself nothing but its own style and its own script, by
their hashes (Content-Security-Policy), and the script makes text nodes of what it draws: an image may have any name.
"""

from __future__ import annotations

from glancetrace.output.report.page import Guide, render_html

__all__ = ["Guide", "render_html"]
