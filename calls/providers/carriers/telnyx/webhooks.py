"""What Telnyx tells us, in the signals that all carriers share (telnyx.md, 2).

Events come twice and in any order; each becomes the same signals every time, by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from calls.providers.carriers.signals import (
    Answered,
    Answerer,
    Bridged,
    Detected,
    EndCause,
    Ended,
    KeysPressed,
    RecordingFailed,
    RecordingReady,
    Ringing,
    Signal,
    StreamStarted,
    StreamStopped,
)
from calls.providers.carriers.signals import Event as StoredEvent
from calls.providers.carriers.steps import Step
from calls.providers.carriers.telnyx import farewell, transfer
from calls.providers.carriers.telnyx.codecs import likely_rate
from calls.providers.carriers.telnyx.context import Carried, HandoverContext
from calls.providers.carriers.telnyx.events import (
    Event,
    MalformedWebhook,
    moment,
    read_event,
)
from calls.providers.carriers.telnyx.messages import MESSAGE_READERS
from calls.providers.carriers.telnyx.signature import NotSigned, verify

__all__ = [
    "MalformedWebhook",
    "NotSigned",
    "Step",
    "end_cause",
    "follow_ups",
    "read",
    "verify",
]

KEY = "call.dtmf.received"
RECORDING_URL_LIFE = timedelta(minutes=10)

_CAUSES = {
    "normal_clearing": EndCause.COMPLETED,
    "time_limit": EndCause.COMPLETED,
    "user_busy": EndCause.BUSY,
    "no_answer": EndCause.NO_ANSWER,
    "timeout": EndCause.NO_ANSWER,  # nobody picked up within timeout_secs
    "call_rejected": EndCause.REJECTED,
    "originator_cancel": EndCause.CANCELLED,
    "not_found": EndCause.UNKNOWN_NUMBER,
}
# SIP's own code, where Telnyx's word says nothing (RFC 3261, 21).
_SIP_CAUSES = {
    "404": EndCause.UNKNOWN_NUMBER,
    "408": EndCause.NO_ANSWER,
    "410": EndCause.UNKNOWN_NUMBER,
    "480": EndCause.NO_ANSWER,
    "484": EndCause.UNKNOWN_NUMBER,
    "486": EndCause.BUSY,
    "487": EndCause.CANCELLED,
    "600": EndCause.BUSY,
    "603": EndCause.REJECTED,
    "604": EndCause.UNKNOWN_NUMBER,
}
_ANSWERERS = {
    "human": Answerer.HUMAN,
    "human_residence": Answerer.HUMAN,
    "human_business": Answerer.HUMAN,
    "machine": Answerer.MACHINE,
    "fax_detected": Answerer.FAX,
}


def event(body: bytes) -> StoredEvent:
    """A verified webhook with its identity, as it is stored. Raises MalformedWebhook.

    A caller's keys come with their sound; the webhook beside it is kept without: a card's number
    is not to lie in the database.
    """
    told = read_event(body)
    return StoredEvent(
        event_id=told.id,
        kind=told.kind,
        account=told.text("connection_id") or told.text("messaging_profile_id"),
        leg=told.leg,
        session=told.session,
        message=told.required("id") if told.kind in MESSAGE_READERS else "",
        at=told.at,
        payload={**told.payload, "digit": "-"} if told.kind == KEY else told.payload,
    )


def signals(stored: StoredEvent) -> list[Signal]:
    """What an event says; nothing where it does not concern us.

    Raises MalformedWebhook, which names the field.
    """
    told = _as_told(stored)
    reader = _READERS.get(told.kind)
    return reader(told) if reader else []


def steps(stored: StoredEvent) -> tuple[Step, ...]:
    """The commands that an event calls for by itself: in a warm transfer, around a last word."""
    told = _as_told(stored)
    return transfer.next_steps(told) + farewell.next_steps(told)


def _as_told(stored: StoredEvent) -> Event:
    return Event(stored.kind, stored.event_id, stored.at, stored.payload)


def read(body: bytes) -> list[Signal]:
    """The signals of a webhook's body. Raises MalformedWebhook."""
    return signals(event(body))


def follow_ups(body: bytes) -> tuple[Step, ...]:
    """The commands that a webhook's body calls for. Raises MalformedWebhook."""
    return steps(event(body))


def end_cause(event: Event) -> tuple[EndCause, str]:
    """Why a leg is over, and Telnyx's own words for it."""
    word, sip = event.text("hangup_cause"), event.text("sip_hangup_cause")
    cause = _CAUSES.get(word) or _SIP_CAUSES.get(sip, EndCause.FAILED)
    said = [word, f"SIP {sip}" if sip.isdecimal() else "", event.text("hangup_source")]
    return cause, ", ".join(filter(None, said))


