"""Each way a provider, the line or we ourselves can fail; the caller always hears something."""

import asyncio
from itertools import pairwise

import pytest

from calls.voice import Event, Phrases, TurnOptions
from calls.voice.ports import ToolRan
from calls.voice.testing import Script, run_script
from calls.voice.testing.peers import ScriptedBrain, ScriptedStore, ScriptedVoice
from tests.voice.test_scripted_calls import at, booking, monologue, names, near, options, turns


def failures(timeline, kind):
    return [
        d["provider"]
        for _, name, d in timeline.events
        if name == "provider_failed" and d["kind"] == kind
    ]


def longest_silence(timeline, since):
    """Seconds without the agent's sound from `since` to the end of its first turn."""
    first = next(moment for moment, kind, *_ in timeline.sent if kind == "media")
    return first - since


def test_voice_that_breaks_in_a_sentence_is_continued_by_the_next():
    call = booking(word_timings=False)
    call.faults.failing_voices = {0: 1.0}
    text = "one two three four five six seven eight nine ten"
    call.agent_replies(text, audio_seconds=5.0)
    timeline = run_script(call, options())
    agent = turns(timeline, "agent")[0]
    assert agent.heard_text == agent.text == text
    assert failures(timeline, "voice") == ["voice-0"]
    assert timeline.playout[0] < 5.0


def test_voice_that_breaks_before_any_sound_is_replaced():
    call = booking()
    call.faults.failing_voices = {0: 0.0}
    call.agent_replies("Where to? By train?", audio_seconds=4.0)
    timeline = run_script(call, options())
    assert turns(timeline, "agent")[0].heard_text == "Where to? By train?"
    assert timeline.playout[0] == near(4.0)


def test_replacement_stays_for_the_rest_of_the_call():
    call = booking()
    call.faults.failing_voices = {0: 0.0}
    call.agent_replies("Where to?", audio_seconds=1.0)
    call.caller_says("Madrid", at=7.0, until=8.0)
    call.agent_replies("Fine.", audio_seconds=1.0)
    timeline = run_script(call, options())
    assert failures(timeline, "voice") == ["voice-0"]
    assert turns(timeline, "agent")[1].heard_text == "Fine."


def test_all_voices_broken_leave_the_recorded_apology():
    call = booking()
    call.faults.failing_voices = {0: 0.0, 1: 0.0}
    call.agent_replies("Where to?")
    phrases = Phrases.for_language("es")
    timeline = run_script(call, options(), phrases=phrases)
    assert failures(timeline, "voice")[:2] == ["voice-0", "voice-1"]
    assert turns(timeline, "agent")[0].heard_text == phrases.apology
    assert timeline.end_reason == "caller_hung_up"


def test_recorded_apology_is_played_where_there_is_one():
    call = booking(voices=1)
    call.faults.mute_voices = {0}
    call.agent_replies("Where to?")
    recorded = b"\x00\x04" * 8000
    default = Phrases.for_language("es")
    phrases = Phrases(
        **{
            name: getattr(default, name)
            for name in default.__dataclass_fields__
            if name != "apology_pcm"
        },
        apology_pcm=recorded,
    )
    timeline = run_script(call, options(), phrases=phrases)
    assert timeline.playout[0] == near(1.0)


@pytest.mark.parametrize("mute", [{0}, {0, 1}])
def test_mute_voices_do_not_leave_four_seconds_of_silence(mute):
    call = booking()
    call.faults.mute_voices = mute
    call.agent_replies("Where to?")
    timeline = run_script(call, TurnOptions())
    assert longest_silence(timeline, since=2.5) <= 4.0


def test_goodbye_without_a_voice_still_ends_the_call():
    call = Script(greeting=None)
    call.faults.mute_voices = {0, 1}
    timeline = run_script(call, options(away_prompts=0))
    assert timeline.end_reason == "caller_silent"


def test_voice_that_ends_before_its_text_is_replaced(monkeypatch):
    class Curt(ScriptedVoice):
        async def speak(self, segments):
            if self.name == "voice-1":
                async for speech in super().speak(segments):
                    yield speech

    monkeypatch.setattr("calls.voice.testing.ScriptedVoice", Curt)
    call = booking()
    call.agent_replies("Where to?")
    timeline = run_script(call, options())
    assert failures(timeline, "voice") == ["voice-0"]
    assert turns(timeline, "agent")[0].heard_text == "Where to?"


def test_voice_that_forgets_to_close_its_sentence_is_believed(monkeypatch):
    class Forgetful(ScriptedVoice):
        async def speak(self, segments):
            async for speech in super().speak(segments):
                yield type(speech)(speech.pcm, speech.segment, speech.words, last=False)

    monkeypatch.setattr("calls.voice.testing.ScriptedVoice", Forgetful)
    call = booking()
    call.agent_replies("Where to?", audio_seconds=2.0)
    timeline = run_script(call, options())
    assert at(timeline, "listening", 1) == near(5.5)
    assert turns(timeline, "agent")[0].heard_text == "Where to?"


