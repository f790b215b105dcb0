"""What becomes of a telephone connection: its row follows its signals, its call follows it."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import timezone

from calls.models import Call, Leg, State
from calls.providers.carriers.legs import LegPicture, LegState, picture
from calls.providers.carriers.signals import EndCause, Signal
from calls.rows import Closing
from calls.services.calls import call_close
from calls.voice.end_reasons import EndReason

# What a call that never came to a conversation ended of, by its customer's leg.
_NEVER_TALKED = {
    EndCause.COMPLETED: EndReason.CANCELLED,
    EndCause.BUSY: EndReason.BUSY,
    EndCause.NO_ANSWER: EndReason.NO_ANSWER,
    EndCause.REJECTED: EndReason.REJECTED,
    EndCause.CANCELLED: EndReason.CANCELLED,
    EndCause.FAILED: EndReason.FAILED,
    EndCause.UNKNOWN_NUMBER: EndReason.UNKNOWN_NUMBER,
}


def leg_open(
    *,
    call: Call,
    carrier: str,
    carrier_id: str,
    direction: str,
    from_number: str,
    to_number: str,
    role: str = Leg.Role.CUSTOMER,
    account_id: int | None = None,
    session: str = "",
) -> Leg:
    """The call's leg of that id, new if it is."""
    leg: Leg
    leg, _created = Leg.objects.get_or_create(
        carrier=carrier,
        carrier_id=carrier_id,
        defaults={
            "call": call,
            "account_id": account_id,
            "direction": direction,
            "from_number": from_number[:100],
            "to_number": to_number[:100],
            "role": role,
            "session": session[:200],
        },
    )
    return leg


def leg_placed(*, leg_id: int, carrier_id: str) -> None:
    """The carrier has taken our order to dial: from now on the leg has its name."""
    Leg.objects.filter(pk=leg_id, carrier_id="").update(
        carrier_id=carrier_id[:200], updated_at=timezone.now()
    )


def leg_follow(*, leg: Leg, signals: Sequence[Signal]) -> LegPicture:
    """Make the row what its signals say, and let its call know what is new about it."""
    seen = picture(signals)
    was = leg.state
    leg.state = seen.state.value
    leg.answered_at, leg.ended_at = seen.answered_at, seen.ended_at
    leg.cause = seen.cause.value if seen.cause is not None else ""
    leg.detail = seen.detail[:200]
    leg.picked_up = seen.answerer.value if seen.answerer is not None else ""
    leg.save()
    if leg.state == LegState.ENDED and was != leg.state and leg.role == Leg.Role.CUSTOMER:
        _customer_gone(leg, seen)
    return seen


def _customer_gone(leg: Leg, seen: LegPicture) -> None:
    """End a call that was never talked on; a live one is ended by who holds its sound."""
    cause = seen.cause or EndCause.COMPLETED
    if Call.objects.filter(pk=leg.call_id, state=State.RINGING).exists():
        ended_at = seen.ended_at or timezone.now()
        call_close(
            call_id=leg.call_id,
            closing=Closing(_NEVER_TALKED[cause], ended_at),
        )
