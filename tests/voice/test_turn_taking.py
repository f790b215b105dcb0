"""Turn-taking beyond the table: pauses, backchannels that answer, keys, greetings, limits."""

import pytest

from calls.voice import Event, HangUp, SendDtmf, Transfer, TurnOptions
from calls.voice.ports import AgentSaid, CallerPressed, CallerSaid, HandOff, ToolRan
from calls.voice.testing import Script, run_script
from tests.voice.test_scripted_calls import (
    at,
    booking,
    cleared,
    monologue,
    names,
    near,
    options,
    turns,
)


def when(timeline, event):
    return [seconds for seconds, name, _ in timeline.events if name == event]


def test_voice_starts_on_the_first_finished_sentence():
    call = booking()
    call.agent_replies("First one. Second here now.", first_token=0.1, last_token=2.1)
    timeline = run_script(call, options())
    assert at(timeline, "speaking") == near(3.0 + 0.6 + 0.2)
    assert turns(timeline, "agent")[0].heard_text == "First one. Second here now."


def test_bench_scenario_answers_when_the_silence_is_long_enough():
    call = booking(transcribes_at_finish=True, transcript_delay=0.0)
    call.agent_replies("word " * 20, first_token=0.0, last_token=0.0, first_audio=0.0)
    timeline = run_script(
        call, TurnOptions(vad_min_silence=200, endpointing_min=200, bargein_min_duration=200)
    )
    assert timeline.sent[0][0] == pytest.approx(2.7, abs=0.021)


def test_noise_while_thinking_delays_the_reply_but_does_not_lose_it():
    call = booking()
    call.caller_noise(at=3.05, until=3.3)
    call.agent_replies("Where to?")
    timeline = run_script(call, options())
    assert at(timeline, "speaking") == near(3.3 + 0.45)
    assert len(timeline.asked) == 1


def test_noise_while_thinking_leaves_a_slow_reply_watched():
    call = booking()
    call.caller_noise(at=3.05, until=3.3)
    call.agent_replies("Where to?", first_token=3.5)
    timeline = run_script(call, options())
    assert when(timeline, Event.FILLER) == [near(3.75 + 1.2)]


def test_backchannel_at_the_end_of_a_question_is_its_answer():
    call = booking()
    call.agent_replies("Do you want this tour?", audio_seconds=2.0)
    call.caller_says("sí", at=5.2, until=5.4, transcript_delay=0.05)
    call.agent_replies("Booked.")
    timeline = run_script(call, options())
    assert [turn.text for turn in timeline.turns] == [
        "book a tour",
        "Do you want this tour?",
        "sí",
        "Booked.",
        "¿Sigue ahí?",
    ]


def test_backchannel_whose_transcript_comes_after_the_question_is_its_answer():
    call = booking()
    call.agent_replies("Do you want this tour?", audio_seconds=2.0)
    call.caller_says("sí", at=5.2, until=5.6)
    call.agent_replies("Booked.")
    timeline = run_script(call, options())
    assert "Booked." in [turn.text for turn in turns(timeline, "agent")]


def test_backchannel_after_a_statement_is_not_answered():
    call = booking()
    call.agent_replies("I look it up for you.", audio_seconds=2.0)
    call.caller_says("ok", at=4.6, until=4.9, transcript_delay=1.0)
    call.agent_replies("Never said.")
    timeline = run_script(call, options())
    assert len(timeline.asked) == 1
    assert "ok" in [turn.text for turn in turns(timeline, "caller")]


def test_backchannel_that_paused_the_agent_resumes_it_at_once():
    call = monologue()
    call.caller_says("ajá", at=5.0, until=5.8, transcript_delay=0.1)
    timeline = run_script(call, options(bargein_min_duration=300))
    assert cleared(timeline) == [near(5.3)]
    assert at(timeline, "speaking", 1) <= 6.15
    assert timeline.playout[0] == near(10.0)


