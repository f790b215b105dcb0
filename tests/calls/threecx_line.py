"""A tenant's account at a 3CX, and the desk that holds its connection, in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from calls.carriers import outbox
from calls.models import CarrierAccount
from calls.providers.carriers.threecx import events
from calls.providers.carriers.threecx.events import ListenOptions
from calls.trunks import keeper
from calls.trunks.desk import Desk
from calls.trunks.keeper import Times
from tenants.db import run_in_tenant
from tests.calls.carrier_line import CALLER, CarrierLine, at_work, settled
from tests.calls.waiting import until
from tests.peers.threecx import KEY, Party, RudePbx

QUICK = Times(beat=0.05, look=0.05, retry=0.05, placed=1.0, after_failure=0.1)


@dataclass
class Line(CarrierLine):
    """The PBX, and what the application has of a desk's calls."""

    pbx: RudePbx
    desk: Any
    trunks: Desk
    account: CarrierAccount
    carrier = "threecx"

    async def dialled(self, **fields: Any) -> Party:
        """Somebody calls the desk, is answered, and hears it."""
        party = self.pbx.ring(CALLER, fields.pop("dialled", self.desk.number), **fields)
        await until(lambda: party.played.stretches)
        return party

    async def heard_again(self, party: Party) -> None:
        """Wait until the party hears more than until now."""
        before = sum(len(stretch.sound) for stretch in party.played.stretches)
        await until(lambda: sum(len(stretch.sound) for stretch in party.played.stretches) > before)


def make_account(pbx: RudePbx, **fields: Any) -> CarrierAccount:
    """Store the current tenant's account at this PBX."""
    account = CarrierAccount(carrier="threecx", external_id=f"{pbx.client_id}@{pbx.url}", **fields)
    account.set_credentials({"base_url": pbx.url, "client_id": pbx.client_id, "client_secret": KEY})
    account.save()
    return account


@asynccontextmanager
async def threecx_line(desk: Any, live: Any, monkeypatch: Any) -> AsyncIterator[Line]:
    """A PBX that the desk's tenant has an account at, listened to."""
    at_work(monkeypatch, keeper)
    monkeypatch.setattr("calls.trunks.desk.LOOK_SECONDS", 0.1)
    monkeypatch.setattr(events, "ListenOptions", partial(ListenOptions, first_wait=0.05))
    outbox.open_here()
    async with RudePbx().running() as pbx:
        account = await run_in_tenant(desk.tenant.id, make_account, pbx)
        trunks = Desk(live, QUICK)
        trunks.begin()
        try:
            await until(lambda: pbx.listened_to)
            yield Line(pbx, desk, trunks, account)
        finally:
            await trunks.end()
            await live.writer.drained(5)  # which may order something of the PBX
            await settled(live)
