"""Sound and recognisers for the tests of recognition."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np

from calls.providers.health import health_of
from calls.providers.provider import Credentials, RecogniserOptions, RecogniserRequest
from calls.voice.ports import Final, Partial, Recogniser

LINE_RATE = 8000


def speech(milliseconds: int, rate: int = LINE_RATE) -> bytes:
    """Something loud: the stand-ins take it for speech."""
    samples = np.sin(np.arange(milliseconds * rate // 1000) * 0.5) * 6000
    return bytes(samples.astype("<i2"))


def silence(milliseconds: int, rate: int = LINE_RATE) -> bytes:
    return bytes(milliseconds * rate // 1000 * 2)


def push(recogniser: Recogniser, pcm: bytes, rate: int = LINE_RATE) -> None:
    """As the loop does it, in frames of 20 ms, but without waiting in between."""
    frame = rate // 50 * 2
    for start in range(0, len(pcm), frame):
        recogniser.push(pcm[start : start + frame])


def say(recogniser: Recogniser, milliseconds: int = 1000, rate: int = LINE_RATE) -> None:
    """One utterance, noticed by the loop when it starts and when it ends."""
    push(recogniser, silence(100, rate), rate)
    recogniser.start_utterance()
    push(recogniser, speech(milliseconds, rate), rate)
    push(recogniser, silence(100, rate), rate)
    recogniser.finish_utterance()


async def next_final(recogniser: Recogniser) -> tuple[list[str], Final]:
    """The partials that come before the next final, and that."""
    partials: list[str] = []
    async with asyncio.timeout(10):
        async for item in recogniser:
            if isinstance(item, Final):
                return partials, item
            assert isinstance(item, Partial)
            partials.append(item.text)
    raise AssertionError("the recogniser ended without a final")


def request_for(
    credentials: Credentials,
    *,
    name: str,
    language: str = "es-MX",
    sample_rate: int = LINE_RATE,
    keyterms: Sequence[str] = (),
    options: RecogniserOptions | None = None,
) -> RecogniserRequest:
    return RecogniserRequest(
        language=language,
        sample_rate=sample_rate,
        keyterms=tuple(keyterms),
        phrases=(),
        credentials=credentials,
        options=options or RecogniserOptions(),
        health=health_of("recogniser", name, credentials),
    )
