"""The catalogue of voices, the settings, the recorded apologies and the pipeline."""

from __future__ import annotations

import asyncio
import re
import wave
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from calls.providers.tts import apology, espeak
from calls.providers.tts.apology import apology_pcm
from calls.providers.tts.levels import speech_gain
from calls.providers.tts.pipeline import Sound, speak_ahead
from calls.providers.tts.voices import (
    DIALECTS,
    VOICES,
    Gender,
    ProviderName,
    catalogue_dialect,
    voice_name,
    voices_of,
)
from calls.voice.phrases import Phrases
from tests.providers.voices import options, texts

PROMISED = [
    "es-ES",
    "es-MX",
    "es-AR",
    "es-CL",
    "es-CO",
    "es-PE",
    "en-US",
    "en-GB",
    "en-AU",
    "en-CA",
    "en-IE",
]


@pytest.mark.parametrize("dialect", PROMISED)
def test_every_dialect_has_a_woman_and_a_man(dialect: str) -> None:
    voices = voices_of(dialect)
    assert {voice.gender for voice in voices} == {Gender.FEMALE, Gender.MALE}
    assert all(re.fullmatch(rf"{dialect}-[A-Z][a-z]+Neural", voice.azure) for voice in voices)


def test_the_catalogue_has_no_other_dialects_and_no_name_twice() -> None:
    assert sorted(DIALECTS) == sorted(PROMISED)
    assert len({voice.azure for voice in VOICES}) == len(VOICES)


def test_every_embedded_voice_exists() -> None:
    def speak_all() -> None:
        for name in {voice.embedded for voice in VOICES}:
            espeak.loaded().speak("a", espeak.EspeakVoice(name), lambda *_: True)

    espeak.worker().submit(speak_all).result()


@pytest.mark.parametrize(
    ("language", "dialect"),
    [
        ("es-MX", "es-MX"),
        ("ES_mx", "es-MX"),
        ("es", "es-ES"),
        ("es-VE", "es-MX"),
        ("en", "en-US"),
        ("en-NZ", "en-GB"),
        ("pt-BR", "en-US"),
        ("", "en-US"),
    ],
)
def test_the_nearest_dialect_is_chosen(language: str, dialect: str) -> None:
    assert catalogue_dialect(language) == dialect


@pytest.mark.parametrize(
    ("provider", "wanted", "language", "name"),
    [
        ("azure", None, "es-MX", "es-MX-DaliaNeural"),
        ("azure", "male", "es-MX", "es-MX-JorgeNeural"),
        ("azure", "es-MX-LibertoNeural", "es-MX", "es-MX-LibertoNeural"),
        ("azure", "en-US-Ava:DragonHDLatestNeural", "en-US", "en-US-Ava:DragonHDLatestNeural"),
        ("azure", "JBFqnCBsd6RMkjVDRZzb", "en-GB", "en-GB-RyanNeural"),
        ("azure", "nobody", "en-GB", "en-GB-SoniaNeural"),
        ("elevenlabs", "AAAAAAAAAAAAAAAAAAAA", "es-ES", "AAAAAAAAAAAAAAAAAAAA"),
        ("elevenlabs", "en-AU-WilliamNeural", "en-AU", "IKne3meq5aSn9XLyUdCD"),
        ("openai", "af_heart", "en-US", "af_heart"),
        ("openai", "es-MX-JorgeNeural", "es-MX", "onyx"),
        ("openai", "female", "es-MX", "nova"),
        ("openai", "", "es-MX", "nova"),
        ("groq", "troy", "en-US", "troy"),
        ("groq", "af_heart", "en-US", "hannah"),
        ("embedded", "es-MX-JorgeNeural", "es-MX", "roa/es-419+edward"),
        ("embedded", "es-MX-RenataNeural", "es-MX", "roa/es-419+f2"),
        ("embedded", None, "en-GB", "gmw/en+f5"),
        ("embedded", "gmw/en+klatt4", "en-GB", "gmw/en+klatt4"),
    ],
)
def test_a_voice_is_itself_at_its_provider_and_the_most_alike_elsewhere(
    provider: ProviderName, wanted: str | None, language: str, name: str
) -> None:
    assert voice_name(provider, wanted, language) == name


