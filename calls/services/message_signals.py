"""From what a carrier told of a written message to what becomes of it.

As with legs, everything is worked out anew from all that was told.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from calls.jsontext import clean_text
from calls.models import CarrierEvent, Direction, Message, MessageFile, Number
from calls.phone_numbers import NotANumber, e164
from calls.providers.carriers.letters import letter_picture
from calls.providers.carriers.signals import MessageMoved, MessageReceived
from calls.services.carrier_events import (
    events_applied,
    events_of_message,
    leg_lock,
    signals_in,
)
from calls.services.message_orders import message_follow
from calls.services.opting_out import word_heed

MOST_FILES = 10


def message_apply(*, carrier_name: str, carrier_id: str) -> None:
    """Take notice of all that was told of a message and was not noticed yet.

    What is told of a message that we do not know by that name is left for later.
    """
    leg_lock(carrier_name=carrier_name, leg=carrier_id)
    told = events_of_message(carrier_name=carrier_name, message=carrier_id)
    fresh = [event for event in told if event.applied_at is None]
    if not fresh:
        return
    if _noticed(told, carrier_name, carrier_id):
        events_applied(fresh)


def _noticed(told: Sequence[CarrierEvent], carrier_name: str, carrier_id: str) -> bool:
    said = [(event, signal) for event in told for signal in signals_in(event)]
    for event, signal in said:
        if isinstance(signal, MessageReceived):
            _receive(event, signal)
    moved = [signal for _event, signal in said if isinstance(signal, MessageMoved)]
    if not moved:
        return True
    ours = Message.objects.filter(
        carrier=carrier_name, carrier_id=carrier_id, direction=Direction.OUTBOUND
    ).first()
    if ours is not None:
        message_follow(message=ours, seen=letter_picture(moved))
    return ours is not None


def _receive(event: CarrierEvent, signal: MessageReceived) -> None:
    number = Number.objects.filter(e164=signal.to_number).first()
    message, is_new = Message.objects.get_or_create(
        carrier=event.carrier,
        carrier_id=signal.message_id[:200],
        defaults={
            "direction": Direction.INBOUND,
            "kind": signal.kind.value,
            "account_id": event.account_id,
            "number": number,
            "own_number": clean_text(signal.to_number)[:100],
            "party": _party(signal.from_number),
            "party_name": clean_text(signal.sender_name)[:200],
            "text": clean_text(signal.text),
            "media": [clean_text(url) for url in signal.media[:MOST_FILES]],
            "state": Message.State.RECEIVED,
            "at": min(signal.at, timezone.now()),
        },
    )
    if is_new:
        _fetch_files(message)
        word_heed(message=message)


def _party(written: str) -> str:
    """Their number, or what the carrier calls somebody who has none."""
    try:
        return e164(written)
    except NotANumber:
        return clean_text(written)[:100]


def _fetch_files(message: Message) -> None:
    for place in range(len(message.media)):
        fetch_on_commit(MessageFile.objects.create(message=message, place=place))


def fetch_on_commit(file: MessageFile) -> None:
    """Have a worker bring it from the carrier; what is lost on the way the sweeper finds."""
    from calls.tasks import fetch_message_file

    tenant_id, file_id = file.tenant_id, file.pk
    transaction.on_commit(lambda: fetch_message_file.delay(tenant_id, file_id), robust=True)
