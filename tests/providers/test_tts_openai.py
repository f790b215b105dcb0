"""Voices behind `/audio/speech`: OpenAI's, self-hosted ones, Groq's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from agents.brain.errors import (
    BadKey,
    BadRequest,
    NetworkFailure,
    ProviderDown,
    ProviderTimeout,
    QuotaExceeded,
)
from calls.providers.health import ProviderHealth
from calls.providers.provider import Credentials, SynthesiserProvider, SynthesiserRequest
from calls.providers.tts import groq, openai
from calls.providers.tts.openai import HttpSynthesiser, parts
from calls.providers.tts.options import Limits
from calls.providers.tts.wav import RawPcm, SoundError, WavStream
from calls.voice.codecs import mulaw_decode
from calls.voice.resample import Resampler
from tests.peers.openai_speech import PCM_RATE, Asked, SpeechServer, listening, ramp, wav
from tests.providers.voices import eventually, health, options, spoken, texts

HASTY = Limits(open=200, first_sound=200, next_sound=200)


@dataclass
class Line:
    voice: HttpSynthesiser
    server: SpeechServer
    health: ProviderHealth


def credentials(address: str, key: str = "right-key") -> Credentials:
    return Credentials(
        openai_audio_key=key,
        openai_audio_base_url=f"{address}/v1",
        groq_key=key,
        groq_base_url=address,
    )


@asynccontextmanager
async def line(
    *,
    vendor: Any = openai,
    client_key: str = "right-key",
    limits: Limits | None = None,
    voice: dict[str, Any] | None = None,
    **behaviour: Any,
) -> AsyncIterator[Line]:
    server, record = SpeechServer(**behaviour), health(vendor.NAME)
    async with listening(server) as address:
        wanted = options(**(voice or {}))
        endpoint = vendor._endpoint(wanted, credentials(address, client_key))
        synthesiser = HttpSynthesiser(wanted, endpoint, record, limits)
        try:
            yield Line(synthesiser, server, record)
        finally:
            await synthesiser.aclose()


def line_rate(pcm: bytes, sample_rate: int) -> bytes:
    resampler = Resampler(PCM_RATE, sample_rate)
    return resampler.process(pcm) + resampler.flush()


def asked(text: str) -> Asked:
    return Asked("", {}, {"input": text})


@pytest.mark.parametrize("sample_rate", [8000, 16000])
@pytest.mark.parametrize(("vendor", "dialect"), [(openai, "es-MX"), (groq, "en-US")])
async def test_sound_is_streamed_at_the_rate_of_the_line(
    vendor: Any, dialect: str, sample_rate: int
) -> None:
    async with line(
        vendor=vendor, voice={"dialect": dialect, "sample_rate": sample_rate}, piece=777
    ) as server:
        [said] = await spoken(server.voice, "uno dos tres")
    assert said.pcm == line_rate(ramp(asked("uno dos tres")), sample_rate)
    assert said.words == []
    assert said.closed


async def test_the_first_sound_does_not_wait_for_the_last() -> None:
    async with line(pace=0.01) as server:
        text = "palabra " * 100
        async with aclosing(server.voice.speak(texts(text))) as speech:
            first = await anext(speech)
            assert first.pcm
            assert server.server.sent < len(ramp(asked(text))) / 2


async def test_all_segments_use_one_connection() -> None:
    async with line() as server:
        await server.voice.open()
        said = await spoken(server.voice, "uno", "dos tres")
        said += await spoken(server.voice, "cuatro")
        assert server.server.connections == 1
    assert [len(segment.pcm) for segment in said] == [1600, 3200, 1600]


async def test_what_openai_is_asked_for() -> None:
    voice = {"speed": 1.2, "style": "cheerful", "voice": "male", "lexicon": {"IVA": "i va"}}
    async with line(voice=voice) as server:
        await spoken(server.voice, "más IVA")
    [request] = server.server.asked
    assert request.path == "/v1/audio/speech"
    assert request.headers["authorization"] == "Bearer right-key"
    assert request.body == {
        "model": "tts-1",
        "input": "más i va",
        "voice": "onyx",
        "response_format": "pcm",
        "speed": 1.2,
        "instructions": "Speak in a cheerful style.",
    }


async def test_a_self_hosted_server_may_be_told_model_and_voice() -> None:
    async with line(voice={"voice": "speaches-ai/Kokoro-82M@ef_dora"}) as server:
        await spoken(server.voice, "Hola")
    body = server.server.asked[0].body
    assert (body["model"], body["voice"]) == ("speaches-ai/Kokoro-82M", "ef_dora")


async def test_what_groq_is_asked_for() -> None:
    async with line(vendor=groq, voice={"dialect": "en-GB", "voice": "male"}) as server:
        await spoken(server.voice, "Hello there")
    [request] = server.server.asked
    assert request.path == "/openai/v1/audio/speech"
    assert request.body == {
        "model": "canopylabs/orpheus-v1-english",
        "input": "Hello there",
        "voice": "daniel",
        "response_format": "wav",
    }


async def test_long_segments_are_asked_for_in_parts_that_groq_takes() -> None:
    text = "This sentence goes on, and on, and on. " * 12
    async with line(vendor=groq, voice={"dialect": "en-US"}) as server:
        [said] = await spoken(server.voice, text)
    inputs = [request.body["input"] for request in server.server.asked]
    assert len(inputs) > 2
    assert all(len(part) <= 200 for part in inputs)
    assert " ".join(inputs) == text.strip()
    assert len(said.pcm) == len(text.split()) * 1600


def test_parts_are_cut_after_clauses_between_words_or_where_they_must() -> None:
    assert parts("one, two three", 8) == ["one,", "two", "three"]
    assert parts("one two", 20) == ["one two"]
    assert parts("onetwothree", 4) == ["onet", "woth", "ree"]
    assert parts("", 5) == [""]


async def test_interrupting_hangs_up_on_the_server() -> None:
    async with line(pace=0.01) as server:
        async with aclosing(server.voice.speak(texts("palabra " * 200, "nunca"))) as speech:
            await anext(speech)
        await eventually(lambda: server.server.open_connections == 0)
        assert server.server.sent < len(ramp(asked("palabra " * 200)))
        [said] = await spoken(server.voice, "sigo aquí")
        assert len(server.server.asked) == 2
    assert len(said.pcm) == 3200
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "tts-segments"]


async def test_a_wrong_key_is_told_when_opening_and_when_speaking() -> None:
    async with line(client_key="wrong-key") as server:
        with pytest.raises(BadKey, match="401") as caught:
            await server.voice.open()
        with pytest.raises(BadKey, match="so it is"):
            await spoken(server.voice, "Hola")
    assert "wrong-key" not in str(caught.value)
    assert server.health.errors == {"BadKey": 1}


async def test_a_server_without_a_list_of_models_may_be_opened() -> None:
    async with line(status=404) as server:
        await server.voice.open()


async def test_too_many_requests_say_when_to_come_back() -> None:
    async with line(status=429, retry_after="12.5") as server:
        with pytest.raises(QuotaExceeded) as caught:
            await spoken(server.voice, "Hola")
    assert caught.value.retry_after == 12.5


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, BadRequest), (403, BadKey), (404, BadRequest), (500, ProviderDown), (503, ProviderDown)],
)
async def test_refusals_have_their_cause(status: int, error: type[Exception]) -> None:
    async with line(status=status) as server:
        with pytest.raises(error, match=f"HTTP {status} so it is"):
            await spoken(server.voice, "Hola")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"detail": "no such voice"}, "no such voice"),
        ({"error": "plain"}, "plain"),
        ("<html>\n bad   gateway</html>", "<html> bad gateway</html>"),
        ("[1]", r"\[1\]"),
        ("", "HTTP 500$"),
    ],
)
async def test_error_bodies_of_any_shape_are_quoted(body: Any, said: str) -> None:
    async with line(status=500, error=body) as server:
        with pytest.raises(ProviderDown, match=said):
            await spoken(server.voice, "Hola")


async def test_a_cut_stream_gives_the_sound_before_it_and_then_fails() -> None:
    async with line(cut=2) as server:
        pcm = b""
        with pytest.raises(NetworkFailure):
            async for speech in server.voice.speak(texts("uno dos tres cuatro")):
                pcm += speech.pcm
        server.server.cut = None
        assert (await spoken(server.voice, "dos"))[0].pcm
    assert 2500 < len(pcm) <= 3200


async def test_a_kept_connection_that_died_meanwhile_is_replaced_unnoticed() -> None:
    async with line() as server:
        await server.voice.open()
        server.server.hang_ups = 1
        [said] = await spoken(server.voice, "uno")
        assert server.server.connections == 2
        server.server.hang_ups = 2
        with pytest.raises(NetworkFailure):
            await spoken(server.voice, "dos")
    assert len(said.pcm) == 1600
    assert server.health.errors == {"NetworkFailure": 1}


@pytest.mark.parametrize("cut", [0, 2])
async def test_a_mute_server_times_out(cut: int) -> None:
    async with line(cut=cut, mute=True, limits=HASTY) as server:
        with pytest.raises(ProviderTimeout):
            await spoken(server.voice, "uno dos tres cuatro")
    assert server.health.errors == {"ProviderTimeout": 1}


async def test_a_slow_first_sound_within_the_limit_is_fine() -> None:
    async with line(first_byte=0.1, limits=HASTY) as server:
        [said] = await spoken(server.voice, "uno")
    assert said.pcm
    assert server.health.latencies[0] >= 100


async def test_nobody_listening_is_a_network_failure() -> None:
    wanted = options()
    endpoint = openai._endpoint(wanted, credentials("http://127.0.0.1:9"))
    voice = HttpSynthesiser(wanted, endpoint, health())
    with pytest.raises(NetworkFailure):
        await voice.open()
    with pytest.raises(NetworkFailure):
        await spoken(voice, "Hola")
    await voice.aclose()


async def test_an_answer_that_is_no_sound_is_the_providers_fault() -> None:
    async with line(vendor=groq, speaker=lambda _: b"", voice={"dialect": "en-US"}) as server:
        assert [len(said.pcm) for said in await spoken(server.voice, "one")] == [0]
    with pytest.raises(SoundError, match="not a WAV file"):
        WavStream(8000).feed(b'{"error": "sorry"}')
    with pytest.raises(SoundError, match="no WAV header in 3 bytes"):
        stream = WavStream(8000)
        stream.feed(b"RIF")
        stream.finish()


SOUND = (np.sin(np.arange(2400) / 9) * 9000).astype("<i2").tobytes()


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_wav_files_are_read_however_they_are_cut(step: int) -> None:
    file = wav(SOUND, 8000, extra=b"LIST\x03\x00\x00\x00abc\x00")
    stream = WavStream(8000)
    read = b"".join(stream.feed(file[at : at + step]) for at in range(0, len(file), step))
    assert read + stream.finish() == SOUND


def test_mulaw_wav_files_are_read_too() -> None:
    coded = bytes(range(256))
    stream = WavStream(8000)
    assert stream.feed(wav(coded, 8000, tag=7, bits=8)) == mulaw_decode(coded)


def test_other_wav_formats_are_named() -> None:
    with pytest.raises(SoundError, match="format 3 with 1 channels of 32 bits"):
        WavStream(8000).feed(wav(b"", 8000, tag=3, bits=32))


def test_odd_pieces_of_raw_pcm_lose_no_sample() -> None:
    raw = RawPcm(24000, 8000)
    pieces = [raw.feed(SOUND[at : at + 333]) for at in range(0, len(SOUND), 333)]
    assert b"".join(pieces) + raw.finish() == line_rate(SOUND, 8000)


@pytest.mark.parametrize(
    ("provider", "reason"),
    [
        (openai.PROVIDER, "neither OPENAI_AUDIO_API_KEY nor OPENAI_AUDIO_BASE_URL"),
        (groq.PROVIDER, "no GROQ_API_KEY"),
    ],
)
def test_what_is_missing_is_named(provider: SynthesiserProvider, reason: str) -> None:
    assert provider.missing(Credentials()) == reason
    assert provider.missing(credentials("http://127.0.0.1")) == ""


def test_groq_is_for_english_only() -> None:
    assert groq.PROVIDER.cannot("es-MX")
    assert not groq.PROVIDER.cannot("en-IE")


def test_providers_build_what_was_asked_for() -> None:
    request = SynthesiserRequest(
        voice="",
        language="en-US",
        speed=1.0,
        pitch=0.0,
        style="",
        style_degree=1.0,
        lexicon={},
        sample_rate=16000,
        credentials=credentials("http://127.0.0.1"),
        health=health(),
    )
    for provider in (openai.PROVIDER, groq.PROVIDER):
        voice = provider.build(request)
        assert (voice.name, voice.sample_rate) == (provider.name, 16000)
