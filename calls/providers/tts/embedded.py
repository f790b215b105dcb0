"""The voice that is always there: espeak-ng out of a wheel, without key, network or system package.

It sounds like what it is, a formant synthesiser, brought to the loudness of a telephone voice.
Its word events are exact to the sample, so heard text is exact as well.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import soxr

from agents.brain.errors import BadRequest, ProviderDown, ProviderError
from calls.providers.health import ProviderHealth
from calls.providers.provider import Credentials, SynthesiserProvider, SynthesiserRequest
from calls.providers.tts import espeak
from calls.providers.tts.levels import amplify, speech_gain
from calls.providers.tts.lexicon import Lexicon, Piece, spoken_text
from calls.providers.tts.options import VoiceOptions
from calls.providers.tts.pipeline import Sound, observed, speak_ahead
from calls.providers.tts.timing import WordTimer
from calls.providers.tts.voices import voice_name
from calls.voice.ports import Speech

NAME: Final = "embedded"
SEGMENT_PAUSE_MS = 180  # espeak ends with the last sound; sentences need air between them

_CALIBRATION = "Hola, buenos días. One moment please, we are here to help you."
_COMMA_GROUPS = ("es-MX", "es-PE")  # where 1,250 is a thousand and more
_GROUPED_NUMBER = re.compile(r"((?<!\d)\d{1,3}(?:,\d{3})+(?!\d))")
_gains: dict[espeak.EspeakVoice, float] = {}  # touched by the worker's thread only


@dataclass(slots=True)
class _Block:
    pcm: bytes
    words: tuple[espeak.WordStart, ...]


@dataclass(slots=True)
class _Job:
    """One text on its way through the worker's thread, and the way back to the loop."""

    text: str
    voice: espeak.EspeakVoice
    sample_rate: int
    loop: asyncio.AbstractEventLoop
    done: asyncio.Queue[_Block | None] = field(default_factory=asyncio.Queue)
    cancelled: bool = False

    def run(self) -> None:
        """In the worker's thread: synthesise, level, resample, hand over block by block."""
        library = espeak.loaded()
        gain = _gain(library, self.voice)
        converter = soxr.ResampleStream(espeak.SAMPLE_RATE, self.sample_rate, 1, dtype="int16")

        def sink(pcm: bytes, words: tuple[espeak.WordStart, ...]) -> bool:
            samples = amplify(np.frombuffer(pcm, "<i2"), gain)
            self._hand_over(_Block(converter.resample_chunk(samples).tobytes(), words))
            return not self.cancelled

        if not self.cancelled:
            library.speak(self.text, self.voice, sink)
            rest = converter.resample_chunk(np.zeros(0, np.int16), last=True)
            self._hand_over(_Block(rest.tobytes(), ()))

    def _hand_over(self, block: _Block | None) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self.loop.call_soon_threadsafe(self.done.put_nowait, block)

    def finished(self, _: object) -> None:
        """The worker is through with it, for better or worse."""
        self.done.put_nowait(None)


def _gain(library: espeak.Espeak, voice: espeak.EspeakVoice) -> float:
    """How much louder this voice has to be; measured once, on a sentence of both languages."""
    if voice not in _gains:
        parts: list[bytes] = []

        def sink(pcm: bytes, words: tuple[espeak.WordStart, ...]) -> bool:  # noqa: ARG001
            parts.append(pcm)
            return True

        library.speak(_CALIBRATION, voice, sink)
        _gains[voice] = speech_gain(b"".join(parts))
    return _gains[voice]


