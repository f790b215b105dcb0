"""Gives the PBX its sound just in time, and knows when it was played.

3CX plays what it is given in order and cannot be told to throw any of it away (threecx.md, 6).
So the sound waits here, where it can be, and is written at most `lead` ahead of real time: after
a `clear` the caller hears what was written, and nothing else.

    queue   ........######|mark|######      thrown away by `clear`
    PBX     ####  <- free_at                 plays on, `lead` at most

Nothing is acknowledged either: a mark is passed when, by the clock, the sound before it has been
played. No method waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from calls.voice.clock import Timer
from calls.voice.ports import Clock

LEAD = 200.0
PIECE = 20.0
# Silence is for keeping the line open: speech that comes does not wait longer than this for it.
SILENT_LEAD = 2 * PIECE


class Pacer:
    """One call's outgoing sound; all times in ms.

    `write` gets pieces of 20 ms when they are due, `played` the names of marks. With `silence`
    the line is kept busy while there is nothing to say.
    """

    def __init__(
        self,
        clock: Clock,
        write: Callable[[bytes], None],
        played: Callable[[str], None],
        *,
        sample_rate: int,
        lead: float = LEAD,
        silence: bool = False,
    ) -> None:
        if lead < PIECE:
            raise ValueError(f"a lead of {lead:g} ms is less than one piece of {PIECE:g} ms")
        self._clock, self._write, self._played = clock, write, played
        self._lead, self._silence = lead, silence
        self._bytes_per_ms = sample_rate * 2 / 1000
        self._piece = int(PIECE * self._bytes_per_ms)
        self._queue: deque[bytes | str] = deque()
        self._marks: deque[tuple[float, str]] = deque()
        self._free_at = 0.0  # when the PBX runs dry
        self._blocked = False
        self._open = False
        self._pace = Timer(clock, self._pump)
        self._passing = Timer(clock, self._pass_marks)

    def open(self) -> None:
        """The way to the PBX is there."""
        self._open = True
        self._pump()

    def send(self, pcm: bytes) -> None:
        """Play this after what there is."""
        self._queue.extend(pcm[at : at + self._piece] for at in range(0, len(pcm), self._piece))
        self._pump()

    def mark(self, name: str) -> None:
        """Tell by `played` when all sent so far has been played."""
        self._queue.append(name)
        self._pump()

    def clear(self) -> None:
        """Throw away all that was not written. Open marks are passed at once."""
        waiting = [name for _, name in self._marks]
        waiting += [item for item in self._queue if isinstance(item, str)]
        self._queue.clear()
        self._marks.clear()
        self._passing.cancel()
        self._pump()
        for name in waiting:
            self._played(name)

    def block(self, blocked: bool) -> None:
        """The way to the PBX is full: write nothing until it is not."""
        self._blocked = blocked
        self._pump()

    def close(self) -> None:
        """Write and tell nothing any more."""
        self._open = False
        self._pace.cancel()
        self._passing.cancel()

    @property
    def ahead(self) -> float:
        """How much the PBX has still to play, by the clock: nothing takes that back."""
        return max(0.0, self._free_at - self._clock.now())

    def _pump(self) -> None:
        """Write what is due."""
        if self._blocked or not self._open:
            self._pace.cancel()
            return
        while self._queue:
            item = self._queue[0]
            if isinstance(item, str):
                self._open_mark(item)
            elif not self._fits(item, self._lead):
                return
            self._queue.popleft()
        if self._silence:
            self._keep_line()

    def _open_mark(self, name: str) -> None:
        self._marks.append((max(self._free_at, self._clock.now()), name))
        if len(self._marks) == 1:
            self._passing.set(self._marks[0][0])

    def _fits(self, piece: bytes, lead: float) -> bool:
        """Write a piece, or come back when it is due."""
        now, length = self._clock.now(), len(piece) / self._bytes_per_ms
        begins = max(now, self._free_at)
        if begins + length - now > lead + 0.01:
            self._pace.set(begins + length - lead)
            return False
        self._free_at = begins + length
        self._write(piece)
        return True

    def _keep_line(self) -> None:
        while self._fits(bytes(self._piece), SILENT_LEAD):
            pass

    def _pass_marks(self) -> None:
        now = self._clock.now()
        while self._marks and self._marks[0][0] <= now + 0.01:
            self._played(self._marks.popleft()[1])
        if self._marks:
            self._passing.set(self._marks[0][0])
