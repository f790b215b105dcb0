"""Sends commands to carriers, from whichever event loop they were decided on.

Connections are kept per account and event loop, so that the second command of a process costs
no handshake.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
import weakref
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from agents.brain.errors import NetworkFailure, ProviderDown, ProviderError, ProviderTimeout
from calls.carriers.installation import api_url, installation_keys, installation_records
from calls.carriers.links import hold_music, signals_url, stream_target, webhook_url
from calls.line.relaying import can_relay, relay_of_id
from calls.models import CarrierAccount, Command
from calls.providers.carriers.carrier import Site
from calls.providers.carriers.port import (
    CarrierApi,
    Dial,
    Handover,
    InVain,
    LegGone,
    MachineDetection,
    StreamTarget,
)
from calls.providers.carriers.registry import carrier
from calls.providers.carriers.signals import EndCause, Signal
from calls.providers.carriers.steps import Step
from calls.services.legs import leg_placed
from calls.services.orders import (
    Order,
    command_claim,
    command_done,
    command_failed,
    command_unanswered,
)
from calls.services.trunks import signal_take
from calls.trunks import shared
from calls.trunks.shared import RedisTokens
from calls.trunks.voice import own_voice
from tenants.db import run_in_tenant
from tenants.sealing import CannotUnseal

log = logging.getLogger(__name__)

# After these nobody knows whether the carrier did it.
_UNCERTAIN = (ProviderTimeout, NetworkFailure, ProviderDown)


@dataclass(frozen=True, slots=True)
class Account:
    """What a connection is made of. `public_id` is None for the installation's own account."""

    carrier: str
    keys: Mapping[str, str] = field(repr=False)
    public_id: uuid.UUID | None = None
    records: bool = False
    owner: tuple[int, int] | None = None  # its tenant's id and its own


_apis: weakref.WeakKeyDictionary[
    asyncio.AbstractEventLoop, dict[object, tuple[Account, CarrierApi]]
] = weakref.WeakKeyDictionary()


async def send(tenant_id: int, command_id: int) -> None:
    """Send one command, unless somebody else does; what goes wrong is noted with it."""
    order = await run_in_tenant(tenant_id, command_claim, command_id=command_id)
    if order is None:
        return
    try:
        account = await account_of(tenant_id, order.carrier, order.account_id)
        await _METHODS[order.kind](await connected(account), order, account)
    except _UNCERTAIN as error:
        log.warning("%s was sent and not answered: %s", order.kind, error)
        await run_in_tenant(tenant_id, command_unanswered, command_id=order.id, error=str(error))
    except (ProviderError, CannotUnseal, ValidationError) as error:
        await _refused(tenant_id, order, error)
    else:
        await run_in_tenant(tenant_id, command_done, command_id=order.id)


async def _refused(tenant_id: int, order: Order, error: Exception) -> None:
    """The carrier will not do it; that nobody could be reached is no fault of anybody's."""
    gone, in_vain = isinstance(error, LegGone), isinstance(error, InVain)
    level = logging.INFO if gone or in_vain else logging.ERROR
    log.log(level, "%s was refused: %s", order.kind, error)
    await run_in_tenant(
        tenant_id,
        command_failed,
        command_id=order.id,
        error=str(error),
        leg_gone=gone,
        cause=error.cause if isinstance(error, InVain) else EndCause.FAILED,
    )


async def turn_away(
    tenant_id: int | None, carrier_name: str, account_id: int | None, leg: str
) -> None:
    """Refuse a leg that called a number which nobody has."""
    account = await account_of(tenant_id, carrier_name, account_id)
    api = await connected(account)
    try:
        await api.refuse(leg, uuid.uuid5(uuid.NAMESPACE_OID, f"{carrier_name}:{leg}"), busy=False)
    except LegGone:
        return
    except ProviderError as error:  # the carrier lets go of it by itself, after a while
        log.warning("a call to nobody's number could not be turned away: %s", error)


async def account_of(tenant_id: int | None, carrier_name: str, account_id: int | None) -> Account:
    """The account with its keys; without an id, the installation's. Raises CannotUnseal."""
    if account_id is None or tenant_id is None:
        records = installation_records(carrier_name)
        return Account(carrier_name, installation_keys(carrier_name), records=records)
    return await run_in_tenant(tenant_id, stored_account, account_id)


def stored_account(account_id: int) -> Account:
    """The account as it is now. Inside its tenant. Raises CannotUnseal."""
    row: CarrierAccount = CarrierAccount.objects.get(pk=account_id)
    owner = (row.tenant_id, row.pk)
    return Account(row.carrier, row.credentials(), row.public_id, row.record_calls, owner)


async def connected(account: Account) -> CarrierApi:
    """The account's connection on this event loop. Raises ValidationError for unfit keys."""
    known = _apis.setdefault(asyncio.get_running_loop(), {})
    key = (account.carrier, account.public_id)
    before, api = known.get(key, (None, None))
    if api is not None and before == account:
        return api
    known[key] = account, connect(account)
    if api is not None:
        await api.aclose()
    return known[key][1]


