"""The account by which a server comes to the simulated 3CX, for as long as somebody telephones."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from calls.models import CarrierAccount, Channel, Leg
from calls.providers.carriers.registry import carrier
from calls.simulator.threecx import KEY, PORT
from tenants.db import run_in_tenant

LABEL = "simulated"


@asynccontextmanager
async def account_at_simulated_pbx(tenant_id: int) -> AsyncIterator[None]:
    """Have the tenant's account there switched on until the block ends."""
    await run_in_tenant(tenant_id, _switch, on=True)
    try:
        yield
    finally:
        await run_in_tenant(tenant_id, _switch, on=False)


async def call_of(tenant_id: int, party: str) -> uuid.UUID | None:
    """The stored call of a party at the PBX, which names it so."""

    def find() -> uuid.UUID | None:
        legs = Leg.objects.filter(carrier=Channel.THREECX, carrier_id__startswith=f"{party}.")
        latest = legs.order_by("-pk").values_list("call__public_id", flat=True)
        found: uuid.UUID | None = latest.first()
        return found

    return await run_in_tenant(tenant_id, find)


def _switch(*, on: bool) -> None:
    values = {"base_url": f"http://127.0.0.1:{PORT}", "client_id": "ai", "client_secret": KEY}
    entry = carrier(Channel.THREECX)
    name = entry.external_id(entry.credentials.model_validate(values))
    known = CarrierAccount.objects.filter(carrier=Channel.THREECX, external_id=name).first()
    account = known or CarrierAccount(carrier=Channel.THREECX, external_id=name, label=LABEL)
    account.set_credentials(values)
    account.is_active = on
    account.save()
