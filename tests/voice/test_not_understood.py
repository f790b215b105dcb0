"""A caller of whose speech no words come is asked twice, then told so, and not left in silence."""

from __future__ import annotations

import pytest

from calls.voice import Event, Phrases, Transfer
from calls.voice.testing import Script, run_script
from tests.voice.test_scripted_calls import names, options, turns

SPANISH = Phrases.for_language("es")
GIVING_UP = f"{SPANISH.not_understood} {SPANISH.goodbye}"


def unheard(times: int, *, transcribes: bool = True, recognisers: int = 3) -> Script:
    """Someone speaks that often for 2 s, 8 s apart, and no word comes of it.

    `transcribes`: the recogniser answers each time that there were no words.
    """
    call = Script(greeting=None, transcribes_at_finish=transcribes, recognisers=recognisers)
    for number in range(times):
        began = 0.5 + 8.0 * number
        call.caller_says("", at=began, until=began + 2.0, transcript_delay=0.1)
        if not transcribes:
            call.says.pop()
            call.caller_noise(at=began, until=began + 2.0)
    return call


def said(timeline) -> list[str]:
    return [turn.text for turn in turns(timeline, "agent")]


@pytest.mark.parametrize("transcribes", [True, False])
def test_after_two_requests_to_repeat_the_agent_says_that_it_does_not_understand(transcribes):
    timeline = run_script(unheard(3, transcribes=transcribes), options())
    assert said(timeline) == [SPANISH.ask_to_repeat, SPANISH.ask_to_repeat, GIVING_UP]
    assert timeline.end_reason == "caller_not_understood"
    assert [data for _, name, data in timeline.events if name == Event.NOT_UNDERSTOOD] == [
        {"asked": 2, "person": ""}
    ]


def test_who_is_not_understood_is_put_through_to_a_person_where_there_is_one():
    timeline = run_script(unheard(3), options(), person="Reception")
    assert said(timeline)[-1] == f"{SPANISH.not_understood} {SPANISH.putting_through}"
    assert timeline.end_reason == "transferred"
    assert timeline.outcome == Transfer("Reception")
    assert {"action": "Transfer", "target": "Reception"} in [
        data for _, name, data in timeline.events if name == Event.ACTION
    ]


def test_who_hangs_up_before_being_put_through_is_not_transferred():
    call = unheard(3)
    call.caller_hangs_up(at=19.5)
    timeline = run_script(call, options(), person="Reception")
    assert timeline.end_reason == "caller_hung_up"
    assert timeline.outcome is None


def test_words_in_between_begin_the_count_anew():
    call = Script(greeting=None, transcribes_at_finish=True)
    for number, text in enumerate(["", "", "hola", "", ""]):
        call.caller_says(text, at=1.0 + 8.0 * number, until=3.0 + 8.0 * number)
    call.agent_replies("Buenos días.")
    call.caller_hangs_up(at=42.0)
    timeline = run_script(call, options())
    assert said(timeline).count(SPANISH.ask_to_repeat) == 4
    assert Event.NOT_UNDERSTOOD not in names(timeline)
    assert timeline.end_reason == "caller_hung_up"


def test_a_key_in_between_begins_the_count_anew():
    call = unheard(3)
    call.caller_presses("5#", at=14.5)
    call.agent_replies("Cinco.", audio_seconds=0.5)
    call.caller_hangs_up(at=24.0)
    timeline = run_script(call, options())
    assert said(timeline).count(SPANISH.ask_to_repeat) == 3
    assert timeline.end_reason == "caller_hung_up"


def test_short_noises_never_end_a_call():
    call = Script(greeting=None, transcribes_at_finish=True)
    for number in range(6):
        call.caller_says("", at=1.0 + number, until=1.3 + number, transcript_delay=0.1)
    call.caller_hangs_up(at=9.0)
    timeline = run_script(call, options())
    assert said(timeline) == []
    assert timeline.end_reason == "caller_hung_up"


def test_recognisers_that_broke_are_the_reason_where_no_word_came_since():
    call = unheard(3, recognisers=2)
    call.faults.failing_recognisers = {0: 1.0}
    timeline = run_script(call, options())
    assert said(timeline)[-1] == GIVING_UP
    assert timeline.end_reason == "recogniser_failed"


def test_a_recogniser_that_broke_before_the_last_words_is_not_the_reason():
    call = Script(greeting=None, transcribes_at_finish=True)
    call.faults.failing_recognisers = {0: 0.2}
    for number, text in enumerate(["hola", "", "", ""]):
        call.caller_says(text, at=1.0 + 8.0 * number, until=3.0 + 8.0 * number)
    call.agent_replies("Buenos días.")
    timeline = run_script(call, options())
    assert timeline.end_reason == "caller_not_understood"


def test_without_any_recogniser_the_caller_is_told_and_put_through():
    call = unheard(1, recognisers=1)
    call.faults.failing_recognisers = {0: 1.0}
    timeline = run_script(call, options(), person="Reception")
    assert said(timeline) == [f"{SPANISH.not_understood} {SPANISH.putting_through}"]
    assert timeline.end_reason == "transferred"


def test_the_longest_duration_does_not_rename_a_goodbye_that_has_begun():
    call = unheard(3)
    timeline = run_script(call, options(max_duration=19_500))
    assert timeline.ended > 19.5
    assert timeline.end_reason == "caller_not_understood"


def test_nobody_waits_for_the_farewell():
    timeline = run_script(unheard(3), options())
    assert turns(timeline, "agent")[-1].started <= 18.5 + 0.25 + 0.1 + 0.2
