"""Twilio's callbacks about calls that we place, and about tenants' own accounts."""

from __future__ import annotations

import uuid
from xml.etree import ElementTree

import pytest
from django.http import QueryDict
from django.utils import timezone

from calls.carriers.installation import installation_keys
from calls.line.rows import Closing
from calls.models import (
    Call,
    CarrierAccount,
    CarrierEvent,
    Command,
    Leg,
    Number,
    RefusedCall,
)
from calls.providers.carriers.twilio.signature import sign
from calls.services.calls import call_close
from calls.voice.end_reasons import EndReason
from tenants.db import run_in_tenant, run_unscoped
from tests.calls.conftest import ring_form
from tests.calls.waiting import until
from tests.rows import make_row

pytestmark = pytest.mark.django_db(transaction=True)

BASE = "https://andrea.example"
SID = "CA" + "5" * 32
TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
async def post_signed(async_client, settings, quiet, prepared):
    settings.PUBLIC_BASE_URL = BASE

    async def post(path, form, token=""):
        signature = sign(
            url=BASE + path,
            params=form,
            auth_token=token or installation_keys("twilio")["auth_token"],
        )
        return await async_client.post(path, form, headers={"X-Twilio-Signature": signature})

    yield post
    await until(lambda: not quiet._background)


@pytest.fixture
async def dialled(desk):
    """A call that we placed; Twilio's answer to the order is still on its way."""

    def place():
        call = make_row(
            Call, channel="twilio", direction="outbound", version=desk.version, agent=desk.agent,
            language="es", started_at=timezone.now(),
        )  # fmt: skip
        make_row(Leg, call=call, carrier="twilio", direction="outbound")
        return call

    return await run_in_tenant(desk.tenant.id, place)


def status(number, word, **more):
    return {
        "CallSid": SID, "AccountSid": "AC" + "0" * 32, "SequenceNumber": str(number),
        "CallStatus": word, "Direction": "outbound-api", "From": "+1", "To": "+2", **more,
    }  # fmt: skip


async def rows(desk, model):
    return await run_in_tenant(desk.tenant.id, lambda: list(model.objects.order_by("pk")))


@pytest.mark.parametrize(
    ("word", "reason"),
    [("busy", "busy"), ("no-answer", "no_answer"), ("failed", "failed"), ("canceled", "cancelled")],
)
async def test_call_that_nobody_took_says_why_in_the_call_log(
    desk, dialled, post_signed, word, reason
):
    path = f"/api/v1/twilio/calls/{dialled.public_id}/call-status"
    for form in (status(2, word), status(0, "initiated"), status(1, "ringing"), status(2, word)):
        assert (await post_signed(path, form)).status_code == 204

    async def ended():
        return [call for call in await rows(desk, Call) if call.state == "ended"]

    (call,) = await until(ended)
    assert (call.end_reason, call.carrier_id) == (reason, SID)
    (leg,) = await rows(desk, Leg)
    assert (leg.state, leg.carrier_id) == ("ended", SID)

    async def noticed():
        events = await rows(desk, CarrierEvent)
        return len(events) == 3 and all(event.applied_at for event in events)

    assert await until(noticed)


async def test_callback_signed_by_somebody_else_changes_nothing(desk, dialled, post_signed):
    path = f"/api/v1/twilio/calls/{dialled.public_id}/call-status"
    assert (await post_signed(path, status(0, "busy"), token="f" * 32)).status_code == 403
    assert await rows(desk, CarrierEvent) == []


async def test_field_that_comes_more_than_once_is_signed_with_all_its_values(
    desk, dialled, async_client, settings, quiet
):
    settings.PUBLIC_BASE_URL = BASE
    path = f"/api/v1/twilio/calls/{dialled.public_id}/call-status"
    form = QueryDict(mutable=True)
    form.update(status(0, "ringing"))
    form.setlist("Tag", ["b", "a", "b"])
    answer = await async_client.post(
        path,
        form.urlencode(),
        content_type="application/x-www-form-urlencoded",
        headers={
            "X-Twilio-Signature": sign(
                url=BASE + path, params=form, auth_token=installation_keys("twilio")["auth_token"]
            )
        },
    )
    assert answer.status_code == 204
    await until(lambda: not quiet._background)
    (event,) = await rows(desk, CarrierEvent)
    assert (event.payload["CallStatus"], event.payload["Tag"]) == ("ringing", "b")