def connect(account: Account) -> CarrierApi:
    """A new connection. Raises ValidationError for keys that are not fit for any."""
    entry = carrier(account.carrier)
    return entry.connect(entry.credentials.model_validate(dict(account.keys)), site_of(account))


def site_of(account: Account) -> Site:
    """Where the account and we reach each other."""

    async def tell(signal: Signal) -> None:
        """Take notice of what came of a command as its answer."""
        if account.owner is not None:
            tenant_id, account_id = account.owner
            await run_in_tenant(
                tenant_id,
                signal_take,
                carrier_name=account.carrier,
                account_id=account_id,
                signal=signal,
            )

    return Site(
        api_url=api_url(account.carrier, installation=account.owner is None),
        webhook_url=webhook_url(account.carrier, account.public_id),
        tokens=RedisTokens(account.carrier),
        voice=own_voice,
        tell=tell,
    )


def provide(account: Account, api: CarrierApi) -> None:
    """Have this event loop's commands sent by this connection, which its owner closes."""
    known = _apis.setdefault(asyncio.get_running_loop(), {})
    known[account.carrier, account.public_id] = account, api


def withdraw(account: Account, api: CarrierApi) -> None:
    """Send no more commands by a connection that was provided."""
    known = _apis.setdefault(asyncio.get_running_loop(), {})
    key = (account.carrier, account.public_id)
    if key in known and known[key][1] is api:
        del known[key]


async def close_all() -> None:
    """Close this event loop's connections."""
    for _account, api in _apis.pop(asyncio.get_running_loop(), {}).values():
        await api.aclose()
    await shared.close()


# --- the commands ------------------------------------------------------------------------------


async def _place(api: CarrierApi, order: Order, account: Account) -> None:
    """Dial, and remember the carrier's id of the new leg."""
    said = {name: value for name, value in order.arguments.items() if name != "call"}
    dial = Dial(
        **{**said, "detect": MachineDetection(said["detect"])},
        stream=await _target(order, record=account.records),
        signals_url=signals_url(order.carrier, order.call),
        command_id=order.command_id,
    )
    leg = await api.place(dial)
    await run_in_tenant(order.tenant_id, leg_placed, leg_id=order.leg_id, carrier_id=leg)


async def _answer(api: CarrierApi, order: Order, account: Account) -> None:
    target = await _target(order, record=account.records)
    await api.answer(order.leg, target, order.command_id)


async def _reattach(api: CarrierApi, order: Order, _account: Account) -> None:
    target = await _target(order, after=int(order.arguments.get("after", 0)))
    await api.reattach(order.leg, target, order.command_id)


async def _target(order: Order, *, after: int = 0, record: bool = False) -> StreamTarget:
    """Where the leg's sound is brought, or its text where the carrier is to hear and speak."""
    relay = None
    if can_relay(order.carrier):
        relay = await run_in_tenant(order.tenant_id, relay_of_id, order.call)
    return stream_target(order.carrier, order.call, after=after, record=record, relay=relay)


async def _refuse(api: CarrierApi, order: Order, _account: Account) -> None:
    await api.refuse(order.leg, order.command_id, busy=bool(order.arguments.get("busy")))


async def _say(api: CarrierApi, order: Order, _account: Account) -> None:
    text, language = str(order.arguments["text"]), str(order.arguments["language"])
    await api.say_and_hang_up(order.leg, text, language, order.command_id)


async def _hang_up(api: CarrierApi, order: Order, _account: Account) -> None:
    await api.hang_up(order.leg, order.command_id)


async def _hand_over(api: CarrierApi, order: Order, _account: Account) -> None:
    handover = Handover(
        **order.arguments,
        leg=order.leg,
        signals_url=signals_url(order.carrier, order.call),
        command_id=order.command_id,
        music=hold_music(),
    )
    await api.hand_over(handover)


async def _dtmf(api: CarrierApi, order: Order, _account: Account) -> None:
    await api.send_dtmf(order.leg, str(order.arguments["keys"]), order.command_id)


async def _take(api: CarrierApi, order: Order, _account: Account) -> None:
    action, arguments = str(order.arguments["action"]), order.arguments["arguments"]
    await api.take(Step(order.leg, action, arguments, order.command_id))


_METHODS: Mapping[str, Callable[[CarrierApi, Order, Account], Awaitable[None]]] = {
    Command.Kind.PLACE: _place,
    Command.Kind.ANSWER: _answer,
    Command.Kind.REATTACH: _reattach,
    Command.Kind.REFUSE: _refuse,
    Command.Kind.SAY: _say,
    Command.Kind.HANG_UP: _hang_up,
    Command.Kind.HAND_OVER: _hand_over,
    Command.Kind.DTMF: _dtmf,
    Command.Kind.STEP: _take,
}
