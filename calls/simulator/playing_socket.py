"""The far end of a call over a socket: what it is sent plays in its own time, and it says so."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from calls.simulator.playout import Coding, PlayoutBuffer


class PlayingSocket(ABC):
    """One end of an open socket that sound comes over.

    Marks come back when the buffer has played what was before them, all of them at once after a
    clear.
    """

    def __init__(
        self,
        socket: ClientConnection,
        coding: Coding,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.socket, self.clock = socket, clock
        self.playout = PlayoutBuffer(coding)
        self.on_sound: Callable[[bytes], None] = lambda _pcm: None
        self.on_clear: Callable[[], None] = lambda: None
        self.ended = asyncio.Event()
        self._marked = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @abstractmethod
    async def _take(self, message: str | bytes) -> None:
        """Do what the server's message says."""

    @abstractmethod
    async def _tell_played(self, name: str) -> None:
        """Send a mark back."""

    def listen(self) -> None:
        """Begin to take and to play what the server sends."""
        self._tasks = [asyncio.create_task(self._receive()), asyncio.create_task(self._echo())]

    async def send(self, message: Mapping[str, Any]) -> None:
        await self.socket.send(json.dumps(message))

    async def close(self) -> None:
        await self.socket.close()
        await self._finish()

    async def vanish(self) -> None:
        """Be gone, without a word and without a closing handshake."""
        self.socket.transport.abort()
        await self._finish()

    async def _finish(self) -> None:
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.ended.set()

    async def _receive(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in self.socket:
                await self._take(message)
        await self._finish()

    def _mark(self, now: float, name: str) -> None:
        self.playout.mark(now, name)
        self._marked.set()

    async def _clear(self, now: float) -> None:
        await self._echo_marks(self.playout.clear(now))
        self.on_clear()

    async def _echo(self) -> None:
        """Send marks back as playing passes them."""
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
            await self._tell_played(name)
