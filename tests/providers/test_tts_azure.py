"""Azure's voices: the real SDK against a stand-in that speaks the service's wire protocol."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
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
from calls.providers.azure_speech import speech_config
from calls.providers.health import ProviderHealth
from calls.providers.provider import Credentials
from calls.providers.tts.azure import PROVIDER, AzureSynthesiser
from calls.providers.tts.options import Limits
from calls.voice.codecs import mulaw_decode
from calls.voice.ports import Viseme, Word
from tests.peers.azure_framing import FrontDoor, listening
from tests.peers.azure_tts import AzureVoices, Recording
from tests.peers.spoken import Timed
from tests.providers.voices import eventually, health, options, spoken, texts, words_of

HASTY = Limits(open=100, first_sound=300, next_sound=300)


@dataclass
class Line:
    """A voice, the stand-in at its other end, and what is known of the provider's health."""

    voice: AzureSynthesiser
    voices: AzureVoices
    door: FrontDoor
    health: ProviderHealth


@asynccontextmanager
async def line(
    *,
    refuse: int | None = None,
    key: str | None = None,
    limits: Limits | None = None,
    voice: dict[str, Any] | None = None,
    **behaviour: Any,
) -> AsyncIterator[Line]:
    voices = AzureVoices(**behaviour)
    door = FrontDoor(voices.routes, key=key, refuse=refuse)
    async with listening(door) as address:
        credentials = Credentials(azure_endpoint=address, azure_key="right-key")
        record = health("azure")
        synthesiser = AzureSynthesiser(
            options(**(voice or {})), lambda: speech_config(credentials), record, limits
        )
        try:
            yield Line(synthesiser, voices, door, record)
        finally:
            await synthesiser.aclose()


async def test_telephone_sound_comes_as_mulaw_and_is_decoded_exactly() -> None:
    audio = bytes(range(256)) * 5
    async with line(recording=lambda _: Recording(audio)) as azure:
        [said] = await spoken(azure.voice, "Hola")
    assert said.pcm == mulaw_decode(audio)
    assert azure.voices.requests[0].output_format == "raw-8khz-8bit-mono-mulaw"


async def test_browser_sound_comes_as_pcm_and_is_left_alone() -> None:
    audio = bytes(range(256)) * 33
    async with line(recording=lambda _: Recording(audio), voice={"sample_rate": 16000}) as azure:
        [said] = await spoken(azure.voice, "Hola")
    assert said.pcm == audio
    assert azure.voices.requests[0].output_format == "raw-16khz-16bit-mono-pcm"


async def test_segments_are_spoken_in_order_over_one_socket() -> None:
    async with line() as azure:
        await azure.voice.open()
        said = await spoken(azure.voice, "Uno dos.", "Tres.", "Cuatro cinco seis.")
        again = await spoken(azure.voice, "Siete.")
    assert [len(segment.pcm) for segment in [*said, *again]] == [6400, 3200, 9600, 3200]
    assert all(segment.closed for segment in said)
    assert [request.text for request in azure.voices.requests] == [
        "Uno dos.",
        "Tres.",
        "Cuatro cinco seis.",
        "Siete.",
    ]
    assert len(azure.door.upgrades) == 1


async def test_the_next_segment_is_made_while_one_plays_and_only_that() -> None:
    async with line() as azure, aclosing(azure.voice.speak(texts("a", "b", "c", "d"))) as speech:
        piece = await anext(speech)
        await eventually(lambda: len(azure.voices.requests) == 2)
        while not piece.last:
            assert len(azure.voices.requests) == 2
            piece = await anext(speech)
        await anext(speech)
        await eventually(lambda: len(azure.voices.requests) == 3)


async def test_words_are_timed_with_the_punctuation_of_the_text() -> None:
    async with line() as azure:
        [said] = await spoken(azure.voice, "¡Hola, buenos días!")
    assert said.words == [
        Word("¡Hola,", 0, 150),
        Word("buenos", 200, 350),
        Word("días!", 400, 550),
    ]


async def test_visemes_come_on_a_browser_line_only() -> None:
    async with line(voice={"sample_rate": 16000}) as azure:
        [said] = await spoken(azure.voice, "uno dos")
        assert azure.voices.requests[0].wants["visemeEnabled"]
    assert said.visemes == [Viseme(0, 0), Viseme(1, 100), Viseme(2, 200), Viseme(3, 300)]
    async with line() as azure:
        [said] = await spoken(azure.voice, "uno dos")
        assert not azure.voices.requests[0].wants["visemeEnabled"]
    assert said.visemes == []


