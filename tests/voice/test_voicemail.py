"""A machine picked up: the agent falls silent, leaves its message after the beep, or hangs up."""

import pytest

from calls.voice import CallerSaid, CallSession, Event
from calls.voice.testing import Script, run_script
from calls.voice.voicemail import BEEP_LIMIT, BEEP_WITHIN
from tests.voice.test_scripted_calls import booking, cleared, monologue, names, near, options, turns

MESSAGE = "Hola, le llamó Andrea de Spirit Tours."
SECONDS = 0.3 * len(MESSAGE.split())  # at the scripted voice's own pace


def picked_up(greeting="Hola, soy Andrea de Spirit Tours."):
    """An outbound call: the agent begins to greet whatever picked up."""
    return Script(greeting=greeting, greeting_seconds=4.0)


def said(timeline):
    return [turn.heard_text for turn in turns(timeline, "agent")]


def test_without_a_message_a_machine_is_hung_up_on_at_once():
    call = picked_up()
    call.machine_answers(at=2.0)
    timeline = run_script(call, options())
    assert timeline.end_reason == "voicemail"
    assert timeline.ended == near(2.0)
    assert sum(timeline.playout) == near(2.0)


def test_the_message_is_left_after_the_beep_and_heard_in_full():
    call = picked_up()
    call.machine_answers(at=2.0)
    call.machine_answers(at=9.0, may_speak=True)
    timeline = run_script(call, options(), voicemail=MESSAGE)
    assert cleared(timeline) == [near(2.0)]
    assert said(timeline)[-1] == MESSAGE
    assert timeline.playout == [near(2.0), near(SECONDS)]
    assert turns(timeline, "agent")[1].started == near(9.0)
    assert timeline.end_reason == "voicemail_left"
    assert timeline.ended == near(9.0 + SECONDS)


def test_the_beep_may_be_the_first_that_is_known_of_a_machine():
    call = picked_up()
    call.machine_answers(at=6.0, may_speak=True)
    timeline = run_script(call, options(), voicemail=MESSAGE)
    assert said(timeline)[-1] == MESSAGE
    assert timeline.end_reason == "voicemail_left"
    assert names(timeline).count(Event.MACHINE_ANSWERED) == 1


def test_a_machine_that_is_told_of_twice_gets_one_message():
    call = picked_up()
    for at, may_speak in ((2.0, False), (2.5, False), (6.0, True), (6.5, True), (6.7, False)):
        call.machine_answers(at=at, may_speak=may_speak)
    timeline = run_script(call, options(), voicemail=MESSAGE)
    assert said(timeline).count(MESSAGE) == 1
    assert timeline.ended == near(6.0 + SECONDS)


def test_nobody_answers_what_the_mailbox_itself_says():
    call = picked_up(greeting=None)
    call.machine_answers(at=1.0)
    call.caller_says("leave a message after the tone", at=1.5, until=4.0)
    call.agent_replies("Never said.")
    call.machine_answers(at=7.0, may_speak=True)
    timeline = run_script(call, options(), voicemail=MESSAGE)
    assert timeline.asked == []
    assert said(timeline) == [MESSAGE]
    assert CallerSaid("leave a message after the tone") not in timeline.conversation
    assert turns(timeline, "caller")[0].text == "leave a message after the tone"


@pytest.mark.parametrize("at", [2.8, 3.2, 5.0])
def test_an_answer_in_the_making_or_in_the_saying_ends_there(at):
    call = booking()
    call.agent_replies("Where would you like to go?", first_token=0.3, audio_seconds=8.0)
    call.machine_answers(at=at)
    call.machine_answers(at=7.0, may_speak=True)
    timeline = run_script(call, options(preemptive=True), voicemail=MESSAGE)
    assert said(timeline)[-1] == MESSAGE
    assert timeline.states[-1] == (near(7.0 + SECONDS), "listening")
    assert sum(timeline.playout) <= max(0.0, at - 2.9) + SECONDS + 0.1


