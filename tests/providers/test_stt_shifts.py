"""The demo's questions, wherever they fall between the frames and whatever the line's noise.

The real detector cuts the utterances, the real decoder understands them, in this process: the
same sound gives the same words on every machine.
"""

from __future__ import annotations

import asyncio
import io
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml

from calls.providers.registry import Credentials, build_recognisers
from calls.providers.stt import embedded
from calls.providers.stt.embedded import EmbeddedRecogniser
from calls.providers.stt.sphinx.band import MirroredBand
from calls.providers.stt.sphinx.vocabulary import words_of
from calls.providers.stt.sphinx.wire import Message, read
from calls.providers.stt.sphinx.worker import Worker
from calls.simulator.clips import index
from calls.voice import TurnOptions
from calls.voice.codecs import mulaw_decode, mulaw_encode
from calls.voice.ports import Final
from calls.voice.resample import resample
from calls.voice.silero import SileroDetector
from calls.voice.vad import SpeechStarted, VoiceActivity
from tests.providers.test_stt_embedded import word_errors

DEMO = Path(__file__).resolve().parents[2] / "agents" / "data" / "demo"
QUESTIONS = (
    *("opening-hours", "how-much", "how-much-city", "which-tours", "where-are-you"),
    *("cancel", "children", "what-to-bring", "book-a-tour", "person"),
)
# Hz, dBFS of white noise (None: digital silence between the words), how much is understood.
LINES = [(8000, None, 1.0), (8000, -50, 0.9), (16000, None, 1.0), (16000, -60, 0.99)]


class InProcess:
    """A decoding process that is none, and the pool that has it."""

    pid = load = 0

    def __init__(self) -> None:
        self._out = io.BytesIO()
        self._worker = Worker(self._out)

    def get(self) -> InProcess:
        return self

    def join(self, answer) -> int:
        self._answer = answer
        return 1

    def leave(self, number: int) -> None:
        """Nothing is shared."""

    def send(self, message: Message) -> None:
        self._out.seek(0)
        self._out.truncate()
        self._worker.handle(message)
        self._out.seek(0)
        while (answer := read(self._out)) is not None:
            self._answer(answer)


@pytest.fixture(autouse=True)
def _in_process(monkeypatch):
    monkeypatch.setattr(embedded, "shared_pool", InProcess)


@cache
def phrases() -> list[str]:
    """Every question of the demo, as its knowledge has it."""
    entries = yaml.safe_load((DEMO / "en.yaml").read_text(encoding="utf-8"))
    return [line for entry in entries for line in (entry["question"], *entry["phrasings"])]


async def opened(rate: int) -> EmbeddedRecogniser:
    (recogniser,) = build_recognisers(
        provider="embedded",
        language="en",
        sample_rate=rate,
        phrases=phrases(),
        credentials=Credentials(),
    )
    assert isinstance(recogniser, EmbeddedRecogniser)
    await recogniser.open()
    return recogniser


def on_the_line(name: str, rate: int, shift: int, floor: int | None) -> bytes:
    """A question `shift` ms after half a second, and a second of silence, in the line's noise."""
    pcm = resample(index()[name].pcm(), 8000, rate)
    sound = bytes(rate * (500 + shift) // 1000 * 2) + pcm + bytes(rate * 2)
    if floor is not None:
        samples = np.frombuffer(sound, "<i2") + np.random.default_rng(shift).normal(
            0, 32768 * 10 ** (floor / 20), len(sound) // 2
        )
        sound = np.clip(np.rint(samples), -32768, 32767).astype("<i2").tobytes()
    return mulaw_decode(mulaw_encode(sound)) if rate == 8000 else sound


async def heard(name: str, rate: int, shift: int, floor: int | None) -> str:
    """What is understood, cut into utterances by the loop's own detector."""
    recogniser = await opened(rate)
    activity = VoiceActivity(SileroDetector(rate), TurnOptions())
    sound, frame = on_the_line(name, rate, shift, floor), rate // 50 * 2
    finals = 0
    for number, start in enumerate(range(0, len(sound) - frame + 1, frame)):
        piece = sound[start : start + frame]
        recogniser.push(piece)
        for change in activity.process(piece, number * 20.0):
            if isinstance(change, SpeechStarted):
                recogniser.start_utterance()
            else:
                recogniser.finish_utterance()
                finals += 1
    await asyncio.sleep(0)  # the decoder's answers come by the event loop
    await recogniser.aclose()
    said = [item.text async for item in recogniser if isinstance(item, Final)]
    assert len(said) == finals
    return written(" ".join(said))


def written(text: str) -> str:
    return " ".join(words_of(text))


@pytest.mark.parametrize(("rate", "floor", "accuracy"), LINES)
async def test_the_demos_questions_are_understood_at_any_shift_and_noise(rate, floor, accuracy):
    errors = words = 0
    for number, name in enumerate(QUESTIONS):
        expected = written(index()[name].text)
        errors += word_errors(expected, await heard(name, rate, 3 * number, floor))
        words += len(expected.split())
    assert errors <= (1 - accuracy) * words


async def test_the_opening_hours_are_understood_at_any_shift_against_the_frames():
    understood = {await heard("opening-hours", 16000, shift, None) for shift in range(0, 32, 4)}
    assert understood == {"what are your opening hours"}


def test_the_mirrored_band_is_faint_and_lies_where_nothing_was():
    rate = 16000
    tone = np.sin(2 * np.pi * 3000 * np.arange(rate) / rate) * 8000
    pcm = np.rint(tone).astype("<i2").tobytes()
    band = MirroredBand()
    out = b"".join(band.process(pcm[at : at + 642]) for at in range(0, len(pcm), 642))
    spectrum = np.abs(np.fft.rfft(np.frombuffer(out, "<i2").astype(float))) / rate * 2
    assert spectrum[3000] == pytest.approx(8000, rel=0.01)
    assert spectrum[5000] == pytest.approx(0.15 * 8000, rel=0.01)
    assert np.sort(spectrum)[-3] < 2
