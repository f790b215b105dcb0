"""Twilio's webhooks, read: forms become events, events become signals (twilio.md, 2, 6, 8, 9).

Twilio gives its callbacks no id of their own, so one is made of what tells two of them apart.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TypedDict

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
    Signal,
    StreamStarted,
    StreamStopped,
)

log = logging.getLogger(__name__)


class Kind(StrEnum):
    """Which of our addresses Twilio called."""

    INCOMING_CALL = "incoming-call"
    CALL_STATUS = "call-status"
    ANSWERED = "answered"
    MACHINE = "machine"
    STREAM = "stream"
    AFTER_STREAM = "after-stream"
    AFTER_DIAL = "after-dial"
    PERSON_STATUS = "person-status"
    PERSON_KEY = "person-key"
    RECORDING = "recording"
    MESSAGE = "message"
    MESSAGE_STATUS = "message-status"


class Stage(StrEnum):
    """How far a warm transfer had come when an address was told, in its `stage`; none at first."""

    JOINED = "joined"


ACCEPT_KEY = "1"

# The fields that tell one callback of a kind from the others of the same call or message. Those
# that begin in lower case are our own, out of the address.
_IDENTITY = {
    Kind.INCOMING_CALL: ("CallSid",),
    Kind.CALL_STATUS: ("CallSid", "SequenceNumber", "CallStatus"),
    Kind.ANSWERED: ("CallSid", "AnsweredBy"),
    Kind.MACHINE: ("CallSid", "AnsweredBy"),
    Kind.STREAM: ("CallSid", "StreamSid", "StreamEvent"),
    Kind.AFTER_STREAM: ("CallSid", "after", "CallStatus"),
    Kind.AFTER_DIAL: ("CallSid", "handover", "after", "stage", "DialCallSid", "DialCallStatus"),
    Kind.PERSON_STATUS: ("CallSid", "SequenceNumber", "CallStatus"),
    Kind.PERSON_KEY: ("CallSid", "Digits"),
    Kind.RECORDING: ("RecordingSid", "RecordingStatus"),
    Kind.MESSAGE: ("MessageSid",),
    Kind.MESSAGE_STATUS: ("MessageSid", "MessageStatus"),
}
_MESSAGES = {Kind.MESSAGE, Kind.MESSAGE_STATUS}

_ENDS = {
    "completed": EndCause.COMPLETED,
    "busy": EndCause.BUSY,
    "no-answer": EndCause.NO_ANSWER,
    "canceled": EndCause.CANCELLED,
    "failed": EndCause.FAILED,
}
ENDED_STATUSES = frozenset(_ENDS)
_MESSAGE_STATES = {
    "sent": MessageState.SENT,
    "delivered": MessageState.DELIVERED,
    "read": MessageState.READ,
    "undelivered": MessageState.FAILED,
    "failed": MessageState.FAILED,
}
_WHATSAPP = "whatsapp:"
SOCKET_ENDED = "64105"


class _Identity(TypedDict):
    """What each signal has from its event."""

    event_id: str
    leg: str
    at: datetime


def event(
    kind: Kind, form: Mapping[str, str], *, now: datetime, query: Mapping[str, str] | None = None
) -> Event:
    """A callback with its identity; `query` is that of the address, which Twilio has signed too.

    The session of a person's leg is the caller's, whom they are called for.
    Raises MalformedEvent where its id is missing.
    """
    names, payload = _IDENTITY[kind], {**form, **(query or {})}
    if not payload.get(names[0]):
        raise MalformedEvent(f"a {kind} callback without {names[0]}")
    if kind == Kind.INCOMING_CALL and not payload.get("To"):
        raise MalformedEvent("a call that says not whom it is for")
    identity = "/".join(payload.get(name, "") for name in names)
    return Event(
        event_id=f"{kind}/{identity}",
        kind=kind,
        account=form.get("AccountSid", ""),
        leg="" if kind in _MESSAGES else form.get("CallSid", ""),
        message=form["MessageSid"] if kind in _MESSAGES else "",
        session=payload.get("caller", ""),
        at=_time(form.get("Timestamp", "")) or now,
        payload=payload,
    )


def signals(told: Event) -> list[Signal]:
    """What a callback says; nothing for what concerns nobody here. Raises MalformedEvent."""
    try:
        reader = _READERS[Kind(told.kind)]
    except ValueError:
        raise MalformedEvent(f"{told.kind!r} is no kind of Twilio's callbacks") from None
    return reader(told, told.payload)


def relay_failed(told: Event) -> bool:
    """Whether a ConversationRelay is over because Twilio could not hold it.

    A socket that broke is no reason (64105): the next one may last.
    """
    said = told.payload
    code = said.get("ErrorCode", "")
    if said.get("SessionStatus", "") != "failed" or code == SOCKET_ENDED:
        return False
    why = str(said.get("ErrorMessage", ""))[:300]
    log.warning("twilio's relay failed for %s: %s %s", told.leg, code, why)
    return True


def _incoming(told: Event, form: Mapping[str, str]) -> list[Signal]:
    return [
        Ringing(
            event_id=told.event_id,
            leg=told.leg,
            at=told.at,
            order=-1,  # before the first status callback, which is number 0
            incoming=True,
            from_number=form.get("From", ""),
            to_number=form.get("To", ""),
        )
    ]


def _call_status(told: Event, form: Mapping[str, str]) -> list[Signal]:
    status, found, order = form.get("CallStatus", ""), _detected(told, form), _order(form)
    who: _Identity = {"event_id": told.event_id, "leg": told.leg, "at": told.at}
    if status == "ringing":
        found.append(
            Ringing(
                **who,
                order=order,
                incoming=form.get("Direction", "") == "inbound",
                from_number=form.get("From", ""),
                to_number=form.get("To", ""),
                session=form.get("caller", ""),
            )
        )
    elif status in {"in-progress", "answered"}:
        found.append(Answered(**who, order=order))
    elif status in _ENDS:
        detail = form.get("SipResponseCode", "")
        found.append(Ended(**who, order=order, cause=_ENDS[status], detail=detail))
    return found


def _machine(told: Event, form: Mapping[str, str]) -> list[Signal]:
    return _detected(told, form)


def _detected(told: Event, form: Mapping[str, str]) -> list[Signal]:
    said = form.get("AnsweredBy", "")
    if not said:
        return []
    return [
        Detected(
            event_id=f"{told.event_id}/answered-by",
            leg=told.leg,
            at=told.at,
            order=_order(form),
            answerer=_answerer(said),
            may_speak=said.startswith("machine_end"),
        )
    ]


def _answerer(said: str) -> Answerer:
    if said.startswith("machine"):
        return Answerer.MACHINE
    return Answerer(said) if said in Answerer._value2member_map_ else Answerer.UNKNOWN


def _stream(told: Event, form: Mapping[str, str]) -> list[Signal]:
    base: _Identity = {"event_id": told.event_id, "leg": told.leg, "at": told.at}
    match form.get("StreamEvent", ""):
        case "stream-started":
            return [StreamStarted(**base)]
        case "stream-stopped":
            return [StreamStopped(**base)]
        case "stream-error":
            return [StreamStopped(**base, failure=form.get("StreamError", "") or "unknown")]
    return []


def _after_stream(told: Event, form: Mapping[str, str]) -> list[Signal]:
    """A question: the stream is over, what comes next? It is idle where the leg is over too."""
    status = form.get("CallStatus", "")
    if status not in _ENDS:
        return []
    event_id = f"{told.event_id}/ended"
    return [Ended(event_id=event_id, leg=told.leg, at=told.at, cause=_ENDS[status])]


def _after_dial(told: Event, form: Mapping[str, str]) -> list[Signal]:
    """The caller is back from a person, whom they talked to or not."""
    status = form.get("DialCallStatus", "")
    reached = status in {"completed", "answered"} or form.get("stage") == Stage.JOINED
    return [
        *_after_stream(told, form),
        HandoverEnded(
            event_id=told.event_id,
            leg=told.leg,
            at=told.at,
            reached=reached,
            cause=EndCause.COMPLETED if reached else _ENDS.get(status, EndCause.FAILED),
            person_leg=form.get("DialCallSid", ""),
        ),
    ]


def _person_status(told: Event, form: Mapping[str, str]) -> list[Signal]:
    """The leg of a person who was called for a caller."""
    found, status = _call_status(told, form), form.get("CallStatus", "")
    if status not in _ENDS:
        return found
    reached = form.get("stage") == Stage.JOINED
    # Somebody who picked up and never took the caller has declined.
    cause = EndCause.REJECTED if status == "completed" and not reached else _ENDS[status]
    found.append(
        HandoverEnded(
            event_id=f"{told.event_id}/handover",
            leg=_caller(form),
            at=told.at,
            reached=reached,
            cause=cause,
            person_leg=told.leg,
        )
    )
    return found


def _person_key(told: Event, form: Mapping[str, str]) -> list[Signal]:
    """The person has heard the briefing, and takes the caller or not.

    Who accepts is joined at once; if that fails, a later HandoverEnded says so.
    """
    if form.get("Digits", "") != ACCEPT_KEY:
        return []
    return [
        Bridged(event_id=told.event_id, leg=_caller(form), at=told.at, other_leg=told.leg),
    ]


def _caller(form: Mapping[str, str]) -> str:
    """Whose caller a person was called for, out of the address that Twilio was told."""
    caller = form.get("caller", "")
    if not caller:
        raise MalformedEvent("a person's callback without the caller in its address")
    return caller


def _recording(told: Event, form: Mapping[str, str]) -> list[Signal]:
    base: _Identity = {"event_id": told.event_id, "leg": told.leg, "at": told.at}
    recording_id, status = form.get("RecordingSid", ""), form.get("RecordingStatus", "")
    if status in {"absent", "failed"}:
        reason = form.get("ErrorCode", "") or status
        return [RecordingFailed(**base, recording_id=recording_id, reason=reason)]
    if status != "completed":
        return []
    return [
        RecordingReady(
            **base,
            recording_id=recording_id,
            url=form.get("RecordingUrl", ""),
            channels=2 if form.get("RecordingChannels", "") == "2" else 1,
            seconds=_number(form.get("RecordingDuration", "")),
        )
    ]


def _message(told: Event, form: Mapping[str, str]) -> list[Signal]:
    sender, count = form.get("From", ""), int(_number(form.get("NumMedia", "")) or 0)
    media = (form.get(f"MediaUrl{index}", "") for index in range(min(count, 10)))
    return [
        MessageReceived(
            event_id=told.event_id,
            leg="",
            at=told.at,
            message_id=form.get("MessageSid", ""),
            kind=MessageKind.WHATSAPP if sender.startswith(_WHATSAPP) else MessageKind.SMS,
            from_number=sender.removeprefix(_WHATSAPP),
            to_number=form.get("To", "").removeprefix(_WHATSAPP),
            text=form.get("Body", ""),
            media=tuple(filter(None, media)),
            sender_name=form.get("ProfileName", ""),
        )
    ]


def _message_status(told: Event, form: Mapping[str, str]) -> list[Signal]:
    state = _MESSAGE_STATES.get(form.get("MessageStatus", ""))
    if state is None:  # queued, sending and the like: on its way
        return []
    error = " ".join(filter(None, (form.get("ErrorCode", ""), form.get("ErrorMessage", ""))))
    return [
        MessageMoved(
            event_id=told.event_id,
            leg="",
            at=told.at,
            message_id=form.get("MessageSid", ""),
            state=state,
            error=error,
        )
    ]


_READERS: dict[Kind, Callable[[Event, Mapping[str, str]], list[Signal]]] = {
    Kind.INCOMING_CALL: _incoming,
    Kind.CALL_STATUS: _call_status,
    Kind.ANSWERED: _machine,
    Kind.MACHINE: _machine,
    Kind.STREAM: _stream,
    Kind.AFTER_STREAM: _after_stream,
    Kind.AFTER_DIAL: _after_dial,
    Kind.PERSON_STATUS: _person_status,
    Kind.PERSON_KEY: _person_key,
    Kind.RECORDING: _recording,
    Kind.MESSAGE: _message,
    Kind.MESSAGE_STATUS: _message_status,
}


def _order(form: Mapping[str, str]) -> int | None:
    number = _number(form.get("SequenceNumber", ""))
    return None if number is None else int(number)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < 1e9 else None


def _time(text: str) -> datetime | None:
    """RFC 2822 in call callbacks, ISO 8601 in those of streams."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(text)
        except (TypeError, ValueError, OverflowError):
            continue
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return None
