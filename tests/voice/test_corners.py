"""Corners of the loop: orders of events that are rare, and happen."""

import asyncio

import pytest

from calls.voice import CallSession, Event, HangUp, SendDtmf, TurnOptions
from calls.voice.ports import Final, Partial, Speech, TextDelta, ToolFinished, ToolRan, ToolStarted
from calls.voice.states import TABLE, Cue, Do, State
from calls.voice.testing import Script, run_script, run_virtually
from calls.voice.testing.peers import (
    ScriptedBrain,
    ScriptedDetector,
    ScriptedLine,
    ScriptedRecogniser,
    ScriptedVoice,
)
from calls.voice.voices import Voices
from calls.voice.watchdog import Tasks
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
from tests.voice.test_turn_taking import when


def test_keys_are_answered_although_noise_goes_on():
    call = Script(greeting=None)
    call.caller_noise(at=0.9, until=2.4)
    call.caller_presses("7", at=1.0)
    call.agent_replies("Seven.")
    call.caller_hangs_up(at=10.0)
    timeline = run_script(call, options())
    assert turns(timeline, "caller")[0].text == "7"
    assert timeline.asked[0] <= 5.5


def test_late_backchannel_changes_nothing():
    call = monologue()
    call.caller_says("ajá", at=5.0, until=5.3, transcript_delay=0.6)
    timeline = run_script(call, options())
    assert cleared(timeline) == []
    assert timeline.playout[0] == near(10.0)


def test_empty_final_while_the_caller_speaks_again_is_ignored():
    call = Script(greeting=None, transcribes_at_finish=True)
    call.caller_says("", at=0.5, until=1.0, transcript_delay=0.8)
    call.caller_says("book a tour", at=1.5, until=3.0, transcript_delay=0.1)
    call.agent_replies("Where to?")
    call.caller_hangs_up(at=9.0)
    timeline = run_script(call, options())
    assert [turn.text for turn in timeline.turns[:2]] == ["book a tour", "Where to?"]


def test_preemptive_reply_gives_way_to_a_longer_transcript():
    call = Script(greeting=None, transcribes_at_finish=True)
    call.caller_says("book a tour", at=0.5, until=1.5, transcript_delay=0.1)
    call.caller_says("for two", at=2.2, until=3.0, transcript_delay=0.1)
    call.agent_replies("Wrong.")
    call.agent_replies("Right.")
    call.caller_hangs_up(at=12.0)
    timeline = run_script(call, options(preemptive=True, endpointing_min=1500))
    assert turns(timeline, "agent")[0].text == "Right."
    assert len(timeline.asked) == 2


def test_preemptive_reply_gives_way_to_keys():
    call = Script(greeting=None)
    call.caller_says("my choice is", at=0.5, until=1.5, transcript_delay=0.1)
    call.caller_presses("7", at=1.9)
    call.agent_replies("Wrong.")
    call.agent_replies("Seven.")
    call.caller_hangs_up(at=12.0)
    timeline = run_script(call, options(preemptive=True))
    assert turns(timeline, "agent")[0].text == "Seven."


def test_preemptive_reply_of_a_call_that_ends_is_dropped():
    call = booking(transcript_delay=0.1)
    call.caller_hangs_up(at=2.8)
    call.agent_calls_tool("find_tours")
    call.agent_replies("Never said.")
    timeline = run_script(call, options(preemptive=True))
    assert timeline.tools == []
    assert [turn.text for turn in timeline.turns] == ["book a tour"]


def test_announcement_gives_way_to_words():
    call = Script(greeting=None, voices=1)
    call.faults.mute_voices = {0}
    call.caller_noise(at=0.5, until=1.5)
    call.caller_says("hello", at=5.0, until=6.0)
    call.caller_hangs_up(at=7.0)
    timeline = run_script(call, options())
    assert turns(timeline, "agent") == []
    assert turns(timeline, "caller")[0].text == "hello"
    assert {"why": "the caller went on"} in [data for _, _, data in timeline.events]


def test_caller_who_interrupts_at_length_is_not_asked_whether_they_are_there():
    call = monologue()
    call.caller_says("no " * 30, at=5.0, until=17.0)
    timeline = run_script(call, options())
    assert [seconds for seconds in when(timeline, Event.AWAY_PROMPT) if seconds < 18] == []


def test_caller_whose_transcript_is_late_is_not_asked_whether_they_are_there():
    call = Script(greeting=None)
    call.caller_noise(at=0.5, until=2.0)
    call.caller_hangs_up(at=8.0)
    timeline = run_script(call, options(away_after=2000, transcript_timeout=5000))
    assert when(timeline, Event.AWAY_PROMPT) == []


def test_long_noise_over_a_tool_holds_the_apology_back_until_it_is_found_out():
    call = booking()
    call.caller_noise(at=3.1, until=9.0)
    call.agent_calls_tool("find_tours", seconds=1.0, result=3)
    call.agent_replies("Found.", first_token=6.0)
    timeline = run_script(call, options())
    assert all(moment >= 6.2 for moment in when(timeline, Event.APOLOGY))
    assert timeline.sent[0][0] >= 6.2


