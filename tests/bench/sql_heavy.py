"""A valid capture that is nearly all SQL, of any length: the database's side of eight recorded clients, over and over.

Every round has image ids of its own and goes on in the same connections, a moment after the one before; responses are
acknowledged by packets of their own, as they are on a real network. What the API said is left out but for its last
round, so that hardly any packet is not MySQL's.
"""

from __future__ import annotations

import argparse
import re
import sys
import uuid
from dataclasses import replace
from typing import BinaryIO

from tests.bench.packets import PacketWriter
from tests.bench.recorded import ACK, Message, read_messages
from tests.support.samples import capture_path

__all__ = ["write_sql_heavy"]

_SQL_PORT = 3306
_IMAGE_ID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def write_sql_heavy(out: BinaryIO, packets: int) -> int:
    """Write a capture of about so many packets; returns how many commands the database got."""
    messages = read_messages(capture_path("concurrent-old-8"))
    sql = [message for message in messages if _SQL_PORT in (message.source[1], message.destination[1])]
    ids = _image_ids(sql)
    lasted = messages[-1].ts - messages[0].ts + 10**8
    writer = PacketWriter(out)
    commands = round_number = 0
    while writer.packets < packets:
        last = writer.packets + 6 * len(messages) >= packets
        renamed = {old: _other_id(old, round_number) for old in ids}
        for message in messages if last else sql:
            if message.flags and round_number:
                continue  # connections go on
            data = _IMAGE_ID.sub(lambda match, names=renamed: names.get(match[0], match[0]), message.data)
            writer.send(replace(message, ts=message.ts + round_number * lasted, data=data))
            if message.source[1] == _SQL_PORT and data:
                writer.send(Message(writer.ts, message.destination, message.source, b"", ACK))
            commands += message.destination[1] == _SQL_PORT and bool(data)
        round_number += 1
        if last:
            break
    return commands


def _image_ids(sql: list[Message]) -> set[bytes]:
    """Ids of the images that were made: those that an INSERT names."""
    inserts = b"".join(message.data for message in sql if b"INSERT INTO images " in message.data)
    return set(_IMAGE_ID.findall(inserts))


def _other_id(image_id: bytes, round_number: int) -> bytes:
    return str(uuid.UUID(int=uuid.uuid5(uuid.NAMESPACE_OID, f"{image_id!r} {round_number}").int, version=4)).encode()


def main() -> None:
    """Command line: the capture goes to standard output."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sql_heavy", description=__doc__)
    parser.add_argument("packets", type=int)
    commands = write_sql_heavy(sys.stdout.buffer, parser.parse_args().packets)
    print(f"{commands} commands", file=sys.stderr)


if __name__ == "__main__":
    main()
