"""What a carrier that asks is answered: who takes a call, and what comes next for its caller."""

from __future__ import annotations

import asyncio
import logging

from django.conf import settings
from django.http import HttpResponse, HttpResponseForbidden

from calls import spoken
from calls.carriers import reception
from calls.carriers.links import stream_target
from calls.carriers.origins import Origin
from calls.line.live import live
from calls.line.presence import presence
from calls.line.relaying import relay_of_id
from calls.line.ringing import prepare_greeting
from calls.models import Channel, Leg, Number
from calls.providers.carriers.answers import (
    AfterPerson,
    AfterStream,
    Answer,
    Asking,
    Connect,
    HangUp,
    LastWord,
    Question,
    Settled,
    WhoAnswers,
    WhoIsThere,
)
from calls.providers.carriers.signals import Answerer, Event
from calls.services.carrier_signals import leg_apply
from calls.services.intake import Ring
from calls.services.parting import is_talked_to
from tenants.db import run_in_tenant, run_unscoped, tenant_by_key

log = logging.getLogger(__name__)


async def answer(asking: Asking, origin: Origin, told: Event) -> HttpResponse | None:
    """The answer to what an event asks; None where it asks nothing."""
    question = asking.question(told)
    match question:
        case None:
            return None
        case WhoAnswers():
            return await _incoming(asking, question, origin, told)
        case Settled(settled):
            return _written(asking, settled)
    return _written(asking, await _what_next(question, origin, told))


def answer_without_database(asking: Asking, told: Event) -> HttpResponse | None:
    """What a caller hears while nothing can be kept; None for what the carrier sends again."""
    match asking.question(told):
        case WhoAnswers() as question:
            return _written(asking, _refused(_nobody_there(question)))
        case Settled(settled):
            return _written(asking, settled)
        case None:
            return None
    language = settings.LANGUAGE_CODE
    return _written(asking, LastWord(spoken.say(spoken.CUT_OFF, language), language))


def _written(asking: Asking, given: Answer) -> HttpResponse:
    return HttpResponse(asking.write(given), content_type=asking.content_type)


# --- who takes a call -----------------------------------------------------------------------


async def _incoming(
    asking: Asking, question: WhoAnswers, origin: Origin, told: Event
) -> HttpResponse:
    ring = Ring(
        carrier=Channel(origin.carrier),
        carrier_id=told.leg[:200],
        from_number=question.from_number,
        to_number=question.to_number,
    )
    try:
        found = await run_unscoped(_receive, ring, origin, presence.accepting())
    except reception.AlreadyAnswered as replay:
        log.warning("%s: %s was announced before and is not waiting: %s",
                    ring.carrier, ring.carrier_id, replay)  # fmt: skip
        return HttpResponseForbidden()
    if isinstance(found, reception.Refusal):
        return _written(asking, _refused(found))
    target = stream_target(ring.carrier, found.public_id, relay=found.relay)
    last_words = spoken.say(spoken.CUT_OFF, found.language)
    return Ringing(found, asking, Connect(target, last_words, found.language))


def _receive(ring: Ring, origin: Origin, accepting: bool) -> reception.Welcome | reception.Refusal:
    """An account leads to its own tenant's numbers alone."""
    theirs = tenant_by_key(Number, ring.to_number)
    if origin.tenant_id is not None and theirs != origin.tenant_id:
        return reception.to_nobody(ring)
    return reception.receive(ring, accepting=accepting, account_id=origin.account_id)


def _nobody_there(question: WhoAnswers) -> reception.Refusal:
    language = spoken.likely_language(question.from_number)
    return reception.Refusal(spoken.NOBODY_THERE, language)


def _refused(refusal: reception.Refusal) -> LastWord:
    return LastWord(spoken.say(refusal.line, refusal.language), refusal.language)


class Ringing(HttpResponse):
    """The answer that connects a call; its greeting is prepared once the server has sent it."""

    def __init__(self, welcome: reception.Welcome, asking: Asking, given: Connect) -> None:
        super().__init__(asking.write(given), content_type=asking.content_type)
        self._welcome = welcome
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """Called by the request handler after the last byte, on any thread."""
        super().close()
        if self._welcome.relay is None:  # else it is not our voice that greets
            self._loop.call_soon_threadsafe(self._prepare)

    def _prepare(self) -> None:
        tenant_id, public_id = self._welcome.tenant_id, self._welcome.public_id
        live.in_background(
            prepare_greeting(tenant_id, public_id), f"calls.line.ringing {public_id}"
        )


# --- what comes next ------------------------------------------------------------------------


async def _what_next(question: Question, origin: Origin, told: Event) -> Answer:
    if origin.call is None:
        return HangUp()
    match question:
        case WhoIsThere():
            return await _begun(origin, told)
        case AfterStream(after, unable):
            found = await run_unscoped(
                reception.let_go, origin.call, told.leg, after=after, relay_failed=unable
            )
        case AfterPerson(after):
            found = await run_unscoped(reception.taken_back, origin.call, told.leg, after=after)
        case _:
            found = None
    if found is None:
        log.warning("%s: %s asks what to do with %s, which it has not",
                    origin.carrier, told.leg, origin.call)  # fmt: skip
    return found or HangUp()


async def _begun(origin: Origin, told: Event) -> Answer:
    """Who answered a call of ours is known: the agent talks to them, or hangs up on a machine."""
    if origin.call is None or origin.tenant_id is None:
        return HangUp()
    if not await run_in_tenant(origin.tenant_id, _is_talked_to, origin, told):
        return HangUp()
    relay = await run_in_tenant(origin.tenant_id, relay_of_id, origin.call)
    return Connect(stream_target(origin.carrier, origin.call, relay=relay))


def _is_talked_to(origin: Origin, told: Event) -> bool:
    """Judged by what was told before, too; the conversation finds it on the leg's row."""
    leg_apply(carrier_name=origin.carrier, leg=told.leg)
    leg = Leg.objects.select_related("call__version").get(
        carrier=origin.carrier, carrier_id=told.leg
    )
    return is_talked_to(leg.call, Answerer(leg.picked_up or Answerer.UNKNOWN))
