"""Keeping what a PBX reports of its calls."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Q

from calls.jsontext import clean_text
from calls.models import Call, Channel, Direction, JournalEntry
from calls.phone_numbers import readings
from calls.selectors.callers import home_country
from tenants import audit
from tenants.models import ApiKey, User

# The PBX's clock and ours may differ; so long before a report's beginning its call may have ended.
CLOCKS_APART = timedelta(minutes=2)


def journal_note(
    *,
    identity: str,
    kind: str,
    number: str,
    started_at: datetime,
    incoming: bool,
    actor: User | ApiKey,
    established_at: datetime | None = None,
    ended_at: datetime | None = None,
    **texts: str,
) -> tuple[JournalEntry, bool]:
    """Keep a report, once, with the call of ours that it is about; and whether it is new.

    The number is kept in E.164 form where it has one, so that all of a customer's are found.
    """
    theirs = readings(number, home_country())
    entry, created = JournalEntry.objects.get_or_create(
        identity=identity,
        defaults={
            "kind": kind,
            "number": theirs[0] if theirs else clean_text(number)[:60],
            "started_at": started_at,
            "established_at": established_at,
            "ended_at": ended_at,
            "call": _call_of(theirs, started_at, ended_at or started_at, incoming),
            **{name: clean_text(text)[:200] for name, text in texts.items()},
        },
    )
    if created:
        audit.record(action="journal.noted", actor=actor, target=entry)
    return entry, created


def _call_of(theirs: Sequence[str], began: datetime, over: datetime, incoming: bool) -> Call | None:
    """Our call with that number at that time. A part of it may be a person's, later in it."""
    ours: Call | None = (
        Call.objects.filter(
            channel=Channel.THREECX,
            direction=Direction.INBOUND if incoming else Direction.OUTBOUND,
            started_at__lt=over + CLOCKS_APART,
            **{"from_number__in" if incoming else "to_number__in": theirs},
        )
        .filter(Q(ended_at=None) | Q(ended_at__gt=began - CLOCKS_APART))
        .order_by("-started_at", "-id")
        .first()
    )
    return ours
