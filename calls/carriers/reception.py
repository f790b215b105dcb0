"""Who is called, and whether somebody is there: what a carrier's webhook has to find out.

Everything here but `prepare` runs on a thread of the bridge, outside a tenant at first: the
dialled number says which one it is.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings
from django.utils import timezone

from calls import spoken
from calls.carriers.links import hold_music, signals_url, stream_target
from calls.line.relaying import relay_of
from calls.line.rows import Closing
from calls.models import Call, Direction, Number, State
from calls.providers.carriers.answers import (
    Answer,
    Connect,
    HangUp,
    LastWord,
    PutThrough,
    Wait,
)
from calls.providers.carriers.port import Relay
from calls.services.calls import call_close
from calls.services.intake import REFUSALS, Ring, call_announce, call_to_nobody, still_rings
from calls.services.legs import call_reopen, leg_open, persons_let_go
from calls.services.parting import (
    CUT_OFF,
    customer_leg,
    hand_over_of,
    stream_await,
    stream_is_ordered,
)
from calls.voice.end_reasons import EndReason
from tenants.db import tenant_by_key, tenant_transaction

# A caller is held for a person's ringing and key, and for the briefing beside that.
HOLD_SECONDS = 60
LETTERS_PER_SECOND = 8
ORDERED_SECONDS = 5


class AlreadyAnswered(Exception):
    """The call is past ringing: what asks for it now is a replay."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """The call may come in; with a `relay` its carrier hears and speaks."""

    tenant_id: int
    public_id: uuid.UUID
    language: str
    relay: Relay | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nobody takes the call; `line` is spoken in `language`."""

    line: dict[str, str]
    language: str


def receive(ring: Ring, *, accepting: bool, account_id: int | None = None) -> Welcome | Refusal:
    """Take a call in, with its leg, or refuse it and keep a note of that.

    Raises AlreadyAnswered for a call that is past ringing.
    """
    tenant_id = tenant_by_key(Number, ring.to_number)
    if tenant_id is None:
        return to_nobody(ring)
    with tenant_transaction(tenant_id):
        call = call_announce(number=number_of(ring), ring=ring, accepting=accepting)
        leg_open(
            call=call,
            carrier=ring.carrier,
            carrier_id=ring.carrier_id,
            direction=Direction.INBOUND,
            from_number=ring.from_number,
            to_number=ring.to_number,
            account_id=account_id,
        )
        relay = relay_of(call)
    if call.end_reason in REFUSALS:
        return Refusal(REFUSAL_LINES[call.end_reason], call.language)
    if not still_rings(call):
        raise AlreadyAnswered(f"call {call.public_id} is {call.state}")
    return Welcome(tenant_id, call.public_id, call.language, relay)


def to_nobody(ring: Ring) -> Refusal:
    """Note a call to a number that nobody has; the line is in what the caller probably speaks."""
    language = spoken.likely_language(
        ring.from_number, ring.to_number, default=settings.LANGUAGE_CODE
    )
    call_to_nobody(ring=ring, language=language)
    return Refusal(spoken.UNKNOWN_NUMBER, language)


def number_of(ring: Ring) -> Number:
    """The dialled number, which is the current tenant's. Raises Number.DoesNotExist."""
    number: Number = Number.objects.select_related("tenant", "agent", "rule__agent").get(
        e164=ring.to_number
    )
    return number


# What a refused caller hears, by why the call ended.
REFUSAL_LINES: Mapping[str, dict[str, str]] = {
    EndReason.REFUSED_BUSY: spoken.BUSY,
    EndReason.REFUSED_NO_AGENT: spoken.NOBODY_THERE,
}


def let_go(
    public_id: uuid.UUID,
    carrier_id: str,
    *,
    after: int | None = None,
    relay_failed: bool = False,
) -> Answer | None:
    """What comes next for a call whose media socket is closed; None if the two do not match.

    What was asked `after` fewer streams than there were was asked long ago: it changes nothing.
    A carrier that failed in hearing and speaking by itself is not asked to do so again.
    """
    tenant_id = tenant_by_key(Call, public_id)
    if tenant_id is None:
        return None
    with tenant_transaction(tenant_id):
        call = Call.objects.filter(public_id=public_id, carrier_id=carrier_id).first()
        if call is None:
            return None
        if _was_asked_before(call, after):
            return _is_held(call)
        return _goes_on(call, relay_failed=relay_failed)


