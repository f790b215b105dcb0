"""Voices one reply: sentences in, sound on the track, the next voice when one fails.

    sentences   "Let me look."  "I found three."
    voice 1     |====|  |==x                         fails in the middle of the second
    voice 2                 |=======|                gets what was not voiced yet, from a whole word
    track       |====||==||=======|

The first sound of a sentence must come within `first_audio_timeout` of the voice being given it,
and the sound must go on at that pace; else the voice has failed. When no voice is left, what has
no sound is given up and the owner told.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol

from calls.voice.clock import Timer, guarded
from calls.voice.heard import Segment, words_played
from calls.voice.metrics import TurnMetrics
from calls.voice.phrases import Phrases
from calls.voice.ports import Clock, Speech, Synthesiser
from calls.voice.tones import soft_tones
from calls.voice.track import Track
from calls.voice.voices import Voices
from calls.voice.watchdog import cancel


class SpeakerOwner(Protocol):
    """What the speaker tells its reply."""

    def sound_grew(self) -> None: ...

    def voice_failed(self, voice: str, error: BaseException) -> None: ...

    def voice_replaced(self, voice: str) -> None: ...

    def voices_exhausted(self) -> None: ...

    def sound_deadline(self) -> float: ...


class Speaker:
    """Feeds a track. `add` sentences, then `finish`; `run` ends when all were voiced."""

    def __init__(
        self,
        track: Track,
        voices: Voices,
        clock: Clock,
        metrics: TurnMetrics,
        owner: SpeakerOwner,
        spawn: Callable[[], None],
    ) -> None:
        self.track = track
        self._voices = voices
        self._clock = clock
        self._metrics = metrics
        self._owner = owner
        self._spawn = spawn
        self._waiting: deque[Segment] = deque()  # not given to a voice yet
        self._given: list[Segment] = []  # to the present stream, by its segment numbers
        self._more = asyncio.Event()
        self._finished = False
        self._started = False
        self._task: asyncio.Task[None] | None = None
        self._patience = Timer(clock, self._lose_patience)
        self._lost = False
        self.done = False

    def add(self, text: str) -> None:
        """Voice this sentence after those before it."""
        self._waiting.append(self.track.add(text))
        if self._metrics.voice_asked is None:
            self._metrics.voice_asked = self._clock.now()
        if not self._patience.at:
            self._be_patient()
        self._more.set()
        if not self._started:
            self._started = True
            self._spawn()

    def finish(self) -> None:
        """No more sentences will come."""
        self._finished = True
        self._more.set()
        if not self._started:
            self.done = True

    @property
    def is_behind(self) -> bool:
        """Some sentence still waits for sound."""
        return bool(self._waiting) or any(not segment.closed for segment in self._given)

    def hurry(self) -> None:
        """The caller waits now: the limit on the voice is counted anew."""
        if self.is_behind:
            self._be_patient()

    def stop(self) -> None:
        self._patience.cancel()

    async def run(self) -> None:
        """Voice everything. Never raises for what a voice does."""
        self._task = asyncio.current_task()
        try:
            while not self.done:
                voice = self._voices.current
                error = await self._speak_with(voice)
                if error is None:
                    self.done = True
                else:
                    self._fail_over(voice, error)
        finally:
            self._patience.cancel()
        self._owner.sound_grew()

    async def _speak_with(self, voice: Synthesiser) -> BaseException | None:
        self._given = []
        try:
            async with aclosing(self._feed()) as feed, aclosing(voice.speak(feed)) as stream:
                async for speech in stream:
                    self._take(speech)
                    guarded(self._owner.sound_grew)
        except asyncio.CancelledError:
            if not self._lost:
                raise
            self._lost = False
            self._task.uncancel()  # type: ignore[union-attr]
            return TimeoutError("no sound within the limit")
        except Exception as error:  # whatever a vendor's client raises: the next voice
            return error
        if self._waiting or not self._finished:
            return ConnectionError("the voice ended before its text")
        for segment in self._given:
            segment.closed = True
        return None

    async def _feed(self) -> AsyncGenerator[str, None]:
        while True:
            while self._waiting:
                segment = self._waiting.popleft()
                self._given.append(segment)
                yield segment.text
            if self._finished:
                return
            self._more.clear()
            await self._more.wait()

    def _take(self, speech: Speech) -> None:
        segment = self._given[speech.segment]
        if speech.pcm and self._metrics.first_sound is None:
            self._metrics.first_sound = self._clock.now()
        self.track.append(segment, speech.pcm)
        segment.words.extend(speech.words)
        segment.closed = segment.closed or speech.last
        if self.is_behind:
            self._be_patient()
        else:
            self._patience.cancel()

    def _be_patient(self) -> None:
        self._patience.set(self._owner.sound_deadline())

    def _lose_patience(self) -> None:
        self._lost = True
        cancel(self._task)

    def _fail_over(self, voice: Synthesiser, error: BaseException) -> None:
        self._owner.voice_failed(voice.name, error)
        self._metrics.voice_failed(self._clock.now())
        self._waiting.extendleft(reversed([self._rest_of(s) for s in self._given if not s.closed]))
        if self._voices.failed(voice):
            self._owner.voice_replaced(self._voices.current.name)
            if self._waiting:
                self._be_patient()
            return
        for segment in self._waiting:
            segment.closed = True
        self._waiting.clear()
        self.done = True
        self._owner.voices_exhausted()

    def _rest_of(self, segment: Segment) -> Segment:
        """What of a sentence the failed voice has not voiced, as a sentence of its own."""
        if segment.start is None:
            return segment
        voiced = words_played(segment, segment.length)
        rest = Segment(segment.text[len(voiced) :].strip())
        segment.text, segment.closed = voiced, True
        self.track.segments.insert(self.track.segments.index(segment) + 1, rest)
        return rest


class SpokenVoicing:
    """Replies in sound: who speaks them, and what is played where nobody can."""

    def __init__(self, voices: Voices, clock: Clock, sample_rate: int) -> None:
        self._voices = voices
        self._clock = clock
        self._sample_rate = sample_rate

    @property
    def has_next(self) -> bool:
        return self._voices.has_next

    def speaker(
        self, owner: SpeakerOwner, metrics: TurnMetrics, spawn: Callable[[], None]
    ) -> Speaker:
        track = Track(self._sample_rate)
        return Speaker(track, self._voices, self._clock, metrics, owner, spawn)

    def apology(self, phrases: Phrases) -> bytes:
        """The recorded apology, or two soft tones where there is none."""
        return phrases.apology_pcm or soft_tones(self._sample_rate)
