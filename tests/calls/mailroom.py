"""A desk that writes and is written to through a carrier's stand-in, over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from django.test import Client

from calls.carriers import dispatch
from calls.carriers.installation import installation_keys
from calls.models import CarrierAccount, Message, Number
from calls.providers.carriers.telnyx import simulated
from calls.simulator.small_http import File
from tenants.db import run_in_tenant, run_unscoped, tenant_transaction
from tests.calls.books import Books
from tests.calls.carrier_line import application_on_a_port
from tests.calls.conftest import Desk
from tests.calls.waiting import until
from tests.peers import telnyx, twilio_cloud

MESSAGES = "/api/v1/messages/"
WRITER = "+525598765432"


@dataclass
class Mailroom(Books):
    """The stand-in, the application's address, and an API key of the desk's tenant."""

    carrier: str
    cloud: Any
    desk: Desk
    url: str
    bearer: str

    async def message(self, **expected: Any) -> Message:
        """The desk's one message that is as expected, once there is one."""
        (found,) = await until(lambda: self.rows(Message, **expected))
        return found

    async def asks(self, key: str = "", **fields: Any) -> Any:
        """Somebody asks for a message over the API."""
        asked = {"kind": "sms", "from_number": self.desk.number, "to_number": WRITER, **fields}
        headers = {**self._bearer(), **({"idempotency-key": key} if key else {})}
        return await run_unscoped(
            Client().post, MESSAGES, asked, content_type="application/json", headers=headers
        )

    async def gets(self, path: str, bearer: str = "") -> Any:
        """What the API shows there."""
        return await run_unscoped(Client().get, path, headers=self._bearer(bearer))

    def _bearer(self, bearer: str = "") -> dict[str, str]:
        return {"authorization": f"Bearer {bearer or self.bearer}"}

    async def is_written_to(
        self, text: str, *, kind: str = "sms", to: str = "", files: Sequence[File] = ()
    ) -> None:
        """Somebody writes to the desk, or to another number."""
        to = to or self.desk.number
        if self.carrier == "telnyx":
            kind = {"whatsapp": "WHATSAPP"}.get(kind, "MMS" if files else "SMS")
            await self.cloud.write(to=to, writer=WRITER, text=text, kind=kind, files=files)
        else:
            prefix = "whatsapp:" if kind == "whatsapp" else ""
            await self.cloud.write(
                to=prefix + to, writer=prefix + WRITER, text=text, attached=files
            )

    def nobody_at(self, number: str) -> None:
        """Messages to that number do not arrive."""
        if self.carrier == "telnyx":
            self.cloud.people[number] = telnyx.Person(hangup_cause="not_found")
        else:
            self.cloud.people[number] = twilio_cloud.Person(status="failed")

    @property
    def asked(self) -> list[Any]:
        """The bodies of all requests to send a message."""
        return [body for *_, path, body in self.cloud.requests if "essages" in path]

    @property
    def statuses(self) -> list[int]:
        """How the application answered the carrier's webhooks."""
        return [told[-1] for told in self.cloud.delivered]


@asynccontextmanager
async def mailroom(
    carrier: str, desk: Desk, bearer: str, settings: Any, monkeypatch: Any, *, own: bool = True
) -> AsyncIterator[Mailroom]:
    """The desk's tenant has an account of its `own` at the carrier, or uses the installation's."""
    account = await run_in_tenant(desk.tenant.id, _account, carrier, desk) if own else None
    async with application_on_a_port(settings) as url:
        cloud = _cloud(carrier, url, account)
        async with cloud.running():
            if account is not None:
                await run_in_tenant(desk.tenant.id, _set_keys, account, _keys(carrier, cloud))
            await run_in_tenant(desk.tenant.id, _give_number, carrier, desk, account)
            monkeypatch.setattr(dispatch, "api_url", lambda _carrier, **_whose: cloud.url)
            yield Mailroom(carrier, cloud, desk, url, bearer)


def _cloud(carrier: str, url: str, account: CarrierAccount | None) -> Any:
    if carrier == "telnyx":
        path = "/api/v1/telnyx/call-control" + (f"/{account.public_id}" if account else "")
        if account is not None:
            return telnyx.RudeCloud(url, path)
        key = simulated.private_key_of(_secret_key())
        return telnyx.RudeCloud(url, path, key=simulated.API_KEY, private_key=key)
    hooks = "/api/v1/twilio" + (f"/accounts/{account.public_id}" if account else "")
    return twilio_cloud.RudeCloud(url, hooks, installation_keys("twilio")["auth_token"])


def _secret_key() -> str:
    from django.conf import settings

    return str(settings.SECRET_KEY)


def _keys(carrier: str, cloud: Any) -> dict[str, str]:
    if carrier == "twilio":
        return {"account_sid": cloud.sid, "auth_token": cloud.account.auth_token}
    return {
        "api_key": cloud.key,
        "public_key": cloud.public_key,
        "connection_id": cloud.connection_id,
    }


def _account(carrier: str, desk: Desk) -> CarrierAccount:
    account = CarrierAccount(carrier=carrier, external_id=f"of {desk.tenant.slug}")
    _set_keys(account, {})
    return account


def _set_keys(account: CarrierAccount, keys: dict[str, str]) -> None:
    account.set_credentials(keys)
    account.save()


def _give_number(carrier: str, desk: Desk, account: CarrierAccount | None) -> None:
    with tenant_transaction(desk.tenant.id):
        Number.objects.filter(e164=desk.number).update(carrier=carrier, account=account)
