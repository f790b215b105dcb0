"""Who has this number, as far as our calls tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Q

from calls.models import Call, Channel, Direction, Leg, Number, TakenMessage
from calls.phone_numbers import country_of


@dataclass(frozen=True, slots=True)
class KnownCaller:
    """Somebody who talked with an agent: the name that they left, and their latest call."""

    name: str
    latest: Call

    @property
    def number(self) -> str:
        """Where they are."""
        call = self.latest
        return str(call.to_number if call.direction == Direction.OUTBOUND else call.from_number)


def home_country() -> str:
    """Where the tenant telephones from (`MX`): the country of its numbers, a PBX's first."""
    at_a_pbx = ExpressionWrapper(Q(carrier=Channel.THREECX), BooleanField())
    own = Number.objects.order_by(at_a_pbx.desc(), "pk").values_list("e164", flat=True).first()
    return country_of(own) if own else ""


def caller_of(numbers: Sequence[str]) -> KnownCaller | None:
    """Whoever called from one of these E.164 numbers, or was called at it; None if nobody was.

    One who calls and one who is called are looked for apart, each by an index of its own.
    """
    dialled = Exists(Leg.objects.filter(call=OuterRef("pk")))  # and not refused
    of_them = (
        Call.objects.filter(from_number__in=numbers),
        Call.objects.filter(dialled, to_number__in=numbers, direction=Direction.OUTBOUND),
    )
    latest = [calls.order_by("-started_at", "-id").first() for calls in of_them]
    known = [call for call in latest if call is not None]
    if not known:
        return None
    left = TakenMessage.objects.filter(number__in=numbers).exclude(from_name="").order_by("-id")
    name = left.values_list("from_name", flat=True).first() or ""
    return KnownCaller(name, max(known, key=lambda call: call.started_at))
