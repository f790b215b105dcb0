"""Providers that follow a script, for measuring everything else: no network, no model, no words.

The recogniser says the same thing at the end of every utterance, the brain answers with twenty
tokens at once, the voice with two seconds of tone at once. What is left is our own time: the
socket, the consumer, the voice loop and the speech detector.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping

import numpy as np

from calls.voice.ports import (
    BrainEvent,
    Conversation,
    Final,
    Partial,
    Speech,
    TextDelta,
    Turn,
)

SAID = "I want to book a tour"
REPLY = "We have tours to the lake and to the city on every day, and they all begin at nine here."
TOKENS = 20
TONE_SECONDS = 2.0


def tokens(text: str) -> list[str]:
    """The text in pieces as a model streams them: each word with the space before it."""
    first, *others = text.split(" ")
    return [first, *(" " + word for word in others)]


def tone(sample_rate: int, seconds: float = TONE_SECONDS, hertz: float = 440.0) -> bytes:
    """PCM16 of a tone that nobody takes for speech."""
    phase = 2 * np.pi * hertz * np.arange(int(seconds * sample_rate)) / sample_rate
    return bytes((3000 * np.sin(phase)).astype("<i2").tobytes())


class ScriptedRecogniser:
    """Has the final transcript the moment an utterance is over."""

    name = "scripted"

    def __init__(self) -> None:
        self._finals: asyncio.Queue[Final] = asyncio.Queue()

    async def open(self) -> None:
        """Nothing to connect to."""

    def push(self, pcm: bytes) -> None:
        """It does not listen."""

    def start_utterance(self) -> None:
        """It will know at the end."""

    def finish_utterance(self) -> None:
        self._finals.put_nowait(Final(SAID, confidence=1.0))

    async def __aiter__(self) -> AsyncIterator[Partial | Final]:
        while True:
            yield await self._finals.get()

    async def aclose(self) -> None:
        """Nothing to close."""


class SureJudge:
    """Takes every caller for done."""

    def probability(self, transcript: str, language: str, question: str) -> float:  # noqa: ARG002
        return 1.0


class ScriptedBrain:
    """Streams the same reply, all of it at once."""

    name = "scripted"
    _tokens = tokens(REPLY)

    async def open(self) -> None:
        """Nothing to connect to."""

    async def reply(
        self,
        conversation: Conversation,  # noqa: ARG002
        committed: asyncio.Event,  # noqa: ARG002
    ) -> AsyncGenerator[BrainEvent, None]:
        for token in self._tokens:
            yield TextDelta(token)

    async def aclose(self) -> None:
        """Nothing to close."""


class ScriptedVoice:
    """Speaks every segment as two seconds of tone, given in one piece."""

    name = "scripted"

    def __init__(self, sample_rate: int, sound: bytes) -> None:
        self.sample_rate, self._sound = sample_rate, sound

    async def open(self) -> None:
        """Nothing to connect to."""

    async def speak(self, segments: AsyncIterator[str]) -> AsyncGenerator[Speech, None]:
        number = 0
        async for _text in segments:
            yield Speech(self._sound, number, last=True)
            number += 1

    async def aclose(self) -> None:
        """Nothing to close."""


class CountingStore:
    """Keeps no call's story, only counts of all of them."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts

    def event(self, at: float, name: str, data: Mapping[str, object]) -> None:  # noqa: ARG002
        self._counts[f"event.{name}"] += 1

    def turn(self, turn: Turn) -> None:
        self._counts[f"turn.{turn.role}"] += 1