@pytest.mark.parametrize(
    ("setting", "value"),
    [("speed", 0.4), ("speed", 2.1), ("pitch", 51), ("pitch", -51), ("style_degree", 0)],
)
def test_settings_out_of_bounds_are_named(setting: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{setting} is {value}; it must lie between"):
        options(**{setting: value})


def test_settings_that_sound_different_have_different_fingerprints() -> None:
    different = [
        options(),
        options(dialect="es-AR"),
        options(sample_rate=16000),
        options(voice="male"),
        options(speed=1.1),
        options(pitch=1),
        options(style="sad"),
        options(style="sad", style_degree=2),
        options(lexicon={"a": "b"}),
    ]
    assert len({one.fingerprint() for one in different}) == len(different)
    assert (
        options(lexicon={"a": "b", "c": "d"}).fingerprint()
        == options(lexicon={"c": "d", "a": "b"}).fingerprint()
    )


@pytest.mark.parametrize("language", ["es", "en"])
@pytest.mark.parametrize("sample_rate", [8000, 16000])
def test_apologies_are_recorded_speech_of_a_few_seconds(language: str, sample_rate: int) -> None:
    pcm = apology_pcm(language, sample_rate)
    assert 2 < len(pcm) / 2 / sample_rate < 7
    assert speech_gain(pcm) == pytest.approx(1, abs=0.25)
    assert np.abs(np.frombuffer(pcm[-320:], "<i2")).max() < 100


def test_apologies_follow_the_language_and_fall_back_to_english() -> None:
    assert apology_pcm("es-AR", 8000) == apology_pcm("es", 8000) != apology_pcm("en-GB", 8000)
    assert apology_pcm("fi", 8000) == apology_pcm("en", 8000)


async def test_apologies_can_be_recorded_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apology, "_FOLDER", tmp_path / "data")
    await apology._record_all()
    for language in ("es", "en"):
        with wave.open(str(tmp_path / "data" / f"apology.{language}.wav")) as made:
            frames = made.getnframes()
        recorded = len(apology_pcm(language, 16000)) / 2
        assert frames == pytest.approx(recorded, rel=0.05), Phrases.for_language(language).apology


async def test_a_voice_is_at_most_one_segment_ahead_of_its_taker() -> None:
    begun: list[str] = []

    async def say(text: str) -> AsyncGenerator[Sound, None]:
        begun.append(text)
        yield Sound(text.encode())

    async def settle() -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async with aclosing(speak_ahead(texts("a", "b", "c", "d"), say)) as speech:
        await anext(speech)
        await settle()
        assert begun == ["a", "b"]
        assert (await anext(speech)).last
        await anext(speech)
        await settle()
        assert begun == ["a", "b", "c"]


async def test_an_error_of_the_text_source_reaches_the_taker() -> None:
    async def broken() -> AsyncGenerator[str, None]:
        yield "a"
        raise LookupError("no more")

    async def say(text: str) -> AsyncGenerator[Sound, None]:
        yield Sound(text.encode())

    taken = []
    with pytest.raises(LookupError):
        async for speech in speak_ahead(broken(), say):
            taken.append(speech)  # noqa: PERF401 - what came before the error counts
    assert [speech.last for speech in taken] == [False, True]


async def test_closing_waits_until_the_segment_in_work_is_closed() -> None:
    closed: list[str] = []

    async def say(text: str) -> AsyncGenerator[Sound, None]:
        try:
            yield Sound(b"..")
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            closed.append(text)

    async with aclosing(speak_ahead(texts("a", "b"), say)) as speech:
        await anext(speech)
    assert closed == ["a"]
