"""From what a carrier told of a leg to what becomes of the leg and its call.

Everything is worked out anew from all that was told, so that events may come twice, late and in
any order; what an event sets going beyond that happens once, in the transaction that notes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from calls.carriers.reception import REFUSAL_LINES, to_nobody
from calls.models import Call, CarrierEvent, Channel, Command, Direction, Leg, Number, State
from calls.providers.carriers.legs import LegPicture, LegState, picture
from calls.providers.carriers.registry import carrier
from calls.providers.carriers.signals import (
    TELEPHONE_RATE,
    Answerer,
    Detected,
    HandoverEnded,
    RecordingFailed,
    RecordingReady,
    Ringing,
    Signal,
    StreamStopped,
)
from calls.providers.carriers.steps import Step
from calls.services.carrier_events import (
    as_told,
    events_applied,
    events_of,
    leg_lock,
    signals_in,
)
from calls.services.carrier_recordings import recording_expect, recording_failed
from calls.services.commands import command_give
from calls.services.intake import REFUSALS, Ring, call_announce
from calls.services.legs import caller_take_back, leg_follow, leg_not_awaited, leg_open
from calls.services.parting import VOICEMAIL, is_talked_to, leg_say, waits_for_verdict


@dataclass(frozen=True, slots=True)
class Unheard:
    """A live call whose present stream, the last of `streams`, its carrier has stopped."""

    call_id: int
    streams: int
    stopped_at: datetime


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of a leg's events for whoever has them: a call that rings, or a wrong number.

    The sound of one that rings will most likely have this `sample_rate` (Hz). Of an `unheard` call
    the process that has it ought to take notice by itself.
    """

    rings: Call | None = None
    sample_rate: int = TELEPHONE_RATE
    to_nobody: bool = False
    unheard: Unheard | None = None


def leg_apply(*, carrier_name: str, leg: str, accepting: bool = True) -> Taken:
    """Take notice of all that was told of a leg and was not noticed yet.

    What cannot be applied yet, since nothing is known of its leg, is left for later.
    """
    leg_lock(carrier_name=carrier_name, leg=leg)
    told = events_of(carrier_name=carrier_name, leg=leg)
    fresh = [event for event in told if event.applied_at is None]
    if not fresh:
        return Taken()
    said = {event.pk: signals_in(event) for event in told}
    signals = [signal for event in told for signal in said[event.pk]]
    row = _leg_row(carrier_name, leg, told, signals, accepting)
    if row is None:
        return _without_leg(fresh, signals)
    leg_follow(leg=row, signals=[signal for signal in signals if signal.leg == leg])
    leg_not_awaited(leg=row)
    for event in fresh:
        for signal in said[event.pk]:
            _react(row, signal)
        for step in carrier(carrier_name).steps(as_told(event)):
            _go_on(row, step)
    events_applied(fresh)
    call = Call.objects.get(pk=row.call_id)
    rang = _incoming([signal for event in fresh for signal in said[event.pk]])
    return Taken(
        rings=call if rang is not None and call.state == State.RINGING else None,
        sample_rate=rang.sample_rate if rang is not None else TELEPHONE_RATE,
        unheard=_unheard(row, call, signals),
    )


def _unheard(leg: Leg, call: Call, signals: Sequence[Signal]) -> Unheard | None:
    """The call, if the last of its streams was stopped and nobody has taken notice of that."""
    if call.state != State.LIVE or call.media_lost_at or carrier(leg.carrier).asks_what_next:
        return None
    stopped = sorted(each.at for each in signals if isinstance(each, StreamStopped))
    if leg.role != Leg.Role.CUSTOMER or len(stopped) < call.streams:
        return None
    return Unheard(call.pk, call.streams, stopped[-1])


def _without_leg(fresh: Sequence[CarrierEvent], signals: Sequence[Signal]) -> Taken:
    """A call to a number that nobody has is noted, and over; anything else may still be due."""
    ringing = _incoming(signals)
    if ringing is None:
        return Taken()
    to_nobody(_ring(fresh[0].carrier, ringing))
    events_applied(fresh)
    return Taken(to_nobody=True)


# --- whose leg it is ---------------------------------------------------------------------------


def _leg_row(
    carrier_name: str,
    leg: str,
    told: Sequence[CarrierEvent],
    signals: Sequence[Signal],
    accepting: bool,
) -> Leg | None:
    row = _leg_named(carrier_name, leg)
    if row is not None:
        return row
    ours = next((event for event in told if event.call_id is not None), None)
    if ours is not None:
        return _leg_we_made(ours, leg, signals)
    ringing = _incoming(signals)
    if ringing is None:
        return None
    return _leg_that_calls(told[0], ringing, picture(signals), accepting)


