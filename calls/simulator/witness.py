"""What the server stored of a simulated call, read while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from calls.models import Call, Number, Utterance
from tenants.db import run_in_tenant, run_unscoped, tenant_transaction
from tenants.models import Tenant

EVERY_SECONDS = 0.3
UNTIL_ENDED_SECONDS = 8.0


class NobodyToCall(Exception):
    """No agent fits; the message says what there is."""


@dataclass(frozen=True, slots=True)
class Dialled:
    """An agent who can be called, and how."""

    tenant_id: int
    tenant: str
    agent: str
    agent_id: str
    language: str
    number: str


def directory() -> list[Dialled]:
    """Every agent of every tenant that has an active number. Outside a tenant."""
    found = []
    for tenant in Tenant.objects.filter(is_active=True).order_by("id"):
        with tenant_transaction(tenant.id):
            numbers = Number.objects.filter(is_active=True, agent__is_active=True)
            found += [_dialled(tenant, each) for each in numbers.select_related("agent")]
    return found


def _dialled(tenant: Tenant, number: Number) -> Dialled:
    agent = number.agent
    return Dialled(
        tenant_id=tenant.id,
        tenant=tenant.name,
        agent=agent.name,
        agent_id=str(agent.public_id),
        language=agent.language,
        number=number.e164,
    )


async def whom_to_call(wanted: str, language: str = "en") -> Dialled:
    """The agent of this name, id or number; without one, the first who speaks `language`.

    Raises NobodyToCall.
    """
    everybody = await run_unscoped(directory)
    for each in everybody:
        fits = wanted.lower() in (each.agent.lower(), each.agent_id, each.number)
        if fits or (not wanted and each.language.startswith(language)):
            return each
    known = "; ".join(f"{each.agent} ({each.number}, {each.language})" for each in everybody)
    raise NobodyToCall(f"no agent is {wanted or language!r}. There are: {known or 'none at all'}")


class Witness:
    """Follows one call in the database and tells of each turn as it is stored."""

    def __init__(self, dialled: Dialled, on_turn: Callable[[Utterance], None]) -> None:
        self._dialled, self._on_turn = dialled, on_turn
        self._seen = -1
        self.call: Call | None = None

    async def watch(self, *, carrier_id: str = "", public_id: str = "") -> None:
        """Look until cancelled."""
        key = {"carrier_id": carrier_id} if carrier_id else {"public_id": public_id}
        while True:
            await self._look(key)
            await asyncio.sleep(EVERY_SECONDS)

    async def last_look(self, *, carrier_id: str = "", public_id: str = "") -> None:
        """Wait for the call's end to be stored, for a while."""
        key = {"carrier_id": carrier_id} if carrier_id else {"public_id": public_id}
        for _ in range(int(UNTIL_ENDED_SECONDS / EVERY_SECONDS)):
            await self._look(key)
            if self.call is not None and self.call.end_reason:
                return
            await asyncio.sleep(EVERY_SECONDS)

    async def _look(self, key: dict[str, str]) -> None:
        for turn in await run_in_tenant(self._dialled.tenant_id, self._read, key):
            self._seen = turn.sequence
            self._on_turn(turn)

    def _read(self, key: dict[str, str]) -> list[Utterance]:
        self.call = Call.objects.filter(**key).first()
        if self.call is None:
            return []
        turns = Utterance.objects.filter(call=self.call, sequence__gt=self._seen)
        return list(turns.order_by("sequence"))
