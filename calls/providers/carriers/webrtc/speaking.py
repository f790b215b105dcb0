"""The agent's sound, frame by frame as it is due, and when the caller has heard it.

Nothing is sent ahead: what `clear` finds here is never heard. While there is nothing to say
hardly anything is sent, as Opus's own discontinuous transmission does (RFC 7587, 3.1.3).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from calls.providers.carriers.webrtc.opus import FRAME_BYTES, SAMPLE_RATE
from calls.voice.clock import Timer
from calls.voice.ports import Clock

FRAME = 20.0
FRAME_SAMPLES = SAMPLE_RATE // 50
STALLED = 100.0  # ms late at which what was missed is left out, instead of sent in a burst
TAIL = 10  # frames of silence after speech
KEEP_ALIVE = 20  # frames from one frame of silence to the next, after that
# From our sending a frame until it is heard: half a round trip and the browser's own jitter buffer.
FAR_DELAY = 100.0


class Frame(NamedTuple):
    """20 ms of PCM16; `at` counts samples since the first one."""

    pcm: bytes
    at: int


class Speaking:
    """One call's outgoing sound. `played` gets the names of marks. All times in ms."""

    def __init__(
        self, clock: Clock, played: Callable[[str], None], far_delay: float = FAR_DELAY
    ) -> None:
        self._clock, self._played, self._far_delay = clock, played, far_delay
        self._sound = bytearray()
        self._taken = self._given = 0  # bytes
        self._marks: deque[tuple[int, str]] = deque()  # behind so many bytes
        self._passing: deque[tuple[float, str]] = deque()  # heard at that time
        self._heard = Timer(clock, self._pass)
        self._due: float | None = None
        self._count = self._quiet = 0
        self._ends = clock.now()  # what was sent by now

    def send(self, pcm: bytes) -> None:
        """Say this after what there is."""
        self._sound += pcm
        self._given += len(pcm)

    def mark(self, name: str) -> None:
        """Tell by `played` when all given so far has been heard."""
        self._marks.append((self._given, name))
        self._open_marks()

    def clear(self) -> None:
        """Throw away what was not sent. Open marks are passed at once."""
        waiting = [name for _, name in (*self._passing, *self._marks)]
        self._sound.clear()
        self._given = self._taken
        self._marks.clear()
        self._passing.clear()
        self._heard.cancel()
        for name in waiting:
            self._played(name)

    def close(self) -> None:
        """Tell nothing any more."""
        self._heard.cancel()

    async def next(self) -> Frame:
        """The next frame, when it is due."""
        while True:
            now = self._clock.now()
            if self._due is None:
                self._due = now
            if now - self._due > STALLED:
                missed = int((now - self._due) // FRAME)
                self._count += missed
                self._due += missed * FRAME
            await self._clock.sleep_until(self._due)
            frame = self._take()
            self._count += 1
            self._due += FRAME
            if frame is not None:
                return frame

    def _take(self) -> Frame | None:
        at = self._count * FRAME_SAMPLES
        if self._sound:
            self._quiet = 0
            pcm = bytes(self._sound[:FRAME_BYTES])
            del self._sound[:FRAME_BYTES]
            self._taken += len(pcm)
            self._ends = self._clock.now() + FRAME
            self._open_marks()
            return Frame(pcm.ljust(FRAME_BYTES, b"\0"), at)
        self._quiet += 1
        if self._quiet > TAIL and self._quiet % KEEP_ALIVE:
            return None
        return Frame(bytes(FRAME_BYTES), at)

    def _open_marks(self) -> None:
        """Those behind all that was sent are heard a while later."""
        while self._marks and self._marks[0][0] <= self._taken:
            at = max(self._ends + self._far_delay, self._clock.now())
            self._passing.append((at, self._marks.popleft()[1]))
        if self._passing and self._heard.at is None:
            self._heard.set(self._passing[0][0])

    def _pass(self) -> None:
        now = self._clock.now() + 0.01
        while self._passing and self._passing[0][0] <= now:
            self._played(self._passing.popleft()[1])
        if self._passing:
            self._heard.set(self._passing[0][0])
