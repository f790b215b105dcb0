"""Our own voice, for last words at carriers that have none."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator

from django.conf import settings

from agents.brain.errors import ProviderError
from agents.profiles import usual_dialect
from calls.providers.registry import build_synthesisers
from calls.voice.ports import Synthesiser

log = logging.getLogger(__name__)

SAMPLE_RATE = 8000


async def own_voice(text: str, language: str) -> AsyncGenerator[bytes, None]:
    """Speak with the first of the installation's voices that can, as PCM16 at 8 kHz."""
    voices = build_synthesisers(
        provider="",
        language=usual_dialect(language),
        sample_rate=SAMPLE_RATE,
        credentials=settings.SPEECH_CREDENTIALS,
    )
    for voice in voices:
        spoken = False
        try:
            async for pcm in _speak(voice, text):
                spoken = True
                yield pcm
            return
        except ProviderError as error:
            log.warning("%s does not say a last word: %s", voice.name, error)
            if spoken:
                return
        finally:
            await voice.aclose()


async def _speak(voice: Synthesiser, text: str) -> AsyncGenerator[bytes, None]:
    async def segments() -> AsyncIterator[str]:
        yield text

    await voice.open()
    async for speech in voice.speak(segments()):
        yield speech.pcm
