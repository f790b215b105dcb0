"""What carriers' adapters say to people, on pages in Spanish."""

from __future__ import annotations

import json

import pytest
from django.urls import reverse
from django.utils import translation
from pydantic import ValidationError

from agents.brain.errors import BadKey
from calls.carriers.checking import check
from calls.models import CarrierAccount
from calls.providers.carriers.port import Checked
from calls.providers.carriers.sentences import _
from calls.providers.carriers.telnyx.credentials import TelnyxCredentials
from calls.providers.carriers.telnyx.health import application_problems
from calls.providers.carriers.threecx.credentials import ThreeCxCredentials
from calls.providers.carriers.threecx.health import explained
from calls.providers.carriers.twilio.health import number_problems
from calls.services.accounts import account_checked, account_refused, account_set_keys
from calls.wording import faults_in, shown, storable
from tenants.db import tenant_transaction
from tenants.middleware import OPERATOR_TENANT
from tests.rows import build_row

KEYS = {
    "telnyx": {
        "api_key": "KEY0123456789abcdefWXYZ",
        "public_key": "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=",
        "connection_id": "1234567890",
    },
    "twilio": {"account_sid": f"AC{'a1' * 16}", "auth_token": "b2" * 16},
    "threecx": {"base_url": "https://pbx.example", "client_id": "ai", "client_secret": "k"},
}


@pytest.fixture
def office(login, operator, tenant):
    """The operator's client, inside `tenant`, in Spanish."""
    client = login(operator)
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "es"
    session = client.session
    session[OPERATOR_TENANT] = tenant.pk
    session.save()
    return client


def account(tenant, name):
    with tenant_transaction(tenant.id):
        row = build_row(CarrierAccount, carrier=name)
        account_set_keys(account=row, entered=KEYS[name])
        row.save()
    return row


FOUND = {
    "telnyx": (application_problems({}, ""), "no tiene URL de webhook: ponga nuestra dirección"),
    "twilio": (number_problems([{"phone_number": "+1"}], ""), "+1 no tiene webhook de voz"),
    "threecx": (
        (explained(BadKey("threecx", "no"), ThreeCxCredentials.model_validate(KEYS["threecx"])),),
        "3CX rechaza el ID de cliente ai",
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_a_check_found_is_shown_in_the_viewers_language(office, tenant, name):
    row, (problems, words) = account(tenant, name), FOUND[name]
    with tenant_transaction(tenant.id):
        account_checked(account_id=row.pk, found=Checked("", problems))
    page = office.get(reverse("admin:calls_carrieraccount_change", args=[row.pk]))
    assert words in page.content.decode()


@pytest.mark.parametrize(
    ("name", "wrong", "words"),
    [
        ("telnyx", {"public_key": "c2hvcnQ="}, "la clave pública tiene 5 bytes"),
        ("twilio", {"account_sid": "AC1"}, "el SID de una cuenta es AC y 32 cifras"),
        ("twilio", {"edge": "dublin"}, "edge y región van juntos"),
        ("threecx", {"client_id": "a b"}, "«a b» no es un DN"),
    ],
)
def test_unfit_keys_are_refused_in_the_viewers_language(office, tenant, name, wrong, words):
    entered = {f"key_{key}": text for key, text in {**KEYS[name], **wrong}.items()}
    address = reverse("admin:calls_carrieraccount_add") + f"?carrier={name}"
    page = office.post(address, {"carrier": name, "is_active": "on", **entered})
    assert words in page.content.decode()


def test_why_a_webhook_was_refused_is_shown_in_the_viewers_language(office, tenant):
    row = account(tenant, "twilio")
    with tenant_transaction(tenant.id):
        account_refused(account_id=row.pk, why="the signature is wrong")
    page = office.get(reverse("admin:calls_carrieraccount_change", args=[row.pk]))
    assert "la firma es incorrecta" in page.content.decode()


@pytest.mark.django_db(transaction=True)
async def test_stored_keys_that_are_no_longer_fit_are_told_field_by_field(tenant):
    from asgiref.sync import sync_to_async

    def spoil():
        row = account(tenant, "telnyx")
        with tenant_transaction(tenant.id):
            row.set_credentials({"api_key": "two words", "connection_id": "7"})
            row.save()
        return row

    row = await sync_to_async(spoil)()
    await check(tenant.id, row.pk)

    def told():
        with tenant_transaction(tenant.id), translation.override("es"):
            return [shown(each) for each in CarrierAccount.objects.get(pk=row.pk).problems]

    first, second = await sync_to_async(told)()
    assert first.startswith("Las claves guardadas no sirven")
    assert second.endswith("falta public_key")


def test_a_sentence_is_english_until_it_is_shown():
    sentence = _("%(name)s has no voice webhook: set it to %(url)s", name=7, url=_("our address"))
    assert sentence == "7 has no voice webhook: set it to our address"
    kept = json.loads(json.dumps(storable(sentence)))
    assert shown(kept) == shown(sentence) == sentence
    with translation.override("es"):
        assert (
            shown(kept) == shown(sentence) == "7 no tiene webhook de voz: ponga nuestra dirección"
        )


@pytest.mark.parametrize("stored", ["of a vendor: 100 %(sure)s", "", {"template": 1}])
def test_anything_else_is_shown_as_it_is(stored):
    with translation.override("es"):
        assert shown(stored) == str(stored)


def test_a_field_that_is_not_known_is_told_in_pydantics_words():
    with pytest.raises(ValidationError) as refused:
        TelnyxCredentials.model_validate({**KEYS["telnyx"], "more": "x"})
    assert faults_in(refused.value) == {"more": "Extra inputs are not permitted"}
