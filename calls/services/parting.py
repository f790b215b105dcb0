"""What is done with a call's telephone connections when its conversation is over, or deaf.

A media socket that is closed hangs nothing up, so every end of a conversation is an order: hang
up, hand over to a person, or say sorry first. A carrier that `asks_what_next` is told in its
answer, and is ordered only what no answer can do.
"""

from __future__ import annotations

from datetime import datetime
from typing import cast

from agents.profiles import Channel
from calls import spoken
from calls.models import Call, Command, Direction, Leg, State
from calls.providers.carriers.registry import carrier
from calls.providers.carriers.signals import Answerer
from calls.services.commands import command_give
from calls.voice.end_reasons import EndReason

# Ends at which the caller was left in the middle of something, without a goodbye.
CUT_OFF = frozenset(
    {
        EndReason.BRAIN_FAILED,
        EndReason.DRAINED,
        EndReason.FAILED,
        EndReason.INTERNAL_ERROR,
        EndReason.MEDIA_LOST,
        EndReason.SERVER_LOST,
    }
)
MOST_STREAMS = 3  # a line that loses its sound more often than that is no line
VOICEMAIL = "voicemail"  # the reason of the order that ends a call which a machine answered


def customer_leg(call_id: int) -> Leg | None:
    """The customer's connection, if a carrier has it and it is not over."""
    leg: Leg | None = (
        Leg.objects.select_related("call")
        .filter(call_id=call_id, role=Leg.Role.CUSTOMER)
        .exclude(state=Leg.State.ENDED)
        .order_by("-pk")
        .first()
    )
    return leg


def stream_await(*, call_id: int, now: datetime, after: int | None = None) -> bool:
    """Have the carrier bring the sound of a live call again; False where that cannot be.

    A carrier that asks what comes next gets the stream as its answer. Nothing is lost of a call
    that has had another stream since the one `after` which this is asked.
    """
    leg = customer_leg(call_id)
    if leg is None:
        return False
    if carrier(leg.carrier).asks_what_next:
        return _note_lost(leg, now, after)
    return stream_order(leg=leg, now=now, after=after)


def stream_order(*, leg: Leg, now: datetime, after: int | None = None) -> bool:
    """Order a new stream for a live call that has none; False where that cannot be."""
    may_be_up = leg.state == Leg.State.ANSWERED or not carrier(leg.carrier).tells_of_answers
    if not (may_be_up and _note_lost(leg, now, after)):
        return False
    if after is not None and leg.call.streams != after:
        return True
    streams = leg.call.streams
    command_give(
        leg=leg,
        kind=Command.Kind.REATTACH,
        reason=f"after stream {streams}",
        arguments={"after": streams},
    )
    return True


def stream_is_ordered(*, leg: Leg) -> bool:
    """Whether an order for the stream that the call waits for is on its way."""
    underway = [Command.State.PENDING, Command.State.SENDING]
    orders = leg.commands.filter(kind=Command.Kind.REATTACH, state__in=underway)
    return bool(orders.filter(reason=f"after stream {leg.call.streams}").exists())


def _note_lost(leg: Leg, now: datetime, after: int | None) -> bool:
    """Let the call wait for a stream, unless it lost too many; True also if it does already."""
    if leg.call.streams >= MOST_STREAMS:
        return False
    live = Call.objects.filter(pk=leg.call_id, state=State.LIVE)
    unheard = live.filter(media_lost_at=None)
    if after is not None:
        unheard = unheard.filter(streams=after)
    return bool(unheard.update(media_lost_at=now, updated_at=now)) or live.exists()


def reason_known_better(*, call_id: int, reason: str) -> str:
    """What really ended a call whose sound ended, where the carrier has told."""
    legs = Leg.objects.filter(call_id=call_id, role=Leg.Role.CUSTOMER)
    if reason == EndReason.MEDIA_LOST and legs.filter(state=Leg.State.ENDED).exists():
        reason = EndReason.CALLER_HUNG_UP
    if reason == EndReason.CALLER_HUNG_UP and _ended_as_voicemail(call_id):
        reason = EndReason.VOICEMAIL
    return str(reason)


