"""What a media stream without a socket has to tell, in order, to its one listener."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Self

from calls.voice.ports import Closed, MediaEvent


class Inbox:
    """Events until `Closed`, or until nobody listens any more."""

    def __init__(self) -> None:
        self._events: deque[MediaEvent] = deque()
        self._came = asyncio.Event()
        self._over = False

    def put(self, event: MediaEvent) -> None:
        """Tell it after what is waiting."""
        self._events.append(event)
        self._came.set()

    def close(self, reason: str) -> None:
        """Tell that the stream is over, unless that waits to be told already."""
        if not any(type(event) is Closed for event in self._events):
            self.put(Closed(reason))

    def stop(self) -> None:
        """Nobody listens any more."""
        self._over = True
        self._came.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> MediaEvent:
        while not self._over:
            if self._events:
                event = self._events.popleft()
                self._over = type(event) is Closed
                return event
            self._came.clear()
            await self._came.wait()
        raise StopAsyncIteration
