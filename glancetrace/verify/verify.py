"""`verify`: a trace and tshark on the same captures, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from glancetrace.trace import Trace
from glancetrace.verify.ask import as_one_file, ask, question_of
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
        question = question_of(trace, ports, logs, rsa_keys)
        context = context_of(trace, ports, with_bodies=question.with_bodies)
        return compare(own_messages(trace), ask(path, question), context)
