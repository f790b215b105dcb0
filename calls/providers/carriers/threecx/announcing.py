"""What a caller hears from us when no conversation has their sound: a last word, a ringing tone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import numpy as np

from agents.brain.errors import ProviderError
from calls.providers.carriers.carrier import Voice
from calls.providers.carriers.threecx.attach import Streams
from calls.providers.carriers.threecx.media import SAMPLE_RATE, ThreeCxMedia
from calls.voice.ports import Mark

log = logging.getLogger(__name__)

SAID = "said"
LONGEST_SECONDS = 30.0  # no last word takes longer
# The ringing tone of most of Europe and Latin America (ITU-T E.180): 425 Hz, 1 s in 5 s.
_HERTZ, _TONE_SECONDS, _CYCLE_SECONDS = 425, 1.0, 5.0
_LOUDNESS = 3000


async def say(media: ThreeCxMedia, sound: AsyncGenerator[bytes, None]) -> None:
    """Send all of a voice's sound, which may outrun the line."""
    try:
        async for pcm in sound:
            await media.send(pcm)
    finally:
        await sound.aclose()


class Announcer:
    """Speaks on legs whose conversation is over."""

    def __init__(self, streams: Streams, voice: Voice) -> None:
        self._streams, self._voice = streams, voice

    async def __call__(self, leg: str, text: str, language: str) -> None:
        """Say it, and return when it was heard. Raises LegGone and other ProviderErrors."""
        media = await self._streams.open(leg)
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                await say(media, self._voice(text, language))
                await media.mark(SAID)
                async for event in media:
                    if event == Mark(SAID):
                        return
        except TimeoutError:
            log.warning("a last word on %s took too long", leg)
        finally:
            await media.hang_up(1000)


@asynccontextmanager
async def ringing_tone(streams: Streams, leg: str) -> AsyncIterator[None]:
    """Let the caller hear that somebody is being rung. Without sound nothing is lost but that."""
    playing = asyncio.create_task(_ring(streams, leg))
    try:
        yield
    finally:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)


async def _ring(streams: Streams, leg: str) -> None:
    try:
        media = await streams.open(leg)
    except ProviderError as error:
        log.info("the caller of %s hears no ringing: %s", leg, error)
        return
    try:
        while True:
            await media.send(_tone())
            await asyncio.sleep(_CYCLE_SECONDS)
    finally:
        await media.hang_up(1000)


def _tone() -> bytes:
    at = np.arange(int(SAMPLE_RATE * _TONE_SECONDS)) / SAMPLE_RATE
    return bytes((_LOUDNESS * np.sin(2 * np.pi * _HERTZ * at)).astype("<i2").tobytes())
