"""What all voices share: segments are spoken in order, the next one made while one plays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic
from typing import TypeAlias

from agents.brain.errors import ProviderError
from calls.providers.health import ProviderHealth
from calls.voice.ports import Speech, Viseme, Word

READ_AHEAD = 1  # segments that may be synthesised before the one being taken is used up


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece of one segment's sound; words and visemes in ms from the segment's start."""

    pcm: bytes
    words: tuple[Word, ...] = ()
    visemes: tuple[Viseme, ...] = ()


SegmentVoice: TypeAlias = Callable[[str], AsyncGenerator[Sound, None]]


async def speak_ahead(
    segments: AsyncIterator[str], synthesise: SegmentVoice
) -> AsyncGenerator[Speech, None]:
    """Speak `segments` one by one with `synthesise`, at most one segment ahead of the taker.

    Closing the generator closes the segment in work and waits until it is closed. An exception
    of `synthesise` is raised here, after the sound that came before it.
    """
    ready: asyncio.Queue[Speech | None] = asyncio.Queue()
    room = asyncio.Semaphore(1 + READ_AHEAD)
    making = _make(segments, synthesise, ready, room)
    maker = asyncio.create_task(making, name="tts-segments")
    try:
        while (speech := await ready.get()) is not None:
            yield speech
            if speech.last:
                room.release()
        await maker
    finally:
        maker.cancel()
        await asyncio.gather(maker, return_exceptions=True)


async def _make(
    segments: AsyncIterator[str],
    synthesise: SegmentVoice,
    ready: asyncio.Queue[Speech | None],
    room: asyncio.Semaphore,
) -> None:
    try:
        number = 0
        await room.acquire()
        async for text in segments:
            async with aclosing(synthesise(text)) as sounds:
                async for sound in sounds:
                    ready.put_nowait(Speech(sound.pcm, number, sound.words, sound.visemes))
            ready.put_nowait(Speech(b"", number, last=True))
            number += 1
            await room.acquire()
    finally:
        ready.put_nowait(None)


def observed(synthesise: SegmentVoice, health: ProviderHealth) -> SegmentVoice:
    """The same voice, whose `health` learns of each segment's first sound and every failure."""

    async def observe(text: str) -> AsyncGenerator[Sound, None]:
        asked, sounded = monotonic(), False
        try:
            async with aclosing(synthesise(text)) as sounds:
                async for sound in sounds:
                    if sound.pcm and not sounded:
                        sounded = True
                        health.succeeded((monotonic() - asked) * 1000)
                    yield sound
        except ProviderError as error:
            health.failed(error)
            raise

    return observe
