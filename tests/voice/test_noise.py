"""Coughs, breath and noise: they cost little time, no words and no recogniser."""

import pytest

from calls.voice import Event
from calls.voice.ports import Final, Partial
from calls.voice.testing import Script, run_script
from calls.voice.testing.peers import ScriptedRecogniser
from calls.voice.utterances import Utterances
from tests.voice.test_scripted_calls import at, booking, cleared, monologue, names, near, options
from tests.voice.test_scripted_calls import turns as turns_of
from tests.voice.test_turn_taking import when


def test_cough_before_speech_delays_nothing_and_condemns_nobody():
    call = Script(greeting=None)
    call.caller_noise(at=0.5, until=0.6)
    call.caller_says("hello there", at=1.1, until=2.1)
    call.agent_replies("Where to?")
    call.caller_hangs_up(at=12.0)
    timeline = run_script(call, options())
    assert at(timeline, "thinking") == near(2.6)
    assert Event.PROVIDER_REPLACED not in names(timeline)


def test_noise_after_speech_costs_its_silence_and_a_transcripts_time():
    call = Script(greeting=None)
    call.caller_says("hello there", at=0.5, until=1.5)
    call.caller_noise(at=1.8, until=2.3)
    call.agent_replies("Where to?")
    call.caller_hangs_up(at=12.0)
    timeline = run_script(call, options())
    assert 2.8 - 0.05 <= at(timeline, "thinking") <= 2.9
    assert Event.PROVIDER_REPLACED not in names(timeline)


def test_reply_held_by_noise_goes_on_when_the_noise_is_over():
    call = Script(greeting=None)
    call.caller_says("hello there", at=0.5, until=1.5)
    call.caller_noise(at=2.0, until=2.3)
    call.agent_replies("Where to?", first_token=0.5, last_token=0.7, first_audio=0.3)
    call.caller_hangs_up(at=12.0)
    timeline = run_script(call, options(endpointing_min=400))
    assert at(timeline, "speaking") == near(1.9 + 0.7 + 0.3)


def test_cough_alone_is_not_answered():
    call = Script(greeting=None)
    call.caller_noise(at=0.5, until=0.6)
    call.caller_hangs_up(at=6.0)
    timeline = run_script(call, options())
    assert timeline.turns == []
    assert Event.PROVIDER_REPLACED not in names(timeline)


def test_mute_recogniser_is_replaced_after_real_speech_only():
    for seconds, replaced in ((0.5, False), (0.7, True)):
        call = Script(greeting=None)
        call.caller_noise(at=0.5, until=0.5 + seconds)
        call.caller_hangs_up(at=6.0)
        timeline = run_script(call, options())
        assert at(timeline, "speaking") == near(3.5 + seconds)
        assert (Event.PROVIDER_REPLACED in names(timeline)) is replaced


def test_noise_that_outlasts_the_agent_by_little_is_not_asked_about():
    call = booking()
    call.agent_replies("Where to?", audio_seconds=2.0)
    call.caller_noise(at=5.3, until=5.65)
    timeline = run_script(call, options())
    assert [turn.text for turn in timeline.turns if 5.4 < turn.started < 14] == []


def test_agent_does_not_stay_paused_by_endless_noise():
    call = monologue()
    call.caller_noise(at=5.0, until=20.0)
    timeline = run_script(call, options())
    assert cleared(timeline) == [near(5.4)]
    assert when(timeline, Event.SPEECH_RESUMED)[0] <= 5.4 + 4.0
    assert timeline.playout[0] == near(10.0)


def test_words_after_endless_noise_still_interrupt():
    call = monologue()
    call.caller_noise(at=5.0, until=14.0)
    call.caller_says("stop it right now", at=10.0, until=12.0)
    timeline = run_script(call, options())
    assert turns_of(timeline, "agent")[0].interrupted
    assert "stop it right now" in turns_of(timeline, "caller")[1].text


def test_endless_noise_does_not_keep_a_turn_open():
    call = Script(greeting=None)
    call.caller_says("hello there", at=0.5, until=1.5)
    call.caller_noise(at=2.0 - 0.15, until=12.0)
    call.agent_replies("Where to?")
    call.caller_hangs_up(at=14.0)
    timeline = run_script(call, options())
    assert at(timeline, "speaking") <= 1.85 + 4.1 + 0.5


