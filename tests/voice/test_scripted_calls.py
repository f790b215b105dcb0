"""The table of scripted calls: each row is one promise of the loop, to 0.05 s."""

from typing import Any

import pytest

from calls.voice import TurnOptions
from calls.voice.ports import AgentSaid, CallerSaid, ToolRan
from calls.voice.testing import Script, Timeline, run_script

TOLERANCE = 0.05


def near(seconds):
    return pytest.approx(seconds, abs=TOLERANCE)


def booking(transcript_delay=0.2, **script) -> Script:
    """The caller asks for a tour from 0.5 to 2.5 s."""
    call = Script(greeting=None, **script)
    call.caller_says("book a tour", at=0.5, until=2.5, transcript_delay=transcript_delay)
    call.caller_hangs_up(at=25.0)
    return call


def monologue(**script) -> Script:
    """The agent answers with 10 s of sound from 3.5 s on."""
    call = booking(**script)
    call.agent_replies(
        "one two three four five six seven eight nine ten",
        first_token=0.1,
        last_token=0.3,
        first_audio=0.2,
        audio_seconds=10.0,
    )
    return call


def options(**chosen) -> TurnOptions:
    return TurnOptions(**{"endpointing_min": 500, "preemptive": False, **chosen})


def at(timeline: Timeline, state: str, number: int = 0) -> float:
    """When the agent came into a state for the nth time."""
    return [seconds for seconds, name in timeline.states if name == state][number]


def cleared(timeline: Timeline) -> list[Any]:
    return [entry[0] for entry in timeline.sent if entry[1] == "clear"]


def turns(timeline: Timeline, role: str):
    return [turn for turn in timeline.turns if turn.role == role]


def names(timeline: Timeline) -> list[str]:
    return [name for _, name, _ in timeline.events]


def test_plain_turn_is_answered_after_the_endpoint():
    call = booking()
    call.agent_replies(
        "Where to?", first_token=0.1, last_token=0.3, first_audio=0.2, audio_seconds=2.0
    )
    timeline = run_script(call, options())
    assert at(timeline, "thinking") == near(3.0)
    assert at(timeline, "speaking") == near(3.5)
    assert at(timeline, "listening", 1) == near(at(timeline, "speaking") + 2.0)
    caller, agent = timeline.turns[:2]
    assert (caller.role, caller.text) == ("caller", "book a tour")
    assert (caller.started, caller.ended) == (near(0.5), near(2.5))
    assert (agent.text, agent.heard_text, agent.interrupted) == ("Where to?", "Where to?", False)
    for metrics in (caller.metrics, agent.metrics):
        assert metrics["endpointing_delay"] == pytest.approx(500, abs=50)
        assert metrics["transcript_delay"] == pytest.approx(200, abs=50)
        assert metrics["llm_first_token"] == pytest.approx(100, abs=50)
        assert metrics["tts_first_audio"] == pytest.approx(200, abs=50)
        assert metrics["response_latency"] == pytest.approx(1000, abs=50)


def test_preemptive_reply_speaks_at_the_endpoint_and_is_asked_for_once():
    call = booking(transcript_delay=0.1)
    call.agent_replies("Where to?", first_token=0.1, last_token=0.3, first_audio=0.3)
    timeline = run_script(call, options(preemptive=True))
    assert 3.0 - TOLERANCE <= at(timeline, "speaking") <= 3.2 + TOLERANCE
    assert timeline.asked == [near(2.6)]
    assert [turn.text for turn in timeline.turns[:2]] == ["book a tour", "Where to?"]


def test_preemptive_reply_is_not_played_before_the_endpoint():
    call = booking(transcript_delay=0.1)
    call.agent_replies("Where to?", first_token=0.0, last_token=0.0, first_audio=0.0)
    timeline = run_script(call, options(preemptive=True, endpointing_min=1000))
    assert timeline.asked == [near(2.6)]
    assert timeline.sent[0][0] == near(3.5)


@pytest.mark.parametrize("replies", [["wrong", "right"], ["right"]])
def test_preemptive_reply_is_discarded_when_the_caller_goes_on(replies):
    call = booking(transcript_delay=0.1)
    call.caller_says("for two people", at=2.9, until=4.0, transcript_delay=0.1)
    call.agent_calls_tool("find_tours", seconds=0.1, result="first")
    for text in replies:
        call.agent_replies(text, first_token=0.1, last_token=0.2, first_audio=0.1)
    timeline = run_script(call, options(preemptive=True))
    caller, agent = timeline.turns[:2]
    assert caller.text == "book a tour for two people"
    assert agent.text == "right"
    assert len(timeline.asked) == 2
    runs = 0 if len(replies) == 2 else 1
    assert len(timeline.tools) == runs
    assert all(tool.started >= 4.5 - TOLERANCE for tool in timeline.tools)
    assert at(timeline, "speaking") >= 4.5 - TOLERANCE


