"""One caller of the load generator: talks, listens, sometimes interrupts, and takes the times.

Everything is timed on the caller's own clock and at the caller's own end of the line. A kind of
caller adds the protocol: how to connect, how 20 ms of sound are sent, and what comes back.
"""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar

from bench.server import Server
from calls.simulator.clips import index
from calls.simulator.line import SPEECH_LEVEL, level
from calls.simulator.scripted import TONE_SECONDS
from calls.voice.resample import resample

# Without a pause of 200 ms inside, after which the agent would rightly answer.
CLIPS = ("how-much", "opening-hours", "which-tours", "children", "person", "what-to-bring")
CLIP_RATE = 8000
FRAME_SECONDS = 0.02
WHOLE_REPLY = TONE_SECONDS - FRAME_SECONDS / 2
PATIENCE = 5.0  # seconds without an answer until it counts as missing

Frame = TypeVar("Frame", str, bytes)


def spoken(pcm: bytes) -> bytes:
    """A clip (PCM16 at 8 kHz) from its first frame of 20 ms with speech to its last."""
    frames = [pcm[at : at + 320].ljust(320, b"\0") for at in range(0, len(pcm), 320)]
    loud = [number for number, frame in enumerate(frames) if level(frame) > SPEECH_LEVEL]
    return b"".join(frames[loud[0] : loud[-1] + 1])


def frames(pcm: bytes, rate: int) -> list[bytes]:
    """PCM16 in pieces of 20 ms, the last filled up with silence."""
    size = int(rate * FRAME_SECONDS) * 2
    return [pcm[at : at + size].ljust(size, b"\0") for at in range(0, len(pcm), size)]


@dataclass(slots=True)
class Measured:
    """What all callers measured together, in ms."""

    response: list[float] = field(default_factory=list)
    bargein: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    late_ticks: list[float] = field(default_factory=list)
    unanswered: int = 0
    not_stopped: int = 0
    lost: int = 0

    def forget(self) -> None:
        """Begin anew with the times: what was before was warming up."""
        for times in (self.response, self.bargein, self.gaps, self.late_ticks):
            times.clear()


