"""Messages and call-backs are kept when the brain says so, whatever becomes of the speech."""

from datetime import UTC, datetime

from calls.voice import CallBack, Event, TakeMessage
from calls.voice.testing import run_script
from tests.voice.test_scripted_calls import booking, monologue, near, options

MESSAGE = TakeMessage("The bus was late.", from_name="Anna", number="5512345678", for_whom="Luis")
LATER = CallBack(datetime(2026, 11, 23, 17, 0, tzinfo=UTC), reason="the refund")


def kept(timeline):
    return [(at, data) for at, name, data in timeline.events if name == Event.ACTION]


def test_a_note_is_kept_before_the_words_about_it_are_heard():
    call = booking()
    call.agent_acts(MESSAGE)
    call.agent_replies("I will tell him.", audio_seconds=2.0)
    call.caller_hangs_up(at=4.0)
    timeline = run_script(call, options())
    assert kept(timeline) == [
        (
            near(3.0),
            {
                "action": "TakeMessage",
                "text": "The bus was late.",
                "from_name": "Anna",
                "number": "5512345678",
                "for_whom": "Luis",
            },
        )
    ]
    assert timeline.end_reason == "caller_hung_up"
    assert timeline.outcome is None


def test_the_time_of_a_call_back_is_told_with_its_zone():
    call = booking()
    call.agent_acts(LATER)
    call.agent_replies("Until then.")
    ((_, data),) = kept(run_script(call, options()))
    assert data["when"] == "2026-11-23T17:00:00+00:00"
    assert (data.get("number"), data["reason"]) == (None, "the refund")


def test_a_note_of_a_reply_that_is_interrupted_stays():
    call = monologue()
    call.agent_acts(MESSAGE)
    call.caller_says("wait please", at=5.0, until=6.0)
    assert [data["action"] for _, data in kept(run_script(call, options()))] == ["TakeMessage"]
