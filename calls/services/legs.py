"""What becomes of a telephone connection: its row follows its signals, its call follows it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.utils import timezone

from calls import spoken
from calls.line.rows import Closing
from calls.models import Call, Command, Direction, Leg, State
from calls.providers.carriers.legs import LegPicture, picture
from calls.providers.carriers.registry import carrier
from calls.providers.carriers.signals import Answerer, EndCause, Signal
from calls.services.calls import call_close
from calls.services.commands import command_give
from calls.services.parting import MOST_STREAMS, leg_say, stream_order
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
_MACHINES = (Answerer.MACHINE, Answerer.FAX)


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
            "state": Leg.State.RINGING if direction == Direction.INBOUND else Leg.State.DIALLING,
        },
    )
    return leg


def leg_placed(*, leg_id: int, carrier_id: str) -> None:
    """The carrier has taken our order to dial: from now on leg and call have its name."""
    now = timezone.now()
    placed = Leg.objects.filter(pk=leg_id, carrier_id="")
    if not placed.update(carrier_id=carrier_id[:200], updated_at=now):
        return
    Call.objects.filter(legs=leg_id, carrier_id="").update(
        carrier_id=carrier_id[:200], updated_at=now
    )
    given_up = Leg.objects.filter(pk=leg_id, state=Leg.State.ENDED)
    if given_up.update(state=Leg.State.DIALLING, ended_at=None, cause="", updated_at=now):
        leg_not_awaited(leg=Leg.objects.select_related("call").get(pk=leg_id))


def leg_never_dialled(*, leg: Leg, at: datetime) -> bool:
    """Take back the order to dial a leg; False if it is too late for that.

    Whoever changes the order's state first has it: us, or the worker who sends it.
    """
    taken_back = Command.objects.filter(
        leg=leg, kind=Command.Kind.PLACE, state=Command.State.PENDING
    ).update(state=Command.State.FAILED, error="taken back", updated_at=at)
    if taken_back:
        _never_was(leg, EndCause.CANCELLED, at)
    return bool(taken_back)


def leg_give_up(*, leg: Leg, at: datetime) -> bool:
    """End a call of which nobody knows whether it was placed; False if its carrier knows it.

    What is heard of it after all is hung up (`leg_not_awaited`).
    """
    given_up = _never_was(leg, EndCause.FAILED, at)
    if given_up:
        call_close(call_id=leg.call_id, closing=Closing(EndReason.FAILED, at))
    return given_up


def leg_not_awaited(*, leg: Leg) -> None:
    """Hang up a leg that we dial for a call that is over and was never talked on.

    Its order was given up, and was carried out all the same: nobody is there to talk.
    """
    ours = leg.role == Leg.Role.CUSTOMER and leg.direction == Direction.OUTBOUND
    for_nobody = leg.call.state == State.ENDED and not leg.call.streams
    if not (ours and for_nobody) or leg.state == Leg.State.ENDED:
        return
    hang_ups = leg.commands.filter(kind=Command.Kind.HANG_UP)
    if not hang_ups.exclude(state=Command.State.FAILED).exists():
        command_give(leg=leg, kind=Command.Kind.HANG_UP, reason="given up before")


def _never_was(leg: Leg, cause: EndCause, at: datetime) -> bool:
    """A leg that the carrier knows nothing of is over: there is nothing to hang up."""
    ended = Leg.objects.filter(pk=leg.pk, carrier_id="").update(
        state=Leg.State.ENDED, ended_at=at, cause=cause, updated_at=at
    )
    return bool(ended)


def leg_follow(*, leg: Leg, signals: Sequence[Signal]) -> LegPicture:
    """Make the row what its signals say, and let its call know what is new about it."""
    seen = picture(signals)
    was = leg.state
    leg.state = seen.state.value
    leg.answered_at, leg.ended_at = seen.answered_at, seen.ended_at
    leg.cause = seen.cause.value if seen.cause is not None else ""
    leg.detail = seen.detail[:200]
    leg.picked_up = seen.answerer.value if seen.answerer is not None else ""
    leg.may_speak, leg.greeted = seen.may_speak, seen.greeted
    leg.save()
    if leg.state == Leg.State.ENDED and was != leg.state and leg.role == Leg.Role.CUSTOMER:
        _customer_gone(leg, seen)
    return seen


def _customer_gone(leg: Leg, seen: LegPicture) -> None:
    """Let go of whoever was called for the caller, and of a call that nobody holds.

    A live call is ended by the process that has its sound.
    """
    persons_let_go(call_id=leg.call_id, reason="caller gone")
    call = Call.objects.get(pk=leg.call_id)
    ended_at = seen.ended_at or timezone.now()
    if call.state == State.RINGING:
        reason = _NEVER_TALKED[seen.cause or EndCause.COMPLETED]
        if leg.direction == Direction.OUTBOUND and seen.answerer in _MACHINES:
            reason = EndReason.VOICEMAIL
        call_close(call_id=call.pk, closing=Closing(reason, ended_at))
    elif call.state == State.LIVE and call.media_lost_at is not None:
        call_close(call_id=call.pk, closing=Closing(EndReason.CALLER_HUNG_UP, ended_at))


def persons_let_go(*, call_id: int, reason: str) -> None:
    """Call nobody any longer for a caller."""
    persons = Leg.objects.filter(call_id=call_id, role=Leg.Role.PERSON)
    for person in persons.exclude(state=Leg.State.ENDED):
        command_give(leg=person, kind=Command.Kind.HANG_UP, reason=reason)


def leg_let_down(
    *, leg: Leg, kind: Command.Kind, leg_gone: bool, cause: EndCause = EndCause.FAILED
) -> None:
    """The carrier did not take an order: end, or take back, what depended on it."""
    now = timezone.now()
    call = leg.call
    if kind == Command.Kind.PLACE:
        _never_was(leg, cause, now)
    if kind == Command.Kind.PLACE or (kind == Command.Kind.ANSWER and call.state == State.RINGING):
        why = _NEVER_TALKED[cause] if kind == Command.Kind.PLACE else EndReason.FAILED
        reason = EndReason.CANCELLED if leg_gone else why
        call_close(call_id=call.pk, closing=Closing(reason, now))
    elif kind == Command.Kind.REATTACH and call.media_lost_at is not None:
        reason = EndReason.CALLER_HUNG_UP if leg_gone else EndReason.MEDIA_LOST
        call_close(call_id=call.pk, closing=Closing(reason, now))
    elif kind == Command.Kind.HAND_OVER and not leg_gone:
        caller_take_back(leg=leg)


def hand_over_unknown(*, leg: Leg) -> None:
    """Nobody knows whether a person is being rung for the caller, and nobody asks again.

    Whoever is rung is told of by their own leg, and a carrier that asks what comes next does so.
    Any other caller would wait in silence: the agent takes them back. Should a person pick up
    after all, the carrier joins the two, and the end of our leg is the end of the call.
    """
    persons = Leg.objects.filter(call_id=leg.call_id, role=Leg.Role.PERSON)
    if carrier(leg.carrier).asks_what_next or persons.exclude(state=Leg.State.ENDED).exists():
        return
    caller_take_back(leg=leg)


def caller_take_back(*, leg: Leg) -> None:
    """Nobody took the caller: the agent goes on, or the carrier says so and ends the call."""
    now = timezone.now()
    if leg.state == Leg.State.ENDED:
        return
    reopened = call_reopen(call_id=leg.call_id, now=now)
    if reopened and stream_order(leg=leg, now=now):
        return
    if reopened or not Call.objects.live().filter(pk=leg.call_id).exists():
        leg_say(leg=leg, line=spoken.TRANSFER_FAILED, reason="nobody took the caller")


def call_reopen(*, call_id: int, now: datetime) -> bool:
    """Make a call live again whose caller nobody took; False if it is none, or is again.

    It keeps to whom it was transferred until its next stream has told that (`return_told`).
    """
    reopened = Call.objects.filter(
        pk=call_id,
        state=State.ENDED,
        end_reason=EndReason.TRANSFERRED,
        answered_at__isnull=False,
        streams__lt=MOST_STREAMS,
    ).update(
        state=State.LIVE,
        ended_at=None,
        end_reason="",
        finalised_at=None,
        heartbeat_at=now,
        updated_at=now,
    )
    return bool(reopened)
