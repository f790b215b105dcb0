"""No telephone line stays open on which nobody talks: each costs money by the minute."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from calls import spoken
from calls.line.rows import Closing
from calls.models import Call, Command, Leg, State
from calls.providers.carriers.registry import CARRIERS, carrier
from calls.providers.carriers.signals import EndCause
from calls.services.calls import call_close
from calls.services.commands import command_give
from calls.services.legs import leg_give_up
from calls.services.orders import DECIDED_BY
from calls.services.parting import CUT_OFF, customer_leg, leg_say
from calls.voice.end_reasons import EndReason

# An order to call somebody that was not answered is good for so long without a sign of the leg.
PLACED_BY = timedelta(seconds=10)
# So long a line may be silent before it is ended with an apology.
SILENT_AFTER = timedelta(seconds=10)
# So long a carrier may take to find out who answered: a machine's whole greeting.
VERDICT_WITHIN = timedelta(seconds=65)
# So long after a hand-over was ordered, somebody has to be on their way.
HANDED_OVER_BY = timedelta(seconds=60)
# A carrier that asks what comes next is told to hang up there; so long it may take to do that.
ASKED_BY = timedelta(seconds=60)
# A leg that was hung up and of whose end no word came by then is taken for over.
NO_WORD_AFTER = timedelta(minutes=2)


def lines_sweep(*, now: datetime) -> int:
    """End the current tenant's calls and legs that are open without sound; how many."""
    unplaced = [leg for leg in _unplaced_legs(now) if leg_give_up(leg=leg, at=now)]
    deaf = _deaf_calls(now)
    for call_id in deaf:
        call_close(call_id=call_id, closing=Closing(EndReason.MEDIA_LOST, now))
        _end_unasked(call_id)
    forgotten = _forgotten_legs(now)
    for leg in forgotten:
        _end_forgotten(leg)
    _presume_over(now)
    return len(unplaced) + len(deaf) + len(forgotten)


def _unplaced_legs(now: datetime) -> list[Leg]:
    """Nobody knows whether they were dialled, and the carrier has told nothing of them."""
    legs = Leg.objects.select_related("call").filter(
        carrier_id="",
        role=Leg.Role.CUSTOMER,
        call__state=State.RINGING,
        commands__kind=Command.Kind.PLACE,
        commands__state=Command.State.UNKNOWN,
        commands__sent_at__lt=now - PLACED_BY,
    )
    return list(legs[:500])


def _deaf_calls(now: datetime) -> list[int]:
    """Answered, and no stream came; or it was lost, and no other came."""
    before = now - SILENT_AFTER
    lost = Call.objects.filter(state=State.LIVE, media_lost_at__lt=before)
    answered = Call.objects.filter(
        state=State.RINGING,
        legs__role=Leg.Role.CUSTOMER,
        legs__state=Leg.State.ANSWERED,
        legs__answered_at__lt=before,
    )
    silent = answered.exclude(pk__in=_held(now).values("call")).distinct()
    return [*lost.values_list("pk", flat=True), *silent.values_list("pk", flat=True)]


def _held(now: datetime) -> QuerySet[Leg]:
    """Calls of ours that are connected only once it is known who answered, or just was."""
    legs: QuerySet[Leg] = Leg.objects.filter(
        Q(picked_up="", answered_at__gt=now - VERDICT_WITHIN)
        | ~Q(picked_up="") & Q(updated_at__gt=now - SILENT_AFTER),
        commands__kind=Command.Kind.PLACE,
        commands__arguments__verdict_first=True,
    )
    return legs


def _end_unasked(call_id: int) -> None:
    """Its carrier ought to have asked what comes next, and did not: it is told."""
    leg = customer_leg(call_id)
    if leg is not None and carrier(leg.carrier).asks_what_next:
        leg_say(leg=leg, line=spoken.CUT_OFF, reason=EndReason.MEDIA_LOST)


def _end_forgotten(leg: Leg) -> None:
    """Hang up; who was cut off hears an apology first, unless they had one."""
    reason = leg.call.end_reason
    if reason in CUT_OFF and leg_say(leg=leg, line=spoken.CUT_OFF, reason=reason):
        return
    command_give(leg=leg, kind=Command.Kind.HANG_UP, reason="silent line")


def _forgotten_legs(now: datetime) -> list[Leg]:
    """The call is over, its customer's leg is not, and no person talks to them.

    A carrier that asks joins a caller to a person by itself, and asks when they are done.
    """
    persons = Leg.objects.filter(role=Leg.Role.PERSON).exclude(state=Leg.State.ENDED)
    undecided = Command.objects.filter(
        kind=Command.Kind.HAND_OVER, state=Command.State.SENDING, sent_at__gt=now - DECIDED_BY
    )
    asking = [each.name for each in CARRIERS if each.asks_what_next]
    spoken_to = Command.objects.filter(kind=Command.Kind.SAY, created_at__gt=now - SILENT_AFTER)
    open_legs = (
        Leg.objects.select_related("call")
        .filter(role=Leg.Role.CUSTOMER, call__state=State.ENDED)
        .filter(call__ended_at__lt=now - SILENT_AFTER)
        .exclude(state=Leg.State.ENDED)
        .exclude(carrier_id="")
        .exclude(call__end_reason=EndReason.TRANSFERRED, call__ended_at__gt=now - HANDED_OVER_BY)
        .exclude(carrier__in=asking, call__end_reason=EndReason.TRANSFERRED)
        .exclude(carrier__in=asking, call__ended_at__gt=now - ASKED_BY)
        .exclude(call__in=persons.values("call"))
        .exclude(pk__in=undecided.values("leg"))
        .exclude(pk__in=spoken_to.values("leg"))
        .exclude(commands__kind=Command.Kind.HANG_UP, commands__reason="silent line")
    )
    return list(open_legs[:500])


def _presume_over(now: datetime) -> None:
    hung_up = Command.objects.filter(
        kind=Command.Kind.HANG_UP,
        state__in=[Command.State.DONE, Command.State.FAILED],
        sent_at__lt=now - NO_WORD_AFTER,
    )
    Leg.objects.exclude(state=Leg.State.ENDED).filter(pk__in=hung_up.values("leg")).update(
        state=Leg.State.ENDED,
        ended_at=now,
        cause=EndCause.COMPLETED.value,
        detail="no word of its end",
        updated_at=now,
    )
