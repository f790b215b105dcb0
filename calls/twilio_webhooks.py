"""Twilio's callbacks: kept as every carrier's are, and answered in TwiML where it asks.

The installation's own numbers are answered by `calls.webhooks`. Here come the status callbacks of
all calls, and everything of the calls that we place and of tenants' own accounts.
"""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from calls import reception, webhooks
from calls.carrier_webhooks import Origin, take
from calls.links import signals_url
from calls.models import Channel, Number
from calls.presence import presence
from calls.providers.carriers.registry import carrier
from calls.providers.carriers.signals import Event
from calls.providers.carriers.twilio import transfer, twiml
from calls.providers.carriers.twilio.addresses import address
from calls.providers.carriers.twilio.events import Kind
from calls.services.intake import Ring
from tenants.db import run_unscoped, tenant_by_key


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
        case Kind.AFTER_STREAM | Kind.AFTER_DIAL:
            return await _let_go(origin, told)
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
        answer = await run_unscoped(_receive, ring, origin.tenant_id, presence.accepting())
    except reception.AlreadyAnswered:
        return HttpResponse(status=403)
    after = ""
    if isinstance(answer, reception.Welcome):
        after = address(signals_url(Channel.TWILIO, answer.public_id), Kind.AFTER_STREAM)
    return webhooks.answer_with(answer, after_stream=after)


def _receive(
    ring: Ring, tenant_id: int | None, accepting: bool
) -> reception.Welcome | reception.Refusal:
    """An account leads to its own tenant's numbers alone."""
    if tenant_id is not None and tenant_by_key(Number, ring.to_number) != tenant_id:
        return reception.to_nobody(ring)
    return reception.receive(ring, accepting=accepting)


async def _let_go(origin: Origin, told: Event) -> HttpResponse:
    """The media socket is closed, or the call to a person is over."""
    public_id = origin.call
    call = await run_unscoped(reception.let_go, public_id, told.leg) if public_id else None
    if call is None or public_id is None:
        return webhooks.document(twiml.hang_up())
    if told.kind == Kind.AFTER_DIAL:
        return webhooks.document(webhooks.after_dial(told.payload.get("DialCallStatus", ""), call))
    after = address(signals_url(Channel.TWILIO, public_id), Kind.AFTER_DIAL)
    return webhooks.document(webhooks.after_stream(call, after_dial=after))
