"""Who has this number, as far as our calls tell."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q

from calls.models import Call, Leg, TakenMessage


@dataclass(frozen=True, slots=True)
class KnownCaller:
    """Somebody who talked with an agent: the name that they left, and their latest call."""

    name: str
    latest: Call


def caller_of(number: str) -> KnownCaller | None:
    """Whoever called from this E.164 number, or was called at it; None if nobody was."""
    dialled = Exists(Leg.objects.filter(call=OuterRef("pk")))  # and not refused
    latest: Call | None = (
        Call.objects.filter(
            Q(from_number=number) | Q(dialled, to_number=number, direction="outbound")
        )
        .order_by("-started_at", "-id")
        .first()
    )
    if latest is None:
        return None
    left = TakenMessage.objects.filter(number=number).exclude(from_name="").order_by("-id")
    return KnownCaller(left.values_list("from_name", flat=True).first() or "", latest)