def is_talked_to(call: Call, answerer: Answerer) -> bool:
    """Whether the agent talks to who answered this call: a machine only to leave a message."""
    if answerer == Answerer.MACHINE:
        return _leaves_messages(call)
    return answerer != Answerer.FAX


def waits_for_verdict(leg: Leg) -> bool:
    """Whether a call that we placed is connected only once it is known who answered."""
    order = leg.commands.filter(kind=Command.Kind.PLACE, arguments__verdict_first=True)
    return leg.call.state == State.RINGING and bool(order.exists())


def _leaves_messages(call: Call) -> bool:
    if call.version is None:
        return False
    profile = call.version.profile(cast(Channel, call.channel))
    return bool(profile.advanced.voicemail == "leave_message")


def _ended_as_voicemail(call_id: int) -> bool:
    return Command.objects.filter(
        leg__call_id=call_id, kind=Command.Kind.HANG_UP, reason=VOICEMAIL
    ).exists()


def legs_let_go(*, call_id: int, reason: str, transfer_to: str = "", briefing: str = "") -> None:
    """The conversation is over: order what has to become of the customer's connection."""
    leg = customer_leg(call_id)
    if leg is None:
        return
    if carrier(leg.carrier).asks_what_next:
        _order_what_no_answer_does(leg, transfer_to, briefing)
    elif reason == EndReason.TRANSFERRED and transfer_to:
        leg_hand_over(leg=leg, to_number=transfer_to, briefing=briefing)
    elif reason in CUT_OFF and leg.state == Leg.State.ANSWERED:
        leg_say(leg=leg, line=spoken.CUT_OFF, reason=str(reason))
    else:
        command_give(leg=leg, kind=Command.Kind.HANG_UP, reason="conversation over")


def _order_what_no_answer_does(leg: Leg, transfer_to: str, briefing: str) -> None:
    """Call a person who is to be briefed, or give up a call that was not answered yet."""
    if transfer_to and briefing:
        leg_hand_over(leg=leg, to_number=transfer_to, briefing=briefing)
    elif leg.direction == Direction.OUTBOUND and not leg.call.streams:
        command_give(leg=leg, kind=Command.Kind.HANG_UP, reason="conversation over")


def hand_over_of(leg: Leg) -> Command | None:
    """The order to hand over the caller of a call that ended so, if there is one."""
    command: Command | None = leg.commands.filter(
        kind=Command.Kind.HAND_OVER, reason=_hand_over_reason(leg.call, leg.call.transfer_to)
    ).first()
    return command


def _hand_over_reason(call: Call, to_number: str) -> str:
    return f"stream {call.streams} to {to_number}"


def leg_hand_over(*, leg: Leg, to_number: str, briefing: str = "") -> None:
    """Hand the caller to a person; with a briefing that one hears first whom they get.

    Each stream ends with one hand-over at most: a caller who comes back may ask for it again.
    """
    call = leg.call
    ours = call.to_number if leg.direction == "inbound" else call.from_number
    command_give(
        leg=leg,
        kind=Command.Kind.HAND_OVER,
        reason=_hand_over_reason(call, to_number),
        arguments={
            "after": call.streams,
            "to_number": to_number,
            "caller_id": ours,
            "language": call.language,
            "briefing": briefing,
        },
    )


def leg_say(*, leg: Leg, line: dict[str, str], reason: str) -> bool:
    """Let the carrier's own voice say a last word, then end the leg; False if it was to before."""
    language = leg.call.language
    command = command_give(
        leg=leg,
        kind=Command.Kind.SAY,
        reason=reason[:64],
        arguments={"text": spoken.say(line, language), "language": language},
    )
    return command is not None
