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
from calls.models import Call, Direction, Number, State
from calls.rows import Closing
from calls.services.calls import call_close
from calls.services.intake import REFUSALS, Ring, call_announce, call_to_nobody, still_rings
from calls.services.parting import CUT_OFF
from calls.voice.end_reasons import EndReason
from tenants.db import tenant_by_key, tenant_transaction


class AlreadyAnswered(Exception):
    """The call is past ringing: what asks for it now is a replay."""


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
    our_number: str
    language: str
    transfer_to: str
    cut_off: bool


def receive(ring: Ring, *, accepting: bool) -> Welcome | Refusal:
    """Take a call in, or refuse it and keep a note of that.

    Raises AlreadyAnswered for a call that is past ringing.
    """
    tenant_id = tenant_by_key(Number, ring.to_number)
    if tenant_id is None:
        return to_nobody(ring)
    with tenant_transaction(tenant_id):
        call = call_announce(number=number_of(ring), ring=ring, accepting=accepting)
    if call.end_reason in REFUSALS:
        return Refusal(REFUSAL_LINES[call.end_reason], call.language)
    if not still_rings(call):
        raise AlreadyAnswered(f"call {call.public_id} is {call.state}")
    return Welcome(tenant_id, call.public_id, call.language)


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
    EndReason.CLOSED: spoken.NOBODY_THERE,
}


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
        our_number=call.to_number if call.direction == Direction.INBOUND else call.from_number,
        language=call.language,
        transfer_to=call.transfer_to,
        cut_off=call.state != State.ENDED or call.end_reason in CUT_OFF,
    )
