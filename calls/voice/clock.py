"""Time: one monotonic clock in milliseconds, and alarms on it.

Everything that waits in the loop waits on a `Timer` or on a provider; there is no other sleep.
Timers run on the event loop's own schedule, so that a test which jumps the loop's time jumps
them too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import ParamSpec

from calls.voice.ports import Clock

P = ParamSpec("P")


def _raise(error: BaseException) -> None:
    raise error


crashed: ContextVar[Callable[[BaseException], None]] = ContextVar("crashed", default=_raise)
"""Who is told when our own code fails where a provider might be blamed: each call sets it."""


def guarded(call: Callable[P, None], *arguments: P.args, **named: P.kwargs) -> None:
    """Call our own code from a timer or from within a provider's stream.

    A defect in it must end the call, instead of being logged or taken for the provider's.
    """
    try:
        call(*arguments, **named)
    except Exception as error:
        crashed.get()(error)


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
        guarded(self._callback)
