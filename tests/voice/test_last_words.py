"""The end of a call, and keys: nothing that was said, pressed or done is lost."""

from calls.voice import Event
from calls.voice.ports import CallerPressed, CallerSaid, ToolRan
from calls.voice.testing import Script, run_script
from tests.voice.test_scripted_calls import near, options, turns


def test_both_of_two_last_utterances_are_stored():
    call = Script(greeting=None)
    call.caller_says("book a tour", at=0.5, until=1.5, transcript_delay=1.0)
    call.caller_says("right now", at=1.7, until=2.2, transcript_delay=1.0)
    call.caller_hangs_up(at=2.3)
    timeline = run_script(call, options())
    assert [turn.text for turn in timeline.turns] == ["book a tour right now"]


def test_partial_words_without_a_final_are_stored():
    call = Script(greeting=None)
    call.caller_says("book a tour", at=0.5, until=1.5, transcript_delay=6.0)
    call.caller_says("right now", at=1.9, until=2.4, transcript_delay=6.0)
    call.caller_hangs_up(at=2.5)
    timeline = run_script(call, options())
    assert [turn.text for turn in timeline.turns] == ["book a tour right now"]


def test_turn_cut_by_the_hang_up_ends_with_it():
    call = Script(greeting=None)
    call.caller_says("book a tour", at=0.5, until=2.5)
    call.caller_hangs_up(at=2.4)
    timeline = run_script(call, options())
    (turn,) = timeline.turns
    assert (turn.started, turn.ended) == (near(0.5), near(2.4))
    assert timeline.caller_states[-1] == (near(2.4), "silent")
    assert timeline.events[-1][2]["duration"] == near(2400 + 0.0005)


def test_backchannel_lasts_as_long_as_it_took():
    call = Script(greeting="Hola, soy Andrea.", greeting_seconds=4.0)
    call.caller_says("ajá", at=1.0, until=1.4, transcript_delay=0)
    call.caller_hangs_up(at=6.0)
    (turn,) = turns(run_script(call, options()), "caller")
    assert (turn.started, turn.ended) == (near(1.0), near(1.4))


def test_nothing_is_sent_to_a_caller_who_is_gone():
    call = Script(greeting=None)
    call.caller_says("book a tour", at=0.5, until=1.5)
    call.agent_replies("Where to go to?", audio_seconds=9.0)
    call.caller_noise(at=2.5, until=2.7)
    call.caller_hangs_up(at=2.8)
    timeline = run_script(call, options())
    assert max(entry[0] for entry in timeline.sent) <= 2.81


def test_tool_that_ends_after_the_hang_up_leaves_its_result():
    call = Script(greeting=None)
    call.caller_says("book a tour", at=0.5, until=1.5)
    call.agent_calls_tool("book", seconds=1.0, result=1)
    call.agent_replies("Done.")
    call.caller_hangs_up(at=2.5)
    timeline = run_script(call, options())
    assert [(run.name, run.result) for run in timeline.tools] == [("book", 1)]
    assert timeline.conversation[-1] == ToolRan("call-1", "book", {}, 1)


def test_tool_that_does_not_end_after_the_hang_up_is_of_unknown_outcome():
    call = Script(greeting=None)
    call.caller_says("book a tour", at=0.5, until=1.5)
    call.agent_calls_tool("book", seconds=30.0, result=1)
    call.agent_replies("Done.")
    call.caller_hangs_up(at=2.5)
    timeline = run_script(call, options())
    assert [(run.name, run.result) for run in timeline.tools] == [("book", None)]
    assert timeline.conversation[-1] == ToolRan(
        "call-1", "book", {}, None, "its outcome is unknown"
    )
    assert Event.TOOL_FINISHED in [name for _, name, _ in timeline.events]
    assert timeline.ended == near(4.5)


def test_keys_told_to_a_tool_stay_in_the_turn_that_goes_on():
    call = Script(greeting=None)
    call.caller_presses("5", at=0.5)
    call.agent_calls_tool("menu", seconds=2.0, result=1)
    call.agent_replies("One.")
    call.caller_says("hello there", at=1.8, until=2.8)
    call.agent_replies("Two.")
    call.caller_hangs_up(at=9.0)
    timeline = run_script(call, options())
    assert [turn.text for turn in turns(timeline, "caller")] == ["5 hello there"]
    said = [item for item in timeline.conversation if not isinstance(item, ToolRan)]
    assert said[:2] == [CallerPressed("5"), CallerSaid("hello there")]


def test_words_after_keys_are_in_that_order_and_wait_as_words_do():
    call = Script(greeting=None)
    call.caller_presses("5", at=0.5)
    call.caller_says("hello there", at=0.9, until=1.9)
    call.agent_replies("Two.")
    call.caller_hangs_up(at=9.0)
    timeline = run_script(call, options())
    assert turns(timeline, "caller")[0].text == "5 hello there"
    assert timeline.asked == [near(2.4)]
