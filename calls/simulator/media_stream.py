"""A carrier's side of a media stream, as far as carriers agree on it.

Numbers in messages are strings, media is 20 ms every 20 ms in base64.
"""

from __future__ import annotations

import base64
import contextlib
import json
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from calls.simulator.playing_socket import PlayingSocket
from calls.simulator.playout import MULAW, Coding
from calls.voice.codecs import mulaw_decode, mulaw_encode


@dataclass(frozen=True, slots=True)
class StreamCoding:
    """One coding of a stream's sound: how it plays, and to and from PCM16."""

    coding: Coding
    encode: Callable[[bytes], bytes]
    decode: Callable[[bytes], bytes]


PCMU = StreamCoding(MULAW, mulaw_encode, mulaw_decode)


@dataclass(frozen=True, slots=True)
class Received:
    """One message from the server: `at` seconds on the caller's clock."""

    at: float
    event: str
    message: Mapping[str, Any]


class MediaStream(PlayingSocket):
    """A carrier's end of one open media stream: the simulated caller's `Telephone`.

    `hears` is what the caller's sound comes in, `speaks` what the server was to answer in.
    """

    def __init__(
        self,
        socket: ClientConnection,
        *,
        hears: StreamCoding = PCMU,
        speaks: StreamCoding = PCMU,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(socket, speaks.coding, clock)
        self.hears, self.speaks = hears, speaks
        self.sample_rate = hears.coding.rate
        self.received: list[Received] = []
        self._sequence = self._chunk = 0

    @abstractmethod
    async def send_event(self, event: str, **body: Any) -> None:
        """Send a numbered message of this stream."""

    @abstractmethod
    def _check(self, message: Mapping[str, Any]) -> None:
        """Raise ValueError for a message that the carrier does not know."""

    async def media(
        self, coded: bytes, *, chunk: int | None = None, timestamp: int | None = None
    ) -> None:
        """Send one piece of the caller's sound; by itself the numbering goes on from the last."""
        self._chunk = self._chunk + 1 if chunk is None else chunk
        at = (self._chunk - 1) * 20 if timestamp is None else timestamp
        media = {
            "track": "inbound",
            "chunk": str(self._chunk),
            "timestamp": str(at),
            "payload": base64.b64encode(coded).decode(),
        }
        await self.send_event("media", media=media)

    async def send_frame(self, pcm: bytes) -> None:
        """Send 20 ms of PCM16 of the caller, as `Line` does."""
        with contextlib.suppress(ConnectionClosed):
            await self.media(self.hears.encode(pcm))

    def lose_frame(self) -> None:
        """A frame of the caller gets lost: its number and its time pass."""
        self._chunk += 1

    async def _take(self, text: str | bytes) -> None:
        message: dict[str, Any] = json.loads(text)
        now, event = self.clock(), str(message.get("event"))
        self._check(message)
        if event == "media":
            await self._play(now, base64.b64decode(message["media"]["payload"], validate=True))
        elif event == "mark":
            self._mark(now, message["mark"]["name"])
        elif event == "clear":
            await self._clear(now)
        self.received.append(Received(now, event, message))

    async def _play(self, now: float, sound: bytes) -> None:
        self.playout.receive(now, sound)
        self.on_sound(self.speaks.decode(sound))

    async def _tell_played(self, name: str) -> None:
        await self.send_event("mark", mark={"name": name})
