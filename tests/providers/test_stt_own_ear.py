"""The contract of one final for each finished utterance, whatever the service does."""

from __future__ import annotations

import asyncio

import pytest

from calls.providers.provider import Credentials, RecogniserOptions
from calls.providers.stt.browser import PROVIDER, BrowserRecogniser
from calls.providers.stt.own_ear import OwnEar
from calls.providers.stt.transcripts import Prefix, Transcripts
from calls.voice.ports import Final, Partial
from tests.providers.sound import next_final, request_for, speech

Emitted = list[Partial | Final]


def ear_with(patience: float = 20) -> tuple[OwnEar, Emitted, list[str]]:
    emitted: Emitted = []
    silences: list[str] = []
    return OwnEar(emitted.append, patience, lambda: silences.append("silent")), emitted, silences


async def test_a_final_that_was_asked_for_has_a_latency_and_ends_the_wait() -> None:
    ear, emitted, silences = ear_with()
    ear.started()
    ear.partial("sí")
    ear.finished()
    latency = ear.final(Final("Sí."))
    assert latency is not None and latency >= 0
    assert not ear.owes
    await asyncio.sleep(0.03)
    assert emitted == [Partial("sí"), Final("Sí.")]
    assert silences == []


async def test_the_last_partial_is_taken_for_final_when_patience_is_over() -> None:
    ear, emitted, silences = ear_with()
    ear.started()
    ear.partial("quiero un tour")
    ear.finished()
    await asyncio.sleep(0.03)
    assert emitted[-1] == Final("quiero un tour")
    assert silences == []


@pytest.mark.parametrize("next_began", [True, False])
async def test_the_real_final_after_a_made_up_one_is_dropped_once(next_began: bool) -> None:
    ear, emitted, _ = ear_with()
    ear.started()
    ear.partial("sí quiero")
    ear.finished()
    await asyncio.sleep(0.03)
    if next_began:
        ear.started()
    assert ear.final(Final("Sí, quiero.")) is None
    ear.started()
    ear.finished()
    ear.final(Final("Sí, quiero."))
    assert [item.text for item in emitted if isinstance(item, Final)] == [
        "sí quiero",
        "Sí, quiero.",
    ]


async def test_other_words_after_a_made_up_final_are_kept() -> None:
    ear, emitted, _ = ear_with()
    ear.started()
    ear.partial("sí")
    ear.finished()
    await asyncio.sleep(0.03)
    ear.started()
    ear.final(Final("No."))
    assert emitted[-1] == Final("No.")


async def test_a_partial_straggling_after_a_made_up_final_is_ignored() -> None:
    ear, emitted, _ = ear_with()
    ear.started()
    ear.partial("sí")
    ear.finished()
    await asyncio.sleep(0.03)
    ear.partial("sí quiero")
    assert emitted == [Partial("sí"), Final("sí")]


async def test_speech_without_any_answer_is_empty_and_told() -> None:
    ear, emitted, silences = ear_with()
    ear.started()
    ear.finished()
    await asyncio.sleep(0.03)
    assert emitted == [Final("")]
    assert silences == ["silent"]


async def test_an_early_final_is_the_answer_unless_more_words_follow_it() -> None:
    ear, emitted, silences = ear_with()
    ear.started()
    ear.final(Final("uno"))
    ear.finished()
    assert not ear.owes
    ear.started()
    ear.final(Final("dos"))
    ear.partial("tres")
    ear.finished()
    await asyncio.sleep(0.03)
    finals = [item.text for item in emitted if isinstance(item, Final)]
    assert finals == ["uno", "dos", "tres"]
    assert silences == []


async def test_two_utterances_in_flight_get_a_final_each() -> None:
    ear, emitted, _ = ear_with()
    for text in ("uno", "dos"):
        ear.started()
        ear.partial(text)
        ear.finished()
    ear.final(Final("uno"))
    assert ear.owes
    ear.final(Final("dos"))
    assert not ear.owes
    assert [item.text for item in emitted if isinstance(item, Final)] == ["uno", "dos"]


async def test_unasked_noise_is_not_passed_on() -> None:
    ear, emitted, _ = ear_with()
    assert ear.final(Final("")) is None
    assert emitted == []


async def test_the_browsers_transcripts_come_through() -> None:
    recogniser = BrowserRecogniser(request_for(Credentials(), name="browser"))
    await recogniser.open()
    recogniser.push(speech(20))
    recogniser.start_utterance()
    recogniser.push_transcript("hola  quiero", final=False)
    recogniser.push_transcript("hola quiero un tour ", final=True)
    assert await next_final(recogniser) == (
        ["hola quiero"],
        Final("hola quiero un tour", language="es-MX"),
    )
    await recogniser.aclose()
    assert [item async for item in recogniser] == []


async def test_a_page_that_understands_nothing_gets_an_empty_final() -> None:
    options = RecogniserOptions(patience=20)
    recogniser = BrowserRecogniser(request_for(Credentials(), name="browser", options=options))
    recogniser.start_utterance()
    recogniser.finish_utterance()
    assert await next_final(recogniser) == ([], Final(""))
    await recogniser.aclose()


def test_the_browser_serves_only_where_it_is_asked_for() -> None:
    assert PROVIDER.on_request
    assert PROVIDER.missing(Credentials()) == ""


async def test_transcripts_are_read_to_the_end_before_an_error_is_raised() -> None:
    transcripts = Transcripts()
    transcripts.put(Final("uno"))
    transcripts.fail(ValueError("first"))
    transcripts.fail(ValueError("second"))
    reader = aiter(transcripts)
    assert await anext(reader) == Final("uno")
    with pytest.raises(ValueError, match="first"):
        await anext(reader)


async def test_a_reader_waits_for_what_is_put_later() -> None:
    transcripts = Transcripts()
    asyncio.get_running_loop().call_later(0.01, transcripts.put, Partial("uno"))
    assert await anext(aiter(transcripts)) == Partial("uno")


def test_the_prefix_keeps_just_the_newest_sound() -> None:
    prefix = Prefix(30, 8000)
    for digit in b"12345":
        prefix.push(bytes([digit]) * 320)
    assert prefix.take() == b"4" * 160 + b"5" * 320
    assert prefix.take() == b""


def test_no_prefix_keeps_nothing() -> None:
    prefix = Prefix(0, 8000)
    prefix.push(b"1" * 320)
    assert prefix.take() == b""
