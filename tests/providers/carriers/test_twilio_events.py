"""Twilio's callbacks, as twilio.md has them, and as nobody should send them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from calls.providers.carriers.carrier import NotAuthentic, Webhook
from calls.providers.carriers.legs import LegState, picture
from calls.providers.carriers.signals import (
    Answered,
    Answerer,
    Bridged,
    Detected,
    EndCause,
    Ended,
    Event,
    HandoverEnded,
    MalformedEvent,
    MessageKind,
    MessageMoved,
    MessageReceived,
    MessageState,
    RecordingFailed,
    RecordingReady,
    Ringing,
    StreamStarted,
    StreamStopped,
)
from calls.providers.carriers.twilio.asking import write
from calls.providers.carriers.twilio.carrier import CARRIER
from calls.providers.carriers.twilio.events import Kind, event, signals
from calls.providers.carriers.twilio.signature import sign
from calls.providers.carriers.twilio.transfer import answer, steps

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
CALL = {"CallSid": "CA" + "1" * 32, "AccountSid": "AC" + "2" * 32}
NUMBERS = {"From": "+525512345678", "To": "+525587654321"}


def told(kind: Kind, **form: str) -> Event:
    return event(kind, {**CALL, **form}, now=NOW)


def test_an_incoming_call_rings() -> None:
    (signal,) = signals(told(Kind.INCOMING_CALL, **NUMBERS))
    assert isinstance(signal, Ringing)
    assert (signal.incoming, signal.from_number, signal.leg) == (
        True, NUMBERS["From"], CALL["CallSid"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        ("completed", EndCause.COMPLETED),
        ("busy", EndCause.BUSY),
        ("no-answer", EndCause.NO_ANSWER),
        ("canceled", EndCause.CANCELLED),
        ("failed", EndCause.FAILED),
    ],
)
def test_each_last_status_is_an_end_with_its_cause(status: str, cause: EndCause) -> None:
    (signal,) = signals(told(Kind.CALL_STATUS, CallStatus=status, SequenceNumber="3"))
    assert isinstance(signal, Ended)
    assert (signal.cause, signal.order) == (cause, 3)


@pytest.mark.parametrize("status", ["queued", "initiated", "something-new", ""])
def test_a_status_that_changes_nothing_says_nothing(status: str) -> None:
    assert signals(told(Kind.CALL_STATUS, CallStatus=status, SequenceNumber="0")) == []


def test_shuffled_and_doubled_status_callbacks_end_in_the_same_picture() -> None:
    statuses = ["initiated", "ringing", "in-progress", "completed"]
    events = [
        told(Kind.CALL_STATUS, CallStatus=status, SequenceNumber=str(number))
        for number, status in enumerate(statuses)
    ]
    seen = picture(signal for told_ in [*reversed(events), *events] for signal in signals(told_))
    assert (seen.state, seen.cause) == (LegState.ENDED, EndCause.COMPLETED)


def test_the_carriers_time_is_taken_where_it_tells_one() -> None:
    dated = told(Kind.CALL_STATUS, Timestamp="Fri, 20 Nov 2026 09:59:58 +0000", CallStatus="busy")
    assert dated.at == datetime(2026, 11, 20, 9, 59, 58, tzinfo=UTC)
    for nonsense in ("yesterday", f"Fri, 20 Nov 2026 09:59:58 +{'9' * 20}"):
        assert told(Kind.CALL_STATUS, Timestamp=nonsense, CallStatus="busy").at == NOW


@pytest.mark.parametrize(
    ("said", "answerer", "may_speak"),
    [
        ("human", Answerer.HUMAN, False),
        ("machine_start", Answerer.MACHINE, False),
        ("machine_end_beep", Answerer.MACHINE, True),
        ("machine_end_silence", Answerer.MACHINE, True),
        ("fax", Answerer.FAX, False),
        ("unknown", Answerer.UNKNOWN, False),
        ("a-new-word", Answerer.UNKNOWN, False),
    ],
)
def test_who_picked_up(said: str, answerer: Answerer, may_speak: bool) -> None:
    (signal,) = signals(told(Kind.MACHINE, AnsweredBy=said))
    assert isinstance(signal, Detected)
    assert (signal.answerer, signal.may_speak) == (answerer, may_speak)


def test_synchronous_detection_comes_with_the_status() -> None:
    found = signals(
        told(Kind.CALL_STATUS, CallStatus="in-progress", SequenceNumber="2", AnsweredBy="human")
    )
    assert [type(signal) for signal in found] == [Detected, Answered]
    assert len({signal.event_id for signal in found}) == 2


@pytest.mark.parametrize(
    ("status", "reached", "cause"),
    [
        ("completed", True, EndCause.COMPLETED),
        ("answered", True, EndCause.COMPLETED),
        ("busy", False, EndCause.BUSY),
        ("no-answer", False, EndCause.NO_ANSWER),
        ("failed", False, EndCause.FAILED),
        ("", False, EndCause.FAILED),
    ],
)
def test_what_became_of_dialling_a_person(status: str, reached: bool, cause: EndCause) -> None:
    (signal,) = signals(told(Kind.AFTER_DIAL, DialCallStatus=status, DialCallSid="CA9"))
    assert isinstance(signal, HandoverEnded)
    assert (signal.reached, signal.cause, signal.person_leg) == (reached, cause, "CA9")


def test_a_stream_begins_ends_and_fails() -> None:
    (started,) = signals(told(Kind.STREAM, StreamSid="MZ1", StreamEvent="stream-started"))
    (stopped,) = signals(told(Kind.STREAM, StreamSid="MZ1", StreamEvent="stream-stopped"))
    (failed,) = signals(
        told(Kind.STREAM, StreamSid="MZ1", StreamEvent="stream-error", StreamError="31920")
    )
    assert isinstance(started, StreamStarted)
    assert isinstance(stopped, StreamStopped)
    assert stopped.failure == ""
    assert isinstance(failed, StreamStopped)
    assert failed.failure == "31920"


def test_a_recording_is_ready_or_never_will_be() -> None:
    base = {"RecordingSid": "RE1", "RecordingUrl": "https://api.example/RE1"}
    (ready,) = signals(
        told(
            Kind.RECORDING,
            **base,
            RecordingStatus="completed",
            RecordingChannels="2",
            RecordingDuration="17",
        )
    )
    (absent,) = signals(told(Kind.RECORDING, **base, RecordingStatus="absent"))
    assert isinstance(ready, RecordingReady)
    assert (ready.url, ready.channels, ready.seconds) == (base["RecordingUrl"], 2, 17.0)
    assert isinstance(absent, RecordingFailed)
    assert signals(told(Kind.RECORDING, **base, RecordingStatus="in-progress")) == []


def test_a_whatsapp_message_with_a_picture() -> None:
    (signal,) = signals(
        event(
            Kind.MESSAGE,
            {
                "MessageSid": "SM1",
                "From": "whatsapp:+525512345678",
                "To": "whatsapp:+525587654321",
                "Body": "¿Abren mañana?",
                "NumMedia": "1",
                "MediaUrl0": "https://api.example/ME1",
                "ProfileName": "María",
            },
            now=NOW,
        )
    )
    assert isinstance(signal, MessageReceived)
    assert (signal.kind, signal.from_number, signal.to_number) == (
        MessageKind.WHATSAPP, "+525512345678", "+525587654321",
    )  # fmt: skip
    assert signal.media == ("https://api.example/ME1",)
    assert signal.leg == ""


@pytest.mark.parametrize("count", ["", "-3", "1e99", "many", "nan", "999999"])
def test_a_hostile_count_of_pictures_is_survived(count: str) -> None:
    (signal,) = signals(told(Kind.MESSAGE, MessageSid="SM1", NumMedia=count, **NUMBERS))
    assert isinstance(signal, MessageReceived)
    assert signal.media == ()


def test_a_failed_message_says_why() -> None:
    (signal,) = signals(
        told(Kind.MESSAGE_STATUS, MessageSid="SM1", MessageStatus="undelivered", ErrorCode="30003")
    )
    assert isinstance(signal, MessageMoved)
    assert (signal.state, signal.error) == (MessageState.FAILED, "30003")


@pytest.mark.parametrize("kind", list(Kind))
def test_a_callback_without_its_id_is_refused(kind: Kind) -> None:
    with pytest.raises(MalformedEvent, match="without"):
        event(kind, {"From": "+1"}, now=NOW)


def test_two_callbacks_of_one_call_have_two_ids_and_a_repeated_one_has_the_same() -> None:
    first = told(Kind.CALL_STATUS, CallStatus="ringing", SequenceNumber="1")
    again = told(Kind.CALL_STATUS, CallStatus="ringing", SequenceNumber="1")
    other = told(Kind.CALL_STATUS, CallStatus="in-progress", SequenceNumber="2")
    assert first.event_id == again.event_id != other.event_id


# --- a person who is called for a caller -----------------------------------------------------

NEEDED = {"caller": "CA" + "c" * 32, "handover": "h-1", "back": "https://we.example/hooks"}
ABOUT = {**NEEDED, "after": "1"}


def of_person(kind: Kind, stage: str = "", **form: str) -> Event:
    query = {**ABOUT, "stage": stage} if stage else ABOUT
    return event(kind, {**CALL, **form}, now=NOW, query=query)


@pytest.mark.parametrize(
    ("status", "stage", "reached", "cause"),
    [
        ("completed", "", False, EndCause.REJECTED),
        ("busy", "", False, EndCause.BUSY),
        ("no-answer", "", False, EndCause.NO_ANSWER),
        ("canceled", "", False, EndCause.CANCELLED),
        ("completed", "joined", True, EndCause.COMPLETED),
        ("failed", "joined", True, EndCause.FAILED),
        ("completed", "nonsense", False, EndCause.REJECTED),
    ],
)
def test_end_of_the_persons_leg_tells_how_it_went(
    status: str, stage: str, reached: bool, cause: EndCause
) -> None:
    told_ = of_person(Kind.PERSON_STATUS, stage, CallStatus=status, SequenceNumber="3")
    ended, handover = signals(told_)
    assert isinstance(ended, Ended)
    assert isinstance(handover, HandoverEnded)
    assert (ended.leg, told_.session) == (CALL["CallSid"], ABOUT["caller"])
    assert (handover.leg, handover.person_leg) == (ABOUT["caller"], CALL["CallSid"])
    assert (handover.reached, handover.cause) == (reached, cause)
    assert handover.event_id != ended.event_id
    assert [step.action for step in steps(told_)] == (["ask"] if stage == "joined" else [])


def test_the_key_decides_and_is_told_once() -> None:
    yes = of_person(Kind.PERSON_KEY, Digits="1")
    (bridged,) = signals(yes)
    assert isinstance(bridged, Bridged)
    assert (bridged.leg, bridged.other_leg) == (ABOUT["caller"], CALL["CallSid"])
    (join,) = steps(yes)
    assert (join.leg, join.action, join.arguments) == (CALL["CallSid"], "join", ABOUT)
    assert "<Conference" in write(answer(yes))
    assert steps(of_person(Kind.PERSON_KEY, Digits="1")) == (join,)


@pytest.mark.parametrize("digits", ["2", "", "11", "#"])
def test_any_other_key_changes_nothing(digits: str) -> None:
    no = of_person(Kind.PERSON_KEY, Digits=digits)
    assert (signals(no), steps(no)) == ([], ())
    assert "<Hangup" in write(answer(no))


@pytest.mark.parametrize("missing", list(NEEDED))
def test_a_key_without_its_whole_address_joins_nobody(missing: str) -> None:
    query = {name: text for name, text in ABOUT.items() if name != missing}
    odd = event(Kind.PERSON_KEY, {**CALL, "Digits": "1"}, now=NOW, query=query)
    assert steps(odd) == ()
    assert "<Hangup" in write(answer(odd))


def test_a_persons_callback_without_the_caller_is_refused() -> None:
    with pytest.raises(MalformedEvent, match="without the caller"):
        signals(told(Kind.PERSON_STATUS, CallStatus="busy"))


def test_a_caller_who_comes_back_from_the_room_has_talked() -> None:
    (ended,) = signals(of_person(Kind.AFTER_DIAL, "joined", DialCallStatus="failed"))
    assert isinstance(ended, HandoverEnded)
    assert (ended.reached, ended.leg) == (True, CALL["CallSid"])


@pytest.mark.parametrize("kind", [Kind.AFTER_STREAM, Kind.AFTER_DIAL])
@pytest.mark.parametrize(
    ("status", "cause"), [("completed", "completed"), ("canceled", "cancelled")]
)
def test_question_about_a_leg_that_is_over_tells_its_end(
    kind: Kind, status: str, cause: str
) -> None:
    found = signals(told(kind, CallStatus=status, DialCallStatus="busy"))
    (ended,) = (signal for signal in found if isinstance(signal, Ended))
    assert (ended.leg, ended.cause) == (CALL["CallSid"], cause)
    assert len({signal.event_id for signal in found}) == len(found)
    going_on = signals(told(kind, CallStatus="in-progress"))
    assert not any(isinstance(signal, Ended) for signal in going_on)


def test_questions_after_two_streams_are_two_facts() -> None:
    first = event(Kind.AFTER_STREAM, CALL, now=NOW, query={"after": "1"})
    assert first.event_id != event(Kind.AFTER_STREAM, CALL, now=NOW, query={"after": "2"}).event_id
    again = event(Kind.AFTER_STREAM, CALL, now=NOW, query={"after": "1"})
    assert first.event_id == again.event_id


def test_two_handovers_of_one_call_are_two_facts() -> None:
    first = event(Kind.AFTER_DIAL, CALL, now=NOW, query={"handover": "1"})
    assert first.event_id != event(Kind.AFTER_DIAL, CALL, now=NOW, query={"handover": "2"}).event_id


# --- as the registry's record reads them -----------------------------------------------------


def webhook(kind: str, query: str = "", **form: str) -> Webhook:
    url = f"https://we.example/hooks/{kind}{query}"
    return Webhook(kind, url, {}, b"", {name: [value] for name, value in {**CALL, **form}.items()})


def test_the_record_reads_the_query_that_was_signed() -> None:
    read = CARRIER.event(webhook("person-key", "?caller=CA9&handover=h", Digits="2"), 1.0)
    assert (read.session, read.payload["handover"]) == ("CA9", "h")
    assert read.at == datetime.fromtimestamp(1, UTC)


@pytest.mark.parametrize("kind", ["", "telepathy", "incoming-call/..", "x" * 500])
def test_an_unknown_kind_is_malformed(kind: str) -> None:
    with pytest.raises(MalformedEvent, match="no kind"):
        CARRIER.event(webhook(kind), 1.0)


@pytest.mark.parametrize("header", ["X-Twilio-Signature", "x-twilio-signature"])
def test_the_record_verifies_what_twilio_signed(header: str) -> None:
    keys = CARRIER.credentials.model_validate(
        {"account_sid": "AC" + "2" * 32, "auth_token": "t" * 32}
    )
    asked = webhook("call-status", "?a=b", CallStatus="busy")
    signed = sign(url=asked.url, params=asked.fields, auth_token="t" * 32)
    CARRIER.verify(replace(asked, headers={header: signed}), keys, 0.0)
    for headers, word in (({}, "missing"), ({header: "x"}, "wrong"), ({header: ""}, "wrong")):
        with pytest.raises(NotAuthentic, match=word):
            CARRIER.verify(replace(asked, headers=headers), keys, 0.0)
    with pytest.raises(NotAuthentic):
        CARRIER.verify(replace(asked, headers={header: signed}, url=asked.url + "c"), keys, 0.0)
    assert CARRIER.external_id(keys) == "AC" + "2" * 32
