"""glancetrace: what happened to my images, answered from a packet capture.

    import glancetrace as gt
    trace = gt.analyze("capture.pcap")
    trace.images

Names are imported when they are first used, so that `import glancetrace` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glancetrace import errors
    from glancetrace.live.following import open
    from glancetrace.live.watcher import WatchOptions
    from glancetrace.pipeline import Options, analyze
    from glancetrace.saved import SavedTrace, load
    from glancetrace.trace import Trace

__all__ = ["Options", "SavedTrace", "Trace", "WatchOptions", "__version__", "analyze", "errors", "load", "open"]

__version__ = "0.1.0"

_HOMES = {
    "Options": "glancetrace.pipeline",
    "SavedTrace": "glancetrace.saved",
    "Trace": "glancetrace.trace",
    "WatchOptions": "glancetrace.live.watcher",
    "analyze": "glancetrace.pipeline",
    "load": "glancetrace.saved",
    "open": "glancetrace.live.following",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "errors":
        return import_module("glancetrace.errors")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'glancetrace' has no attribute {name!r}")
