"""What Twilio asks with its callbacks, and our answers as TwiML (twilio.md, 4)."""

from __future__ import annotations

from typing import Final

from calls.providers.carriers.answers import (
    AfterPerson,
    AfterStream,
    Answer,
    Asking,
    Connect,
    HangUp,
    Join,
    LastWord,
    Nothing,
    PutThrough,
    Question,
    Settled,
    Wait,
    WhoAnswers,
    WhoIsThere,
)
from calls.providers.carriers.signals import Event, HandoverEnded
from calls.providers.carriers.twilio import transfer, twiml
from calls.providers.carriers.twilio.addresses import address
from calls.providers.carriers.twilio.events import (
    ENDED_STATUSES,
    Kind,
    relay_failed,
    signals,
)

CONTENT_TYPE: Final = "text/xml; charset=utf-8"
_LONGEST_COUNT = 10  # digits


def question(told: Event) -> Question | None:
    """What a callback asks; None where it only tells."""
    match told.kind:
        case Kind.INCOMING_CALL:
            said = told.payload
            return WhoAnswers(said.get("From", "")[:100], said.get("To", "")[:100])
        case Kind.ANSWERED:
            return WhoIsThere()
        case Kind.AFTER_STREAM | Kind.AFTER_DIAL:
            return _what_next(told)
        case Kind.PERSON_KEY:
            return Settled(transfer.answer(told))
        case Kind.MESSAGE | Kind.MESSAGE_STATUS:
            return Settled(Nothing())
    return None


def _what_next(told: Event) -> Question:
    if told.payload.get("CallStatus", "") in ENDED_STATUSES:
        return Settled(HangUp())
    after = told.payload.get("after", "")
    streams = int(after) if after.isdecimal() and len(after) < _LONGEST_COUNT else None
    if told.kind == Kind.AFTER_STREAM:
        return AfterStream(streams, relay_failed(told))
    ends = [signal for signal in signals(told) if isinstance(signal, HandoverEnded)]
    return Settled(HangUp()) if any(end.reached for end in ends) else AfterPerson(streams)


def write(answer: Answer) -> str:
    """The answer as TwiML."""
    match answer:
        case Connect(target, last_words, language):
            return twiml.stream(target, last_words=last_words, language=language)
        case Wait():
            return _wait(answer)
        case PutThrough():
            about = {"after": str(answer.streams)}
            action = address(answer.signals_url, Kind.AFTER_DIAL, **about)
            return twiml.dial(answer.number, action_url=action, caller_id=answer.shown)
        case LastWord(text, language):
            return twiml.say_and_hang_up(text, language=language)
        case Join(room):
            return twiml.join_person(room)
        case Nothing():
            return twiml.nothing()
        case HangUp():
            return twiml.hang_up()


def _wait(answer: Wait) -> str:
    about = {"handover": answer.handover} if answer.handover else {}
    kind = Kind.AFTER_DIAL if about else Kind.AFTER_STREAM
    action = address(answer.signals_url, kind, **about, after=str(answer.streams))
    return twiml.hold(answer.music, seconds=answer.seconds, action_url=action)


ASKING: Final = Asking(question, write, CONTENT_TYPE)
