"""Twilio's webhooks, read: forms become events, events become signals (twilio.md, 2, 6, 8, 9).

Twilio gives its callbacks no id of their own, so one is made of what tells two of them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from calls.providers.carriers.signals import (
    Answered,
    Answerer,
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


class Kind(StrEnum):
    """Which of our addresses Twilio called."""

    INCOMING_CALL = "incoming-call"
    CALL_STATUS = "call-status"
    MACHINE = "machine"
    STREAM = "stream"
    DIALLED = "dialled"
    RECORDING = "recording"
    MESSAGE = "message"
    MESSAGE_STATUS = "message-status"


# The fields that tell one callback of a kind from the others of the same call or message.
_IDENTITY = {
    Kind.INCOMING_CALL: ("CallSid",),
    Kind.CALL_STATUS: ("CallSid", "SequenceNumber", "CallStatus"),
    Kind.MACHINE: ("CallSid", "AnsweredBy"),
    Kind.STREAM: ("CallSid", "StreamSid", "StreamEvent"),
    Kind.DIALLED: ("CallSid", "DialCallSid", "DialCallStatus"),
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
_MESSAGE_STATES = {
    "sent": MessageState.SENT,
    "delivered": MessageState.DELIVERED,
    "read": MessageState.READ,
    "undelivered": MessageState.FAILED,
    "failed": MessageState.FAILED,
}
_WHATSAPP = "whatsapp:"


def event(kind: Kind, form: Mapping[str, str], *, now: datetime) -> Event:
    """A callback with its identity. Raises MalformedEvent where its id is missing."""
    names = _IDENTITY[kind]
    if not form.get(names[0]):
        raise MalformedEvent(f"a {kind} callback without {names[0]}")
    identity = "/".join(form.get(name, "") for name in names)
    return Event(
        event_id=f"{kind}/{identity}",
        kind=kind,
        account=form.get("AccountSid", ""),
        leg="" if kind in _MESSAGES else form.get("CallSid", ""),
        at=_time(form.get("Timestamp", "")) or now,
        payload=dict(form),
    )


def signals(told: Event) -> list[Signal]:
    """What a callback says; nothing for what concerns nobody here. Raises MalformedEvent."""
    try:
        reader = _READERS[Kind(told.kind)]
    except ValueError:
        raise MalformedEvent(f"{told.kind!r} is no kind of Twilio's callbacks") from None
    return reader(told, told.payload)


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
    status, found = form.get("CallStatus", ""), _detected(told, form)
    base = {"event_id": told.event_id, "leg": told.leg, "at": told.at, "order": _order(form)}
    if status == "ringing":
        incoming = form.get("Direction", "") == "inbound"
        found.append(
            Ringing(
                **base,
                incoming=incoming,
                from_number=form.get("From", ""),
                to_number=form.get("To", ""),
            )
        )
    elif status in {"in-progress", "answered"}:
        found.append(Answered(**base))
    elif status in _ENDS:
        found.append(Ended(**base, cause=_ENDS[status], detail=form.get("SipResponseCode", "")))
    return found


def _machine(told: Event, form: Mapping[str, str]) -> list[Signal]:
    return list(_detected(told, form))


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
    base = {"event_id": told.event_id, "leg": told.leg, "at": told.at}
    match form.get("StreamEvent", ""):
        case "stream-started":
            return [StreamStarted(**base)]
        case "stream-stopped":
            return [StreamStopped(**base)]
        case "stream-error":
            return [StreamStopped(**base, failure=form.get("StreamError", "") or "unknown")]
    return []


def _dialled(told: Event, form: Mapping[str, str]) -> list[Signal]:
    status = form.get("DialCallStatus", "")
    reached = status in {"completed", "answered"}
    return [
        HandoverEnded(
            event_id=told.event_id,
            leg=told.leg,
            at=told.at,
            reached=reached,
            cause=_ENDS.get(status, EndCause.COMPLETED if reached else EndCause.FAILED),
            person_leg=form.get("DialCallSid", ""),
        )
    ]


def _recording(told: Event, form: Mapping[str, str]) -> list[Signal]:
    base = {"event_id": told.event_id, "leg": told.leg, "at": told.at}
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
    Kind.MACHINE: _machine,
    Kind.STREAM: _stream,
    Kind.DIALLED: _dialled,
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
        except (TypeError, ValueError):
            continue
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return None
