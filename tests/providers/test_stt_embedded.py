"""The embedded recogniser on real (synthetic) voices over a telephone line."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from agents.brain.errors import ProviderDown
from calls.providers.registry import Credentials, build_recognisers, describe
from calls.providers.stt.embedded import EmbeddedRecogniser, _final
from calls.providers.stt.sphinx.pool import WorkerPool, shared_pool
from calls.providers.stt.sphinx.spanish import phones_of
from calls.providers.stt.sphinx.vocabulary import vocabulary_of, words_of
from calls.simulator.clips import index
from calls.voice.codecs import mulaw_decode, mulaw_encode
from calls.voice.ports import Final, Partial, Recogniser
from calls.voice.resample import resample

KNOWLEDGE = (
    "How much does the whale watching tour cost? It costs $90 for adults and $50 for children.",
    "What time does the tour start? It starts at 8 in the morning and takes four hours.",
    "Where is the meeting point? We meet at the harbour, next to the lighthouse.",
    "Is lunch included in the price? Yes, lunch is included.",
    "How can I cancel a booking? You can cancel free of charge until two days before.",
    "Which tours do you have? We have whale watching, a city walk and an island trip.",
)
SAID = (
    "hello i would like to book a whale watching tour for saturday",
    "how much does the whale watching tour cost",
    "what time does the tour start",
    "where is the meeting point",
    "is lunch included in the price",
    "i want to cancel my booking",
    "can i speak to a person please",
    "we are four people",
    "no thank you",
    "goodbye",
)
LINE_RATE = 8000
DEMO = Path(__file__).resolve().parents[2] / "agents" / "data" / "demo"
FRAME = LINE_RATE // 50 * 2

FLITE = shutil.which("flite") or ""
flite = pytest.mark.skipif(not FLITE, reason="flite is not installed")


@pytest.fixture(scope="module", autouse=True)
def _stop_workers() -> Iterator[None]:
    yield
    shared_pool().stop()


def recogniser_for(language: str = "en-US", rate: int = LINE_RATE) -> EmbeddedRecogniser:
    (recogniser,) = build_recognisers(
        provider="embedded",
        language=language,
        sample_rate=rate,
        phrases=KNOWLEDGE,
        credentials=Credentials(),
    )
    assert isinstance(recogniser, EmbeddedRecogniser)
    return recogniser


def on_the_line(text: str, voice: str, folder: Path) -> bytes:
    """PCM16 at 8 kHz of a voice that went through mu-law, with some line silence round it."""
    path = folder / "clip.wav"
    subprocess.run([FLITE, "-voice", voice, "-t", text, "-o", str(path)], check=True)
    with wave.open(str(path)) as clip:
        pcm = clip.readframes(clip.getnframes())
        rate = clip.getframerate()
    narrow = mulaw_decode(mulaw_encode(resample(pcm, rate, LINE_RATE)))
    return bytes(FRAME * 15) + narrow + bytes(FRAME * 12)


async def hear(recogniser: Recogniser, pcm: bytes) -> tuple[list[Partial], Final]:
    """Push one utterance as the loop does: frame by frame, its start noticed 300 ms late."""
    for number, start in enumerate(range(0, len(pcm), FRAME)):
        recogniser.push(pcm[start : start + FRAME])
        if number == 20:
            recogniser.start_utterance()
    recogniser.finish_utterance()
    partials: list[Partial] = []
    async for item in recogniser:
        if isinstance(item, Final):
            return partials, item
        partials.append(item)
    raise AssertionError("ended without a final")


def word_errors(expected: str, heard: str) -> int:
    """Levenshtein distance in words."""
    reference, words = expected.split(), heard.split()
    row = list(range(len(words) + 1))
    for i, word in enumerate(reference, 1):
        above, row[0] = row[0], i
        for j, other in enumerate(words, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (word != other))
    return row[-1]


@flite
@pytest.mark.parametrize("voice", ["rms", "slt"])
async def test_callers_questions_about_the_agents_knowledge_are_understood(
    voice: str, tmp_path: Path
) -> None:
    recogniser = recogniser_for()
    await recogniser.open()
    errors = words = 0
    for sentence in SAID:
        _, final = await hear(recogniser, on_the_line(sentence, voice, tmp_path))
        errors += word_errors(sentence, final.text)
        words += len(sentence.split())
    await recogniser.aclose()
    assert errors / words <= 0.15


async def test_the_simulated_caller_is_understood_by_the_demo_agents_recogniser() -> None:
    entries = yaml.safe_load((DEMO / "en.yaml").read_text(encoding="utf-8"))
    phrases = [line for entry in entries for line in (entry["question"], *entry["phrasings"])]
    (recogniser,) = build_recognisers(
        provider="embedded",
        language="en",
        sample_rate=LINE_RATE,
        phrases=phrases,
        credentials=Credentials(),
    )
    await recogniser.open()
    errors = words = 0
    for clip in index().values():
        if clip.language != "en":
            continue
        _, final = await hear(recogniser, bytes(FRAME * 15) + clip.pcm() + bytes(FRAME * 12))
        errors += word_errors(written(clip.text), written(final.text))
        words += len(written(clip.text).split())
    await recogniser.aclose()
    assert words > 70
    assert errors / words <= 0.06


def written(text: str) -> str:
    """Both sides alike: no case, no punctuation, numbers in words."""
    return " ".join(words_of(text))


@flite
async def test_partials_come_while_the_caller_speaks(tmp_path: Path) -> None:
    recogniser = recogniser_for()
    await recogniser.open()
    partials, final = await hear(recogniser, on_the_line(SAID[1], "rms", tmp_path))
    await recogniser.aclose()
    assert len(partials) >= 3
    assert final.text.startswith(partials[0].text.split()[0])
    assert [word.start for word in final.words] == sorted(word.start for word in final.words)
    assert final.confidence and final.confidence > 0.5
    assert recogniser._request.health.answers >= 1


@flite
async def test_a_dictated_number_is_written_in_digits(tmp_path: Path) -> None:
    recogniser = recogniser_for(rate=LINE_RATE)
    await recogniser.open()
    _, final = await hear(
        recogniser, on_the_line("my number is five five five nine nine nine", "rms", tmp_path)
    )
    await recogniser.aclose()
    assert final.text == "my number is 555999"


@flite
async def test_words_said_before_it_was_open_are_not_lost(tmp_path: Path) -> None:
    recogniser = recogniser_for()
    hearing = asyncio.create_task(hear(recogniser, on_the_line(SAID[3], "rms", tmp_path)))
    await asyncio.sleep(0)
    await recogniser.open()
    _, final = await hearing
    await recogniser.aclose()
    assert final.text == SAID[3]


async def test_silence_and_a_finish_without_a_start_get_an_empty_final() -> None:
    recogniser = recogniser_for()
    await recogniser.open()
    _, final = await hear(recogniser, bytes(FRAME * 60))
    assert final.text == ""
    recogniser.finish_utterance()
    assert (await anext(aiter(recogniser))) == Final("", language="en-US")
    await recogniser.aclose()


async def test_spanish_is_declined_and_answered_with_empty_finals(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recogniser = recogniser_for("es-MX")
    await recogniser.open()
    _, final = await hear(recogniser, bytes(FRAME * 60))
    await recogniser.aclose()
    assert final.text == ""
    assert "English only" in caplog.text
    status = {(line.kind, line.name): line for line in describe(Credentials(), language="es-MX")}[
        "recogniser", "embedded"
    ]
    assert not status.available
    assert "English only" in status.reason


async def test_a_dead_decoder_raises_and_the_next_call_gets_a_new_one() -> None:
    recogniser = recogniser_for()
    await recogniser.open()
    assert recogniser._worker
    os.kill(recogniser._worker.pid, signal.SIGKILL)
    with pytest.raises(ProviderDown, match="its process ended"):
        await anext(aiter(recogniser))
    await recogniser.aclose()
    successor = recogniser_for()
    await successor.open()
    successor.finish_utterance()
    assert isinstance(await anext(aiter(successor)), Final)
    await successor.aclose()


async def test_a_closed_call_leaves_no_session_behind() -> None:
    recogniser = recogniser_for()
    await recogniser.open()
    worker = recogniser._worker
    assert worker
    before = worker.load
    await recogniser.aclose()
    await recogniser.aclose()
    assert worker.load == before - 1
    assert [item async for item in recogniser] == []


def test_a_pool_grows_only_while_all_its_processes_are_busy() -> None:
    pool = WorkerPool(size=2)
    try:
        first = pool.get()
        assert pool.get() is first
        first.join(lambda _: None)
        second = pool.get()
        assert second is not first
        second.join(lambda _: None)
        assert pool.get() in (first, second)
    finally:
        pool.stop()
    assert not first.alive


def test_the_vocabulary_of_the_same_knowledge_is_made_once() -> None:
    first = vocabulary_of(KNOWLEDGE)
    written = first.model.stat().st_mtime_ns
    assert vocabulary_of(KNOWLEDGE).model.stat().st_mtime_ns == written
    assert vocabulary_of(KNOWLEDGE[:1]) != first


def test_words_unknown_to_the_dictionary_are_read_as_spanish() -> None:
    lines = vocabulary_of(("We also go to Xochimilco.",)).dictionary.read_text().splitlines()
    assert "xochimilco K S OW CH IY M IY L K OW" in lines


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("It costs $90!", "it costs ninety dollars"),
        ("Tour 66, 1,250 guests", "tour sixty six one thousand two hundred fifty guests"),
        ("Call 5551234", "call five five five one two three four"),
        ("Room 007", "room zero zero seven"),
        ("10% off & more", "ten percent off and more"),
        ("It’s at O'Hare", "it's at o'hare"),  # noqa: RUF001
    ],
)
def test_sentences_become_the_words_that_are_spoken(written: str, spoken: str) -> None:
    assert " ".join(words_of(written)) == spoken


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("quiero", "K Y EH R OW"),
        ("guitarra", "G IY T AA R AA"),
        ("niño", "N IY N Y OW"),
        ("hoy", "OY"),
        ("Oaxaca", "OW AA K S AA K AA"),
        ("日本", ""),
    ],
)
def test_spanish_spelling_tells_the_sound(word: str, phones: str) -> None:
    assert " ".join(phones_of(word)) == phones


def test_breath_at_the_end_of_a_question_is_not_an_article() -> None:
    spoken = ["which", "tours", "do", "you", "have", "a"]
    segments = [(word, 100.0 * i, 100.0 * i + 90, 0.9) for i, word in enumerate(spoken)]
    assert _final(segments, "en").text == "which tours do you have"
    assert _final(segments[-1:], "en").text == "a"
