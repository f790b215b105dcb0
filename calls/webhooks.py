"""What carriers tell: verified, kept once, answered at once, and then taken notice of.

One way for all of them. Whose account it is, and so by which key a request is verified, is known
from its address before anything of it is read. An event that is kept is never lost: whatever
happens to this process, the sweeper takes notice of it (`calls.tasks.sweep_carriers`).
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from dataclasses import dataclass, replace
from http import HTTPStatus

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from calls.carriers import dispatch, outbox
from calls.carriers.answering import answer, answer_without_database
from calls.carriers.links import public_url
from calls.carriers.origins import NobodysAddress, Origin, origin_of
from calls.carriers.reception import to_nobody
from calls.jsontext import clean_fields
from calls.line.live import live
from calls.line.presence import presence
from calls.line.ringing import prepare_greeting
from calls.models import Channel, Leg, Number
from calls.providers.carriers.carrier import Carrier, NotAuthentic, Webhook
from calls.providers.carriers.registry import carrier
from calls.providers.carriers.signals import Event, MalformedEvent, MessageReceived, Ringing
from calls.services.accounts import account_refused
from calls.services.calls import call_unheard
from calls.services.carrier_events import event_store, stray_event_store
from calls.services.carrier_signals import Unheard, leg_apply
from calls.services.intake import Ring
from calls.services.message_orders import message_named
from calls.services.message_signals import message_apply
from tenants.db import run_in_tenant, run_unscoped, tenant_by_key, tenant_transaction
from tenants.sealing import CannotUnseal

log = logging.getLogger(__name__)

# Whoever has a stream knows within so long that it is over, and has said so in the database.
NOTICED_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Kept:
    """An event that is stored and waits to be applied; `tenant_id` None: it led to nobody."""

    tenant_id: int | None
    leg: str
    message: str = ""


@csrf_exempt
@require_POST
async def webhook(
    request: HttpRequest,
    name: str,
    kind: str = "",
    account: uuid.UUID | None = None,
    call: uuid.UUID | None = None,
    message: uuid.UUID | None = None,
) -> HttpResponse:
    """Verify a request, keep its event and answer; it is applied behind the answer.

    It is about the installation's account, a tenant's, one call or one message.
    """
    outbox.open_here()
    entry = carrier(name)
    try:
        origin = await _origin(name, account, call, message)
        event = await _authentic(request, entry, origin, kind)
    except (NobodysAddress, NotAuthentic) as error:
        return _refused(request, name, error)
    except MalformedEvent as error:
        log.warning("%s: %s is not as documented: %s", name, request.path, error)
        return HttpResponse(status=HTTPStatus.BAD_REQUEST)
    except (DatabaseError, InterfaceError, CannotUnseal):  # so the carrier sends it again
        log.exception("%s: %s cannot be kept", name, request.path)
        return HttpResponse(status=HTTPStatus.SERVICE_UNAVAILABLE)
    return await _take(request, entry, origin, event)


async def _take(request: HttpRequest, entry: Carrier, origin: Origin, event: Event) -> HttpResponse:
    """Keep an event that is authentic, and answer."""
    try:
        kept = await run_unscoped(keep, origin, event)
    except NobodysAddress as error:
        return _refused(request, entry.name, error)
    except MalformedEvent as error:
        log.warning("%s: %s is not as documented: %s", entry.name, request.path, error)
        return HttpResponse(status=HTTPStatus.BAD_REQUEST)
    except (DatabaseError, InterfaceError):
        return _helpless(request, entry, event)
    try:
        answered = await answer(entry.asking, origin, event) if entry.asking else None
    except (DatabaseError, InterfaceError):
        return _helpless(request, entry, event)
    finally:  # not beside the answer, for which somebody waits
        if kept is not None:
            live.in_background(follow(origin, kept), f"{entry.name} {event.kind}")
    # Who reads answers takes an empty page for a faulty one.
    status = HTTPStatus.NO_CONTENT if entry.asking else HTTPStatus.OK
    return answered or HttpResponse(status=status)


def _helpless(request: HttpRequest, entry: Carrier, event: Event) -> HttpResponse:
    """The database is away: whoever waits for an answer hears a word, the rest is sent again."""
    log.exception("%s: %s cannot be taken", entry.name, request.path)
    said = answer_without_database(entry.asking, event) if entry.asking else None
    return said or HttpResponse(status=HTTPStatus.SERVICE_UNAVAILABLE)


async def _origin(
    name: str, account: uuid.UUID | None, call: uuid.UUID | None, message: uuid.UUID | None
) -> Origin:
    """Whose address this is; the installation's is known without asking the database."""
    if (account, call, message) == (None, None, None):
        return origin_of(name)
    return await run_unscoped(origin_of, name, account, call, message)


def _refused(request: HttpRequest, name: str, why: Exception) -> HttpResponse:
    log.warning("%s: refused %s: %s", name, request.path, why)
    return HttpResponse(status=HTTPStatus.FORBIDDEN)


