"""A page's side of a call: 16 kHz PCM both ways over one socket, states and transcripts as JSON."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from calls.simulator.playout import PCM16, PlayoutBuffer

PATH = "/api/v1/ws/media-stream"


class BrowserStream:
    """The page's end of one call: the simulated caller's `Telephone`."""

    sample_rate = 16000

    def __init__(
        self, socket: ClientConnection, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.socket, self.clock = socket, clock
        self.playout = PlayoutBuffer(PCM16)
        self.on_sound: Callable[[bytes], None] = lambda _pcm: None
        self.on_clear: Callable[[], None] = lambda: None
        self.messages: list[dict[str, Any]] = []
        self.ended = asyncio.Event()
        self._marked = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

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
        await self._send({"type": "start", "sample_rate": self.sample_rate})
        self._tasks = [asyncio.create_task(self._receive()), asyncio.create_task(self._echo())]

    async def send_frame(self, pcm: bytes) -> None:
        """Send 20 ms of PCM16."""
        with contextlib.suppress(ConnectionClosed):
            await self.socket.send(pcm)

    def lose_frame(self) -> None:
        """A page's sound has no numbers: what is lost shortens it."""

    async def dtmf(self, digit: str) -> None:
        await self._send({"type": "dtmf", "digit": digit})

    async def stop(self) -> None:
        """Hang up."""
        with contextlib.suppress(ConnectionClosed):
            await self._send({"type": "hangup"})
        await self.socket.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.ended.set()

    async def _send(self, message: dict[str, Any]) -> None:
        await self.socket.send(json.dumps(message))

    async def _receive(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in self.socket:
                await self._take(message)
        self.ended.set()

    async def _take(self, message: str | bytes) -> None:
        now = self.clock()
        if isinstance(message, bytes):
            self.playout.receive(now, message)
            self.on_sound(message)
            return
        told = json.loads(message)
        self.messages.append(told)
        if told["type"] == "mark":
            self.playout.mark(now, told["name"])
            self._marked.set()
        elif told["type"] == "clear":
            await self._acknowledge(self.playout.clear(now))
            self.on_clear()

    async def _echo(self) -> None:
        """Acknowledge marks as playing passes them."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self._acknowledge(self.playout.due(self.clock()))
                due = self.playout.next_due()
                wait = None if due is None else max(0.0, due - self.clock())
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._marked.wait(), wait)
                self._marked.clear()

    async def _acknowledge(self, names: list[str]) -> None:
        for name in names:
            await self._send({"type": "played", "mark": name})
