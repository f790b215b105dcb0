"""Whatever a recogniser's stream does, words come once, and none are waited for in vain."""

import pytest

from calls.voice import Event
from calls.voice.testing import Script, run_script
from calls.voice.utterances import Utterances
from tests.voice.test_scripted_calls import at, names, near, options, turns


def revised(partials, text, *, delay=0.2, **script) -> Script:
    """The caller says one thing from 0.5 to 2.5 s, and the recogniser changes its mind."""
    call = Script(greeting=None, **script)
    call.caller_says(text, at=0.5, until=2.5, transcript_delay=delay, partials=partials)
    call.agent_replies("Where to?")
    call.caller_hangs_up(at=12.0)
    return call


@pytest.mark.parametrize(
    ("partials", "text"),
    [
        (["i would", "goodbye"], "goodbye"),
        (["for tea", "forty", "forty two"], "Forty two."),
        (["five five", "555", "5551234"], "5551234"),
        (
            ["my number", "my number is five", "my number is 555", "my number is 5551234"],
            "my number is 5551234",
        ),
        (["cinco cinco", "555", "555 12 34"], "5551234"),
        (["I want to book a tour", "I want", "I"], "I"),
        (["uh the the a", "hello"], "hello"),
        (["hello there", "good morning", "is anybody home", "two people"], "stop it"),
        (["goodbye", "i would", "goodbye"], "goodbye"),
        (["five"], "Five five five one two three four."),
        ([], "book a tour"),
    ],
)
def test_revised_words_are_heard_once_and_answered_at_once(partials, text):
    timeline = run_script(revised(partials, text), options(endpointing_dictation=0))
    assert [turn.text for turn in timeline.turns] == [text, "Where to?"]
    assert at(timeline, "thinking") == near(3.0)
    assert Event.TRANSCRIPT_TIMEOUT not in names(timeline)


@pytest.mark.parametrize("partials", [["i would"], ["i would", "goodbye"], ["one two", "12"]])
def test_words_that_the_recogniser_takes_back_are_no_turn(partials):
    timeline = run_script(revised(partials, ""), options())
    assert turns(timeline, "caller") == []
    assert Event.TRANSCRIPT_TIMEOUT not in names(timeline)


def test_stretch_that_the_recogniser_divides_waits_for_both_finals():
    call = Script(greeting=None)
    call.caller_says("book a tour", at=0.5, until=1.5, transcript_delay=1.0)
    call.caller_says("right now", at=1.6, until=2.3, transcript_delay=1.0)
    call.agent_replies("Where to?")
    call.caller_hangs_up(at=12.0)
    timeline = run_script(call, options())
    assert [turn.text for turn in timeline.turns] == ["book a tour right now", "Where to?"]
    assert at(timeline, "thinking") == near(3.3)


def test_guess_that_a_final_goes_back_to_costs_no_timeout_and_leaves_nothing():
    timeline = run_script(revised(["goodbye", "i would"], "goodbye"), options())
    assert [turn.text for turn in timeline.turns] == ["goodbye", "Where to?"]
    assert at(timeline, "thinking") <= 4.5
    assert Event.TRANSCRIPT_TIMEOUT not in names(timeline)


def test_late_final_of_the_first_of_two_like_stretches_leaves_the_second_its_own():
    call = Script(greeting=None)
    call.caller_says("yes", at=0.5, until=1.0, transcript_delay=1.2)
    call.caller_says("yes please", at=1.5, until=2.0, transcript_delay=1.2)
    call.agent_replies("Where to?")
    call.caller_hangs_up(at=12.0)
    timeline = run_script(call, options())
    assert [turn.text for turn in timeline.turns] == ["yes yes please", "Where to?"]
    assert at(timeline, "thinking") == near(3.2)


def test_reply_begun_to_words_that_are_taken_back_leaves_the_voice_to_the_question():
    call = revised(["i would", "goodbye"], "", delay=0.5)
    timeline = run_script(call, options(preemptive=True))
    assert at(timeline, "speaking") == near(3.0)
    assert turns(timeline, "agent")[0].text.startswith("Perdone")


def test_words_taken_back_that_cut_a_reply_short_leave_the_voice_to_the_question():
    call = Script(greeting=None)
    call.caller_says("book a tour", at=0.5, until=1.5)
    call.agent_replies("Let me see.", audio_seconds=0.5)
    call.agent_calls_tool("find_tours", seconds=1.5, result=3)
    call.agent_replies("Found.")
    call.caller_says("", at=3.2, until=5.2, transcript_delay=0.5, partials=["um", "hello"])
    call.caller_hangs_up(at=14.0)
    timeline = run_script(call, options(filler_after=0))
    assert at(timeline, "speaking", 1) == near(5.7)
    assert turns(timeline, "agent")[1].text.startswith("Perdone")


