"""The calls that this process has on the line, and how it lets go of them.

One registry per process serves admission (are we taking calls?), the health page, and the
drain at shutdown. It belongs to the event loop: nothing here is for other threads.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from calls.line.lobby import Lobby
from calls.line.writer import Writer
from calls.providers.carriers.asgi import Receive, Send
from calls.voice.end_reasons import EndReason
from calls.voice.watchdog import loop_lag

log = logging.getLogger(__name__)

BACKLOG_LIMIT = 50_000
FLUSH_SECONDS = 10.0


class Endable(Protocol):
    """A call that can be asked to end in good order."""

    def end(self, reason: str) -> None: ...


class Attended(Protocol):
    """A call that outlives its page's socket, and takes another."""

    async def attend(self, receive: Receive, send: Send) -> None:
        """Serve a socket until it is gone, or the call is over."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the health page shows."""

    live_calls: int
    accepting: bool
    loop_lag_p99_ms: float
    backlog: int
    store_failing: bool


class LiveCalls:
    """Every call of this process from its first frame until its last word is stored.

    `resumable` holds those to which a page may come back on another socket.
    `takes_calls` is off where other processes do that. `changed` is called when no more are taken.
    """

    def __init__(self, limit: int = 400) -> None:
        self.limit = limit
        self.takes_calls = True
        self.draining = False
        self.changed: Callable[[], None] = lambda: None
        self.writer = Writer()
        self.lobby = Lobby(most=3 * limit, most_of_one=limit)
        self.resumable: dict[uuid.UUID, Attended] = {}
        self._calls: dict[uuid.UUID, Endable] = {}
        self._background: set[asyncio.Task[Any]] = set()
        self._quiet: asyncio.Future[None] | None = None

    @property
    def accepting(self) -> bool:
        """Whether one more call may come here: not at shutdown, nor when we cannot keep up."""
        return (
            self.takes_calls
            and not self.draining
            and len(self._calls) < self.limit
            and self.writer.backlog < BACKLOG_LIMIT
        )

    def __len__(self) -> int:
        return len(self._calls)

    def __contains__(self, public_id: uuid.UUID) -> bool:
        return public_id in self._calls

    @contextmanager
    def on_the_line(self, public_id: uuid.UUID, call: Endable) -> Iterator[None]:
        """Count a call as live for as long as the block lasts.

        A call whose next stream has begun before this one is put away is that one's from then on.
        """
        self._calls[public_id] = call
        if self.draining:  # it was admitted just before
            call.end(EndReason.DRAINED)
        try:
            yield
        finally:
            if self._calls.get(public_id) is call:
                del self._calls[public_id]
            if not self._calls and self._quiet is not None and not self._quiet.done():
                self._quiet.set_result(None)

    def in_background(self, work: Coroutine[Any, Any, object], name: str) -> None:
        """Do something that nobody waits for; what it raises is logged."""
        task = asyncio.create_task(work, name=name)
        self._background.add(task)
        task.add_done_callback(self._background_done)

    def _background_done(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("%s failed", task.get_name(), exc_info=task.exception())

    async def drain(self, seconds: float) -> None:
        """Take no more calls; let the live ones finish, then end them; store everything."""
        self.draining = True
        self.changed()
        log.info("draining: %d calls are live, they have %g s", len(self._calls), seconds)
        if not await self._quiet_within(seconds):
            for call in list(self._calls.values()):
                call.end(EndReason.DRAINED)
            await self._quiet_within(FLUSH_SECONDS)
        left = await self.writer.drained(FLUSH_SECONDS)
        if left or self._calls:
            log.error("drained, but %d calls and %d items are left", len(self._calls), left)
        else:
            log.info("drained")

    async def _quiet_within(self, seconds: float) -> bool:
        if self._calls:
            self._quiet = asyncio.get_running_loop().create_future()
            await asyncio.wait({self._quiet}, timeout=seconds)
            self._quiet = None
        return not self._calls

    def snapshot(self) -> Snapshot:
        """Figures of this moment."""
        return Snapshot(
            live_calls=len(self._calls),
            accepting=self.accepting,
            loop_lag_p99_ms=loop_lag.quantile(0.99),
            backlog=self.writer.backlog,
            store_failing=self.writer.failing,
        )


live = LiveCalls()