async def test_markup_carries_dialect_style_pace_and_pitch() -> None:
    voice = {
        "dialect": "es-AR",
        "speed": 1.15,
        "pitch": -4,
        "style": "cheerful",
        "style_degree": 1.5,
    }
    async with line(voice=voice) as azure:
        await spoken(azure.voice, "Hola")
    [request] = azure.voices.requests
    assert (request.language, request.voice) == ("es-AR", "es-AR-ElenaNeural")
    assert '<mstts:express-as style="cheerful" styledegree="1.5">' in request.ssml
    assert '<prosody rate="+15%" pitch="-4%">Hola</prosody>' in request.ssml


async def test_a_plain_voice_has_no_markup_that_changes_it() -> None:
    async with line(voice={"dialect": "en-GB", "voice": "en-GB-RyanNeural"}) as azure:
        await spoken(azure.voice, "Hello")
    [request] = azure.voices.requests
    assert (request.language, request.voice) == ("en-GB", "en-GB-RyanNeural")
    assert "prosody" not in request.ssml
    assert "express-as" not in request.ssml


async def test_text_and_settings_cannot_become_markup() -> None:
    text = 'Tom & Jerry <break time="9s"/> ]]> "quoted" \x00\x1f fin'
    voice = {"style": '"/><audio src="x"/>', "lexicon": {"Jerry": '"><evil/>'}}
    async with line(voice=voice) as azure:
        await spoken(azure.voice, text)
    [request] = azure.voices.requests
    assert request.text == text.replace("\x00\x1f", "  ")
    assert "evil" not in {element.tag.rpartition("}")[2] for element in request.root.iter()}
    assert "audio" not in {element.tag.rpartition("}")[2] for element in request.root.iter()}


async def test_pronunciations_go_as_substitutes_and_phonetics() -> None:
    lexicon = {"Spirit Tours": "Espírit Turs", "Cusco": "/kusko/"}
    async with line(voice={"lexicon": lexicon}) as azure:
        [said] = await spoken(azure.voice, "Spirit Tours va a Cusco.")
    [request] = azure.voices.requests
    assert '<sub alias="Espírit Turs">Spirit Tours</sub>' in request.ssml
    assert '<phoneme alphabet="ipa" ph="kusko">Cusco</phoneme>' in request.ssml
    assert words_of(said) == ["Spirit", "Tours", "va", "a", "Cusco."]


async def test_words_of_a_substitute_are_timed_as_written() -> None:
    words = (Timed("impuesto", 0, 300), Timed("al", 300, 350), Timed("valor", 400, 700))
    recording = Recording(bytes(6400), (*words, Timed("incluido", 700, 790)))
    async with line(
        recording=lambda _: recording, voice={"lexicon": {"IVA": "impuesto al valor"}}
    ) as azure:
        [said] = await spoken(azure.voice, "IVA incluido")
    assert said.words == [Word("IVA", 0, 700), Word("incluido", 700, 790)]


async def test_interrupting_stops_the_service_and_the_next_reply_is_clean() -> None:
    async with line(pace=0.01) as azure:
        await azure.voice.open()
        async with aclosing(azure.voice.speak(texts("palabra " * 200, "nunca"))) as speech:
            await anext(speech)
        await eventually(lambda: azure.voices.interrupted == 1)
        sent = azure.voices.chunks_sent
        assert sent < 200
        [said] = await spoken(azure.voice, "Sigo aquí.")
        assert azure.voices.chunks_sent == sent + 4
    assert len(said.pcm) == 6400
    assert [word.text for word in said.words] == ["Sigo", "aquí."]
    assert [request.text for request in azure.voices.requests][1:] == ["Sigo aquí."]


async def test_interrupting_before_the_first_sound_leaves_nothing_behind() -> None:
    async with line(first_byte=0.2) as azure:
        for _ in range(3):
            async with aclosing(azure.voice.speak(texts("uno"))) as speech:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await anext(speech)
        [said] = await spoken(azure.voice, "dos tres")
    assert len(said.pcm) == 6400
    assert (azure.health.errors, azure.health.answers) == ({}, 1)


async def test_closing_leaves_no_socket_no_task_and_no_thread_of_its_own() -> None:
    tasks = asyncio.all_tasks()
    async with line(pace=0.01) as azure:
        await azure.voice.open()
        async with aclosing(azure.voice.speak(texts("palabra " * 50))) as speech:
            await anext(speech)
        await azure.voice.aclose()
        await eventually(lambda: azure.voices.open_sockets == 0)
        names = {thread.name for thread in threading.enumerate()}
    assert len([name for name in names if name.startswith("azure-tts")]) <= 4
    assert not [task for task in asyncio.all_tasks() - tasks if "tts" in task.get_name()]


