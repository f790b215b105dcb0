"""The caller's mouth: 20 ms of sound every 20 ms, speech or silence, over a line of any quality."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

FRAME_SECONDS = 0.02
SPEECH_LEVEL = 200  # root mean square of a frame of PCM16 that still counts as speech


class FarEnd(Protocol):
    """What frames go into: one carrier's stream."""

    sample_rate: int

    async def send_frame(self, pcm: bytes) -> None:
        """Send 20 ms of PCM16."""

    def lose_frame(self) -> None:
        """20 ms passed whose frame never arrives."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Of the line: share of frames that get lost, and by how much the others are late."""

    loss: float = 0.0
    jitter_ms: float = 0.0
    seed: int = 1


@dataclass(slots=True)
class Utterance:
    """One thing said. Times are the caller's clock, in seconds, set while it is spoken."""

    frames: list[bytes]
    first_speech_frame: int
    last_speech_frame: int
    started: float = 0.0  # when the first frame with speech in it was sent
    ended: float = 0.0  # when the last frame with speech in it was sent
    done: asyncio.Event = field(default_factory=asyncio.Event)


def utterance(pcm: bytes, sample_rate: int) -> Utterance:
    """Cut a clip of PCM16 into frames and find where its speech starts and ends."""
    size = int(sample_rate * FRAME_SECONDS) * 2
    padded = pcm + bytes(-len(pcm) % size)
    frames = [padded[at : at + size] for at in range(0, len(padded), size)]
    spoken = [number for number, frame in enumerate(frames) if level(frame) > SPEECH_LEVEL]
    first, last = (spoken[0], spoken[-1]) if spoken else (0, len(frames) - 1)
    return Utterance(frames, first, last)


def level(pcm: bytes) -> float:
    """Root mean square of PCM16."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    return float(np.sqrt(np.mean(samples**2)))


class Line:
    """Sends what is to be said, and silence in between, until it is cancelled."""

    def __init__(
        self,
        far_end: FarEnd,
        quality: Quality | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.far_end, self.quality, self.clock = far_end, quality or Quality(), clock
        self._random = random.Random(self.quality.seed)
        self._silence = bytes(int(far_end.sample_rate * FRAME_SECONDS) * 2)
        self._waiting: deque[Utterance] = deque()
        self._said = 0
        self.sent: list[bytes] = []
        self.began = 0.0

    def say(self, pcm: bytes) -> Utterance:
        """Say this after what is being said; the result's `done` is set at its end."""
        words = utterance(pcm, self.far_end.sample_rate)
        self._waiting.append(words)
        return words

    async def run(self) -> None:
        """Speak in real time; a frame that is due goes out even when earlier ones were late."""
        self.began = due = self.clock()
        while True:
            frame, words = self._next_frame()
            late = self._random.uniform(0, self.quality.jitter_ms) / 1000
            await asyncio.sleep(max(0.0, due + late - self.clock()))
            await self._deliver(frame)
            if words:
                self._note(words)
            due += FRAME_SECONDS

    def _next_frame(self) -> tuple[bytes, Utterance | None]:
        if not self._waiting:
            return self._silence, None
        words = self._waiting[0]
        return words.frames[self._said], words

    async def _deliver(self, frame: bytes) -> None:
        self.sent.append(frame)
        if self._random.random() < self.quality.loss:
            self.far_end.lose_frame()
        else:
            await self.far_end.send_frame(frame)

    def _note(self, words: Utterance) -> None:
        """Keep count of what of `words` has been sent by now."""
        now = self.clock()
        if self._said == words.first_speech_frame:
            words.started = now
        if self._said == words.last_speech_frame:
            words.ended = now
        self._said += 1
        if self._said == len(words.frames):
            self._waiting.popleft()
            self._said = 0
            words.done.set()