def test_barge_in_clears_and_keeps_what_was_heard():
    call = monologue()
    call.caller_says("stop", at=5.0, until=6.0)
    timeline = run_script(call, options(bargein_min_duration=500))
    assert cleared(timeline) == [near(5.5)]
    assert timeline.playout[0] == near(2.0)
    agent = turns(timeline, "agent")[0]
    assert agent.interrupted
    assert agent.heard_text == "one two"
    assert agent.text.startswith(agent.heard_text)
    assert agent.metrics["bargein_stop"] == pytest.approx(500, abs=50)
    assert turns(timeline, "caller")[1].text == "stop"


def test_speech_too_short_does_not_interrupt():
    call = monologue()
    call.caller_noise(at=5.0, until=5.2)
    timeline = run_script(call, options(bargein_min_duration=500))
    assert cleared(timeline) == []
    assert timeline.playout[0] == near(10.0)
    assert not turns(timeline, "agent")[0].interrupted


@pytest.mark.parametrize("duration", [400, 500, 200])
@pytest.mark.parametrize("word", ["ajá", "sí", "ok", "uh-huh"])
def test_backchannel_does_not_interrupt_and_is_in_the_transcript(word, duration):
    call = monologue()
    call.caller_says(word, at=5.0, until=5.4)
    timeline = run_script(call, options(bargein_min_duration=duration))
    agent = turns(timeline, "agent")[0]
    assert not agent.interrupted
    assert timeline.playout[0] == near(10.0)
    assert word in [turn.text for turn in turns(timeline, "caller")]
    assert len(timeline.asked) == 1


def test_min_words_interrupts_only_when_they_are_there():
    call = monologue()
    call.caller_says("stop", at=5.0, until=5.6)
    call.caller_says("please stop now", at=6.5, until=7.5)
    timeline = run_script(call, options(bargein_min_words=3))
    (when,) = cleared(timeline)
    assert 6.5 < when <= 7.5 + TOLERANCE
    assert turns(timeline, "agent")[0].interrupted


def test_caller_who_goes_on_while_the_agent_thinks_gets_one_reply():
    call = booking()
    call.caller_says("for two", at=3.1, until=4.0)
    call.agent_replies("Where to?", first_token=0.6, last_token=0.9, first_audio=0.3)
    timeline = run_script(call, options())
    assert [turn.text for turn in timeline.turns[:2]] == ["book a tour for two", "Where to?"]
    assert at(timeline, "speaking") > 4.5
    assert timeline.conversation[0] == CallerSaid("book a tour for two")


def test_false_interruption_resumes_where_it_was():
    call = monologue()
    call.caller_noise(at=5.0, until=5.6)
    timeline = run_script(call, options(bargein_min_duration=500))
    assert cleared(timeline) == [near(5.5)]
    resumed = at(timeline, "speaking", 1)
    assert 5.6 < resumed <= 5.6 + 1.6
    agent = turns(timeline, "agent")[0]
    assert timeline.playout[0] == near(10.0)
    assert agent.heard_text == agent.text
    assert not agent.interrupted


def test_late_transcript_is_answered_at_once():
    call = booking(transcript_delay=2.0)
    call.agent_replies("Where to?")
    timeline = run_script(call, options())
    assert at(timeline, "thinking") == near(4.5)


def test_speech_without_transcript_is_asked_to_be_repeated():
    call = Script(greeting=None)
    call.caller_noise(at=0.5, until=2.5)
    call.caller_says("book a tour", at=9.0, until=10.0)
    call.agent_replies("Where to?")
    call.caller_hangs_up(at=15.0)
    timeline = run_script(call, options())
    assert at(timeline, "speaking") == near(5.5)
    assert turns(timeline, "agent")[0].text.startswith("Perdone")
    assert "provider_replaced" in names(timeline)
    assert [turn.text for turn in timeline.turns[1:]] == ["book a tour", "Where to?"]
    assert timeline.end_reason == "caller_hung_up"


def test_dictation_is_one_turn():
    call = Script(greeting=None)
    call.caller_says("my number is five five", at=0.5, until=2.0)
    call.caller_says("five one two", at=3.0, until=4.0)
    call.agent_replies("Thank you.")
    call.caller_hangs_up(at=10.0)
    timeline = run_script(call, options())
    assert turns(timeline, "caller")[0].text == "my number is five five five one two"
    assert len(turns(timeline, "caller")) == 1


