"""What agents keep for people: written as it happens in a call, dealt with by staff."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import phonenumbers
from django.utils import timezone

from calls.jsontext import clean_text
from calls.line.rows import EventRow
from calls.models import Call, CallBack, Direction, TakenMessage
from calls.voice.events import Event
from tenants import audit

TAKE_MESSAGE, CALL_BACK = "TakeMessage", "CallBack"  # as the loop calls these actions


class AlreadySettled(Exception):
    """Somebody has dealt with it before."""


def notes_keep(*, call_id: int, events: Sequence[EventRow]) -> None:
    """Make rows of the messages and call-backs among a call's events, each once."""
    notes = [event for event in events if event.name == Event.ACTION]
    messages = [event for event in notes if event.data.get("action") == TAKE_MESSAGE]
    call_backs = [event for event in notes if event.data.get("action") == CALL_BACK]
    if not messages and not call_backs:
        return
    call: Call = Call.objects.select_related("tenant").get(pk=call_id)
    TakenMessage.objects.bulk_create(
        [_message(call, event) for event in messages], ignore_conflicts=True
    )
    CallBack.objects.bulk_create(
        [_call_back(call, event) for event in call_backs], ignore_conflicts=True
    )


def message_settle(*, message: TakenMessage, actor: audit.Actor) -> None:
    """Somebody has dealt with the message. Raises AlreadySettled."""
    settled = TakenMessage.objects.filter(pk=message.pk, handled_at=None).update(
        handled_at=timezone.now(), updated_at=timezone.now()
    )
    if not settled:
        raise AlreadySettled(f"message {message.public_id} was dealt with before")
    audit.record(action="message.settle", actor=actor, target=message)


def call_back_settle(*, call_back: CallBack, state: CallBack.State, actor: audit.Actor) -> None:
    """The caller was called again by people, or is not to be. Raises AlreadySettled."""
    left = (CallBack.State.SCHEDULED, CallBack.State.FAILED)
    settled = CallBack.objects.filter(pk=call_back.pk, state__in=left).update(
        state=state, settled_at=timezone.now(), updated_at=timezone.now()
    )
    if not settled:
        raise AlreadySettled(f"call-back {call_back.public_id} is being called, or was settled")
    changes = {"state": [call_back.state, state.value]}
    audit.record(action="call_back.settle", actor=actor, target=call_back, changes=changes)


# --- from the loop's words to rows --------------------------------------------------------


def _text(event: EventRow, name: str, longest: int) -> str:
    return clean_text(str(event.data.get(name, "")))[:longest]


def _message(call: Call, event: EventRow) -> TakenMessage:
    return TakenMessage(
        call=call,
        sequence=event.sequence,
        text=_text(event, "text", 4000),
        from_name=_text(event, "from_name", 120),
        number=_reachable(call, _text(event, "number", 100)),
        for_whom=_text(event, "for_whom", 120),
    )


def _call_back(call: Call, event: EventRow) -> CallBack:
    return CallBack(
        call=call,
        sequence=event.sequence,
        due_at=datetime.fromisoformat(str(event.data["when"])),
        time_zone=call.tenant.time_zone,
        number=_reachable(call, _text(event, "number", 100)),
        reason=_text(event, "reason", 1000),
    )


def _reachable(call: Call, given: str) -> str:
    """Where the caller can be reached: the number they gave, else the one of the call.

    A national number is understood as one of the country whose number we were called on (or
    called from). What makes no number is kept as it was given: people can make sense of it.
    """
    outbound = call.direction == Direction.OUTBOUND
    theirs, ours = (
        (call.to_number, call.from_number) if outbound else (call.from_number, call.to_number)
    )
    if not given:
        return str(theirs)
    for country in (_country(ours), _country(theirs)):
        try:
            parsed = phonenumbers.parse(given, country)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_possible_number(parsed):
            return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return given


def _country(number: str) -> str | None:
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number, None))
    except phonenumbers.NumberParseException:
        return None
