"""Which recognisers and voices a call gets, in which order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agents.brain.errors import BadKey, BadRequest, QuotaExceeded
from calls.providers import registry
from calls.providers.health import all_healths, forget_all, health_of, listen
from calls.providers.registry import (
    Credentials,
    build_recognisers,
    build_synthesisers,
    describe,
)
from calls.voice.ports import Recogniser

ALL_KEYS = Credentials(
    azure_key="a", azure_region="eastus", groq_key="g", openai_audio_key="o", elevenlabs_key="e"
)


@pytest.fixture(autouse=True)
def _fresh_health() -> Iterator[None]:
    forget_all()
    yield
    forget_all()


async def names_of(recognisers: list[Recogniser]) -> list[str]:
    for recogniser in recognisers:
        await recogniser.aclose()
    return [recogniser.name for recogniser in recognisers]


async def recognisers(
    wished: str, credentials: Credentials = ALL_KEYS, language: str = "en-US"
) -> list[str]:
    return await names_of(
        build_recognisers(
            provider=wished, language=language, sample_rate=8000, credentials=credentials
        )
    )


async def test_the_wished_one_comes_first_and_the_embedded_one_last() -> None:
    assert await recognisers("azure") == ["azure", "groq", "openai", "embedded"]
    assert await recognisers("openai") == ["openai", "azure", "groq", "embedded"]


async def test_a_wish_for_the_embedded_one_is_granted() -> None:
    assert await recognisers("embedded") == ["embedded", "azure", "groq", "openai"]


async def test_the_browsers_own_serves_only_when_wished() -> None:
    assert await recognisers("browser") == ["browser", "azure", "groq", "openai", "embedded"]


async def test_a_wish_without_a_key_is_replaced_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    registry._warn_of_unmet_wish.cache_clear()
    assert await recognisers("azure", Credentials(groq_key="g")) == ["groq", "embedded"]
    assert "azure was asked for but cannot be used: AZURE_SPEECH_KEY is not set" in caplog.text


async def test_an_unknown_wish_is_logged_with_the_choices(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert await recognisers("deepgram", Credentials()) == ["embedded"]
    assert "azure, groq, openai, browser, embedded" in caplog.text


async def test_one_that_cannot_do_the_language_is_left_out_unless_there_is_no_other() -> None:
    assert await recognisers("azure", language="es-MX") == ["azure", "groq", "openai"]
    assert await recognisers("azure", Credentials(), language="es-MX") == ["embedded"]


async def test_a_failing_one_goes_behind_the_healthy_ones_until_it_recovers() -> None:
    health = health_of("recogniser", "azure", ALL_KEYS)
    for _ in range(3):
        health.failed(BadKey("azure", "401"))
    assert await recognisers("azure") == ["groq", "openai", "embedded", "azure"]
    health.succeeded(120)
    assert await recognisers("azure") == ["azure", "groq", "openai", "embedded"]


async def test_one_tenants_bad_key_is_not_anothers_trouble() -> None:
    others = Credentials(azure_key="wrong", azure_region="eastus")
    for _ in range(3):
        health_of("recogniser", "azure", others).failed(BadKey("azure", "401"))
    assert await recognisers("azure", others) == ["embedded", "azure"]
    assert (await recognisers("azure"))[0] == "azure"


async def test_an_exhausted_quota_moves_it_back_at_once_a_refused_request_never() -> None:
    health = health_of("recogniser", "groq", ALL_KEYS)
    for _ in range(5):
        health.failed(BadRequest("groq", "no such model"))
    assert (await recognisers("groq"))[0] == "groq"
    health.failed(QuotaExceeded("groq", "slow down", retry_after=20))
    assert (await recognisers("groq"))[-1] == "groq"


async def fallen_back(
    wished: str, *fallbacks: str, credentials: Credentials = ALL_KEYS, language: str = "en-US"
) -> list[str]:
    return await names_of(
        build_recognisers(
            provider=wished, fallbacks=fallbacks, language=language, sample_rate=8000,
            credentials=credentials,
        )
    )  # fmt: skip


async def test_the_profiles_fallbacks_follow_in_their_order_and_nobody_else() -> None:
    assert await fallen_back("azure", "openai", "groq") == ["azure", "openai", "groq", "embedded"]
    assert await fallen_back("groq", "openai") == ["groq", "openai", "embedded"]
    assert await fallen_back("groq", "openai", language="es-MX") == ["groq", "openai"]


async def test_a_fallback_without_a_key_is_left_out_and_the_embedded_one_stays() -> None:
    azure_only = Credentials(azure_key="a", azure_region="eastus")
    assert await fallen_back("openai", "groq", credentials=azure_only) == ["embedded"]
    assert await fallen_back("openai", "azure", credentials=azure_only) == ["azure", "embedded"]


async def test_the_browsers_own_serves_as_a_fallback_that_is_named() -> None:
    assert await fallen_back("azure", "browser", credentials=Credentials()) == [
        "browser",
        "embedded",
    ]


async def test_a_failing_fallback_goes_behind_the_healthy_ones() -> None:
    for _ in range(3):
        health_of("recogniser", "openai", ALL_KEYS).failed(BadKey("openai", "401"))
    assert await fallen_back("azure", "openai", "groq") == ["azure", "groq", "embedded", "openai"]


async def test_voices_fall_back_in_the_profiles_order() -> None:
    voices = build_synthesisers(
        provider="openai",
        fallbacks=("azure", "elevenlabs"),
        language="es-MX",
        sample_rate=8000,
        credentials=ALL_KEYS,
    )
    for voice in voices:
        await voice.aclose()
    assert [voice.name for voice in voices] == ["openai", "azure", "elevenlabs", "embedded"]


async def test_voices_are_chosen_the_same_way() -> None:
    voices = build_synthesisers(
        provider="azure", language="es-MX", sample_rate=8000, credentials=ALL_KEYS
    )
    names = [voice.name for voice in voices]
    for voice in voices:
        await voice.aclose()
    assert names[0] == "azure"
    assert names[-1] == "embedded"


def test_the_banner_says_what_is_there_and_why_the_rest_is_not() -> None:
    lines = {(line.kind, line.name): line for line in describe(Credentials(groq_key="g"))}
    assert lines["recogniser", "groq"].available
    azure = lines["recogniser", "azure"]
    assert (azure.available, azure.reason) == (False, "AZURE_SPEECH_KEY is not set")
    embedded = lines["recogniser", "embedded"]
    assert embedded.available
    assert "demonstration" in embedded.reason
    assert lines["synthesiser", "embedded"].available


def test_keys_do_not_show_when_credentials_are_printed() -> None:
    assert repr(Credentials(groq_key="gsk_secret")) == "Credentials(…)"


def test_metrics_can_be_listened_to_and_read() -> None:
    heard: list[tuple[str, str, float | None, str]] = []
    stop = listen(lambda *report: heard.append(report))
    health = health_of("recogniser", "azure")
    health.succeeded(120.0)
    health.failed(BadKey("azure", "401"))
    stop()
    health.succeeded(80.0)
    assert heard == [("recogniser", "azure", 120.0, ""), ("recogniser", "azure", None, "BadKey")]
    (known,) = all_healths()
    assert list(known.latencies) == [120.0, 80.0]
    assert (known.answers, known.errors) == (2, {"BadKey": 1})