def _initiated(event: Event) -> list[Signal]:
    direction = event.required("direction")
    if direction not in ("incoming", "outgoing"):
        raise MalformedWebhook("data.payload.direction", f"{direction[:20]!r} is no direction")
    return [
        Ringing(
            event_id=event.id,
            leg=event.required("call_control_id"),
            at=event.at,
            incoming=direction == "incoming",
            from_number=event.text("from"),
            to_number=event.text("to"),
            session=event.session,
            client_state=Carried.of(event.client_state).state,
            sample_rate=likely_rate(event.text("offered_codecs")),
        )
    ]


def _answered(event: Event) -> list[Signal]:
    return [Answered(event_id=event.id, leg=event.required("call_control_id"), at=event.at)]


def _bridged(event: Event) -> list[Signal]:
    context = HandoverContext.of(event.client_state)
    return [
        Bridged(
            event_id=event.id,
            leg=event.required("call_control_id"),
            at=event.at,
            other_leg=context.caller_leg if context else "",
        )
    ]


def _hangup(event: Event) -> list[Signal]:
    cause, detail = end_cause(event)
    leg = event.required("call_control_id")
    ended = Ended(event_id=event.id, leg=leg, at=event.at, cause=cause, detail=detail)
    handover = transfer.handover_ended(event, cause)
    return [ended, handover] if handover else [ended]


def _gathered(event: Event) -> list[Signal]:
    leg, digits = event.required("call_control_id"), event.text("digits")
    return [KeysPressed(event_id=event.id, leg=leg, at=event.at, keys=digits)] if digits else []


def _stream_started(event: Event) -> list[Signal]:
    return [StreamStarted(event_id=event.id, leg=event.required("call_control_id"), at=event.at)]


def _stream_stopped(event: Event) -> list[Signal]:
    failure = ""
    if event.kind == "streaming.failed":
        failure = event.text("failure_reason") or "streaming.failed"
    leg = event.required("call_control_id")
    return [StreamStopped(event_id=event.id, leg=leg, at=event.at, failure=failure)]


def _detected(event: Event) -> list[Signal]:
    answerer = _ANSWERERS.get(event.required("result"), Answerer.UNKNOWN)
    leg = event.required("call_control_id")
    return [Detected(event_id=event.id, leg=leg, at=event.at, answerer=answerer)]


def _greeting_ended(event: Event) -> list[Signal]:
    """Only a machine greets. Anything but a beep may be followed by one, or by nothing."""
    return [
        Detected(
            event_id=event.id,
            leg=event.required("call_control_id"),
            at=event.at,
            answerer=Answerer.MACHINE,
            may_speak=event.required("result") == "beep_detected",
            greeted=True,
        )
    ]


def _recorded(event: Event) -> list[Signal]:
    """The model has no call control id: the session finds the call, and the leg if it is there.

    Nor has it an id of the recording; the Recordings API finds it by the call leg's.
    """
    urls = event.payload.get("recording_urls")
    url = urls.get("wav") or urls.get("mp3") if isinstance(urls, dict) else None
    if not isinstance(url, str) or not url:
        raise MalformedWebhook("data.payload.recording_urls", "names neither wav nor mp3")
    return [
        RecordingReady(
            event_id=event.id,
            leg=event.leg,
            at=event.at,
            recording_id=event.text("recording_id") or f"leg:{event.required('call_leg_id')}",
            url=url,
            channels=2 if event.text("channels") == "dual" else 1,
            seconds=_recorded_seconds(event),
            expires_at=event.at + RECORDING_URL_LIFE,
            session=event.session,
        )
    ]


def _recorded_seconds(event: Event) -> float | None:
    names = ("recording_started_at", "recording_ended_at")
    began, ended = (event.text(name) for name in names)
    if not began or not ended:
        return None
    fields = (f"data.payload.{name}" for name in names)
    start, end = (moment(at, field) for at, field in zip((began, ended), fields, strict=True))
    return max(0.0, (end - start).total_seconds())


def _not_recorded(event: Event) -> list[Signal]:
    return [
        RecordingFailed(
            event_id=event.id,
            leg=event.leg,
            at=event.at,
            recording_id=event.text("recording_id") or f"leg:{event.text('call_leg_id')}",
            reason=event.text("reason") or "call.recording.error",
        )
    ]


_READERS: dict[str, Callable[[Event], list[Signal]]] = {
    "call.initiated": _initiated,
    "call.answered": _answered,
    "call.bridged": _bridged,
    "call.hangup": _hangup,
    "call.gather.ended": _gathered,
    "call.machine.detection.ended": _detected,
    "call.machine.premium.detection.ended": _detected,
    "call.machine.greeting.ended": _greeting_ended,
    "call.machine.premium.greeting.ended": _greeting_ended,
    "call.recording.saved": _recorded,
    "call.recording.error": _not_recorded,
    "streaming.started": _stream_started,
    "streaming.stopped": _stream_stopped,
    "streaming.failed": _stream_stopped,
    **MESSAGE_READERS,
}