def test_voice_that_sends_half_a_sample_is_replaced(monkeypatch):
    class Odd(ScriptedVoice):
        async def speak(self, segments):
            async for speech in super().speak(segments):
                pcm = speech.pcm + b"x" if self.name == "voice-0" else speech.pcm
                yield type(speech)(pcm, speech.segment, speech.words, last=True)

    monkeypatch.setattr("calls.voice.testing.ScriptedVoice", Odd)
    call = booking()
    call.agent_replies("Where to?")
    timeline = run_script(call, options())
    assert failures(timeline, "voice") == ["voice-0"]
    assert turns(timeline, "agent")[0].heard_text == "Where to?"


def test_voice_that_stops_in_the_middle_loses_its_turn(monkeypatch):
    class Stalling(ScriptedVoice):
        async def speak(self, segments):
            async for speech in super().speak(segments):
                if self.name == "voice-1":
                    yield speech
                    continue
                yield type(speech)(speech.pcm[:8000], speech.segment)
                await asyncio.get_running_loop().create_future()

    monkeypatch.setattr("calls.voice.testing.ScriptedVoice", Stalling)
    call = booking()
    call.agent_replies("one two three four five six", audio_seconds=3.0)
    timeline = run_script(call, options(first_audio_timeout=1000))
    agent = turns(timeline, "agent")[0]
    assert failures(timeline, "voice") == ["voice-0"]
    assert agent.heard_text == agent.text == "one two three four five six"


def test_voice_that_cannot_be_opened_is_reported(monkeypatch):
    class Shut(ScriptedVoice):
        async def open(self):
            raise ConnectionError("no such voice")

    monkeypatch.setattr("calls.voice.testing.ScriptedVoice", Shut)
    timeline = run_script(booking(), options())
    assert failures(timeline, "voice") == ["voice-0"]
    assert timeline.end_reason == "caller_hung_up"


def test_brain_that_fails_once_is_asked_again():
    call = booking()
    call.faults.failing_brains = 1
    call.agent_replies("Where to?")
    timeline = run_script(call, options())
    assert len(timeline.asked) == 2
    assert turns(timeline, "agent")[0].text == "Where to?"


def test_mute_brain_is_given_up_and_asked_again():
    call = booking()
    call.faults.mute_brains = 1
    call.agent_replies("Where to?")
    timeline = run_script(call, options(first_token_timeout=2000))
    assert timeline.asked == [near(3.0), near(5.0)]
    assert {"hung": "brain.token"} in [
        data for _, name, data in timeline.events if name == Event.WATCHDOG
    ]
    assert turns(timeline, "agent")[0].text == "Un momento, por favor. Where to?"


def test_brain_that_never_answers_is_apologised_for():
    call = booking()
    call.faults.mute_brains = 99
    timeline = run_script(call, options())
    assert longest_silence(timeline, since=2.5) <= 4.0
    text = turns(timeline, "agent")[0].text
    assert "Lo siento" in text
    assert text.endswith("¿Puede repetirlo?")


def test_brain_that_keeps_failing_ends_the_call():
    call = Script(greeting=None)
    call.faults.failing_brains = 99
    for number in range(4):
        call.caller_says("hello there", at=1.0 + 10 * number, until=2.0 + 10 * number)
    call.caller_hangs_up(at=60.0)
    timeline = run_script(call, options())
    assert timeline.end_reason == "brain_failed"
    assert timeline.turns[-1].text == "Gracias por llamar. Hasta luego."


def test_brain_that_breaks_in_the_middle_is_not_asked_to_say_it_twice():
    call = booking()
    call.faults.brain_breaks_after = 3
    call.agent_replies("One two three. Four five six.", audio_seconds=3.0)
    timeline = run_script(call, options())
    assert len(timeline.asked) == 1
    text = turns(timeline, "agent")[0].text
    assert text.startswith("One two three. Lo siento")


def test_brain_that_breaks_while_a_tool_runs_leaves_no_orphan(monkeypatch):
    async def broken(self, step):
        raise ConnectionError("the tool's connection broke")

    monkeypatch.setattr(ScriptedBrain, "_run_tool", broken)
    call = booking()
    call.agent_calls_tool("find_tours", seconds=1.0, result=3)
    call.agent_replies("Found.")
    timeline = run_script(call, options())
    (ran,) = [item for item in timeline.conversation if isinstance(item, ToolRan)]
    assert ran.error == "its outcome is unknown"
    assert len(timeline.asked) == 1