def test_short_words_into_the_agents_turn_are_answered_after_it():
    call = booking()
    call.agent_replies("Shall I book it?", audio_seconds=2.0)
    call.caller_says("tomorrow", at=4.0, until=4.2)
    call.agent_replies("Tomorrow it is.")
    timeline = run_script(call, options())
    assert cleared(timeline) == []
    assert timeline.playout[0] == near(2.0)
    assert timeline.asked[1] == near(5.5)
    assert [turn.text for turn in turns(timeline, "caller")] == ["book a tour", "tomorrow"]


def test_barge_in_switched_off_lets_the_agent_finish():
    call = monologue()
    call.caller_says("stop it now", at=5.0, until=7.0)
    timeline = run_script(call, options(bargein=False))
    assert cleared(timeline) == []
    assert timeline.playout[0] == near(10.0)
    assert timeline.asked[1] == near(13.5)


def test_words_known_before_the_duration_interrupt_for_good():
    call = monologue()
    call.caller_says("no no stop it please", at=5.0, until=6.0)
    timeline = run_script(call, options(bargein_min_duration=500))
    assert Event.SPEECH_PAUSED in names(timeline)
    interrupted = when(timeline, Event.INTERRUPTED)
    assert interrupted == when(timeline, Event.SPEECH_PAUSED)


def test_late_words_interrupt_even_after_the_agent_resumed():
    call = monologue(transcribes_at_finish=False)
    call.caller_says("stop", at=5.0, until=5.8, transcript_delay=2.4)
    timeline = run_script(call, options(bargein_min_duration=300, false_interruption_timeout=500))
    agent = turns(timeline, "agent")[0]
    assert agent.interrupted
    assert agent.heard_text.startswith("one")


def test_reply_interrupted_before_a_word_was_heard_leaves_no_agent_turn():
    call = Script(greeting="Hola, soy Andrea.", greeting_seconds=6.0)
    call.caller_says("book a tour", at=0.2, until=1.8)
    call.caller_hangs_up(at=5.0)
    timeline = run_script(call, options())
    assert turns(timeline, "agent") == []
    assert timeline.conversation == (CallerSaid("book a tour"),)


def test_greeting_is_a_turn_of_the_agent():
    call = Script(greeting="Hola, soy Andrea.", greeting_seconds=1.5)
    call.caller_hangs_up(at=4.0)
    timeline = run_script(call, options())
    (agent,) = timeline.turns
    assert (agent.heard_text, agent.started, agent.ended) == (
        "Hola, soy Andrea.",
        near(0),
        near(1.5),
    )
    assert timeline.playout == [near(1.5)]


def test_protected_greeting_is_heard_out():
    call = Script(greeting="Hola, soy Andrea.", greeting_seconds=3.0)
    call.caller_says("no no no", at=0.5, until=1.5)
    call.agent_replies("Yes?")
    call.caller_hangs_up(at=9.0)
    timeline = run_script(call, options(greeting_protected=2000))
    assert cleared(timeline) == []
    assert timeline.playout[0] == near(3.0)
    assert turns(timeline, "agent")[1].text == "Yes?"


def test_protection_ends_while_the_caller_still_speaks():
    call = Script(greeting="Hola, soy Andrea.", greeting_seconds=5.0)
    call.caller_says("no no no no no no", at=0.5, until=3.5)
    call.caller_hangs_up(at=9.0)
    timeline = run_script(call, options(greeting_protected=2000))
    assert cleared(timeline) == [near(2.0)]


def test_keys_are_one_turn_and_interrupt():
    call = monologue()
    call.caller_presses("42", at=4.5)
    call.agent_replies("Forty-two.")
    timeline = run_script(call, options())
    assert cleared(timeline) == [near(4.5)]
    assert timeline.asked[1] == near(4.6 + 1.0)
    assert CallerPressed("42") in timeline.conversation
    assert turns(timeline, "caller")[1].text == "42"
    assert turns(timeline, "agent")[0].metrics["bargein_stop"] == 0


