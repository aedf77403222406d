"""Sanitises a capture with its TLS connections in plain: it is decrypted into a file of its own first.

That file holds every secret of the capture. It lies in a directory that only its owner can read, where TMPDIR says, and
is removed when the sanitised capture has been written, and also when that fails.
"""

from __future__ import annotations

import os
from dataclasses import replace
from tempfile import TemporaryDirectory

import numpy as np

from glancetrace.capture.inputs import open_captures
from glancetrace.decode_part import read_secrets
from glancetrace.edit.extract import check_repeatable
from glancetrace.edit.sanitize.decrypt import Decrypter, PlainWriter
from glancetrace.edit.sanitize.offsets import Offsets, Sequences
from glancetrace.edit.sanitize.passes import Choices, Sanitised, sanitize
from glancetrace.edit.sanitize.reading import Reading, open_writer
from glancetrace.errors import UsageError
from glancetrace.http.hashing import HashPool
from glancetrace.issues import IssueLog
from glancetrace.net.grouping import FlowKey
from glancetrace.options import Options
from glancetrace.outfile import is_one_of
from glancetrace.streams import Stage

__all__ = ["decrypt", "sanitize_decrypted"]


def sanitize_decrypted(
    paths: list[str], output: str, key: bytes, options: Options, issues: IssueLog, *, choices: Choices
) -> Sanitised:
    """Decrypt with the secrets of the options and of the captures, then sanitize; see `passes.sanitize`.

    Raises:
        UsageError: standard input, or the output is an input. InputError: an input or a key log cannot be read.
        GlancetraceError: the output cannot be written.
    """
    check_repeatable(paths)
    if is_one_of(output, paths):
        raise UsageError("the output would overwrite the input", where=output, action="choose another name")
    with TemporaryDirectory(prefix="glancetrace-") as folder:
        plain = os.path.join(folder, "plain")
        connections, secrets = decrypt(paths, plain, options, issues)
        done = sanitize([plain], output, key, replace(options, keylogs=(), rsa_keys=()), choices=choices)
    done.decrypted = connections
    done.tls_secrets = secrets
    return done


def decrypt(paths: list[str], output: str, options: Options, issues: IssueLog) -> tuple[int, int]:
    """Write captures with the TLS connections in plain that can be decrypted.

    Gives the number of these connections, and of the secrets blocks that were left out.

    Everything is in the output, passwords and tokens too: it is what `sanitize` reads next.

    Raises:
        UsageError: standard input. InputError: an input or a key log cannot be read.
        GlancetraceError: the output cannot be written.
    """
    check_repeatable(paths)
    with HashPool() as pool:
        reader = open_captures(paths, IssueLog(), block_size=options.block_size)
        stage = Stage(options.ports, (), IssueLog(), pool, read_secrets(reader, options, IssueLog()))
        decrypter = Decrypter(stage)
        opened: dict[FlowKey, list[int]] = {}
        sequences = Sequences()
        reading = Reading(paths, issues, options, stage, (0, 2))
        reassembler = reading.reassembler(decrypter.consumer, opened)
        for _, segments in reading.blocks():
            sequences.add(segments)
            reassembler.push(segments)
        reassembler.finish()
        sequences.finish()
        for collector in decrypter.collectors:
            for stream in collector.plan.streams:
                collector.sound &= sequences.anchor(stream)
        plans = [collector.plan for collector in decrypter.collectors]
        plain = PlainWriter(decrypter.collectors, Offsets(plans, opened))
        second = Reading(paths, IssueLog(), options, stage, (1, 2))
        with open_writer(output, reading.reader) as writer:
            for block, segments in second.blocks():
                written = plain.write(block, segments)
                writer.write(written, np.frombuffer(written.data, np.uint8), written.cap_len)
    return plain.connections, len(second.reader.secrets)
