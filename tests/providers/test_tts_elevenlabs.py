"""ElevenLabs' voices against a stand-in with its multi-context protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

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
from calls.providers.provider import Credentials
from calls.providers.tts.elevenlabs import PROVIDER, ElevenLabsSynthesiser
from calls.providers.tts.options import Limits
from calls.voice.codecs import mulaw_decode
from calls.voice.ports import Word
from tests.peers.elevenlabs import ElevenLabs, listening, tones
from tests.providers.voices import eventually, health, options, spoken, texts, words_of

HASTY = Limits(open=2000, first_sound=200, next_sound=200)


@dataclass
class Line:
    voice: ElevenLabsSynthesiser
    service: ElevenLabs
    health: ProviderHealth


@asynccontextmanager
async def line(
    *,
    key: str = "right-key",
    limits: Limits | None = None,
    keepalive: float = 60.0,
    voice: dict[str, Any] | None = None,
    **behaviour: Any,
) -> AsyncIterator[Line]:
    service, record = ElevenLabs(**behaviour), health("elevenlabs")
    async with listening(service) as address:
        synthesiser = ElevenLabsSynthesiser(
            options(**(voice or {})),
            key=key,
            base_url=address,
            health=record,
            limits=limits,
            keepalive=keepalive,
        )
        try:
            yield Line(synthesiser, service, record)
        finally:
            await synthesiser.aclose()


def audio_of(text: str, output_format: str) -> bytes:
    return b"".join(chunk.audio for chunk in tones(text, output_format, "es"))


async def test_telephone_sound_comes_as_mulaw_and_is_decoded_exactly() -> None:
    async with line() as eleven:
        [said] = await spoken(eleven.voice, "Hola buenos días")
    assert said.pcm == mulaw_decode(audio_of("Hola buenos días", "ulaw_8000"))


async def test_browser_sound_comes_as_pcm_and_is_left_alone() -> None:
    async with line(voice={"sample_rate": 16000}) as eleven:
        [said] = await spoken(eleven.voice, "Hola buenos días")
    assert said.pcm == audio_of("Hola buenos días", "pcm_16000")


async def test_all_segments_go_over_one_socket_each_in_a_context_of_its_own() -> None:
    async with line() as eleven:
        await eleven.voice.open()
        said = await spoken(eleven.voice, "Uno dos.", "Tres.")
        said += await spoken(eleven.voice, "Cuatro.")
        sent = eleven.service.messages
    assert [len(segment.words) for segment in said] == [2, 1, 1]
    assert len(eleven.service.upgrades) == 1
    assert [message["text"] for message in sent if message.get("flush")] == [
        "Uno dos. ",
        "Tres. ",
        "Cuatro. ",
    ]
    contexts = [message["context_id"] for message in sent if message.get("close_context")]
    assert len(set(contexts)) == 3


async def test_what_is_asked_for_is_in_the_address_and_the_first_message() -> None:
    async with line(voice={"dialect": "en-GB", "speed": 1.9}) as eleven:
        await spoken(eleven.voice, "Hello")
    [upgrade] = eleven.service.upgrades
    assert upgrade.path == "/v1/text-to-speech/Xb7hH8MSUJpSbSDYk0k2/multi-stream-input"
    assert upgrade.key == "right-key"
    assert upgrade.query["model_id"] == "eleven_flash_v2_5"
    assert upgrade.query["output_format"] == "ulaw_8000"
    assert upgrade.query["language_code"] == "en"
    first = eleven.service.messages[0]
    assert first["text"] == " "
    assert first["voice_settings"]["speed"] == 1.2


async def test_a_voice_id_cannot_leave_its_place_in_the_address() -> None:
    async with line(voice={"voice": "AAAAAAAAAAAAAAAAAAAA"}) as eleven:
        await eleven.voice.open()
    assert eleven.service.upgrades[0].path.split("/")[3] == "AAAAAAAAAAAAAAAAAAAA"


async def test_words_are_timed_by_the_characters_of_all_chunks() -> None:
    async with line() as eleven:
        [said] = await spoken(eleven.voice, "¡Hola, Ana!")
    assert said.words == [Word("¡Hola,", 0, 140), Word("Ana!", 140, 240)]


async def test_without_alignment_no_words_are_invented() -> None:
    async with line(silent_alignment=True) as eleven:
        [said] = await spoken(eleven.voice, "Hola Ana")
    assert said.words == []
    assert said.closed


async def test_pronunciations_are_sent_and_timed_as_written() -> None:
    async with line(voice={"lexicon": {"IVA": "impuesto al valor"}}) as eleven:
        [said] = await spoken(eleven.voice, "más IVA incluido")
    assert "más impuesto al valor incluido " in [m.get("text") for m in eleven.service.messages]
    assert words_of(said) == ["más", "IVA", "incluido"]


async def test_interrupting_leaves_the_old_context_behind_and_the_next_is_clean() -> None:
    async with line(pace=0.01) as eleven:
        async with aclosing(eleven.voice.speak(texts("palabra " * 30, "nunca"))) as speech:
            await anext(speech)
        [said] = await spoken(eleven.voice, "Sigo aquí.")
        assert len(eleven.service.upgrades) == 1
    assert words_of(said) == ["Sigo", "aquí."]
    assert said.pcm == mulaw_decode(audio_of("Sigo aquí.", "ulaw_8000"))
    assert "nunca " not in [message.get("text") for message in eleven.service.messages]


async def test_many_interruptions_never_exceed_the_contexts_of_a_socket() -> None:
    async with line(first_byte=0.3) as eleven:
        for _ in range(7):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await spoken(eleven.voice, "palabra")
        eleven.service.first_byte = 0
        [said] = await spoken(eleven.voice, "Hola")
        assert len(eleven.service.upgrades) == 2
        await eventually(lambda: eleven.service.open_sockets == 1)
    assert said.words


async def test_closing_leaves_no_socket_and_no_task() -> None:
    before = asyncio.all_tasks()
    async with line(pace=0.01) as eleven:
        async with aclosing(eleven.voice.speak(texts("palabra " * 30))) as speech:
            await anext(speech)
        await eleven.voice.aclose()
        await eventually(lambda: eleven.service.open_sockets == 0)
        left = [task.get_name() for task in asyncio.all_tasks() - before]
    assert not [name for name in left if name.startswith("tts")]
    assert {"close_socket": True} in eleven.service.messages


async def test_an_idle_socket_is_kept_alive() -> None:
    async with line(keepalive=0.02) as eleven:
        await eleven.voice.open()
        await eventually(lambda: eleven.service.messages.count({"text": ""}) >= 2)


async def test_a_socket_that_was_dropped_between_replies_is_replaced() -> None:
    async with line() as eleven:
        await spoken(eleven.voice, "uno")
        eleven.service.chunks = 0
        with pytest.raises(NetworkFailure):
            await spoken(eleven.voice, "dos")
        eleven.service.chunks = None
        [said] = await spoken(eleven.voice, "tres")
    assert words_of(said) == ["tres"]
    assert len(eleven.service.upgrades) == 2


async def test_a_wrong_key_is_told_as_such() -> None:
    async with line(key="wrong-key") as eleven:
        with pytest.raises(BadKey, match="Invalid API key") as caught:
            await eleven.voice.open()
        with pytest.raises(BadKey):
            await spoken(eleven.voice, "Hola")
    assert "wrong-key" not in str(caught.value)
    assert eleven.health.errors == {"BadKey": 1}


async def test_too_many_requests_say_when_to_come_back() -> None:
    async with line(refuse=429, retry_after="7") as eleven:
        with pytest.raises(QuotaExceeded) as caught:
            await eleven.voice.open()
    assert caught.value.retry_after == 7


@pytest.mark.parametrize(
    ("status", "error"), [(402, QuotaExceeded), (404, BadRequest), (503, ProviderDown)]
)
async def test_refusals_have_their_cause(status: int, error: type[Exception]) -> None:
    async with line(refuse=status) as eleven:
        with pytest.raises(error, match=str(status)):
            await eleven.voice.open()


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("invalid_api_key", BadKey),
        ("missing_permissions", BadKey),
        ("quota_exceeded", QuotaExceeded),
        ("too_many_concurrent_requests", QuotaExceeded),
        ("voice_not_found", BadRequest),
        ("system_busy", ProviderDown),
        ("something_new", ProviderDown),
    ],
)
async def test_error_messages_have_their_cause(name: str, error: type[Exception]) -> None:
    message = {"error": name, "message": "so it is", "code": 1008}
    async with line(chunks=1, error=message) as eleven:
        with pytest.raises(error, match="so it is"):
            await spoken(eleven.voice, "uno dos")


async def test_an_error_in_one_context_does_not_end_the_next() -> None:
    message = {"error": "system_busy", "message": "try later", "code": 1013}
    async with line(chunks=0, error=message) as eleven:
        with pytest.raises(ProviderDown):
            await spoken(eleven.voice, "uno")
        eleven.service.chunks = None
        [said] = await spoken(eleven.voice, "dos")
        assert len(eleven.service.upgrades) == 1
    assert said.pcm


async def test_a_cut_socket_gives_the_sound_before_it_and_then_fails() -> None:
    async with line(chunks=2) as eleven:
        pcm = b""
        with pytest.raises(NetworkFailure):
            async for speech in eleven.voice.speak(texts("uno dos tres")):
                pcm += speech.pcm
    assert pcm == mulaw_decode(audio_of("uno dos", "ulaw_8000"))


@pytest.mark.parametrize(("chunks", "message"), [(0, "no first sound"), (1, "no further sound")])
async def test_a_mute_socket_times_out_and_is_replaced(chunks: int, message: str) -> None:
    async with line(chunks=chunks, mute=True, limits=HASTY) as eleven:
        with pytest.raises(ProviderTimeout, match=message):
            await spoken(eleven.voice, "uno dos")
        eleven.service.mute, eleven.service.chunks = False, None
        [said] = await spoken(eleven.voice, "tres")
    assert words_of(said) == ["tres"]
    assert eleven.health.errors == {"ProviderTimeout": 1}


async def test_a_slow_first_sound_within_the_limit_is_fine() -> None:
    async with line(first_byte=0.1, limits=Limits(first_sound=2000, next_sound=50)) as eleven:
        [said] = await spoken(eleven.voice, "uno dos")
    assert said.pcm
    assert eleven.health.latencies[0] >= 100


async def test_nobody_listening_is_a_network_failure() -> None:
    voice = ElevenLabsSynthesiser(
        options(), key="k", base_url="http://127.0.0.1:9", health=health()
    )
    with pytest.raises(NetworkFailure):
        await voice.open()
    await voice.aclose()


async def test_a_server_that_never_answers_the_upgrade_times_out() -> None:
    clients: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, out: clients.append(out), "127.0.0.1", 0)
    address = "http://{}:{}".format(*server.sockets[0].getsockname())
    voice = ElevenLabsSynthesiser(
        options(), key="k", base_url=address, health=health(), limits=Limits(open=50)
    )
    async with server:
        with pytest.raises(ProviderTimeout, match="50 ms"):
            await voice.open()
        for client in clients:
            client.close()
            await client.wait_closed()


def test_what_is_missing_is_named() -> None:
    assert PROVIDER.missing(Credentials()) == "no ELEVENLABS_API_KEY"
    assert PROVIDER.missing(Credentials(elevenlabs_key="k")) == ""
