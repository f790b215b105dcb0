"""What a caller hears when no voice answers at all: recordings that need nothing but a file.

python -m calls.providers.tts.apology       makes the recordings anew, with espeak-ng
"""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator
from functools import lru_cache
from pathlib import Path

from calls.providers.health import health_of
from calls.providers.tts.embedded import EmbeddedSynthesiser
from calls.providers.tts.options import VoiceOptions
from calls.voice.phrases import Phrases
from calls.voice.resample import resample

RECORDED_RATE = 16_000  # Hz
_FOLDER = Path(__file__).parent / "data"
_DIALECTS = {"es": "es-MX", "en": "en-US"}
_SPEED = 0.92  # unhurried: it is heard without warning


@lru_cache(maxsize=8)
def apology_pcm(language: str, sample_rate: int) -> bytes:
    """The recorded apology in a language (BCP 47; English where there is none), PCM16 mono.

    Reads a file the first time: call it when the call is set up, not while it is going on.
    """
    root = language.partition("-")[0].lower()
    with wave.open(str(_path(root if root in _DIALECTS else "en")), "rb") as recording:
        pcm = recording.readframes(recording.getnframes())
    return resample(pcm, RECORDED_RATE, sample_rate)


def _path(language: str) -> Path:
    return _FOLDER / f"apology.{language}.wav"


async def _record(language: str, dialect: str) -> None:
    options = VoiceOptions(dialect=dialect, sample_rate=RECORDED_RATE, speed=_SPEED)
    voice = EmbeddedSynthesiser(options, health_of("synthesiser", "embedded"))
    text = Phrases.for_language(language).apology

    async def segments() -> AsyncIterator[str]:
        yield text

    pcm = b"".join([speech.pcm async for speech in voice.speak(segments())])
    _FOLDER.mkdir(exist_ok=True)
    with wave.open(str(_path(language)), "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(RECORDED_RATE)
        recording.writeframes(pcm)


async def _record_all() -> None:
    for language, dialect in _DIALECTS.items():
        await _record(language, dialect)


if __name__ == "__main__":
    asyncio.run(_record_all())
