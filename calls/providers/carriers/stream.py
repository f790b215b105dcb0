"""What a call's conductor asks of its sound or its text, whether that has a socket or not."""

from __future__ import annotations

from typing import Protocol

from calls.providers.carriers.errors import MediaFault
from calls.providers.carriers.positions import Positions
from calls.voice.ports import MediaStream
from calls.voice.text import TextStream


class CallLine(Protocol):
    """A stream that is accounted for at its end.

    `fault` says which rule the other side broke, where that ended the stream; `malformed`
    counts what was overlooked, `positions` what was lost on the way.
    """

    fault: MediaFault | None
    malformed: int
    positions: Positions

    async def hang_up(self, code: int, reason: str = "") -> None:
        """Let go of the stream. `code` is a WebSocket close code, for what has a socket."""


class CallMedia(MediaStream, CallLine, Protocol):
    """A call's sound, both ways."""


class CallText(TextStream, CallLine, Protocol):
    """A call's text, both ways."""
