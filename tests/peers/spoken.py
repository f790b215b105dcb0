"""Real speech for the stand-ins of voices, from espeak-ng, so that a demonstration is heard."""

from __future__ import annotations

from dataclasses import dataclass

from calls.providers.tts import espeak
from calls.providers.tts.lexicon import Piece
from calls.providers.tts.timing import WordTimer
from calls.providers.tts.voices import voice_name
from calls.voice.resample import resample


@dataclass(frozen=True, slots=True)
class Timed:
    """A word and when it sounds, in ms."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Speech:
    """PCM16 mono and its words."""

    pcm: bytes
    words: tuple[Timed, ...]


def espeak_recording(text: str, language: str, sample_rate: int) -> Speech:
    """`text` spoken in `language` (BCP 47) at `sample_rate` Hz. Blocks for some milliseconds."""
    voice = espeak.EspeakVoice(voice_name("embedded", None, language))
    return espeak.worker().submit(_record, text, voice, sample_rate).result()


def _record(text: str, voice: espeak.EspeakVoice, sample_rate: int) -> Speech:
    parts: list[bytes] = []
    starts: list[espeak.WordStart] = []

    def sink(pcm: bytes, words: tuple[espeak.WordStart, ...]) -> bool:
        parts.append(pcm)
        starts.extend(words)
        return True

    espeak.loaded().speak(text, voice, sink)
    pcm = b"".join(parts)
    return Speech(resample(pcm, espeak.SAMPLE_RATE, sample_rate), tuple(_words(text, starts, pcm)))


def _words(text: str, starts: list[espeak.WordStart], pcm: bytes) -> list[Timed]:
    per_ms = espeak.SAMPLE_RATE / 1000
    timer = WordTimer([Piece(text)])
    words = [w for start in starts for w in timer.at(start.position, start.sample / per_ms)]
    words += timer.finish(len(pcm) / 2 / per_ms)
    return [Timed(word.text, word.start, word.end) for word in words if word.end > word.start]
