"""Carrier accounts: keys go in through the back office and never come out; what a check says."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from calls import tasks
from calls.carriers import dispatch
from calls.carriers.checking import check
from calls.carriers.origins import Origin
from calls.models import CarrierAccount
from calls.providers.carriers.port import Checked, StreamTarget
from calls.providers.carriers.registry import CARRIERS
from calls.providers.carriers.signals import Event
from calls.providers.carriers.telnyx.credentials import TelnyxCredentials
from calls.providers.carriers.webrtc.ice import IceOptions
from calls.services.accounts import (
    UnfitKeys,
    account_checked,
    account_refused,
    account_set_keys,
    secret_fields,
)
from calls.services.carrier_events import event_store
from calls.wording import shown
from tenants.db import tenant_transaction
from tenants.middleware import OPERATOR_TENANT
from tenants.models import AuditEntry
from tests.peers.telnyx import RudeCloud
from tests.rows import build_row

SECRET = "KEY0123456789abcdefWXYZ"
PUBLIC = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="
KEYS = {"api_key": SECRET, "public_key": PUBLIC, "connection_id": "1234567890"}
FORM = {"carrier": "telnyx", "label": "Main", "is_active": "on"}


@pytest.fixture
def office(login, operator, tenant):
    """The operator's client, inside `tenant`."""
    client = login(operator)
    session = client.session
    session[OPERATOR_TENANT] = tenant.pk
    session.save()
    return client


def form_of(**keys):
    return {**FORM, **{f"key_{name}": text for name, text in {**KEYS, **keys}.items()}}


def stored(tenant):
    with tenant_transaction(tenant.id):
        return list(CarrierAccount.objects.all())


ADD = "admin:calls_carrieraccount_add"


def test_keys_are_sealed_and_never_shown_again(office, tenant):
    assert office.post(reverse(ADD) + "?carrier=telnyx", form_of()).status_code == 302
    (account,) = stored(tenant)
    assert (account.external_id, account.carrier) == ("1234567890", "telnyx")
    with tenant_transaction(tenant.id):
        assert account.credentials() == KEYS
        trail = str(list(AuditEntry.objects.values_list("changes", flat=True)))
    page = office.get(reverse("admin:calls_carrieraccount_change", args=[account.pk]))
    text = page.content.decode()
    assert "no-store" in page["Cache-Control"]
    assert SECRET not in text
    assert "ends in “WXYZ”" in text
    assert f"/api/v1/telnyx/call-control/{account.public_id}" in text
    assert SECRET not in trail
    assert (
        SECRET not in office.get(reverse("admin:calls_carrieraccount_changelist")).content.decode()
    )


def test_every_address_that_has_to_be_entered_at_the_carrier_is_shown(office, tenant):
    form = {"carrier": "twilio", "is_active": "on", "key_account_sid": f"AC{'a1' * 16}",
            "key_auth_token": "b2" * 16}  # fmt: skip
    assert office.post(reverse(ADD) + "?carrier=twilio", form).status_code == 302
    (account,) = stored(tenant)
    page = office.get(reverse("admin:calls_carrieraccount_change", args=[account.pk]))
    base = f"/api/v1/twilio/accounts/{account.public_id}"
    for kind in ("incoming-call", "call-status", "message"):
        assert f"{base}/{kind}<br>" in page.content.decode()


def test_secret_that_is_left_empty_stays_and_a_new_one_takes_its_place(office, tenant):
    office.post(reverse(ADD) + "?carrier=telnyx", form_of())
    (account,) = stored(tenant)
    address = reverse("admin:calls_carrieraccount_change", args=[account.pk])
    assert office.post(address, form_of(api_key="", connection_id="77")).status_code == 302
    (account,) = stored(tenant)
    with tenant_transaction(tenant.id):
        assert account.credentials() == {**KEYS, "connection_id": "77"}
    assert account.hint["api_key"]["last"] == "WXYZ"
    office.post(address, form_of(api_key="KEYnew0123456789-9876"))
    (account,) = stored(tenant)
    assert account.hint["api_key"]["last"] == "9876"


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"api_key": ""}, "This field is required"),
        ({"api_key": "two words"}, "characters that no key has"),
        ({"public_key": "short"}, "copy it from Keys"),
        ({"connection_id": "my app"}, "the number of the Voice API application"),
    ],
)
def test_unfit_keys_are_refused_field_by_field_and_nothing_is_stored(office, tenant, keys, words):
    page = office.post(reverse(ADD) + "?carrier=telnyx", form_of(**keys))
    assert page.status_code == 200
    assert words in page.content.decode()
    assert SECRET not in page.content.decode()
    assert stored(tenant) == []


def test_account_is_entered_once(office, tenant, other_tenant):
    with tenant_transaction(other_tenant.id):
        row = build_row(CarrierAccount)
        account_set_keys(account=row, entered=KEYS)
        row.save()
    assert office.post(reverse(ADD) + "?carrier=telnyx", form_of()).status_code == 302
    page = office.post(reverse(ADD) + "?carrier=telnyx", form_of())
    assert "This account is here already." in page.content.decode()
    assert len(stored(tenant)) == 1


@pytest.mark.parametrize("entry", CARRIERS, ids=lambda entry: entry.name)
def test_every_carrier_has_a_page_for_its_keys(office, tenant, entry):
    page = office.get(reverse(ADD) + f"?carrier={entry.name}").content.decode()
    for name in entry.credentials.model_fields:
        assert f'name="key_{name}"' in page
    assert secret_fields(entry)


