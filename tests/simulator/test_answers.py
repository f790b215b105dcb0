"""What counts as an answer to the simulated caller."""

from __future__ import annotations

from calls.models import Utterance
from calls.simulator.answers import answered
from calls.simulator.conversation import Exchange

LATENCY = {"response_latency": 480.0}


def agent(started_ms: float, **metrics: float) -> Utterance:
    return Utterance(role="agent", started_ms=started_ms, text="...", metrics=metrics)


def caller(started_ms: float) -> Utterance:
    return Utterance(role="caller", started_ms=started_ms, text="...", metrics={})


def test_a_reply_answers_what_was_said_last_before_it() -> None:
    first, second = Exchange("one", 3.0), Exchange("two", 9.0)
    turns = [agent(20), caller(3100), agent(5000, **LATENCY), caller(9200)]
    assert answered([first, second], turns) == [first]
    assert answered([first, second], [*turns, agent(11_000, **LATENCY)]) == [first, second]


def test_prompts_and_requests_to_repeat_answer_nothing() -> None:
    turns = [agent(20, tts_first_audio=14.0), agent(10_000, tts_first_audio=4.0)]
    assert answered([Exchange("one", 3.0, response=7000.0)], turns) == []


def test_one_thing_said_is_answered_once_however_often_the_agent_speaks() -> None:
    said = Exchange("one and two", 3.0)
    turns = [agent(20), agent(5000, **LATENCY), agent(7000, **LATENCY)]
    assert answered([said], turns) == [said]


def test_a_late_greeting_shifts_the_server_clock() -> None:
    first, second = Exchange("one", 3.0), Exchange("two", 6.0)
    assert answered([first, second], [agent(2000), agent(6500, **LATENCY)]) == [first]


def test_nothing_stored_answers_nothing() -> None:
    assert answered([Exchange("one", 1.0)], []) == []
