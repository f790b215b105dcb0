"""What the caller hears and sees while nothing, or too much, is happening."""

from itertools import pairwise

import pytest

from calls.voice import Event, TurnOptions
from calls.voice.ports import AgentSaid
from calls.voice.testing import Script, run_script
from tests.voice.test_scripted_calls import at, booking, names, near, options, turns
from tests.voice.test_turn_taking import when


def longest_silence(timeline, since, until):
    """Seconds between two sounds of the agent in that time."""
    sounds = [entry[0] for entry in timeline.sent if entry[1] == "media"]
    moments = [since, *(moment for moment in sounds if since < moment < until), until]
    return max(later - earlier for earlier, later in pairwise(moments))


@pytest.mark.parametrize("filler_after", [0, 1200])
def test_slow_tool_shows_life_within_every_four_seconds(filler_after):
    call = booking()
    call.agent_calls_tool("find_tours", seconds=12.0, result=3, filler="I search.")
    call.agent_replies("Found three.")
    timeline = run_script(call, options(filler_after=filler_after))
    assert longest_silence(timeline, 2.5, 15.5) <= 4.0
    assert Event.APOLOGY not in names(timeline)
    said = [data["text"] for _, name, data in timeline.events if name == Event.FILLER]
    assert said[0] == "I search."
    assert all(text != following for text, following in pairwise(said))


def test_brain_that_is_slow_after_a_tool_shows_life_too():
    call = booking()
    call.agent_calls_tool("find_tours", seconds=3.0, result=3)
    call.agent_replies("Found three.", first_token=3.5)
    timeline = run_script(call, options())
    assert longest_silence(timeline, 2.5, 9.5) <= 4.0
    assert Event.APOLOGY not in names(timeline)


def test_voice_that_is_mute_for_the_second_filler_is_apologised_for():
    call = booking(voices=1)
    call.faults.mute_voices = {0}
    call.agent_calls_tool("find_tours", seconds=9.0, result=3)
    call.agent_replies("Found three.")
    timeline = run_script(call, options(filler_after=3000, first_audio_timeout=20_000))
    assert when(timeline, Event.APOLOGY)[0] <= 2.5 + 4.0
    assert len(when(timeline, Event.FILLER)) == 1


@pytest.mark.parametrize("preemptive", [True, False])
def test_agent_without_a_reply_listens_at_once(preemptive):
    call = booking()
    timeline = run_script(call, options(preemptive=preemptive, away_after=0))
    assert timeline.states[1:] == [(near(3.0), "thinking"), (near(3.0), "listening")]
    assert turns(timeline, "agent") == []


def test_text_that_got_no_voice_is_not_in_the_turn():
    call = booking(voices=1)
    call.agent_replies("Where to?", first_audio=None)
    timeline = run_script(call, options())
    agent = turns(timeline, "agent")[0]
    assert agent.text == agent.heard_text
    assert "Where to?" not in agent.text
    assert AgentSaid(agent.text) in timeline.conversation


def test_goodbye_is_thought_of_before_it_is_said():
    call = Script(greeting=None)
    timeline = run_script(call, options(away_prompts=0))
    assert [state for _, state in timeline.states] == [
        "listening",
        "thinking",
        "speaking",
        "listening",
    ]


def test_caller_states_change_each_time():
    timeline = run_script(Script(greeting=None), TurnOptions())
    assert timeline.caller_states == [(0.0, "silent"), (near(10.0), "away")]
    assert len(when(timeline, Event.AWAY_PROMPT)) == 2


def test_key_brings_the_caller_back():
    call = Script(greeting=None)
    call.caller_presses("5", at=13.0)
    call.caller_hangs_up(at=14.0)
    states = [state for _, state in run_script(call, options()).caller_states]
    assert states == ["silent", "away", "silent"]


@pytest.mark.parametrize("until", [11.0, 9.99])
def test_caller_who_has_just_begun_is_not_asked_whether_they_are_there(until):
    call = Script(greeting=None)
    call.caller_noise(at=9.95, until=until)
    call.caller_hangs_up(at=12.0)
    timeline = run_script(call, options(vad_min_speech=60))
    prompts = when(timeline, Event.AWAY_PROMPT)
    assert prompts == ([] if until == 11.0 else [near(10.06)])


def test_preemptive_reply_without_sound_is_over_at_the_endpoint():
    call = booking(transcript_delay=0.1)
    timeline = run_script(call, options(preemptive=True))
    assert at(timeline, "listening", 1) == near(3.0)