@pytest.mark.parametrize(
    "holder",
    [
        dispatch.Account("telnyx", {"api_key": SECRET}),
        Origin("telnyx", {"api_key": SECRET}),
        IceOptions(turn_secret=SECRET),
        StreamTarget("wss://we.example", {"token": SECRET}),
        TelnyxCredentials.model_validate(KEYS),
    ],
    ids=lambda holder: type(holder).__name__,
)
def test_what_holds_a_secret_does_not_show_it_in_a_traceback(holder):
    assert SECRET not in f"{holder} {holder!r}"


def test_short_secret_shows_nothing_of_itself(in_tenant):
    row = build_row(CarrierAccount)
    account_set_keys(account=row, entered={**KEYS, "api_key": "KEY1234"})
    assert row.hint["api_key"]["last"] == ""


def test_keys_that_cannot_be_are_refused(in_tenant):
    row = build_row(CarrierAccount)
    with pytest.raises(UnfitKeys) as refused:
        account_set_keys(account=row, entered={"api_key": SECRET})
    assert set(refused.value.problems) == {"public_key", "connection_id"}


# --- check connection --------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_check_is_made_by_a_worker_once_the_keys_are_stored(office, tenant, monkeypatch):
    asked = []
    monkeypatch.setattr(tasks.check_account, "delay", lambda *args: asked.append(args))
    office.post(reverse(ADD) + "?carrier=telnyx", form_of())
    (account,) = stored(tenant)
    assert asked == [(tenant.pk, account.pk)]
    office.post(
        reverse("admin:calls_carrieraccount_changelist"),
        {"action": "check_connection", "_selected_action": [account.pk]},
    )
    assert len(asked) == 2


def enter(tenant, **keys):
    with tenant_transaction(tenant.id):
        row = build_row(CarrierAccount)
        account_set_keys(account=row, entered={**KEYS, **keys})
        row.save()
    return row


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("keys", "name", "problem"),
    [
        ({}, "Simulated", "webhooks go to"),
        ({"api_key": "KEY-of-nobody-0000"}, "", "does not take the API key"),
        ({"connection_id": "99"}, "", "no Voice API application 99"),
    ],
)
async def test_check_says_what_is_wrong_in_a_clear_sentence(tenant, settings, keys, name, problem):
    from asgiref.sync import sync_to_async

    row = await sync_to_async(enter)(tenant, **keys)
    async with RudeCloud("http://127.0.0.1:9", key=SECRET).running() as cloud:
        settings.TELNYX_BASE_URL = cloud.url
        await check(tenant.id, row.pk)
    (found,) = await sync_to_async(stored)(tenant)
    assert found.checked_at is not None
    assert found.checked_name == name
    assert problem in " ".join(map(shown, found.problems))
    assert SECRET not in str(found.problems)


@pytest.mark.django_db(transaction=True)
async def test_check_of_a_carrier_that_is_away_says_so(tenant, settings):
    from asgiref.sync import sync_to_async

    row = await sync_to_async(enter)(tenant)
    settings.TELNYX_BASE_URL = "http://127.0.0.1:9/v2"
    await check(tenant.id, row.pk)
    (found,) = await sync_to_async(stored)(tenant)
    assert "Telnyx cannot be asked at the moment" in shown(found.problems[0])


# --- webhooks that are refused -----------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_refused_webhook_is_shown_with_its_account_until_one_is_accepted(
    client, office, tenant, other_tenant
):
    row, other = enter(tenant), enter(other_tenant)
    account_checked_now(tenant, row)
    page = reverse("admin:calls_carrieraccount_change", args=[row.pk])
    assert "In order" in office.get(page).content.decode()
    address = reverse("calls:telnyx-account-webhook", args=[row.public_id])
    for _ in range(2):
        answer = client.post(address, b"{}", content_type="application/json")
        assert answer.status_code == 403
    (found,) = stored(tenant)
    assert "no telnyx-timestamp header" in found.refused_why
    shown = office.get(page).content.decode()
    assert "The last webhook was refused on" in shown
    assert "In order" not in shown
    assert stored(other_tenant) == [other]
    assert stored(other_tenant)[0].refused_at is None
    with tenant_transaction(tenant.id):
        event = Event(event_id="e", kind="k", account="", leg="", at=timezone.now(), payload={})
        event_store(carrier_name="telnyx", event=event, account_id=row.pk)
    assert "In order" in office.get(page).content.decode()


def test_refusals_that_come_together_are_noted_once(in_tenant):
    row = build_row(CarrierAccount)
    account_set_keys(account=row, entered=KEYS)
    row.save()
    for why in ("first", "second"):
        account_refused(account_id=row.pk, why=why)
    row.refresh_from_db()
    assert row.refused_why == "first"
    long_ago = timezone.now() - timedelta(minutes=1)
    CarrierAccount.objects.filter(pk=row.pk).update(refused_at=long_ago)
    account_refused(account_id=row.pk, why="third" * 100)
    row.refresh_from_db()
    assert row.refused_why == ("third" * 100)[:200]
    account_set_keys(account=row, entered={**KEYS, "connection_id": "77"})
    assert (row.refused_at, row.refused_why) == (None, "")


def account_checked_now(tenant, row):
    with tenant_transaction(tenant.id):
        account_checked(account_id=row.pk, found=Checked("Simulated"))
