"""Telnyx's side of a media stream, as the simulated caller's `Telephone` (telnyx.md, 5).

Numbers in messages are strings, media is 20 ms every 20 ms, marks come back when the buffer has
played what was before them, all of them at once after a clear.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from calls.simulator.playout import MULAW, PCM16, Coding, PlayoutBuffer
from calls.voice.codecs import alaw_decode, alaw_encode, mulaw_decode, mulaw_encode

_SHORTEST, _LONGEST = 0.02, 30.0  # s of sound in a message from the server


def _same(sound: bytes) -> bytes:
    return sound


@dataclass(frozen=True, slots=True)
class StreamCoding:
    """One of Telnyx's codings: how it plays, and to and from PCM16."""

    coding: Coding
    encode: Callable[[bytes], bytes]
    decode: Callable[[bytes], bytes]


CODINGS: Mapping[str, StreamCoding] = {
    "PCMU": StreamCoding(MULAW, mulaw_encode, mulaw_decode),
    "PCMA": StreamCoding(Coding(8000, b"\xd5"), alaw_encode, alaw_decode),
    "L16": StreamCoding(PCM16, _same, _same),
}


@dataclass(frozen=True, slots=True)
class Received:
    """One message from the server: `at` seconds on the caller's clock."""

    at: float
    event: str
    message: Mapping[str, Any]


class TelnyxStream:
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
        self.socket, self.clock, self._start = socket, clock, dict(start)
        self.hears, self.speaks, self.encoding = CODINGS[encoding], CODINGS[speaks], encoding
        self.sample_rate = self.hears.coding.rate
        self.stream_id = str(uuid.uuid4()).upper()
        self.playout = PlayoutBuffer(self.speaks.coding)
        self.received: list[Received] = []
        self.on_sound: Callable[[bytes], None] = lambda _pcm: None
        self.on_clear: Callable[[], None] = lambda: None
        self.on_stop: Callable[[], Awaitable[None]] = self.end
        self.ended = asyncio.Event()
        self._sequence = self._chunk = 0
        self._marked = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(cls, url: str, **kwargs: Any) -> Self:
        """Open the socket. Raises what `websockets` does when refused."""
        return cls(await connect(url, compression=None, max_size=None, proxy=None), **kwargs)

    # --- what Telnyx sends ------------------------------------------------------------------

    async def start(self, **changes: Any) -> None:
        """Send `connected` and `start`, and begin to play; `changes` replace parts of `start`."""
        await self.send({"event": "connected", "version": "1.0.0"})
        rate = self.hears.coding.rate
        media_format = {"encoding": self.encoding, "sample_rate": rate, "channels": 1}
        start = {"user_id": "user", "tags": [], **self._start, "media_format": media_format}
        await self.send_event("start", start={**start, **changes})
        self._tasks = [asyncio.create_task(self._receive()), asyncio.create_task(self._echo())]

    async def media(self, coded: bytes, *, chunk: int | None = None) -> None:
        """Send one piece of the caller's sound; by itself the numbering goes on from the last."""
        self._chunk = self._chunk + 1 if chunk is None else chunk
        media = {
            "track": "inbound",
            "chunk": str(self._chunk),
            "timestamp": str((self._chunk - 1) * 20),
            "payload": base64.b64encode(coded).decode(),
        }
        await self.send_event("media", media=media)

    async def send_frame(self, pcm: bytes) -> None:
        """Send 20 ms of PCM16 of the caller, as `Line` does."""
        with contextlib.suppress(ConnectionClosed):
            await self.media(self.hears.encode(pcm))

    def lose_frame(self) -> None:
        """A frame of the caller gets lost: its number passes."""
        self._chunk += 1

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

    async def send(self, message: Mapping[str, Any]) -> None:
        await self.socket.send(json.dumps(message))

    async def complain(self, code: str, title: str, detail: str) -> None:
        """Tell the server what was wrong with a message of its."""
        await self.send_event("error", error={"code": code, "title": title, "detail": detail})

    async def close(self) -> None:
        await self.socket.close()
        await self._finish()

    async def vanish(self) -> None:
        """Be gone, without `stop` and without a closing handshake."""
        self.socket.transport.abort()
        await self._finish()

    async def _finish(self) -> None:
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.ended.set()

    # --- what Telnyx receives ---------------------------------------------------------------

    async def _receive(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in self.socket:
                try:
                    await self._take(json.loads(text))
                except (ValueError, KeyError, TypeError) as error:
                    await self.complain("100003", "malformed_frame", str(error))
        await self._finish()

    async def _take(self, message: dict[str, Any]) -> None:
        now, event = self.clock(), str(message.get("event"))
        if event == "media":
            await self._play(now, base64.b64decode(message["media"]["payload"], validate=True))
        elif event == "mark":
            self.playout.mark(now, message["mark"]["name"])
            self._marked.set()
        elif event == "clear":
            await self._echo_marks(self.playout.clear(now))
            self.on_clear()
        else:
            raise ValueError(f"{event!r} is no event")
        self.received.append(Received(now, event, message))

    async def _play(self, now: float, sound: bytes) -> None:
        seconds = self.speaks.coding.seconds(sound)
        if not _SHORTEST <= seconds <= _LONGEST:
            await self.complain("100004", "invalid_media", f"{seconds} s of sound in a message")
            return
        self.playout.receive(now, sound)
        self.on_sound(self.speaks.decode(sound))

    async def _echo(self) -> None:
        """Echo marks as playing passes them."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self._echo_marks(self.playout.due(self.clock()))
                due = self.playout.next_due()
                wait = None if due is None else max(0.0, due - self.clock())
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._marked.wait(), wait)
                self._marked.clear()

    async def _echo_marks(self, names: list[str]) -> None:
        for name in names:
            await self.send_event("mark", mark={"name": name})
