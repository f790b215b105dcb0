"""The scripted peers themselves: what a script means, whatever order it is written in."""

from calls.voice.testing import Script, Sound, run_script
from tests.voice.test_scripted_calls import at, booking, near, options, turns


def test_transcript_without_delay_is_the_utterances_only_one():
    call = booking(transcript_delay=0)
    call.agent_replies("Where to?")
    timeline = run_script(call, options())
    assert turns(timeline, "caller")[0].text == "book a tour"
    assert at(timeline, "thinking") == near(3.0)


def test_dropped_reply_is_given_again_without_its_tool():
    call = Script(greeting=None)
    call.caller_says("book it", at=0.5, until=1.5)
    call.agent_calls_tool("book", seconds=2.0, result=7)
    call.agent_replies("Booked.")
    call.caller_says("for two", at=2.6, until=3.6)
    call.caller_hangs_up(at=12.0)
    timeline = run_script(call, options())
    assert [(run.name, run.result) for run in timeline.tools] == [("book", 7)]
    assert turns(timeline, "agent")[0].text == "Booked."


def test_callers_lines_may_be_scripted_before_the_replies():
    call = Script(greeting=None)
    call.caller_says("one", at=0.5, until=1.0)
    call.caller_says("two", at=6.0, until=6.5)
    call.agent_replies("One.", audio_seconds=1.0)
    call.agent_calls_tool("book", seconds=0.2, result=7)
    call.agent_replies("Two.", audio_seconds=1.0)
    call.caller_hangs_up(at=12.0)
    timeline = run_script(call, options())
    assert [turn.text for turn in timeline.turns] == ["one", "One.", "two", "Two."]


def test_more_replies_than_turns_are_text_tool_text_in_one_turn():
    call = Script(greeting=None)
    call.caller_says("one", at=0.5, until=1.0)
    call.caller_says("two", at=8.0, until=8.5)
    call.agent_replies("One.", audio_seconds=1.0)
    call.agent_calls_tool("book", seconds=0.2, result=7)
    call.agent_replies("More.", audio_seconds=1.0)
    call.agent_replies("Two.", audio_seconds=1.0)
    call.caller_hangs_up(at=13.0)
    timeline = run_script(call, options())
    assert [turn.text for turn in timeline.turns] == ["one", "One. More.", "two", "Two."]


def test_speech_scripted_after_the_hang_up_is_never_said():
    call = Script(greeting=None)
    call.caller_says("book a tour", at=0.5, until=2.5)
    call.caller_says("never said", at=2.6, until=3.0, transcript_delay=0)
    call.caller_hangs_up(at=2.4)
    timeline = run_script(call, options())
    assert [turn.text for turn in timeline.turns] == ["book a tour"]


def test_recorded_apology_counts_as_heard():
    call = booking(voices=1)
    call.agent_replies("Where to?", first_audio=None)
    timeline = run_script(call, options())
    (agent,) = turns(timeline, "agent")[:1]
    assert timeline.playout[0] == near(agent.ended - agent.started)


def test_what_was_sent_is_kept_as_lengths():
    call = booking()
    call.agent_replies("Where to?", audio_seconds=2.0)
    sound = [entry[2] for entry in run_script(call, options()).sent if entry[1] == "media"]
    assert sound[0] == Sound(1600)
    assert (len(sound[0]), sound[0].seconds) == (1600, 0.1)
