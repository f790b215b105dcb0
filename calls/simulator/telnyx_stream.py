"""Telnyx's side of a media stream, as the simulated caller's `Telephone` (telnyx.md, 5).

What it does not understand it complains of, and goes on.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from calls.simulator.media_stream import PCMU, MediaStream, StreamCoding
from calls.simulator.playout import PCM16, Coding
from calls.voice.codecs import alaw_decode, alaw_encode

_EVENTS = frozenset({"media", "mark", "clear"})
_SHORTEST, _LONGEST = 0.02, 30.0  # s of sound in a message from the server


def _same(sound: bytes) -> bytes:
    return sound


CODINGS: Mapping[str, StreamCoding] = {
    "PCMU": PCMU,
    "PCMA": StreamCoding(Coding(8000, b"\xd5"), alaw_encode, alaw_decode),
    "L16": StreamCoding(PCM16, _same, _same),
}


class TelnyxStream(MediaStream):
    """Telnyx's end of one open media stream.

    `encoding` is what the caller's sound comes in, `speaks` what the server was to answer in.
    `on_stop` is told when the caller hangs up.
    """

    def __init__(
        self,
        socket: ClientConnection,
        *,
        start: Mapping[str, Any],
        encoding: str = "PCMU",
        speaks: str = "PCMU",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(socket, hears=CODINGS[encoding], speaks=CODINGS[speaks], clock=clock)
        self.encoding, self._start = encoding, dict(start)
        self.stream_id = str(uuid.uuid4()).upper()
        self.on_stop: Callable[[], Awaitable[None]] = self.end

    @classmethod
    async def open(cls, url: str, **kwargs: Any) -> Self:
        """Open the socket. Raises what `websockets` does when refused."""
        return cls(await connect(url, compression=None, max_size=None, proxy=None), **kwargs)

    # --- what Telnyx sends ------------------------------------------------------------------

    async def start(self, **changes: Any) -> None:
        """Send `connected` and `start`, and begin to play; `changes` replace parts of `start`."""
        await self.send({"event": "connected", "version": "1.0.0"})
        kind = {"encoding": self.encoding, "sample_rate": self.sample_rate, "channels": 1}
        start = {"user_id": "user", "tags": [], **self._start, "media_format": kind}
        await self.send_event("start", start={**start, **changes})
        self.listen()

    async def dtmf(self, digit: str) -> None:
        """The caller presses a key."""
        await self.send_event("dtmf", dtmf={"digit": digit}, occurred_at="2026-11-20T10:00:00Z")

    async def stop(self) -> None:
        """The caller hangs up."""
        await self.on_stop()

    async def end(self) -> None:
        """Say `stop`, then close."""
        with contextlib.suppress(ConnectionClosed):
            ids = {name: self._start.get(name) for name in ("user_id", "call_control_id")}
            await self.send_event("stop", stop=ids)
        await self.close()

    async def send_event(self, event: str, **body: Any) -> None:
        """Send a numbered message of this stream."""
        self._sequence += 1
        head = {"event": event, "sequence_number": str(self._sequence)}
        await self.send({**head, "stream_id": self.stream_id, **body})

    async def complain(self, code: str, title: str, detail: str) -> None:
        """Tell the server what was wrong with a message of its."""
        await self.send_event("error", error={"code": code, "title": title, "detail": detail})

    # --- what Telnyx receives ---------------------------------------------------------------

    async def _take(self, text: str | bytes) -> None:
        try:
            await super()._take(text)
        except (ValueError, KeyError, TypeError) as error:
            await self.complain("100003", "malformed_frame", str(error))

    def _check(self, message: Mapping[str, Any]) -> None:
        if message.get("event") not in _EVENTS:
            raise ValueError(f"{message.get('event')!r} is no event")

    async def _play(self, now: float, sound: bytes) -> None:
        seconds = self.speaks.coding.seconds(sound)
        if _SHORTEST <= seconds <= _LONGEST:
            await super()._play(now, sound)
        else:
            await self.complain("100004", "invalid_media", f"{seconds} s of sound in a message")
