"""Sends written messages to carriers: each once, whatever becomes of the one who sends it."""

from __future__ import annotations

import logging

from pydantic import ValidationError

from agents.brain.errors import BadKey, BadRequest, ProviderError, QuotaExceeded
from calls.carriers import dispatch
from calls.providers.carriers.port import NotReached, Unsupported
from calls.services.message_orders import (
    Dispatch,
    message_claim,
    message_postponed,
    message_refused,
    message_taken,
    message_unanswered,
)
from tenants.db import run_in_tenant
from tenants.sealing import CannotUnseal

log = logging.getLogger(__name__)

_REFUSALS = (BadKey, BadRequest, Unsupported, CannotUnseal, ValidationError)


async def send(tenant_id: int, message_id: int) -> None:
    """Send a queued message, unless somebody else does; what goes wrong is noted with it."""
    claimed = await run_in_tenant(tenant_id, message_claim, message_id=message_id)
    if claimed is not None:
        await _send(tenant_id, claimed)


async def _send(tenant_id: int, claimed: Dispatch) -> None:
    number = claimed.id
    try:
        account = await dispatch.account_of(tenant_id, claimed.carrier, claimed.account_id)
        api = await dispatch.connected(account)
        carrier_id = await api.send_message(claimed.outgoing)
    except (QuotaExceeded, NotReached) as error:
        seconds = error.retry_after if isinstance(error, QuotaExceeded) else None
        await run_in_tenant(
            tenant_id, message_postponed, message_id=number, error=str(error), seconds=seconds
        )
    except _REFUSALS as error:
        log.error("message %s was refused: %s", number, error)
        await run_in_tenant(tenant_id, message_refused, message_id=number, error=str(error))
    except ProviderError as error:
        log.warning("message %s was sent and not answered: %s", number, error)
        await run_in_tenant(tenant_id, message_unanswered, message_id=number, error=str(error))
    else:
        await run_in_tenant(tenant_id, message_taken, message_id=number, carrier_id=carrier_id)
