"""What the tests of all voices share: options, health records, collected speech."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from agents.brain.breaker import CircuitBreaker
from calls.providers.health import ProviderHealth
from calls.providers.tts.options import VoiceOptions
from calls.voice.ports import Speech, Synthesiser, Viseme, Word


def options(**changes: Any) -> VoiceOptions:
    return VoiceOptions(**{"dialect": "es-MX", "sample_rate": 8000, **changes})


def health(name: str = "test") -> ProviderHealth:
    return ProviderHealth("synthesiser", name, CircuitBreaker(name))


async def texts(*segments: str) -> AsyncIterator[str]:
    for segment in segments:
        yield segment


@dataclass
class Spoken:
    """All of one segment's speech."""

    pcm: bytes = b""
    words: list[Word] = field(default_factory=list)
    visemes: list[Viseme] = field(default_factory=list)
    closed: bool = False

    def take(self, speech: Speech) -> None:
        assert not self.closed, "sound after the segment's last piece"
        self.pcm += speech.pcm
        self.words += speech.words
        self.visemes += speech.visemes
        self.closed = speech.last


async def spoken(voice: Synthesiser, *segments: str) -> list[Spoken]:
    """Everything `voice` says to `segments`, one item each, in order."""
    said: list[Spoken] = []
    async for speech in voice.speak(texts(*segments)):
        if speech.segment == len(said):
            said.append(Spoken())
        assert speech.segment == len(said) - 1, "segments out of order"
        said[-1].take(speech)
    return said


def words_of(said: Spoken) -> list[str]:
    return [word.text for word in said.words]


def assert_timings_hold(said: Spoken, sample_rate: int) -> None:
    """Words follow each other without overlap and end before the sound does."""
    at = 0.0
    for word in said.words:
        assert at <= word.start <= word.end, word
        at = word.end
    assert at <= len(said.pcm) / 2 * 1000 / sample_rate


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what happens on the other side of a socket; the test's time limit ends it."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the other side is a server
            await asyncio.sleep(0.005)
