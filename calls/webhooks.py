"""What carriers ask over HTTP: take this call? and, when the agent has let go: what now?

Every request is checked against the public URL that the carrier was told, before anything is
read or stored. The database is asked once, on the bridge's threads.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Mapping

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseForbidden
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from calls import reception, spoken
from calls.carrier_auth import twilio_auth_token
from calls.links import TOKEN_PARAMETER, action_url, media_url, public_url
from calls.live import live
from calls.models import Channel
from calls.presence import presence
from calls.providers.carriers.twilio import signature, twiml
from calls.ringing import prepare_greeting
from calls.services.intake import Ring
from calls.tokens import stream_token
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


def answer_with(
    answer: reception.Welcome | reception.Refusal, *, after_stream: str = ""
) -> HttpResponse:
    """Connect a call, or say why not; `after_stream` is asked what comes next."""
    if isinstance(answer, reception.Refusal):
        line = spoken.say(answer.line, answer.language)
        return document(twiml.say_and_hang_up(line, language=answer.language))
    return Ringing(
        answer,
        twiml.connect_stream(
            stream_url=media_url(Channel.TWILIO),
            action_url=after_stream or action_url("twilio-after-stream", answer.public_id),
            parameters={TOKEN_PARAMETER: stream_token(answer.public_id)},
            last_words=spoken.say(spoken.CUT_OFF, answer.language),
            language=answer.language,
        ),
    )


class Ringing(HttpResponse):
    """The answer that connects a call; its greeting is prepared once the server has sent it."""

    def __init__(self, welcome: reception.Welcome, document: str) -> None:
        super().__init__(document, content_type=TWIML)
        self._welcome = welcome
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """Called by the request handler after the last byte, on any thread."""
        super().close()
        self._loop.call_soon_threadsafe(self._prepare)

    def _prepare(self) -> None:
        tenant_id, public_id = self._welcome.tenant_id, self._welcome.public_id
        live.in_background(prepare_greeting(tenant_id, public_id), f"calls.ringing {public_id}")


@csrf_exempt
@require_POST
async def twilio_after_stream(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """The media socket is closed: dial whom the caller was to be handed to, or hang up."""
    return await _next_step(request, public_id, lambda _form, call: after_stream(call))


@csrf_exempt
@require_POST
async def twilio_after_dial(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """The call to a person is over: say so if nobody answered, then hang up."""
    return await _next_step(
        request, public_id, lambda form, call: after_dial(form.get("DialCallStatus", ""), call)
    )


Step = Callable[[Mapping[str, str], reception.LetGo], str]


async def _next_step(request: HttpRequest, public_id: uuid.UUID, step: Step) -> HttpResponse:
    if not _is_from_twilio(request):
        return HttpResponseForbidden()
    call_sid = request.POST.get("CallSid", "")
    call = await run_unscoped(reception.let_go, public_id, call_sid)
    if call is None:
        log.warning("twilio: %s asks what to do with %s, which it has not", call_sid, public_id)
        return document(twiml.hang_up())
    return document(step(request.POST, call))


def after_stream(call: reception.LetGo, *, after_dial: str = "") -> str:
    """What comes after a closed media socket; `after_dial` is asked once a person was called."""
    if call.transfer_to:
        action = after_dial or action_url("twilio-after-dial", call.public_id)
        return twiml.dial(call.transfer_to, action_url=action, caller_id=call.our_number)
    if call.cut_off:
        line = spoken.say(spoken.CUT_OFF, call.language)
        return twiml.say_and_hang_up(line, language=call.language)
    return twiml.hang_up()


def after_dial(status: str, call: reception.LetGo) -> str:
    """What comes after a person was called, by Twilio's word for how that went."""
    if status in {"completed", "answered"}:
        return twiml.hang_up()
    line = spoken.say(spoken.TRANSFER_FAILED, call.language)
    return twiml.say_and_hang_up(line, language=call.language)


def _is_from_twilio(request: HttpRequest) -> bool:
    query = request.META.get("QUERY_STRING", "")
    url = public_url(request.path) + (f"?{query}" if query else "")
    if signature.is_signed(
        url=url, params=request.POST, headers=request.headers, auth_token=twilio_auth_token()
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