def test_hash_key_ends_the_turn_at_once():
    call = Script(greeting=None)
    call.caller_presses("7#", at=1.0)
    call.agent_replies("Seven.")
    call.caller_hangs_up(at=5.0)
    timeline = run_script(call, options())
    assert timeline.asked == [near(1.1)]


def test_keys_and_words_are_one_turn():
    call = Script(greeting=None)
    call.caller_says("my choice is", at=0.5, until=1.5)
    call.caller_presses("7", at=1.6)
    call.agent_replies("Seven.")
    call.caller_hangs_up(at=8.0)
    timeline = run_script(call, options(bargein=False))
    assert timeline.conversation[:2] == (CallerSaid("my choice is"), CallerPressed("7"))
    assert turns(timeline, "caller")[0].text == "my choice is 7"
    assert timeline.asked == [near(2.6)]


def test_hang_up_waits_for_the_last_word():
    call = booking()
    call.agent_acts(HangUp())
    call.agent_replies("Bye bye.", audio_seconds=2.0)
    timeline = run_script(call, options())
    assert timeline.end_reason == "agent_hung_up"
    assert timeline.playout == [near(2.0)]
    assert timeline.ended == near(5.5)
    assert timeline.outcome == HangUp()


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (Transfer("sales"), "transferred"),
        (HandOff("billing"), "handed_off"),
        (HangUp("voicemail"), "voicemail"),
        (HangUp("no such reason"), "agent_hung_up"),
    ],
)
def test_action_after_the_words_ends_the_call(action, reason):
    call = booking()
    call.agent_replies("One moment.", audio_seconds=1.0)
    call.agent_acts(action)
    timeline = run_script(call, options())
    assert timeline.end_reason == reason
    assert timeline.outcome == action
    assert timeline.playout == [near(1.0)]


def test_keys_are_sent_to_the_far_end_after_the_words():
    call = booking()
    call.agent_acts(SendDtmf("12#"))
    call.agent_replies("Calling them.", audio_seconds=1.0)
    timeline = run_script(call, options())
    assert (near(4.5), "dtmf", "12#") in timeline.sent
    assert timeline.end_reason == "caller_hung_up"


def test_action_of_an_interrupted_reply_does_not_happen():
    call = monologue()
    call.agent_acts(HangUp())
    call.caller_says("wait please", at=5.0, until=6.0)
    timeline = run_script(call, options())
    assert timeline.end_reason == "caller_hung_up"


@pytest.mark.parametrize("begin", [monologue, booking])
def test_long_call_ends_with_a_goodbye(begin):
    timeline = run_script(begin(), options(max_duration=4500))
    assert timeline.end_reason == "max_duration"
    assert timeline.turns[-1].text == "Gracias por llamar. Hasta luego."
    assert timeline.ended == near(4.5 + 1.5)


def test_limit_on_duration_drops_a_reply_in_the_making():
    call = booking()
    call.agent_replies("Too late.", first_token=3.0)
    timeline = run_script(call, options(max_duration=4000))
    assert [turn.text for turn in turns(timeline, "agent")] == ["Gracias por llamar. Hasta luego."]
    assert [turn.text for turn in turns(timeline, "caller")] == ["book a tour"]


def test_limit_on_duration_ends_a_paused_agent():
    call = monologue()
    call.caller_noise(at=5.0, until=5.6)
    timeline = run_script(call, options(max_duration=6000))
    assert timeline.end_reason == "max_duration"
    assert turns(timeline, "agent")[0].interrupted


