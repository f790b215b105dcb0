"""Whisper over real HTTP against the stand-in: what is sent, what is believed, what fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from agents.brain.errors import (
    BadKey,
    BadRequest,
    NetworkFailure,
    ProviderDown,
    ProviderError,
    ProviderTimeout,
    QuotaExceeded,
)
from calls.providers.health import ProviderHealth, health_of
from calls.providers.provider import Credentials, RecogniserOptions
from calls.providers.stt.whisper import GROQ, OPENAI, WhisperRecogniser, final_of, prompt_of
from calls.simulator.clips import find
from calls.voice.ports import Final, Recogniser
from tests.peers.azure import Script
from tests.peers.clip_hearing import ClipHearing
from tests.peers.openai_audio import TranscriptionServer, listening
from tests.providers.sound import next_final, push, request_for, say, silence, speech


@dataclass
class Service:
    """A running stand-in, seen as Groq or as an OpenAI-compatible server."""

    server: TranscriptionServer
    credentials: Credentials

    @property
    def health(self) -> ProviderHealth:
        return health_of("recogniser", "groq", self.credentials)

    def recogniser(
        self,
        *,
        keyterms: tuple[str, ...] = (),
        language: str = "es-MX",
        sample_rate: int = 8000,
        options: RecogniserOptions | None = None,
    ) -> WhisperRecogniser:
        recogniser = GROQ.build(
            request_for(
                self.credentials,
                name="groq",
                keyterms=keyterms,
                language=language,
                sample_rate=sample_rate,
                options=options,
            )
        )
        assert isinstance(recogniser, WhisperRecogniser)
        return recogniser


@asynccontextmanager
async def service(*texts: str, key: str = "right-key") -> AsyncIterator[Service]:
    """A service that understands these texts, one a request."""
    server = TranscriptionServer(hearing=Script(texts))
    async with listening(server) as address:
        yield Service(
            server,
            Credentials(
                groq_key=key,
                groq_base_url=address,
                openai_audio_key=key,
                openai_audio_base_url=f"{address}/v1/",
            ),
        )


async def hear(recogniser: Recogniser) -> Final:
    """Open, say one thing, close."""
    await recogniser.open()
    say(recogniser)
    _, final = await next_final(recogniser)
    await recogniser.aclose()
    return final


async def failure(recogniser: Recogniser) -> ProviderError:
    """The error of one utterance."""
    await recogniser.open()
    say(recogniser)
    with pytest.raises(ProviderError) as raised:
        await next_final(recogniser)
    await recogniser.aclose()
    return raised.value


async def test_an_utterance_is_sent_whole_with_the_sound_before_it() -> None:
    async with service("hola") as groq:
        recogniser = groq.recogniser(options=RecogniserOptions(prefix=100))
        await recogniser.open()
        push(recogniser, silence(1000) + speech(80))
        recogniser.start_utterance()
        push(recogniser, speech(500))
        recogniser.finish_utterance()
        push(recogniser, speech(300))  # no part of it
        _, final = await next_final(recogniser)
        await recogniser.aclose()
    (asked,) = groq.server.asked
    assert asked.pcm == silence(20) + speech(80) + speech(500)
    assert asked.rate == 8000
    assert asked.file_name == "utterance.wav"
    assert asked.path == "/openai/v1/audio/transcriptions"
    assert asked.form == {
        "model": "whisper-large-v3-turbo",
        "temperature": "0",
        "response_format": "verbose_json",
        "language": "es",
    }
    assert (final.text, final.language) == ("hola", "es")
    assert final.confidence == pytest.approx(0.819, abs=0.001)
    assert len(groq.health.latencies) == 1


async def test_one_warmed_up_connection_serves_the_whole_call() -> None:
    async with service("uno", "dos", "tres") as groq:
        recogniser = groq.recogniser()
        await recogniser.open()
        assert groq.server.connections == 1
        for text in ("uno", "dos", "tres"):
            say(recogniser)
            assert (await next_final(recogniser))[1].text == text
        await recogniser.aclose()
    assert groq.server.connections == 1


async def test_names_and_the_last_transcript_condition_the_next() -> None:
    async with service("Quiero ir a Xcaret.", "Para dos.") as groq:
        recogniser = groq.recogniser(keyterms=("Xcaret", "Spirit Tours"))
        await recogniser.open()
        for _ in range(2):
            say(recogniser)
            await next_final(recogniser)
        await recogniser.aclose()
    assert [asked.form["prompt"] for asked in groq.server.asked] == [
        "Xcaret, Spirit Tours.",
        "Xcaret, Spirit Tours. Quiero ir a Xcaret.",
    ]


async def test_utterances_in_quick_succession_come_back_in_order() -> None:
    async with service("uno", "dos") as groq:
        groq.server.delay = 0.05
        recogniser = groq.recogniser()
        await recogniser.open()
        say(recogniser)
        say(recogniser)
        texts = [(await next_final(recogniser))[1].text for _ in range(2)]
        await recogniser.aclose()
    assert texts == ["uno", "dos"]


async def test_the_language_is_left_open_where_several_may_be_spoken() -> None:
    async with service("hola") as groq:
        options = RecogniserOptions(further_languages=("en-US",))
        final = await hear(groq.recogniser(language="en-US", options=options))
    assert "language" not in groq.server.asked[0].form
    assert final.language == "es"


async def test_too_little_sound_is_not_sent() -> None:
    async with service("hola") as groq:
        recogniser = groq.recogniser()
        await recogniser.open()
        recogniser.finish_utterance()
        recogniser.start_utterance()
        push(recogniser, speech(60))
        recogniser.finish_utterance()
        finals = [(await next_final(recogniser))[1] for _ in range(2)]
        await recogniser.aclose()
    assert finals == [Final(""), Final("")]
    assert groq.server.asked == []


@pytest.mark.parametrize(
    ("status", "kind"), [(429, QuotaExceeded), (500, ProviderDown), (400, BadRequest)]
)
async def test_a_refusal_has_its_reason(status: int, kind: type[ProviderError]) -> None:
    async with service("hola") as groq:
        groq.server.status, groq.server.retry_after = status, "7.5"
        error = await failure(groq.recogniser())
    assert type(error) is kind
    assert "so it is" in str(error)
    if isinstance(error, QuotaExceeded):
        assert error.retry_after == 7.5
        assert groq.health.breaker.state == "open"
    assert groq.health.errors == {kind.__name__: 1}


async def test_a_wrong_key_is_told_when_it_is_opened() -> None:
    async with service("hola", key="wrong") as groq:
        recogniser = groq.recogniser()
        with pytest.raises(BadKey, match="Invalid API Key"):
            await recogniser.open()
        await recogniser.aclose()


async def test_a_slow_answer_is_given_up() -> None:
    async with service("hola") as groq:
        groq.server.delay = 30
        error = await failure(groq.recogniser(options=RecogniserOptions(request_timeout=100)))
    assert isinstance(error, ProviderTimeout)


@pytest.mark.parametrize("body", ["<html>", "[]", '{"text": 1}', ""])
async def test_an_answer_that_is_no_transcript_is_an_error(body: str) -> None:
    async with service("hola") as groq:
        groq.server.body = body
        error = await failure(groq.recogniser())
    assert isinstance(error, ProviderDown)
    assert "not a transcript" in str(error)


async def test_a_connection_that_breaks_once_costs_no_words() -> None:
    async with service("hola") as groq:
        groq.server.cuts = 1
        assert (await hear(groq.recogniser())).text == "hola"
    assert len(groq.server.asked) == 2


async def test_a_connection_that_breaks_twice_is_a_network_failure() -> None:
    async with service("hola") as groq:
        groq.server.cuts = 2
        assert isinstance(await failure(groq.recogniser()), NetworkFailure)


async def test_nobody_at_the_other_end_is_told_when_it_is_opened() -> None:
    credentials = Credentials(groq_key="k", groq_base_url="http://127.0.0.1:9")
    recogniser = GROQ.build(request_for(credentials, name="groq"))
    with pytest.raises(NetworkFailure):
        await recogniser.open()
    await recogniser.aclose()


async def test_closing_gives_up_what_is_under_way() -> None:
    async with service("hola") as groq:
        groq.server.delay = 30
        recogniser = groq.recogniser()
        await recogniser.open()
        say(recogniser)
        await recogniser.aclose()
        assert [item async for item in recogniser] == []


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("Gracias.", {"no_speech_prob": 0.9, "avg_logprob": -1.4}),
        ("no no no no no no no", {"compression_ratio": 3.1}),
        ("Subtítulos realizados por la comunidad de Amara.org", {}),
        ("¡Gracias por ver el video!", {}),
        ("Thank you for watching.", {}),
    ],
)
async def test_what_whisper_invents_for_noise_is_dropped(
    text: str, figures: dict[str, float]
) -> None:
    async with service(text) as groq:
        groq.server.figures = figures
        assert (await hear(groq.recogniser())).text == ""


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("Gracias.", {"no_speech_prob": 0.9, "avg_logprob": -0.3}),
        ("Sí.", {"no_speech_prob": 0.1, "avg_logprob": -1.4}),
        ("Gracias por verme mañana no puedo", {"compression_ratio": 1.2}),
    ],
)
async def test_short_and_mumbled_answers_are_kept(text: str, figures: dict[str, float]) -> None:
    async with service(text) as groq:
        groq.server.figures = figures
        assert (await hear(groq.recogniser())).text == text


async def test_the_prompt_read_back_is_no_transcript() -> None:
    async with service("Xcaret, Spirit Tours.") as groq:
        assert (await hear(groq.recogniser(keyterms=("Xcaret", "Spirit Tours")))).text == ""


def test_only_the_believable_segments_of_an_answer_are_kept() -> None:
    answer = {
        "text": "Quiero un tour. Gracias por ver el video.",
        "segments": [
            {"text": " Quiero un tour.", "avg_logprob": -0.1, "no_speech_prob": 0.0},
            {"text": " Gracias por ver el video.", "avg_logprob": -0.2, "no_speech_prob": 0.1},
        ],
    }
    assert final_of(answer, "es").text == "Quiero un tour."


def test_a_long_list_of_names_leaves_room_in_the_prompt() -> None:
    prompt = prompt_of(["Tlaquepaque"] * 200, "x" * 1000)
    assert len(prompt) < 710
    assert prompt_of([], "") == ""


async def test_any_openai_compatible_server_works_and_new_models_get_plain_json() -> None:
    async with service("hello") as audio:
        options = RecogniserOptions(models={"openai": "gpt-4o-transcribe"})
        for wished in (None, options):
            recogniser = OPENAI.build(
                request_for(audio.credentials, name="openai", options=wished, sample_rate=16000)
            )
            await recogniser.open()
            say(recogniser, rate=16000)
            await next_final(recogniser)
            await recogniser.aclose()
    whisper, newer = audio.server.asked
    assert whisper.path == "/v1/audio/transcriptions"
    assert whisper.rate == 16000
    assert (whisper.form["model"], whisper.form["response_format"]) == ("whisper-1", "verbose_json")
    assert (newer.form["model"], newer.form["response_format"]) == ("gpt-4o-transcribe", "json")


async def test_the_simulated_callers_clips_are_understood() -> None:
    async with service() as groq:
        groq.server.hearing = ClipHearing()
        recogniser = groq.recogniser()
        await recogniser.open()
        recogniser.start_utterance()
        push(recogniser, find("es-precio").pcm())
        recogniser.finish_utterance()
        _, final = await next_final(recogniser)
        await recogniser.aclose()
    assert final.text == "¿Cuánto cuesta?"


@pytest.mark.parametrize(
    ("credentials", "groq", "openai"),
    [
        (Credentials(), "GROQ_API_KEY", "OPENAI_AUDIO_BASE_URL"),
        (Credentials(groq_key="k", openai_audio_key="k"), "", ""),
        (Credentials(openai_audio_base_url="http://localhost:8000/v1"), "GROQ_API_KEY", ""),
    ],
)
def test_they_say_which_setting_is_missing(
    credentials: Credentials, groq: str, openai: str
) -> None:
    for provider, reason in ((GROQ, groq), (OPENAI, openai)):
        assert reason in provider.missing(credentials)
        assert bool(reason) == bool(provider.missing(credentials))
