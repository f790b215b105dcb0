"""Nothing waits for ever unseen: named waits with limits, tasks that are all ended, loop lag.

One timer per call serves all of its waits: it is set for the earliest limit, and left alone when
that wait ends in time. Sending ten chunks a second therefore costs one timer per limit, not ten
timers a second.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from calls.voice.clock import Timer
from calls.voice.ports import Clock

log = logging.getLogger(__name__)

CLOSING_LIMIT = 2000.0
LAG_INTERVAL = 100.0
LAG_ALARM = 200.0
_LAG_SAMPLES = 600


class Watchdog:
    """Names what hung. `hung(what, waited)` is called once per wait that passed its limit."""

    def __init__(self, clock: Clock, hung: Callable[[str, float], None]) -> None:
        self._clock = clock
        self._hung = hung
        self._waits: dict[str, tuple[float, float]] = {}  # what -> (since, limit)
        self._timer = Timer(clock, self._look)

    def enter(self, what: str, limit: float) -> None:
        """A wait begins; it must `leave` within `limit` ms."""
        now = self._clock.now()
        self._waits[what] = (now, limit)
        if self._timer.at is None or self._timer.at > now + limit:
            self._timer.set(now + limit)

    def leave(self, what: str) -> None:
        self._waits.pop(what, None)

    def stop(self) -> None:
        self._waits.clear()
        self._timer.cancel()

    def _look(self) -> None:
        now = self._clock.now()
        for what, (since, limit) in list(self._waits.items()):
            if since + limit <= now + 0.001:
                self.leave(what)
                self._hung(what, now - since)
        if self._waits:
            self._timer.set(min(since + limit for since, limit in self._waits.values()))


class Tasks:
    """Every task of one call. A crash is reported; at the end none is left."""

    def __init__(self, crashed: Callable[[BaseException], None]) -> None:
        self._crashed = crashed
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def finish(self, limit: float = CLOSING_LIMIT) -> list[str]:
        """Cancel and await all; names of those that did not end within `limit` ms."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if not tasks:
            return []
        _, stuck = await asyncio.wait(tasks, timeout=limit / 1000)
        return sorted(task.get_name() for task in stuck)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._crashed(error)


def cancel(task: asyncio.Task[Any] | None) -> None:
    """Cancel a task that may not have begun."""
    if task is not None:
        task.cancel()


class LoopLag:
    """How late the process's event loop runs, sampled every 100 ms while any call is on.

    One per process (`loop_lag`): calls `join` and `leave` it. Exported as `quantile(0.99)` and
    `worst`, both in ms over the last minute; listeners are told of any lag over `LAG_ALARM`.
    """

    def __init__(self) -> None:
        self._samples: list[float] = []
        self._next = 0
        self._listeners: dict[object, Callable[[float], None]] = {}
        self._handle: asyncio.TimerHandle | None = None

    def join(self, who: object, alarmed: Callable[[float], None]) -> None:
        self._listeners[who] = alarmed
        if self._handle is None:
            self._schedule()

    def leave(self, who: object) -> None:
        self._listeners.pop(who, None)
        if not self._listeners and self._handle is not None:
            self._handle.cancel()
            self._handle = None

    @property
    def worst(self) -> float:
        return max(self._samples, default=0.0)

    def quantile(self, share: float) -> float:
        """The lag that this share of the samples stayed under."""
        ordered = sorted(self._samples)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + LAG_INTERVAL / 1000
        # In a context of its own: the process's measurement must not be logged as the first call's.
        self._handle = loop.call_at(due, self._sample, due, context=Context())

    def _sample(self, due: float) -> None:
        self.note(max(0.0, (asyncio.get_running_loop().time() - due) * 1000))
        self._schedule()

    def note(self, lag: float) -> None:
        """Take one measurement."""
        if len(self._samples) < _LAG_SAMPLES:
            self._samples.append(lag)
        else:
            self._samples[self._next % _LAG_SAMPLES] = lag
        self._next += 1
        if lag > LAG_ALARM:
            log.warning("the event loop was %.0f ms late", lag)
            for alarmed in list(self._listeners.values()):
                alarmed(lag)


loop_lag = LoopLag()