def test_wrong_table_is_a_defect_that_ends_the_call(monkeypatch):
    monkeypatch.setitem(TABLE, (State.LISTENING, Cue.ENDPOINT), (State.THINKING, (Do.PLAY,)))
    timeline = run_script(booking(), options())
    assert timeline.end_reason == "internal_error"
    assert Event.INTERNAL_ERROR in names(timeline)


def test_defect_at_the_beginning_ends_the_call(monkeypatch):
    def defect(self, *_):
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("calls.voice.floor.Floor.begin", defect)
    assert run_script(booking(), options()).end_reason == "internal_error"


def test_empty_partial_says_nothing(monkeypatch):
    plan = ScriptedRecogniser._plan

    def with_empty_partials(self, says):
        return [(says.at, (Partial(""),)), *plan(self, says)]

    monkeypatch.setattr(ScriptedRecogniser, "_plan", with_empty_partials)
    timeline = run_script(booking(), options())
    assert all(data["text"] for _, name, data in timeline.events if name == "transcript_partial")


def test_empty_final_before_anybody_spoke_changes_nothing(monkeypatch):
    plan = ScriptedRecogniser._plan
    undisturbed = run_script(booking(), options())

    def with_an_empty_final_first(self, says):
        return [(0.1, (Final(""),)), *plan(self, says)]

    monkeypatch.setattr(ScriptedRecogniser, "_plan", with_an_empty_final_first)
    assert run_script(booking(), options()).turns == undisturbed.turns


def test_two_finals_may_be_owed_at_once():
    call = Script(greeting=None, transcribes_at_finish=True)
    call.caller_says("book a tour", at=0.5, until=1.0, transcript_delay=1.5)
    call.caller_says("for two", at=1.5, until=2.0, transcript_delay=1.5)
    call.agent_replies("Where to?")
    call.caller_hangs_up(at=9.0)
    timeline = run_script(call, options())
    assert turns(timeline, "caller")[0].text == "book a tour for two"


def test_keys_and_words_leave_before_the_agent_hangs_up():
    call = booking()
    call.agent_acts(SendDtmf("12#"))
    call.agent_acts(HangUp())
    call.agent_replies("Bye.", audio_seconds=1.0)
    timeline = run_script(call, options())
    assert (near(4.5), "dtmf", "12#") in timeline.sent
    assert timeline.end_reason == "agent_hung_up"


def test_echo_of_a_cleared_mark_credits_nothing():
    call = booking()
    call.agent_replies("One two. Three four.", first_audio=0.2, audio_seconds=4.0)
    call.caller_says("stop please", at=4.8, until=6.0)
    timeline = run_script(call, options(bargein_min_duration=400))
    assert cleared(timeline) == [near(5.22)]
    assert turns(timeline, "agent")[0].heard_text == "One"


def test_key_after_the_end_is_nothing():
    call = booking()
    call.agent_acts(HangUp())
    call.agent_replies("Bye.")
    call.caller_presses("5", at=20.0)
    timeline = run_script(call, options())
    assert timeline.end_reason == "agent_hung_up"


def test_first_reason_to_end_counts():
    call = Script(greeting=None)
    call.caller_says("book a tour", at=0.5, until=2.5, transcript_delay=1.0)
    call.caller_hangs_up(at=2.4)
    call.end_call("drained", at=2.6)
    timeline = run_script(call, options())
    assert timeline.end_reason == "caller_hung_up"
    assert turns(timeline, "caller")[0].text == "book a tour"


def test_voice_whose_stream_lingers_does_not_hold_the_floor_for_ever(monkeypatch):
    class Lingering(ScriptedVoice):
        async def speak(self, segments):
            async for speech in super().speak(segments):
                yield speech
            await asyncio.sleep(3.0)

    monkeypatch.setattr("calls.voice.testing.ScriptedVoice", Lingering)
    call = booking()
    call.agent_replies("Where to?", audio_seconds=1.0)
    timeline = run_script(call, options())
    assert turns(timeline, "agent")[0].text == "Where to?"
    assert timeline.states[-1][1] == "listening"
    assert Event.APOLOGY not in names(timeline)


def test_words_and_actions_beside_a_tool_of_a_cut_reply_are_dropped(monkeypatch):
    class Talkative(ScriptedBrain):
        async def reply(self, conversation, committed):
            self.asked.append(asyncio.get_running_loop().time())
            if len(self.asked) > 1:
                return
            yield TextDelta("One two three four five six. ")
            await committed.wait()
            yield ToolStarted("1", "book", {})
            await asyncio.sleep(4)
            yield TextDelta("Never said. ")
            yield HangUp()
            yield ToolFinished("1", "book", "done")
            yield TextDelta("Nor this.")

    monkeypatch.setattr("calls.voice.testing.ScriptedBrain", Talkative)
    call = booking()
    call.caller_says("stop it please", at=4.0, until=5.5)
    timeline = run_script(call, options())
    assert timeline.end_reason == "caller_hung_up"
    assert "Never said." not in " ".join(turn.text for turn in timeline.turns)
    assert ToolRan("1", "book", {}, "done") in timeline.conversation


