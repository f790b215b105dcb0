"""Sends commands to carriers, from whichever event loop they were decided on.

Connections are kept per account and event loop, so that the second command of a process costs
no handshake.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping

from agents.brain.errors import NetworkFailure, ProviderDown, ProviderError, ProviderTimeout
from calls.carrier_auth import api_url, installation_keys
from calls.links import stream_target
from calls.models import CarrierAccount, Command
from calls.providers.carriers.carrier import Site
from calls.providers.carriers.port import CarrierApi, Dial, Handover, LegGone
from calls.providers.carriers.registry import carrier
from calls.services.commands import (
    Order,
    command_claim,
    command_done,
    command_failed,
    command_unanswered,
)
from calls.services.legs import leg_placed
from tenants.db import run_in_tenant

log = logging.getLogger(__name__)

# After these nobody knows whether the carrier did it.
_UNCERTAIN = (ProviderTimeout, NetworkFailure, ProviderDown)

_apis: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[object, CarrierApi]] = (
    weakref.WeakKeyDictionary()
)


async def send_all(tenant_id: int, command_ids: Iterable[int]) -> None:
    """Send these, side by side; what goes wrong is noted with each."""
    await asyncio.gather(*(send(tenant_id, command_id) for command_id in command_ids))


async def send(tenant_id: int, command_id: int) -> None:
    """Send one command, unless somebody else does."""
    order = await run_in_tenant(tenant_id, command_claim, command_id=command_id)
    if order is None:
        return
    try:
        api = await api_for(tenant_id, order.carrier, order.account_id)
        await _METHODS[order.kind](api, order)
    except LegGone as error:
        await run_in_tenant(tenant_id, command_failed, command_id=order.id, error=str(error))
    except _UNCERTAIN as error:
        log.warning("%s was sent and not answered: %s", order.kind, error)
        await run_in_tenant(tenant_id, command_unanswered, command_id=order.id, error=str(error))
    except ProviderError as error:
        log.error("%s was refused: %s", order.kind, error)
        await run_in_tenant(tenant_id, command_failed, command_id=order.id, error=str(error))
    else:
        await run_in_tenant(tenant_id, command_done, command_id=order.id)


async def api_for(tenant_id: int, carrier_name: str, account_id: int | None) -> CarrierApi:
    """The account's connection on this event loop; without an account, the installation's."""
    known = _apis.setdefault(asyncio.get_running_loop(), {})
    key, values = await run_in_tenant(tenant_id, _credentials, carrier_name, account_id)
    if key not in known:
        entry = carrier(carrier_name)
        credentials = entry.credentials.model_validate(values)
        known[key] = entry.connect(credentials, Site(api_url=api_url(carrier_name)))
    return known[key]


async def _place(api: CarrierApi, order: Order) -> None:
    """Dial, and remember the carrier's id of the new leg."""
    said = dict(order.arguments)
    call_id = uuid.UUID(said.pop("call"))
    leg = await api.place(
        Dial(**said, stream=stream_target(order.carrier, call_id), command_id=order.command_id)
    )
    await run_in_tenant(order.tenant_id, leg_placed, leg_id=order.leg_id, carrier_id=leg)


async def _answer(api: CarrierApi, order: Order) -> None:
    target = stream_target(order.carrier, uuid.UUID(order.arguments["call"]))
    await api.answer(order.leg, target, order.command_id)


async def _reattach(api: CarrierApi, order: Order) -> None:
    target = stream_target(order.carrier, uuid.UUID(order.arguments["call"]))
    await api.reattach(order.leg, target, order.command_id)


async def _refuse(api: CarrierApi, order: Order) -> None:
    await api.refuse(order.leg, order.command_id, busy=bool(order.arguments.get("busy")))


async def _say(api: CarrierApi, order: Order) -> None:
    text, language = str(order.arguments["text"]), str(order.arguments["language"])
    await api.say_and_hang_up(order.leg, text, language, order.command_id)


async def _hang_up(api: CarrierApi, order: Order) -> None:
    await api.hang_up(order.leg, order.command_id)


async def _hand_over(api: CarrierApi, order: Order) -> None:
    handover = Handover(leg=order.leg, command_id=order.command_id, **order.arguments)
    await api.hand_over(handover)


async def _dtmf(api: CarrierApi, order: Order) -> None:
    await api.send_dtmf(order.leg, str(order.arguments["keys"]), order.command_id)


_METHODS: Mapping[str, Callable[[CarrierApi, Order], Awaitable[None]]] = {
    Command.Kind.PLACE: _place,
    Command.Kind.ANSWER: _answer,
    Command.Kind.REATTACH: _reattach,
    Command.Kind.REFUSE: _refuse,
    Command.Kind.SAY: _say,
    Command.Kind.HANG_UP: _hang_up,
    Command.Kind.HAND_OVER: _hand_over,
    Command.Kind.DTMF: _dtmf,
}


async def close_all() -> None:
    """Close this event loop's connections."""
    for api in _apis.pop(asyncio.get_running_loop(), {}).values():
        await api.aclose()


def _credentials(carrier_name: str, account_id: int | None) -> tuple[object, Mapping[str, str]]:
    """What identifies the account as it is now, and its keys."""
    if account_id is None:
        return (carrier_name, None), installation_keys(carrier_name)
    account: CarrierAccount = CarrierAccount.objects.get(pk=account_id)
    return (carrier_name, account_id, account.updated_at), account.credentials()
