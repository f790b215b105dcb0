"""Keeping what carriers tell, once, before anything is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

from calls.jsontext import clean, clean_text
from calls.models import CarrierEvent, StrayEvent
from calls.providers.carriers.registry import carrier
from calls.providers.carriers.signals import Event, Signal

# An event whose application failed is tried again this often, and this long.
RETRY_AFTER = timedelta(seconds=5)
GIVE_UP_AFTER = timedelta(hours=1)


def event_store(*, carrier_name: str, event: Event, account_id: int | None) -> bool:
    """Keep an event of the current tenant; False if it was told before."""
    _row, created = CarrierEvent.objects.get_or_create(
        carrier=carrier_name,
        event_id=event.event_id[:200],
        defaults={
            "account_id": account_id,
            "leg": event.leg[:200],
            "kind": clean_text(event.kind)[:64],
            "occurred_at": event.at,
            "payload": clean(dict(event.payload)),
        },
    )
    return bool(created)


def stray_event_store(*, carrier_name: str, event: Event) -> None:
    """Keep an event that led to no tenant, for operators to see."""
    StrayEvent.objects.bulk_create(
        [
            StrayEvent(
                carrier=carrier_name,
                event_id=event.event_id[:200],
                kind=clean_text(event.kind)[:64],
                payload=clean(dict(event.payload)),
            )
        ],
        ignore_conflicts=True,
    )


def leg_lock(*, carrier_name: str, leg: str) -> None:
    """Let nobody else work on this leg until the transaction ends, whether it has a row or not."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{carrier_name}:{leg}"]
        )


def signals_of(events: Sequence[CarrierEvent]) -> list[Signal]:
    """What these stored events say, read by their carrier's own rules."""
    return [
        signal for event in events for signal in carrier(event.carrier).signals(_as_told(event))
    ]


def _as_told(row: CarrierEvent) -> Event:
    return Event(
        event_id=row.event_id,
        kind=row.kind,
        account="",
        leg=row.leg,
        at=row.occurred_at,
        payload=row.payload,
    )


def events_of(*, carrier_name: str, leg: str) -> list[CarrierEvent]:
    """All that was ever told of a leg."""
    return list(
        CarrierEvent.objects.filter(carrier=carrier_name, leg=leg).order_by("occurred_at", "pk")
    )


def events_applied(events: Sequence[CarrierEvent]) -> None:
    """Note that the call has taken notice of these."""
    waiting = [event.pk for event in events if event.applied_at is None]
    if waiting:
        CarrierEvent.objects.filter(pk__in=waiting).update(applied_at=timezone.now(), fault="")


def event_failed(*, event_id: str, carrier_name: str, fault: str) -> None:
    """Note why an event could not be applied; the sweeper tries it again for a while."""
    CarrierEvent.objects.filter(carrier=carrier_name, event_id=event_id).update(
        fault=clean_text(fault)[:300]
    )


def legs_waiting(*, now: datetime) -> list[tuple[str, str]]:
    """(carrier, leg) of the current tenant's events that nobody has taken notice of yet."""
    waiting = CarrierEvent.objects.filter(
        applied_at=None, received_at__lt=now - RETRY_AFTER, received_at__gt=now - GIVE_UP_AFTER
    )
    return list(waiting.order_by("carrier", "leg").values_list("carrier", "leg").distinct()[:500])
