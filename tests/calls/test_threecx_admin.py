"""A 3CX account in the back office: what it answers as, and who is at the PBX."""

from __future__ import annotations

import asyncio

import pytest
from django.urls import reverse
from redis.exceptions import ConnectionError as RedisAway

from calls.admin import accounts
from calls.models import CarrierAccount, Number
from calls.providers.carriers.trunk import Extension
from calls.trunks import shared
from tenants.db import tenant_transaction
from tests.calls.test_accounts import office as office
from tests.rows import make_row

pytestmark = pytest.mark.django_db

FORM = {
    "carrier": "threecx",
    "label": "Office",
    "is_active": "on",
    "key_base_url": "https://pbx.example:5001",
    "key_client_id": "ai",
    "key_client_secret": "0123456789abcdefWXYZ",
}


def enter(office, **more):
    address = reverse("admin:calls_carrieraccount_add") + "?carrier=threecx"
    return office.post(address, {**FORM, **more})


def page_of(office, account):
    return office.get(
        reverse("admin:calls_carrieraccount_change", args=[account.pk])
    ).content.decode()


def test_account_answers_as_one_of_the_tenants_numbers(office, tenant, other_tenant):
    with tenant_transaction(other_tenant.id):
        theirs = make_row(Number)
    with tenant_transaction(tenant.id):
        ours = make_row(Number)
    assert enter(office, answers_as=theirs.pk).status_code == 200  # refused, with the form again
    assert enter(office, answers_as=ours.pk).status_code == 302
    with tenant_transaction(tenant.id):
        account = CarrierAccount.objects.get()
        assert (account.answers_as, account.external_id) == (ours, "ai@pbx.example:5001")


def test_extensions_are_shown_with_how_they_are(office, tenant):
    enter(office)
    with tenant_transaction(tenant.id):
        account = CarrierAccount.objects.get()

    async def show():
        for each in (
            Extension("200", "Wextension", registered=True, busy=True),
            Extension("201", "Wextension", registered=False, busy=False),
        ):
            await shared.show_extension(str(account.public_id), each)
        await shared.close()

    asyncio.run(show())
    page = page_of(office, account)
    assert "200: busy" in page
    assert "201: no telephone is connected" in page
    assert "Nobody is connected to this telephone system now" in page


def test_page_is_there_while_redis_is_away(office, tenant, monkeypatch):
    def away(_carrier, _account):
        raise RedisAway("gone")

    monkeypatch.setattr(accounts, "extensions_now", away)
    enter(office)
    with tenant_transaction(tenant.id):
        account = CarrierAccount.objects.get()
    assert "Not known at the moment" in page_of(office, account)