def taken_back(public_id: uuid.UUID, carrier_id: str, *, after: int | None = None) -> Answer | None:
    """What comes next for a caller whom nobody took: the agent goes on, if that can be.

    As with `let_go`, `after` tells a question that is too old.
    """
    tenant_id = tenant_by_key(Call, public_id)
    if tenant_id is None:
        return None
    with tenant_transaction(tenant_id):
        call = Call.objects.filter(public_id=public_id, carrier_id=carrier_id).first()
        if call is None:
            return None
        if _was_asked_before(call, after):
            return _is_held(call)
        if call_reopen(call_id=call.pk, now=timezone.now()):
            persons_let_go(call_id=call.pk, reason="caller taken back")
            call.refresh_from_db()
        if call.end_reason == EndReason.TRANSFERRED:
            return _last_word(call, spoken.TRANSFER_FAILED)
        return _goes_on(call)


def _was_asked_before(call: Call, after: int | None) -> bool:
    """Whether the call has had another stream since: then its carrier has had an answer."""
    return after is not None and after < call.streams


def _is_held(call: Call) -> Answer:
    """Should the leg come to this all the same, it asks again, and that question is new."""
    return _held(call, ORDERED_SECONDS)


def _goes_on(call: Call, *, relay_failed: bool = False) -> Answer:
    if call.state == State.RINGING and relay_failed:
        return _again(call)
    if call.state == State.RINGING:  # its stream failed before it began
        call_close(call_id=call.pk, closing=Closing(EndReason.FAILED, timezone.now()))
        return _last_word(call, spoken.CUT_OFF)
    if call.state == State.LIVE:
        return _comes_back(call, None if relay_failed else relay_of(call))
    if call.end_reason == EndReason.TRANSFERRED and call.transfer_to:
        return _is_transferred(call)
    still_there = relay_failed and call.end_reason == EndReason.CALLER_HUNG_UP  # as it had seemed
    cut_off = still_there or call.end_reason in CUT_OFF
    return _last_word(call, spoken.CUT_OFF) if cut_off else HangUp()


def _comes_back(call: Call, relay: Relay | None) -> Answer:
    """Its sound was lost: once more, unless that was too often."""
    now = timezone.now()
    if not stream_await(call_id=call.pk, now=now):
        call_close(call_id=call.pk, closing=Closing(EndReason.MEDIA_LOST, now))
        return _last_word(call, spoken.CUT_OFF)
    leg = customer_leg(call.pk)
    if leg is not None and stream_is_ordered(leg=leg):
        return _is_held(call)
    return _again(call, relay)


def _is_transferred(call: Call) -> Answer:
    """A person who is briefed first is called by an order; any other in the answer."""
    leg = customer_leg(call.pk)
    order = hand_over_of(leg) if leg is not None else None
    if order is None:
        inbound = call.direction == Direction.INBOUND
        shown = call.to_number if inbound else call.from_number
        hooks = signals_url(call.channel, call.public_id)
        return PutThrough(call.transfer_to, shown, hooks, call.streams)
    spoken_for = len(str(order.arguments.get("briefing", ""))) // LETTERS_PER_SECOND
    return _held(call, HOLD_SECONDS + spoken_for, handover=str(order.public_id))


def _again(call: Call, relay: Relay | None = None) -> Connect:
    """Another stream, of text where there is a `relay`."""
    target = stream_target(call.channel, call.public_id, after=call.streams, relay=relay)
    return Connect(target)


def _held(call: Call, seconds: int, handover: str = "") -> Wait:
    """Nothing for so long: an order is on its way, or it has been obeyed already."""
    hooks = signals_url(call.channel, call.public_id)
    return Wait(hold_music(), seconds, hooks, call.streams, handover)


def _last_word(call: Call, line: dict[str, str]) -> LastWord:
    return LastWord(spoken.say(line, call.language), call.language)
