"""Time: one monotonic clock in milliseconds, and alarms on it.

Everything that waits in the loop waits on a `Timer` or on a provider; there is no other sleep.
Timers run on the event loop's own schedule, so that a test which jumps the loop's time jumps
them too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from calls.voice.ports import Clock


class LoopClock:
    """The running event loop's time as a `Clock`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def now(self) -> float:
        return self._loop.time() * 1000

    async def sleep_until(self, at: float) -> None:
        await asyncio.sleep(max(0.0, at - self.now()) / 1000)


class Timer:
    """One alarm. Setting it again replaces the last setting; it rings at most once."""

    __slots__ = ("_callback", "_clock", "_handle", "at")

    def __init__(self, clock: Clock, callback: Callable[[], None]) -> None:
        self._clock = clock
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None
        self.at: float | None = None

    def set(self, at: float) -> None:
        """Ring at this moment, or as soon as possible if it is past."""
        self.cancel()
        self.at = at
        delay = max(0.0, at - self._clock.now()) / 1000
        self._handle = asyncio.get_running_loop().call_later(delay, self._ring)

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self.at = None

    def _ring(self) -> None:
        self._handle = self.at = None
        self._callback()
