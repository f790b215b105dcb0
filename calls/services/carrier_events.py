"""Keeping what carriers tell, once, before anything is made of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from calls.jsontext import clean_fields, clean_text
from calls.models import CarrierEvent, Leg, StrayEvent
from calls.providers.carriers.registry import carrier
from calls.providers.carriers.signals import Event, MalformedEvent, Signal
from calls.services.locks import lock_until_commit

log = logging.getLogger(__name__)

# An event that nobody could apply is tried again after so long, and no longer than that.
RETRY_AFTER = timedelta(seconds=5)
GIVE_UP_AFTER = timedelta(hours=1)
STRAYS_KEPT = timedelta(days=30)
EVENTS_KEPT = timedelta(days=90)


def event_store(
    *,
    carrier_name: str,
    event: Event,
    account_id: int | None = None,
    call_id: int | None = None,
) -> CarrierEvent | None:
    """Keep an event of the current tenant; None if it was told before."""
    row, created = CarrierEvent.objects.get_or_create(
        carrier=carrier_name,
        event_id=event.event_id,
        defaults={
            "account_id": account_id,
            "call_id": call_id,
            "leg": event.leg or _leg_of_session(carrier_name, event.session),
            "session": event.session,
            "message": event.message,
            "kind": clean_text(event.kind)[:64],
            "occurred_at": event.at,
            "payload": clean_fields(event.payload),
        },
    )
    return row if created else None


def _leg_of_session(carrier_name: str, session: str) -> str:
    """The customer's leg of a session, for events that tell no leg; empty if it is not known."""
    if not session:
        return ""
    legs = Leg.objects.filter(carrier=carrier_name, session=session, role=Leg.Role.CUSTOMER)
    return legs.values_list("carrier_id", flat=True).first() or ""


def stray_event_store(*, carrier_name: str, event: Event) -> None:
    """Keep an event that led to no tenant, for operators to see."""
    stray = StrayEvent(
        carrier=carrier_name,
        event_id=event.event_id,
        kind=clean_text(event.kind)[:64],
        payload=clean_fields(event.payload),
    )
    StrayEvent.objects.bulk_create([stray], ignore_conflicts=True)


def stray_events_forget(*, now: datetime) -> None:
    """What led nowhere and is old may hold somebody's number: nobody needs it any more."""
    StrayEvent.objects.filter(received_at__lt=now - STRAYS_KEPT).delete()


def events_forget(*, now: datetime) -> int:
    """What was told the current tenant long ago is in its legs and messages; how many went."""
    old = CarrierEvent.objects.filter(received_at__lt=now - EVENTS_KEPT)
    there = Leg.objects.exclude(state=Leg.State.ENDED).exclude(carrier_id="").values("carrier_id")
    gone, _by_model = old.exclude(leg__in=there).delete()
    return int(gone)


def leg_lock(*, carrier_name: str, leg: str) -> None:
    """Let nobody else work on this leg until the transaction ends, whether it has a row or not."""
    lock_until_commit(f"{carrier_name}:{leg}")


def as_told(row: CarrierEvent) -> Event:
    """The event as its carrier's own rules read it."""
    return Event(
        event_id=row.event_id,
        kind=row.kind,
        account="",
        leg=row.leg,
        session=row.session,
        at=row.occurred_at,
        payload=row.payload,
    )


def signals_in(row: CarrierEvent) -> list[Signal]:
    """What a stored event says; what breaks its protocol says nothing, and that is noted."""
    try:
        return carrier(row.carrier).signals(as_told(row))
    except MalformedEvent as error:
        if row.applied_at is None:
            log.warning("%s: event %s cannot be read: %s", row.carrier, row.event_id, error)
            CarrierEvent.objects.filter(pk=row.pk).update(fault=clean_text(str(error))[:300])
        return []


def events_of(*, carrier_name: str, leg: str) -> list[CarrierEvent]:
    """All that was ever told of a leg."""
    return list(
        CarrierEvent.objects.filter(carrier=carrier_name, leg=leg).order_by("occurred_at", "pk")
    )


def events_of_message(*, carrier_name: str, message: str) -> list[CarrierEvent]:
    """All that was ever told of a written message."""
    return list(CarrierEvent.objects.filter(carrier=carrier_name, message=message).order_by("pk"))


def events_applied(events: Sequence[CarrierEvent]) -> None:
    """Note that the call has taken notice of these."""
    waiting = [event.pk for event in events if event.applied_at is None]
    if waiting:
        CarrierEvent.objects.filter(pk__in=waiting).update(applied_at=timezone.now())


def messages_told(*, now: datetime) -> list[tuple[str, str]]:
    """(carrier, message) of the current tenant's events that nobody has taken notice of yet."""
    waiting = _waiting(now).exclude(message="").order_by("carrier", "message")
    return list(waiting.values_list("carrier", "message").distinct()[:500])


def legs_waiting(*, now: datetime) -> list[tuple[str, str]]:
    """(carrier, leg) of the current tenant's events that nobody has taken notice of yet."""
    waiting = _waiting(now)
    for event in waiting.filter(~Q(session=""), leg="")[:500]:
        if leg := _leg_of_session(event.carrier, event.session):
            CarrierEvent.objects.filter(pk=event.pk).update(leg=leg)
    legs = waiting.exclude(leg="").order_by("carrier", "leg")
    return list(legs.values_list("carrier", "leg").distinct()[:500])


def _waiting(now: datetime) -> QuerySet[CarrierEvent]:
    found: QuerySet[CarrierEvent] = CarrierEvent.objects.filter(
        applied_at=None, received_at__lt=now - RETRY_AFTER, received_at__gt=now - GIVE_UP_AFTER
    )
    return found