def test_recogniser_without_partial_words_is_given_its_time():
    call = Script(greeting=None, transcribes_at_finish=True)
    call.caller_says("book a tour", at=0.5, until=1.5, transcript_delay=0.2)
    call.agent_replies("Where to?", audio_seconds=20.0)
    call.caller_says("to the sea " * 4, at=5.0, until=11.0)
    call.caller_hangs_up(at=16.0)
    timeline = run_script(call, options())
    assert Event.SPEECH_RESUMED not in names(timeline)


def test_late_echo_of_a_final_is_no_news(monkeypatch):
    plan = ScriptedRecogniser._plan

    def with_echo(self, says):
        *before, (moment, last) = plan(self, says)
        return [*before, (moment, (*last, Partial(says.text)))]

    monkeypatch.setattr(ScriptedRecogniser, "_plan", with_echo)
    call = booking(transcript_delay=0)
    call.agent_replies("Where to?")
    timeline = run_script(call, options())
    assert turns_of(timeline, "caller")[0].text == "book a tour"
    assert at(timeline, "thinking") == near(3.0)


def test_transcript_just_before_the_end_of_speech_is_the_utterances():
    call = booking(transcript_delay=-0.1)
    call.agent_replies("Where to?")
    timeline = run_script(call, options())
    assert turns_of(timeline, "caller")[0].text == "book a tour"
    assert at(timeline, "thinking") == near(3.0)


def test_final_settles_the_coughs_before_it():
    speech = Utterances(3000)
    for begin, words in ((0.0, ""), (500.0, "hello"), (2000.0, "")):
        speech.begin(begin)
        assert speech.heard(words, begin + 90) is bool(words)
        speech.end(begin + 100, 100)
    assert speech.settle("hello", 900, 0).began == 500
    assert speech.deadline == 2100 + 3000
    assert speech.due == 2100 + 575


def test_recogniser_that_takes_no_notice_of_a_pause_is_not_taken_twice():
    speech = Utterances(3000)
    speech.begin(0)
    speech.heard("book a", 400)
    speech.end(500, 500)
    speech.begin(800)
    speech.heard("book a tour", 1000)
    assert speech.partial == "book a tour"
    speech.end(1100, 300)
    assert speech.settle("book a tour", 1300, 1100).began == 800
    assert not speech.waiting


@pytest.mark.parametrize("streams", [True, False])
def test_words_are_likely_for_as_long_as_they_usually_take(streams):
    speech = Utterances(3000)
    speech.begin(0)
    if streams:
        speech.heard("hello", 400)
    speech.end(500, 500)
    assert speech.due == (float("inf") if streams else 500 + 800)
    speech.settle("hello", 1500, 500)
    speech.begin(2000)
    speech.end(2500, 500)
    assert speech.due == 2500 + (700 if streams else 1000 * 1.25 + 200)


def test_recogniser_that_hears_a_pause_of_its_own_keeps_both_transcripts():
    speech = Utterances(3000)
    speech.begin(0)
    speech.heard("book a tour", 900)
    speech.end(1000, 1000)
    speech.heard("please", 1100)
    assert speech.partial == "please"
    speech.settle("book a tour", 1200, 1000)
    assert speech.due is not None
    assert speech.due > 1200
    speech.settle("please", 1400, 1000)
    assert not speech.waiting


def test_quiet_words_during_the_endpoint_wait_belong_to_the_turn(monkeypatch):
    plan = ScriptedRecogniser._plan

    def with_quiet_words(self, says):
        quiet = [(2.8, (Partial("for two"),)), (4.0, (Final("for two"),))]
        return [*plan(self, says), *quiet]

    monkeypatch.setattr(ScriptedRecogniser, "_plan", with_quiet_words)
    call = booking()
    call.agent_replies("Where to?")
    timeline = run_script(call, options())
    assert turns_of(timeline, "caller")[0].text == "book a tour for two"
    assert at(timeline, "thinking") == near(4.0)


def test_late_backchannel_of_a_finished_statement_is_only_written_down():
    call = booking()
    call.agent_replies("I look it up for you.", audio_seconds=2.0)
    call.caller_says("ok", at=4.4, until=4.7, transcript_delay=1.2)
    timeline = run_script(call, options())
    assert Event.BACKCHANNEL in names(timeline)
    assert len(timeline.asked) == 1