async def _authentic(request: HttpRequest, entry: Carrier, origin: Origin, kind: str) -> Event:
    """The request's event; that one is refused is noted with the account that it is for."""
    try:
        return _verified(request, entry, origin, kind)
    except NotAuthentic as error:
        if origin.tenant_id is not None and origin.account_id is not None:
            await run_in_tenant(
                origin.tenant_id, account_refused, account_id=origin.account_id, why=str(error)
            )
        raise


def _verified(request: HttpRequest, entry: Carrier, origin: Origin, kind: str) -> Event:
    """The request's event. Raises NotAuthentic and MalformedEvent."""
    query = request.META.get("QUERY_STRING", "")
    body = request.body  # before anything is parsed: the very bytes were signed
    webhook = Webhook(
        kind=kind,
        url=public_url(request.path) + (f"?{query}" if query else ""),
        headers=request.headers,
        body=body,
        form=dict(request.POST.lists()),
    )
    now = time.time()
    entry.verify(webhook, entry.credentials.model_validate(origin.keys), now)
    event = entry.event(webhook, now)
    return replace(event, payload=clean_fields(event.payload))


# --- on the bridge's threads -------------------------------------------------------------------


def keep(origin: Origin, event: Event) -> Kept | None:
    """Store an event where it belongs; None if it was told before. Raises NobodysAddress."""
    tenant_id = origin.tenant_id
    if tenant_id is None:
        tenant_id = _tenant_of(origin.carrier, event)
    if tenant_id is None:
        stray_event_store(carrier_name=origin.carrier, event=event)
        return Kept(None, event.leg) if _note_wrong_number(origin.carrier, event) else None
    with tenant_transaction(tenant_id):
        _check_account(origin, event)
        row = event_store(
            carrier_name=origin.carrier,
            event=event,
            account_id=origin.account_id,
            call_id=origin.call_id,
        )
        if row is not None and origin.message_id is not None and row.message:
            message_named(message_id=origin.message_id, carrier_id=row.message)
    return Kept(tenant_id, row.leg, row.message) if row is not None else None


def _check_account(origin: Origin, event: Event) -> None:
    """Whoever owns an account can sign for it, and says nothing of legs at another one."""
    legs = Leg.objects.filter(carrier=origin.carrier, carrier_id=event.leg).exclude(carrier_id="")
    if any(leg.account_id != origin.account_id for leg in legs):
        raise NobodysAddress(f"leg {event.leg} is at another account")


def _tenant_of(carrier_name: str, event: Event) -> int | None:
    """Who has the leg; for a new one and for a message, who has the number that it is for."""
    if event.leg and (known := tenant_by_key(Leg, event.leg)) is not None:
        return known
    for signal in carrier(carrier_name).signals(event):
        if isinstance(signal, MessageReceived) or (isinstance(signal, Ringing) and signal.incoming):
            return tenant_by_key(Number, signal.to_number)
    return None


def _note_wrong_number(carrier_name: str, event: Event) -> bool:
    ringing = _incoming(carrier_name, event)
    if ringing is None:
        return False
    to_nobody(
        Ring(
            carrier=Channel(carrier_name),
            carrier_id=ringing.leg[:200],
            from_number=ringing.from_number[:100],
            to_number=ringing.to_number[:100],
        )
    )
    return True


def _incoming(carrier_name: str, event: Event) -> Ringing | None:
    signals = carrier(carrier_name).signals(event)
    return next((s for s in signals if isinstance(s, Ringing) and s.incoming), None)


# --- behind the answer -------------------------------------------------------------------------


async def follow(origin: Origin, kept: Kept) -> None:
    """Take notice of a stored event, and do what comes of it."""
    if kept.tenant_id is not None and kept.message:
        await run_in_tenant(
            kept.tenant_id, message_apply, carrier_name=origin.carrier, carrier_id=kept.message
        )
    asked = carrier(origin.carrier).asks_who_answers
    turned_away = kept.tenant_id is None
    if kept.tenant_id is not None and kept.leg:
        taken = await run_in_tenant(
            kept.tenant_id,
            leg_apply,
            carrier_name=origin.carrier,
            leg=kept.leg,
            accepting=presence.accepting(),
        )
        turned_away = taken.to_nobody
        if taken.unheard is not None:
            work = listen_again(kept.tenant_id, taken.unheard)
            live.in_background(work, f"{origin.carrier} stopped a stream")
        if taken.rings is not None and not asked:
            await prepare_greeting(kept.tenant_id, taken.rings.public_id, taken.sample_rate)
    if turned_away and not asked:
        await dispatch.turn_away(kept.tenant_id, origin.carrier, origin.account_id, kept.leg)


async def listen_again(tenant_id: int, unheard: Unheard) -> None:
    """Give the process that has the call a moment to notice; if it does not, it is gone."""
    await asyncio.sleep(NOTICED_SECONDS)
    await run_in_tenant(
        tenant_id,
        call_unheard,
        call_id=unheard.call_id,
        streams=unheard.streams,
        stopped_at=unheard.stopped_at,
        now=timezone.now(),
    )