def _leg_we_made(event: CarrierEvent, leg: str, signals: Sequence[Signal]) -> Leg:
    """The customer whom we dial, named before the answer to our order was; else a person."""
    call = Call.objects.get(pk=event.call_id)
    dialled = call.legs.filter(role=Leg.Role.CUSTOMER, carrier_id="")
    row: Leg | None = dialled.select_for_update(of=("self",)).first()
    if row is not None:
        row.carrier_id = leg
        row.save(update_fields=["carrier_id", "updated_at"])
        Call.objects.filter(pk=row.call_id, carrier_id="").update(carrier_id=leg)
        return row
    ringing = next((s for s in signals if isinstance(s, Ringing)), None)
    return leg_open(
        call=call,
        carrier=event.carrier,
        carrier_id=leg,
        direction=Direction.OUTBOUND,
        from_number=ringing.from_number if ringing else "",
        to_number=ringing.to_number if ringing else "",
        role=Leg.Role.PERSON,
        account_id=event.account_id,
        session=event.session,
    )


def _leg_that_calls(
    event: CarrierEvent, ringing: Ringing, seen: LegPicture, accepting: bool
) -> Leg | None:
    """Somebody calls one of our numbers: the call and its leg, and the order to answer it."""
    number: Number | None = (
        Number.objects.select_related("tenant", "agent", "rule__agent")
        .filter(e164=ringing.to_number)
        .first()
    )
    if number is None:
        return None
    call = call_announce(number=number, ring=_ring(event.carrier, ringing), accepting=accepting)
    row = leg_open(
        call=call,
        carrier=event.carrier,
        carrier_id=ringing.leg,
        direction=Direction.INBOUND,
        from_number=ringing.from_number,
        to_number=ringing.to_number,
        account_id=event.account_id,
        session=ringing.session,
    )
    if seen.state == LegState.ENDED or carrier(event.carrier).asks_who_answers:
        return row
    if call.end_reason in REFUSALS:
        leg_say(leg=row, line=REFUSAL_LINES[call.end_reason], reason=call.end_reason)
    elif call.state == State.RINGING:
        command_give(leg=row, kind=Command.Kind.ANSWER, reason="rings")
    return row


def _ring(carrier_name: str, ringing: Ringing) -> Ring:
    return Ring(
        carrier=Channel(carrier_name),
        carrier_id=ringing.leg[:200],
        from_number=ringing.from_number[:100],
        to_number=ringing.to_number[:100],
        at=ringing.at,
    )


def _incoming(signals: Sequence[Signal]) -> Ringing | None:
    return next((s for s in signals if isinstance(s, Ringing) and s.incoming), None)


# --- what an event sets going ------------------------------------------------------------------


def _react(leg: Leg, signal: Signal) -> None:
    match signal:
        case Detected():
            _picked_up(leg, signal.answerer)
        case StreamStopped() if signal.failure:
            _open_stream_again(leg, signal.at)
        case HandoverEnded(reached=False):
            _take_back(leg, signal.leg)
        case RecordingReady():
            recording_expect(call=leg.call, told=signal)
        case RecordingFailed():
            recording_failed(call=leg.call, told=signal)


def _picked_up(leg: Leg, answerer: Answerer) -> None:
    """Hang up on a machine, unless the agent leaves messages; else let who waits for it have it."""
    if leg.role != Leg.Role.CUSTOMER or leg.direction != Direction.OUTBOUND:
        return
    if not is_talked_to(leg.call, answerer):
        command_give(leg=leg, kind=Command.Kind.HANG_UP, reason=VOICEMAIL)
    elif waits_for_verdict(leg) and not carrier(leg.carrier).asks_what_next:
        command_give(leg=leg, kind=Command.Kind.REATTACH, reason="verdict")


def _open_stream_again(leg: Leg, failed_at: datetime) -> None:
    """A stream could not be opened: once more; the sweeper ends what stays silent."""
    call, lost_at = leg.call, leg.call.media_lost_at
    waits = call.state == State.RINGING or (lost_at is not None and lost_at < failed_at)
    if leg.state != Leg.State.ANSWERED or not waits or carrier(leg.carrier).asks_what_next:
        return
    command_give(
        leg=leg,
        kind=Command.Kind.REATTACH,
        reason=f"stream after {call.streams} failed",
        arguments={"after": call.streams},
    )


def _take_back(told_by: Leg, callers_leg: str) -> None:
    """The caller is to be with the agent again; one who asks for that is answered by then."""
    if callers_leg == told_by.carrier_id and carrier(told_by.carrier).asks_what_next:
        return
    caller = _leg_beside(told_by, callers_leg)
    if caller is not None:
        caller_take_back(leg=caller)


def _leg_named(carrier_name: str, carrier_id: str) -> Leg | None:
    legs = Leg.objects.select_related("call")
    found: Leg | None = legs.filter(carrier=carrier_name, carrier_id=carrier_id).first()
    return found


def _leg_beside(told_by: Leg, carrier_id: str) -> Leg | None:
    """Another leg at the same account: what is told at one account moves nothing at another."""
    found = _leg_named(told_by.carrier, carrier_id)
    return found if found is not None and found.account_id == told_by.account_id else None


def _go_on(leg: Leg, step: Step) -> None:
    """The next command of a sequence that the carrier carries along; none on a leg that is over."""
    about = leg if step.leg == leg.carrier_id else _leg_beside(leg, step.leg)
    if about is None or about.state == Leg.State.ENDED:
        return
    command_give(
        leg=about,
        kind=Command.Kind.STEP,
        reason=str(step.command_id),
        arguments={"action": step.action, "arguments": dict(step.arguments)},
        command_id=step.command_id,
    )
