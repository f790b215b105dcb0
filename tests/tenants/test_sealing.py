"""Tenants' secrets in the database: who can open them, and with which keys."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection

from calls.models import CarrierAccount
from tenants.db import tenant_transaction
from tenants.sealing import CannotUnseal, reseal, seal, unseal
from tests.rows import build_row

SECRET = {"api_key": "KEY-of-spirit"}


def account(tenant):
    with tenant_transaction(tenant.id):
        row = build_row(CarrierAccount)
        row.set_credentials(SECRET)
        row.save()
    return row


def opened(row):
    with tenant_transaction(row.tenant_id):
        return CarrierAccount.objects.get(pk=row.pk).credentials()


def test_a_secret_opens_for_its_tenant_alone():
    sealed = seal(SECRET, tenant_id=1)
    assert unseal(sealed, tenant_id=1) == SECRET
    with pytest.raises(CannotUnseal, match="another tenant"):
        unseal(sealed, tenant_id=2)


def test_nothing_sealed_holds_nothing():
    assert unseal("", tenant_id=1) == {}


@pytest.mark.parametrize("damage", [lambda s: s[:-4], lambda s: "x" + s[1:], lambda _s: "plain"])
def test_an_altered_secret_does_not_open(damage):
    with pytest.raises(CannotUnseal, match="SECRETS_KEYS"):
        unseal(damage(seal(SECRET, tenant_id=1)), tenant_id=1)


def test_an_older_key_still_opens_and_the_newest_seals(settings):
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.SECRETS_KEYS = (old,)
    sealed = seal(SECRET, tenant_id=1)
    settings.SECRETS_KEYS = (new, old)
    resealed = reseal(sealed)
    settings.SECRETS_KEYS = (new,)
    assert unseal(resealed, tenant_id=1) == SECRET
    with pytest.raises(CannotUnseal):
        unseal(sealed, tenant_id=1)


def test_nothing_of_a_secret_is_readable_in_the_database(tenant):
    row = account(tenant)
    with tenant_transaction(tenant.id), connection.cursor() as cursor:
        cursor.execute("SELECT calls_carrieraccount::text FROM calls_carrieraccount")
        (text,) = cursor.fetchone()
    assert "KEY-of-spirit" not in text
    assert opened(row) == SECRET


def test_resealing_renews_the_secrets_of_all_tenants(tenant, other_tenant, settings, capsys):
    rows = [account(tenant), account(other_tenant)]
    new = Fernet.generate_key().decode()
    settings.SECRETS_KEYS = (new, *settings.SECRETS_KEYS)
    call_command("reseal_secrets")
    settings.SECRETS_KEYS = (new,)
    assert [opened(row) for row in rows] == [SECRET, SECRET]
    assert "2 secrets" in capsys.readouterr().out


def test_resealing_leaves_what_no_key_opens_and_says_so(tenant, other_tenant, settings):
    lost = account(tenant)
    settings.SECRETS_KEYS = (Fernet.generate_key().decode(),)
    kept = account(other_tenant)
    before = lost.secrets
    with pytest.raises(CommandError, match="1 secrets open with none"):
        call_command("reseal_secrets")
    assert opened(kept) == SECRET
    with tenant_transaction(tenant.id):
        assert CarrierAccount.objects.get(pk=lost.pk).secrets == before