class Caller(ABC, Generic[Frame]):
    """One call. `converse` is its whole life; `clips` are what `speech` gave."""

    rate: ClassVar[int] = CLIP_RATE

    def __init__(self, number: int, clips: Sequence[Sequence[Frame]], measured: Measured) -> None:
        self.number = number
        self.over = False
        self._loop = asyncio.get_running_loop()
        self._random = random.Random(number)
        self._clips: Sequence[Sequence[Frame]] = clips
        self._measured = measured
        self._silence: Frame = self.coded(bytes(int(self.rate * FRAME_SECONDS) * 2))
        self._frames: Sequence[Frame] = []
        self._said = 0
        self._spoken: asyncio.Future[float] | None = None
        self._answered: asyncio.Future[float] | None = None
        self._cleared: asyncio.Future[float] | None = None
        self._plays_until = 0.0
        self._reply_seconds = 0.0
        self._marks: dict[str, asyncio.TimerHandle] = {}
        self._ticking: asyncio.TimerHandle | None = None

    # --- the protocol -------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def coded(cls, pcm: bytes) -> Frame:
        """20 ms of PCM16 at `rate` as they are sent."""

    @classmethod
    def speech(cls) -> list[list[Frame]]:
        """Each clip as it is sent, coded beforehand."""
        return [
            [cls.coded(frame) for frame in frames(resample(sound, CLIP_RATE, cls.rate), cls.rate)]
            for sound in (spoken(index()[name].pcm()) for name in CLIPS)
        ]

    @abstractmethod
    async def connect(self, server: Server) -> None:
        """Get through, and begin to send silence."""

    @abstractmethod
    def _put(self, frame: Frame) -> None:
        """Send 20 ms."""

    def _passed(self, name: str) -> None:
        """Tell that a mark was passed, where the protocol has that."""

    @abstractmethod
    async def _disconnect(self) -> None:
        """Hang up."""

    # --- the call -----------------------------------------------------------------------------

    async def converse(self, until: float) -> None:
        """Ask, listen, interrupt every third reply, until the time is up."""
        await asyncio.sleep(self._random.uniform(0.5, 3.5))
        turn = self._random.randrange(3)
        while self._loop.time() < until and not self.over:
            if not await self._ask(self._say()):
                continue
            turn += 1
            while turn % 3 == 0 and self._loop.time() < until:
                turn += 1
                await self._interrupt()
            await asyncio.sleep(max(0.0, self._plays_until - self._loop.time()))
            await asyncio.sleep(self._random.uniform(0.4, 0.9))

    async def talk_briefly(self, seconds: float) -> None:
        """Say something and be gone."""
        self._say()
        await asyncio.sleep(seconds)

    async def leave(self) -> None:
        """Hang up, unless the other side was first."""
        self._silence_all()
        if not self.over:
            self.over = True
            await self._disconnect()

    def _begin(self) -> None:
        """Connected: send a frame every 20 ms from now on, at a moment of our own."""
        self._due = self._loop.time() + self._random.uniform(0, FRAME_SECONDS)
        self._ticking = self._loop.call_at(self._due, self._tick)

    # --- talking ------------------------------------------------------------------------------

    def _say(self) -> asyncio.Future[float]:
        """Start to say something; the result is when its last frame was sent."""
        self._frames, self._said = self._random.choice(self._clips), 0
        self._spoken = self._loop.create_future()
        return self._spoken

    async def _ask(self, spoken: asyncio.Future[float]) -> bool:
        """Wait for the end of what is being said and for the answer; note how long that took."""
        ended = await spoken
        self._answered, self._reply_seconds = self._loop.create_future(), 0.0
        try:
            first = await asyncio.wait_for(self._answered, PATIENCE)
        except TimeoutError:
            self._measured.unanswered += not self.over
            return False
        self._measured.response.append((first - ended) * 1000)
        return True

    async def _interrupt(self) -> None:
        """Speak into the reply; note when it is stopped, then hear the answer to that."""
        await asyncio.sleep(self._random.uniform(0.3, 0.8))
        spoken = self._say()
        started = max(self._due, self._loop.time())
        self._cleared = self._loop.create_future()
        try:
            stopped = await asyncio.wait_for(self._cleared, 1.5)
            self._measured.bargein.append((stopped - started) * 1000)
        except TimeoutError:
            self._measured.not_stopped += not self.over
        self._cleared = None
        await self._ask(spoken)

    def _tick(self) -> None:
        """Send the frame that is due, and come back in 20 ms."""
        if self.over:
            return
        now = self._loop.time()
        self._measured.late_ticks.append((now - self._due) * 1000)
        frame = self._silence
        if self._said < len(self._frames):
            frame = self._frames[self._said]
            self._said += 1
        self._put(frame)
        if self._spoken and self._said == len(self._frames) and not self._spoken.done():
            self._spoken.set_result(self._loop.time())
        self._due += FRAME_SECONDS
        self._ticking = self._loop.call_at(self._due, self._tick)

    # --- listening ----------------------------------------------------------------------------

    def _hear(self, now: float, seconds: float) -> None:
        """Sound of the agent's came."""
        if self._answered and not self._answered.done():
            self._answered.set_result(now)
        elif 0 < self._reply_seconds < WHOLE_REPLY and now > self._plays_until:
            self._measured.gaps.append((now - self._plays_until) * 1000)
        self._reply_seconds += seconds
        self._plays_until = max(now, self._plays_until) + seconds

    def _mark(self, now: float, name: str) -> None:
        """Pass the mark when what was before it has been played."""
        self._marks[name] = self._loop.call_at(max(now, self._plays_until), self._pass, name)

    def _clear(self, now: float) -> None:
        """What was not played yet is thrown away; all marks are passed."""
        self._plays_until, self._reply_seconds = now, 0.0
        for name, timer in list(self._marks.items()):
            timer.cancel()
            self._pass(name)
        if self._cleared and not self._cleared.done():
            self._cleared.set_result(now)

    def _pass(self, name: str) -> None:
        del self._marks[name]
        if not self.over:
            self._passed(name)

    def _lost(self, _why: str) -> None:
        if not self.over:
            self._measured.lost += 1
        self._silence_all()
        self.over = True

    def _silence_all(self) -> None:
        if self._ticking:
            self._ticking.cancel()
        for timer in self._marks.values():
            timer.cancel()
        self._marks.clear()
