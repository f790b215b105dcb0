"""What is done while the phone still rings, so that the greeting is there when it is answered."""

from __future__ import annotations

import logging
import uuid

from calls.line.setup import Opening, channel_of, opening_of, voices_for
from calls.line.startup import warm_up
from calls.models import Call
from calls.providers.carriers.signals import TELEPHONE_RATE
from calls.providers.tts.cache import prepare
from tenants.db import run_in_tenant

log = logging.getLogger(__name__)


async def prepare_greeting(
    tenant_id: int, public_id: uuid.UUID, sample_rate: int = TELEPHONE_RATE
) -> None:
    """Have the call's greeting, fillers and other fixed phrases in the cache of its voice.

    They are of use only if the call's stream has this `sample_rate` (Hz).
    """
    opening = await run_in_tenant(tenant_id, _opening, public_id, sample_rate)
    voices = voices_for(opening, sample_rate)
    try:
        await prepare(voices, opening.texts())
    finally:
        for voice in voices:
            await voice.aclose()


def _opening(public_id: uuid.UUID, sample_rate: int) -> Opening:
    warm_up()
    call = Call.objects.select_related("version").get(public_id=public_id)
    return opening_of(
        call.taken_by(), channel_of(call), call.language, sample_rate, greeting=call.greeting
    )