async def test_a_wrong_key_is_told_as_such_at_once() -> None:
    async with line(key="another-key", limits=HASTY) as azure:
        await azure.voice.open()
        with pytest.raises(BadKey, match="401"):
            await spoken(azure.voice, "Hola")
    assert azure.health.errors == {"BadKey": 1}


async def test_the_key_is_sent_and_never_in_a_message() -> None:
    async with line(refuse=401) as azure:
        with pytest.raises(BadKey) as caught:
            await spoken(azure.voice, "Hola")
    assert azure.door.upgrades[0].headers["ocp-apim-subscription-key"] == "right-key"
    assert "right-key" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "error"), [(403, BadKey), (429, QuotaExceeded), (503, ProviderDown)]
)
async def test_refusals_have_their_cause(status: int, error: type[Exception]) -> None:
    async with line(refuse=status) as azure:
        with pytest.raises(error, match=str(status)):
            await spoken(azure.voice, "Hola")


async def test_a_refused_request_is_a_bad_request() -> None:
    async with line(chunks=0, close=(1007, "unknown voice")) as azure:
        with pytest.raises(BadRequest, match="unknown voice"):
            await spoken(azure.voice, "Hola")
    assert azure.health.breaker.state == "closed"


async def test_a_cut_socket_gives_the_sound_before_it_and_then_fails() -> None:
    async with line(chunks=3) as azure:
        pieces = []
        with pytest.raises(NetworkFailure):
            async for speech in azure.voice.speak(texts("uno dos tres cuatro")):
                pieces.append(speech.pcm)  # noqa: PERF401 - what came before the error counts
        assert len(b"".join(pieces)) == 3 * 1600
        azure.voices.chunks = None
        [said] = await spoken(azure.voice, "uno dos")
    assert len(said.pcm) == 6400


async def test_a_server_error_in_the_stream_is_the_providers_fault() -> None:
    async with line(chunks=1, close=(1011, "internal error")) as azure:
        with pytest.raises(ProviderDown, match="internal error"):
            await spoken(azure.voice, "uno dos")


@pytest.mark.parametrize(("chunks", "message"), [(0, "no first sound"), (2, "no further sound")])
async def test_a_mute_socket_times_out_and_is_replaced(chunks: int, message: str) -> None:
    async with line(chunks=chunks, mute=True, limits=HASTY) as azure:
        with pytest.raises(ProviderTimeout, match=message):
            await spoken(azure.voice, "uno dos tres")
        azure.voices.mute, azure.voices.chunks = False, None
        [said] = await spoken(azure.voice, "uno")
    assert len(said.pcm) == 3200
    assert azure.health.errors == {"ProviderTimeout": 1}


async def test_a_slow_first_sound_within_the_limit_is_fine() -> None:
    async with line(first_byte=0.2, limits=Limits(first_sound=2000, next_sound=100)) as azure:
        [said] = await spoken(azure.voice, "uno dos")
    assert len(said.pcm) == 6400
    assert azure.health.latencies[0] >= 200


async def test_nobody_listening_is_a_network_failure() -> None:
    credentials = Credentials(azure_endpoint="ws://127.0.0.1:9", azure_key="k")
    voice = AzureSynthesiser(options(), lambda: speech_config(credentials), health(), HASTY)
    await voice.open()
    with pytest.raises(NetworkFailure):
        await spoken(voice, "Hola")
    await voice.aclose()


async def test_closing_twice_or_unopened_is_harmless() -> None:
    async with line() as azure:
        await azure.voice.aclose()
        await azure.voice.open()
        await azure.voice.aclose()
        await azure.voice.aclose()


async def test_word_times_never_run_backwards_whatever_the_service_says() -> None:
    words = (Timed("uno", 500, 900), Timed("dos", 300, 200), Timed("tres", 700, 650))
    async with line(recording=lambda _: Recording(bytes(8000), words)) as azure:
        [said] = await spoken(azure.voice, "uno dos tres")
    times = [time for word in said.words for time in (word.start, word.end)]
    assert all(one <= other for one, other in pairwise(times))


@pytest.mark.parametrize(
    ("credentials", "reason"),
    [
        (Credentials(), "AZURE_SPEECH_KEY"),
        (Credentials(azure_key="k"), "AZURE_SPEECH_REGION"),
        (Credentials(azure_key="k", azure_region="westeurope"), ""),
        (Credentials(azure_endpoint="ws://127.0.0.1:5000"), ""),
    ],
)
def test_what_is_missing_is_named(credentials: Credentials, reason: str) -> None:
    missing = PROVIDER.missing(credentials)
    assert reason in missing
    assert bool(reason) == bool(missing)
