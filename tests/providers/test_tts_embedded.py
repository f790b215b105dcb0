"""The voice without a network: espeak-ng."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import numpy as np
import pytest

from agents.brain.errors import BadRequest
from calls.providers.tts import espeak
from calls.providers.tts.embedded import SEGMENT_PAUSE_MS, EmbeddedSynthesiser
from calls.providers.tts.levels import SPEECH_LEVEL, amplify, speech_gain
from tests.providers.voices import assert_timings_hold, health, options, spoken, texts, words_of

GREETING = "¡Hola! Gracias por llamar a Spirit Tours, ¿en qué puedo ayudarle?"
JITTER = 0.02  # seconds: espeak's voices flutter a little, never twice in the same way


def voice(**changes: object) -> EmbeddedSynthesiser:
    return EmbeddedSynthesiser(options(**changes), health())


def seconds(pcm: bytes, sample_rate: int = 8000) -> float:
    return len(pcm) / 2 / sample_rate - SEGMENT_PAUSE_MS / 1000


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("es-MX", GREETING),
        ("es-ES", GREETING),
        ("en-US", "Good morning, thank you for calling. How may I help you?"),
        ("en-IE", "Good morning — it's 9:30, isn't it?"),
    ],
)
@pytest.mark.parametrize("sample_rate", [8000, 16000])
async def test_every_word_is_timed_inside_the_sound(
    dialect: str, text: str, sample_rate: int
) -> None:
    [said] = await spoken(voice(dialect=dialect, sample_rate=sample_rate), text)
    assert words_of(said) == text.split()
    assert_timings_hold(said, sample_rate)
    assert said.closed
    assert said.visemes == []


async def test_both_sample_rates_last_equally_long() -> None:
    [narrow] = await spoken(voice(sample_rate=8000), GREETING)
    [wide] = await spoken(voice(sample_rate=16000), GREETING)
    assert seconds(narrow.pcm, 8000) == pytest.approx(seconds(wide.pcm, 16000), abs=JITTER)


async def test_duration_grows_with_the_text_and_shrinks_with_speed() -> None:
    one, three = await spoken(voice(), "Hola, buenos días.", "Hola, buenos días. " * 3)
    assert seconds(three.pcm) == pytest.approx(3 * seconds(one.pcm), rel=0.35)
    [fast] = await spoken(voice(speed=2.0), "Hola, buenos días.")
    assert 0.4 < seconds(fast.pcm) / seconds(one.pcm) < 0.7  # pauses do not shrink as much


async def test_spanish_is_not_read_as_english() -> None:
    [spanish] = await spoken(voice(dialect="es-MX"), "llamo")
    [english] = await spoken(voice(dialect="en-US"), "llamo")
    assert spanish.pcm != english.pcm


async def test_pitch_and_gender_change_the_voice() -> None:
    recordings = {
        (await spoken(voice(**changes), "Hola."))[0].pcm
        for changes in ({}, {"pitch": 30.0}, {"pitch": -30.0}, {"voice": "male"})
    }
    assert len(recordings) == 4


async def test_thousands_are_not_read_as_decimals_where_commas_group() -> None:
    [mexican] = await spoken(voice(dialect="es-MX"), "Cuesta 1,250 pesos")
    [plain] = await spoken(voice(dialect="es-MX"), "Cuesta 1250 pesos")
    [chilean] = await spoken(voice(dialect="es-CL"), "Cuesta 1,250 pesos")
    assert seconds(mexican.pcm) == pytest.approx(seconds(plain.pcm), abs=JITTER)
    assert seconds(chilean.pcm) > seconds(plain.pcm) + 5 * JITTER
    assert words_of(mexican) == ["Cuesta", "1,250", "pesos"]


async def test_pronunciations_are_spoken_and_timed_as_written() -> None:
    [said] = await spoken(voice(lexicon={"IVA": "impuesto al valor"}), "más IVA incluido")
    [same] = await spoken(voice(), "más impuesto al valor incluido")
    assert seconds(said.pcm) == pytest.approx(seconds(same.pcm), abs=JITTER)
    assert words_of(said) == ["más", "IVA", "incluido"]


@pytest.mark.parametrize("text", ["", "   ", "...", "—", "😀", "\x00\x07", "<speak>[[h@]]</speak>"])
async def test_odd_texts_end_like_others(text: str) -> None:
    [said] = await spoken(voice(), text)
    assert said.closed


async def test_each_segment_ends_with_a_pause() -> None:
    first, _ = await spoken(voice(), "Hola.", "Adiós.")
    pause = 2 * 8 * SEGMENT_PAUSE_MS
    assert first.pcm[-pause:] == bytes(pause)
    assert np.abs(np.frombuffer(first.pcm[:-pause], "<i2")).max() > 3000


async def test_closing_stops_the_library_in_the_middle_of_a_text() -> None:
    blocks: list[int] = []
    long_text = "Una frase bastante larga que no termina nunca. " * 400
    segments = texts(long_text)
    async with aclosing(voice().speak(segments)) as speech:
        async for piece in speech:
            blocks.append(len(piece.pcm))
            break
    await asyncio.wrap_future(espeak.worker().submit(lambda: None))  # it is free again
    assert len(blocks) == 1
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "tts-segments"]


async def test_two_calls_at_once_get_their_own_words() -> None:
    both = await asyncio.gather(
        spoken(voice(dialect="es-MX"), GREETING, "Adiós."),
        spoken(voice(dialect="en-US", sample_rate=16000), "How may I help you?", "Good bye."),
    )
    alone = [
        await spoken(voice(dialect="es-MX"), GREETING, "Adiós."),
        await spoken(voice(dialect="en-US", sample_rate=16000), "How may I help you?", "Good bye."),
    ]
    for together, single in zip(both, alone, strict=True):
        for one, other in zip(together, single, strict=True):
            assert words_of(one) == words_of(other)
            assert len(one.pcm) == pytest.approx(len(other.pcm), rel=0.02)


async def test_an_unknown_voice_is_a_bad_request_and_the_next_call_works() -> None:
    with pytest.raises(BadRequest, match="zzz/none"):
        await spoken(voice(voice="zzz/none"), "Hola")
    [said] = await spoken(voice(), "Hola")
    assert said.pcm


async def test_opening_loads_the_library() -> None:
    await voice().open()
    assert await asyncio.wrap_future(espeak.worker().submit(espeak.loaded))


async def test_speech_is_as_loud_as_a_telephone_voice() -> None:
    for dialect in ("es-MX", "en-US"):
        [said] = await spoken(voice(dialect=dialect), GREETING)
        assert speech_gain(said.pcm) == pytest.approx(1.0, abs=0.25)


def test_loud_peaks_are_bent_and_never_wrap_round() -> None:
    ramp = np.arange(-32768, 32768, 64, dtype=np.int16)
    loud = amplify(ramp, 3.0).astype(int)
    assert (np.diff(loud) >= 0).all()
    assert abs(loud).max() <= 32767
    quiet = np.arange(-5000, 5000, dtype=np.int16)
    assert (amplify(quiet, 2.0) == quiet * 2).all()


def test_silence_is_not_amplified() -> None:
    assert speech_gain(bytes(3200)) == 1.0
    tone = (np.sin(np.arange(8000) / 5) * 1000).astype("<i2").tobytes()
    assert speech_gain(tone) > SPEECH_LEVEL / 1000


async def test_health_learns_of_the_first_sound_and_of_failures() -> None:
    record = health()
    await spoken(EmbeddedSynthesiser(options(), record), "Hola.", "Adiós.")
    assert (record.answers, len(record.latencies)) == (2, 2)
    with pytest.raises(BadRequest):
        await spoken(EmbeddedSynthesiser(options(voice="zzz/none"), record), "Hola")
    assert record.errors == {"BadRequest": 1}