def test_voice_that_breaks_between_sentences_loses_none(monkeypatch):
    class Brief(ScriptedVoice):
        async def speak(self, segments):
            number = 0
            async for _ in segments:
                yield Speech(b"\x00\x04" * 4000, number, last=True)
                number += 1
                if self.name == "voice-0":
                    raise ConnectionError("broke between sentences")

    monkeypatch.setattr("calls.voice.testing.ScriptedVoice", Brief)
    call = booking()
    call.agent_replies("One. Two.", first_token=0.1, last_token=1.5)
    timeline = run_script(call, options())
    assert turns(timeline, "agent")[0].heard_text == "One. Two."
    assert timeline.playout[0] == near(1.0)


def test_stream_that_cannot_be_closed_is_closed_enough(monkeypatch):
    close = ScriptedLine.close

    async def broken(self):
        await close(self)
        raise ConnectionResetError("gone")

    monkeypatch.setattr(ScriptedLine, "close", broken)
    assert run_script(booking(), options()).end_reason == "caller_hung_up"


def test_task_that_does_not_end_is_named_in_the_call(monkeypatch):
    finish = Tasks.finish

    async def stuck(self):
        return [*await finish(self), "voice"]

    monkeypatch.setattr(Tasks, "finish", stuck)
    timeline = run_script(booking(), options())
    assert [data["hung"] for _, name, data in timeline.events if name == "watchdog"] == ["voice"]


def test_crash_of_a_task_is_reported():
    async def work():
        async def crash():
            raise ZeroDivisionError

        found = []
        tasks = Tasks(found.append)
        tasks.spawn(crash(), "crash")
        await asyncio.sleep(1)
        return found

    (error,) = run_virtually(work())
    assert isinstance(error, ZeroDivisionError)


def test_each_voice_is_left_only_once():
    class Voice:
        name = "v"

    first, second = Voice(), Voice()
    voices = Voices([first, second])
    assert voices.failed(first)
    assert voices.failed(first)
    assert voices.current is second
    assert not voices.failed(second)
    assert voices.current is first


def test_session_ended_before_it_ran_closes_its_providers(monkeypatch):
    sessions = []
    run = CallSession.run

    async def ended_first(self):
        assert self.outcome is None
        self.end("staff_hung_up")
        self.end("busy")
        sessions.append(self)
        return await run(self)

    monkeypatch.setattr(CallSession, "run", ended_first)
    timeline = run_script(booking(), options())
    assert timeline.end_reason == "staff_hung_up"
    assert timeline.events == []
    assert sessions[0]._ports.synthesisers[0].closed


@pytest.mark.parametrize("language", ["es", "en", "fr"])
def test_default_phrases_are_the_calls_language(language):
    call = Script(greeting=None, language=language)
    timeline = run_script(call, options(away_prompts=0))
    assert len(timeline.turns) == 1


def test_order_of_events_in_a_turn():
    call = booking()
    call.agent_replies("Where to?")
    order = [name for name in names(run_script(call, options())) if name != "transcript_partial"]
    assert order[:13] == [
        "call_started",
        "agent_state",
        "caller_state",
        "caller_state",
        "caller_state",
        "transcript_final",
        "agent_state",
        "turn_committed",
        "reply_started",
        "agent_says",
        "agent_state",
        "turn_finished",
        "agent_state",
    ]


def test_order_of_events_in_an_interruption():
    call = monologue()
    call.caller_says("stop now", at=5.0, until=6.5)
    timeline = run_script(call, options())
    wanted = {"speech_paused", "interrupted", "turn_committed", "reply_started"}
    order = [name for name in names(timeline) if name in wanted]
    assert order == [
        "turn_committed",
        "reply_started",
        "speech_paused",
        "interrupted",
        "turn_committed",
        "reply_started",
    ]


def test_turn_options_of_a_quick_call_answer_within_its_silence():
    call = booking(transcribes_at_finish=True, transcript_delay=0.0)
    call.agent_replies("Yes.", first_token=0.0, last_token=0.0, first_audio=0.0)
    timeline = run_script(call, TurnOptions(vad_min_silence=200, endpointing_min=200))
    assert at(timeline, "speaking") == near(2.7)


def test_quiet_caller_whom_only_the_recogniser_hears_is_answered(monkeypatch):
    monkeypatch.setattr(ScriptedDetector, "process", lambda *_: 0.0)
    call = booking()
    call.agent_replies("Where to?")
    timeline = run_script(call, options())
    assert [turn.text for turn in timeline.turns[:2]] == ["book a tour", "Where to?"]
    assert at(timeline, "thinking") == near(2.7 + 0.5)
    assert turns(timeline, "caller")[0].ended == near(2.7)


@pytest.mark.parametrize("delay", [None, 100.0, float("inf")])
def test_speech_that_is_never_transcribed_is_asked_to_be_repeated(delay):
    timeline = run_script(booking(transcript_delay=delay), options())
    assert at(timeline, "speaking") == near(5.5)
    assert turns(timeline, "agent")[0].text.startswith("Perdone")
