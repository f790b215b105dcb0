"""The voice of a reply where the carrier speaks: a sentence is ready as soon as it is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from calls.voice.clock import guarded
from calls.voice.metrics import TurnMetrics
from calls.voice.phrases import Phrases
from calls.voice.speaker import SpeakerOwner
from calls.voice.text.track import TextTrack


class TextSpeaker:
    """Puts sentences on its track; `run` tells the reply of them."""

    is_behind: bool = False

    def __init__(self, owner: SpeakerOwner, spawn: Callable[[], None]) -> None:
        self.track: TextTrack = TextTrack()
        self.done = False
        self._owner = owner
        self._spawn = spawn
        self._started = False
        self._more = asyncio.Event()

    def add(self, text: str) -> None:
        """Have the carrier say this after what is there."""
        self.track.append(self.track.add(text))
        self._more.set()
        if not self._started:
            self._started = True
            self._spawn()

    def finish(self) -> None:
        """No more sentences will come."""
        self.track.complete = True
        self._more.set()
        self.done = not self._started

    def hurry(self) -> None:
        """Nothing could be faster."""

    def stop(self) -> None:
        """Nothing is waited for."""

    async def run(self) -> None:
        """Tell of every sentence, and that it was the last."""
        while not self.done:
            await self._more.wait()
            self._more.clear()
            self.done = self.track.complete
            guarded(self._owner.sound_grew)


class TextVoicing:
    """Replies in text. There is one voice, which is the carrier's, and no sound of ours."""

    has_next: bool = False

    def speaker(
        self,
        owner: SpeakerOwner,
        metrics: TurnMetrics,  # noqa: ARG002
        spawn: Callable[[], None],
    ) -> TextSpeaker:
        return TextSpeaker(owner, spawn)

    def apology(self, phrases: Phrases) -> bytes:  # noqa: ARG002
        """The words are enough."""
        return b""
