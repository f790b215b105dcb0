"""Where the time of an answer went: every part is somebody's own, and the sum is exact."""

import asyncio
import contextvars
import random

import pytest

from calls.voice.judge import is_dictating
from calls.voice.testing import Script, run_script, run_virtually
from calls.voice.watchdog import LoopLag
from tests.voice.test_random_calls import random_options, random_script
from tests.voice.test_scripted_calls import booking, near, options, turns

PARTS = ("endpointing_delay", "llm_first_token", "tool_time", "voice_lost", "tts_first_audio")


def ms(expected):
    return pytest.approx(expected, abs=50)


def adds_up(metrics):
    parts = sum(metrics.get(name, 0.0) for name in (*PARTS, "remainder"))
    total = metrics["response_latency"] + metrics.get("overlapped", 0.0)
    return parts == pytest.approx(total, abs=0.01) and metrics["remainder"] >= 0


def test_tools_time_is_not_the_models():
    call = booking()
    call.agent_calls_tool("find_tours", seconds=0.8, result=3)
    call.agent_replies("Found three.", first_token=0.1, last_token=0.2, first_audio=0.2)
    timeline = run_script(call, options())
    for turn in timeline.turns[:2]:
        assert turn.metrics["tool_time"] == ms(800)
        assert turn.metrics["llm_first_token"] == ms(100)
        assert turn.metrics["tts_first_audio"] == ms(200)
        assert "overlapped" not in turn.metrics
        assert adds_up(turn.metrics)


def test_tool_under_a_filler_counts_up_to_the_filler():
    call = booking()
    call.agent_calls_tool("find_tours", seconds=2.0, result=3)
    call.agent_replies("Found three.", first_token=0.3)
    timeline = run_script(call, options())
    caller, agent = timeline.turns[:2]
    assert caller.metrics["tool_time"] == agent.metrics["tool_time"] == ms(1200)
    assert agent.metrics["llm_first_token"] == agent.metrics["overlapped"] == ms(300)
    assert adds_up(caller.metrics)
    assert adds_up(agent.metrics)


def test_failed_voices_time_is_not_the_next_ones():
    call = booking()
    call.agent_replies("Where to?", first_audio=None)
    timeline = run_script(call, options(first_audio_timeout=1500))
    metrics = turns(timeline, "agent")[0].metrics
    assert metrics["voice_lost"] == ms(1500)
    assert metrics["tts_first_audio"] == ms(200)
    assert adds_up(metrics)


def test_voice_that_fails_later_costs_the_first_sound_nothing():
    call = booking()
    call.faults.failing_voices = {0: 1.0}
    call.agent_replies("one two three four five six", audio_seconds=4.0)
    timeline = run_script(call, options())
    assert "voice_lost" not in turns(timeline, "agent")[0].metrics


def test_reply_made_ahead_is_overlapped_and_nothing_is_negative():
    call = booking(transcript_delay=0.1)
    call.agent_replies("Where to?", first_token=0.1, last_token=0.1, first_audio=0.1)
    timeline = run_script(call, options(preemptive=True))
    metrics = turns(timeline, "agent")[0].metrics
    assert metrics["overlapped"] == ms(200)
    assert metrics["remainder"] == 0
    assert adds_up(metrics)


@pytest.mark.parametrize("seed", range(40))
def test_parts_add_up_in_any_call(seed):
    dice = random.Random(seed)
    call, chosen = random_script(dice), random_options(dice)
    for turn in run_script(call, chosen).turns:
        assert "response_latency" not in turn.metrics or adds_up(turn.metrics)


@pytest.mark.parametrize(
    ("first", "second"),
    [("my name is j o h", "n"), ("se escribe g o", "n z"), ("my e-mail is a e", "i at home")],
)
def test_spelled_name_is_one_turn(first, second):
    call = Script(greeting=None)
    call.caller_says(first, at=0.5, until=2.0)
    call.caller_says(second, at=3.0, until=3.5)
    call.agent_replies("Thank you.")
    call.caller_hangs_up(at=8.0)
    timeline = run_script(call, options())
    assert turns(timeline, "caller")[0].text == f"{first} {second}"
    assert timeline.asked[0] >= 3.5


@pytest.mark.parametrize("text", ["from 3 a 5", "give me a", "un poco de a", "tell him so o"])
def test_lone_vowel_is_no_spelling(text):
    assert not is_dictating(text, "")


def test_loops_lag_is_measured_in_nobodys_context():
    whose = contextvars.ContextVar("whose", default="nobody's")
    seen = []

    async def work():
        whose.set("the first call's")
        lag = LoopLag()
        lag.note = lambda _: (seen.append(whose.get()), lag.leave("call"))
        lag.join("call", lambda _: None)
        await asyncio.sleep(0.15)

    run_virtually(work())
    assert seen == ["nobody's"]


def test_answer_to_keys_is_measured_from_the_last_key():
    call = Script(greeting=None)
    call.caller_presses("7#", at=1.0)
    call.agent_replies("Seven.", first_token=0.1, last_token=0.2, first_audio=0.1)
    call.caller_hangs_up(at=6.0)
    metrics = run_script(call, options()).turns[0].metrics
    assert metrics["response_latency"] / 1000 == near(0.3)
    assert adds_up(metrics)
