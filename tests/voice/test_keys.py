"""Keys make a turn of the caller's: by a terminator, by their number, or by a pause."""

import pytest

from calls.voice import AgentSaid, CallerPressed, SendDtmf, ToolRan, TurnOptions
from calls.voice.testing import Script, run_script
from tests.voice.test_scripted_calls import booking, cleared, monologue, near, options, turns


def keyed(keys="42", at=1.0, **chosen):
    """A caller who only presses keys, and the moment at which the brain was asked."""
    call = Script(greeting=None)
    call.caller_presses(keys, at=at)
    call.agent_replies("Thank you.")
    call.caller_hangs_up(at=9.0)
    return run_script(call, options(**chosen))


@pytest.mark.parametrize(
    ("keys", "chosen", "asked", "entered"),
    [
        ("42", {}, 1.1 + 1.0, "42"),
        ("42", {"keys_timeout": 3000}, 1.1 + 3.0, "42"),
        ("42#", {}, 1.2, "42"),
        ("42*", {"keys_terminator": "*"}, 1.2, "42"),
        ("42#", {"keys_terminator": "*"}, 1.2 + 1.0, "42#"),
        ("42#", {"keys_terminator": ""}, 1.2 + 1.0, "42#"),
        ("#", {}, 1.0, "#"),
        ("1234", {"keys_max_digits": 4}, 1.3, "1234"),
        ("12", {"keys_max_digits": 4}, 1.1 + 1.0, "12"),
    ],
)
def test_keys_are_a_turn_once_they_are_complete(keys, chosen, asked, entered):
    timeline = keyed(keys, **chosen)
    assert timeline.asked == [near(asked)]
    assert timeline.conversation[0] == CallerPressed(entered)
    assert turns(timeline, "caller")[0].text == entered


def test_keys_that_come_too_slowly_are_two_turns():
    call = Script(greeting=None)
    call.caller_presses("1", at=1.0)
    call.agent_replies("One.", audio_seconds=0.5)
    call.caller_presses("2", at=6.0)
    call.agent_replies("Two.", audio_seconds=0.5)
    call.caller_hangs_up(at=12.0)
    timeline = run_script(call, options(keys_timeout=2000))
    assert timeline.asked == [near(3.0), near(8.0)]
    assert [turn.text for turn in turns(timeline, "caller")] == ["1", "2"]


def test_a_terminator_in_the_middle_of_an_unanswered_turn_still_divides_it():
    call = Script(greeting=None)
    call.caller_presses("12#3#", at=1.0)
    call.agent_replies("Thank you.")
    call.caller_hangs_up(at=9.0)
    assert run_script(call, options()).conversation[0] == CallerPressed("12#3")


def test_a_key_interrupts_the_agent_even_where_speech_may_not():
    call = monologue()
    call.caller_presses("4#", at=4.5)
    call.agent_replies("Four.")
    timeline = run_script(call, options(bargein=False))
    assert cleared(timeline) == [near(4.5)]
    assert timeline.asked[1] == near(4.6)


def test_keys_that_may_not_interrupt_are_answered_after_the_agents_words():
    call = monologue()
    call.caller_presses("4#", at=4.5)
    call.agent_replies("Four.")
    timeline = run_script(call, options(keys_interrupt=False))
    assert cleared(timeline) == []
    assert timeline.playout[0] == near(10.0)
    assert timeline.asked[1] == near(13.5)
    assert CallerPressed("4") in timeline.conversation


def test_the_brain_remembers_the_keys_that_it_pressed():
    call = booking()
    call.agent_acts(SendDtmf("12#"))
    call.agent_replies("Calling them.", audio_seconds=1.0)
    said, keys = run_script(call, options()).conversation[1:3]
    assert said == AgentSaid("Calling them.")
    assert isinstance(keys, ToolRan)
    assert (keys.name, keys.arguments) == ("send_dtmf", {"digits": "12#"})


def test_a_terminator_that_is_no_such_key_is_refused():
    with pytest.raises(ValueError, match=r"keys_terminator must be #, \* or empty: '5'"):
        TurnOptions(keys_terminator="5")
