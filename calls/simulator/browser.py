"""A page's side of a call: 16 kHz PCM both ways over one socket, states and transcripts as JSON."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from calls.simulator.playing_socket import PlayingSocket
from calls.simulator.playout import PCM16

PATH = "/api/v1/ws/media-stream"


class BrowserStream(PlayingSocket):
    """The page's end of one call: the simulated caller's `Telephone`."""

    sample_rate = 16000

    def __init__(
        self, socket: ClientConnection, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(socket, PCM16, clock)
        self.messages: list[dict[str, Any]] = []

    @classmethod
    async def open(cls, server: str, *, agent: str, token: str, language: str = "") -> Self:
        """Open the socket with a signed widget token, and ask for a language of the agent's."""
        base = urlsplit(server)
        scheme = "wss" if base.scheme == "https" else "ws"
        query = urlencode(
            {"client": "browser", "agent": agent, "token": token, "language": language}
        )
        url = f"{scheme}://{base.netloc}{PATH}?{query}"
        return cls(await connect(url, compression=None, max_size=None, proxy=None))

    async def start(self) -> None:
        """Say what comes, and begin to play what the server sends."""
        await self.send({"type": "start", "sample_rate": self.sample_rate})
        self.listen()

    async def send_frame(self, pcm: bytes) -> None:
        """Send 20 ms of PCM16."""
        with contextlib.suppress(ConnectionClosed):
            await self.socket.send(pcm)

    def lose_frame(self) -> None:
        """A page's sound has no numbers: what is lost shortens it."""

    async def dtmf(self, digit: str) -> None:
        await self.send({"type": "dtmf", "digit": digit})

    async def stop(self) -> None:
        """Hang up."""
        with contextlib.suppress(ConnectionClosed):
            await self.send({"type": "hangup"})
        await self.close()

    async def _take(self, message: str | bytes) -> None:
        now = self.clock()
        if isinstance(message, bytes):
            self.playout.receive(now, message)
            self.on_sound(message)
            return
        told = json.loads(message)
        self.messages.append(told)
        if told["type"] == "mark":
            self._mark(now, told["name"])
        elif told["type"] == "clear":
            await self._clear(now)

    async def _tell_played(self, name: str) -> None:
        await self.send({"type": "played", "mark": name})