def test_a_machine_noticed_while_its_voice_interrupts_is_left_its_message():
    call = monologue()
    call.caller_noise(at=5.0, until=6.5)
    call.machine_answers(at=5.8)
    call.machine_answers(at=8.0, may_speak=True)
    timeline = run_script(call, options(), voicemail=MESSAGE)
    assert Event.SPEECH_RESUMED not in names(timeline)
    assert said(timeline)[-1] == MESSAGE


def test_a_beep_is_waited_for_a_little_after_the_greeting():
    call = picked_up()
    call.machine_answers(at=2.0)
    call.machine_answers(at=9.0, greeted=True)
    call.machine_answers(at=9.2, greeted=True)
    call.machine_answers(at=10.5, greeted=True, may_speak=True)
    timeline = run_script(call, options(), voicemail=MESSAGE)
    assert said(timeline).count(MESSAGE) == 1
    assert turns(timeline, "agent")[1].started == near(10.5)
    assert timeline.ended == near(10.5 + SECONDS)


@pytest.mark.parametrize("known", [2.0, 9.0])
def test_a_machine_without_a_beep_is_left_the_message_all_the_same(known):
    call = picked_up()
    call.machine_answers(at=known, greeted=known == 9.0)
    if known < 9.0:
        call.machine_answers(at=9.0, greeted=True)
    timeline = run_script(call, options(), voicemail=MESSAGE)
    assert said(timeline)[-1] == MESSAGE
    assert timeline.end_reason == "voicemail_left"
    assert timeline.ended == near(9.0 + BEEP_WITHIN / 1000 + SECONDS)


def test_a_machine_that_never_beeps_is_given_up():
    call = picked_up()
    call.machine_answers(at=2.0)
    timeline = run_script(call, options(), voicemail=MESSAGE)
    assert timeline.end_reason == "voicemail"
    assert timeline.ended == near(2.0 + BEEP_LIMIT / 1000)
    assert Event.AWAY_PROMPT not in names(timeline)


@pytest.mark.parametrize("at", [4.0, 9.5])
def test_a_mailbox_that_hangs_up_has_no_message(at):
    call = picked_up()
    call.machine_answers(at=2.0)
    call.machine_answers(at=9.0, may_speak=True)
    call.caller_hangs_up(at=at)
    assert run_script(call, options(), voicemail=MESSAGE).end_reason == "voicemail"


def test_a_message_that_no_voice_could_say_was_not_left():
    call = picked_up(greeting=None)
    call.faults.failing_voices = {0: 0.0, 1: 0.0}
    call.machine_answers(at=1.0, may_speak=True)
    timeline = run_script(call, options(), voicemail=MESSAGE)
    assert timeline.end_reason == "voicemail"


def test_other_farewells_keep_their_reason_without_a_voice():
    call = Script(greeting=None)
    call.faults.failing_voices = {0: 0.0, 1: 0.0}
    timeline = run_script(call, options(away_after=2000, away_prompts=0))
    assert timeline.end_reason == "caller_silent"


def test_a_machine_told_of_during_the_goodbye_changes_nothing():
    call = Script(greeting=None)
    call.machine_answers(at=2.2, may_speak=True)
    timeline = run_script(call, options(away_after=2000, away_prompts=0), voicemail=MESSAGE)
    assert timeline.end_reason == "caller_silent"
    assert MESSAGE not in said(timeline)


@pytest.mark.parametrize(
    ("message", "reason", "heard"), [("", "voicemail", []), (MESSAGE, "voicemail_left", [MESSAGE])]
)
def test_a_machine_known_before_the_first_frame_is_not_greeted(monkeypatch, message, reason, heard):
    run = CallSession.run

    async def told_first(session):
        session.machine_answered(may_speak=False)
        session.machine_answered(may_speak=True)
        return await run(session)

    monkeypatch.setattr(CallSession, "run", told_first)
    timeline = run_script(picked_up(), options(), voicemail=message)
    assert timeline.end_reason == reason
    assert said(timeline) == heard


def test_a_call_that_ends_before_it_begins_keeps_its_reason(monkeypatch):
    run = CallSession.run

    async def ended_first(session):
        session.end("media_lost")
        return await run(session)

    monkeypatch.setattr(CallSession, "run", ended_first)
    assert run_script(picked_up(), options()).end_reason == "media_lost"
