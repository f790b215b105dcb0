"""What the voice loop tells of a call, kept until it is in the database.

`event` and `turn` put into memory and return. One writer for all calls of the process
(`calls.line.writer`) takes it from there. Turns are never dropped, nor what the agent did. Other
events are bounded: a call whose events pile up beyond `MAX_PENDING` loses the newest ones, and
says how many.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from calls.line.rows import CallRef, Closing, EventRow, Item, TurnRow
from calls.voice.events import Event
from calls.voice.ports import Turn

MAX_PENDING = 20_000
EVENTS_DROPPED = "events_dropped"


Watcher: TypeAlias = Callable[[EventRow | TurnRow], None]


class Writer(Protocol):
    """Who brings what is put into stores to the database (`calls.line.writer`)."""

    def add(self, store: CallStore) -> None:
        """Write for this call until it is closed and written."""

    def wake(self) -> None:
        """There is something to write."""


class CallStore:
    """One call's memory; implements `Store` for the voice loop.

    `watch` is told of everything at once (the page shows it); events named in `transient` are
    for it alone. What `watch` raises never reaches the loop.
    """

    def __init__(
        self,
        call: CallRef,
        writer: Writer,
        *,
        watch: Watcher | None = None,
        transient: frozenset[str] = frozenset(),
        max_pending: int = MAX_PENDING,
    ) -> None:
        self.call = call
        self.dropped = 0
        self.closed = False
        self.written = asyncio.Event()
        self._writer, self._watch = writer, watch
        self._transient, self._max_pending = transient, max_pending
        self._pending: deque[Item] = deque()
        self._events, self._turns = itertools.count(), itertools.count()
        writer.add(self)

    def go_on(self, *, events: int, turns: int) -> None:
        """Number from here: what came before is stored already. Before anything is put in."""
        self._events, self._turns = itertools.count(events), itertools.count(turns)

    def event(self, at: float, name: str, data: Mapping[str, object]) -> None:
        """Take an event, `at` ms into the call."""
        if name in self._transient:
            self._tell(EventRow(-1, at, name, data))
            return
        if len(self._pending) >= self._max_pending and name != Event.ACTION:
            self.dropped += 1
            return
        if self.dropped:
            dropped, self.dropped = self.dropped, 0
            self._take(EventRow(next(self._events), at, EVENTS_DROPPED, {"count": dropped}))
        row = EventRow(next(self._events), at, name, data)
        self._take(row)
        self._tell(row)

    def turn(self, turn: Turn) -> None:
        """Take a turn that is over."""
        row = TurnRow(next(self._turns), turn)
        self._take(row)
        self._tell(row)

    def close(self, closing: Closing) -> None:
        """The call is over; nothing comes after this. Doing it twice is harmless."""
        if not self.closed:
            self.closed = True
            self._take(closing)

    async def drained(self, seconds: float) -> bool:
        """Wait until all is in the database; False if that takes longer."""
        try:
            async with asyncio.timeout(seconds):
                await self.written.wait()
        except TimeoutError:
            return False
        return True

    # --- for the writer ---

    @property
    def pending(self) -> int:
        """How much is not in the database yet."""
        return len(self._pending)

    def head(self, limit: int) -> list[Item]:
        """The oldest items, which stay here until they are `confirm`ed."""
        return list(itertools.islice(self._pending, limit))

    def confirm(self, count: int) -> None:
        """That many of the oldest are in the database."""
        for _ in range(count):
            self._pending.popleft()
        if self.closed and not self._pending:
            self.written.set()

    def _take(self, item: Item) -> None:
        self._pending.append(item)
        self._writer.wake()

    def _tell(self, row: EventRow | TurnRow) -> None:
        if self._watch is not None:
            self._watch(row)
