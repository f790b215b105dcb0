"""Twilio's callbacks: kept as every carrier's are, and answered in TwiML where it asks.

The installation's own numbers are answered by `calls.webhooks`. Here come the status callbacks of
all calls, and everything of the calls that we place and of tenants' own accounts.
"""

from __future__ import annotations

import logging
import uuid

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from calls import reception, spoken, webhooks
from calls.carrier_webhooks import Origin, take
from calls.links import hold_music, signals_url, stream_target
from calls.models import Channel, Leg, Number
from calls.presence import presence
from calls.providers.carriers.registry import carrier
from calls.providers.carriers.signals import Answerer, Event, HandoverEnded
from calls.providers.carriers.twilio import transfer, twiml
from calls.providers.carriers.twilio.addresses import address
from calls.providers.carriers.twilio.events import (
    ENDED_STATUSES,
    Kind,
    relay_failed,
    signals,
)
from calls.relaying import relay_of_id
from calls.services.carrier_signals import leg_apply
from calls.services.intake import Ring
from calls.services.parting import is_talked_to
from tenants.db import run_in_tenant, run_unscoped, tenant_by_key

log = logging.getLogger(__name__)


@csrf_exempt
@require_POST
async def twilio(
    request: HttpRequest,
    kind: str,
    account: uuid.UUID | None = None,
    call: uuid.UUID | None = None,
) -> HttpResponse:
    """One kind of callback, of the installation's account, a tenant's, or about one call."""
    entry = carrier(Channel.TWILIO)
    return await take(request, entry, account=account, call=call, kind=kind, answer=_answer)


async def _answer(origin: Origin, told: Event) -> HttpResponse:
    """What comes next, where Twilio asks; nothing where it only tells."""
    match told.kind:
        case Kind.INCOMING_CALL:
            return await _incoming(origin, told)
        case Kind.ANSWERED:
            return webhooks.document(await _begun(origin, told))
        case Kind.AFTER_STREAM | Kind.AFTER_DIAL:
            return webhooks.document(await _next(origin, told))
        case Kind.PERSON_KEY:
            return webhooks.document(transfer.answer(told))
    return HttpResponse(status=204)


async def _incoming(origin: Origin, told: Event) -> HttpResponse:
    """Somebody calls a number that is at a tenant's own account."""
    ring = Ring(
        carrier=Channel.TWILIO,
        carrier_id=told.leg[:200],
        from_number=told.payload.get("From", "")[:100],
        to_number=told.payload.get("To", "")[:100],
    )
    try:
        answer = await run_unscoped(_receive, ring, origin, presence.accepting())
    except reception.AlreadyAnswered:
        return HttpResponse(status=403)
    return webhooks.answer_with(answer)


def _receive(ring: Ring, origin: Origin, accepting: bool) -> reception.Welcome | reception.Refusal:
    """An account leads to its own tenant's numbers alone."""
    theirs = tenant_by_key(Number, ring.to_number)
    if origin.tenant_id is not None and theirs != origin.tenant_id:
        return reception.to_nobody(ring)
    return reception.receive(ring, accepting=accepting, account_id=origin.account_id)


async def _begun(origin: Origin, told: Event) -> str:
    """Who answered a call of ours is known: the agent talks to them, or hangs up on a machine."""
    if origin.call is None or origin.tenant_id is None:
        return twiml.hang_up()
    if not await run_in_tenant(origin.tenant_id, _is_talked_to, origin, told):
        return twiml.hang_up()
    relay = await run_in_tenant(origin.tenant_id, relay_of_id, origin.call)
    return twiml.stream(stream_target(Channel.TWILIO, origin.call, relay=relay))


def _is_talked_to(origin: Origin, told: Event) -> bool:
    """Judged by what was told before, too; the conversation finds it on the leg's row."""
    leg_apply(carrier_name=origin.carrier, leg=told.leg)
    leg = Leg.objects.select_related("call__version").get(
        carrier=origin.carrier, carrier_id=told.leg
    )
    return is_talked_to(leg.call, Answerer(leg.picked_up or Answerer.UNKNOWN))


async def _next(origin: Origin, told: Event) -> str:
    """The media socket is closed, or the call to a person is over: what the caller gets now."""
    if origin.call is None or told.payload.get("CallStatus", "") in ENDED_STATUSES:
        return twiml.hang_up()
    after = told.payload.get("after", "")
    streams = int(after) if after.isdecimal() else None
    if told.kind == Kind.AFTER_STREAM:
        call = await run_unscoped(
            reception.let_go,
            origin.call,
            told.leg,
            after=streams,
            relay_failed=relay_failed(told),
        )
    elif _was_reached(told):
        return twiml.hang_up()
    else:
        call = await run_unscoped(reception.taken_back, origin.call, told.leg, after=streams)
    if call is None:
        log.warning("twilio: %s asks what to do with %s, which it has not", told.leg, origin.call)
        return twiml.hang_up()
    return _going_on(call)


def _was_reached(told: Event) -> bool:
    """Whether the caller has talked to the person."""
    ends = (signal for signal in signals(told) if isinstance(signal, HandoverEnded))
    return any(end.reached for end in ends)


def _going_on(call: reception.LetGo) -> str:
    """What comes next for a caller who is still there."""
    if call.awaits:
        target = stream_target(Channel.TWILIO, call.public_id, after=call.streams, relay=call.relay)
        return twiml.stream(target)
    if call.line is not None:
        line = spoken.say(call.line, call.language)
        return twiml.say_and_hang_up(line, language=call.language)
    if call.hold:
        about = {"handover": call.handover} if call.handover else {}
        after = _asking(call, Kind.AFTER_DIAL if about else Kind.AFTER_STREAM, **about)
        return twiml.hold(hold_music(), seconds=call.hold, action_url=after)
    if call.transfer_to:
        after = _asking(call, Kind.AFTER_DIAL)
        return twiml.dial(call.transfer_to, action_url=after, caller_id=call.our_number)
    return twiml.hang_up()


def _asking(call: reception.LetGo, kind: Kind, **about: str) -> str:
    """The address that is asked what comes next; it says after how many streams."""
    hooks = signals_url(Channel.TWILIO, call.public_id)
    return address(hooks, kind, **about, after=str(call.streams))