async def test_unknown_kind_of_callback_is_a_bad_request(desk, dialled, post_signed):
    path = f"/api/v1/twilio/calls/{dialled.public_id}/horoscope"
    assert (await post_signed(path, status(0, "busy"))).status_code == 400


# --- a tenant's own account --------------------------------------------------------------------


@pytest.fixture
async def account(desk):
    def enter():
        row = CarrierAccount(carrier="twilio", external_id="AC" + "7" * 32)
        row.set_credentials({"account_sid": "AC" + "7" * 32, "auth_token": TOKEN})
        row.save()
        Number.objects.update(account=row)
        return row

    return await run_in_tenant(desk.tenant.id, enter)


async def test_call_at_a_tenants_own_account_is_answered_and_asked_about_later(
    desk, account, post_signed
):
    path = f"/api/v1/twilio/accounts/{account.public_id}/incoming-call"
    answer = await post_signed(path, ring_form(desk.number, SID), token=TOKEN)
    connect = ElementTree.fromstring(answer.content).find("Connect")  # noqa: S314
    (call,) = await rows(desk, Call)
    after = f"/api/v1/twilio/calls/{call.public_id}/after-stream"
    assert connect.get("action") == f"{BASE}{after}?after=1"
    await until(lambda: rows(desk, Leg))

    def end():
        closing = Closing(EndReason.TRANSFERRED, timezone.now(), transfer_to="+525511112222")
        call_close(call_id=call.pk, closing=closing)

    await run_in_tenant(desk.tenant.id, end)
    refused = await post_signed(after, ring_form(desk.number, SID))
    assert refused.status_code == 403  # the installation's token is not the account's
    answer = await post_signed(after, ring_form(desk.number, SID), token=TOKEN)
    dial = ElementTree.fromstring(answer.content).find("Dial")  # noqa: S314
    assert dial.findtext("Number") == "+525511112222"
    assert dial.get("action").endswith(f"/calls/{call.public_id}/after-dial?after=0")
    after_dial = dial.get("action").removeprefix(BASE)
    form = ring_form(desk.number, SID, DialCallStatus="busy")
    answer = await post_signed(after_dial, form, token=TOKEN)
    tags = [verb.tag for verb in ElementTree.fromstring(answer.content)]  # noqa: S314
    assert tags == ["Say", "Hangup"]


async def test_account_leads_to_its_own_tenants_numbers_alone(
    desk, other_desk, account, post_signed
):
    path = f"/api/v1/twilio/accounts/{account.public_id}/incoming-call"
    answer = await post_signed(path, ring_form(other_desk.number, SID), token=TOKEN)
    assert ElementTree.fromstring(answer.content).find("Connect") is None  # noqa: S314
    assert await rows(other_desk, Call) == []
    assert len(await run_unscoped(lambda: list(RefusedCall.objects.all()))) == 1


async def test_account_moves_no_leg_that_is_at_another_account(desk, dialled, account, post_signed):
    """Its owner can sign for it: `back` would be asked for TwiML in the installation's name."""
    await run_in_tenant(desk.tenant.id, lambda: Leg.objects.update(carrier_id=SID))
    path = f"/api/v1/twilio/accounts/{account.public_id}"
    forged = status(9, "completed")
    assert (await post_signed(f"{path}/call-status", forged, token=TOKEN)).status_code == 403
    assert await rows(desk, CarrierEvent) == []
    theirs = {**ring_form(desk.number, "CA" + "9" * 32), "CallStatus": "completed"}
    assert (await post_signed(f"{path}/incoming-call", theirs, token=TOKEN)).status_code == 200
    orders = len(await rows(desk, Command))
    about = f"?caller={SID}&handover={uuid.uuid4()}&back=https%3A%2F%2Fevil.example&stage=joined"
    told = await post_signed(f"{path}/person-status{about}", theirs, token=TOKEN)
    assert told.status_code == 204

    async def noticed():
        return all(event.applied_at for event in await rows(desk, CarrierEvent))

    assert await until(noticed)
    assert len(await rows(desk, Command)) == orders