def test_monologue_is_cut_into_politely():
    words = " ".join(f"w{number}" for number in range(60))
    call = Script(greeting=None)
    call.caller_says(words, at=0.5, until=12.5)
    call.agent_replies("I answer.")
    call.agent_replies("And more.")
    call.caller_hangs_up(at=20.0)
    timeline = run_script(call, options(caller_turn_limit=6000))
    assert at(timeline, "speaking") == near(6.5)
    first, second = turns(timeline, "caller")
    assert f"{first.text} {second.text}" == words
    agent = turns(timeline, "agent")[0]
    assert agent.text.startswith("Perdone que le interrumpa")
    assert not agent.interrupted


def test_wordless_monologue_is_cut_into_too():
    call = Script(greeting=None)
    call.caller_noise(at=0.5, until=9.0)
    call.caller_hangs_up(at=9.5)
    timeline = run_script(call, options(caller_turn_limit=3000))
    assert at(timeline, "speaking") == near(3.5)


def test_turn_limit_counts_from_the_first_speech_of_a_turn():
    call = Script(greeting=None)
    call.caller_says("one two", at=0.5, until=2.0)
    call.agent_replies("Yes.", audio_seconds=1.0)
    call.caller_says("three four five", at=5.0, until=8.0)
    call.agent_replies("No.")
    call.caller_hangs_up(at=14.0)
    timeline = run_script(call, options(caller_turn_limit=4000))
    assert Event.TURN_LIMIT not in names(timeline)


def test_caller_who_answers_the_prompt_is_not_left():
    call = Script(greeting=None)
    call.caller_says("yes I am here", at=12.0, until=13.0)
    call.agent_replies("Good.")
    call.caller_hangs_up(at=30.0)
    timeline = run_script(call, options())
    assert timeline.end_reason == "caller_hung_up"
    assert [state for _, state in timeline.caller_states][:4] == [
        "silent",
        "away",
        "speaking",
        "silent",
    ]
    assert len(when(timeline, Event.AWAY_PROMPT)) == 2


def test_limits_of_zero_are_off():
    call = Script(greeting=None)
    call.caller_noise(at=1.0, until=2.0)
    call.caller_hangs_up(at=300.0)
    timeline = run_script(call, options(away_after=0, max_duration=0, caller_turn_limit=0))
    assert timeline.end_reason == "caller_hung_up"
    assert timeline.ended == near(300)


def test_slow_model_is_covered_by_one_filler():
    call = booking()
    call.agent_replies("Where to?", first_token=3.5)
    timeline = run_script(call, options())
    assert when(timeline, Event.FILLER) == [near(4.2)]
    assert turns(timeline, "agent")[0].text == "Un momento, por favor. Where to?"


def test_slow_tool_is_covered_by_its_own_filler_once():
    call = booking()
    call.agent_calls_tool("find_tours", seconds=4.0, result=3, filler="I search.")
    call.agent_replies("Found three.")
    timeline = run_script(call, options())
    assert when(timeline, Event.FILLER) == [near(4.2)]
    assert Event.APOLOGY not in names(timeline)
    assert turns(timeline, "agent")[0].text == "I search. Found three."
    said = timeline.conversation
    assert [type(item) for item in said] == [CallerSaid, AgentSaid, ToolRan, AgentSaid, AgentSaid]


def test_very_slow_tool_does_not_leave_the_caller_alone_for_ever():
    call = booking()
    call.agent_calls_tool("find_tours", seconds=12.0, result=3)
    call.agent_replies("Found three.")
    timeline = run_script(call, options())
    assert when(timeline, Event.APOLOGY) == []
    assert len(when(timeline, Event.FILLER)) == 3
    assert timeline.tools[0].result == 3


def test_fillers_can_be_switched_off():
    call = booking()
    call.agent_replies("Where to?", first_token=3.0)
    timeline = run_script(call, options(filler_after=0))
    assert Event.FILLER not in names(timeline)


