"""`verify`: a trace and tshark on the same captures, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from glancetrace.trace import Trace
from glancetrace.verify.ask import as_one_file, ask, has_large_bodies, questions_of
from glancetrace.verify.compare import Comparison, compare
from glancetrace.verify.known import context_of
from glancetrace.verify.messages import own_messages

__all__ = ["verify"]


def verify(
    trace: Trace,
    paths: Sequence[str],
    ports: Mapping[int, str],
    *,
    keylogs: Sequence[str] = (),
    rsa_keys: Sequence[str] = (),
) -> Comparison:
    """Hold a trace against what tshark sees in the captures that it was made from.

    Args:
        ports, keylogs, rsa_keys: what the trace was made with.

    Raises:
        UsageError: the captures cannot be read a second time. InputError: tshark cannot read them.
    """
    with as_one_file(paths, trace, keylogs) as (path, logs):
        context = context_of(trace, ports, with_bodies=not has_large_bodies(trace))
        theirs = (message for question in questions_of(trace, ports, logs, rsa_keys) for message in ask(path, question))
        return compare(own_messages(trace), theirs, context)