def test_tool_that_never_returns_is_given_up():
    call = booking()
    call.agent_calls_tool("find_tours", seconds=500.0)
    call.agent_replies("Found.")
    call.caller_hangs_up(at=90.0)
    timeline = run_script(call, options())
    assert {"hung": "brain.tool"} in [
        data for _, name, data in timeline.events if name == Event.WATCHDOG
    ]
    assert turns(timeline, "agent")[0].text.endswith("¿Puede repetirlo?")


def test_tool_that_never_returns_does_not_block_later_replies_for_ever():
    call = booking()
    call.agent_replies("Let me see now.")
    call.agent_calls_tool("find_tours", seconds=500.0)
    call.agent_replies("Never said.")
    call.caller_says("never mind that please", at=4.0, until=5.5)
    call.agent_replies("All right.")
    call.caller_hangs_up(at=90.0)
    timeline = run_script(call, options(max_duration=0))
    assert timeline.asked[1] == near(4.0 + 1.5 / 4 + 15.0)
    (ran,) = [item for item in timeline.conversation if isinstance(item, ToolRan)]
    assert ran.error == "its outcome is unknown"


def test_recogniser_that_breaks_in_an_utterance_is_replaced_and_hears_it_again():
    call = booking()
    call.faults.failing_recognisers = {0: 1.0}
    call.agent_replies("Where to?")
    timeline = run_script(call, options())
    assert failures(timeline, "recogniser") == ["recogniser-0"]
    assert turns(timeline, "caller")[0].text == "book a tour"


def test_recogniser_that_breaks_before_its_final_is_replaced():
    call = booking(transcript_delay=0.6)
    call.faults.failing_recognisers = {0: 2.9}
    call.agent_replies("Where to?")
    timeline = run_script(call, options())
    assert turns(timeline, "caller")[0].text == "book a tour"


def test_recogniser_that_breaks_in_silence_is_replaced():
    call = booking()
    call.faults.failing_recognisers = {0: 0.2}
    timeline = run_script(call, options())
    assert turns(timeline, "caller")[0].text == "book a tour"


def test_deaf_agent_says_so_and_hangs_up():
    call = booking()
    call.faults.failing_recognisers = {0: 1.0, 1: 0, 2: 0}
    timeline = run_script(call, options())
    assert timeline.end_reason == "recogniser_failed"
    assert turns(timeline, "agent")[0].text.startswith("Lo siento")


def test_recogniser_whose_calls_raise_is_replaced(monkeypatch):
    from calls.voice.testing.peers import ScriptedRecogniser

    push = ScriptedRecogniser.push

    def broken(self, pcm):
        if self.name == "recogniser-0" and self.pushed > 16000:
            raise OSError("broken pipe")
        push(self, pcm)

    monkeypatch.setattr(ScriptedRecogniser, "push", broken)
    call = booking()
    timeline = run_script(call, options())
    assert failures(timeline, "recogniser") == ["recogniser-0"]
    assert turns(timeline, "caller")[0].text == "book a tour"


def test_recogniser_whose_stream_ends_is_replaced(monkeypatch):
    from calls.voice.testing.peers import ScriptedRecogniser

    stream = ScriptedRecogniser.__aiter__

    async def ends(self):
        if self.name != "recogniser-0":
            async for heard in stream(self):
                yield heard

    monkeypatch.setattr(ScriptedRecogniser, "__aiter__", ends)
    timeline = run_script(booking(), options())
    assert failures(timeline, "recogniser") == ["recogniser-0"]
    assert turns(timeline, "caller")[0].text == "book a tour"


def test_mute_recogniser_is_replaced_in_favour_of_one_that_hears():
    call = Script(greeting=None, recognisers=1)
    call.caller_noise(at=0.5, until=2.5)
    call.caller_says("hello", at=9.0, until=10.0)
    call.caller_hangs_up(at=12.0)
    timeline = run_script(call, options())
    assert Event.TRANSCRIPT_TIMEOUT in names(timeline)
    assert turns(timeline, "caller")[0].text == "hello"


def test_send_that_hangs_loses_the_media():
    call = monologue()
    call.faults.send_hangs_at = 5.0
    timeline = run_script(call, options(send_timeout=2000))
    assert timeline.end_reason == "media_lost"
    hung = [data["hung"] for _, name, data in timeline.events if name == Event.WATCHDOG]
    assert hung == ["media.send"]
    assert turns(timeline, "agent")[0].heard_text == "one"
    assert timeline.ended == near(7.0)


def test_send_that_fails_loses_the_media():
    call = monologue()
    call.faults.send_fails_at = 5.0
    timeline = run_script(call, options())
    assert timeline.end_reason == "media_lost"
    assert timeline.ended == near(5.0)


def test_stream_that_ends_without_a_word_loses_the_media():
    call = monologue()
    call.faults.stream_ends_at = 5.0
    timeline = run_script(call, options())
    assert timeline.end_reason == "media_lost"
    assert timeline.playout == [near(1.5)]


