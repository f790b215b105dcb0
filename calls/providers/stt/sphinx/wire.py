"""What the recogniser and its decoding process say to each other over a pipe.

A message is its kind, the session's number, the length of the body and the body: sound as it
is, everything else as JSON.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import IO, NamedTuple

_HEAD = struct.Struct(">BII")


class Kind(IntEnum):
    """To the process: OPEN to CLOSE; from it: PARTIAL, FINAL, FAILED."""

    OPEN = 1
    START = 2
    AUDIO = 3
    FINISH = 4
    CLOSE = 5
    PARTIAL = 6
    FINAL = 7
    FAILED = 8


class Message(NamedTuple):
    kind: Kind
    session: int
    body: bytes = b""


def write(pipe: IO[bytes], message: Message) -> None:
    """Write one message whole. Blocks while the pipe is full."""
    pipe.write(_HEAD.pack(message.kind, message.session, len(message.body)) + message.body)
    pipe.flush()


def read(pipe: IO[bytes]) -> Message | None:
    """The next message, or None at the end of the pipe."""
    head = pipe.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    kind, session, length = _HEAD.unpack(head)
    body = pipe.read(length)
    return Message(Kind(kind), session, body) if len(body) == length else None
