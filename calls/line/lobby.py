"""Where media sockets wait until they have said which call they are.

A socket that says nothing costs its sender nothing and us memory, so their number is bounded: in
all, and for each address. Who comes when there is no room takes the place of the one that has
waited longest for its other side. A carrier says its start within milliseconds: it is never the
one that has waited longest, and a thousand silent sockets keep no call out.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager


class NoRoom(Exception):
    """No place, or one that had to be given to somebody else."""


class Seat:
    """One socket's place."""

    def __init__(self, lobby: Lobby, address: str) -> None:
        self.address = address
        self._lobby = lobby
        self._wait: asyncio.Timeout | None = None
        self._evicted = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing is done here but waiting for the other side."""
        return self._wait is not None and not self._evicted

    @asynccontextmanager
    async def idle(self) -> AsyncIterator[None]:
        """Wait for the other side inside the block. Raises NoRoom if the place is needed."""
        try:
            async with asyncio.timeout(None) as self._wait:
                yield
        except TimeoutError:
            if not self._evicted:
                raise
            raise NoRoom("it waited longest of too many that did not start") from None
        finally:
            self._wait = None

    def evict(self) -> None:
        """End the wait, and the place with it."""
        if self._wait is not None:
            self._evicted = True
            self._wait.reschedule(0)
        self.leave()

    def leave(self) -> None:
        """The socket is a call by now, or gone. Doing it twice is harmless."""
        self._lobby.forget(self)


class Lobby:
    """All places of one process. Belongs to the event loop."""

    def __init__(self, *, most: int, most_of_one: int) -> None:
        self.most, self.most_of_one = most, most_of_one
        self._seats: dict[Seat, None] = {}  # the oldest first
        self._of: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._seats)

    @contextmanager
    def seat(self, address: str) -> Iterator[Seat]:
        """A place until the block ends or the socket leaves. Raises NoRoom."""
        if self._of[address] >= self.most_of_one:
            self._make_room(address)
        if len(self._seats) >= self.most:
            self._make_room()
        seat = Seat(self, address)
        self._seats[seat] = None
        self._of[address] += 1
        try:
            yield seat
        finally:
            seat.leave()

    def forget(self, seat: Seat) -> None:
        """Give the place back, once."""
        if seat in self._seats:
            del self._seats[seat]
            self._of[seat.address] -= 1
        if not self._of[seat.address]:
            del self._of[seat.address]

    def _make_room(self, address: str | None = None) -> None:
        waiting = (s for s in self._seats if s.is_idle and address in (None, s.address))
        longest = next(waiting, None)
        if longest is None:
            raise NoRoom("too many sockets are being let in")
        longest.evict()
