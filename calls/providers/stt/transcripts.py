"""What every recogniser needs: a way out for its transcripts, and a memory of the last sound."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from calls.voice.ports import Final, Partial

_BYTES_PER_SAMPLE = 2


class Transcripts:
    """A queue with an end: iterating yields what was put, then raises or stops.

    All of it on the event loop's thread.
    """

    def __init__(self) -> None:
        self._items: deque[Partial | Final] = deque()
        self._changed = asyncio.Event()
        self._error: Exception | None = None
        self._closed = False

    def put(self, item: Partial | Final) -> None:
        """Give one to the reader."""
        self._items.append(item)
        self._changed.set()

    def fail(self, error: Exception) -> None:
        """Raise this in the reader once it has taken what is there; the first one counts."""
        self._error = self._error or error
        self._changed.set()

    def close(self) -> None:
        """End the reader's iteration once it has taken what is there."""
        self._closed = True
        self._changed.set()

    async def __aiter__(self) -> AsyncIterator[Partial | Final]:
        while True:
            while self._items:
                yield self._items.popleft()
            if self._closed:
                return
            if self._error:
                raise self._error
            self._changed.clear()
            await self._changed.wait()


class Prefix:
    """The newest `milliseconds` of PCM16 mono at `sample_rate` Hz.

    Speech is detected some time after it began, so what was heard before belongs to it.
    """

    def __init__(self, milliseconds: float, sample_rate: int) -> None:
        self._limit = int(milliseconds * sample_rate / 1000) * _BYTES_PER_SAMPLE
        self._pieces: deque[bytes] = deque()
        self._size = 0

    def push(self, pcm: bytes) -> None:
        """Remember, and forget what is too old."""
        self._pieces.append(pcm)
        self._size += len(pcm)
        while self._size - len(self._pieces[0]) >= self._limit and len(self._pieces) > 1:
            self._size -= len(self._pieces.popleft())

    def take(self) -> bytes:
        """All of it, and forget it."""
        pcm = b"".join(self._pieces)[-self._limit :] if self._limit else b""
        self._pieces.clear()
        self._size = 0
        return pcm