def test_tool_cut_off_by_the_caller_runs_out_and_the_next_reply_knows_it():
    call = booking()
    call.agent_replies("Let me see now.")
    call.agent_calls_tool("find_tours", seconds=4.0, result=3)
    call.agent_replies("Found.")
    call.caller_says("and for two people", at=4.0, until=5.5)
    call.agent_replies("For two.")
    timeline = run_script(call, options())
    assert len(timeline.tools) == 1
    assert timeline.asked[1] == near(timeline.tools[0].ended)
    assert any(isinstance(item, ToolRan) for item in timeline.conversation)
    assert turns(timeline, "agent")[1].text.endswith("For two.")
    assert "Found." not in " ".join(turn.text for turn in timeline.turns)


def test_words_while_a_tool_runs_keep_its_result_and_both_utterances():
    call = booking()
    call.agent_calls_tool("find_tours", seconds=1.0, result=3)
    call.agent_replies("Wrong.")
    call.caller_says("for two", at=3.2, until=4.5)
    call.agent_replies("Right.")
    timeline = run_script(call, options())
    assert [type(item) for item in timeline.conversation[:4]] == [
        CallerSaid,
        ToolRan,
        CallerSaid,
        AgentSaid,
    ]
    assert turns(timeline, "caller")[0].text == "book a tour for two"
    assert turns(timeline, "agent")[0].text == "Right."


def test_adaptive_endpointing_learns_from_pauses_inside_a_turn():
    call = Script(greeting=None)
    call.caller_says("I want to go", at=0.5, until=1.5, transcript_delay=0.1)
    call.caller_says("to the sea", at=2.4, until=3.4, transcript_delay=0.1)
    call.agent_replies("Fine.", first_token=1.0)
    call.caller_hangs_up(at=10.0)
    patient = run_script(call, options(endpointing_adaptive=True))
    hasty = run_script(call, options())
    assert turns(patient, "caller")[0].metrics["endpointing_delay"] == pytest.approx(620, abs=25)
    assert turns(hasty, "caller")[0].metrics["endpointing_delay"] == pytest.approx(500, abs=25)


def test_utterance_without_words_is_asked_to_be_repeated_if_it_was_long():
    call = Script(greeting=None, transcribes_at_finish=True)
    call.caller_says("", at=0.5, until=2.5, transcript_delay=0.1)
    call.caller_hangs_up(at=9.0)
    timeline = run_script(call, options())
    assert turns(timeline, "agent")[0].text.startswith("Perdone")


def test_short_noise_that_the_recogniser_denies_is_ignored():
    call = Script(greeting=None, transcribes_at_finish=True)
    call.caller_says("", at=0.5, until=0.8, transcript_delay=0.1)
    call.caller_hangs_up(at=9.0)
    timeline = run_script(call, options())
    assert timeline.turns == []
    assert timeline.sent == []


def test_denied_noise_resumes_the_agent_at_once():
    call = Script(greeting="uno dos tres cuatro cinco", greeting_seconds=5.0)
    call.transcribes_at_finish = True
    call.caller_says("", at=1.0, until=1.8, transcript_delay=0.1)
    call.caller_hangs_up(at=9.0)
    timeline = run_script(call, options())
    assert at(timeline, "speaking", 1) == near(1.8 + 0.25 + 0.1)
    assert timeline.playout == [near(5.0)]


def test_only_two_requests_to_repeat_in_a_row():
    call = Script(greeting=None)
    for number in range(3):
        call.caller_noise(at=1.0 + 8 * number, until=2.5 + 8 * number)
    call.caller_hangs_up(at=25.0)
    timeline = run_script(call, options())
    asks = [turn for turn in turns(timeline, "agent") if turn.text.startswith("Perdone")]
    assert len(asks) == 2


def test_partial_words_stand_in_for_a_final_that_never_comes():
    call = booking(transcript_delay=9.0)
    call.agent_replies("Where to?")
    timeline = run_script(call, options())
    assert at(timeline, "thinking") == near(5.5)
    assert [turn.text for turn in timeline.turns[:2]] == ["book a tour", "Where to?"]
    assert len(turns(timeline, "caller")) == 1
