"""What Twilio asks first: take this call at a number of the installation's own account?

Every request is checked against the public URL that the carrier was told, before anything is
read or stored. The database is asked once, on the bridge's threads.
"""

from __future__ import annotations

import asyncio
import logging

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseForbidden
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from calls import reception, spoken
from calls.carrier_auth import installation_keys
from calls.links import public_url, stream_target
from calls.live import live
from calls.models import Channel
from calls.presence import presence
from calls.providers.carriers.twilio import signature, twiml
from calls.ringing import prepare_greeting
from calls.services.intake import Ring
from tenants.db import run_unscoped

log = logging.getLogger(__name__)

TWIML = "text/xml; charset=utf-8"


@csrf_exempt
@require_POST
async def twilio_incoming_call(request: HttpRequest) -> HttpResponse:
    """Answer a call: connect it to our media socket, or say politely why not."""
    if not _is_from_twilio(request):
        return HttpResponseForbidden()
    form = request.POST
    ring = Ring(
        carrier=Channel.TWILIO,
        carrier_id=form.get("CallSid", ""),
        from_number=form.get("From", "")[:100],
        to_number=form.get("To", "")[:100],
    )
    if not 0 < len(ring.carrier_id) <= 64 or not ring.to_number:
        return HttpResponseBadRequest("CallSid and To are needed")
    try:
        answer = await run_unscoped(reception.receive, ring, accepting=presence.accepting())
    except reception.AlreadyAnswered as replay:
        log.warning("twilio: %s was announced before and is not waiting: %s",
                    ring.carrier_id, replay)  # fmt: skip
        return HttpResponseForbidden()
    except (DatabaseError, InterfaceError):
        log.exception("twilio: %s cannot be taken, the database is away", ring.carrier_id)
        answer = reception.Refusal(spoken.NOBODY_THERE, spoken.likely_language(ring.from_number))
    return answer_with(answer)


def answer_with(answer: reception.Welcome | reception.Refusal) -> HttpResponse:
    """Connect a call, or say why not."""
    if isinstance(answer, reception.Refusal):
        line = spoken.say(answer.line, answer.language)
        return document(twiml.say_and_hang_up(line, language=answer.language))
    target = stream_target(Channel.TWILIO, answer.public_id, relay=answer.relay)
    last_words = spoken.say(spoken.CUT_OFF, answer.language)
    return Ringing(answer, twiml.stream(target, last_words=last_words, language=answer.language))


class Ringing(HttpResponse):
    """The answer that connects a call; its greeting is prepared once the server has sent it."""

    def __init__(self, welcome: reception.Welcome, document: str) -> None:
        super().__init__(document, content_type=TWIML)
        self._welcome = welcome
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """Called by the request handler after the last byte, on any thread."""
        super().close()
        if self._welcome.relay is None:  # else it is not our voice that greets
            self._loop.call_soon_threadsafe(self._prepare)

    def _prepare(self) -> None:
        tenant_id, public_id = self._welcome.tenant_id, self._welcome.public_id
        live.in_background(prepare_greeting(tenant_id, public_id), f"calls.ringing {public_id}")


def _is_from_twilio(request: HttpRequest) -> bool:
    query = request.META.get("QUERY_STRING", "")
    url = public_url(request.path) + (f"?{query}" if query else "")
    if signature.is_signed(
        url=url,
        params=request.POST,
        headers=request.headers,
        auth_token=installation_keys("twilio")["auth_token"],
    ):
        return True
    log.warning(
        "twilio: refused %s, its signature is %s",
        url, "wrong" if signature.SIGNATURE_HEADER in request.headers else "missing",
    )  # fmt: skip
    return False


def document(text: str) -> HttpResponse:
    """TwiML as an answer."""
    return HttpResponse(text, content_type=TWIML)