class EmbeddedSynthesiser:
    """Speaks through espeak-ng, for any number of calls at once."""

    name = NAME

    def __init__(self, options: VoiceOptions, health: ProviderHealth) -> None:
        self._health = health
        self.sample_rate = options.sample_rate
        self._lexicon = Lexicon(options.lexicon)
        self._comma_groups = options.dialect in _COMMA_GROUPS
        self._voice = espeak.EspeakVoice(
            voice_name(NAME, options.voice, options.dialect),
            round(espeak.NORMAL_RATE * options.speed),
            _pitch(options.pitch),
        )

    async def open(self) -> None:
        """Load the library, if it is not loaded yet. Raises ProviderDown if it cannot be."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(espeak.worker(), espeak.loaded)
        except (OSError, espeak.EspeakError) as error:
            raise ProviderDown(NAME, str(error)) from error

    def speak(self, segments: AsyncIterator[str]) -> AsyncGenerator[Speech, None]:
        """Speak each segment as it comes; closing the generator stops at once."""
        return speak_ahead(segments, observed(self._synthesise, self._health))

    async def aclose(self) -> None:
        """There is nothing of one call to close."""

    async def _synthesise(self, text: str) -> AsyncGenerator[Sound, None]:
        pieces = self._pieces(text)
        loop = asyncio.get_running_loop()
        job = _Job(spoken_text(pieces), self._voice, self.sample_rate, loop)
        work = loop.run_in_executor(espeak.worker(), job.run)
        work.add_done_callback(job.finished)
        timer, played = WordTimer(pieces), 0
        try:
            while (block := await job.done.get()) is not None:
                words = [word for start in block.words for word in timer.at(*self._in_ms(start))]
                played += len(block.pcm)
                if block.pcm or words:
                    yield Sound(block.pcm, tuple(words))
            await work
            yield Sound(self._pause(), timer.finish(played / 2 * 1000 / self.sample_rate))
        except (OSError, espeak.EspeakError) as error:
            raise _typed(error) from error
        finally:
            job.cancelled = True
            work.cancel()

    def _pieces(self, text: str) -> tuple[Piece, ...]:
        pieces = self._lexicon.pieces(text)
        if not self._comma_groups:
            return pieces
        return tuple(part for piece in pieces for part in _without_comma_groups(piece))

    def _in_ms(self, start: espeak.WordStart) -> tuple[int, float]:
        return start.position, start.sample * 1000 / espeak.SAMPLE_RATE

    def _pause(self) -> bytes:
        return bytes(2 * (self.sample_rate * SEGMENT_PAUSE_MS // 1000))


def _without_comma_groups(piece: Piece) -> Iterator[Piece]:
    """`1,250` as 1250: espeak's Spanish takes every comma in a number for a decimal one."""
    if piece.alias is not None or piece.ipa is not None:
        yield piece
        return
    for part in _GROUPED_NUMBER.split(piece.written):
        grouped = _GROUPED_NUMBER.fullmatch(part)
        yield Piece(part, alias=part.replace(",", "") if grouped else None)


def _typed(error: OSError | espeak.EspeakError) -> ProviderError:
    kind = BadRequest if isinstance(error, espeak.EspeakError) else ProviderDown
    return kind(NAME, str(error))


def _pitch(percent: float) -> int:
    """espeak's 0 to 99 for a change in percent: measured, 1 % is 0.8 of its steps."""
    return max(0, min(99, round(espeak.NORMAL_PITCH + 0.8 * percent)))


def warm_up() -> None:
    """Load the library and measure the default voices. Blocks for some 20 ms."""
    espeak.worker().submit(_measure_defaults).result()


def _measure_defaults() -> None:
    for dialect in ("es-ES", "es-MX", "en-US", "en-GB"):
        _gain(espeak.loaded(), espeak.EspeakVoice(voice_name(NAME, None, dialect)))


def _missing(credentials: Credentials) -> str:  # noqa: ARG001
    return ""


def _build(request: SynthesiserRequest) -> EmbeddedSynthesiser:
    return EmbeddedSynthesiser(VoiceOptions.of(request), request.health)


PROVIDER = SynthesiserProvider(
    NAME,
    "synthesiser",
    _build,
    _missing,
    warm_up=warm_up,
    note="espeak-ng: understood well, sounds like a machine",
    last_resort=True,
)