def test_judge_that_says_not_done_waits_for_the_maximum():
    call = Script(greeting=None)
    call.caller_says("I would like to", at=0.5, until=2.5)
    call.judge("I would like to", 0.1)
    call.agent_replies("Yes?")
    call.caller_hangs_up(at=12.0)
    timeline = run_script(call, options(endpointing_max=2000, preemptive=True))
    assert at(timeline, "thinking") == near(4.5)


def tool_call() -> Script:
    call = booking()
    call.agent_replies("Let me look.", first_audio=0.2, audio_seconds=0.5)
    call.agent_calls_tool("find_tours", seconds=1.0, result={"tours": 3})
    call.agent_replies("I found three tours for you.", first_audio=0.2, audio_seconds=3.0)
    return call


def test_tool_between_two_texts():
    timeline = run_script(tool_call(), options())
    states = [state for seconds, state in timeline.states if seconds < 9]
    assert states == ["listening", "thinking", "speaking", "thinking", "speaking", "listening"]
    (run,) = timeline.tools
    assert (run.name, run.result) == ("find_tours", {"tours": 3})
    assert run.ended - run.started == near(1.0)
    said, look, ran, found = timeline.conversation[:4]
    assert said == CallerSaid("book a tour")
    assert look == AgentSaid("Let me look.")
    assert isinstance(ran, ToolRan)
    assert ran.result == {"tours": 3}
    assert found == AgentSaid("I found three tours for you.")
    assert len(turns(timeline, "agent")) >= 1
    assert turns(timeline, "agent")[0].text == "Let me look. I found three tours for you."
    assert timeline.playout[0] == near(3.5)


def test_tool_result_outlives_an_interruption_of_the_text_after_it():
    call = tool_call()
    call.caller_says("stop it now please", at=5.6, until=7.0)
    timeline = run_script(call, options(bargein_min_duration=400))
    assert len(timeline.tools) == 1
    agent = turns(timeline, "agent")[0]
    assert agent.interrupted
    assert agent.text == "Let me look. I found three tours for you."
    assert agent.heard_text == "Let me look. I found"
    look, ran, found = timeline.conversation[1:4]
    assert look == AgentSaid("Let me look.")
    assert isinstance(ran, ToolRan)
    assert found == AgentSaid("I found", interrupted=True)


def test_words_cut_off_by_the_hang_up_are_stored():
    call = Script(greeting=None)
    call.caller_says("book a tour", at=0.5, until=2.5, transcript_delay=0.2)
    call.caller_hangs_up(at=2.4)
    timeline = run_script(call, options())
    assert [(turn.role, turn.text) for turn in timeline.turns] == [("caller", "book a tour")]
    assert timeline.end_reason == "caller_hung_up"


def test_reply_cut_off_by_the_hang_up_is_stored_as_heard():
    call = monologue()
    call.caller_hangs_up(at=5.0)
    timeline = run_script(call, options())
    agent = turns(timeline, "agent")[0]
    assert timeline.playout == [near(1.5)]
    assert agent.heard_text == "one"
    assert agent.interrupted
    assert agent.ended == near(5.0)


def test_silent_caller_is_prompted_twice_and_then_left():
    timeline = run_script(Script(greeting=None), options())
    assert timeline.end_reason == "caller_silent"
    prompts = [seconds for seconds, name, _ in timeline.events if name == "away_prompt"]
    assert prompts[0] == near(10.0)
    assert len(prompts) == 2
    assert [turn.text for turn in timeline.turns][-1] == "Gracias por llamar. Hasta luego."
    assert (near(10.0), "away") in timeline.caller_states


@pytest.mark.parametrize("voices", [1, 2])
def test_voice_that_never_answers_does_not_leave_silence(voices):
    call = booking(voices=voices)
    call.agent_replies("Where to?", first_token=0.1, last_token=0.3, first_audio=None)
    timeline = run_script(call, TurnOptions())
    first = next(seconds for seconds, kind, *_ in timeline.sent if kind == "media")
    assert first - 2.5 <= 4.0
    assert "provider_failed" in names(timeline)
    text = turns(timeline, "agent")[0].text
    assert text == "Where to?" if voices == 2 else text.startswith("Lo siento")


def test_voice_that_comes_too_late_is_overtaken_by_the_next():
    call = booking()
    call.agent_replies("Where to?", first_token=0.1, last_token=0.3, first_audio=30.0)
    timeline = run_script(call, options(first_audio_timeout=1000))
    assert at(timeline, "speaking") == near(3.3 + 1.0 + 0.2)
    assert turns(timeline, "agent")[0].heard_text == "Where to?"
