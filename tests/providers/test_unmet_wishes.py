"""A wish for a provider that there is no key for is told once, not for every call."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from calls.providers import registry
from calls.providers.registry import Credentials, build_recognisers, build_synthesisers
from calls.voice.ports import Recogniser, Synthesiser


@pytest.fixture(autouse=True)
def new_process() -> Iterator[None]:
    registry._warn_of_unmet_wish.cache_clear()
    yield
    registry._warn_of_unmet_wish.cache_clear()


async def _a_call(wished: str) -> None:
    built: list[Recogniser | Synthesiser] = [
        *build_recognisers(
            provider=wished, language="en", sample_rate=8000, credentials=Credentials()
        ),
        *build_synthesisers(
            provider=wished, language="en", sample_rate=8000, credentials=Credentials()
        ),
    ]
    for each in built:
        await each.aclose()


async def test_many_calls_warn_once_of_each_provider(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await _a_call("azure")
    told = [record.message for record in caplog.records if "was asked for" in record.message]
    assert told == ["provider azure was asked for but cannot be used: AZURE_SPEECH_KEY is not set"]