def test_carrier_without_marks_is_believed_by_the_clock():
    call = monologue()
    call.faults.marks_work = False
    timeline = run_script(call, options())
    assert at(timeline, "listening", 1) == near(13.5)
    assert turns(timeline, "agent")[0].heard_text.endswith("ten")


def test_carrier_without_marks_can_be_interrupted():
    call = monologue()
    call.faults.marks_work = False
    call.caller_says("stop now", at=6.0, until=7.0)
    timeline = run_script(call, options(bargein_min_duration=500))
    assert turns(timeline, "agent")[0].heard_text == "one two three"


def test_slow_line_is_credited_with_what_it_played():
    call = monologue()
    call.faults.line_delay = 0.4
    call.caller_says("stop now", at=6.2, until=7.0)
    timeline = run_script(call, options(bargein_min_duration=500))
    agent = turns(timeline, "agent")[0]
    assert timeline.playout[0] == near(6.72 - 3.9)
    assert agent.heard_text == "one two"


def test_stalled_frames_do_not_move_the_end_of_speech():
    call = booking()
    call.faults.stalled = [(2.3, 2.9)]
    call.agent_replies("Where to?")
    timeline = run_script(call, options())
    assert at(timeline, "thinking") == near(3.0)
    assert turns(timeline, "caller")[0].ended == near(2.5)


def test_recording_has_no_drift_after_stall_and_loss():
    call = booking()
    call.faults.stalled = [(1.0, 1.5)]
    call.faults.lost = [(3.0, 3.4)]
    timeline = run_script(call, options())
    positions = [position for position, _ in timeline.recorder.caller_pieces]
    assert positions[0] == pytest.approx(0, abs=0.01)
    assert positions[-1] == pytest.approx(25000 - 20, abs=0.01)
    gaps = [later - sooner for sooner, later in pairwise(positions)]
    assert sorted(round(gap) for gap in gaps)[-1] == 420
    assert sorted(round(gap) for gap in gaps)[-2] == 20


def test_lost_frames_count_as_silence():
    call = Script(greeting=None)
    call.caller_says("book a tour", at=0.5, until=4.0, transcript_delay=0.1)
    call.faults.lost = [(2.0, 3.0)]
    call.caller_hangs_up(at=6.0)
    timeline = run_script(call, options())
    assert [state for _, state in timeline.caller_states] == [
        "silent",
        "speaking",
        "silent",
        "speaking",
        "silent",
    ]


def test_defect_in_the_loop_ends_the_call_with_a_reason(monkeypatch, caplog):
    def defect(self, final, voiced):
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("calls.voice.listening.CallerSide.final", defect)
    timeline = run_script(booking(), options())
    assert timeline.end_reason == "internal_error"
    assert "a defect ended a call" in caplog.text


def test_defect_in_a_timer_ends_the_call_with_a_reason(monkeypatch):
    def defect(self, prompts):
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("calls.voice.floor.Floor.caller_is_away", defect)
    timeline = run_script(Script(greeting=None), options())
    assert timeline.end_reason == "internal_error"


def test_drained_call_ends_at_once_and_keeps_what_was_heard():
    call = monologue()
    call.end_call("drained", at=5.0)
    timeline = run_script(call, options())
    assert timeline.end_reason == "drained"
    assert turns(timeline, "agent")[0].heard_text == "one"


def test_unknown_reason_from_outside_is_listed_as_drained():
    call = monologue()
    call.end_call("because", at=5.0)
    assert run_script(call, options()).end_reason == "drained"


def test_call_ended_before_it_began_still_closes_everything():
    call = booking()
    call.end_call("staff_hung_up", at=0.0)
    assert run_script(call, options()).end_reason == "staff_hung_up"


def test_last_words_are_waited_for_only_so_long():
    call = Script(greeting=None)
    call.caller_says("book a tour", at=0.5, until=2.5, transcript_delay=50.0)
    call.caller_hangs_up(at=2.45)
    timeline = run_script(call, options())
    assert timeline.ended == near(5.45)
    assert turns(timeline, "caller")[0].text == "book a"


def test_hang_up_while_thinking_keeps_the_caller_turn():
    call = booking()
    call.agent_replies("Where to?", first_token=0.8)
    call.caller_says("for two", at=3.1, until=4.0)
    call.caller_hangs_up(at=3.5)
    timeline = run_script(call, options())
    assert [(turn.role, turn.text) for turn in timeline.turns] == [
        ("caller", "book a tour for two")
    ]


def test_store_gets_events_in_ms_and_names_as_text():
    store = ScriptedStore()
    store.event(1500.0, Event.DTMF, {"digit": "5"})
    assert store.events == [(1.5, "dtmf", {"digit": "5"})]
