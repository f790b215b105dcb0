"""Who is called, and whether somebody is there: what a carrier's webhook has to find out.

Everything here but `prepare` runs on a thread of the bridge, outside a tenant at first: the
dialled number says which one it is.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass

from django.conf import settings
from django.utils import timezone

from calls import spoken
from calls.models import Call, Number, RefusedCall, State
from calls.routing import NoPublishedAgent, route
from calls.rows import Closing
from calls.services.calls import call_close
from calls.services.intake import Ring, call_announce, call_refuse
from calls.voice.end_reasons import EndReason
from tenants.db import tenant_by_key, tenant_transaction

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Welcome:
    """The call may come in."""

    tenant_id: int
    public_id: uuid.UUID
    language: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nobody takes the call; `line` is spoken in `language`."""

    line: dict[str, str]
    language: str


@dataclass(frozen=True, slots=True)
class LetGo:
    """A call whose media socket is closed, and what was to come next."""

    public_id: uuid.UUID
    to_number: str
    language: str
    transfer_to: str
    cut_off: bool


def receive(ring: Ring, *, accepting: bool) -> Welcome | Refusal:
    """Take a call in, or refuse it and keep a note of that.

    Raises AlreadyAnswered for a call that is past ringing.
    """
    tenant_id = tenant_by_key(Number, ring.to_number)
    if tenant_id is None:
        return _refuse(ring, RefusedCall.Reason.UNKNOWN_NUMBER, spoken.UNKNOWN_NUMBER)
    if not accepting:
        language = _language_of(tenant_id, ring.to_number)
        return _refuse(ring, RefusedCall.Reason.BUSY, spoken.BUSY, language)
    try:
        with tenant_transaction(tenant_id):
            call = call_announce(number=_number(ring.to_number), ring=ring)
    except NoPublishedAgent as error:
        log.warning("call to %s refused: %s", ring.to_number, error)
        return _refuse(ring, RefusedCall.Reason.NO_AGENT, spoken.NOBODY_THERE)
    return Welcome(tenant_id, call.public_id, call.language)


def _number(e164: str) -> Number:
    number: Number = Number.objects.select_related("tenant", "agent", "rule").get(e164=e164)
    if not (number.is_active and number.tenant.is_active):
        raise NoPublishedAgent(f"number {e164} or its tenant is switched off")
    return number


def _language_of(tenant_id: int, e164: str) -> str:
    """What is spoken behind the number; empty where nobody is."""
    with tenant_transaction(tenant_id):
        try:
            return route(_number(e164), "", timezone.now()).version.language
        except NoPublishedAgent:
            return ""


def _refuse(
    ring: Ring, reason: RefusedCall.Reason, line: dict[str, str], language: str = ""
) -> Refusal:
    """Note the refusal. Without a `language`: the one that the caller probably speaks."""
    language = language or spoken.likely_language(
        ring.from_number, ring.to_number, default=settings.LANGUAGE_CODE
    )
    call_refuse(ring=ring, reason=reason, language=language)
    return Refusal(line, language)


def let_go(public_id: uuid.UUID, carrier_id: str) -> LetGo | None:
    """The call that the carrier asks about, if the two belong together."""
    tenant_id = tenant_by_key(Call, public_id)
    if tenant_id is None:
        return None
    with tenant_transaction(tenant_id):
        call = Call.objects.filter(public_id=public_id, carrier_id=carrier_id).first()
        if call is None:
            return None
        if call.state == State.RINGING:  # its stream failed before it began
            call_close(call_id=call.pk, closing=Closing(EndReason.FAILED, timezone.now()))
    return LetGo(
        public_id=public_id,
        to_number=call.to_number,
        language=call.language,
        transfer_to=call.transfer_to,
        cut_off=call.state != State.ENDED or call.end_reason in _CUT_OFF,
    )


# Ends at which the caller was left in the middle of something, without a goodbye.
_CUT_OFF = frozenset(
    {
        EndReason.BRAIN_FAILED,
        EndReason.DRAINED,
        EndReason.FAILED,
        EndReason.INTERNAL_ERROR,
        EndReason.MEDIA_LOST,
        EndReason.SERVER_LOST,
    }
)
