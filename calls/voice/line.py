"""The way out to the carrier: commands in order, one sender, a limit on every send.

Callers never wait. A `clear` overtakes the sound and the marks that have not left yet. A send that
fails or hangs means that the stream is dead.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from calls.voice.ports import MediaStream
from calls.voice.watchdog import Watchdog

SEND = "media.send"


@dataclass(frozen=True, slots=True)
class _Command:
    send: Callable[[], Coroutine[Any, Any, None]]
    clearable: bool
    size: int  # bytes of sound


class Keypad(Protocol):
    """What every stream can do, whether it carries sound or text."""

    async def send_dtmf(self, digits: str) -> None: ...


class Outgoing:
    """Commands to one stream."""

    def __init__(
        self, keypad: Keypad, watchdog: Watchdog, limit: float, lost: Callable[[str], None]
    ) -> None:
        self._keypad = keypad
        self._watchdog = watchdog
        self._limit = limit
        self._lost = lost
        self._commands: deque[_Command] = deque()
        self._sending: _Command | None = None
        self._wake: asyncio.Future[None] | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    def keys(self, digits: str) -> None:
        self._put(lambda: self._keypad.send_dtmf(digits), clearable=False)

    def forget(self) -> None:
        """What may be cleared and has not left yet is not sent."""
        self._commands = deque(command for command in self._commands if not command.clearable)

    async def drained(self) -> None:
        """Wait until everything has left."""
        await self._idle.wait()

    async def run(self) -> None:
        """Send for ever; ends when the stream is lost."""
        try:
            while True:
                while self._commands:
                    self._sending = self._commands.popleft()
                    self._watchdog.enter(SEND, self._limit)
                    await self._sending.send()
                    self._sending = None
                    self._watchdog.leave(SEND)
                self._idle.set()
                self._wake = asyncio.get_running_loop().create_future()
                await self._wake
        except Exception as error:  # whatever the socket raises, the stream is gone
            self._lost(repr(error))
        finally:
            self._watchdog.leave(SEND)

    def _put(
        self, send: Callable[[], Coroutine[Any, Any, None]], *, clearable: bool, size: int = 0
    ) -> None:
        self._commands.append(_Command(send, clearable, size))
        self._idle.clear()
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


class Line(Outgoing):
    """Commands to one `MediaStream`."""

    def __init__(
        self, media: MediaStream, watchdog: Watchdog, limit: float, lost: Callable[[str], None]
    ) -> None:
        super().__init__(media, watchdog, limit, lost)
        self._media = media

    def media(self, pcm: bytes) -> None:
        self._put(lambda: self._media.send(pcm), clearable=True, size=len(pcm))

    def mark(self, name: str) -> None:
        self._put(lambda: self._media.mark(name), clearable=True)

    def clear(self) -> None:
        self.forget()
        self._put(self._media.clear, clearable=False)

    @property
    def backlog(self) -> int:
        """Bytes of sound that have not left: more than a moment's worth means a slow socket."""
        waiting = sum(command.size for command in self._commands)
        return waiting + (self._sending.size if self._sending is not None else 0)