def test_words_that_come_before_the_detector_is_sure_are_of_its_stretch():
    call = Script(greeting=None)
    partials = ["well", "so", "tour", "book a"]
    call.caller_says("book a tour", at=0.5, until=0.62, transcript_delay=0.2, partials=partials)
    call.agent_replies("Where to?")
    call.caller_hangs_up(at=9.0)
    timeline = run_script(call, options())
    assert [turn.text for turn in timeline.turns] == ["book a tour", "Where to?"]
    assert at(timeline, "thinking") == near(1.12)


def test_words_taken_back_after_a_cough_are_not_waited_for():
    call = Script(greeting=None)
    call.caller_noise(at=0.5, until=1.0)
    call.caller_says("", at=3.0, until=3.8, transcript_delay=0.5, partials=["um", "hello"])
    call.caller_says("book a tour", at=4.8, until=5.8)
    call.agent_replies("Where to?")
    call.caller_hangs_up(at=12.0)
    timeline = run_script(call, options())
    assert turns(timeline, "caller")[0].text == "book a tour"
    assert at(timeline, "thinking") == near(6.3)


# --- the bookkeeping by itself -------------------------------------------------------------


def stretch(utterances, began, ended, *partials):
    utterances.begin(began)
    for text in partials:
        utterances.heard(text, ended)
    utterances.end(ended, ended - began)


def test_recogniser_that_ignores_a_pause_and_revises_it_all_settles_both_stretches():
    utterances = Utterances(3000)
    stretch(utterances, 0, 500, "look")
    stretch(utterances, 1000, 1500, "book a tour please")
    utterances.settle("Book a tour, please.", 1700, 1500)
    assert not utterances.waiting
    assert utterances.partial == ""


def test_final_that_is_like_no_guess_is_the_oldest_visible_ones():
    utterances = Utterances(3000)
    stretch(utterances, 0, 500, "a tour")
    stretch(utterances, 1000, 1500, "five")
    utterances.settle("hmmm", 1700, 1500)
    assert utterances.partial == "five"


def test_final_of_earlier_words_does_not_answer_the_speech_that_goes_on():
    utterances = Utterances(3000)
    stretch(utterances, 0, 500, "book a")
    utterances.begin(800)
    utterances.heard("book a tour", 900)
    utterances.settle("book a tour", 1000, 900)
    assert utterances.end(2000, 1000)
    assert utterances.due is not None


def test_empty_final_that_nobody_waits_for_is_nothing():
    assert Utterances(3000).settle("", 100, 0) is None


def test_words_of_a_divided_stretch_that_go_on_are_awaited():
    utterances = Utterances(3000)
    utterances.begin(0)
    for moment, text in ((300, "book a tour"), (600, "right")):
        utterances.heard(text, moment)
    utterances.settle("book a tour", 700, 650)
    utterances.heard("right now", 900)
    utterances.end(1000, 1000)
    assert (utterances.partial, utterances.due) == ("right now", float("inf"))
    assert [each.partial for each in utterances.late(4000)] == ["right now"]


def test_rest_of_a_divided_stretch_that_never_comes_is_no_timeout():
    utterances = Utterances(3000)
    stretch(utterances, 0, 1000, "book a tour", "right now")
    utterances.settle("book a tour", 1200, 1000)
    assert utterances.due is not None
    assert utterances.due <= 2000
    assert utterances.late(4000) == []
    assert not utterances.waiting


def test_late_echo_of_a_final_is_no_new_word():
    utterances = Utterances(3000)
    stretch(utterances, 0, 1000, "five five")
    utterances.settle("555 1234", 1200, 1000)
    assert not utterances.heard("five five five", 1300)
    assert not utterances.heard("...", 1300)
    assert utterances.heard("yes", 1400)


@pytest.mark.parametrize("words", ["um", ""])
def test_denial_while_the_caller_speaks_leaves_the_rest_its_final(words):
    utterances = Utterances(3000)
    stretch(utterances, 0, 300)
    utterances.begin(2000)
    utterances.heard(words, 2200)
    utterances.settle("", 2300, 2200)
    assert utterances.partial == ""
    assert utterances.end(2500, 500)
    assert utterances.due is not None


def test_denial_of_words_in_flight_is_their_final_if_no_other_is_owed():
    utterances = Utterances(3000)
    utterances.begin(2000)
    utterances.heard("um", 2200)
    utterances.settle("", 2300, 2200)
    assert not utterances.end(2500, 500)


def test_wrong_guess_of_long_ago_takes_no_final_from_later_speech():
    utterances = Utterances(3000)
    stretch(utterances, 0, 1000, "book a tour", "right now")
    utterances.settle("book a tour", 1200, 1000)
    stretch(utterances, 2500, 2800)
    utterances.settle("for two", 3000, 2800)
    assert not utterances.waiting


def test_division_of_speech_after_a_denied_cough_forgets_the_cough():
    utterances = Utterances(3000)
    stretch(utterances, 0, 200)
    utterances.begin(400)
    for text in ("book a tour", "right now"):
        utterances.heard(text, 900)
    utterances.settle("book a tour", 1000, 900)
    assert utterances.end(1300, 900)
    utterances.settle("right now", 1500, 1300)
    assert not utterances.waiting
